//! The configuration, as far as clients see it.

use std::sync::Arc;

use ao_api::config::{ConfigCheck, ConfigView};
use axum::Json;
use axum::extract::State;

use crate::app::App;
use crate::config;
use crate::fault::Fault;
use crate::offline;

pub(crate) async fn show(State(app): State<Arc<App>>) -> Result<Json<ConfigView>, Fault> {
    let view = offline::view(&app.config, &app.config_files);
    view.map(Json).map_err(|error| Fault::bug(error.to_string()))
}

/// The file as it is on disk now; the daemon goes on with what it started with.
pub(crate) async fn check(State(app): State<Arc<App>>) -> Json<ConfigCheck> {
    Json(offline::config_check(&app.config_files, &std::collections::BTreeMap::new()))
}

pub(crate) async fn schema() -> Json<serde_json::Value> {
    Json(config::schema())
}
