//! Thresholds and switches, as data. Every default says how it was chosen.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::NotifierId;
use crate::inbox::Priority;
use crate::ledger::ReactionKind;

/// Everything that `reduce` may be told to do differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// A look counts as an attempt when it began at least this long after the last counted one:
    /// the reaper's interval.
    pub reaper_interval: Duration,
    /// Counted looks with the same evidence after which a session is stuck.
    pub detecting_attempts_max: u32,
    /// Time awake in quarantine after which a session is stuck.
    pub detecting_for_max: Duration,
    /// How long an activity heard after the death evidence holds the verdict back.
    pub veto_for: Duration,
    /// Silence, awake, of an agent that declares signals before it is stuck.
    pub no_signal_for_max: Duration,
    /// The table of reactions.
    pub reactions: BTreeMap<ReactionKind, ReactionPolicy>,
    /// Which notifiers hear which priority.
    pub routing: BTreeMap<Priority, Vec<NotifierId>>,
}

/// What a reaction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReactionAction {
    /// Tells the agent.
    Message,
    /// Tells a human.
    Notify,
}

/// One line of the reaction table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReactionPolicy {
    /// Whether it reacts at all.
    pub is_enabled: bool,
    /// Whom it tells.
    pub action: ReactionAction,
    /// Attempts that are made; the one after them is not sent but escalates. Without it every new
    /// cause is told.
    pub retries: Option<u32>,
    /// Escalates when the incident is still open this long after its first attempt.
    pub escalate_after: Option<Duration>,
    /// How urgent its notifications are.
    pub priority: Priority,
    /// How long the condition must hold first.
    pub after: Duration,
    /// Replaces the built-in text of what it tells, to an agent or to a human.
    pub message: Option<String>,
}

impl ReactionPolicy {
    const fn notify(priority: Priority) -> Self {
        Self {
            is_enabled: true,
            action: ReactionAction::Notify,
            retries: None,
            escalate_after: None,
            priority,
            after: Duration::ZERO,
            message: None,
        }
    }

    const fn message(retries: Option<u32>, escalate_after: Option<Duration>) -> Self {
        Self {
            is_enabled: true,
            action: ReactionAction::Message,
            retries,
            escalate_after,
            priority: Priority::Action,
            after: Duration::ZERO,
            message: None,
        }
    }

    /// The default line of a reaction: the table of the design.
    pub fn default_of(reaction: ReactionKind) -> Self {
        match reaction {
            ReactionKind::CiFailed => Self::message(Some(2), None),
            ReactionKind::ChangesRequested | ReactionKind::BugbotComments => {
                Self::message(None, Some(Duration::from_mins(30)))
            }
            ReactionKind::MergeConflicts => Self::message(None, Some(Duration::from_mins(15))),
            ReactionKind::AgentIdle => Self {
                is_enabled: false,
                after: Duration::from_mins(15),
                priority: Priority::Warning,
                ..Self::message(Some(2), Some(Duration::from_mins(15)))
            },
            ReactionKind::TurnFinished => {
                Self { after: Duration::from_secs(10), ..Self::notify(Priority::Info) }
            }
            ReactionKind::SessionDone | ReactionKind::AllComplete => Self::notify(Priority::Info),
            ReactionKind::ApprovedAndGreen | ReactionKind::PrClosed => {
                Self::notify(Priority::Action)
            }
            ReactionKind::AgentStuck
            | ReactionKind::AgentNeedsInput
            | ReactionKind::AgentExited
            | ReactionKind::Infrastructure => Self::notify(Priority::Urgent),
        }
    }
}

impl Policy {
    /// The line of a reaction, its default where nothing was said.
    pub fn reaction(&self, reaction: ReactionKind) -> ReactionPolicy {
        self.reactions
            .get(&reaction)
            .cloned()
            .unwrap_or_else(|| ReactionPolicy::default_of(reaction))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            // The design's reaper interval: a person who looks twice sees the change.
            reaper_interval: Duration::from_secs(5),
            // Three looks tell a hiccup from a fault.
            detecting_attempts_max: 3,
            // Five minutes is what a loaded machine may need to answer again.
            detecting_for_max: Duration::from_mins(5),
            // A hook may be in flight for as long as its agent's own timeout.
            veto_for: Duration::from_mins(1),
            // The slowest real agent seen needs 25 s to its first signal.
            no_signal_for_max: Duration::from_secs(90),
            reactions: ReactionKind::ALL
                .iter()
                .map(|&reaction| (reaction, ReactionPolicy::default_of(reaction)))
                .collect(),
            routing: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `on|off ACTION RETRIES ESCALATE_AFTER PRIORITY AFTER`, times in seconds.
    fn line(policy: &ReactionPolicy) -> String {
        let seconds =
            |it: Option<Duration>| it.map_or_else(|| "-".to_owned(), |it| it.as_secs().to_string());
        format!(
            "{} {:?} {} {} {} {}",
            if policy.is_enabled { "on" } else { "off" },
            policy.action,
            policy.retries.map_or_else(|| "-".to_owned(), |it| it.to_string()),
            seconds(policy.escalate_after),
            policy.priority,
            policy.after.as_secs()
        )
    }

    #[test]
    fn the_defaults_are_the_table_of_the_design() {
        use ReactionKind as Kind;
        let table = [
            (Kind::CiFailed, "on Message 2 - action 0"),
            (Kind::ChangesRequested, "on Message - 1800 action 0"),
            (Kind::BugbotComments, "on Message - 1800 action 0"),
            (Kind::MergeConflicts, "on Message - 900 action 0"),
            (Kind::AgentIdle, "off Message 2 900 warning 900"),
            (Kind::TurnFinished, "on Notify - - info 10"),
            (Kind::SessionDone, "on Notify - - info 0"),
            (Kind::ApprovedAndGreen, "on Notify - - action 0"),
            (Kind::AgentStuck, "on Notify - - urgent 0"),
            (Kind::AgentNeedsInput, "on Notify - - urgent 0"),
            (Kind::AgentExited, "on Notify - - urgent 0"),
            (Kind::PrClosed, "on Notify - - action 0"),
            (Kind::AllComplete, "on Notify - - info 0"),
            (Kind::Infrastructure, "on Notify - - urgent 0"),
        ];
        assert_eq!(table.len(), Kind::ALL.len());
        for (kind, expect) in table {
            assert_eq!(line(&ReactionPolicy::default_of(kind)), expect, "{kind}");
        }
    }

    #[test]
    fn what_a_policy_does_not_say_is_the_default() {
        let kind = ReactionKind::AgentStuck;
        let mut policy = Policy::default();
        policy.reactions.clear();
        assert_eq!(policy.reaction(kind), ReactionPolicy::default_of(kind));
        let own = ReactionPolicy { priority: Priority::Info, ..ReactionPolicy::default_of(kind) };
        policy.reactions.insert(kind, own.clone());
        assert_eq!(policy.reaction(kind), own);
    }
}
