//! `ao cleanup`: frees what ended sessions hold whose work is merged, and says why it lets the rest
//! be.

use ao_api::cleanup::{Cleaned, CleanupAction, CleanupRequest, NOTHING_LEFT};
use clap::Args;

use crate::context::Context;
use crate::error::CliError;
use crate::ui::{Ui, text};

/// Arguments of `ao cleanup`.
#[derive(Debug, Args)]
pub struct CleanupArgs {
    /// Only sessions of this project.
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,
    /// Only say what would be done.
    #[arg(long)]
    pub dry_run: bool,
    /// Remove worktrees with unmerged or uncommitted work too; it is preserved under a ref first.
    #[arg(long)]
    pub discard: bool,
}

pub(crate) async fn run(
    args: CleanupArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let request = CleanupRequest {
        project: args.project,
        dry_run: args.dry_run,
        discard: args.discard,
        caller_pid: i32::try_from(std::process::id()).ok(),
    };
    ui.progress("looking at ended sessions …");
    let cleaned = context.client.cleanup(&request).await?;
    if ui.is_json() {
        return ui.json(&cleaned);
    }
    show_text(&cleaned, args.dry_run, ui)
}

fn show_text(cleaned: &[Cleaned], is_dry_run: bool, ui: &mut Ui) -> Result<(), CliError> {
    let mut n_empty = 0_usize;
    for one in cleaned {
        // A person is told the number of those only.
        if one.reason == NOTHING_LEFT {
            n_empty += 1;
            continue;
        }
        let done = match (one.action, is_dry_run) {
            (CleanupAction::Removed, false) => "removed",
            (CleanupAction::Removed, true) => "would be removed",
            (CleanupAction::Skipped, _) => "skipped",
        };
        ui.line(format!("{}: {done}: {}", one.id, text::one_line(&one.reason)))?;
    }
    match n_empty {
        0 if cleaned.is_empty() => ui.note("There is no session."),
        0 => {}
        1 => ui.note("1 session has nothing left to free; `ao rm` forgets it."),
        n => ui.note(format!("{n} sessions have nothing left to free; `ao rm` forgets them.")),
    }
    Ok(())
}
