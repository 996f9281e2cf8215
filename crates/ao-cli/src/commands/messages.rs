//! `ao messages`: what was said to a session, and how far each message got.

use ao_api::message::Message;
use clap::Args;
use jiff::Timestamp;

use crate::context::Context;
use crate::env;
use crate::error::CliError;
use crate::ui::table::Column;
use crate::ui::{Ui, text};

const COLUMNS: [Column; 6] = [
    Column::new("ID").shrinks_to(8),
    Column::new("FROM"),
    Column::new("STATE"),
    Column::new("REASON"),
    Column::new("AGE").right(),
    Column::new("TEXT").shrinks_to(16),
];

/// Longest text shown: a line of a wide terminal.
const TEXT_WIDTH_MAX: usize = 120;

/// Arguments of `ao messages`.
#[derive(Debug, Args)]
pub struct MessagesArgs {
    /// Id, name or unique prefix; the session of the working directory without it.
    pub id: Option<String>,
}

pub(crate) async fn run(
    args: MessagesArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let id = context.session_id(args.id.as_deref()).await?;
    let messages = context.client.messages(&id).await?;
    if ui.is_json() {
        return ui.json(&messages);
    }
    if messages.is_empty() {
        ui.note(format!("Nothing was said to {id}; `ao send {id} TEXT` says something."));
        return Ok(());
    }
    ui.table(&COLUMNS, &rows(&messages, env::now()))
}

fn rows(messages: &[Message], now: Timestamp) -> Vec<Vec<String>> {
    let row = |message: &Message| {
        vec![
            message.id.clone(),
            message.reaction.clone().unwrap_or_else(|| message.lane.clone()),
            message.state.clone(),
            text::or_nothing(message.reason.as_deref()),
            text::age(now, &message.created_at),
            text::truncate(&text::one_line(&message.text), TEXT_WIDTH_MAX),
        ]
    };
    messages.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::sample;

    #[test]
    fn a_receipt_says_how_far_a_message_got_and_why() {
        let messages = [
            sample::message("m-1", "acknowledged", None),
            Message {
                lane: "automatic".to_owned(),
                reaction: Some("ci-failed".to_owned()),
                ..sample::message("m-2", "queued", Some("blocked"))
            },
        ];
        let now = "2026-03-02T12:00:00.000Z".parse().unwrap();
        insta::assert_snapshot!(crate::ui::table::render(&COLUMNS, &rows(&messages, now), Some(70)), @r"
        ID   FROM       STATE         REASON   AGE  TEXT
        m-1  human      acknowledged  -         1m  fix the login page
        m-2  ci-failed  queued        blocked   1m  fix the login page
        ");
    }
}
