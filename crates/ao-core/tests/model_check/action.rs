//! What may happen in a state, and what it makes of it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use ao_core::deadline::DeadlineKind;
use ao_core::fact::{
    Fact, FactKind, LookFact, LookValues, Outcome, SignalDetail, SignalFact, WorkFound,
};
use ao_core::ids::{BranchName, CauseKey, FactId, LaunchId, NotifierId, PrNumber, Sha};
use ao_core::inbox::Priority;
use ao_core::ledger::{IncidentKey, ReactionKind};
use ao_core::message::{Lane, MessageOrigin, MessageState};
use ao_core::policy::Policy;
use ao_core::pr::{Checks, Draftness, Known, Mergeability, Pr, PrLife, PrObservation, Review};
use ao_core::record::{
    ActivitySource, ActivityState, Confidence, EndIntent, Exit, Launch, SessionReason, SessionState,
};
use ao_core::reduce::reduce;
use ao_core::session::Session;
use ao_core::step::Step;

use super::state::{Grain, HALF, Planned, State, TRIES_MAX, UNIT, Waiting, aged, now};
use crate::fixtures::{launch_id, policy, seeded, traits};

/// A look that may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Looked {
    pub(super) values: LookValues,
    pub(super) exit: Option<Exit>,
    pub(super) is_held_back: bool,
    pub(super) is_first_after_gap: bool,
    pub(super) age: u32,
    pub(super) generation: u64,
}

/// A signal that may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) activity: ActivityState,
    pub(super) source: ActivitySource,
    pub(super) detail: Option<SignalDetail>,
    pub(super) is_submit: bool,
    pub(super) age: u32,
    pub(super) generation: u64,
}

/// One thing that may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// One unit of time passes.
    Pass,
    Look(Looked),
    Signal(Told),
    Pr(Box<Pr>),
    Launched,
    SpawnFailed,
    End(EndIntent),
    Destroyed,
    Restore,
    SignalsLost,
    Due(DeadlineKind),
    /// The dispatcher hands the head of a sink over, or finds its condition over.
    HandOver(usize),
    /// The dispatcher marks it done.
    Finish(usize),
    /// The sink does not take it; after the last try it is dead.
    Fail(usize),
    /// A person sends a message.
    Ask,
    /// The messenger begins to type what is next.
    Begin,
    /// It has typed it.
    Typed,
    /// The runtime refuses it.
    Refused,
    /// Nothing is heard of a typed message for so long that it is in doubt.
    Doubted,
    /// The daemon is killed and started again.
    Restart,
}

/// How a walk looks at the world.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// What the agent can tell.
    pub(super) agent: &'static str,
    /// The reactions that are switched on.
    pub(super) reactions: Vec<ReactionKind>,
    /// Whether what is urgent goes to a second sink, too.
    pub(super) has_phone: bool,
    /// Whether what is planned is told in the same moment, so that no outbox is walked.
    pub(super) is_told_at_once: bool,
    /// Units that a doubt may last.
    pub(super) patience: u32,
    pub(super) grain: Grain,
}

/// The session that every walk is about, and the policy that it is decided with.
pub(super) struct World {
    pub(super) template: Session,
    pub(super) policy: Policy,
    pub(super) setting: Setting,
    /// The session as the rules read it, kept so that it is not made anew for each fact.
    read: RefCell<Session>,
}

impl World {
    pub(super) fn new(setting: Setting) -> Self {
        let half = if setting.grain.is_coarse { UNIT * HALF } else { UNIT * 2 };
        let mut policy = Policy {
            reaper_interval: UNIT,
            detecting_attempts_max: 2,
            detecting_for_max: UNIT * setting.patience,
            veto_for: UNIT,
            no_signal_for_max: half,
            ..policy()
        };
        for (reaction, line) in &mut policy.reactions {
            line.is_enabled = setting.reactions.contains(reaction);
            line.escalate_after = Some(half);
            line.after = if line.after == Duration::ZERO { Duration::ZERO } else { UNIT };
            line.retries = line.retries.map(|_| 1);
        }
        if setting.has_phone {
            let phone = NotifierId::parse("phone").unwrap();
            policy.routing.entry(Priority::Urgent).or_default().push(phone);
        }
        Self { template: seeded(1), policy, setting, read: RefCell::new(seeded(1)) }
    }

    fn launch_of(&self, generation: u64) -> LaunchId {
        launch_id(&self.template, generation)
    }

