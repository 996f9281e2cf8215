//! `ao explain`: why a session has its status, as a text.

use ao_api::explain::{Explain, ExplainReaction};
use ao_api::message::Message;
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
    let because = text::one_line(&explain.because);
    let mut lines = vec![
        format!("{} is {}", explain.session, explain.status),
        format!("  {because}"),
        format!("  rule: {}", explain.rule),
    ];
    let mut section = |title: &str, body: Vec<String>| {
        if !body.is_empty() {
            lines.extend([String::new(), title.to_owned()]);
            lines.extend(body.into_iter().map(|line| format!("  {line}")));
        }
    };
    section("What is known", fact_lines(explain, now));
    let reactions = explain.reactions.iter().map(|reaction| reaction_line(reaction, now));
    section("What was done about it", reactions.collect());
    section("Messages on their way", explain.messages.iter().map(message_line).collect());
    let sentences = explain.would_change.iter().map(|it| format!("- {}", text::one_line(it)));
    section("What would change it", sentences.collect());
    text::joined(&lines)
}

fn message_line(message: &Message) -> String {
    let reason = message.reason.as_ref().map(|reason| format!(", {reason}")).unwrap_or_default();
    let said = text::truncate(&text::one_line(&message.text), TEXT_WIDTH_MAX);
    format!("{} {}{reason}: {said}", message.id, message.state)
}

fn fact_lines(explain: &Explain, now: Timestamp) -> Vec<String> {
    if explain.facts.is_empty() {
        return Vec::new();
    }
    let columns = [
        Column::new("FACT"),
        Column::new("VALUE"),
        Column::new("AGE").right(),
        Column::new("SOURCE"),
    ];
    let rows: Vec<Vec<String>> = explain
        .facts
        .iter()
        .map(|fact| {
            let age = fact
                .at
                .as_deref()
                .map_or_else(|| text::NOTHING.to_owned(), |at| text::age(now, at));
            vec![fact.kind.clone(), text::one_line(&fact.value), age, text::one_line(&fact.source)]
        })
        .collect();
    table::render(&columns, &rows, None).lines().map(str::to_owned).collect()
}

fn reaction_line(reaction: &ExplainReaction, now: Timestamp) -> String {
    let pr = reaction.pr.map(|number| format!(" on #{number}")).unwrap_or_default();
    let attempts = text::count(
        usize::try_from(reaction.attempts).unwrap_or(usize::MAX),
        "attempt",
        "attempts",
    );
    let since = reaction
        .first_attempt_at
        .as_deref()
        .map(|at| format!(", first {} ago", text::age(now, at)));
    let next = if reaction.escalated {
        Some(", a human was told".to_owned())
    } else {
        reaction.escalates_at.as_deref().map(|at| format!(", a human is told at {at}"))
    };
    format!(
        "{}{pr}: {attempts}{}{}",
        reaction.reaction,
        since.unwrap_or_default(),
        next.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use ao_api::explain::ExplainFact;

    use super::*;
    use crate::commands::sample;

    #[test]
    fn a_status_is_explained_in_words() {
        let fact = |kind: &str, value: &str, at: Option<&str>, source: &str| ExplainFact {
            kind: kind.to_owned(),
            value: value.to_owned(),
            at: at.map(str::to_owned),
            source: source.to_owned(),
        };
        let explain = Explain {
            session: "app-1".to_owned(),
            status: "ci_failed".to_owned(),
            rule: "pull_requests".to_owned(),
            because: "It is working/fixing_ci: check `test` of #12 failed.".to_owned(),
            facts: vec![
                fact("process", "alive", Some("2026-03-02T11:59:58.000Z"), "pidfd"),
                fact("pr", "#12 ci_failing", Some("2026-03-02T11:58:00.000Z"), "github"),
                fact("activity", "none", None, "none"),
            ],
            reactions: vec![ExplainReaction {
                reaction: "ci-failed".to_owned(),
                pr: Some(12),
                attempts: 1,
                first_attempt_at: Some("2026-03-02T11:58:00.000Z".to_owned()),
                escalates_at: None,
                escalated: false,
            }],
            messages: vec![sample::message("m-1", "queued", Some("blocked"))],
            would_change: vec!["every required check of the head passes".to_owned()],
        };
        let now = "2026-03-02T12:00:00.000Z".parse().unwrap();
        insta::assert_snapshot!(render(&explain, now), @r"
        app-1 is ci_failed
          It is working/fixing_ci: check `test` of #12 failed.
          rule: pull_requests

        What is known
          FACT      VALUE           AGE  SOURCE
          process   alive            2s  pidfd
          pr        #12 ci_failing   2m  github
          activity  none              -  none

        What was done about it
          ci-failed on #12: 1 attempt, first 2m ago

        Messages on their way
          m-1 queued, blocked: fix the login page

        What would change it
          - every required check of the head passes
        ");
    }
}
