//! Which agents there are, and whether they can be used.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Asks about agents, or about everything, from where somebody stands: agents get the environment
/// of whoever starts them.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallerRequest {
    /// The caller's environment without `AO_*`; without one the daemon's own. It is looked at and
    /// kept nowhere.
    #[serde(default)]
    pub caller_env: Option<BTreeMap<String, String>>,
}

/// Environments hold secrets: they are counted, not shown.
impl fmt::Debug for CallerRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_caller_env = self.caller_env.as_ref().map(BTreeMap::len);
        f.debug_struct("CallerRequest").field("n_caller_env", &n_caller_env).finish()
    }
}

/// One agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// Its name, as `--agent` takes it.
    pub name: String,
    /// Where it comes from.
    pub kind: AgentKind,
    /// The program that it runs; none for `command`, which runs what it is told.
    pub program: Option<String>,
    /// Where that program is, on the PATH of the caller.
    pub path: Option<String>,
    /// The version that the program tells; none where it is not asked, or does not say.
    pub version: Option<String>,
    /// Whether this version was tested; none where that cannot be told.
    pub tested: Option<bool>,
    /// The versions that were tested, oldest first.
    pub tested_versions: Vec<String>,
    /// What it tells on its own.
    pub signals: AgentSignals,
    /// Whether it can continue a conversation.
    pub resume: bool,
    /// A command that installs it.
    pub install: Option<String>,
    /// What it needs and does not have.
    pub needs: Vec<AgentNeed>,
}

/// Where an agent comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentKind {
    /// It is part of this program.
    BuiltIn,
    /// It is an `[agents.NAME]` of the configuration.
    Configured,
}

/// What an agent tells on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentSignals {
    /// Nothing: its process and its screen are all there is.
    None,
    /// What it does, but not that it started.
    Activity,
    /// What it does, that it started, and that it took a message in.
    Full,
}

/// Something that an agent needs and does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentNeed {
    /// What was seen.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}
