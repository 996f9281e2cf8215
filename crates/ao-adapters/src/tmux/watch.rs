//! Waiting for something to happen at a server: its process by pidfd, its sessions and panes by a
//! listener (see [`super::listen`]).
//!
//! *Guarantees*: whatever changes after a call returned ends the next call at once, because the
//! listener stays and its lines wait in the pipe; the first call after a listener started returns
//! at once, because nobody knows what happened before. The listener ends when the watch is dropped.
//!
//! *Caveats*: a change may be told more than once. A process that ends in a kept pane is told of
//! when tmux notices, which may be as late as the next look, and one that lives on after it closed
//! its terminal is not told of at all; who needs that watches the process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ao_core::fact::ProcessProbe;
use ao_core::ports::{ProcessEnd, Processes as _, ServerEvent};
use ao_core::session::ServerIdentity;
use futures_util::FutureExt as _;
use tokio::sync::Semaphore;

use super::TmuxRuntime;
use super::listen;
use super::server::Finding;
use crate::cmd::Conversation;

/// How long after its listener lost it a server may take to be dead: exiting with 500 panes takes
/// 15 ms.
const EXIT_GRACE: Duration = Duration::from_millis(500);

/// The watch of one server. One call at a time waits on it.
pub(super) struct Slot {
    server: ServerIdentity,
    turn: Semaphore,
    listener: Mutex<Option<Conversation>>,
}

impl Slot {
    fn listener(&self) -> MutexGuard<'_, Option<Conversation>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The listener while a call waits on it; put back however the call ends, unless it is of no use.
struct Borrowed<'a> {
    slot: &'a Slot,
    listener: Option<Conversation>,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        *self.slot.listener() = self.listener.take();
    }
}

impl TmuxRuntime {
    /// Waits for the next thing at a server that is worth a look.
    pub(super) async fn next_event(&self, server: &ServerIdentity) -> ServerEvent {
        let slot = self.slot(server);
        let Ok(_turn) = slot.turn.acquire().await else { return ServerEvent::Lost };
        let mut borrowed = Borrowed { slot: &slot, listener: slot.listener().take() };
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
                borrowed.listener = None;
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
            listener: Mutex::default(),
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
        let Some(listener) = &mut borrowed.listener else {
            return match self.listen(server).await {
                Ok(listener) => {
                    borrowed.listener = Some(listener);
                    ServerEvent::Changed
                }
                Err(because) => {
                    let socket = server.socket.display();
                    tracing::debug!(%socket, because, "Server cannot be watched.");
                    self.loss(server).await
                }
            };
        };
        match listener.next_line().await {
            Ok(Some(_changed)) => {}
            Ok(None) | Err(_) => return self.loss(server).await,
        }
        // What was told together is looked at together.
        while let Some(Ok(Some(_line))) = listener.next_line().now_or_never() {}
        ServerEvent::Changed
    }

    /// The listener is gone: either its server is, or nobody knows why.
    async fn loss(&self, server: &ServerIdentity) -> ServerEvent {
        let ended = tokio::time::timeout(EXIT_GRACE, self.processes.watch(&server.process)).await;
        let is_dead = ended == Ok(ProcessEnd::Died)
            || self.processes.probe(&server.process) == ProcessProbe::Dead;
        if is_dead { ServerEvent::Gone } else { ServerEvent::Lost }
    }

    /// Starts a listener, and returns when it hears everything from then on.
    async fn listen(&self, server: &ServerIdentity) -> Result<Conversation, String> {
        match self.look_at(server).await {
            Finding::Living(_) => {}
            Finding::Gone => return Err("it is gone".to_owned()),
            Finding::Unreachable(because) => return Err(because),
        }
        let hooked = self.ask(&server.socket, listen::hooks()).await;
        hooked.map_err(|unanswered| unanswered.message())?;
        let listener = self.listener(&server.socket);
        let mut listener = listener.map_err(|error| error.to_string())?;
        match tokio::time::timeout(self.config.timeout, listener.next_line()).await {
            Ok(Ok(Some(_first))) => Ok(listener),
            Ok(Ok(None)) => Err("its listener ended".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_elapsed) => Err("it does not answer".to_owned()),
        }
    }
}
