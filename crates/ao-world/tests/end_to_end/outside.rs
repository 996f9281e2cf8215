//! What goes wrong outside of us: tools that vanish, a home that is moved away, a database that
//! somebody else holds, and agents with more children than anybody expects.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

use super::world::{World, is_running, refusal, wait_until};
use crate::tools::{processes_with, succeeded};

const WORKER: &str = "ao report active; exec sleep 600";

/// Children of the agent that has many.
const CHILDREN: usize = 200;

/// Sessions that die at once.
const VICTIMS: usize = 24;

#[test]
fn a_kill_ends_two_hundred_children_that_do_not_want_to_end() {
    let world = World::started();
    // Each ignores what can be ignored; every third left the terminal and its parent.
    let script = format!(
        "trap '' HUP TERM INT; for n in $(seq {CHILDREN}); do \
           if [ $((n % 3)) = 0 ]; then (setsid sleep 600 > /dev/null 2>&1 &); else sleep 600 & fi; \
         done; ao report idle; while :; do sleep 1; done"
    );
    let id = world.spawn("parent", &script);
    world.wait_for(&id, "idle");
    let mark = format!("AO_SESSION_ID={id}");
    let ours = || -> Vec<Pid> {
        let home = world.processes();
        processes_with(&mark).into_iter().filter(|pid| home.contains(pid)).collect()
    };
    let before = ours();
    assert!(before.len() > CHILDREN, "{}", before.len());
    assert_eq!(world.json(&["kill", &id])["workspace"], "removed");
    assert_eq!(ours(), []);
    assert!(!before.iter().any(|pid| is_running(*pid)));
}

#[test]
fn many_agents_that_die_at_once_are_one_incident() {
    let world = World::new();
    // A mass death without a cause is believed in the pass after the one that saw it first.
    let mut start = world.command(&["start"]);
    succeeded(&["start"], &start.env("AO_REAPER_INTERVAL", "1s").output().unwrap());
    world.ok(&["project", "add", world.repo().to_str().unwrap(), "--id", "hello"]);
    let ids: Vec<String> = (0..VICTIMS).map(|n| world.spawn(&format!("v{n}"), WORKER)).collect();
    let pids: Vec<Pid> = ids.iter().map(|id| world.pid(id)).collect();
    for pid in &pids {
        kill_process(*pid, Signal::KILL).unwrap();
    }
    for id in &ids {
        world.wait_for(id, "errored");
    }
    let told = || world.json(&["inbox"]).as_array().cloned().unwrap_or_default();
    wait_until("a person is told", || !told().is_empty());
    // Nothing else is on its way: a second look at the same finds the same.
    world.ok(&["stop"]);
    world.ok(&["start"]);
    let told = told();
    assert_eq!(told.len(), 1, "{told:#?}");
}

#[test]
fn a_tmux_that_is_removed_is_said_and_ends_nothing() {
    let world = World::new();
    let bin = world.path("bin");
    fs::create_dir(&bin).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    for name in ["bash", "sh", "git", "sleep", "env", "tmux"] {
        let program = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|it| it.exists());
        symlink(program.unwrap(), bin.join(name)).unwrap();
    }
    let ao = |args: &[&str]| world.command(args).env("PATH", &bin).output().unwrap();
    assert!(ao(&["start"]).status.success());
    world.ok(&["project", "add", world.repo().to_str().unwrap(), "--id", "hello"]);
    let id = world.spawn("one", WORKER);
    let pid = world.pid(&id);
    let tmux: PathBuf = fs::read_link(bin.join("tmux")).unwrap();

    fs::remove_file(bin.join("tmux")).unwrap();
    let args = ["spawn", "--project", "hello", "--json", "--", "sleep", "600"];
    let refused = refusal(&args, &ao(&args));
    assert_eq!(refused.code, "TMUX_MISSING", "{refused:?}");
    // A kill is taken in, and finished when it can be.
    let killed = world.json(&["kill", &id]);
    assert_eq!(killed["workspace"], "pending", "{killed:#}");
    let because = killed["reason"].as_str().unwrap_or_default();
    assert!(because.contains("tmux"), "{killed:#}");
    assert!(!is_running(pid));

    symlink(&tmux, bin.join("tmux")).unwrap();
    let killed = world.json(&["kill", &id]);
    assert_eq!(killed["workspace"], "removed", "{killed:#}");
}

#[test]
fn a_home_that_is_moved_away_and_back_loses_no_session() {
    let world = World::new();
    // A look that begins while it is away is in doubt until the next pass.
    let mut start = world.command(&["start"]);
    succeeded(&["start"], &start.env("AO_REAPER_INTERVAL", "1s").output().unwrap());
    world.ok(&["project", "add", world.repo().to_str().unwrap(), "--id", "hello"]);
    let id = world.spawn("one", WORKER);
    let (home, away) = (world.home(), world.path("away"));
    let pid = world.pid(&id);
    fs::rename(&home, &away).unwrap();
    let refused = world.refused(&["ls"]);
    assert_eq!((refused.exit, refused.code.as_str()), (5, "DAEMON_UNREACHABLE"));
    fs::rename(&away, &home).unwrap();
    world.wait_for(&id, "working");
    assert_eq!(world.pid(&id), pid);
    world.ok(&["kill", &id]);
    assert!(!is_running(pid));
}

#[test]
fn a_daemon_whose_home_was_replaced_ends_and_leaves_its_agents() {
    let world = World::started();
    let id = world.spawn("one", WORKER);
    let (pid, daemon) = (world.pid(&id), world.daemon_pid());
    fs::rename(world.home(), world.path("away")).unwrap();
    fs::create_dir(world.home()).unwrap();
    world.ok(&["start"]);
    wait_until("the daemon without a home is gone", || !is_running(daemon));
    assert!(is_running(pid));
    assert_ne!(world.daemon_pid(), daemon);
    assert_eq!(world.json(&["ls", "--all"]).as_array().unwrap().len(), 0);
}

#[test]
fn a_database_that_somebody_else_holds_is_waited_for_and_nothing_is_lost() {
    let world = World::started();
    let id = world.spawn("one", "ao report active; read -r line; ao report idle; exec sleep 600");
    world.wait_for(&id, "working");
    let holder = Connection::open(world.home().join("ao.db")).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    // What is known can be read.
    assert_eq!(world.session(&id)["status"], "working");
    let args = ["send", id.as_str(), "go on", "--json"];
    let refused = refusal(&args, &world.ao(&args));
    assert!(refused.message.contains("database"), "{refused:?}");
    holder.execute_batch("ROLLBACK").unwrap();
    drop(holder);
    world.ok(&["send", &id, "go on"]);
    world.wait_for(&id, "idle");
}
