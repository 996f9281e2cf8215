//! `ao explain`: why a session has its status, as a text.

use ao_api::explain::{Explain, ExplainIncident, ExplainMessage, ExplainReaction};
use clap::Args;
use jiff::Timestamp;

use crate::context::Context;
use crate::env;
use crate::error::CliError;
use crate::ui::table::{self, Column};
use crate::ui::{Ui, text};

/// Longest text of a message that is shown: enough to recognise it.
const TEXT_WIDTH_MAX: usize = 60;

/// Arguments of `ao explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Id, name or unique prefix; the session of the working directory without it.
    pub id: Option<String>,
}

pub(crate) async fn run(
    args: ExplainArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let id = context.session_id(args.id.as_deref()).await?;
    let explain = context.client.explain(&id).await?;
    if ui.is_json() { ui.json(&explain) } else { ui.write(render(&explain, env::now()).as_bytes()) }
}

fn render(explain: &Explain, now: Timestamp) -> String {
    let line = |text: &str| text::one_line(text);
    let mut lines = vec![
        format!("{} is {}", explain.session, explain.status),
        format!("  {}", line(&explain.because)),
        format!("  Rule `{}`: {}.", explain.rule, line(&explain.rule_says)),
    ];
    if let Some(evidence) = &explain.evidence {
        let age = explain.decided_at.as_deref().map(|at| format!(", {} ago", text::age(now, at)));
        lines.push(format!("  It saw{}: {}.", age.unwrap_or_default(), line(evidence)));
    }
    let mut section = |title: &str, body: Vec<String>| {
        if !body.is_empty() {
            lines.extend([String::new(), title.to_owned()]);
            lines.extend(body.into_iter().map(|line| format!("  {line}")));
        }
    };
    let items = |all: &[String]| all.iter().map(|it| format!("- {}", line(it))).collect::<Vec<_>>();
    section("What is known", fact_lines(explain, now));
    section("The end of its screen", screen_lines(explain));
    let outage = explain.incident.iter().map(|it| outage_line(it, now));
    section("The outage that took it", outage.collect());
    let reactions = explain.reactions.iter().flat_map(|it| reaction_lines(it, now));
    section("What is done about it", reactions.collect());
    section("Messages", explain.messages.iter().flat_map(message_lines).collect());
    let deadlines = explain.deadlines.iter().map(|it| line(&it.summary));
    section("What happens by itself", deadlines.collect());
    if let Some(restore) = &explain.restore {
        section("Bringing it back", items(&restore.summary));
        section("What does not come back", items(&restore.losses));
    }
    section("What would change it", items(&explain.would_change));
    text::joined(&lines)
}

/// What the agent wrote may hold anything: only its printable lines are shown, behind a mark.
fn screen_lines(explain: &Explain) -> Vec<String> {
    let screen = explain.screen.as_deref().map(text::clean);
    screen
        .iter()
        .flat_map(|screen| screen.lines())
        .map(|line| format!("| {line}").trim_end().to_owned())
        .collect()
}

fn outage_line(incident: &ExplainIncident, now: Timestamp) -> String {
    let at = incident.opened_at.as_deref();
    let age = at.map(|at| format!("{} ago: ", text::age(now, at))).unwrap_or_default();
    format!("{age}{}", text::one_line(&incident.summary))
}

fn message_lines(it: &ExplainMessage) -> [String; 2] {
    let message = &it.message;
    let said = text::truncate(&text::one_line(&message.text), TEXT_WIDTH_MAX);
    let from = message.reaction.as_deref().map_or_else(
        || "of a human".to_owned(),
        |reaction| format!("of the reaction `{reaction}`"),
    );
    [
        format!("{} {from}, {}: {said}", message.id, message.state),
        format!("  {}", text::one_line(&it.summary)),
    ]
}

fn fact_lines(explain: &Explain, now: Timestamp) -> Vec<String> {
    if explain.facts.is_empty() {
        return Vec::new();
    }
    let columns = [
        Column::new("FACT"),
        Column::new("AGE").right(),
        Column::new("SOURCE"),
        Column::new("VALUE"),
    ];
    let rows: Vec<Vec<String>> = explain
        .facts
        .iter()
        .map(|fact| {
            let age = fact
                .at
                .as_deref()
                .map_or_else(|| text::NOTHING.to_owned(), |at| text::age(now, at));
            vec![fact.kind.clone(), age, text::one_line(&fact.source), text::one_line(&fact.value)]
        })
        .collect();
    table::render(&columns, &rows, None).lines().map(str::to_owned).collect()
}

fn reaction_lines(reaction: &ExplainReaction, now: Timestamp) -> Vec<String> {
    let pr = reaction.pr.map(|number| format!(" #{number}")).unwrap_or_default();
    let since = text::age(now, &reaction.opened_at);
    let summary = text::one_line(&reaction.summary);
    let mut lines = vec![format!("{}{pr}, for {since}: {summary}", reaction.reaction)];
    if reaction.pr.is_some() {
        let causes =
            reaction.causes.iter().map(|cause| format!("  told: {}", text::one_line(cause)));
        lines.extend(causes);
    }
    lines
}

#[cfg(test)]
mod tests {
    use ao_api::explain::{ExplainDeadline, ExplainFact, ExplainRestore};

