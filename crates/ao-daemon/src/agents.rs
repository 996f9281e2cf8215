//! Which agents there are, and whether they can be used from where somebody stands.
//!
//! It only looks: it finds programs, asks those of the inventory for their version, and reads what
//! they keep in the user's home. A program of the configuration is not run: nothing says that it
//! would only tell its version.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ao_adapters::agents::inventory::{AgentEntry, Need, Surroundings, version_in};
use ao_adapters::cmd::Cmd;
use ao_api::agents::AgentKind;
use ao_core::agent::Signals;
use ao_core::ids::AgentName;
use ao_core::ports::Agent;
use futures_util::future::join_all;

use crate::config::{Config, ProjectTable};

/// How long a program may take to tell its version: those of the inventory take some ten
/// milliseconds, a script that starts an interpreter from a cold disk seconds.
const VERSION_FOR_MAX: Duration = Duration::from_secs(5);

/// Most that is read of what a program says about itself.
const VERSION_OUTPUT_BYTES_MAX: usize = 4 * 1024;

/// Most that is read of a file in a user's home: what agents keep there grows with every project.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A home in which no program can write anything down: some do so even to tell their version.
const NO_HOME: &str = "/dev/null";

/// Where somebody stands.
pub(crate) struct Place {
    /// The environment that an agent would get.
    pub(crate) env: BTreeMap<String, String>,
    /// The repositories that are registered.
    pub(crate) repositories: Vec<PathBuf>,
}

/// The environment of this process, as far as it is text.
pub(crate) fn own_env() -> BTreeMap<String, String> {
    let text = |text: OsString| text.into_string().ok();
    std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect()
}

/// What was seen of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) name: AgentName,
    pub(crate) kind: AgentKind,
    /// Whether the configuration asks for it by name.
    pub(crate) is_asked_for: bool,
    pub(crate) program: Option<String>,
    pub(crate) path: Option<PathBuf>,
    /// What the program told, or why it did not; `None` where it was not asked.
    pub(crate) version: Option<Result<String, String>>,
    pub(crate) is_tested: Option<bool>,
    pub(crate) tested_versions: &'static [&'static str],
    pub(crate) signals: Signals,
    pub(crate) can_resume: bool,
    pub(crate) install: Option<&'static str>,
    pub(crate) needs: Vec<Need>,
}

/// Looks at every agent, by name.
pub(crate) async fn look(
    agents: &BTreeMap<AgentName, Arc<dyn Agent>>,
    config: &Config,
    place: &Place,
) -> Vec<Seen> {
    let looks = agents.values().map(|agent| look_at(agent.as_ref(), config, place));
    join_all(looks).await
}

async fn look_at(agent: &dyn Agent, config: &Config, place: &Place) -> Seen {
    let name = agent.name();
    let table = config.file.agents.get(name.as_str());
    // What the configuration calls by the name of a built-in agent is its own.
    let entry = if table.is_some() { None } else { AgentEntry::named(name.as_str()) };
    let program = match (entry, table) {
        (Some(entry), _) => Some(entry.program.to_owned()),
        (None, Some(table)) => table.launch.first().cloned(),
        (None, None) => None,
    };
    let path = program.as_deref().and_then(|program| find(program, &place.env));
    let version = match (entry, &path) {
        (Some(entry), Some(path)) => Some(version(entry, path, &place.env).await),
        _ => None,
    };
    let needs = match (entry, &path) {
        (Some(entry), Some(_)) => needs(entry, config, place),
        _ => Vec::new(),
    };
    let told = version.as_ref().and_then(|version| version.as_ref().ok());
    Seen {
        name: name.clone(),
        kind: if table.is_some() { AgentKind::Configured } else { AgentKind::BuiltIn },
        is_asked_for: tables(config).any(|it| it.agent.as_deref() == Some(name.as_str())),
        program,
        path,
        is_tested: entry.zip(told).map(|(entry, version)| entry.is_tested(version)),
        version,
        tested_versions: entry.map_or(&[], |entry| entry.tested_versions),
        signals: agent.traits().signals,
        can_resume: match (entry, table) {
            (Some(entry), _) => entry.can_resume,
            (None, Some(table)) => table.resume.as_ref().is_some_and(|words| !words.is_empty()),
            (None, None) => false,
        },
        install: entry.map(|entry| entry.install),
        needs,
    }
}

/// The tables that may ask for an agent and a permission mode.
fn tables(config: &Config) -> impl Iterator<Item = &ProjectTable> {
    std::iter::once(&config.file.defaults).chain(config.file.projects.values())
}

fn needs(entry: &AgentEntry, config: &Config, place: &Place) -> Vec<Need> {
    let modes: Vec<String> = tables(config).filter_map(|it| it.permission.clone()).collect();
    entry.needs(&Surroundings {
        env: &place.env,
        is_root: rustix::process::geteuid().is_root(),
        permission_modes: &modes,
        repositories: &place.repositories,
        read: &read,
    })
}

/// What a program says of its version. It gets no home, no key, and nothing to read.
async fn version(
    entry: &AgentEntry,
    path: &Path,
    env: &BTreeMap<String, String>,
) -> Result<String, String> {
    let asked = Cmd::new(path)
        .args(entry.version_args)
        .dir("/")
        .env_clear()
        .env("HOME", NO_HOME)
        .env("LC_ALL", "C.UTF-8")
        .env("PATH", env.get("PATH").map(String::as_str).unwrap_or_default())
        .timeout(VERSION_FOR_MAX)
        .output_bytes_max(VERSION_OUTPUT_BYTES_MAX);
    let output = asked.run().await.map_err(|error| error.to_string())?;
    let text = output.stdout_text();
    match version_in(&text) {
        Some(version) if output.status.success() => Ok(version.to_owned()),
        Some(_) | None => {
            let args = entry.version_args.join(" ");
            Err(format!("`{} {args}` tells no version", entry.program))
        }
    }
}

/// Where a program is, as a session of this environment would find it.
fn find(program: &str, env: &BTreeMap<String, String>) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| path.is_absolute() && is_program(path));
    }
    let dirs = std::env::split_paths(env.get("PATH")?);
    dirs.filter(|dir| dir.is_absolute()).map(|dir| dir.join(program)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

/// The text of a regular file; a pipe in its place is not waited for.
fn read(path: &Path) -> io::Result<String> {
    let file = File::options()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut text = String::new();
    let n_bytes = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if u64::try_from(n_bytes).is_ok_and(|n_bytes| n_bytes <= FILE_BYTES_MAX) {
        Ok(text)
    } else {
        Err(io::Error::other("too large"))
    }
}
