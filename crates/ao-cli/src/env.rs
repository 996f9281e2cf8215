//! The edge: everything that is read from the process and the machine around it, in one place.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ao_api::home::{HomeEnv, HomeError, Layout};
use ao_api::signal::Stamp;
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// What surrounds this process, read once.
#[derive(Debug, Clone)]
pub struct Env {
    vars: BTreeMap<OsString, OsString>,
    cwd: Option<PathBuf>,
    uid: u32,
    /// Whether a person can answer on standard input and sees standard error.
    pub(crate) is_interactive: bool,
    /// Whether standard input is a terminal.
    pub(crate) is_input_terminal: bool,
    /// When this process began, on three clocks.
    pub(crate) started: Stamp,
}

impl Env {
    /// Reads it.
    pub fn read() -> Self {
        Self {
            started: stamp(),
            vars: std::env::vars_os().collect(),
            cwd: std::env::current_dir().ok(),
            uid: rustix::process::getuid().as_raw(),
            is_interactive: io::stdin().is_terminal() && io::stderr().is_terminal(),
            is_input_terminal: io::stdin().is_terminal(),
        }
    }

    /// The same process in another place, for tests of commands.
    #[cfg(test)]
    pub(crate) fn for_test(vars: &[(&str, &str)], cwd: &Path) -> Self {
        let vars = vars.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Self {
            vars: vars.collect(),
            cwd: Some(cwd.to_owned()),
            uid: rustix::process::getuid().as_raw(),
            is_interactive: false,
            is_input_terminal: false,
            started: stamp(),
        }
    }

    /// One variable; empty counts as absent, and so does what is not UTF-8.
    pub(crate) fn var(&self, name: &str) -> Option<&str> {
        let value = self.vars.get(std::ffi::OsStr::new(name))?;
        value.to_str().filter(|value| !value.is_empty())
    }

    /// Where everything is.
    pub fn layout(&self) -> Result<Layout, HomeError> {
        let get = |name: &str| self.vars.get(std::ffi::OsStr::new(name)).cloned();
        Layout::resolve(&HomeEnv::from_vars(get, self.cwd.clone().unwrap_or_default(), self.uid))
    }

    /// The working directory; absent when it was removed under us.
    pub(crate) fn cwd(&self) -> Option<&Path> {
        self.cwd.as_deref()
    }

    /// What an agent may inherit: everything but our own variables and what is not UTF-8.
    pub(crate) fn inheritable(&self) -> BTreeMap<String, String> {
        self.texts().filter(|(name, _)| !is_ours(name)).collect()
    }

    /// Our own variables: settings that stand over the configuration file, and the home.
    pub fn settings(&self) -> BTreeMap<String, String> {
        self.texts().filter(|(name, _)| is_ours(name)).collect()
    }

    fn texts(&self) -> impl Iterator<Item = (String, String)> {
        let text = |text: &OsString| text.to_str().map(str::to_owned);
        self.vars.iter().filter_map(move |(name, value)| Some((text(name)?, text(value)?)))
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with("AO_")
}

/// This instant on three clocks.
fn stamp() -> Stamp {
    // Read first: the clock that also counts sleep is then never behind it.
    let awake_ns = nanos(ClockId::Monotonic);
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Stamp {
        wall_ms: now().as_millisecond(),
        boot_id: boot_id.trim().to_owned(),
        since_boot_ns: nanos(ClockId::Boottime),
        awake_ns,
    }
}

/// A clock that only goes forward: how long something took.
pub(crate) fn uptime() -> Duration {
    Duration::from_nanos(nanos(ClockId::Monotonic))
}

fn nanos(clock: ClockId) -> u64 {
    let at = clock_gettime(clock);
    let since = Duration::new(
        u64::try_from(at.tv_sec).unwrap_or(0),
        u32::try_from(at.tv_nsec).unwrap_or(0),
    );
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The wall clock: ages are counted from here.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// Waits for a while, where there is nothing that could say when to go on.
#[expect(clippy::disallowed_methods, reason = "the one pause of the command line, between looks")]
pub(crate) async fn pause(pause_for: Duration) {
    tokio::time::sleep(pause_for).await;
}

/// A name that nobody else draws.
pub(crate) fn fresh_id() -> Result<String, io::Error> {
    use std::fmt::Write as _;

    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let mut id = String::with_capacity(32);
    for byte in bytes {
        write!(id, "{byte:02x}").map_err(io::Error::other)?;
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_inherits_everything_but_our_own_variables() {
        let env =
            Env::for_test(&[("PATH", "/bin"), ("AO_HOME", "/h"), ("LANG", "C")], Path::new("/"));
        let names: Vec<String> = env.inheritable().into_keys().collect();
        assert_eq!(names, ["LANG", "PATH"]);
    }

    #[test]
    fn a_stamp_is_of_this_boot() {
        let stamp = stamp();
        assert!(stamp.since_boot_ns >= stamp.awake_ns && stamp.awake_ns > 0);
        assert_eq!(stamp.boot_id.len(), 36);
    }
}
