//! A cleanup frees what nobody needs, and says of everything else why it is left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use ao_core::ids::SessionId;
use ao_core::ports::{RemovalMode, WorkspaceError};
use ao_core::session::BranchFate;
use ao_engine::{Cleaned, CleanupRequest, RestoreRequest, SessionError};
use ao_testkit::workspace::WorkspaceOp;
use futures_util::future::{Either, join, select};

use crate::gate::Stop;
use crate::harness::{REPO, World};

fn cleanup(world: &World, request: &CleanupRequest) -> Vec<Cleaned> {
    let engine = world.engine();
    world.tasks.block_on(engine.sessions.cleanup(request)).unwrap()
}

fn clean(world: &World) -> Vec<Cleaned> {
    cleanup(world, &CleanupRequest::default())
}

/// The one session that there is: whether it goes, and why.
#[track_caller]
fn only(cleaned: &[Cleaned]) -> (bool, &str) {
    assert_eq!(cleaned.len(), 1, "{cleaned:?}");
    (cleaned[0].is_removed, &cleaned[0].because)
}

fn worktree(world: &World, id: &SessionId) -> PathBuf {
    world.session(id).record.workspace.path
}

/// A session whose agent ended by itself, with its worktree where it was.
fn died(world: &World) -> SessionId {
    let id = world.spawn("scripted");
    world.machine.kill_process(world.machine.agent_of(&id).unwrap().pid);
    world.until(&id, |session| session.record.phase.as_str() == "ended");
    id
}

fn branches(world: &World) -> Vec<String> {
    world.workspace.branches(Path::new(REPO))
}

#[test]
fn what_died_without_work_is_freed_and_stays_as_it_ended() {
    let world = World::new(1);
    let id = died(&world);
    let before = world.shown(&id);
    assert!(before.ends_with("worktree present)"), "{before}");

    let dry = CleanupRequest { is_dry_run: true, ..CleanupRequest::default() };
    let revision = world.session(&id).lifecycle.revision;
    let told = cleanup(&world, &dry);
    assert!(only(&told).0, "{told:?}");
    assert_eq!(world.session(&id).lifecycle.revision, revision, "a dry run writes nothing");
    assert_eq!(branches(&world), ["ao/app-1", "main"]);

    assert_eq!(clean(&world), told, "it does what it told");
    assert_eq!(world.shown(&id), before.replace("present", "removed"), "it ended as it ended");
    assert_eq!(branches(&world), ["main"]);
    assert_eq!(world.running(), []);
    world.check_clean();

    let again = clean(&world);
    assert_eq!(only(&again), (false, "nothing of it is left to free"));
    let restorable = world.tasks.block_on(
        world.engine().sessions.restore(&RestoreRequest { session: id, env: BTreeMap::new() }),
    );
    assert!(restorable.is_ok(), "{restorable:?}");
}

#[test]
fn what_lives_is_passed_over_with_a_reason_and_without_a_look() {
    let world = World::new(2);
    let id = world.spawn("scripted");
    let discard = CleanupRequest { discard: true, ..CleanupRequest::default() };
    let told = cleanup(&world, &discard);
    assert_eq!(only(&told), (false, "it has not ended; `ao kill` ends it"));
    assert!(world.machine.agent_of(&id).is_some());
}

#[test]
fn work_that_is_not_merged_or_not_committed_is_left_and_told() {
    let world = World::new(3);
    let id = died(&world);
    let path = worktree(&world, &id);
    assert!(world.workspace.write(&path, "work.txt", "work"));
    assert_eq!(only(&clean(&world)), (false, "it has uncommitted changes: `work.txt`"));
    world.workspace.commit(&path);
    let because = "it has commits that its base does not have";
    assert_eq!(only(&clean(&world)), (false, because));
    assert_eq!(world.workspace.read(&path, "work.txt").as_deref(), Some("work"));
    let session = world.session(&id);
    assert_eq!(session.lifecycle.intent, None, "nothing was asked of a session that is left");

    assert!(world.workspace.fast_forward_main(Path::new(REPO), "ao/app-1"));
    assert!(only(&clean(&world)).0);
    assert_eq!(branches(&world), ["main"]);
    world.check_clean();
}

#[test]
fn a_branch_that_a_kill_left_is_freed_once_it_is_merged() {
    let world = World::new(4);
    let id = world.spawn("scripted");
    let path = worktree(&world, &id);
    world.workspace.write(&path, "work.txt", "work");
    world.workspace.commit(&path);
    assert_eq!(world.kill(&id).branch, BranchFate::Kept);
    assert!(!only(&clean(&world)).0);
    assert!(world.workspace.fast_forward_main(Path::new(REPO), "ao/app-1"));
    assert!(only(&clean(&world)).0);
    assert_eq!(world.session(&id).record.workspace.branch, BranchFate::Deleted);
    assert_eq!(branches(&world), ["main"]);
    assert!(!only(&clean(&world)).0);
}

