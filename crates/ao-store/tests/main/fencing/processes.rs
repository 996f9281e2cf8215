//! Two processes on one file, of which one is killed in the middle of its writes.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ao_core::ports::{Commit, Expected, SessionStore as _, StoreError};
use ao_store::{DataLock, LockError, SqliteStore};
use ao_testkit::contract::store::sample::{entry, moment, seed, seeding, session_id};
use ao_testkit::contract::store::wait;
use tempfile::TempDir;

use crate::{open, path_in};

/// Where the file is; a test process without it is no child.
const CHILD_DIR: &str = "AO_STORE_DUEL_DIR";
/// Whose lock the child takes.
const CHILD_LOCK: &str = "AO_STORE_DUEL_LOCK";
const CHILD: &str = "fencing::processes::a_child_wins_until_it_is_killed";

/// Not a test of its own: what the next one starts as another process.
#[test]
fn a_child_wins_until_it_is_killed() {
    let dir = |name| std::env::var_os(name).map(PathBuf::from);
    let (Some(dir), Some(lock_dir)) = (dir(CHILD_DIR), dir(CHILD_LOCK)) else { return };
    let lock = DataLock::acquire(&lock_dir).unwrap();
    let store = SqliteStore::open(lock, &path_in(&dir)).unwrap();
    let id = session_id("app-1");
    loop {
        let mut session = wait(store.get(&id)).unwrap().unwrap();
        let revision = session.lifecycle.revision;
        session.record.name = Some(format!("written by {}", std::process::id()));
        let commit = Commit {
            next: Some(session),
            journal: Some(entry(1)),
            ..Commit::on(id.clone(), Expected::Revision(revision), moment(2))
        };
        match wait(store.commit(commit)) {
            Ok(won) => writeln!(io::stdout().lock(), "won {won}").unwrap(),
            Err(StoreError::Conflict { .. }) => {}
            // The other process has the file locked for longer than anybody waits.
            Err(StoreError::Unavailable { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// A writer that does not outlive the test.
struct Writer {
    child: Child,
    lines: io::Lines<BufReader<std::process::ChildStdout>>,
    _lock_dir: TempDir,
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a line of a child says that it won. The first one stands behind what the runner says.
fn revision_of(line: &str) -> Option<u64> {
    line.rsplit_once("won ")?.1.parse().ok()
}

impl Writer {
    #[expect(clippy::disallowed_methods, reason = "this very test binary, killed by its guard")]
    fn start(dir: &Path) -> Self {
        let lock_dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", CHILD, "--nocapture", "--test-threads=1"])
            .env(CHILD_DIR, dir)
            .env(CHILD_LOCK, lock_dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, _lock_dir: lock_dir }
    }

    /// Reads until so many more revisions were won.
    fn wins(&mut self, n: usize) -> Vec<u64> {
        let lines = self.lines.by_ref().map(Result::unwrap);
        let won = lines.filter_map(|line| revision_of(&line));
        let won: Vec<u64> = won.take(n).collect();
        assert_eq!(won.len(), n, "the child ended on its own");
        won
    }

    /// Kills it and reads what it had said until then.
    fn kill(mut self) -> Vec<u64> {
        self.child.kill().unwrap();
        // The last line may be cut off by the kill; then nobody was told.
        let lines = self.lines.by_ref().map_while(Result::ok);
        lines.filter_map(|line| revision_of(&line)).collect()
    }
}

/// With the lock the second process does not even begin; without it, every revision has one winner,
/// and the death of one in the middle of a write costs nothing that anybody was told of.
#[test]
fn two_processes_win_one_revision_each_though_one_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    wait(store.commit(seeding(seed("app-1")))).unwrap();
    store.close().unwrap();
    drop(store);

    let mut one = Writer::start(dir.path());
    let mut other = Writer::start(dir.path());
    let mut won: BTreeMap<u64, usize> = BTreeMap::new();
    let mut count = |revisions: Vec<u64>| {
        for revision in revisions {
            *won.entry(revision).or_default() += 1;
        }
    };
    count(one.wins(10));
    count(other.wins(10));
    count(one.kill());
    // The other one goes on alone, and so does a third that comes later.
    count(other.wins(10));
    let mut third = Writer::start(dir.path());
    count(third.wins(5));
    count(other.wins(5));
    let n_killed = 3;
    count(other.kill());
    count(third.kill());

    let lock = DataLock::acquire(dir.path()).unwrap();
    let refused = DataLock::acquire(dir.path());
    assert!(matches!(refused, Err(LockError::Held { .. })), "{refused:?}");
    let store = SqliteStore::open(lock, &path_in(dir.path())).unwrap();
    let id = session_id("app-1");
    let last = wait(store.get(&id)).unwrap().unwrap().lifecycle.revision.0;
    assert!(won.values().all(|&n| n == 1), "one revision was won twice: {won:?}");
    assert!(won.keys().all(|&revision| (2..=last).contains(&revision)), "{won:?}");
    // A kill may come between a commit and its line.
    let n_unsaid = usize::try_from(last - 1).unwrap() - won.len();
    assert!(n_unsaid <= n_killed, "{n_unsaid} revisions were won by nobody");
    let journal = wait(store.journal(&id, 1_000_000)).unwrap();
    let revisions: Vec<u64> = journal.iter().map(|it| it.revision.0).collect();
    let first = revisions[0];
    assert_eq!(revisions, (first..=last).collect::<Vec<_>>(), "every revision has its entry");
}
