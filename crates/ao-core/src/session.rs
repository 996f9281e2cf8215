//! The identity of a session: who it is, where it lives, what it was asked.

use std::path::PathBuf;

use crate::closed::closed_enum;
use crate::ids::{
    AgentName, AgentSessionId, BranchName, IssueRef, LaunchId, NodeId, Nonce, Pid, ProjectId,
    RefName, SessionId, Sha,
};
use crate::ledger::Ledger;
use crate::reading::Usage;
use crate::record::Lifecycle;
use crate::time::{BootId, Timestamp};

closed_enum! {
    /// What a session is for.
    pub enum SessionKind {
        /// Works on a task.
        Worker = "worker",
        /// Directs workers.
        Orchestrator = "orchestrator",
    }
}

closed_enum! {
    /// How far the session has come as a piece of machinery.
    pub enum Phase {
        /// Waits for a free place.
        Queued = "queued",
        /// Its worktree is being made.
        Worktree = "worktree",
        /// Its worktree is being provisioned.
        Provision = "provision",
        /// Its runtime is being started.
        Runtime = "runtime",
        /// It runs.
        Running = "running",
        /// It ended.
        Ended = "ended",
    }
}

/// What the branch of a session started from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The name that was asked for, or that was found to be the repository's default; unknown
    /// until then.
    pub name: Option<RefName>,
    /// What it was when the branch was made; unknown until then.
    pub sha: Option<Sha>,
}

/// A process that cannot be mistaken for another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProcessIdentity {
    /// The boot that it lives in.
    pub boot: BootId,
    /// Its number.
    pub pid: Pid,
    /// Its start, in clock ticks since boot.
    pub start_ticks: u64,
    /// The secret that stands in its environment (`AO_NONCE`), checked before any signal.
    pub nonce: Option<Nonce>,
}

/// The server that a runtime lives in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerIdentity {
    /// Its socket.
    pub socket: PathBuf,
    /// Its process.
    pub process: ProcessIdentity,
}

/// The shape of [`RuntimeHandle`]; raised when its meaning changes.
pub const HANDLE_VERSION: u32 = 1;

/// Where a session's terminal is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RuntimeHandle {
    /// Shape of this handle.
    pub version: u32,
    /// The server, as it was when the runtime was created.
    pub server: ServerIdentity,
    /// The tmux session's name.
    pub session: String,
    /// The pane (`%3`).
    pub pane: String,
    /// The agent's process.
    pub process: ProcessIdentity,
}

closed_enum! {
    /// What became of a session's worktree.
    pub enum WorkspaceFate {
        /// Not made yet.
        Absent = "absent",
        /// It is there.
        Present = "present",
        /// Removed; nothing was lost.
        Removed = "removed",
        /// Kept, because it holds work.
        Kept = "kept",
        /// Removal is not finished.
        Pending = "pending",
    }
}

closed_enum! {
    /// What became of a session's branch.
    pub enum BranchFate {
        /// It is there.
        Kept = "kept",
        /// Deleted: it added nothing to its base.
        Deleted = "deleted",
    }
}

/// The worktree of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceRecord {
    /// Where it is, or was.
    pub path: PathBuf,
    /// What became of it.
    pub fate: WorkspaceFate,
    /// Why it was kept or is pending: a sentence.
    pub because: Option<String>,
    /// What became of the branch.
    pub branch: BranchFate,
    /// Where unreachable work was preserved.
    pub preserved_ref: Option<RefName>,
}

/// Who a session is: everything about it that the rules do not decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its id.
    pub id: SessionId,
    /// The machine that owns it.
    pub node: NodeId,
    /// Its project.
    pub project: ProjectId,
    /// The issue that it works on.
    pub issue: Option<IssueRef>,
    /// What it is for.
    pub kind: SessionKind,
    /// Its agent.
    pub agent: AgentName,
    /// A name for people.
    pub name: Option<String>,
    /// The model asked for.
    pub model: Option<String>,
    /// The permission mode asked for.
    pub permission_mode: Option<String>,
    /// Its branch.
    pub branch: BranchName,
    /// What the branch started from.
    pub base: Base,
    /// Its worktree.
    pub workspace: WorkspaceRecord,
    /// Where its terminal is.
    pub handle: Option<RuntimeHandle>,
    /// Its current launch, pending ones included.
    pub launch_id: Option<LaunchId>,
    /// Secret of that launch.
    pub nonce: Option<Nonce>,
    /// The agent's own name for its conversation.
    pub agent_session_id: Option<AgentSessionId>,
    /// Where the agent writes its conversation down, once it said so.
    pub transcript: Option<PathBuf>,
    /// What it has used, as its agent counts it.
    pub usage: Option<Usage>,
    /// What it was asked.
    pub prompt: Option<String>,
    /// The command line, for the `command` agent.
    pub argv: Vec<String>,
    /// How far it has come.
    pub phase: Phase,
    /// Why its last saga failed or is not finished: a sentence.
    pub trouble: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Everything the store keeps as one document of a session, written under one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Who it is.
    pub record: SessionRecord,
    /// What was decided about it.
    pub lifecycle: Lifecycle,
    /// What was said about it.
    pub ledger: Ledger,
}
