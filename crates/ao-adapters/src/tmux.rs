//! tmux: the terminals that agents live in.
//!
//! One server per project, on a socket of its own, so that a server that dies takes one project
//! along and not the others; each carries its home's marker, and a server without it is never
//! touched. Every look compares the server's process with the recorded one, so that nothing is
//! said about a server that was replaced. It starts no agent before its runtime is marked: see
//! [`gate`].

mod ask;
mod gate;
mod keys;
mod listen;
mod panes;
mod runtime;
mod server;
mod socket;
mod terminal;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ao_core::ids::HomeId;
use ao_core::session::ServerIdentity;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::watch::Slot;
use crate::processes::LinuxProcesses;

/// Lines of scrollback of a pane when nobody says otherwise: about 4 MB where they are filled.
const HISTORY_LIMIT_DEFAULT: u32 = 10_000;

/// Time that a server gets to answer: a hundred times what it takes with 500 panes.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// What the runtime depends on.
#[derive(Debug, Clone)]
pub struct TmuxConfig {
    /// The marker of this home, on each of its servers.
    pub home: HomeId,
    /// Where the sockets are: private to the user, with room for their names.
    pub socket_dir: PathBuf,
    /// Where servers start: a directory that stays.
    pub stable_dir: PathBuf,
    /// Lines of scrollback of each pane.
    pub history_limit: u32,
    /// The user's own tmux configuration, read before ours.
    pub user_config: Option<PathBuf>,
    /// The prefix key.
    pub prefix: Option<String>,
    /// The name or path of tmux.
    pub program: String,
    /// Time that a server gets to answer.
    pub timeout: Duration,
}

impl TmuxConfig {
    /// The defaults.
    pub fn new(home: HomeId, socket_dir: PathBuf, stable_dir: PathBuf) -> Self {
        Self {
            home,
            socket_dir,
            stable_dir,
            history_limit: HISTORY_LIMIT_DEFAULT,
            user_config: None,
            prefix: None,
            program: "tmux".to_owned(),
            timeout: TIMEOUT_DEFAULT,
        }
    }
}

/// The terminals of one home.
pub struct TmuxRuntime {
    config: TmuxConfig,
    processes: LinuxProcesses,
    state: Mutex<State>,
    n_buffers: AtomicU64,
}

#[derive(Default)]
struct State {
    /// One creation at a time per server: two would race to start it.
    turns: BTreeMap<PathBuf, Arc<Semaphore>>,
    /// The servers that answered, by socket: known again when a socket file is lost.
    known: BTreeMap<PathBuf, ServerIdentity>,
    /// The watches, by socket.
    watches: BTreeMap<PathBuf, Arc<Slot>>,
}

impl TmuxRuntime {
    /// Terminals of this home. Nothing is started yet.
    pub fn new(config: TmuxConfig, processes: LinuxProcesses) -> Self {
        Self { config, processes, state: Mutex::default(), n_buffers: AtomicU64::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for one's turn at a server.
    async fn turn(&self, socket: &Path) -> Option<OwnedSemaphorePermit> {
        let turns = {
            let mut state = self.lock();
            let turns = state.turns.entry(socket.to_owned());
            Arc::clone(turns.or_insert_with(|| Arc::new(Semaphore::new(1))))
        };
        // Never closed, so there always is one.
        turns.acquire_owned().await.ok()
    }

    /// A name for a paste buffer that no other paste uses.
    fn buffer_name(&self) -> String {
        let n = self.n_buffers.fetch_add(1, Ordering::Relaxed);
        format!("ao-{}-{n}", std::process::id())
    }
}
