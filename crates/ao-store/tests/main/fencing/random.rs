//! Two stores that take turns in any order, each with what it read some time ago, and each dropped
//! and opened again at any time: what is there is what the wins wrote, in their order.

use std::collections::{BTreeMap, BTreeSet};

use ao_core::ids::{FactId, Revision};
use ao_core::message::{MessageChange, MessageState};
use ao_core::outbox::{OutboxOutcome, OutboxState};
use ao_core::ports::{Commit, Expected, Messages as _, Outbox as _, SessionStore as _, StoreError};
use ao_store::{DataLock, Options, SqliteStore};
use ao_testkit::contract::store::sample::{
    effect, entry, message, message_id, moment, seed, seeding, session_id,
};
use ao_testkit::contract::store::wait;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::path_in;

/// What a writer does next. Numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Turn {
    Read,
    Write { fact: u8 },
    Begin { message: u8 },
    Finish { effect: u8, is_done: bool },
    Restart,
}

fn turns() -> impl Strategy<Value = (usize, Turn)> {
    let turn = prop_oneof![
        4 => Just(Turn::Read),
        5 => (0..12_u8).prop_map(|fact| Turn::Write { fact }),
        2 => any::<u8>().prop_map(|message| Turn::Begin { message }),
        2 => (any::<u8>(), any::<bool>())
            .prop_map(|(effect, is_done)| Turn::Finish { effect, is_done }),
        1 => Just(Turn::Restart),
    ];
    (0..2_usize, turn)
}

/// One of the two, with what it read.
struct Writer {
    store: SqliteStore,
    read: Revision,
    lock_dir: TempDir,
}

/// What should be there.
#[derive(Default)]
struct Expectation {
    revision: Revision,
    name: String,
    facts: BTreeSet<u8>,
    messages: Vec<(String, MessageState)>,
    effects: Vec<(String, OutboxState)>,
    /// Effects of which a try failed.
    retried: BTreeMap<String, u32>,
}

struct Duel {
    dir: TempDir,
    writers: [Writer; 2],
    expected: Expectation,
    n_writes: u64,
}

fn store_in(dir: &TempDir, lock_dir: &TempDir) -> SqliteStore {
    let lock = DataLock::acquire(lock_dir.path()).unwrap();
    SqliteStore::open_inline(lock, &path_in(dir.path()), Options::default()).unwrap()
}

