//! One file for each command: its arguments, and what it does with the daemon's answer.

pub mod agents;
pub mod attach;
pub mod cleanup;
pub mod config;
pub mod diff;
pub mod doctor;
pub mod events;
pub mod explain;
pub mod hook;
pub mod inbox;
pub mod interrupt;
pub mod kill;
pub mod logs;
pub mod ls;
pub mod messages;
pub mod next;
pub mod open;
pub mod path;
pub mod project;
pub mod recover;
pub mod rename;
pub mod replay;
pub mod report;
pub mod restore;
pub mod rm;
pub mod send;
mod settle;
pub mod show;
pub mod spawn;
pub mod start;
pub mod status;
pub mod stop;
pub mod wait;

#[cfg(test)]
pub(crate) mod sample;

use crate::args::ClientCommand;
use crate::context::Context;
use crate::error::CliError;
use crate::exit;
use crate::ui::Ui;

/// Runs a command; the answer is its exit code.
pub(crate) async fn run(
    command: ClientCommand,
    context: &mut Context<'_>,
    ui: &mut Ui,
) -> Result<u8, CliError> {
    match command {
        ClientCommand::Start => start::run(context, ui).await,
        ClientCommand::Stop(args) => stop::run(args, context, ui).await,
        ClientCommand::Status => status::run(context, ui).await,
        ClientCommand::Project(command) => project::run(command, context, ui).await,
        // The largest futures of all: sessions by the dozen, each of them waited for.
        ClientCommand::Spawn(args) => Box::pin(spawn::run(*args, context, ui)).await,
        ClientCommand::Ls(args) => ls::run(args, context, ui).await,
        ClientCommand::Show(args) => show::run(args, context, ui).await,
        ClientCommand::Explain(args) => explain::run(args, context, ui).await,
        ClientCommand::Replay(args) => replay::run(args, context, ui).await,
        ClientCommand::Send(args) => send::run(args, context, ui).await,
        ClientCommand::Interrupt(args) => interrupt::run(args, context, ui).await,
        ClientCommand::Attach(args) => attach::run(args, context, ui).await,
        ClientCommand::Logs(args) => logs::run(args, context, ui).await,
        ClientCommand::Diff(args) => diff::run(args, context, ui).await,
        ClientCommand::Path(args) => path::run(args, context, ui).await,
        ClientCommand::Open(args) => open::run(args, context, ui).await,
        ClientCommand::Rename(args) => rename::run(args, context, ui).await,
        ClientCommand::Next(args) => next::run(args, context, ui).await,
        ClientCommand::Wait(args) => wait::run(args, context, ui).await,
        ClientCommand::Restore(args) => Box::pin(restore::run(args, context, ui)).await,
        ClientCommand::Kill(args) => kill::run(args, context, ui).await,
        ClientCommand::Cleanup(args) => cleanup::run(args, context, ui).await,
        ClientCommand::Recover(args) => recover::run(args, context, ui).await,
        ClientCommand::Rm(args) => rm::run(args, context, ui).await,
        ClientCommand::Inbox(args) => inbox::run(args, context, ui).await,
        ClientCommand::Messages(args) => messages::run(args, context, ui).await,
        ClientCommand::Events(args) => events::run(args, context, ui).await,
        ClientCommand::Agents => agents::run(context, ui).await,
        ClientCommand::Config(command) => return config::run(command, context, ui).await,
        ClientCommand::Doctor(args) => return doctor::run(args, context, ui).await,
        ClientCommand::Report(args) => report::run(args, context).await,
        ClientCommand::Hook(args) => hook::run(args, context).await,
    }
    .map(|()| exit::DONE)
}
