//! Claims about sessions, commits as a whole, and projects.

use std::thread;

use ao_core::deadline::{Deadline, DeadlineChange, DeadlineClock, DeadlineKind};
use ao_core::event::Changes;
use ao_core::ids::{FactId, IdempotencyKey, Revision};
use ao_core::journal::JournalRecord;
use ao_core::message::{Message, MessageChange, MessageState};
use ao_core::outbox::OutboxEntry;
use ao_core::ports::{Commit, Ensured, Expected, Loaded, SessionFilter, StoreError};
use ao_core::record::{SessionReason, SessionState};
use ao_core::saga::{Saga, SagaChange};
use ao_core::session::{Phase, Session};

use super::sample::{
    effect, ended, entry, message, message_id, moment, project, project_id, rich, saga, seed,
    seeding, session_id, with_verdict,
};
use super::{Stores, wait};

/// Every session, also the terminal ones.
pub(super) fn list(stores: &Stores) -> Vec<Session> {
    wait(stores.sessions.list(&SessionFilter { project: None, with_terminal: true })).unwrap()
}

/// Seeds a session; it is then at revision 1.
pub(super) fn begin(stores: &Stores, session: Session) -> Revision {
    wait(stores.sessions.commit(seeding(session))).unwrap()
}

/// A commit on what is there.
pub(super) fn on(name: &str, revision: Revision) -> Commit {
    Commit::on(session_id(name), Expected::Revision(revision), moment(30))
}

/// Everything that can be read about a session.
#[derive(Debug, PartialEq)]
struct Everything {
    sessions: Vec<Session>,
    sagas: Vec<Saga>,
    messages: Vec<Message>,
    deadlines: Vec<Deadline>,
    effects: Vec<OutboxEntry>,
    journal: Vec<JournalRecord>,
    changes: Changes,
}

fn everything(stores: &Stores, name: &str) -> Everything {
    let id = session_id(name);
    Everything {
        sessions: list(stores),
        sagas: wait(stores.sagas.in_flight()).unwrap(),
        messages: wait(stores.messages.messages_of(&id, 100)).unwrap(),
        deadlines: wait(stores.deadlines.deadlines_of(&id)).unwrap(),
        effects: wait(stores.outbox.of_session(&id, 100)).unwrap(),
        journal: wait(stores.sessions.journal(&id, 100)).unwrap(),
        changes: wait(stores.feed.changes_after(0, 1_000)).unwrap(),
    }
}

/// A commit that writes something of each kind, whichever way it is refused.
fn full(commit: Commit, suffix: &str) -> Commit {
    let name = commit.session.as_str().to_owned();
    let mut next = rich(&name);
    next.record.id = commit.session.clone();
    let escalation = DeadlineChange::Arm {
        kind: DeadlineKind::AgentIdle,
        armed_at: moment(31),
        after: std::time::Duration::from_secs(5),
        clock: DeadlineClock::Awake,
    };
    Commit {
        next: Some(next),
        deadlines: vec![escalation],
        messages: vec![MessageChange::Queue(message(&name, &format!("m-{suffix}")))],
        effects: vec![effect(&format!("effect {suffix}"), "inbox")],
        journal: Some(entry(31)),
        ..commit
    }
}

pub(super) fn a_new_session_is_read_as_it_was_written(stores: &Stores) {
    for mut session in [seed("app-1"), rich("app-2")] {
        let id = session.record.id.clone();
        session.lifecycle.revision = Revision(77);
        assert_eq!(begin(stores, session.clone()), Revision(1));
        session.lifecycle.revision = Revision(1);
        assert_eq!(wait(stores.sessions.get(&id)).unwrap(), Some(session.clone()));
        let loaded = wait(stores.sessions.load(&id)).unwrap();
        assert_eq!(loaded, Some(Loaded { session, saga: None }));
    }
    assert_eq!(wait(stores.sessions.get(&session_id("app-9"))).unwrap(), None);
    assert_eq!(wait(stores.sessions.load(&session_id("app-9"))).unwrap(), None);
}

