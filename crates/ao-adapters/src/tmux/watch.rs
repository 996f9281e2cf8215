//! Waiting for something to happen at a server: its process by pidfd, its sessions by one client
//! in control mode.
//!
//! *Guarantees*: whatever changes after a call returned ends the next call at once, because the
//! client stays and its lines wait in the pipe; the first call after a client attached returns at
//! once, because nobody knows what happened before. The client ends when the watch is dropped.
//!
//! *Caveats*: a change may be told more than once, and a process that ended shows at the latest a
//! second later, when tmux looks at its panes; who needs it sooner watches the process.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ao_core::fact::ProcessProbe;
use ao_core::ports::{ProcessEnd, Processes as _, ServerEvent};
use ao_core::session::ServerIdentity;
use futures_util::FutureExt as _;
use tokio::sync::Semaphore;

use super::TmuxRuntime;
use super::ask::Line;
use super::panes::KEEPER;
use super::server::Finding;
use crate::cmd::Conversation;

/// How long after its client lost it a server may take to be dead: exiting with 500 panes takes
/// 15 ms.
const EXIT_GRACE: Duration = Duration::from_millis(500);

/// Which panes there are and which of them are dead, across all sessions: tmux tells when that
/// changes, at most a second later.
const PANES_SUBSCRIPTION: &str = "ao-panes::#{S:#{W:#{P:#{pane_id}#{pane_dead} }}}";

/// Notifications of control mode that are worth a look.
const CHANGES: &[&str] = &[
    "%sessions-changed",
    "%session-renamed",
    "%unlinked-window-add",
    "%unlinked-window-close",
    "%window-add",
    "%window-close",
    "%subscription-changed",
];

/// The watch of one server. One call at a time waits on it.
pub(super) struct Slot {
    server: ServerIdentity,
    turn: Semaphore,
    client: Mutex<Option<Conversation>>,
}

impl Slot {
    fn client(&self) -> MutexGuard<'_, Option<Conversation>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The client while a call waits on it; put back however the call ends, unless it is of no use.
struct Borrowed<'a> {
    slot: &'a Slot,
    client: Option<Conversation>,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        *self.slot.client() = self.client.take();
    }
}

impl TmuxRuntime {
    /// Waits for the next thing at a server that is worth a look.
    pub(super) async fn next_event(&self, server: &ServerIdentity) -> ServerEvent {
        let slot = self.slot(server);
        let Ok(_turn) = slot.turn.acquire().await else { return ServerEvent::Lost };
        let mut borrowed = Borrowed { slot: &slot, client: slot.client().take() };
        let event = tokio::select! {
            end = self.processes.watch(&server.process) => match end {
                ProcessEnd::Died => ServerEvent::Gone,
                ProcessEnd::Lost => ServerEvent::Lost,
            },
            event = self.next_change(server, &mut borrowed) => event,
        };
        match event {
            ServerEvent::Changed => {}
            ServerEvent::Gone | ServerEvent::Lost => {
                borrowed.client = None;
                self.forget(&slot);
            }
        }
        event
    }

    fn slot(&self, server: &ServerIdentity) -> Arc<Slot> {
        let mut state = self.lock();
        let known = state.watches.get(&server.socket).filter(|slot| slot.server == *server);
        if let Some(slot) = known {
            return Arc::clone(slot);
        }
        let slot = Arc::new(Slot {
            server: server.clone(),
            turn: Semaphore::new(1),
            client: Mutex::default(),
        });
        state.watches.insert(server.socket.clone(), Arc::clone(&slot));
        slot
    }

    fn forget(&self, slot: &Arc<Slot>) {
        let mut state = self.lock();
        let socket = &slot.server.socket;
        if state.watches.get(socket).is_some_and(|known| Arc::ptr_eq(known, slot)) {
            state.watches.remove(socket);
        }
    }

    async fn next_change(
        &self,
        server: &ServerIdentity,
        borrowed: &mut Borrowed<'_>,
    ) -> ServerEvent {
        let Some(client) = &mut borrowed.client else {
            return match self.attach(server).await {
                Ok(client) => {
                    borrowed.client = Some(client);
                    ServerEvent::Changed
                }
                Err(because) => {
                    let socket = server.socket.display();
                    tracing::debug!(%socket, because, "Server cannot be watched.");
                    self.loss(server).await
                }
            };
        };
        loop {
            match client.next_line().await {
                Ok(Some(line)) if is_change(&line) => break,
                Ok(Some(line)) if line.starts_with("%exit") => return self.loss(server).await,
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return self.loss(server).await,
            }
        }
        // What was told together is looked at together.
        while let Some(Ok(Some(_line))) = client.next_line().now_or_never() {}
        ServerEvent::Changed
    }

    /// The client is gone: either its server is, or nobody knows why.
    async fn loss(&self, server: &ServerIdentity) -> ServerEvent {
        let ended = tokio::time::timeout(EXIT_GRACE, self.processes.watch(&server.process)).await;
        let is_dead = ended == Ok(ProcessEnd::Died)
            || self.processes.probe(&server.process) == ProcessProbe::Dead;
        if is_dead { ServerEvent::Gone } else { ServerEvent::Lost }
    }

    /// Attaches a client, and returns when the server tells it everything from then on.
    async fn attach(&self, server: &ServerIdentity) -> Result<Conversation, String> {
        match self.look_at(server).await {
            Finding::Living(_) => {}
            Finding::Gone => return Err("it is gone".to_owned()),
            Finding::Unreachable(because) => return Err(because),
        }
        // A notification while tmux 3.3a greets a client in control mode makes it write through a
        // null pointer, and every agent of the server dies with it. What we do to a server waits.
        let _turn = self.turn(&server.socket).await;
        let keeper = self.ensure_keeper(&server.socket).await;
        keeper.map_err(|unanswered| unanswered.message())?;
        let attached = tokio::time::timeout(self.config.timeout, self.converse(&server.socket));
        match attached.await {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_elapsed) => Err("it does not answer".to_owned()),
        }
    }

    async fn converse(&self, socket: &Path) -> std::io::Result<Conversation> {
        let attach = Line::new("attach-session").args([
            "-f",
            "no-output,ignore-size",
            "-t",
            &format!("={KEEPER}"),
        ]);
        let client = self.control_mode(socket, attach).converse();
        let mut client = client.map_err(std::io::Error::other)?;
        // What is said before it is attached may be executed before it is attached.
        until(&mut client, "%session-changed").await?;
        client.say(&Line::new("refresh-client").args(["-B", PANES_SUBSCRIPTION]).quoted()).await?;
        until(&mut client, "%end").await?;
        Ok(client)
    }
}

/// Reads up to a line that begins so.
async fn until(client: &mut Conversation, start: &str) -> std::io::Result<()> {
    loop {
        match client.next_line().await? {
            Some(line) if line.starts_with(start) => return Ok(()),
            Some(line) if line.starts_with("%error") || line.starts_with("%exit") => {
                return Err(std::io::Error::other(line));
            }
            Some(_) => {}
            None => return Err(std::io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn is_change(line: &str) -> bool {
    line.split(' ').next().is_some_and(|word| CHANGES.contains(&word))
}