impl Duel {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let writers = [0, 1].map(|_| {
            let lock_dir = tempfile::tempdir().unwrap();
            Writer { store: store_in(&dir, &lock_dir), read: Revision(0), lock_dir }
        });
        let revision = wait(writers[0].store.commit(seeding(seed("app-1")))).unwrap();
        let name = "fix the login".to_owned();
        let expected = Expectation { revision, name, ..Expectation::default() };
        Self { dir, writers, expected, n_writes: 0 }
    }

    fn play(&mut self, writer: usize, turn: &Turn) -> Result<(), TestCaseError> {
        match turn {
            Turn::Read => {
                let session = wait(self.writers[writer].store.get(&session_id("app-1")));
                let session = session.unwrap().unwrap();
                prop_assert_eq!(session.lifecycle.revision, self.expected.revision);
                self.writers[writer].read = session.lifecycle.revision;
                Ok(())
            }
            Turn::Write { fact } => self.write(writer, *fact),
            Turn::Begin { message } => self.begin(writer, *message),
            Turn::Finish { effect, is_done } => {
                self.finish(writer, *effect, *is_done);
                Ok(())
            }
            Turn::Restart => {
                let Writer { store, lock_dir, .. } = &mut self.writers[writer];
                store.close().unwrap();
                *store = store_in(&self.dir, lock_dir);
                Ok(())
            }
        }
    }

    fn write(&mut self, writer: usize, fact: u8) -> Result<(), TestCaseError> {
        self.n_writes += 1;
        let tag = format!("{writer}-{}", self.n_writes);
        let Writer { store, read, .. } = &self.writers[writer];
        let mut session = seed("app-1");
        session.record.name = Some(tag.clone());
        let commit = Commit {
            next: Some(session),
            messages: vec![MessageChange::Queue(message("app-1", &format!("m-{tag}")))],
            effects: vec![effect(&format!("e-{tag}"), "inbox")],
            journal: Some(entry(1)),
            fact: Some(FactId::parse(format!("fact-{fact}")).unwrap()),
            ..Commit::on(session_id("app-1"), Expected::Revision(*read), moment(2))
        };
        let answer = wait(store.commit(commit));
        let expected = &mut self.expected;
        match answer {
            Ok(revision) => {
                prop_assert_eq!(*read, expected.revision, "a stale writer wrote");
                prop_assert!(expected.facts.insert(fact), "a fact counted twice");
                prop_assert_eq!(revision, expected.revision.next());
                expected.revision = revision;
                expected.name.clone_from(&tag);
                expected.messages.push((format!("m-{tag}"), MessageState::Queued));
                expected.effects.push((format!("e-{tag}"), OutboxState::Pending));
                self.writers[writer].read = revision;
            }
            Err(StoreError::Conflict { found, .. }) => {
                prop_assert_ne!(*read, expected.revision, "refused, though it had read the last");
                prop_assert_eq!(found, expected.revision);
            }
            Err(StoreError::FactSeen { .. }) => prop_assert!(expected.facts.contains(&fact)),
            Err(error) => prop_assert!(false, "{error}"),
        }
        Ok(())
    }

    fn begin(&mut self, writer: usize, n: u8) -> Result<(), TestCaseError> {
        let n_messages = self.expected.messages.len();
        if n_messages == 0 {
            return Ok(());
        }
        let (name, state) = &mut self.expected.messages[usize::from(n) % n_messages];
        let Writer { store, read, .. } = &self.writers[writer];
        let begun = MessageChange::Move {
            id: message_id(name),
            from: MessageState::Queued,
            to: MessageState::Typing,
            reason: None,
            launch: None,
            at: moment(3),
        };
        let commit = Commit {
            messages: vec![begun],
            ..Commit::on(session_id("app-1"), Expected::Revision(*read), moment(3))
        };
        match wait(store.commit(commit)) {
            Ok(_) => {
                prop_assert_eq!(*read, self.expected.revision, "a stale writer began to type");
                prop_assert_eq!(*state, MessageState::Queued, "typed twice");
                *state = MessageState::Typing;
            }
            Err(StoreError::Conflict { .. }) => prop_assert_ne!(*read, self.expected.revision),
            Err(StoreError::NotFound { .. }) => prop_assert_eq!(*state, MessageState::Typing),
            Err(error) => prop_assert!(false, "{error}"),
        }
        Ok(())
    }

    fn finish(&mut self, writer: usize, n: u8, is_done: bool) {
        let n_effects = self.expected.effects.len();
        if n_effects == 0 {
            return;
        }
        let (name, state) = &mut self.expected.effects[usize::from(n) % n_effects];
        let store = &self.writers[writer].store;
        let known = wait(store.of_session(&session_id("app-1"), 1_000)).unwrap();
        let entry = known.iter().find(|it| it.effect.id.to_string() == *name).unwrap();
        let outcome = if is_done {
            OutboxOutcome::Done
        } else {
            OutboxOutcome::Retry { not_before: moment(4), error: "no".to_owned() }
        };
        wait(store.finish(vec![(entry.seq, outcome)])).unwrap();
        if *state == OutboxState::Pending {
            if is_done {
                *state = OutboxState::Done;
            } else {
                *self.expected.retried.entry(name.clone()).or_default() += 1;
            }
        }
    }

    /// Both see the same, and it is what was written.
    fn check(&self) -> Result<(), TestCaseError> {
        let id = session_id("app-1");
        let Expectation { revision, name, messages, effects, retried, .. } = &self.expected;
        for Writer { store, .. } in &self.writers {
            let session = wait(store.get(&id)).unwrap().unwrap();
            prop_assert_eq!(session.lifecycle.revision, *revision);
            prop_assert_eq!(session.record.name.as_ref(), Some(name));
            let there = wait(store.messages_of(&id, 1_000)).unwrap();
            let there: Vec<_> = there.into_iter().map(|it| (it.id.to_string(), it.state)).collect();
            prop_assert_eq!(&there, messages);
            let there = wait(store.of_session(&id, 1_000)).unwrap();
            for entry in &there {
                let n_retried = retried.get(&entry.effect.id.to_string()).copied().unwrap_or(0);
                prop_assert_eq!(entry.attempts, n_retried);
            }
            let there: Vec<_> =
                there.into_iter().map(|it| (it.effect.id.to_string(), it.state)).collect();
            prop_assert_eq!(&there, effects);
            let journal = wait(store.journal(&id, 1_000)).unwrap();
            let revisions: Vec<_> = journal.iter().map(|it| it.revision.0).collect();
            prop_assert_eq!(revisions, (2..=revision.0).collect::<Vec<_>>());
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn however_two_take_turns_the_wins_are_what_is_there(
        turns in proptest::collection::vec(turns(), 1..50),
    ) {
        let mut duel = Duel::new();
        for (writer, turn) in &turns {
            duel.play(*writer, turn)?;
        }
        duel.check()?;
    }
}
