//! The `Runtime` port.

use std::path::PathBuf;

use ao_core::fact::{RuntimeProbe, ServerProbe};
use ao_core::ports::{
    BoxFuture, CreateRuntime, Ensured, HandleLook, PaneFound, PaneLook, Processes as _, Runtime,
    RuntimeError, ServerEvent, ServerFound, ServerLook,
};
use ao_core::session::{HANDLE_VERSION, ProcessIdentity, RuntimeHandle, ServerIdentity};

use super::TmuxRuntime;
use super::ask::{Line, Unanswered};
use super::gate;
use super::panes::{Mark, Pane};
use super::server::Finding;
use super::socket::socket_of;

impl Pane {
    /// As it is told to who does not know what should be there.
    pub(super) fn into_found(self) -> PaneFound {
        let process = match &self.mark {
            Some(Mark { boot, pid, start_ticks, pane: _ }) if self.is_runtime() => {
                let (boot, pid, start_ticks) = (*boot, *pid, *start_ticks);
                Some(ProcessIdentity { boot, pid, start_ticks, nonce: None })
            }
            Some(_) | None => None,
        };
        PaneFound { process, look: self.into_look() }
    }

    pub(super) fn into_look(self) -> PaneLook {
        let launch = if self.is_runtime() { self.launch } else { None };
        PaneLook {
            session: self.session,
            pane: self.id,
            pid: self.pid,
            launch,
            is_dead: self.is_dead,
            exit: self.exit,
        }
    }
}

fn handle(
    server: &ServerIdentity,
    request: &CreateRuntime,
    pane: &Pane,
    process: &ProcessIdentity,
) -> RuntimeHandle {
    RuntimeHandle {
        version: HANDLE_VERSION,
        server: server.clone(),
        session: pane.session.clone(),
        pane: pane.id.clone(),
        process: ProcessIdentity { nonce: Some(request.nonce.clone()), ..process.clone() },
    }
}

/// The runtime with the name of this session, whoever's it is.
fn named<'a>(panes: &'a [Pane], request: &CreateRuntime) -> Option<&'a Pane> {
    let in_session = |pane: &&Pane| pane.session == request.session.as_str();
    let mut found = panes.iter().filter(in_session);
    let first = found.clone().next();
    found.find(|pane| pane.is_runtime()).or(first)
}

impl TmuxRuntime {
    /// The process of a runtime: the one written on it, or the one that waits at its gate.
    fn process_of(&self, pane: &Pane) -> Option<ProcessIdentity> {
        match &pane.mark {
            Some(Mark { boot, pid, start_ticks, pane: _ }) => Some(ProcessIdentity {
                boot: *boot,
                pid: *pid,
                start_ticks: *start_ticks,
                nonce: None,
            }),
            None => self.processes.identity(pane.pid, None),
        }
    }

    async fn ensure(&self, request: &CreateRuntime) -> Result<RuntimeHandle, RuntimeError> {
        let socket = socket_of(&self.config.socket_dir, &request.project);
        let _turn = self.turn(&socket).await;
        let (server, panes) = self.ensure_server(&socket).await?;
        if let Some(pane) = named(&panes, request) {
            if pane.launch.as_ref() != Some(&request.launch) || !pane.is_runtime() {
                return Err(RuntimeError::Taken { name: pane.session.clone() });
            }
            return self.open_gate(&server, request, pane).await;
        }
        self.start(&server, request).await?;
        let (_, panes) =
            self.find_server(&socket).await?.unwrap_or_else(|| (server.clone(), Vec::new()));
        let gone = || RuntimeError::Gone { name: request.session.as_str().to_owned() };
        let pane = named(&panes, request).ok_or_else(gone)?;
        match self.open_gate(&server, request, pane).await {
            Ok(handle) => Ok(handle),
            Err(error) => {
                let kill = Line::new("kill-session").args(["-t", &pane.session_id]);
                if let Err(left) = self.ask(&socket, kill).await {
                    let because = left.message();
                    tracing::warn!(session = %request.session, because, "Runtime was left behind.");
                }
                Err(error)
            }
        }
    }

    /// Starts the session with its pane waiting at the gate, and marks it with the launch.
    async fn start(
        &self,
        server: &ServerIdentity,
        request: &CreateRuntime,
    ) -> Result<(), RuntimeError> {
        let name = request.session.as_str();
        // tmux expands formats in a directory.
        let directory = request.directory.to_string_lossy().replace('#', "##");
        let command = gate::command(&self.config.program, &server.socket, request);
        let mark = ["-t", &format!("={name}:"), "@ao_launch", request.launch.as_str()];
        let line = Line::new("new-session")
            .args(["-d", "-s", name, "-c", &directory, "--"])
            .args(command)
            .then(Line::new("set-option").args(mark));
        match self.ask(&server.socket, line).await {
            Ok(_) => Ok(()),
            Err(Unanswered::Refused { message, .. })
                if message.starts_with("duplicate session") =>
            {
                Err(RuntimeError::Taken { name: name.to_owned() })
            }
            Err(unanswered) => Err(unanswered.into()),
        }
    }

