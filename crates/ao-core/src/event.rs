//! Change data capture, as consumers see it.

use crate::closed::closed_enum;
use crate::ids::{ProjectId, Revision, SessionId};
use crate::time::Timestamp;

closed_enum! {
    /// What kind of row changed.
    pub enum EventType {
        /// A session was seeded.
        SessionCreated = "session.created",
        /// An axis of a session changed.
        SessionChanged = "session.changed",
        /// The identity or phase of a session changed.
        SessionUpdated = "session.updated",
        /// A terminal session's record was removed.
        SessionRemoved = "session.removed",
        /// A message was queued or moved on.
        MessageChanged = "message.changed",
        /// A saga began, moved on or ended.
        SagaChanged = "saga.changed",
        /// An infrastructure incident opened or closed.
        IncidentChanged = "incident.changed",
        /// A notification arrived in the inbox.
        InboxAdded = "inbox.added",
        /// A project was registered.
        ProjectAdded = "project.added",
        /// A project was removed.
        ProjectRemoved = "project.removed",
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Position: rises by one with every event, never used twice.
    pub seq: u64,
    /// When it was committed.
    pub at: Timestamp,
    /// What kind.
    pub kind: EventType,
    /// The project.
    pub project: Option<ProjectId>,
    /// The session.
    pub session: Option<SessionId>,
    /// The session's revision after it.
    pub revision: Option<Revision>,
    /// The row that changed (message id, saga kind, …), when it is not the session itself.
    pub key: Option<String>,
    /// What it became, in the spelling of its closed enum (`idle/task_in_progress`, `typed`, …).
    pub became: Option<String>,
}

/// What a consumer gets for its cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// The events after the cursor, oldest first, at most as many as asked for.
    Events(Vec<Event>),
    /// The cursor is older than what is kept: take a snapshot, go on from here.
    Reset {
        /// The oldest cursor that can still be resumed.
        oldest: u64,
        /// The newest event.
        head: u64,
    },
}
