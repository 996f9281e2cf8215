//! The database as the engine sees it: every call is a yield point, may fail as scheduled, and may
//! be the one at which the daemon dies: before a write, or after it and before its reply.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ao_core::deadline::Deadline;
use ao_core::event::Changes;
use ao_core::ids::{IdempotencyKey, MessageId, ProjectId, Revision, SessionId};
use ao_core::journal::JournalRecord;
use ao_core::message::Message;
use ao_core::outbox::{Effect, OutboxEntry, OutboxOutcome};
use ao_core::ports::{
    BoxFuture, ChangeFeed, Commit, Deadlines, Ensured, Incidents, InfraIncident, Loaded, Messages,
    Outbox, Projects, Sagas, SessionFilter, SessionStore, StoreError,
};
use ao_core::project::Project;
use ao_core::saga::{Saga, SagaChange};
use ao_core::session::{Phase, Session};
use ao_core::step::Rule;
use ao_core::time::Moment;
use ao_store::SqliteStore;
use ao_testkit::tasks::yield_now;
use futures_util::FutureExt as _;

use super::memory::{Memory, Reads, Touched};
use super::plan::{StoreFault, StoreOp};
use super::points::{Queueing, SagaPoint};
use super::witness::Witness;

/// Where the daemon dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DieAt {
    /// At the n-th write from now.
    Write(u64),
    /// At this write of a saga.
    Saga(SagaPoint),
}

/// What goes wrong at the store. It outlives the daemons.
#[derive(Clone)]
pub(crate) struct StoreTrouble {
    state: Arc<Mutex<Trouble>>,
    witness: Witness,
}

#[derive(Default)]
struct Trouble {
    faults: BTreeMap<StoreOp, VecDeque<StoreFault>>,
    /// Where the daemon dies, and whether the write is done before it does.
    die_at: Option<(DieAt, bool)>,
    n_writes: u64,
    is_dead: bool,
    waiting: Option<std::task::Waker>,
}

impl StoreTrouble {
    pub(crate) fn new(witness: Witness) -> Self {
        Self { state: Arc::default(), witness }
    }

    fn lock(&self) -> MutexGuard<'_, Trouble> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn schedule(&self, op: StoreOp, fault: StoreFault) {
        self.lock().faults.entry(op).or_default().push_back(fault);
    }

    pub(crate) fn die_at(&self, at: DieAt, is_after: bool) {
        let mut trouble = self.lock();
        trouble.n_writes = 0;
        trouble.die_at = Some((at, is_after));
    }

    /// Takes back everything that was scheduled and not met.
    pub(crate) fn heal(&self) {
        let mut trouble = self.lock();
        trouble.faults.clear();
        trouble.die_at = None;
    }

    /// Whether the daemon has come to where it dies.
    pub(crate) fn is_dead(&self) -> bool {
        self.lock().is_dead
    }

    /// A daemon that begins anew.
    pub(crate) fn reset(&self) {
        self.lock().is_dead = false;
    }

    async fn enter(&self, op: StoreOp, session: Option<&SessionId>) -> Result<(), StoreError> {
        yield_now().await;
        let fault = self.lock().faults.get_mut(&op).and_then(VecDeque::pop_front);
        let Some(fault) = fault else { return Ok(()) };
        self.witness.count(format!("fault:store:{op:?}:{fault:?}"));
        self.witness.tell(format!("    the store: {op:?} {fault:?}"));
        Err(match (fault, session) {
            (StoreFault::Conflict, Some(session)) => StoreError::Conflict {
                session: session.clone(),
                expected: Revision(0),
                found: Revision(0),
            },
            (StoreFault::Conflict | StoreFault::Unavailable, _) => {
                StoreError::Unavailable { message: "the disk is full".to_owned() }
            }
        })
    }

    /// Whether the daemon dies at this write, and when.
    fn meet(&self, point: Option<SagaPoint>) -> Option<bool> {
        let mut trouble = self.lock();
        trouble.n_writes += 1;
        let (at, is_after) = trouble.die_at?;
        let is_met = match at {
            DieAt::Write(n) => trouble.n_writes >= n,
            DieAt::Saga(wanted) => point == Some(wanted),
        };
        if !is_met {
            return None;
        }
        trouble.die_at = None;
        drop(trouble);
        let when = if is_after { "after" } else { "before" };
        self.witness.count(format!("fault:die:{when} a write"));
        if let Some(point) = point {
            self.witness.count(format!("crash:{point}:{when}"));
        }
        let at = point.map_or_else(String::new, |point| format!(" of {point}"));
        self.witness.tell(format!("    the daemon dies {when} a write{at}"));
        Some(is_after)
    }

    /// Ends when the daemon comes to where it dies.
    pub(crate) async fn death(&self) {
        std::future::poll_fn(|context| {
            let mut trouble = self.lock();
            if trouble.is_dead {
                return std::task::Poll::Ready(());
            }
            trouble.waiting = Some(context.waker().clone());
            std::task::Poll::Pending
        })
        .await;
    }

    /// What runs here never goes on.
    async fn die(&self) {
        let waiting = {
            let mut trouble = self.lock();
            trouble.is_dead = true;
            trouble.waiting.take()
        };
        if let Some(waker) = waiting {
            waker.wake();
        }
        std::future::pending::<()>().await;
    }
}