#[test]
fn a_discard_preserves_first_and_leaves_the_branch_with_its_commits() {
    let world = World::new(5);
    let id = died(&world);
    let path = worktree(&world, &id);
    world.workspace.write(&path, "work.txt", "work");
    world.workspace.commit(&path);
    world.workspace.write(&path, "late.txt", "late");
    let discard = CleanupRequest { discard: true, ..CleanupRequest::default() };
    let told = cleanup(&world, &discard);
    let (is_removed, because) = only(&told);
    assert!(is_removed && because.contains("refs/ao/preserved/app-1"), "{because}");
    assert!(world.workspace.has_preserved(Path::new(REPO), &id, ("late.txt", "late")));
    assert_eq!(branches(&world), ["ao/app-1", "main"]);
    assert!(!only(&cleanup(&world, &discard)).0, "its branch stays");
}

#[test]
fn a_locked_worktree_and_one_that_cannot_be_looked_at_are_left() {
    let world = World::new(6);
    let id = died(&world);
    world.workspace.lock(&worktree(&world, &id), "mine");
    let discard = CleanupRequest { discard: true, ..CleanupRequest::default() };
    assert_eq!(only(&cleanup(&world, &discard)), (false, "it is locked: mine"));
    let broken = || WorkspaceError::Git { message: "no".to_owned() };
    world.workspace.fail_next(WorkspaceOp::Look, broken());
    let told = clean(&world);
    assert!(only(&told).1.starts_with("its worktree could not be looked at"), "{told:?}");
}

#[test]
fn a_remote_that_does_not_answer_is_told_with_the_reason() {
    let world = World::new(7);
    let id = died(&world);
    let path = worktree(&world, &id);
    world.workspace.write(&path, "work.txt", "work");
    world.workspace.commit(&path);
    let unreachable = WorkspaceError::Git { message: "no answer".to_owned() };
    world.workspace.fail_next(WorkspaceOp::Repository, unreachable);
    let told = clean(&world);
    assert_eq!(only(&told).1, "it has commits that its base does not have; git failed: no answer");
}

#[test]
fn what_changes_between_the_look_and_the_removal_is_left() {
    let world = World::new(8);
    let id = died(&world);
    let path = worktree(&world, &id);
    // The intent is committed, and the daemon dies before it does anything.
    world.gate.stop_at(Some(Stop::After(1)));
    world.tasks.block_on(async {
        let engine = world.engine();
        let request = CleanupRequest::default();
        let (clean, hit) = (pin!(engine.sessions.cleanup(&request)), pin!(world.gate.hit()));
        assert!(matches!(select(clean, hit).await, Either::Right(_)));
    });
    world.crash();
    world.workspace.write(&path, "work.txt", "work");
    world.workspace.commit(&path);
    world.boot();
    world.pass_time(Duration::from_secs(30));
    assert_eq!(world.workspace.read(&path, "work.txt").as_deref(), Some("work"));
    let workspace = world.session(&id).record.workspace;
    assert_eq!(workspace.fate.as_str(), "kept");
    assert_eq!(workspace.because.as_deref(), Some("it has commits that its base does not have"));
}

#[test]
fn two_cleanups_at_once_and_a_kill_beside_them_are_harmless() {
    for seed in 0..20 {
        let world = World::new(seed);
        let ids: Vec<SessionId> = (0..3).map(|_| died(&world)).collect();
        let engine = world.engine();
        let request = CleanupRequest::default();
        let both = join(engine.sessions.cleanup(&request), engine.sessions.cleanup(&request));
        let kill = engine.sessions.kill(&ids[1], RemovalMode::Careful, None);
        let ((one, two), killed) = world.tasks.block_on(join(both, kill));
        let (one, two) = (one.unwrap(), two.unwrap());
        killed.unwrap();
        world.pass_time(Duration::from_secs(30));
        for id in &ids {
            let shown = world.shown(id);
            assert!(shown.ends_with("worktree removed)"), "seed {seed}: {shown} {one:?} {two:?}");
        }
        assert_eq!(branches(&world), ["main"], "seed {seed}");
        world.check_clean();
    }
}

#[test]
fn a_project_is_cleaned_by_itself_and_a_record_is_removed_afterwards() {
    let world = World::new(9);
    let id = died(&world);
    let other = ao_core::ids::ProjectId::parse("lib").unwrap();
    let theirs = CleanupRequest { project: Some(other), ..CleanupRequest::default() };
    assert_eq!(cleanup(&world, &theirs), []);
    let engine = world.engine();
    let refused = world.tasks.block_on(engine.sessions.remove(&id)).unwrap_err();
    assert!(matches!(refused, SessionError::HasWorktree { .. }), "{refused}");
    assert!(only(&clean(&world)).0);
    world.tasks.block_on(engine.sessions.remove(&id)).unwrap();
    assert_eq!(clean(&world), []);
}
