//! The store over a real database.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod contract;

use std::path::Path;

use ao_store::{DataLock, Options, SqliteStore};

/// The store of a directory.
fn open(dir: &Path) -> SqliteStore {
    open_with(dir, Options::default())
}

fn open_with(dir: &Path, options: Options) -> SqliteStore {
    let lock = DataLock::acquire(dir).unwrap();
    SqliteStore::open_with(lock, &dir.join("ao.db"), options).unwrap()
}
