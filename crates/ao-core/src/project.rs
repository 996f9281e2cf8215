//! A registered repository.

use std::path::PathBuf;

use crate::ids::ProjectId;
use crate::time::Timestamp;

/// A registered repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// The top of its main worktree, absolute and resolved.
    pub path: PathBuf,
    /// `OWNER/NAME` on GitHub, when it is there.
    pub github: Option<String>,
    /// When it was registered.
    pub created_at: Timestamp,
}
