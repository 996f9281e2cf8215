//! Preparations of worktrees in memory, with commands that can fail or hang.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ao_core::ids::SessionId;
use ao_core::ports::{
    BoxFuture, Ensured, ProvisionError, ProvisionRequest, Provisioner, is_inside,
};

use crate::tasks::yield_now;

/// What becomes of a call.
#[derive(Debug, Clone)]
pub enum Mishap {
    /// It fails.
    Fail(ProvisionError),
    /// It never ends by itself.
    Hang,
}

/// Prepares worktrees in memory.
#[derive(Debug, Default)]
pub struct FakeProvisioner {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    prepared: BTreeSet<PathBuf>,
    logs: BTreeMap<SessionId, String>,
    mishaps: VecDeque<Mishap>,
    n_runs: usize,
}

impl FakeProvisioner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the next run of commands come to this; further ones queue behind it.
    pub fn next_run(&self, mishap: Mishap) {
        self.state().mishaps.push_back(mishap);
    }

    /// How often commands were begun.
    pub fn n_runs(&self) -> usize {
        self.state().n_runs
    }

    /// What was prepared went with its worktree.
    pub fn forget_worktree(&self, path: &Path) {
        self.state().prepared.remove(path);
    }

    /// Whether a worktree was prepared to its end.
    pub fn is_prepared(&self, path: &Path) -> bool {
        self.state().prepared.contains(path)
    }
}

impl Provisioner for FakeProvisioner {
    fn place<'a>(
        &'a self,
        request: &'a ProvisionRequest,
    ) -> BoxFuture<'a, Result<Ensured, ProvisionError>> {
        Box::pin(async move {
            yield_now().await;
            if self.is_prepared(&request.path) {
                return Ok(Ensured::AlreadyThere);
            }
            let placed = [&request.provisions.link[..], &request.provisions.copy[..]].concat();
            if let Some(outside) = placed.iter().find(|path| !is_inside(path)) {
                let message = "it is no path inside the repository".to_owned();
                return Err(ProvisionError::Path { path: outside.into(), message });
            }
            self.state().logs.insert(request.session.clone(), placed.join("\n"));
            Ok(Ensured::Done)
        })
    }

    fn run<'a>(
        &'a self,
        request: &'a ProvisionRequest,
    ) -> BoxFuture<'a, Result<(), ProvisionError>> {
        Box::pin(async move {
            let mishap = {
                let mut state = self.state();
                state.n_runs += 1;
                let commands = request.provisions.post_create.join("\n");
                state.logs.entry(request.session.clone()).or_default().push_str(&commands);
                state.mishaps.pop_front()
            };
            yield_now().await;
            match mishap {
                Some(Mishap::Fail(error)) => Err(error),
                Some(Mishap::Hang) => std::future::pending().await,
                None => {
                    self.state().prepared.insert(request.path.clone());
                    Ok(())
                }
            }
        })
    }

    fn log<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, Result<String, ProvisionError>> {
        Box::pin(async move { Ok(self.state().logs.get(session).cloned().unwrap_or_default()) })
    }

    fn forget<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, Result<(), ProvisionError>> {
        Box::pin(async move {
            self.state().logs.remove(session);
            Ok(())
        })
    }
}
