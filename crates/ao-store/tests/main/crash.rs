//! A process that is killed while it commits.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use ao_core::event::{Changes, EventType};
use ao_core::ids::{FactId, IdempotencyKey, Revision, SessionId};
use ao_core::message::MessageChange;
use ao_core::ports::{
    ChangeFeed as _, Commit, Expected, Messages as _, Outbox as _, SessionStore as _, StoreError,
};
use ao_core::record::{SessionReason, SessionState};
use ao_store::{DataLock, LockError, Options, Retention, SqliteStore};
use ao_testkit::contract::store::sample::{
    effect, entry, message, moment, rich, seed, seeding, session_id, with_verdict,
};
use ao_testkit::contract::store::wait;

use crate::try_open;

/// Where the child works; a test process without it is no child.
const CHILD_DIR: &str = "AO_STORE_CRASH_DIR";
const CHILD: &str = "crash::a_child_commits_until_it_is_killed";
const SESSIONS: [&str; 4] = ["app-1", "app-2", "app-3", "app-4"];

/// Everything is kept, so that everything can be counted.
fn options() -> Options {
    let all = 1_000_000;
    let retention = Retention { events: all, journal: all, facts: all, ..Retention::default() };
    Options { retention, ..Options::default() }
}

/// The commit that leads to the revision after this one, with something of each kind.
fn next(id: &SessionId, revision: Revision) -> Commit {
    let n = revision.0;
    let (state, reason) = if n.is_multiple_of(2) {
        (SessionState::Working, SessionReason::TaskInProgress)
    } else {
        (SessionState::Idle, SessionReason::TaskInProgress)
    };
    let mut session = with_verdict(rich(id.as_str()), state, reason);
    session.record.name = Some(format!("after {n}"));
    let fact: FactId = format!("fact-{id}-{n}").parse().unwrap();
    Commit {
        next: Some(session),
        messages: vec![MessageChange::Queue(message(id.as_str(), &format!("m-{id}-{n}")))],
        effects: vec![effect(&format!("e-{id}-{n}"), "inbox")],
        journal: Some(entry(1)),
        fact: Some(fact),
        ..Commit::on(id.clone(), Expected::Revision(revision), moment(2))
    }
}

/// Commits to one session, over and over, and says what was acknowledged.
fn commit_on_and_on(store: &SqliteStore, name: &str) {
    let id = session_id(name);
    let key = IdempotencyKey::new(name);
    let first = Commit { idempotency_key: Some(key), ..seeding(seed(name)) };
    let mut revision = match wait(store.commit(first)) {
        Ok(revision) => revision,
        Err(StoreError::KeyTaken { session }) => {
            wait(store.get(&session)).unwrap().unwrap().lifecycle.revision
        }
        Err(error) => panic!("{error}"),
    };
    loop {
        writeln!(io::stdout().lock(), "ack {name} {revision}").unwrap();
        revision = wait(store.commit(next(&id, revision))).unwrap();
    }
}

/// Not a test of its own: what the next one starts as another process.
#[test]
fn a_child_commits_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD_DIR).map(PathBuf::from) else { return };
    let store = try_open(&dir, options()).unwrap();
    thread::scope(|scope| {
        for name in SESSIONS {
            let store = &store;
            scope.spawn(move || commit_on_and_on(store, name));
        }
    });
}

/// The child, which does not outlive the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[expect(clippy::disallowed_methods, reason = "this very test binary, killed by its guard")]
fn start(dir: &Path) -> Killed {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--nocapture", "--test-threads=1"])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    Killed(child)
}

/// Kills a child after so many acknowledgements; returns the last one for each session.
fn kill_after(dir: &Path, n_acks: usize) -> BTreeMap<String, u64> {
    let mut child = start(dir);
    let mut acks = BTreeMap::new();
    let mut n_seen = 0;
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    for line in lines {
        // The last line may be cut off by the kill; then nobody was told.
        let line = line.unwrap();
        let mut words = line.split(' ');
        let ack = (words.next(), words.next(), words.next().map(str::parse));
        if let (Some("ack"), Some(name), Some(Ok(revision))) = ack {
            acks.insert(name.to_owned(), revision);
            n_seen += 1;
        }
        if n_seen == n_acks {
            let held = DataLock::acquire(dir).unwrap_err();
            let pid = child.0.id();
            assert!(matches!(held, LockError::Held { pid: Some(it), .. } if it == pid), "{held}");
            child.0.kill().unwrap();
        }
    }
    assert!(n_seen >= n_acks, "the child ended on its own after {n_seen}");
    child.0.wait().unwrap();
    acks
}

