//! Launches that run while the store knows nothing of them, or only what was before them: taken up
//! when everything agrees, left alone when anything does not, and told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use ao_core::fact::{FactKind, Outcome};
use ao_core::ids::{AgentName, HomeId, LaunchId, Nonce, SessionId};
use ao_core::ports::{
    Clock as _, Commit, Expected, Incidents as _, Processes as _, Projects as _, RemovalMode,
    SessionFilter, SessionStore as _,
};
use ao_core::record::ActivityState;
use ao_core::session::{Phase, Session, WorkspaceFate};
use ao_core::status::{Status, status};
use ao_engine::{Leftover, RestoreRequest, SendRequest};
use ao_testkit::machine::Op;
use ao_testkit::memory_store::{MemoryStore, StoreCopy};
use futures_util::future::{Either, select};

use crate::gate::Stop;
use crate::harness::{REPO, World, project_id};

/// More writes than the adoption of three sessions has.
const WRITES_MAX: u64 = 50;

fn empty() -> StoreCopy {
    MemoryStore::new().copy()
}

/// The daemon stops, somebody puts another database in the place of its own, and it starts again.
fn exchange(world: &World, copy: StoreCopy) {
    world.crash();
    world.store.put_back(copy);
    world.boot();
    world.pass_time(Duration::from_secs(1));
}

fn sessions(world: &World) -> Vec<Session> {
    let filter = SessionFilter { project: None, with_terminal: true };
    world.tasks.block_on(world.store.list(&filter)).unwrap()
}

fn leftovers(world: &World) -> Vec<Leftover> {
    let engine = world.engine();
    world.tasks.block_on(engine.leftovers()).unwrap()
}

fn launch_of(world: &World, id: &SessionId) -> LaunchId {
    world.session(id).record.launch_id.unwrap()
}

fn n_adoptions(world: &World, id: &SessionId) -> usize {
    let journal = world.tasks.block_on(world.store.journal(id, 100)).unwrap();
    let is_adoption = |kind: &FactKind| matches!(kind, FactKind::Outcome(Outcome::Adopted(_)));
    journal.iter().filter(|record| is_adoption(&record.entry.fact.kind)).count()
}

/// What an adoption can know of a session, and has to.
fn identity(session: &Session) -> impl PartialEq + std::fmt::Debug + use<> {
    let record = &session.record;
    (
        (record.id.clone(), record.project.clone(), record.agent.clone(), record.kind),
        (record.branch.clone(), record.base.clone(), record.workspace.clone()),
        (record.handle.clone(), record.launch_id.clone(), record.nonce.clone()),
        (record.prompt.clone(), record.argv.clone(), record.created_at, record.phase),
    )
}

#[test]
fn a_session_of_a_lost_database_is_back_with_everything_that_is_written_elsewhere() {
    let world = World::new(1);
    let ids = ["scripted", "mute"].map(|agent| world.spawn(agent));
    let before: Vec<Session> = sessions(&world);
    let running = world.running();
    exchange(&world, empty());
    let after = sessions(&world);
    assert_eq!(
        before.iter().map(identity).collect::<Vec<_>>(),
        after.iter().map(identity).collect::<Vec<_>>()
    );
    assert_eq!(world.running(), running, "nothing was ended and nothing started");
    assert!(ids.iter().all(|id| n_adoptions(&world, id) == 1));
    assert_eq!(leftovers(&world), []);
    // An agent that tells nothing is seen to work; one that tells is to be heard.
    assert_eq!(status(&after[0]), Status::Spawning);
    assert_eq!(status(&after[1]), Status::Working);
    world.signal(&ids[0], ActivityState::Idle);
    world.until_status(&ids[0], "idle");

    let send =
        SendRequest { session: ids[0].clone(), text: "go on".to_owned(), idempotency_key: None };
    let engine = world.engine();
    world.tasks.block_on(engine.messenger.send(send)).unwrap();
    world.pass_time(Duration::from_secs(30));
    assert_eq!(world.machine.pastes(&ids[0]), ["go on"]);
    assert_eq!(world.kill(&ids[1]).workspace, WorkspaceFate::Removed);
    // A death is seen, and brought back from.
    world.machine.kill_process(world.machine.agent_of(&ids[0]).unwrap().pid);
    world.until(&ids[0], |session| session.record.phase == Phase::Ended);
    let request = RestoreRequest { session: ids[0].clone(), env: BTreeMap::new() };
    world.tasks.block_on(engine.sessions.restore(&request)).unwrap();
    world.until(&ids[0], |session| session.lifecycle.launch.is_some());
    // And a new session has a number of its own.
    assert_eq!(world.spawn("mute").as_str(), "app-3");
    for id in ["app-1", "app-3"] {
        world.kill(&SessionId::parse(id).unwrap());
    }
    world.pass_time(Duration::from_secs(10));
    world.check_clean();
}

