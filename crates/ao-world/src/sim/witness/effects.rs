//! Every effect: in order per (session, sink), none that was stale when its turn came, none twice
//! once it was written down as done, one escalation per incident and episode.

use ao_core::ids::{EffectId, SessionId};
use ao_core::inbox::Notification;
use ao_core::outbox::{Condition, Effect, OutboxEntry, OutboxOutcome, Sink};

use super::{Seen, Witness};

/// A notification for one sink.
pub(crate) type EffectKey = (EffectId, Sink);

/// The name that the core gives a notification that calls a human.
const ESCALATED: &str = "reaction.escalated";

/// The reaction whose notifications are told together, one for all sessions of a project.
const TOGETHER: &str = "turn-finished";

/// How an effect stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Pending,
    Done,
    Superseded,
    Dead,
}

/// A planned effect.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) session: Option<SessionId>,
    pub(crate) reaction: String,
    pub(crate) condition: Condition,
    pub(crate) standing: Standing,
    pub(crate) is_delivered: bool,
    /// Where it is in the order of the plans.
    place: usize,
    /// Whether its condition was over when it was last taken from the queue.
    is_stale: bool,
    n_retries: u32,
}

/// Failed tries before the one at which an effect is given up, at least.
const RETRIES_MIN: u32 = 15;

impl Seen {
    pub(crate) fn note_effect(&mut self, session: Option<&SessionId>, effect: &Effect) {
        let key = (effect.notification.id.clone(), effect.sink.clone());
        if self.planned.contains_key(&key) {
            return;
        }
        let reaction = effect.notification.reaction.clone();
        self.history.push(format!("    planned {}", effect.id));
        if reaction == ESCALATED
            && let Condition::IncidentOpen { incident, episode } = effect.condition
        {
            self.occurred.insert("escalation".to_owned());
            let called = format!("{session:?} {incident:?} {episode} {:?}", effect.sink);
            if !self.escalations.insert(called.clone()) {
                self.violate(format!("a human is called twice: {called}"));
            }
        }
        self.occurred.insert(format!("told:{reaction}"));
        let planned = Planned {
            session: session.cloned(),
            reaction,
            condition: effect.condition,
            standing: Standing::Pending,
            is_delivered: false,
            place: self.order.len(),
            is_stale: false,
            n_retries: 0,
        };
        self.waiting.insert(planned.place);
        self.planned.insert(key.clone(), planned);
        self.order.push(key);
    }

    fn is_over(&self, planned: &Planned) -> bool {
        let Condition::IncidentOpen { incident, episode } = planned.condition else { return false };
        let Some(session) = planned.session.as_ref() else { return false };
        let session = self.sessions.get(session);
        let open = session.and_then(|session| session.ledger.open.get(&incident));
        open.is_none_or(|open| open.episode != episode)
    }

    /// Effects of the same session and sink that were planned earlier and still wait.
    fn overtaken(&self, key: &EffectKey) -> Vec<String> {
        let Some(planned) = self.planned.get(key) else { return Vec::new() };
        let earlier = self.waiting.range(..planned.place);
        earlier
            .filter_map(|&place| self.order.get(place))
            .filter(|it| it.1 == key.1)
            .filter_map(|it| Some((it, self.planned.get(it)?)))
            .filter(|(_, it)| it.session == planned.session)
            .filter(|(_, it)| it.standing == Standing::Pending)
            .map(|(it, _)| it.0.to_string())
            .collect()
    }
}

impl Seen {
    /// Sees that an effect was told in a notification of several.
    fn told_together(&mut self, key: &EffectKey, into: &EffectId) {
        if !self.bundles.contains(&(into.clone(), key.1.clone())) {
            self.violate(format!("{} is told in {into}, which nobody heard", key.0));
        }
        let overtaken = self.overtaken(key);
        if !overtaken.is_empty() {
            self.violate(format!("{} overtook {}", key.0, overtaken.join(", ")));
        }
        let Some(planned) = self.planned.get_mut(key) else { return };
        if planned.standing != Standing::Pending {
            return;
        }
        planned.is_delivered = true;
        if planned.is_stale {
            self.violate(format!("{} was told although its incident is over", key.0));
        }
    }
}

