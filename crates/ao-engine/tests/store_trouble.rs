//! A store that fails for a while: what was begun ends, nothing is repeated without pause, and
//! nothing that was to be looked at is forgotten.

use std::time::Duration;

use ao_core::ledger::ReactionKind;
use ao_core::policy::{Policy, ReactionPolicy};
use ao_core::ports::StoreError;
use ao_core::record::ActivityState;
use ao_engine::SendRequest;
use ao_testkit::machine::{Fault, Op};
use ao_testkit::memory_store::Op as StoreOp;

use crate::harness::World;

fn fail(world: &World, op: StoreOp, n: usize) {
    for _ in 0..n {
        let message = "disk full".to_owned();
        world.store.fail_next(op, StoreError::Unavailable { message });
    }
}

fn send(world: &World, id: &ao_core::ids::SessionId, text: &str) {
    let request = SendRequest { session: id.clone(), text: text.to_owned(), idempotency_key: None };
    world.tasks.block_on(world.engine().messenger.send(request)).unwrap();
}

fn impatient(policy: &mut Policy) {
    let line = ReactionPolicy {
        escalate_after: Some(Duration::from_secs(2)),
        ..ReactionPolicy::default_of(ReactionKind::AgentNeedsInput)
    };
    policy.reactions.insert(ReactionKind::AgentNeedsInput, line);
}

#[test]
fn a_message_whose_end_could_not_be_written_is_in_doubt_and_blocks_no_later_one() {
    let world = World::new(1);
    let id = world.spawn("mute");
    world.until_status(&id, "working");
    world.machine.fail_next(Op::Paste, Fault::Slow(Duration::from_secs(1)));
    send(&world, &id, "once");
    world.pass_time(Duration::from_millis(500));
    fail(&world, StoreOp::Commit, 1);
    world.pass_time(Duration::from_secs(10));
    send(&world, &id, "again");
    world.pass_time(Duration::from_secs(10));
    assert_eq!(world.messages(&id), ["in_doubt interrupted: once", "typed cannot_confirm: again"]);
    assert_eq!(world.machine.pastes(&id), ["once", "again"]);
}

#[test]
fn an_effect_whose_end_cannot_be_written_is_performed_once_all_the_same() {
    let world = World::new(2);
    let id = world.spawn("scripted");
    fail(&world, StoreOp::Finish, 30);
    world.signal(&id, ActivityState::WaitingInput);
    world.pass_time(Duration::from_mins(2));
    assert_eq!(world.told(), ["agent-needs-input"]);
    world.answer(&id);
    world.signal(&id, ActivityState::WaitingInput);
    world.pass_time(Duration::from_secs(10));
    assert_eq!(world.told(), ["agent-needs-input", "agent-needs-input"]);
}

#[test]
fn a_look_that_the_store_was_needed_for_is_taken_by_the_next_pass() {
    let world = World::new(3);
    let id = world.spawn("mute");
    world.until_status(&id, "working");
    world.pass_time(Duration::from_secs(11));
    // Only the server tells of it: the process lives on.
    world.machine.ignore_signals(world.machine.agent_of(&id).unwrap().pid);
    fail(&world, StoreOp::List, 1);
    world.machine.kill_session(&id);
    world.pass_time(Duration::from_secs(11));
    world.check(
        &id,
        "detecting (detecting/runtime_lost, missing/tmux_missing, running, worktree present)",
    );
}

#[test]
fn no_deadline_is_decided_after_a_resume_before_a_pass_has_succeeded() {
    let world = World::with_policy(4, impatient);
    world.machine.set_watches(false);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::WaitingInput);
    world.pass_time(Duration::from_secs(1));
    fail(&world, StoreOp::List, 1);
    world.machine.kill_process(world.machine.agent_of(&id).unwrap().pid);
    world.clock.suspend(Duration::from_hours(9));
    world.pass_time(Duration::from_secs(20));
    assert_eq!(world.told(), ["agent-needs-input", "agent-exited"]);
}

#[test]
fn a_deadline_that_cannot_be_written_is_not_tried_without_pause() {
    let world = World::with_policy(5, impatient);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::WaitingInput);
    world.pass_time(Duration::from_secs(1));
    fail(&world, StoreOp::Commit, 100_000);
    world.gate.stop_at(None);
    world.pass_time(Duration::from_mins(1));
    let n_writes = world.gate.n_writes();
    assert!((1..=30).contains(&n_writes), "{n_writes} writes in a minute");
}

#[test]
fn a_deadline_that_fails_keeps_no_other_one_from_its_time() {
    let world = World::with_policy(6, impatient);
    let ids = [world.spawn("scripted"), world.spawn("scripted")];
    for id in &ids {
        world.signal(id, ActivityState::WaitingInput);
    }
    world.pass_time(Duration::from_secs(1));
    fail(&world, StoreOp::Commit, 1);
    world.pass_time(Duration::from_secs(2));
    let n_escalated = world.told().iter().filter(|it| *it == "reaction.escalated").count();
    assert_eq!(n_escalated, 1, "{:?}", world.told());
    world.pass_time(Duration::from_secs(10));
    let n_escalated = world.told().iter().filter(|it| *it == "reaction.escalated").count();
    assert_eq!(n_escalated, 2, "{:?}", world.told());
}
