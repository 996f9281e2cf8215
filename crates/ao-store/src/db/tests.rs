use std::fs;
use std::path::Path;
use std::time::Duration;

use ao_core::ids::{FactId, Revision};
use ao_core::message::MessageChange;
use ao_core::ports::{Commit, Expected, SessionFilter, StoreError};
use ao_testkit::contract::store::sample::{message, moment, rich, seed, seeding, session_id};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{Db, Job, Options};
use crate::lock::DataLock;
use crate::store::pending;
use crate::{read, write};

struct Fixture {
    db: Db,
    dir: TempDir,
}

fn fixture(options: Options) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path(), options);
    Fixture { db, dir }
}

fn open(dir: &Path, options: Options) -> Db {
    Db::open(DataLock::acquire(dir).unwrap(), &dir.join("ao.db"), options).unwrap()
}

type Replies = Vec<Result<Revision, StoreError>>;

/// Applies commits as one batch and returns what each caller was told.
fn apply(db: &mut Db, commits: Vec<Commit>) -> Replies {
    let pairs = commits.into_iter().map(|it| pending(move |tx| write::commit(tx, &it)));
    let (jobs, replies): (Vec<_>, Vec<_>) = pairs.unzip();
    settle(db, jobs);
    replies.into_iter().map(|mut reply| reply.try_recv().unwrap()).collect()
}

fn settle(db: &mut Db, mut jobs: Vec<Box<dyn Job>>) {
    let ended = db.apply(&mut jobs).map(drop);
    for job in jobs {
        job.settle(&ended);
    }
}

/// The sessions that are there, with their revisions.
fn sessions(db: &Db) -> Vec<String> {
    let filter = SessionFilter { project: None, with_terminal: true };
    let all = db.read(|conn| read::list(conn, &filter)).unwrap();
    all.iter().map(|it| format!("{} {}", it.record.id, it.lifecycle.revision)).collect()
}

fn head(db: &Db) -> u64 {
    db.read(read::head).unwrap()
}

#[test]
fn a_refused_commit_does_not_spoil_its_neighbours() {
    let Fixture { mut db, dir: _dir } = fixture(Options::default());
    let replies = apply(
        &mut db,
        vec![seeding(seed("app-1")), seeding(seed("app-1")), seeding(seed("app-2"))],
    );
    let refused = StoreError::Exists { what: "session `app-1`".to_owned() };
    assert_eq!(replies, [Ok(Revision(1)), Err(refused), Ok(Revision(1))]);
    assert_eq!(sessions(&db), ["app-1 1", "app-2 1"]);
    assert_eq!(head(&db), 2);
}

/// Its transaction is committed for the sake of the others, so only its savepoint takes it back.
#[test]
fn a_refused_commit_leaves_nothing_in_a_group_that_is_kept() {
    let Fixture { mut db, dir: _dir } = fixture(Options::default());
    let fact: FactId = "fact-1".parse().unwrap();
    // The fact is written before the revision is found to be another one.
    let on = |revision| Commit {
        fact: Some(fact.clone()),
        ..Commit::on(session_id("app-1"), Expected::Revision(Revision(revision)), moment(1))
    };
    let replies = apply(&mut db, vec![seeding(seed("app-1")), on(9), on(1)]);
    let (expected, found) = (Revision(9), Revision(1));
    let conflict = StoreError::Conflict { session: session_id("app-1"), expected, found };
    assert_eq!(replies, [Ok(Revision(1)), Err(conflict), Ok(Revision(1))]);
    assert_eq!(apply(&mut db, vec![on(1)]), [Err(StoreError::FactSeen { fact })]);
}

#[test]
fn commits_of_one_group_see_each_other() {
    let Fixture { mut db, dir: _dir } = fixture(Options::default());
    let on = |revision| Commit {
        next: Some(rich("app-1")),
        ..Commit::on(session_id("app-1"), Expected::Revision(Revision(revision)), moment(1))
    };
    let replies = apply(&mut db, vec![seeding(seed("app-1")), on(1), on(1), on(2)]);
    let (expected, found) = (Revision(1), Revision(2));
    let conflict = StoreError::Conflict { session: session_id("app-1"), expected, found };
    assert_eq!(replies, [Ok(Revision(1)), Ok(Revision(2)), Err(conflict), Ok(Revision(3))]);
}

#[test]
fn a_write_that_panics_leaves_nothing_and_its_neighbours_alone() {
    let Fixture { mut db, dir: _dir } = fixture(Options::default());
    let (first, mut first_reply) = pending(|tx| write::commit(tx, &seeding(seed("app-1"))));
    let (second, mut second_reply) = pending::<Revision>(|tx| {
        write::commit(tx, &seeding(seed("app-2"))).unwrap();
        panic!("a fault in this program");
    });
    let (third, mut third_reply) = pending(|tx| write::commit(tx, &seeding(seed("app-3"))));
    settle(&mut db, vec![first, second, third]);
    assert_eq!(first_reply.try_recv().unwrap(), Ok(Revision(1)));
    let told = second_reply.try_recv().unwrap();
    assert!(matches!(told, Err(StoreError::Unavailable { .. })), "{told:?}");
    assert_eq!(third_reply.try_recv().unwrap(), Ok(Revision(1)));
    assert_eq!(sessions(&db), ["app-1 1", "app-3 1"]);
}

