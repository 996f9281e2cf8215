//! What ended comes back: the same worktree, the same conversation, one process.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::world::{World, git, is_running, pid_of, wait_until};

/// A world with an agent that says in a file how it was started, and how it is resumed.
///
/// Each line of `starts` is `HOW SESSION PID`, told before the agent says that it works.
pub(super) fn started() -> World {
    let world = World::new();
    let starts = world.path("starts");
    let line = |how: &str| {
        format!(
            "[\"bash\", \"-c\", \"echo {how} $AO_SESSION_ID $$ $COLOUR >> {}; ao report active; \
             exec sleep 600\"]",
            starts.display()
        )
    };
    let config =
        format!("[agents.talker]\nlaunch = {}\nresume = {}\n", line("launched"), line("resumed"));
    fs::write(world.home().join("config.toml"), config).unwrap();
    world.start();
    world
}

pub(super) fn talk(world: &World, name: &str) -> String {
    let args = ["spawn", "--project", "hello", "--name", name, "--agent", "talker"];
    let id = world.ok(&args).trim().to_owned();
    wait_until_active(world, &id);
    id
}

/// Waits until the agent of a session has said that it works: it is taken to work before.
#[track_caller]
fn wait_until_active(world: &World, id: &str) {
    wait_until("the agent says that it works", || world.session(id)["activity"] == "active");
}

/// How the agent of a session was started so far: `(how, process, colour)`. The one that runs now
/// has a moment to say so: it works as soon as it is executed.
#[track_caller]
fn starts(world: &World, id: &str) -> Vec<(String, Pid, String)> {
    let read = || -> Vec<(String, Pid, String)> {
        let text = fs::read_to_string(world.path("starts")).unwrap_or_default();
        let lines = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let of_it = lines.filter(|words| words.get(1) == Some(&id));
        let start = |words: Vec<&str>| {
            let pid = Pid::from_raw(words[2].parse().unwrap()).unwrap();
            (words[0].to_owned(), pid, words.get(3).copied().unwrap_or_default().to_owned())
        };
        of_it.map(start).collect()
    };
    let now = world.pid(id);
    wait_until("the agent says that it started", || {
        read().last().is_some_and(|(_, pid, _)| *pid == now)
    });
    read()
}

pub(super) fn hows(world: &World, id: &str) -> Vec<String> {
    starts(world, id).into_iter().map(|(how, _, _)| how).collect()
}

/// Asserts that of every start of a session only the last one runs.
#[track_caller]
pub(super) fn assert_one_runs(world: &World, id: &str) {
    let starts = starts(world, id);
    let running: Vec<Pid> =
        starts.iter().map(|(_, pid, _)| *pid).filter(|pid| is_running(*pid)).collect();
    assert_eq!(running, [world.pid(id)], "{starts:?}");
}

pub(super) fn workspace(world: &World, id: &str) -> PathBuf {
    PathBuf::from(world.session(id)["workspace_path"].as_str().unwrap())
}

pub(super) fn make_dirty(path: &Path) {
    fs::write(path.join("README.md"), b"changed\0bytes").unwrap();
    fs::create_dir(path.join("deep")).unwrap();
    fs::write(path.join("deep/untracked"), "new\n").unwrap();
    fs::write(path.join("staged"), "staged\n").unwrap();
    git(path, &["add", "staged"]);
}

#[track_caller]
pub(super) fn assert_dirty(path: &Path) {
    assert_eq!(fs::read(path.join("README.md")).unwrap(), b"changed\0bytes");
    assert_eq!(fs::read(path.join("deep/untracked")).unwrap(), b"new\n");
    assert_eq!(git(path, &["diff", "--cached", "--name-only"]), "staged\n");
}

#[test]
fn an_agent_that_died_is_resumed_in_its_worktree_by_one_process() {
    let world = started();
    let args = ["spawn", "--project", "hello", "--agent", "talker", "--env", "COLOUR=green"];
    let id = world.ok(&args).trim().to_owned();
    wait_until_active(&world, &id);
    let path = workspace(&world, &id);
    make_dirty(&path);
    let refused = world.refused(&["restore", &id]);
    assert_eq!((refused.exit, refused.code.as_str()), (4, "SESSION_LIVE"));

    kill_process(world.pid(&id), Signal::KILL).unwrap();
    let ended = world.wait_for(&id, "errored");
    assert_eq!(ended["restore"]["lost"], true, "{ended:#}");
    let output = world.ao(&["restore", &id]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{id}\n"));
    assert_eq!(told, format!("{id}: a turn was running and is interrupted\n"));
    let session = world.wait_for(&id, "working");
    assert_eq!(hows(&world, &id), ["launched", "resumed"]);
    // What was given at the start is still there, under the caller's newer environment.
    assert_eq!(starts(&world, &id)[1].2, "green");
    assert_one_runs(&world, &id);
    assert_dirty(&path);
    assert_eq!(session["restore"], Value::Null);
    assert_eq!(session["lifecycle"]["pr"]["reason"], "cleared_on_restore");
    assert_ne!(session["launch_id"], ended["launch_id"]);
}

#[test]
fn a_killed_session_comes_back_with_its_work_byte_for_byte() {
    let world = started();
    let id = talk(&world, "killed");
    let path = workspace(&world, &id);
    make_dirty(&path);
    assert_eq!(world.json(&["kill", &id])["workspace"], "kept");
    let restored = world.json(&["restore", &id]);
    assert_eq!(
        (&restored["id"], &restored["lost"]),
        (&id.as_str().into(), &Value::from(["a turn was running and is interrupted"].to_vec()))
    );
    world.wait_for(&id, "working");
    assert_dirty(&path);
    assert_one_runs(&world, &id);
    assert_eq!(world.worktrees().len(), 2);
}

#[test]
fn a_removed_worktree_is_made_again_from_the_commits_of_its_branch() {
    let world = started();
    let id = talk(&world, "committed");
    let path = workspace(&world, &id);
    fs::write(path.join("work"), "done\n").unwrap();
    git(&path, &["add", "work"]);
    git(&path, &["-c", "user.name=W", "-c", "user.email=w@example.invalid", "commit", "-qm", "w"]);
    assert_eq!(world.json(&["kill", &id])["workspace"], "removed");
    assert!(!path.exists());
    let restored = world.json(&["restore", &id]);
    let lost = restored["lost"].to_string();
    assert!(lost.contains("made again from its branch"), "{lost}");
    assert_eq!(fs::read_to_string(path.join("work")).unwrap(), "done\n");
    world.wait_for(&id, "working");
    world.ok(&["kill", &id]);
    assert_eq!(world.worktrees().len(), 1);
}

#[test]
fn what_was_put_where_the_worktree_stood_is_not_touched() {
    let world = started();
    let id = talk(&world, "replaced");
    let path = workspace(&world, &id);
    world.ok(&["kill", &id]);
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("mine"), "precious\n").unwrap();
    let refused = world.refused(&["restore", &id]);
    assert_eq!((refused.exit, refused.code.as_str()), (4, "PATH_TAKEN"));
    assert_eq!(fs::read_to_string(path.join("mine")).unwrap(), "precious\n");
    assert_eq!(world.session(&id)["status"], "killed");
    fs::remove_dir_all(&path).unwrap();
    world.ok(&["restore", &id]);
    world.wait_for(&id, "working");
}

