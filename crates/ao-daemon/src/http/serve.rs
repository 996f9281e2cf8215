//! Connections: accepting them, bounding them, ending them.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use ao_core::ports::Clock;

use crate::socket::Listener;
use crate::stop::{Stop, Urgency};

/// Connections at once: a fleet of hooks, some watchers, and far below the usual limit of 1,024
/// file descriptors.
const CONNECTIONS_MAX: usize = 256;

/// How long a client may take to say what it wants; also how long an idle connection is kept.
const HEADERS_FOR_MAX: Duration = Duration::from_mins(1);

/// How long requests that are being answered may take once the end was asked for.
const DRAIN_FOR_MAX: Duration = Duration::from_secs(5);

/// Pause after a failed accept, which most often means that file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the end is asked for, then until every request was answered or the bound is over.
pub(crate) async fn serve(listener: Listener, router: Router, stop: Stop, clock: &dyn Clock) {
    let mut connections = JoinSet::new();
    loop {
        let has_room = connections.len() < CONNECTIONS_MAX;
        let accepted = tokio::select! {
            biased;
            () = stop.reached(Urgency::Graceful) => break,
            ended = connections.join_next(), if !connections.is_empty() => {
                log_end(ended);
                continue;
            }
            accepted = listener.accept(), if has_room => accepted,
        };
        match accepted {
            Ok(stream) => {
                connections.spawn(connection(stream, router.clone(), stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "Could not accept a connection.");
                clock.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let drain = async { while connections.join_next().await.is_some() {} };
    stop.bounded("connections", DRAIN_FOR_MAX, drain).await;
}

fn log_end(ended: Option<Result<(), tokio::task::JoinError>>) {
    if let Some(Err(error)) = ended {
        tracing::error!(%error, "A connection ended by a bug.");
    }
}

async fn connection(stream: UnixStream, router: Router, stop: Stop) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_FOR_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.reached(Urgency::Graceful) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "A client went away.");
    }
}
