//! Messages to agents.

use std::sync::Arc;

use ao_api::message::{Message as WireMessage, SendRequest as Asked, SendResponse};
use ao_core::ids::{IdempotencyKey, SessionId};
use ao_engine::SendRequest;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::extract::{Body, Id};
use super::sessions;
use crate::app::App;
use crate::fault::Fault;
use crate::wire;

/// Messages listed: what a person scrolls through.
const MESSAGES_MAX: usize = 200;

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Id(id): Id<SessionId>,
) -> Result<Json<Vec<WireMessage>>, Fault> {
    sessions::read(&app, &id).await?;
    let messages = app.ports.messages.messages_of(&id, MESSAGES_MAX).await?;
    Ok(Json(messages.iter().map(wire::message).collect()))
}

/// Queues a message; how far it gets is waited for elsewhere.
pub(crate) async fn send(
    State(app): State<Arc<App>>,
    Id(id): Id<SessionId>,
    Body(asked): Body<Asked>,
) -> Result<(StatusCode, Json<SendResponse>), Fault> {
    let request = SendRequest {
        session: id,
        text: asked.text,
        idempotency_key: asked.idempotency_key.map(IdempotencyKey::new),
    };
    let messenger = app.engine.messenger.clone();
    let work = async move { Ok(messenger.send(request).await?) };
    let message = app.finish("send", work).await?;
    Ok((StatusCode::ACCEPTED, Json(wire::receipt(&message))))
}
