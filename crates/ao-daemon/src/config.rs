//! The configuration: one TOML file, per-project tables over the defaults, `AO_*` over both.
//!
//! It reads no environment of its own and finds no paths: both are handed in, so that a client can
//! ask the same questions while no daemon runs.

mod file;
mod parse;
mod policy;
mod span;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ao_core::capacity::{Caps, places_of_memory};
use ao_core::ids::{AgentName, NotifierId, ProjectId};
use ao_core::inbox::Priority;
use ao_core::ports::is_inside;
use serde_json::Value;
use tracing_subscriber::EnvFilter;

pub use file::{
    AgentTable, CapacityTable, ConfigFile, DaemonTable, NotifierKind, NotifierTable, ProjectTable,
    ReactionTable, ReactionsTable, RoutingTable, TmuxTable,
};
pub use parse::{ConfigError, Problem};
pub use span::Span;

use parse::Source;

/// The notifier that always exists.
pub const INBOX: &str = "inbox";

/// The agent of a session that names none and has a command line.
pub const COMMAND_AGENT: &str = "command";

/// Ten passes a second: quicker ones only compete with the agents for the machine.
const REAPER_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// The design's default.
const REAPER_INTERVAL: Duration = Duration::from_secs(5);

/// Quicker than half a second is only for tests: no agent changes twice within it.
const ACTIVITY_INTERVAL_MIN: Duration = Duration::from_millis(50);

/// A status that was wrong is right within a second; a pass over a hundred sessions at rest costs a
/// hundred small reads.
const ACTIVITY_INTERVAL: Duration = Duration::from_millis(500);

/// A configuration without mistakes.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file it came from, when there is one.
    pub path: Option<PathBuf>,
    /// What the file and the environment say together.
    pub file: ConfigFile,
    /// The memory of this machine, in bytes; `None` while nobody has said it.
    pub memory_bytes: Option<u64>,
}

