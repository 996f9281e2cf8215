//! The daemon goes away in every way that it can; no agent and no session goes with it.

use std::collections::BTreeSet;

use rustix::process::{Signal, kill_process};

use super::world::{World, is_running, tmux, wait_until};

#[test]
fn stopping_and_starting_leaves_every_agent_its_process() {
    let world = World::started();
    let ids = ["one", "two"].map(|name| world.spawn(name, "ao report active; exec sleep 600"));
    let pids = ids.each_ref().map(|id| world.pid(id));
    world.ok(&["stop"]);
    assert!(pids.iter().all(|pid| is_running(*pid)));
    world.ok(&["start"]);
    assert_eq!(ids.each_ref().map(|id| world.pid(id)), pids);
    for id in &ids {
        world.wait_for(id, "working");
    }
}

#[test]
fn a_killed_daemon_comes_back_to_the_truth_about_every_session() {
    let world = World::started();
    let worker = world.spawn("worker", "ao report active; exec sleep 600");
    let asker = world.spawn("asker", "ao report waiting_input; exec sleep 600");
    let victim = world.spawn("victim", "ao report active; exec sleep 600");
    let killed = world.spawn("killed", "ao report active; exec sleep 600");
    world.wait_for(&asker, "needs_input");
    world.ok(&["kill", &killed]);
    let pids = [&worker, &asker].map(|id| world.pid(id));
    let victim_pid = world.pid(&victim);

    world.crash();
    // It dies while nobody watches.
    kill_process(victim_pid, Signal::KILL).unwrap();
    wait_until("the victim is gone", || !is_running(victim_pid));
    world.ok(&["start"]);

    assert_eq!([&worker, &asker].map(|id| world.pid(id)), pids);
    world.wait_for(&worker, "working");
    world.wait_for(&asker, "needs_input");
    world.wait_for(&victim, "errored");
    world.wait_for(&killed, "killed");
    assert_eq!(world.json(&["ls", "--all"]).as_array().unwrap().len(), 4);
}

#[test]
fn nothing_listens_for_a_daemon_that_is_gone_and_the_next_one_listens_again() {
    let world = World::started();
    let stay = "trap '' HUP; ao report active; while :; do sleep 1; done";
    let ids = ["one", "two", "three"].map(|name| world.spawn(name, stay));
    for id in &ids {
        world.wait_for(id, "working");
    }
    wait_until("the daemon listens", || !world.listeners().is_empty());
    let end: [&dyn Fn(); 2] = [&|| world.crash(), &|| drop(world.ok(&["stop"]))];
    for (end, victim) in end.into_iter().zip(&ids) {
        end();
        wait_until("nobody listens", || world.listeners().is_empty());
        world.ok(&["start"]);
        wait_until("the next daemon listens", || !world.listeners().is_empty());
        let session = world.session(victim);
        let name = session["handle"]["session"].as_str().unwrap();
        assert!(tmux(&session, &["kill-session", "-t", &format!("={name}")]).status.success());
        // Its process lives on and passes are far apart: only the listener can have told.
        world.wait_for(victim, "detecting");
    }
    world.wait_for(&ids[2], "working");
}

#[test]
fn a_daemon_killed_during_a_spawn_leaves_a_whole_session_or_none() {
    let world = World::started();
    for round in 0..4 {
        let name = format!("round-{round}");
        let args = ["spawn", "--project", "hello", "--name", &name, "--no-wait", "--"];
        let args: Vec<_> = args.iter().chain(&["sleep", "600"]).copied().collect();
        let id = world.ok(&args).trim().to_owned();
        // Each round finds the saga at another step: none is waited for.
        world.crash();
        world.ok(&["start"]);
        let is_settled =
            || ["running", "ended"].iter().any(|phase| world.session(&id)["phase"] == *phase);
        wait_until("the spawn is finished or unwound", is_settled);
    }
    let sessions = world.json(&["ls", "--all"]);
    let sessions = sessions.as_array().unwrap();
    assert_eq!(sessions.len(), 4, "{sessions:#?}");
    let running: Vec<_> = sessions.iter().filter(|it| it["phase"] == "running").collect();
    let expected: BTreeSet<_> =
        running.iter().map(|it| it["workspace_path"].as_str().unwrap().to_owned()).collect();
    let worktrees = world.worktrees();
    let found: BTreeSet<_> = worktrees.iter().skip(1).cloned().collect();
    assert_eq!(found, expected, "worktrees that no session accounts for, or the reverse");
    for session in running {
        assert!(is_running(super::world::pid_of(&session["handle"]["pid"])));
    }
}

#[test]
fn a_daemon_killed_during_a_kill_finishes_it() {
    let world = World::started();
    for round in 0..4 {
        let id = world.spawn(&format!("round-{round}"), "ao report active; exec sleep 600");
        let pid = world.pid(&id);
        let mut kill = world.command(&["kill", &id]).spawn().unwrap();
        let daemon = world.daemon_pid();
        kill_process(daemon, Signal::KILL).unwrap();
        kill.wait().unwrap();
        wait_until("the daemon is gone", || !is_running(daemon));
        world.ok(&["start"]);
        // Killing again is no error, whether or not the first one was taken in.
        world.ok(&["kill", &id]);
        world.wait_for(&id, "killed");
        assert!(!is_running(pid));
    }
    assert_eq!(world.worktrees().len(), 1);
}

#[test]
fn stopping_with_the_sessions_leaves_no_process_at_all() {
    let world = World::started();
    world.spawn("one", "ao report active; exec sleep 600");
    world.spawn("two", "trap '' HUP TERM; while :; do sleep 1; done");
    world.ok(&["stop", "--sessions"]);
    assert_eq!(world.processes(), []);
}

#[test]
fn two_homes_never_meet() {
    let (here, there) = (World::started(), World::started());
    let id = here.spawn("same", "ao report active; exec sleep 600");
    assert_eq!(there.spawn("same", "ao report active; exec sleep 600"), id);
    let pid = here.pid(&id);
    assert_ne!(there.session(&id)["handle"]["socket"], here.session(&id)["handle"]["socket"]);
    there.ok(&["stop", "--sessions"]);
    assert!(is_running(pid));
    here.wait_for(&id, "working");
}
