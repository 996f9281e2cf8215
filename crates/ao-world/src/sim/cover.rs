//! Which parts of the program a run of many seeds must have met.

use std::collections::{BTreeMap, BTreeSet};

use ao_core::ledger::ReactionKind;
use ao_core::message::MessageState;
use ao_core::step::Rule;

use super::plan::SAGA_POINTS;

/// Seeds from which on a run must have met everything.
pub const SEEDS_MIN: u64 = 300;

/// In how many seeds of such a run each thing must have occurred.
pub const TIMES_MIN: u64 = 10;

/// What a history cannot meet, and why.
const UNREACHABLE: &[(&str, &str)] = &[
    (
        "rule:breaker",
        "deaths in one pass that nothing explains: the agents of a world die one by one",
    ),
    ("rule:fenced", "seen for signals of an old launch only where no newer one is being started"),
    ("rule:outdated_look", "writes nothing, and only the reaper is told"),
    ("rule:runtime_not_looked", "writes nothing, and only the reaper is told"),
    ("rule:deadline_over", "writes nothing, and only the reaper is told"),
    ("rule:exit_unknown", "hidden exits are drawn too seldom to be held against a run"),
    ("rule:send_failed", "no path of the engine reports a failed send yet"),
    ("rule:runtime_destroyed", "a kill is terminal before its teardown; only a late one says so"),
    ("message:expired", "nothing lets a message expire yet"),
    ("message:refused", "a terminal that is gone is mostly found by the look before the paste"),
];

/// Faults that every run of many seeds must have met.
const FAULTS: [&str; 26] = [
    "fault:die at a yield point",
    "fault:die:after a write",
    "fault:die:before a write",
    "fault:stop",
    "fault:suspend",
    "fault:reboot",
    "fault:wall clock set",
    "fault:exec held",
    "fault:exit hidden",
    "fault:pane killed",
    "fault:program missing",
    "fault:server killed",
    "fault:server unreachable",
    "fault:watches lost",
    "fault:git:lose answer",
    "fault:git:refuse",
    "fault:git:slow",
    "fault:notifier down",
    "fault:notifier:lose answer",
    "fault:notifier:refuse",
    "fault:notifier:slow",
    "fault:store:Commit:Conflict",
    "fault:store:Commit:Unavailable",
    "forge:unknown",
    "hook:doubled",
    "hook:lost",
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

    /// What occurred in fewer seeds than it must have, with how many those were. A run of few
    /// seeds is held to nothing.
    pub fn missing(&self) -> Vec<(String, u64)> {
        if self.n_seeds < SEEDS_MIN {
            return Vec::new();
        }
        required()
            .into_iter()
            .map(|what| {
                let n = self.counts.get(&what).copied().unwrap_or(0);
                (what, n)
            })
            .filter(|&(_, n)| n < TIMES_MIN)
            .collect()
    }
}

/// Everything that a run of many seeds must have met.
pub fn required() -> Vec<String> {
    let rules = Rule::ALL.iter().map(|rule| format!("rule:{rule}"));
    let reactions = ReactionKind::ALL.iter().map(|reaction| format!("reaction:{reaction}"));
    let messages = MessageState::ALL.iter().map(|state| format!("message:{state}"));
    let crashes = SAGA_POINTS.iter().flat_map(|(kind, step)| {
        ["before", "after"].map(|when| format!("crash:{kind}:{step}:{when}"))
    });
    let faults = FAULTS.iter().map(|&fault| fault.to_owned());
    rules
        .chain(reactions)
        .chain(messages)
        .chain(crashes)
        .chain(faults)
        .filter(|what| !UNREACHABLE.iter().any(|(not, _)| not == what))
        .collect()
}
