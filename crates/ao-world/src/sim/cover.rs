//! Which parts of the program a run of many seeds must have met.

use std::collections::{BTreeMap, BTreeSet};

use ao_core::ledger::ReactionKind;
use ao_core::message::MessageState;
use ao_core::step::Rule;

use super::plan::port_ops;
use super::points::saga_points;

/// Seeds from which on a run must have met everything.
pub const SEEDS_MIN: u64 = 300;

/// In how many seeds of such a run each thing must have occurred.
pub const TIMES_MIN: u64 = 10;

/// What a history cannot meet, and why.
const UNREACHABLE: &[(&str, &str)] = &[
    (
        "rule:adopted",
        "no history loses its database, or gets an older copy of it: `adoption` in the engine's \
         tests and `end_to_end::adoption` do",
    ),
    ("message:expired", "no code lets a message expire: the state is read and never written"),
    (
        "rule:outdated_look",
        "the reaper takes every look in one loop, one after the other: none begins before what \
         another one counted and is decided after it",
    ),
    (
        "rule:runtime_not_looked",
        "the one look that does not ask for the terminal is the news that its process died",
    ),
];

/// Faults, and ends of what was asked for, that every run of many seeds must have met.
const FAULTS: &[&str] = &[
    "agent:crashes",
    "agent:hangs",
    "agent:lies",
    "agent:merges",
    "agent:squashes",
    "agent:stalls",
    "agent:works",
    "cleanup:brought back",
    "cleanup:brought back beside its worktree",
    "cleanup:brought back without a record",
    "cleanup:discards",
    "cleanup:dry run",
    "cleanup:frees",
    "cleanup:leaves",
    "cleanup:meets a visitor",
    "cleanup:squashed",
    "fault:die at a yield point",
    "fault:die:after a write",
    "fault:die:before a write",
    "fault:exec held",
    "fault:exit hidden",
    "fault:forge down",
    "fault:forge flaps",
    "fault:hook after a death",
    "fault:hooks dropped",
    "fault:git:lose answer",
    "fault:git:refuse",
    "fault:git:slow",
    "fault:git:time out",
    "fault:notifier down",
    "fault:notifier:lose answer",
    "fault:notifier:refuse",
    "fault:notifier:slow",
    "fault:notifier:time out",
    "fault:pane killed",
    "fault:plague",
    "fault:port:lose answer",
    "fault:port:refuse",
    "fault:port:slow",
    "fault:port:time out",
    "fault:program missing",
    "fault:reboot",
    "fault:server killed",
    "fault:server restarted",
    "fault:server unreachable",
    "fault:setup:Place:lose answer",
    "fault:setup:Place:refuse",
    "fault:setup:Place:slow",
    "fault:setup:Place:time out",
    "fault:setup:Run:lose answer",
    "fault:setup:Run:refuse",
    "fault:setup:Run:slow",
    "fault:setup:Run:time out",
    "fault:stop",
    "fault:store:Commit:Conflict",
    "fault:store:Commit:Unavailable",
    "fault:store:Deadlines:Unavailable",
    "fault:store:Incidents:Unavailable",
    "fault:store:List:Unavailable",
    "fault:store:Messages:Unavailable",
    "fault:store:Outbox:Unavailable",
    "fault:store:Read:Unavailable",
    "fault:store:Sagas:Unavailable",
    "fault:suspend",
    "fault:wall clock set",
    "fault:watches lost",
    "forge:unknown",
    "hook:doubled",
    "hook:late",
    "hook:lost",
    "hook:of an old launch",
    "hook:reordered",
    "incident:host_rebooted",
    "incident:mass_death",
    "incident:server_gone",
    "effect:dead",
    "effect:done",
    "effect:retry",
    "effect:superseded",
    "places:a restore waits",
    "places:a spawn waits",
    "places:another goes first",
    "places:fewer than are taken",
    "places:found",
    "places:killed while it waits",
    "places:never enough",
    "places:several wait for a daemon",
    "setup:begun again",
    "setup:failed",
    "setup:half done",
    "setup:killed",
    "setup:prepared",
];

/// In how many seeds each thing has occurred.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    counts: BTreeMap<String, u64>,
    n_seeds: u64,
}

impl Coverage {
    /// Counts one seed.
    pub fn add(&mut self, occurred: &BTreeSet<String>) {
        self.n_seeds += 1;
        for what in occurred {
            *self.counts.entry(what.clone()).or_default() += 1;
        }
    }

    /// Everything that occurred, with the number of seeds.
    pub const fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// What a run must have met and was met least often, with the numbers of seeds.
    pub fn least(&self, n_max: usize) -> Vec<(String, u64)> {
        let mut all = self.required_counts();
        all.sort_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        all.truncate(n_max);
        all
    }

    fn required_counts(&self) -> Vec<(String, u64)> {
        let n_of = |what: &String| self.counts.get(what).copied().unwrap_or(0);
        required().into_iter().map(|what| (what.clone(), n_of(&what))).collect()
    }

    /// What occurred in fewer seeds than it must have, with how many those were. A run of few
    /// seeds is held to nothing.
    pub fn missing(&self) -> Vec<(String, u64)> {
        if self.n_seeds < SEEDS_MIN {
            return Vec::new();
        }
        self.required_counts().into_iter().filter(|&(_, n)| n < TIMES_MIN).collect()
    }
}

/// Everything that a run of many seeds must have met.
pub fn required() -> Vec<String> {
    let rules = Rule::ALL.iter().map(|rule| format!("rule:{rule}"));
    let reactions = ReactionKind::ALL.iter().map(|reaction| format!("reaction:{reaction}"));
    let messages = MessageState::ALL.iter().map(|state| format!("message:{state}"));
    let crashes = saga_points()
        .into_iter()
        .flat_map(|point| ["before", "after"].map(|when| format!("crash:{point}:{when}")));
    let ports = port_ops().iter().flat_map(|op| {
        ["refuse", "lose answer", "slow", "time out"]
            .map(|name| format!("fault:port:{op:?}:{name}"))
    });
    let faults = FAULTS.iter().map(|&fault| fault.to_owned()).chain(ports);
    rules
        .chain(reactions)
        .chain(messages)
        .chain(crashes)
        .chain(faults)
        .filter(|what| !UNREACHABLE.iter().any(|(not, _)| not == what))
        .collect()
}
