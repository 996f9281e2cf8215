//! Places: who starts, who waits, and what becomes of those that wait.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ao_core::capacity::{Caps, Turn};
use ao_core::ids::{AgentName, BranchName, ProjectId, SessionId};
use ao_core::ports::{Clock as _, Projects as _, RemovalMode, WorkspaceError};
use ao_core::project::Project;
use ao_engine::{PlacesReport, RestoreRequest, SpawnError, SpawnRequest};
use ao_testkit::machine::{Fault, Op};
use ao_testkit::workspace::WorkspaceOp;
use futures_util::future::join_all;

use crate::gate::Stop;
use crate::harness::{REPO, World};

const LIB: &str = "/repo/lib";

fn caps(max: u32) -> Caps {
    Caps { max: Some(max), ..Caps::default() }
}

/// A world with this many places, and a second project, `lib`.
fn world(seed: u64, caps: Caps) -> World {
    let mut world = World::new(seed);
    world.settings.caps = caps;
    world.crash();
    world.boot();
    world.workspace.add_repo(LIB);
    world.tasks.block_on(world.store.add_project(lib(&world))).unwrap();
    world
}

fn lib(world: &World) -> Project {
    let (id, path) = (ProjectId::parse("lib").unwrap(), PathBuf::from(LIB));
    Project { id, path, github: None, created_at: world.clock.now().wall }
}

fn seed(world: &World, request: SpawnRequest) -> SessionId {
    world.tasks.block_on(world.engine().sessions.spawn(request)).unwrap()
}

/// Asks for this many sessions, one after the other.
fn seeds(world: &World, n: usize) -> Vec<SessionId> {
    (0..n).map(|_| seed(world, world.request("mute"))).collect()
}

fn report(world: &World) -> PlacesReport {
    world.tasks.block_on(world.engine().sessions.places()).unwrap()
}

/// Who waits, the next one first: `app-3 full`.
fn queue(world: &World) -> Vec<String> {
    let turn = |turn: Turn| turn.as_str();
    report(world).queue.iter().map(|it| format!("{} {}", it.claim.session, turn(it.turn))).collect()
}

fn holders(world: &World) -> Vec<String> {
    report(world).holders.iter().map(|it| it.session.to_string()).collect()
}

fn restore(world: &World, id: &SessionId) {
    let request = RestoreRequest { session: id.clone(), env: BTreeMap::new() };
    world.tasks.block_on(world.engine().sessions.restore(&request)).unwrap();
}

#[test]
fn beyond_the_cap_a_session_waits_and_nothing_of_it_is_made() {
    let world = world(1, caps(2));
    let ids = seeds(&world, 4);
    for id in &ids[..2] {
        world.until_status(id, "working");
    }
    for id in &ids[2..] {
        world.check(
            id,
            "queued (not_started/queued_for_capacity, unknown/spawn_incomplete, queued, worktree \
             absent)",
        );
    }
    assert_eq!(holders(&world), ["app-1", "app-2"]);
    assert_eq!(queue(&world), ["app-3 full", "app-4 full"]);
    assert_eq!(world.running().len(), 2);
    assert!(!world.workspace.branches(REPO.as_ref()).contains(&"ao/app-3".to_owned()));

    world.kill(&ids[0]);
    world.until_status(&ids[2], "working");
    assert_eq!(queue(&world), ["app-4 full"]);
    world.machine.kill_process(world.machine.agent_of(&ids[1]).unwrap().pid);
    world.until_status(&ids[3], "working");
    assert_eq!(queue(&world), [""; 0]);
    assert_eq!(holders(&world), ["app-3", "app-4"]);
}

#[test]
fn a_place_that_becomes_free_is_given_out_at_once() {
    let world = world(2, caps(1));
    let ids = seeds(&world, 2);
    world.until_status(&ids[0], "working");
    let killed_at = world.clock.now();
    world.kill(&ids[0]);
    world.until(&ids[1], |session| session.lifecycle.launch.is_some());
    let passed = world.clock.now().since(&killed_at);
    assert!(passed < world.settings.reaper_interval, "it waited {passed:?} for a pass");
}

