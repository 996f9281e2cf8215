//! The reaction ledger: which incidents are open, and what was already said about them.

use std::collections::{BTreeMap, BTreeSet};

use crate::closed::closed_enum;
use crate::ids::{CauseKey, PrNumber};
use crate::time::Moment;

closed_enum! {
    /// The reactions of the table.
    pub enum ReactionKind {
        /// A required check failed.
        CiFailed = "ci-failed",
        /// Humans want changes.
        ChangesRequested = "changes-requested",
        /// Bots want changes.
        BugbotComments = "bugbot-comments",
        /// The pull request conflicts with its base.
        MergeConflicts = "merge-conflicts",
        /// Idle for long with work that nobody has seen.
        AgentIdle = "agent-idle",
        /// A turn ended.
        TurnFinished = "turn-finished",
        /// The session is done.
        SessionDone = "session-done",
        /// Ready to merge.
        ApprovedAndGreen = "approved-and-green",
        /// Nobody can tell what it does.
        AgentStuck = "agent-stuck",
        /// Only a human can move it on.
        AgentNeedsInput = "agent-needs-input",
        /// An inferred death.
        AgentExited = "agent-exited",
        /// Closed without a merge.
        PrClosed = "pr-closed",
        /// Every pull request merged.
        AllComplete = "all-complete",
        /// One outage under many sessions.
        Infrastructure = "infrastructure",
    }
}

/// One condition that is being reacted to: reaction and, where there is one, pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentKey {
    /// The reaction.
    pub reaction: ReactionKind,
    /// The pull request; none for the session's own episodes.
    pub pr: Option<PrNumber>,
}

/// What was done about an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Counts the incidents of this key: a part of every stable effect id.
    pub episode: u64,
    /// When it opened.
    pub opened_at: Moment,
    /// Attempts so far.
    pub attempts: u32,
    /// When the first attempt was made; the escalation clock starts here.
    pub first_attempt_at: Option<Moment>,
    /// Whether a human was called; then the reaction is silent until the incident ends.
    pub is_escalated: bool,
    /// The causes already told.
    pub causes: BTreeSet<CauseKey>,
}

/// The open incidents of one session, and how many of each there have been.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    /// The open ones.
    pub open: BTreeMap<IncidentKey, Incident>,
    /// Episodes so far, closed ones included.
    pub episodes: BTreeMap<IncidentKey, u64>,
}
