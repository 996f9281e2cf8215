//! The routes of `ao-api`, one file for each resource.
//!
//! A handler reads what was asked, calls one thing and puts the answer on the wire. It decides
//! nothing about sessions.

mod agents;
mod cleanup;
mod config;
mod doctor;
mod events;
mod explain;
mod extract;
mod inbox;
mod layers;
mod messages;
mod projects;
mod replay;
mod restore;
mod serve;
mod sessions;
pub(crate) mod signal;
mod spawn;
mod status;
mod terminal;
mod wait;

use std::sync::Arc;

use ao_api::routes as at;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::app::App;

pub(crate) use serve::serve;

/// Largest request: a message of a megabyte with every byte escaped is refused, one of text fits.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Every route.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route(at::STATUS, get(status::status))
        .route(at::SHUTDOWN, post(status::shutdown))
        .route(at::AGENTS, get(agents::of_daemon).post(agents::of_caller))
        .route(at::DOCTOR, get(doctor::of_daemon).post(doctor::of_caller))
        .route(at::DOCTOR_FIX, post(doctor::fix))
        .route(at::CONFIG, get(config::show))
        .route(at::CONFIG_CHECK, get(config::check))
        .route(at::CONFIG_SCHEMA, get(config::schema))
        .route(at::PROJECTS, get(projects::list).post(projects::add))
        .route(at::PROJECT, get(projects::show).delete(projects::remove))
        .route(at::RESOLVE, get(sessions::resolve))
        .route(at::SESSIONS, get(sessions::list).post(spawn::spawn))
        .route(at::SESSION, get(sessions::show).delete(cleanup::remove))
        .route(at::SESSION_WAIT, get(wait::session))
        .route(at::SESSION_KILL, post(sessions::kill))
        .route(at::SESSION_RESTORE, post(restore::restore))
        .route(at::SESSION_RECOVER, post(cleanup::recover))
        .route(at::CLEANUP, post(cleanup::cleanup))
        .route(at::SESSION_INTERRUPT, post(terminal::interrupt))
        .route(at::SESSION_RENAME, post(sessions::rename))
        .route(at::SESSION_MESSAGES, get(messages::list).post(messages::send))
        .route(at::MESSAGE_WAIT, get(wait::message))
        .route(at::SESSION_OUTPUT, get(terminal::output))
        .route(at::SESSION_SETUP, get(terminal::setup))
        .route(at::SESSION_TRANSCRIPT, get(terminal::transcript))
        .route(at::SESSION_DIFF, get(terminal::diff))
        .route(at::SESSION_ATTACH, get(terminal::attach))
        .route(at::SESSION_EXPLAIN, get(explain::explain))
        .route(at::SESSION_REPLAY, get(replay::of_today).post(replay::with_policy))
        .route(at::SESSION_SIGNAL, post(signal::signal))
        .route(at::INBOX, get(inbox::list))
        .route(at::INBOX_READ, post(inbox::read))
        .route(at::EVENTS, get(events::page))
        .route(at::EVENTS_STREAM, get(events::stream))
        .method_not_allowed_fallback(layers::unknown_method)
        .fallback(layers::unknown_route)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(&app), layers::around))
        .with_state(app)
}
