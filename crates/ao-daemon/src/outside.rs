//! The one place that names concrete adapters, and what the engine is told once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ao_adapters::agent_files::DiskAgentFiles;
use ao_adapters::agents::{AgentTemplate, ClaudeCode, Codex, CommandAgent};
use ao_adapters::git::{GitConfig, GitWorktree, IgnoredRules};
use ao_adapters::launches::FileLaunches;
use ao_adapters::notifiers::{CommandNotifier, CommandNotifierConfig, InboxNotifier};
use ao_adapters::processes::{Groups, LinuxProcesses};
use ao_adapters::provision::DiskProvisioner;
use ao_adapters::screens::FileScreens;
use ao_adapters::system::{SystemClock, SystemIds, TokioTasks};
use ao_adapters::tmux::{TmuxConfig, TmuxRuntime};
use ao_api::home::Layout;
use ao_core::ids::{AgentName, HomeId, InvalidId, NodeId, NotifierId, ProjectId};
use ao_core::policy::Policy;
use ao_core::ports::{
    Agent, AgentFiles, BoxFuture, Clock, IdGen, Launches, Notifier, Processes, Provisioner,
    Provisions, Runtime, Screens, Tasks, Terminal, Workspace,
};
use ao_engine::{EnginePorts, EngineSettings};
use ao_store::SqliteStore;
use tokio::runtime::Handle;

use crate::config::{COMMAND_AGENT, Config, NotifierKind, ProjectTable};
use crate::daemon::with_causes;

/// How long a remote may take to tell about the base of a branch; the spawn goes on without it.
const FETCH_FOR_MAX: Duration = Duration::from_secs(15);

/// How long processes get between being asked to end and being ended. Interactive shells ignore
/// the request, and somebody waits for `ao kill`.
const KILL_GRACE: Duration = Duration::from_secs(2);

/// How long a launcher may take to become its agent on a loaded machine.
const EXEC_PROOF_FOR_MAX: Duration = Duration::from_secs(15);

/// How long a command may take to hand a notification on; it is tried again.
const NOTIFY_FOR_MAX: Duration = Duration::from_secs(30);

/// How long one command of `post_create` may take: an installation of everything over a slow line.
const POST_CREATE_FOR_MAX: Duration = Duration::from_mins(15);

/// Names, one per line, the directories with control groups of this home's launches.
const GROUPS: &str = "cgroups";

/// The command that becomes an agent.
const LAUNCH_AGENT: &str = "launch-agent";

/// Tasks that are worth waiting for at the end: what was begun for a person, and sagas, which stop
/// at their next step.
const BEGUN: &[&str] = &["saga", "kill", "spawn", "send", "signal"];

/// Ends tasks within a bound, and names those that did not end.
pub type EndTasks = Arc<dyn Fn(Duration) -> BoxFuture<'static, Vec<&'static str>> + Send + Sync>;

/// Why the outside cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OutsideError(pub String);

/// Everything outside, but for the store and the notifiers that write to it.
#[derive(Clone)]
pub struct Outside {
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGen>,
    pub tasks: Arc<dyn Tasks>,
    pub runtime: Arc<dyn Runtime>,
    pub terminal: Arc<dyn Terminal>,
    pub screens: Arc<dyn Screens>,
    pub processes: Arc<dyn Processes>,
    pub launches: Arc<dyn Launches>,
    pub workspace: Arc<dyn Workspace>,
    pub provisioner: Arc<dyn Provisioner>,
    pub files: Arc<dyn AgentFiles>,
    pub agents: BTreeMap<AgentName, Arc<dyn Agent>>,
    /// Ends the tasks: those that were begun within the bound, then all.
    pub end_tasks: EndTasks,
}

impl Outside {
    /// The ports of an engine over one database.
    pub(crate) fn ports(
        self,
        store: &Arc<SqliteStore>,
        notifiers: BTreeMap<NotifierId, Arc<dyn Notifier>>,
    ) -> EnginePorts {
        let store = || Arc::clone(store);
        EnginePorts {
            clock: self.clock,
            ids: self.ids,
            tasks: self.tasks,
            sessions: store(),
            sagas: store(),
            outbox: store(),
            messages: store(),
            deadlines: store(),
            projects: store(),
            incidents: store(),
            feed: store(),
            runtime: self.runtime,
            terminal: self.terminal,
            screens: self.screens,
            processes: self.processes,
            launches: self.launches,
            workspace: self.workspace,
            provisioner: self.provisioner,
            files: self.files,
            agents: self.agents,
            notifiers,
        }
    }
}

