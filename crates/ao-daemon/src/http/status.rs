//! The daemon about itself, and its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ao_api::status::{DaemonStatus, Scm, SessionCounts, ShutdownRequest, ShutdownResponse};
use ao_core::ports::{RemovalMode, SessionFilter};
use ao_core::session::{Phase, Session};
use ao_core::status::status as display_status;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::extract::Body;
use crate::app::App;
use crate::fault::Fault;
use crate::spool;
use crate::wire;

pub(crate) async fn status(State(app): State<Arc<App>>) -> Result<Json<DaemonStatus>, Fault> {
    let filter = SessionFilter { project: None, with_terminal: true };
    let sessions = app.ports.sessions.list(&filter).await?;
    let projects = app.ports.projects.projects().await?;
    let mut tmux_sockets: BTreeSet<String> = projects
        .iter()
        .map(|project| app.layout.tmux_socket(project.id.as_str()).display().to_string())
        .collect();
    // A server outlives the project that it was made for.
    tmux_sockets.extend(sessions.iter().filter_map(|session| {
        let handle = session.record.handle.as_ref()?;
        (!session.lifecycle.is_terminal()).then(|| handle.server.socket.display().to_string())
    }));
    Ok(Json(DaemonStatus {
        pid: own_pid(),
        version: ao_api::VERSION.to_owned(),
        api_version: ao_api::API_VERSION,
        home: app.layout.home().display().to_string(),
        socket: app.layout.socket().display().to_string(),
        tmux_sockets: tmux_sockets.into_iter().collect(),
        ready: app.is_ready(),
        started_at: wire::time(app.started_at),
        capacity: wire::capacity(&app.engine.sessions.places().await?),
        sessions: counts(&sessions),
        scm: Scm {
            state: "off".to_owned(),
            reason: Some("this version does not observe pull requests".to_owned()),
        },
        spool: spool::counts(&app.layout),
    }))
}

/// Answers, then ends the daemon. With `sessions` the agents end first.
pub(crate) async fn shutdown(
    State(app): State<Arc<App>>,
    Body(asked): Body<ShutdownRequest>,
) -> Result<(StatusCode, Json<ShutdownResponse>), Fault> {
    let mut ended = Vec::new();
    if asked.sessions {
        if !app.is_ready() {
            return Err(Fault::starting());
        }
        let filter = SessionFilter { project: None, with_terminal: false };
        let mut sessions = app.ports.sessions.list(&filter).await?;
        // Those that wait first: a place that becomes free would start them.
        sessions.sort_by_key(|session| session.record.phase != Phase::Queued);
        for session in sessions {
            let manager = app.engine.sessions.clone();
            let id = session.record.id.clone();
            let work = async move { Ok(manager.kill(&id, RemovalMode::Careful, None).await?) };
            app.finish("kill", work).await?;
            ended.push(session.record.id.to_string());
        }
    }
    app.stop.request();
    Ok((StatusCode::ACCEPTED, Json(ShutdownResponse { pid: own_pid(), sessions: ended })))
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_pid()
}

fn counts(sessions: &[Session]) -> SessionCounts {
    let mut by_status: BTreeMap<String, u64> = BTreeMap::new();
    for session in sessions {
        let n = by_status.entry(display_status(session).to_string()).or_default();
        *n = n.saturating_add(1);
    }
    SessionCounts {
        total: count(sessions.iter()),
        live: count(sessions.iter().filter(|session| !session.lifecycle.is_terminal())),
        by_status,
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    u64::try_from(items.count()).unwrap_or(u64::MAX)
}
