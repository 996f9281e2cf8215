//! Asking for a new session.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Asks for a new session. It is answered as soon as the session is seeded; whoever wants to know
/// that the agent runs waits for its phases.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpawnRequest {
    /// The project; without it the one whose repository holds `cwd`.
    pub project: Option<String>,
    /// The caller's working directory.
    pub cwd: String,
    /// What to do.
    pub prompt: Option<String>,
    /// The agent; without it the configured one, or `command` when `command` is given.
    pub agent: Option<String>,
    /// The command line of a `command` agent.
    #[serde(default)]
    pub command: Vec<String>,
    /// The model.
    pub model: Option<String>,
    /// The permission mode.
    pub permission: Option<String>,
    /// What the branch starts from.
    pub base: Option<String>,
    /// The branch.
    pub branch: Option<String>,
    /// A name for people.
    pub name: Option<String>,
    /// The issue.
    pub issue: Option<String>,
    /// Variables for the agent, over everything else.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The caller's environment without `AO_*`. It is kept in the launch file and nowhere else.
    #[serde(default)]
    pub caller_env: BTreeMap<String, String>,
    /// The same key again answers the same session.
    pub idempotency_key: Option<String>,
}

/// Environments hold secrets: they are counted, not shown.
impl std::fmt::Debug for SpawnRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpawnRequest")
            .field("project", &self.project)
            .field("cwd", &self.cwd)
            .field("agent", &self.agent)
            .field("command", &self.command)
            .field("branch", &self.branch)
            .field("base", &self.base)
            .field("name", &self.name)
            .field("n_env", &self.env.len())
            .field("n_caller_env", &self.caller_env.len())
            .field("idempotency_key", &self.idempotency_key)
            .finish_non_exhaustive()
    }
}
