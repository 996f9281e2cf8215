//! Freeing what ended sessions hold, getting back what was set aside, forgetting records.

use std::sync::Arc;

use ao_api::cleanup::{Cleaned, CleanupRequest as Asked, Recovered, RemovedSession};
use ao_core::ids::{Pid, ProjectId, SessionId};
use ao_engine::CleanupRequest;
use axum::Json;
use axum::extract::State;

use super::extract::{Body, Id};
use super::sessions;
use crate::app::App;
use crate::fault::Fault;
use crate::wire;

pub(crate) async fn cleanup(
    State(app): State<Arc<App>>,
    Body(asked): Body<Asked>,
) -> Result<Json<Vec<Cleaned>>, Fault> {
    let project = match asked.project.as_deref() {
        Some(id) => Some(app.project(&ProjectId::parse(id)?).await?.id),
        None => None,
    };
    let request = CleanupRequest {
        project,
        is_dry_run: asked.dry_run,
        discard: asked.discard,
        caller: asked.caller_pid.map(Pid),
    };
    let manager = app.engine.sessions.clone();
    let work = async move { Ok(manager.cleanup(&request).await?) };
    let cleaned = app.finish("cleanup", work).await?;
    Ok(Json(cleaned.iter().map(wire::cleaned).collect()))
}

pub(crate) async fn recover(
    State(app): State<Arc<App>>,
    Id(id): Id<SessionId>,
) -> Result<Json<Recovered>, Fault> {
    let manager = app.engine.sessions.clone();
    let session = id.clone();
    let work = async move { Ok(manager.recover(&session).await?) };
    let recovery = app.finish("recover", work).await?;
    Ok(Json(wire::recovered(&id, &recovery)))
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Id(id): Id<SessionId>,
) -> Result<Json<RemovedSession>, Fault> {
    let removed = wire::removed(&sessions::read(&app, &id).await?.record);
    let manager = app.engine.sessions.clone();
    let work = async move { Ok(manager.remove(&id).await?) };
    app.finish("remove", work).await?;
    Ok(Json(removed))
}
