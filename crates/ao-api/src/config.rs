//! The configuration, as far as clients see it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The configuration in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigView {
    /// The file.
    pub path: String,
    /// Whether the file is there.
    pub exists: bool,
    /// Every key with the value in force, secrets left out.
    pub values: serde_json::Value,
}

/// Whether the file can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigCheck {
    /// The file.
    pub path: String,
    /// Whether it can be used.
    pub ok: bool,
    /// What is wrong with it.
    pub problems: Vec<ConfigProblem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigProblem {
    /// The line, counted from one.
    pub line: Option<u64>,
    /// What is wrong: one sentence fragment.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}
