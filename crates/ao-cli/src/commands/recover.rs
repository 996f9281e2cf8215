//! `ao recover`: gets back what a removal set aside, and says exactly what and where.

use ao_api::cleanup::Recovered;
use ao_api::error::SESSION_UNKNOWN;
use clap::Args;

use crate::context::Context;
use crate::error::CliError;
use crate::ui::{Ui, text};

/// Arguments of `ao recover`.
#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// Id, name or unique prefix; of a session whose record was removed, its whole id.
    pub id: String,
}

pub(crate) async fn run(
    args: RecoverArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let id = match context.session_id(Some(&args.id)).await {
        Ok(id) => id,
        // What is preserved outlives the record: the daemon looks in the repository.
        Err(error) if error.body().code == SESSION_UNKNOWN && is_whole_id(&args.id) => args.id,
        Err(error) => return Err(error),
    };
    ui.progress(format!("{id}: bringing back …"));
    let recovered = context.client.recover(&id).await?;
    if ui.is_json() {
        return ui.json(&recovered);
    }
    show_text(&recovered, ui)
}

/// Whether a text can be an id: `PROJECT-N`.
fn is_whole_id(text: &str) -> bool {
    let number = text.rsplit_once('-').map(|(_project, number)| number);
    number.is_some_and(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()))
}

fn show_text(recovered: &Recovered, ui: &mut Ui) -> Result<(), CliError> {
    for one in &recovered.restored {
        ui.line(format!("{}: {}", recovered.session, text::one_line(one)))?;
    }
    for one in &recovered.remaining {
        ui.note(format!("{}: {}", recovered.session, text::one_line(one)));
    }
    Ok(())
}
