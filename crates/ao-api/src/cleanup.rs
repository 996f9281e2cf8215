//! Freeing what ended sessions hold, getting back what was set aside, and forgetting records.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Asks to free what ended sessions hold and nobody needs any more. Asking again is no error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CleanupRequest {
    /// Only sessions of this project.
    pub project: Option<String>,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// Preserve what is not merged or not committed under a ref, and remove its worktree too.
    #[serde(default)]
    pub discard: bool,
    /// The caller's own process: never signalled.
    pub caller_pid: Option<i32>,
}

/// What a cleanup did, or would do, with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CleanupAction {
    /// What it held was freed.
    Removed,
    /// It was let be.
    Skipped,
}

/// The reason of a session that was cleaned up before. Such sessions are many.
pub const NOTHING_LEFT: &str = "nothing of it is left to free";

/// One session in a cleanup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cleaned {
    /// The session.
    pub id: String,
    /// What was done.
    pub action: CleanupAction,
    /// Why: a clause.
    pub reason: String,
}

/// What was brought back of the work that removals set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Recovered {
    /// The session.
    pub session: String,
    /// The worktree that holds it; null when it is on a branch only.
    pub workspace_path: Option<String>,
    /// The branch that holds it; null when its worktree has a detached head.
    pub branch: Option<String>,
    /// The ref under which it was, and stays, preserved; null when only the trash had something.
    pub preserved_ref: Option<String>,
    /// What is there again: clauses.
    pub restored: Vec<String>,
    /// What is not, and where it is: clauses.
    pub remaining: Vec<String>,
}

/// A record that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemovedSession {
    /// The session. Its id is not given again.
    pub id: String,
    /// Its branch, which stays; null when it is gone.
    pub branch: Option<String>,
    /// Where work of it stays preserved; null when there is none.
    pub preserved_ref: Option<String>,
}
