//! The session manager: performs what people ask for. It derives no state; it reports outcomes.

pub(crate) mod cleanup;
mod recover;

mod transcript;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ao_core::fact::{Fact, FactKind, Outcome};
use ao_core::ids::{Pid, RefName, SessionId};
use ao_core::ports::{
    AttachMode, Commit, CreateWorkspace, ErrorKind, Expected, Loaded, ProvisionError, RemovalMode,
    RuntimeError, ScreensError, SessionFilter, StoreError, WorkspaceError, WorkspaceLook,
};
use ao_core::record::EndIntent;
use ao_core::saga::{PreImage, Saga, SagaChange, SagaDirection, SagaKind, SagaStep};
use ao_core::session::{BranchFate, RuntimeHandle, Session, WorkspaceFate};
use ao_core::time::Moment;

use crate::lifecycle::{CONFLICTS_MAX, LifecycleManager, ObserveError};
use crate::places::{Places, PlacesReport};
use crate::ports::EnginePorts;
use crate::restore::{RestoreError, RestoreReport, RestoreRequest, Restorer};
use crate::saga::SagaRunner;
use crate::settings::EngineSettings;
use crate::spawn::{Seeder, SpawnError, SpawnRequest};
use crate::worktree::{look_request, project_of};

/// How long a kill waits for its teardown before it answers `pending`: a tree that ignores
/// SIGTERM, and a large worktree, take a few seconds each.
const KILL_FOR_MAX: Duration = Duration::from_secs(30);

/// Why something asked of a session was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// There is no such session.
    #[error("there is no session `{session}`")]
    NoSession {
        /// Its id.
        session: SessionId,
    },
    /// It has no terminal (any more, or yet).
    #[error("session `{session}` has no terminal: {because}")]
    NoTerminal {
        /// Its id.
        session: SessionId,
        /// Why.
        because: &'static str,
    },
    /// Its agent's transcript cannot be read.
    #[error("session `{session}` has no transcript: {because}")]
    NoTranscript {
        /// Its id.
        session: SessionId,
        /// Why.
        because: String,
    },
    /// Its project is not registered any more.
    #[error("the project of session `{session}` is not registered")]
    NoProject {
        /// Its id.
        session: SessionId,
    },
    /// It is not terminal.
    #[error("session `{session}` has not ended")]
    NotEnded {
        /// Its id.
        session: SessionId,
    },
    /// Something is in flight for it.
    #[error("session `{session}` is being started or put away")]
    Busy {
        /// Its id.
        session: SessionId,
    },
    /// Nothing of it was set aside.
    #[error("nothing of session `{session}` is preserved, and the trash has nothing of it")]
    NothingPreserved {
        /// Its id.
        session: SessionId,
    },
    /// Its worktree is there, and nobody else would account for it.
    #[error("the worktree of session `{session}` is still at `{}`", .path.display())]
    HasWorktree {
        /// Its id.
        session: SessionId,
        /// Where the worktree is.
        path: PathBuf,
    },
    /// The terminal failed.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The worktree failed.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// What preparing it printed cannot be had.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// The kept screen failed.
    #[error(transparent)]
    Screens(#[from] ScreensError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SessionError {
    /// What this error asks of its reader.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSession { .. } | Self::NoTranscript { .. } | Self::NothingPreserved { .. } => {
                ErrorKind::NotFound
            }
            Self::NoTerminal { .. }
            | Self::NoProject { .. }
            | Self::NotEnded { .. }
            | Self::Busy { .. }
            | Self::HasWorktree { .. } => ErrorKind::Conflict,
            Self::Runtime(error) => error.kind(),
            Self::Workspace(error) => error.kind(),
            Self::Provision(error) => error.kind(),
            Self::Screens(_) => ErrorKind::Unavailable,
            Self::Store(error) => error.kind(),
        }
    }
}

impl From<ObserveError> for SessionError {
    fn from(error: ObserveError) -> Self {
        match error {
            ObserveError::NoSession { session } => Self::NoSession { session },
            ObserveError::Store(error) => Self::Store(error),
        }
    }
}

/// A kill fails like anything asked of a session.
pub type KillError = SessionError;

/// How a kill ended: the session's fate and its worktree's are two facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KillReport {
    /// The session.
    pub session: SessionId,
    /// What became of the worktree.
    pub workspace: WorkspaceFate,
    /// Why it was kept or is pending.
    pub because: Option<String>,
    /// What became of the branch.
    pub branch: BranchFate,
    /// Where work was preserved.
    pub preserved_ref: Option<RefName>,
}

