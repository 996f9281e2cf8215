//! What the walk remembers of a session and of everything that waits for it, without any number
//! that grows for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use ao_core::deadline::{DeadlineChange, DeadlineClock, DeadlineKind};
use ao_core::ids::{CauseKey, Revision};
use ao_core::ledger::{IncidentKey, Ledger};
use ao_core::message::{Lane, MessageState};
use ao_core::outbox::{Condition, Effect, Sink};
use ao_core::pr::{Checks, Known, Review};
use ao_core::react::ESCALATED;
use ao_core::record::{Lifecycle, RuntimeReason, RuntimeState, RuntimeVerdict, SessionState};
use ao_core::session::Session;
use ao_core::step::{Change, MessageOrder};
use ao_core::time::Moment;

use crate::fixtures::{at, launch_id};

/// The step of the clock: longer than a hook may be late, so that no order is left to the walk.
pub(super) const UNIT: Duration = Duration::from_secs(10);

/// What a coarse walk asks about silences, escalations, vetoes and the interval of the reaper: all
/// are this many units; only a doubt may last longer.
pub(super) const HALF: u32 = 1;

/// What a walk can tell apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grain {
    /// No rule of the walk asks about more than so many units; what is older is as old as this.
    pub(super) age_max: u32,
    /// Whether everything that no rule reads any more is forgotten. Without it a walk holds more to
    /// the promises; with it, it has an end.
    pub(super) is_coarse: bool,
    /// Whether it matters how long an agent that is well has been silent or idle.
    pub(super) is_rest_timed: bool,
}

/// The present of every state: only how old things are is remembered.
pub(super) fn now() -> Moment {
    aged(0)
}

/// The moment so many units ago.
pub(super) fn aged(units: u32) -> Moment {
    at(UNIT * (100 - units))
}

fn age(moment: &Moment) -> u32 {
    u32::try_from(now().since(moment).as_secs() / UNIT.as_secs()).unwrap()
}

/// Tries of an effect after which a dispatcher gives it up.
pub(super) const TRIES_MAX: u8 = 2;

/// How many sinks there are: the inbox, and a phone that hears only what is urgent.
pub(super) const N_SINKS: usize = 2;

/// An effect that is planned and not marked done.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Planned {
    pub(super) incident: IncidentKey,
    pub(super) episode: u64,
    pub(super) is_escalation: bool,
    /// The sink has it, but that is not on disk: a restart forgets it.
    pub(super) is_handed_over: bool,
    pub(super) n_failed: u8,
}

/// A message that may still move.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Waiting {
    pub(super) lane: Lane,
    pub(super) origin: Option<(IncidentKey, u64)>,
    pub(super) causes: BTreeSet<CauseKey>,
    pub(super) state: MessageState,
}

/// One armed deadline.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Armed {
    pub(super) at: Moment,
    pub(super) after: Duration,
    pub(super) clock: DeadlineClock,
}

/// Everything that is on disk about a session, and what the process has in hand.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) lifecycle: Lifecycle,
    pub(super) ledger: Ledger,
    pub(super) deadlines: BTreeMap<DeadlineKind, Armed>,
    /// Of each sink, in order.
    pub(super) outbox: [Vec<Planned>; N_SINKS],
    pub(super) messages: Vec<Waiting>,
    /// The open episodes of which a person or an agent was told.
    pub(super) told: BTreeSet<(IncidentKey, u64)>,
    /// Those of which an effect was given up, and is shown as dead.
    pub(super) given_up: BTreeSet<(IncidentKey, u64)>,
    /// Whether a dialog is on the screen, going by what the agent said and not by the record.
    pub(super) is_dialog: bool,
}

impl State {
    pub(super) fn of(session: Session) -> Self {
        Self {
            lifecycle: session.lifecycle,
            ledger: session.ledger,
            deadlines: BTreeMap::new(),
            outbox: [const { Vec::new() }; N_SINKS],
            messages: Vec::new(),
            told: BTreeSet::new(),
            given_up: BTreeSet::new(),
            is_dialog: false,
        }
    }

