//! Deadlines that survive restarts: rows of (session, kind).

use std::time::Duration;

use crate::closed::closed_enum;
use crate::ids::SessionId;
use crate::ledger::IncidentKey;
use crate::time::Moment;

/// What comes due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeadlineKind {
    /// An incident was not resolved in time: a human is called.
    Escalate(IncidentKey),
    /// An agent that declares signals has sent none.
    NoSignal,
    /// The session has been idle for long.
    AgentIdle,
    /// The turn is over for good.
    TurnFinished,
    /// A usage limit ends.
    PauseEnds,
}

closed_enum! {
    /// The clock that a deadline counts on.
    pub enum DeadlineClock {
        /// Time awake: patience with an agent.
        Awake = "awake",
        /// Wall time: what people and providers mean.
        Wall = "wall",
    }
}

/// One armed deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline {
    /// Whose it is.
    pub session: SessionId,
    /// What comes due.
    pub kind: DeadlineKind,
    /// When it was armed.
    pub armed_at: Moment,
    /// How long after that.
    pub after: Duration,
    /// On which clock.
    pub clock: DeadlineClock,
}

impl Deadline {
    /// How long is left; zero when due (the boundary is inclusive).
    #[must_use]
    pub fn remaining(&self, now: &Moment) -> Duration {
        self.after.saturating_sub(self.passed(now))
    }

    /// For how long it has been due; zero while it is not.
    #[must_use]
    pub fn overdue_for(&self, now: &Moment) -> Duration {
        self.passed(now).saturating_sub(self.after)
    }

    fn passed(&self, now: &Moment) -> Duration {
        match self.clock {
            DeadlineClock::Awake => now.awake_since(&self.armed_at),
            DeadlineClock::Wall => now.wall.since(self.armed_at.wall),
        }
    }

    /// Whether it is due.
    pub fn is_due(&self, now: &Moment) -> bool {
        self.remaining(now).is_zero()
    }
}

/// What a step does to the deadlines of its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadlineChange {
    /// Arms it, replacing one of the same kind.
    Arm {
        /// What comes due.
        kind: DeadlineKind,
        /// When it was armed.
        armed_at: Moment,
        /// How long after that.
        after: Duration,
        /// On which clock.
        clock: DeadlineClock,
    },
    /// Takes it back; nothing happens when there is none.
    Disarm(DeadlineKind),
}