/// Performs what people ask of sessions.
#[derive(Clone)]
pub struct SessionManager {
    ports: EnginePorts,
    settings: Arc<EngineSettings>,
    lifecycle: LifecycleManager,
    runner: SagaRunner,
    seeder: Seeder,
    restorer: Restorer,
    places: Arc<Places>,
}

impl SessionManager {
    pub(crate) fn new(
        ports: EnginePorts,
        settings: Arc<EngineSettings>,
        lifecycle: LifecycleManager,
        runner: SagaRunner,
        places: Arc<Places>,
    ) -> Self {
        let seeder = Seeder {
            ports: ports.clone(),
            settings: Arc::clone(&settings),
            places: Arc::clone(&places),
            counted: Arc::default(),
        };
        let restorer = Restorer {
            ports: ports.clone(),
            settings: Arc::clone(&settings),
            lifecycle: lifecycle.clone(),
            places: Arc::clone(&places),
        };
        Self { ports, settings, lifecycle, runner, seeder, restorer, places }
    }

    /// Starts a session. It exists, durably, when this returns; its phases go on from there. Where
    /// no place is free it waits for one, and nothing of it is made before.
    pub async fn spawn(&self, request: SpawnRequest) -> Result<SessionId, SpawnError> {
        let session = self.seeder.seed(request).await?;
        self.runner.start(&session);
        Ok(session)
    }

    /// Brings an ended session back: its worktree, and its agent in the same conversation where it
    /// has one. It is reopened, durably, when this returns; its phases go on from there.
    ///
    /// *Guarantees*: its teardown has ended, no process of its ended launch is left when the agent
    /// starts, and of several requests at once one is granted. A restore that fails, or is killed,
    /// loses no work: the session ends again and can be restored again.
    pub async fn restore(&self, request: &RestoreRequest) -> Result<RestoreReport, RestoreError> {
        let report = self.restorer.reopen(request).await?;
        self.runner.start(&request.session);
        Ok(report)
    }

    /// Who holds the places that there are, and who waits for one.
    pub async fn places(&self) -> Result<PlacesReport, SessionError> {
        Ok(self.places.report().await?)
    }

    /// Reads a session with what is in flight for it.
    pub async fn load(&self, session: &SessionId) -> Result<Loaded, SessionError> {
        Ok(self.lifecycle.load(session).await?)
    }

    /// Lists sessions.
    pub async fn list(&self, filter: &SessionFilter) -> Result<Vec<Session>, SessionError> {
        Ok(self.ports.sessions.list(filter).await?)
    }

    /// Gives a session a name for people, or takes it away.
    pub async fn rename(
        &self,
        session: &SessionId,
        name: Option<String>,
    ) -> Result<(), SessionError> {
        self.write(session, |next| next.record.name.clone_from(&name)).await
    }

    /// Removes the record of an ended session. Its id stays used.
    ///
    /// *Guarantees*: one whose worktree is there, or may be, stays: the record is what accounts for
    /// it, and for the work in it.
    pub async fn remove(&self, session: &SessionId) -> Result<(), SessionError> {
        let loaded = self.load(session).await?;
        // Without the record nobody would put the rest of its machinery away.
        let is_put_away = loaded.session.record.phase == ao_core::session::Phase::Ended;
        if !loaded.session.lifecycle.is_terminal() || !is_put_away || loaded.saga.is_some() {
            return Err(SessionError::NotEnded { session: session.clone() });
        }
        let workspace = &loaded.session.record.workspace;
        let is_gone = match workspace.fate {
            WorkspaceFate::Absent | WorkspaceFate::Removed => true,
            WorkspaceFate::Present | WorkspaceFate::Kept | WorkspaceFate::Pending => {
                let look = self.inspect(session).await?;
                !look.exists && !look.is_registered
            }
        };
        if !is_gone {
            let (session, path) = (session.clone(), workspace.path.clone());
            return Err(SessionError::HasWorktree { session, path });
        }
        self.ports.sessions.remove(session).await?;
        if let Err(error) = self.ports.provisioner.forget(session).await {
            tracing::warn!(%session, %error, "What its preparation printed stays.");
        }
        // Kept for a restore until now.
        if let Some(launch) = &loaded.session.record.launch_id
            && let Err(left_behind) = self.ports.launches.remove(launch).await
        {
            tracing::warn!(%left_behind, "A launch file stays until the next start.");
        }
        Ok(())
    }

