//! What a session shows, what it changed, and how a human gets into it.

use std::sync::Arc;

use ao_api::terminal::{
    Attach, AttachQuery, Diff, DiffQuery, InterruptResponse, Output, OutputQuery,
};
use ao_core::ids::SessionId;
use ao_core::ports::{AttachMode, DiffStat, ErrorKind};
use ao_core::session::{Phase, Session};
use axum::Json;
use axum::extract::State;

use super::extract::{Asked, Id};
use super::sessions;
use crate::app::App;
use crate::fault::Fault;
use crate::wire;

/// Lines answered when no number was asked for, and at most: what a terminal keeps.
const LINES_MAX: u64 = 50_000;

/// How long the text of a diff may be before it is cut: the port's own bound.
const DIFF_BYTES_MAX: usize = 1024 * 1024;

/// Set by tmux in its panes; with them an attach inside another tmux is refused.
const OF_TMUX: [&str; 2] = ["TMUX", "TMUX_PANE"];

pub(crate) async fn output(
    State(app): State<Arc<App>>,
    Id(id): Id<SessionId>,
    Asked(asked): Asked<OutputQuery>,
) -> Result<Json<Output>, Fault> {
    let session = sessions::read(&app, &id).await?;
    let text = app.engine.sessions.output(&id, n_lines(&asked)).await?;
    let source = if session.record.phase == Phase::Ended { "last_screen" } else { "live" };
    Ok(Json(Output {
        session: id.to_string(),
        text: with_newline(text),
        source: source.to_owned(),
    }))
}

/// The end of its agent's own transcript.
pub(crate) async fn transcript(
    State(app): State<Arc<App>>,
    Id(id): Id<SessionId>,
    Asked(asked): Asked<OutputQuery>,
) -> Result<Json<Output>, Fault> {
    let text = app.engine.sessions.transcript(&id, n_lines(&asked)).await?;
    Ok(Json(Output {
        session: id.to_string(),
        text: with_newline(text),
        source: "transcript".to_owned(),
    }))
}

fn n_lines(asked: &OutputQuery) -> usize {
    usize::try_from(asked.lines.unwrap_or(LINES_MAX).min(LINES_MAX)).unwrap_or(usize::MAX)
}

/// What preparing its worktree did and printed.
pub(crate) async fn setup(
    State(app): State<Arc<App>>,
    Id(id): Id<SessionId>,
) -> Result<Json<Output>, Fault> {
    let text = app.engine.sessions.setup_log(&id).await?;
    Ok(Json(Output {
        session: id.to_string(),
        text: with_newline(text),
        source: "setup".to_owned(),
    }))
}

pub(crate) async fn diff(
    State(app): State<Arc<App>>,
    Id(id): Id<SessionId>,
    Asked(asked): Asked<DiffQuery>,
) -> Result<Json<Diff>, Fault> {
    let session = sessions::read(&app, &id).await?;
    let look = app.engine.sessions.inspect(&id).await?;
    app.diffs.note(&id, app.ports.clock.now(), &look);
    if !look.exists {
        return Err(worktree_gone(&session));
    }
    let text = if asked.stat { summary(look.diff) } else { app.engine.sessions.diff(&id).await? };
    Ok(Json(Diff {
        session: id.to_string(),
        base: wire::base(&session.record.base),
        changes: wire::changes(look.diff),
        truncated: text.len() >= DIFF_BYTES_MAX,
        text,
    }))
}

/// An empty difference would say that nothing was done.
fn worktree_gone(session: &Session) -> Fault {
    let record = &session.record;
    let path = record.workspace.path.display();
    Fault::new("WORKTREE_GONE", ErrorKind::NotFound, format!("worktree `{path}` is gone"))
        .with_hint(format!("if branch `{}` is kept, its commits stand there", record.branch))
}

pub(crate) async fn attach(
    State(app): State<Arc<App>>,
    Id(id): Id<SessionId>,
    Asked(asked): Asked<AttachQuery>,
) -> Result<Json<Attach>, Fault> {
    let mode = if asked.read_only { AttachMode::ReadOnly } else { AttachMode::Interactive };
    let command = app.engine.sessions.attach_command(&id, mode).await?;
    // The outer server gives its own variables to the window, so they are taken away inside it.
    let argv = if asked.window {
        let unset = OF_TMUX.iter().flat_map(|name| ["-u", name]);
        let outer = ["tmux", "new-window", "--", "env"].into_iter().chain(unset);
        outer.map(str::to_owned).chain(command).collect()
    } else {
        command
    };
    let unset = if asked.window { Vec::new() } else { OF_TMUX.map(str::to_owned).to_vec() };
    Ok(Json(Attach { session: id.to_string(), argv, unset, detach_key: detach_key(&app) }))
}

pub(crate) async fn interrupt(
    State(app): State<Arc<App>>,
    Id(id): Id<SessionId>,
) -> Result<Json<InterruptResponse>, Fault> {
    let session = sessions::read(&app, &id).await?;
    app.engine.sessions.interrupt(&id).await?;
    let agent = app.ports.agents.get(&session.record.agent);
    let key = agent.map_or("C-c", |agent| agent.interrupt_key());
    Ok(Json(InterruptResponse { session: id.to_string(), key: key.to_owned() }))
}

/// What leaves an attached terminal, as people say it.
fn detach_key(app: &App) -> String {
    let prefix = app.config.file.tmux.prefix.as_deref().unwrap_or("C-b");
    let spoken = match prefix.strip_prefix("C-") {
        Some(key) => format!("Ctrl-{key}"),
        None => match prefix.strip_prefix("M-") {
            Some(key) => format!("Alt-{key}"),
            None => prefix.to_owned(),
        },
    };
    format!("{spoken} d")
}

fn summary(diff: DiffStat) -> String {
    format!("{} files changed, +{} -{}\n", diff.n_files, diff.n_added, diff.n_removed)
}

fn with_newline(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
