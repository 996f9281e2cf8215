//! What cannot be done is answered by one sentence, what to do, and the documented exit code; and
//! the next command works.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::world::{World, git, refusal, succeeded, wait_until};

/// Asserts a refusal, and that the daemon and its sessions are none the worse for it.
#[track_caller]
fn check(world: &World, args: &[&str], exit: i32, code: &str) {
    let n_sessions = || {
        let sessions = world.json(&["ls", "--all"]);
        let is_there =
            |it: &&serde_json::Value| it["lifecycle"]["session"]["reason"] != "spawn_failed";
        sessions.as_array().unwrap().iter().filter(is_there).count()
    };
    let (sessions_before, worktrees_before) = (n_sessions(), world.worktrees());
    let refusal = world.refused(args);
    assert_eq!((refusal.exit, refusal.code.as_str()), (exit, code), "{refusal:?}");
    assert_eq!(n_sessions(), sessions_before);
    assert_eq!(world.worktrees(), worktrees_before);
}

fn spawn<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ["spawn", "--project", "hello"]
        .iter()
        .chain(more)
        .chain(&["--", "sleep", "600"])
        .copied()
        .collect()
}

#[test]
fn a_project_that_cannot_be_one() {
    let world = World::started();
    let plain = world.path("plain");
    fs::create_dir(&plain).unwrap();
    check(&world, &["project", "add", plain.to_str().unwrap(), "--id", "plain"], 1, "NOT_A_REPO");
    let missing = world.path("missing");
    let refused = world.refused(&["project", "add", missing.to_str().unwrap()]);
    assert!([1, 3].contains(&refused.exit), "{refused:?}");
    let other = world.repository("other");
    check(
        &world,
        &["project", "add", other.to_str().unwrap(), "--id", "hello"],
        4,
        "PROJECT_EXISTS",
    );
    world.ok(&["project", "add", world.repo().to_str().unwrap(), "--id", "hello"]);
}

#[test]
fn a_repository_without_a_commit() {
    let world = World::started();
    let unborn = world.path("unborn");
    fs::create_dir(&unborn).unwrap();
    git(&unborn, &["init", "--quiet", "--initial-branch", "main"]);
    let added = world.ao(&["project", "add", unborn.to_str().unwrap(), "--id", "unborn", "--json"]);
    let refused = if added.status.success() {
        world.refused(&["spawn", "--project", "unborn", "--", "sleep", "600"])
    } else {
        refusal(&["project", "add"], &added)
    };
    assert_eq!((refused.exit, refused.code.as_str()), (1, "UNBORN"), "{refused:?}");
}

#[test]
fn branches_and_bases_that_git_refuses() {
    let world = World::started();
    let elsewhere = world.path("elsewhere");
    let elsewhere = elsewhere.to_str().unwrap();
    git(&world.repo(), &["worktree", "add", "--quiet", "-b", "taken", elsewhere]);
    check(&world, &spawn(&["--branch", "main"]), 4, "BRANCH_TAKEN");
    check(&world, &spawn(&["--branch", "taken"]), 4, "BRANCH_TAKEN");
    check(&world, &spawn(&["--branch", "a..b"]), 2, "BRANCH_INVALID");
    check(&world, &spawn(&["--branch=-x"]), 2, "BRANCH_INVALID");
    check(&world, &spawn(&["--base", "nowhere"]), 3, "BASE_MISSING");
    world.ok(&spawn(&["--branch", "free"]));
}

#[test]
fn names_of_things_that_do_not_exist() {
    let world = World::started();
    check(&world, &["spawn", "--project", "nobody", "--", "sleep", "1"], 3, "PROJECT_UNKNOWN");
    check(&world, &["show", "hello-99"], 3, "SESSION_UNKNOWN");
    check(&world, &["kill", "hello-99"], 3, "SESSION_UNKNOWN");
    check(&world, &["send", "hello-99", "hi"], 3, "SESSION_UNKNOWN");
    check(&world, &["project", "show", "nobody"], 3, "PROJECT_UNKNOWN");
}

