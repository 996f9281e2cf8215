//! Places: who starts at once, who waits, and who starts next.
//!
//! The core says whose turn it is; here it is asked with what the store holds, and what it answers
//! is committed before anybody else asks. The queue is the sagas of the sessions that wait, in the
//! order in which they began, so there is nothing to lose in a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ao_core::capacity::{Caps, Claim, Turn, is_holding, is_queued, turns};
use ao_core::fact::{Fact, FactKind, Outcome};
use ao_core::ids::{ProjectId, SessionId};
use ao_core::ports::{ErrorKind, Loaded, SessionFilter, StoreError};
use ao_core::reduce::reduce;
use ao_core::saga::{PreImage, Saga, SagaChange, SagaKind};
use ao_core::session::Phase;
use ao_core::step::Step;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::lifecycle::{LifecycleManager, ObserveError};
use crate::ports::EnginePorts;
use crate::saga::SagaRunner;
use crate::settings::EngineSettings;
use crate::wake::Wake;

/// Sessions that may wait: a day's work of many machines, and a list that can still be read.
const QUEUE_MAX: usize = 1_000;

/// Why a session cannot even wait for a place. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// It takes more places than there are, so it would wait for ever.
    #[error("it takes {weight} places, and there are {cap}")]
    TooBig {
        /// The places that it takes.
        weight: u32,
        /// The places that there are, in all or for its project.
        cap: u32,
    },
    /// Too many wait already.
    #[error("{n} sessions wait for a place already")]
    QueueFull {
        /// How many.
        n: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PlaceError {
    /// The stable code of the failure.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooBig { .. } | Self::QueueFull { .. } => "CAPACITY",
            Self::Store(_) => crate::codes::STORE_FAILED,
        }
    }

    /// What this error asks of its reader.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::TooBig { .. } | Self::QueueFull { .. } => ErrorKind::Conflict,
            Self::Store(error) => error.kind(),
        }
    }
}

/// Who holds the places, and who waits for one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlacesReport {
    /// How many there are.
    pub caps: Caps,
    /// Those that hold at least one, in the order in which they were asked for.
    pub holders: Vec<Claim>,
    /// Those that wait, the next one first.
    pub queue: Vec<Waiting>,
}

impl PlacesReport {
    /// Places that are taken.
    pub fn n_taken(&self) -> u32 {
        self.holders.iter().fold(0, |n, claim| n.saturating_add(claim.weight))
    }

    /// The holders of one project.
    pub fn holders_of<'a>(&'a self, project: &'a ProjectId) -> impl Iterator<Item = &'a Claim> {
        self.holders.iter().filter(move |claim| claim.project == *project)
    }
}

/// One that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Who, and for how many places.
    pub claim: Claim,
    /// What is in its way; nothing for one that is just about to start.
    pub turn: Turn,
}

/// Whether a session may start now. While it is held nobody else is asked.
pub(crate) struct Entrance {
    is_free: bool,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Entrance {
    /// Whether there is a place; otherwise the session waits.
    pub(crate) const fn is_free(&self) -> bool {
        self.is_free
    }
}

/// What the store says about places.
struct Look {
    holders: Vec<Claim>,
    queue: Vec<Claim>,
}

/// Gives places out.
pub(crate) struct Places {
    ports: EnginePorts,
    settings: Arc<EngineSettings>,
    pub(crate) lifecycle: LifecycleManager,
    pub(crate) runner: SagaRunner,
    wake: Wake,
    /// Whose turn it is to look and commit: two that look at the same time would both take the last
    /// place.
    turn: Arc<Semaphore>,
}

impl Places {
    pub(crate) fn new(
        ports: EnginePorts,
        settings: Arc<EngineSettings>,
        lifecycle: LifecycleManager,
        runner: SagaRunner,
        wake: Wake,
    ) -> Self {
        let turn = Arc::new(Semaphore::new(1));
        Self { ports, settings, lifecycle, runner, wake, turn }
    }

    fn caps(&self) -> &Caps {
        &self.settings.caps
    }

    /// Refuses what could never start, before anything happens.
    pub(crate) fn check(&self, weight: u32) -> Result<(), PlaceError> {
        match self.caps().exceeded_by(weight) {
            Some(cap) => Err(PlaceError::TooBig { weight, cap }),
            None => Ok(()),
        }
    }

    /// Asks for places, for a session that is about to be committed while the answer is held.
    ///
    /// *Guarantees*: those that were told to start never take more places than there are. One that
    /// comes later does not overtake one that waits.
    pub(crate) async fn enter(&self, claim: Claim) -> Result<Entrance, PlaceError> {
        self.check(claim.weight)?;
        if claim.weight == 0 || self.caps().is_unlimited() {
            return Ok(Entrance { is_free: true, _turn: None });
        }
        let turn = self.turn().await?;
        let mut look = self.look().await?;
        let n_waiting = look.queue.len();
        look.queue.push(claim);
        let turns = turns(self.caps(), &look.holders, &look.queue);
        let is_free = turns.last() == Some(&Turn::Starts);
        if !is_free && n_waiting >= QUEUE_MAX {
            return Err(PlaceError::QueueFull { n: n_waiting });
        }
        Ok(Entrance { is_free, _turn: Some(turn) })
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        turn.map_err(|closed| StoreError::Unavailable { message: closed.to_string() })
    }

