//! Is everything as it should be.

use std::sync::Arc;

use ao_api::doctor::DoctorReport;
use axum::Json;
use axum::extract::State;

use crate::app::App;
use crate::doctor;
use crate::fault::Fault;

pub(crate) async fn report(State(app): State<Arc<App>>) -> Json<DoctorReport> {
    let config = crate::config::Config::load(&app.config_files, &std::collections::BTreeMap::new());
    Json(doctor::examine(&app.layout, &config).await)
}

pub(crate) async fn fix(State(app): State<Arc<App>>) -> Result<Json<DoctorReport>, Fault> {
    doctor::mend(&app.layout).map_err(Fault::from)?;
    Ok(report(State(app)).await)
}
