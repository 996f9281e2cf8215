//! Reactions through the real engine: planned with the state, performed at least once, escalated
//! once.

use std::time::Duration;

use ao_core::ledger::ReactionKind;
use ao_core::policy::{Policy, ReactionPolicy};
use ao_core::record::ActivityState;

use crate::harness::World;

fn impatient(policy: &mut Policy) {
    let line = ReactionPolicy {
        escalate_after: Some(Duration::from_secs(2)),
        ..ReactionPolicy::default_of(ReactionKind::AgentNeedsInput)
    };
    policy.reactions.insert(ReactionKind::AgentNeedsInput, line);
}

#[test]
fn an_escalation_survives_a_crash_and_comes_once() {
    let world = World::with_policy(1, impatient);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::WaitingInput);
    world.crash();
    world.clock.advance(Duration::from_secs(3));
    world.boot();
    world.pass_time(Duration::from_mins(5));
    assert_eq!(world.told(), ["agent-needs-input", "reaction.escalated"]);
}

#[test]
fn an_answer_in_time_escalates_nothing() {
    let world = World::with_policy(2, impatient);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::WaitingInput);
    world.pass_time(Duration::from_secs(1));
    world.answer(&id);
    world.pass_time(Duration::from_mins(5));
    assert_eq!(world.told(), ["agent-needs-input"]);
}

#[test]
fn a_notifier_that_is_down_loses_nothing_that_still_holds() {
    let world = World::new(3);
    let id = world.spawn("scripted");
    world.notifier.go_down();
    world.signal(&id, ActivityState::WaitingInput);
    world.pass_time(Duration::from_secs(20));
    assert_eq!(world.told(), [""; 0]);
    world.notifier.come_up();
    world.pass_time(Duration::from_mins(1));
    assert_eq!(world.told(), ["agent-needs-input"]);
}

#[test]
fn a_loop_that_panics_is_started_again_and_goes_on() {
    let world = World::new(7);
    let id = world.spawn("scripted");
    world.notifier.panic_next();
    world.signal(&id, ActivityState::WaitingInput);
    world.pass_time(Duration::from_secs(5));
    assert_eq!(world.told(), ["agent-needs-input"]);
}

#[test]
fn what_no_longer_holds_when_its_turn_comes_is_not_said() {
    let world = World::new(4);
    let id = world.spawn("scripted");
    world.notifier.go_down();
    world.signal(&id, ActivityState::WaitingInput);
    world.pass_time(Duration::from_secs(5));
    world.answer(&id);
    world.notifier.come_up();
    world.pass_time(Duration::from_mins(2));
    assert_eq!(world.told(), [""; 0]);
}

#[test]
fn an_agent_that_declares_signals_and_sends_none_is_stuck_after_ninety_seconds() {
    let world = World::new(5);
    let id = world.spawn("scripted");
    world.pass_time(Duration::from_secs(80));
    world.check(
        &id,
        "spawning (not_started/spawn_requested, alive/process_running, running, worktree present)",
    );
    world.pass_time(Duration::from_secs(20));
    world.check(&id, "stuck (stuck/no_signal, alive/process_running, running, worktree present)");
    assert_eq!(world.told(), ["agent-stuck"]);
    world.signal(&id, ActivityState::Active);
    world.until_status(&id, "working");
}

#[test]
fn a_turn_that_ended_is_told_after_ten_quiet_seconds() {
    let world = World::new(6);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::Active);
    world.signal(&id, ActivityState::Idle);
    world.pass_time(Duration::from_secs(9));
    assert_eq!(world.told(), [""; 0]);
    world.pass_time(Duration::from_secs(2));
    assert_eq!(world.told(), ["turn-finished"]);
}
