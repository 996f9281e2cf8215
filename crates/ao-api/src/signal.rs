//! What programs inside a session have to say: `ao hook` and `ao report`.
//!
//! The shape is append-only: an `ao` of an older release may still sit in a running session.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Shape of [`SignalRequest`].
pub const SIGNAL_VERSION: u32 = 1;

/// Most bytes of a hook's payload, and of a report's message, that are kept.
pub const SIGNAL_BYTES_MAX: usize = 16 * 1024;

/// One signal. Taken in at most once for each id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignalRequest {
    /// Shape of this request.
    pub version: u32,
    /// A name of its own.
    pub id: String,
    /// The launch that it comes from; a signal of another launch than the current one is dropped.
    pub launch_id: Option<String>,
    /// When the program was started that sends it.
    pub at: Stamp,
    /// What it says.
    pub signal: Signal,
}

/// One instant on three clocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stamp {
    /// Milliseconds since the Unix epoch.
    pub wall_ms: i64,
    /// The kernel's name of the boot.
    pub boot_id: String,
    /// Nanoseconds since boot, time asleep included.
    pub since_boot_ns: u64,
    /// Nanoseconds since boot, time asleep excluded.
    pub awake_ns: u64,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Signal {
    /// `ao hook AGENT EVENT`: an event of an agent, in its own words.
    Hook {
        /// The agent.
        agent: String,
        /// The event.
        event: String,
        /// What came with it, as [`crate::payload`] reduces it: at most [`SIGNAL_BYTES_MAX`]
        /// bytes.
        payload: String,
        /// Whether anything of it was left out.
        truncated: bool,
    },
    /// `ao report STATE`: a state, in our words.
    Report {
        /// The state.
        state: ReportState,
        /// A sentence for people.
        message: Option<String>,
    },
}

/// A state that a program can report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportState {
    /// A turn runs.
    Active,
    /// No turn runs, but there is work of its own to come.
    Ready,
    /// The turn ended.
    Idle,
    /// A human is asked for something.
    WaitingInput,
    /// Something on screen takes keys other than the composer.
    Blocked,
    /// The work is complete.
    Done,
}

/// What became of a signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignalResponse {
    /// Whether it was taken in now; false for a repetition, another launch, or an event that means
    /// nothing.
    pub taken: bool,
}
