//! Sagas: session verbs of more than one step, finished or unwound across any crash.
//!
//! A saga stands before the step that it names. A step is performed, then its end and what it
//! implies for the record are committed together. A crash in between repeats the step, so every
//! step finds what an earlier try left. At most one runner works on a session.
//!
//! # Common pitfalls
//!
//! A commit that conflicts is not a failure of the step: something else was decided meanwhile (a
//! kill, a fact), so the runner loads again and asks what to do now.

mod launch;
mod teardown;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ao_core::ids::SessionId;
use ao_core::ports::{Commit, CreateRuntime, CreateWorkspace, Expected, Loaded, StoreError};
use ao_core::saga::{Saga, SagaChange, SagaDirection, SagaKind, SagaStep, SagaTrouble};
use ao_core::session::{Phase, ProcessIdentity, Session, SessionRecord};

use crate::lifecycle::{LifecycleManager, ObserveError};
use crate::outlook::{Waited, wait_until};
use crate::ports::EnginePorts;
use crate::settings::EngineSettings;
use crate::wake::Wake;
use crate::worktree::{project_of, workspace_request};

/// How a run came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ran {
    /// There is no saga any more.
    Over,
    /// The session waits for a place.
    Queued,
    /// It has to wait for something else.
    Later,
}

/// What a runner does after one step.
enum Next {
    /// Look at the saga again.
    Continue,
    /// It cannot go on now; the next pass tries again.
    Later,
    /// It goes on once there is a place.
    Queued,
}

/// Why a step did not get done.
#[derive(Debug, thiserror::Error)]
enum StepError {
    /// It failed; the saga unwinds, or waits if it unwinds or tears down already.
    #[error("{}", .0.message)]
    Trouble(SagaTrouble),
    /// Somebody else wrote the session: load again.
    #[error("the session was written meanwhile")]
    Again,
    /// The store failed; the next pass tries again.
    #[error(transparent)]
    Store(StoreError),
}

impl StepError {
    fn trouble(code: &str, message: impl Into<String>) -> Self {
        Self::Trouble(SagaTrouble { code: code.to_owned(), message: message.into() })
    }
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Conflict { .. }) { Self::Again } else { Self::Store(error) }
    }
}

/// Runs sagas.
#[derive(Clone)]
pub(crate) struct SagaRunner {
    ports: EnginePorts,
    settings: Arc<EngineSettings>,
    lifecycle: LifecycleManager,
    wake: Wake,
    running: Arc<Mutex<BTreeSet<SessionId>>>,
    spared: SparedSet,
}

/// Processes that wait for the end of a session, once for each kill that waits.
type SparedSet = Arc<Mutex<Vec<(SessionId, ProcessIdentity)>>>;

/// Spares a process for as long as its kill waits, also when that is given up.
pub(crate) struct Spared {
    entry: Option<(SessionId, ProcessIdentity)>,
    spared: SparedSet,
}

impl Drop for Spared {
    fn drop(&mut self) {
        let mut spared = self.spared.lock().unwrap_or_else(PoisonError::into_inner);
        let place = spared.iter().position(|it| Some(it) == self.entry.as_ref());
        if let Some(place) = place {
            spared.swap_remove(place);
        }
    }
}

/// Takes a session off the list of running ones, also when its task is dropped.
struct Running {
    session: SessionId,
    running: Arc<Mutex<BTreeSet<SessionId>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.session);
    }
}

impl SagaRunner {
    pub(crate) fn new(
        ports: EnginePorts,
        settings: Arc<EngineSettings>,
        lifecycle: LifecycleManager,
        wake: Wake,
    ) -> Self {
        Self { ports, settings, lifecycle, wake, running: Arc::default(), spared: Arc::default() }
    }

