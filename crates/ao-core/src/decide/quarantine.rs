//! How long a doubt may last: counts looks with the same evidence, and the time awake.
//!
//! It never ends a session. What it ends in is `stuck`, which calls a human.

use crate::policy::Policy;
use crate::record::{Evidence, Quarantine};
use crate::time::Moment;

/// The memory after one more doubtful look, and whether the patience is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a doubt that is not persisted is forgotten"]
pub struct Doubt {
    /// The memory.
    pub memory: Quarantine,
    /// Whether a human should be called.
    pub is_expired: bool,
}

/// Which look is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LookOrder {
    /// The first one after a boot or a resume: it never escalates, and counts for nothing.
    FirstAfterGap,
    /// Any other.
    Regular,
}

/// Counts one doubtful look that began at `at`.
///
/// *Guarantees*: the episode's start survives every change of evidence; both bounds are inclusive;
/// unchanged evidence within one interval changes nothing.
pub fn quarantine(
    previous: Option<&Quarantine>,
    evidence: Evidence,
    at: &Moment,
    order: LookOrder,
    policy: &Policy,
) -> Doubt {
    let memory = match previous {
        None => Quarantine { attempts: 1, started_at: *at, counted_at: *at, evidence },
        Some(previous) if previous.evidence != evidence => {
            Quarantine { attempts: 1, counted_at: *at, evidence, ..*previous }
        }
        Some(previous)
            if order == LookOrder::Regular
                && at.awake_since(&previous.counted_at) >= policy.reaper_interval =>
        {
            Quarantine {
                attempts: previous.attempts.saturating_add(1),
                counted_at: *at,
                ..*previous
            }
        }
        Some(previous) => *previous,
    };
    let is_over = memory.attempts >= policy.detecting_attempts_max
        || at.awake_since(&memory.started_at) >= policy.detecting_for_max;
    Doubt { memory, is_expired: is_over && order == LookOrder::Regular }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fact::{BootProbe, LookValues, ProcessProbe, RuntimeProbe, ServerProbe};
    use crate::record::SessionReason;
    use crate::time::{BootId, Timestamp};

    fn at(seconds: f64) -> Moment {
        let since_boot = Duration::from_secs_f64(seconds);
        Moment {
            wall: Timestamp::default().plus(since_boot),
            boot: BootId(1),
            since_boot,
            awake: since_boot,
        }
    }

    fn evidence(reason: SessionReason) -> Evidence {
        let look = LookValues {
            boot: BootProbe::Same,
            server: ServerProbe::Unreachable,
            runtime: RuntimeProbe::Unknown,
            process: ProcessProbe::Alive,
        };
        Evidence { reason, look }
    }

    /// Looks as `SECONDS` (another evidence with `*`, the first after a gap with `!`), answers as
    /// attempts (with `!` when the patience is over).
    #[track_caller]
    fn check(looks: &str, expect: &str) {
        let mut memory = None;
        let mut answers = Vec::new();
        for word in looks.split(' ') {
            let number = word.trim_end_matches(['*', '!']);
            let order =
                if word.ends_with('!') { LookOrder::FirstAfterGap } else { LookOrder::Regular };
            let reason = if word.ends_with('*') {
                SessionReason::RuntimeLost
            } else {
                SessionReason::ProbeFailure
            };
            let doubt = quarantine(
                memory.as_ref(),
                evidence(reason),
                &at(number.parse().unwrap()),
                order,
                &Policy::default(),
            );
            answers.push(format!(
                "{}{}",
                doubt.memory.attempts,
                if doubt.is_expired { "!" } else { "" }
            ));
            memory = Some(doubt.memory);
        }
        assert_eq!(answers.join(" "), expect);
    }

    #[test]
    fn the_third_look_with_the_same_evidence_is_the_last() {
        check("0 5 10", "1 2 3!");
    }

    #[test]
    fn a_look_within_the_interval_of_the_last_counted_one_does_not_count() {
        check("0 1 4.9 5 9 10", "1 1 1 2 2 3!");
    }

    #[test]
    fn other_evidence_starts_to_count_again_but_the_episode_goes_on() {
        check("0 5 10* 15* 20*", "1 2 1 2 3!");
        check("0 4* 5* 9*", "1 1 1 2");
        check("0 60* 120 180* 240 299.9* 300", "1 1 1 1 1 1 1!");
    }

    #[test]
    fn the_first_look_after_a_gap_never_escalates() {
        check("0 5 600! 605", "1 2 2 3!");
        check("600! 600.1", "1 1");
    }
}