    pub(super) fn planned(&self) -> impl Iterator<Item = &Planned> {
        self.outbox.iter().flatten()
    }

    pub(super) fn is_in_doubt(&self) -> bool {
        self.lifecycle.session.state == SessionState::Detecting
    }

    pub(super) fn is_open(&self, incident: IncidentKey, episode: u64) -> bool {
        self.ledger.open.get(&incident).is_some_and(|open| open.episode == episode)
    }

    pub(super) fn due(&self) -> impl Iterator<Item = &DeadlineKind> {
        let is_due = |armed: &Armed| now().awake_since(&armed.at) >= armed.after;
        self.deadlines.iter().filter(move |(_, armed)| is_due(armed)).map(|(kind, _)| kind)
    }

    /// Commits a step: all of it, as the store does.
    pub(super) fn commit(&mut self, change: &Change) {
        self.lifecycle = change.lifecycle.clone();
        self.ledger = change.ledger.clone();
        for deadline in &change.deadlines {
            match deadline.clone() {
                DeadlineChange::Arm { kind, armed_at, after, clock } => {
                    self.deadlines.insert(kind, Armed { at: armed_at, after, clock });
                }
                DeadlineChange::Disarm(kind) => {
                    self.deadlines.remove(&kind);
                }
            }
        }
        for order in &change.message_orders {
            self.messages.retain(|message| match order {
                MessageOrder::CancelAll => message.state != MessageState::Queued,
                MessageOrder::SupersedeIncident(key) => {
                    message.state != MessageState::Queued
                        || message.origin.is_none_or(|(incident, _)| incident != *key)
                }
            });
        }
        for message in &change.messages {
            let origin = (message.origin.incident, message.origin.episode);
            self.messages.push(Waiting {
                lane: Lane::Automatic,
                origin: Some(origin),
                causes: message.origin.causes.iter().cloned().collect(),
                state: MessageState::Queued,
            });
        }
        for effect in &change.effects {
            let Condition::IncidentOpen { incident, episode } = effect.condition else { continue };
            self.outbox[sink_of(effect)].push(Planned {
                incident,
                episode,
                is_escalation: effect.notification.reaction == ESCALATED,
                is_handed_over: false,
                n_failed: 0,
            });
        }
    }

    /// One unit passes.
    pub(super) fn pass(&mut self) {
        for moment in self.moments() {
            *moment = aged(age(moment) + 1);
        }
        let wall = now().wall;
        if let Some(until) = &mut self.lifecycle.paused_until {
            *until = wall.plus(until.since(wall).saturating_sub(UNIT));
        }
    }

    fn moments(&mut self) -> Vec<&mut Moment> {
        let lifecycle = &mut self.lifecycle;
        let mut all = vec![&mut lifecycle.state_since];
        all.extend(lifecycle.activity.iter_mut().map(|activity| &mut activity.at));
        all.extend(lifecycle.launch.iter_mut().map(|launch| &mut launch.committed_at));
        all.extend(&mut lifecycle.process_dead_at);
        if let Some(doubt) = &mut lifecycle.detecting {
            all.extend([&mut doubt.started_at, &mut doubt.counted_at]);
        }
        for incident in self.ledger.open.values_mut() {
            all.extend(&mut incident.first_attempt_at);
        }
        all.extend(self.deadlines.values_mut().map(|armed| &mut armed.at));
        all
    }

