//! Ending a session.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Asks to end a session. Asking again is no error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KillRequest {
    /// Preserve uncommitted work under a ref and remove the worktree all the same.
    #[serde(default)]
    pub discard: bool,
    /// The caller's own process: never signalled.
    pub caller_pid: Option<i32>,
}

/// What became of a worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkspaceOutcome {
    /// Removed; nothing was lost.
    Removed,
    /// Kept, because it holds work.
    Kept,
    /// Its removal is not finished and is tried again on every pass.
    Pending,
}

/// What became of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BranchOutcome {
    /// Deleted: it added nothing to its base.
    Deleted,
    /// It is there.
    Kept,
}

/// What a kill left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KillResponse {
    /// The session.
    pub session: String,
    /// What became of the worktree.
    pub workspace: WorkspaceOutcome,
    /// Why it was kept or is pending.
    pub reason: Option<String>,
    /// What became of the branch.
    pub branch: BranchOutcome,
    /// Where unreachable work was preserved.
    pub preserved_ref: Option<String>,
}