/// The real outside of a home.
pub(crate) fn real(
    layout: &Layout,
    config: &Config,
    marker: HomeId,
    runtime: Handle,
) -> Result<Outside, OutsideError> {
    let unusable = |error: &dyn std::error::Error| OutsideError(with_causes(error));
    let data = &layout.data_dir;
    let tasks = TokioTasks::new(runtime);
    let shared: Arc<dyn Tasks> = Arc::new(tasks.clone());
    let launcher = vec![program(layout).display().to_string(), LAUNCH_AGENT.to_owned()];
    let ids = config.file.projects.keys();
    let projects: Vec<_> = ids.filter_map(|id| ProjectId::parse(id.as_str()).ok()).collect();
    let sparse = |table: &ProjectTable| table.sparse.clone().unwrap_or_default();
    let git = GitConfig {
        home: marker.clone(),
        trash: data.join("trash"),
        ignored: ignored(&config.file.defaults),
        ignored_by_project: (projects.iter())
            .map(|id| (id.clone(), ignored(&config.project(id))))
            .collect(),
        sparse: sparse(&config.file.defaults),
        sparse_by_project: (projects.iter())
            .map(|id| (id.clone(), sparse(&config.project(id))))
            .collect(),
        fetch_timeout: FETCH_FOR_MAX,
    };
    let groups = groups(layout, &marker);
    let processes = LinuxProcesses::new().map_err(|error| unusable(&error))?;
    let processes = processes.with_groups(groups.clone());
    let tmux = Arc::new(TmuxRuntime::new(tmux(layout, config, marker), processes.clone()));
    Ok(Outside {
        clock: Arc::new(SystemClock::new().map_err(|error| unusable(&error))?),
        ids: Arc::new(SystemIds),
        runtime: Arc::clone(&tmux) as _,
        terminal: tmux,
        screens: Arc::new(FileScreens::new(data.join("screens"))),
        processes: Arc::new(processes),
        launches: Arc::new(FileLaunches::new(data.join("launches"), launcher).with_groups(groups)),
        workspace: Arc::new(GitWorktree::new(git, Arc::clone(&shared))),
        provisioner: Arc::new(DiskProvisioner::new(data.join("setup"), POST_CREATE_FOR_MAX)),
        files: Arc::new(DiskAgentFiles),
        agents: agents(config).map_err(|error| unusable(&error))?,
        tasks: shared,
        end_tasks: Arc::new(move |for_max| {
            let tasks = tasks.clone();
            Box::pin(async move {
                tasks.settle(BEGUN, for_max).await;
                tasks.shutdown(for_max).await
            })
        }),
    })
}

/// The control groups of launches, where the machine lets us have them. `ao doctor` says why not.
fn groups(layout: &Layout, home: &HomeId) -> Option<Groups> {
    let found = Groups::prepare(home, &layout.data_dir.join(GROUPS));
    found.inspect_err(|because| tracing::debug!(%because, "Launches get no control groups.")).ok()
}

/// Servers start in the home: it stays, whatever becomes of repositories and worktrees.
fn tmux(layout: &Layout, config: &Config, marker: HomeId) -> TmuxConfig {
    let table = &config.file.tmux;
    let mut tmux = TmuxConfig::new(marker, layout.sockets_dir.clone(), layout.data_dir.clone());
    tmux.history_limit = table.history_limit.unwrap_or(tmux.history_limit);
    tmux.user_config.clone_from(&table.config);
    tmux.prefix.clone_from(&table.prefix);
    tmux
}

/// The agents that are known by themselves, and those of the configuration, which may take the
/// place of one of them.
pub(crate) fn agents(config: &Config) -> Result<BTreeMap<AgentName, Arc<dyn Agent>>, InvalidId> {
    let mut agents: BTreeMap<AgentName, Arc<dyn Agent>> = BTreeMap::new();
    let command = CommandAgent::command(false)?;
    agents.insert(AgentName::parse(COMMAND_AGENT)?, Arc::new(command));
    let claude = ClaudeCode::new()?;
    agents.insert(claude.name().clone(), Arc::new(claude));
    let codex = Codex::new()?;
    agents.insert(codex.name().clone(), Arc::new(codex));
    for (name, table) in &config.file.agents {
        let name = AgentName::parse(name.as_str())?;
        let agent = CommandAgent::new(AgentTemplate {
            name: name.clone(),
            launch: table.launch.clone(),
            resume: table.resume.clone().unwrap_or_default(),
            exits_when_done: table.exits_when_done,
        });
        agents.insert(name, Arc::new(agent));
    }
    Ok(agents)
}

