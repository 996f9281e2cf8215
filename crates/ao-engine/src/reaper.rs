//! The reaper: one idempotent pass over everything every few seconds, and quick looks in between
//! when a watch saw something.
//!
//! A pass takes no input, and two passes are as good as one. An event only says where to look soon;
//! the exception is the death of a process, which is itself a fact and is committed at once.

mod agenda;
mod look;
mod put_away;
mod round;
mod watches;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ao_core::deadline::{Deadline, DeadlineKind};
use ao_core::fact::{
    BootProbe, Fact, FactKind, LookFact, LookValues, ProcessProbe, RuntimeProbe, ServerProbe,
    WorkFound,
};
use ao_core::ids::{LaunchId, SessionId};
use ao_core::ledger::ReactionKind;
use ao_core::ports::{SessionFilter, StoreError};
use ao_core::record::SessionState;
use ao_core::session::{ServerIdentity, Session};
use ao_core::time::Moment;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use self::agenda::Agenda;
use self::look::Target;
use self::put_away::{Remains, is_to_be_put_away};
use self::watches::{EVENTS_MAX, ServerKey, WatchEvent, Watches, server_key};
use crate::lifecycle::{LifecycleManager, ObserveError};
use crate::places::Places;
use crate::ports::EnginePorts;
use crate::saga::SagaRunner;
use crate::settings::EngineSettings;
use crate::wake::Wake;
use crate::worktree::work_of;

/// Every so many passes each server is asked even though all watches stand: once a minute at the
/// default interval.
const FULL_PASS_EVERY: u64 = 12;

/// How long events of one stroke are collected before the look: deaths of one cause arrive within
/// a few milliseconds of each other, and are one incident only when they are looked at together.
const GATHER_FOR: Duration = Duration::from_millis(100);

/// Shortest pause between two ticks: a deadline that cannot be taken in now is not asked for without
/// pause.
const TICK_PAUSE: Duration = Duration::from_millis(20);

/// Worktrees looked at at the same time: each look is a few processes.
const WORKTREES_AT_ONCE: usize = 4;

/// A jump of the suspended time that counts as a resume.
const SUSPEND_MIN: Duration = Duration::from_secs(1);

/// Whether a look is the first one after a boot or a resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    First,
    None,
}

/// What the next pass owes because something before it could not be done.
#[derive(Debug, Clone, Copy, Default)]
struct Owed {
    /// No pass has succeeded since the last boot or resume.
    is_gap: bool,
    /// A look was lost, so that watches that stand prove nothing.
    is_full: bool,
}

/// What a pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PassReport {
    /// Sessions looked at.
    pub n_looked: usize,
    /// Sessions that changed.
    pub n_changed: usize,
    /// Servers asked.
    pub n_servers: usize,
}

/// The events, while the one loop listens to them; put back however it ends.
struct Listening {
    receiver: mpsc::Receiver<WatchEvent>,
    home: Arc<Mutex<Option<mpsc::Receiver<WatchEvent>>>>,
}

impl Listening {
    fn take(home: &Arc<Mutex<Option<mpsc::Receiver<WatchEvent>>>>) -> Option<Self> {
        let receiver = home.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Self { receiver, home: Arc::clone(home) })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // A receiver cannot be moved out of a value that is dropped, so a closed one takes its place.
        let (_, closed) = mpsc::channel(1);
        let receiver = std::mem::replace(&mut self.receiver, closed);
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = Some(receiver);
    }
}

/// Looks at everything that is not terminal.
#[derive(Clone)]
pub struct Reaper {
    ports: EnginePorts,
    settings: Arc<EngineSettings>,
    lifecycle: LifecycleManager,
    runner: SagaRunner,
    places: Arc<Places>,
    wake: Wake,
    watches: Watches,
    events: Arc<Mutex<Option<mpsc::Receiver<WatchEvent>>>>,
    last_pass: Arc<Mutex<Option<Moment>>>,
    owed: Arc<Mutex<Owed>>,
    agenda: Arc<Agenda>,
    remains: Remains,
    n_passes: Arc<AtomicU64>,
}

