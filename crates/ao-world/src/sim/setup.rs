//! The preparation of worktrees: every call is a yield point with a scheduled outcome, and commands
//! are processes, which outlive a daemon that dies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ao_core::fact::ProcessProbe;
use ao_core::ids::{Nonce, SessionId};
use ao_core::ports::{
    BoxFuture, Clock as _, Ensured, Processes as _, ProvisionError, ProvisionRequest, Provisioner,
};
use ao_core::session::ProcessIdentity;
use ao_testkit::clock::JumpingClock;
use ao_testkit::machine::FakeMachine;
use ao_testkit::provisioner::FakeProvisioner;
use ao_testkit::tasks::yield_now;

use super::outside::{Faults, Git, clear, name_of, put, take};
use super::plan::{CallFault, SetupOp};
use super::witness::Witness;

/// How long a command may take, as the real one is given.
const BOUND: Duration = Duration::from_mins(10);

/// What a command that failed half-way has written.
const HALF_DONE: &str = "half-done";

/// A file that a command left in a worktree.
pub(crate) struct Written {
    pub(crate) session: SessionId,
    pub(crate) worktree: PathBuf,
    pub(crate) name: String,
    pub(crate) text: String,
}

#[derive(Default)]
struct State {
    /// Which worktree was prepared at each path.
    prepared: BTreeMap<PathBuf, u64>,
    /// Commands that nobody has seen end.
    commands: BTreeMap<SessionId, ProcessIdentity>,
    written: Vec<Written>,
    n_failed: u64,
}

/// Prepares worktrees. It outlives the daemons.
pub(crate) struct Setup {
    fake: FakeProvisioner,
    git: Arc<Git>,
    machine: FakeMachine,
    clock: JumpingClock,
    witness: Witness,
    faults: Faults<SetupOp>,
    state: Mutex<State>,
}