#[test]
fn one_that_waits_is_killed_like_any_other_and_leaves_nothing() {
    let world = world(3, caps(1));
    let ids = seeds(&world, 3);
    let report = world.kill(&ids[1]);
    assert_eq!(report.workspace.as_str(), "removed");
    world.check(
        &ids[1],
        "killed (terminated/manually_killed, exited/manual_kill_requested, ended, worktree absent)",
    );
    assert_eq!(queue(&world), ["app-3 full"]);
    world.kill(&ids[0]);
    world.until_status(&ids[2], "working");
    world.kill(&ids[2]);
    world.check_clean();
}

#[test]
fn one_that_waits_is_killed_although_tmux_does_not_answer() {
    let world = world(4, caps(1));
    let ids = seeds(&world, 2);
    world.until_status(&ids[0], "working");
    world.machine.fail_next(Op::Find, Fault::Refuse);
    let report = world.kill(&ids[1]);
    assert_eq!((report.workspace.as_str(), report.because), ("removed", None));
}

#[test]
fn the_queue_survives_a_crash_in_its_order_and_a_changed_cap_is_honoured() {
    let mut world = world(5, caps(1));
    let ids = seeds(&world, 5);
    world.until_status(&ids[0], "working");
    let before = queue(&world);
    assert_eq!(before, ["app-2 full", "app-3 full", "app-4 full", "app-5 full"]);
    world.crash();
    world.boot();
    assert_eq!(queue(&world), before);
    assert_eq!(world.running().len(), 1);

    world.crash();
    world.settings.caps = caps(3);
    world.boot();
    world.until_status(&ids[1], "working");
    world.until_status(&ids[2], "working");
    assert_eq!(queue(&world), ["app-4 full", "app-5 full"]);

    // Fewer places than are taken end nobody, and start nobody.
    world.crash();
    world.settings.caps = caps(1);
    world.boot();
    world.kill(&ids[0]);
    world.pass_time(world.settings.reaper_interval * 2);
    assert_eq!(holders(&world), ["app-2", "app-3"]);
    assert_eq!(queue(&world), ["app-4 full", "app-5 full"]);

    // Without a cap everybody starts.
    world.crash();
    world.settings.caps = Caps::default();
    world.boot();
    world.until_status(&ids[4], "working");
    assert_eq!(queue(&world), [""; 0]);
}

#[test]
fn spawns_that_race_never_take_more_places_than_there_are() {
    for round in 0..40 {
        let world = world(100 + round, caps(3));
        world.gate.slow_down();
        let engine = world.engine();
        let spawns = (0..12).map(|_| engine.sessions.spawn(world.request("mute")));
        let spawned = world.tasks.block_on(join_all(spawns));
        let ids: Vec<SessionId> = spawned.into_iter().map(Result::unwrap).collect();
        let n_queued = queue(&world).len();
        assert_eq!((holders(&world).len(), n_queued), (3, 9), "round {round}");
        // And as places become free, several at a time.
        for killed in ids.chunks(2) {
            let kills =
                killed.iter().map(|id| engine.sessions.kill(id, RemovalMode::Careful, None));
            world.tasks.block_on(join_all(kills));
            world.pass_time(std::time::Duration::from_millis(200));
            assert!(world.running().len() <= 3, "round {round}: {:?}", world.running());
        }
        world.check_clean();
    }
}

#[test]
fn a_full_project_keeps_no_other_waiting() {
    let world = world(6, Caps { max: Some(3), per_project: Some(1), ..Caps::default() });
    let app = seeds(&world, 2);
    let of_lib = SpawnRequest { project: lib(&world), ..world.request("mute") };
    let other = seed(&world, of_lib);
    world.until_status(&app[0], "working");
    world.until_status(&other, "working");
    assert_eq!(queue(&world), ["app-2 project_full"]);
    world.kill(&app[0]);
    world.until_status(&app[1], "working");
}

