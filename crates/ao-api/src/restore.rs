//! Bringing an ended session back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::session::Session;

/// Asks for an ended session again. It is answered as soon as the session is reopened; whoever
/// wants to know that the agent runs waits for its phases.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RestoreRequest {
    /// Variables for the agent, over everything else.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The caller's environment without `AO_*`. It stands over what is kept of the ended launch;
    /// empty, that alone is used.
    #[serde(default)]
    pub caller_env: BTreeMap<String, String>,
}

/// Environments hold secrets: they are counted, not shown.
impl std::fmt::Debug for RestoreRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestoreRequest")
            .field("n_env", &self.env.len())
            .field("n_caller_env", &self.caller_env.len())
            .finish()
    }
}

/// A session that was reopened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Restored {
    /// The session.
    #[serde(flatten)]
    pub session: Session,
    /// What was under way when it ended and does not come back: sentence fragments.
    pub lost: Vec<String>,
}
