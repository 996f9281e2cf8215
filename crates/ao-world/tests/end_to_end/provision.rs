//! What a worktree is given before its agent starts: links, copies, commands.

use std::fs;

use super::world::{World, git, wait_until};

/// A repository with what is not in git, and a configuration that names it.
fn world(post_create: &str) -> World {
    let world = World::new();
    let repo = world.repo();
    fs::create_dir_all(repo.join("node_modules/left-pad")).unwrap();
    fs::write(repo.join("node_modules/left-pad/index.js"), "1\n").unwrap();
    fs::write(repo.join(".env"), "KEY=geheim\n").unwrap();
    let config = format!(
        "[defaults]\nlink = ['node_modules']\n[projects.hello]\ncopy = ['.env']\n\
         post_create = ['''{post_create}''']\n"
    );
    fs::write(world.home().join("config.toml"), config).unwrap();
    world.start();
    world
}

#[test]
fn a_prepared_worktree_has_its_links_copies_and_commands_and_git_sees_none_of_them() {
    let world = world("echo \"for $AO_SESSION_ID in $AO_PROJECT_ID\"; cat .env");
    let id = world.spawn("one", "ao report active; exec sleep 600");
    world.wait_for(&id, "working");
    let path = world.session(&id)["workspace_path"].as_str().unwrap().to_owned();
    let work = std::path::Path::new(&path);
    assert_eq!(
        fs::read_link(work.join("node_modules")).unwrap(),
        world.repo().join("node_modules")
    );
    assert_eq!(fs::read_to_string(work.join(".env")).unwrap(), "KEY=geheim\n");
    assert_eq!(git(work, &["status", "--porcelain"]), "");
    let log = world.ok(&["logs", &id, "--setup"]);
    assert!(log.contains(&format!("for {id} in hello\nKEY=geheim\n")), "{log}");
    assert!(log.contains("link node_modules: done") && log.contains("copy .env: done"), "{log}");

    // Nothing of it keeps the worktree, and nothing is followed out of it.
    let killed = world.json(&["kill", &id]);
    assert_eq!(killed["workspace"], "removed");
    assert!(!work.exists());
    let kept = fs::read_to_string(world.repo().join("node_modules/left-pad/index.js")).unwrap();
    assert_eq!(kept, "1\n");
}

#[test]
fn a_sparse_project_gives_its_agents_only_its_directories() {
    let world = World::new();
    for file in ["app/main", "docs/page", "vendor/lib"] {
        let path = world.repo().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "text\n").unwrap();
    }
    git(&world.repo(), &["add", "."]);
    git(&world.repo(), &["commit", "--quiet", "--message", "files"]);
    let config = world.home().join("config.toml");
    fs::write(&config, "[defaults]\nsparse = ['vendor']\n[projects.hello]\nsparse = ['app']\n")
        .unwrap();
    world.start();
    let id = world.spawn("one", "ao report active; exec sleep 600");
    let session = world.wait_for(&id, "working");
    let work = std::path::Path::new(session["workspace_path"].as_str().unwrap()).to_owned();
    assert!(work.join("app/main").exists() && work.join("README.md").exists());
    assert!(!work.join("docs").exists() && !work.join("vendor").exists());
    assert_eq!(world.session(&id)["changes"]["files"], 0);
    let killed = world.json(&["kill", &id]);
    assert_eq!((&killed["workspace"], &killed["branch"]), (&"removed".into(), &"deleted".into()));

    world.ok(&["stop"]);
    fs::write(&config, "[projects.hello]\nsparse = ['app/main']\n").unwrap();
    world.ok(&["start"]);
    let refused = world.refused(&["spawn", "--project", "hello", "--", "sleep", "600"]);
    assert_eq!((refused.code.as_str(), refused.exit), ("SPARSE_INVALID", 1));
    let expected = "`sparse` names `app/main`, which is a file, not a directory";
    assert!(refused.message.contains(expected), "{refused:?}");
    assert_eq!(world.worktrees().len(), 1);
}

