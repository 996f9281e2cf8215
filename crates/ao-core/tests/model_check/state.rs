//! What the walk remembers of a session and of everything that waits for it, without any number
//! that grows for ever.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher as _};
use std::time::Duration;

use ao_core::deadline::{DeadlineChange, DeadlineClock, DeadlineKind};
use ao_core::ids::Revision;
use ao_core::ledger::{IncidentKey, Ledger};
use ao_core::message::{Lane, MessageState};
use ao_core::outbox::Condition;
use ao_core::pr::Known;
use ao_core::react::ESCALATED;
use ao_core::record::Lifecycle;
use ao_core::session::Session;
use ao_core::step::{Change, MessageOrder};
use ao_core::time::Moment;

use crate::fixtures::{at, launch_id};

/// The step of the clock: longer than a hook may be late, so that no order is left to the walk.
pub(super) const UNIT: Duration = Duration::from_secs(10);

/// No rule asks about more than three units; what is older is three units old.
const AGE_MAX: u32 = 3;

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

/// An effect that is planned and not marked done.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Planned {
    pub(super) incident: IncidentKey,
    pub(super) episode: u64,
    pub(super) is_escalation: bool,
    /// The sink has it, but that is not on disk: a restart forgets it.
    pub(super) is_handed_over: bool,
}

/// A message that may still move.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Waiting {
    pub(super) lane: Lane,
    pub(super) origin: Option<(IncidentKey, u64)>,
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
    /// Of one sink, in order.
    pub(super) outbox: Vec<Planned>,
    pub(super) messages: Vec<Waiting>,
    /// The open episodes of which a person or an agent was told, or was not because it failed.
    pub(super) told: BTreeSet<(IncidentKey, u64)>,
}

impl State {
    pub(super) fn of(session: Session) -> Self {
        Self {
            lifecycle: session.lifecycle,
            ledger: session.ledger,
            deadlines: BTreeMap::new(),
            outbox: Vec::new(),
            messages: Vec::new(),
            told: BTreeSet::new(),
        }
    }