#[test]
fn after_the_death_of_a_tmux_server_one_command_brings_all_back() {
    let world = started();
    let ids = ["one", "two", "three", "four", "five"].map(|name| talk(&world, name));
    let killed = talk(&world, "killed");
    world.ok(&["kill", &killed]);
    for id in &ids {
        make_dirty(&workspace(&world, id));
    }
    let server = pid_of(&world.session(&ids[0])["handle"]["server_pid"]);
    kill_process(server, Signal::KILL).unwrap();
    for id in &ids {
        world.wait_for(id, "terminated");
    }
    let listed = world.ao(&["ls", "--all"]);
    assert!(String::from_utf8_lossy(&listed.stderr).contains("ao restore --all"), "{listed:?}");
    let restored = world.ok(&["restore", "--all", "--project", "hello"]);
    assert_eq!(restored.lines().collect::<Vec<_>>(), ids, "in order, and not the killed one");
    for id in &ids {
        world.wait_for(id, "working");
        assert_eq!(hows(&world, id), ["launched", "resumed"]);
        assert_one_runs(&world, id);
        assert_dirty(&workspace(&world, id));
    }
    assert_eq!(world.session(&killed)["status"], "killed");
    assert_eq!(world.ok(&["restore", "--all"]), "", "nothing is left to restore");
}

#[test]
fn of_many_restores_at_once_one_is_granted() {
    let world = started();
    let id = talk(&world, "wanted");
    kill_process(world.pid(&id), Signal::KILL).unwrap();
    world.wait_for(&id, "errored");
    let ao = env!("CARGO_BIN_EXE_ao-world-ao");
    let script = format!(
        "for n in 1 2 3 4 5 6; do ({ao} restore {id} > /dev/null 2>&1; echo $?) & done; wait"
    );
    let output = world.shell(&script);
    let mut exits: Vec<_> =
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    exits.sort();
    assert_eq!(exits, ["0", "4", "4", "4", "4", "4"]);
    world.wait_for(&id, "working");
    assert_eq!(hows(&world, &id), ["launched", "resumed"]);
    assert_one_runs(&world, &id);
}

#[test]
fn a_daemon_killed_during_a_restore_goes_on_with_it() {
    let world = started();
    let id = talk(&world, "unlucky");
    make_dirty(&workspace(&world, &id));
    kill_process(world.pid(&id), Signal::KILL).unwrap();
    world.wait_for(&id, "errored");
    // It is reopened, durably, when this returns; its agent is still to come.
    world.ok(&["restore", &id, "--no-wait"]);
    world.crash();
    world.ok(&["start"]);
    world.wait_for(&id, "working");
    let starts = hows(&world, &id);
    assert_eq!(starts, ["launched", "resumed"], "never doubled");
    assert_one_runs(&world, &id);
    assert_dirty(&workspace(&world, &id));
}

#[test]
fn a_restore_whose_agent_is_gone_is_refused_and_works_once_it_is_back() {
    let world = World::new();
    let tool = world.path("tool");
    let script = "#!/bin/sh\nao report active\nexec sleep 600\n";
    let install = || {
        fs::write(&tool, script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&tool, mode).unwrap();
    };
    install();
    world.start();
    let args = ["spawn", "--project", "hello", "--", tool.to_str().unwrap()];
    let id = world.ok(&args).trim().to_owned();
    world.wait_for(&id, "working");
    kill_process(world.pid(&id), Signal::KILL).unwrap();
    world.wait_for(&id, "errored");
    fs::remove_file(&tool).unwrap();
    let refused = world.refused(&["restore", &id]);
    assert_eq!((refused.exit, refused.code.as_str()), (1, "AGENT_MISSING"));
    assert_eq!(world.session(&id)["status"], "errored", "nothing changed");
    install();
    world.ok(&["restore", &id]);
    world.wait_for(&id, "working");
    wait_until("it runs", || is_running(world.pid(&id)));
}
