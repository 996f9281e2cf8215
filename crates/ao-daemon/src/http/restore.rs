//! Asking for an ended session again.

use std::sync::Arc;

use ao_api::restore::{RestoreRequest as Asked, Restored};
use ao_core::ids::SessionId;
use ao_engine::RestoreRequest;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::extract::{Body, Id};
use super::{sessions, spawn};
use crate::app::App;
use crate::fault::Fault;

/// Reopens a session; its phases go on from there.
pub(crate) async fn restore(
    State(app): State<Arc<App>>,
    Id(id): Id<SessionId>,
    Body(asked): Body<Asked>,
) -> Result<(StatusCode, Json<Restored>), Fault> {
    let session = sessions::read(&app, &id).await?;
    let project = app.project(&session.record.project).await?;
    let table = app.config.project(&project.id);
    let env = spawn::environment(&project, &table, asked.caller_env, asked.env)?;
    let request = RestoreRequest { session: id.clone(), env };
    let manager = app.engine.sessions.clone();
    let work = async move { Ok(manager.restore(&request).await?) };
    let report = app.finish("restore", work).await?;
    let session = sessions::read(&app, &id).await?;
    let session = sessions::on_wire(&app, &session).await?;
    Ok((StatusCode::ACCEPTED, Json(Restored { session, lost: report.lost })))
}
