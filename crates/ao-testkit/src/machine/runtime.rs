//! The fake tmux: one server per project, one pane per session.

use std::path::PathBuf;
use std::task::Poll;

use ao_core::fact::{RuntimeProbe, ServerProbe};
use ao_core::ids::{HomeId, ProjectId};
use ao_core::ports::{
    BoxFuture, CreateRuntime, Ensured, HandleLook, PaneFound, PaneLook, Runtime, RuntimeError,
    ServerAnswer, ServerEvent, ServerFound, ServerLook,
};
use ao_core::record::Exit;
use ao_core::session::{HANDLE_VERSION, ProcessIdentity, RuntimeHandle, ServerIdentity};

use super::state::{Pane, Server, State};
use super::{FakeMachine, Fault, Op};

/// What a look says about a server.
pub(super) enum ServerFinding {
    Living,
    Gone,
    Unreachable(&'static str),
}

impl State {
    pub(super) fn find_server(&self, home: &HomeId, identity: &ServerIdentity) -> ServerFinding {
        if self.running(&identity.process).is_none() {
            return ServerFinding::Gone;
        }
        match self.servers.get(&identity.socket) {
            Some(server) if !server.is_reachable => {
                ServerFinding::Unreachable("the server does not answer")
            }
            Some(server) if server.home != *home || server.process != identity.process => {
                ServerFinding::Unreachable("another server answers")
            }
            Some(_) => ServerFinding::Living,
            None => ServerFinding::Unreachable("nobody listens"),
        }
    }

    /// The pane of that very handle, wherever its session is called now.
    pub(super) fn pane_mut(&mut self, handle: &RuntimeHandle) -> Option<&mut Pane> {
        let server = self.servers.get_mut(&handle.server.socket)?;
        let panes = server.panes.values_mut();
        panes.into_iter().find(|pane| {
            pane.id == handle.pane && unsigned(&pane.process) == unsigned(&handle.process)
        })
    }
}

impl Pane {
    /// How it ended, as a look sees it.
    fn look_at_end(&mut self) -> Option<Exit> {
        if self.end.is_some() && self.end_hidden_for > 0 {
            self.end_hidden_for -= 1;
            return None;
        }
        self.end
    }
}

impl Server {
    fn handle(&self, socket: PathBuf, name: &str, pane: &Pane) -> RuntimeHandle {
        RuntimeHandle {
            version: HANDLE_VERSION,
            server: ServerIdentity { socket, process: self.process.clone() },
            session: name.to_owned(),
            pane: pane.id.clone(),
            process: pane.process.clone(),
        }
    }
}

fn no_answer() -> RuntimeError {
    RuntimeError::Unavailable { message: "the server does not answer".to_owned() }
}

impl FakeMachine {
    /// What a server answers to a home that does not know what should be there.
    fn answer_of(&self, socket: &std::path::Path, server: &mut Server) -> ServerAnswer {
        if !server.is_reachable {
            return ServerAnswer::Unreachable { because: "the server does not answer".to_owned() };
        }
        if server.home != self.home {
            return ServerAnswer::Stranger;
        }
        let marks: Vec<_> = server.panes.values().map(|pane| pane.mark.clone()).collect();
        let looks = look_at_panes(server).into_iter();
        let panes = looks.zip(marks).map(|(look, process)| PaneFound { look, process });
        let process = server.process.clone();
        let identity = ServerIdentity { socket: socket.to_owned(), process };
        ServerAnswer::Ours { server: identity, panes: panes.collect() }
    }

    /// The runtime of this launch, when its project has a server of ours.
    fn existing(&self, request: &CreateRuntime) -> Result<Option<RuntimeHandle>, RuntimeError> {
        let socket = Self::socket(&request.project);
        let state = self.lock();
        let Some(server) = state.servers.get(&socket) else { return Ok(None) };
        if !server.is_reachable {
            return Err(no_answer());
        }
        if server.home != self.home {
            return Err(RuntimeError::Stranger { socket });
        }
        let name = request.session.as_str();
        match server.panes.get(name) {
            Some(pane) if pane.launch == request.launch => {
                Ok(Some(server.handle(socket, name, pane)))
            }
            Some(_) => Err(RuntimeError::Taken { name: name.to_owned() }),
            None => Ok(None),
        }
    }