    /// Ends a session: its processes, its terminal, and its worktree if nothing is lost by that.
    ///
    /// *Flow*: the intent is committed together with the saga, then the saga ends the process
    /// tree, the runtime, the worktree and the files, in this order.
    ///
    /// *Guarantees*: once the intent is committed the session is terminal, whatever else fails. A
    /// launch in flight is cancelled and unwinds itself first. Repeating it is harmless. The
    /// daemon, a tmux server and the `caller` that waits for the answer are never signalled.
    ///
    /// *Caveats*: a teardown that cannot finish answers `pending` and is tried again every pass.
    pub async fn kill(
        &self,
        session: &SessionId,
        mode: RemovalMode,
        caller: Option<Pid>,
    ) -> Result<KillReport, KillError> {
        let discard = mode == RemovalMode::Discard;
        let caller = caller.and_then(|pid| self.ports.processes.identity(pid, None));
        // Before the intent: a pass may take the saga up as soon as that is committed.
        let _spared = self.runner.spare(session, caller);
        self.request_end(session, discard).await?;
        self.runner.start(session);
        self.runner.settled(session, KILL_FOR_MAX).await?;
        let loaded = self.load(session).await?;
        let workspace = loaded.session.record.workspace;
        let (fate, because) = match &loaded.saga {
            Some(saga) => (
                WorkspaceFate::Pending,
                saga.because.as_ref().map(|it| it.message.clone()).or(workspace.because),
            ),
            // A session whose launch never got to a worktree has none left.
            None if workspace.fate == WorkspaceFate::Absent => (WorkspaceFate::Removed, None),
            None => (workspace.fate, workspace.because),
        };
        Ok(KillReport {
            session: session.clone(),
            workspace: fate,
            because,
            branch: workspace.branch,
            preserved_ref: workspace.preserved_ref,
        })
    }