#[test]
fn a_start_that_knows_every_launch_asks_no_server_for_others_before_it_is_ready() {
    let world = World::new(1);
    world.spawn("mute");
    world.crash();
    world.open();
    let n_before = world.machine.n_calls(Op::Survey);
    world.tasks.block_on(world.engine().adopt()).unwrap();
    assert_eq!(world.machine.n_calls(Op::Survey), n_before);
}

/// Takes what was committed of a world back to a copy of it, and says how the world answers.
fn check_left_alone(spoil: impl Fn(&World, &SessionId, &LaunchId), because: &str) {
    let world = World::new(1);
    let id = world.spawn("mute");
    let launch = launch_of(&world, &id);
    let pid = world.machine.agent_of(&id).unwrap().pid;
    world.crash();
    spoil(&world, &id, &launch);
    let (terminals, files) = (world.machine.sessions(), world.machine.launches_with_files());
    for round in 0..2 {
        exchange(&world, if round == 0 { empty() } else { world.store.copy() });
        assert_eq!(sessions(&world), [], "{because}: adopted");
        assert!(world.machine.running().contains(&pid), "{because}: its agent was ended");
        assert_eq!(world.machine.sessions(), terminals, "{because}: its terminal was ended");
        assert_eq!(world.machine.launches_with_files(), files, "{because}: its files went");
        let path = world.settings.worktree_of(&project_id(), &id);
        assert!(world.workspace.read(&path, "README.md").is_some(), "{because}: no worktree");
        let left = leftovers(&world);
        let told = left.iter().find(|it| it.detail.contains(because));
        assert!(told.is_some_and(|it| !it.hint.is_empty()), "`{because}` is not in {left:?}");
        assert_eq!(world.tasks.take_panics(), [""; 0]);
    }
}

/// The same, where a launch of ours is known to run: a human is told once, however often it starts.
fn check_told(spoil: impl Fn(&World, &SessionId, &LaunchId), because: &str) {
    check_left_alone(&spoil, because);
    let world = World::new(1);
    let id = world.spawn("mute");
    let launch = launch_of(&world, &id);
    world.crash();
    spoil(&world, &id, &launch);
    exchange(&world, empty());
    exchange(&world, world.store.copy());
    let incidents = world.tasks.block_on(world.store.incidents(10)).unwrap();
    let kinds: Vec<_> = incidents.iter().map(|it| it.kind.as_str()).collect();
    assert_eq!(kinds, ["not_adopted"], "{because}");
    assert_eq!(world.told().len(), 1, "{because}: told {:?}", world.told());
}

fn change(world: &World, launch: &LaunchId, name: &str, value: &str) {
    let put = |file: &mut ao_core::ports::LaunchFile| {
        file.env.insert(name.to_owned(), value.to_owned());
    };
    assert!(world.machine.change_launch_file(launch, put));
}