impl Config {
    /// Reads the first of the candidates that exists, then the environment over it.
    pub fn load(
        candidates: &[PathBuf],
        env: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        for path in candidates {
            match std::fs::read_to_string(path) {
                Ok(text) => return Self::parse(path, &text, env),
                // Below something that is no directory there is no file either; what is wrong with
                // such a home is told by whoever makes its directories.
                Err(error)
                    if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory]
                        .contains(&error.kind()) => {}
                Err(error) => {
                    return Err(ConfigError::one(
                        format!("`{}`", path.display()),
                        format!("cannot be read: {error}"),
                    ));
                }
            }
        }
        let mut file = ConfigFile::default();
        apply_env(&mut file, env)?;
        Ok(Self { path: None, file, memory_bytes: None })
    }

    /// Reads a text as if it stood in `path`.
    pub fn parse(
        path: &Path,
        text: &str,
        env: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        let source = Source::parse(path, text)?;
        let mut file = source.tables()?;
        let problems = mistakes(&file, &source);
        if !problems.is_empty() {
            return Err(ConfigError { problems });
        }
        apply_env(&mut file, env)?;
        Ok(Self { path: Some(path.to_owned()), file, memory_bytes: None })
    }

    /// How often every session is looked at.
    pub fn reaper_interval(&self) -> Duration {
        self.file.daemon.reaper_interval.map_or(REAPER_INTERVAL, |span| span.0)
    }

    /// How often what agents show and write down is read.
    pub fn activity_interval(&self) -> Duration {
        self.file.daemon.activity_interval.map_or(ACTIVITY_INTERVAL, |span| span.0)
    }

    /// What is logged.
    pub fn log(&self) -> &str {
        self.file.daemon.log.as_deref().unwrap_or("info")
    }

    /// The same on a machine with this much memory, in bytes.
    #[must_use]
    pub fn with_memory(self, memory_bytes: Option<u64>) -> Self {
        Self { memory_bytes, ..self }
    }

    /// Places for sessions that run at once; `None` for no cap. What nobody set follows from the
    /// memory of the machine.
    pub fn max_sessions(&self) -> Option<u32> {
        let places = || places_of_memory(self.memory_bytes);
        Some(self.file.capacity.max.unwrap_or_else(places)).filter(|&max| max > 0)
    }

    /// How many sessions may run at once. A program in a terminal takes no place of an agent's
    /// unless it is given a weight.
    pub fn caps(&self) -> Caps {
        let table = &self.file.capacity;
        let named = table
            .weight
            .iter()
            .filter_map(|(name, &weight)| Some((AgentName::parse(name.as_str()).ok()?, weight)));
        let mut weights: BTreeMap<AgentName, u32> = named.collect();
        if let Ok(command) = AgentName::parse(COMMAND_AGENT) {
            weights.entry(command).or_insert(0);
        }
        Caps {
            max: self.max_sessions(),
            per_project: table.per_project.filter(|&max| max > 0),
            weights,
        }
    }

    /// Every notifier, the inbox included even where the file does not name it.
    pub fn notifiers(&self) -> BTreeMap<String, NotifierTable> {
        let mut notifiers = self.file.notifiers.clone();
        notifiers.entry(INBOX.to_owned()).or_insert(NotifierTable {
            kind: NotifierKind::Inbox,
            url: None,
            argv: None,
            secret_env: None,
        });
        notifiers
    }

    /// The table of one project over the defaults.
    ///
    /// Lists are replaced as a whole, `env` is merged by variable and reactions field by field.
    pub fn project(&self, id: &ProjectId) -> ProjectTable {
        let defaults = &self.file.defaults;
        let Some(own) = self.file.projects.get(id.as_str()) else {
            return defaults.clone();
        };
        let mut env = defaults.env.clone();
        env.extend(own.env.clone());
        ProjectTable {
            agent: or(own.agent.as_ref(), defaults.agent.as_ref()),
            model: or(own.model.as_ref(), defaults.model.as_ref()),
            permission: or(own.permission.as_ref(), defaults.permission.as_ref()),
            base: or(own.base.as_ref(), defaults.base.as_ref()),
            rules: or(own.rules.as_ref(), defaults.rules.as_ref()),
            rules_file: or(own.rules_file.as_ref(), defaults.rules_file.as_ref()),
            env,
            env_file: or(own.env_file.as_ref(), defaults.env_file.as_ref()),
            link: or(own.link.as_ref(), defaults.link.as_ref()),
            copy: or(own.copy.as_ref(), defaults.copy.as_ref()),
            post_create: or(own.post_create.as_ref(), defaults.post_create.as_ref()),
            keep_ignored: or(own.keep_ignored.as_ref(), defaults.keep_ignored.as_ref()),
            disposable: or(own.disposable.as_ref(), defaults.disposable.as_ref()),
            sparse: or(own.sparse.as_ref(), defaults.sparse.as_ref()),
            worktree_dir: or(own.worktree_dir.as_ref(), defaults.worktree_dir.as_ref()),
            reactions: policy::merged(&defaults.reactions, &own.reactions),
        }
    }

    /// Every value in force, the defaults included; variables of agents are named, not shown.
    pub fn in_force(&self) -> ConfigFile {
        let mut file = self.file.clone();
        file.daemon.reaper_interval = Some(Span(self.reaper_interval()));
        file.daemon.activity_interval = Some(Span(self.activity_interval()));
        file.daemon.log = Some(self.log().to_owned());
        file.capacity.max = Some(self.max_sessions().unwrap_or(0));
        file.notifiers = self.notifiers();
        let routing = self.routing();
        let ids = |priority: Priority| {
            let ids = routing.get(&priority)?;
            Some(ids.iter().map(ToString::to_string).collect())
        };
        file.routing = RoutingTable {
            urgent: ids(Priority::Urgent),
            action: ids(Priority::Action),
            warning: ids(Priority::Warning),
            info: ids(Priority::Info),
        };
        let tables = std::iter::once(&mut file.defaults).chain(file.projects.values_mut());
        for value in tables.flat_map(|table| table.env.values_mut()) {
            "(hidden)".clone_into(value);
        }
        file
    }
}