impl Reaper {
    pub(crate) fn new(
        ports: EnginePorts,
        settings: Arc<EngineSettings>,
        places: Arc<Places>,
        wake: Wake,
    ) -> Self {
        let (lifecycle, runner) = (places.lifecycle.clone(), places.runner.clone());
        let (sender, receiver) = mpsc::channel(EVENTS_MAX);
        let watches = Watches::new(ports.clone(), wake.clone(), sender);
        Self {
            ports,
            settings,
            lifecycle,
            runner,
            places,
            wake,
            watches,
            events: Arc::new(Mutex::new(Some(receiver))),
            last_pass: Arc::default(),
            owed: Arc::default(),
            agenda: Arc::default(),
            remains: Remains::default(),
            n_passes: Arc::default(),
        }
    }

    fn last_pass(&self) -> MutexGuard<'_, Option<Moment>> {
        self.last_pass.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owed(&self) -> MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at every session that is not terminal.
    ///
    /// *Flow*: sagas that wait are taken up → one question per server → triage over all answers →
    /// one fact per session → what ended is put away, beside it → free places are given out.
    ///
    /// *Guarantees*: no input, and twice is the same as once. A session for which all watches stand
    /// and nothing is in doubt costs no question, except in every 12th pass. What a pass that fails
    /// owed, the next one owes.
    pub async fn pass(&self) -> Result<PassReport, StoreError> {
        let now = self.ports.clock.now();
        let last_pass = self.last_pass().replace(now);
        let is_after_gap = last_pass.is_none_or(|last| is_gap(&last, &now));
        let n_pass = self.n_passes.fetch_add(1, Ordering::Relaxed);
        let is_turn = n_pass.is_multiple_of(FULL_PASS_EVERY);
        let owed = {
            let mut owed = self.owed();
            owed.is_gap |= is_after_gap;
            owed.is_full |= owed.is_gap || is_turn || self.watches.take_missed();
            *owed
        };
        let report = self.pass_with(owed).await?;
        *self.owed() = Owed::default();
        Ok(report)
    }

    async fn pass_with(&self, Owed { is_gap, is_full }: Owed) -> Result<PassReport, StoreError> {
        for saga in self.ports.sagas.in_flight().await? {
            self.runner.start(&saga.session);
        }
        let sessions = self.sessions(is_full).await?;
        let live: Vec<&Session> =
            sessions.iter().filter(|session| !session.lifecycle.is_terminal()).collect();
        let live_ids: BTreeSet<&SessionId> = live.iter().map(|it| &it.record.id).collect();
        let servers: BTreeSet<ServerKey> = live
            .iter()
            .filter_map(|session| session.record.handle.as_ref())
            .map(|handle| server_key(&handle.server))
            .collect();
        self.watches.retain(|id| live_ids.contains(id), |server| servers.contains(server));
        let looked: Vec<&Session> =
            live.iter().copied().filter(|it| is_full || self.is_in_doubt(it)).collect();
        let gap = if is_gap { Gap::First } else { Gap::None };
        let (report, changed) = self.look_with(&looked, gap, &[]).await?;
        self.watch_all(&live);
        let ended = sessions.iter().filter(|session| is_to_be_put_away(session));
        let ended = ended.map(|session| session.record.id.clone());
        self.put_away_soon(ended.chain(self.remains.take_left()));
        self.put_away_ended(&changed).await?;
        self.places.fill().await?;
        Ok(report)
    }

    /// Asks for the deadlines that are due, and has each of them decided. One that fails keeps no
    /// other from its turn; the first failure is told at the end.
    pub async fn tick_escalations(&self) -> Result<usize, StoreError> {
        let now = self.ports.clock.now();
        let due = self.ports.deadlines.due(&now).await?;
        let n_due = due.len();
        let (idle, others): (Vec<Deadline>, Vec<Deadline>) =
            due.into_iter().partition(|deadline| deadline.kind == DeadlineKind::AgentIdle);
        let (late, others): (Vec<Deadline>, Vec<Deadline>) =
            others.into_iter().partition(is_about_idleness);
        let mut failure = None;
        for deadline in others {
            failure = failure.or(Box::pin(self.take_due(deadline, now)).await.err());
        }
        // Worktrees are looked at late, and together: a slow one keeps no deadline waiting that
        // needs none.
        let mut looked = futures_util::stream::iter(idle)
            .map(|deadline| Box::pin(self.take_idle(deadline.session, now)))
            .buffer_unordered(WORKTREES_AT_ONCE);
        while let Some(taken) = looked.next().await {
            failure = failure.or_else(|| taken.err());
        }
        // What a look just ended calls nobody any more.
        for deadline in late {
            failure = failure.or(self.take_due(deadline, now).await.err());
        }
        failure.map_or(Ok(n_due), Err)
    }

