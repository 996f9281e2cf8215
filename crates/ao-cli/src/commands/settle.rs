//! Waiting until a launch has come to its end: the agent runs, or it could not be started.

use ao_api::error::STOPPING;
use ao_api::session::{Phase, Session, WAIT_MS_MAX, WaitOutcome, WaitQuery};
use ao_api::{ClientError, ErrorKind};

use crate::context::Context;
use crate::error::CliError;

/// What launches, and the words for what may go wrong with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verb {
    /// `started`, `restored`.
    pub(crate) done: &'static str,
    /// Code of a launch that failed.
    pub(crate) failed: &'static str,
    /// Code of a launch that meets the same trouble again and again.
    pub(crate) in_trouble: &'static str,
}

/// `ao spawn`.
pub(crate) const SPAWN: Verb =
    Verb { done: "started", failed: "SPAWN_FAILED", in_trouble: "SPAWN_IN_TROUBLE" };

/// `ao restore`.
pub(crate) const RESTORE: Verb =
    Verb { done: "restored", failed: "RESTORE_FAILED", in_trouble: "RESTORE_IN_TROUBLE" };

/// Waits until the agent runs or cannot be started. A session that waits for a free place is left
/// waiting, and so is one whose start meets the same trouble again and again: nobody knows for how
/// long.
pub(crate) async fn settle(
    mut session: Session,
    verb: Verb,
    context: &Context<'_>,
    mut progress: impl FnMut(String),
) -> Result<Session, CliError> {
    let Verb { done, failed, in_trouble } = verb;
    while !session.phase.is_settled() && session.phase != Phase::Queued {
        progress(format!("{}: {} …", session.id, doing(session.phase)));
        let query = WaitQuery {
            status: None,
            left_phase: Some(session.phase),
            timeout_ms: Some(WAIT_MS_MAX),
        };
        let waited = context.client.wait(&session.id, &query).await;
        let waited = waited.map_err(|error| left_behind(&error, &session.id, verb))?;
        session = waited.session;
        if let (WaitOutcome::TimedOut, Some(trouble)) = (waited.outcome, &session.trouble) {
            let message = format!("{} is not {done} yet: {trouble}", session.id);
            return Err(CliError::new(ErrorKind::NotConfirmed, in_trouble, message)
                .hint(format!("it is tried again; `ao kill {}` gives up", session.id)));
        }
    }
    match session.phase {
        Phase::Ended if session.lifecycle.session.reason == "spawn_failed" => {
            let because = session.trouble.as_deref().unwrap_or("the cause is not known");
            let message = format!("{} was not {done}: {because}", session.id);
            Err(CliError::new(ErrorKind::Failed, failed, message)
                .hint(format!("`ao explain {}` says more", session.id)))
        }
        // An agent may be quick: what ended well or was killed meanwhile did start.
        Phase::Queued
        | Phase::Worktree
        | Phase::Provision
        | Phase::Runtime
        | Phase::Running
        | Phase::Ended => Ok(session),
    }
}

/// A start whose daemon went away is journalled: the next daemon goes on with it.
fn left_behind(error: &ClientError, id: &str, verb: Verb) -> CliError {
    let mut body = error.body();
    if body.kind == ErrorKind::Unreachable || body.code == STOPPING {
        body.message = format!("{id} is not {} yet: {}", verb.done, body.message);
        body.hint = Some(format!("`ao start` goes on with it; `ao kill {id}` gives up then"));
    }
    CliError::Own(body)
}

const fn doing(phase: Phase) -> &'static str {
    match phase {
        Phase::Queued => "waiting for a free place",
        Phase::Worktree => "making the worktree",
        Phase::Provision => "preparing the worktree",
        Phase::Runtime => "starting the agent",
        Phase::Running => "running",
        Phase::Ended => "ended",
    }
}

/// The failure, naming the sessions that came up all the same: their ids are lost otherwise.
pub(crate) fn name_others(error: CliError, verb: Verb, ids: &[&str]) -> CliError {
    if ids.is_empty() {
        return error;
    }
    let mut body = error.body();
    body.message = format!("{} ({} all the same: {})", body.message, verb.done, ids.join(", "));
    CliError::Own(body)
}