/// What the engine is told once.
pub(crate) fn settings(layout: &Layout, config: &Config, node: NodeId) -> EngineSettings {
    let ids = config.file.projects.keys().filter_map(|id| ProjectId::parse(id.as_str()).ok());
    let mut policies: BTreeMap<ProjectId, Policy> = BTreeMap::new();
    let mut worktree_dirs: BTreeMap<ProjectId, PathBuf> = BTreeMap::new();
    let mut provisions_by_project: BTreeMap<ProjectId, Provisions> = BTreeMap::new();
    for id in ids {
        policies.insert(id.clone(), config.policy(&id));
        provisions_by_project.insert(id.clone(), provisions(&config.project(&id)));
        if let Some(dir) = config.project(&id).worktree_dir {
            worktree_dirs.insert(id, layout.data_dir.join(dir));
        }
    }
    let root = config.file.defaults.worktree_dir.clone();
    EngineSettings {
        node,
        worktree_root: layout.data_dir.join(root.unwrap_or_else(|| PathBuf::from("worktrees"))),
        worktree_dirs,
        bin_dir: bin_dir(layout),
        agent_env: agent_env(layout),
        reaper_interval: config.reaper_interval(),
        activity_interval: config.activity_interval(),
        kill_grace: KILL_GRACE,
        exec_proof_for_max: EXEC_PROOF_FOR_MAX,
        caps: config.caps(),
        provisions: provisions(&config.file.defaults),
        provisions_by_project,
        policy: config.default_policy(),
        policies,
    }
}

/// What a table of the configuration says about ignored files.
fn ignored(table: &ProjectTable) -> IgnoredRules {
    IgnoredRules {
        disposable: table.disposable.clone().unwrap_or_default(),
        kept: table.keep_ignored.clone().unwrap_or_default(),
    }
}

/// What a table of the configuration gives to worktrees.
fn provisions(table: &ProjectTable) -> Provisions {
    Provisions {
        link: table.link.clone().unwrap_or_default(),
        copy: table.copy.clone().unwrap_or_default(),
        post_create: table.post_create.clone().unwrap_or_default(),
    }
}

/// The directory whose `ao` is this very program.
pub(crate) fn bin_dir(layout: &Layout) -> PathBuf {
    layout.data_dir.join("bin")
}

/// The stable path of this very program.
pub(crate) fn program(layout: &Layout) -> PathBuf {
    bin_dir(layout).join("ao")
}

/// What every agent is told about us. Without a home of its own it finds us the XDG way, too.
fn agent_env(layout: &Layout) -> BTreeMap<String, String> {
    let text = |path: &Path| path.display().to_string();
    let mut env = BTreeMap::from([("AO_BIN".to_owned(), text(&program(layout)))]);
    if let Some(home) = &layout.ao_home {
        env.insert("AO_HOME".to_owned(), text(home));
    }
    env
}

/// The machine, by its name as far as that can be an id.
pub(crate) fn node() -> Result<NodeId, InvalidId> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let id: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(64).collect();
    let id = id.trim_matches('-');
    NodeId::parse(if id.is_empty() { "node" } else { id })
}

/// The notifiers of the configuration, the inbox among them.
pub(crate) fn notifiers(
    config: &Config,
    store: &Arc<SqliteStore>,
) -> Result<BTreeMap<NotifierId, Arc<dyn Notifier>>, InvalidId> {
    let mut notifiers: BTreeMap<NotifierId, Arc<dyn Notifier>> = BTreeMap::new();
    for (id, table) in config.notifiers() {
        let id = NotifierId::parse(id)?;
        let notifier: Arc<dyn Notifier> = match table.kind {
            NotifierKind::Inbox => Arc::new(InboxNotifier::new(id.clone(), Arc::clone(store) as _)),
            NotifierKind::Command => Arc::new(CommandNotifier::new(CommandNotifierConfig {
                id: id.clone(),
                argv: table.argv.unwrap_or_default(),
                timeout: NOTIFY_FOR_MAX,
                // It inherits the daemon's environment, and with it what it needs.
                secrets: BTreeMap::new(),
            })),
            // The configuration refuses them.
            NotifierKind::Desktop
            | NotifierKind::Webhook
            | NotifierKind::Slack
            | NotifierKind::Discord
            | NotifierKind::Ntfy => continue,
        };
        notifiers.insert(id, notifier);
    }
    Ok(notifiers)
}
