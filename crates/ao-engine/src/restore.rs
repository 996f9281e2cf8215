//! Asking for an ended session again: everything that can be refused is refused before anything
//! happens, then one commit reopens the record and makes the saga durable that starts its agent.
//!
//! It ends no process and makes no worktree: the saga does, after the commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ao_core::fact::{Fact, FactKind, Outcome, ProcessProbe};
use ao_core::ids::{AgentName, LaunchId, Nonce, Pid, SessionId};
use ao_core::ports::{
    Agent, AgentError, Commit, CreateRuntime, CreateWorkspace, ErrorKind, LaunchFile, LaunchOrigin,
    LaunchRequest, LaunchesError, Loaded, RuntimeError, StoreError, WorkspaceError,
};
use ao_core::reduce::reduce;
use ao_core::restore::losses;
use ao_core::saga::{PreImage, Saga, SagaChange, SagaDirection, SagaKind, SagaStep};
use ao_core::session::{Phase, SessionRecord, WorkspaceFate};
use ao_core::step::Step;

use crate::codes;
use crate::lifecycle::{CONFLICTS_MAX, LifecycleManager, ObserveError};
use crate::outlook::wait_until;
use crate::places::{PlaceError, Places};
use crate::ports::EnginePorts;
use crate::settings::EngineSettings;
use crate::spawn::{Named, agent_env};
use crate::worktree::{project_of, workspace_request};

/// How long a restore waits for what an end leaves to be put away: that takes milliseconds, unless
/// something is in its way that will still be there in a minute.
const PUT_AWAY_FOR_MAX: Duration = Duration::from_secs(5);

/// Messages that are looked through for what was lost: a session has far fewer unfinished ones.
const MESSAGES_MAX: usize = 1_000;

/// Journal entries that are looked through for what the agent was at: an end takes a handful.
const JOURNAL_MAX: usize = 50;

/// A session to bring back.
#[derive(Clone)]
pub struct RestoreRequest {
    /// The session.
    pub session: SessionId,
    /// The environment of the agent, before what the engine adds. It stands over what the launch
    /// file of the ended launch still holds.
    pub env: BTreeMap<String, String>,
}

/// Environments hold secrets: they are counted, not shown.
impl std::fmt::Debug for RestoreRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestoreRequest")
            .field("session", &self.session)
            .field("n_env", &self.env.len())
            .finish()
    }
}

/// A restore that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// The session.
    pub session: SessionId,
    /// What of it does not come back, as sentence fragments.
    pub lost: Vec<String>,
}

/// Why a session was not brought back. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// There is no such session.
    #[error("there is no session `{session}`")]
    NoSession {
        /// Its id.
        session: SessionId,
    },
    /// It has not ended.
    #[error("session `{session}` has not ended")]
    NotEnded {
        /// Its id.
        session: SessionId,
    },
    /// It is being restored already.
    #[error("session `{session}` is being restored already")]
    Restoring {
        /// Its id.
        session: SessionId,
    },
    /// It ended, and its teardown has not.
    #[error("the teardown of session `{session}` is not finished: {because}")]
    TearingDown {
        /// Its id.
        session: SessionId,
        /// What it waits for.
        because: String,
    },
    /// Its agent may still run: a second one would take up the same conversation.
    #[error("the agent of session `{session}` may still run, as process {pid}")]
    AgentAlive {
        /// The session.
        session: SessionId,
        /// The process.
        pid: Pid,
    },
    /// Its project is not registered any more.
    #[error("the project of session `{session}` is not registered")]
    NoProject {
        /// The session.
        session: SessionId,
    },
    /// Its agent is not known any more.
    #[error("there is no agent `{agent}`")]
    NoAgent {
        /// The name.
        agent: AgentName,
    },
    /// The agent cannot be started again.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The worktree cannot be had.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// The terminal cannot be made.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The launch file cannot be written.
    #[error(transparent)]
    Launches(#[from] LaunchesError),
    /// It cannot even wait for a place.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RestoreError {
    /// The stable code of the failure.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoSession { .. } => "SESSION_UNKNOWN",
            Self::NotEnded { .. } => "SESSION_LIVE",
            Self::Restoring { .. } => "SESSION_RESTORING",
            Self::TearingDown { .. } => "TEARDOWN_PENDING",
            Self::AgentAlive { .. } => "AGENT_ALIVE",
            Self::NoProject { .. } => "PROJECT_UNKNOWN",
            Self::NoAgent { .. } => "AGENT_UNKNOWN",
            Self::Agent(error) => error.code(),
            Self::Workspace(error) => error.code(),
            Self::Runtime(error) => codes::of_runtime(error),
            Self::Launches(_) => codes::HOME_UNWRITABLE,
            Self::Place(error) => error.code(),
            Self::Store(_) => codes::STORE_FAILED,
        }
    }

    /// What this error asks of its reader.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSession { .. } | Self::NoAgent { .. } => ErrorKind::NotFound,
            Self::NotEnded { .. }
            | Self::Restoring { .. }
            | Self::TearingDown { .. }
            | Self::AgentAlive { .. }
            | Self::NoProject { .. } => ErrorKind::Conflict,
            Self::Agent(error) => error.kind(),
            Self::Workspace(error) => error.kind(),
            Self::Runtime(error) => error.kind(),
            Self::Launches(_) => ErrorKind::Unavailable,
            Self::Place(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}