#[test]
fn a_launch_file_that_does_not_agree_proves_nothing() {
    check_told(|world, _, launch| assert!(world.machine.spoil_launch_file(launch)), "be read");
    check_told(
        |world, _, launch| {
            let other = LaunchId::parse("another").unwrap();
            assert!(world.machine.change_launch_file(launch, |file| file.launch = other));
        },
        "that of launch `another`",
    );
    check_told(
        |world, _, launch| {
            let other = SessionId::parse("app-9").unwrap();
            assert!(world.machine.change_launch_file(launch, |file| file.session = other));
        },
        "that of session `app-9`",
    );
    check_told(
        |world, _, launch| {
            assert!(world.machine.change_launch_file(launch, |file| file.origin = None));
        },
        "does not say what the session is",
    );
    for name in ["AO_LAUNCH_ID", "AO_SESSION_ID"] {
        check_told(|world, _, launch| change(world, launch, name, "x"), "contradicts itself");
    }
    check_told(|world, _, launch| change(world, launch, "AO_NONCE", "../x"), "contradicts itself");
    check_told(|world, _, launch| change(world, launch, "AO_NONCE", "x"), "of another launch");
    check_told(|world, _, launch| change(world, launch, "AO_HOME", "/copy"), "another home");
    check_told(
        |world, _, launch| {
            assert!(world.machine.change_launch_file(launch, |file| {
                let origin = file.origin.as_mut().unwrap();
                origin.agent = AgentName::parse("gone").unwrap();
            }));
        },
        "no agent `gone`",
    );
}

#[test]
fn a_launch_without_its_file_is_nobodys() {
    // It is found by its terminal alone, once the daemon is ready.
    check_told(
        |world, _, launch| assert!(world.machine.lose_launch_files(launch)),
        "no launch file",
    );
}

#[test]
fn a_terminal_or_a_process_that_does_not_agree_proves_nothing() {
    check_told(|world, id, _| world.machine.unmark(id), "does not say which process");
    check_told(|world, id, _| world.machine.mistake_process(id), "is dead");
    let pid = |world: &World, id: &SessionId| world.machine.agent_of(id).unwrap().pid;
    check_told(|world, id, _| world.machine.drop_nonce(pid(world, id)), "shows no secret");
    let other = Nonce::parse("other").unwrap();
    check_told(
        |world, id, _| world.machine.set_nonce(pid(world, id), &other),
        "secret of another launch",
    );
    check_told(
        |world, id, _| world.machine.set_process_visible(pid(world, id), false),
        "cannot be looked at",
    );
}

#[test]
fn a_server_of_another_home_is_not_looked_into() {
    let there = HomeId::parse("there").unwrap();
    check_left_alone(
        |world, _, _| world.machine.set_server_home(&project_id(), there.clone()),
        "does not carry the mark of this home",
    );
    check_left_alone(|world, _, _| world.machine.server_unreachable(&project_id()), "not answer");
}

#[test]
fn a_worktree_of_another_home_or_of_another_repository_proves_nothing() {
    let path = |world: &World, id: &SessionId| world.settings.worktree_of(&project_id(), id);
    check_told(
        |world, id, _| assert!(world.workspace.set_foreign(&path(world, id))),
        "is not registered",
    );
    // The same with a project that is known, and with one that is another repository by now.
    let world = World::new(1);
    let registered = world.store.copy();
    let id = world.spawn("mute");
    assert!(world.workspace.set_foreign(&path(&world, &id)));
    exchange(&world, registered);
    assert_eq!(sessions(&world), []);
    assert!(leftovers(&world)[0].detail.contains("its worktree is another home's"));

    let world = World::new(1);
    world.spawn("mute");
    let elsewhere = MemoryStore::new();
    world.workspace.add_repo("/repo/other");
    let project = ao_core::project::Project {
        id: project_id(),
        path: PathBuf::from("/repo/other"),
        github: None,
        created_at: ao_core::time::Timestamp::default(),
    };
    world.tasks.block_on(elsewhere.add_project(project)).unwrap();
    exchange(&world, elsewhere.copy());
    assert_eq!(sessions(&world), []);
    let left = leftovers(&world);
    assert!(left[0].detail.contains("`/repo/other` has no worktree of it"), "{left:?}");
    assert_eq!(world.running().len(), 1);
}