    fn start(&self, request: &CreateRuntime) -> Result<RuntimeHandle, RuntimeError> {
        let socket = Self::socket(&request.project);
        let mut state = self.lock();
        if !state.servers.contains_key(&socket) {
            state.start_server(&socket, &self.home);
        }
        let nonce = Some(request.nonce.clone());
        let parent = state.servers.get(&socket).map_or(ao_core::ids::Pid(1), |s| s.process.pid);
        let pid = state.start_process(parent, nonce.clone());
        let process = state.identity(pid, nonce.as_ref()).ok_or_else(no_answer)?;
        let pane = state.add_pane(request.launch.clone(), process);
        let server = state.servers.get_mut(&socket).ok_or_else(no_answer)?;
        let handle = server.handle(socket, request.session.as_str(), &pane);
        server.panes.insert(request.session.as_str().to_owned(), pane);
        server.n_changes += 1;
        state.run(request, pid);
        state.wake_watchers();
        Ok(handle)
    }
}

impl Runtime for FakeMachine {
    fn create<'a>(
        &'a self,
        request: &'a CreateRuntime,
    ) -> BoxFuture<'a, Result<RuntimeHandle, RuntimeError>> {
        Box::pin(async move {
            let fault = self.enter(Op::Create).await;
            if fault == Some(Fault::Refuse) {
                return Err(no_answer());
            }
            let handle = match self.existing(request)? {
                Some(handle) => handle,
                None => self.start(request)?,
            };
            if fault == Some(Fault::LoseAnswer) { Err(no_answer()) } else { Ok(handle) }
        })
    }

    fn find<'a>(
        &'a self,
        request: &'a CreateRuntime,
    ) -> BoxFuture<'a, Result<Option<RuntimeHandle>, RuntimeError>> {
        Box::pin(async move {
            if self.enter(Op::Find).await.is_some() {
                return Err(no_answer());
            }
            match self.existing(request) {
                Err(RuntimeError::Taken { .. }) => Ok(None),
                found => found,
            }
        })
    }

    fn destroy<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
    ) -> BoxFuture<'a, Result<Ensured, RuntimeError>> {
        Box::pin(async move {
            let fault = self.enter(Op::Destroy).await;
            if fault == Some(Fault::Refuse) {
                return Err(no_answer());
            }
            let mut state = self.lock();
            let done = match state.find_server(&self.home, &handle.server) {
                ServerFinding::Unreachable(because) => {
                    return Err(RuntimeError::Unavailable { message: because.to_owned() });
                }
                ServerFinding::Gone => Ensured::AlreadyThere,
                ServerFinding::Living if state.pane_mut(handle).is_none() => Ensured::AlreadyThere,
                ServerFinding::Living => {
                    state.kill_session(&handle.server.socket, &handle.session);
                    Ensured::Done
                }
            };
            if fault == Some(Fault::LoseAnswer) { Err(no_answer()) } else { Ok(done) }
        })
    }

    fn is_alive<'a>(&'a self, handle: &'a RuntimeHandle) -> BoxFuture<'a, HandleLook> {
        Box::pin(async move {
            let fault = self.enter(Op::IsAlive).await;
            let look = |server, runtime, exit| HandleLook { server, runtime, exit };
            let mut state = self.lock();
            match state.find_server(&self.home, &handle.server) {
                ServerFinding::Gone => look(ServerProbe::Gone, RuntimeProbe::Missing, None),
                ServerFinding::Unreachable(_) => {
                    look(ServerProbe::Unreachable, RuntimeProbe::Unknown, None)
                }
                ServerFinding::Living if fault.is_some() => {
                    look(ServerProbe::Unreachable, RuntimeProbe::Unknown, None)
                }
                ServerFinding::Living => match state.pane_mut(handle) {
                    None => look(ServerProbe::Living, RuntimeProbe::Missing, None),
                    Some(pane) if pane.end.is_some() => {
                        look(ServerProbe::Living, RuntimeProbe::Dead, pane.look_at_end())
                    }
                    Some(_) => look(ServerProbe::Living, RuntimeProbe::Alive, None),
                },
            }
        })
    }

    fn look_all<'a>(&'a self, server: &'a ServerIdentity) -> BoxFuture<'a, ServerLook> {
        Box::pin(async move {
            let fault = self.enter(Op::LookAll).await;
            let mut state = self.lock();
            let finding = state.find_server(&self.home, server);
            let because = match finding {
                ServerFinding::Gone => return ServerLook::Gone,
                ServerFinding::Unreachable(because) => because,
                ServerFinding::Living if fault.is_some() => "the look was lost",
                ServerFinding::Living => {
                    let panes = state.servers.get_mut(&server.socket).map(look_at_panes);
                    return ServerLook::Living { panes: panes.unwrap_or_default() };
                }
            };
            ServerLook::Unreachable { because: because.to_owned() }
        })
    }

    fn survey(&self) -> BoxFuture<'_, Result<Vec<ServerFound>, RuntimeError>> {
        Box::pin(async move {
            if self.enter(Op::Survey).await.is_some() {
                return Err(no_answer());
            }
            let mut state = self.lock();
            let found = |(socket, server): (&PathBuf, &mut Server)| ServerFound {
                socket: socket.clone(),
                answer: self.answer_of(socket, server),
            };
            Ok(state.servers.iter_mut().map(found).collect())
        })
    }

    fn watch<'a>(&'a self, server: &'a ServerIdentity) -> BoxFuture<'a, ServerEvent> {
        Box::pin(async move {
            if self.enter(Op::WatchServer).await.is_some() {
                return ServerEvent::Lost;
            }
            std::future::poll_fn(|context| {
                let mut state = self.lock();
                if state.running(&server.process).is_none() {
                    return Poll::Ready(ServerEvent::Gone);
                }
                if !state.watches_work {
                    return Poll::Ready(ServerEvent::Lost);
                }
                let Some(watched) = state.servers.get_mut(&server.socket) else {
                    return Poll::Ready(ServerEvent::Lost);
                };
                // The first watch cannot know what happened before it.
                if watched.n_changes_seen != Some(watched.n_changes) {
                    watched.n_changes_seen = Some(watched.n_changes);
                    return Poll::Ready(ServerEvent::Changed);
                }
                state.add_watcher(context.waker());
                Poll::Pending
            })
            .await
        })
    }

    fn end_idle_servers(&self) -> BoxFuture<'_, Result<Vec<PathBuf>, RuntimeError>> {
        Box::pin(async move {
            let fault = self.enter(Op::EndIdleServers).await;
            if fault == Some(Fault::Refuse) {
                return Err(no_answer());
            }
            let mut state = self.lock();
            let idle: Vec<PathBuf> = (state.servers.iter())
                .filter(|(_, server)| server.home == self.home && server.is_reachable)
                .filter(|(_, server)| server.panes.is_empty())
                .map(|(socket, _)| socket.clone())
                .collect();
            for socket in &idle {
                state.kill_server(socket);
            }
            if fault == Some(Fault::LoseAnswer) { Err(no_answer()) } else { Ok(idle) }
        })
    }
}

/// A process as it is written down: without the secret.
fn unsigned(process: &ProcessIdentity) -> ProcessIdentity {
    ProcessIdentity { nonce: None, ..process.clone() }
}

fn look_at_panes(server: &mut Server) -> Vec<PaneLook> {
    let look = |(name, pane): (&String, &mut Pane)| PaneLook {
        session: name.clone(),
        pane: pane.id.clone(),
        pid: pane.process.pid,
        launch: Some(pane.launch.clone()),
        is_dead: pane.end.is_some(),
        exit: pane.look_at_end(),
    };
    server.panes.iter_mut().map(look).collect()
}

impl FakeMachine {
    /// Starts the server of a project without a runtime in it.
    pub fn start_server(&self, project: &ProjectId) -> ServerIdentity {
        let socket = Self::socket(project);
        self.lock().start_server(&socket, &self.home)
    }
}