/// The store of one daemon.
pub(crate) struct Gate {
    store: SqliteStore,
    memory: Memory,
    trouble: StoreTrouble,
    witness: Witness,
}

impl Gate {
    pub(crate) fn new(
        store: SqliteStore,
        reads: Reads,
        trouble: StoreTrouble,
        witness: Witness,
    ) -> Self {
        Self { store, memory: Memory::new(reads, witness.clone()), trouble, witness }
    }

    /// Compares every session with what it should be, without the faults and without a yield: how
    /// many there are, and those that are other.
    pub(crate) fn compare(
        &self,
        wanted: &BTreeMap<SessionId, Session>,
    ) -> Option<Result<(usize, Vec<SessionId>), StoreError>> {
        self.memory.compare(&self.store, wanted).now_or_never()
    }

    /// Leaves what is on disk as it is.
    pub(crate) fn abandon(&self) -> Result<(), StoreError> {
        self.store.abandon()
    }

    /// Writes, and tells the witness before anything else can happen.
    async fn write<T>(
        &self,
        point: Option<SagaPoint>,
        touched: Touched,
        write: impl Future<Output = Result<T, StoreError>>,
        written: impl FnOnce(&T),
    ) -> Result<T, StoreError> {
        let death = self.trouble.meet(point);
        if death == Some(false) {
            self.trouble.die().await;
        }
        let answer = write.await;
        // The store writes in one poll: nobody can have read in between.
        self.memory.forget(&touched);
        if let Ok(value) = &answer {
            written(value);
        }
        if death == Some(true) {
            self.trouble.die().await;
        }
        yield_now().await;
        answer
    }
}

impl Gate {
    /// Where a commit puts the saga of its session.
    fn point_of(&self, commit: &Commit) -> Option<SagaPoint> {
        let (saga, is_over) = match commit.saga.as_ref()? {
            SagaChange::Begin(saga) | SagaChange::Put(saga) => (saga.clone(), false),
            SagaChange::End => (self.witness.seen().sagas.get(&commit.session)?.clone(), true),
        };
        let Saga { kind, direction, step, .. } = saga;
        let queueing = if matches!(&commit.saga, Some(SagaChange::Begin(_))) && is_queued(commit) {
            Queueing::Waits
        } else if commit.journal.as_ref().is_some_and(|it| it.because.rule == Rule::PlaceFound) {
            Queueing::Starts
        } else {
            Queueing::None
        };
        Some(SagaPoint { kind, direction, step: (!is_over).then_some(step), queueing })
    }
}

