//! One engine in one fake world, and the questions that the tests ask of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ao_core::agent::Signals;
use ao_core::capacity::Caps;
use ao_core::echo::PromptEcho;
use ao_core::fact::{Fact, FactKind, SignalDetail, SignalFact};
use ao_core::ids::{AgentName, FactId, HomeId, NodeId, NotifierId, Pid, ProjectId, SessionId};
use ao_core::inbox::Priority;
use ao_core::policy::Policy;
use ao_core::ports::{
    Clock as _, IdGen as _, Incidents as _, Messages as _, Projects as _, Provisions, RemovalMode,
    SessionStore as _,
};
use ao_core::project::Project;
use ao_core::record::{ActivitySource, ActivityState};
use ao_core::session::{Session, SessionKind};
use ao_core::status::status;
use ao_engine::{Engine, EnginePorts, EngineSettings, SpawnRequest};
use ao_testkit::clock::JumpingClock;
use ao_testkit::ids::SeqIds;
use ao_testkit::machine::FakeMachine;
use ao_testkit::memory_store::MemoryStore;
use ao_testkit::notifier::FakeNotifier;
use ao_testkit::provisioner::FakeProvisioner;
use ao_testkit::screens::FakeScreens;
use ao_testkit::scripted_agent::ScriptedAgent;
use ao_testkit::tasks::TestTasks;
use ao_testkit::workspace::FakeWorkspace;

use crate::gate::Gate;

/// How long a condition may take in the world's own time before the test gives up.
const UNTIL_MAX: Duration = Duration::from_mins(30);

pub(crate) const REPO: &str = "/repo/app";

pub(crate) struct World {
    pub(crate) clock: JumpingClock,
    pub(crate) tasks: TestTasks,
    pub(crate) machine: FakeMachine,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) workspace: Arc<FakeWorkspace>,
    pub(crate) notifier: Arc<FakeNotifier>,
    ids: Arc<SeqIds>,
    screens: Arc<FakeScreens>,
    pub(crate) provisioner: Arc<FakeProvisioner>,
    pub(crate) settings: EngineSettings,
    engine: Mutex<Option<Arc<Engine>>>,
}

pub(crate) fn project_id() -> ProjectId {
    ProjectId::parse("app").unwrap()
}

impl World {
    /// A world with one project, whose engine runs.
    pub(crate) fn new(seed: u64) -> Self {
        Self::with_policy(seed, |_| {})
    }

    pub(crate) fn with_policy(seed: u64, edit: impl FnOnce(&mut Policy)) -> Self {
        let clock = JumpingClock::new();
        let tasks = TestTasks::new(clock.clone(), seed);
        let store = Arc::new(MemoryStore::new());
        let notifier_id = NotifierId::parse("fake").unwrap();
        let mut policy = Policy {
            routing: Priority::ALL.iter().map(|&it| (it, vec![notifier_id.clone()])).collect(),
            ..Policy::default()
        };
        edit(&mut policy);
        let workspace = Arc::new(FakeWorkspace::new());
        workspace.add_repo(REPO);
        let world = Self {
            machine: FakeMachine::new(clock.clone(), HomeId::parse("home").unwrap()),
            gate: Arc::new(Gate::new(Arc::clone(&store))),
            store,
            workspace,
            notifier: Arc::new(FakeNotifier::new(notifier_id)),
            ids: Arc::new(SeqIds::new()),
            screens: Arc::default(),
            provisioner: Arc::default(),
            settings: EngineSettings {
                node: NodeId::parse("node").unwrap(),
                worktree_root: PathBuf::from("/home/worktrees"),
                worktree_dirs: BTreeMap::new(),
                bin_dir: PathBuf::from("/home/bin"),
                agent_env: BTreeMap::new(),
                reaper_interval: Duration::from_secs(5),
                activity_interval: Duration::from_millis(500),
                kill_grace: Duration::from_secs(2),
                exec_proof_for_max: Duration::from_secs(10),
                caps: Caps::default(),
                provisions: Provisions::default(),
                provisions_by_project: BTreeMap::new(),
                policy,
                policies: BTreeMap::new(),
            },
            engine: Mutex::new(None),
            clock,
            tasks,
        };
        let created_at = world.clock.now().wall;
        let path = PathBuf::from(REPO);
        let project = Project { id: project_id(), path, github: None, created_at };
        world.tasks.block_on(world.store.add_project(project)).unwrap();
        world.boot();
        world
    }

