//! Spawn, observe, react, kill.

use std::time::Duration;

use ao_core::ids::{BranchName, IdempotencyKey, SessionId};
use ao_core::ports::{Clock as _, RemovalMode, SessionStore as _, WorkspaceError};
use ao_core::record::ActivityState;
use ao_engine::SpawnError;
use ao_testkit::machine::{Fault, Op};

use crate::harness::{REPO, World};

#[test]
fn a_session_is_spawned_observed_reacted_to_and_killed() {
    let world = World::new(1);
    let id = world.spawn("scripted");
    world.check(
        &id,
        "spawning (not_started/spawn_requested, alive/process_running, running, worktree present)",
    );
    world.signal(&id, ActivityState::Active);
    world.check(
        &id,
        "working (working/task_in_progress, alive/process_running, running, worktree present)",
    );
    world.signal(&id, ActivityState::WaitingInput);
    world.check(&id, "needs_input (needs_input/awaiting_user_input, alive/process_running, running, worktree present)");
    world.pass_time(Duration::from_secs(1));
    assert_eq!(world.told(), ["agent-needs-input"]);
    world.signal(&id, ActivityState::Active);
    world.kill(&id);
    world.check(&id, "killed (terminated/manually_killed, exited/manual_kill_requested, ended, worktree removed)");
    assert_eq!(world.told(), ["agent-needs-input"], "a kill reacts to nothing");
    assert_eq!(world.running(), []);
    world.check_clean();
}

#[test]
fn every_decision_stands_in_the_journal() {
    let world = World::new(13);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::Active);
    world.signal(&id, ActivityState::Idle);
    world.kill(&id);
    let journal = world.tasks.block_on(world.store.journal(&id, 100)).unwrap();
    let rules: Vec<_> = journal.iter().map(|it| it.entry.because.rule.as_str()).collect();
    assert_eq!(rules, ["launched", "settled", "settled", "end_requested", "runtime_destroyed"]);
}

#[test]
fn an_agent_that_signals_nothing_works_as_soon_as_it_is_seen_to_live() {
    let world = World::new(2);
    let id = world.spawn("mute");
    world.until_status(&id, "working");
}

#[test]
fn an_agent_killed_from_outside_ends_its_session_within_a_second() {
    let world = World::new(3);
    let id = world.spawn("mute");
    world.until_status(&id, "working");
    let died_at = world.clock.now();
    world.machine.kill_process(world.machine.agent_of(&id).unwrap().pid);
    world.until(&id, |session| session.lifecycle.is_terminal());
    assert!(world.clock.now().since(&died_at) < Duration::from_secs(1));
    world.pass_time(Duration::from_secs(1));
    world.check(&id, "errored (terminated/agent_process_exited, exited/process_missing, ended, worktree present)");
    assert_eq!(world.told(), ["agent-exited"]);
}

#[test]
fn with_all_watches_off_a_death_is_seen_one_pass_later() {
    let world = World::new(4);
    world.machine.set_watches(false);
    let id = world.spawn("mute");
    world.until_status(&id, "working");
    world.machine.kill_process(world.machine.agent_of(&id).unwrap().pid);
    let died_at = world.clock.now();
    world.until(&id, |session| session.lifecycle.is_terminal());
    assert!(world.clock.now().since(&died_at) < Duration::from_secs(6));
}

#[test]
fn a_kill_ends_children_that_left_the_terminal_and_ignore_the_request() {
    let world = World::new(5);
    let id = world.spawn("mute");
    let agent = world.machine.agent_of(&id).unwrap().pid;
    let child = world.machine.start_child(agent);
    world.machine.leave_session(child);
    world.machine.orphan(child);
    world.machine.ignore_signals(child);
    let grandchild = world.machine.start_child(child);
    world.machine.drop_nonce(grandchild);
    let stranger = world.machine.start_process(None);
    world.kill(&id);
    assert_eq!(world.running(), [stranger]);
    world.check_clean();
}

