//! Why a session has its status.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::message::Message;

/// Why a session has its status. Every text is one sentence, or a part of one, for people; what a
/// program needs stands beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explain {
    /// The session.
    pub session: String,
    /// Its display status.
    pub status: String,
    /// Why it is shown so, as a sentence.
    pub because: String,
    /// The rule that decided; `seeded` before the first fact.
    pub rule: String,
    /// What that rule says.
    pub rule_says: String,
    /// The values that the rule saw; null before the first fact, and when the entry of the journal
    /// that holds them is no longer kept.
    pub evidence: Option<String>,
    /// When it decided; null as `evidence` is.
    pub decided_at: Option<String>,
    /// When a usage limit ends.
    pub paused_until: Option<String>,
    /// What is known, most telling first.
    pub facts: Vec<ExplainFact>,
    /// The conditions that are reacted to.
    pub reactions: Vec<ExplainReaction>,
    /// Messages that are on their way, and those of the last launch that are in doubt.
    pub messages: Vec<ExplainMessage>,
    /// What happens by itself, soonest first.
    pub deadlines: Vec<ExplainDeadline>,
    /// The outage that took it.
    pub incident: Option<ExplainIncident>,
    /// What bringing it back would mean; null while it has not ended.
    pub restore: Option<ExplainRestore>,
    /// The last lines of its screen, where nobody can tell what it does; null for any other status.
    pub screen: Option<String>,
    /// What would change the status.
    pub would_change: Vec<String>,
}

/// One known value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainFact {
    /// What it is about: `session`, `activity`, `runtime`, `look`, `checks`, ….
    pub kind: String,
    /// The value.
    pub value: String,
    /// Since when, or when it was observed; null when it never was.
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
    /// Attempts that are left before a human is called; null when they are not counted, and once
    /// one was called.
    pub attempts_left: Option<u32>,
    /// What was told so far, one line for each cause, at most 20.
    pub causes: Vec<String>,
    /// When the condition was first seen.
    pub opened_at: String,
    /// When the first attempt was made.
    pub first_attempt_at: Option<String>,
    /// When a human is called unless it is over by then. It counts time awake: a machine that sleeps
    /// moves it.
    pub escalates_at: Option<String>,
    /// Whether one was.
    pub escalated: bool,
    /// How it stands.
    pub summary: String,
}

/// A message, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainMessage {
    /// The message with its receipt.
    #[serde(flatten)]
    pub message: Message,
    /// Where it stands, why, and what to do about it.
    pub summary: String,
}

/// Something that happens by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainDeadline {
    /// `escalate`, `no_signal`, `agent_idle`, `turn_finished` or `pause_ends`.
    pub kind: String,
    /// The reaction that it belongs to.
    pub reaction: Option<String>,
    /// The pull request that it is about.
    pub pr: Option<u64>,
    /// When, as things are now.
    pub at: String,
    /// `awake` when a machine that sleeps moves it, `wall` when a clock that is set does.
    pub clock: String,
    /// What happens then, unless something else comes first.
    pub summary: String,
}

/// An outage that took several sessions, or may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainIncident {
    /// Its stable name.
    pub id: String,
    /// `server_gone`, `host_rebooted` or `mass_death`; null when no more of it is kept.
    pub kind: Option<String>,
    /// How many sessions it took; null as `kind` is.
    pub sessions: Option<u64>,
    /// When it was found; null as `kind` is.
    pub opened_at: Option<String>,
    /// What happened.
    pub summary: String,
}

/// What bringing an ended session back would mean, as far as its record tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainRestore {
    /// Whether a restore could begin now.
    pub possible: bool,
    /// Whether `ao restore --all` takes it up.
    pub with_all: bool,
    /// What it would do.
    pub summary: Vec<String>,
    /// What does not come back.
    pub losses: Vec<String>,
}
