//! The binary: it hands each command to whoever runs it.

use std::process::ExitCode;

use ao_cli::api::ErrorBody;
use ao_cli::api::config::{ConfigCheck, ConfigView};
use ao_cli::api::doctor::DoctorReport;
use ao_cli::api::home::Layout;
use ao_cli::{Command, Env, Local, Settings, Value};
use ao_daemon::{DaemonArgs, offline};

fn main() -> ExitCode {
    let invocation = match ao_cli::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(code) => return code,
    };
    match invocation.command {
        Command::Client(command) => {
            ao_cli::run(command, invocation.json, Env::read(), &OfTheDaemon)
        }
        Command::Daemon(args) => {
            let args =
                DaemonArgs { detached: args.detached, settings_on_stdin: args.settings_on_stdin };
            match ao_daemon::run(args) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => ao_cli::report(&error, invocation.json),
            }
        }
        Command::LaunchAgent(args) => {
            // Becomes the agent, or has told why not; the exit code says so to the daemon.
            let (_told, code) = ao_daemon::launch_agent(&args.dir);
            ExitCode::from(code)
        }
    }
}

/// What the daemon's half of this program answers without a daemon.
struct OfTheDaemon;

impl Local for OfTheDaemon {
    fn config_schema(&self) -> Value {
        offline::config_schema()
    }

    fn config_view(&self, layout: &Layout, settings: &Settings) -> Result<ConfigView, ErrorBody> {
        offline::config_view(layout, settings)
    }

    fn config_check(&self, layout: &Layout, settings: &Settings) -> ConfigCheck {
        offline::config_check(&offline::config_files(layout), settings)
    }

    fn doctor(&self, layout: &Layout, settings: &Settings) -> Result<DoctorReport, ErrorBody> {
        offline::doctor(layout, settings)
    }

    fn doctor_fix(&self, layout: &Layout) -> Result<(), ErrorBody> {
        offline::doctor_fix(layout)
    }
}