    /// What the rules answer to a fact.
    pub(super) fn reduce(&self, state: &State, fact: &Fact) -> Step {
        let mut read = self.read.borrow_mut();
        read.lifecycle.clone_from(&state.lifecycle);
        read.ledger.clone_from(&state.ledger);
        // As if each incident had been open before: the number of the next one has to be another.
        for &reaction in &self.setting.reactions {
            for pr in [None, Some(PrNumber(1))] {
                read.ledger.episodes.entry(IncidentKey { reaction, pr }).or_insert(1);
            }
        }
        reduce(&read, fact, &self.policy, &now())
    }

    /// The fact of an action that is one.
    pub(super) fn fact(&self, action: &Action) -> Option<Fact> {
        let said = |kind| Some(Fact { at: now(), kind });
        match action {
            Action::Look(look) => Some(self.look(look)),
            Action::Signal(told) => Some(self.signal(told)),
            Action::Pr(pr) => {
                said(FactKind::PullRequests(vec![PrObservation { pr: (**pr).clone() }]))
            }
            Action::Launched => said(FactKind::Outcome(Outcome::Launched(Launch {
                id: self.launch_of(2),
                committed_at: now(),
                traits: traits(self.setting.agent),
            }))),
            Action::SpawnFailed => said(FactKind::Outcome(Outcome::SpawnFailed)),
            Action::End(intent) => said(FactKind::Outcome(Outcome::EndRequested(*intent))),
            Action::Destroyed => said(FactKind::Outcome(Outcome::RuntimeDestroyed)),
            Action::Restore => said(FactKind::Outcome(Outcome::RestoreRequested)),
            Action::SignalsLost => said(FactKind::SignalsLost(1)),
            // The worktree of this session always holds work.
            Action::Due(DeadlineKind::AgentIdle) => said(FactKind::IdleDue(WorkFound::Changed)),
            Action::Due(kind) => said(FactKind::Due(kind.clone())),
            Action::Pass
            | Action::HandOver(_)
            | Action::Finish(_)
            | Action::Fail(_)
            | Action::Ask
            | Action::Begin
            | Action::Typed
            | Action::Refused
            | Action::Doubted
            | Action::Restart => None,
        }
    }

    pub(super) fn look(&self, look: &Looked) -> Fact {
        let taken = LookFact {
            exit: look.exit,
            is_held_back: look.is_held_back,
            is_first_after_gap: look.is_first_after_gap,
            ..LookFact::new(self.launch_of(look.generation), look.values)
        };
        Fact { at: aged(look.age), kind: FactKind::Look(taken) }
    }

    fn signal(&self, told: &Told) -> Fact {
        let is_limit = told.detail == Some(SignalDetail::UsageLimited);
        let kind = FactKind::Signal(SignalFact {
            id: FactId::parse("fact").unwrap(),
            launch: self.launch_of(told.generation),
            activity: told.activity,
            source: told.source,
            detail: told.detail,
            agent_session_id: None,
            paused_until: is_limit.then(|| now().wall.plus(UNIT)),
            is_submit: told.is_submit,
            prompt: None,
            transcript: None,
            message: None,
        });
        Fact { at: aged(told.age), kind }
    }

    /// Whether the session may be told to start, end, or be restored at all: the engine asks for
    /// each only where its saga allows it.
    pub(super) fn is_possible(state: &State, action: &Action) -> bool {
        let lifecycle = &state.lifecycle;
        let is_starting = lifecycle.session.state == SessionState::NotStarted
            && lifecycle.launch.is_none()
            && !lifecycle.is_terminal();
        match action {
            Action::Launched => is_starting || lifecycle.is_terminal(),
            Action::SpawnFailed => is_starting,
            Action::Restore | Action::Destroyed => true,
            Action::Ask => {
                state.messages.iter().all(|it| it.lane != Lane::Human) && !lifecycle.is_terminal()
            }
            Action::HandOver(sink) => head(state, *sink).is_some_and(|it| !it.is_handed_over),
            Action::Finish(sink) => head(state, *sink).is_some_and(|it| it.is_handed_over),
            Action::Fail(sink) => head(state, *sink)
                .is_some_and(|it| !it.is_handed_over && state.is_open(it.incident, it.episode)),
            Action::Begin => {
                state.messages.iter().all(|it| it.state == MessageState::Queued)
                    && next(state).is_some_and(|n| !is_held(state, state.messages[n].lane))
            }
            Action::Typed | Action::Refused => in_state(state, MessageState::Typing).is_some(),
            Action::Doubted => in_state(state, MessageState::Typed).is_some() && has_rested(state),
            Action::Restart => {
                in_state(state, MessageState::Typing).is_some()
                    || state.planned().any(|effect| effect.is_handed_over)
            }
            Action::Due(kind) => state.due().any(|due| due == kind),
            Action::Pass
            | Action::Look(_)
            | Action::Signal(_)
            | Action::Pr(_)
            | Action::End(_)
            | Action::SignalsLost => true,
        }
    }

