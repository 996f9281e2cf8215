//! Is everything as it should be.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoctorReport {
    /// Whether nothing failed.
    pub ok: bool,
    /// One line for each thing looked at.
    pub checks: Vec<DoctorCheck>,
}

/// One thing looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoctorCheck {
    /// What: `tmux`, `git`, `home`, ….
    pub name: String,
    /// How it stands.
    pub state: CheckState,
    /// What was seen.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// As it should be.
    Ok,
    /// It works; something could be better.
    Warning,
    /// Something will not work.
    Failed,
}
