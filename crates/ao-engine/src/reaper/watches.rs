//! What stands between two passes: a watch on each agent's process and on each server.
//!
//! Watches are an optimisation. One that is lost, or an event that found no room, costs one pass.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ao_core::ids::{LaunchId, Pid, SessionId};
use ao_core::ports::{ProcessEnd, ServerEvent};
use ao_core::session::{ProcessIdentity, ServerIdentity};
use tokio::sync::mpsc;

use crate::ports::EnginePorts;
use crate::wake::Wake;

/// Something that a watch saw.
#[derive(Debug, Clone)]
pub(super) enum WatchEvent {
    /// The agent's process of this launch ended.
    ProcessDied {
        /// The session.
        session: SessionId,
        /// The launch.
        launch: LaunchId,
    },
    /// Something happened at a server.
    ServerStirred(ServerIdentity),
}

/// Events that wait for the reaper: more than sessions that die in one stroke on one machine.
pub(super) const EVENTS_MAX: usize = 4_096;

/// A server, as a key: a new server on an old socket is another one.
pub(super) type ServerKey = (PathBuf, Pid, u64);

pub(super) fn server_key(server: &ServerIdentity) -> ServerKey {
    (server.socket.clone(), server.process.pid, server.process.start_ticks)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Watched,
    Lost,
}

#[derive(Debug, Default)]
struct Registry {
    processes: BTreeMap<SessionId, (ProcessIdentity, Standing)>,
    servers: BTreeMap<ServerKey, Standing>,
}

/// The watches of one engine.
#[derive(Clone)]
pub(super) struct Watches {
    ports: EnginePorts,
    wake: Wake,
    events: mpsc::Sender<WatchEvent>,
    registry: Arc<Mutex<Registry>>,
}

impl Watches {
    pub(super) fn new(ports: EnginePorts, wake: Wake, events: mpsc::Sender<WatchEvent>) -> Self {
        Self { ports, wake, events, registry: Arc::default() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Registry) -> T) -> T {
        act(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether nothing can happen to this process and this server without an event.
    pub(super) fn stand_for(
        &self,
        session: &SessionId,
        process: &ProcessIdentity,
        server: &ServerIdentity,
    ) -> bool {
        self.with(|registry| {
            let process_stands = registry
                .processes
                .get(session)
                .is_some_and(|(it, standing)| it == process && *standing == Standing::Watched);
            let server_stands =
                registry.servers.get(&server_key(server)) == Some(&Standing::Watched);
            process_stands && server_stands
        })
    }

    /// Watches a process, once.
    pub(super) fn ensure_process(
        &self,
        session: &SessionId,
        launch: &LaunchId,
        process: &ProcessIdentity,
    ) {
        let is_new = self.with(|registry| {
            let known = registry.processes.get(session);
            let is_new = known != Some(&(process.clone(), Standing::Watched));
            if is_new {
                registry.processes.insert(session.clone(), (process.clone(), Standing::Watched));
            }
            is_new
        });
        if !is_new {
            return;
        }
        let (this, session, launch) = (self.clone(), session.clone(), launch.clone());
        let process = process.clone();
        self.ports.tasks.spawn(
            "process-watch",
            Box::pin(async move {
                let end = tokio::select! {
                biased;
                                   end = this.ports.processes.watch(&process) => end,
                                   () = this.wake.stopped() => return,
                               };
                this.lose_process(&session, &process);
                match end {
                    ProcessEnd::Died => {
                        this.send(WatchEvent::ProcessDied { session, launch });
                    }
                    ProcessEnd::Lost => {
                        tracing::warn!(%session, "A process can no longer be watched.");
                    }
                }
            }),
        );
    }

    fn lose_process(&self, session: &SessionId, process: &ProcessIdentity) {
        self.with(|registry| {
            if let Some((known, standing)) = registry.processes.get_mut(session)
                && known == process
            {
                *standing = Standing::Lost;
            }
        });
    }

    /// Watches a server, once.
    pub(super) fn ensure_server(&self, server: &ServerIdentity) {
        let key = server_key(server);
        let is_new = self.with(|registry| {
            registry.servers.insert(key.clone(), Standing::Watched) != Some(Standing::Watched)
        });
        if !is_new {
            return;
        }
        let (this, server) = (self.clone(), server.clone());
        self.ports.tasks.spawn(
            "server-watch",
            Box::pin(async move {
                loop {
                    let event = tokio::select! {
                    biased;
                                           event = this.ports.runtime.watch(&server) => event,
                                           () = this.wake.stopped() => return,
                                       };
                    match event {
                        ServerEvent::Changed => {
                            this.send(WatchEvent::ServerStirred(server.clone()));
                        }
                        ServerEvent::Gone => break,
                        ServerEvent::Lost => {
                            let socket = server.socket.display();
                            tracing::warn!(%socket, "A server can no longer be watched.");
                            break;
                        }
                    }
                }
                this.with(|registry| registry.servers.insert(key, Standing::Lost));
                this.send(WatchEvent::ServerStirred(server));
            }),
        );
    }

    /// Forgets the watches of sessions that are not among these.
    pub(super) fn retain(&self, is_live: impl Fn(&SessionId) -> bool) {
        self.with(|registry| registry.processes.retain(|session, _| is_live(session)));
    }

    fn send(&self, event: WatchEvent) {
        if self.events.try_send(event).is_err() {
            // No room, or nobody listens any more: the next pass looks at everything.
            self.with(|registry| {
                for (_, standing) in registry.processes.values_mut() {
                    *standing = Standing::Lost;
                }
            });
        }
    }
}
