//! A home whose database is lost: the way out that is printed brings every live session back, loses
//! no work, and touches nothing of anybody else's.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::world::{World, git, is_running, tmux, wait_until};

/// Writes down what is typed, and says that it is idle when it is asked to with a signal.
const LISTENER: &str = "trap 'ao report idle' USR1; ao report active; \
     while :; do if read -r line; then echo \"$line\" >> \"$1/heard\"; fi; done";

/// What an adopted session has in common with what it was.
const LASTING: [&str; 10] = [
    "id",
    "project",
    "agent",
    "kind",
    "branch",
    "base",
    "base_sha",
    "workspace_path",
    "handle",
    "created_at",
];

fn lasting(session: &Value) -> Vec<Value> {
    assert!(session["handle"]["pid"].is_number(), "{session:#}");
    LASTING.iter().map(|key| session[*key].clone()).collect()
}

fn database(world: &World, suffix: &str) -> PathBuf {
    world.home().join(format!("ao.db{suffix}"))
}

/// What the hint says: the file and its companions are moved aside.
fn move_aside(world: &World) {
    for suffix in ["", "-wal", "-shm"] {
        let (from, to) = (database(world, suffix), world.path(&format!("aside{suffix}")));
        match fs::rename(&from, &to) {
            Ok(()) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{suffix}"),
        }
    }
}

/// What `ao doctor` says of what no record accounts for.
fn leftovers(world: &World) -> Vec<String> {
    let report = world.json(&["doctor"]);
    let checks = report["checks"].as_array().unwrap().iter();
    let left = checks.filter(|it| it["name"] == "leftovers" && it["state"] != "ok");
    left.map(|it| {
        assert_eq!(it["state"], "warning", "{it:#}");
        format!("{} | {}", it["detail"].as_str().unwrap(), it["hint"].as_str().unwrap())
    })
    .collect()
}

fn end(pid: Pid) {
    kill_process(pid, Signal::KILL).unwrap();
    wait_until("it is dead", || !is_running(pid));
}

/// The directory of the launch files of a session.
fn launch_dir(world: &World, session: &Value) -> PathBuf {
    let id = session["id"].as_str().unwrap();
    let dirs = fs::read_dir(world.home().join("launches")).unwrap();
    let is_of = |dir: &PathBuf| {
        let text = fs::read_to_string(dir.join("launch.json")).unwrap_or_default();
        serde_json::from_str::<Value>(&text).is_ok_and(|file| file["session"] == id)
    };
    dirs.map(|entry| entry.unwrap().path()).find(is_of).unwrap()
}

/// Whether a signal of a session waits for a daemon.
fn waits_in_spool(world: &World, id: &str) -> bool {
    let files = fs::read_dir(world.home().join("spool").join(id));
    let mut names = files.into_iter().flatten().map(|file| file.unwrap().file_name());
    names.any(|name| name.to_string_lossy().ends_with(".json"))
}

