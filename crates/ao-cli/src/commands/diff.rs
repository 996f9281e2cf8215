//! `ao diff`: what a session changed against its base.

use ao_api::terminal::DiffQuery;
use clap::Args;

use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

/// Arguments of `ao diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Id, name or unique prefix; the session of the working directory without it.
    pub id: Option<String>,
    /// Only which files, and how much.
    #[arg(long)]
    pub stat: bool,
}

pub(crate) async fn run(
    args: DiffArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let id = context.session_id(args.id.as_deref()).await?;
    let diff = context.client.diff(&id, &DiffQuery { stat: args.stat }).await?;
    if ui.is_json() {
        return ui.json(&diff);
    }
    ui.write(diff.text.as_bytes())?;
    if diff.truncated {
        ui.note("Hint: the diff was cut off; `git diff` in the worktree (`ao path`) shows all");
    }
    Ok(())
}
