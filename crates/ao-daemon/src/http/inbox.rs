//! Notifications.

use std::sync::Arc;

use ao_api::inbox::{InboxItem, InboxQuery, InboxReadRequest, InboxReadResponse};
use ao_core::ids::EffectId;
use ao_core::ports::InboxFilter;
use axum::Json;
use axum::extract::State;

use super::extract::{Asked, Body};
use crate::app::App;
use crate::fault::Fault;
use crate::wire;

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<InboxQuery>,
) -> Result<Json<Vec<InboxItem>>, Fault> {
    let items = app.inbox.inbox(&InboxFilter { with_read: asked.all }).await?;
    Ok(Json(items.iter().map(wire::inbox_item).collect()))
}

pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Body(asked): Body<InboxReadRequest>,
) -> Result<Json<InboxReadResponse>, Fault> {
    let unread = app.inbox.inbox(&InboxFilter { with_read: false }).await?;
    let ids: Vec<EffectId> = unread
        .into_iter()
        .map(|item| item.notification.id)
        .filter(|id| asked.ids.iter().any(|asked| asked == id.as_str()))
        .collect();
    app.inbox.mark_read(&ids).await?;
    Ok(Json(InboxReadResponse { n_read: u64::try_from(ids.len()).unwrap_or(u64::MAX) }))
}
