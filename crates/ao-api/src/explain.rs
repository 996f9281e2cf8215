//! Why a session has its status.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::message::Message;

/// Why a session has its status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explain {
    /// The session.
    pub session: String,
    /// Its display status.
    pub status: String,
    /// The rule that decided last.
    pub rule: String,
    /// What that rule saw, as a sentence.
    pub because: String,
    /// What is known, the newest last.
    pub facts: Vec<ExplainFact>,
    /// What was said because of it, and what is planned.
    pub reactions: Vec<ExplainReaction>,
    /// Messages that are not final.
    pub messages: Vec<Message>,
    /// What would change the status: sentences.
    pub would_change: Vec<String>,
}

/// One known value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainFact {
    /// What it is about: `process`, `runtime`, `activity`, `pr`, ….
    pub kind: String,
    /// The value.
    pub value: String,
    /// When it was observed; null when it never was.
    pub at: Option<String>,
    /// Who told.
    pub source: String,
}

/// One open incident of the session's ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainReaction {
    /// The reaction.
    pub reaction: String,
    /// The pull request that it is about.
    pub pr: Option<u64>,
    /// Attempts so far.
    pub attempts: u32,
    /// When the first one was made.
    pub first_attempt_at: Option<String>,
    /// When a human is told.
    pub escalates_at: Option<String>,
    /// Whether one was.
    pub escalated: bool,
}
