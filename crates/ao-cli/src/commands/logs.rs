//! `ao logs`: what a session printed, what it prints, and what its agent wrote down.

use std::time::Duration;

use ao_api::session::Phase;
use ao_api::terminal::{Output, OutputQuery};
use clap::Args;

use crate::context::Context;
use crate::env;
use crate::error::CliError;
use crate::ui::Ui;
use crate::ui::text;

/// Between two looks of `-f`: a terminal has no event for a line, and twice a second reads along.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Lines that `-f` compares between two looks: more than an agent prints in between.
const FOLLOW_LINES: u64 = 2_000;

/// Arguments of `ao logs`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct LogsArgs {
    /// Id, name or unique prefix; the session of the working directory without it.
    pub id: Option<String>,
    /// Only the last lines.
    #[arg(short = 'n', long, value_name = "N")]
    pub lines: Option<u64>,
    /// Go on until the session ends.
    #[arg(short, long, conflicts_with_all = ["setup", "transcript"])]
    pub follow: bool,
    /// What its provisioning printed.
    #[arg(long)]
    pub setup: bool,
    /// Its agent's own transcript, a JSON object a line.
    #[arg(long, conflicts_with = "setup")]
    pub transcript: bool,
}

pub(crate) async fn run(
    args: LogsArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let id = context.session_id(args.id.as_deref()).await?;
    let query = OutputQuery { lines: args.lines };
    let output = if args.setup {
        context.client.setup(&id).await?
    } else if args.transcript {
        context.client.transcript(&id, &query).await?
    } else {
        context.client.output(&id, &query).await?
    };
    let text = args.lines.filter(|_| args.setup).map_or_else(
        || output.text.clone(),
        |n| last_lines(&output.text, usize::try_from(n).unwrap_or(usize::MAX)),
    );
    if ui.is_json() {
        ui.json_line(&Output { text, ..output })?;
    } else {
        write_text(ui, &text)?;
    }
    if args.follow { follow(&id, context, ui).await } else { Ok(()) }
}

/// Looks again and again, and shows what was not there before.
async fn follow(id: &str, context: &Context<'_>, ui: &mut Ui) -> Result<(), CliError> {
    let query = OutputQuery { lines: Some(FOLLOW_LINES) };
    let mut seen = context.client.output(id, &query).await?.text;
    loop {
        env::pause(LOOK_EVERY).await;
        // Asked for first: what is printed last is then still seen.
        let has_ended = context.client.session(id).await?.phase == Phase::Ended;
        let output = context.client.output(id, &query).await?;
        let news = appended(&seen, &output.text).to_owned();
        if !news.is_empty() && ui.is_json() {
            ui.json_line(&Output { text: news, ..output.clone() })?;
        } else if !news.is_empty() {
            write_text(ui, &news)?;
        }
        seen = output.text;
        if has_ended {
            return Ok(());
        }
    }
}

fn write_text(ui: &mut Ui, text: &str) -> Result<(), CliError> {
    let shown = if ui.is_out_terminal { text::clean(text) } else { text.to_owned() };
    ui.write(shown.as_bytes())?;
    if shown.is_empty() || shown.ends_with('\n') { Ok(()) } else { ui.write(b"\n") }
}

/// The lines of `now` below what `before` showed: the longest end of the one that the other begins
/// with. Blank lines at the end are the empty part of a screen. Where nothing is shared all is new.
fn appended<'a>(before: &str, now: &'a str) -> &'a str {
    let before: Vec<&str> = before.trim_end().lines().collect();
    let now = now.trim_end();
    let lines: Vec<&str> = now.lines().collect();
    let n_shared = (0..before.len())
        .find(|&start| before.get(start..).is_some_and(|tail| lines.starts_with(tail)))
        .map_or(0, |start| before.len() - start);
    let offset: usize = now.split_inclusive('\n').take(n_shared).map(str::len).sum();
    now.get(offset..).unwrap_or_default()
}

fn last_lines(text: &str, n: usize) -> String {
    let n_lines = text.lines().count();
    text.split_inclusive('\n').skip(n_lines.saturating_sub(n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_not_there_before_is_shown() {
        let check = |before, now, expect| assert_eq!(appended(before, now), expect);
        check("a\nb\n\n\n", "a\nb\nc\n\n", "c");
        check("a\nb\n", "b\nc\nd\n", "c\nd");
        check("a\nb\n", "a\nb\n", "");
        check("a\nb\n", "x\ny\n", "x\ny");
        check("a\na\n", "a\na\na\n", "a");
        check("", "a\n", "a");
        check("a\n", "", "");
    }

    #[test]
    fn the_last_lines_are_counted_from_the_end() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc\n");
        assert_eq!(last_lines("a\nb", 9), "a\nb");
        assert_eq!(last_lines("a\n", 0), "");
    }
}