#[test]
fn weights_are_honoured_and_one_of_no_weight_never_waits() {
    let weight = |name: &str, n| (AgentName::parse(name).unwrap(), n);
    let weights = BTreeMap::from([weight("scripted", 2), weight("native", 0), weight("seeing", 9)]);
    let world = world(7, Caps { max: Some(3), per_project: None, weights });
    let heavy = seed(&world, world.request("scripted"));
    let waiting = seed(&world, world.request("scripted"));
    // One place is free, but it is kept for the one that waits for two.
    let late = seed(&world, world.request("mute"));
    let free = seed(&world, world.request("native"));
    world.until(&free, |session| session.lifecycle.launch.is_some());
    assert_eq!(holders(&world), [heavy.to_string()]);
    assert_eq!(queue(&world), [format!("{waiting} full"), format!("{late} full")]);

    let spawn = world.engine().sessions.clone();
    let refused = world.tasks.block_on(spawn.spawn(world.request("seeing"))).unwrap_err();
    assert_eq!(refused.code(), "CAPACITY");
    assert_eq!(refused.to_string(), "it takes 9 places, and there are 3");
    world.kill(&heavy);
    world.until(&late, |session| session.lifecycle.launch.is_some());
}

#[test]
fn what_is_wrong_with_a_spawn_is_told_at_once_also_when_it_would_wait() {
    let world = world(8, caps(1));
    seeds(&world, 1);
    let branch = Some(BranchName::new("no..name"));
    let engine = world.engine();
    let spawn = engine.sessions.spawn(SpawnRequest { branch, ..world.request("mute") });
    let refused = world.tasks.block_on(spawn).unwrap_err();
    assert!(matches!(refused, SpawnError::Workspace(WorkspaceError::BranchInvalid { .. })));
    assert_eq!(queue(&world), [""; 0]);
}

#[test]
fn base_and_branch_are_looked_at_again_when_a_session_starts() {
    let world = world(9, caps(1));
    let ids = seeds(&world, 3);
    world.until_status(&ids[0], "working");
    // Meanwhile the base moves on, and somebody takes the branch of the first that waits.
    let work = world.session(&ids[0]).record.workspace.path;
    world.workspace.write(&work, "new.txt", "new");
    world.workspace.commit(&work);
    assert!(world.workspace.fast_forward_main(REPO.as_ref(), "ao/app-1"));
    let head = world.workspace.head(&work);
    assert!(world.workspace.add_branch(REPO.as_ref(), "ao/app-2"));
    world.kill(&ids[0]);
    world.until_status(&ids[1], "working");
    let started = world.session(&ids[1]).record;
    assert_eq!(started.base.sha, head);
    assert_eq!(started.branch.as_str(), "ao/app-2.2");

    // What cannot be made any more fails with its reason, and the next one starts.
    let error = WorkspaceError::BaseMissing { base: ao_core::ids::RefName::new("main") };
    world.workspace.fail_next(WorkspaceOp::Preflight, error);
    world.kill(&ids[1]);
    world.until(&ids[2], |session| session.lifecycle.is_terminal());
    let trouble = world.session(&ids[2]).record.trouble.unwrap();
    assert!(trouble.starts_with("BASE_MISSING"), "{trouble}");
    world.check_clean();
}

