//! The store over a real database.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod closing;
mod contract;
mod crash;
mod equality;
mod fencing;
mod fossils;

mod opening;
mod retention;

use std::path::{Path, PathBuf};

use ao_store::{DataLock, OpenError, Options, SqliteStore};

fn path_in(dir: &Path) -> PathBuf {
    dir.join("ao.db")
}

fn try_open(dir: &Path, options: Options) -> Result<SqliteStore, OpenError> {
    SqliteStore::open_with(DataLock::acquire(dir).unwrap(), &path_in(dir), options)
}

/// The store of a directory.
fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(DataLock::acquire(dir).unwrap(), &path_in(dir)).unwrap()
}
