//! Restores: what comes back, what is refused, and what a failed one leaves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ao_core::fact::FactKind;
use ao_core::ids::{AgentSessionId, LaunchId, SessionId};
use ao_core::ports::{
    Commit, Expected, LaunchFile, Launches as _, RemovalMode, SessionStore as _, StoreError,
    Workspace as _, WorkspaceError,
};
use ao_core::record::{ActivityState, PrReason};
use ao_core::saga::SagaStep;
use ao_core::session::{Session, WorkspaceFate};
use ao_engine::{RestoreError, RestoreReport, RestoreRequest, SendRequest, SessionError};
use ao_testkit::machine::{Fault, Op};
use ao_testkit::memory_store::Op as StoreOp;
use ao_testkit::workspace::{WorkspaceOp, workspace_request};

use crate::gate::Stop;
use crate::harness::{REPO, World, project_id};

fn request(id: &SessionId) -> RestoreRequest {
    RestoreRequest { session: id.clone(), env: BTreeMap::new() }
}

fn ask(world: &World, id: &SessionId) -> Result<RestoreReport, RestoreError> {
    let engine = world.engine();
    world.tasks.block_on(engine.sessions.restore(&request(id)))
}

/// Restores a session and waits until its agent is proven to run.
#[track_caller]
fn restore(world: &World, id: &SessionId) -> Vec<String> {
    let report = ask(world, id).unwrap();
    world.until(id, |session| session.lifecycle.launch.is_some());
    report.lost
}

/// Ends the agent from outside and waits until that is known.
fn die(world: &World, id: &SessionId) {
    world.machine.kill_process(world.machine.agent_of(id).unwrap().pid);
    world.until(id, |session| session.lifecycle.is_terminal());
}

fn launch_file(world: &World, launch: &LaunchId) -> LaunchFile {
    world.tasks.block_on(world.machine.read(launch)).unwrap().unwrap()
}

fn argv(world: &World, id: &SessionId) -> String {
    let launch = world.session(id).record.launch_id.unwrap();
    launch_file(world, &launch).argv.join(" ")
}

/// Lets the agent say which conversation it is in.
fn converse(world: &World, id: &SessionId, name: &str) {
    let mut fact = world.tasks.block_on(world.signal_now(id, ActivityState::Active));
    if let FactKind::Signal(signal) = &mut fact.kind {
        signal.agent_session_id = Some(AgentSessionId::new(name));
    }
    world.tasks.block_on(world.engine().lifecycle.observe(id, fact)).unwrap();
}

fn rewrite(world: &World, id: &SessionId, edit: impl FnOnce(&mut Session)) {
    let mut next = world.session(id);
    let expected = Expected::Revision(next.lifecycle.revision);
    edit(&mut next);
    let at = ao_core::ports::Clock::now(&world.clock);
    let mut commit = Commit::on(id.clone(), expected, at);
    commit.next = Some(next);
    world.tasks.block_on(world.store.commit(commit)).unwrap();
}

fn path_of(world: &World, id: &SessionId) -> PathBuf {
    world.session(id).record.workspace.path
}

/// A session with a prompt, one of whose files is not committed.
fn spawn_with_work(world: &World) -> SessionId {
    let engine = world.engine();
    let mut request = world.request("scripted");
    request.prompt = Some("fix it".to_owned());
    let id = world.tasks.block_on(engine.sessions.spawn(request)).unwrap();
    world.until(&id, |session| session.lifecycle.launch.is_some());
    assert!(world.workspace.write(&path_of(world, &id), "notes.txt", "uncommitted"));
    id
}

#[track_caller]
fn check_work(world: &World, id: &SessionId) {
    let kept = world.workspace.read(&path_of(world, id), "notes.txt");
    assert_eq!(kept.as_deref(), Some("uncommitted"), "{}", world.shown(id));
}