#[test]
fn a_restore_waits_for_a_place_too_and_is_killed_as_it_waits() {
    let world = world(10, caps(1));
    let ids = seeds(&world, 1);
    world.until_status(&ids[0], "working");
    world.machine.kill_process(world.machine.agent_of(&ids[0]).unwrap().pid);
    world.until(&ids[0], |session| session.record.phase.as_str() == "ended");
    let other = seed(&world, world.request("mute"));
    world.until_status(&other, "working");

    restore(&world, &ids[0]);
    world.check(&ids[0], "queued (not_started/queued_for_capacity, unknown/spawn_incomplete, queued, worktree present)");
    assert_eq!(queue(&world), ["app-1 full"]);
    world.crash();
    world.boot();
    assert_eq!(queue(&world), ["app-1 full"]);
    world.kill(&other);
    world.until_status(&ids[0], "working");
    let journal = ao_core::ports::SessionStore::journal(world.store.as_ref(), &ids[0], 100);
    let rules: Vec<&str> = world
        .tasks
        .block_on(journal)
        .unwrap()
        .iter()
        .map(|it| it.entry.because.rule.as_str())
        .filter(|rule| ["restore_requested", "place_found", "launched"].contains(rule))
        .collect();
    assert_eq!(rules, ["launched", "restore_requested", "place_found", "launched"]);

    world.machine.kill_process(world.machine.agent_of(&ids[0]).unwrap().pid);
    world.until(&ids[0], |session| session.record.phase.as_str() == "ended");
    seed(&world, world.request("mute"));
    restore(&world, &ids[0]);
    assert_eq!(queue(&world), ["app-1 full"]);
    world.kill(&ids[0]);
    world.check(&ids[0], "killed (terminated/manually_killed, exited/manual_kill_requested, ended, worktree removed)");
    assert_eq!(world.running().len(), 1);
}

#[test]
fn one_that_may_be_alive_keeps_its_place_until_its_processes_are_known_to_have_ended() {
    let world = world(11, caps(1));
    let ids = seeds(&world, 2);
    world.until_status(&ids[0], "working");
    // Its processes cannot be looked at, so the kill is not finished.
    for _ in 0..40 {
        world.machine.fail_next(Op::Scan, Fault::Refuse);
    }
    let manager = world.engine().sessions.clone();
    let report = world.tasks.block_on(manager.kill(&ids[0], RemovalMode::Careful, None)).unwrap();
    assert_eq!(report.workspace.as_str(), "pending");
    assert!(world.session(&ids[0]).lifecycle.is_terminal());
    assert_eq!(holders(&world), ["app-1"]);
    assert_eq!(queue(&world), ["app-2 full"]);
    // The looks succeed again some passes later, and it ends.
    world.until_status(&ids[1], "working");
    assert_eq!(world.running().len(), 1);
}

/// A crash before and after every write of a queue that is filled, killed and emptied.
#[test]
fn no_write_of_a_queue_is_a_bad_moment_to_crash() {
    let mut n_stops = 0;
    for at in [Stop::Before, Stop::After] {
        for n in 1..200 {
            let world = world(n, caps(1));
            world.gate.stop_at(Some(at(n)));
            let is_hit = world.tasks.block_on(async {
                let engine = world.engine();
                let life = async {
                    let mut ids = Vec::new();
                    for _ in 0..3 {
                        ids.extend(engine.sessions.spawn(world.request("mute")).await.ok());
                    }
                    for id in &ids {
                        let _ended = engine.sessions.kill(id, RemovalMode::Careful, None).await;
                    }
                };
                let (life, hit) = (std::pin::pin!(life), std::pin::pin!(world.gate.hit()));
                let first = futures_util::future::select(life, hit).await;
                matches!(first, futures_util::future::Either::Right(_))
            });
            world.crash();
            if !is_hit {
                break;
            }
            n_stops += 1;
            world.boot();
            world.pass_time(std::time::Duration::from_mins(1));
            assert!(world.running().len() <= 1, "{:?}: {:?}", at(n), world.running());
            let filter = ao_core::ports::SessionFilter { project: None, with_terminal: false };
            let list = ao_core::ports::SessionStore::list(world.store.as_ref(), &filter);
            let live = world.tasks.block_on(list).unwrap();
            assert_eq!(world.running().len(), usize::from(!live.is_empty()), "{:?}", at(n));
            for session in &live {
                world.kill(&session.record.id);
            }
            world.pass_time(std::time::Duration::from_secs(10));
            world.check_clean();
        }
    }
    assert!(n_stops > 20, "a queue has more writes than {n_stops} stops");
}
