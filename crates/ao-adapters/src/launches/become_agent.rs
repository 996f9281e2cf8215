//! The process that reads a launch file and becomes the agent.
//!
//! It runs in the agent's terminal, before the agent: it proves that the agent was executed, and
//! when it was not, it says why, on the terminal and in a file that the daemon reads.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use ao_core::ports::LaunchFile;
use tokio::signal::unix::{SignalKind, signal};

use crate::processes::groups;

use super::{FAILED, LAUNCH, LOCK, STARTED, format, open_private, write_private};

/// How a launcher ends that could not become its agent, as shells do it.
pub const STATUS_NOT_EXECUTED: u8 = 127;

/// What the terminal, and only the terminal, knows.
const OF_THE_TERMINAL: [&str; 4] = ["TERM", "COLORTERM", "TMUX", "TMUX_PANE"];

/// Why a launcher did not become its agent.
#[derive(Debug, thiserror::Error)]
pub enum LauncherError {
    /// There is no launch, or not one that can be read.
    #[error("the launch in `{dir}` cannot be read: {message}")]
    Unreadable {
        /// Its directory.
        dir: String,
        /// What went wrong.
        message: String,
    },
    /// The launcher of this very launch already runs.
    #[error("the launch in `{dir}` is already being started")]
    Running {
        /// Its directory.
        dir: String,
    },
    /// The agent's working directory cannot be entered.
    #[error("the directory `{directory}` cannot be entered: {message}")]
    Directory {
        /// Where it should start.
        directory: String,
        /// What went wrong.
        message: String,
    },
    /// The launch names no program.
    #[error("the launch names no program")]
    NoProgram,
    /// The program cannot be executed.
    #[error("`{program}` cannot be executed: {message}")]
    Program {
        /// Its name.
        program: String,
        /// What went wrong.
        message: String,
    },
}

/// Becomes the agent of the launch in `dir`, in this very process. It returns only on failure, and
/// then it has told the terminal and the daemon why; the process should end with
/// [`STATUS_NOT_EXECUTED`].
pub fn become_agent(dir: &Path) -> LauncherError {
    let error = match locked(dir) {
        Ok(_lock) => match try_become_agent(dir) {
            Ok(never) => match never {},
            Err(error) => {
                // Written before the lock is given up: a launcher without a lock has told all.
                if let Err(unwritten) =
                    write_private(&dir.join(FAILED), format!("{error}\n").as_bytes())
                {
                    tell(&format!("ao: the failure cannot be recorded: {unwritten}"));
                }
                error
            }
        },
        Err(error) => error,
    };
    tell(&format!("ao: the agent was not started: {error}"));
    error
}

/// Best effort: a terminal that takes no text has nobody who could read it.
fn tell(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}

fn locked(dir: &Path) -> Result<File, LauncherError> {
    let unreadable = |error: &io::Error| LauncherError::Unreadable {
        dir: dir.display().to_string(),
        message: error.to_string(),
    };
    // Closed by the execution, as every file that the standard library opens.
    let lock = open_private(&dir.join(LOCK)).map_err(|error| unreadable(&error))?;
    // The daemon holds it only to look, for an instant.
    lock.lock().map_err(|error| unreadable(&error))?;
    if dir.join(STARTED).exists() {
        return Err(LauncherError::Running { dir: dir.display().to_string() });
    }
    Ok(lock)
}

fn try_become_agent(dir: &Path) -> Result<std::convert::Infallible, LauncherError> {
    let unreadable = |error: io::Error| LauncherError::Unreadable {
        dir: dir.display().to_string(),
        message: error.to_string(),
    };
    let bytes = std::fs::read(dir.join(LAUNCH)).map_err(unreadable)?;
    let launch = format::read(&bytes).map_err(unreadable)?;
    let directory = |error: &io::Error| LauncherError::Directory {
        directory: launch.directory.display().to_string(),
        message: error.to_string(),
    };
    std::env::set_current_dir(&launch.directory).map_err(|error| directory(&error))?;
    let Some((program, args)) = launch.argv.split_first() else {
        return Err(LauncherError::NoProgram);
    };
    let failed = |error: &io::Error| LauncherError::Program {
        program: program.clone(),
        message: if error.kind() == io::ErrorKind::NotFound {
            "it is not on the agent's PATH".to_owned()
        } else {
            error.to_string()
        },
    };
    // Best effort: without a group, what the agent starts is found by other means.
    if let Some(group) = format::read_group(&bytes) {
        drop(groups::enter(&group));
    }
    let pid = std::process::id();
    write_private(&dir.join(STARTED), format!("{pid}\n").as_bytes()).map_err(|e| failed(&e))?;
    let _handlers = take_signals().map_err(|error| failed(&error))?;
    #[expect(
        clippy::disallowed_methods,
        reason = "it runs nothing beside it: it becomes the program"
    )]
    let mut command = std::process::Command::new(program);
    command.args(args).env_clear().envs(environment(&launch));
    Err(failed(&command.exec()))
}

/// The file's environment, and what the terminal adds.
fn environment(launch: &LaunchFile) -> BTreeMap<OsString, OsString> {
    let mut env: BTreeMap<OsString, OsString> = (launch.env.iter())
        .filter(|(key, _)| !OF_THE_TERMINAL.contains(&key.as_str()))
        .map(|(key, value)| (key.into(), value.into()))
        .collect();
    for key in OF_THE_TERMINAL {
        if let Some(value) = std::env::var_os(key) {
            env.insert(key.into(), value);
        }
    }
    env.insert("PWD".into(), launch.directory.clone().into_os_string());
    env
}

/// Catches what a parent may have told us to ignore. The execution turns a caught signal into a
/// default one, while an ignored one would stay ignored: an agent must hear its terminal go away.
fn take_signals() -> io::Result<impl Sized> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let entered = runtime.enter();
    let kinds = [
        SignalKind::hangup(),
        SignalKind::interrupt(),
        SignalKind::quit(),
        SignalKind::terminate(),
        SignalKind::child(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
    ];
    let caught: Vec<_> = kinds.into_iter().map(signal).collect::<io::Result<_>>()?;
    drop(entered);
    Ok((runtime, caught))
}
