//! Git and the notifiers: every call is a yield point with a scheduled outcome.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ao_core::ids::NotifierId;
use ao_core::inbox::Notification;
use ao_core::outbox::Sink;
use ao_core::ports::{
    Appraisal, BoxFuture, Clock as _, CreateWorkspace, CreatedWorkspace, Ensured, Notifier,
    NotifyError, Recovery, Removal, RemovalMode, TrashSweep, Workspace, WorkspaceError,
    WorkspaceLook, WorkspaceTrace, Worktree,
};
use ao_core::saga::PreImage;
use ao_testkit::clock::JumpingClock;
use ao_testkit::notifier::FakeNotifier;
use ao_testkit::tasks::yield_now;
use ao_testkit::workspace::{FakeWorkspace, WorkspaceOp};

use super::plan::CallFault;
use super::witness::Witness;

/// Faults that wait for a call.
pub(crate) type Faults<K> = Arc<Mutex<BTreeMap<K, VecDeque<CallFault>>>>;

pub(crate) fn take<K: Ord>(faults: &Faults<K>, op: &K) -> Option<CallFault> {
    let mut faults = faults.lock().unwrap_or_else(PoisonError::into_inner);
    faults.get_mut(op).and_then(VecDeque::pop_front)
}

pub(crate) fn put<K: Ord>(faults: &Faults<K>, op: K, fault: CallFault) {
    let mut faults = faults.lock().unwrap_or_else(PoisonError::into_inner);
    faults.entry(op).or_default().push_back(fault);
}

pub(crate) fn clear<K>(faults: &Faults<K>) {
    faults.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// Lets others run, then a slow call take its time.
async fn enter(clock: &JumpingClock, fault: Option<CallFault>) -> Option<CallFault> {
    yield_now().await;
    match fault {
        Some(CallFault::Slow(seconds)) => {
            clock.sleep(Duration::from_secs(seconds)).await;
            None
        }
        Some(CallFault::TimeOut(seconds)) => {
            clock.sleep(Duration::from_secs(seconds)).await;
            Some(CallFault::Refuse)
        }
        fault => fault,
    }
}

/// Git.
pub(crate) struct Git {
    pub(crate) fake: FakeWorkspace,
    clock: JumpingClock,
    witness: Witness,
    faults: Faults<WorkspaceOp>,
    n_changes: AtomicU64,
}

impl Git {
    pub(crate) fn new(clock: JumpingClock, witness: Witness) -> Self {
        let (fake, faults) = (FakeWorkspace::new(), Faults::default());
        Self { fake, clock, witness, faults, n_changes: AtomicU64::new(0) }
    }

    /// Counts the calls that may have made or removed a worktree.
    pub(crate) fn n_changes(&self) -> u64 {
        self.n_changes.load(Ordering::Relaxed)
    }

    pub(crate) fn schedule(&self, op: WorkspaceOp, fault: CallFault) {
        put(&self.faults, op, fault);
    }

    pub(crate) fn heal(&self) {
        clear(&self.faults);
    }

    async fn call<T>(
        &self,
        op: WorkspaceOp,
        call: impl Future<Output = Result<T, WorkspaceError>>,
    ) -> Result<T, WorkspaceError> {
        let fault = take(&self.faults, &op);
        if let Some(fault) = fault {
            self.witness.count(format!("fault:git:{}", name_of(fault)));
            self.witness.tell(format!("    git: {op:?} {fault:?}"));
        }
        let fault = enter(&self.clock, fault).await;
        let refused = || WorkspaceError::Git { message: "index.lock exists".to_owned() };
        if fault == Some(CallFault::Refuse) {
            return Err(refused());
        }
        let answer = call.await;
        if !matches!(op, WorkspaceOp::Look | WorkspaceOp::Repository | WorkspaceOp::Traces) {
            self.n_changes.fetch_add(1, Ordering::Relaxed);
        }
        yield_now().await;
        if fault == Some(CallFault::LoseAnswer) { Err(refused()) } else { answer }
    }
}

/// A fault without its numbers.
pub(crate) const fn name_of(fault: CallFault) -> &'static str {
    match fault {
        CallFault::Refuse => "refuse",
        CallFault::LoseAnswer => "lose answer",
        CallFault::Slow(_) => "slow",
        CallFault::TimeOut(_) => "time out",
    }
}

impl Workspace for Git {
    fn preflight<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<PreImage, WorkspaceError>> {
        Box::pin(self.call(WorkspaceOp::Preflight, self.fake.preflight(request)))
    }

    fn create<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<CreatedWorkspace, WorkspaceError>> {
        Box::pin(self.call(WorkspaceOp::Create, self.fake.create(request)))
    }

    fn restore<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<CreatedWorkspace, WorkspaceError>> {
        Box::pin(self.call(WorkspaceOp::Restore, self.fake.restore(request)))
    }

