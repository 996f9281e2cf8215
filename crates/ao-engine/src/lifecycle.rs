//! The lifecycle manager: load, reduce, commit on the revision that was read; again on a conflict.

use std::sync::Arc;
use std::time::Duration;

use ao_core::deadline::DeadlineChange;
use ao_core::fact::{Fact, FactKind, SignalFact};
use ao_core::ids::{FactId, LaunchId, MessageId, SessionId};
use ao_core::journal::JournalEntry;
use ao_core::message::{Lane, Message, MessageChange, MessageState};
use ao_core::ports::{Commit, Expected, Loaded, StoreError};
use ao_core::reduce::reduce;
use ao_core::session::{Phase, Session};
use ao_core::step::{Ask, Because, Change, Rule, Step};
use ao_core::time::Moment;

use crate::outlook::{Waited, wait_until};
use crate::ports::EnginePorts;
use crate::receipts::evidence_of;
use crate::settings::EngineSettings;
use crate::text::sanitize;
use crate::wake::Wake;

/// Tries of a write despite concurrent writers. Every try is lost to a writer that won, so the
/// bound is only reached when this session is written without pause.
pub(crate) const CONFLICTS_MAX: u32 = 16;

/// How long a signal waits for the launch that sent it to be committed: longer than the proof of
/// an exec takes on a loaded machine, shorter than a hook's patience.
const PENDING_LAUNCH_FOR_MAX: Duration = Duration::from_secs(5);

/// Why a fact was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObserveError {
    /// There is no such session.
    #[error("there is no session `{session}`")]
    NoSession {
        /// Its id.
        session: SessionId,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Whether anything changed.
    pub is_changed: bool,
    /// Which rule decided.
    pub because: Because,
    /// What should be looked at soon.
    pub asks: Vec<Ask>,
}

/// Takes facts in.
#[derive(Clone)]
pub struct LifecycleManager {
    pub(crate) ports: EnginePorts,
    settings: Arc<EngineSettings>,
    wake: Wake,
}

impl LifecycleManager {
    pub(crate) fn new(ports: EnginePorts, settings: Arc<EngineSettings>, wake: Wake) -> Self {
        Self { ports, settings, wake }
    }

    /// Takes one fact in.
    ///
    /// *Flow*: load, reduce, commit on the revision that was read; on a conflict all three again.
    ///
    /// *Guarantees*: when it returns, what the fact changed is on disk together with everything
    /// planned because of it, or nothing is. A fact whose id was taken in before changes nothing.
    ///
    /// *Caveats*: a fact that changes nothing is not written.
    pub async fn observe(&self, session: &SessionId, fact: Fact) -> Result<Observed, ObserveError> {
        if let FactKind::Signal(signal) = &fact.kind {
            self.wait_for_launch(session, signal).await?;
        }
        self.observe_if(session, fact, |_| true).await
    }

    /// Takes one fact in, if this holds for the session as it is decided on.
    pub(crate) async fn observe_if(
        &self,
        session: &SessionId,
        fact: Fact,
        is_wanted: impl Fn(&Session) -> bool,
    ) -> Result<Observed, ObserveError> {
        let observed = self.take_in(session, &fact, is_wanted).await?;
        // Also for a fact that was taken in before: a crash may have come in between.
        if let Some(evidence) = evidence_of(&fact) {
            self.confirm(session, &evidence).await?;
        }
        // Who takes a look knows best when to look again.
        let is_look = matches!(fact.kind, FactKind::Look(_));
        if observed.asks.contains(&Ask::Look) && !is_look {
            self.wake.ask_look(session);
        }
        Ok(observed)
    }

