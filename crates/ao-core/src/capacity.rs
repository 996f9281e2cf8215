//! Places: how many sessions may run at once, which of them hold the places, and whose turn it is
//! to start.
//!
//! It looks at many sessions and changes none: the engine asks it, and starts what may start.

use std::collections::{BTreeMap, BTreeSet};

use crate::closed::closed_enum;
use crate::ids::{AgentName, ProjectId, SessionId};
use crate::saga::{Saga, SagaDirection, SagaKind, SagaStep};
use crate::session::{Phase, Session};

/// Memory that is not given to agents: the system, the daemon, the tmux servers, and the builds and
/// tests that agents start.
const RESERVED_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Memory that one agent is given: the agents that were measured use 190 to 850 MB when they are at
/// work (`docs/reference.md`), and share part of it.
const AGENT_BYTES: u64 = 600 * 1000 * 1000;

/// Places that even a small machine has: an agent that waits for its model uses next to nothing.
const PLACES_MIN: u32 = 4;

/// How many sessions of real agents may run at once on a machine with this much memory, in bytes;
/// `None` when that is not known.
pub fn places_of_memory(bytes: Option<u64>) -> u32 {
    let spare = bytes.unwrap_or(0).saturating_sub(RESERVED_BYTES);
    u32::try_from(spare / AGENT_BYTES).unwrap_or(u32::MAX).max(PLACES_MIN)
}

/// How many sessions may run at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caps {
    /// Places in all; `None` for any number.
    pub max: Option<u32>,
    /// Places of each project; `None` for as many as there are.
    pub per_project: Option<u32>,
    /// Places that a session of an agent takes; one for an agent that is not named.
    pub weights: BTreeMap<AgentName, u32>,
}

impl Caps {
    /// How many places a session of this agent takes.
    pub fn weight_of(&self, agent: &AgentName) -> u32 {
        self.weights.get(agent).copied().unwrap_or(1)
    }

    /// What a session takes or would take.
    pub fn claim_of(&self, session: &Session) -> Claim {
        Claim {
            session: session.record.id.clone(),
            project: session.record.project.clone(),
            weight: self.weight_of(&session.record.agent),
        }
    }

    /// Whether there is anything to count at all.
    pub const fn is_unlimited(&self) -> bool {
        self.max.is_none() && self.per_project.is_none()
    }

    /// The cap that this many places are more than, whatever else runs; `None` when they fit.
    pub fn exceeded_by(&self, weight: u32) -> Option<u32> {
        [self.max, self.per_project].into_iter().flatten().filter(|&cap| weight > cap).min()
    }
}

/// The places that one session takes or waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The session.
    pub session: SessionId,
    /// Its project.
    pub project: ProjectId,
    /// How many places.
    pub weight: u32,
}

closed_enum! {
    /// What is in the way of a session that waits.
    pub enum Turn {
        /// Nothing: it may start.
        Starts = "starts",
        /// All places are taken, or kept for an earlier one.
        Full = "full",
        /// All places of its project are taken, or kept for an earlier one of it.
        ProjectFull = "project_full",
        /// It takes more places than there are at all, since the configuration changed.
        TooBig = "too_big",
    }
}

/// Whether a session holds its places: its agent's process is alive, may be alive, or is about to be
/// started.
///
/// *Guarantees*: what cannot be told counts as alive. A session whose teardown is not finished
/// counts until its processes are known to have ended.
pub fn is_holding(session: &Session, saga: Option<&Saga>) -> bool {
    if session.record.phase == Phase::Queued {
        return false;
    }
    let is_terminal = session.lifecycle.is_terminal();
    match saga {
        Some(saga) if is_teardown(saga) => {
            let is_dead = is_terminal && session.lifecycle.process_dead_at.is_some();
            saga.step == SagaStep::Processes && !is_dead
        }
        // A launch that was cancelled has not turned around yet.
        Some(_launch) => true,
        None => !is_terminal,
    }
}

/// Whether a session waits for a place.
pub fn is_queued(session: &Session, saga: Option<&Saga>) -> bool {
    session.record.phase == Phase::Queued
        && !session.lifecycle.is_terminal()
        && saga.is_some_and(|saga| !is_teardown(saga) && !saga.is_cancelled)
}

fn is_teardown(saga: &Saga) -> bool {
    matches!(saga.kind, SagaKind::Kill | SagaKind::Cleanup)
        || saga.direction == SagaDirection::Unwinding
}

