//! A replay on the wire.

use ao_api::replay::{Replay, ReplayEntry};
use ao_core::ids::SessionId;
use ao_core::replay::{Replayed, ReplayedEntry};

use super::time;

/// The entries after a kept state, with their counts.
pub(crate) fn replay(
    id: &SessionId,
    after: Option<u64>,
    policy_changes: Option<Vec<String>>,
    replayed: Replayed,
) -> Replay {
    Replay {
        session: id.to_string(),
        after,
        policy_changes,
        n_entries: replayed.entries.len() as u64,
        n_differences: replayed.n_differences() as u64,
        entries: replayed.entries.into_iter().map(entry).collect(),
        end_differences: replayed.end_differences,
    }
}

fn entry(entry: ReplayedEntry) -> ReplayEntry {
    ReplayEntry {
        seq: entry.seq,
        at: time(entry.at),
        different: entry.is_different(),
        fact: entry.fact,
        rule_then: entry.rule_then.to_string(),
        decided_then: entry.decided_then,
        rule_now: entry.rule_now.to_string(),
        decided_now: entry.decided_now,
        why: entry.why,
    }
}
