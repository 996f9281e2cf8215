//! The fake process table.

use std::collections::BTreeSet;
use std::task::Poll;

use ao_core::fact::ProcessProbe;
use ao_core::ids::{Nonce, Pid};
use ao_core::ports::{BoxFuture, ProcessEnd, ProcessError, ProcessSignal, Processes};
use ao_core::record::Exit;
use ao_core::session::ProcessIdentity;
use ao_core::time::BootId;

use super::state::State;
use super::{FakeMachine, Fault, Op, SIGKILL};

/// The signal that asks to end.
const SIGTERM: i32 = 15;

fn unreadable() -> ProcessError {
    ProcessError { message: "the table was hidden".to_owned() }
}

impl State {
    /// Carriers of the nonce, the members of its group, the root, and everyone who descends from
    /// them or lives in their terminal sessions.
    fn tree(&self, nonce: &Nonce, root: Option<&ProcessIdentity>) -> BTreeSet<Pid> {
        let mut tree: BTreeSet<Pid> = (self.processes.iter())
            .filter(|(_, process)| {
                process.nonce.as_ref() == Some(nonce) || process.group.as_ref() == Some(nonce)
            })
            .map(|(&pid, _)| pid)
            .collect();
        let servers: BTreeSet<Pid> = self.servers.values().map(|s| s.process.pid).collect();
        let mut leaders = BTreeSet::new();
        if let Some(root) = root.filter(|root| root.boot == self.boot) {
            if self.running(root).is_some() {
                tree.insert(root.pid);
            }
            if self.running(root).is_some() || !self.processes.contains_key(&root.pid) {
                leaders.insert(root.pid);
            }
        }
        loop {
            let n_before = tree.len();
            leaders.extend(tree.iter().copied());
            for (&pid, process) in &self.processes {
                if tree.contains(&process.parent) || leaders.contains(&process.session) {
                    tree.insert(pid);
                }
            }
            tree.retain(|pid| !servers.contains(pid));
            if tree.len() == n_before {
                return tree;
            }
        }
    }

    fn signal(&mut self, identity: &ProcessIdentity, signal: ProcessSignal) -> bool {
        let Some(process) = self.running(identity) else { return false };
        let differs = |nonce: &Nonce| identity.nonce.as_ref().is_some_and(|ours| ours != nonce);
        if process.nonce.as_ref().is_some_and(differs) {
            return false;
        }
        match signal {
            ProcessSignal::Terminate if process.ignores_signals => {}
            ProcessSignal::Terminate => self.end_process(identity.pid, Exit::Signal(SIGTERM)),
            ProcessSignal::Kill => self.end_process(identity.pid, Exit::Signal(SIGKILL)),
        }
        true
    }
}

impl Processes for FakeMachine {
    fn boot(&self) -> BootId {
        self.lock().boot
    }

    fn identity(&self, pid: Pid, nonce: Option<&Nonce>) -> Option<ProcessIdentity> {
        self.lock().identity(pid, nonce)
    }

    fn nonce_of(&self, pid: Pid) -> Option<Nonce> {
        let state = self.lock();
        let process = state.processes.get(&pid).filter(|process| process.is_visible)?;
        process.nonce.clone()
    }

    fn probe(&self, process: &ProcessIdentity) -> ProcessProbe {
        match self.lock().running(process) {
            Some(running) if running.is_visible => ProcessProbe::Alive,
            Some(_) => ProcessProbe::Unknown,
            None => ProcessProbe::Dead,
        }
    }

    fn watch<'a>(&'a self, process: &'a ProcessIdentity) -> BoxFuture<'a, ProcessEnd> {
        Box::pin(async move {
            if self.enter(Op::WatchProcess).await.is_some() {
                return ProcessEnd::Lost;
            }
            std::future::poll_fn(|context| {
                let mut state = self.lock();
                if state.running(process).is_none() {
                    return Poll::Ready(ProcessEnd::Died);
                }
                if !state.watches_work {
                    return Poll::Ready(ProcessEnd::Lost);
                }
                state.add_watcher(context.waker());
                Poll::Pending
            })
            .await
        })
    }

    fn scan<'a>(
        &'a self,
        nonce: &'a Nonce,
        root: Option<&'a ProcessIdentity>,
    ) -> BoxFuture<'a, Result<Vec<ProcessIdentity>, ProcessError>> {
        Box::pin(async move {
            if self.enter(Op::Scan).await.is_some() {
                return Err(unreadable());
            }
            let state = self.lock();
            let tree = state.tree(nonce, root);
            let own = |pid: &Pid| state.processes.get(pid).and_then(|p| p.nonce.clone());
            Ok(tree.iter().filter_map(|pid| state.identity(*pid, own(pid).as_ref())).collect())
        })
    }

    fn signal_tree<'a>(
        &'a self,
        processes: &'a [ProcessIdentity],
        signal: ProcessSignal,
    ) -> BoxFuture<'a, Result<usize, ProcessError>> {
        Box::pin(async move {
            let fault = self.enter(Op::Signal).await;
            if fault == Some(Fault::Refuse) {
                return Err(unreadable());
            }
            let mut state = self.lock();
            let n_signalled = processes.iter().filter(|p| state.signal(p, signal)).count();
            if fault == Some(Fault::LoseAnswer) { Err(unreadable()) } else { Ok(n_signalled) }
        })
    }

    fn kill_group<'a>(&'a self, nonce: &'a Nonce) -> BoxFuture<'a, Result<bool, ProcessError>> {
        Box::pin(async move {
            let fault = self.enter(Op::KillGroup).await;
            if fault == Some(Fault::Refuse) {
                return Err(unreadable());
            }
            let mut state = self.lock();
            let members: Vec<Pid> = (state.processes.iter())
                .filter(|(_, process)| process.group.as_ref() == Some(nonce))
                .map(|(&pid, _)| pid)
                .collect();
            let has_server = state.servers.values().any(|it| members.contains(&it.process.pid));
            let is_done = !members.is_empty() && !has_server;
            if is_done {
                for pid in members {
                    state.end_process(pid, Exit::Signal(SIGKILL));
                }
            }
            if fault == Some(Fault::LoseAnswer) { Err(unreadable()) } else { Ok(is_done) }
        })
    }

    fn forget_group<'a>(&'a self, _nonce: &'a Nonce) -> BoxFuture<'a, ()> {
        // A group is what its members say: without any there is none.
        Box::pin(std::future::ready(()))
    }
}
