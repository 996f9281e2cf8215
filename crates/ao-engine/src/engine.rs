//! The engine as one thing: boot, run, stop.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use ao_core::ids::SessionId;
use ao_core::ports::{LaunchesError, StoreError};
use ao_core::session::Phase;
use futures_util::FutureExt as _;

use crate::adopt::leftovers::Leftover;
use crate::adopt::{AdoptReport, Adopter};
use crate::dispatcher::Dispatcher;
use crate::lifecycle::LifecycleManager;
use crate::messenger::Messenger;
use crate::observer::Observer;
use crate::places::Places;
use crate::ports::EnginePorts;
use crate::reaper::{PassReport, Reaper};
use crate::saga::SagaRunner;
use crate::sessions::SessionManager;
use crate::settings::EngineSettings;
use crate::wake::Wake;

/// How long a boot waits for the sagas that it found: a launch or a teardown takes a second or two,
/// and one that takes longer goes on behind a daemon that is ready.
const RECOVERY_FOR_MAX: Duration = Duration::from_secs(5);

/// Pause before a loop that panicked is started again: short enough to go unnoticed, long enough to
/// leave a log that can be read.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// Why the engine could not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The launch files could not be read.
    #[error(transparent)]
    Launches(#[from] LaunchesError),
}

/// What a boot found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BootReport {
    /// Sagas that were in flight.
    pub n_sagas: usize,
    /// Launches that no record knew, and that are known again.
    pub n_adopted: usize,
    /// Messages that were being typed.
    pub n_in_doubt: usize,
    /// The first pass.
    pub pass: PassReport,
}

/// The engine.
pub struct Engine {
    /// Performs what people ask of sessions.
    pub sessions: SessionManager,
    /// Takes facts in.
    pub lifecycle: LifecycleManager,
    /// Takes messages in.
    pub messenger: Messenger,
    /// Looks at everything.
    pub reaper: Reaper,
    ports: EnginePorts,
    runner: SagaRunner,
    dispatcher: Dispatcher,
    observer: Observer,
    places: Arc<Places>,
    adopter: Adopter,
    wake: Wake,
}

impl Engine {
    /// Puts an engine together. Nothing runs yet.
    pub fn new(ports: EnginePorts, settings: EngineSettings) -> Arc<Self> {
        let settings = Arc::new(settings);
        let wake = Wake::new();
        let lifecycle = LifecycleManager::new(ports.clone(), Arc::clone(&settings), wake.clone());
        let runner =
            SagaRunner::new(ports.clone(), Arc::clone(&settings), lifecycle.clone(), wake.clone());
        let places = Arc::new(Places::new(
            ports.clone(),
            Arc::clone(&settings),
            lifecycle.clone(),
            runner.clone(),
            wake.clone(),
        ));
        let sessions = SessionManager::new(
            ports.clone(),
            Arc::clone(&settings),
            lifecycle.clone(),
            runner.clone(),
            Arc::clone(&places),
        );
        let adopter =
            Adopter::new(ports.clone(), Arc::clone(&settings), lifecycle.clone(), wake.clone());
        let messenger = Messenger::new(ports.clone(), lifecycle.clone(), wake.clone());
        let observer =
            Observer::new(ports.clone(), Arc::clone(&settings), lifecycle.clone(), wake.clone());
        let reaper = Reaper::new(ports.clone(), settings, Arc::clone(&places), wake.clone());
        let dispatcher = Dispatcher::new(ports.clone(), wake.clone());
        Arc::new(Self {
            sessions,
            lifecycle,
            messenger,
            reaper,
            ports,
            runner,
            dispatcher,
            observer,
            places,
            adopter,
            wake,
        })
    }

    /// Brings the record back in line with the world.
    ///
    /// *Flow*: adoption → messages in doubt → sagas in flight → one pass, which gives free places
    /// out → leftovers, behind its back.
    ///
    /// *Guarantees*: afterwards every session shows what a look at it showed, and what of ours runs
    /// has a session, or is told. Effects are not performed before the first pass.
    pub async fn boot(&self) -> Result<BootReport, BootError> {
        self.boot_with(std::future::ready(())).await
    }