    async fn look(&self) -> Result<Look, StoreError> {
        // In this order: what ends in between is seen live, and counts once more.
        let filter = SessionFilter { project: None, with_terminal: false };
        let live = self.ports.sessions.list(&filter).await?;
        let sagas = self.ports.sagas.in_flight().await?;
        let by_session: BTreeMap<&SessionId, &Saga> =
            sagas.iter().map(|saga| (&saga.session, saga)).collect();
        let mut holders = Vec::new();
        let mut waiting: BTreeMap<&SessionId, Claim> = BTreeMap::new();
        for session in &live {
            let saga = by_session.get(&session.record.id).copied();
            if is_queued(session, saga) {
                waiting.insert(&session.record.id, self.caps().claim_of(session));
            } else if is_holding(session, saga) {
                holders.push(self.caps().claim_of(session));
            }
        }
        let live_ids: BTreeSet<&SessionId> = live.iter().map(|it| &it.record.id).collect();
        for saga in sagas.iter().filter(|saga| !live_ids.contains(&saga.session)) {
            // Ended, and its processes may not have.
            if let Some(Loaded { session, saga }) = self.ports.sessions.load(&saga.session).await?
                && is_holding(&session, saga.as_ref())
            {
                holders.push(self.caps().claim_of(&session));
            }
        }
        holders.retain(|claim| claim.weight > 0);
        let queue = sagas.iter().filter_map(|saga| waiting.remove(&saga.session)).collect();
        Ok(Look { holders, queue })
    }

    /// Who holds the places, and who waits for one.
    pub(crate) async fn report(&self) -> Result<PlacesReport, StoreError> {
        let Look { holders, queue } = self.look().await?;
        let turns = turns(self.caps(), &holders, &queue);
        let queue = queue.into_iter().zip(turns).map(|(claim, turn)| Waiting { claim, turn });
        Ok(PlacesReport { caps: self.caps().clone(), holders, queue: queue.collect() })
    }

    /// Starts everybody whose turn it is.
    ///
    /// *Guarantees*: twice is the same as once. One that was killed meanwhile is not started.
    pub(crate) async fn fill(&self) -> Result<(), StoreError> {
        // Who waits has a saga: mostly nobody has, and a pass should cost no look at everybody.
        if self.ports.sagas.in_flight().await?.is_empty() {
            return Ok(());
        }
        let _turn = self.turn().await?;
        loop {
            let Look { holders, queue } = self.look().await?;
            let turns = turns(self.caps(), &holders, &queue);
            let starting = queue.iter().zip(turns).filter(|(_, turn)| *turn == Turn::Starts);
            let mut is_stale = false;
            for (claim, _) in starting {
                if self.admit(&claim.session).await? {
                    self.runner.start(&claim.session);
                } else {
                    // Its place may be another's turn.
                    is_stale = true;
                }
            }
            if !is_stale {
                return Ok(());
            }
        }
    }

    /// Commits that a session found a place; `false` when it does not wait any more, or was written
    /// meanwhile.
    async fn admit(&self, session: &SessionId) -> Result<bool, StoreError> {
        let loaded = match self.lifecycle.load(session).await {
            Ok(loaded) => loaded,
            Err(ObserveError::NoSession { .. }) => return Ok(false),
            Err(ObserveError::Store(error)) => return Err(error),
        };
        let Some(saga) = loaded.saga.clone().filter(|saga| is_queued(&loaded.session, Some(saga)))
        else {
            return Ok(false);
        };
        let outcome = match saga.kind {
            SagaKind::Restore => Outcome::RestoreAdmitted,
            SagaKind::Spawn | SagaKind::Kill | SagaKind::Cleanup => Outcome::SpawnAdmitted,
        };
        let now = self.ports.clock.now();
        let fact = Fact { at: now, kind: FactKind::Outcome(outcome) };
        let policy = self.settings.policy_of(&loaded.session.record.project);
        let Step::Change(change) = reduce(&loaded.session, &fact, policy, &now) else {
            return Ok(false);
        };
        let mut commit = self.lifecycle.plan(&loaded, *change, &fact, now);
        if let Some(next) = &mut commit.next {
            next.record.phase = Phase::Worktree;
        }
        // What stood there when it began to wait says nothing about what stands there now.
        commit.saga = Some(SagaChange::Put(Saga { pre_image: PreImage::default(), ..saga }));
        match self.lifecycle.commit(commit).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Fills places as they become free, until the engine stops.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            tokio::select! {
                biased;
                () = self.wake.stopped() => return,
                () = self.wake.places.notified() => {}
            }
            if let Err(error) = self.fill().await {
                // The next pass tries again.
                tracing::error!(%error, "Places could not be given out.");
            }
        }
    }
}
