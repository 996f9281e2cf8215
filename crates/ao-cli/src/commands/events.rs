//! `ao events`: every change, in the order in which it was committed.
//!
//! With `--json` each change is one line. A cursor that is too old is a line of its own, with the
//! type `reset`.

use ao_api::client::StreamItem;
use ao_api::event::{Event, EventsQuery, Reset};
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::ui::{Ui, text};

/// Arguments of `ao events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Go on, and show changes as they happen; without `--after` only those.
    #[arg(short, long)]
    pub follow: bool,
    /// Only what came after this one.
    #[arg(long, value_name = "N")]
    pub after: Option<u64>,
}

/// A reset as a line among events.
#[derive(Serialize)]
struct ResetLine {
    #[serde(rename = "type")]
    kind: &'static str,
    oldest: u64,
    head: u64,
}

pub(crate) async fn run(
    args: EventsArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    if args.follow {
        return follow(args.after, context, ui).await;
    }
    let mut after = args.after;
    loop {
        let page = context.client.events(&EventsQuery { after, limit: None }).await?;
        if let Some(reset) = page.reset {
            show_reset(reset, ui)?;
        }
        for event in &page.events {
            show(event, ui)?;
        }
        if page.events.is_empty() || page.next >= page.head {
            return Ok(());
        }
        after = Some(page.next);
    }
}

/// Follows across a restart of the daemon's stream as long as the daemon itself is there.
async fn follow(
    mut after: Option<u64>,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    loop {
        let mut stream = context.client.follow_events(after).await?;
        while let Some(item) = stream.next().await? {
            match item {
                StreamItem::Change(event) => {
                    show(&event, ui)?;
                    after = Some(event.seq);
                }
                StreamItem::Reset(reset) => show_reset(reset, ui)?,
            }
        }
    }
}

fn show(event: &Event, ui: &mut Ui) -> Result<(), CliError> {
    if ui.is_json() { ui.json_line(event) } else { ui.line(render(event)) }
}

fn show_reset(reset: Reset, ui: &mut Ui) -> Result<(), CliError> {
    if ui.is_json() {
        let Reset { oldest, head } = reset;
        return ui.json_line(&ResetLine { kind: "reset", oldest, head });
    }
    ui.note(if reset.oldest <= 1 {
        "That position is not one of this home: every change is told again.".to_owned()
    } else {
        format!("Changes before {} are no longer kept.", reset.oldest)
    });
    Ok(())
}

fn render(event: &Event) -> String {
    let about = event.session.as_deref().or(event.project.as_deref()).unwrap_or(text::NOTHING);
    let rest = [event.key.as_deref(), event.became.as_deref()];
    let rest = rest.into_iter().flatten().map(text::one_line).collect::<Vec<_>>().join(" ");
    let line = format!("{:>6}  {}  {:<18} {about}  {rest}", event.seq, event.at, event.kind);
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_one_line() {
        let event = Event {
            seq: 42,
            at: "2026-03-02T12:00:00.000Z".to_owned(),
            kind: "session.changed".to_owned(),
            project: Some("app".to_owned()),
            session: Some("app-1".to_owned()),
            revision: Some(7),
            key: None,
            became: Some("idle/task_in_progress".to_owned()),
        };
        insta::assert_snapshot!(render(&event), @"    42  2026-03-02T12:00:00.000Z  session.changed    app-1  idle/task_in_progress");
    }
}
