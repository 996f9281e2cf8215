//! A daemon of this process over a home of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ao_adapters::system::TokioTasks;
use ao_api::client::Client;
use ao_api::home::Layout;
use ao_api::project::AddProjectRequest;
use ao_api::session::{Phase, Session, WaitQuery};
use ao_api::signal::{ReportState, SIGNAL_VERSION, Signal, SignalRequest, Stamp};
use ao_api::spawn::SpawnRequest;
use ao_core::ids::AgentName;
use ao_core::ports::{Agent, Clock as _, Tasks};
use ao_daemon::config::Config;
use ao_daemon::{Daemon, DaemonError, Outside, Setup, Stop};
use ao_testkit::clock::JumpingClock;
use ao_testkit::ids::SeqIds;
use ao_testkit::machine::FakeMachine;
use ao_testkit::screens::FakeScreens;
use ao_testkit::scripted_agent::ScriptedAgent;
use ao_testkit::workspace::FakeWorkspace;
use tokio::runtime::Handle;

/// The repository that every harness has.
pub(crate) const REPO: &str = "/repos/app";

/// Lets the time of a daemon pass, much faster than that of the machine.
struct Ticker {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(clock: JumpingClock) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                clock.advance(Duration::from_millis(50));
                std::thread::park_timeout(Duration::from_millis(2));
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// What stays of a home when its daemon ends: the directory, the machine, the repositories.
pub(crate) struct Home {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: JumpingClock,
    pub(crate) machine: FakeMachine,
    pub(crate) workspace: Arc<FakeWorkspace>,
    ids: Arc<SeqIds>,
    _ticker: Ticker,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = JumpingClock::new();
        let home = ao_core::ids::HomeId::parse("home").unwrap();
        let workspace = FakeWorkspace::new();
        workspace.add_repo(REPO);
        Self {
            dir,
            machine: FakeMachine::new(clock.clone(), home),
            workspace: Arc::new(workspace),
            ids: Arc::new(SeqIds::new()),
            _ticker: Ticker::start(clock.clone()),
            clock,
        }
    }

    pub(crate) fn layout(&self) -> Layout {
        let home = self.dir.path().to_owned();
        Layout {
            ao_home: Some(home.clone()),
            config_file: home.join("config.toml"),
            data_dir: home.clone(),
            state_dir: home.clone(),
            sockets_dir: home,
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.layout().socket())
    }

    fn outside(&self) -> Outside {
        let tasks = TokioTasks::new(Handle::current());
        let shared: Arc<dyn Tasks> = Arc::new(tasks.clone());
        let agents = ["scripted", "other"].map(|name| {
            let name = AgentName::parse(name).unwrap();
            let agent: Arc<dyn Agent> = Arc::new(ScriptedAgent::new(name.clone()).writing_files());
            (name, agent)
        });
        Outside {
            clock: Arc::new(self.clock.clone()),
            ids: Arc::clone(&self.ids) as _,
            tasks: shared,
            runtime: Arc::new(self.machine.clone()),
            terminal: Arc::new(self.machine.clone()),
            screens: Arc::new(FakeScreens::default()),
            provisioner: Arc::new(ao_testkit::provisioner::FakeProvisioner::default()),
            processes: Arc::new(self.machine.clone()),
            launches: Arc::new(self.machine.clone()),
            workspace: Arc::clone(&self.workspace) as _,
            files: Arc::new(self.machine.clone()),
            agents: BTreeMap::from(agents),
            end_tasks: Arc::new(move |for_max| {
                let tasks = tasks.clone();
                Box::pin(async move { tasks.shutdown(for_max).await })
            }),
        }
    }

    /// Opens a daemon that does not serve yet.
    pub(crate) fn open(&self, config: &str, stop: &Stop) -> Result<Daemon, DaemonError> {
        let path = PathBuf::from("config.toml");
        let outside = self.outside();
        Daemon::open(Setup {
            layout: self.layout(),
            config: Config::parse(&path, config, &BTreeMap::new()).unwrap(),
            program: PathBuf::from("/usr/bin/true"),
            outside: Box::new(move |_marker| Ok(outside)),
            stop: stop.clone(),
        })
    }

    /// Starts a daemon and waits until it is ready.
    pub(crate) async fn start(&self, config: &str) -> Running {
        let stop = Stop::new();
        let daemon = self.open(config, &stop).unwrap();
        let running = Handle::current().spawn(daemon.run());
        let client = self.client();
        eventually("the daemon is ready", async || client.status().await.unwrap().ready).await;
        Running { stop, running: Some(running) }
    }
}

/// A daemon that serves.
pub(crate) struct Running {
    stop: Stop,
    running: Option<tokio::task::JoinHandle<Result<(), DaemonError>>>,
}

impl Running {
    /// Ends it gracefully.
    pub(crate) async fn end(mut self) {
        self.stop.request();
        self.ended().await;
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) {
        self.running.take().unwrap().await.unwrap().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.hurry();
        self.stop.hurry();
    }
}

/// Waits until a condition holds; the only place that waits by time.
pub(crate) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::task::spawn_blocking(|| {
                std::thread::park_timeout(Duration::from_millis(5));
            })
            .await
            .unwrap();
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    assert!(waited.is_ok(), "it never came true that {what}");
}

/// Registers the repository of the harness as `app`.
pub(crate) async fn add_app(client: &Client) {
    let request = AddProjectRequest { path: REPO.to_owned(), id: None, github: None };
    client.add_project(&request).await.unwrap();
}

/// A spawn of the scripted agent.
pub(crate) fn spawn_request() -> SpawnRequest {
    SpawnRequest {
        project: Some("app".to_owned()),
        cwd: "/".to_owned(),
        agent: Some("scripted".to_owned()),
        prompt: Some("do it".to_owned()),
        caller_env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
        ..SpawnRequest::default()
    }
}

/// Starts a session and waits until its agent is proven to run.
pub(crate) async fn spawn(client: &Client) -> Session {
    let seeded = client.spawn(&spawn_request()).await.unwrap();
    running(client, &seeded.id).await
}

/// The session once its spawn has come to its end.
pub(crate) async fn running(client: &Client, id: &str) -> Session {
    let mut session = client.session(id).await.unwrap();
    while !session.phase.is_settled() {
        let query = WaitQuery { left_phase: Some(session.phase), ..WaitQuery::default() };
        session = client.wait(id, &query).await.unwrap().session;
    }
    assert_eq!(session.phase, Phase::Running, "{session:#?}");
    session
}

/// An event of an agent, now.
pub(crate) fn hook(
    home: &Home,
    id: &str,
    launch: Option<String>,
    [agent, event, payload]: [&str; 3],
) -> SignalRequest {
    let signal = Signal::Hook {
        agent: agent.to_owned(),
        event: event.to_owned(),
        payload: payload.to_owned(),
        truncated: false,
    };
    SignalRequest { signal, ..report(home, id, launch, ReportState::Idle) }
}

/// A report, made now.
pub(crate) fn report(
    home: &Home,
    id: &str,
    launch: Option<String>,
    state: ReportState,
) -> SignalRequest {
    let now = home.clock.now();
    SignalRequest {
        version: SIGNAL_VERSION,
        id: id.to_owned(),
        launch_id: launch,
        at: Stamp {
            wall_ms: now.wall.as_millis(),
            boot_id: now.boot.to_string(),
            since_boot_ns: u64::try_from(now.since_boot.as_nanos()).unwrap(),
            awake_ns: u64::try_from(now.awake.as_nanos()).unwrap(),
        },
        signal: Signal::Report { state, message: Some("which database?".to_owned()) },
    }
}