    use super::*;
    use crate::commands::sample;

    fn fact(kind: &str, value: &str, at: Option<&str>, source: &str) -> ExplainFact {
        ExplainFact {
            kind: kind.to_owned(),
            value: value.to_owned(),
            at: at.map(str::to_owned),
            source: source.to_owned(),
        }
    }

    #[test]
    fn a_status_is_explained_in_words() {
        let explain = Explain {
            session: "app-1".to_owned(),
            status: "ci_failed".to_owned(),
            because: "Its pull request #12 has failing checks; its agent is in the middle of a \
                      turn (working/task_in_progress)."
                .to_owned(),
            rule: "pull_requests".to_owned(),
            rule_says: "the worst open pull request is shown".to_owned(),
            evidence: Some("pull request #12 open/ci_failing".to_owned()),
            decided_at: Some("2026-03-02T11:58:00.000Z".to_owned()),
            paused_until: None,
            facts: vec![
                fact("process", "alive", Some("2026-03-02T11:59:58.000Z"), "pidfd"),
                fact("checks", "#12: failed: test", Some("2026-03-02T11:58:00.000Z"), "scm"),
                fact("review", "#12: unknown", None, "scm"),
            ],
            reactions: vec![ExplainReaction {
                reaction: "ci-failed".to_owned(),
                pr: Some(12),
                attempts: 1,
                attempts_left: Some(1),
                causes: vec!["a1/test/x".to_owned()],
                opened_at: "2026-03-02T11:58:00.000Z".to_owned(),
                first_attempt_at: Some("2026-03-02T11:58:00.000Z".to_owned()),
                escalates_at: None,
                escalated: false,
                summary: "a required check failed: its agent was told once".to_owned(),
            }],
            messages: vec![ExplainMessage {
                message: sample::message("m-1", "queued", Some("blocked")),
                summary: "waits for 3 s: a dialog is open".to_owned(),
            }],
            deadlines: vec![ExplainDeadline {
                kind: "escalate".to_owned(),
                reaction: Some("ci-failed".to_owned()),
                pr: Some(12),
                at: "2026-03-02T12:10:00.000Z".to_owned(),
                clock: "awake".to_owned(),
                summary: "in 10 min: a human is called".to_owned(),
            }],
            incident: None,
            restore: None,
            screen: None,
            would_change: vec!["every required check of the head passes".to_owned()],
        };
        let now = "2026-03-02T12:00:00.000Z".parse().unwrap();
        insta::assert_snapshot!(render(&explain, now), @r"
        app-1 is ci_failed
          Its pull request #12 has failing checks; its agent is in the middle of a turn (working/task_in_progress).
          Rule `pull_requests`: the worst open pull request is shown.
          It saw, 2m ago: pull request #12 open/ci_failing.

        What is known
          FACT     AGE  SOURCE  VALUE
          process   2s  pidfd   alive
          checks    2m  scm     #12: failed: test
          review     -  scm     #12: unknown

        What is done about it
          ci-failed #12, for 2m: a required check failed: its agent was told once
            told: a1/test/x

        Messages
          m-1 of a human, queued: fix the login page
            waits for 3 s: a dialog is open

        What happens by itself
          in 10 min: a human is called

        What would change it
          - every required check of the head passes
        ");
    }

    #[test]
    fn an_end_is_explained_with_its_outage_its_screen_and_what_a_restore_would_do() {
        let explain = Explain {
            session: "app-1".to_owned(),
            status: "terminated".to_owned(),
            because: "The tmux server died (terminated/server_gone).".to_owned(),
            rule: "server_gone".to_owned(),
            rule_says: "two witnesses say that it ended".to_owned(),
            evidence: None,
            decided_at: None,
            paused_until: None,
            facts: vec![fact("look", "server gone", Some("2026-03-02T11:59:58.000Z"), "runtime")],
            reactions: Vec::new(),
            messages: Vec::new(),
            deadlines: Vec::new(),
            incident: Some(ExplainIncident {
                id: "server_gone/1".to_owned(),
                kind: Some("server_gone".to_owned()),
                sessions: Some(2),
                opened_at: Some("2026-03-02T11:59:57.000Z".to_owned()),
                summary: "the tmux server died, under 2 sessions".to_owned(),
            }),
            restore: Some(ExplainRestore {
                possible: true,
                with_all: true,
                summary: vec!["`ao restore app-1` reopens it".to_owned()],
                losses: vec!["a turn was running".to_owned()],
            }),
            screen: Some("> go\u{1b}[2J on\n\n  tests pass".to_owned()),
            would_change: vec!["nothing but a restore".to_owned()],
        };
        let now = "2026-03-02T12:00:00.000Z".parse().unwrap();
        insta::assert_snapshot!(render(&explain, now), @r"
        app-1 is terminated
          The tmux server died (terminated/server_gone).
          Rule `server_gone`: two witnesses say that it ended.

        What is known
          FACT  AGE  SOURCE   VALUE
          look   2s  runtime  server gone

        The end of its screen
          | > go�[2J on
          |
          |   tests pass

        The outage that took it
          3s ago: the tmux server died, under 2 sessions

        Bringing it back
          - `ao restore app-1` reopens it

        What does not come back
          - a turn was running

        What would change it
          - nothing but a restore
        ");
    }
}
