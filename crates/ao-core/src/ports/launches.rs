//! Launch files: the environment, the command line and the prompt of a launch, readable by the
//! owner only, and the proof that its agent was really executed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::BoxFuture;
use crate::ids::{
    AgentName, AgentSessionId, BranchName, IssueRef, LaunchId, Pid, ProjectId, SessionId,
};
use crate::session::{Base, SessionKind, SessionRecord};
use crate::time::Timestamp;

/// Why launch files could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}`: {message}")]
pub struct LaunchesError {
    /// Where.
    pub path: PathBuf,
    /// What went wrong.
    pub message: String,
}

/// Everything that the launcher needs to become the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchFile {
    /// The launch.
    pub launch: LaunchId,
    /// Its session.
    pub session: SessionId,
    /// Where the agent starts.
    pub directory: PathBuf,
    /// What is executed; empty while only the environment is known.
    pub argv: Vec<String>,
    /// Its whole environment, but for what the terminal adds (`TERM`, `TMUX`, …).
    pub env: BTreeMap<String, String>,
    /// What the session is, for a daemon that has no record of it; `None` in a file of a version
    /// that did not write it down, and where it cannot be read.
    pub origin: Option<LaunchOrigin>,
}

/// What of the record of a session does not change during a launch and stands nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchOrigin {
    /// Its project.
    pub project: ProjectId,
    /// What it is for.
    pub kind: SessionKind,
    /// Its agent.
    pub agent: AgentName,
    /// The issue that it works on.
    pub issue: Option<IssueRef>,
    /// The model asked for.
    pub model: Option<String>,
    /// The permission mode asked for.
    pub permission_mode: Option<String>,
    /// Its branch.
    pub branch: BranchName,
    /// What the branch started from.
    pub base: Base,
    /// What it was asked.
    pub prompt: Option<String>,
    /// The command line asked for, for the `command` agent: not what is executed.
    pub argv: Vec<String>,
    /// The agent's own name for its conversation, where the launch resumes one.
    pub agent_session_id: Option<AgentSessionId>,
    /// When the session was asked for.
    pub created_at: Timestamp,
}

impl LaunchOrigin {
    /// What of a record goes into the files of its launch.
    pub fn of(record: &SessionRecord) -> Self {
        Self {
            project: record.project.clone(),
            kind: record.kind,
            agent: record.agent.clone(),
            issue: record.issue.clone(),
            model: record.model.clone(),
            permission_mode: record.permission_mode.clone(),
            branch: record.branch.clone(),
            base: record.base.clone(),
            prompt: record.prompt.clone(),
            argv: record.argv.clone(),
            agent_session_id: record.agent_session_id.clone(),
            created_at: record.created_at,
        }
    }
}

/// Whether the agent of a launch was executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaunchProof {
    /// The launcher has not begun.
    NotStarted,
    /// The launcher runs.
    Starting,
    /// The launcher became the agent, under this process number.
    Execed {
        /// Its number.
        pid: Pid,
    },
    /// It could not: a sentence.
    Failed {
        /// Why.
        because: String,
    },
}

/// Keeps launch files. All of them are 0600 in a 0700 directory.
pub trait Launches: Send + Sync {
    /// The directory of a launch's own files.
    fn dir(&self, launch: &LaunchId) -> PathBuf;

    /// The short command line that becomes the agent of this launch.
    fn launcher(&self, launch: &LaunchId) -> Vec<String>;

    /// Writes, or replaces, the launch file, durably, and the agent's files below [`Self::dir`].
    fn write<'a>(
        &'a self,
        file: &'a LaunchFile,
        agent_files: &'a [(PathBuf, String)],
    ) -> BoxFuture<'a, Result<(), LaunchesError>>;

    /// Reads it back; `None` when there is none.
    fn read<'a>(
        &'a self,
        launch: &'a LaunchId,
    ) -> BoxFuture<'a, Result<Option<LaunchFile>, LaunchesError>>;

    /// Looks whether the agent was executed.
    fn proof<'a>(&'a self, launch: &'a LaunchId) -> BoxFuture<'a, LaunchProof>;

    /// Removes everything of a launch; nothing is as good.
    fn remove<'a>(&'a self, launch: &'a LaunchId) -> BoxFuture<'a, Result<(), LaunchesError>>;

    /// Every launch that has files.
    fn list(&self) -> BoxFuture<'_, Result<Vec<LaunchId>, LaunchesError>>;
}
