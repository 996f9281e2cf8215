//! One world: a machine, its git, its forge, its agents and people, and the daemon on its disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ao_core::agent::Signals;
use ao_core::ids::{AgentName, NotifierId, PrNumber, SessionId, Sha};
use ao_core::inbox::Priority;
use ao_core::ledger::ReactionKind;
use ao_core::policy::{Policy, ReactionPolicy};
use ao_core::ports::{Agent, BoxFuture, Clock as _, Notifier, Projects as _, Tasks as _};
use ao_core::pr::Pr;
use ao_core::project::Project;
use ao_engine::{Engine, EnginePorts, EngineSettings};
use ao_store::{DataLock, Options, SqliteStore};
use ao_testkit::clock::JumpingClock;
use ao_testkit::ids::SeqIds;
use ao_testkit::machine::FakeMachine;
use ao_testkit::screens::FakeScreens;
use ao_testkit::scripted_agent::ScriptedAgent;
use ao_testkit::tasks::{TestTasks, yield_now};
use ao_testkit::workspace::FakeWorkspace;
use futures_util::future::{Either, select};

use super::agents::Minds;
use super::gate::{Gate, StoreTrouble};
use super::machine_ports::Desk;
use super::memory::Reads;
use super::names::{self, AGENTS, NOTIFIERS, PROJECTS};
use super::outside::{Bell, Git};
use super::setup::{Setup, Written};
use super::terms::Terms;
use super::witness::Witness;

/// The name of the database in its directory.
const DATABASE: &str = "ao.db";

/// Work of a session that must not be lost.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) repo: PathBuf,
    pub(crate) worktree: PathBuf,
    pub(crate) branch: String,
    /// Uncommitted files.
    pub(crate) files: BTreeMap<String, String>,
    /// What was committed.
    pub(crate) commits: Vec<Sha>,
}

impl Work {
    /// Commits what is in the worktree.
    pub(crate) fn commit(&mut self, git: &FakeWorkspace) {
        if git.commit(&self.worktree) {
            // What a discard set aside is not in this worktree, nor in its commit.
            let worktree = &self.worktree;
            self.files.retain(|name, text| git.read(worktree, name).as_ref() != Some(text));
            self.commits.extend(git.head(worktree));
        }
    }
}

/// Why a world cannot be made: the disk, not the simulation.
pub type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// The world.
pub(crate) struct World {
    pub(crate) clock: JumpingClock,
    pub(crate) tasks: TestTasks,
    pub(crate) machine: FakeMachine,
    pub(crate) witness: Witness,
    pub(crate) trouble: StoreTrouble,
    pub(crate) git: Arc<Git>,
    pub(crate) setup: Arc<Setup>,
    pub(crate) terms: Terms,
    pub(crate) bells: Vec<Arc<Bell>>,
    pub(crate) minds: Arc<Minds>,
    pub(crate) work: BTreeMap<SessionId, Work>,
    pub(crate) prs: BTreeMap<(SessionId, PrNumber), Pr>,
    pub(crate) settings: EngineSettings,
    pub(crate) n_texts: u64,
    /// How many hooks of each session were dropped.
    pub(crate) n_hooks_lost: BTreeMap<SessionId, u64>,
    /// Whether the forge answers nothing that is known.
    pub(crate) is_forge_down: bool,
    /// Changes of worktrees after which everybody's work was looked for.
    pub(crate) n_changes_seen: u64,
    /// Steps for which nobody starts the daemon again.
    pub(crate) n_steps_down: u64,
    ids: Arc<SeqIds>,
    screens: Arc<FakeScreens>,
    dir: tempfile::TempDir,
    reads: Reads,
    n_boots: u32,
    daemon: Option<Daemon>,
}

struct Daemon {
    engine: Arc<Engine>,
    gate: Arc<Gate>,
    has_booted: Arc<AtomicBool>,
    has_failed: Arc<AtomicBool>,
}