fn is_queued(commit: &Commit) -> bool {
    commit.next.as_ref().is_some_and(|next| next.record.phase == Phase::Queued)
}

impl SessionStore for Gate {
    fn get<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Option<Session>, StoreError>> {
        Box::pin(async move {
            self.trouble.enter(StoreOp::Read, None).await?;
            self.memory.get(&self.store, id).await
        })
    }

    fn load<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Option<Loaded>, StoreError>> {
        Box::pin(async move {
            self.trouble.enter(StoreOp::Read, None).await?;
            self.memory.load(&self.store, id).await
        })
    }

    fn list<'a>(
        &'a self,
        filter: &'a SessionFilter,
    ) -> BoxFuture<'a, Result<Vec<Session>, StoreError>> {
        Box::pin(async move {
            self.trouble.enter(StoreOp::List, None).await?;
            self.memory.list(&self.store, filter).await
        })
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Revision, StoreError>> {
        Box::pin(async move {
            let session = commit.session.clone();
            let taken = async {
                self.trouble.enter(StoreOp::Commit, Some(&commit.session)).await?;
                let write = self.store.commit(commit.clone());
                let written = |revision: &Revision| self.witness.committed(&commit, *revision);
                let touched = Touched::commit(&commit);
                self.write(self.point_of(&commit), touched, write, written).await
            };
            let answer = taken.await;
            if answer.is_err() {
                // What it was about is decided again.
                self.witness.seen().setups.begun(&session);
            }
            answer
        })
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
        Box::pin(async move {
            self.trouble.enter(StoreOp::Commit, None).await?;
            let touched = Touched::removal(id);
            self.write(None, touched, self.store.remove(id), |()| self.witness.removed(id)).await
        })
    }
}

impl Sagas for Gate {
    fn in_flight(&self) -> BoxFuture<'_, Result<Vec<Saga>, StoreError>> {
        Box::pin(async move {
            self.trouble.enter(StoreOp::Sagas, None).await?;
            self.memory.in_flight(&self.store).await
        })
    }
}

impl Outbox for Gate {
    fn ready<'a>(
        &'a self,
        now: &'a Moment,
        n_max: usize,
    ) -> BoxFuture<'a, Result<Vec<OutboxEntry>, StoreError>> {
        Box::pin(async move {
            self.trouble.enter(StoreOp::Outbox, None).await?;
            let ready = self.memory.ready(&self.store, now, n_max).await?;
            self.witness.taken(&ready);
            Ok(ready)
        })
    }

    fn finish(&self, outcomes: Vec<(u64, OutboxOutcome)>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.trouble.enter(StoreOp::Outbox, None).await?;
            let write = self.store.finish(outcomes.clone());
            let seen = |(): &()| {
                for (seq, outcome) in &outcomes {
                    self.witness.finished(*seq, outcome);
                }
            };
            self.write(None, Touched::outbox(), write, seen).await
        })
    }

    fn of_session<'a>(
        &'a self,
        id: &'a SessionId,
        n_max: usize,
    ) -> BoxFuture<'a, Result<Vec<OutboxEntry>, StoreError>> {
        self.store.of_session(id, n_max)
    }
}

impl Messages for Gate {
    fn message<'a>(
        &'a self,
        id: &'a MessageId,
    ) -> BoxFuture<'a, Result<Option<Message>, StoreError>> {
        Box::pin(async move {
            self.trouble.enter(StoreOp::Messages, None).await?;
            self.memory.message(&self.store, id).await
        })
    }

    fn message_by_key<'a>(
        &'a self,
        session: &'a SessionId,
        key: &'a IdempotencyKey,
    ) -> BoxFuture<'a, Result<Option<Message>, StoreError>> {
        Box::pin(async move {
            self.trouble.enter(StoreOp::Messages, None).await?;
            self.memory.message_by_key(&self.store, session, key).await
        })
    }

    fn messages_of<'a>(
        &'a self,
        session: &'a SessionId,
        n_max: usize,
    ) -> BoxFuture<'a, Result<Vec<Message>, StoreError>> {
        Box::pin(async move {
            self.trouble.enter(StoreOp::Messages, None).await?;
            self.memory.messages_of(&self.store, session, n_max).await
        })
    }

    fn unfinished(&self) -> BoxFuture<'_, Result<Vec<Message>, StoreError>> {
        Box::pin(async move {
            self.trouble.enter(StoreOp::Messages, None).await?;
            self.memory.unfinished(&self.store).await
        })
    }
}

