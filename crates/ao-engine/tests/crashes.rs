//! A crash before and after every write of a whole life: spawn, message, reaction, escalation, the
//! agent's death, restore, kill, restore again, death, cleanup.
//!
//! The walk counts the writes of the run itself, so a write that is added later is covered the day
//! it is added.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::time::Duration;

use ao_core::ledger::ReactionKind;
use ao_core::policy::ReactionPolicy;
use ao_core::ports::{Projects as _, RemovalMode, SessionFilter, SessionStore as _};
use ao_core::record::ActivityState;
use ao_engine::{CleanupRequest, RestoreRequest, SendRequest};
use futures_util::future::{Either, select};

use crate::gate::Stop;
use crate::harness::World;

/// More writes than a life has: the walk ends when a life runs to its end without a stop.
const WRITES_MAX: u64 = 200;

fn world(seed: u64) -> World {
    World::with_policy(seed, |policy| {
        let line = ReactionPolicy {
            escalate_after: Some(Duration::from_secs(2)),
            ..ReactionPolicy::default_of(ReactionKind::AgentNeedsInput)
        };
        policy.reactions.insert(ReactionKind::AgentNeedsInput, line);
    })
}

/// A whole life, told by one client: it gives up when the daemon goes away.
async fn live(world: &World) {
    let engine = world.engine();
    let Ok(id) = engine.sessions.spawn(world.request("scripted")).await else { return };
    let clock = world.clock.clone();
    let pause = |seconds: u64| {
        use ao_core::ports::Clock as _;
        clock.sleep(Duration::from_secs(seconds))
    };
    pause(2).await;
    let sent = SendRequest { session: id.clone(), text: "do it".to_owned(), idempotency_key: None };
    for activity in [ActivityState::Active, ActivityState::Idle] {
        let fact = world.signal_now(&id, activity).await;
        if engine.lifecycle.observe(&id, fact).await.is_err() {
            return;
        }
    }
    if engine.messenger.send(sent).await.is_err() {
        return;
    }
    pause(2).await;
    let fact = world.signal_now(&id, ActivityState::WaitingInput).await;
    if engine.lifecycle.observe(&id, fact).await.is_err() {
        return;
    }
    pause(10).await;
    if let Some(agent) = world.machine.agent_of(&id) {
        world.machine.kill_process(agent.pid);
    }
    pause(2).await;
    let again = RestoreRequest { session: id.clone(), env: BTreeMap::new() };
    if engine.sessions.restore(&again).await.is_err() {
        return;
    }
    pause(2).await;
    if engine.sessions.kill(&id, RemovalMode::Careful, None).await.is_err() {
        return;
    }
    if engine.sessions.restore(&again).await.is_err() {
        return;
    }
    pause(2).await;
    if let Some(agent) = world.machine.agent_of(&id) {
        world.machine.kill_process(agent.pid);
    }
    pause(10).await;
    if engine.sessions.cleanup(&CleanupRequest::default()).await.is_err() {
        return;
    }
    pause(2).await;
}

/// Runs a life up to a stop; says whether the stop was reached.
fn live_until(world: &World, stop: Stop) -> bool {
    world.gate.stop_at(Some(stop));
    let reached = world.tasks.block_on(async {
        let (life, hit) = (pin!(live(world)), pin!(world.gate.hit()));
        matches!(select(life, hit).await, Either::Right(_))
    });
    world.crash();
    reached
}