    fn destroy<'a>(
        &'a self,
        request: &'a CreateWorkspace,
        mode: RemovalMode,
    ) -> BoxFuture<'a, Result<Removal, WorkspaceError>> {
        let destroy = async move {
            let head = self.fake.head(&request.path);
            let is_merged = head.map(|head| self.fake.is_in_main(&request.repo, &head));
            let removal = self.fake.destroy(request, mode).await?;
            self.witness.freed(&request.session, mode, &removal, is_merged);
            Ok(removal)
        };
        Box::pin(self.call(WorkspaceOp::Destroy, destroy))
    }

    fn appraise<'a>(
        &'a self,
        request: &'a CreateWorkspace,
        mode: RemovalMode,
    ) -> BoxFuture<'a, Result<Appraisal, WorkspaceError>> {
        Box::pin(self.call(WorkspaceOp::Look, self.fake.appraise(request, mode)))
    }

    fn refresh_base<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<Option<String>, WorkspaceError>> {
        Box::pin(self.call(WorkspaceOp::Repository, self.fake.refresh_base(request)))
    }

    fn recover<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<Option<Recovery>, WorkspaceError>> {
        Box::pin(self.call(WorkspaceOp::Restore, self.fake.recover(request)))
    }

    fn sweep<'a>(
        &'a self,
        request: &'a TrashSweep,
    ) -> BoxFuture<'a, Result<usize, WorkspaceError>> {
        Box::pin(self.call(WorkspaceOp::Repository, self.fake.sweep(request)))
    }

    fn undo_create<'a>(
        &'a self,
        request: &'a CreateWorkspace,
        pre_image: &'a PreImage,
    ) -> BoxFuture<'a, Result<Removal, WorkspaceError>> {
        Box::pin(self.call(WorkspaceOp::UndoCreate, self.fake.undo_create(request, pre_image)))
    }

    fn list<'a>(&'a self, repo: &'a Path) -> BoxFuture<'a, Result<Vec<Worktree>, WorkspaceError>> {
        Box::pin(self.call(WorkspaceOp::Repository, self.fake.list(repo)))
    }

    fn traces<'a>(
        &'a self,
        repo: &'a Path,
    ) -> BoxFuture<'a, Result<Vec<WorkspaceTrace>, WorkspaceError>> {
        Box::pin(self.call(WorkspaceOp::Traces, self.fake.traces(repo)))
    }

    fn inspect<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<WorkspaceLook, WorkspaceError>> {
        Box::pin(self.call(WorkspaceOp::Look, self.fake.inspect(request)))
    }

    fn diff<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<String, WorkspaceError>> {
        Box::pin(self.call(WorkspaceOp::Look, self.fake.diff(request)))
    }

    fn exclude<'a>(
        &'a self,
        repo: &'a Path,
        patterns: &'a [String],
    ) -> BoxFuture<'a, Result<Ensured, WorkspaceError>> {
        Box::pin(self.call(WorkspaceOp::Repository, self.fake.exclude(repo, patterns)))
    }

    fn discover<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<PathBuf, WorkspaceError>> {
        Box::pin(self.call(WorkspaceOp::Repository, self.fake.discover(path)))
    }
}

/// A notifier.
pub(crate) struct Bell {
    fake: FakeNotifier,
    id: NotifierId,
    clock: JumpingClock,
    witness: Witness,
    faults: Faults<()>,
}

impl Bell {
    pub(crate) fn new(id: NotifierId, clock: JumpingClock, witness: Witness) -> Self {
        let fake = FakeNotifier::new(id.clone());
        Self { fake, id, clock, witness, faults: Faults::default() }
    }

    pub(crate) fn schedule(&self, fault: CallFault) {
        put(&self.faults, (), fault);
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        if is_down { self.fake.go_down() } else { self.fake.come_up() }
    }

    pub(crate) fn heal(&self) {
        clear(&self.faults);
        self.fake.come_up();
    }
}

impl Notifier for Bell {
    fn id(&self) -> &NotifierId {
        &self.id
    }

    fn notify<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifyError>> {
        Box::pin(async move {
            let fault = take(&self.faults, &());
            if let Some(fault) = fault {
                self.witness.count(format!("fault:notifier:{}", name_of(fault)));
            }
            let fault = enter(&self.clock, fault).await;
            let lost = || NotifyError { notifier: self.id.clone(), message: "lost".to_owned() };
            if fault == Some(CallFault::Refuse) {
                return Err(lost());
            }
            self.fake.notify(notification).await?;
            self.witness.delivered(notification, &Sink::Notifier(self.id.clone()));
            yield_now().await;
            if fault == Some(CallFault::LoseAnswer) { Err(lost()) } else { Ok(()) }
        })
    }
}
