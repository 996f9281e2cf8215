//! What a session shows, what it changed, and how a human gets into it.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::session::Changes;

/// How much to show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OutputQuery {
    /// The last lines; all that are kept without it.
    pub lines: Option<u64>,
}

/// What a session shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Output {
    /// The session.
    pub session: String,
    /// Its text, lines ending in a newline.
    pub text: String,
    /// Where it is from: `live`, `last_screen` (saved at its end), `setup` or `transcript`.
    pub source: String,
}

/// How to show the changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DiffQuery {
    /// Only the summary.
    #[serde(default)]
    pub stat: bool,
}

/// What a session changed against its base, committed or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Diff {
    /// The session.
    pub session: String,
    /// What it is compared with.
    pub base: crate::session::Base,
    /// How much.
    pub changes: Changes,
    /// The diff, or its summary.
    pub text: String,
    /// Whether the text was cut off.
    pub truncated: bool,
}

/// How to attach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AttachQuery {
    /// Nothing can be typed.
    #[serde(default)]
    pub read_only: bool,
    /// In a new window of the tmux server that the caller is in.
    #[serde(default)]
    pub window: bool,
}

/// How a human gets into a session's terminal: the caller executes it in its own place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attach {
    /// The session.
    pub session: String,
    /// The command line.
    pub argv: Vec<String>,
    /// Variables to take away first, so that it works inside another tmux.
    pub unset: Vec<String>,
    /// What leaves it again, in words: `Ctrl-b d`.
    pub detach_key: String,
}

/// What was pressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InterruptResponse {
    /// The session.
    pub session: String,
    /// The agent's own key.
    pub key: String,
}