#[test]
fn a_session_that_died_goes_on_in_its_conversation_and_its_worktree() {
    let world = World::new(1);
    let id = spawn_with_work(&world);
    converse(&world, &id, "talk-1");
    let before = world.session(&id);
    let late = world.tasks.block_on(world.signal_now(&id, ActivityState::Blocked));
    die(&world, &id);
    assert_eq!(restore(&world, &id), ["a turn was running and is interrupted"]);
    world.check(
        &id,
        "spawning (not_started/restore_requested, alive/process_running, running, worktree present)",
    );
    let after = world.session(&id);
    assert_eq!(argv(&world, &id), "/usr/bin/scripted --resume talk-1");
    assert_ne!(after.record.launch_id, before.record.launch_id);
    assert_ne!(after.record.nonce, before.record.nonce);
    assert!(after.lifecycle.revision > before.lifecycle.revision);
    assert_eq!(after.lifecycle.pr.reason, PrReason::ClearedOnRestore);
    assert_eq!((after.lifecycle.activity, after.lifecycle.exit), (None, None));
    assert!(after.ledger.open.is_empty());
    // What the ended launch still has to say is not about this one.
    let observed = world.tasks.block_on(world.engine().lifecycle.observe(&id, late)).unwrap();
    assert!(!observed.is_changed, "{observed:?}");
    world.signal(&id, ActivityState::Idle);
    world.until_status(&id, "idle");
    check_work(&world, &id);
    assert_eq!(world.running().len(), 1);
    assert_eq!(world.machine.launches_with_files(), [after.record.launch_id.unwrap()]);
}

#[test]
fn without_a_conversation_the_prompt_is_given_again() {
    let world = World::new(2);
    let id = spawn_with_work(&world);
    die(&world, &id);
    assert_eq!(restore(&world, &id), [""; 0]);
    assert_eq!(argv(&world, &id), "/usr/bin/scripted fix it");
}

#[test]
fn a_killed_session_gets_its_worktree_back_from_its_branch_or_its_base() {
    let world = World::new(3);
    let id = world.spawn("mute");
    let path = path_of(&world, &id);
    world.kill(&id);
    let lost = restore(&world, &id);
    assert_eq!(
        lost,
        ["its worktree is gone and is made again from `main`, because its branch `ao/app-1` is \
          gone, without untracked files"]
    );
    world.until_status(&id, "working");
    assert!(world.workspace.write(&path, "work.txt", "done"));
    assert!(world.workspace.commit(&path));
    world.kill(&id);
    assert_eq!(world.workspace.read(&path, "work.txt"), None);
    let lost = restore(&world, &id);
    assert_eq!(
        lost,
        ["its worktree is gone and is made again from its branch `ao/app-1`, without untracked \
          files"]
    );
    assert_eq!(world.workspace.read(&path, "work.txt").as_deref(), Some("done"));
    world.kill(&id);
    world.check_clean();
}

#[test]
fn a_worktree_that_a_kill_kept_is_found_again_as_it_is() {
    let world = World::new(4);
    let id = spawn_with_work(&world);
    assert_eq!(world.kill(&id).workspace.as_str(), "kept");
    assert_eq!(restore(&world, &id), [""; 0]);
    check_work(&world, &id);
    let record = world.session(&id).record;
    assert_eq!((record.workspace.fate.as_str(), record.workspace.because), ("present", None));
}

#[test]
fn a_session_is_restored_by_one_request_of_many() {
    let world = World::new(5);
    let id = spawn_with_work(&world);
    converse(&world, &id, "talk-1");
    die(&world, &id);
    let engine = world.engine();
    let asked = request(&id);
    let answers = world.tasks.block_on(async {
        let requests = (0..5).map(|_| engine.sessions.restore(&asked));
        futures_util::future::join_all(requests).await
    });
    let n_granted = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(n_granted, 1, "{answers:?}");
    for refused in answers.into_iter().filter_map(Result::err) {
        assert_eq!(refused, RestoreError::Restoring { session: id.clone() });
    }
    world.until(&id, |session| session.lifecycle.launch.is_some());
    assert_eq!(world.running().len(), 1, "one process for one conversation");
    assert_eq!(world.machine.launches_with_files().len(), 1);
    assert_eq!(ask(&world, &id), Err(RestoreError::NotEnded { session: id }));
}

#[test]
fn a_teardown_in_progress_is_waited_for_a_moment_and_then_named() {
    let world = World::new(6);
    let id = world.spawn("mute");
    // Longer than the answer to a kill is waited for.
    world.machine.fail_next(Op::Destroy, Fault::Slow(Duration::from_mins(2)));
    world.kill(&id);
    let refused = ask(&world, &id).unwrap_err();
    assert!(matches!(refused, RestoreError::TearingDown { .. }), "{refused}");
    assert!(refused.to_string().contains("destroy_runtime"), "{refused}");
    world.pass_time(Duration::from_mins(3));
    restore(&world, &id);
}