fn policy() -> Policy {
    let notifiers: Vec<NotifierId> = NOTIFIERS.iter().map(|it| names::notifier(it)).collect();
    let mut policy = Policy {
        routing: Priority::ALL.iter().map(|&it| (it, notifiers.clone())).collect(),
        ..Policy::default()
    };
    let escalating = [
        (ReactionKind::AgentNeedsInput, 5),
        (ReactionKind::CiFailed, 10),
        (ReactionKind::ChangesRequested, 8),
    ];
    for (reaction, minutes) in escalating {
        let line = ReactionPolicy {
            escalate_after: Some(Duration::from_mins(minutes)),
            ..ReactionPolicy::default_of(reaction)
        };
        policy.reactions.insert(reaction, line);
    }
    let idle = ReactionPolicy {
        is_enabled: true,
        after: Duration::from_mins(2),
        ..ReactionPolicy::default_of(ReactionKind::AgentIdle)
    };
    policy.reactions.insert(ReactionKind::AgentIdle, idle);
    policy
}

fn settings(terms: Terms) -> EngineSettings {
    EngineSettings {
        node: names::node("node"),
        worktree_root: PathBuf::from("/home/worktrees"),
        worktree_dirs: BTreeMap::new(),
        bin_dir: PathBuf::from("/home/bin"),
        agent_env: BTreeMap::new(),
        reaper_interval: Duration::from_secs(5),
        activity_interval: Duration::from_secs(2),
        kill_grace: Duration::from_secs(2),
        caps: terms.caps(),
        provisions: terms.provisions(),
        provisions_by_project: BTreeMap::new(),
        exec_proof_for_max: Duration::from_secs(10),
        policy: policy(),
        policies: BTreeMap::new(),
    }
}

/// A directory in memory where there is one: a sync then costs nothing, and is no part of what is
/// simulated.
fn directory() -> std::io::Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
}

/// How long the world sleeps at once: with something on its way, and with nothing.
const WATCHFUL: Duration = Duration::from_secs(1);
const CAREFREE: Duration = Duration::from_secs(10);

impl World {
    /// A world with its projects, whose daemon boots.
    pub(crate) fn new(seed: u64, terms: Terms, reads: Reads) -> Result<Self, Trouble> {
        let clock = JumpingClock::new();
        let machine = FakeMachine::new(clock.clone(), names::home("home"));
        let witness = Witness::new(machine.clone());
        let git = Arc::new(Git::new(clock.clone(), witness.clone()));
        let (of, at, by) = (machine.clone(), clock.clone(), witness.clone());
        let setup = Arc::new(Setup::new(Arc::clone(&git), of, at, by));
        let ids = Arc::new(SeqIds::new());
        let bell = |name: &&str| {
            Arc::new(Bell::new(names::notifier(name), clock.clone(), witness.clone()))
        };
        let mut world = Self {
            tasks: TestTasks::new(clock.clone(), seed),
            trouble: StoreTrouble::new(witness.clone()),
            bells: NOTIFIERS.iter().map(bell).collect(),
            minds: Arc::new(Minds::new(witness.clone(), Arc::clone(&ids))),
            work: BTreeMap::new(),
            prs: BTreeMap::new(),
            settings: settings(terms),
            setup,
            terms,
            n_texts: 0,
            n_hooks_lost: BTreeMap::new(),
            is_forge_down: false,
            n_changes_seen: 0,
            n_steps_down: 0,
            ids,
            screens: Arc::default(),
            dir: directory()?,
            reads,
            n_boots: 0,
            daemon: None,
            clock,
            machine,
            witness,
            git,
        };
        for name in PROJECTS {
            world.git.fake.add_repo(names::repo(name));
        }
        world.witness.recap(&world.settings.caps);
        world.boot()?;
        if let Some(daemon) = &world.daemon {
            let gate = Arc::clone(&daemon.gate);
            for name in PROJECTS {
                world.tasks.block_on(gate.add_project(world.project(name)))?;
            }
        }
        Ok(world)
    }

    pub(crate) fn project(&self, name: &str) -> Project {
        let created_at = self.clock.now().wall;
        Project { id: names::project(name), path: names::repo(name), github: None, created_at }
    }

    /// The engine, when the daemon runs and is ready.
    pub(crate) fn engine(&self) -> Option<Arc<Engine>> {
        let daemon = self.daemon.as_ref()?;
        daemon.has_booted.load(Ordering::Relaxed).then(|| Arc::clone(&daemon.engine))
    }

    /// The store of the daemon that runs, without its faults.
    pub(crate) fn gate(&self) -> Option<Arc<Gate>> {
        self.daemon.as_ref().map(|daemon| Arc::clone(&daemon.gate))
    }