impl From<ObserveError> for RestoreError {
    fn from(error: ObserveError) -> Self {
        match error {
            ObserveError::NoSession { session } => Self::NoSession { session },
            ObserveError::Store(error) => Self::Store(error),
        }
    }
}

/// A restore whose request was found to be possible.
struct Planned {
    file: LaunchFile,
    pre_image: PreImage,
    lost: Vec<String>,
}

/// Reopens sessions.
#[derive(Clone)]
pub(crate) struct Restorer {
    pub(crate) ports: EnginePorts,
    pub(crate) settings: Arc<EngineSettings>,
    pub(crate) lifecycle: LifecycleManager,
    pub(crate) places: Arc<Places>,
}

impl Restorer {
    /// Reopens the record of an ended session, together with the saga that brings it back.
    ///
    /// *Flow*: wait for what its end left to be put away → preflight → launch file → one commit,
    /// which says whether it starts or waits for a place → the files of the ended launch are removed.
    ///
    /// *Guarantees*: an error means that nothing changed. Of several requests at once one is
    /// granted. A crash before the commit leaves at most a launch file that no session refers to,
    /// and one after it at most the files of the ended launch; the next boot removes either.
    pub(crate) async fn reopen(
        &self,
        request: &RestoreRequest,
    ) -> Result<RestoreReport, RestoreError> {
        let session = &request.session;
        self.wait_until_put_away(session).await?;
        let mut last = None;
        for _ in 0..CONFLICTS_MAX {
            let loaded = self.lifecycle.load(session).await?;
            check_ended(&loaded)?;
            self.places.check(self.settings.caps.weight_of(&loaded.session.record.agent))?;
            let planned = self.preflight(&loaded, request).await?;
            if let Err(error) = self.ports.launches.write(&planned.file, &[]).await {
                self.forget(&planned.file.launch).await;
                return Err(error.into());
            }
            match self.commit(&loaded, &planned).await {
                Ok(()) => {
                    if let Some(ended) = &loaded.session.record.launch_id {
                        self.forget(ended).await;
                    }
                    return Ok(RestoreReport { session: session.clone(), lost: planned.lost });
                }
                Err(error) => {
                    self.forget(&planned.file.launch).await;
                    let RestoreError::Store(
                        StoreError::Conflict { .. } | StoreError::Exists { .. },
                    ) = error
                    else {
                        return Err(error);
                    };
                    last = Some(error);
                }
            }
        }
        Err(last.unwrap_or_else(|| RestoreError::NoSession { session: session.clone() }))
    }

    /// Reopens the session where it then stands: at its first step, or in the queue.
    async fn commit(&self, loaded: &Loaded, planned: &Planned) -> Result<(), RestoreError> {
        // Held until the session is committed: it counts from then on.
        let claim = self.settings.caps.claim_of(&loaded.session);
        let entrance = self.places.enter(claim).await?;
        let now = self.ports.clock.now();
        let (outcome, phase) = if entrance.is_free() {
            (Outcome::RestoreRequested, Phase::Worktree)
        } else {
            (Outcome::RestoreQueued, Phase::Queued)
        };
        let fact = Fact { at: now, kind: FactKind::Outcome(outcome) };
        let Some(mut commit) = self.commit_of(loaded, planned, &fact) else {
            let session = loaded.session.record.id.clone();
            return Err(RestoreError::NotEnded { session });
        };
        if let Some(next) = &mut commit.next {
            next.record.phase = phase;
        }
        Ok(self.lifecycle.commit(commit).await?)
    }

