//! What a worktree is given before its agent starts, and what becomes of a session whose worktree
//! cannot be prepared.

use std::collections::BTreeMap;
use std::time::Duration;

use ao_core::ids::SessionId;
use ao_core::ports::{
    Clock as _, Ensured, ProvisionError, Provisions, RemovalMode, Workspace as _, WorkspaceError,
};
use ao_engine::RestoreRequest;
use ao_testkit::provisioner::Mishap;
use ao_testkit::workspace::WorkspaceOp;
use futures_util::future::{Either, select};

use crate::gate::Stop;
use crate::harness::{REPO, World};

fn world(seed: u64) -> World {
    let mut world = World::new(seed);
    world.settings.provisions = Provisions {
        link: vec!["node_modules".to_owned()],
        copy: vec![".env".to_owned()],
        post_create: vec!["npm ci".to_owned()],
    };
    world.crash();
    world.boot();
    world
}

fn seed(world: &World) -> SessionId {
    world.tasks.block_on(world.engine().sessions.spawn(world.request("mute"))).unwrap()
}

fn failure() -> ProvisionError {
    ProvisionError::Command {
        command: "npm ci".to_owned(),
        how: "ended with status 1".to_owned(),
        last: "no lockfile".to_owned(),
    }
}

#[test]
fn a_worktree_is_prepared_once_and_what_was_printed_can_be_read() {
    let world = world(1);
    let id = seed(&world);
    world.until_status(&id, "working");
    let path = world.session(&id).record.workspace.path;
    assert!(world.provisioner.is_prepared(&path));
    let log = world.tasks.block_on(world.engine().sessions.setup_log(&id)).unwrap();
    assert!(log.contains("npm ci") && log.contains(".env"), "{log}");

    // The same worktree is not prepared again.
    world.machine.kill_process(world.machine.agent_of(&id).unwrap().pid);
    world.until(&id, |session| session.record.phase.as_str() == "ended");
    let request = RestoreRequest { session: id.clone(), env: BTreeMap::new() };
    world.tasks.block_on(world.engine().sessions.restore(&request)).unwrap();
    world.until_status(&id, "working");
    assert_eq!(world.provisioner.n_runs(), 1);
}

#[test]
fn a_command_that_fails_is_told_and_the_session_unwound() {
    let world = world(2);
    world.provisioner.next_run(Mishap::Fail(failure()));
    let id = seed(&world);
    world.until(&id, |session| session.record.phase.as_str() == "ended");
    world.check(
        &id,
        "errored (terminated/spawn_failed, missing/spawn_incomplete, ended, worktree removed)",
    );
    let trouble = world.session(&id).record.trouble.unwrap();
    let told = "POST_CREATE_FAILED: `npm ci` ended with status 1; it said last: no lockfile";
    assert_eq!(trouble, told);
    world.check_clean();
}

#[test]
fn what_a_failed_command_wrote_keeps_the_worktree() {
    let world = world(3);
    world.provisioner.next_run(Mishap::Hang);
    let id = seed(&world);
    world.until(&id, |session| session.record.phase.as_str() == "provision");
    let path = world.session(&id).record.workspace.path;
    assert!(world.workspace.write(&path, "generated.rs", "work"));
    world.kill(&id);
    let record = world.session(&id).record;
    assert_eq!(record.workspace.fate.as_str(), "kept", "{:?}", record.workspace);
    assert_eq!(world.workspace.read(&path, "generated.rs").as_deref(), Some("work"));
}

#[test]
fn a_kill_does_not_wait_for_a_command_that_hangs() {
    let world = world(4);
    world.provisioner.next_run(Mishap::Hang);
    let id = seed(&world);
    world.until(&id, |session| session.record.phase.as_str() == "provision");
    let killed_at = world.clock.now();
    let report = world.kill(&id);
    assert_eq!(report.workspace.as_str(), "removed");
    let passed = world.clock.now().since(&killed_at);
    assert!(passed < Duration::from_secs(5), "{passed:?}");
    world.check_clean();
}

#[test]
fn a_command_that_a_crash_interrupted_is_run_again() {
    let world = world(5);
    world.provisioner.next_run(Mishap::Hang);
    let id = seed(&world);
    world.until(&id, |session| session.record.phase.as_str() == "provision");
    world.pass_time(Duration::from_millis(50));
    assert_eq!(world.provisioner.n_runs(), 1);
    world.crash();
    world.boot();
    world.until_status(&id, "working");
    assert_eq!(world.provisioner.n_runs(), 2);
}

#[test]
fn links_and_copies_are_kept_out_of_the_status_before_they_are_made() {
    let world = world(6);
    let error = WorkspaceError::GitMissing;
    world.workspace.fail_next(WorkspaceOp::Repository, error);
    let id = seed(&world);
    world.until(&id, |session| session.record.phase.as_str() == "ended");
    let trouble = world.session(&id).record.trouble.unwrap();
    assert!(trouble.starts_with("GIT_MISSING"), "{trouble}");
    assert_eq!(world.provisioner.n_runs(), 0);
    let second = seed(&world);
    world.until_status(&second, "working");
    let patterns = ["/node_modules".to_owned(), "/.env".to_owned()];
    let again = world.workspace.exclude(REPO.as_ref(), &patterns);
    assert_eq!(world.tasks.block_on(again), Ok(Ensured::AlreadyThere));
}

#[test]
fn no_write_of_a_prepared_life_is_a_bad_moment_to_crash() {
    let mut n_stops = 0;
    for at in [Stop::Before, Stop::After] {
        for n in 1..100 {
            let world = world(n);
            if n % 2 == 0 {
                world.provisioner.next_run(Mishap::Fail(failure()));
            }
            world.gate.stop_at(Some(at(n)));
            let is_hit = world.tasks.block_on(async {
                let engine = world.engine();
                let life = async {
                    let Ok(id) = engine.sessions.spawn(world.request("mute")).await else { return };
                    let clock = world.clock.clone();
                    clock.sleep(Duration::from_secs(2)).await;
                    let _ended = engine.sessions.kill(&id, RemovalMode::Careful, None).await;
                };
                let (life, hit) = (std::pin::pin!(life), std::pin::pin!(world.gate.hit()));
                matches!(select(life, hit).await, Either::Right(_))
            });
            world.crash();
            if !is_hit {
                break;
            }
            n_stops += 1;
            world.boot();
            world.pass_time(Duration::from_mins(1));
            let filter = ao_core::ports::SessionFilter { project: None, with_terminal: true };
            let list = ao_core::ports::SessionStore::list(world.store.as_ref(), &filter);
            for session in world.tasks.block_on(list).unwrap() {
                let phase = session.record.phase.as_str();
                assert!(["running", "ended"].contains(&phase), "{:?}: {phase}", at(n));
                world.kill(&session.record.id);
            }
            world.pass_time(Duration::from_secs(10));
            assert_eq!(world.running(), [], "{:?}", at(n));
            world.check_clean();
        }
    }
    assert!(n_stops > 12, "a life has more writes than {n_stops} stops");
}
