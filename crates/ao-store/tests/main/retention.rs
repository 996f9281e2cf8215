//! Everything has a bound, and what is kept is of use.

use ao_core::event::Changes;
use ao_core::ids::{EffectId, FactId, Revision, SessionId};
use ao_core::message::{MessageChange, MessageState};
use ao_core::outbox::{OutboxOutcome, OutboxState};
use ao_core::ports::{
    ChangeFeed as _, Commit, Expected, Inbox as _, InboxFilter, Incidents as _, Messages as _,
    Outbox as _, SessionStore as _, StoreError,
};
use ao_store::{Options, Retention, SqliteStore};
use ao_testkit::contract::store::sample::{
    effect, entry, message, message_id, moment, notification, outage, rich, seed, seeding,
    session_id,
};
use ao_testkit::contract::store::wait;
use tempfile::TempDir;

use crate::try_open;

struct Fixture {
    store: SqliteStore,
    id: SessionId,
    revision: Revision,
    _dir: TempDir,
}

impl Fixture {
    fn new(retention: Retention) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { retention, ..Options::default() };
        let store = try_open(dir.path(), options).unwrap();
        let revision = wait(store.commit(seeding(seed("app-1")))).unwrap();
        Self { store, id: session_id("app-1"), revision, _dir: dir }
    }

    /// A commit on what is there.
    fn on(&self) -> Commit {
        Commit::on(self.id.clone(), Expected::Revision(self.revision), moment(3))
    }

    fn commit(&mut self, commit: Commit) {
        self.revision = wait(self.store.commit(commit)).unwrap();
    }
}

#[test]
fn the_journal_is_bounded_and_leads_on_from_a_kept_state() {
    let retention = Retention { journal: 6, journal_segment: 4, ..Retention::default() };
    let mut fixture = Fixture::new(retention);
    let mut written = Vec::new();
    for n in 0..40 {
        let mut next = rich("app-1");
        next.record.name = Some(format!("name {n}"));
        let commit = Commit { next: Some(next.clone()), journal: Some(entry(n)), ..fixture.on() };
        fixture.commit(commit);
        next.lifecycle.revision = fixture.revision;
        written.push((next, entry(n)));

        let kept = wait(fixture.store.journal(&fixture.id, 1_000)).unwrap();
        assert!(kept.len() <= 6 + 2 * 4, "{} entries are kept", kept.len());
        let n_expected = written.len().min(6);
        assert!(kept.len() >= n_expected - 1, "{} of {} are kept", kept.len(), written.len());
        // Every entry after the base is there, and the base is the state before the first of them.
        let (base_seq, base) = wait(fixture.store.journal_base(&fixture.id)).unwrap().unwrap();
        let after: Vec<_> = kept.iter().filter(|record| record.seq > base_seq).collect();
        assert!(after.len() >= (written.len() - 1).min(6), "only {} can be replayed", after.len());
        let n_before = written.len() - after.len();
        assert_eq!(base, written[n_before - 1].0);
        let replayed: Vec<_> = after.iter().map(|record| record.entry.clone()).collect();
        let expected: Vec<_> =
            written.iter().skip(n_before).map(|(_, entry)| entry.clone()).collect();
        assert_eq!(replayed, expected);
    }
    // What is current is untouched by all of that.
    let current = wait(fixture.store.get(&fixture.id)).unwrap();
    assert_eq!(current.as_ref(), written.last().map(|(session, _)| session));
}

#[test]
fn the_feed_is_bounded_and_goes_on_counting() {
    let mut fixture = Fixture::new(Retention { events: 5, ..Retention::default() });
    for n in 0..20 {
        let changes = vec![MessageChange::Queue(message("app-1", &format!("m-{n}")))];
        let commit = Commit { messages: changes, ..fixture.on() };
        fixture.commit(commit);
    }
    let head = wait(fixture.store.head()).unwrap();
    assert_eq!(head, 21);
    let reset = wait(fixture.store.changes_after(0, 100)).unwrap();
    assert_eq!(reset, Changes::Reset { oldest: 16, head });
    let Changes::Events(kept) = wait(fixture.store.changes_after(16, 100)).unwrap() else {
        panic!("the oldest cursor is kept");
    };
    assert_eq!(kept.iter().map(|it| it.seq).collect::<Vec<_>>(), [17, 18, 19, 20, 21]);
}

