//! What the store has answered, for as long as nothing was written that could change it.
//!
//! The loops of the engine ask the same things every few seconds of simulated time, and most of
//! the time nothing happened: reading the same rows again and again was nine tenths of a history.
//! The memory lives and dies with its daemon. It is no second store: what it holds was read, every
//! write makes it forget, and every so often an answer is asked for again and must be the same.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ao_core::deadline::Deadline;
use ao_core::ids::{IdempotencyKey, MessageId, SessionId};
use ao_core::message::Message;
use ao_core::outbox::OutboxEntry;
use ao_core::ports::{
    ChangeFeed as _, Commit, Deadlines as _, Incidents as _, InfraIncident, Loaded, Messages as _,
    Outbox as _, Projects as _, Sagas as _, SessionFilter, SessionStore as _, StoreError,
};
use ao_core::project::Project;
use ao_core::saga::Saga;
use ao_core::session::Session;
use ao_core::time::{BootId, Moment, Timestamp};
use ao_store::SqliteStore;

use super::witness::Witness;

type Answer<T> = Result<T, StoreError>;

/// How often an answer that is remembered is asked for all the same, to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Nothing is remembered: each answer is the store's.
    Real,
    /// One in so many; each of them when it is one.
    CheckedEvery(u64),
}

impl Default for Reads {
    /// Rare enough to cost little, often enough that a thousand histories compare a million
    /// answers; a prime, so that it keeps no step with the loops of the engine.
    fn default() -> Self {
        Self::CheckedEvery(499)
    }
}

/// The answers of one daemon's store.
pub(crate) struct Memory {
    reads: Reads,
    witness: Witness,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    n_asked: u64,
    /// Every session in the order of the store, and those of them that were written since.
    sessions: Option<Vec<Session>>,
    written: BTreeSet<SessionId>,
    sagas: Option<Vec<Saga>>,
    /// The first pending effect of each lane, those that wait for their time included.
    heads: Option<Vec<OutboxEntry>>,
    /// Every armed deadline.
    armed: Option<Vec<Deadline>>,
    unfinished: Option<Vec<Message>>,
    message: BTreeMap<MessageId, Option<Message>>,
    message_by_key: BTreeMap<(SessionId, IdempotencyKey), Option<Message>>,
    messages_of: BTreeMap<(SessionId, usize), Vec<Message>>,
    projects: Option<Vec<Project>>,
    incidents: BTreeMap<usize, Vec<InfraIncident>>,
    head: Option<u64>,
}

/// What is remembered, by what a write changes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Sagas,
    Outbox,
    Deadlines,
    Messages,
    Projects,
    Incidents,
}

/// What a write may change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Touched {
    session: Option<SessionId>,
    parts: Vec<Part>,
}

impl Touched {
    pub(crate) fn commit(commit: &Commit) -> Self {
        let messages = !commit.messages.is_empty() || !commit.message_orders.is_empty();
        let parts = [
            (commit.saga.is_some(), Part::Sagas),
            (!commit.effects.is_empty(), Part::Outbox),
            (!commit.deadlines.is_empty(), Part::Deadlines),
            (messages, Part::Messages),
        ];
        Self {
            session: commit.next.is_some().then(|| commit.session.clone()),
            parts: parts.iter().filter(|(is_touched, _)| *is_touched).map(|(_, it)| *it).collect(),
        }
    }

    /// Everything that hangs on a session goes with it.
    pub(crate) fn removal(session: &SessionId) -> Self {
        let parts = vec![Part::Sagas, Part::Outbox, Part::Deadlines, Part::Messages];
        Self { session: Some(session.clone()), parts }
    }

    pub(crate) fn outbox() -> Self {
        Self { session: None, parts: vec![Part::Outbox] }
    }

    pub(crate) fn projects() -> Self {
        Self { session: None, parts: vec![Part::Projects] }
    }

    pub(crate) fn incidents() -> Self {
        Self { session: None, parts: vec![Part::Incidents, Part::Outbox] }
    }
}

/// A moment at which everything is due: a boot of its own, so that only the wall clock counts.
const END_OF_TIME: Moment = Moment {
    wall: Timestamp::from_millis(i64::MAX / 2),
    boot: BootId(u128::MAX),
    since_boot: Duration::MAX,
    awake: Duration::MAX,
};

