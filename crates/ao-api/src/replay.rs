//! A session's journal, decided again.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A policy to try.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// The text of a configuration: its `[defaults.reactions]` and `[projects.ID.reactions]` are
    /// put over the ones in force, field by field, and nothing else of it is used.
    pub policy: String,
}

/// A session's journal, decided again from the oldest state that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Replay {
    /// The session.
    pub session: String,
    /// The position of the entry that made the state at which this begins; null before the first
    /// entry. The entry itself is not decided again: what it was decided on is not kept.
    pub after: Option<u64>,
    /// What the policy that was sent changes of the reactions of the session's project; null when
    /// none was sent.
    pub policy_changes: Option<Vec<String>>,
    /// The entries after it, oldest first: as many as the store keeps, which is at most 1,024.
    pub entries: Vec<ReplayEntry>,
    /// How many of them there are.
    pub n_entries: u64,
    /// How many are decided otherwise.
    pub n_differences: u64,
    /// What of the session as it is would be otherwise at the end.
    pub end_differences: Vec<String>,
}

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplayEntry {
    /// Its position.
    pub seq: u64,
    /// When it was decided.
    pub at: String,
    /// The fact.
    pub fact: String,
    /// The rule that the journal names.
    pub rule_then: String,
    /// What was decided.
    pub decided_then: String,
    /// The rule that decides now.
    pub rule_now: String,
    /// What is decided now.
    pub decided_now: String,
    /// Whether that is anything else.
    pub different: bool,
    /// What is decided otherwise; empty where nothing is.
    pub why: Vec<String>,
}
