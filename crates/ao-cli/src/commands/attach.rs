//! `ao attach`: hands this terminal over to a session.

use ao_api::ErrorKind;
use ao_api::terminal::AttachQuery;
use clap::Args;

use crate::context::Context;
use crate::error::CliError;
use crate::launch;
use crate::ui::Ui;

/// Arguments of `ao attach`.
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// Id, name or unique prefix; the session of the working directory without it.
    pub id: Option<String>,
    /// Only look.
    #[arg(long)]
    pub read_only: bool,
    /// In a new window of the tmux that this is in.
    #[arg(long)]
    pub window: bool,
}

pub(crate) async fn run(
    args: AttachArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let id = context.session_id(args.id.as_deref()).await?;
    let query = AttachQuery { read_only: args.read_only, window: args.window };
    enter(&id, &query, context, ui).await
}

/// Becomes the program that shows the session; with `--json` only says which one that is.
pub(crate) async fn enter(
    id: &str,
    query: &AttachQuery,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    if query.window && context.env.var("TMUX").is_none() {
        let error = CliError::usage("`--window` needs a tmux to open the window in");
        return Err(error.hint(format!("`ao attach {id}` takes over this terminal")));
    }
    let is_terminal = ui.is_out_terminal && context.env.is_input_terminal;
    if !ui.is_json() && !query.window && !is_terminal {
        let error = CliError::usage("attaching needs a terminal");
        return Err(error.hint(format!("`ao logs -f {id}` shows the session without one")));
    }
    let attach = context.client.attach(id, query).await?;
    if ui.is_json() {
        return ui.json(&attach);
    }
    ui.note(format!("{}: {} detaches", attach.session, attach.detach_key));
    let error = launch::become_program(&attach.argv, &attach.unset);
    let program = attach.argv.first().map_or("", String::as_str);
    let message = format!("`{program}` cannot be started: {error}");
    Err(CliError::new(ErrorKind::Failed, "ATTACH_FAILED", message))
}
