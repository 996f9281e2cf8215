//! `ao show`: one session.

use ao_api::session::{Queue, Restorable, Session};
use clap::Args;
use jiff::Timestamp;

use crate::context::Context;
use crate::env;
use crate::error::CliError;
use crate::ui::{Ui, text};

/// Arguments of `ao show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Id, name or unique prefix; the session of the working directory without it.
    pub id: Option<String>,
}

pub(crate) async fn run(
    args: ShowArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let id = context.session_id(args.id.as_deref()).await?;
    let session = context.client.session(&id).await?;
    if ui.is_json() { ui.json(&session) } else { ui.write(render(&session, env::now()).as_bytes()) }
}

fn render(session: &Session, now: Timestamp) -> String {
    let lifecycle = &session.lifecycle;
    let sha = session.base.sha.as_ref().map(|sha| format!(" at {sha}")).unwrap_or_default();
    let activity = lifecycle.activity.at.as_ref().map_or_else(
        || text::or_nothing(session.activity.as_deref()),
        |at| {
            let source = text::or_nothing(lifecycle.activity.source.as_deref());
            let state = text::or_nothing(session.activity.as_deref());
            format!("{state} ({} ago, from {source})", text::age(now, at))
        },
    );
    let mut lines = vec![
        ("id", session.id.clone()),
        ("status", session.status.clone()),
        ("activity", activity),
        ("session", format!("{} ({})", lifecycle.session.state, lifecycle.session.reason)),
        ("runtime", format!("{} ({})", lifecycle.runtime.state, lifecycle.runtime.reason)),
        ("phase", session.phase.as_str().to_owned()),
        ("project", session.project.clone()),
        ("agent", session.agent.clone()),
        ("branch", text::one_line(&session.branch)),
        ("base", format!("{}{sha}", text::one_line(session.base.name.as_deref().unwrap_or("?")))),
        ("worktree", text::one_line(&session.workspace_path)),
        ("created", format!("{} ago", text::age(now, &session.created_at))),
    ];
    lines.extend(optional_lines(session));
    let lines: Vec<String> =
        lines.into_iter().map(|(name, value)| format!("{name:<10} {value}")).collect();
    text::joined(&lines)
}

/// What only some sessions have.
fn optional_lines(session: &Session) -> Vec<(&'static str, String)> {
    let own = |value: &Option<String>| value.as_deref().map(text::one_line);
    let pr = &session.lifecycle.pr;
    let candidates = [
        ("queue", session.queue.as_ref().map(queue_text)),
        ("name", own(&session.name)),
        ("issue", own(&session.issue)),
        ("model", own(&session.model)),
        ("permission", own(&session.permission_mode)),
        (
            "pr",
            pr.number.map(|n| {
                format!("#{n} {} ({}) {}", pr.state, pr.reason, text::or_nothing(pr.url.as_deref()))
            }),
        ),
        (
            "changes",
            session.changes.map(|c| format!("{} files, +{} -{}", c.files, c.added, c.removed)),
        ),
        ("tokens", tokens(session.usage.input_tokens, session.usage.output_tokens)),
        ("cost", session.usage.cost_usd.map(|usd| text::cost(Some(usd)))),
        (
            "process",
            session
                .handle
                .as_ref()
                .map(|handle| format!("{} in {} of {}", handle.pid, handle.pane, handle.socket)),
        ),
        ("exit", session.exit.as_ref().map(exit_text)),
        (
            "doubt",
            session
                .lifecycle
                .detecting
                .as_ref()
                .map(|d| format!("{} after {} looks", text::one_line(&d.evidence), d.attempts)),
        ),
        (
            "teardown",
            session
                .teardown
                .as_ref()
                .map(|t| super::kill::fate(t.workspace, t.reason.as_deref(), t.branch)),
        ),
        ("restore", session.restore.as_ref().map(|it| restore_text(session, it))),
        ("trouble", own(&session.trouble)),
    ];
    candidates.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn queue_text(queue: &Queue) -> String {
    format!("number {} of {}: {}", queue.position, queue.of, text::one_line(&queue.reason))
}

fn tokens(input: Option<u64>, output: Option<u64>) -> Option<String> {
    let count = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let is_known = input.is_some() || output.is_some();
    is_known.then(|| format!("{} in, {} out", count(input), count(output)))
}

/// What brings an ended session back, or what is in the way.
fn restore_text(session: &Session, restore: &Restorable) -> String {
    if let Some(reason) = restore.reason.as_ref().filter(|_| !restore.possible) {
        return format!("not yet: {}", text::one_line(reason));
    }
    let conversation = session.agent_session_id.as_ref();
    let conversation = conversation.map_or("", |_id| ", in the same conversation");
    format!("`ao restore {}` brings it back{conversation}", session.id)
}

fn exit_text(exit: &ao_api::session::Exit) -> String {
    match (exit.status, exit.signal) {
        (Some(status), _) => format!("status {status}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use ao_api::session::Usage;

    use super::*;
    use crate::commands::sample;

    #[test]
    fn a_session_is_shown_with_what_it_has() {
        let now = "2026-03-02T12:00:00.000Z".parse().unwrap();
        let mut session = sample::session("app-1");
        session.trouble = Some("post-create command failed".to_owned());
        session.activity = Some("idle".to_owned());
        session.lifecycle.activity.at = Some("2026-03-02T11:59:00.000Z".to_owned());
        session.lifecycle.activity.source = Some("hook".to_owned());
        session.usage =
            Usage { input_tokens: Some(1200), output_tokens: Some(34), cost_usd: Some(0.42) };
        insta::assert_snapshot!(render(&session, now), @r"
        id         app-1
        status     working
        activity   idle (1m ago, from hook)
        session    working (task_in_progress)
        runtime    alive (process_running)
        phase      running
        project    app
        agent      command
        branch     ao/app-1
        base       main at 0123abcd
        worktree   /h/worktrees/app-1
        created    4m ago
        tokens     1200 in, 34 out
        cost       $0.42
        trouble    post-create command failed
        ");
    }

    #[test]
    fn an_ended_session_says_how_to_have_it_back() {
        let mut session = sample::session("app-1");
        let restorable = |reason: Option<&str>| Restorable {
            possible: reason.is_none(),
            reason: reason.map(str::to_owned),
            lost: true,
        };
        assert_eq!(restore_text(&session, &restorable(None)), "`ao restore app-1` brings it back");
        session.agent_session_id = Some("talk".to_owned());
        assert_eq!(
            restore_text(&session, &restorable(None)),
            "`ao restore app-1` brings it back, in the same conversation"
        );
        let waiting = restorable(Some("its teardown is not finished"));
        assert_eq!(restore_text(&session, &waiting), "not yet: its teardown is not finished");
    }
}