#[test]
fn an_agent_that_may_still_run_gets_no_second_process() {
    let world = World::new(7);
    let id = world.spawn("mute");
    world.kill(&id);
    let (alive, hidden) = (world.machine.start_process(None), world.machine.start_process(None));
    world.machine.set_process_visible(hidden, false);
    for pid in [alive, hidden] {
        rewrite(&world, &id, |session| {
            let process = &mut session.record.handle.as_mut().unwrap().process;
            let identity = ao_core::ports::Processes::identity(&world.machine, alive, None);
            *process = identity.unwrap();
            process.pid = pid;
            process.start_ticks = process.start_ticks.saturating_add(u64::from(pid == hidden));
        });
        let refused = ask(&world, &id).unwrap_err();
        assert_eq!(refused, RestoreError::AgentAlive { session: id.clone(), pid });
    }
    world.machine.kill_process(alive);
    world.machine.kill_process(hidden);
    restore(&world, &id);
}

#[test]
fn what_stands_in_the_place_of_the_worktree_is_left_alone() {
    let world = World::new(8);
    let id = world.spawn("mute");
    let path = path_of(&world, &id);
    world.kill(&id);
    world.workspace.occupy(&path);
    let before = world.session(&id);
    let refused = ask(&world, &id).unwrap_err();
    assert_eq!(refused, RestoreError::Workspace(WorkspaceError::PathTaken { path }));
    assert_eq!(world.session(&id), before, "nothing changed");
    assert_eq!(world.machine.launches_with_files(), []);
}

#[test]
fn what_an_ended_launch_left_running_is_ended_before_the_next_one() {
    let world = World::new(9);
    let id = world.spawn("mute");
    world.until_status(&id, "working");
    let server = world.machine.start_child(world.machine.agent_of(&id).unwrap().pid);
    world.machine.leave_session(server);
    world.machine.ignore_signals(server);
    die(&world, &id);
    assert_eq!(world.running(), [server]);
    restore(&world, &id);
    assert_eq!(world.running(), [world.machine.agent_of(&id).unwrap().pid]);
    world.kill(&id);
    assert_eq!(world.running(), []);
}

#[test]
fn the_environment_is_that_of_the_ended_launch_under_the_newer_one() {
    let world = World::new(10);
    let engine = world.engine();
    let mut spawned = world.request("mute");
    spawned.env.insert("TOKEN".to_owned(), "old".to_owned());
    spawned.env.insert("KEPT".to_owned(), "yes".to_owned());
    let id = world.tasks.block_on(engine.sessions.spawn(spawned)).unwrap();
    world.until_status(&id, "working");
    let first = launch_file(&world, &world.session(&id).record.launch_id.unwrap()).env;
    die(&world, &id);
    let mut asked = request(&id);
    asked.env.insert("TOKEN".to_owned(), "new".to_owned());
    asked.env.insert("AO_HOME".to_owned(), "/elsewhere".to_owned());
    world.tasks.block_on(engine.sessions.restore(&asked)).unwrap();
    world.until_status(&id, "working");
    let record = world.session(&id).record;
    let second = launch_file(&world, &record.launch_id.clone().unwrap()).env;
    let changed: Vec<_> =
        second.iter().filter(|(name, value)| first.get(*name) != Some(value)).collect();
    let names: Vec<_> = changed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["AO_LAUNCH_ID", "AO_NONCE", "TOKEN"], "{second:?}");
    assert_eq!(first.len(), second.len(), "nothing is left out");
    assert_eq!(second["TOKEN"], "new");
    assert_eq!(second["AO_NONCE"], record.nonce.unwrap().as_str());
}

