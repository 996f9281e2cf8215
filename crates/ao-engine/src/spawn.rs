//! Asking for a session: everything that can be refused is refused before anything happens, then
//! one commit makes the session and its saga durable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use ao_core::capacity::Claim;
use ao_core::ids::{
    AgentName, BranchName, IdempotencyKey, IssueRef, LaunchId, Nonce, ProjectId, RefName, SessionId,
};
use ao_core::ledger::Ledger;
use ao_core::ports::{
    Agent, AgentError, Commit, CreateRuntime, CreateWorkspace, ErrorKind, Expected, LaunchFile,
    LaunchOrigin, LaunchRequest, LaunchesError, RuntimeError, StoreError, Workspace,
    WorkspaceError,
};
use ao_core::project::Project;
use ao_core::record::{Lifecycle, SessionReason};
use ao_core::saga::{PreImage, Saga, SagaChange, SagaDirection, SagaKind, SagaStep};
use ao_core::session::{
    Base, BranchFate, Phase, Session, SessionKind, SessionRecord, WorkspaceFate, WorkspaceRecord,
};
use ao_core::time::Moment;

use crate::codes;
use crate::places::{PlaceError, Places};
use crate::ports::EnginePorts;
use crate::settings::EngineSettings;

/// A session to start.
#[derive(Debug, Clone)]
pub struct SpawnRequest {
    /// Its project.
    pub project: Project,
    /// Its agent.
    pub agent: AgentName,
    /// What it is for.
    pub kind: SessionKind,
    /// A name for people.
    pub name: Option<String>,
    /// The issue that it works on.
    pub issue: Option<IssueRef>,
    /// Its branch; `ao/SESSION` when nothing is said.
    pub branch: Option<BranchName>,
    /// What to branch from; the repository's default when nothing is said.
    pub base: Option<RefName>,
    /// What it is asked.
    pub prompt: Option<String>,
    /// The command line, for the `command` agent.
    pub argv: Vec<String>,
    /// The model asked for.
    pub model: Option<String>,
    /// The permission mode asked for.
    pub permission_mode: Option<String>,
    /// The environment of the agent, before what the engine adds.
    pub env: BTreeMap<String, String>,
    /// Recognises a repeated request.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// Branch names tried for a session without one of its own: one for each other home that ever used
/// the repository, and more than anybody has.
const BRANCHES_TRIED_MAX: u32 = 32;

/// Where the nonce of a launch stands in the environment of its processes.
pub(crate) const NONCE_VARIABLE: &str = "AO_NONCE";

/// Why a session was not started. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// No agent has this name.
    #[error("there is no agent `{agent}`")]
    NoAgent {
        /// The name.
        agent: AgentName,
    },
    /// The agent cannot be launched.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The worktree cannot be made.
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

impl SpawnError {
    /// The stable code of SURFACES.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoAgent { .. } => "NO_AGENT",
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
            Self::NoAgent { .. } => ErrorKind::NotFound,
            Self::Agent(error) => error.kind(),
            Self::Workspace(error) => error.kind(),
            Self::Runtime(error) => error.kind(),
            Self::Launches(_) => ErrorKind::Unavailable,
            Self::Place(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}

/// A spawn whose request was found to be possible.
struct Planned {
    session: SessionId,
    launch: LaunchId,
    nonce: Nonce,
    workspace: CreateWorkspace,
    pre_image: PreImage,
    env: BTreeMap<String, String>,
}

/// Seeds sessions.
#[derive(Clone)]
pub(crate) struct Seeder {
    pub(crate) ports: EnginePorts,
    pub(crate) settings: Arc<EngineSettings>,
    pub(crate) places: Arc<Places>,
    /// Projects whose repositories were asked for session numbers.
    pub(crate) counted: Arc<Mutex<BTreeSet<ProjectId>>>,
}

impl Seeder {
    /// Makes a session durable, with the saga that will start it, and returns its id.
    ///
    /// *Flow*: recognise a repeated request → preflight → launch file → one commit, which says
    /// whether it starts or waits for a place.
    ///
    /// *Guarantees*: an error means that there is no session. A crash before the commit leaves at
    /// most a launch file that no session refers to, which the next boot removes.
    pub(crate) async fn seed(&self, request: SpawnRequest) -> Result<SessionId, SpawnError> {
        if let Some(key) = &request.idempotency_key
            && let Some(session) = self.ports.sessions.find_by_key(key).await?
        {
            return Ok(session);
        }
        let agent = self
            .ports
            .agents
            .get(&request.agent)
            .ok_or_else(|| SpawnError::NoAgent { agent: request.agent.clone() })?;
        self.places.check(self.settings.caps.weight_of(&request.agent))?;
        let planned = self.preflight(&request, agent.as_ref()).await?;
        let launch_file = LaunchFile {
            launch: planned.launch.clone(),
            session: planned.session.clone(),
            directory: planned.workspace.path.clone(),
            argv: Vec::new(),
            env: planned.env.clone(),
            origin: Some(origin_of(&request, &planned, self.ports.clock.now())),
        };
        let launch = planned.launch.clone();
        if let Err(error) = self.ports.launches.write(&launch_file, &[]).await {
            self.take_back(&launch).await;
            return Err(error.into());
        }
        match self.commit(request, planned).await {
            Ok(()) => Ok(launch_file.session),
            Err(error) => {
                self.take_back(&launch).await;
                if let SpawnError::Store(StoreError::KeyTaken { session }) = error {
                    return Ok(session);
                }
                Err(error)
            }
        }
    }

