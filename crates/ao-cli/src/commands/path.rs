//! `ao path`: where a session's worktree is, for `cd "$(ao path)"`.

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

/// Arguments of `ao path`.
#[derive(Debug, Args)]
pub struct PathArgs {
    /// Id, name or unique prefix; the session of the working directory without it.
    pub id: Option<String>,
}

#[derive(Debug, Serialize)]
struct Worktree {
    session: String,
    path: String,
}

pub(crate) async fn run(
    args: PathArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let id = context.session_id(args.id.as_deref()).await?;
    let session = context.client.session(&id).await?;
    if ui.is_json() {
        return ui.json(&Worktree { session: session.id, path: session.workspace_path });
    }
    ui.line(session.workspace_path)
}