    async fn request_end(&self, session: &SessionId, discard: bool) -> Result<(), KillError> {
        let mut last = None;
        for _ in 0..CONFLICTS_MAX {
            let now = self.ports.clock.now();
            let loaded = self.load(session).await?;
            let mut commit = self.end_commit(&loaded, EndIntent::Kill, now);
            commit.saga = match &loaded.saga {
                None if is_torn_down(&loaded.session, discard) => return Ok(()),
                None => Some(SagaChange::Begin(end_saga(session, SagaKind::Kill, discard, now))),
                Some(saga) => Some(SagaChange::Put(cancelled(saga, discard))),
            };
            match self.lifecycle.commit(commit).await {
                Ok(()) => return Ok(()),
                Err(error @ (StoreError::Conflict { .. } | StoreError::Exists { .. })) => {
                    last = Some(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.map_or_else(
            || SessionError::NoSession { session: session.clone() },
            SessionError::Store,
        ))
    }

    /// What the wish for an end comes to. It writes the session in any case: the next write of a
    /// saga in flight must notice that this one came first.
    fn end_commit(&self, loaded: &Loaded, intent: EndIntent, now: Moment) -> Commit {
        let fact = Fact { at: now, kind: FactKind::Outcome(Outcome::EndRequested(intent)) };
        let mut commit = self.lifecycle.commit_of(loaded, &fact, now);
        commit.next.get_or_insert_with(|| loaded.session.clone());
        commit
    }

    /// What its terminal shows: the last `n_lines` lines, or the kept screen once it ended.
    pub async fn output(
        &self,
        session: &SessionId,
        n_lines: usize,
    ) -> Result<String, SessionError> {
        let loaded = self.load(session).await?;
        if let Ok(handle) = live_handle(&loaded) {
            match self.ports.terminal.get_output(handle, n_lines).await {
                Ok(text) => return Ok(text),
                Err(error) if !loaded.session.lifecycle.is_terminal() => return Err(error.into()),
                // It ended and its terminal is gone already: the kept screen is what is left.
                Err(_) => {}
            }
        }
        let kept = self.ports.screens.last_screen(session).await?.unwrap_or_default();
        let lines: Vec<&str> = kept.lines().collect();
        let first = lines.len().saturating_sub(n_lines);
        Ok(lines.get(first..).unwrap_or_default().join("\n"))
    }

    /// What preparing its worktree did and printed.
    pub async fn setup_log(&self, session: &SessionId) -> Result<String, SessionError> {
        self.load(session).await?;
        Ok(self.ports.provisioner.log(session).await?)
    }

    /// The command line that attaches a human.
    pub async fn attach_command(
        &self,
        session: &SessionId,
        mode: AttachMode,
    ) -> Result<Vec<String>, SessionError> {
        let loaded = self.load(session).await?;
        let handle = live_handle(&loaded)?;
        Ok(self.ports.terminal.attach_command(handle, mode))
    }

    /// Presses the agent's own interrupt key. Never kills.
    pub async fn interrupt(&self, session: &SessionId) -> Result<(), SessionError> {
        let loaded = self.load(session).await?;
        let handle = live_handle(&loaded)?;
        let key = match self.ports.agents.get(&loaded.session.record.agent) {
            Some(agent) => agent.interrupt_key(),
            None => "C-c",
        };
        Ok(self.ports.terminal.press(handle, key).await?)
    }

    /// The difference of its worktree to its base.
    pub async fn diff(&self, session: &SessionId) -> Result<String, SessionError> {
        let request = self.workspace_of(session).await?;
        Ok(self.ports.workspace.diff(&request).await?)
    }

    /// A look at its worktree.
    pub async fn inspect(&self, session: &SessionId) -> Result<WorkspaceLook, SessionError> {
        let request = self.workspace_of(session).await?;
        Ok(self.ports.workspace.inspect(&request).await?)
    }

    async fn workspace_of(&self, session: &SessionId) -> Result<CreateWorkspace, SessionError> {
        let record = self.load(session).await?.session.record;
        let project = project_of(&self.ports, &record.project).await?;
        let project =
            project.ok_or_else(|| SessionError::NoProject { session: session.clone() })?;
        Ok(look_request(&record, project))
    }

    async fn write(
        &self,
        session: &SessionId,
        edit: impl Fn(&mut Session),
    ) -> Result<(), SessionError> {
        let mut last = None;
        for _ in 0..CONFLICTS_MAX {
            let now = self.ports.clock.now();
            let mut next = self.load(session).await?.session;
            let expected = Expected::Revision(next.lifecycle.revision);
            edit(&mut next);
            next.record.updated_at = now.wall;
            let mut commit = Commit::on(session.clone(), expected, now);
            commit.next = Some(next);
            match self.lifecycle.commit(commit).await {
                Ok(()) => return Ok(()),
                Err(error @ StoreError::Conflict { .. }) => last = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.map_or_else(
            || SessionError::NoSession { session: session.clone() },
            SessionError::Store,
        ))
    }
}

/// The terminal of a session that has one.
fn live_handle(loaded: &Loaded) -> Result<&RuntimeHandle, SessionError> {
    let session = || loaded.session.record.id.clone();
    if loaded.session.record.phase == ao_core::session::Phase::Ended {
        let because = "it ended; `ao logs` shows its last screen";
        return Err(SessionError::NoTerminal { session: session(), because });
    }
    loaded.session.record.handle.as_ref().ok_or_else(|| SessionError::NoTerminal {
        session: session(),
        because: "it is still being started",
    })
}

/// Whether a kill has nothing left to do. With `--discard` a kept worktree is something to do.
fn is_torn_down(session: &Session, discard: bool) -> bool {
    let is_worktree_settled = match session.record.workspace.fate {
        WorkspaceFate::Absent | WorkspaceFate::Removed => true,
        WorkspaceFate::Kept | WorkspaceFate::Present | WorkspaceFate::Pending => false,
    };
    // A session that ended by itself keeps its launch file, for a restore, until somebody kills it.
    let is_end_asked_for = session.lifecycle.intent.is_some();
    session.lifecycle.is_terminal()
        && is_end_asked_for
        && session.record.phase == ao_core::session::Phase::Ended
        && is_worktree_settled
        && !discard
}

/// A saga that puts away what a session holds.
fn end_saga(session: &SessionId, kind: SagaKind, discard: bool, now: Moment) -> Saga {
    Saga {
        session: session.clone(),
        kind,
        step: SagaStep::Processes,
        direction: SagaDirection::Forward,
        is_cancelled: false,
        pre_image: PreImage::default(),
        discard,
        because: None,
        attempts: 0,
        started_at: now,
    }
}

/// The saga in flight, told that the end is wanted.
fn cancelled(saga: &Saga, discard: bool) -> Saga {
    let is_launch = matches!(saga.kind, SagaKind::Spawn | SagaKind::Restore);
    // A restore that failed keeps the worktree; one that is killed is a kill.
    let has_kept_it = saga.kind == SagaKind::Restore
        && matches!(saga.step, SagaStep::RemoveFiles | SagaStep::Finish);
    Saga {
        is_cancelled: saga.is_cancelled || is_launch,
        discard: saga.discard || discard,
        step: if has_kept_it { SagaStep::RemoveWorktree } else { saga.step },
        ..saga.clone()
    }
}
