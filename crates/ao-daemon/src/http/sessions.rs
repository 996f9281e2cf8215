//! Sessions: read, named, explained, ended.

use std::path::Path;
use std::sync::Arc;

use ao_api::kill::{KillRequest, KillResponse};
use ao_api::session::{
    RenameRequest, ResolveQuery, Resolved, Session as WireSession, SessionsQuery,
};
use ao_core::ids::{Pid, ProjectId, SessionId};
use ao_core::ports::{RemovalMode, SessionFilter};
use ao_core::session::{Phase, Session};
use ao_engine::PlacesReport;
use axum::Json;
use axum::extract::State;

use super::extract::{Asked, Body, Id};
use crate::app::App;
use crate::fault::Fault;
use crate::resolve;
use crate::wire;

/// Longest name of a session: it has to fit into a table.
const NAME_CHARS_MAX: usize = 60;

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<SessionsQuery>,
) -> Result<Json<Vec<WireSession>>, Fault> {
    let project = match asked.project.as_deref() {
        Some(id) => Some(app.project(&ProjectId::parse(id)?).await?.id),
        None => None,
    };
    let filter = SessionFilter { project, with_terminal: asked.all };
    let sessions = app.ports.sessions.list(&filter).await?;
    let manager = &app.engine.sessions;
    let diffs = app.diffs.of(&sessions, manager, app.ports.clock.as_ref()).await;
    let queue = queue_of(&app, &sessions).await?;
    let on_wire = sessions.iter().map(|it| {
        let id = &it.record.id;
        wire::session(it, diffs.get(id).copied(), queue.as_ref().and_then(|it| wire::queue(it, id)))
    });
    Ok(Json(on_wire.collect()))
}

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Id(id): Id<SessionId>,
) -> Result<Json<WireSession>, Fault> {
    Ok(Json(on_wire(&app, &read(&app, &id).await?).await?))
}

pub(crate) async fn resolve(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<ResolveQuery>,
) -> Result<Json<Resolved>, Fault> {
    let filter = SessionFilter { project: None, with_terminal: true };
    let sessions = app.ports.sessions.list(&filter).await?;
    let session = match (asked.q.as_deref(), asked.cwd.as_deref()) {
        (Some(text), _) => resolve::by_text(&sessions, text)?,
        (None, Some(cwd)) => resolve::by_directory(&sessions, Path::new(cwd))?,
        (None, None) => return Err(Fault::malformed("neither `q` nor `cwd` was given")),
    };
    Ok(Json(Resolved { session: session.to_string() }))
}

pub(crate) async fn rename(
    State(app): State<Arc<App>>,
    Id(id): Id<SessionId>,
    Body(asked): Body<RenameRequest>,
) -> Result<Json<WireSession>, Fault> {
    let name = checked_name(&asked.name)?;
    app.engine.sessions.rename(&id, name).await?;
    show(State(app), Id(id)).await
}

pub(crate) async fn kill(
    State(app): State<Arc<App>>,
    Id(id): Id<SessionId>,
    Body(asked): Body<KillRequest>,
) -> Result<Json<KillResponse>, Fault> {
    let mode = if asked.discard { RemovalMode::Discard } else { RemovalMode::Careful };
    let manager = app.engine.sessions.clone();
    let caller = asked.caller_pid.map(Pid);
    let work = async move { Ok(manager.kill(&id, mode, caller).await?) };
    let report = app.finish("kill", work).await?;
    Ok(Json(wire::kill(&report)))
}

/// Reads a session.
pub(crate) async fn read(app: &App, id: &SessionId) -> Result<Session, Fault> {
    let session = app.ports.sessions.get(id).await?;
    session.ok_or_else(|| Fault::session_unknown(id.as_str()))
}

/// Who waits for a place; not asked for when none of these sessions does.
pub(crate) async fn queue_of(
    app: &App,
    sessions: &[Session],
) -> Result<Option<PlacesReport>, Fault> {
    if sessions.iter().all(|session| session.record.phase != Phase::Queued) {
        return Ok(None);
    }
    Ok(Some(app.engine.sessions.places().await?))
}

/// A session on the wire, with what it changed.
pub(crate) async fn on_wire(app: &App, session: &Session) -> Result<WireSession, Fault> {
    let (manager, clock) = (&app.engine.sessions, app.ports.clock.as_ref());
    let sessions = std::slice::from_ref(session);
    let diffs = app.diffs.of(sessions, manager, clock).await;
    let queue = queue_of(app, sessions).await?;
    let id = &session.record.id;
    let queue = queue.as_ref().and_then(|it| wire::queue(it, id));
    Ok(wire::session(session, diffs.get(id).copied(), queue))
}

/// A name for people; none when it is empty.
pub(crate) fn checked_name(name: &str) -> Result<Option<String>, Fault> {
    let name = name.trim();
    if name.chars().any(char::is_control) {
        return Err(Fault::malformed("a name is one line of printable characters"));
    }
    if name.chars().count() > NAME_CHARS_MAX {
        return Err(Fault::malformed(format!("a name has at most {NAME_CHARS_MAX} characters")));
    }
    Ok(Some(name).filter(|name| !name.is_empty()).map(str::to_owned))
}