    async fn take_in(
        &self,
        session: &SessionId,
        fact: &Fact,
        is_wanted: impl Fn(&Session) -> bool,
    ) -> Result<Observed, ObserveError> {
        let mut last = None;
        for _ in 0..CONFLICTS_MAX {
            let now = self.ports.clock.now();
            let loaded = self.load(session).await?;
            if !is_wanted(&loaded.session) {
                let values = "it says nothing else any more".to_owned();
                let because = Because { rule: Rule::Unchanged, values };
                return Ok(Observed { is_changed: false, because, asks: Vec::new() });
            }
            let policy = self.settings.policy_of(&loaded.session.record.project);
            match reduce(&loaded.session, fact, policy, &now) {
                Step::None { because, asks } => {
                    let (rule, values) = (because.rule.as_str(), because.values.as_str());
                    tracing::trace!(target: "ao_engine::unchanged", %session, rule, values);
                    return Ok(Observed { is_changed: false, because, asks });
                }
                Step::Change(change) => {
                    let asks = change.asks.clone();
                    let because = change.because.clone();
                    let commit = self.plan(&loaded, *change, fact, now);
                    match self.commit(commit).await {
                        Ok(()) => return Ok(Observed { is_changed: true, because, asks }),
                        Err(StoreError::FactSeen { .. }) => {
                            return Ok(Observed { is_changed: false, because, asks: Vec::new() });
                        }
                        Err(error @ StoreError::Conflict { .. }) => last = Some(error),
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        Err(last.map_or_else(
            || ObserveError::NoSession { session: session.clone() },
            ObserveError::Store,
        ))
    }

    /// Turns a change into the one value that is written for it.
    ///
    /// The session manager adds its saga to it, so that a step's end and what it implies are one
    /// transaction.
    pub(crate) fn plan(&self, loaded: &Loaded, change: Change, fact: &Fact, now: Moment) -> Commit {
        let session = &loaded.session;
        let id = session.record.id.clone();
        let mut record = session.record.clone();
        record.updated_at = now.wall;
        if let Some(captured) = change.agent_session_id {
            record.agent_session_id = Some(captured);
        }
        if let Some(told) = change.transcript {
            record.transcript = Some(told);
        }
        let revision = session.lifecycle.revision;
        let mut commit = Commit::on(id.clone(), Expected::Revision(revision), now);
        commit.messages = change
            .messages
            .into_iter()
            .map(|planned| {
                let sanitized = sanitize(&planned.text);
                MessageChange::Queue(Message {
                    id: self.message_id(),
                    session: id.clone(),
                    lane: Lane::Automatic,
                    text: sanitized.text,
                    n_stripped: sanitized.n_stripped,
                    state: MessageState::Queued,
                    reason: None,
                    launch: None,
                    idempotency_key: None,
                    origin: Some(planned.origin),
                    created_at: now,
                    typing_at: None,
                    updated_at: now,
                })
            })
            .collect();
        commit.next = Some(Session { record, lifecycle: change.lifecycle, ledger: change.ledger });
        commit.deadlines = change.deadlines;
        commit.message_orders = change.message_orders;
        commit.effects = change.effects;
        commit.fact = fact_id(fact);
        commit.journal =
            Some(JournalEntry { at: now, fact: fact.clone(), because: change.because });
        commit
    }

    /// What is written because of a fact that somebody else's change brings about, so that both are
    /// one transaction; nothing but the expectation when it changes nothing.
    pub(crate) fn commit_of(&self, loaded: &Loaded, fact: &Fact, now: Moment) -> Commit {
        let session = &loaded.session;
        let policy = self.settings.policy_of(&session.record.project);
        match reduce(session, fact, policy, &now) {
            Step::Change(change) => self.plan(loaded, *change, fact, now),
            Step::None { .. } => {
                let expected = Expected::Revision(session.lifecycle.revision);
                Commit::on(session.record.id.clone(), expected, now)
            }
        }
    }

    /// Writes a planned commit and wakes whom it concerns.
    pub(crate) async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let has_effects = !commit.effects.is_empty();
        let has_deadlines =
            commit.deadlines.iter().any(|change| matches!(change, DeadlineChange::Arm { .. }));
        let has_next = commit.next.is_some();
        // Whoever ends, fails to start, or is put away may free a place.
        let may_free_a_place = commit.saga.is_some()
            || commit.next.as_ref().is_some_and(|next| next.lifecycle.is_terminal());
        let has_messages = !commit.messages.is_empty() || !commit.message_orders.is_empty();
        self.ports.sessions.commit(commit).await?;
        if has_effects {
            self.wake.dispatcher.notify_one();
        }
        // A changed session may free a message that was held.
        if has_messages || has_next {
            self.wake.messenger.notify_one();
        }
        if has_deadlines {
            self.wake.reaper.notify_one();
        }
        if may_free_a_place {
            self.wake.places.notify_one();
        }
        Ok(())
    }

    pub(crate) async fn load(&self, session: &SessionId) -> Result<Loaded, ObserveError> {
        self.ports
            .sessions
            .load(session)
            .await?
            .ok_or_else(|| ObserveError::NoSession { session: session.clone() })
    }

    /// Writes down that the machinery of an ended session was put away. `false` when others wrote
    /// it so often meanwhile that it has to be tried again.
    pub(crate) async fn end_phase(&self, session: &SessionId) -> Result<bool, StoreError> {
        for _ in 0..CONFLICTS_MAX {
            let Some(loaded) = self.ports.sessions.load(session).await? else { return Ok(true) };
            let is_terminal = loaded.session.lifecycle.is_terminal();
            let is_ended = loaded.session.record.phase == Phase::Ended;
            if loaded.saga.is_some() || !is_terminal || is_ended {
                return Ok(true);
            }
            let now = self.ports.clock.now();
            let mut next = loaded.session;
            let expected = Expected::Revision(next.lifecycle.revision);
            next.record.phase = Phase::Ended;
            next.record.updated_at = now.wall;
            let mut commit = Commit::on(session.clone(), expected, now);
            commit.next = Some(next);
            match self.commit(commit).await {
                // What was used may be written at the same time; what else was decided is read.
                Err(StoreError::Conflict { .. }) => {}
                done => return done.map(|()| true),
            }
        }
        // Somebody writes it without pause.
        Ok(false)
    }

    pub(crate) fn message_id(&self) -> MessageId {
        self.ports.ids.token().into()
    }

    /// Whether a launch is being started and is neither committed nor unwound yet: its facts would
    /// be waited for.
    pub async fn is_starting(
        &self,
        session: &SessionId,
        launch: &LaunchId,
    ) -> Result<bool, StoreError> {
        let Some(loaded) = self.ports.sessions.load(session).await? else { return Ok(false) };
        let record = &loaded.session.record;
        Ok(loaded.session.lifecycle.launch.is_none()
            && record.launch_id.as_ref() == Some(launch)
            && record.phase != Phase::Ended
            && loaded.saga.is_some())
    }

    /// Facts of a launch that is being started wait until it is committed or unwound.
    async fn wait_for_launch(
        &self,
        session: &SessionId,
        signal: &SignalFact,
    ) -> Result<(), ObserveError> {
        let is_settled = || async {
            Ok(if self.is_starting(session, &signal.launch).await? { None } else { Some(()) })
        };
        let waited = wait_until(
            self.ports.feed.as_ref(),
            self.ports.clock.as_ref(),
            PENDING_LAUNCH_FOR_MAX,
            is_settled,
        )
        .await?;
        match waited {
            // After the bound `reduce` fences the fact and says so.
            Waited::Met(()) | Waited::TimedOut => Ok(()),
        }
    }
}

/// The id that recognises a repeated fact.
fn fact_id(fact: &Fact) -> Option<FactId> {
    match &fact.kind {
        FactKind::Signal(signal) => Some(signal.id.clone()),
        FactKind::Look(_)
        | FactKind::PullRequests(_)
        | FactKind::Outcome(_)
        | FactKind::Due(_)
        | FactKind::IdleDue(_)
        | FactKind::SendFailed(_)
        | FactKind::SignalsLost(_) => None,
    }
}