#[test]
fn a_kill_ends_what_only_its_control_group_leads_to() {
    let world = World::new(5);
    world.machine.keep_groups();
    let id = world.spawn("mute");
    let agent = world.machine.agent_of(&id).unwrap().pid;
    let parent = world.machine.start_child(agent);
    let strays = [world.machine.start_child(parent), world.machine.start_child(parent)];
    for stray in strays {
        world.machine.leave_session(stray);
        world.machine.drop_nonce(stray);
        world.machine.ignore_signals(stray);
    }
    world.machine.kill_process(parent);
    let stranger = world.machine.start_process(None);
    world.kill(&id);
    assert_eq!(world.running(), [stranger]);
    assert_eq!(world.machine.n_calls(Op::KillGroup), 1, "one stroke, after they were asked");
    world.check_clean();
}

#[test]
fn a_group_with_somebody_who_is_spared_is_not_ended_at_once() {
    let world = World::new(5);
    world.machine.keep_groups();
    let id = world.spawn("mute");
    let agent = world.machine.agent_of(&id).unwrap().pid;
    let (caller, stubborn) = (world.machine.start_child(agent), world.machine.start_child(agent));
    for child in [caller, stubborn] {
        world.machine.leave_session(child);
        world.machine.ignore_signals(child);
    }
    let engine = world.engine();
    let kill = engine.sessions.kill(&id, RemovalMode::Careful, Some(caller));
    world.tasks.block_on(kill).unwrap();
    assert_eq!(world.running(), [caller]);
    assert_eq!(world.machine.n_calls(Op::KillGroup), 0);
}

#[test]
fn a_repeated_request_makes_one_session() {
    let world = World::new(6);
    let engine = world.engine();
    let mut request = world.request("mute");
    request.idempotency_key = Some(IdempotencyKey::new("k"));
    let (first, second) = world.tasks.block_on(async {
        let first = engine.sessions.spawn(request.clone()).await;
        (first, engine.sessions.spawn(request.clone()).await)
    });
    assert_eq!(first.unwrap(), second.unwrap());
    world.pass_time(Duration::from_secs(1));
    assert_eq!(world.machine.sessions().len(), 1);
}

#[test]
fn what_can_be_refused_is_refused_before_anything_happens() {
    let world = World::new(7);
    let engine = world.engine();
    let mut request = world.request("mute");
    request.branch = Some(BranchName::new("main"));
    let refused = world.tasks.block_on(engine.sessions.spawn(request));
    assert!(
        matches!(refused, Err(SpawnError::Workspace(WorkspaceError::BranchTaken { .. }))),
        "{refused:?}"
    );
    let refused = world.tasks.block_on(engine.sessions.spawn(world.request("nobody")));
    assert_eq!(refused.unwrap_err().code(), "NO_AGENT");
    assert_eq!(world.spawn("mute").as_str(), "app-1", "a refusal uses no id up");
    world.kill(&SessionId::parse("app-1").unwrap());
    world.check_clean();
}

#[test]
fn a_launch_that_fails_is_unwound_and_says_why() {
    for (seed, fault) in [(8, Op::Create), (9, Op::WriteLaunch)] {
        let world = World::new(seed);
        let engine = world.engine();
        if fault == Op::WriteLaunch {
            // The first write is the seed's; the second is the saga's.
            world.machine.fail_next(fault, Fault::Slow(Duration::ZERO));
        }
        world.machine.fail_next(fault, Fault::Refuse);
        let id = world.tasks.block_on(engine.sessions.spawn(world.request("mute"))).unwrap();
        world.until(&id, |session| session.lifecycle.is_terminal());
        world.pass_time(Duration::from_secs(1));
        let session = world.session(&id);
        assert!(session.record.trouble.is_some());
        world.check(
            &id,
            "errored (terminated/spawn_failed, missing/spawn_incomplete, ended, worktree removed)",
        );
        world.check_clean();
    }
}