#[test]
fn a_restore_that_fails_at_any_step_keeps_the_work_and_can_be_repeated() {
    type Break = fn(&World);
    let breaks: [(&str, Break); 6] = [
        ("IO_FAILED", |world| {
            let path = PathBuf::from(REPO);
            let error = WorkspaceError::Io { path, message: "disk full".to_owned() };
            world.workspace.fail_next(WorkspaceOp::Restore, error);
        }),
        // The first read is the request's, the second that of the first step.
        ("HOME_UNREADABLE", |world| {
            world.machine.fail_next(Op::ReadLaunch, Fault::Slow(Duration::ZERO));
            world.machine.fail_next(Op::ReadLaunch, Fault::Refuse);
        }),
        // The first write is the request's.
        ("HOME_UNWRITABLE", |world| {
            world.machine.fail_next(Op::WriteLaunch, Fault::Slow(Duration::ZERO));
            world.machine.fail_next(Op::WriteLaunch, Fault::Refuse);
        }),
        ("RUNTIME", |world| world.machine.fail_next(Op::Create, Fault::Refuse)),
        ("EXEC_FAILED", |world| world.machine.set_program_missing("/usr/bin/scripted", true)),
        ("EXEC_TIMEOUT", |world| world.machine.set_exec_held(true)),
    ];
    for (n, (code, break_it)) in (11..).zip(breaks) {
        let world = World::new(n);
        let id = spawn_with_work(&world);
        converse(&world, &id, "talk-1");
        die(&world, &id);
        break_it(&world);
        ask(&world, &id).unwrap();
        world.until(&id, |session| session.lifecycle.is_terminal());
        world.pass_time(Duration::from_secs(10));
        let trouble = world.session(&id).record.trouble.unwrap_or_default();
        assert!(trouble.starts_with(code), "{code}: {trouble}");
        world.check(
            &id,
            "errored (terminated/spawn_failed, missing/spawn_incomplete, ended, worktree present)",
        );
        check_work(&world, &id);
        assert_eq!(world.running(), [], "{code}");
        assert_eq!(world.machine.sessions(), [], "{code}");

        world.machine.set_program_missing("/usr/bin/scripted", false);
        world.machine.set_exec_held(false);
        restore(&world, &id);
        let record = world.session(&id).record;
        assert_eq!(record.trouble, None, "{code}");
        assert_eq!(argv(&world, &id), "/usr/bin/scripted --resume talk-1");
        let env = launch_file(&world, &record.launch_id.unwrap()).env;
        assert_eq!(env["PATH"], "/home/bin:/usr/bin:/bin", "{code}: the environment is kept");
        check_work(&world, &id);
        assert_eq!(world.running().len(), 1);
    }
}

#[test]
fn a_worktree_that_a_failed_restore_made_all_the_same_is_in_the_record() {
    let world = World::new(1);
    let id = world.spawn("scripted");
    world.kill(&id);
    assert_eq!(world.session(&id).record.workspace.fate.as_str(), "removed");
    let error = WorkspaceError::Git { message: "killed".to_owned() };
    world.workspace.lose_next(WorkspaceOp::Restore, error);
    ask(&world, &id).unwrap();
    world.until(&id, |session| session.lifecycle.is_terminal());
    assert_eq!(world.session(&id).record.workspace.fate.as_str(), "present");
    world.kill(&id);
    world.check_clean();
}

#[test]
fn a_kill_during_a_restore_unwinds_it_and_then_tears_down() {
    let world = World::new(20);
    let id = world.spawn("mute");
    world.kill(&id);
    world.machine.set_exec_held(true);
    ask(&world, &id).unwrap();
    world.until(&id, |session| session.record.handle.is_some());
    assert_eq!(world.kill(&id).workspace.as_str(), "removed");
    world.check(&id, "killed (terminated/manually_killed, exited/manual_kill_requested, ended, worktree removed)");
    assert_eq!(world.running(), []);
    world.check_clean();
}

#[test]
fn a_kill_during_a_restore_keeps_work_unless_it_is_told_not_to() {
    let world = World::new(21);
    let id = spawn_with_work(&world);
    die(&world, &id);
    world.machine.set_exec_held(true);
    ask(&world, &id).unwrap();
    world.until(&id, |session| session.record.handle.is_some());
    let report = world.kill(&id);
    assert_eq!(report.workspace.as_str(), "kept");
    check_work(&world, &id);
    assert_eq!(world.machine.launches_with_files(), []);
    let engine = world.engine();
    let discard = engine.sessions.kill(&id, RemovalMode::Discard, None);
    assert!(world.tasks.block_on(discard).unwrap().preserved_ref.is_some());
    world.check_clean();
}

