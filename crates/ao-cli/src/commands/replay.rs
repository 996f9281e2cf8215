//! `ao replay`: where today's rules, or another policy, would have decided otherwise.

use ao_api::replay::{Replay, ReplayEntry, ReplayRequest};
use clap::Args;

use crate::context::Context;
use crate::error::CliError;
use crate::stdin;
use crate::ui::table::Column;
use crate::ui::{Ui, text};

const COLUMNS: [Column; 6] = [
    Column::new("SEQ").right(),
    Column::new("TIME"),
    Column::new("FACT").shrinks_to(16),
    Column::new("RULE THEN"),
    Column::new("DECIDED THEN").shrinks_to(16),
    Column::new("DECIDED NOW").shrinks_to(16),
];

/// Longest text shown in a cell: enough to tell two decisions apart.
const CELL_WIDTH_MAX: usize = 160;

/// What stands for a decision that is the same.
const SAME: &str = "=";

/// Arguments of `ao replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Id, name or unique prefix; the session of the working directory without it.
    pub id: Option<String>,
    /// Try the reactions of this configuration file; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<String>,
}

pub(crate) async fn run(
    args: ReplayArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let policy = args.policy.as_deref().map(stdin::read_text).transpose()?;
    let id = context.session_id(args.id.as_deref()).await?;
    let replay = match policy {
        Some(policy) => context.client.replay_with(&id, &ReplayRequest { policy }).await?,
        None => context.client.replay(&id).await?,
    };
    if ui.is_json() {
        return ui.json(&replay);
    }
    if !replay.entries.is_empty() {
        ui.table(&COLUMNS, &replay.entries.iter().map(row).collect::<Vec<_>>())?;
    }
    ui.line(summary(&replay))
}

fn row(entry: &ReplayEntry) -> Vec<String> {
    let cell = |words: &str| text::truncate(&text::one_line(words), CELL_WIDTH_MAX);
    let now = if !entry.different {
        SAME.to_owned()
    } else if entry.rule_now == entry.rule_then {
        cell(&entry.decided_now)
    } else {
        cell(&format!("{}: {}", entry.rule_now, entry.decided_now))
    };
    vec![
        entry.seq.to_string(),
        entry.at.clone(),
        cell(&entry.fact),
        entry.rule_then.clone(),
        cell(&entry.decided_then),
        now,
    ]
}

fn summary(replay: &Replay) -> String {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let entries = text::count(number(replay.n_entries), "entry", "entries");
    let differences = text::count(number(replay.n_differences), "difference", "differences");
    match replay.after {
        Some(after) => format!("{entries} after {after}, {differences}"),
        None => format!("{entries}, {differences}"),
    }
}
