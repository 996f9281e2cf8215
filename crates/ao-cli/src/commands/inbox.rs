//! `ao inbox`: what needs a human. Looking marks nothing as read; `--read` does.

use ao_api::inbox::{InboxItem, InboxQuery, InboxReadRequest};
use clap::Args;
use jiff::Timestamp;

use crate::context::Context;
use crate::env;
use crate::error::CliError;
use crate::ui::table::Column;
use crate::ui::{Ui, text};

const COLUMNS: [Column; 5] = [
    Column::new("AGE").right(),
    Column::new("PRIORITY"),
    Column::new("SESSION").shrinks_to(10),
    Column::new("REACTION").shrinks_to(12),
    Column::new("TITLE").shrinks_to(16),
];

/// Arguments of `ao inbox`.
#[derive(Debug, Args)]
pub struct InboxArgs {
    /// What was read, too.
    #[arg(long, short)]
    pub all: bool,
    /// Mark what is shown as read.
    #[arg(long)]
    pub read: bool,
}

pub(crate) async fn run(
    args: InboxArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let items = context.client.inbox(&InboxQuery { all: args.all }).await?;
    if ui.is_json() {
        ui.json(&items)?;
    } else if items.is_empty() {
        ui.note("Nothing needs you.");
    } else {
        let now = env::now();
        let rows: Vec<Vec<String>> = items.iter().map(|item| row(item, now)).collect();
        ui.table(&COLUMNS, &rows)?;
    }
    if args.read && !items.is_empty() {
        let ids = items.into_iter().map(|item| item.id).collect();
        context.client.inbox_read(&InboxReadRequest { ids }).await?;
    }
    Ok(())
}

fn row(item: &InboxItem, now: Timestamp) -> Vec<String> {
    vec![
        text::age(now, &item.at),
        item.priority.clone(),
        text::or_nothing(item.session.as_deref().or(item.project.as_deref())),
        item.reaction.clone(),
        text::one_line(&item.title),
    ]
}