    /// Has the deadline of an idle session decided, with what its worktree shows.
    async fn take_idle(&self, session: SessionId, at: Moment) -> Result<(), StoreError> {
        let work = match self.ports.sessions.get(&session).await? {
            Some(known) => work_of(&self.ports, known).await?,
            None => WorkFound::Unknown,
        };
        self.take_fact(&session, Fact { at, kind: FactKind::IdleDue(work) }).await
    }

    async fn take_due(&self, deadline: Deadline, at: Moment) -> Result<(), StoreError> {
        let fact = Fact { at, kind: FactKind::Due(deadline.kind) };
        self.take_fact(&deadline.session, fact).await
    }

    async fn take_fact(&self, session: &SessionId, fact: Fact) -> Result<(), StoreError> {
        match self.lifecycle.observe(session, fact).await {
            Ok(_) => Ok(()),
            Err(ObserveError::NoSession { session }) => {
                tracing::error!(%session, "A deadline of no session came due.");
                Ok(())
            }
            Err(ObserveError::Store(error)) => Err(error),
        }
    }

    /// Passes, looks and ticks until the engine stops.
    pub(crate) async fn run(self) {
        let Some(mut events) = Listening::take(&self.events) else { return };
        let mut pass_at = self.ports.clock.now().since_boot;
        let mut tick_at = pass_at;
        loop {
            let wait = self.wait_for(pass_at, tick_at).await;
            tokio::select! {
                biased;
                () = self.wake.stopped() => return,
                Some(event) = events.receiver.recv() => self.note(event).await,
                () = self.wake.reaper.notified() => self.note_look(self.adopt().await),
                () = self.ports.clock.sleep(wait) => {}
            }
            let now = self.ports.clock.now();
            if now.since_boot >= pass_at || self.is_resumed(&now) {
                logged(self.pass().await.map(drop));
                pass_at = now.since_boot.saturating_add(self.settings.reaper_interval);
                // Messages that are held are looked at again.
                self.wake.messenger.notify_one();
            }
            self.note_look(self.take_due_looks().await);
            // A gap that no pass has closed yet may have ended what a deadline is about.
            if now.since_boot >= tick_at && !self.owed().is_gap {
                let ticked = self.tick_escalations().await;
                if ticked.is_err() {
                    // Tried again without pause it would only fill the log.
                    tick_at = now.since_boot.saturating_add(self.settings.reaper_interval);
                }
                logged(ticked.map(drop));
            }
        }
    }

    /// Looks that the store was needed for are owed by the next pass.
    fn note_look(&self, looked: Result<(), StoreError>) {
        if looked.is_err() {
            self.owed().is_full = true;
        }
        logged(looked);
    }

    fn is_resumed(&self, now: &Moment) -> bool {
        self.last_pass().is_some_and(|last| is_gap(&last, now))
    }

    /// How long until something is due: the pass, a quick look, a deadline.
    async fn wait_for(&self, pass_at: Duration, tick_at: Duration) -> Duration {
        let now = self.ports.clock.now();
        let look_at = self.agenda.next_at();
        let soonest = look_at.unwrap_or(pass_at).min(pass_at).saturating_sub(now.since_boot);
        if self.owed().is_gap {
            return soonest;
        }
        let tick_in = tick_at.saturating_sub(now.since_boot).max(TICK_PAUSE);
        match self.ports.deadlines.next_due_in(&now).await {
            Ok(Some(deadline)) => soonest.min(deadline.max(tick_in)),
            Ok(None) | Err(_) => soonest,
        }
    }

    /// Takes up what was launched since the last pass: it is watched, and looked at once. So is
    /// what somebody asked a look for.
    async fn adopt(&self) -> Result<(), StoreError> {
        let asked = self.wake.take_looks();
        let sessions = self.sessions(false).await?;
        let live: Vec<&Session> =
            sessions.iter().filter(|session| !session.lifecycle.is_terminal()).collect();
        self.watch_all(&live);
        for session in live {
            let is_new = session.lifecycle.session.state == SessionState::NotStarted;
            if (is_new || asked.contains(&session.record.id))
                && let Some(target) = Target::of(session)
            {
                self.look_soon(&target.handle.server, Duration::ZERO);
            }
        }
        Ok(())
    }

