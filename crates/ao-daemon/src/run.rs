//! The process of the daemon: its environment, its log, its signals.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use ao_api::error::{ErrorBody, ErrorKind};
use ao_api::home::{HomeEnv, Layout};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::config::Config;
use crate::daemon::{Daemon, Setup};
use crate::stop::Stop;
use crate::{offline, outside, scrub, wrapper};

/// How the daemon was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DaemonArgs {
    /// Leave the terminal's session.
    pub detached: bool,
    /// The settings stand on standard input.
    pub settings_on_stdin: bool,
}

/// Runs the daemon of the home that the environment names, until it is asked to end.
pub fn run(args: DaemonArgs) -> Result<(), ErrorBody> {
    let program = wrapper::own_program().map_err(|error| failed("its own program", &error))?;
    let settings = settings(args, &program)?;
    let layout = layout()?;
    let config = Config::load(&offline::config_files(&layout), &settings)
        .map_err(|error| offline::config_refused(&error))?
        .with_memory(ao_adapters::memory::total_bytes());
    start_log(&config);
    if args.detached && rustix::process::setsid().is_err() {
        tracing::debug!("Is the leader of its session already.");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| failed("the runtime", &error))?;
    let handle = runtime.handle().clone();
    let ended = runtime.block_on(async {
        let stop = Stop::new();
        listen_to_signals(&stop).map_err(|error| failed("its signals", &error))?;
        let outside = {
            let (layout, config) = (layout.clone(), config.clone());
            Box::new(move |marker| outside::real(&layout, &config, marker, handle))
        };
        let setup = Setup { layout, config, program, outside, stop };
        let daemon = Daemon::open(setup).map_err(|error| error.body())?;
        daemon.run().await.map_err(|error| error.body())
    });
    // What is still running by now was left behind on purpose.
    runtime.shutdown_background();
    ended
}

/// The settings of the environment; executes the daemon again when they have to leave it.
fn settings(
    args: DaemonArgs,
    program: &std::path::Path,
) -> Result<BTreeMap<String, String>, ErrorBody> {
    if args.settings_on_stdin {
        return scrub::settings_from(io::stdin()).map_err(|error| failed("the settings", &error));
    }
    let again: Vec<OsString> = std::env::args_os().skip(1).collect();
    scrub::execute_clean(program, &again, std::env::vars_os())
        .map_err(|error| failed("with a clean environment", &error))?;
    Ok(BTreeMap::new())
}

/// Where everything of this home is.
fn layout() -> Result<Layout, ErrorBody> {
    let cwd = std::env::current_dir().unwrap_or_else(|_gone| PathBuf::new());
    let uid = rustix::process::geteuid().as_raw();
    let env = HomeEnv::from_vars(|name| std::env::var_os(name), cwd, uid);
    Layout::resolve(&env).map_err(|error| ErrorBody {
        code: "HOME_UNUSABLE".to_owned(),
        kind: ErrorKind::Failed,
        message: error.to_string(),
        hint: Some("`AO_HOME` names a directory for everything".to_owned()),
    })
}

/// Lines on standard error; `ao start` lets that be the log file.
fn start_log(config: &Config) {
    // The words were checked with the rest of the configuration.
    let filter = EnvFilter::try_new(config.log()).unwrap_or_default();
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .try_init();
    if let Err(error) = started {
        tracing::debug!(%error, "Somebody logs already.");
    }
}

/// The first signal ends the daemon, the second one hurries it.
fn listen_to_signals(stop: &Stop) -> io::Result<()> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        let mut signals = signal(kind)?;
        let stop = stop.clone();
        #[expect(clippy::disallowed_methods, reason = "it listens longer than any task that ends")]
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                tracing::info!(signal = kind.as_raw_value(), "Asked to end.");
                stop.hurry();
            }
        });
    }
    Ok(())
}

fn failed(what: &str, error: &dyn std::error::Error) -> ErrorBody {
    ErrorBody {
        code: "DAEMON_NOT_STARTED".to_owned(),
        kind: ErrorKind::Failed,
        message: format!("the daemon cannot be started: {what}: {error}"),
        hint: None,
    }
}