    /// The session as the rules read it.
    pub(super) fn session(&self, template: &Session) -> Session {
        let lifecycle = self.lifecycle.clone();
        let ledger = self.ledger.clone();
        Session { record: template.record.clone(), lifecycle, ledger }
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
            let state = MessageState::Queued;
            self.messages.push(Waiting { lane: Lane::Automatic, origin: Some(origin), state });
        }
        for effect in &change.effects {
            let Condition::IncidentOpen { incident, episode } = effect.condition else { continue };
            self.outbox.push(Planned {
                incident,
                episode,
                is_escalation: effect.notification.reaction == ESCALATED,
                is_handed_over: false,
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
    pub(super) fn normalise(&mut self, session: &Session) {
        self.lifecycle.revision = Revision(0);
        // The one comparison of two old moments is kept: whether anything was heard since a doubt.
        let heard_at = self.lifecycle.activity.map(|activity| activity.at);
        let doubted_at = self.lifecycle.detecting.map(|doubt| doubt.started_at);
        let is_heard_since =
            heard_at.zip(doubted_at).is_some_and(|(heard, doubted)| heard.is_after(&doubted));
        for moment in self.moments() {
            *moment = aged(age(moment).min(AGE_MAX));
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
        if let Some(claim) = &mut self.lifecycle.claim {
            claim.at = aged(AGE_MAX);
        }
        if let Some(launch) = &mut self.lifecycle.launch {
            launch.id = launch_id(session, 1);
        }
        for pr in self.lifecycle.prs.values_mut() {
            age_known(&mut pr.head);
            age_known(&mut pr.life);
            age_known(&mut pr.draft);
            age_known(&mut pr.checks);
            age_known(&mut pr.review);
            age_known(&mut pr.mergeability);
        }
        self.normalise_episodes();
    }

    /// The episodes that anything still names, counted from one.
    fn normalise_episodes(&mut self) {
        let open = &self.ledger.open;
        self.told.retain(|(key, episode)| open.get(key).is_some_and(|it| it.episode == *episode));
        let mut named: BTreeMap<IncidentKey, BTreeSet<u64>> = BTreeMap::new();
        let waiting = self.messages.iter().filter_map(|message| message.origin);
        let planned = self.outbox.iter().map(|effect| (effect.incident, effect.episode));
        let opened = open.iter().map(|(key, incident)| (*key, incident.episode));
        for (key, episode) in waiting.chain(planned).chain(opened) {
            named.entry(key).or_default().insert(episode);
        }
        let rank = |key: IncidentKey, episode: u64| {
            u64::try_from(named[&key].range(..=episode).count()).unwrap()
        };
        for (incident, episode) in self.messages.iter_mut().filter_map(|it| it.origin.as_mut()) {
            *episode = rank(*incident, *episode);
        }
        for effect in &mut self.outbox {
            effect.episode = rank(effect.incident, effect.episode);
        }
        self.told = self.told.iter().map(|(key, episode)| (*key, rank(*key, *episode))).collect();
        for (key, incident) in &mut self.ledger.open {
            incident.episode = rank(*key, incident.episode);
            incident.opened_at = aged(AGE_MAX);
            // Three attempts are more than any budget of the walk.
            incident.attempts = incident.attempts.min(3);
        }
        self.ledger.episodes = named
            .iter()
            .map(|(key, episodes)| (*key, u64::try_from(episodes.len()).unwrap()))
            .collect();
    }

    /// A number that two different states share by accident only (one in 2¹²⁸).
    pub(super) fn fingerprint(&self) -> u128 {
        let one = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            salt.hash(&mut hasher);
            self.hash_into(&mut hasher);
            u128::from(hasher.finish())
        };
        one(0) << 64 | one(1)
    }

    /// The same for the record alone, which is all that a look is compared with.
    pub(super) fn record_fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        hash_lifecycle(&self.lifecycle, &mut hasher);
        hasher.finish()
    }

    fn hash_into(&self, hasher: &mut DefaultHasher) {
        hash_lifecycle(&self.lifecycle, hasher);
        let Ledger { open, episodes } = &self.ledger;
        episodes.hash(hasher);
        for (key, incident) in open {
            key.hash(hasher);
            incident.episode.hash(hasher);
            incident.attempts.hash(hasher);
            incident.first_attempt_at.hash(hasher);
            incident.is_escalated.hash(hasher);
            incident.causes.hash(hasher);
        }
        for (kind, armed) in &self.deadlines {
            match kind {
                DeadlineKind::Escalate(key) => key.hash(hasher),
                DeadlineKind::NoSignal => 1_u8.hash(hasher),
                DeadlineKind::AgentIdle => 2_u8.hash(hasher),
                DeadlineKind::TurnFinished => 3_u8.hash(hasher),
                DeadlineKind::PauseEnds => 4_u8.hash(hasher),
            }
            armed.hash(hasher);
        }
        self.outbox.hash(hasher);
        self.messages.hash(hasher);
        self.told.hash(hasher);
    }
}

fn age_known<T>(known: &mut Known<T>) {
    if let Known::Known { at, .. } = known {
        *at = aged(AGE_MAX);
    }
}

/// Names every field: one that is added has to be thought about here.
fn hash_lifecycle(lifecycle: &Lifecycle, hasher: &mut DefaultHasher) {
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
    (version, revision.0, session, runtime, activity, pr, detecting).hash(hasher);
    (paused_until, intent, claim, process_dead_at, exit, exit_asked).hash(hasher);
    (state_since, signals_lost).hash(hasher);
    launch.as_ref().map(|launch| launch.committed_at).hash(hasher);
    for (number, pr) in prs {
        number.hash(hasher);
        format!("{:?}", (&pr.head, &pr.life, &pr.draft, &pr.checks, &pr.review, &pr.mergeability))
            .hash(hasher);
    }
}
