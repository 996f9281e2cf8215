//! `ao interrupt`: presses the agent's own key. It never kills.

use clap::Args;

use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

/// Arguments of `ao interrupt`.
#[derive(Debug, Args)]
pub struct InterruptArgs {
    /// Id, name or unique prefix; the session of the working directory without it.
    pub id: Option<String>,
}

pub(crate) async fn run(
    args: InterruptArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let id = context.session_id(args.id.as_deref()).await?;
    let pressed = context.client.interrupt(&id).await?;
    if ui.is_json() {
        return ui.json(&pressed);
    }
    ui.line(format!("{}: pressed {}", pressed.session, pressed.key))
}