    fn ports(&self, gate: &Arc<Gate>) -> EnginePorts {
        let desk = Arc::new(Desk {
            machine: self.machine.clone(),
            witness: self.witness.clone(),
            minds: Arc::clone(&self.minds),
            setup: self.terms.is_prepared.then(|| Arc::clone(&self.setup)),
        });
        let notifiers = self.bells.iter().map(|bell| {
            let port: Arc<dyn Notifier> = Arc::<Bell>::clone(bell);
            (bell.id().clone(), port)
        });
        EnginePorts {
            clock: Arc::new(self.clock.clone()),
            ids: Arc::<SeqIds>::clone(&self.ids),
            tasks: Arc::new(self.tasks.clone()),
            sessions: Arc::<Gate>::clone(gate),
            sagas: Arc::<Gate>::clone(gate),
            outbox: Arc::<Gate>::clone(gate),
            messages: Arc::<Gate>::clone(gate),
            deadlines: Arc::<Gate>::clone(gate),
            projects: Arc::<Gate>::clone(gate),
            incidents: Arc::<Gate>::clone(gate),
            feed: Arc::<Gate>::clone(gate),
            runtime: Arc::<Desk>::clone(&desk),
            terminal: desk,
            screens: Arc::<FakeScreens>::clone(&self.screens),
            provisioner: Arc::<Setup>::clone(&self.setup),
            processes: Arc::new(self.machine.clone()),
            launches: Arc::new(self.machine.clone()),
            workspace: Arc::<Git>::clone(&self.git),
            files: Arc::new(self.machine.clone()),
            agents: AGENTS.iter().map(|name| agent(name)).collect(),
            notifiers: notifiers.collect(),
        }
    }