    /// What an action that is no fact, or the commit of one that is, makes of a state.
    pub(super) fn perform(&self, state: &State, action: &Action) -> (State, Option<Step>) {
        let mut next_state = state.clone();
        let mut step = self.fact(action).map(|fact| self.reduce(state, &fact));
        match action {
            Action::Pass => next_state.pass(),
            Action::HandOver(sink) => hand_over(&mut next_state, *sink),
            Action::Finish(sink) => drop(next_state.outbox[*sink].remove(0)),
            Action::Fail(sink) => fail(&mut next_state, *sink),
            Action::Ask => next_state.messages.push(Waiting {
                lane: Lane::Human,
                origin: None,
                causes: BTreeSet::new(),
                state: MessageState::Queued,
            }),
            Action::Begin => begin(&mut next_state),
            Action::Typed => {
                let n = in_state(state, MessageState::Typing).unwrap();
                next_state.messages[n].state = MessageState::Typed;
                // From here on it is in doubt at worst, and nothing is given back.
                next_state.messages[n].causes.clear();
                mark_told(&mut next_state, n);
            }
            Action::Refused => {
                let n = in_state(state, MessageState::Typing).unwrap();
                let refused = next_state.messages.remove(n);
                if let Some((incident, episode)) = refused.origin {
                    let causes = refused.causes.into_iter().collect();
                    let origin = MessageOrigin { incident, episode, causes };
                    let fact = Fact { at: now(), kind: FactKind::SendFailed(origin) };
                    step = Some(self.reduce(state, &fact));
                }
            }
            Action::Doubted => {
                let n = in_state(state, MessageState::Typed).unwrap();
                next_state.messages.remove(n);
            }
            Action::Restart => restart(&mut next_state),
            Action::Signal(told) if told.is_submit => {
                next_state.messages.retain(|it| it.state != MessageState::Typed);
            }
            Action::Look(_)
            | Action::Signal(_)
            | Action::Pr(_)
            | Action::Launched
            | Action::SpawnFailed
            | Action::End(_)
            | Action::Destroyed
            | Action::Restore
            | Action::SignalsLost
            | Action::Due(_) => {}
        }
        watch_the_screen(&mut next_state, action);
        if let Some(Step::Change(change)) = &step {
            next_state.commit(change);
        }
        if self.setting.is_told_at_once {
            let told = next_state.outbox[0].drain(..).map(|it| (it.incident, it.episode));
            next_state.told.extend(told);
        }
        if next_state.lifecycle.is_terminal() {
            // Nothing is heard of what was typed at an agent that ended.
            next_state.messages.retain(|it| it.state == MessageState::Queued);
            next_state.is_dialog = false;
        }
        next_state.normalise(&self.template, self.setting.grain);
        (next_state, step)
    }
}

fn in_state(state: &State, wanted: MessageState) -> Option<usize> {
    state.messages.iter().position(|it| it.state == wanted)
}

/// People first, each lane in its order.
fn next(state: &State) -> Option<usize> {
    let queued = |lane: Lane| {
        state.messages.iter().position(|it| it.lane == lane && it.state == MessageState::Queued)
    };
    queued(Lane::Human).or_else(|| queued(Lane::Automatic))
}

/// Whether the record alone keeps a message of a lane back (the engine's `hold_by_record`).
pub(super) fn is_held(state: &State, lane: Lane) -> bool {
    let lifecycle = &state.lifecycle;
    let activity = lifecycle.activity.map(|activity| activity.state);
    let is_for_all = lifecycle.launch.is_none()
        || lifecycle.session.state == SessionState::NotStarted
        || lifecycle.session.state == SessionState::Detecting
        || activity == Some(ActivityState::Blocked);
    let is_for_automatic =
        activity == Some(ActivityState::WaitingInput) || lifecycle.paused_until.is_some();
    is_for_all || (lane == Lane::Automatic && is_for_automatic)
}