fn or<T: Clone>(own: Option<&T>, default: Option<&T>) -> Option<T> {
    own.or(default).cloned()
}

/// The schema of the file: the one place that says which keys there are.
pub fn schema() -> Value {
    schemars::schema_for!(ConfigFile).to_value()
}

/// What the types cannot refuse.
fn mistakes(file: &ConfigFile, source: &Source<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut say = |path: &[&str], message: String, hint: Option<String>| {
        problems.push(source.problem(path, message, hint));
    };
    let intervals = [
        ("reaper_interval", file.daemon.reaper_interval, REAPER_INTERVAL_MIN),
        ("activity_interval", file.daemon.activity_interval, ACTIVITY_INTERVAL_MIN),
    ];
    for (key, span, min) in intervals {
        if let Some(span) = span
            && let Err(message) = check_interval(span, min)
        {
            say(&["daemon", key], message, None);
        }
    }
    for id in file.projects.keys() {
        if let Err(error) = ProjectId::parse(id.as_str()) {
            say(&["projects", id], error.to_string(), None);
        }
    }
    for (name, agent) in &file.agents {
        if let Err(error) = AgentName::parse(name.as_str()) {
            say(&["agents", name], error.to_string(), None);
        }
        if agent.launch.is_empty() && name != COMMAND_AGENT {
            let message = format!("agent `{name}` needs `launch`, its command line");
            say(&["agents", name], message, None);
        }
    }
    for (path, message) in plain_mistakes(file) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        say(&path, message, None);
    }
    for (id, notifier) in &file.notifiers {
        for message in notifier_mistakes(id, notifier) {
            say(&["notifiers", id], message, None);
        }
    }
    for refused in policy::without_performer(&file.defaults.reactions) {
        let (name, field, why) = refused;
        let path = ["defaults", "reactions", name, field];
        say(&path, format!("`{}`: {why}", path.join(".")), None);
    }
    for (id, project) in &file.projects {
        for (name, field, why) in policy::without_performer(&project.reactions) {
            let path = ["projects", id, "reactions", name, field];
            say(&path, format!("`{}`: {why}", path.join(".")), None);
        }
    }
    for (priority, ids) in policy::routes(&file.routing) {
        for id in ids {
            if id != INBOX && !file.notifiers.contains_key(id) {
                let mut known: Vec<&str> = file.notifiers.keys().map(String::as_str).collect();
                known.push(INBOX);
                let message = format!("`routing.{priority}`: there is no `[notifiers.{id}]`");
                let hint = parse::hint_for(id, &known);
                say(&["routing", priority.as_str()], message, Some(hint));
            }
        }
    }
    if let Some(log) = &file.daemon.log
        && let Err(message) = check_log(log)
    {
        say(&["daemon", "log"], message, None);
    }
    problems
}

/// Links, copies and directories that would not lie inside a worktree, and weights of what can be no agent, each
/// with the key that names it.
fn plain_mistakes(file: &ConfigFile) -> Vec<(Vec<String>, String)> {
    let own = |at: &[&str]| at.iter().map(|&key| key.to_owned()).collect::<Vec<_>>();
    let projects = file.projects.iter().map(|(id, table)| (own(&["projects", id]), table));
    let tables = std::iter::once((own(&["defaults"]), &file.defaults)).chain(projects);
    let weights = file.capacity.weight.keys().filter_map(|name| {
        let error = AgentName::parse(name.as_str()).err()?;
        Some((own(&["capacity", "weight", name]), error.to_string()))
    });
    let mut mistakes: Vec<_> = weights.collect();
    for (at, table) in tables {
        for (key, paths) in
            [("link", &table.link), ("copy", &table.copy), ("sparse", &table.sparse)]
        {
            for path in paths.iter().flatten().filter(|path| !is_inside(path)) {
                let path = path.escape_debug();
                let message = format!("`{key}`: `{path}` is no path inside the repository");
                mistakes.push(([&at[..], &own(&[key])].concat(), message));
            }
        }
    }
    mistakes
}

