//! The configuration file as its author writes it: one type per table, every key optional.
//!
//! It decides nothing: what a missing key means stands in [`super::Config`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use ao_core::ledger::ReactionKind;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::span::Span;

/// Everything that `config.toml` may say.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigFile {
    /// The daemon itself.
    #[serde(skip_serializing_if = "DaemonTable::is_empty")]
    pub daemon: DaemonTable,
    /// What holds for every project that does not say otherwise.
    #[serde(skip_serializing_if = "ProjectTable::is_empty")]
    pub defaults: ProjectTable,
    /// What holds for one project, by its id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub projects: BTreeMap<String, ProjectTable>,
    /// Programs that can be launched as agents, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub agents: BTreeMap<String, AgentTable>,
    /// How many sessions may run at once.
    #[serde(skip_serializing_if = "CapacityTable::is_empty")]
    pub capacity: CapacityTable,
    /// Ways to reach a human, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub notifiers: BTreeMap<String, NotifierTable>,
    /// Which notifiers hear which priority.
    #[serde(skip_serializing_if = "RoutingTable::is_empty")]
    pub routing: RoutingTable,
    /// The terminals of the agents.
    #[serde(skip_serializing_if = "TmuxTable::is_empty")]
    pub tmux: TmuxTable,
}

macro_rules! is_empty {
    ($($table:ident),+) => {
        $(impl $table {
            fn is_empty(&self) -> bool {
                *self == Self::default()
            }
        })+
    };
}
is_empty!(DaemonTable, ProjectTable, CapacityTable, RoutingTable, TmuxTable);

/// `[daemon]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DaemonTable {
    /// How often every session is looked at (`AO_REAPER_INTERVAL`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reaper_interval: Option<Span>,
    /// How often what agents show and write down is read (`AO_ACTIVITY_INTERVAL`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity_interval: Option<Span>,
    /// What is logged: `info`, `debug`, `ao_engine=debug,info` (`AO_LOG`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// `[defaults]` and `[projects.ID]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectTable {
    /// The agent of a session that names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The model that the agent is asked to use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The permission mode that the agent is asked to use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// What branches start from; without it the repository's default branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Rules put before every prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
    /// A file with such rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules_file: Option<PathBuf>,
    /// Variables of every agent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// A file of `NAME=VALUE` lines, read before `env`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_file: Option<PathBuf>,
    /// Paths of the main worktree that each worktree gets as a symbolic link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<Vec<String>>,
    /// Paths of the main worktree that each worktree gets as a copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<Vec<String>>,
    /// Commands run in a new worktree before the agent starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_create: Option<Vec<String>>,
    /// Ignored paths that always outlive their worktree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_ignored: Option<Vec<String>>,
    /// Ignored paths that need not outlive their worktree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disposable: Option<Vec<String>>,
    /// Directories of a sparse checkout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sparse: Option<Vec<String>>,
    /// Where the worktrees go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worktree_dir: Option<PathBuf>,
    /// Changes to the table of reactions.
    #[serde(skip_serializing_if = "ReactionsTable::is_empty")]
    pub reactions: ReactionsTable,
}

/// `[….reactions]`: one table per reaction, by the names of the core.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct ReactionsTable(pub BTreeMap<String, ReactionTable>);

impl ReactionsTable {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl JsonSchema for ReactionsTable {
    fn schema_name() -> Cow<'static, str> {
        "ReactionsTable".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<ReactionTable>();
        let properties: serde_json::Map<String, serde_json::Value> = ReactionKind::ALL
            .iter()
            .map(|kind| (kind.as_str().to_owned(), table.clone().into()))
            .collect();
        json_schema!({
            "type": "object",
            "description": "Changes to the table of reactions, field by field.",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

/// `[….reactions.NAME]`: each field that is given replaces the one of the table.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReactionTable {
    /// Whether it reacts at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Attempts that are made; instead of the next one a human is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// How long after the first attempt a human is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalate_after: Option<Span>,
    /// Replaces the built-in text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether a pull request that is ready is merged, for `approved-and-green`. Nothing can merge in
    /// this version, so only `false` is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_merge: Option<bool>,
}

/// `[agents.NAME]`: a program in a terminal.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentTable {
    /// Its command line; `{prompt}`, `{prompt_file}`, `{session}` and `{agent_session_id}` are
    /// replaced.
    pub launch: Vec<String>,
    /// The command line that continues its conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume: Option<Vec<String>>,
    /// Whether it ends when its work is complete.
    pub exits_when_done: bool,
}

/// `[capacity]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CapacityTable {
    /// Places for sessions that run at once (`AO_MAX_SESSIONS`); 0 for no cap. By default one for
    /// each 600 MB of memory beyond 2 GiB, and 4 at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// Places for the sessions of each project; 0 for no cap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_project: Option<u32>,
    /// How many places a session of an agent takes, by the agent's name: 1 by default, 0 for
    /// `command`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub weight: BTreeMap<String, u32>,
}

/// `[notifiers.ID]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifierTable {
    /// What it is.
    pub kind: NotifierKind,
    /// Where it sends, for the kinds that go over the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The command line, for `command`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// The variable that holds its secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
}

/// The kinds of notifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NotifierKind {
    /// `ao inbox`.
    Inbox,
    /// A program that gets the notification as JSON on standard input.
    Command,
    /// The desktop's notifications.
    Desktop,
    /// An HTTP POST.
    Webhook,
    /// A Slack webhook.
    Slack,
    /// A Discord webhook.
    Discord,
    /// A topic of an ntfy server.
    Ntfy,
}

impl NotifierKind {
    /// Its spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Command => "command",
            Self::Desktop => "desktop",
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Ntfy => "ntfy",
        }
    }
}

/// `[routing]`: notifier ids per priority; what is not given goes to the inbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoutingTable {
    /// A person is needed now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urgent: Option<Vec<String>>,
    /// A person should act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Vec<String>>,
    /// A person should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<Vec<String>>,
    /// Nice to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info: Option<Vec<String>>,
}

/// `[tmux]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TmuxTable {
    /// A tmux configuration file for the agents' servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
    /// The prefix key of an attached terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Lines of history that each terminal keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_limit: Option<u32>,
}
