//! A step in the making: the record and the ledger as they will be, and what is planned so far.

use std::path::PathBuf;

use crate::agent::Signals;
use crate::deadline::{DeadlineChange, DeadlineClock, DeadlineKind};
use crate::fact::{Fact, FactKind, Outcome};
use crate::ids::{AgentSessionId, InfraIncidentId};
use crate::ledger::{Ledger, ReactionKind};
use crate::outbox::Effect;
use crate::policy::Policy;
use crate::react;
use crate::record::{Lifecycle, SessionReason, SessionState, SessionVerdict};
use crate::session::Session;
use crate::step::{Ask, Because, Change, MessageOrder, PlannedMessage, Rule, Step};
use crate::time::Moment;

/// A step in the making.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// The session as it was read.
    pub(crate) session: &'a Session,
    /// What was observed.
    pub(crate) fact: &'a Fact,
    /// The policy.
    pub(crate) policy: &'a Policy,
    /// When this is decided.
    pub(crate) now: Moment,
    /// The record as it will be.
    pub(crate) lifecycle: Lifecycle,
    /// The ledger as it will be.
    pub(crate) ledger: Ledger,
    /// Planned so far.
    pub(crate) effects: Vec<Effect>,
    /// Planned so far.
    pub(crate) messages: Vec<PlannedMessage>,
    /// Planned so far.
    pub(crate) message_orders: Vec<MessageOrder>,
    /// Planned so far.
    pub(crate) deadlines: Vec<DeadlineChange>,
    /// Asked for so far.
    pub(crate) asks: Vec<Ask>,
    /// Told by this fact.
    pub(crate) agent_session_id: Option<AgentSessionId>,
    /// Where the agent writes its conversation down, newly told.
    pub(crate) transcript: Option<PathBuf>,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(
        session: &'a Session,
        fact: &'a Fact,
        policy: &'a Policy,
        now: Moment,
    ) -> Self {
        Self {
            session,
            fact,
            policy,
            now,
            lifecycle: session.lifecycle.clone(),
            ledger: session.ledger.clone(),
            effects: Vec::new(),
            messages: Vec::new(),
            message_orders: Vec::new(),
            deadlines: Vec::new(),
            asks: Vec::new(),
            agent_session_id: None,
            transcript: None,
        }
    }

    /// The record as it was read.
    pub(crate) const fn before(&self) -> &'a Lifecycle {
        &self.session.lifecycle
    }

    /// The incident that explains this fact, if triage found one.
    pub(crate) const fn infra_incident(&self) -> Option<&'a InfraIncidentId> {
        match &self.fact.kind {
            FactKind::Look(look) => look.incident.as_ref(),
            FactKind::Signal(_)
            | FactKind::PullRequests(_)
            | FactKind::Outcome(_)
            | FactKind::Due(_)
            | FactKind::IdleDue(_)
            | FactKind::SendFailed(_)
            | FactKind::SignalsLost(_) => None,
        }
    }

    pub(crate) const fn set_session(&mut self, state: SessionState, reason: SessionReason) {
        self.lifecycle.session = SessionVerdict { state, reason };
    }

    pub(crate) fn arm(
        &mut self,
        kind: DeadlineKind,
        armed_at: Moment,
        after: std::time::Duration,
        clock: DeadlineClock,
    ) {
        self.deadlines.push(DeadlineChange::Arm { kind, armed_at, after, clock });
    }

    pub(crate) fn disarm(&mut self, kind: DeadlineKind) {
        self.deadlines.push(DeadlineChange::Disarm(kind));
    }

    /// What every change of the session axis brings with it, whichever fact made it.
    pub(crate) fn follow_the_session(&mut self) {
        let before = self.before();
        let (old, new) = (before.session.state, self.lifecycle.session.state);
        if old != new {
            self.lifecycle.state_since = self.fact.at;
        }
        if before.activity.is_none() && self.lifecycle.activity.is_some() && !new.is_terminal() {
            self.disarm(DeadlineKind::NoSignal);
        }
        if new.is_terminal() {
            if !old.is_terminal() {
                self.end_of_session();
            }
            return;
        }
        if before.paused_until != self.lifecycle.paused_until {
            self.follow_the_pause();
        }
        self.follow_idleness(old, new);
        if matches!(old, SessionState::Detecting | SessionState::Stuck) && !is_doubt(new) {
            self.listen_again();
        }
    }

    fn end_of_session(&mut self) {
        self.lifecycle.detecting = None;
        self.lifecycle.paused_until = None;
        self.message_orders.push(MessageOrder::CancelAll);
        react::forget_what_was_told(self);
        for kind in [
            DeadlineKind::NoSignal,
            DeadlineKind::AgentIdle,
            DeadlineKind::TurnFinished,
            DeadlineKind::PauseEnds,
        ] {
            self.disarm(kind);
        }
    }

    fn follow_the_pause(&mut self) {
        match self.lifecycle.paused_until {
            Some(until) => {
                let after = until.since(self.now.wall);
                self.arm(DeadlineKind::PauseEnds, self.now, after, DeadlineClock::Wall);
            }
            None => self.disarm(DeadlineKind::PauseEnds),
        }
    }

    /// Idleness is counted from its beginning; a doubt in between neither begins nor ends it.
    fn follow_idleness(&mut self, old: SessionState, new: SessionState) {
        if old == new || is_doubt(new) {
            return;
        }
        if new != SessionState::Idle {
            if old == SessionState::Idle || is_doubt(old) {
                self.disarm(DeadlineKind::TurnFinished);
                self.disarm(DeadlineKind::AgentIdle);
            }
            return;
        }
        let ended_in_doubt = self.before().detecting.is_some_and(|doubt| {
            self.lifecycle.activity.is_some_and(|activity| activity.at.is_after(&doubt.started_at))
        });
        if old == SessionState::Working || (is_doubt(old) && ended_in_doubt) {
            self.arm_reaction(ReactionKind::TurnFinished, DeadlineKind::TurnFinished);
        }
        if !is_doubt(old) || ended_in_doubt {
            self.arm_reaction(ReactionKind::AgentIdle, DeadlineKind::AgentIdle);
        }
    }

    fn arm_reaction(&mut self, reaction: ReactionKind, deadline: DeadlineKind) {
        let line = self.policy.reaction(reaction);
        if line.is_enabled {
            self.arm(deadline, self.fact.at, line.after, DeadlineClock::Awake);
        }
    }

    /// A doubt that ended before the first signal leaves the silence as long as it was.
    fn listen_again(&mut self) {
        let Some(launch) = &self.lifecycle.launch else { return };
        if self.lifecycle.activity.is_none() && launch.traits.signals.are_declared() {
            let committed_at = launch.committed_at;
            self.arm_no_signal(committed_at);
        }
    }

    pub(crate) fn arm_no_signal(&mut self, committed_at: Moment) {
        let after = self.policy.no_signal_for_max;
        self.arm(DeadlineKind::NoSignal, committed_at, after, DeadlineClock::Awake);
    }

    /// What the agent of the running launch can tell.
    pub(crate) fn signals(&self) -> Signals {
        self.lifecycle.launch.as_ref().map_or(Signals::None, |launch| launch.traits.signals)
    }

    /// The step, with the rule that made it.
    pub(crate) fn finish(self, rule: Rule) -> Step {
        let values = describe(self.fact, &self.lifecycle);
        let is_unchanged = self.lifecycle == self.session.lifecycle
            && self.ledger == self.session.ledger
            && self.effects.is_empty()
            && self.messages.is_empty()
            && self.message_orders.is_empty()
            && self.deadlines.is_empty()
            && self.agent_session_id.is_none()
            && self.transcript.is_none();
        if is_unchanged {
            return Step::None {
                because: Because { rule: unchanged(rule), values },
                asks: self.asks,
            };
        }
        Step::Change(Box::new(Change {
            lifecycle: self.lifecycle,
            ledger: self.ledger,
            effects: self.effects,
            messages: self.messages,
            message_orders: self.message_orders,
            deadlines: self.deadlines,
            asks: self.asks,
            agent_session_id: self.agent_session_id,
            transcript: self.transcript,
            because: Because { rule, values },
        }))
    }
}