    /// Writes who waits at the gate on its session and lets it through; what is open stays open.
    async fn open_gate(
        &self,
        server: &ServerIdentity,
        request: &CreateRuntime,
        pane: &Pane,
    ) -> Result<RuntimeHandle, RuntimeError> {
        let gone = || RuntimeError::Gone { name: pane.session.clone() };
        let process = self.process_of(pane).ok_or_else(gone)?;
        if pane.mark.is_none() {
            let mark = Mark::of(&process, &pane.id).to_string();
            let open = Line::new("set-option")
                .args(["-t", &pane.session_id, "@ao_process", &mark])
                .then(Line::new("wait-for").args(["-S", &gate::channel(&request.launch)]));
            self.ask(&server.socket, open).await?;
        }
        Ok(handle(server, request, pane, &process))
    }

    async fn find_runtime(
        &self,
        request: &CreateRuntime,
    ) -> Result<Option<RuntimeHandle>, RuntimeError> {
        let socket = socket_of(&self.config.socket_dir, &request.project);
        let Some((server, panes)) = self.find_server(&socket).await? else { return Ok(None) };
        let ours = named(&panes, request)
            .filter(|pane| pane.launch.as_ref() == Some(&request.launch) && pane.is_runtime());
        Ok(ours.and_then(|pane| Some(handle(&server, request, pane, &self.process_of(pane)?))))
    }

    async fn end(&self, runtime: &RuntimeHandle) -> Result<Ensured, RuntimeError> {
        let panes = match self.look_at(&runtime.server).await {
            Finding::Living(panes) => panes,
            Finding::Gone => return Ok(Ensured::AlreadyThere),
            Finding::Unreachable(message) => return Err(RuntimeError::Unavailable { message }),
        };
        let Some(pane) = pane_of(&panes, runtime) else { return Ok(Ensured::AlreadyThere) };
        // By its id: another session may have the name by now, none will ever have the id.
        let kill = Line::new("kill-session").args(["-t", &pane.session_id]);
        match self.ask(&runtime.server.socket, kill).await {
            Ok(_) => Ok(Ensured::Done),
            Err(Unanswered::Refused { message, .. }) if message.starts_with("can't find") => {
                Ok(Ensured::AlreadyThere)
            }
            Err(unanswered) => Err(unanswered.into()),
        }
    }
}

/// The pane of this very handle.
pub(super) fn pane_of<'a>(panes: &'a [Pane], handle: &RuntimeHandle) -> Option<&'a Pane> {
    panes.iter().find(|pane| pane.id == handle.pane && pane.is_of(&handle.process))
}

impl Runtime for TmuxRuntime {
    fn create<'a>(
        &'a self,
        request: &'a CreateRuntime,
    ) -> BoxFuture<'a, Result<RuntimeHandle, RuntimeError>> {
        Box::pin(self.ensure(request))
    }

    fn find<'a>(
        &'a self,
        request: &'a CreateRuntime,
    ) -> BoxFuture<'a, Result<Option<RuntimeHandle>, RuntimeError>> {
        Box::pin(self.find_runtime(request))
    }

    fn destroy<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
    ) -> BoxFuture<'a, Result<Ensured, RuntimeError>> {
        Box::pin(self.end(handle))
    }

    fn is_alive<'a>(&'a self, handle: &'a RuntimeHandle) -> BoxFuture<'a, HandleLook> {
        Box::pin(async move {
            let look = |server, runtime, exit| HandleLook { server, runtime, exit };
            match self.look_at(&handle.server).await {
                Finding::Gone => look(ServerProbe::Gone, RuntimeProbe::Missing, None),
                Finding::Unreachable(because) => {
                    tracing::debug!(session = handle.session, because, "Server did not answer.");
                    look(ServerProbe::Unreachable, RuntimeProbe::Unknown, None)
                }
                Finding::Living(panes) => match pane_of(&panes, handle) {
                    None => look(ServerProbe::Living, RuntimeProbe::Missing, None),
                    Some(pane) if pane.is_dead => {
                        look(ServerProbe::Living, RuntimeProbe::Dead, pane.exit)
                    }
                    Some(_) => look(ServerProbe::Living, RuntimeProbe::Alive, None),
                },
            }
        })
    }

    fn look_all<'a>(&'a self, server: &'a ServerIdentity) -> BoxFuture<'a, ServerLook> {
        Box::pin(self.look_for_port(server))
    }

    fn survey(&self) -> BoxFuture<'_, Result<Vec<ServerFound>, RuntimeError>> {
        Box::pin(self.survey_sockets())
    }

    fn watch<'a>(&'a self, server: &'a ServerIdentity) -> BoxFuture<'a, ServerEvent> {
        Box::pin(self.next_event(server))
    }

    fn end_idle_servers(&self) -> BoxFuture<'_, Result<Vec<PathBuf>, RuntimeError>> {
        Box::pin(self.end_idle())
    }
}
