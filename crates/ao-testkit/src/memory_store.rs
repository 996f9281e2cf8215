//! A store in memory: every store port, with revision conflicts and a schedule of faults.
//!
//! It keeps nothing across a restart and bounds nothing but the feed: retention, durability and
//! formats are the real store's own and are tested there. It passes `contract::store` as the real
//! one does.

mod feed;
mod ports;
mod shard;
mod state;

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ao_core::ids::SessionId;
use ao_core::ports::{Commit, Expected, StoreError};

use self::state::State;

/// The operations of the store ports, to schedule faults for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// `SessionStore::get`
    Get,
    /// `SessionStore::load`
    Load,
    /// `SessionStore::list`
    List,
    /// `SessionStore::commit`
    Commit,
    /// `SessionStore::find_by_key`
    FindByKey,
    /// `SessionStore::journal`
    Journal,
    /// `SessionStore::journal_base`
    JournalBase,
    /// `SessionStore::remove`
    Remove,
    /// `Sagas::in_flight`
    InFlight,
    /// `Outbox::ready`
    Ready,
    /// `Outbox::finish`
    Finish,
    /// `Outbox::of_session`
    OfSession,
    /// `Messages::message`
    Message,
    /// `Messages::message_by_key`
    MessageByKey,
    /// `Messages::messages_of`
    MessagesOf,
    /// `Messages::unfinished`
    Unfinished,
    /// `Deadlines::due`
    Due,
    /// `Deadlines::deadlines_of`
    DeadlinesOf,
    /// `Deadlines::next_due_in`
    NextDueIn,
    /// `Projects::add_project`
    AddProject,
    /// `Projects::projects`
    Projects,
    /// `Projects::remove_project`
    RemoveProject,
    /// `Projects::next_session_id`
    NextSessionId,
    /// `Projects::skip_session_ids`
    SkipSessionIds,
    /// `Inbox::deliver`
    Deliver,
    /// `Inbox::inbox`
    Inbox,
    /// `Inbox::mark_read`
    MarkRead,
    /// `Incidents::open_incident`
    OpenIncident,
    /// `Incidents::incidents`
    Incidents,
    /// `ChangeFeed::head`
    Head,
    /// `ChangeFeed::changes_after`
    ChangesAfter,
    /// `ChangeFeed::wait_after`
    WaitAfter,
}

/// A store in memory.
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

struct Inner {
    state: State,
    faults: VecDeque<(Op, StoreError)>,
    n_commits_asked: u64,
    n_commits_done: u64,
    conflicts: BTreeSet<u64>,
}

/// A copy of what a store held.
pub struct StoreCopy(State);

/// As many events as any test of the engine makes; a test that wants a reset asks for less.
const N_EVENTS_MAX: usize = 100_000;

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::with_events_max(N_EVENTS_MAX)
    }

    /// An empty store whose feed keeps the last `n_events_max` events.
    pub fn with_events_max(n_events_max: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                state: State::new(n_events_max),
                faults: VecDeque::new(),
                n_commits_asked: 0,
                n_commits_done: 0,
                conflicts: BTreeSet::new(),
            }),
        }
    }

    /// The next call of `op` that has no fault scheduled before it fails with `error` and does
    /// nothing.
    pub fn fail_next(&self, op: Op, error: StoreError) {
        self.lock().faults.push_back((op, error));
    }

    /// A copy of everything in it, as of a database file whose daemon is stopped.
    pub fn copy(&self) -> StoreCopy {
        StoreCopy(self.lock().state.clone())
    }

    /// Puts a copy in the place of what it holds, as a person does to a database file.
    pub fn put_back(&self, copy: StoreCopy) {
        self.lock().state = copy.0;
    }

    /// Takes back every fault that was scheduled and not met.
    pub fn heal(&self) {
        self.lock().faults.clear();
    }

    /// Another writer gets in before the `n`-th commit from now (1 is the next one): the session's
    /// revision has risen, so a commit on the revision that was read conflicts.
    pub fn conflict_next(&self, n: u64) {
        let mut inner = self.lock();
        let nth = inner.n_commits_asked.saturating_add(n);
        inner.conflicts.insert(nth);
    }

    /// How many commits were written: what a pass that changes nothing must leave alone.
    pub fn n_commits(&self) -> u64 {
        self.lock().n_commits_done
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does one operation, unless a fault is scheduled for it, and wakes who waits for its events.
    fn perform<T>(
        &self,
        op: Op,
        work: impl FnOnce(&mut State) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (result, wakers) = {
            let mut inner = self.lock();
            inner.fault(op)?;
            let result = work(&mut inner.state);
            (result, inner.state.feed.take_wakers())
        };
        for waker in wakers {
            waker.wake();
        }
        result
    }

    fn commit_now(&self, commit: Commit) -> Result<ao_core::ids::Revision, StoreError> {
        self.interleave(&commit.session, commit.expected);
        let done = self.perform(Op::Commit, |state| state.commit(commit))?;
        let mut inner = self.lock();
        inner.n_commits_done = inner.n_commits_done.saturating_add(1);
        Ok(done)
    }

    fn interleave(&self, session: &SessionId, expected: Expected) {
        let mut inner = self.lock();
        inner.n_commits_asked = inner.n_commits_asked.saturating_add(1);
        let nth = inner.n_commits_asked;
        if inner.conflicts.remove(&nth) && expected != Expected::Absent {
            inner.state.raise_revision(session);
        }
    }
}

impl Inner {
    fn fault(&mut self, op: Op) -> Result<(), StoreError> {
        let found = self.faults.iter().position(|(scheduled, _)| *scheduled == op);
        match found.and_then(|index| self.faults.remove(index)) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::store::sample::{moment, rich, seed, seeding, session_id};
    use crate::contract::store::{self, Stores, wait};
    use ao_core::ids::Revision;
    use ao_core::ports::SessionStore as _;

    #[test]
    fn the_fake_keeps_the_contract_of_a_store() {
        store::check(|n_events| Stores::over(MemoryStore::with_events_max(n_events), ()));
    }

    #[test]
    fn a_scheduled_fault_is_met_once_and_writes_nothing() {
        let store = MemoryStore::new();
        let full = StoreError::Unavailable { message: "disk full".to_owned() };
        store.fail_next(Op::Commit, full.clone());
        wait(store.get(&session_id("app-1"))).unwrap();
        assert_eq!(wait(store.commit(seeding(seed("app-1")))), Err(full));
        assert_eq!(store.n_commits(), 0);
        assert_eq!(wait(store.get(&session_id("app-1"))), Ok(None));
        assert_eq!(wait(store.commit(seeding(seed("app-1")))), Ok(Revision(1)));
        assert_eq!(store.n_commits(), 1);
    }

    #[test]
    fn an_interleaved_writer_makes_the_chosen_commit_conflict() {
        let store = MemoryStore::new();
        let id = session_id("app-1");
        wait(store.commit(seeding(seed("app-1")))).unwrap();
        store.conflict_next(2);
        let next = |revision| Commit {
            next: Some(rich("app-1")),
            ..Commit::on(id.clone(), Expected::Revision(Revision(revision)), moment(2))
        };
        assert_eq!(wait(store.commit(next(1))), Ok(Revision(2)));
        let (expected, found) = (Revision(2), Revision(3));
        let conflict = StoreError::Conflict { session: id.clone(), expected, found };
        assert_eq!(wait(store.commit(next(2))), Err(conflict));
        assert_eq!(wait(store.commit(next(3))), Ok(Revision(4)));
    }
}
