//! Notifications that wait for a human.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A notification; what the `command` notifier gets on its standard input, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InboxItem {
    /// Stable: a repeated delivery has the same one.
    pub id: String,
    /// The session; null for the infrastructure under many.
    pub session: Option<String>,
    /// Its project.
    pub project: Option<String>,
    /// The reaction's name, or `reaction.escalated`.
    pub reaction: String,
    /// What caused it.
    pub cause: String,
    /// `urgent`, `action`, `warning` or `info`.
    pub priority: String,
    /// One line.
    pub title: String,
    /// Some sentences.
    pub text: String,
    /// When it was planned.
    pub at: String,
    /// `unread` or `read`.
    pub state: String,
}

/// Which notifications to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InboxQuery {
    /// Those that were read, too.
    #[serde(default)]
    pub all: bool,
}

/// Marks notifications as read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InboxReadRequest {
    /// Which ones.
    pub ids: Vec<String>,
}

/// What that changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InboxReadResponse {
    /// How many were unread until now.
    pub n_read: u64,
}
