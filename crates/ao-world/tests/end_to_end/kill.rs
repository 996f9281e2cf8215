//! A kill ends everything of a session and loses nothing of its work.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use ao_world::processes::with_variable;
use rustix::process::{Pid, Signal, kill_process};

use super::world::{World, git, is_running, pid_in, wait_until};

/// Children that hide from everything but a control group.
const STRAYS: usize = 200;

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

/// Starts an agent whose children dropped its environment, its terminal and their parents, and
/// ignore what can be ignored; the agent itself goes on, or ends.
fn with_strays(world: &World, then: &str) -> (String, Vec<Pid>) {
    let script = format!(
        "for n in $(seq {STRAYS}); do \
           (env -i setsid sh -c 'trap \"\" HUP TERM INT; echo $$ >> \"$0\"; exec sleep 600' \
             \"$1/strays\" > /dev/null 2>&1 &); \
         done; ao report active; {then}"
    );
    let id = world.spawn("parent", &script);
    let told = || fs::read_to_string(world.path("strays")).unwrap_or_default();
    wait_until("all of them run", || told().lines().count() == STRAYS);
    let strays: Vec<Pid> =
        told().lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect();
    wait_until("all of them ignore signals", || strays.iter().all(|pid| is_running(*pid)));
    (id, strays)
}

/// What a machine without control groups cannot find goes on; it says so, and ends it.
fn end_strays(strays: &[Pid]) {
    assert!(strays.iter().all(|pid| is_running(*pid)), "they are found without a group");
    drop(writeln!(std::io::stderr(), "skipped in part: no control groups on this machine"));
    for pid in strays {
        kill_process(*pid, Signal::KILL).unwrap_or_default();
    }
}

#[test]
fn a_kill_ends_two_hundred_children_that_nothing_leads_to() {
    let world = World::started();
    let groups = world.groups();
    let (id, strays) = with_strays(&world, "exec sleep 600");
    let agent = world.pid(&id);
    assert_eq!(groups.as_ref().is_some_and(|it| it.exists()), groups.is_some());
    assert_eq!(world.json(&["kill", &id])["workspace"], "removed");
    assert!(!is_running(agent));
    let Some(groups) = groups else { return end_strays(&strays) };
    assert!(!strays.iter().any(|pid| is_running(*pid)));
    assert!(!groups.exists(), "the last group takes the directory along");
}

#[test]
fn a_session_that_ended_by_itself_is_cleared_of_its_strays_by_its_restore() {
    let world = World::started();
    let groups = world.groups();
    let (id, strays) = with_strays(&world, "read -r line");
    let kept = world.spawn("other", WORKER);
    kill_process(world.pid(&id), Signal::KILL).unwrap();
    world.wait_for(&id, "errored");
    // Nobody asked for their end.
    assert!(strays.iter().all(|pid| is_running(*pid)));
    // A daemon that comes back takes away what is empty, and nothing else.
    world.crash();
    world.ok(&["start"]);
    assert!(strays.iter().all(|pid| is_running(*pid)));
    world.ok(&["restore", &id]);
    let Some(groups) = groups else { return end_strays(&strays) };
    assert!(!strays.iter().any(|pid| is_running(*pid)));
    assert_eq!(fs::read_dir(&groups).unwrap().flatten().filter(|it| it.path().is_dir()).count(), 2);
    world.ok(&["kill", &id]);
    world.ok(&["kill", &kept]);
    assert!(!groups.exists());
}

#[test]
fn neither_a_daemon_that_an_agent_started_nor_its_agents_end_with_it() {
    let world = World::started();
    let inner = World::new();
    // As an agent does that runs `ao` for a project of its own.
    let id = world.spawn(
        "outer",
        &format!("AO_HOME='{}' ao start; ao report active; exec sleep 600", inner.home().display()),
    );
    wait_until("the inner daemon is ready", || inner.ao(&["status"]).status.success());
    inner.ok(&["project", "add", inner.repo().to_str().unwrap(), "--id", "hello"]);
    let nested = inner.spawn("inner", WORKER);
    let (daemon, agent) = (inner.daemon_pid(), inner.pid(&nested));
    world.ok(&["kill", &id]);
    assert!(is_running(daemon) && is_running(agent));

    inner.ok(&["kill", &nested]);
    assert!(!is_running(agent));
}

#[test]
fn an_agent_that_kills_its_own_session_leaves_nothing() {
    let world = World::started();
    let id = world.spawn("own", "ao kill \"$AO_SESSION_ID\"; exec sleep 600");
    world.wait_for(&id, "killed");
    wait_until("it is put away", || world.session(&id)["phase"] == "ended");
    let mark = format!("AO_SESSION_ID={id}");
    // The one who asked is spared, and ends by itself.
    wait_until("nothing of it runs", || with_variable(&mark).is_empty());
    let groups = world.groups();
    world.crash();
    world.ok(&["start"]);
    assert!(groups.is_none_or(|it| !it.exists()));
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