pub(super) fn each_commit_raises_the_revision_by_one(stores: &Stores) {
    let mut revision = begin(stores, seed("app-1"));
    for n in 2..5 {
        let mut next = rich("app-1");
        next.record.updated_at = next.record.updated_at.plus(std::time::Duration::from_secs(n));
        let commit = Commit { next: Some(next.clone()), ..on("app-1", revision) };
        revision = wait(stores.sessions.commit(commit)).unwrap();
        assert_eq!(revision, Revision(n));
        next.lifecycle.revision = revision;
        assert_eq!(list(stores), [next]);
    }
}

pub(super) fn a_refused_commit_writes_nothing(stores: &Stores) {
    let key = IdempotencyKey::new("once");
    let fact: FactId = "fact-1".parse().unwrap();
    let first = Commit {
        saga: Some(SagaChange::Begin(saga("app-1"))),
        idempotency_key: Some(key.clone()),
        fact: Some(fact.clone()),
        ..full(seeding(seed("app-1")), "first")
    };
    let now = wait(stores.sessions.commit(first)).unwrap();
    begin(stores, seed("app-2"));
    let before = everything(stores, "app-1");
    let of = |name: &str, expected| Commit::on(session_id(name), expected, moment(30));
    let fresh = || full(on("app-1", now), "refused");
    let shift = |name: &str, from| MessageChange::Move {
        id: message_id(name),
        from,
        to: MessageState::Typed,
        reason: None,
        launch: None,
        at: moment(32),
    };
    let with_move = |change| {
        let mut commit = fresh();
        commit.messages.push(change);
        commit
    };
    let refused = vec![
        (full(on("app-1", Revision(9)), "refused"), "session `app-1` is at revision 1, not 9"),
        (full(of("app-1", Expected::Absent), "refused"), "session `app-1` exists already"),
        (full(on("app-3", Revision(1)), "refused"), "there is no session `app-3`"),
        (of("app-3", Expected::Absent), "there is no session `app-3`"),
        (
            Commit { next: Some(seed("app-2")), ..fresh() },
            "there is no session `app-2` in a commit of `app-1`",
        ),
        (
            Commit { saga: Some(SagaChange::Put(saga("app-2"))), ..fresh() },
            "there is no session `app-2` in a commit of `app-1`",
        ),
        (
            with_move(MessageChange::Queue(message("app-2", "m-stray"))),
            "there is no session `app-2` in a commit of `app-1`",
        ),
        (
            Commit { saga: Some(SagaChange::Begin(saga("app-1"))), ..fresh() },
            "a saga of session `app-1` exists already",
        ),
        (
            Commit {
                saga: Some(SagaChange::Put(saga("app-2"))),
                ..full(on("app-2", now), "refused")
            },
            "there is no saga of session `app-2`",
        ),
        (with_move(shift("m-first", MessageState::Typing)), "there is no typing message `m-first`"),
        (with_move(shift("m-none", MessageState::Queued)), "there is no queued message `m-none`"),
        (
            Commit { idempotency_key: Some(key), ..full(of("app-3", Expected::Absent), "refused") },
            "this request already made session `app-1`",
        ),
        (Commit { fact: Some(fact), ..fresh() }, "fact `fact-1` was taken in before"),
    ];
    for (commit, expected) in refused {
        let error = wait(stores.sessions.commit(commit)).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(everything(stores, "app-1"), before, "{expected}");
    }
    // Nothing of what was refused stands in the way of the same, done right.
    let moved = with_move(shift("m-first", MessageState::Queued));
    assert_eq!(wait(stores.sessions.commit(moved)), Ok(now.next()));
}

