//! Acts that came to the plans later: cleanups, places, preparations.
//!
//! They are made from numbers of their own and take the place of other acts, so that a seed without
//! them makes the steps that it always made.

use super::dice::Dice;
use super::plan::{Act, CallFault, SetupOp, call_fault, who};
use super::points::{cleanup_points, place_points, setup_points};
use super::terms::Terms;

/// Keeps these numbers apart from those of the other acts.
pub(crate) const STREAM: u64 = 0x6E65_7773_6E65_7773;

/// What happens instead of another act. Of a thousand steps, so many are what they are.
pub(crate) fn act(dice: &mut Dice, terms: Terms) -> Option<Act> {
    match dice.below(1000) {
        0..50 => Some(of_keeper(dice)),
        50..80 => terms.room.map(|_| of_places(dice)),
        80..115 => terms.is_prepared.then(|| of_setup(dice)),
        115..130 => of_crash(dice, terms),
        _ => None,
    }
}

/// Acts of somebody who keeps the house.
fn of_keeper(dice: &mut Dice) -> Act {
    let who = who(dice);
    match dice.below(100) {
        0..26 => {
            let project = dice.chance(30).then_some(who % 2);
            Act::CleanUp { project, discard: dice.chance(25), is_dry: dice.chance(15) }
        }
        26..40 => Act::Recover { who },
        40..64 => Act::Land { who, is_squashed: dice.chance(60) },
        64..80 => Act::Work { who },
        80..96 => Act::CommitWork { who },
        _ => Act::Remove { who },
    }
}

fn of_places(dice: &mut Dice) -> Act {
    let who = who(dice);
    match dice.below(100) {
        0..25 => Act::Places,
        25..45 => Act::KillWaiting { who, discard: dice.chance(30) },
        45..55 => {
            let max = dice.chance(80).then(|| 1 + u32::try_from(dice.below(8)).unwrap_or(0));
            Act::Recap { max }
        }
        55..70 => Act::Die { down_for: 0 },
        _ => Act::Staff,
    }
}

fn of_setup(dice: &mut Dice) -> Act {
    let who = who(dice);
    let op = if dice.chance(30) { SetupOp::Place } else { SetupOp::Run };
    match dice.below(100) {
        0..60 => Act::Setup { op, fault: call_fault(dice) },
        60..75 => Act::Setup { op: SetupOp::Run, fault: CallFault::TimeOut(600) },
        75..85 => Act::Die { down_for: 0 },
        _ => Act::Spawn { project: who % 2, agent: who % 5 },
    }
}

fn of_crash(dice: &mut Dice, terms: Terms) -> Option<Act> {
    let mut points = cleanup_points();
    if terms.room.is_some() {
        points.extend(place_points().repeat(2));
    }
    if terms.is_prepared {
        points.extend(setup_points().repeat(4));
    }
    let is_after = dice.chance(50);
    dice.pick(&points).map(|point| Act::DieAtSaga { point, is_after })
}