    /// A session that ended a moment ago is still being put away. What takes longer is refused
    /// afterwards, with its reason.
    async fn wait_until_put_away(&self, session: &SessionId) -> Result<(), RestoreError> {
        let is_settled = || async {
            let loaded = self.ports.sessions.load(session).await?;
            let is_waited_for = loaded.is_some_and(|loaded| {
                loaded.session.lifecycle.is_terminal() && pending(&loaded).is_some()
            });
            Ok((!is_waited_for).then_some(()))
        };
        let (feed, clock) = (self.ports.feed.as_ref(), self.ports.clock.as_ref());
        wait_until(feed, clock, PUT_AWAY_FOR_MAX, is_settled).await?;
        Ok(())
    }

    /// Removes the files of a launch that is over or came to nothing: they hold an environment.
    async fn forget(&self, launch: &LaunchId) {
        if let Err(left_behind) = self.ports.launches.remove(launch).await {
            tracing::warn!(%left_behind, "A launch file stays until the next start.");
        }
    }

    async fn preflight(
        &self,
        loaded: &Loaded,
        request: &RestoreRequest,
    ) -> Result<Planned, RestoreError> {
        let record = &loaded.session.record;
        self.check_agent_is_dead(record)?;
        let agent = self
            .ports
            .agents
            .get(&record.agent)
            .ok_or_else(|| RestoreError::NoAgent { agent: record.agent.clone() })?;
        let workspace = self.workspace_of(record).await?;
        let pre_image = self.ports.workspace.preflight(&workspace).await?;
        let is_there = self.ports.workspace.inspect(&workspace).await?.exists;

        let launch: LaunchId = self.ports.ids.token().into();
        let nonce: Nonce = self.ports.ids.token().into();
        let env = self.env_of(record, request, &launch, &nonce).await;
        // Where its worktree does not stand, a program named by a relative path is looked for where
        // its copy will come from.
        let directory = if is_there { &workspace.path } else { &workspace.repo };
        self.check_agent(record, agent.as_ref(), directory.clone(), env.clone())?;
        let runtime = CreateRuntime {
            session: record.id.clone(),
            project: record.project.clone(),
            launch: launch.clone(),
            nonce,
            directory: workspace.path.clone(),
            argv: Vec::new(),
        };
        // Nobody has it; the question shows whether there is a tmux to ask, and whether the name is
        // free.
        self.ports.runtime.find(&runtime).await.map(drop)?;

        let messages = self.ports.messages.messages_of(&record.id, MESSAGES_MAX).await?;
        let journal = self.ports.sessions.journal(&record.id, JOURNAL_MAX).await?;
        let mut lost = losses(&loaded.session, &messages, &journal);
        if !is_there {
            lost.extend(lost_worktree(record, &pre_image));
        }
        let file = LaunchFile {
            launch,
            session: record.id.clone(),
            directory: workspace.path,
            argv: Vec::new(),
            env,
            origin: Some(LaunchOrigin::of(record)),
        };
        Ok(Planned { file, pre_image, lost })
    }

    /// Two processes would write one conversation. A look that could not tell is no death.
    fn check_agent_is_dead(&self, record: &SessionRecord) -> Result<(), RestoreError> {
        let Some(handle) = &record.handle else { return Ok(()) };
        let process = &handle.process;
        let is_of_this_boot = process.boot == self.ports.processes.boot();
        if is_of_this_boot && self.ports.processes.probe(process) != ProcessProbe::Dead {
            return Err(RestoreError::AgentAlive { session: record.id.clone(), pid: process.pid });
        }
        Ok(())
    }

    async fn workspace_of(&self, record: &SessionRecord) -> Result<CreateWorkspace, RestoreError> {
        let project = project_of(&self.ports, &record.project).await?;
        let project =
            project.ok_or_else(|| RestoreError::NoProject { session: record.id.clone() })?;
        Ok(workspace_request(record, project))
    }

    /// What the ended launch had, as far as that is kept, under what the request brings.
    async fn env_of(
        &self,
        record: &SessionRecord,
        request: &RestoreRequest,
        launch: &LaunchId,
        nonce: &Nonce,
    ) -> BTreeMap<String, String> {
        let kept = match &record.launch_id {
            Some(ended) => self.ports.launches.read(ended).await,
            None => Ok(None),
        };
        let mut given = match kept {
            Ok(file) => file.map(|file| file.env).unwrap_or_default(),
            Err(error) => {
                tracing::warn!(session = %record.id, %error,
                    "The environment of the ended launch cannot be read.");
                BTreeMap::new()
            }
        };
        given.extend(request.env.clone());
        let named = Named {
            session: &record.id,
            project: &record.project,
            issue: record.issue.as_ref(),
            launch,
            nonce,
        };
        agent_env(&self.settings, &given, named)
    }