#[test]
fn a_corrupt_database_that_is_moved_away_brings_every_live_session_back() {
    let world = World::started();
    let names = ["one", "two", "three", "four"];
    let ids = names.map(|name| world.spawn(name, LISTENER));
    let before = ids.each_ref().map(|id| world.wait_for(id, "working"));
    let pids = ids.each_ref().map(|id| world.pid(id));
    let dirty = PathBuf::from(before[3]["workspace_path"].as_str().unwrap());
    fs::write(dirty.join("notes.txt"), "precious\n").unwrap();
    // On the server of these sessions, and none of them.
    let made = tmux(&before[0], &["new-session", "-d", "-s", "hello-9", "sleep", "600"]);
    assert!(made.status.success(), "{made:?}");
    let strangers_pid = || {
        let args = ["display-message", "-p", "-t", "=hello-9:", "#{pane_pid}"];
        String::from_utf8(tmux(&before[0], &args).stdout).unwrap().trim().to_owned()
    };
    let stranger = strangers_pid();

    world.ok(&["stop"]);
    end(pids[3]);
    // What an agent says meanwhile waits for a session that nobody knows when the daemon starts.
    kill_process(pids[2], Signal::USR1).unwrap();
    wait_until("it waits in the spool", || waits_in_spool(&world, &ids[2]));
    let file = fs::OpenOptions::new().write(true).open(database(&world, "")).unwrap();
    file.write_all_at(&[0xa5; 8192], 0).unwrap();
    let refused = world.refused(&["start"]);
    assert_eq!((refused.exit, refused.code.as_str()), (1, "DATABASE_DAMAGED"), "{refused:?}");
    for said in ["move the file and its `-wal` and `-shm` companions aside", "are adopted"] {
        assert!(refused.hint.contains(said), "{refused:?}");
    }
    assert!(refused.message.contains("ao.db"), "{refused:?}");
    move_aside(&world);
    world.ok(&["start"]);

    // The three are back as they were, the fourth is not.
    let listed = world.json(&["ls", "--all"]);
    assert_eq!(listed.as_array().unwrap().len(), 3, "{listed:#}");
    for (id, before) in ids[..3].iter().zip(&before) {
        assert_eq!(lasting(&world.session(id)), lasting(before));
        let story = world.ok(&["explain", id]);
        assert!(story.contains("adopted"), "{story}");
    }
    assert!(pids[..3].iter().all(|pid| is_running(*pid)));
    let events = world.ok(&["events", "--after", "0", "--json"]);
    assert_eq!(events.matches("\"not_started/adopted\"").count(), 3, "{events}");
    world.wait_for(&ids[2], "idle");
    // Their hooks are heard, and what is sent arrives.
    kill_process(pids[0], Signal::USR1).unwrap();
    world.wait_for(&ids[0], "idle");
    world.ok(&["send", &ids[0], "are you there", "--wait", "typed"]);
    wait_until("it was heard", || {
        fs::read_to_string(world.path("heard")).is_ok_and(|text| text == "are you there\n")
    });
    // A kill leaves nothing of one that held no work.
    world.ok(&["kill", &ids[1]]);
    assert!(!is_running(pids[1]));
    assert!(!PathBuf::from(before[1]["workspace_path"].as_str().unwrap()).exists());
    // One that dies is seen, and restored.
    end(pids[2]);
    world.wait_for(&ids[2], "errored");
    world.ok(&["restore", &ids[2]]);
    world.wait_for(&ids[2], "working");

    wait_until("what is left was looked through", || leftovers(&world).len() == 1);
    let left = leftovers(&world);
    assert!(left[0].contains("session hello-4") && left[0].contains("`notes.txt`"), "{left:?}");
    assert!(left[0].contains(dirty.to_str().unwrap()), "{left:?}");
    assert_eq!(fs::read_to_string(dirty.join("notes.txt")).unwrap(), "precious\n");
    assert_eq!(strangers_pid(), stranger);
    assert_eq!(world.spawn("five", "exec sleep 600"), "hello-5");

    // The way out that is told for the fourth works.
    git(&dirty, &["add", "."]);
    git(&dirty, &["-c", "user.name=w", "-c", "user.email=w@e", "commit", "--quiet", "-m", "notes"]);
    git(&world.repo(), &["merge", "--quiet", "--ff-only", "ao/hello-4"]);
    world.ok(&["stop"]);
    world.ok(&["start"]);
    wait_until("nothing is left without a record", || leftovers(&world).is_empty());
    assert!(!dirty.exists());
    assert_eq!(fs::read_to_string(world.repo().join("notes.txt")).unwrap(), "precious\n");
    assert_eq!(strangers_pid(), stranger);
    let ended = tmux(&before[0], &["kill-session", "-t", "=hello-9"]);
    assert!(ended.status.success(), "{ended:?}");
}

/// A copy of the database of before is put in its place.
#[test]
fn a_copy_of_an_older_database_ends_nothing_that_was_started_since() {
    let world = World::started();
    let killed = world.spawn("killed", LISTENER);
    let running = world.spawn("running", LISTENER);
    for id in [&killed, &running] {
        world.wait_for(id, "working");
    }
    world.ok(&["kill", &killed]);
    world.ok(&["stop"]);
    let copy = fs::read(database(&world, "")).unwrap();
    world.ok(&["start"]);
    world.ok(&["restore", &killed]);
    end(world.pid(&running));
    world.wait_for(&running, "errored");
    world.ok(&["restore", &running]);
    let later = world.spawn("later", LISTENER);
    let ids = [&killed, &running, &later];
    let before = ids.map(|id| lasting(&world.wait_for(id, "working")));
    let pids = ids.map(|id| world.pid(id));
    world.ok(&["stop"]);
    move_aside(&world);
    fs::write(database(&world, ""), copy).unwrap();
    for _ in 0..2 {
        world.ok(&["start"]);
        for (id, before) in ids.iter().zip(&before) {
            assert_eq!(lasting(&world.wait_for(id, "working")), *before);
        }
        assert!(pids.iter().all(|pid| is_running(*pid)));
        assert_eq!(leftovers(&world), [""; 0]);
        world.ok(&["stop"]);
    }
    world.ok(&["start"]);
    let events = world.ok(&["events", "--after", "0", "--json"]);
    assert_eq!(events.matches("\"not_started/adopted\"").count(), 3, "{events}");
    assert_eq!(world.spawn("next", "exec sleep 600"), "hello-4");
}