#[test]
fn only_final_messages_are_let_go() {
    let mut fixture = Fixture::new(Retention { messages: 2, ..Retention::default() });
    let queue = |name: &str| MessageChange::Queue(message("app-1", name));
    let cancel = |name: &str| MessageChange::Move {
        id: message_id(name),
        from: MessageState::Queued,
        to: MessageState::Cancelled,
        reason: None,
        launch: None,
        at: moment(4),
    };
    for n in 0..6 {
        let name = format!("m-{n}");
        let mut changes = vec![queue(&name)];
        if n % 2 == 1 {
            changes.push(cancel(&name));
        }
        let commit = Commit { messages: changes, ..fixture.on() };
        fixture.commit(commit);
    }
    let commit = Commit { messages: vec![queue("m-6")], ..fixture.on() };
    fixture.commit(commit);
    let kept = wait(fixture.store.messages_of(&fixture.id, 100)).unwrap();
    let names: Vec<_> = kept.iter().map(|message| message.id.as_str()).collect();
    assert_eq!(names, ["m-0", "m-2", "m-3", "m-4", "m-5", "m-6"]);
}

#[test]
fn only_finished_effects_are_let_go() {
    let mut fixture = Fixture::new(Retention { effects: 2, ..Retention::default() });
    let effects = (0..6).map(|n| effect(&format!("e-{n}"), &format!("sink-{n}"))).collect();
    let commit = Commit { effects, ..fixture.on() };
    fixture.commit(commit);
    for entry in wait(fixture.store.ready(&moment(5), 100)).unwrap().into_iter().skip(1) {
        wait(fixture.store.finish(vec![(entry.seq, OutboxOutcome::Done)])).unwrap();
    }
    let kept = wait(fixture.store.of_session(&fixture.id, 100)).unwrap();
    let shown: Vec<_> = kept.iter().map(|it| (it.effect.id.as_str(), it.state)).collect();
    let expected =
        [("e-0", OutboxState::Pending), ("e-4", OutboxState::Done), ("e-5", OutboxState::Done)];
    assert_eq!(shown, expected);
}

#[test]
fn only_notifications_that_were_read_are_let_go() {
    let fixture = Fixture::new(Retention { notifications: 1, ..Retention::default() });
    for n in 0..5 {
        wait(fixture.store.deliver(&notification(&format!("n-{n}")))).unwrap();
    }
    let read: Vec<_> = (0..3).map(|n| EffectId::new(format!("n-{n}"))).collect();
    wait(fixture.store.mark_read(&read)).unwrap();
    let kept = wait(fixture.store.inbox(&InboxFilter { with_read: true })).unwrap();
    let names: Vec<_> = kept.iter().map(|item| item.notification.id.as_str()).collect();
    assert_eq!(names, ["n-2", "n-3", "n-4"]);
}

#[test]
fn the_last_facts_are_remembered() {
    let mut fixture = Fixture::new(Retention { facts: 3, ..Retention::default() });
    let fact = |n: u32| -> FactId { format!("fact-{n}").parse().unwrap() };
    for n in 0..5 {
        let commit = Commit { fact: Some(fact(n)), ..fixture.on() };
        fixture.commit(commit);
    }
    for n in 2..5 {
        let again = Commit { fact: Some(fact(n)), ..fixture.on() };
        let refused = wait(fixture.store.commit(again));
        assert_eq!(refused, Err(StoreError::FactSeen { fact: fact(n) }));
    }
    let forgotten = Commit { fact: Some(fact(0)), ..fixture.on() };
    fixture.commit(forgotten);
}

#[test]
fn the_last_incidents_are_kept() {
    let fixture = Fixture::new(Retention { incidents: 2, ..Retention::default() });
    for n in 0..5 {
        wait(fixture.store.open_incident(&outage(&format!("i-{n}")), &[])).unwrap();
    }
    let kept = wait(fixture.store.incidents(100)).unwrap();
    assert_eq!(kept, [outage("i-3"), outage("i-4")]);
}
