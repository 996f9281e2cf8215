//! Registered repositories.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A registered repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Project {
    /// Its id.
    pub id: String,
    /// The top of its main worktree.
    pub path: String,
    /// `OWNER/NAME` on GitHub.
    pub github: Option<String>,
    /// When it was registered.
    pub created_at: String,
}

/// Registers a repository. The same path again is no error; the same id with another path is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AddProjectRequest {
    /// A directory in it, absolute.
    pub path: String,
    /// Its id; made from the directory's name when it is left out.
    pub id: Option<String>,
    /// `OWNER/NAME` on GitHub; read off the remote when it is left out.
    pub github: Option<String>,
}
