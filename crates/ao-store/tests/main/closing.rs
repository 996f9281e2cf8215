//! What a clean end leaves, and what is answered after it.

use std::thread;

use ao_core::ids::Revision;
use ao_core::ports::{
    ChangeFeed as _, Commit, Expected, SessionFilter, SessionStore as _, StoreError,
};
use ao_store::{DataLock, LockError};
use ao_testkit::contract::store::sample::{ended, moment, seed, seeding, session_id};
use ao_testkit::contract::store::wait;

use crate::open;

#[test]
fn what_was_acknowledged_is_there_after_a_drop() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 1..=20 {
        wait(store.commit(seeding(seed(&format!("app-{n}"))))).unwrap();
    }
    let all = SessionFilter { project: None, with_terminal: true };
    let before = wait(store.list(&all)).unwrap();
    assert_eq!(before.len(), 20);
    drop(store);
    assert_eq!(wait(open(dir.path()).list(&all)).unwrap(), before);
}

#[test]
fn a_clean_end_leaves_one_file_and_frees_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    wait(store.commit(seeding(seed("app-1")))).unwrap();
    let held = DataLock::acquire(dir.path()).unwrap_err();
    assert!(matches!(held, LockError::Held { .. }), "{held:?}");
    store.close().unwrap();
    let mut names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["ao.db", DataLock::FILE_NAME]);
    drop(DataLock::acquire(dir.path()).unwrap());
    // Closing twice does nothing.
    store.close().unwrap();
}

#[test]
fn a_closed_store_says_so_and_keeps_nobody_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let closed = StoreError::Unavailable { message: "the store is closed".to_owned() };
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(store.wait_after(0)));
        store.close().unwrap();
        assert_eq!(waiter.join().unwrap(), Err(closed.clone()));
    });
    assert_eq!(wait(store.commit(seeding(seed("app-1")))), Err(closed.clone()));
    assert_eq!(wait(store.get(&session_id("app-1"))), Err(closed));
}

#[test]
fn writes_that_were_queued_before_the_end_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let results: Vec<_> = thread::scope(|scope| {
        let writers: Vec<_> = (0..16)
            .map(|n| {
                let store = &store;
                scope.spawn(move || {
                    let name = format!("app-{n}");
                    (name.clone(), wait(store.commit(seeding(seed(&name)))))
                })
            })
            .collect();
        store.close().unwrap();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    drop(store);
    let store = open(dir.path());
    for (name, result) in results {
        let found = wait(store.get(&session_id(&name))).unwrap();
        assert_eq!(found.is_some(), result == Ok(Revision(1)), "{name}: {result:?}");
    }
}

#[test]
fn a_caller_that_goes_away_has_its_commit_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut commit = store.commit(seeding(seed("app-1")));
    // Polled once, it is in the queue; what it says then does not matter.
    let _said = commit.as_mut().poll(&mut context);
    drop(commit);
    wait(store.wait_after(0)).unwrap();
    assert!(wait(store.get(&session_id("app-1"))).unwrap().is_some());
}

#[test]
fn positions_are_never_given_out_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut heads = Vec::new();
    for n in 1..=3 {
        let store = open(dir.path());
        wait(store.commit(seeding(seed(&format!("app-{n}"))))).unwrap();
        heads.push(wait(store.head()).unwrap());
        let id = session_id(&format!("app-{n}"));
        let next = Some(ended(seed(id.as_str())));
        let expected = Expected::Revision(Revision(1));
        let commit = Commit { next, ..Commit::on(id.clone(), expected, moment(9)) };
        wait(store.commit(commit)).unwrap();
        wait(store.remove(&id)).unwrap();
        store.close().unwrap();
    }
    // Each life of a session is created, changed, updated and removed.
    assert_eq!(heads, [1, 5, 9]);
}

#[test]
fn an_old_head_is_known_to_who_waits_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    wait(store.commit(seeding(seed("app-1")))).unwrap();
    store.close().unwrap();
    let store = open(dir.path());
    wait(store.wait_after(0)).unwrap();
    let head = wait(store.head()).unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(store.wait_after(head)));
        wait(store.commit(seeding(seed("app-2")))).unwrap();
        waiter.join().unwrap().unwrap();
    });
    assert_eq!(wait(store.head()).unwrap(), head + 1);
}