#[test]
fn a_kill_of_a_restore_that_failed_before_its_worktree_leaves_nothing() {
    let world = World::new(22);
    let id = world.spawn("mute");
    world.kill(&id);
    let error = WorkspaceError::Git { message: "no".to_owned() };
    world.workspace.fail_next(WorkspaceOp::Restore, error);
    ask(&world, &id).unwrap();
    world.until(&id, |session| session.lifecycle.is_terminal());
    world.pass_time(Duration::from_secs(5));
    assert_eq!(world.kill(&id).workspace.as_str(), "removed");
    world.check_clean();
}

#[test]
fn after_a_reboot_everything_comes_back() {
    let world = World::new(23);
    let ids = [spawn_with_work(&world), spawn_with_work(&world)];
    converse(&world, &ids[0], "talk-1");
    converse(&world, &ids[1], "talk-2");
    world.machine.reboot(Duration::from_mins(1));
    world.crash();
    world.boot();
    for id in &ids {
        let session = world.session(id);
        assert!(ao_core::restore::is_lost(&session.lifecycle), "{}", world.shown(id));
        restore(&world, id);
        check_work(&world, id);
    }
    assert_eq!(argv(&world, &ids[0]), "/usr/bin/scripted --resume talk-1");
    assert_eq!(argv(&world, &ids[1]), "/usr/bin/scripted --resume talk-2");
    assert_eq!(world.running().len(), 2);
}

#[test]
fn after_the_death_of_a_server_its_sessions_come_back_on_another_one() {
    let world = World::new(24);
    let ids = [world.spawn("mute"), world.spawn("mute")];
    for id in &ids {
        world.until_status(id, "working");
    }
    world.machine.kill_server(&project_id());
    for id in &ids {
        world.until(id, |session| session.lifecycle.is_terminal());
        restore(&world, id);
    }
    for id in &ids {
        world.until_status(id, "working");
    }
    // And it may happen again: the incident of the first time explains nothing of the second.
    world.machine.kill_server(&project_id());
    for id in &ids {
        world.until(id, |session| session.lifecycle.is_terminal());
    }
    assert_eq!(world.n_incidents(), 2);
}

#[test]
fn a_daemon_that_dies_during_a_restore_goes_on_with_it() {
    let world = World::new(25);
    let id = spawn_with_work(&world);
    die(&world, &id);
    world.machine.set_exec_held(true);
    ask(&world, &id).unwrap();
    world.until(&id, |session| session.record.handle.is_some());
    world.crash();
    world.machine.set_exec_held(false);
    world.boot();
    world.until(&id, |session| session.lifecycle.launch.is_some());
    assert_eq!(world.running().len(), 1);
    check_work(&world, &id);
}

#[test]
fn messages_that_the_end_caught_are_not_typed_again_and_are_counted() {
    let world = World::new(26);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::Blocked);
    let text = "never typed".to_owned();
    let send = SendRequest { session: id.clone(), text, idempotency_key: None };
    world.tasks.block_on(world.engine().messenger.send(send)).unwrap();
    world.pass_time(Duration::from_secs(1));
    die(&world, &id);
    world.pass_time(Duration::from_secs(1));
    assert_eq!(
        restore(&world, &id),
        ["a dialog was open and is gone", "1 message was never typed"]
    );
    world.signal(&id, ActivityState::Idle);
    world.pass_time(Duration::from_secs(10));
    assert_eq!(world.messages(&id), ["cancelled session_ended: never typed"]);
    assert_eq!(world.machine.pastes(&id), [""; 0]);
}

#[test]
fn a_removed_record_takes_the_kept_environment_along() {
    let world = World::new(27);
    let id = world.spawn("mute");
    world.until_status(&id, "working");
    die(&world, &id);
    world.pass_time(Duration::from_mins(2));
    assert_eq!(world.machine.launches_with_files().len(), 1, "kept for a restore");
    remove_worktree_by_hand(&world, &id);
    world.tasks.block_on(world.engine().sessions.remove(&id)).unwrap();
    assert_eq!(world.machine.launches_with_files(), []);
}

/// Removes a worktree as a person does with git, past the engine.
fn remove_worktree_by_hand(world: &World, id: &SessionId) {
    let record = world.session(id).record;
    let request = workspace_request(REPO, id, record.workspace.path, &record.branch.to_string());
    let removal = world.workspace.destroy(&request, RemovalMode::Careful);
    world.tasks.block_on(removal).unwrap();
}