impl Witness {
    /// Sees what the dispatcher takes from the queue.
    pub(crate) fn taken(&self, ready: &[OutboxEntry]) {
        let mut seen = self.seen();
        for entry in ready {
            let key = (entry.effect.notification.id.clone(), entry.effect.sink.clone());
            seen.seqs.insert(entry.seq, key.clone());
            let Some(planned) = seen.planned.get(&key) else {
                seen.violate(format!("effect {} is ready and was never planned", key.0));
                continue;
            };
            let is_stale = seen.is_over(planned);
            if let Some(planned) = seen.planned.get_mut(&key) {
                planned.is_stale = is_stale;
            }
        }
    }

    /// Sees what a notifier took, whatever it answered.
    pub(crate) fn delivered(&self, notification: &Notification, sink: &Sink) {
        let mut seen = self.seen();
        let key = (notification.id.clone(), sink.clone());
        seen.history.push(format!("    told {} {sink:?}", key.0));
        let overtaken = seen.overtaken(&key);
        if !overtaken.is_empty() {
            seen.violate(format!("{} overtook {}", key.0, overtaken.join(", ")));
        }
        let Some(planned) = seen.planned.get_mut(&key) else {
            // Several told as one: whom it speaks for is seen when they are written down as done.
            let is_of_many = notification.session.is_none() && notification.reaction == TOGETHER;
            if !is_of_many {
                seen.violate(format!("{} was told and never planned", key.0));
            }
            seen.bundles.insert(key);
            return;
        };
        planned.is_delivered = true;
        let (standing, is_stale) = (planned.standing, planned.is_stale);
        if standing != Standing::Pending {
            seen.violate(format!("{} was told although it is {standing:?}", key.0));
        }
        if is_stale {
            seen.violate(format!("{} was told although its incident is over", key.0));
        }
    }

    /// Sees how a try ended, as written down.
    pub(crate) fn finished(&self, seq: u64, outcome: &OutboxOutcome) {
        let mut seen = self.seen();
        let Some(key) = seen.seqs.get(&seq).cloned() else { return };
        if let OutboxOutcome::Merged { into } = outcome {
            seen.told_together(&key, into);
        }
        let Some(planned) = seen.planned.get(&key).cloned() else { return };
        // An entry that is no longer pending is left alone.
        if planned.standing != Standing::Pending {
            return;
        }
        let (standing, word) = match outcome {
            OutboxOutcome::Done => (Standing::Done, "done"),
            OutboxOutcome::Merged { .. } => (Standing::Done, "merged"),
            OutboxOutcome::Superseded => (Standing::Superseded, "superseded"),
            OutboxOutcome::Retry { .. } => (Standing::Pending, "retry"),
            OutboxOutcome::Dead { .. } => (Standing::Dead, "dead"),
        };
        let is_told = planned.is_delivered || standing != Standing::Done;
        if standing == Standing::Superseded && !seen.is_over(&planned) {
            seen.violate(format!("{} is superseded although its condition holds", key.0));
        }
        let n_retries = planned.n_retries;
        if standing == Standing::Dead && n_retries < RETRIES_MIN {
            seen.violate(format!("{} is given up after {n_retries} tries", key.0));
        }
        if let Some(planned) = seen.planned.get_mut(&key) {
            planned.standing = standing;
            planned.n_retries += u32::from(standing == Standing::Pending);
        }
        if standing != Standing::Pending {
            seen.waiting.remove(&planned.place);
        }
        seen.occurred.insert(format!("effect:{word}"));
        seen.history.push(format!("    {} is {word}", key.0));
        if !is_told {
            seen.violate(format!("{} is done and was never told", key.0));
        }
    }
}
