//! The one shape of a failure.
//!
//! The kind decides what a program does about it (exit code, HTTP status, retry); the code names
//! the failure for good; message and hint are for people.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a failure asks of its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request is malformed: say it differently. Exit 2, HTTP 400.
    User,
    /// What it names does not exist. Exit 3, HTTP 404.
    NotFound,
    /// Something else is in the way, or it was refused. Exit 4, HTTP 409.
    Conflict,
    /// It was tried, or checked beforehand, and cannot be done as things are (`TMUX_MISSING`,
    /// `AGENT_MISSING`, `NOT_A_REPO`, `UNBORN`, …). Exit 1, HTTP 422.
    Failed,
    /// Not now (the daemon starts or stops, a tool does not answer): try again. Exit 1, HTTP 503.
    Unavailable,
    /// No daemon could be reached. Made by the client, never sent. Exit 5.
    Unreachable,
    /// It was done, or may have been, and nothing confirms it. Exit 6, HTTP 504.
    NotConfirmed,
    /// A fault of this program. Exit 70, HTTP 500.
    Bug,
}

impl ErrorKind {
    /// The HTTP status that carries it.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::User => 400,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Failed => 422,
            Self::Unavailable | Self::Unreachable => 503,
            Self::NotConfirmed => 504,
            Self::Bug => 500,
        }
    }
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{message}")]
pub struct ErrorBody {
    /// Stable name: `BRANCH_TAKEN`.
    pub code: String,
    /// What it asks of its reader.
    pub kind: ErrorKind,
    /// One sentence fragment: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How a failure is sent and printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorEnvelope {
    /// What went wrong.
    pub error: ErrorBody,
}

/// Code: no such route. A newer client asked an older daemon.
pub const UNKNOWN_ROUTE: &str = "UNKNOWN_ROUTE";
/// Code: no session has this id, name or prefix.
pub const SESSION_UNKNOWN: &str = "SESSION_UNKNOWN";
/// Code: a prefix or name that several sessions share.
pub const SESSION_AMBIGUOUS: &str = "SESSION_AMBIGUOUS";
/// Code: no project is registered under this id or for this directory.
pub const PROJECT_UNKNOWN: &str = "PROJECT_UNKNOWN";
/// Code: the daemon is about to end.
pub const STOPPING: &str = "STOPPING";
/// Code: the daemon starts and cannot answer yet.
pub const STARTING: &str = "STARTING";