    /// Brings the state into the one form of all states that the rules cannot tell apart.
    pub(super) fn normalise(&mut self, session: &Session, grain: Grain) {
        let age_max = grain.age_max;
        self.lifecycle.revision = Revision(0);
        self.outdo();
        // The one comparison of two old moments is kept: whether anything was heard since a doubt.
        let heard_at = self.lifecycle.activity.map(|activity| activity.at);
        let doubted_at = self.lifecycle.detecting.map(|doubt| doubt.started_at);
        let is_heard_since =
            heard_at.zip(doubted_at).is_some_and(|(heard, doubted)| heard.is_after(&doubted));
        for moment in self.moments() {
            *moment = aged(age(moment).min(age_max));
        }
        if let (Some(activity), Some(doubt)) =
            (&mut self.lifecycle.activity, &self.lifecycle.detecting)
        {
            let youngest = age(&doubt.started_at);
            activity.at = if is_heard_since {
                // More than two units old or two: both are too old for a veto.
                aged(age(&activity.at).min(youngest.saturating_sub(1)))
            } else {
                aged(age(&activity.at).max(youngest))
            };
        }
        for armed in self.deadlines.values_mut() {
            let after = u32::try_from(armed.after.as_secs() / UNIT.as_secs()).unwrap();
            armed.at = aged(age(&armed.at).min(after));
        }
        if let Some(doubt) = &mut self.lifecycle.detecting {
            // Two are the most that the policy of the walk allows; more are as many.
            doubt.attempts = doubt.attempts.min(2);
        }
        if let Some(claim) = &mut self.lifecycle.claim {
            claim.at = aged(age_max);
        }
        if let Some(launch) = &mut self.lifecycle.launch {
            launch.id = launch_id(session, 1);
        }
        for pr in self.lifecycle.prs.values_mut() {
            age_known(&mut pr.head, age_max);
            age_known(&mut pr.life, age_max);
            age_known(&mut pr.draft, age_max);
            age_known(&mut pr.checks, age_max);
            age_known(&mut pr.review, age_max);
            age_known(&mut pr.mergeability, age_max);
        }
        let open = &self.ledger.open;
        let is_open =
            |key: &IncidentKey, episode: u64| open.get(key).is_some_and(|it| it.episode == episode);
        self.told.retain(|(key, episode)| is_open(key, *episode));
        self.given_up.retain(|(key, episode)| is_open(key, *episode));
        if grain.is_coarse {
            self.forget(grain);
        }
        self.normalise_episodes(age_max);
    }

    /// A queued message of an incident gives way to a newer one of it.
    fn outdo(&mut self) {
        let is_queued = |it: &Waiting| it.state == MessageState::Queued;
        let incident = |it: &Waiting| it.origin.map(|(key, _)| key);
        for n in (0..self.messages.len()).rev() {
            let (older, newer) = self.messages.split_at(n);
            let is_repeated = |it: &Waiting| {
                is_queued(it) && incident(it).is_some() && incident(it) == incident(&newer[0])
            };
            let outdone = older.iter().position(is_repeated).filter(|_| is_queued(&newer[0]));
            if let Some(outdone) = outdone {
                self.messages.remove(outdone);
                return self.outdo();
            }
        }
    }

    /// Forgets what no rule of the walk reads any more, so that the walk has an end.
    ///
    /// What is stale (its incident is over) is never performed, so it is as good as gone; how old
    /// something is matters only while a threshold asks; and a session that ended is begun anew or
    /// not at all.
    fn forget(&mut self, grain: Grain) {
        let old = aged(grain.age_max);
        let lifecycle = &mut self.lifecycle;
        if lifecycle.is_terminal() {
            lifecycle.activity = None;
            lifecycle.claim = None;
            lifecycle.exit = None;
            lifecycle.exit_asked = false;
            lifecycle.process_dead_at = None;
            lifecycle.launch = None;
        } else {
            // Looks write it and no rule reads it.
            lifecycle.runtime = RuntimeVerdict {
                state: RuntimeState::Alive,
                reason: RuntimeReason::ProcessRunning,
            };
        }
        let is_well = lifecycle.detecting.is_none() && lifecycle.process_dead_at.is_none();
        if let Some(activity) = &mut lifecycle.activity {
            if let Some(launch) = &mut lifecycle.launch {
                launch.committed_at = old;
            }
            if is_well {
                let is_rested = grain.is_rest_timed && age(&activity.at) == 0;
                activity.at = if is_rested { aged(0) } else { old };
            }
        }
        if let Some(launch) = &mut lifecycle.launch {
            launch.committed_at = aged(age(&launch.committed_at).min(HALF));
        }
        if let Some(doubt) = &mut lifecycle.detecting {
            doubt.counted_at = aged(age(&doubt.counted_at).min(HALF));
        }
        let is_idle = lifecycle.session.state == SessionState::Idle;
        if !is_idle || !grain.is_rest_timed {
            lifecycle.state_since = old;
        }
        let open = &self.ledger.open;
        let is_open = |(key, episode): (IncidentKey, u64)| {
            open.get(&key).is_some_and(|it| it.episode == episode)
        };
        for sink in &mut self.outbox {
            sink.retain(|effect| is_open((effect.incident, effect.episode)));
        }
        self.messages
            .retain(|it| it.state != MessageState::Queued || it.origin.is_none_or(is_open));
        for message in &mut self.messages {
            message.origin = message.origin.filter(|origin| is_open(*origin));
            if message.origin.is_none() {
                message.causes.clear();
            }
        }
        for incident in self.ledger.open.values_mut() {
            if incident.is_escalated {
                // It is silent from here on.
                incident.causes.clear();
                incident.attempts = 0;
                incident.first_attempt_at = incident.first_attempt_at.map(|_| old);
            } else if let Some(at) = &mut incident.first_attempt_at {
                *at = aged(age(at).min(HALF));
            }
        }
    }