/// Whether everything that the commits of a session wrote is there, for all of them or for none.
fn check(store: &SqliteStore, name: &str, acknowledged: u64) -> u64 {
    let id = session_id(name);
    let session = wait(store.get(&id)).unwrap().unwrap();
    let revision = session.lifecycle.revision.0;
    assert!(
        revision >= acknowledged,
        "{name}: {acknowledged} was acknowledged, {revision} is there"
    );
    if revision > 1 {
        assert_eq!(session.record.name, Some(format!("after {}", revision - 1)));
    }
    let all = 1_000_000;
    let numbers: Vec<u64> = (1..revision).collect();
    let messages = wait(store.messages_of(&id, all)).unwrap();
    let ids: Vec<_> = messages.iter().map(|it| it.id.to_string()).collect();
    assert_eq!(ids, numbers.iter().map(|n| format!("m-{name}-{n}")).collect::<Vec<_>>());
    let effects = wait(store.of_session(&id, all)).unwrap();
    let ids: Vec<_> = effects.iter().map(|it| it.effect.id.to_string()).collect();
    assert_eq!(ids, numbers.iter().map(|n| format!("e-{name}-{n}")).collect::<Vec<_>>());
    let journal = wait(store.journal(&id, all)).unwrap();
    let revisions: Vec<_> = journal.iter().map(|it| it.revision.0).collect();
    assert_eq!(revisions, numbers.iter().map(|n| n + 1).collect::<Vec<_>>());
    // The next fact was not taken in by a commit that is not there, the last one was.
    let last = next(&id, Revision(revision)).fact;
    let probe = |fact| Commit {
        fact,
        ..Commit::on(id.clone(), Expected::Revision(Revision(0)), moment(1))
    };
    let refused = wait(store.commit(probe(last))).unwrap_err();
    assert!(matches!(refused, StoreError::Conflict { .. }), "{refused}");
    if revision > 1 {
        let seen = next(&id, Revision(revision - 1)).fact;
        let refused = wait(store.commit(probe(seen))).unwrap_err();
        assert!(matches!(refused, StoreError::FactSeen { .. }), "{refused}");
    }
    revision
}

#[test]
fn what_was_acknowledged_survives_a_kill_and_nothing_is_there_by_halves() {
    let dir = tempfile::tempdir().unwrap();
    for n_acks in [1, 40, 150] {
        let acks = kill_after(dir.path(), n_acks);
        let store = try_open(dir.path(), options()).unwrap();
        let mut revisions = BTreeMap::new();
        for name in SESSIONS {
            let acknowledged = acks.get(name).copied().unwrap_or(0);
            if acknowledged > 0 || wait(store.get(&session_id(name))).unwrap().is_some() {
                revisions.insert(session_id(name), check(&store, name, acknowledged));
            }
        }
        check_feed(&store, &revisions);
        store.close().unwrap();
    }
}

/// Every change is told once: nothing is missing in the feed and nothing is too much.
fn check_feed(store: &SqliteStore, revisions: &BTreeMap<SessionId, u64>) {
    let Changes::Events(events) = wait(store.changes_after(0, 1_000_000)).unwrap() else {
        panic!("everything is kept");
    };
    let seqs: Vec<_> = events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=events.len() as u64).collect::<Vec<_>>());
    for (id, revision) in revisions {
        let told = |kind| {
            let of_kind = events.iter().filter(|it| it.kind == kind);
            let of_session = of_kind.filter(|it| it.session.as_ref() == Some(id));
            of_session.filter_map(|it| it.revision).map(|it| it.0).collect::<Vec<_>>()
        };
        assert_eq!(told(EventType::SessionCreated), [1]);
        let later: Vec<_> = (2..=*revision).collect();
        assert_eq!(told(EventType::SessionChanged), later);
        assert_eq!(told(EventType::SessionUpdated), later);
        assert_eq!(told(EventType::MessageChanged), later);
    }
}
