//! Messages to agents, and their receipts.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::session::WaitOutcome;

/// A message with its receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// The session that it is for.
    pub session: String,
    /// `human` or `automatic`.
    pub lane: String,
    /// How far it got: `queued`, `typing`, `typed`, `submitted`, `acknowledged`, or how it failed:
    /// `refused`, `expired`, `superseded`, `cancelled`, `in_doubt`.
    pub state: String,
    /// Why it is there: why it is held, or why it failed.
    pub reason: Option<String>,
    /// Whether the state is as far as this agent can confirm.
    pub confirmed: bool,
    /// What is typed.
    pub text: String,
    /// How many characters were taken out of what was sent.
    pub stripped: u64,
    /// The reaction that it came from, for automatic ones.
    pub reaction: Option<String>,
    /// When it was queued.
    pub created_at: String,
    /// When its state last changed.
    pub updated_at: String,
}

/// Asks to tell an agent something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SendRequest {
    /// What to type.
    pub text: String,
    /// The same key again queues nothing and answers the first receipt.
    pub idempotency_key: Option<String>,
}

/// A receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SendResponse {
    /// The session.
    pub session: String,
    /// The message.
    pub message_id: String,
    /// How far it got.
    pub state: String,
    /// Why it is there.
    pub reason: Option<String>,
    /// Whether the agent itself confirmed it.
    pub confirmed: bool,
    /// How many characters were taken out of what was sent.
    pub stripped: u64,
}

/// How far a message has to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageGoal {
    /// In the terminal, Enter pressed.
    Typed,
    /// The agent said that it took it in.
    Submitted,
    /// Its turn began.
    Acknowledged,
    /// Its turn ended: the agent is idle again, observed after the message was typed.
    Idle,
}

impl MessageGoal {
    /// Its one spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Typed => "typed",
            Self::Submitted => "submitted",
            Self::Acknowledged => "acknowledged",
            Self::Idle => "idle",
        }
    }
}

/// What to wait for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MessageWaitQuery {
    /// How far it has to get. An agent that cannot confirm makes this `over` at `typed`.
    pub goal: MessageGoal,
    /// Answer `timed_out` after this long; capped at [`crate::session::WAIT_MS_MAX`].
    pub timeout_ms: Option<u64>,
}

/// The receipt as it was when the wait ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessageWaitResponse {
    /// How it ended.
    pub outcome: WaitOutcome,
    /// The receipt.
    pub receipt: SendResponse,
}