    fn ports(&self) -> EnginePorts {
        let agent = |name: &str| {
            let name = AgentName::parse(name).unwrap();
            (name.clone(), Arc::new(ScriptedAgent::new(name)) as Arc<dyn ao_core::ports::Agent>)
        };
        let mute = AgentName::parse("mute").unwrap();
        let mut agents = BTreeMap::from([agent("scripted")]);
        let mute_agent = ScriptedAgent::new(mute.clone()).with_signals(Signals::None);
        agents.insert(mute, Arc::new(mute_agent));
        let seeing = AgentName::parse("seeing").unwrap();
        let seeing_agent = ScriptedAgent::new(seeing.clone()).reading_screens();
        agents.insert(seeing, Arc::new(seeing_agent));
        let native = AgentName::parse("native").unwrap();
        let native_agent = ScriptedAgent::new(native.clone()).reading_screens().writing_files();
        agents.insert(native, Arc::new(native_agent));
        let notifier: Arc<dyn ao_core::ports::Notifier> =
            Arc::<FakeNotifier>::clone(&self.notifier);
        EnginePorts {
            clock: Arc::new(self.clock.clone()),
            ids: Arc::<SeqIds>::clone(&self.ids),
            tasks: Arc::new(self.tasks.clone()),
            sessions: Arc::<Gate>::clone(&self.gate),
            sagas: Arc::<MemoryStore>::clone(&self.store),
            outbox: Arc::<Gate>::clone(&self.gate),
            messages: Arc::<MemoryStore>::clone(&self.store),
            deadlines: Arc::<MemoryStore>::clone(&self.store),
            projects: Arc::<MemoryStore>::clone(&self.store),
            incidents: Arc::<MemoryStore>::clone(&self.store),
            feed: Arc::<MemoryStore>::clone(&self.store),
            runtime: Arc::new(self.machine.clone()),
            terminal: Arc::new(self.machine.clone()),
            screens: Arc::<FakeScreens>::clone(&self.screens),
            processes: Arc::new(self.machine.clone()),
            launches: Arc::new(self.machine.clone()),
            workspace: Arc::<FakeWorkspace>::clone(&self.workspace),
            provisioner: Arc::<FakeProvisioner>::clone(&self.provisioner),
            files: Arc::new(self.machine.clone()),
            agents,
            notifiers: BTreeMap::from([(NotifierId::parse("fake").unwrap(), notifier)]),
        }
    }

    /// An engine on what is there, that looks at nothing by itself yet.
    pub(crate) fn open(&self) {
        let engine = Engine::new(self.ports(), self.settings.clone());
        *self.engine.lock().unwrap() = Some(engine);
    }

    /// Starts the engine that was opened last, as a daemon that starts does.
    pub(crate) fn start(&self) {
        let engine = self.engine();
        self.tasks.block_on(engine.boot()).unwrap();
        engine.run();
    }

    /// Starts an engine on what is there, as a daemon that starts does.
    pub(crate) fn boot(&self) {
        self.open();
        self.start();
    }

    /// Drops the engine at the point where it stands, as `kill -9` does.
    pub(crate) fn crash(&self) {
        self.tasks.crash();
        *self.engine.lock().unwrap() = None;
        self.gate.stop_at(None);
    }

    pub(crate) fn engine(&self) -> Arc<Engine> {
        self.engine.lock().unwrap().clone().unwrap()
    }

    pub(crate) fn request(&self, agent: &str) -> SpawnRequest {
        let created_at = self.clock.now().wall;
        SpawnRequest {
            project: Project {
                id: project_id(),
                path: PathBuf::from(REPO),
                github: None,
                created_at,
            },
            agent: AgentName::parse(agent).unwrap(),
            kind: SessionKind::Worker,
            name: None,
            issue: None,
            branch: None,
            base: None,
            prompt: None,
            argv: Vec::new(),
            model: None,
            permission_mode: None,
            env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            idempotency_key: None,
        }
    }

    /// Starts a session and waits until it is proven to run.
    pub(crate) fn spawn(&self, agent: &str) -> SessionId {
        let engine = self.engine();
        let id = self.tasks.block_on(engine.sessions.spawn(self.request(agent))).unwrap();
        self.until(&id, |session| session.lifecycle.launch.is_some());
        id
    }

    pub(crate) fn kill(&self, id: &SessionId) -> ao_engine::KillReport {
        let engine = self.engine();
        self.tasks.block_on(engine.sessions.kill(id, RemovalMode::Careful, None)).unwrap()
    }

    /// What a hook of the agent tells.
    pub(crate) async fn signal_now(&self, id: &SessionId, activity: ActivityState) -> Fact {
        let session = self.store.get(id).await.unwrap().unwrap();
        let launch = session.record.launch_id.unwrap();
        let signal = SignalFact {
            id: FactId::from(self.ids.token()),
            launch,
            activity,
            source: ActivitySource::Hook,
            detail: None::<SignalDetail>,
            agent_session_id: None,
            paused_until: None,
            is_submit: false,
            prompt: None,
            transcript: None,
            message: None,
        };
        Fact { at: self.clock.now(), kind: FactKind::Signal(signal) }
    }