impl Memory {
    pub(crate) fn new(reads: Reads, witness: Witness) -> Self {
        Self { reads, witness, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what a write may change, whether or not it succeeds.
    pub(crate) fn forget(&self, touched: &Touched) {
        let mut state = self.lock();
        state.head = None;
        state.written.extend(touched.session.clone());
        for part in &touched.parts {
            match part {
                Part::Sagas => state.sagas = None,
                Part::Outbox => state.heads = None,
                Part::Deadlines => state.armed = None,
                Part::Messages => {
                    state.unfinished = None;
                    state.message.clear();
                    state.message_by_key.clear();
                    state.messages_of.clear();
                }
                Part::Projects => state.projects = None,
                Part::Incidents => state.incidents.clear(),
            }
        }
    }

    /// Gives what is remembered; now and then, and when nothing is, asks the store.
    async fn answer<T: PartialEq + Debug>(
        &self,
        remembered: impl Future<Output = Answer<T>>,
        real: impl Future<Output = Answer<T>>,
    ) -> Answer<T> {
        let Reads::CheckedEvery(n) = self.reads else { return real.await };
        let remembered = remembered.await?;
        let is_checked = {
            let mut state = self.lock();
            state.n_asked += 1;
            state.n_asked.is_multiple_of(n)
        };
        if is_checked {
            let real = real.await?;
            if real != remembered {
                let (a, b) = (format!("{remembered:?}"), format!("{real:?}"));
                let at = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
                let (a, b) = (shown_from(&a, at), shown_from(&b, at));
                self.witness.violate(format!("remembered is `{a}` where the store has `{b}`"));
            }
        }
        Ok(remembered)
    }

    /// Reads what was written since it was read last.
    async fn know_sessions(&self, store: &SqliteStore) -> Answer<()> {
        loop {
            let written = {
                let state = self.lock();
                if state.sessions.is_none() { None } else { Some(state.written.first().cloned()) }
            };
            let Some(written) = written else {
                let all = store.list(&SessionFilter { project: None, with_terminal: true }).await?;
                let mut state = self.lock();
                state.sessions = Some(all);
                state.written.clear();
                return Ok(());
            };
            let Some(id) = written else { return Ok(()) };
            let found = store.get(&id).await?;
            let mut state = self.lock();
            state.written.remove(&id);
            let Some(sessions) = &mut state.sessions else { continue };
            let at = sessions.iter().position(|it| it.record.id == id);
            match (at.and_then(|at| sessions.get_mut(at)), found) {
                (Some(known), Some(found)) => *known = found,
                (Some(_), None) => sessions.retain(|it| it.record.id != id),
                // Where it stands among the others only the store knows.
                (None, Some(_)) => state.sessions = None,
                (None, None) => {}
            }
        }
    }

    /// Compares what the store holds with what it should: how many there are, and those that are
    /// other. Every answer is the store's own, where it was written since it was read last.
    pub(crate) async fn compare(
        &self,
        store: &SqliteStore,
        wanted: &BTreeMap<SessionId, Session>,
    ) -> Answer<(usize, Vec<SessionId>)> {
        if self.reads == Reads::Real {
            self.lock().sessions = None;
        }
        self.know_sessions(store).await?;
        let state = self.lock();
        let sessions = state.sessions.iter().flatten();
        let differs = |it: &&Session| wanted.get(&it.record.id) != Some(it);
        let other = sessions.clone().filter(differs).map(|it| it.record.id.clone()).collect();
        Ok((sessions.count(), other))
    }

    async fn know_sagas(&self, store: &SqliteStore) -> Answer<()> {
        if self.lock().sagas.is_none() {
            let sagas = store.in_flight().await?;
            self.lock().sagas = Some(sagas);
        }
        Ok(())
    }

    async fn know_armed(&self, store: &SqliteStore) -> Answer<()> {
        if self.lock().armed.is_none() {
            let armed = store.due(&END_OF_TIME).await?;
            self.lock().armed = Some(armed);
        }
        Ok(())
    }

    pub(crate) async fn get(&self, store: &SqliteStore, id: &SessionId) -> Answer<Option<Session>> {
        let remembered = async {
            self.know_sessions(store).await?;
            Ok(self.lock().session(id))
        };
        self.answer(remembered, store.get(id)).await
    }

    pub(crate) async fn load(&self, store: &SqliteStore, id: &SessionId) -> Answer<Option<Loaded>> {
        let remembered = async {
            self.know_sessions(store).await?;
            self.know_sagas(store).await?;
            let state = self.lock();
            let saga = state.sagas.iter().flatten().find(|saga| saga.session == *id).cloned();
            Ok(state.session(id).map(|session| Loaded { session, saga }))
        };
        self.answer(remembered, store.load(id)).await
    }

    pub(crate) async fn list(
        &self,
        store: &SqliteStore,
        filter: &SessionFilter,
    ) -> Answer<Vec<Session>> {
        let is_wanted = |session: &&Session| {
            let is_of_project =
                filter.project.as_ref().is_none_or(|project| session.record.project == *project);
            is_of_project && (filter.with_terminal || !session.lifecycle.is_terminal())
        };
        let remembered = async {
            self.know_sessions(store).await?;
            Ok(self.lock().sessions.iter().flatten().filter(is_wanted).cloned().collect())
        };
        self.answer(remembered, store.list(filter)).await
    }

    pub(crate) async fn in_flight(&self, store: &SqliteStore) -> Answer<Vec<Saga>> {
        let remembered = async {
            self.know_sagas(store).await?;
            Ok(self.lock().sagas.clone().unwrap_or_default())
        };
        self.answer(remembered, store.in_flight()).await
    }

    pub(crate) async fn ready(
        &self,
        store: &SqliteStore,
        now: &Moment,
        n_max: usize,
    ) -> Answer<Vec<OutboxEntry>> {
        let remembered = async {
            if self.lock().heads.is_none() {
                let heads = store.ready(&END_OF_TIME, usize::MAX).await?;
                self.lock().heads = Some(heads);
            }
            let is_ready = |entry: &&OutboxEntry| entry.is_ready(now);
            Ok(self.lock().heads.iter().flatten().filter(is_ready).take(n_max).cloned().collect())
        };
        self.answer(remembered, store.ready(now, n_max)).await
    }

    pub(crate) async fn due(&self, store: &SqliteStore, now: &Moment) -> Answer<Vec<Deadline>> {
        let remembered = async {
            self.know_armed(store).await?;
            let is_due = |it: &&Deadline| it.is_due(now);
            let mut due: Vec<Deadline> =
                self.lock().armed.iter().flatten().filter(is_due).cloned().collect();
            due.sort_by_cached_key(|it| {
                (Reverse(it.overdue_for(now)), it.session.clone(), it.kind.clone())
            });
            Ok(due)
        };
        self.answer(remembered, store.due(now)).await
    }

    pub(crate) async fn next_due_in(
        &self,
        store: &SqliteStore,
        now: &Moment,
    ) -> Answer<Option<Duration>> {
        let remembered = async {
            self.know_armed(store).await?;
            Ok(self.lock().armed.iter().flatten().map(|it| it.remaining(now)).min())
        };
        self.answer(remembered, store.next_due_in(now)).await
    }

    pub(crate) async fn unfinished(&self, store: &SqliteStore) -> Answer<Vec<Message>> {
        let remembered = async {
            if self.lock().unfinished.is_none() {
                let unfinished = store.unfinished().await?;
                self.lock().unfinished = Some(unfinished);
            }
            Ok(self.lock().unfinished.clone().unwrap_or_default())
        };
        self.answer(remembered, store.unfinished()).await
    }

    pub(crate) async fn message(
        &self,
        store: &SqliteStore,
        id: &MessageId,
    ) -> Answer<Option<Message>> {
        let remembered = async {
            if let Some(known) = self.lock().message.get(id) {
                return Ok(known.clone());
            }
            let found = store.message(id).await?;
            self.lock().message.insert(id.clone(), found.clone());
            Ok(found)
        };
        self.answer(remembered, store.message(id)).await
    }

    pub(crate) async fn message_by_key(
        &self,
        store: &SqliteStore,
        session: &SessionId,
        key: &IdempotencyKey,
    ) -> Answer<Option<Message>> {
        let remembered = async {
            let question = (session.clone(), key.clone());
            if let Some(known) = self.lock().message_by_key.get(&question) {
                return Ok(known.clone());
            }
            let found = store.message_by_key(session, key).await?;
            self.lock().message_by_key.insert(question, found.clone());
            Ok(found)
        };
        self.answer(remembered, store.message_by_key(session, key)).await
    }

    pub(crate) async fn messages_of(
        &self,
        store: &SqliteStore,
        session: &SessionId,
        n_max: usize,
    ) -> Answer<Vec<Message>> {
        let remembered = async {
            let question = (session.clone(), n_max);
            if let Some(known) = self.lock().messages_of.get(&question) {
                return Ok(known.clone());
            }
            let found = store.messages_of(session, n_max).await?;
            self.lock().messages_of.insert(question, found.clone());
            Ok(found)
        };
        self.answer(remembered, store.messages_of(session, n_max)).await
    }

    pub(crate) async fn projects(&self, store: &SqliteStore) -> Answer<Vec<Project>> {
        let remembered = async {
            if self.lock().projects.is_none() {
                let projects = store.projects().await?;
                self.lock().projects = Some(projects);
            }
            Ok(self.lock().projects.clone().unwrap_or_default())
        };
        self.answer(remembered, store.projects()).await
    }

    pub(crate) async fn incidents(
        &self,
        store: &SqliteStore,
        n_max: usize,
    ) -> Answer<Vec<InfraIncident>> {
        let remembered = async {
            if let Some(known) = self.lock().incidents.get(&n_max) {
                return Ok(known.clone());
            }
            let found = store.incidents(n_max).await?;
            self.lock().incidents.insert(n_max, found.clone());
            Ok(found)
        };
        self.answer(remembered, store.incidents(n_max)).await
    }

    pub(crate) async fn head(&self, store: &SqliteStore) -> Answer<u64> {
        let remembered = async {
            if let Some(known) = self.lock().head {
                return Ok(known);
            }
            let found = store.head().await?;
            self.lock().head = Some(found);
            Ok(found)
        };
        self.answer(remembered, store.head()).await
    }
}

/// A part of a long text around the place of interest.
fn shown_from(text: &str, at: usize) -> String {
    text.chars().skip(at.saturating_sub(60)).take(160).collect()
}

impl State {
    fn session(&self, id: &SessionId) -> Option<Session> {
        self.sessions.iter().flatten().find(|it| it.record.id == *id).cloned()
    }
}