#[test]
fn a_command_that_fails_is_named_with_its_status_and_its_last_lines() {
    let world = world("echo looking; echo 'no lockfile' >&2; exit 7");
    let refused = world.refused(&["spawn", "--project", "hello", "--", "sleep", "600"]);
    assert_eq!((refused.code.as_str(), refused.exit), ("SPAWN_FAILED", 1));
    for part in ["POST_CREATE_FAILED", "ended with status 7", "looking no lockfile"] {
        assert!(refused.message.contains(part), "{part}: {}", refused.message);
    }
    let sessions = world.json(&["ls", "--all"]);
    let session = &sessions.as_array().unwrap()[0];
    assert_eq!(session["lifecycle"]["session"]["reason"], "spawn_failed");
    let id = session["id"].as_str().unwrap();
    assert!(world.ok(&["logs", id, "--setup"]).contains("no lockfile"));
    assert!(world.ok(&["explain", id]).contains("POST_CREATE_FAILED"));
    assert_eq!(world.worktrees().len(), 1, "it is unwound");
}

#[test]
fn what_a_failed_command_wrote_is_not_lost() {
    let world = world("echo work > generated.rs; exit 1");
    let refused = world.refused(&["spawn", "--project", "hello", "--", "sleep", "600"]);
    assert_eq!(refused.code, "SPAWN_FAILED");
    let sessions = world.json(&["ls", "--all"]);
    let path = sessions.as_array().unwrap()[0]["workspace_path"].as_str().unwrap().to_owned();
    let written = std::path::Path::new(&path).join("generated.rs");
    assert_eq!(fs::read_to_string(written).unwrap(), "work\n");
}

#[test]
fn a_command_that_a_killed_daemon_left_is_ended_and_run_again() {
    let world = World::new();
    let place = world.path("");
    let script = format!(
        "echo $$ >> {0}/begun; [ $(wc -l < {0}/begun) -gt 1 ] || exec sleep 600",
        place.display()
    );
    fs::write(
        world.home().join("config.toml"),
        format!("[defaults]\npost_create = ['''{script}''']\n"),
    )
    .unwrap();
    world.start();
    let args = ["spawn", "--project", "hello", "--no-wait", "--", "sleep", "600"];
    let id = world.ok(&args).trim().to_owned();
    let begun = || fs::read_to_string(world.path("begun")).unwrap_or_default();
    wait_until("the command runs", || begun().lines().count() == 1);
    assert_eq!(world.session(&id)["phase"], "provision");
    world.crash();
    world.ok(&["start"]);
    wait_until("the agent runs", || world.session(&id)["phase"] == "running");
    assert_eq!(begun().lines().count(), 2);
    let first: i32 = begun().lines().next().unwrap().parse().unwrap();
    let first = rustix::process::Pid::from_raw(first).unwrap();
    assert!(!super::world::is_running(first), "the command of the killed daemon goes on");
}

#[test]
fn a_kill_ends_a_command_that_hangs() {
    let world = world("exec sleep 600");
    let args = ["spawn", "--project", "hello", "--no-wait", "--", "sleep", "600"];
    let id = world.ok(&args).trim().to_owned();
    wait_until("the command runs", || world.session(&id)["phase"] == "provision");
    let killed = world.json(&["kill", &id]);
    assert_eq!(killed["workspace"], "removed");
    assert_eq!(world.worktrees().len(), 1);
}

#[test]
fn a_path_outside_of_the_repository_is_a_mistake_of_the_configuration() {
    let world = World::new();
    let text = "[projects.hello]\ncopy = ['../secrets']\n";
    fs::write(world.home().join("config.toml"), text).unwrap();
    let checked = world.ao(&["config", "check"]);
    assert!(!checked.status.success());
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(told.contains("no path inside the repository"), "{told}");
}
