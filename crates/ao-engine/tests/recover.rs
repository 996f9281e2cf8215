//! What a removal set aside comes back, and the record accounts for it at every point.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use ao_core::ids::SessionId;
use ao_core::ports::{RemovalMode, WorkspaceError};
use ao_core::session::WorkspaceFate;
use ao_engine::SessionError;
use ao_testkit::workspace::WorkspaceOp;
use futures_util::future::{Either, select};

use crate::gate::Stop;
use crate::harness::{REPO, World};

fn worktree(world: &World, id: &SessionId) -> PathBuf {
    world.session(id).record.workspace.path
}

/// A session that was discarded with a file that nobody had committed.
fn discarded(world: &World) -> (SessionId, PathBuf) {
    let id = world.spawn("scripted");
    let path = worktree(world, &id);
    world.workspace.write(&path, "late.txt", "late");
    let engine = world.engine();
    let kill = engine.sessions.kill(&id, RemovalMode::Discard, None);
    let killed = world.tasks.block_on(kill).unwrap();
    assert_eq!(killed.workspace, WorkspaceFate::Removed);
    (id, path)
}

fn fate(world: &World, id: &SessionId) -> (WorkspaceFate, Option<String>) {
    let workspace = world.session(id).record.workspace;
    (workspace.fate, workspace.because)
}

#[test]
fn a_recovery_is_accounted_for_and_a_second_one_changes_nothing() {
    let world = World::new(1);
    let (id, path) = discarded(&world);
    let engine = world.engine();
    let recovered = world.tasks.block_on(engine.sessions.recover(&id)).unwrap();
    assert_eq!(recovered.worktree.as_deref(), Some(path.as_path()));
    assert_eq!(world.workspace.read(&path, "late.txt").as_deref(), Some("late"));
    assert_eq!(fate(&world, &id).0, WorkspaceFate::Kept);
    let refused = world.tasks.block_on(engine.sessions.remove(&id)).unwrap_err();
    assert!(matches!(refused, SessionError::HasWorktree { .. }), "{refused}");
    world.workspace.write(&path, "late.txt", "later");
    let again = world.tasks.block_on(engine.sessions.recover(&id)).unwrap();
    assert_eq!(again.worktree, recovered.worktree);
    assert_eq!(world.workspace.read(&path, "late.txt").as_deref(), Some("later"));
    assert_eq!(world.kill(&id).workspace, WorkspaceFate::Kept);
}

#[test]
fn where_nothing_is_set_aside_or_git_fails_the_record_says_what_it_said() {
    let world = World::new(2);
    let id = world.spawn("scripted");
    world.kill(&id);
    let before = fate(&world, &id);
    let engine = world.engine();
    let nothing = world.tasks.block_on(engine.sessions.recover(&id)).unwrap_err();
    assert!(matches!(nothing, SessionError::NothingPreserved { .. }), "{nothing}");
    assert_eq!(fate(&world, &id), before);

    let (id, path) = discarded(&world);
    let before = fate(&world, &id);
    let broken = || WorkspaceError::Git { message: "no".to_owned() };
    world.workspace.fail_next(WorkspaceOp::Restore, broken());
    let failed = world.tasks.block_on(engine.sessions.recover(&id)).unwrap_err();
    assert!(matches!(failed, SessionError::Workspace(_)), "{failed}");
    assert_eq!(fate(&world, &id), before);
    // One that is made although the answer was lost is accounted for.
    world.workspace.lose_next(WorkspaceOp::Restore, broken());
    drop(world.tasks.block_on(engine.sessions.recover(&id)));
    assert_eq!(world.workspace.read(&path, "late.txt").as_deref(), Some("late"));
    assert_eq!(fate(&world, &id).0, WorkspaceFate::Kept);
}

#[test]
fn a_crash_at_any_write_leaves_no_worktree_without_a_record_of_it() {
    let mut n_stops = 0;
    for stop in [Stop::Before(1), Stop::After(1), Stop::Before(2)] {
        let world = World::new(3);
        let (id, path) = discarded(&world);
        world.gate.stop_at(Some(stop));
        world.tasks.block_on(async {
            let engine = world.engine();
            let (recover, hit) = (pin!(engine.sessions.recover(&id)), pin!(world.gate.hit()));
            if let Either::Right(_) = select(recover, hit).await {
                n_stops += 1;
            }
        });
        world.crash();
        world.boot();
        world.pass_time(Duration::from_secs(10));
        let is_there = world.workspace.read(&path, "late.txt").is_some();
        let is_known = fate(&world, &id).0 == WorkspaceFate::Kept;
        assert!(!is_there || is_known, "{stop:?}");
        let engine = world.engine();
        let recovered = world.tasks.block_on(engine.sessions.recover(&id)).unwrap();
        assert!(!recovered.restored.is_empty(), "{stop:?}");
        assert_eq!(world.workspace.read(&path, "late.txt").as_deref(), Some("late"), "{stop:?}");
        let kill = engine.sessions.kill(&id, RemovalMode::Discard, None);
        assert_eq!(world.tasks.block_on(kill).unwrap().workspace, WorkspaceFate::Removed);
        world.check_clean();
    }
    assert!(n_stops >= 2, "the first write is always met");
}

#[test]
fn a_live_session_keeps_its_worktree_and_one_without_a_record_comes_back() {
    let world = World::new(4);
    let id = world.spawn("scripted");
    let engine = world.engine();
    let nothing = world.tasks.block_on(engine.sessions.recover(&id)).unwrap_err();
    assert!(matches!(nothing, SessionError::NothingPreserved { .. }), "{nothing}");
    world.workspace.write(&worktree(&world, &id), "late.txt", "late");
    let kill = engine.sessions.kill(&id, RemovalMode::Discard, None);
    world.tasks.block_on(kill).unwrap();
    let path = worktree(&world, &id);
    world.tasks.block_on(engine.sessions.remove(&id)).unwrap();
    let recovered = world.tasks.block_on(engine.sessions.recover(&id)).unwrap();
    assert_eq!(recovered.worktree.as_deref(), Some(path.as_path()));
    assert!(world.workspace.has_preserved(Path::new(REPO), &id, ("late.txt", "late")));
    let unknown = SessionId::parse("app-99").unwrap();
    let refused = world.tasks.block_on(engine.sessions.recover(&unknown)).unwrap_err();
    assert!(matches!(refused, SessionError::NoSession { .. }), "{refused}");
}