#[track_caller]
fn check_after(world: &World, stop: Stop) {
    world.boot();
    world.pass_time(Duration::from_mins(2));
    let filter = SessionFilter { project: None, with_terminal: true };
    let sessions = world.tasks.block_on(world.store.list(&filter)).unwrap();
    assert!(sessions.len() <= 1, "{stop:?}: doubled");
    for session in &sessions {
        let id = &session.record.id;
        // Nothing is left half-way: it either runs or has ended.
        let phase = session.record.phase.as_str();
        assert!(["running", "ended"].contains(&phase), "{stop:?}: {}", world.shown(id));
        assert!(world.machine.pastes(id).len() <= 1, "{stop:?}: typed twice");
        let is_live = !session.lifecycle.is_terminal();
        assert_eq!(world.machine.agent_of(id).is_some(), is_live, "{stop:?}");
        let n_agents = usize::from(is_live);
        assert_eq!(world.running().len(), n_agents, "{stop:?}: one process for one conversation");
        // Wherever the crash was, what ended can be had back.
        if !is_live {
            let again = RestoreRequest { session: id.clone(), env: BTreeMap::new() };
            let engine = world.engine();
            let restored = world.tasks.block_on(engine.sessions.restore(&again));
            assert!(restored.is_ok(), "{stop:?}: {restored:?}");
            world.until(id, |session| session.lifecycle.launch.is_some());
            assert_eq!(world.running().len(), 1, "{stop:?}");
        }
        world.kill(id);
    }
    world.pass_time(Duration::from_secs(10));
    assert_eq!(world.running(), [], "{stop:?}: processes are left");
    // At least once, under one id: a repetition is recognised by whoever hears it.
    let told = world.notifier.taken();
    let ids: BTreeSet<_> = told.iter().map(|it| it.id.clone()).collect();
    let n_escalated = ids.iter().filter(|id| id.as_str().contains("escalat")).count();
    assert!(n_escalated <= 1, "{stop:?}: escalated {n_escalated} times: {ids:?}");
    world.check_clean();
    // And the next one gets an id of its own.
    let next = world.tasks.block_on(world.store.next_session_id(&crate::harness::project_id()));
    assert!(sessions.iter().all(|session| session.record.id != *next.as_ref().unwrap()));
}

#[test]
fn no_write_of_a_life_is_a_bad_moment_to_crash() {
    let mut n_stops = 0;
    for at in [Stop::Before, Stop::After] {
        for n in 1..=WRITES_MAX {
            let world = world(n);
            if !live_until(&world, at(n)) {
                break;
            }
            check_after(&world, at(n));
            n_stops += 1;
        }
    }
    assert!(n_stops > 30, "a life has more writes than {n_stops} stops");
    assert!(n_stops < 2 * WRITES_MAX, "the walk did not reach the end of a life");
}

/// A launch, up to a stop; says whether the stop was reached.
fn launch_until(world: &World, stop: Stop) -> bool {
    world.gate.stop_at(Some(stop));
    let engine = world.engine();
    let reached = world.tasks.block_on(async {
        let launch = async {
            let _told = engine.sessions.spawn(world.request("scripted")).await;
            ao_core::ports::Clock::sleep(&world.clock, Duration::from_secs(2)).await;
        };
        let (launch, hit) = (pin!(launch), pin!(world.gate.hit()));
        matches!(select(launch, hit).await, Either::Right(_))
    });
    world.crash();
    reached
}

/// What a step made and no record shows is found by the end of the session: nothing else would.
#[test]
fn a_launch_that_a_crash_cut_short_leaves_nothing_when_it_is_killed_before_it_goes_on() {
    let mut n_killed = 0;
    for at in [Stop::Before, Stop::After] {
        for n in 1..=WRITES_MAX {
            let world = world(n);
            if !launch_until(&world, at(n)) {
                break;
            }
            // The kill is asked for before anything goes on with the launch.
            world.open();
            let filter = SessionFilter { project: None, with_terminal: true };
            let sessions = world.tasks.block_on(world.store.list(&filter)).unwrap();
            for session in &sessions {
                let id = &session.record.id;
                assert_eq!(world.kill(id).workspace.as_str(), "removed", "{:?}", at(n));
                n_killed += 1;
            }
            world.start();
            world.pass_time(Duration::from_secs(10));
            assert_eq!(world.running(), [], "{:?}: processes are left", at(n));
            world.check_clean();
        }
    }
    assert!(n_killed > 8, "a launch has more writes than {n_killed} stops");
}