    /// Sees to it that the saga of a session, if it has one, is being run.
    pub(crate) fn start(&self, session: &SessionId) {
        let is_new =
            self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(session.clone());
        if !is_new {
            return;
        }
        let guard = Running { session: session.clone(), running: Arc::clone(&self.running) };
        let runner = self.clone();
        self.ports.tasks.spawn(
            "saga",
            Box::pin(async move {
                let ran = runner.run(&guard.session).await;
                let session = guard.session.clone();
                drop(guard);
                // A saga that began, or a place that was found, after the last look and before the
                // guard fell is not missed.
                let is_queued = |loaded: &Loaded| {
                    loaded.session.record.phase == Phase::Queued && ran == Ran::Queued
                };
                if ran != Ran::Later
                    && let Ok(Some(loaded)) = runner.ports.sessions.load(&session).await
                    && loaded.saga.as_ref().is_some_and(|it| it.is_cancelled || !is_queued(&loaded))
                {
                    runner.start(&session);
                }
            }),
        );
    }

    /// Names the process that asks for the end of a session: it is not signalled, because it waits
    /// for the answer. A crash forgets it, but then nobody waits any more.
    pub(crate) fn spare(&self, session: &SessionId, caller: Option<ProcessIdentity>) -> Spared {
        let entry = caller.map(|caller| (session.clone(), caller));
        let mut spared = self.spared.lock().unwrap_or_else(PoisonError::into_inner);
        spared.extend(entry.clone());
        Spared { entry, spared: Arc::clone(&self.spared) }
    }

    fn is_spared(&self, session: &SessionId, process: &ProcessIdentity) -> bool {
        let spared = self.spared.lock().unwrap_or_else(PoisonError::into_inner);
        spared.iter().any(|(of, it)| {
            of == session
                && (it.boot, it.pid, it.start_ticks)
                    == (process.boot, process.pid, process.start_ticks)
        })
    }

    /// Waits until a session has no saga; `false` when it still has one after `for_max`.
    pub(crate) async fn settled(
        &self,
        session: &SessionId,
        for_max: Duration,
    ) -> Result<bool, StoreError> {
        let is_settled = || async {
            let loaded = self.ports.sessions.load(session).await?;
            Ok(loaded.is_none_or(|loaded| loaded.saga.is_none()).then_some(()))
        };
        let (feed, clock) = (self.ports.feed.as_ref(), self.ports.clock.as_ref());
        let waited = wait_until(feed, clock, for_max, is_settled).await?;
        Ok(waited == Waited::Met(()))
    }

    /// Runs steps until there is no saga any more or it has to wait.
    async fn run(&self, session: &SessionId) -> Ran {
        while !self.wake.is_stopping() {
            let loaded = match self.lifecycle.load(session).await {
                Ok(loaded) => loaded,
                Err(ObserveError::NoSession { .. }) => return Ran::Over,
                Err(ObserveError::Store(error)) => {
                    tracing::warn!(%session, %error, "A saga waits for the store.");
                    return Ran::Later;
                }
            };
            let Some(saga) = loaded.saga.clone() else {
                // What ended may free a watch, a message or a place.
                self.wake.all();
                return Ran::Over;
            };
            let next = match self.step(&loaded, &saga).await {
                Err(StepError::Trouble(trouble)) => self.meet(&loaded, saga, trouble).await,
                next => next,
            };
            match next {
                Ok(Next::Continue) | Err(StepError::Again) => {}
                Ok(Next::Later) => return Ran::Later,
                Ok(Next::Queued) => return Ran::Queued,
                Err(error @ (StepError::Store(_) | StepError::Trouble(_))) => {
                    tracing::warn!(%session, %error, "A saga waits for the store.");
                    return Ran::Later;
                }
            }
        }
        Ran::Later
    }

    async fn step(&self, loaded: &Loaded, saga: &Saga) -> Result<Next, StepError> {
        match (saga.kind, saga.direction) {
            (SagaKind::Spawn | SagaKind::Restore, SagaDirection::Forward) => {
                if saga.is_cancelled {
                    self.turn_around(loaded, saga.clone(), None).await?;
                    return Ok(Next::Continue);
                }
                if loaded.session.record.phase == Phase::Queued {
                    return Ok(Next::Queued);
                }
                self.launch_step(loaded, saga).await
            }
            (SagaKind::Spawn | SagaKind::Restore, SagaDirection::Unwinding)
            | (SagaKind::Kill | SagaKind::Cleanup, _) => self.teardown_step(loaded, saga).await,
        }
    }

