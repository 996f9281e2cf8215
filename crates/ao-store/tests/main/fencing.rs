//! Writers that do not know of each other: one wins each revision, and nothing is lost.
//!
//! The lock of a data directory keeps a second store out. Two stores on one file are had by giving
//! the second one the lock of another directory: as if the lock had failed.

mod processes;
mod random;
mod rows;

use std::path::Path;
use std::thread;
use std::time::Duration;

use ao_core::ids::Revision;
use ao_core::ports::{Commit, Expected, SessionStore as _, StoreError};
use ao_store::{DataLock, LockError, SqliteStore};
use ao_testkit::contract::store::sample::{moment, seed, seeding, session_id};
use ao_testkit::contract::store::wait;

use crate::{open, path_in};

const WINS: u64 = 20;

/// What every win adds to what the session says.
const STEP: Duration = Duration::from_secs(1);

/// Writes one session until it has won so often; answers the revisions that it wrote.
fn write(store: &SqliteStore) -> Vec<Revision> {
    let id = session_id("app-1");
    let mut won = Vec::new();
    let mut n_lost = 0_u32;
    while u64::try_from(won.len()).unwrap() < WINS {
        let mut read = wait(store.get(&id)).unwrap().unwrap();
        let expected = Expected::Revision(read.lifecycle.revision);
        let mut commit = Commit::on(id.clone(), expected, moment(1));
        read.record.updated_at = read.record.updated_at.plus(STEP);
        commit.next = Some(read);
        match wait(store.commit(commit)) {
            Ok(revision) => won.push(revision),
            Err(StoreError::Conflict { .. }) => n_lost += 1,
            Err(error) => panic!("neither won nor lost: {error}"),
        }
        assert!(n_lost < 100_000, "one writer never wins");
    }
    won
}

/// Every revision was written by one writer, none was left out, and the last one stands.
#[track_caller]
fn check(mut won: Vec<Revision>, first: Revision, last: Revision) {
    let n = u64::try_from(won.len()).unwrap();
    won.sort_unstable();
    let expected: Vec<_> = (1..=n).map(|n| Revision(first.0 + n)).collect();
    assert_eq!(won, expected, "one wins per revision");
    assert_eq!(last, Revision(first.0 + n), "nothing is lost");
}

fn race(stores: &[&SqliteStore]) {
    let id = session_id("app-1");
    wait(stores[0].commit(seeding(seed("app-1")))).unwrap();
    let first = wait(stores[0].get(&id)).unwrap().unwrap();
    let won: Vec<Revision> = thread::scope(|scope| {
        let writers: Vec<_> =
            stores.iter().map(|&store| scope.spawn(move || write(store))).collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    let last = wait(stores[0].get(&id)).unwrap().unwrap();
    // A win over a revision that somebody else had written would undo what that one added.
    let n_won = u32::try_from(won.len()).unwrap();
    let expected = first.record.updated_at.plus(STEP.saturating_mul(n_won));
    assert_eq!(last.record.updated_at, expected, "every win counts");
    check(won, first.lifecycle.revision, last.lifecycle.revision);
}

#[test]
fn writers_of_one_store_win_one_revision_each() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    race(&[&store, &store, &store, &store]);
}

/// A further store on the file of `dir`, with the lock of another directory.
fn open_past_the_lock(dir: &Path, elsewhere: &Path) -> SqliteStore {
    let lock = DataLock::acquire(elsewhere).unwrap();
    SqliteStore::open(lock, &path_in(dir)).unwrap()
}

/// The lock of a data directory keeps a second store out; the revision holds where it does not.
#[test]
fn two_stores_on_one_file_win_one_revision_each() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let refused = DataLock::acquire(dir.path());
    assert!(matches!(refused, Err(LockError::Held { .. })), "{refused:?}");

    let elsewhere = tempfile::tempdir().unwrap();
    let other = open_past_the_lock(dir.path(), elsewhere.path());
    race(&[&store, &other]);
}
