//! What is said to an agent without a person: it comes after what people say, and only its newest.

use std::collections::BTreeSet;
use std::time::Duration;

use ao_core::fact::{Fact, FactKind};
use ao_core::ids::{BranchName, CauseKey, PrNumber, SessionId, Sha};
use ao_core::ports::Clock as _;
use ao_core::pr::{Checks, Draftness, Known, Pr, PrLife, PrObservation};
use ao_core::record::ActivityState;
use ao_engine::SendRequest;
use ao_testkit::machine::{Fault, Op};

use crate::harness::World;

/// The forge tells how the checks of the one pull request stand.
fn checked(world: &World, id: &SessionId, checks: Checks) {
    let at = world.clock.now();
    let pr = Pr {
        number: PrNumber(7),
        url: String::new(),
        base: BranchName::new("main"),
        head: Known::Known { value: Sha::new("a1"), at },
        life: Known::Known { value: PrLife::Open, at },
        draft: Known::Known { value: Draftness::Ready, at },
        checks: Known::Known { value: checks, at },
        review: Known::Unknown,
        mergeability: Known::Unknown,
    };
    let fact = Fact { at, kind: FactKind::PullRequests(vec![PrObservation { pr }]) };
    world.tasks.block_on(world.engine().lifecycle.observe(id, fact)).unwrap();
}

fn failed(check: &str) -> Checks {
    Checks::Failed { causes: BTreeSet::from([CauseKey::new(check)]) }
}

/// A session of which somebody reads back, so that what is said to it waits.
fn waiting(world: &World) -> SessionId {
    let id = world.spawn("mute");
    world.until_status(&id, "working");
    world.machine.set_in_mode(&id, true);
    id
}

/// Nobody reads back any more.
fn go_on(world: &World, id: &SessionId) {
    world.machine.set_in_mode(id, false);
    world.pass_time(Duration::from_secs(10));
}

fn send(world: &World, id: &SessionId, text: &str) {
    let request = SendRequest { session: id.clone(), text: text.to_owned(), idempotency_key: None };
    world.tasks.block_on(world.engine().messenger.send(request)).unwrap();
}

#[test]
fn people_come_before_what_is_automatic() {
    let world = World::new(1);
    let id = waiting(&world);
    checked(&world, &id, failed("lint"));
    send(&world, &id, "mine");
    world.pass_time(Duration::from_secs(2));
    go_on(&world, &id);
    let pastes = world.machine.pastes(&id);
    assert_eq!(pastes.len(), 2, "{pastes:?}");
    assert_eq!(pastes[0], "mine");
    assert!(pastes[1].contains("- lint"), "{pastes:?}");
}

#[test]
fn of_two_messages_of_one_incident_the_newer_one_is_typed() {
    let world = World::new(2);
    let id = waiting(&world);
    checked(&world, &id, failed("lint"));
    world.pass_time(Duration::from_secs(2));
    checked(&world, &id, failed("test"));
    go_on(&world, &id);
    let messages = world.messages(&id);
    assert!(messages[0].starts_with("superseded newer"), "{messages:#?}");
    let pastes = world.machine.pastes(&id);
    assert_eq!(pastes.len(), 1, "{pastes:?}");
    assert!(pastes[0].contains("- test"), "{pastes:?}");
}

#[test]
fn what_is_over_when_its_turn_comes_is_not_typed() {
    let world = World::new(3);
    let id = waiting(&world);
    checked(&world, &id, failed("lint"));
    world.pass_time(Duration::from_secs(2));
    checked(&world, &id, Checks::Passed);
    go_on(&world, &id);
    assert_eq!(world.machine.pastes(&id), [""; 0]);
    let messages = world.messages(&id);
    assert!(messages[0].starts_with("superseded condition_over"), "{messages:#?}");
}

#[test]
fn an_agent_that_waits_for_an_answer_is_told_nothing_automatic() {
    let world = World::new(4);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::WaitingInput);
    checked(&world, &id, failed("lint"));
    world.pass_time(Duration::from_mins(1));
    assert_eq!(world.machine.pastes(&id), [""; 0]);
    let messages = world.messages(&id);
    assert!(messages[0].starts_with("queued waiting_input"), "{messages:#?}");
    // Its human may answer all the same.
    send(&world, &id, "yes");
    world.pass_time(Duration::from_secs(5));
    assert_eq!(world.machine.pastes(&id), ["yes"]);
}

#[test]
fn a_fact_between_the_look_and_the_paste_decides_again() {
    let world = World::new(5);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::Idle);
    world.pass_time(Duration::from_secs(2));
    world.machine.fail_next(Op::Look, Fault::Slow(Duration::from_secs(2)));
    send(&world, &id, "go on");
    world.pass_time(Duration::from_secs(1));
    world.signal(&id, ActivityState::Blocked);
    world.pass_time(Duration::from_secs(30));
    assert_eq!(world.machine.pastes(&id), [""; 0]);
    assert_eq!(world.messages(&id), ["queued blocked: go on"]);
}