impl Setup {
    pub(crate) fn new(
        git: Arc<Git>,
        machine: FakeMachine,
        clock: JumpingClock,
        witness: Witness,
    ) -> Self {
        Self {
            fake: FakeProvisioner::default(),
            git,
            machine,
            clock,
            witness,
            faults: Faults::default(),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn schedule(&self, op: SetupOp, fault: CallFault) {
        put(&self.faults, op, fault);
    }

    pub(crate) fn heal(&self) {
        clear(&self.faults);
    }

    /// What commands left since the last time.
    pub(crate) fn take_written(&self) -> Vec<Written> {
        std::mem::take(&mut self.lock().written)
    }

    /// Whether the worktree that stands at this path was prepared to its end.
    pub(crate) fn is_prepared(&self, path: &Path) -> bool {
        let no = self.git.fake.worktree_no(path);
        no.is_some() && self.lock().prepared.get(path) == no.as_ref() && self.fake.is_prepared(path)
    }

    /// Sessions of which a command runs.
    pub(crate) fn busy(&self) -> Vec<SessionId> {
        let state = self.lock();
        let is_running = |it: &ProcessIdentity| self.machine.probe(it) != ProcessProbe::Dead;
        let busy = state.commands.iter().filter(|(_, process)| is_running(process));
        busy.map(|(session, _)| session.clone()).collect()
    }

    fn take_fault(&self, op: SetupOp) -> Option<CallFault> {
        let fault = take(&self.faults, &op)?;
        self.witness.count(format!("fault:setup:{op:?}:{}", name_of(fault)));
        self.witness.tell(format!("    setup: {op:?} {fault:?}"));
        Some(fault)
    }

    fn fail<T>(&self, session: &SessionId, error: ProvisionError) -> Result<T, ProvisionError> {
        self.witness.seen().setups.failed(session, &error);
        Err(error)
    }

    /// A command that nobody has seen end must have been ended by now.
    fn check_left(&self, session: &SessionId) {
        let left = self.lock().commands.remove(session);
        let Some(left) = left else { return };
        self.witness.count("setup:begun again".to_owned());
        if self.machine.probe(&left) != ProcessProbe::Dead {
            self.witness.violate(format!("{session}: its commands are begun beside earlier ones"));
        }
    }

    async fn place(&self, request: &ProvisionRequest) -> Result<Ensured, ProvisionError> {
        let session = &request.session;
        self.witness.seen().setups.begun(session);
        let fault = self.take_fault(SetupOp::Place);
        yield_now().await;
        let full = || ProvisionError::Path {
            path: request.path.join(".env"),
            message: "no space is left".to_owned(),
        };
        match fault {
            Some(CallFault::Slow(seconds)) => self.clock.sleep(Duration::from_secs(seconds)).await,
            Some(CallFault::TimeOut(seconds)) => {
                self.clock.sleep(Duration::from_secs(seconds)).await;
                return self.fail(session, full());
            }
            Some(CallFault::Refuse) => return self.fail(session, full()),
            Some(CallFault::LoseAnswer) | None => {}
        }
        self.check_left(session);
        if !self.is_prepared(&request.path) {
            self.fake.forget_worktree(&request.path);
        }
        let placed = self.fake.place(request).await?;
        let provisions = &request.provisions;
        for name in provisions.link.iter().chain(&provisions.copy) {
            if placed == Ensured::Done && self.git.fake.read(&request.path, name).is_none() {
                self.git.fake.write(&request.path, name, "given");
            }
        }
        if fault == Some(CallFault::LoseAnswer) {
            return self.fail(session, full());
        }
        Ok(placed)
    }

    async fn run(&self, request: &ProvisionRequest) -> Result<(), ProvisionError> {
        let session = &request.session;
        let fault = self.take_fault(SetupOp::Run);
        self.check_left(session);
        let nonce = request.env.get("AO_NONCE").and_then(|it| Nonce::parse(it.clone()).ok());
        let pid = self.machine.start_process(nonce.as_ref());
        if let Some(process) = self.machine.identity(pid, nonce.as_ref()) {
            self.lock().commands.insert(session.clone(), process);
        }
        yield_now().await;
        let how = match fault {
            Some(CallFault::Slow(seconds)) => {
                self.clock.sleep(Duration::from_secs(seconds)).await;
                None
            }
            Some(CallFault::TimeOut(_)) => {
                self.clock.sleep(BOUND).await;
                Some(format!("did not end within {} s", BOUND.as_secs()))
            }
            Some(CallFault::Refuse) => {
                self.leave_half_done(request);
                Some("ended with status 1".to_owned())
            }
            Some(CallFault::LoseAnswer) | None => None,
        };
        let no = self.git.fake.worktree_no(&request.path);
        if how.is_none() {
            self.fake.run(request).await?;
        }
        // Seen to its end, whichever that was.
        self.machine.kill_process(pid);
        {
            let mut state = self.lock();
            state.commands.remove(session);
            if let Some(no) = no.filter(|_| how.is_none()) {
                state.prepared.insert(request.path.clone(), no);
            }
        }
        if let Some(how) = how {
            let command = request.provisions.post_create.first().cloned().unwrap_or_default();
            let last = "no lockfile".to_owned();
            return self.fail(session, ProvisionError::Command { command, how, last });
        }
        if fault == Some(CallFault::LoseAnswer) {
            let message = "no space is left".to_owned();
            return self.fail(session, ProvisionError::Log { message });
        }
        self.witness.count("setup:prepared".to_owned());
        Ok(())
    }

    /// Every other command that fails has written something that nobody ignores.
    fn leave_half_done(&self, request: &ProvisionRequest) {
        let mut state = self.lock();
        state.n_failed += 1;
        if state.n_failed.is_multiple_of(2) {
            return;
        }
        let text = format!("output {}\n", state.n_failed);
        if self.git.fake.write(&request.path, HALF_DONE, &text) {
            self.witness.count("setup:half done".to_owned());
            state.written.push(Written {
                session: request.session.clone(),
                worktree: request.path.clone(),
                name: HALF_DONE.to_owned(),
                text,
            });
        }
    }
}

impl Provisioner for Setup {
    fn place<'a>(
        &'a self,
        request: &'a ProvisionRequest,
    ) -> BoxFuture<'a, Result<Ensured, ProvisionError>> {
        Box::pin(self.place(request))
    }

    fn run<'a>(
        &'a self,
        request: &'a ProvisionRequest,
    ) -> BoxFuture<'a, Result<(), ProvisionError>> {
        Box::pin(self.run(request))
    }

    fn log<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, Result<String, ProvisionError>> {
        self.fake.log(session)
    }

    fn forget<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, Result<(), ProvisionError>> {
        self.fake.forget(session)
    }
}