    /// Commits the session where it stands: at its first step, or in the queue.
    async fn commit(&self, request: SpawnRequest, planned: Planned) -> Result<(), SpawnError> {
        let claim = Claim {
            session: planned.session.clone(),
            project: request.project.id.clone(),
            weight: self.settings.caps.weight_of(&request.agent),
        };
        // Held until the session is committed: it counts from then on.
        let entrance = self.places.enter(claim).await?;
        let now = self.ports.clock.now();
        let mut commit = seed_commit(&self.settings, request, planned, now);
        if let Some(next) = commit.next.as_mut().filter(|_| !entrance.is_free()) {
            next.record.phase = Phase::Queued;
            next.lifecycle = Lifecycle::seeded(SessionReason::QueuedForCapacity, now);
        }
        self.ports.sessions.commit(commit).await?;
        Ok(())
    }

    /// Removes the file of a launch that came to nothing: it holds the caller's environment.
    async fn take_back(&self, launch: &LaunchId) {
        if let Err(left_behind) = self.ports.launches.remove(launch).await {
            tracing::warn!(%left_behind, "A launch file stays until the next start.");
        }
    }

    async fn preflight(
        &self,
        request: &SpawnRequest,
        agent: &dyn Agent,
    ) -> Result<Planned, SpawnError> {
        let launch: LaunchId = self.ports.ids.token().into();
        let nonce: Nonce = self.ports.ids.token().into();
        // Asked under a name that no session gets, so that a refusal uses none up.
        let nobody = SessionId::of(&request.project.id, 0);
        let env = self.env_of(request, &nobody, &launch, &nonce);
        self.check_agent(request, agent, &nobody, env)?;
        let workspace = self.workspace_of(request, &nobody);
        self.ports.workspace.preflight(&workspace).await?;
        let runtime = CreateRuntime {
            session: nobody,
            project: request.project.id.clone(),
            launch: launch.clone(),
            nonce: nonce.clone(),
            directory: workspace.path,
            argv: Vec::new(),
        };
        // Nobody has a runtime; the question shows whether there is a tmux to ask.
        self.ports.runtime.find(&runtime).await.map(drop)?;

        self.skip_used_numbers(&request.project).await?;
        let session = self.ports.projects.next_session_id(&request.project.id).await?;
        let asked = self.workspace_of(request, &session);
        let (workspace, pre_image) = free_workspace(self.ports.workspace.as_ref(), asked).await?;
        let env = self.env_of(request, &session, &launch, &nonce);
        Ok(Planned { session, launch, nonce, workspace, pre_image, env })
    }

