//! `ao rename`: another name for people; the id stays.

use ao_api::session::RenameRequest;
use clap::Args;

use crate::context::Context;
use crate::error::CliError;
use crate::ui::{Ui, text};

/// Arguments of `ao rename`.
#[derive(Debug, Args)]
pub struct RenameArgs {
    /// Id, name or unique prefix.
    pub id: String,
    /// The new name; an empty one takes it away.
    pub name: String,
}

pub(crate) async fn run(
    args: RenameArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let id = context.session_id(Some(&args.id)).await?;
    let session = context.client.rename(&id, &RenameRequest { name: args.name }).await?;
    if ui.is_json() {
        return ui.json(&session);
    }
    ui.line(match &session.name {
        Some(name) => format!("{} is called {}", session.id, text::one_line(name)),
        None => format!("{} has no name", session.id),
    })
}
