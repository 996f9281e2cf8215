//! A kill ends everything of a session and loses nothing of its work.

use std::fs;
use std::path::PathBuf;

use super::world::{World, git, is_running, pid_in};

const WORKER: &str = "ao report active; exec sleep 600";

fn workspace(world: &World, id: &str) -> PathBuf {
    PathBuf::from(world.session(id)["workspace_path"].as_str().unwrap())
}

#[test]
fn a_kill_leaves_no_child_wherever_it_moved_to() {
    let world = World::started();
    let id = world.spawn(
        "parent",
        "setsid sleep 600 & echo $! > \"$1/grouped\"; \
         setsid setsid bash -c 'echo $$ > \"$0/orphan\"; trap \"\" HUP TERM; while :; do sleep 1; done' \"$1\" & disown; \
         (setsid nohup sleep 601 > /dev/null 2>&1 & echo $! > \"$1/forked\"); \
         env -i setsid sleep 602 & echo $! > \"$1/stripped\"; \
         ao report active; exec sleep 600",
    );
    let names = ["grouped", "orphan", "forked", "stripped"];
    let children = names.map(|name| pid_in(&world.path(name)));
    assert!(children.iter().all(|pid| is_running(*pid)));
    world.ok(&["kill", &id]);
    for (name, pid) in names.iter().zip(children) {
        assert!(!is_running(pid), "{name} survived");
    }
}

#[test]
fn a_kill_of_a_clean_session_removes_its_worktree_and_its_empty_branch() {
    let world = World::started();
    let id = world.spawn("clean", WORKER);
    let (path, branch) = (workspace(&world, &id), world.session(&id)["branch"].clone());
    let killed = world.json(&["kill", &id]);
    assert_eq!(killed["workspace"], "removed", "{killed:#}");
    assert_eq!(killed["branch"], "deleted", "{killed:#}");
    assert!(!path.exists());
    assert_eq!(world.worktrees().len(), 1);
    assert_eq!(git(&world.repo(), &["branch", "--list", branch.as_str().unwrap()]), "");
}

#[test]
fn a_kill_keeps_the_branch_of_committed_work() {
    let world = World::started();
    let script = "echo a > a; git add a; git commit -qm a; ao report idle; exec sleep 600";
    let id = world.spawn("committed", script);
    let branch = world.wait_for(&id, "idle")["branch"].as_str().unwrap().to_owned();
    let killed = world.json(&["kill", &id]);
    assert_eq!((&killed["workspace"], &killed["branch"]), (&"removed".into(), &"kept".into()));
    assert_eq!(git(&world.repo(), &["show", &format!("{branch}:a")]), "a\n");
}

#[test]
fn uncommitted_work_survives_a_kill_byte_for_byte() {
    let world = World::started();
    let id = world.spawn(
        "dirty",
        "printf 'changed\\0bytes' > README.md; mkdir deep; echo new > deep/untracked; \
         echo staged > staged; git add staged; ao report idle; exec sleep 600",
    );
    world.wait_for(&id, "idle");
    let path = workspace(&world, &id);
    let killed = world.json(&["kill", &id]);
    assert_eq!(killed["workspace"], "kept");
    assert!(killed["reason"].is_string(), "{killed:#}");
    assert_eq!(fs::read(path.join("README.md")).unwrap(), b"changed\0bytes");
    assert_eq!(fs::read(path.join("deep/untracked")).unwrap(), b"new\n");
    assert_eq!(git(&path, &["diff", "--cached", "--name-only"]), "staged\n");
    assert_eq!(world.json(&["kill", &id])["workspace"], "kept", "the second kill says the same");
}

#[test]
fn a_locked_worktree_survives_a_kill_byte_for_byte() {
    let world = World::started();
    let id = world.spawn("locked", WORKER);
    let path = workspace(&world, &id);
    git(&world.repo(), &["worktree", "lock", "--reason", "mine", path.to_str().unwrap()]);
    let killed = world.json(&["kill", &id]);
    assert_eq!(killed["workspace"], "kept", "{killed:#}");
    assert_eq!(fs::read(path.join("README.md")).unwrap(), b"hello\n");
    assert!(git(&path, &["status", "--porcelain"]).is_empty());
    let listed = git(&world.repo(), &["worktree", "list", "--porcelain"]);
    assert!(listed.contains("locked mine"), "{listed}");
}

#[test]
fn a_kill_touches_nothing_that_was_there_before() {
    let world = World::started();
    let theirs = world.path("theirs");
    git(&world.repo(), &["worktree", "add", "-q", "-b", "theirs", theirs.to_str().unwrap()]);
    let id = world.spawn("ours", WORKER);
    world.ok(&["kill", &id]);
    assert_eq!(world.worktrees().len(), 2);
    assert!(theirs.join("README.md").exists());
    assert!(git(&world.repo(), &["branch", "--list", "theirs"]).contains("theirs"));
}

#[test]
fn a_branch_that_was_there_before_the_session_outlives_it() {
    let world = World::started();
    git(&world.repo(), &["branch", "feature"]);
    let args = ["spawn", "--project", "hello", "--branch", "feature", "--", "sleep", "600"];
    let id = world.ok(&args).trim().to_owned();
    assert_eq!(world.session(&id)["branch"], "feature");
    assert_eq!(world.json(&["kill", &id])["branch"], "kept");
    assert!(git(&world.repo(), &["branch", "--list", "feature"]).contains("feature"));
}

#[test]
fn a_kill_can_be_repeated() {
    let world = World::started();
    let id = world.spawn("twice", WORKER);
    let first = world.json(&["kill", &id]);
    assert_eq!(world.json(&["kill", &id]), first);
    world.wait_for(&id, "killed");
}