    /// A database that is new, or older than the repository, does not know every number that was
    /// given out: a session must not come into another one's worktree, branch or refs. Looked for
    /// once in the life of an engine, because afterwards the database knows.
    async fn skip_used_numbers(&self, project: &Project) -> Result<(), SpawnError> {
        let is_known = |projects: &BTreeSet<ProjectId>| projects.contains(&project.id);
        if is_known(&self.counted.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        let traces = self.ports.workspace.traces(&project.path).await?;
        let highest = traces.iter().filter_map(|trace| trace.session.number_in(&project.id)).max();
        if let Some(highest) = highest {
            self.ports.projects.skip_session_ids(&project.id, highest).await?;
        }
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.insert(project.id.clone());
        Ok(())
    }

    fn workspace_of(&self, request: &SpawnRequest, session: &SessionId) -> CreateWorkspace {
        let branch = request.branch.clone().unwrap_or_else(|| own_branch(session));
        CreateWorkspace {
            repo: request.project.path.clone(),
            session: session.clone(),
            path: self.settings.worktree_of(&request.project.id, session),
            branch,
            base: request.base.clone(),
        }
    }

    /// Asks the agent whether it could: the real plan is made by the saga, after the worktree.
    fn check_agent(
        &self,
        request: &SpawnRequest,
        agent: &dyn Agent,
        session: &SessionId,
        env: BTreeMap<String, String>,
    ) -> Result<(), AgentError> {
        let launch: LaunchId = self.ports.ids.token().into();
        let files_dir = self.ports.launches.dir(&launch);
        let request = LaunchRequest {
            session: session.clone(),
            launch,
            // The worktree does not exist yet; a program named by a relative path is looked for
            // where its copy will come from.
            directory: request.project.path.clone(),
            files_dir,
            prompt: request.prompt.clone(),
            argv: request.argv.clone(),
            model: request.model.clone(),
            permission_mode: request.permission_mode.clone(),
            agent_session_id: None,
            env,
        };
        agent.launch(&request).map(drop)
    }

    fn env_of(
        &self,
        request: &SpawnRequest,
        session: &SessionId,
        launch: &LaunchId,
        nonce: &Nonce,
    ) -> BTreeMap<String, String> {
        let (project, issue) = (&request.project.id, request.issue.as_ref());
        let named = Named { session, project, issue, launch, nonce };
        agent_env(&self.settings, &request.env, named)
    }
}

/// The branch of a session for which none was asked for.
pub(crate) fn own_branch(session: &SessionId) -> BranchName {
    BranchName::new(format!("ao/{session}"))
}

/// A worktree on the branch that was asked for, or on one of the session's own name that nobody
/// has: another home on this repository counts its sessions, and names their branches, alike.
pub(crate) async fn free_workspace(
    port: &dyn Workspace,
    mut asked: CreateWorkspace,
) -> Result<(CreateWorkspace, PreImage), WorkspaceError> {
    let own = own_branch(&asked.session);
    let numbered = format!("{own}.");
    let is_own = asked.branch == own || asked.branch.as_str().starts_with(&numbered);
    for n in 2..=BRANCHES_TRIED_MAX {
        let pre_image = port.preflight(&asked).await;
        let is_free = match &pre_image {
            Ok(found) => found.branch_at.is_none(),
            Err(error) => !matches!(error, WorkspaceError::BranchTaken { .. }),
        };
        if is_free || !is_own {
            return Ok((asked, pre_image?));
        }
        asked.branch = BranchName::new(format!("{numbered}{n}"));
    }
    let pre_image = port.preflight(&asked).await?;
    Ok((asked, pre_image))
}

/// Whom the variables of a launch name.
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) session: &'a SessionId,
    pub(crate) project: &'a ProjectId,
    pub(crate) issue: Option<&'a IssueRef>,
    pub(crate) launch: &'a LaunchId,
    pub(crate) nonce: &'a Nonce,
}

/// The whole environment of an agent: what was given, and what names the launch.
///
/// It may be given what an earlier call made: nothing of that launch stays in it.
pub(crate) fn agent_env(
    settings: &EngineSettings,
    given: &BTreeMap<String, String>,
    named: Named<'_>,
) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = given
        .iter()
        .filter(|(key, _)| !key.starts_with("AO_"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    env.extend(settings.agent_env.clone());
    let own = [
        ("AO_SESSION_ID", named.session.as_str()),
        ("AO_PROJECT_ID", named.project.as_str()),
        ("AO_ISSUE_ID", named.issue.map_or("", IssueRef::as_str)),
        ("AO_LAUNCH_ID", named.launch.as_str()),
        (NONCE_VARIABLE, named.nonce.as_str()),
    ];
    env.extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let ours = format!("{}:", settings.bin_dir.display());
    let path = env.get("PATH").map(|path| path.strip_prefix(&ours).unwrap_or(path));
    let path = match path {
        Some(path) if !path.is_empty() => format!("{ours}{path}"),
        _ => format!("{ours}/usr/local/bin:/usr/bin:/bin"),
    };
    env.insert("PATH".to_owned(), path);
    env
}

/// What the session is, as far as that is known before its worktree is made.
fn origin_of(request: &SpawnRequest, planned: &Planned, now: Moment) -> LaunchOrigin {
    LaunchOrigin {
        project: request.project.id.clone(),
        kind: request.kind,
        agent: request.agent.clone(),
        issue: request.issue.clone(),
        model: request.model.clone(),
        permission_mode: request.permission_mode.clone(),
        branch: planned.workspace.branch.clone(),
        base: Base { name: request.base.clone(), sha: None },
        prompt: request.prompt.clone(),
        argv: request.argv.clone(),
        agent_session_id: None,
        created_at: now.wall,
    }
}

/// The one commit that makes a session.
fn seed_commit(
    settings: &EngineSettings,
    request: SpawnRequest,
    planned: Planned,
    now: Moment,
) -> Commit {
    let record = SessionRecord {
        id: planned.session.clone(),
        node: settings.node.clone(),
        project: request.project.id,
        issue: request.issue,
        kind: request.kind,
        agent: request.agent,
        name: request.name,
        model: request.model,
        permission_mode: request.permission_mode,
        branch: planned.workspace.branch,
        base: Base { name: request.base, sha: None },
        workspace: WorkspaceRecord {
            path: planned.workspace.path,
            fate: WorkspaceFate::Absent,
            because: None,
            branch: BranchFate::Kept,
            preserved_ref: None,
        },
        handle: None,
        launch_id: Some(planned.launch),
        nonce: Some(planned.nonce),
        agent_session_id: None,
        transcript: None,
        usage: None,
        prompt: request.prompt,
        argv: request.argv,
        phase: Phase::Worktree,
        trouble: None,
        created_at: now.wall,
        updated_at: now.wall,
    };
    let mut commit = Commit::on(planned.session.clone(), Expected::Absent, now);
    commit.next = Some(Session {
        record,
        lifecycle: Lifecycle::seeded(SessionReason::SpawnRequested, now),
        ledger: Ledger::default(),
    });
    commit.saga = Some(SagaChange::Begin(Saga {
        session: planned.session,
        kind: SagaKind::Spawn,
        step: SagaStep::Worktree,
        direction: SagaDirection::Forward,
        is_cancelled: false,
        pre_image: planned.pre_image,
        discard: false,
        because: None,
        attempts: 0,
        started_at: now,
    }));
    commit.idempotency_key = request.idempotency_key;
    commit
}
