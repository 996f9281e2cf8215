//! The command line: a thin client of the daemon.
//!
//! Every command asks the daemon and shows the answer. Nothing here opens the database, talks to
//! tmux or git, or knows a rule about sessions. `ao daemon` and what else belongs to the daemon is
//! only parsed here; the binary runs it.

mod args;
pub mod commands;
mod context;
mod duration;
mod env;
mod error;
pub mod exit;
mod launch;
mod local;
mod stdin;
mod ui;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::process::ExitCode;

use ao_api::ErrorBody;
use clap::Parser as _;

pub use ao_api as api;
pub use serde_json::Value;

pub use args::{ClientCommand, Command, DaemonArgs, Invocation, LaunchAgentArgs};
pub use env::Env;
pub use local::{Local, Settings};

use context::Context;
use error::CliError;
use ui::{Format, Ui};

/// Reads the command line. What cannot be read, `--help` and `--version` are answered here: the
/// error is the exit code.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, ExitCode> {
    let args: Vec<OsString> = args.into_iter().collect();
    Invocation::try_parse_from(&args).map_err(|error| {
        let mut ui = Ui::real(Format::of(args::asks_for_json(&args)), None);
        let code = if error.use_stderr() {
            refuse(&mut ui, &error);
            if args::is_for_programs(&args) { exit::DONE } else { exit::USAGE }
        } else {
            // Help and version are the result that was asked for; a reader that left is no fault.
            ui.write(error.render().to_string().as_bytes()).map_or(exit::FAILED, |()| exit::DONE)
        };
        ExitCode::from(code)
    })
}

/// Runs a command against the daemon; `local` answers what can be answered without one.
pub fn run(command: ClientCommand, is_json: bool, env: Env, local: &dyn Local) -> ExitCode {
    let mut ui = Ui::real(Format::of(is_json), env.var("COLUMNS"));
    let is_for_programs = command.is_for_programs();
    let ended = match runtime() {
        Ok(runtime) => {
            let ended = runtime.block_on(run_command(command, env, local, &mut ui));
            // A read of standard input that nobody will answer must not hold the process.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(error),
    };
    ExitCode::from(conclude(ended, is_for_programs, &mut ui))
}

/// Says what went wrong, and what the exit code is.
fn conclude(ended: Result<u8, CliError>, is_for_programs: bool, ui: &mut Ui) -> u8 {
    let code = match ended {
        Ok(code) => code,
        Err(error) if error.is_broken_pipe() => exit::DONE,
        Err(error) => {
            let body = error.body();
            ui.failure(&body);
            exit::code_of(body.kind)
        }
    };
    if is_for_programs { exit::DONE } else { code }
}

/// Prints a failure of the daemon itself the way that every command does.
pub fn report(error: &ErrorBody, is_json: bool) -> ExitCode {
    Ui::real(Format::of(is_json), None).failure(error);
    ExitCode::from(exit::code_of(error.kind))
}

async fn run_command(
    command: ClientCommand,
    env: Env,
    local: &dyn Local,
    ui: &mut Ui,
) -> Result<u8, CliError> {
    let layout = env.layout()?;
    let mut context = Context::new(env, layout, local);
    let code = commands::run(command, &mut context, ui).await?;
    context.note_other_version(ui);
    Ok(code)
}

fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    // No signals and no children: a hook need not pay for their drivers.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_io().enable_time().build().map_err(|error| {
        let message = format!("the runtime cannot be started: {error}");
        CliError::new(ao_api::ErrorKind::Failed, "RUNTIME", message)
    })
}

/// A command line that makes no sense, in our words: one sentence, one hint.
fn refuse(ui: &mut Ui, error: &clap::Error) {
    if ui.is_json() {
        ui.failure(&args::usage_error(error));
    } else {
        ui.refuse(&error.render().to_string());
    }
}