/// Whose turn it is, for each of those that wait, in the order in which they do.
///
/// *Guarantees*: those that start, together with those that hold places, exceed no cap. Nobody
/// overtakes one that waits for the same places: one that does not fit keeps the places free that
/// it needs, for its project when only the project's are taken, else for all. Who needs no place, or
/// can never have enough, keeps nobody waiting.
pub fn turns(caps: &Caps, holders: &[Claim], queue: &[Claim]) -> Vec<Turn> {
    let mut taken = Taken::default();
    for holder in holders {
        taken.add(holder);
    }
    let mut is_full = false;
    let mut full_projects: BTreeSet<&ProjectId> = BTreeSet::new();
    let mut turns = Vec::with_capacity(queue.len());
    for claim in queue {
        let turn = if claim.weight == 0 {
            Turn::Starts
        } else if caps.exceeded_by(claim.weight).is_some() {
            Turn::TooBig
        } else if is_full {
            Turn::Full
        } else if full_projects.contains(&claim.project) || !taken.fits_project(caps, claim) {
            full_projects.insert(&claim.project);
            Turn::ProjectFull
        } else if !taken.fits(caps, claim) {
            is_full = true;
            Turn::Full
        } else {
            taken.add(claim);
            Turn::Starts
        };
        turns.push(turn);
    }
    turns
}

/// Places that are taken.
#[derive(Default)]
struct Taken<'a> {
    n_all: u32,
    by_project: BTreeMap<&'a ProjectId, u32>,
}

impl<'a> Taken<'a> {
    fn add(&mut self, claim: &'a Claim) {
        self.n_all = self.n_all.saturating_add(claim.weight);
        let of_project = self.by_project.entry(&claim.project).or_default();
        *of_project = of_project.saturating_add(claim.weight);
    }

    fn fits(&self, caps: &Caps, claim: &Claim) -> bool {
        caps.max.is_none_or(|max| self.n_all.saturating_add(claim.weight) <= max)
    }

    fn fits_project(&self, caps: &Caps, claim: &Claim) -> bool {
        let n_taken = self.by_project.get(&claim.project).copied().unwrap_or(0);
        caps.per_project.is_none_or(|max| n_taken.saturating_add(claim.weight) <= max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1024 * 1024 * 1024;

    #[test]
    fn a_machine_has_a_place_for_each_agent_that_its_memory_holds_and_never_less_than_four() {
        assert_eq!(places_of_memory(None), 4);
        assert_eq!(places_of_memory(Some(0)), 4);
        assert_eq!(places_of_memory(Some(4 * GIB)), 4);
        assert_eq!(places_of_memory(Some(2 * GIB + 5 * 600_000_000 - 1)), 4);
        assert_eq!(places_of_memory(Some(2 * GIB + 5 * 600_000_000)), 5);
        assert_eq!(places_of_memory(Some(16 * GIB)), 25);
        assert_eq!(places_of_memory(Some(64 * GIB)), 110);
        assert_eq!(places_of_memory(Some(u64::MAX)), u32::MAX);
    }

    /// Claims as text: `app:2 lib:1`.
    fn claims(text: &str) -> Vec<Claim> {
        let claim = |(n, word): (usize, &str)| {
            let (project, weight) = word.split_once(':').unwrap();
            Claim {
                session: SessionId::parse(format!("{project}-{}", n + 1)).unwrap(),
                project: ProjectId::parse(project).unwrap(),
                weight: weight.parse().unwrap(),
            }
        };
        text.split_whitespace().enumerate().map(claim).collect()
    }

    #[track_caller]
    fn check(max: u32, per_project: u32, holders: &str, queue: &str, expect: &str) {
        let cap = |n: u32| (n > 0).then_some(n);
        let caps = Caps { max: cap(max), per_project: cap(per_project), weights: BTreeMap::new() };
        let turns = turns(&caps, &claims(holders), &claims(queue));
        let told: Vec<_> = turns.iter().map(|turn| turn.as_str()).collect();
        assert_eq!(told.join(" "), expect);
    }

    #[test]
    fn as_many_start_as_there_are_places_and_the_first_come_first() {
        check(0, 0, "a:1 a:1", "a:1 b:9", "starts starts");
        check(3, 0, "a:1", "a:1 a:1 a:1", "starts starts full");
        check(3, 0, "a:1 a:1 a:1", "a:1", "full");
        // More run than may, because the cap was lowered.
        check(2, 0, "a:1 a:1 a:1", "a:1", "full");
    }

    #[test]
    fn a_project_that_is_full_keeps_no_other_waiting() {
        check(4, 1, "a:1", "a:1 b:1 a:1 c:1", "project_full starts project_full starts");
        check(2, 1, "a:1", "a:1 b:1 c:1", "project_full starts full");
    }

    #[test]
    fn one_that_needs_more_is_not_overtaken_by_one_that_needs_less() {
        check(4, 0, "a:1 a:1", "a:3 b:1", "full full");
        check(4, 3, "a:2", "a:2 a:1 b:1", "project_full project_full starts");
    }

    #[test]
    fn one_that_needs_nothing_or_can_never_fit_keeps_nobody_waiting() {
        check(1, 0, "a:1", "a:1 a:0 a:1", "full starts full");
        check(2, 0, "a:1", "a:3 b:1", "too_big starts");
        check(9, 2, "", "a:3 a:2", "too_big starts");
    }
}
