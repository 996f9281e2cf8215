//! A store that stops the world at its n-th write: right before it, or after it and before its
//! reply. What runs then never goes on, as if the program had been killed there.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ao_core::ids::{IdempotencyKey, Revision, SessionId};
use ao_core::journal::JournalRecord;
use ao_core::outbox::{OutboxEntry, OutboxOutcome};
use ao_core::ports::{BoxFuture, Commit, Loaded, Outbox, SessionFilter, SessionStore, StoreError};
use ao_core::session::Session;
use ao_core::time::Moment;
use ao_testkit::memory_store::MemoryStore;
use ao_testkit::tasks::yield_now;

/// Where the world stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Before the n-th write (from 1).
    Before(u64),
    /// After the n-th write, before its reply.
    After(u64),
}

/// Counts the writes and stops at one of them.
pub(crate) struct Gate {
    store: Arc<MemoryStore>,
    n_writes: AtomicU64,
    stop: Mutex<Option<Stop>>,
    is_slow: AtomicBool,
    hit: tokio::sync::Notify,
}

impl Gate {
    pub(crate) fn new(store: Arc<MemoryStore>) -> Self {
        Self {
            store,
            n_writes: AtomicU64::new(0),
            stop: Mutex::new(None),
            is_slow: AtomicBool::new(false),
            hit: tokio::sync::Notify::new(),
        }
    }

    /// Stops at this write, counted from now.
    pub(crate) fn stop_at(&self, stop: Option<Stop>) {
        self.n_writes.store(0, Ordering::SeqCst);
        *self.stop.lock().unwrap() = stop;
    }

    /// How many writes were asked for since the last [`Self::stop_at`], refused ones included.
    pub(crate) fn n_writes(&self) -> u64 {
        self.n_writes.load(Ordering::SeqCst)
    }

    /// From now on a write takes its time, in which others go on.
    pub(crate) fn slow_down(&self) {
        self.is_slow.store(true, Ordering::SeqCst);
    }

    /// Ends when the world stops.
    pub(crate) async fn hit(&self) {
        self.hit.notified().await;
    }

    async fn pass<T>(&self, write: impl Future<Output = T>) -> T {
        let n = self.n_writes.fetch_add(1, Ordering::SeqCst) + 1;
        let stop = *self.stop.lock().unwrap();
        if stop == Some(Stop::Before(n)) {
            self.stop_for_ever().await;
        }
        if self.is_slow.load(Ordering::SeqCst) {
            yield_now().await;
        }
        let written = write.await;
        if stop == Some(Stop::After(n)) {
            self.stop_for_ever().await;
        }
        written
    }

    async fn stop_for_ever(&self) {
        self.hit.notify_one();
        std::future::pending::<()>().await;
    }
}

impl SessionStore for Gate {
    fn get<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Option<Session>, StoreError>> {
        self.store.get(id)
    }

    fn load<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Option<Loaded>, StoreError>> {
        self.store.load(id)
    }

    fn list<'a>(
        &'a self,
        filter: &'a SessionFilter,
    ) -> BoxFuture<'a, Result<Vec<Session>, StoreError>> {
        self.store.list(filter)
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Revision, StoreError>> {
        Box::pin(self.pass(self.store.commit(commit)))
    }

    fn find_by_key<'a>(
        &'a self,
        key: &'a IdempotencyKey,
    ) -> BoxFuture<'a, Result<Option<SessionId>, StoreError>> {
        self.store.find_by_key(key)
    }

    fn journal<'a>(
        &'a self,
        id: &'a SessionId,
        n_max: usize,
    ) -> BoxFuture<'a, Result<Vec<JournalRecord>, StoreError>> {
        self.store.journal(id, n_max)
    }

    fn journal_base<'a>(
        &'a self,
        id: &'a SessionId,
    ) -> BoxFuture<'a, Result<Option<(u64, Session)>, StoreError>> {
        self.store.journal_base(id)
    }

    fn remove<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.pass(self.store.remove(id)))
    }
}

impl Outbox for Gate {
    fn ready<'a>(
        &'a self,
        now: &'a Moment,
        n_max: usize,
    ) -> BoxFuture<'a, Result<Vec<OutboxEntry>, StoreError>> {
        self.store.ready(now, n_max)
    }

    fn finish(&self, outcomes: Vec<(u64, OutboxOutcome)>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.pass(self.store.finish(outcomes)))
    }

    fn of_session<'a>(
        &'a self,
        id: &'a SessionId,
        n_max: usize,
    ) -> BoxFuture<'a, Result<Vec<OutboxEntry>, StoreError>> {
        self.store.of_session(id, n_max)
    }
}
