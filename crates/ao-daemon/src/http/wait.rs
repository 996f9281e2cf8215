//! Answers that are held back until something holds: woken by the change feed, never polled.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ao_api::message::{MessageGoal, MessageWaitQuery, MessageWaitResponse};
use ao_api::session::{Phase, WAIT_MS_MAX, WaitOutcome, WaitQuery, WaitResponse};
use ao_core::ids::{MessageId, SessionId};
use ao_core::message::{Message, MessageReason, MessageState};
use ao_core::ports::ErrorKind;
use ao_core::record::ActivityState;
use ao_core::session::Session;
use ao_core::status::{Status, status};
use axum::Json;
use axum::extract::State;

use super::extract::{Asked, Id};
use super::sessions;
use crate::app::App;
use crate::fault::Fault;
use crate::stop::Urgency;
use crate::wire;

/// Waits until a session is as asked.
pub(crate) async fn session(
    State(app): State<Arc<App>>,
    Id(id): Id<SessionId>,
    Asked(asked): Asked<WaitQuery>,
) -> Result<Json<WaitResponse>, Fault> {
    let statuses = statuses(asked.status.as_deref().unwrap_or_default())?;
    if statuses.is_empty() && asked.left_phase.is_none() {
        return Err(Fault::malformed("neither `status` nor `left_phase` was given"));
    }
    let read = || {
        let (app, id) = (Arc::clone(&app), id.clone());
        async move { sessions::read(&app, &id).await }
    };
    let judge = |session: &Session| session_outcome(session, &statuses, asked.left_phase);
    let (outcome, session) = wait(&app, asked.timeout_ms, read, judge).await?;
    Ok(Json(WaitResponse { outcome, session: wire::session(&session, None, None) }))
}

/// Waits until a message got as far as asked.
pub(crate) async fn message(
    State(app): State<Arc<App>>,
    Id(id): Id<MessageId>,
    Asked(asked): Asked<MessageWaitQuery>,
) -> Result<Json<MessageWaitResponse>, Fault> {
    let read = || {
        let (app, id) = (Arc::clone(&app), id.clone());
        async move {
            let message = app.ports.messages.message(&id).await?.ok_or_else(|| {
                let what = format!("there is no message `{id}`");
                Fault::new("MESSAGE_UNKNOWN", ErrorKind::NotFound, what)
            })?;
            let session = sessions::read(&app, &message.session).await?;
            Ok((message, session))
        }
    };
    let judge =
        |(message, session): &(Message, Session)| message_outcome(message, session, asked.goal);
    let (outcome, (message, _)) = wait(&app, asked.timeout_ms, read, judge).await?;
    Ok(Json(MessageWaitResponse { outcome, receipt: wire::receipt(&message) }))
}

/// Reads now and after every change until there is an outcome, time runs out, or the daemon ends.
async fn wait<T, R, F>(
    app: &App,
    timeout_ms: Option<u64>,
    read: R,
    judge: impl Fn(&T) -> Option<WaitOutcome>,
) -> Result<(WaitOutcome, T), Fault>
where
    R: Fn() -> F,
    F: Future<Output = Result<T, Fault>>,
{
    let for_max = Duration::from_millis(timeout_ms.unwrap_or(WAIT_MS_MAX).min(WAIT_MS_MAX));
    let mut timer = app.ports.clock.sleep(for_max);
    loop {
        // The cursor is read before the question, so a change in between ends the wait.
        let cursor = app.ports.feed.head().await?;
        let seen = read().await?;
        if let Some(outcome) = judge(&seen) {
            return Ok((outcome, seen));
        }
        tokio::select! {
            () = app.stop.reached(Urgency::Graceful) => return Err(Fault::stopping()),
            () = &mut timer => return Ok((WaitOutcome::TimedOut, seen)),
            woken = app.ports.feed.wait_after(cursor) => woken?,
        }
    }
}

fn statuses(text: &str) -> Result<BTreeSet<Status>, Fault> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    names
        .map(|name| {
            name.parse().map_err(|_unknown| {
                let all: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
                Fault::malformed(format!("there is no status `{name}`"))
                    .with_hint(format!("statuses are {}", all.join(", ")))
            })
        })
        .collect()
}

fn session_outcome(
    session: &Session,
    statuses: &BTreeSet<Status>,
    left_phase: Option<Phase>,
) -> Option<WaitOutcome> {
    let has_left = left_phase.is_some_and(|phase| phase.as_str() != session.record.phase.as_str());
    if statuses.contains(&status(session)) || has_left {
        Some(WaitOutcome::Reached)
    } else if session.lifecycle.is_terminal() {
        Some(WaitOutcome::Over)
    } else {
        None
    }
}

/// How far a message got, and whether that is far enough, or as far as it will ever get.
fn message_outcome(message: &Message, session: &Session, goal: MessageGoal) -> Option<WaitOutcome> {
    let launch = session.lifecycle.launch.as_ref();
    let cannot_confirm = message.reason == Some(MessageReason::CannotConfirm)
        || launch.is_some_and(|launch| !launch.traits.signals.has_submit());
    let is_idle_since = session.lifecycle.activity.is_some_and(|activity| {
        activity.state == ActivityState::Idle && activity.at.is_after(&message.updated_at)
    });
    let (is_reached, is_over) = match message.state {
        MessageState::Queued | MessageState::Typing => (false, false),
        MessageState::Typed => match goal {
            MessageGoal::Typed => (true, false),
            MessageGoal::Submitted | MessageGoal::Acknowledged => (false, cannot_confirm),
            // One that confirms has not taken it in yet: it rests from what was before.
            MessageGoal::Idle => (cannot_confirm && is_idle_since, false),
        },
        MessageState::Submitted => match goal {
            MessageGoal::Typed | MessageGoal::Submitted => (true, false),
            MessageGoal::Acknowledged => (false, false),
            MessageGoal::Idle => (is_idle_since, false),
        },
        MessageState::Acknowledged => match goal {
            MessageGoal::Typed | MessageGoal::Submitted | MessageGoal::Acknowledged => {
                (true, false)
            }
            MessageGoal::Idle => (is_idle_since, false),
        },
        MessageState::Refused
        | MessageState::Expired
        | MessageState::Superseded
        | MessageState::Cancelled
        | MessageState::InDoubt => (false, true),
    };
    if is_reached {
        Some(WaitOutcome::Reached)
    } else if is_over || session.lifecycle.is_terminal() {
        Some(WaitOutcome::Over)
    } else {
        None
    }
}