    /// Asks the agent whether it could: the real plan is made by the saga, after the worktree.
    fn check_agent(
        &self,
        record: &SessionRecord,
        agent: &dyn Agent,
        directory: std::path::PathBuf,
        env: BTreeMap<String, String>,
    ) -> Result<(), AgentError> {
        let launch: LaunchId = self.ports.ids.token().into();
        let files_dir = self.ports.launches.dir(&launch);
        let request = LaunchRequest {
            session: record.id.clone(),
            launch,
            directory,
            files_dir,
            prompt: record.prompt.clone(),
            argv: record.argv.clone(),
            model: record.model.clone(),
            permission_mode: record.permission_mode.clone(),
            agent_session_id: record.agent_session_id.clone(),
            env,
        };
        agent.restore_command(&request).map(drop)
    }

    /// The one commit that reopens a session; `None` when it is not terminal.
    fn commit_of(&self, loaded: &Loaded, planned: &Planned, fact: &Fact) -> Option<Commit> {
        let (session, now) = (&loaded.session.record.id, fact.at);
        let policy = self.settings.policy_of(&loaded.session.record.project);
        let Step::Change(change) = reduce(&loaded.session, fact, policy, &now) else {
            return None;
        };
        let mut commit = self.lifecycle.plan(loaded, *change, fact, now);
        if let Some(next) = &mut commit.next {
            let record = &mut next.record;
            record.launch_id = Some(planned.file.launch.clone());
            // The nonce stays that of the ended launch until the first step has ended what still
            // carries it.
            record.handle = None;
            record.trouble = None;
            if record.workspace.fate == WorkspaceFate::Removed {
                // From here on it may be there.
                record.workspace.fate = WorkspaceFate::Absent;
            }
        }
        commit.saga = Some(SagaChange::Begin(Saga {
            session: session.clone(),
            kind: SagaKind::Restore,
            step: SagaStep::Processes,
            direction: SagaDirection::Forward,
            is_cancelled: false,
            pre_image: planned.pre_image.clone(),
            discard: false,
            because: None,
            attempts: 0,
            started_at: now,
        }));
        Some(commit)
    }
}

/// Why a restore may not begin, as far as the record tells.
fn check_ended(loaded: &Loaded) -> Result<(), RestoreError> {
    let session = loaded.session.record.id.clone();
    if !loaded.session.lifecycle.is_terminal() {
        let is_restore = loaded.saga.as_ref().is_some_and(|saga| saga.kind == SagaKind::Restore);
        return Err(if is_restore {
            RestoreError::Restoring { session }
        } else {
            RestoreError::NotEnded { session }
        });
    }
    match pending(loaded) {
        Some(because) => Err(RestoreError::TearingDown { session, because }),
        None => Ok(()),
    }
}

/// What the teardown of an ended session waits for; `None` once it has ended.
fn pending(loaded: &Loaded) -> Option<String> {
    if let Some(saga) = &loaded.saga {
        let because = saga.because.as_ref().map(|trouble| trouble.message.clone());
        return Some(because.unwrap_or_else(|| format!("it stands before `{}`", saga.step)));
    }
    let is_put_away = loaded.session.record.phase == Phase::Ended;
    (!is_put_away).then(|| "its terminal is still being put away".to_owned())
}

/// What a worktree that is made again lacks.
fn lost_worktree(record: &SessionRecord, pre_image: &PreImage) -> Vec<String> {
    let branch = &record.branch;
    let from = match (&pre_image.branch_at, &record.base.name) {
        (Some(_tip), _) => format!("from its branch `{branch}`"),
        (None, Some(base)) => format!("from `{base}`, because its branch `{branch}` is gone"),
        (None, None) => format!("anew, because its branch `{branch}` is gone"),
    };
    let mut lost =
        vec![format!("its worktree is gone and is made again {from}, without untracked files")];
    if let Some(preserved) = &record.workspace.preserved_ref {
        lost.push(format!("work of it is preserved under `{preserved}` and not put back"));
    }
    lost
}
