//! What a human is told.

use crate::closed::closed_enum;
use crate::ids::{EffectId, ProjectId, SessionId};
use crate::time::Timestamp;

closed_enum! {
    /// How urgent a notification is; ordered, most urgent first.
    pub enum Priority {
        /// A person is needed now.
        Urgent = "urgent",
        /// A person should act.
        Action = "action",
        /// A person should know.
        Warning = "warning",
        /// Nice to know.
        Info = "info",
    }
}

closed_enum! {
    /// Whether a person has seen it.
    pub enum InboxState {
        /// Not yet.
        Unread = "unread",
        /// Seen.
        Read = "read",
    }
}

/// One notification: what every notifier hands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Stable: the same plan has the same id, so a repeated delivery is recognised.
    pub id: EffectId,
    /// The session; none for the infrastructure under many.
    pub session: Option<SessionId>,
    /// Its project.
    pub project: Option<ProjectId>,
    /// The reaction's name, or `reaction.escalated`.
    pub reaction: String,
    /// What caused it.
    pub cause: String,
    /// How urgent.
    pub priority: Priority,
    /// One line.
    pub title: String,
    /// Some sentences.
    pub text: String,
    /// When it was planned.
    pub at: Timestamp,
}

/// A notification in the durable inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxItem {
    /// What it says.
    pub notification: Notification,
    /// Whether it was seen.
    pub state: InboxState,
}
