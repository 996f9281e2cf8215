//! Databases of every schema that was ever released still open, with everything in them.
//!
//! A fossil is made once, by the program that released its schema, and never again: what is read
//! from it is spelled out here, not taken from the samples of today.

use std::fs;
use std::path::PathBuf;

use ao_core::event::Changes;
use ao_core::fact::FactKind;
use ao_core::ids::{IdempotencyKey, Revision};
use ao_core::ports::{
    ChangeFeed as _, Commit, Deadlines as _, Expected, Inbox as _, InboxFilter, Incidents as _,
    Messages as _, Outbox as _, Projects as _, Sagas as _, SessionFilter, SessionStore as _,
    StoreError,
};
use ao_store::SqliteStore;
use ao_testkit::contract::store::sample::{moment, project_id, session_id};
use ao_testkit::contract::store::wait;
use tempfile::TempDir;

use crate::{open, path_in};

/// A copy of a fossil, opened.
fn dig_up(name: &str) -> (SqliteStore, TempDir) {
    let fossil = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/old").join(name);
    let dir = tempfile::tempdir().unwrap();
    fs::copy(fossil, path_in(dir.path())).unwrap();
    (open(dir.path()), dir)
}

#[test]
fn a_database_of_schema_1_is_read_whole() {
    let (store, _dir) = dig_up("schema-1.db");
    let all = SessionFilter { project: None, with_terminal: true };
    let sessions = wait(store.list(&all)).unwrap();
    let shown: Vec<_> = sessions
        .iter()
        .map(|it| {
            let Revision(revision) = it.lifecycle.revision;
            let verdict = it.lifecycle.session;
            format!("{} {revision} {}/{}", it.record.id, verdict.state, verdict.reason)
        })
        .collect();
    assert_eq!(
        shown,
        ["app-1 2 not_started/spawn_requested", "app-2 1 terminated/manually_killed"]
    );
    let rich = sessions.first().unwrap();
    assert_eq!(rich.lifecycle.prs.len(), 2);
    assert_eq!(rich.lifecycle.pr.reason.as_str(), "ci_failing");
    assert_eq!(rich.lifecycle.detecting.map(|it| it.attempts), Some(2));
    assert_eq!(rich.record.handle.as_ref().map(|it| it.pane.as_str()), Some("%3"));
    assert_eq!(rich.ledger.open.values().map(|it| it.attempts).collect::<Vec<_>>(), [1]);

    let sagas = wait(store.in_flight()).unwrap();
    assert_eq!(sagas.iter().map(|it| it.step.as_str()).collect::<Vec<_>>(), ["worktree"]);
    let messages = wait(store.messages_of(&session_id("app-1"), 9)).unwrap();
    let shown: Vec<_> = messages.iter().map(|it| format!("{} {}", it.id, it.state)).collect();
    assert_eq!(shown, ["m-1 typed", "m-2 queued"]);
    let deadlines = wait(store.deadlines_of(&session_id("app-1"))).unwrap();
    assert_eq!(deadlines.iter().map(|it| it.after.as_secs()).collect::<Vec<_>>(), [30]);
    let effects = wait(store.of_session(&session_id("app-1"), 9)).unwrap();
    let shown: Vec<_> = effects.iter().map(|it| (it.state.as_str(), it.attempts)).collect();
    assert_eq!(shown, [("pending", 1), ("done", 0)]);
    let inbox = wait(store.inbox(&InboxFilter { with_read: true })).unwrap();
    let shown: Vec<_> = inbox.iter().map(|it| it.state.as_str()).collect();
    assert_eq!(shown, ["read", "unread"]);
    assert_eq!(wait(store.incidents(9)).unwrap().len(), 1);
    let journal = wait(store.journal(&session_id("app-1"), 9)).unwrap();
    let entry = &journal.first().unwrap().entry;
    assert!(matches!(entry.fact.kind, FactKind::Look(_)));
    assert_eq!(entry.because.rule.as_str(), "runtime_missing");
    assert!(wait(store.journal_base(&session_id("app-1"))).unwrap().is_some());
    let Changes::Events(events) = wait(store.changes_after(0, 99)).unwrap() else {
        panic!("its feed begins at its beginning");
    };
    assert_eq!(events.len() as u64, wait(store.head()).unwrap());
}

#[test]
fn a_database_of_schema_1_goes_on_where_it_was() {
    let (store, _dir) = dig_up("schema-1.db");
    assert_eq!(wait(store.next_session_id(&project_id("app"))).unwrap(), session_id("app-3"));
    let key = IdempotencyKey::new("once");
    assert_eq!(wait(store.find_by_key(&key)).unwrap(), Some(session_id("app-1")));
    let mut session = wait(store.get(&session_id("app-1"))).unwrap().unwrap();
    session.record.name = Some("renamed".to_owned());
    let expected = Expected::Revision(Revision(2));
    let on = || Commit::on(session_id("app-1"), expected, moment(100));
    let seen = Commit { fact: Some("fact-1".parse().unwrap()), ..on() };
    let refused = wait(store.commit(seen)).unwrap_err();
    assert!(matches!(refused, StoreError::FactSeen { .. }), "{refused}");
    let head = wait(store.head()).unwrap();
    let commit = Commit { next: Some(session), ..on() };
    assert_eq!(wait(store.commit(commit)), Ok(Revision(3)));
    assert_eq!(wait(store.head()).unwrap(), head + 1);
}