/// Whether a state says only that nobody can tell.
pub(crate) const fn is_doubt(state: SessionState) -> bool {
    matches!(state, SessionState::Detecting | SessionState::Stuck)
}

/// Why nothing changes: the rule that refused the fact, or that it said nothing new.
const fn unchanged(rule: Rule) -> Rule {
    match rule {
        Rule::Terminal
        | Rule::NoLaunch
        | Rule::Fenced
        | Rule::OutdatedLook
        | Rule::RuntimeNotLooked
        | Rule::OutdatedSignal
        | Rule::SignalInQuarantine
        | Rule::DeadlineOver
        | Rule::SendFailed => rule,
        Rule::EndRequested
        | Rule::Rebooted
        | Rule::CannotTell
        | Rule::Healthy
        | Rule::ProcessWithoutRuntime
        | Rule::RuntimeWithoutProcess
        | Rule::HeardSince
        | Rule::ExitUnknown
        | Rule::Completed
        | Rule::PaneDead
        | Rule::ServerGone
        | Rule::RuntimeMissing
        | Rule::QuarantineExpired
        | Rule::Breaker
        | Rule::Settled
        | Rule::ClaimedDone
        | Rule::NoSignal
        | Rule::Launched
        | Rule::Adopted
        | Rule::SpawnFailed
        | Rule::RuntimeDestroyed
        | Rule::RestoreRequested
        | Rule::PlaceFound
        | Rule::PullRequests
        | Rule::DeadlineDue
        | Rule::SignalsLost
        | Rule::Unchanged => Rule::Unchanged,
    }
}