#[test]
fn a_group_that_cannot_be_written_answers_nobody_with_success() {
    let options = Options { busy_for: Duration::ZERO, ..Options::default() };
    let Fixture { mut db, dir } = fixture(options);
    let other = Connection::open(dir.path().join("ao.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let group = || vec![seeding(seed("app-1")), seeding(seed("app-1"))];
    for reply in apply(&mut db, group()) {
        // Not even the refusal counts: it rests on what was not written.
        assert!(matches!(reply, Err(StoreError::Unavailable { .. })), "{reply:?}");
    }
    assert_eq!(sessions(&db), Vec::<String>::new());
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(apply(&mut db, group()).first(), Some(&Ok(Revision(1))));
}

#[test]
fn a_transaction_that_sqlite_ends_answers_nobody_with_what_it_did() {
    let Fixture { mut db, dir: _dir } = fixture(Options::default());
    let (first, mut first_reply) = pending(|tx| write::commit(tx, &seeding(seed("app-1"))));
    let (refused, mut refused_reply) = pending(|tx| write::commit(tx, &seeding(seed("app-1"))));
    // What SQLite does on its own when it cannot go on.
    let (ending, _ending_reply) =
        pending(|tx| tx.conn.execute_batch("ROLLBACK").map_err(crate::error::of_sqlite));
    settle(&mut db, vec![first, refused, ending]);
    for reply in [first_reply.try_recv().unwrap(), refused_reply.try_recv().unwrap()] {
        assert!(matches!(reply, Err(StoreError::Unavailable { .. })), "{reply:?}");
    }
    assert_eq!(sessions(&db), Vec::<String>::new());
    assert_eq!(apply(&mut db, vec![seeding(seed("app-1"))]), [Ok(Revision(1))]);
}

#[test]
fn a_full_disk_refuses_the_commit_whole_and_loses_nothing() {
    let options = Options { n_pages_max: Some(400), ..Options::default() };
    let Fixture { mut db, dir } = fixture(options);
    apply(&mut db, vec![seeding(seed("app-1"))]);
    let mut written = Revision(1);
    let refused = loop {
        let mut large = message("app-1", &format!("m-{written}"));
        large.text = "x".repeat(200_000);
        let commit = Commit {
            next: Some(rich("app-1")),
            messages: vec![MessageChange::Queue(large)],
            ..Commit::on(session_id("app-1"), Expected::Revision(written), moment(2))
        };
        match apply(&mut db, vec![commit]).remove(0) {
            Ok(revision) => written = revision,
            Err(error) => break error,
        }
    };
    assert!(matches!(&refused, StoreError::Unavailable { .. }), "{refused:?}");
    assert!(written > Revision(2), "the limit was reached at once");
    let check = |db: &Db| {
        let messages = db.read(|conn| read::messages_of(conn, &session_id("app-1"), 99)).unwrap();
        assert_eq!(messages.len() as u64, written.0 - 1);
        assert_eq!(sessions(db), [format!("app-1 {written}")]);
    };
    check(&db);
    drop(db);
    // With space again it goes on from there.
    let mut db = open(dir.path(), Options::default());
    check(&db);
    assert_eq!(apply(&mut db, vec![seeding(seed("app-2"))]), [Ok(Revision(1))]);
}

#[test]
fn a_commit_that_does_not_fit_does_not_spoil_its_neighbours() {
    let options = Options { n_pages_max: Some(200), ..Options::default() };
    let Fixture { mut db, dir: _dir } = fixture(options);
    let mut large = message("app-2", "m-1");
    large.text = "x".repeat(900_000);
    let too_large =
        Commit { messages: vec![MessageChange::Queue(large)], ..seeding(seed("app-2")) };
    let group = vec![seeding(seed("app-1")), too_large, seeding(seed("app-3"))];
    let told: Vec<_> = apply(&mut db, group).iter().map(Result::is_ok).collect();
    assert_eq!(told, [true, false, true]);
    assert_eq!(sessions(&db), ["app-1 1", "app-3 1"]);
}

#[test]
fn a_group_of_refusals_costs_no_write() {
    let Fixture { mut db, dir } = fixture(Options::default());
    apply(&mut db, vec![seeding(seed("app-1"))]);
    let log = dir.path().join("ao.db-wal");
    let before = fs::metadata(&log).unwrap().len();
    apply(&mut db, vec![seeding(seed("app-1")), seeding(seed("app-1"))]);
    assert_eq!(fs::metadata(&log).unwrap().len(), before);
    apply(&mut db, vec![seeding(seed("app-2"))]);
    assert!(fs::metadata(&log).unwrap().len() > before);
}

#[test]
fn every_commit_is_synced() {
    let Fixture { db, dir: _dir } = fixture(Options::default());
    let pragma = |name| db.conn.pragma_query_value(None, name, |row| row.get::<_, String>(0));
    assert_eq!(pragma("journal_mode").unwrap(), "wal");
    let synchronous: i64 =
        db.conn.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
    assert_eq!(synchronous, 2, "FULL");
}