#[test]
fn a_runtime_whose_answer_was_lost_is_found_again_and_not_doubled() {
    let world = World::new(10);
    let engine = world.engine();
    world.machine.fail_next(Op::Create, Fault::LoseAnswer);
    let id = world.tasks.block_on(engine.sessions.spawn(world.request("mute"))).unwrap();
    world.until(&id, |session| {
        session.lifecycle.is_terminal() || session.lifecycle.launch.is_some()
    });
    world.kill(&id);
    assert_eq!(world.running(), []);
    world.check_clean();
}

#[test]
fn a_kill_during_a_launch_unwinds_it() {
    let world = World::new(11);
    let engine = world.engine();
    world.machine.set_exec_held(true);
    let id = world.tasks.block_on(engine.sessions.spawn(world.request("mute"))).unwrap();
    world.until(&id, |session| session.record.handle.is_some());
    world.kill(&id);
    world.check(&id, "killed (terminated/manually_killed, exited/manual_kill_requested, ended, worktree removed)");
    assert_eq!(world.running(), []);
    world.check_clean();
}

#[test]
fn a_kill_does_not_signal_the_one_who_asks_for_it() {
    let world = World::new(14);
    let id = world.spawn("mute");
    let agent = world.machine.agent_of(&id).unwrap().pid;
    let caller = world.machine.start_child(agent);
    world.machine.leave_session(caller);
    let engine = world.engine();
    let kill = engine.sessions.kill(&id, RemovalMode::Careful, Some(caller));
    world.tasks.block_on(kill).unwrap();
    assert_eq!(world.running(), [caller]);
    world.check_clean();
}

#[test]
fn a_goodbye_is_looked_into_at_once() {
    let world = World::new(15);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::Active);
    world.machine.set_watches(false);
    world.machine.exit_process(world.machine.agent_of(&id).unwrap().pid, 3);
    world.signal(&id, ActivityState::Exited);
    world.pass_time(Duration::from_millis(500));
    assert!(world.session(&id).lifecycle.is_terminal(), "{}", world.shown(&id));
}

#[test]
fn a_session_never_goes_on_with_a_branch_that_bears_its_name_by_chance() {
    let world = World::new(16);
    assert!(world.workspace.add_branch(std::path::Path::new(REPO), "ao/app-1"));
    let id = world.spawn("mute");
    assert_eq!(id.as_str(), "app-1");
    assert_eq!(world.session(&id).record.branch.as_str(), "ao/app-1.2");
    world.kill(&id);
    assert_eq!(
        world.workspace.branches(std::path::Path::new(REPO)),
        ["ao/app-1", "main"],
        "only its own branch goes with it"
    );
}

#[test]
fn work_survives_a_kill_and_the_reason_is_told() {
    let world = World::new(12);
    let id = world.spawn("mute");
    let path = world.session(&id).record.workspace.path;
    assert!(world.workspace.write(&path, "notes.txt", "uncommitted"));
    let report = world.kill(&id);
    assert_eq!(report.workspace.as_str(), "kept");
    assert!(report.because.is_some());
    assert_eq!(world.workspace.read(&path, "notes.txt").as_deref(), Some("uncommitted"));
    // Asked for again, with the permission to preserve and remove.
    let engine = world.engine();
    let report =
        world.tasks.block_on(engine.sessions.kill(&id, RemovalMode::Discard, None)).unwrap();
    assert_eq!(report.workspace.as_str(), "removed");
    assert!(report.preserved_ref.is_some());
}

#[test]
fn a_name_that_is_a_prefix_of_another_reaches_only_its_own_session() {
    let world = World::new(13);
    let ids: Vec<_> = (0..10).map(|_| world.spawn("mute")).collect();
    assert_eq!(ids[0].as_str(), "app-1");
    assert_eq!(ids[9].as_str(), "app-10");
    world.kill(&ids[0]);
    let left: Vec<_> = world.machine.sessions().into_iter().map(|(_, name)| name).collect();
    assert_eq!(left.len(), 9);
    assert!(left.contains(&"app-10".to_owned()));
}
