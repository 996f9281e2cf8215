//! The binary: it hands each command to whoever runs it.

use std::path::Path;
use std::process::ExitCode;

use ao_api::config::{ConfigCheck, ConfigView};
use ao_api::doctor::DoctorReport;
use ao_api::home::Layout;
use ao_api::{ErrorBody, ErrorKind};
use ao_cli::{Command, Env, LaunchAgentArgs, Local, Settings};
use ao_daemon::{DaemonArgs, offline};
use serde_json::Value;

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
        Command::LaunchAgent(args) => launch_agent(&args),
    }
}

/// Becomes the agent, or ends as the daemon expects of a launcher that could not.
fn launch_agent(args: &LaunchAgentArgs) -> ExitCode {
    if let [dir] = args.args.as_slice() {
        let (_told, code) = ao_daemon::launch_agent(Path::new(dir));
        return ExitCode::from(code);
    }
    let error = ErrorBody {
        code: "USAGE".to_owned(),
        kind: ErrorKind::User,
        message: "`ao launch-agent` takes the directory of one launch".to_owned(),
        hint: None,
    };
    ao_cli::report(&error, false)
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