impl Deadlines for Gate {
    fn due<'a>(&'a self, now: &'a Moment) -> BoxFuture<'a, Result<Vec<Deadline>, StoreError>> {
        Box::pin(async move {
            self.trouble.enter(StoreOp::Deadlines, None).await?;
            self.memory.due(&self.store, now).await
        })
    }

    fn deadlines_of<'a>(
        &'a self,
        session: &'a SessionId,
    ) -> BoxFuture<'a, Result<Vec<Deadline>, StoreError>> {
        self.store.deadlines_of(session)
    }

    fn next_due_in<'a>(
        &'a self,
        now: &'a Moment,
    ) -> BoxFuture<'a, Result<Option<std::time::Duration>, StoreError>> {
        Box::pin(async move {
            self.trouble.enter(StoreOp::Deadlines, None).await?;
            self.memory.next_due_in(&self.store, now).await
        })
    }
}

impl Projects for Gate {
    fn add_project(&self, project: Project) -> BoxFuture<'_, Result<Ensured, StoreError>> {
        Box::pin(async move {
            let added = self.store.add_project(project).await;
            self.memory.forget(&Touched::projects());
            added
        })
    }

    fn projects(&self) -> BoxFuture<'_, Result<Vec<Project>, StoreError>> {
        Box::pin(async move {
            self.trouble.enter(StoreOp::Read, None).await?;
            self.memory.projects(&self.store).await
        })
    }

    fn remove_project<'a>(&'a self, id: &'a ProjectId) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let removed = self.store.remove_project(id).await;
            self.memory.forget(&Touched::projects());
            removed
        })
    }

    fn next_session_id<'a>(
        &'a self,
        id: &'a ProjectId,
    ) -> BoxFuture<'a, Result<SessionId, StoreError>> {
        Box::pin(async move {
            self.trouble.enter(StoreOp::Commit, None).await?;
            self.write(None, Touched::default(), self.store.next_session_id(id), |_| {}).await
        })
    }

    fn skip_session_ids<'a>(
        &'a self,
        id: &'a ProjectId,
        n: u64,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.trouble.enter(StoreOp::Commit, None).await?;
            self.write(None, Touched::default(), self.store.skip_session_ids(id, n), |()| {}).await
        })
    }
}

impl Incidents for Gate {
    fn open_incident<'a>(
        &'a self,
        incident: &'a InfraIncident,
        effects: &'a [Effect],
    ) -> BoxFuture<'a, Result<Ensured, StoreError>> {
        Box::pin(async move {
            self.trouble.enter(StoreOp::Incidents, None).await?;
            let write = self.store.open_incident(incident, effects);
            let written = |ensured: &Ensured| self.witness.opened(incident, *ensured, effects);
            self.write(None, Touched::incidents(), write, written).await
        })
    }

    fn incidents(&self, n_max: usize) -> BoxFuture<'_, Result<Vec<InfraIncident>, StoreError>> {
        Box::pin(async move {
            self.trouble.enter(StoreOp::Incidents, None).await?;
            self.memory.incidents(&self.store, n_max).await
        })
    }
}

impl ChangeFeed for Gate {
    fn head(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.memory.head(&self.store))
    }

    fn changes_after(
        &self,
        cursor: u64,
        n_max: usize,
    ) -> BoxFuture<'_, Result<Changes, StoreError>> {
        self.store.changes_after(cursor, n_max)
    }

    fn wait_after(&self, cursor: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.wait_after(cursor)
    }
}
