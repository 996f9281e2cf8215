//! `ao rm`: forgets ended sessions. What stays of their work is named.

use ao_api::ClientError;
use ao_api::cleanup::RemovedSession;
use clap::Args;

use super::kill::resolve;
use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

/// Arguments of `ao rm`.
#[derive(Debug, Args)]
pub struct RmArgs {
    /// Ids, names or unique prefixes.
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,
}

pub(crate) async fn run(args: RmArgs, context: &Context<'_>, ui: &mut Ui) -> Result<(), CliError> {
    let is_one = args.ids.len() == 1;
    let mut removed: Vec<RemovedSession> = Vec::new();
    let mut failure: Option<ClientError> = None;
    for id in resolve(&args.ids, context).await? {
        match context.client.remove_session(&id).await {
            Ok(one) => removed.push(one),
            // The others are removed all the same; the first failure is the answer.
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match failure {
        // A failure leaves no JSON on standard output.
        Some(error) if ui.is_json() => Err(error.into()),
        Some(error) => show_text(&removed, ui).and(Err(error.into())),
        None if ui.is_json() && is_one => removed.first().map_or(Ok(()), |one| ui.json(one)),
        None if ui.is_json() => ui.json(&removed),
        None => show_text(&removed, ui),
    }
}

fn show_text(removed: &[RemovedSession], ui: &mut Ui) -> Result<(), CliError> {
    for one in removed {
        let mut stays: Vec<String> = Vec::new();
        stays.extend(one.branch.as_ref().map(|branch| format!("its branch {branch}")));
        stays.extend(one.preserved_ref.as_ref().map(|name| format!("its work under {name}")));
        let stays = match stays.as_slice() {
            [] => String::new(),
            [one] => format!("; {one} stays"),
            several => format!("; {} stay", several.join(" and ")),
        };
        ui.line(format!("{}: forgotten{stays}", one.id))?;
    }
    Ok(())
}
