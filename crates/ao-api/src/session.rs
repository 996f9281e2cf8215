//! A session as the outside sees it, and the requests that only read or rename it.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// `PROJECT-N`, never used again.
    pub id: String,
    /// Its project.
    pub project: String,
    /// `worker` or `orchestrator`.
    pub kind: String,
    /// Its agent: `claude-code`, `codex`, `command`, ….
    pub agent: String,
    /// A name for people.
    pub name: Option<String>,
    /// The issue that it works on, as the user wrote it.
    pub issue: Option<String>,
    /// Its branch.
    pub branch: String,
    /// What the branch started from.
    pub base: Base,
    /// Its worktree, also after that was removed.
    pub workspace_path: String,
    /// The display status, derived when it was asked for.
    pub status: String,
    /// What its agent does: `active`, `ready`, `idle`, `waiting_input`, `blocked`, `exited`; null
    /// before its first signal.
    pub activity: Option<String>,
    /// How far it has come as a piece of machinery.
    pub phase: Phase,
    /// Where it stands in the queue for a place; null when it does not wait for one.
    #[serde(default)]
    pub queue: Option<Queue>,
    /// The model asked for.
    pub model: Option<String>,
    /// The permission mode asked for.
    pub permission_mode: Option<String>,
    /// The agent's own name for its conversation.
    pub agent_session_id: Option<String>,
    /// Its current launch.
    pub launch_id: Option<String>,
    /// Where its terminal is.
    pub handle: Option<Handle>,
    /// How its agent's process ended.
    pub exit: Option<Exit>,
    /// What became of its worktree and branch, once an end was asked for.
    pub teardown: Option<Teardown>,
    /// How it can be brought back; null until it ended.
    pub restore: Option<Restorable>,
    /// Why its last operation failed or is not finished: a sentence.
    pub trouble: Option<String>,
    /// What it used up.
    pub usage: Usage,
    /// How much it changed against its base; null when unknown.
    pub changes: Option<Changes>,
    /// When it was asked for.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// The canonical record.
    pub lifecycle: Lifecycle,
}

/// Where a session stands that waits for a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Queue {
    /// Its place in the queue; 1 is the next one.
    pub position: u64,
    /// How many wait.
    pub of: u64,
    /// How many places it takes.
    pub places: u64,
    /// What it waits for: a sentence.
    pub reason: String,
}

/// What a branch started from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Base {
    /// The name that was asked for, or found to be the repository's default.
    #[serde(rename = "ref")]
    pub name: Option<String>,
    /// What it was when the branch was made.
    pub sha: Option<String>,
}

/// How far a session has come as a piece of machinery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Waits for a free place.
    Queued,
    /// Its worktree is being made.
    Worktree,
    /// Its worktree is being provisioned.
    Provision,
    /// Its runtime is being started.
    Runtime,
    /// It runs.
    Running,
    /// It ended.
    Ended,
}

impl Phase {
    /// Its one spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Worktree => "worktree",
            Self::Provision => "provision",
            Self::Runtime => "runtime",
            Self::Running => "running",
            Self::Ended => "ended",
        }
    }

    /// Whether a spawn has come to its end, good or bad.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Running | Self::Ended)
    }
}

/// Where a session's terminal is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Handle {
    /// `tmux`.
    pub runtime: String,
    /// The server's socket.
    pub socket: String,
    /// The tmux session.
    pub session: String,
    /// The pane.
    pub pane: String,
    /// The agent's process.
    pub pid: i32,
    /// The server's process.
    pub server_pid: i32,
    /// The boot that both belong to.
    pub boot_id: String,
}

/// How a process ended: one of the two is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Exit {
    /// What it returned.
    pub status: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

/// What became of a session's worktree and branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Teardown {
    /// What became of the worktree.
    pub workspace: crate::kill::WorkspaceOutcome,
    /// Why it was kept or is pending.
    pub reason: Option<String>,
    /// What became of the branch.
    pub branch: crate::kill::BranchOutcome,
    /// Where unreachable work was preserved.
    pub preserved_ref: Option<String>,
}

/// How an ended session can be brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Restorable {
    /// Whether a restore may be asked for now.
    pub possible: bool,
    /// Why not yet.
    pub reason: Option<String>,
    /// Whether it ended though nobody asked for that: `ao restore --all` takes those.
    pub lost: bool,
}

/// What a session used up, as far as its agent tells.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// Tokens read.
    pub input_tokens: Option<u64>,
    /// Tokens written.
    pub output_tokens: Option<u64>,
    /// Money.
    pub cost_usd: Option<f64>,
}

/// How much a session changed against its base, committed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Changes {
    /// Files touched.
    pub files: u64,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
}

/// The canonical record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lifecycle {
    /// Shape of the record.
    pub version: u32,
    /// Write counter.
    pub revision: u64,
    /// The session axis.
    pub session: Verdict,
    /// The worst open pull request.
    pub pr: PrVerdict,
    /// The runtime axis.
    pub runtime: Verdict,
    /// The last known activity.
    pub activity: Activity,
    /// Memory of an episode of doubt.
    pub detecting: Option<Detecting>,
}

/// State of one axis, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// The state.
    pub state: String,
    /// Why.
    pub reason: String,
}

/// State of the worst open pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrVerdict {
    /// The state.
    pub state: String,
    /// Why.
    pub reason: String,
    /// The pull request that decided.
    pub number: Option<u64>,
    /// Its page.
    pub url: Option<String>,
    /// Its head commit.
    pub head_sha: Option<String>,
}

/// The last known activity; all null before the first signal of the launch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Activity {
    /// What the agent did.
    pub state: Option<String>,
    /// When it was observed to.
    pub at: Option<String>,
    /// Who told.
    pub source: Option<String>,
    /// How far that can be trusted.
    pub confidence: Option<String>,
}

/// Memory of an episode of doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Detecting {
    /// Counted looks with the same evidence.
    pub attempts: u32,
    /// When the episode began.
    pub started_at: String,
    /// What was seen: `probe_failure: server unreachable, runtime unknown, process alive`.
    pub evidence: String,
}

/// Which sessions to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SessionsQuery {
    /// Only those of this project.
    pub project: Option<String>,
    /// Terminal ones too.
    #[serde(default)]
    pub all: bool,
}

/// What a person typed, or where they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ResolveQuery {
    /// An id, a name or a unique prefix of an id. Without it the session whose worktree holds
    /// `cwd` is meant.
    pub q: Option<String>,
    /// The caller's working directory.
    pub cwd: Option<String>,
}

/// Whom they mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Resolved {
    /// The session's id.
    pub session: String,
}

/// What to wait for. Any of the conditions given ends the wait; so does the session's end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WaitQuery {
    /// Statuses, separated by commas: reached when the session has one of them.
    pub status: Option<String>,
    /// Reached when the session is in another phase than this one.
    pub left_phase: Option<Phase>,
    /// Answer `timed_out` after this long; the daemon caps it at [`WAIT_MS_MAX`].
    pub timeout_ms: Option<u64>,
}

/// Longest single wait, in milliseconds: half of what an idle connection is commonly given. A
/// client that wants to wait longer asks again.
pub const WAIT_MS_MAX: u64 = 30_000;

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitOutcome {
    /// What was waited for holds.
    Reached,
    /// It can no longer happen: the session is terminal, or the message is final.
    Over,
    /// It did not happen in time.
    TimedOut,
}

/// The session as it was when the wait ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WaitResponse {
    /// How it ended.
    pub outcome: WaitOutcome,
    /// The session.
    pub session: Session,
}

/// Gives a session another name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RenameRequest {
    /// The new name; empty takes it away.
    pub name: String,
}