#[test]
fn ids_that_could_be_something_else() {
    let world = World::started();
    let repo = world.repo();
    for id in ["a/b", "..", ".", "-x", "a b", "", "a\nb"] {
        let id = format!("--id={id}");
        let refusal = world.refused(&["project", "add", repo.to_str().unwrap(), &id]);
        assert_eq!(refusal.exit, 2, "{id:?}: {refusal:?}");
    }
    for id in ["a/b", "../..", "-x"] {
        let output = world.ao(&["show", "--json", "--", id]);
        assert!([Some(2), Some(3)].contains(&output.status.code()), "{id}: {output:?}");
    }
}

#[test]
fn an_agent_that_is_not_installed() {
    let world = World::started();
    let args = ["spawn", "--project", "hello", "--", "no-such-agent"];
    check(&world, &args, 1, "AGENT_MISSING");
    assert_eq!(world.json(&["ls", "--all"]).as_array().unwrap().len(), 0, "nothing was seeded");
}

#[test]
fn a_machine_without_tmux() {
    let world = World::new();
    let bin = world.path("bin");
    fs::create_dir(&bin).unwrap();
    for tool in ["git", "sleep", "sh", "bash"] {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|dir| dir.join(tool))
            .find(|path| path.exists())
            .unwrap();
        std::os::unix::fs::symlink(found, bin.join(tool)).unwrap();
    }
    let run = |args: &[&str]| world.command(args).env("PATH", &bin).output().unwrap();
    assert!(run(&["start"]).status.success());
    let repo = world.repo();
    assert!(run(&["project", "add", repo.to_str().unwrap(), "--id", "hello"]).status.success());
    let args = ["spawn", "--json", "--project", "hello", "--", "sleep", "600"];
    let refused = refusal(&args, &run(&args));
    assert_eq!((refused.exit, refused.code.as_str()), (1, "TMUX_MISSING"), "{refused:?}");
    assert!(refused.hint.contains("install"), "{refused:?}");
    assert_eq!(world.worktrees().len(), 1);
}

#[test]
fn a_home_that_cannot_be_written() {
    let world = World::new();
    let file = world.path("file");
    fs::write(&file, "").unwrap();
    let start = |home: &std::path::Path| {
        world.command(&["start", "--json"]).env("AO_HOME", home).output().unwrap()
    };
    let refused = refusal(&["start"], &start(&file.join("home")));
    assert_eq!(refused.exit, 1, "{refused:?}");
    assert!(refused.message.contains("file"), "names the place: {refused:?}");
    // A directory without permission is no obstacle to root, which the tests may run as.
    if !rustix::process::geteuid().is_root() {
        let closed = world.path("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
        assert_eq!(refusal(&["start"], &start(&closed.join("home"))).exit, 1);
    }
}

/// Removes the directory that stands in for a home too deep for sockets, and its parent when that
/// is empty then.
struct SocketsElsewhere(PathBuf);

impl Drop for SocketsElsewhere {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap_or_default();
        self.0.parent().map_or(Ok(()), fs::remove_dir).unwrap_or_default();
    }
}

#[test]
fn a_home_whose_path_is_too_long_for_a_socket_works_all_the_same() {
    let world = World::new();
    let home = world.path(&"long".repeat(30));
    fs::create_dir(&home).unwrap();
    let run = |args: &[&str]| {
        succeeded(args, &world.command(args).env("AO_HOME", &home).output().unwrap())
    };
    let started: serde_json::Value = serde_json::from_str(&run(&["start", "--json"])).unwrap();
    let socket = PathBuf::from(started["socket"].as_str().unwrap());
    assert!(!socket.starts_with(&home), "{started:#}");
    let _sockets = SocketsElsewhere(socket.parent().unwrap().to_owned());
    let repo = world.repo();
    run(&["project", "add", repo.to_str().unwrap(), "--id", "hello"]);
    let id = run(&["spawn", "--project", "hello", "--", "sleep", "600"]);
    run(&["wait", id.trim(), "--for", "working", "--timeout", "20s"]);
    run(&["stop", "--sessions"]);
}