/// The values that a rule saw, as one sentence fragment.
fn describe(fact: &Fact, lifecycle: &Lifecycle) -> String {
    describe_fact(&fact.kind).unwrap_or_else(|| super::describe_pr(lifecycle.pr))
}

/// A fact as one sentence fragment; none for pull requests, where the worst of all is told.
pub(crate) fn describe_fact(kind: &FactKind) -> Option<String> {
    Some(match kind {
        FactKind::Look(look) => super::describe_look(look.values),
        FactKind::Signal(signal) => {
            let detail = signal.detail.map_or_else(String::new, |detail| format!(", {detail}"));
            format!("activity {} from {}{detail}", signal.activity, signal.source)
        }
        FactKind::PullRequests(_) => return None,
        FactKind::Outcome(outcome) => match outcome {
            Outcome::Launched(launch) => format!("launch `{}` runs", launch.id),
            Outcome::Adopted(launch) => format!(
                "launch `{}` runs and was not known: its terminal, its process and its launch file \
                 agree",
                launch.id
            ),
            Outcome::SpawnFailed => "the start failed and was unwound".to_owned(),
            Outcome::EndRequested(intent) => format!("{intent} was asked for"),
            Outcome::RuntimeDestroyed => "the runtime was torn down".to_owned(),
            Outcome::RestoreRequested => "a restore was asked for".to_owned(),
            Outcome::RestoreQueued => "a restore was asked for, and waits for a place".to_owned(),
            Outcome::SpawnAdmitted | Outcome::RestoreAdmitted => "a place was free".to_owned(),
        },
        FactKind::Due(kind) => format!("deadline {} came due", describe_deadline(kind)),
        FactKind::IdleDue(work) => {
            format!(
                "deadline {} came due, work {work}",
                describe_deadline(&DeadlineKind::AgentIdle)
            )
        }
        FactKind::SendFailed(origin) => {
            format!("a message of {} could not be sent", origin.incident.reaction)
        }
        FactKind::SignalsLost(n) => format!("{n} signals were lost in all"),
    })
}

fn describe_deadline(kind: &DeadlineKind) -> String {
    match kind {
        DeadlineKind::Escalate(incident) => format!("escalate {}", incident.reaction),
        DeadlineKind::NoSignal => "no signal".to_owned(),
        DeadlineKind::AgentIdle => "agent idle".to_owned(),
        DeadlineKind::TurnFinished => "turn finished".to_owned(),
        DeadlineKind::PauseEnds => "pause ends".to_owned(),
    }
}
