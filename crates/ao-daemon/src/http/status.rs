//! The daemon about itself, and its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ao_api::status::{DaemonStatus, Scm, SessionCounts, ShutdownRequest, ShutdownResponse};
use ao_core::ids::SessionId;
use ao_core::ports::{RemovalMode, SessionFilter};
use ao_core::session::{Phase, Session};
use ao_core::status::status as display_status;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::stream::{self, StreamExt as _};

use super::extract::Body;
use crate::app::App;
use crate::fault::Fault;
use crate::spool;
use crate::wire;

/// Kills at the same time: most of one is waiting for processes to end.
const KILLS_AT_ONCE: usize = 8;

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
    let ended = match asked.sessions {
        true if !app.is_ready() => return Err(Fault::starting()),
        true => end_sessions(&app).await?,
        false => Vec::new(),
    };
    app.stop.request();
    Ok((StatusCode::ACCEPTED, Json(ShutdownResponse { pid: own_pid(), sessions: ended })))
}

/// Ends every session and says which. One that cannot be ended keeps no other from its end, and the
/// daemon from stopping: the first failure is the answer.
async fn end_sessions(app: &App) -> Result<Vec<String>, Fault> {
    let filter = SessionFilter { project: None, with_terminal: false };
    let sessions = app.ports.sessions.list(&filter).await?;
    // Those that wait first: a place that becomes free would start them.
    let (waiting, others): (Vec<Session>, Vec<Session>) =
        sessions.into_iter().partition(|session| session.record.phase == Phase::Queued);
    let (mut ended, mut failure) = (Vec::new(), None);
    for group in [waiting, others] {
        let kills = stream::iter(group).map(|session| end_session(app, session.record.id));
        let mut kills = kills.buffered(KILLS_AT_ONCE);
        while let Some(killed) = kills.next().await {
            match killed {
                Ok(id) => ended.push(id.to_string()),
                Err(fault) => failure = failure.or(Some(fault)),
            }
        }
    }
    failure.map_or(Ok(ended), Err)
}

async fn end_session(app: &App, id: SessionId) -> Result<SessionId, Fault> {
    let manager = app.engine.sessions.clone();
    let killed = id.clone();
    let work = async move { Ok(manager.kill(&killed, RemovalMode::Careful, None).await?) };
    app.finish("kill", work).await?;
    Ok(id)
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