#[test]
fn a_record_that_accounts_for_a_worktree_is_not_removed() {
    let world = World::new(28);
    let id = spawn_with_work(&world);
    die(&world, &id);
    world.pass_time(Duration::from_mins(2));
    let remove = || world.tasks.block_on(world.engine().sessions.remove(&id));
    let refused = || {
        let path = path_of(&world, &id);
        Err(SessionError::HasWorktree { session: id.clone(), path })
    };
    assert_eq!(remove(), refused(), "present");
    world.kill(&id);
    assert_eq!(world.session(&id).record.workspace.fate, WorkspaceFate::Kept);
    assert_eq!(remove(), refused(), "kept");
    check_work(&world, &id);
    // A look that fails is not a worktree that is gone.
    let error = WorkspaceError::Git { message: "index.lock exists".to_owned() };
    world.workspace.fail_next(WorkspaceOp::Look, error.clone());
    assert_eq!(remove(), Err(SessionError::Workspace(error)));
    let engine = world.engine();
    world.tasks.block_on(engine.sessions.kill(&id, RemovalMode::Discard, None)).unwrap();
    assert_eq!(remove(), Ok(()));
}

#[test]
fn a_worktree_that_was_deleted_by_hand_is_made_again_and_told() {
    let world = World::new(28);
    let id = world.spawn("mute");
    world.until_status(&id, "working");
    let path = path_of(&world, &id);
    die(&world, &id);
    assert!(world.workspace.remove_dir(&path));
    let lost = restore(&world, &id);
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert!(world.workspace.read(&path, "README.md").is_some(), "{:?}", Path::new(&path));
}

/// Restores a killed session, and stops the world before its n-th write.
fn stop_before_write(world: &World, id: &SessionId, n: u64) {
    world.gate.stop_at(Some(Stop::Before(n)));
    let engine = world.engine();
    let asked = request(id);
    world.tasks.block_on(async {
        engine.sessions.restore(&asked).await.unwrap();
        world.gate.hit().await;
    });
    world.crash();
}

#[test]
fn a_worktree_made_by_a_step_that_was_not_written_down_is_not_left_behind() {
    let world = World::new(29);
    let id = world.spawn("mute");
    let path = path_of(&world, &id);
    world.kill(&id);
    // The request, the end of the earlier launch, the worktree.
    stop_before_write(&world, &id, 3);
    assert!(world.workspace.read(&path, "README.md").is_some(), "the step was performed");
    let error = WorkspaceError::Git { message: "no".to_owned() };
    world.workspace.fail_next(WorkspaceOp::Restore, error);
    world.boot();
    world.until(&id, |session| session.lifecycle.is_terminal());
    world.pass_time(Duration::from_secs(5));
    assert!(world.workspace.read(&path, "README.md").is_some(), "a failed restore removes none");
    assert_eq!(world.kill(&id).workspace.as_str(), "removed");
    world.check_clean();
}

#[test]
fn a_kill_that_meets_the_end_of_a_failed_restore_still_tears_down() {
    let world = World::new(30);
    let id = world.spawn("mute");
    world.kill(&id);
    world.machine.fail_next(Op::Create, Fault::Refuse);
    // Four steps forward, then back to the last one.
    stop_before_write(&world, &id, 10);
    for _ in 0..20 {
        let message = "disk full".to_owned();
        world.store.fail_next(StoreOp::Commit, StoreError::Unavailable { message });
    }
    world.boot();
    let saga = world.tasks.block_on(world.store.load(&id)).unwrap().unwrap().saga.unwrap();
    assert_eq!(saga.step, SagaStep::Finish, "{saga:?}");
    world.store.heal();
    assert_eq!(world.kill(&id).workspace.as_str(), "removed");
    world.check_clean();
}

#[test]
fn a_turn_that_was_interrupted_is_told_though_the_agent_said_goodbye() {
    let world = World::new(31);
    for (activity, expect) in [
        (ActivityState::Active, &["a turn was running and is interrupted"][..]),
        (ActivityState::Idle, &[]),
    ] {
        let id = world.spawn("scripted");
        world.signal(&id, activity);
        world.signal(&id, ActivityState::Exited);
        die(&world, &id);
        assert_eq!(restore(&world, &id), expect);
        // What an earlier launch was at does not come up again.
        world.signal(&id, ActivityState::Exited);
        die(&world, &id);
        assert_eq!(restore(&world, &id), [""; 0]);
    }
}