    async fn sessions(&self, with_terminal: bool) -> Result<Vec<Session>, StoreError> {
        let filter = SessionFilter { project: None, with_terminal };
        self.ports.sessions.list(&filter).await
    }

    fn watch_all(&self, live: &[&Session]) {
        for session in live {
            let (Some(launch), Some(handle)) = (&session.lifecycle.launch, &session.record.handle)
            else {
                continue;
            };
            if self.ports.processes.boot() == handle.process.boot {
                self.watches.ensure_process(&session.record.id, &launch.id, &handle.process);
                self.watches.ensure_server(&handle.server);
            }
        }
    }

    fn is_in_doubt(&self, session: &Session) -> bool {
        let is_settled = match session.lifecycle.session.state {
            SessionState::Working | SessionState::Idle | SessionState::NeedsInput => true,
            SessionState::NotStarted
            | SessionState::Stuck
            | SessionState::Detecting
            | SessionState::Done
            | SessionState::Terminated => false,
        };
        let stands = session.record.handle.as_ref().is_some_and(|handle| {
            self.watches.stand_for(&session.record.id, &handle.process, &handle.server)
        });
        !is_settled || !stands
    }

    /// The death of a process is a fact; everything else says where to look.
    async fn note(&self, event: WatchEvent) {
        match event {
            WatchEvent::ProcessDied { session, launch } => {
                if let Err(error) = self.note_death(&session, launch).await {
                    tracing::error!(%session, %error, "A death was not written down.");
                }
            }
            WatchEvent::ServerStirred(server) => self.look_soon(&server, GATHER_FOR),
        }
    }

    async fn note_death(&self, session: &SessionId, launch: LaunchId) -> Result<(), ObserveError> {
        let loaded = self.lifecycle.load(session).await?;
        if let Some(target) = Target::of(&loaded.session) {
            self.look_soon(&target.handle.server, GATHER_FOR);
        }
        let values = LookValues {
            boot: BootProbe::Same,
            // Nobody asked the server; nothing speaks against it.
            server: ServerProbe::Living,
            runtime: RuntimeProbe::NotLooked,
            process: ProcessProbe::Dead,
        };
        let at = self.ports.clock.now();
        let fact = Fact { at, kind: FactKind::Look(LookFact::new(launch, values)) };
        self.lifecycle.observe(session, fact).await.map(drop)
    }

    fn look_soon(&self, server: &ServerIdentity, after: Duration) {
        let at = self.ports.clock.now().since_boot.saturating_add(after);
        self.agenda.put(server, at);
    }

    /// Takes the quick looks whose time has come.
    async fn take_due_looks(&self) -> Result<(), StoreError> {
        let due = self.agenda.take_due(self.ports.clock.now().since_boot);
        if due.is_empty() {
            return Ok(());
        }
        let due_keys: BTreeSet<ServerKey> = due.iter().map(|due| server_key(&due.server)).collect();
        let sessions = self.sessions(false).await?;
        let looked: Vec<&Session> = sessions
            .iter()
            .filter(|session| {
                let handle = session.record.handle.as_ref();
                handle.is_some_and(|handle| due_keys.contains(&server_key(&handle.server)))
            })
            .collect();
        let (_, changed) = self.look_with(&looked, Gap::None, &due).await?;
        self.put_away_ended(&changed).await
    }
}

/// A store that fails now may answer the next pass.
fn logged(result: Result<(), StoreError>) {
    if let Err(error) = result {
        tracing::error!(%error, "The reaper could not use the store.");
    }
}

fn is_gap(last: &Moment, now: &Moment) -> bool {
    last.boot != now.boot || now.since(last).saturating_sub(now.awake_since(last)) >= SUSPEND_MIN
}

/// Whether a deadline calls a human about an agent that is still idle.
fn is_about_idleness(deadline: &Deadline) -> bool {
    matches!(&deadline.kind, DeadlineKind::Escalate(key) if key.reaction == ReactionKind::AgentIdle)
}
