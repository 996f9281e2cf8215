//! One daemon: boot, serve, end.
//!
//! # Flow
//!
//! lock → open → listen → adoption → drain of the spool → boot of the engine → ready. At the end: take no more requests, let those
//! that were begun be answered, stop the engine, close the store, remove the socket; each within
//! its bound. Agents run on through all of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ao_adapters::system::SystemIds;
use ao_api::error::{ErrorBody, ErrorKind as WireKind};
use ao_api::home::Layout;
use ao_core::ids::{HomeId, InvalidId};
use ao_engine::{BootError, Engine};
use ao_store::{LockError, OpenError, SqliteStore};
use tokio::sync::watch;

use crate::app::App;
use crate::config::Config;
use crate::diffs::Diffs;
use crate::home::{self, HomeFault};
use crate::home_lost;
use crate::http;
use crate::lock;
use crate::offline;
use crate::outside::{self, EndTasks, Outside, OutsideError};
use crate::socket::{self, Socket, SocketError};
use crate::spool::Drain;
use crate::stop::{Stop, Urgency};
use crate::trash;
use crate::wrapper;

/// The database in the home.
const DATABASE: &str = "ao.db";

/// How long the loops of the engine get to end by themselves.
const ENGINE_STOP_FOR_MAX: Duration = Duration::from_secs(5);

/// How long tasks that were begun get to end, and how long cancelled ones do.
const TASKS_END_FOR_MAX: Duration = Duration::from_secs(2);

/// How long the last writes may take.
const STORE_CLOSE_FOR_MAX: Duration = Duration::from_secs(10);

