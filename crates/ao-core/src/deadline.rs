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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{BootId, Timestamp};

    /// So long after its boot, of which it slept so long, with the wall clock put ahead by so much.
    fn at(since_boot_s: u64, asleep_s: u64, ahead_s: u64) -> Moment {
        Moment {
            wall: Timestamp::default().plus(Duration::from_secs(since_boot_s + ahead_s)),
            boot: BootId(1),
            since_boot: Duration::from_secs(since_boot_s),
            awake: Duration::from_secs(since_boot_s - asleep_s),
        }
    }

    fn deadline(clock: DeadlineClock) -> Deadline {
        Deadline {
            session: SessionId::parse("app-1").unwrap(),
            kind: DeadlineKind::AgentIdle,
            armed_at: at(100, 0, 0),
            after: Duration::from_mins(1),
            clock,
        }
    }

    /// What is left of it, for how long it has been due, and whether it is, in seconds.
    fn shown(clock: DeadlineClock, now: &Moment) -> (u64, u64, bool) {
        let deadline = deadline(clock);
        let (left, over) = (deadline.remaining(now), deadline.overdue_for(now));
        (left.as_secs(), over.as_secs(), deadline.is_due(now))
    }

    #[test]
    fn a_deadline_is_due_at_its_end_and_not_before() {
        for &clock in DeadlineClock::ALL {
            assert_eq!(shown(clock, &at(159, 0, 0)), (1, 0, false), "{clock}");
            assert_eq!(shown(clock, &at(160, 0, 0)), (0, 0, true), "{clock}");
            assert_eq!(shown(clock, &at(175, 0, 0)), (0, 15, true), "{clock}");
        }
    }

    #[test]
    fn sleep_and_the_wall_clock_move_only_what_counts_on_them() {
        assert_eq!(shown(DeadlineClock::Awake, &at(32_500, 32_380, 0)), (40, 0, false));
        assert!(shown(DeadlineClock::Wall, &at(32_500, 32_380, 0)).2);
        assert_eq!(shown(DeadlineClock::Awake, &at(120, 0, 3_600)), (40, 0, false));
        assert_eq!(shown(DeadlineClock::Wall, &at(120, 0, 3_600)), (0, 3_560, true));
    }
}