fn head(state: &State, sink: usize) -> Option<&Planned> {
    state.outbox[sink].first()
}

/// Whether an agent rests for so long that nothing more is expected of it (the engine's
/// `resting_since`).
fn has_rested(state: &State) -> bool {
    state.lifecycle.activity.is_some_and(|activity| {
        let is_resting = matches!(
            activity.state,
            ActivityState::Idle | ActivityState::Ready | ActivityState::WaitingInput
        );
        is_resting && now().is_after(&activity.at)
    })
}

/// Reads the condition again, right before the effect.
fn hand_over(state: &mut State, sink: usize) {
    let head = state.outbox[sink][0].clone();
    if state.is_open(head.incident, head.episode) {
        state.outbox[sink][0].is_handed_over = true;
        state.told.insert((head.incident, head.episode));
    } else {
        state.outbox[sink].remove(0);
    }
}

/// Tries once more, or gives up: it is shown as dead, and the next one has its turn.
fn fail(state: &mut State, sink: usize) {
    let head = &mut state.outbox[sink][0];
    head.n_failed += 1;
    if head.n_failed == TRIES_MAX {
        let dead = state.outbox[sink].remove(0);
        state.given_up.insert((dead.incident, dead.episode));
    }
}

/// Whether a dialog is there, going by what was said and shown and by nothing that the rules made
/// of it: a dialog stays until the agent itself goes on, or a screen shows it gone.
fn watch_the_screen(state: &mut State, action: &Action) {
    if matches!(action, Action::Launched | Action::Restore) {
        state.is_dialog = false;
    }
    let Action::Signal(told) = action else { return };
    if told.age > 0 || told.generation != 1 || state.lifecycle.launch.is_none() {
        return;
    }
    let is_guess = told.source.confidence() == Confidence::Low;
    if told.activity == ActivityState::Blocked {
        state.is_dialog |= told.source.confidence() == Confidence::High;
    } else if !is_guess || (told.source == ActivitySource::Terminal && !told.activity.is_sticky()) {
        state.is_dialog = false;
    }
}

fn begin(state: &mut State) {
    let n = next(state).unwrap();
    let is_stale =
        state.messages[n].origin.is_some_and(|(key, episode)| !state.is_open(key, episode));
    if is_stale {
        state.messages.remove(n);
    } else {
        state.messages[n].state = MessageState::Typing;
    }
}

fn mark_told(state: &mut State, n: usize) {
    let origin = state.messages[n].origin;
    state.told.extend(origin);
}

/// What only the process knew is gone; what it was typing is in doubt, and is not typed again.
fn restart(state: &mut State) {
    for effect in state.outbox.iter_mut().flatten() {
        effect.is_handed_over = false;
    }
    let typing = in_state(state, MessageState::Typing);
    if let Some(n) = typing {
        mark_told(state, n);
        state.messages.remove(n);
    }
}

/// A pull request as the forge shows it.
pub(super) fn pr(life: PrLife, head: &str, checks: Checks, review: Review) -> Pr {
    fn known<T>(value: T) -> Known<T> {
        Known::Known { value, at: now() }
    }
    let is_ready = checks == Checks::Passed;
    let mergeability =
        if is_ready { known(Mergeability::Clean) } else { known(Mergeability::Conflicting) };
    Pr {
        number: PrNumber(1),
        url: String::new(),
        base: BranchName::new("main"),
        head: known(Sha::new(head)),
        life: known(life),
        draft: known(Draftness::Ready),
        checks: known(checks),
        review: known(review),
        mergeability: if head == "-" { Known::Unknown } else { mergeability },
    }
}

/// Failing checks with these causes.
pub(super) fn failed(causes: &[&str]) -> Checks {
    let causes: BTreeSet<_> = causes.iter().map(|&cause| CauseKey::new(cause)).collect();
    Checks::Failed { causes }
}

/// Whether nothing but a look inferred this end.
pub(super) const fn is_inferred(reason: SessionReason) -> bool {
    matches!(
        reason,
        SessionReason::AgentProcessExited
            | SessionReason::RuntimeLost
            | SessionReason::ServerGone
            | SessionReason::HostRebooted
    )
}

/// The incident of the session's own episode.
pub(super) const fn own(reaction: ReactionKind) -> IncidentKey {
    IncidentKey { reaction, pr: None }
}
