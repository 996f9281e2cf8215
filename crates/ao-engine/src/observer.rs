//! The observer: a slow reconcile of what hooks told with what agents show and write down.
//!
//! From cheap to dear: the status file at every interval, the transcript when it grew, the terminal
//! where neither tells enough. What is read becomes a fact only when it contradicts what is known,
//! and [`ao_core::reduce`] decides about it as about any other.
//!
//! What is remembered here is an optimisation: a restart forgets it and reads again. It reads no
//! process tree: that a tool runs is told by the status file and the screen already, and a process
//! that burns time proves no turn.
//!
//! # Common pitfalls
//!
//! A screen lags behind hooks, and a pane outlives its agent: what a dead agent shows is no sign of
//! life. A status file carries the agent's own stamp; it never beats a hook that was heard since.

mod files;
mod memory;
mod news;
mod screens;
mod target;
mod transcript;
mod turns;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use ao_core::fact::{Fact, FactKind, SignalDetail, SignalFact};
use ao_core::ids::AgentSessionId;
use ao_core::ports::StoreError;
use ao_core::record::ActivitySource;
use ao_core::session::Session;
use ao_core::time::Timestamp;

use self::files::Whose;
use self::memory::Memory;
use self::news::{News, fact_id};
use self::target::Target;
use crate::lifecycle::{LifecycleManager, ObserveError};
use crate::ports::EnginePorts;
use crate::settings::EngineSettings;
use crate::wake::Wake;

/// Sessions read at the same time.
const READ_AT_ONCE: usize = 8;

/// How long one look may take: a file or a screen is there in milliseconds, or something hangs.
const LOOK_FOR_MAX: Duration = Duration::from_secs(2);

/// Corrects what a lost hook left wrong.
#[derive(Clone)]
pub(crate) struct Observer {
    ports: EnginePorts,
    settings: Arc<EngineSettings>,
    lifecycle: LifecycleManager,
    wake: Wake,
}

impl Observer {
    pub(crate) const fn new(
        ports: EnginePorts,
        settings: Arc<EngineSettings>,
        lifecycle: LifecycleManager,
        wake: Wake,
    ) -> Self {
        Self { ports, settings, lifecycle, wake }
    }

    /// Reads until the engine stops. Files and screens do not wait for each other: a terminal
    /// server that hangs delays no status file.
    pub(crate) async fn run(self) {
        let memory = Memory::default();
        // A screen has to say so twice, and a person who answered a dialog waits for the answer.
        let half = self.settings.activity_interval / 2;
        let reading = futures_util::future::join(
            self.every(half, async || {
                logged(self.read_files(&memory, Whose::All).await);
                logged(self.tell_turns(&memory).await);
                self.ports.clock.sleep(half).await;
                logged(self.read_files(&memory, Whose::Awaited).await);
            }),
            self.every(half, async || logged(self.look_at_screens(&memory).await)),
        );
        tokio::select! {
            biased;
            () = self.wake.stopped() => {}
            ((), ()) = reading => {}
        }
    }

    /// Does something at every interval, for ever.
    async fn every<F: Future<Output = ()> + Send>(&self, interval: Duration, pass: impl Fn() -> F) {
        loop {
            pass().await;
            self.ports.clock.sleep(interval).await;
        }
    }

    /// The answer of a look, or `None` when it takes too long.
    async fn within<T>(&self, look: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            answer = look => Some(answer),
            () = self.ports.clock.sleep(LOOK_FOR_MAX) => None,
        }
    }

    /// Has a reading decided, if it still is news about the session as it is then; says whether it
    /// changed anything.
    async fn tell(&self, target: &Target, told: &Told, news: &News) -> Result<bool, StoreError> {
        // What was listed may be old by now.
        let Some(session) = self.ports.sessions.get(&target.session).await? else {
            return Ok(false);
        };
        let as_of = |session: &Session| {
            let known = session.lifecycle.activity.as_ref();
            news.at(known).or_else(|| told.completes(session).then_some(news.seen_at))
        };
        let Some(at) = as_of(&session) else { return Ok(false) };
        let signal = SignalFact {
            id: fact_id(&target.launch, told.source, news.reading.activity, &at)
                .unwrap_or_else(|| self.ports.ids.token().into()),
            launch: target.launch.clone(),
            activity: news.reading.activity,
            source: told.source,
            detail: news.reading.detail,
            agent_session_id: told.agent_session_id.clone(),
            paused_until: told.paused_until,
            is_submit: false,
            prompt: None,
            transcript: None,
            message: None,
        };
        let fact = Fact { at, kind: FactKind::Signal(signal) };
        let is_news = |session: &Session| as_of(session).is_some();
        match self.lifecycle.observe_if(&target.session, fact, is_news).await {
            Ok(observed) => Ok(observed.is_changed),
            // Removed while it was read.
            Err(ObserveError::NoSession { .. }) => Ok(false),
            Err(ObserveError::Store(error)) => Err(error),
        }
    }
}

/// What a source tells beside the reading.
struct Told {
    source: ActivitySource,
    agent_session_id: Option<AgentSessionId>,
    paused_until: Option<Timestamp>,
}

impl Told {
    const fn by(source: ActivitySource) -> Self {
        Self { source, agent_session_id: None, paused_until: None }
    }

    /// Whether it tells when a usage limit ends of which only that is not known.
    fn completes(&self, session: &Session) -> bool {
        let known = session.lifecycle.activity.and_then(|known| known.detail);
        self.paused_until.is_some()
            && session.lifecycle.paused_until.is_none()
            && known == Some(SignalDetail::UsageLimited)
    }
}

/// A store that fails now may answer the next pass.
fn logged(result: Result<(), StoreError>) {
    if let Err(error) = result {
        tracing::error!(%error, "The observer could not use the store.");
    }
}