/// Why a daemon did not run. Nothing was changed by it.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The home cannot be written.
    #[error(transparent)]
    Home(#[from] HomeFault),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error("the home holds something unreadable: {0}")]
    Id(#[from] InvalidId),
    #[error(transparent)]
    Outside(#[from] OutsideError),
    #[error(transparent)]
    Boot(#[from] BootError),
}

impl DaemonError {
    /// The failure in the one shape that all failures have.
    pub fn body(&self) -> ErrorBody {
        let (code, kind, hint) = match self {
            Self::Home(_) => (
                "HOME_UNWRITABLE",
                WireKind::Failed,
                "make it writable, or set `AO_HOME` to a directory that is",
            ),
            Self::Lock(LockError::Held { .. }) => (
                "ALREADY_RUNNING",
                WireKind::Conflict,
                "`ao status` shows it, `ao stop` ends it; when its socket was deleted, neither \
                 reaches it: then `kill` with its pid ends it, and the agents run on",
            ),
            Self::Lock(LockError::Unwritable { .. }) => (
                "HOME_UNWRITABLE",
                WireKind::Failed,
                "make it writable, or set `AO_HOME` to a directory that is",
            ),
            Self::Store(error) => (store_code(error), WireKind::Failed, error.hint()),
            Self::Socket(_) => (
                "SOCKET_UNUSABLE",
                WireKind::Failed,
                "`ao doctor` looks at the home; a shorter `AO_HOME` may be needed",
            ),
            Self::Boot(_) | Self::Outside(_) | Self::Id(_) => {
                ("BOOT_FAILED", WireKind::Failed, "`ao doctor` may tell more")
            }
        };
        ErrorBody {
            code: code.to_owned(),
            kind,
            message: with_causes(self),
            hint: Some(hint.to_owned()),
        }
    }
}

const fn store_code(error: &OpenError) -> &'static str {
    match error {
        OpenError::FromTheFuture { .. } => "DATABASE_NEWER",
        OpenError::NotOurs { .. } => "DATABASE_NOT_OURS",
        OpenError::Corrupt { .. } => "DATABASE_DAMAGED",
        OpenError::Unwritable { .. } => "DATABASE_UNWRITABLE",
        OpenError::Full { .. } => "DISK_FULL",
        OpenError::Unavailable { .. } => "DATABASE_UNAVAILABLE",
    }
}

/// An error with what caused it, in one sentence.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// What a daemon is made from.
pub struct Setup {
    /// Where everything is.
    pub layout: Layout,
    /// The configuration.
    pub config: Config,
    /// The program that agents and hooks call: this very one.
    pub program: PathBuf,
    /// Makes everything outside for the home with this marker.
    pub outside: MakeOutside,
    /// Asks for the end.
    pub stop: Stop,
}

/// Makes everything outside for the home with this marker.
pub type MakeOutside = Box<dyn FnOnce(HomeId) -> Result<Outside, OutsideError> + Send>;

/// A daemon that holds the lock of its home and listens; nothing is answered before it runs.
pub struct Daemon {
    store: Arc<SqliteStore>,
    socket: Socket,
    app: Arc<App>,
    readiness: watch::Sender<bool>,
    end_tasks: EndTasks,
}

impl Daemon {
    /// Locks, opens, listens, in this order: nothing of a home is touched without its lock.
    pub fn open(setup: Setup) -> Result<Self, DaemonError> {
        let Setup { layout, config, program, outside, stop } = setup;
        socket::check_path(&layout.socket())?;
        home::prepare(&layout)?;
        let lock = lock::acquire(&layout)?;
        let at = outside::program(&layout);
        wrapper::write(&at, &program).map_err(|error| HomeFault::new(&at, &error))?;
        let store = Arc::new(SqliteStore::open(lock, &layout.data_dir.join(DATABASE))?);
        let marker = home::marker(&layout, &SystemIds)?;
        let outside = outside(marker)?;
        let (end_tasks, clock) = (Arc::clone(&outside.end_tasks), Arc::clone(&outside.clock));
        let notifiers = outside::notifiers(&config, &store)?;
        let ports = outside.ports(&store, notifiers);
        let settings = outside::settings(&layout, &config, outside::node()?);
        let engine = Engine::new(ports.clone(), settings);
        let socket = Socket::bind(&layout.socket())?;
        let (readiness, ready) = watch::channel(false);
        let app = Arc::new(App {
            started_at: clock.now().wall,
            config_files: offline::config_files(&layout),
            layout,
            config,
            engine,
            ports,
            inbox: Arc::clone(&store) as _,
            diffs: Diffs::default(),
            stop,
            ready,
        });
        Ok(Self { store, socket, app, readiness, end_tasks })
    }

    /// Serves until the end is asked for, and ends.
    pub async fn run(self) -> Result<(), DaemonError> {
        let Self { store, socket, app, readiness, end_tasks } = self;
        let stop = app.stop.clone();
        let router = http::router(Arc::clone(&app));
        let serving = http::serve(socket.listener, router, stop.clone(), app.ports.clock.as_ref());
        let ((), booted) = tokio::join!(serving, boot(&app, &readiness));
        tracing::info!("Stopping; the agents keep running.");
        stop.bounded("engine", ENGINE_STOP_FOR_MAX, app.engine.shutdown()).await;
        let left = stop.bounded("tasks", TASKS_END_FOR_MAX * 2, end_tasks(TASKS_END_FOR_MAX)).await;
        for task in left.unwrap_or_default() {
            tracing::warn!(task, "A task did not end in time.");
        }
        close(&store, &stop).await;
        drop(socket.file);
        booted
    }
}

/// Adopts, drains the spool, boots the engine and lets it run; a failed boot ends the daemon.
async fn boot(app: &Arc<App>, readiness: &watch::Sender<bool>) -> Result<(), DaemonError> {
    let mut drain = Drain::new(Arc::clone(app));
    // What agents said meanwhile is known before anything is decided; what was said of a session
    // that has no record is dropped.
    let booting = Box::pin(app.engine.boot_with(drain.drain()));
    let booted = tokio::select! {
        biased;
        () = app.stop.reached(Urgency::Graceful) => return Ok(()),
        booted = booting => booted,
    };
    match booted {
        Ok(report) => {
            tracing::info!(
                n_sagas = report.n_sagas,
                n_adopted = report.n_adopted,
                n_in_doubt = report.n_in_doubt,
                "Ready."
            );
            app.engine.run();
            app.ports.tasks.spawn("spool", Box::pin(drain.run()));
            app.ports.tasks.spawn("home", Box::pin(home_lost::watch(Arc::clone(app))));
            app.ports.tasks.spawn("trash", Box::pin(trash::run(Arc::clone(app))));
            readiness.send_replace(true);
            Ok(())
        }
        Err(error) => {
            app.stop.request();
            Err(error.into())
        }
    }
}

/// Closes the store off the thread that drives everything: it blocks for its last writes.
async fn close(store: &Arc<SqliteStore>, stop: &Stop) {
    let store = Arc::clone(store);
    let closing = tokio::task::spawn_blocking(move || store.close());
    match stop.bounded("store", STORE_CLOSE_FOR_MAX, closing).await {
        Some(Ok(Ok(()))) | None => {}
        Some(Ok(Err(error))) => tracing::error!(%error, "The store did not close cleanly."),
        Some(Err(error)) => tracing::error!(%error, "Closing the store met a bug."),
    }
}
