//! Sagas: what is in flight for a session, and how far it has come. Kept by the store, run by the
//! engine.

use crate::closed::closed_enum;
use crate::ids::{SessionId, Sha};
use crate::time::Moment;

closed_enum! {
    /// The session verbs that take more than one step.
    pub enum SagaKind {
        /// Starts a session.
        Spawn = "spawn",
        /// Ends one.
        Kill = "kill",
        /// Reopens one.
        Restore = "restore",
        /// Frees what a terminal one holds.
        Cleanup = "cleanup",
    }
}

closed_enum! {
    /// A step whose end is recorded. A saga stands *before* the step that it names.
    pub enum SagaStep {
        /// Make the worktree and its branch.
        Worktree = "worktree",
        /// Links, copies, commands.
        Provision = "provision",
        /// Agent files, prompt, launch file.
        AgentFiles = "agent_files",
        /// Start the runtime.
        Runtime = "runtime",
        /// Prove that the agent was exec'ed.
        ExecProof = "exec_proof",
        /// End every process of the session.
        Processes = "processes",
        /// Save the last screen, destroy the runtime.
        DestroyRuntime = "destroy_runtime",
        /// Remove or keep the worktree.
        RemoveWorktree = "remove_worktree",
        /// Remove launch files.
        RemoveFiles = "remove_files",
        /// Everything is done; only the record is left.
        Finish = "finish",
    }
}

closed_enum! {
    /// Which way a saga goes.
    pub enum SagaDirection {
        /// Does its steps.
        Forward = "forward",
        /// Undoes what it did.
        Unwinding = "unwinding",
    }
}

/// What stood there before the saga touched it: undo removes only what was absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PreImage {
    /// The branch, when it existed; `None` also when not looked at yet, see `is_recorded`.
    pub branch_at: Option<Sha>,
    /// Whether something stood at the worktree's path.
    pub path_existed: bool,
    /// Whether this was looked at at all.
    pub is_recorded: bool,
}

/// A saga in flight. At most one per session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saga {
    /// Its session.
    pub session: SessionId,
    /// The verb.
    pub kind: SagaKind,
    /// The step that comes next (forward) or was reached (unwinding).
    pub step: SagaStep,
    /// Which way it goes.
    pub direction: SagaDirection,
    /// Whether a kill wants it to unwind.
    pub is_cancelled: bool,
    /// What was there before.
    pub pre_image: PreImage,
    /// `--discard`: preserve the work and remove the worktree even if it is dirty.
    pub discard: bool,
    /// Why it unwinds or waits: a sentence with its code.
    pub because: Option<SagaTrouble>,
    /// How often the current step was tried.
    pub attempts: u32,
    /// When it began.
    pub started_at: Moment,
}

/// Why a saga does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaTrouble {
    /// Stable code (`BRANCH_TAKEN`, …).
    pub code: String,
    /// A sentence.
    pub message: String,
}

/// What a commit does to the saga of its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SagaChange {
    /// Begins one; a conflict when the session has one already.
    Begin(Saga),
    /// Replaces it; a conflict when there is none.
    Put(Saga),
    /// Ends it.
    End,
}
