//! Whatever fails on the way, a world that heals comes to rest: every session runs or has ended,
//! nothing is typed twice, and a kill leaves nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use ao_core::ids::SessionId;
use ao_core::ports::{RemovalMode, SessionStore as _, StoreError};
use ao_core::record::ActivityState;
use ao_core::replay::replay;
use ao_core::time::Timestamp;
use ao_engine::{CleanupRequest, RestoreRequest, SendRequest};
use ao_testkit::machine::{Fault, Op};
use ao_testkit::memory_store::Op as StoreOp;

use crate::harness::World;

const OPS: [Op; 15] = [
    Op::Create,
    Op::Find,
    Op::Destroy,
    Op::LookAll,
    Op::WatchServer,
    Op::GetOutput,
    Op::Look,
    Op::Paste,
    Op::Press,
    Op::WatchProcess,
    Op::Scan,
    Op::Signal,
    Op::WriteLaunch,
    Op::ReadLaunch,
    Op::RemoveLaunch,
];

const STORE_OPS: [StoreOp; 12] = [
    StoreOp::Get,
    StoreOp::Load,
    StoreOp::List,
    StoreOp::Commit,
    StoreOp::InFlight,
    StoreOp::Ready,
    StoreOp::Finish,
    StoreOp::Unfinished,
    StoreOp::Due,
    StoreOp::NextDueIn,
    StoreOp::OpenIncident,
    StoreOp::Incidents,
];

/// Enough that faults of many kinds meet, few enough to run with every build.
const WORLDS: u64 = 40;

/// Numbers that the seed decides (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(n).unwrap()).unwrap()
    }
}

fn break_something(world: &World, dice: &mut Dice) {
    if dice.below(2) == 0 {
        let fault = match dice.below(3) {
            0 => Fault::Refuse,
            1 => Fault::LoseAnswer,
            _ => Fault::Slow(Duration::from_secs(3)),
        };
        world.machine.fail_next(OPS[dice.below(OPS.len())], fault);
    } else {
        let message = "disk full".to_owned();
        let op = STORE_OPS[dice.below(STORE_OPS.len())];
        for _ in 0..=dice.below(3) {
            world.store.fail_next(op, StoreError::Unavailable { message: message.clone() });
        }
    }
}

async fn act(world: &World, dice: &mut Dice, ids: &mut Vec<SessionId>) {
    let engine = world.engine();
    let agent = ["mute", "scripted"][dice.below(2)];
    let Some(id) = (!ids.is_empty()).then(|| ids[dice.below(ids.len())].clone()) else {
        ids.extend(engine.sessions.spawn(world.request(agent)).await.ok());
        return;
    };
    match dice.below(9) {
        0 => ids.extend(engine.sessions.spawn(world.request(agent)).await.ok()),
        1 | 2 => {
            let text = format!("text {}", dice.below(1_000_000));
            let request = SendRequest { session: id, text, idempotency_key: None };
            drop(engine.messenger.send(request).await);
        }
        3 => drop(engine.sessions.kill(&id, RemovalMode::Careful, None).await),
        4 => {
            if let Some(agent) = world.machine.agent_of(&id) {
                world.machine.kill_process(agent.pid);
            }
        }
        5 => world.machine.kill_session(&id),
        6 => {
            let request = RestoreRequest { session: id, env: BTreeMap::new() };
            drop(engine.sessions.restore(&request).await);
        }
        7 => {
            let request =
                CleanupRequest { discard: dice.below(4) == 0, ..CleanupRequest::default() };
            drop(engine.sessions.cleanup(&request).await);
        }
        _ => {
            let states = [ActivityState::Active, ActivityState::Idle, ActivityState::Blocked];
            let state = states[dice.below(states.len())];
            // The agent knows its launch without asking the store.
            while world.store.get(&id).await.is_err() {}
            let fact = world.signal_now(&id, state).await;
            drop(engine.lifecycle.observe(&id, fact).await);
        }
    }
}

/// A crash, a sleep, a clock set wrong: rarely.
fn shake(world: &World, dice: &mut Dice) {
    match dice.below(20) {
        0 => {
            // A daemon does not start without its store.
            world.store.heal();
            world.crash();
            world.boot();
        }
        1 => world.clock.suspend(Duration::from_hours(9)),
        2 => world.clock.jump_wall_to(Timestamp::from_millis(1_000)),
        _ => {}
    }
}

/// What was written down, decided again, is what was decided, and leads to the session as it is.
fn check_replay(world: &World, id: &SessionId, seed: u64) {
    let (store, tasks) = (&world.store, &world.tasks);
    let journal = tasks.block_on(store.journal(id, usize::MAX)).unwrap();
    let (_, base) = tasks.block_on(store.journal_base(id)).unwrap().unwrap();
    let policy = &world.settings.policy;
    let told = replay(&base, &journal, Some(&world.session(id)), policy, None);
    let different: Vec<_> = told.entries.iter().filter(|it| it.is_different()).collect();
    assert!(different.is_empty(), "seed {seed} {id}: {different:#?}");
    assert_eq!(told.end_differences, [""; 0], "seed {seed} {id}");
    assert!(told.entries.len() < journal.len(), "the first entry made the kept state");
}

#[test]
fn a_world_that_heals_comes_to_rest() {
    for seed in 0..WORLDS {
        let world = World::new(seed);
        let mut dice = Dice(seed);
        let mut ids = Vec::new();
        for _ in 0..40 {
            break_something(&world, &mut dice);
            world.tasks.block_on(act(&world, &mut dice, &mut ids));
            shake(&world, &mut dice);
            let pause = Duration::from_millis(u64::try_from(dice.below(4_000)).unwrap());
            world.pass_time(pause);
        }
        // What fails when it is tried again does so in this time, then all is well.
        world.pass_time(Duration::from_mins(10));
        world.store.heal();
        world.machine.heal();
        world.pass_time(Duration::from_mins(10));
        for id in &ids {
            let session = world.session(id);
            let phase = session.record.phase.as_str();
            let is_live = !session.lifecycle.is_terminal();
            let shown = world.shown(id);
            assert_eq!(phase, if is_live { "running" } else { "ended" }, "{seed} {id}: {shown}");
            let pastes = world.machine.pastes(id);
            let once: std::collections::BTreeSet<_> = pastes.iter().collect();
            assert_eq!(once.len(), pastes.len(), "seed {seed}: typed twice: {pastes:?}");
            let messages = world.messages(id);
            assert!(!messages.iter().any(|it| it.starts_with("typing")), "{seed}: {messages:?}");
        }
        for id in &ids {
            check_replay(&world, id, seed);
        }
        for id in &ids {
            assert_eq!(world.kill(id).because, None, "seed {seed}: {}", world.shown(id));
        }
        world.pass_time(Duration::from_mins(5));
        // A spawn that was refused while its file could not be removed leaves that to a start.
        world.crash();
        world.boot();
        // Which it does once it is ready.
        world.pass_time(Duration::from_secs(1));
        assert_eq!(world.running(), [], "seed {seed}: processes are left");
        world.check_clean();
    }
}
