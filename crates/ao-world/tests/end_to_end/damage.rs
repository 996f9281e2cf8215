//! What a hand or a disk does to a home behind the daemon's back: told in one sentence, and the way
//! out that the hint names works.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use rustix::process::{Signal, kill_process};

use super::world::World;

fn database(world: &World) -> PathBuf {
    world.home().join("ao.db")
}

/// Spoils everything behind the header and the first page of the schema.
fn spoil(world: &World) {
    let file = fs::OpenOptions::new().write(true).open(database(world)).unwrap();
    let n_bytes = usize::try_from(file.metadata().unwrap().len()).unwrap() - 4096;
    file.write_all_at(&vec![0xa5; n_bytes], 4096).unwrap();
}

#[test]
fn a_daemon_that_was_just_killed_is_followed_at_once() {
    let world = World::started();
    let id = world.spawn("one", "exec sleep 600");
    for _ in 0..5 {
        // Not waited for: its lock is still held for some milliseconds.
        kill_process(world.daemon_pid(), Signal::KILL).unwrap();
        world.ok(&["start"]);
    }
    assert_eq!(world.session(&id)["status"], "working");
    world.ok(&["kill", &id]);
}

#[test]
fn a_damaged_database_is_refused_and_a_copy_of_it_is_taken() {
    let world = World::started();
    world.ok(&["stop"]);
    let copy = fs::read(database(&world)).unwrap();
    spoil(&world);
    let refused = world.refused(&["start"]);
    assert_eq!((refused.exit, refused.code.as_str()), (1, "DATABASE_DAMAGED"), "{refused:?}");
    assert!(!refused.message.contains('\n'), "{refused:?}");
    fs::write(database(&world), copy).unwrap();
    world.ok(&["start"]);
    assert_eq!(world.json(&["project", "ls"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_daemon_whose_database_breaks_under_it_can_be_stopped() {
    let world = World::started();
    // Everything is in the file now, and nothing in the log beside it.
    world.ok(&["stop"]);
    let copy = fs::read(database(&world)).unwrap();
    world.ok(&["start"]);
    spoil(&world);
    world.ok(&["stop"]);
    for companion in ["ao.db-wal", "ao.db-shm"] {
        drop(fs::remove_file(world.home().join(companion)));
    }
    fs::write(database(&world), copy).unwrap();
    world.ok(&["start"]);
    assert_eq!(world.json(&["project", "ls"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_worktree_that_vanished_is_not_one_without_changes() {
    let world = World::started();
    let id = world.spawn("one", "exec sleep 600");
    let worktree = world.ok(&["path", &id]).trim().to_owned();
    fs::remove_dir_all(&worktree).unwrap();
    let refused = world.refused(&["diff", &id]);
    assert_eq!((refused.exit, refused.code.as_str()), (3, "WORKTREE_GONE"), "{refused:?}");
    assert!(refused.message.contains(&worktree), "{refused:?}");
    assert_eq!(world.session(&id)["changes"], serde_json::Value::Null);
    assert_eq!(world.session(&id)["status"], "working");
    world.ok(&["kill", &id]);
    assert_eq!(world.worktrees().len(), 1, "its registration went with it");
}

#[test]
fn an_empty_id_is_malformed_and_not_a_route_of_another_version() {
    let world = World::started();
    for command in [["project", "show", ""], ["project", "rm", ""], ["show", "", "--json"]] {
        let output = world.ao(&command);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}

#[test]
fn an_id_is_repeated_on_one_line() {
    let world = World::started();
    let refused = world.refused(&["show", "two\nlines"]);
    assert_eq!((refused.exit, refused.code.as_str()), (3, "SESSION_UNKNOWN"), "{refused:?}");
    assert!(!refused.message.contains('\n'), "{refused:?}");
}