/// A database of before: what runs now began after everything that it knows.
#[test]
fn a_launch_that_is_newer_than_its_record_is_the_current_one_whatever_the_record_says() {
    type Act = fn(&World, &SessionId);
    let die: Act = |world, id| {
        world.machine.kill_process(world.machine.agent_of(id).unwrap().pid);
        world.until(id, |session| session.record.phase == Phase::Ended);
    };
    let kill: Act = |world, id| drop(world.kill(id));
    let nothing: Act = |_, _| {};
    // What the copy was taken of: a running session, one that died, one that was killed.
    for (n, before) in [nothing, die, kill].into_iter().enumerate() {
        let world = World::new(1);
        let id = world.spawn("mute");
        let path = world.settings.worktree_of(&project_id(), &id);
        before(&world, &id);
        let copy = world.store.copy();
        if n == 0 {
            die(&world, &id);
        }
        let engine = world.engine();
        let request = RestoreRequest { session: id.clone(), env: BTreeMap::new() };
        world.tasks.block_on(engine.sessions.restore(&request)).unwrap();
        world.until(&id, |session| session.lifecycle.launch.is_some());
        let (launch, running) = (launch_of(&world, &id), world.running());
        exchange(&world, copy);
        let session = world.session(&id);
        assert_eq!(session.record.launch_id, Some(launch.clone()), "copy {n}");
        assert_eq!(session.lifecycle.launch.map(|it| it.id), Some(launch));
        assert_eq!(session.lifecycle.intent, None);
        world.pass_time(Duration::from_mins(2));
        world.check(
            &id,
            "working (working/task_in_progress, alive/process_running, running, worktree present)",
        );
        assert_eq!(world.running(), running, "copy {n}");
        assert!(world.workspace.read(&path, "README.md").is_some(), "copy {n}");
        assert_eq!((leftovers(&world), n_adoptions(&world, &id)), (vec![], 1));
        world.kill(&id);
        world.pass_time(Duration::from_secs(10));
        world.check_clean();
    }
}

/// Writes into the record of a session behind the daemon's back.
fn edit(world: &World, id: &SessionId, change: impl FnOnce(&mut ao_core::session::SessionRecord)) {
    let mut next = world.session(id);
    let expected = Expected::Revision(next.lifecycle.revision);
    change(&mut next.record);
    let mut commit = Commit::on(id.clone(), expected, world.clock.now());
    commit.next = Some(next);
    world.tasks.block_on(world.store.commit(commit)).unwrap();
}

#[test]
fn a_launch_that_is_older_than_its_record_is_left_alone() {
    let world = World::new(1);
    let id = world.spawn("mute");
    let (launch, running) = (launch_of(&world, &id), world.running());
    world.crash();
    let later = LaunchId::parse("zzz").unwrap();
    edit(&world, &id, |record| record.launch_id = Some(later.clone()));
    exchange(&world, world.store.copy());
    assert_eq!(launch_of(&world, &id), later);
    assert_eq!((n_adoptions(&world, &id), world.running()), (0, running));
    let left = leftovers(&world);
    assert!(left[0].detail.contains("knows a later launch"), "{left:?}");
    assert!(world.machine.launches_with_files().contains(&launch));
}

#[test]
fn a_launch_beside_an_earlier_one_that_may_run_is_left_alone() {
    let world = World::new(1);
    let id = world.spawn("mute");
    world.crash();
    // As if the agent of an earlier launch had never ended.
    let earlier = world.machine.start_process(None);
    let process = world.machine.identity(earlier, None).unwrap();
    edit(&world, &id, |record| {
        record.launch_id = Some(LaunchId::parse("000").unwrap());
        if let Some(handle) = &mut record.handle {
            handle.process = process;
        }
    });
    exchange(&world, world.store.copy());
    assert_eq!(n_adoptions(&world, &id), 0);
    assert!(world.running().contains(&earlier));
    let left = leftovers(&world);
    assert!(left[0].detail.contains("of an earlier launch of its session, may run"), "{left:?}");
}