    /// Starts a daemon on what is on disk. It boots as a task: it can die before it is ready.
    pub(crate) fn boot(&mut self) -> Result<(), Trouble> {
        let disk = self.dir.path();
        let clock = self.clock.clone();
        let options = Options {
            wall: Arc::new(move || clock.now().wall),
            // Each daemon reads the log of the one before; and the log is emptied at many points.
            n_log_pages: 100,
            is_alone: true,
            ..Options::default()
        };
        let store =
            SqliteStore::open_inline(DataLock::acquire(disk)?, &disk.join(DATABASE), options)?;
        self.trouble.reset();
        let gate = Gate::new(store, self.reads, self.trouble.clone(), self.witness.clone());
        let gate = Arc::new(gate);
        let engine = Engine::new(self.ports(&gate), self.settings.clone());
        let (has_booted, has_failed) = (Arc::default(), Arc::default());
        let daemon = Daemon { engine, gate, has_booted, has_failed };
        let engine = Arc::clone(&daemon.engine);
        let (booted, failed) = (Arc::clone(&daemon.has_booted), Arc::clone(&daemon.has_failed));
        let (minds, witness) = (Arc::clone(&self.minds), self.witness.clone());
        let spooled = minds.take_arrived(&self.clock.now());
        self.witness.tell(format!("  boot {}", self.n_boots));
        self.tasks.spawn(
            "boot",
            Box::pin(async move {
                for hook in spooled {
                    let guard = OnItsWay { hook: Some(hook), minds: Arc::clone(&minds) };
                    guard.deliver(&engine).await;
                }
                match engine.boot().await {
                    Ok(_) => {
                        engine.run();
                        booted.store(true, Ordering::Relaxed);
                    }
                    Err(error) => {
                        witness.tell(format!("  boot failed: {error}"));
                        failed.store(true, Ordering::Relaxed);
                    }
                }
            }),
        );
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Drops the daemon at the point where it stands, as `kill -9` does: what the next one finds
    /// is what was on disk at this moment, the log of the database included.
    pub(crate) fn die(&mut self) -> Result<(), Trouble> {
        let Some(daemon) = self.daemon.take() else { return Ok(()) };
        daemon.gate.abandon()?;
        self.n_boots += 1;
        self.tasks.crash();
        self.trouble.reset();
        let mut seen = self.witness.seen();
        seen.setups.forget();
        if seen.places.queue().len() > 1 {
            seen.occurred.insert("places:several wait for a daemon".to_owned());
        }
        seen.history.push("  the daemon is gone".to_owned());
        Ok(())
    }

    /// Starts the daemon again when it came to where it dies, or could not boot, or is down for
    /// long enough.
    pub(crate) fn tend(&mut self) -> Result<(), Trouble> {
        for written in self.setup.take_written() {
            self.keep_written(written);
        }
        let has_failed =
            self.daemon.as_ref().is_some_and(|it| it.has_failed.load(Ordering::Relaxed));
        if self.trouble.is_dead() || has_failed {
            self.die()?;
        }
        if self.daemon.is_none() && self.n_steps_down == 0 {
            self.boot()?;
        }
        self.n_steps_down = self.n_steps_down.saturating_sub(1);
        Ok(())
    }

    /// What a command left in a worktree is work like any other.
    fn keep_written(&mut self, written: Written) {
        let Some(record) = self.witness.session(&written.session).map(|it| it.record) else {
            return;
        };
        let work = self.work.entry(written.session).or_insert_with(|| Work {
            repo: names::repo(record.project.as_str()),
            worktree: written.worktree,
            branch: record.branch.to_string(),
            files: BTreeMap::new(),
            commits: Vec::new(),
        });
        work.files.insert(written.name, written.text);
    }

    /// Lets the tasks run a little, without time passing.
    pub(crate) fn run_some(&self, n_polls: u64) {
        let trouble = self.trouble.clone();
        self.tasks.block_on(async move {
            for _ in 0..n_polls {
                yield_now().await;
                if trouble.is_dead() {
                    return;
                }
            }
        });
    }

    /// Lets everything run for this long, daemons that die on the way included.
    pub(crate) fn pass_time(&mut self, duration: Duration) -> Result<(), Trouble> {
        let until = self.clock.now().awake.saturating_add(duration);
        loop {
            let now = self.clock.now().awake;
            let left = until.saturating_sub(now);
            // Hooks that travel arrive in between, and a daemon that is down comes back.
            let is_awaited = self.daemon.is_none() || self.minds.is_any_on_its_way();
            let part = left.min(if is_awaited { WATCHFUL } else { CAREFREE });
            self.sleep(part);
            self.tend()?;
            self.deliver_hooks();
            if left <= part {
                return Ok(());
            }
        }
    }

    fn sleep(&self, duration: Duration) {
        let sleep = self.clock.sleep(duration);
        let trouble = self.trouble.clone();
        self.tasks.block_on(async move {
            let death = pin!(trouble.death());
            match select(sleep, death).await {
                Either::Left(((), _)) | Either::Right(((), _)) => {}
            }
        });
    }

    /// Hands the hooks that have arrived to the daemon, each as a task of its own.
    pub(crate) fn deliver_hooks(&self) {
        let Some(engine) = self.engine() else { return };
        for hook in self.minds.take_arrived(&self.clock.now()) {
            let guard = OnItsWay { hook: Some(hook), minds: Arc::clone(&self.minds) };
            let engine = Arc::clone(&engine);
            self.task(async move { guard.deliver(&engine).await });
        }
    }

    /// Runs something for a client; it is dropped with the daemon, as its connection is.
    pub(crate) fn task(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task: BoxFuture<'static, ()> = Box::pin(task);
        self.tasks.spawn("client", task);
    }
}

fn agent(name: &str) -> (AgentName, Arc<dyn Agent>) {
    let agent = ScriptedAgent::new(names::agent(name));
    let agent = match name {
        "mute" => agent.with_signals(Signals::None),
        "seeing" => agent.reading_screens(),
        "native" => agent.reading_screens().writing_files(),
        "oneshot" => agent.exiting_when_done(),
        _ => agent,
    };
    (names::agent(name), Arc::new(agent))
}

/// A hook that is being taken in. Dropped before that, it is on its way again.
struct OnItsWay {
    hook: Option<super::agents::Hook>,
    minds: Arc<Minds>,
}

impl OnItsWay {
    async fn deliver(mut self, engine: &Engine) {
        let Some(hook) = self.hook.clone() else { return };
        match engine.lifecycle.observe(&hook.session, hook.fact).await {
            Ok(_) | Err(ao_engine::ObserveError::NoSession { .. }) => self.hook = None,
            Err(ao_engine::ObserveError::Store(_)) => {}
        }
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        if let Some(hook) = self.hook.take() {
            self.minds.put_back(hook);
        }
    }
}
