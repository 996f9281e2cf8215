//! The terminals of the fake machine, with somebody who sees what is looked at and typed.

use std::path::PathBuf;
use std::sync::Arc;

use ao_core::ids::SessionId;
use ao_core::ports::{
    AttachMode, BoxFuture, CreateRuntime, Ensured, HandleLook, Runtime, RuntimeError, ServerEvent,
    ServerFound, ServerLook, Terminal, TerminalLook,
};
use ao_core::session::{RuntimeHandle, ServerIdentity};
use ao_testkit::machine::FakeMachine;

use super::agents::Minds;
use super::setup::Setup;
use super::witness::Witness;

/// Runtime and terminal.
pub(crate) struct Desk {
    pub(crate) machine: FakeMachine,
    pub(crate) witness: Witness,
    pub(crate) minds: Arc<Minds>,
    /// Who prepares worktrees, where they are prepared.
    pub(crate) setup: Option<Arc<Setup>>,
}

fn session_of(handle: &RuntimeHandle) -> Option<SessionId> {
    SessionId::parse(handle.session.clone()).ok()
}

impl Runtime for Desk {
    fn create<'a>(
        &'a self,
        request: &'a CreateRuntime,
    ) -> BoxFuture<'a, Result<RuntimeHandle, RuntimeError>> {
        Box::pin(async move {
            if self.setup.as_ref().is_some_and(|it| !it.is_prepared(&request.directory)) {
                let id = &request.session;
                self.witness.violate(format!("{id}: started in a worktree that is not prepared"));
            }
            let created = self.machine.create(request).await;
            // Also when the answer was lost: the agent is there.
            self.minds.born(&self.machine, &request.session, &request.launch);
            created
        })
    }

    fn find<'a>(
        &'a self,
        request: &'a CreateRuntime,
    ) -> BoxFuture<'a, Result<Option<RuntimeHandle>, RuntimeError>> {
        self.machine.find(request)
    }

    fn destroy<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
    ) -> BoxFuture<'a, Result<Ensured, RuntimeError>> {
        self.machine.destroy(handle)
    }

    fn is_alive<'a>(&'a self, handle: &'a RuntimeHandle) -> BoxFuture<'a, HandleLook> {
        self.machine.is_alive(handle)
    }

    fn look_all<'a>(&'a self, server: &'a ServerIdentity) -> BoxFuture<'a, ServerLook> {
        self.machine.look_all(server)
    }

    fn survey(&self) -> BoxFuture<'_, Result<Vec<ServerFound>, RuntimeError>> {
        self.machine.survey()
    }

    fn watch<'a>(&'a self, server: &'a ServerIdentity) -> BoxFuture<'a, ServerEvent> {
        Runtime::watch(&self.machine, server)
    }

    fn end_idle_servers(&self) -> BoxFuture<'_, Result<Vec<PathBuf>, RuntimeError>> {
        self.machine.end_idle_servers()
    }
}

impl Terminal for Desk {
    fn get_output<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
        n_lines: usize,
    ) -> BoxFuture<'a, Result<String, RuntimeError>> {
        self.machine.get_output(handle, n_lines)
    }

    fn look<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
    ) -> BoxFuture<'a, Result<TerminalLook, RuntimeError>> {
        Box::pin(async move {
            let look = self.machine.look(handle).await?;
            if let Some(session) = session_of(handle) {
                self.witness.looked(&session, look.screen.starts_with("dialog:"));
            }
            Ok(look)
        })
    }

    fn paste<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
        text: &'a str,
    ) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(async move {
            if let Some(session) = session_of(handle) {
                self.witness.pasted(&session, text);
            }
            self.machine.paste(handle, text).await
        })
    }

    fn press<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
        key: &'a str,
    ) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(async move {
            if let Some(session) = session_of(handle) {
                self.witness.pressed(&session, key);
            }
            let pressed = self.machine.press(handle, key).await;
            if let Some(session) = session_of(handle) {
                self.witness.submitted(&session, &self.machine.submitted(&session));
            }
            pressed
        })
    }

    fn attach_command(&self, handle: &RuntimeHandle, mode: AttachMode) -> Vec<String> {
        self.machine.attach_command(handle, mode)
    }
}
