//! Effects on the outside: planned in the transaction of the state that caused them, performed
//! later, at least once, in order per (session, sink).

use crate::closed::closed_enum;
use crate::ids::{EffectId, NotifierId, SessionId};
use crate::inbox::Notification;
use crate::ledger::IncidentKey;
use crate::time::Moment;

/// Where an effect goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sink {
    /// One notifier.
    Notifier(NotifierId),
}

/// What must still hold when the effect's turn comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// It is news in itself and does not go stale.
    Always,
    /// The incident is still open, in the same episode.
    IncidentOpen {
        /// Which incident.
        incident: IncidentKey,
        /// Which one of its kind.
        episode: u64,
    },
}

/// A planned effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// Stable name, unique per (plan, sink).
    pub id: EffectId,
    /// Where it goes.
    pub sink: Sink,
    /// What must still hold.
    pub condition: Condition,
    /// What is said.
    pub notification: Notification,
}

closed_enum! {
    /// Where a planned effect stands.
    pub enum OutboxState {
        /// To be performed.
        Pending = "pending",
        /// Handed over durably.
        Done = "done",
        /// Its condition no longer held when its turn came.
        Superseded = "superseded",
        /// It failed as often as it may; a person should look.
        Dead = "dead",
    }
}

/// A planned effect in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Position: smaller goes first within its (session, sink).
    pub seq: u64,
    /// The session whose transaction planned it; none for an infrastructure incident.
    pub session: Option<SessionId>,
    /// The effect.
    pub effect: Effect,
    /// Where it stands.
    pub state: OutboxState,
    /// Failed attempts so far.
    pub attempts: u32,
    /// Not before this moment; see [`Self::is_ready`].
    pub not_before: Option<Moment>,
    /// What the last failure said; of one that was told together with others, in which notification
    /// ([`told_in`]).
    pub last_error: Option<String>,
}

impl OutboxEntry {
    /// Whether its pause is over.
    ///
    /// A pause ends with the boot that it was made in: only the wall clock could tell how long it
    /// still is, and one that was set back would hold the effect for as long as that.
    pub fn is_ready(&self, now: &Moment) -> bool {
        self.not_before.is_none_or(|at| at.boot != now.boot || !at.is_after(now))
    }
}

/// How one try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboxOutcome {
    /// Handed over durably.
    Done,
    /// Handed over durably, told together with others in one notification.
    Merged {
        /// That notification.
        into: EffectId,
    },
    /// Its condition no longer held.
    Superseded,
    /// Failed; to be tried again.
    Retry {
        /// Not before this moment.
        not_before: Moment,
        /// What went wrong.
        error: String,
    },
    /// Failed for the last time.
    Dead {
        /// What went wrong.
        error: String,
    },
}

/// What stands in an entry that was told together with others.
pub fn told_in(notification: &EffectId) -> String {
    format!("told in `{notification}`")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::inbox::Priority;
    use crate::time::{BootId, Timestamp};

    fn at(boot: u128, seconds: u64) -> Moment {
        let since_boot = Duration::from_secs(seconds);
        let wall = Timestamp::from_millis(1_000_000).plus(since_boot);
        Moment { wall, boot: BootId(boot), since_boot, awake: since_boot }
    }

    fn entry(not_before: Option<Moment>) -> OutboxEntry {
        let notification = Notification {
            id: EffectId::new("e"),
            session: None,
            project: None,
            reaction: "infrastructure".to_owned(),
            cause: String::new(),
            priority: Priority::Urgent,
            title: String::new(),
            text: String::new(),
            at: at(1, 0).wall,
        };
        let sink = Sink::Notifier(NotifierId::parse("inbox").unwrap());
        let id = notification.id.clone();
        let effect = Effect { id, sink, condition: Condition::Always, notification };
        let state = OutboxState::Pending;
        OutboxEntry {
            seq: 1,
            session: None,
            effect,
            state,
            attempts: 1,
            not_before,
            last_error: None,
        }
    }

    #[test]
    fn a_pause_ends_at_its_moment_or_with_its_boot() {
        assert!(entry(None).is_ready(&at(1, 0)));
        let paused = entry(Some(at(1, 60)));
        assert!(!paused.is_ready(&at(1, 59)));
        assert!(paused.is_ready(&at(1, 60)));
        assert!(paused.is_ready(&at(1, 61)));
        assert!(paused.is_ready(&at(2, 1)));
    }

    #[test]
    fn what_was_told_together_names_the_notification() {
        assert_eq!(told_in(&EffectId::new("e")), "told in `e`");
    }
}
