//! Databases that are refused, and how.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use ao_core::ports::{Commit, Expected, Projects as _, SessionStore as _};
use ao_store::{OpenError, Options};
use ao_testkit::contract::store::sample::{moment, project, rich, seed, seeding, session_id};
use ao_testkit::contract::store::wait;
use rusqlite::Connection;

use crate::{open, path_in, try_open};

fn refusal(dir: &Path) -> OpenError {
    match try_open(dir, Options::default()) {
        Ok(_store) => panic!("the database was opened"),
        Err(error) => error,
    }
}

/// Closes a store with one session in it.
fn closed_store(dir: &Path) {
    let store = open(dir);
    wait(store.commit(seeding(seed("app-1")))).unwrap();
    store.close().unwrap();
}

#[test]
fn a_database_from_the_future_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    closed_store(dir.path());
    let path = path_in(dir.path());
    let future = Connection::open(&path).unwrap();
    future.pragma_update(None, "user_version", 99).unwrap();
    drop(future);
    let before = fs::read(&path).unwrap();
    let error = refusal(dir.path());
    assert!(
        matches!(&error, OpenError::FromTheFuture { found: 99, supported: 3, .. }),
        "{error:?}"
    );
    let expected =
        format!("database `{}` has schema 99, this program knows schemas up to 3", path.display());
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().contains("newer"), "{}", error.hint());
    assert!(fs::read(&path).unwrap() == before, "the database was touched");
}

#[test]
fn a_database_of_another_program_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = path_in(dir.path());
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
    drop(other);
    let before = fs::read(&path).unwrap();
    let error = refusal(dir.path());
    assert!(matches!(&error, OpenError::NotOurs { .. }), "{error:?}");
    assert!(fs::read(&path).unwrap() == before, "the database was touched");
}

#[test]
fn a_file_that_is_no_database_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = path_in(dir.path());
    fs::write(&path, "dear diary, ".repeat(1_000)).unwrap();
    let error = refusal(dir.path());
    assert!(matches!(&error, OpenError::Corrupt { .. }), "{error:?}");
    assert!(error.hint().contains("aside"), "{}", error.hint());
    assert_eq!(fs::read_to_string(&path).unwrap(), "dear diary, ".repeat(1_000));
}

#[test]
fn a_damaged_file_is_refused_however_it_was_closed() {
    let dir = tempfile::tempdir().unwrap();
    closed_store(dir.path());
    let path = path_in(dir.path());
    // Keep the header and the schema, spoil the rest.
    let length = fs::metadata(&path).unwrap().len();
    let mut file = File::options().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(3 * 4096)).unwrap();
    let n_bytes = usize::try_from(length).unwrap() - 3 * 4096;
    file.write_all(&vec![0xa5; n_bytes]).unwrap();
    let refused = || {
        let error = refusal(dir.path());
        assert!(matches!(&error, OpenError::Corrupt { .. }), "{error:?}");
        assert!(!error.to_string().contains('\n'), "{error}");
    };
    refused();
    // What an unclean end leaves behind.
    fs::write(dir.path().join("ao.db-wal"), [0_u8; 32]).unwrap();
    refused();
}

#[test]
fn an_empty_file_becomes_a_database() {
    let dir = tempfile::tempdir().unwrap();
    File::create(path_in(dir.path())).unwrap();
    closed_store(dir.path());
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let lock = ao_store::DataLock::acquire(dir.path()).unwrap();
    let path = dir.path().join("missing/ao.db");
    let error = match ao_store::SqliteStore::open(lock, &path) {
        Ok(_store) => panic!("the database was opened"),
        Err(error) => error,
    };
    assert!(matches!(&error, OpenError::Unwritable { .. }), "{error:?}");
    assert!(error.to_string().contains("missing/ao.db"), "{error}");
}

#[test]
fn a_path_that_is_a_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(path_in(dir.path())).unwrap();
    let error = refusal(dir.path());
    assert!(matches!(&error, OpenError::Unwritable { .. }), "{error:?}");
}

#[test]
fn a_disk_that_is_full_at_the_start_is_said_to_be_full() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { n_pages_max: Some(5), ..Options::default() };
    let error = match try_open(dir.path(), options) {
        Ok(_store) => panic!("the database was opened"),
        Err(error) => error,
    };
    assert!(matches!(&error, OpenError::Full { .. }), "{error:?}");
    // Half a schema is no schema: with space it starts from nothing.
    closed_store(dir.path());
}

#[test]
fn a_file_that_another_program_has_locked_is_waited_for_and_then_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = path_in(dir.path());
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let options = Options { busy_for: Duration::from_millis(1), ..Options::default() };
    let error = match try_open(dir.path(), options) {
        Ok(_store) => panic!("the database was opened"),
        Err(error) => error,
    };
    assert!(matches!(&error, OpenError::Unavailable { .. }), "{error:?}");
    drop(other);
    closed_store(dir.path());
}

#[test]
fn only_its_owner_can_read_what_sessions_were_asked() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    wait(store.commit(seeding(seed("app-1")))).unwrap();
    for name in ["ao.db", "ao.db-wal", "ao.db-shm", "daemon.lock"] {
        let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_value_that_is_not_understood_is_named_and_not_guessed() {
    let dir = tempfile::tempdir().unwrap();
    closed_store(dir.path());
    let spoiled = Connection::open(path_in(dir.path())).unwrap();
    let sql = r#"UPDATE sessions SET ledger = '{"open": 7}'"#;
    spoiled.execute_batch(sql).unwrap();
    drop(spoiled);
    let store = open(dir.path());
    let error = wait(store.get(&session_id("app-1"))).unwrap_err();
    let expected = "the database holds something unreadable: \
        column `ledger`: expected a list, found 7 at `open`";
    assert_eq!(error.to_string(), expected);
    // The rest of the store goes on.
    wait(store.add_project(project("app"))).unwrap();
    let expected = Expected::Revision(ao_core::ids::Revision(1));
    let commit = Commit {
        next: Some(rich("app-1")),
        ..Commit::on(session_id("app-1"), expected, moment(2))
    };
    wait(store.commit(commit)).unwrap();
    assert!(wait(store.get(&session_id("app-1"))).unwrap().is_some());
}