/// The copy knows of a kill that was under way: of the launch before this one.
#[test]
fn a_teardown_of_an_earlier_launch_touches_nothing_of_the_one_that_runs() {
    let world = World::new(1);
    let id = world.spawn("mute");
    world.machine.kill_process(world.machine.agent_of(&id).unwrap().pid);
    world.until(&id, |session| session.record.phase == Phase::Ended);
    // The first write of the kill is its intent with its saga.
    world.gate.stop_at(Some(Stop::After(1)));
    let engine = world.engine();
    world.tasks.block_on(async {
        let kill = pin!(engine.sessions.kill(&id, RemovalMode::Discard, None));
        let hit = pin!(world.gate.hit());
        assert!(matches!(select(kill, hit).await, Either::Right(_)));
    });
    world.crash();
    let copy = world.store.copy();
    world.boot();
    world.until(&id, |session| session.record.phase == Phase::Ended);
    world.pass_time(Duration::from_secs(10));
    let engine = world.engine();
    let request = RestoreRequest { session: id.clone(), env: BTreeMap::new() };
    world.tasks.block_on(engine.sessions.restore(&request)).unwrap();
    world.until(&id, |session| session.lifecycle.launch.is_some());
    let (launch, running) = (launch_of(&world, &id), world.running());
    exchange(&world, copy);
    world.pass_time(Duration::from_mins(1));
    assert_eq!(launch_of(&world, &id), launch);
    assert_eq!(world.running(), running, "the kill of an earlier launch ended this one");
    let path = world.settings.worktree_of(&project_id(), &id);
    assert!(world.workspace.read(&path, "README.md").is_some(), "its worktree went");
    assert_eq!(world.session(&id).lifecycle.intent, None);
}

#[test]
fn no_write_of_an_adoption_is_a_bad_moment_to_crash() {
    let mut n_stops = 0;
    for at in [Stop::Before, Stop::After] {
        for n in 1..=WRITES_MAX {
            let world = World::new(n);
            let ids = ["mute", "scripted", "mute"].map(|agent| world.spawn(agent));
            let before: Vec<_> = sessions(&world).iter().map(identity).collect();
            world.crash();
            world.store.put_back(empty());
            world.gate.stop_at(Some(at(n)));
            world.open();
            let engine = world.engine();
            let is_stopped = world.tasks.block_on(async {
                let (adopt, hit) = (pin!(engine.adopt()), pin!(world.gate.hit()));
                matches!(select(adopt, hit).await, Either::Right(_))
            });
            world.crash();
            for _ in 0..2 {
                world.boot();
                world.pass_time(Duration::from_secs(1));
                let mut after = sessions(&world);
                after.sort_by(|a, b| a.record.id.cmp(&b.record.id));
                assert_eq!(after.iter().map(identity).collect::<Vec<_>>(), before, "{:?}", at(n));
                assert!(ids.iter().all(|id| n_adoptions(&world, id) == 1), "{:?}", at(n));
                world.crash();
            }
            if !is_stopped {
                break;
            }
            n_stops += 1;
        }
    }
    assert_eq!(n_stops, 6, "one write for each session, before and after");
}

#[test]
fn what_is_dead_and_holds_no_work_is_reclaimed_and_what_holds_some_is_told() {
    let world = World::new(1);
    let ids = ["mute", "mute", "mute", "mute"].map(|agent| world.spawn(agent));
    let [clean, dirty, ahead, ignored] = ids.each_ref();
    let path = |id: &SessionId| world.settings.worktree_of(&project_id(), id);
    assert!(world.workspace.write(&path(dirty), "notes.txt", "precious"));
    assert!(world.workspace.write(&path(ahead), "work.txt", "work"));
    assert!(world.workspace.commit(&path(ahead)));
    let exclude = ["local.db".to_owned()];
    let excluded = ao_core::ports::Workspace::exclude(
        world.workspace.as_ref(),
        std::path::Path::new(REPO),
        &exclude,
    );
    world.tasks.block_on(excluded).unwrap();
    assert!(world.workspace.write(&path(ignored), "local.db", "rows"));
    let registered = {
        let fresh = World::new(1);
        fresh.store.copy()
    };
    world.crash();
    for id in &ids {
        world.machine.kill_process(world.machine.agent_of(id).unwrap().pid);
    }
    exchange(&world, registered);
    assert_eq!(sessions(&world), []);
    assert!(world.workspace.read(&path(clean), "README.md").is_none(), "it held no work");
    assert_eq!(world.workspace.read(&path(dirty), "notes.txt").as_deref(), Some("precious"));
    assert_eq!(world.workspace.read(&path(ahead), "work.txt").as_deref(), Some("work"));
    assert_eq!(world.workspace.read(&path(ignored), "local.db").as_deref(), Some("rows"));
    let told: Vec<_> = leftovers(&world).into_iter().map(|it| (it.of, it.detail)).collect();
    let of: Vec<_> = told.iter().map(|(of, _)| of.as_str()).collect();
    assert_eq!(of, ["session app-2", "session app-3", "session app-4"], "{told:?}");
    assert!(told[0].1.contains("uncommitted changes: `notes.txt`"), "{told:?}");
    // What a newer copy of the database would need is kept with the work.
    assert_eq!(world.machine.sessions().len(), 3);
    assert_eq!(world.machine.launches_with_files().len(), 3);
    assert_eq!(world.told(), [""; 0], "what is dead calls nobody");
    assert_eq!(world.spawn("mute").as_str(), "app-5");
    // Once it is merged, the next start takes it.
    assert!(world.workspace.fast_forward_main(std::path::Path::new(REPO), "ao/app-3"));
    exchange(&world, world.store.copy());
    assert_eq!(leftovers(&world).len(), 2);
    assert!(world.workspace.read(&path(ahead), "README.md").is_none());
}