    /// The same, and what was heard while nobody decided is taken in as soon as every session that
    /// runs is known, and before anything is decided.
    pub async fn boot_with(
        &self,
        take_in: impl Future<Output = ()>,
    ) -> Result<BootReport, BootError> {
        let n_adopted = self.adopt().await?.adopted.len();
        take_in.await;
        let n_in_doubt = self.messenger.settle_in_doubt(|_| true).await?;
        let sagas = self.ports.sagas.in_flight().await?;
        for saga in &sagas {
            self.runner.start(&saga.session);
        }
        let mut recovered = Vec::new();
        for saga in &sagas {
            // One that waits for a place may do so for a day.
            if saga.is_cancelled || !self.is_waiting(&saga.session).await? {
                recovered.push(self.runner.settled(&saga.session, RECOVERY_FOR_MAX));
            }
        }
        for settled in futures_util::future::join_all(recovered).await {
            settled?;
        }
        let pass = self.reaper.pass().await?;
        self.reclaim_leftovers().await?;
        Ok(BootReport { n_sagas: sagas.len(), n_adopted, n_in_doubt, pass })
    }

    async fn is_waiting(&self, session: &SessionId) -> Result<bool, StoreError> {
        let session = self.ports.sessions.get(session).await?;
        Ok(session.is_some_and(|session| {
            session.record.phase == Phase::Queued && !session.lifecycle.is_terminal()
        }))
    }

    /// Takes up what runs without a record. To be called before anything else is decided: what is
    /// said of a session is taken in only once there is one. Twice is the same as once.
    pub async fn adopt(&self) -> Result<AdoptReport, BootError> {
        self.adopter.adopt().await
    }

    /// What is there of this home that no record accounts for, and stays. Nothing is changed.
    pub async fn leftovers(&self) -> Result<Vec<Leftover>, BootError> {
        self.adopter.leftovers().await
    }

    /// Reclaims, behind a daemon that is ready, what is left without a record: a spawn that crashed
    /// before its commit left a launch file, a lost database left whole sessions. It looks at
    /// worktrees, which takes its time.
    ///
    /// *Assumptions*: nothing can be started yet, so that every launch without a record is an old
    /// one.
    async fn reclaim_leftovers(&self) -> Result<(), BootError> {
        let launches = self.adopter.unknown_launches().await?;
        let adopter = self.adopter.clone();
        self.ports.tasks.spawn(
            "leftovers",
            Box::pin(async move {
                let told = match adopter.reclaim(&launches).await {
                    Ok(left) => adopter.tell(&left).await.map_err(BootError::from),
                    Err(error) => Err(error),
                };
                if let Err(error) = told {
                    tracing::warn!(%error, "What is left without a record was not looked through.");
                }
            }),
        );
        Ok(())
    }

    /// Starts the loops: reaper, dispatcher, messenger, observer, places.
    pub fn run(&self) {
        let (reaper, dispatcher) = (self.reaper.clone(), self.dispatcher.clone());
        let (messenger, observer) = (self.messenger.clone(), self.observer.clone());
        self.keep_running("reaper", move || reaper.clone().run());
        self.keep_running("dispatcher", move || dispatcher.clone().run());
        self.keep_running("messenger", move || messenger.clone().run());
        self.keep_running("observer", move || observer.clone().run());
        let places = Arc::clone(&self.places);
        self.keep_running("places", move || Arc::clone(&places).run());
        self.wake.all();
    }

    /// Runs a loop until it ends by itself. One that panics is started again: it holds nothing that
    /// is not on disk, and a supervisor without its loops would only look alive.
    fn keep_running<F>(&self, name: &'static str, start: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (wake, clock) = (self.wake.clone(), Arc::clone(&self.ports.clock));
        let kept = async move {
            while AssertUnwindSafe(start()).catch_unwind().await.is_err() {
                tracing::error!(task = name, "Loop panicked and is started again: a bug in ao.");
                tokio::select! {
                    biased;
                    () = wake.stopped() => return,
                    () = clock.sleep(RESTART_AFTER) => wake.all(),
                }
            }
        };
        self.ports.tasks.spawn(name, Box::pin(kept));
    }

    /// Asks the loops to stop. Sagas are parked where they stand; the next boot goes on with them.
    /// Agents keep running; a server without any is ended.
    pub async fn shutdown(&self) {
        self.wake.stop();
        match self.ports.runtime.end_idle_servers().await {
            Ok(ended) => {
                for socket in ended {
                    tracing::info!(socket = %socket.display(), "An idle server was ended.");
                }
            }
            Err(error) => tracing::debug!(%error, "Idle servers were left as they are."),
        }
    }
}
