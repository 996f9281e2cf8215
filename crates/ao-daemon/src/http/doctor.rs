//! Is everything as it should be.

use std::sync::Arc;

use ao_api::agents::CallerRequest;
use ao_api::doctor::DoctorReport;
use axum::Json;
use axum::extract::State;

use super::agents;
use super::extract::Body;
use crate::app::App;
use crate::doctor;
use crate::fault::Fault;

pub(crate) async fn of_daemon(State(app): State<Arc<App>>) -> Result<Json<DoctorReport>, Fault> {
    of_caller(State(app), Body(CallerRequest::default())).await
}

pub(crate) async fn of_caller(
    State(app): State<Arc<App>>,
    Body(asked): Body<CallerRequest>,
) -> Result<Json<DoctorReport>, Fault> {
    let config = crate::config::Config::load(&app.config_files, &std::collections::BTreeMap::new());
    let place = agents::place(&app, asked).await?;
    let leftovers = app.engine.leftovers().await.map_err(|error| error.to_string());
    Ok(Json(doctor::examine(&app.layout, &config, &place, Some(leftovers)).await))
}

pub(crate) async fn fix(
    State(app): State<Arc<App>>,
    Body(asked): Body<Option<CallerRequest>>,
) -> Result<Json<DoctorReport>, Fault> {
    doctor::mend(&app.layout).map_err(Fault::from)?;
    of_caller(State(app), Body(asked.unwrap_or_default())).await
}