#[test]
fn a_new_session_never_comes_into_the_worktree_of_one_that_nobody_knows() {
    let world = World::new(1);
    let registered = world.store.copy();
    let id = world.spawn("mute");
    let path = world.settings.worktree_of(&project_id(), &id);
    assert!(world.workspace.write(&path, "notes.txt", "precious"));
    world.crash();
    // Nothing but its worktree is left of it.
    assert!(world.machine.lose_launch_files(&launch_of(&world, &id)));
    world.machine.kill_process(world.machine.agent_of(&id).unwrap().pid);
    world.machine.kill_session(&id);
    exchange(&world, registered);
    assert_eq!(world.spawn("mute").as_str(), "app-2");
    assert_eq!(world.workspace.read(&path, "notes.txt").as_deref(), Some("precious"));
    assert_eq!(leftovers(&world).len(), 1);
}

#[test]
fn what_may_still_run_keeps_the_worktree_that_it_runs_in() {
    let world = World::new(1);
    let registered = world.store.copy();
    let id = world.spawn("mute");
    let agent = world.machine.agent_of(&id).unwrap().pid;
    let child = world.machine.start_child(agent);
    world.machine.leave_session(child);
    world.crash();
    world.machine.kill_process(agent);
    let path = world.settings.worktree_of(&project_id(), &id);
    exchange(&world, registered);
    assert!(world.workspace.read(&path, "README.md").is_some(), "under a process that runs");
    let left = leftovers(&world);
    assert!(left[0].detail.contains("processes that it started still run"), "{left:?}");
    world.machine.kill_process(child);
    exchange(&world, world.store.copy());
    assert_eq!(leftovers(&world), []);
    assert!(world.workspace.read(&path, "README.md").is_none());
    world.check_clean();
}

#[test]
fn an_agent_without_its_terminal_is_neither_adopted_nor_taken_for_dead() {
    let world = World::new(1);
    let id = world.spawn("mute");
    let agent = world.machine.agent_of(&id).unwrap().pid;
    world.machine.ignore_signals(agent);
    world.crash();
    world.machine.kill_session(&id);
    exchange(&world, empty());
    assert_eq!(sessions(&world), []);
    let left = leftovers(&world);
    assert!(left[0].detail.contains("runs without its terminal"), "{left:?}");
    assert!(world.running().contains(&agent));
    assert_eq!(world.machine.launches_with_files().len(), 1);
}

#[test]
fn a_dead_session_whose_project_nobody_knows_is_told_with_the_way_to_look_at_it() {
    let world = World::new(1);
    let id = world.spawn("mute");
    let path = world.settings.worktree_of(&project_id(), &id);
    assert!(world.workspace.write(&path, "notes.txt", "precious"));
    world.crash();
    world.machine.kill_process(world.machine.agent_of(&id).unwrap().pid);
    exchange(&world, empty());
    let left = leftovers(&world);
    assert!(left[0].detail.contains("project `app` is not registered"), "{left:?}");
    assert!(left[0].hint.contains("--id app"), "{left:?}");
    assert_eq!(world.machine.launches_with_files().len(), 1, "it names the worktree");
}
