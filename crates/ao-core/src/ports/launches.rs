//! Launch files: the environment, the command line and the prompt of a launch, readable by the
//! owner only, and the proof that its agent was really executed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::BoxFuture;
use crate::ids::{LaunchId, Pid, SessionId};

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