    pub(crate) fn signal(&self, id: &SessionId, activity: ActivityState) {
        let fact = self.tasks.block_on(self.signal_now(id, activity));
        self.tasks.block_on(self.engine().lifecycle.observe(id, fact)).unwrap();
    }

    /// The agent takes a prompt in, and says which.
    pub(crate) fn submit(&self, id: &SessionId, prompt: &str) {
        let mut fact = self.tasks.block_on(self.signal_now(id, ActivityState::Active));
        if let FactKind::Signal(signal) = &mut fact.kind {
            signal.is_submit = true;
            signal.prompt = Some(PromptEcho::new(prompt, false));
        }
        self.tasks.block_on(self.engine().lifecycle.observe(id, fact)).unwrap();
    }

    /// The agent takes an answer in, which begins a new turn.
    pub(crate) fn answer(&self, id: &SessionId) {
        let mut fact = self.tasks.block_on(self.signal_now(id, ActivityState::Active));
        if let FactKind::Signal(signal) = &mut fact.kind {
            signal.is_submit = true;
        }
        self.tasks.block_on(self.engine().lifecycle.observe(id, fact)).unwrap();
    }

    pub(crate) fn session(&self, id: &SessionId) -> Session {
        self.tasks.block_on(self.store.get(id)).unwrap().unwrap()
    }

    /// Lets the world go on until a session is as asked.
    #[track_caller]
    pub(crate) fn until(&self, id: &SessionId, condition: impl Fn(&Session) -> bool) {
        let started_at = self.clock.now();
        while !condition(&self.session(id)) {
            let passed = self.clock.now().since(&started_at);
            let trouble = self.session(id).record.trouble;
            assert!(passed < UNTIL_MAX, "still {} after {passed:?}: {trouble:?}", self.shown(id));
            self.pass_time(Duration::from_millis(10));
        }
    }

    #[track_caller]
    pub(crate) fn until_status(&self, id: &SessionId, expect: &str) {
        self.until(id, |session| status(session).as_str() == expect);
    }

    /// Lets everything run for this long.
    pub(crate) fn pass_time(&self, duration: Duration) {
        let clock: Arc<dyn ao_core::ports::Clock> = Arc::new(self.clock.clone());
        self.tasks.block_on(async move { clock.sleep(duration).await });
    }

    /// The status, the three axes, and the machinery of a session, as one line.
    pub(crate) fn shown(&self, id: &SessionId) -> String {
        let session = self.session(id);
        let lifecycle = &session.lifecycle;
        format!(
            "{} ({}/{}, {}/{}, {}, worktree {})",
            status(&session).as_str(),
            lifecycle.session.state,
            lifecycle.session.reason,
            lifecycle.runtime.state,
            lifecycle.runtime.reason,
            session.record.phase,
            session.record.workspace.fate,
        )
    }

    #[track_caller]
    pub(crate) fn check(&self, id: &SessionId, expect: &str) {
        assert_eq!(self.shown(id), expect);
    }

    /// What humans were told, without the session: `reaction cause`.
    pub(crate) fn told(&self) -> Vec<String> {
        self.notifier.taken().iter().map(|it| it.reaction.clone()).collect()
    }

    pub(crate) fn messages(&self, id: &SessionId) -> Vec<String> {
        let messages = self.tasks.block_on(self.store.messages_of(id, 100)).unwrap();
        messages
            .iter()
            .map(|it| match it.reason {
                Some(reason) => format!("{} {}: {}", it.state, reason, it.text),
                None => format!("{}: {}", it.state, it.text),
            })
            .collect()
    }

    pub(crate) fn n_incidents(&self) -> usize {
        self.tasks.block_on(self.store.incidents(100)).unwrap().len()
    }

    /// Processes that run, but for the servers.
    pub(crate) fn running(&self) -> Vec<Pid> {
        let servers = self.machine.servers();
        self.machine.running().into_iter().filter(|pid| !servers.contains(pid)).collect()
    }

    /// Nothing of ours is left, but the records.
    #[track_caller]
    pub(crate) fn check_clean(&self) {
        assert_eq!(self.machine.sessions(), [], "tmux sessions are left");
        assert_eq!(self.machine.launches_with_files(), [], "launch files are left");
        let repo = PathBuf::from(REPO);
        let listed = ao_core::ports::Workspace::list(self.workspace.as_ref(), &repo);
        let worktrees = self.tasks.block_on(listed).unwrap();
        let left: Vec<_> = worktrees.iter().filter(|it| it.path != repo).collect();
        assert!(left.is_empty(), "worktrees are left: {left:?}");
        assert_eq!(self.tasks.take_panics(), [""; 0], "a task panicked");
    }
}