#[test]
fn a_second_daemon_on_one_home() {
    let world = World::started();
    let output = world.ao(&["daemon", "--json"]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    world.ok(&["status"]);
    world.ok(&["start"]);
}

#[test]
fn a_command_without_a_daemon() {
    let world = World::new();
    for args in [&["status"][..], &["ls"], &["show", "hello-1"], &["kill", "hello-1"]] {
        let refused = world.refused(args);
        assert_eq!(refused.exit, 5, "{args:?}: {refused:?}");
        assert!(refused.hint.contains("ao start"), "{refused:?}");
    }
    world.ok(&["stop"]);
}

#[test]
fn a_command_line_that_is_no_command() {
    let world = World::started();
    for args in [&["no-such-command"][..], &["spawn", "--count", "many"], &["wait", "hello-1"]] {
        assert_eq!(world.ao(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_configuration_with_an_unknown_key() {
    let world = World::new();
    fs::write(world.home().join("config.toml"), "[defaults]\nagnet = \"command\"\n").unwrap();
    let refused = world.refused(&["start"]);
    assert_eq!(refused.exit, 2, "{refused:?}");
    let said = format!("{} {}", refused.message, refused.hint);
    assert!(said.contains("agnet") && said.contains("`agent`"), "{refused:?}");
    fs::remove_file(world.home().join("config.toml")).unwrap();
    world.ok(&["start"]);
}

#[test]
fn a_prompt_of_two_hundred_kilobytes() {
    let world = World::new();
    let config = "[agents.reader]\nlaunch = [\"bash\", \"-c\", \"cp $0 ../prompt; exec sleep 600\", \"{prompt_file}\"]\n";
    let config = config.replace("../prompt", world.path("prompt").to_str().unwrap());
    fs::write(world.home().join("config.toml"), config).unwrap();
    world.ok(&["start"]);
    world.ok(&["project", "add", world.repo().to_str().unwrap(), "--id", "hello"]);
    let prompt = "do this, then that; ".repeat(10_000);
    let file = world.path("asked");
    fs::write(&file, &prompt).unwrap();
    world.ok(&[
        "spawn",
        "--project",
        "hello",
        "--agent",
        "reader",
        "--prompt-file",
        file.to_str().unwrap(),
    ]);
    let received = || fs::read_to_string(world.path("prompt")).unwrap_or_default();
    wait_until("the prompt arrived", || received().trim_end() == prompt.trim_end());
}

#[test]
fn a_working_directory_that_vanishes() {
    let world = World::started();
    let id = world.spawn("lost", "ao report active; exec sleep 600");
    let path = world.wait_for(&id, "working")["workspace_path"].as_str().unwrap().to_owned();
    fs::remove_dir_all(&path).unwrap();
    world.ok(&["show", &id]);
    assert!(world.ao(&["diff", &id]).status.code().is_some_and(|code| code < 70));
    world.ok(&["kill", &id]);
    world.wait_for(&id, "killed");
    world.ok(&["spawn", "--project", "hello", "--", "sleep", "600"]);
}

#[test]
fn a_caller_whose_directory_is_gone() {
    let world = World::started();
    let gone = world.path("gone");
    fs::create_dir(&gone).unwrap();
    let program = world.command(&[]).get_program().to_owned();
    let script = format!(
        "cd '{0}' && rmdir '{0}' && exec '{1}' ls --json",
        gone.display(),
        program.display()
    );
    let output = world.shell(&script);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_database_from_the_future() {
    let world = World::started();
    world.ok(&["stop"]);
    let database = fs::read_dir(world.home())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0")))
        .unwrap();
    let before = fs::read(&database).unwrap();
    let mut bytes = before.clone();
    // The header's user version: a number that no release has reached.
    bytes[60..64].copy_from_slice(&9_999_u32.to_be_bytes());
    fs::write(&database, &bytes).unwrap();
    let refused = world.refused(&["start"]);
    assert_eq!(refused.exit, 1, "{refused:?}");
    assert_eq!(fs::read(&database).unwrap(), bytes, "a refused database is not touched");
    fs::write(&database, before).unwrap();
    world.ok(&["start"]);
    assert_eq!(world.json(&["project", "ls"]).as_array().unwrap().len(), 1);
}