pub(super) fn of_two_writers_on_one_revision_one_wins(stores: &Stores) {
    let revision = begin(stores, seed("app-1"));
    let write = |n: u32| {
        let commit =
            Commit { next: Some(rich("app-1")), journal: Some(entry(n)), ..on("app-1", revision) };
        wait(stores.sessions.commit(commit))
    };
    let results: Vec<_> = thread::scope(|scope| {
        let writers: Vec<_> = (0..8).map(|n| scope.spawn(move || write(n))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let won: Vec<_> = results.iter().filter(|result| result.is_ok()).collect();
    assert_eq!(won, [&Ok(Revision(2))]);
    let conflict = StoreError::Conflict {
        session: session_id("app-1"),
        expected: Revision(1),
        found: Revision(2),
    };
    assert_eq!(results.iter().filter(|it| **it == Err(conflict.clone())).count(), 7);
    assert_eq!(wait(stores.sessions.journal(&session_id("app-1"), 10)).unwrap().len(), 1);
}

pub(super) fn a_commit_without_a_session_checks_the_revision_and_keeps_it(stores: &Stores) {
    let revision = begin(stores, seed("app-1"));
    let queue = |name| MessageChange::Queue(message("app-1", name));
    let commit = Commit { messages: vec![queue("m-1")], ..on("app-1", revision) };
    assert_eq!(wait(stores.sessions.commit(commit)), Ok(revision));
    let late = Commit { messages: vec![queue("m-2")], ..on("app-1", revision.next()) };
    let refused = wait(stores.sessions.commit(late));
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    let messages = wait(stores.messages.messages_of(&session_id("app-1"), 10)).unwrap();
    assert_eq!(messages, [message("app-1", "m-1")]);
}

pub(super) fn a_repeated_request_is_answered_with_what_it_made(stores: &Stores) {
    let key = IdempotencyKey::new("spawn 'once'; -- please");
    assert_eq!(wait(stores.sessions.find_by_key(&key)).unwrap(), None);
    let ask = |name| Commit { idempotency_key: Some(key.clone()), ..seeding(seed(name)) };
    wait(stores.sessions.commit(ask("app-1"))).unwrap();
    let made = session_id("app-1");
    for name in ["app-1", "app-2"] {
        let again = wait(stores.sessions.commit(ask(name)));
        assert_eq!(again, Err(StoreError::KeyTaken { session: made.clone() }));
    }
    assert_eq!(wait(stores.sessions.find_by_key(&key)).unwrap(), Some(made));
    assert_eq!(list(stores).len(), 1);
}

pub(super) fn a_fact_is_taken_in_once(stores: &Stores) {
    let revision = begin(stores, seed("app-1"));
    begin(stores, seed("app-2"));
    let fact: FactId = "fact-1".parse().unwrap();
    let take = |name| Commit { fact: Some(fact.clone()), ..on(name, revision) };
    wait(stores.sessions.commit(take("app-1"))).unwrap();
    for name in ["app-1", "app-2"] {
        let again = wait(stores.sessions.commit(take(name)));
        assert_eq!(again, Err(StoreError::FactSeen { fact: fact.clone() }));
    }
}

pub(super) fn sessions_are_listed_in_the_order_of_making(stores: &Stores) {
    for name in ["b-2", "a-1", "b-1", "a-10", "a-9"] {
        begin(stores, seed(name));
    }
    let end = Commit { next: Some(ended(seed("b-1"))), ..on("b-1", Revision(1)) };
    wait(stores.sessions.commit(end)).unwrap();
    let check = |project: Option<&str>, with_terminal, expected: &[&str]| {
        let filter = SessionFilter { project: project.map(project_id), with_terminal };
        let found = wait(stores.sessions.list(&filter)).unwrap();
        let names: Vec<_> = found.iter().map(|session| session.record.id.as_str()).collect();
        assert_eq!(names, expected);
    };
    check(None, true, &["b-2", "a-1", "b-1", "a-10", "a-9"]);
    check(None, false, &["b-2", "a-1", "a-10", "a-9"]);
    check(Some("b"), true, &["b-2", "b-1"]);
    check(Some("b"), false, &["b-2"]);
    check(Some("c"), true, &[]);
}

pub(super) fn the_journal_gives_the_last_entries_oldest_first(stores: &Stores) {
    let mut revision = begin(stores, seed("app-1"));
    begin(stores, seed("app-2"));
    for n in 0..5 {
        let commit =
            Commit { next: Some(rich("app-1")), journal: Some(entry(n)), ..on("app-1", revision) };
        revision = wait(stores.sessions.commit(commit)).unwrap();
        let other = Commit { journal: Some(entry(n + 100)), ..on("app-2", Revision(1)) };
        wait(stores.sessions.commit(other)).unwrap();
    }
    let records = wait(stores.sessions.journal(&session_id("app-1"), 3)).unwrap();
    let found: Vec<_> = records.iter().map(|it| (it.revision, it.entry.clone())).collect();
    let expected = [(Revision(4), entry(2)), (Revision(5), entry(3)), (Revision(6), entry(4))];
    assert_eq!(found, expected);
    assert!(records.is_sorted_by(|a, b| a.seq < b.seq));
    assert!(records.iter().all(|record| record.session == session_id("app-1")));
    assert_eq!(wait(stores.sessions.journal(&session_id("app-1"), 0)).unwrap(), []);
    assert_eq!(wait(stores.sessions.journal(&session_id("app-1"), 99)).unwrap().len(), 5);
}

pub(super) fn the_journal_leads_on_from_the_state_after_its_first_entry(stores: &Stores) {
    let id = session_id("app-1");
    let mut revision = begin(stores, seed("app-1"));
    assert_eq!(wait(stores.sessions.journal_base(&id)), Ok(None));
    for n in 0..3 {
        let mut next = rich("app-1");
        next.record.name = Some(format!("name {n}"));
        let commit = Commit { next: Some(next), journal: Some(entry(n)), ..on("app-1", revision) };
        revision = wait(stores.sessions.commit(commit)).unwrap();
    }
    let (seq, base) = wait(stores.sessions.journal_base(&id)).unwrap().unwrap();
    assert_eq!(base.record.name.as_deref(), Some("name 0"));
    let first = &wait(stores.sessions.journal(&id, 99)).unwrap()[0];
    assert_eq!((first.seq, first.revision), (seq, base.lifecycle.revision));
}

pub(super) fn only_a_terminal_session_is_removed_and_its_names_stay_used(stores: &Stores) {
    let id = session_id("app-1");
    let key = IdempotencyKey::new("once");
    let no_session = || StoreError::NotFound { what: "session `app-1`".to_owned() };
    assert_eq!(wait(stores.sessions.remove(&id)), Err(no_session()));
    let first = Commit {
        idempotency_key: Some(key.clone()),
        saga: Some(SagaChange::Begin(saga("app-1"))),
        ..full(seeding(seed("app-1")), "first")
    };
    let revision = wait(stores.sessions.commit(first)).unwrap();
    let living = StoreError::NotFound { what: "terminal session `app-1`".to_owned() };
    assert_eq!(wait(stores.sessions.remove(&id)), Err(living));
    let end = Commit { next: Some(ended(seed("app-1"))), ..on("app-1", revision) };
    wait(stores.sessions.commit(end)).unwrap();
    wait(stores.sessions.remove(&id)).unwrap();
    let left = everything(stores, "app-1");
    assert_eq!(left.sessions, []);
    assert_eq!(left.sagas, []);
    assert_eq!(left.messages, []);
    assert_eq!(left.deadlines, []);
    assert_eq!(left.journal, []);
    assert_eq!(wait(stores.messages.message(&message_id("m-first"))).unwrap(), None);
    assert_eq!(wait(stores.sessions.remove(&id)), Err(no_session()));
    let again = wait(stores.sessions.commit(seeding(seed("app-1"))));
    assert_eq!(again, Err(StoreError::Exists { what: "session `app-1`".to_owned() }));
    assert_eq!(wait(stores.sessions.find_by_key(&key)).unwrap(), Some(id.clone()));
    let repeated = Commit { idempotency_key: Some(key), ..seeding(seed("app-2")) };
    assert_eq!(wait(stores.sessions.commit(repeated)), Err(StoreError::KeyTaken { session: id }));
}

pub(super) fn a_session_number_is_never_given_out_again(stores: &Stores) {
    let id = project_id("app");
    let none = StoreError::NotFound { what: "project `app`".to_owned() };
    assert_eq!(wait(stores.projects.next_session_id(&id)), Err(none.clone()));
    wait(stores.projects.add_project(project("app"))).unwrap();
    wait(stores.projects.add_project(project("other"))).unwrap();
    let next = |name: &str| wait(stores.projects.next_session_id(&project_id(name))).unwrap();
    assert_eq!(
        [next("app"), next("app"), next("other")].map(|it| it.to_string()),
        ["app-1", "app-2", "other-1"]
    );
    wait(stores.projects.remove_project(&id)).unwrap();
    assert_eq!(wait(stores.projects.next_session_id(&id)), Err(none));
    wait(stores.projects.add_project(project("app"))).unwrap();
    assert_eq!(next("app").to_string(), "app-3");
}

pub(super) fn session_numbers_that_are_skipped_are_not_given_out(stores: &Stores) {
    let app = project_id("app");
    let skip = |n| wait(stores.projects.skip_session_ids(&app, n)).unwrap();
    // Before the project is known, too: a worktree may tell of a session whose project is not.
    skip(3);
    wait(stores.projects.add_project(project("app"))).unwrap();
    let next = || wait(stores.projects.next_session_id(&app)).unwrap().to_string();
    assert_eq!(next(), "app-4");
    for less in [0, 2, 4] {
        skip(less);
    }
    assert_eq!(next(), "app-5");
    skip(9);
    assert_eq!(next(), "app-10");
}

pub(super) fn a_project_is_its_id_and_its_path(stores: &Stores) {
    let add = |project| wait(stores.projects.add_project(project));
    let exists = |what: &str| Err(StoreError::Exists { what: what.to_owned() });
    assert_eq!(add(project("b")), Ok(Ensured::Done));
    assert_eq!(add(project("a")), Ok(Ensured::Done));
    assert_eq!(add(project("b")), Ok(Ensured::AlreadyThere));
    let mut elsewhere = project("b");
    elsewhere.path = "/elsewhere".into();
    assert_eq!(add(elsewhere), exists("project `b`"));
    let mut alias = project("c");
    alias.path = "/repos/a".into();
    assert_eq!(add(alias), exists("project `a` at this path"));
    assert_eq!(wait(stores.projects.projects()).unwrap(), [project("a"), project("b")]);

    let revision = begin(stores, seed("a-1"));
    let remove = |name: &str| wait(stores.projects.remove_project(&project_id(name)));
    let what = "session `a-1`, which has not ended,".to_owned();
    assert_eq!(remove("a"), Err(StoreError::Exists { what }));
    let mut next = with_verdict(seed("a-1"), SessionState::Done, SessionReason::Completed);
    next.record.phase = Phase::Ended;
    let end = Commit { next: Some(next), ..on("a-1", revision) };
    wait(stores.sessions.commit(end)).unwrap();
    assert_eq!(remove("a"), Ok(()));
    assert_eq!(remove("a"), Err(StoreError::NotFound { what: "project `a`".to_owned() }));
    assert_eq!(wait(stores.projects.projects()).unwrap(), [project("b")]);
    // The records of what ended there are still there.
    assert_eq!(list(stores).len(), 1);
}