    /// A launch that failed unwinds; a teardown that failed stays open and says why.
    async fn meet(
        &self,
        loaded: &Loaded,
        saga: Saga,
        trouble: SagaTrouble,
    ) -> Result<Next, StepError> {
        // What the stop itself made fail is tried again by the next start.
        if self.wake.is_stopping() {
            return Ok(Next::Later);
        }
        let is_launch = matches!(saga.kind, SagaKind::Spawn | SagaKind::Restore);
        if is_launch && saga.direction == SagaDirection::Forward {
            tracing::info!(session = %saga.session, step = %saga.step,
                because = %trouble.message, "A launch failed and is unwound.");
            self.turn_around(loaded, saga, Some(trouble)).await?;
            Ok(Next::Continue)
        } else {
            self.hold(loaded, saga, trouble).await?;
            Ok(Next::Later)
        }
    }

    async fn turn_around(
        &self,
        loaded: &Loaded,
        mut saga: Saga,
        because: Option<SagaTrouble>,
    ) -> Result<(), StepError> {
        saga.direction = SagaDirection::Unwinding;
        // Of a spawn that waits for its place nothing was made but its launch file.
        let is_unbegun =
            saga.kind == SagaKind::Spawn && loaded.session.record.phase == Phase::Queued;
        saga.step = if is_unbegun { SagaStep::RemoveFiles } else { SagaStep::Processes };
        saga.attempts = 0;
        saga.because = None;
        let mut record = loaded.session.record.clone();
        record.trouble = because.map(|it| format!("{}: {}", it.code, it.message));
        self.put(loaded, saga, record).await
    }

    /// Keeps a teardown open. The same trouble again writes nothing.
    async fn hold(
        &self,
        loaded: &Loaded,
        mut saga: Saga,
        trouble: SagaTrouble,
    ) -> Result<(), StepError> {
        if saga.because.as_ref() == Some(&trouble) {
            return Ok(());
        }
        tracing::warn!(session = %saga.session, step = %saga.step, because = %trouble.message,
            "A teardown is not finished and is tried again.");
        saga.because = Some(trouble);
        saga.attempts = saga.attempts.saturating_add(1);
        let record = loaded.session.record.clone();
        self.put(loaded, saga, record).await
    }

    /// Commits the end of a step: the saga at its next step and the record as the step left it.
    async fn advance(
        &self,
        loaded: &Loaded,
        saga: &Saga,
        step: SagaStep,
        record: SessionRecord,
    ) -> Result<Next, StepError> {
        let next = Saga { step, attempts: 0, because: None, ..saga.clone() };
        self.put(loaded, next, record).await?;
        Ok(Next::Continue)
    }

    async fn put(
        &self,
        loaded: &Loaded,
        saga: Saga,
        mut record: SessionRecord,
    ) -> Result<(), StepError> {
        let now = self.ports.clock.now();
        let revision = loaded.session.lifecycle.revision;
        let mut commit = Commit::on(saga.session.clone(), Expected::Revision(revision), now);
        if record != loaded.session.record {
            record.updated_at = now.wall;
        }
        // Also when only the saga changes: the revision is what keeps a step and a kill that both
        // write it from undoing each other.
        commit.next = Some(Session { record, ..loaded.session.clone() });
        commit.saga = Some(SagaChange::Put(saga));
        self.lifecycle.commit(commit).await?;
        Ok(())
    }

    async fn workspace_request(
        &self,
        record: &SessionRecord,
    ) -> Result<CreateWorkspace, StepError> {
        let project = project_of(&self.ports, &record.project).await?.ok_or_else(|| {
            StepError::trouble(
                "NO_PROJECT",
                format!("project `{}` is not registered", record.project),
            )
        })?;
        Ok(workspace_request(record, project))
    }

    fn runtime_request(&self, record: &SessionRecord) -> Option<CreateRuntime> {
        let (launch, nonce) = (record.launch_id.clone()?, record.nonce.clone()?);
        let argv = self.ports.launches.launcher(&launch);
        Some(CreateRuntime {
            session: record.id.clone(),
            project: record.project.clone(),
            launch,
            nonce,
            directory: record.workspace.path.clone(),
            argv,
        })
    }
}
