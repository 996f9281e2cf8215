//! `ao replay`: where today's rules, or another policy, would have decided otherwise.

use ao_api::replay::{Replay, ReplayEntry, ReplayRequest};
use clap::Args;

use crate::context::Context;
use crate::error::CliError;
use crate::stdin;
use crate::ui::table::Column;
use crate::ui::{Ui, text};

const COLUMNS: [Column; 5] = [
    Column::new("STEP").right(),
    Column::new("TIME"),
    Column::new("FACT").shrinks_to(16),
    Column::new("RULE"),
    Column::new("DECIDED").shrinks_to(16),
];

/// Longest text shown of a decision: enough to tell two apart.
const DECISION_WIDTH_MAX: usize = 400;

/// Longest text shown in a cell.
const CELL_WIDTH_MAX: usize = 160;

/// Arguments of `ao replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Id, name or unique prefix; the session of the working directory without it.
    pub id: Option<String>,
    /// Try the reactions of this configuration file; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<String>,
    /// Show every step first, also those that are decided as they were.
    #[arg(long)]
    pub all: bool,
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
    if args.all && !replay.entries.is_empty() {
        ui.table(&COLUMNS, &replay.entries.iter().map(row).collect::<Vec<_>>())?;
        ui.line("")?;
    }
    ui.write(render(&replay).as_bytes())
}

fn row(entry: &ReplayEntry) -> Vec<String> {
    let cell = |words: &str| text::truncate(&text::one_line(words), CELL_WIDTH_MAX);
    vec![
        entry.seq.to_string(),
        entry.at.clone(),
        cell(&entry.fact),
        entry.rule_then.clone(),
        cell(&entry.decided_then),
    ]
}

/// What differs, step by step, and a last line that counts.
fn render(replay: &Replay) -> String {
    let line = |words: &str| text::truncate(&text::one_line(words), DECISION_WIDTH_MAX);
    let mut lines = Vec::new();
    if let Some(changes) = &replay.policy_changes {
        if changes.is_empty() {
            lines.push("The policy file changes no reaction of this session's project.".to_owned());
        } else {
            lines.push("The policy file changes:".to_owned());
            lines.extend(changes.iter().map(|change| format!("  {}", line(change))));
        }
        lines.push(String::new());
    }
    for entry in replay.entries.iter().filter(|entry| entry.different) {
        lines.push(format!("Step {}, {}: {}", entry.seq, entry.at, line(&entry.fact)));
        lines.push(format!("  then: {} (rule `{}`)", line(&entry.decided_then), entry.rule_then));
        lines.push(format!("  now:  {} (rule `{}`)", line(&entry.decided_now), entry.rule_now));
        lines.extend(entry.why.iter().map(|why| format!("  - {}", line(why))));
        lines.push(String::new());
    }
    if !replay.end_differences.is_empty() {
        lines.push("At the end:".to_owned());
        lines.extend(replay.end_differences.iter().map(|it| format!("  - {}", line(it))));
        lines.push(String::new());
    }
    lines.push(summary(replay));
    text::joined(&lines)
}

fn summary(replay: &Replay) -> String {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let steps = text::count(number(replay.n_entries), "step", "steps");
    let by = match &replay.policy_changes {
        None => "today's rules",
        Some(_) => "today's rules and the policy file",
    };
    let since = match (replay.n_entries, replay.after) {
        (0, _) | (_, None) => String::new(),
        (_, Some(after)) => format!(" after step {after}, the oldest state that is kept"),
    };
    let decided = format!("{steps} of {}{since}, decided again by {by}", replay.session);
    match (replay.n_differences, replay.end_differences.is_empty()) {
        (0, true) => format!("no difference: {decided}"),
        (0, false) => format!("no step differs, and the end does: {decided}"),
        (n, _) => format!("{}: {decided}", text::count(number(n), "difference", "differences")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64, why: &[&str]) -> ReplayEntry {
        let now = if why.is_empty() { "idle/x" } else { "needs_input/x" };
        ReplayEntry {
            seq,
            at: "2026-03-02T12:00:00.000Z".to_owned(),
            fact: "activity idle from hook".to_owned(),
            rule_then: "settled".to_owned(),
            decided_then: "idle/x".to_owned(),
            rule_now: "settled".to_owned(),
            decided_now: now.to_owned(),
            different: !why.is_empty(),
            why: why.iter().map(|&it| it.to_owned()).collect(),
        }
    }

    fn replay(entries: Vec<ReplayEntry>) -> Replay {
        Replay {
            session: "app-1".to_owned(),
            after: Some(3),
            policy_changes: None,
            n_entries: entries.len() as u64,
            n_differences: entries.iter().filter(|it| it.different).count() as u64,
            entries,
            end_differences: Vec::new(),
        }
    }

    #[test]
    fn a_life_that_is_decided_alike_has_no_difference_and_says_how_many_steps_that_is() {
        insta::assert_snapshot!(render(&replay(vec![entry(4, &[]), entry(7, &[])])), @"no difference: 2 steps of app-1 after step 3, the oldest state that is kept, decided again by today's rules");
        insta::assert_snapshot!(render(&replay(Vec::new())), @"no difference: 0 steps of app-1, decided again by today's rules");
        let nothing = Replay { policy_changes: Some(Vec::new()), ..replay(vec![entry(4, &[])]) };
        insta::assert_snapshot!(render(&nothing), @r"
        The policy file changes no reaction of this session's project.

        no difference: 1 step of app-1 after step 3, the oldest state that is kept, decided again by today's rules and the policy file
        ");
    }

    #[test]
    fn a_difference_shows_its_step_what_was_decided_what_would_be_and_why() {
        let told = Replay {
            policy_changes: Some(vec![
                "`agent-stuck`: `enabled` is false, and was true".to_owned(),
            ]),
            end_differences: vec!["the session is idle/x, and would be needs_input/x".to_owned()],
            ..replay(vec![
                entry(4, &[]),
                entry(7, &["the session is needs_input/x, and was idle/x", "no more: tells"]),
            ])
        };
        insta::assert_snapshot!(render(&told), @r"
        The policy file changes:
          `agent-stuck`: `enabled` is false, and was true

        Step 7, 2026-03-02T12:00:00.000Z: activity idle from hook
          then: idle/x (rule `settled`)
          now:  needs_input/x (rule `settled`)
          - the session is needs_input/x, and was idle/x
          - no more: tells

        At the end:
          - the session is idle/x, and would be needs_input/x

        1 difference: 2 steps of app-1 after step 3, the oldest state that is kept, decided again by today's rules and the policy file
        ");
    }

    #[test]
    fn an_end_that_differs_is_no_agreement() {
        let told = Replay {
            end_differences: vec!["its activity is idle, and would be active".to_owned()],
            ..replay(vec![entry(4, &[])])
        };
        insta::assert_snapshot!(render(&told), @r"
        At the end:
          - its activity is idle, and would be active

        no step differs, and the end does: 1 step of app-1 after step 3, the oldest state that is kept, decided again by today's rules
        ");
    }
}
