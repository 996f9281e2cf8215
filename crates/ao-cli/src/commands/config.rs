//! `ao config`: the configuration in force, what is wrong with the file, and what it may hold.
//!
//! All of it works without a daemon: a file that keeps it from starting has to be checkable.

use ao_api::ErrorKind;
use ao_api::config::ConfigCheck;
use clap::Subcommand;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit;
use crate::ui::{Ui, text};

/// What to do with the configuration.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigCommand {
    /// Show every key with the value in force.
    Show,
    /// Check the file as it is now.
    Check,
    /// Print where the file is.
    Path,
    /// Print every key that the file may have, as a JSON schema.
    Schema,
}

#[derive(Serialize)]
struct ConfigPath {
    path: String,
    exists: bool,
}

pub(crate) async fn run(
    command: ConfigCommand,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<u8, CliError> {
    match command {
        ConfigCommand::Show => {
            let config = match context.client.config().await {
                Ok(config) => config,
                Err(error) if error.body().kind == ErrorKind::Unreachable => {
                    ui.note("No daemon runs; one that starts now would have:");
                    let view =
                        context.ask_local(|local, layout, env| local.config_view(layout, env));
                    view?.map_err(CliError::Own)?
                }
                Err(error) => return Err(error.into()),
            };
            ui.json(&config)?;
        }
        ConfigCommand::Check => {
            return check(
                &context.ask_local(|local, layout, env| local.config_check(layout, env))?,
                ui,
            );
        }
        ConfigCommand::Path => {
            let file = &context.layout.config_file;
            let path = file.display().to_string();
            if ui.is_json() {
                ui.json(&ConfigPath { path, exists: file.exists() })?;
            } else {
                ui.line(path)?;
            }
        }
        ConfigCommand::Schema => {
            ui.json(&context.ask_local(|local, _, _| local.config_schema())?)?;
        }
    }
    Ok(exit::DONE)
}

/// A file with problems is malformed input; the report is the result all the same.
fn check(check: &ConfigCheck, ui: &mut Ui) -> Result<u8, CliError> {
    if ui.is_json() {
        ui.json(check)?;
    } else {
        for problem in &check.problems {
            let at = problem.line.map(|line| format!(":{line}")).unwrap_or_default();
            ui.line(format!("{}{at}: {}", check.path, text::one_line(&problem.message)))?;
            if let Some(hint) = &problem.hint {
                ui.line(format!("  Hint: {}", text::one_line(hint)))?;
            }
        }
        if check.ok {
            ui.line(format!("{}: no problem", check.path))?;
        }
    }
    Ok(if check.ok { exit::DONE } else { exit::USAGE })
}
