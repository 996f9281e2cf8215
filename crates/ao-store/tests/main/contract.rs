//! The contract that the store shares with its fake.

use ao_store::{DataLock, Options, Retention, SqliteStore};
use ao_testkit::contract::store::{self, Stores};

use crate::{path_in, try_open};

fn keeping(n_events: usize) -> Options {
    let retention = Retention { events: n_events, ..Retention::default() };
    Options { retention, ..Options::default() }
}

#[test]
fn the_database_keeps_the_contract_of_a_store() {
    store::check(|n_events| {
        let dir = tempfile::tempdir().unwrap();
        Stores::over(try_open(dir.path(), keeping(n_events)).unwrap(), dir)
    });
}

#[test]
fn the_database_without_threads_keeps_the_contract_too() {
    store::check(|n_events| {
        let dir = tempfile::tempdir().unwrap();
        let lock = DataLock::acquire(dir.path()).unwrap();
        let options = keeping(n_events);
        let store = SqliteStore::open_inline(lock, &path_in(dir.path()), options).unwrap();
        Stores::over(store, dir)
    });
}
