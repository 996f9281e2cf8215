//! Changes, in the order in which they were committed.
//!
//! On the stream each change is one server-sent event named `change` with the sequence number as
//! its id and an [`Event`] as its data. A cursor that is older than what is kept is answered by one
//! event named `reset` with a [`Reset`]; the changes that are still there follow. Comments keep the
//! connection alive. `Last-Event-ID` wins over `after`; without either the stream starts live.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Name of a server-sent event that carries an [`Event`].
pub const CHANGE: &str = "change";
/// Name of a server-sent event that carries a [`Reset`].
pub const RESET: &str = "reset";

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Position: rises with every event, never used twice.
    pub seq: u64,
    /// When it was committed.
    pub at: String,
    /// What kind: `session.changed`, `message.changed`, ….
    #[serde(rename = "type")]
    pub kind: String,
    /// The project.
    pub project: Option<String>,
    /// The session.
    pub session: Option<String>,
    /// The session's revision after it.
    pub revision: Option<u64>,
    /// What changed, when it is not the session itself.
    pub key: Option<String>,
    /// What it became: `idle/task_in_progress`, `typed`, ….
    pub became: Option<String>,
}

/// A cursor is older than what is kept: take a snapshot, go on from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reset {
    /// The oldest cursor that can still be resumed.
    pub oldest: u64,
    /// The newest event.
    pub head: u64,
}

/// From where on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// The last event that is known already. A page without it starts at the oldest kept event.
    pub after: Option<u64>,
    /// At most this many in a page; the daemon caps it at [`PAGE_MAX`].
    pub limit: Option<u64>,
}

/// Most events in a page: a page stays below a megabyte.
pub const PAGE_MAX: u64 = 1_000;

/// Some changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventsPage {
    /// The changes, oldest first.
    pub events: Vec<Event>,
    /// Where the next page starts: `after` of the next request.
    pub next: u64,
    /// The newest event of all.
    pub head: u64,
    /// Set when the cursor was too old; the events are then the oldest kept ones.
    pub reset: Option<Reset>,
}
