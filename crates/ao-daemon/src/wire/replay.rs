//! A replay on the wire.

use ao_api::replay::{Replay, ReplayEntry};
use ao_core::ids::SessionId;
use ao_core::replay::ReplayedEntry;

use super::time;

/// The entries after a kept state, with their counts.
pub(crate) fn replay(id: &SessionId, after: Option<u64>, entries: Vec<ReplayedEntry>) -> Replay {
    let n_differences = entries.iter().filter(|entry| entry.is_different).count() as u64;
    Replay {
        session: id.to_string(),
        after,
        n_entries: entries.len() as u64,
        n_differences,
        entries: entries.into_iter().map(entry).collect(),
    }
}

fn entry(entry: ReplayedEntry) -> ReplayEntry {
    ReplayEntry {
        seq: entry.seq,
        at: time(entry.at),
        fact: entry.fact,
        rule_then: entry.rule_then.to_string(),
        decided_then: entry.decided_then,
        rule_now: entry.rule_now.to_string(),
        decided_now: entry.decided_now,
        different: entry.is_different,
    }
}
