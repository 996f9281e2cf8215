//! What goes wrong outside of us: tools that vanish, a home that is moved away, a database that
//! somebody else holds, and agents with more children than anybody expects.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use ao_world::processes::with_variable;
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

use super::world::{World, is_running, refusal, wait_until};
use crate::tools::{succeeded, waited_for};

const WORKER: &str = "ao report active; exec sleep 600";

/// Children of the agent that has many.
const CHILDREN: usize = 200;

/// Sessions that die at once, unless `AO_TEST_VICTIMS` says how many.
const VICTIMS: usize = 24;

/// Seconds for which somebody else holds the database, unless `AO_TEST_LOCKED_S` says how many.
const LOCKED_S: usize = 2;

/// Seconds within which a command answers whatever the database does.
const ANSWER_S: usize = 20;

/// A number that a longer run gives in the environment.
fn given(name: &str, otherwise: usize) -> usize {
    let given = std::env::var_os(name).and_then(|text| text.to_str()?.parse().ok());
    given.unwrap_or(otherwise)
}

/// A world whose passes are a second apart, for what only a pass sees.
fn with_passes() -> World {
    let world = World::new();
    let mut start = world.command(&["start"]);
    succeeded(&["start"], &start.env("AO_REAPER_INTERVAL", "1s").output().unwrap());
    world.ok(&["project", "add", world.repo().to_str().unwrap(), "--id", "hello"]);
    world
}

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
        with_variable(&mark).into_iter().filter(|pid| home.contains(pid)).collect()
    };
    let before = ours();
    assert!(before.len() > CHILDREN, "{}", before.len());
    assert_eq!(world.json(&["kill", &id])["workspace"], "removed");
    assert_eq!(ours(), []);
    assert!(!before.iter().any(|pid| is_running(*pid)));
}

#[test]
fn many_agents_that_die_at_once_are_one_incident() {
    // A mass death without a cause is believed in the pass after the one that saw it first.
    let world = with_passes();
    let victims = given("AO_TEST_VICTIMS", VICTIMS);
    let ids: Vec<String> = (0..victims).map(|n| world.spawn(&format!("v{n}"), WORKER)).collect();
    let pids: Vec<Pid> = ids.iter().map(|id| world.pid(id)).collect();
    for pid in &pids {
        kill_process(*pid, Signal::KILL).unwrap();
    }
    for id in &ids {
        world.wait_for(id, "errored");
    }
    for id in &ids {
        wait_until("its terminal is put away", || world.session(id)["phase"] == "ended");
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
    // A look that begins while it is away is in doubt until the next pass.
    let world = with_passes();
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
    let world = with_passes();
    let script = "ao report active; while [ ! -e \"$1/say\" ]; do sleep 0.1; done; \
                  ao report waiting_input; read -r line; ao report idle; exec sleep 600";
    let id = world.spawn("one", script);
    let dying = world.spawn("two", WORKER);
    world.wait_for(&id, "working");
    world.wait_for(&dying, "working");
    let agent = world.pid(&dying);
    let holder = Connection::open(world.home().join("ao.db")).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    // One agent says something and another one dies: neither can be written down.
    fs::write(world.path("say"), "").unwrap();
    kill_process(agent, Signal::KILL).unwrap();
    let for_max = Duration::from_secs(given("AO_TEST_LOCKED_S", LOCKED_S).try_into().unwrap());
    let mut n_refused = 0;
    waited_for(for_max, || {
        // What is known can be read, and what is asked for is refused within a bound.
        assert_eq!(world.session(&id)["status"], "working");
        let args = ["send", id.as_str(), "too early", "--json"];
        let mut bounded = crate::tools::program("timeout");
        bounded.arg(ANSWER_S.to_string()).arg(env!("CARGO_BIN_EXE_ao-world-ao")).args(args);
        let ao = world.command(&[]);
        bounded.env_clear().envs(ao.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let refused = refusal(&args, &bounded.output().unwrap());
        assert!(refused.message.contains("database"), "{refused:?}");
        n_refused += 1;
        false
    });
    assert!(n_refused > 0);
    holder.execute_batch("ROLLBACK").unwrap();
    drop(holder);
    // It goes on by itself.
    world.wait_for(&id, "needs_input");
    world.wait_for(&dying, "errored");
    world.ok(&["send", &id, "go on"]);
    world.wait_for(&id, "idle");
    let messages = world.json(&["messages", &id]);
    let texts: Vec<_> = messages.as_array().unwrap().iter().map(|it| &it["text"]).collect();
    assert_eq!(texts, ["go on"], "what was refused is not typed later: {n_refused} were");
    assert_eq!(world.json(&["inbox"]).as_array().unwrap().len(), 2, "a question and a death");
}