    /// The episodes that anything still names, counted from one.
    fn normalise_episodes(&mut self, age_max: u32) {
        let mut named: BTreeMap<IncidentKey, BTreeSet<u64>> = BTreeMap::new();
        let waiting = self.messages.iter().filter_map(|message| message.origin);
        let planned = self.outbox.iter().flatten().map(|it| (it.incident, it.episode));
        let opened = self.ledger.open.iter().map(|(key, incident)| (*key, incident.episode));
        for (key, episode) in waiting.chain(planned).chain(opened) {
            named.entry(key).or_default().insert(episode);
        }
        let rank = |key: IncidentKey, episode: u64| {
            u64::try_from(named[&key].range(..=episode).count()).unwrap()
        };
        for (incident, episode) in self.messages.iter_mut().filter_map(|it| it.origin.as_mut()) {
            *episode = rank(*incident, *episode);
        }
        for effect in self.outbox.iter_mut().flatten() {
            effect.episode = rank(effect.incident, effect.episode);
        }
        self.told = self.told.iter().map(|(key, episode)| (*key, rank(*key, *episode))).collect();
        self.given_up =
            self.given_up.iter().map(|(key, episode)| (*key, rank(*key, *episode))).collect();
        for (key, incident) in &mut self.ledger.open {
            incident.episode = rank(*key, incident.episode);
            incident.opened_at = aged(age_max);
            // Three attempts are more than any budget of the walk.
            incident.attempts = incident.attempts.min(3);
        }
        self.ledger.episodes = named
            .iter()
            .map(|(key, episodes)| (*key, u64::try_from(episodes.len()).unwrap()))
            .collect();
    }

    /// The state as bytes: two states have the same only if they are one.
    pub(super) fn key(&self) -> Vec<u8> {
        let mut bytes = Bytes::default();
        self.hash_into(&mut bytes);
        bytes.0
    }

    /// The same for the record alone, which is all that a look is compared with.
    pub(super) fn record_key(&self) -> Vec<u8> {
        let mut bytes = Bytes::default();
        hash_lifecycle(&self.lifecycle, &mut bytes);
        bytes.0
    }

