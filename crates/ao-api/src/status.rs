//! The daemon about itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The daemon about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DaemonStatus {
    /// Its process.
    pub pid: i32,
    /// Its release.
    pub version: String,
    /// What it speaks.
    pub api_version: u32,
    /// The directory that everything is in; the data directory when that is split the XDG way.
    pub home: String,
    /// Where it listens.
    pub socket: String,
    /// The tmux servers that it may use: one for each project.
    pub tmux_sockets: Vec<String>,
    /// Whether it has taken in what happened while it was away. False while it starts.
    pub ready: bool,
    /// Since when it runs.
    pub started_at: String,
    /// Its sessions.
    pub sessions: SessionCounts,
    /// Its places.
    pub capacity: Capacity,
    /// Its view of the forge.
    pub scm: Scm,
    /// Signals that were not taken in at once.
    #[serde(default)]
    pub spool: SpoolCounts,
}

/// Signals that no daemon took in at once, and what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpoolCounts {
    /// Those that wait; all of them were taken in a moment later.
    pub waiting: u64,
    /// Those that made room for newer ones of their session.
    pub lost: u64,
    /// Files that are no signals, put aside.
    pub unreadable: u64,
}

/// How many sessions there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionCounts {
    /// All that have a record.
    pub total: u64,
    /// Those that have not ended.
    pub live: u64,
    /// By display status.
    pub by_status: BTreeMap<String, u64>,
}

/// Who holds the places.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Capacity {
    /// How many places there are; null when there is no cap.
    pub max: Option<u64>,
    /// How many there are for each project; null when there is no cap.
    #[serde(default)]
    pub per_project: Option<u64>,
    /// How many places are taken.
    #[serde(default)]
    pub taken: u64,
    /// How many sessions hold a place. One that needs none is not counted.
    pub live: u64,
    /// How many sessions wait for one.
    pub queued: u64,
    /// Who holds the places, in the order in which they were asked for.
    #[serde(default)]
    pub holders: Vec<Holder>,
    /// Who waits, the next one first.
    #[serde(default)]
    pub queue: Vec<Waiting>,
}

/// A session that holds places: its agent's process is alive, may be alive, or is being started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Holder {
    /// The session.
    pub session: String,
    /// How many places.
    pub places: u64,
}

/// A session that waits for places.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Waiting {
    /// The session.
    pub session: String,
    /// How many places.
    pub places: u64,
    /// What it waits for: a sentence.
    pub reason: String,
}

/// How pull requests are observed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Scm {
    /// `off` or `on`.
    pub state: String,
    /// Why: a sentence.
    pub reason: Option<String>,
}

/// Asks the daemon to end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShutdownRequest {
    /// Kill every live session first, as `ao kill` does. Without it no agent is touched.
    #[serde(default)]
    pub sessions: bool,
}

/// The daemon is about to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShutdownResponse {
    /// Its process: once that is gone, it has ended.
    pub pid: i32,
    /// The sessions that were ended with it.
    pub sessions: Vec<String>,
}
