//! Why a session has its status.

use std::sync::Arc;

use ao_api::explain::{Explain, ExplainFact};
use ao_core::explain::Beside;
use ao_core::ids::SessionId;
use ao_core::record::SessionState;
use ao_core::session::Session;
use axum::Json;
use axum::extract::State;

use super::extract::Id;
use super::sessions::queue_of;
use crate::app::App;
use crate::fault::Fault;
use crate::wire;

/// Journal entries that an explanation looks back on: more than the store keeps of one session.
const JOURNAL_MAX: usize = 2_048;

/// Messages that an explanation looks through: a session has far fewer that are not final.
const MESSAGES_MAX: usize = 1_000;

/// Planned notifications that it looks through; only those that did not arrive are told.
const EFFECTS_MAX: usize = 100;

/// Outages that it looks through: one for each server and boot.
const INCIDENTS_MAX: usize = 100;

/// Lines of a screen that are shown: enough for a dialog or an error, and still a part of a page.
const SCREEN_LINES_MAX: usize = 20;

pub(crate) async fn explain(
    State(app): State<Arc<App>>,
    Id(id): Id<SessionId>,
) -> Result<Json<Explain>, Fault> {
    let loaded = app.ports.sessions.load(&id).await?;
    let loaded = loaded.ok_or_else(|| Fault::session_unknown(id.as_str()))?;
    let session = loaded.session;
    let journal = app.ports.sessions.journal(&id, JOURNAL_MAX).await?;
    let deadlines = app.ports.deadlines.deadlines_of(&id).await?;
    let messages = app.ports.messages.messages_of(&id, MESSAGES_MAX).await?;
    let effects = app.ports.outbox.of_session(&id, EFFECTS_MAX).await?;
    let incidents = app.ports.incidents.incidents(INCIDENTS_MAX).await?;
    let beside = Beside {
        journal: &journal,
        deadlines: &deadlines,
        messages: &messages,
        effects: &effects,
        incidents: &incidents,
        saga: loaded.saga.as_ref(),
    };
    let policy = app.config.policy(&session.record.project);
    let now = app.ports.clock.now();
    let explained = ao_core::explain::explain(&session, &beside, &policy, &now);
    let (screen, unseen) = screen(&app, &session).await;
    let mut on_wire = wire::explain(&session, explained, screen);
    let queue = queue_of(&app, std::slice::from_ref(&session)).await?;
    on_wire.facts.extend(queue.and_then(|queue| {
        Some(ExplainFact {
            kind: "queue".to_owned(),
            value: wire::queue_words(&queue, &id)?,
            at: Some(wire::time(now.wall)),
            source: "session_manager".to_owned(),
        })
    }));
    on_wire.facts.extend(unseen.map(|why| ExplainFact {
        kind: "screen".to_owned(),
        value: format!("cannot be read: {why}"),
        at: Some(wire::time(now.wall)),
        source: "runtime".to_owned(),
    }));
    Ok(Json(on_wire))
}

/// What the terminal shows of a session of which nobody can tell what it does; or why it cannot be
/// read.
async fn screen(app: &App, session: &Session) -> (Option<String>, Option<String>) {
    if session.lifecycle.session.state != SessionState::Stuck {
        return (None, None);
    }
    match app.engine.sessions.output(&session.record.id, SCREEN_LINES_MAX).await {
        Ok(text) => (Some(text.trim_end().to_owned()), None),
        Err(error) => (None, Some(error.to_string())),
    }
}