    fn hash_into(&self, hasher: &mut Bytes) {
        let Self { lifecycle, ledger, deadlines, outbox, messages, told, given_up, is_dialog } =
            self;
        hash_lifecycle(lifecycle, hasher);
        let Ledger { open, episodes } = ledger;
        episodes.hash(hasher);
        open.len().hash(hasher);
        for (key, incident) in open {
            key.hash(hasher);
            incident.episode.hash(hasher);
            incident.attempts.hash(hasher);
            incident.first_attempt_at.as_ref().map(age).hash(hasher);
            incident.is_escalated.hash(hasher);
            incident.causes.hash(hasher);
        }
        deadlines.len().hash(hasher);
        for (kind, armed) in deadlines {
            match kind {
                DeadlineKind::Escalate(key) => {
                    0_u8.hash(hasher);
                    key.hash(hasher);
                }
                DeadlineKind::NoSignal => 1_u8.hash(hasher),
                DeadlineKind::AgentIdle => 2_u8.hash(hasher),
                DeadlineKind::TurnFinished => 3_u8.hash(hasher),
                DeadlineKind::PauseEnds => 4_u8.hash(hasher),
            }
            let Armed { at, after, clock } = armed;
            (age(at), after.as_secs(), clock).hash(hasher);
        }
        (outbox, messages, told, given_up, is_dialog).hash(hasher);
    }
}

/// Where an effect goes.
fn sink_of(effect: &Effect) -> usize {
    let Sink::Notifier(notifier) = &effect.sink;
    usize::from(notifier.as_str() != "inbox")
}

/// Writes down what it is given to hash: numbers are short ones here, so few bytes tell them.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn number(&mut self, mut n: u128) {
        while n > 0x7f {
            self.0.push(n.to_le_bytes()[0] | 0x80);
            n >>= 7;
        }
        self.0.push(n.to_le_bytes()[0]);
    }
}

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn write_u32(&mut self, n: u32) {
        self.number(n.into());
    }

    fn write_u64(&mut self, n: u64) {
        self.number(n.into());
    }

    fn write_u128(&mut self, n: u128) {
        self.number(n);
    }

    fn write_usize(&mut self, n: usize) {
        self.number(n as u128);
    }

    fn write_isize(&mut self, n: isize) {
        // What an enum is told by.
        self.number(n.unsigned_abs() as u128);
    }

    fn finish(&self) -> u64 {
        0
    }
}

fn age_known<T>(known: &mut Known<T>, age_max: u32) {
    if let Known::Known { at, .. } = known {
        *at = aged(age_max);
    }
}

/// Names every field: one that is added has to be thought about here.
fn hash_lifecycle(lifecycle: &Lifecycle, hasher: &mut Bytes) {
    let Lifecycle {
        version,
        revision,
        session,
        runtime,
        activity,
        prs,
        pr,
        detecting,
        paused_until,
        launch,
        intent,
        claim,
        process_dead_at,
        exit,
        exit_asked,
        state_since,
        signals_lost,
    } = lifecycle;
    let activity = activity.map(|it| (it.state, age(&it.at), it.source, it.detail));
    let doubt =
        detecting.map(|it| (it.attempts, age(&it.started_at), age(&it.counted_at), it.evidence));
    (version, revision.0, session, runtime, activity, pr, doubt).hash(hasher);
    paused_until.map(|until| until.since(now().wall).as_secs()).hash(hasher);
    (intent, claim.is_some(), process_dead_at.as_ref().map(age), exit, exit_asked).hash(hasher);
    (age(state_since), signals_lost).hash(hasher);
    launch.as_ref().map(|launch| age(&launch.committed_at)).hash(hasher);
    prs.len().hash(hasher);
    for (number, pr) in prs {
        let checks = match pr.checks.value() {
            None => (0_u8, None),
            Some(Checks::None) => (1, None),
            Some(Checks::Pending) => (2, None),
            Some(Checks::Passed) => (3, None),
            Some(Checks::Refused) => (4, None),
            Some(Checks::Failed { causes }) => (5, Some(causes)),
        };
        let review = match pr.review.value() {
            None => (0_u8, None),
            Some(Review::NotRequired) => (1, None),
            Some(Review::Pending) => (2, None),
            Some(Review::Approved) => (3, None),
            Some(Review::ChangesRequested { human, bot }) => (4, Some((human, bot))),
        };
        (number, pr.head.value(), pr.life.value(), pr.draft.value()).hash(hasher);
        (checks, review, pr.mergeability.value()).hash(hasher);
    }
}