fn notifier_mistakes(id: &str, notifier: &NotifierTable) -> Vec<String> {
    let mut messages = Vec::new();
    if let Err(error) = NotifierId::parse(id) {
        messages.push(error.to_string());
    }
    let kind = notifier.kind.as_str();
    match notifier.kind {
        NotifierKind::Inbox => {
            if notifier.argv.is_some() || notifier.url.is_some() {
                messages.push(format!("notifier `{id}`: `inbox` takes neither `argv` nor `url`"));
            }
        }
        NotifierKind::Command => {
            if notifier.argv.as_ref().is_none_or(Vec::is_empty) {
                messages.push(format!("notifier `{id}` needs `argv`, its command line"));
            }
            if notifier.secret_env.is_some() || notifier.url.is_some() {
                messages.push(format!(
                    "notifier `{id}`: `command` takes neither `url` nor `secret_env`; it has the \
                     environment of the daemon"
                ));
            }
        }
        NotifierKind::Desktop
        | NotifierKind::Webhook
        | NotifierKind::Slack
        | NotifierKind::Discord
        | NotifierKind::Ntfy => messages.push(format!(
            "notifier `{id}`: kind `{kind}` is not in this version; use `inbox` or `command`"
        )),
    }
    if id == INBOX && notifier.kind != NotifierKind::Inbox {
        messages.push(format!("`{INBOX}` is the built-in notifier; give `{kind}` another name"));
    }
    messages
}

fn check_interval(span: Span, min: Duration) -> Result<(), String> {
    if span.0 < min {
        return Err(format!("`{span}` is shorter than {}", Span(min)));
    }
    Ok(())
}

fn check_log(log: &str) -> Result<(), String> {
    match EnvFilter::builder().parse(log) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("`{log}` says nothing about logging: {error}")),
    }
}

/// Puts the scalars of the environment over those of the file. Empty means not given.
fn apply_env(file: &mut ConfigFile, env: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    let given = |name: &str| env.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let intervals = [
        ("AO_REAPER_INTERVAL", &mut file.daemon.reaper_interval, REAPER_INTERVAL_MIN),
        ("AO_ACTIVITY_INTERVAL", &mut file.daemon.activity_interval, ACTIVITY_INTERVAL_MIN),
    ];
    for (name, interval, min) in intervals {
        if let Some(value) = given(name) {
            let span = interval_of(value)
                .and_then(|span| check_interval(span, min).map(|()| span))
                .map_err(|message| ConfigError::one(format!("`{name}`"), message))?;
            *interval = Some(span);
        }
    }
    if let Some(value) = given("AO_MAX_SESSIONS") {
        let max = value.parse().map_err(|_error: std::num::ParseIntError| {
            ConfigError::one("`AO_MAX_SESSIONS`", format!("`{value}` is not a number of sessions"))
        })?;
        file.capacity.max = Some(max);
    }
    if let Some(value) = given("AO_LOG") {
        check_log(value).map_err(|message| ConfigError::one("`AO_LOG`", message))?;
        file.daemon.log = Some(value.to_owned());
    }
    Ok(())
}

/// A bare number is seconds, fractions included: what scripts write.
fn interval_of(value: &str) -> Result<Span, String> {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = value.parse().ok().filter(|_| is_number);
    let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.map(Span).or_else(|| Span::parse(value)).ok_or_else(|| {
        format!("`{value}` is not a length of time (write `500ms`, `2s`, `15m` or `1h30m`)")
    })
}

#[cfg(test)]
mod tests;