/// Each file that tells of a launch is damaged in turn; the agents are left alone, and told of.
#[test]
fn garbage_in_the_files_of_launches_ends_no_agent_and_no_daemon() {
    let world = World::started();
    let ids: Vec<String> =
        (0..6).map(|n| world.spawn(&format!("n{n}"), "ao report active; exec sleep 600")).collect();
    let sessions: Vec<Value> = ids.iter().map(|id| world.wait_for(id, "working")).collect();
    let pids: Vec<Pid> = ids.iter().map(|id| world.pid(id)).collect();
    world.ok(&["stop"]);
    let dirs: Vec<PathBuf> = sessions.iter().map(|it| launch_dir(&world, it)).collect();
    let file = |n: usize| dirs[n].join("launch.json");
    let half = fs::read(file(1)).unwrap();
    fs::write(file(0), b"\xff\xfe\x00garbage").unwrap();
    fs::write(file(1), &half[..half.len() / 2]).unwrap();
    fs::remove_dir_all(&dirs[2]).unwrap();
    fs::write(dirs[3].join("started"), "not a number\n").unwrap();
    let mut older: Value = serde_json::from_str(&fs::read_to_string(file(4)).unwrap()).unwrap();
    older.as_object_mut().unwrap().remove("origin");
    fs::write(file(4), older.to_string()).unwrap();
    let launches = world.home().join("launches");
    fs::write(launches.join("a file"), "no directory").unwrap();
    fs::create_dir(launches.join("empty")).unwrap();
    std::os::unix::fs::symlink("/", launches.join("link")).unwrap();
    move_aside(&world);
    for _ in 0..2 {
        world.ok(&["start"]);
        let listed = world.json(&["ls", "--all"]);
        let listed: Vec<_> = listed.as_array().unwrap().iter().map(|it| &it["id"]).collect();
        assert_eq!(listed, [&sessions[5]["id"]], "only the whole one");
        wait_until("what is left was looked through", || leftovers(&world).len() == 5);
        assert!(pids.iter().all(|pid| is_running(*pid)), "an agent was ended");
        for session in &sessions {
            let path = PathBuf::from(session["workspace_path"].as_str().unwrap());
            assert!(path.join("README.md").exists(), "{session:#}");
        }
        world.ok(&["stop"]);
    }
    let inbox_told = || {
        let inbox = world.json(&["inbox", "--all"]);
        let told = inbox.as_array().unwrap().iter();
        told.filter(|it| it.to_string().contains("could not be adopted")).count()
    };
    world.ok(&["start"]);
    wait_until("a human was told", || inbox_told() > 0);
    assert_eq!(inbox_told(), 1, "once, however often it starts");
    assert!(std::path::Path::new("/etc").exists());
    for pid in pids {
        kill_process(pid, Signal::KILL).unwrap_or_default();
    }
}

/// The home is made anew at the same place: what runs there is another home's.
#[test]
fn a_new_home_at_the_place_of_another_touches_nothing_of_it() {
    let world = World::started();
    let id = world.spawn("one", "ao report active; exec sleep 600");
    let session = world.wait_for(&id, "working");
    let pid = world.pid(&id);
    world.ok(&["stop"]);
    move_aside(&world);
    fs::remove_file(world.home().join("home-id")).unwrap();
    world.ok(&["start"]);
    assert_eq!(world.json(&["ls", "--all"]).as_array().unwrap().len(), 0);
    let told = || leftovers(&world).iter().any(|it| it.contains("mark of this home"));
    wait_until("it is told", told);
    world.ok(&["project", "add", world.repo().to_str().unwrap(), "--id", "hello"]);
    let path = PathBuf::from(session["workspace_path"].as_str().unwrap());
    world.ok(&["stop"]);
    world.ok(&["start"]);
    wait_until("it is told again", told);
    assert!(is_running(pid) && path.join("README.md").exists());
    kill_process(pid, Signal::KILL).unwrap();
}
