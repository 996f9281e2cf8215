//! What stands between two passes: a watch on each agent's process and on each server.
//!
//! Watches are an optimisation. One that is lost, or an event that found no room, costs one pass.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ao_core::ids::{LaunchId, Pid, SessionId};
use ao_core::ports::{ProcessEnd, ServerEvent};
use ao_core::session::{ProcessIdentity, ServerIdentity};
use ao_core::time::BootId;
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
pub(super) type ServerKey = (PathBuf, BootId, Pid, u64);

pub(super) fn server_key(server: &ServerIdentity) -> ServerKey {
    // Numbers and ticks begin anew with each boot: the server of this one may have those of the last.
    let process = &server.process;
    (server.socket.clone(), process.boot, process.pid, process.start_ticks)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Watched,
    Lost,
    /// It has ended, which was told: there is nothing to watch any more.
    Ended,
}

#[derive(Debug, Default)]
struct Registry {
    processes: BTreeMap<SessionId, (ProcessIdentity, Standing)>,
    servers: BTreeMap<ServerKey, Standing>,
    /// An event found no room.
    is_event_missed: bool,
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
            let is_new =
                known.is_none_or(|(it, standing)| it != process || *standing == Standing::Lost);
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
                match end {
                    ProcessEnd::Died => {
                        this.leave_process(&session, &process, Standing::Ended);
                        this.send(WatchEvent::ProcessDied { session, launch });
                    }
                    ProcessEnd::Lost => {
                        this.leave_process(&session, &process, Standing::Lost);
                        tracing::warn!(%session, "A process can no longer be watched.");
                    }
                }
            }),
        );
    }

    fn leave_process(&self, session: &SessionId, process: &ProcessIdentity, to: Standing) {
        self.with(|registry| {
            if let Some((known, standing)) = registry.processes.get_mut(session)
                && known == process
            {
                *standing = to;
            }
        });
    }

    /// Watches a server, once.
    pub(super) fn ensure_server(&self, server: &ServerIdentity) {
        let key = server_key(server);
        let is_new = self.with(|registry| {
            let known = registry.servers.get(&key);
            let is_new = known.is_none_or(|standing| *standing == Standing::Lost);
            if is_new {
                registry.servers.insert(key.clone(), Standing::Watched);
            }
            is_new
        });
        if !is_new {
            return;
        }
        let (this, server) = (self.clone(), server.clone());
        self.ports.tasks.spawn(
            "server-watch",
            Box::pin(async move {
                let standing = loop {
                    let event = tokio::select! {
                        biased;
                        event = this.ports.runtime.watch(&server) => event,
                        () = this.wake.stopped() => return,
                    };
                    match event {
                        ServerEvent::Changed => {
                            this.send(WatchEvent::ServerStirred(server.clone()));
                        }
                        ServerEvent::Gone => break Standing::Ended,
                        ServerEvent::Lost => {
                            let socket = server.socket.display();
                            tracing::warn!(%socket, "A server can no longer be watched.");
                            break Standing::Lost;
                        }
                    }
                };
                this.with(|registry| registry.servers.insert(key, standing));
                this.send(WatchEvent::ServerStirred(server));
            }),
        );
    }

    /// Forgets the watches of sessions that are not among these, and servers that are watched no
    /// more and hold none of them.
    pub(super) fn retain(
        &self,
        is_live: impl Fn(&SessionId) -> bool,
        is_used: impl Fn(&ServerKey) -> bool,
    ) {
        self.with(|registry| {
            registry.processes.retain(|session, _| is_live(session));
            registry
                .servers
                .retain(|server, standing| *standing == Standing::Watched || is_used(server));
        });
    }

    /// Whether an event found no room since this was last asked.
    pub(super) fn take_missed(&self) -> bool {
        self.with(|registry| std::mem::take(&mut registry.is_event_missed))
    }

    fn send(&self, event: WatchEvent) {
        if self.events.try_send(event).is_err() {
            // No room, or nobody listens any more: the next pass looks at everything.
            self.with(|registry| registry.is_event_missed = true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_of_another_boot_is_another_one_whatever_its_number() {
        let server = |boot| ServerIdentity {
            socket: "/run/tmux/app".into(),
            process: ProcessIdentity {
                boot: BootId(boot),
                pid: Pid(41),
                start_ticks: 7,
                nonce: None,
            },
        };
        assert_eq!(server_key(&server(1)), server_key(&server(1)));
        assert_ne!(server_key(&server(1)), server_key(&server(2)));
    }
}
