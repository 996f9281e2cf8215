//! The steps that start a session: worktree, provisions, agent files, runtime, proof.

use std::time::Duration;

use ao_core::fact::{Fact, FactKind, Outcome, ProcessProbe};
use ao_core::ids::{IdempotencyKey, LaunchId, Nonce, SessionId};
use ao_core::message::{Lane, Message, MessageChange, MessageState};
use ao_core::ports::{
    Agent, Ensured, Invocation, LaunchFile, LaunchOrigin, LaunchProof, LaunchRequest, Loaded,
    ProvisionError, ProvisionRequest, StoreError,
};
use ao_core::record::Launch;
use ao_core::reduce::reduce;
use ao_core::saga::{Saga, SagaChange, SagaKind, SagaStep};
use ao_core::session::{BranchFate, Phase, RuntimeHandle, SessionRecord, WorkspaceFate};
use ao_core::step::Step;
use ao_core::time::Moment;

use super::{Next, SagaRunner, StepError};
use crate::codes;
use crate::outlook::{Waited, wait_until};
use crate::spawn::{NONCE_VARIABLE, free_workspace};
use crate::text::sanitize;

/// Pause between two looks for the proof: an exec takes a few milliseconds.
const PROOF_PAUSE: Duration = Duration::from_millis(10);

/// How often a wait for a cancellation is begun anew; the news itself ends it at once.
const CANCEL_LOOK_EVERY: Duration = Duration::from_mins(1);

impl SagaRunner {
    pub(super) async fn launch_step(
        &self,
        loaded: &Loaded,
        saga: &Saga,
    ) -> Result<Next, StepError> {
        match saga.step {
            SagaStep::Processes if saga.kind == SagaKind::Restore => {
                self.end_earlier_launch(loaded, saga).await
            }
            SagaStep::Worktree => self.make_worktree(loaded, saga).await,
            SagaStep::Provision => self.provision(loaded, saga).await,
            SagaStep::AgentFiles => self.write_agent_files(loaded, saga).await,
            SagaStep::Runtime => self.start_runtime(loaded, saga).await,
            SagaStep::ExecProof => self.prove_exec(loaded, saga).await,
            SagaStep::Processes
            | SagaStep::DestroyRuntime
            | SagaStep::RemoveWorktree
            | SagaStep::RemoveFiles
            | SagaStep::Finish => {
                Err(StepError::trouble("BUG", format!("a launch has no step `{}`", saga.step)))
            }
        }
    }

    /// Ends what a launch that is over left running (a server, a build): from here on nothing
    /// would know it any more. Its agent is dead, or there would be no restore.
    async fn end_earlier_launch(&self, loaded: &Loaded, saga: &Saga) -> Result<Next, StepError> {
        let mut record = loaded.session.record.clone();
        if let Some(nonce) = &record.nonce {
            self.end_tree(&record.id, nonce, None).await?;
        }
        let (_, file) = self.launch_file(&record).await?;
        let nonce = file.env.get(NONCE_VARIABLE).and_then(|nonce| Nonce::parse(nonce).ok());
        let nonce = nonce.ok_or_else(|| {
            StepError::trouble("LAUNCH_FILE_DAMAGED", "the launch file names no nonce")
        })?;
        record.nonce = Some(nonce);
        self.advance(loaded, saga, SagaStep::Worktree, record).await
    }

    async fn make_worktree(&self, loaded: &Loaded, saga: &Saga) -> Result<Next, StepError> {
        if saga.kind == SagaKind::Spawn && !saga.pre_image.is_recorded {
            return self.look_before(loaded, saga).await;
        }
        let mut record = loaded.session.record.clone();
        let request = self.workspace_request(&record).await?;
        let workspace = &self.ports.workspace;
        let made = if saga.kind == SagaKind::Restore {
            workspace.restore(&request).await
        } else {
            workspace.create(&request).await
        };
        let created = made.map_err(|error| StepError::trouble(error.code(), error.to_string()))?;
        record.workspace.path = created.path;
        record.workspace.fate = WorkspaceFate::Present;
        record.workspace.because = None;
        record.workspace.branch = BranchFate::Kept;
        record.base.name = Some(created.base);
        record.base.sha = Some(created.base_sha);
        record.phase = Phase::Provision;
        let has_provisions = !self.settings.provisions_of(&record.project).is_empty();
        let next = if has_provisions { SagaStep::Provision } else { SagaStep::AgentFiles };
        self.advance(loaded, saga, next, record).await
    }

    /// Gives the worktree its links and copies, and runs the commands of its project in it. One
    /// that was prepared before is left as it is.
    ///
    /// A kill, or the end of the daemon, does not wait for the commands: they are ended, and begun
    /// again by the next start.
    async fn provision(&self, loaded: &Loaded, saga: &Saga) -> Result<Next, StepError> {
        let record = loaded.session.record.clone();
        let (_, file) = self.launch_file(&record).await?;
        let workspace = self.workspace_request(&record).await?;
        let request = ProvisionRequest {
            session: record.id.clone(),
            repo: workspace.repo,
            path: record.workspace.path.clone(),
            provisions: self.settings.provisions_of(&record.project).clone(),
            env: file.env,
        };
        let patterns = request.provisions.patterns();
        if !patterns.is_empty() {
            let excluded = self.ports.workspace.exclude(&request.repo, &patterns).await;
            excluded.map_err(|error| StepError::trouble(error.code(), error.to_string()))?;
        }
        // A crash may have left a command of an earlier try behind.
        if let Some(nonce) = &record.nonce {
            self.end_tree(&record.id, nonce, None).await?;
        }
        let failed = |error: ProvisionError| {
            StepError::trouble(error.code(), sanitize(&error.to_string()).text)
        };
        let placed = self.ports.provisioner.place(&request).await.map_err(failed)?;
        if placed == Ensured::Done {
            let ran = tokio::select! {
                biased;
                () = self.wake.stopped() => return Ok(Next::Later),
                cancelled = self.cancelled(&record.id) => {
                    cancelled?;
                    return Ok(Next::Continue);
                }
                ran = self.ports.provisioner.run(&request) => ran,
            };
            ran.map_err(failed)?;
        }
        self.advance(loaded, saga, SagaStep::AgentFiles, record).await
    }

    /// Ends when the end of a session that is being started is wanted.
    async fn cancelled(&self, session: &SessionId) -> Result<(), StoreError> {
        let is_cancelled = || async {
            let loaded = self.ports.sessions.load(session).await?;
            let is_wanted = loaded.and_then(|it| it.saga).is_some_and(|saga| !saga.is_cancelled);
            Ok((!is_wanted).then_some(()))
        };
        let (feed, clock) = (self.ports.feed.as_ref(), self.ports.clock.as_ref());
        while wait_until(feed, clock, CANCEL_LOOK_EVERY, is_cancelled).await? == Waited::TimedOut {}
        Ok(())
    }

    /// Looks again at what stands where the worktree of a session goes that had to wait for its
    /// place: its branch may be taken by now, and what is undone later is only what is made now.
    async fn look_before(&self, loaded: &Loaded, saga: &Saga) -> Result<Next, StepError> {
        let mut record = loaded.session.record.clone();
        let asked = self.workspace_request(&record).await?;
        let looked = free_workspace(self.ports.workspace.as_ref(), asked).await;
        let (found, pre_image) =
            looked.map_err(|error| StepError::trouble(error.code(), error.to_string()))?;
        record.branch = found.branch;
        self.advance(loaded, &Saga { pre_image, ..saga.clone() }, saga.step, record).await
    }

    async fn write_agent_files(&self, loaded: &Loaded, saga: &Saga) -> Result<Next, StepError> {
        let mut record = loaded.session.record.clone();
        let (launch, file) = self.launch_file(&record).await?;
        let invocation = self.invocation(saga.kind, &record, &launch, &file)?;
        let mut env = file.env;
        env.extend(invocation.env);
        let file = LaunchFile {
            launch,
            session: record.id.clone(),
            directory: record.workspace.path.clone(),
            argv: invocation.argv,
            env,
            // By now branch and base are what they will be.
            origin: Some(LaunchOrigin::of(&record)),
        };
        self.ports
            .launches
            .write(&file, &invocation.files)
            .await
            .map_err(|error| StepError::trouble(codes::HOME_UNWRITABLE, error.to_string()))?;
        record.phase = Phase::Runtime;
        self.advance(loaded, saga, SagaStep::Runtime, record).await
    }

    /// The launch of a session and its file, which keeps the environment.
    async fn launch_file(
        &self,
        record: &SessionRecord,
    ) -> Result<(LaunchId, LaunchFile), StepError> {
        let launch = record
            .launch_id
            .clone()
            .ok_or_else(|| StepError::trouble("BUG", "a launch without an id"))?;
        let file = self
            .ports
            .launches
            .read(&launch)
            .await
            .map_err(|error| StepError::trouble("HOME_UNREADABLE", error.to_string()))?
            .ok_or_else(|| {
                StepError::trouble("LAUNCH_FILE_GONE", "the launch file of the session is gone")
            })?;
        Ok((launch, file))
    }

    /// What the agent wants executed, on the environment that its launch file keeps.
    fn invocation(
        &self,
        kind: SagaKind,
        record: &SessionRecord,
        launch: &LaunchId,
        file: &LaunchFile,
    ) -> Result<Invocation, StepError> {
        let agent = self.agent_of(record)?;
        let request = LaunchRequest {
            session: record.id.clone(),
            launch: launch.clone(),
            directory: record.workspace.path.clone(),
            files_dir: self.ports.launches.dir(launch),
            prompt: record.prompt.clone(),
            argv: record.argv.clone(),
            model: record.model.clone(),
            permission_mode: record.permission_mode.clone(),
            agent_session_id: record.agent_session_id.clone(),
            env: file.env.clone(),
        };
        let invocation = if kind == SagaKind::Restore {
            agent.restore_command(&request)
        } else {
            agent.launch(&request)
        };
        invocation.map_err(|error| StepError::trouble(error.code(), error.to_string()))
    }

    fn agent_of(&self, record: &SessionRecord) -> Result<&dyn Agent, StepError> {
        let agent = self.ports.agents.get(&record.agent);
        agent.map(AsRef::as_ref).ok_or_else(|| {
            StepError::trouble("NO_AGENT", format!("there is no agent `{}`", record.agent))
        })
    }

    async fn start_runtime(&self, loaded: &Loaded, saga: &Saga) -> Result<Next, StepError> {
        let mut record = loaded.session.record.clone();
        let request = self
            .runtime_request(&record)
            .ok_or_else(|| StepError::trouble("BUG", "a launch without an id"))?;
        let handle =
            self.ports.runtime.create(&request).await.map_err(|error| {
                StepError::trouble(codes::of_runtime(&error), error.to_string())
            })?;
        record.handle = Some(handle);
        self.advance(loaded, saga, SagaStep::ExecProof, record).await
    }

    async fn prove_exec(&self, loaded: &Loaded, saga: &Saga) -> Result<Next, StepError> {
        let record = &loaded.session.record;
        let (Some(handle), Some(launch)) = (&record.handle, &record.launch_id) else {
            return Err(StepError::trouble("BUG", "a proof without a runtime"));
        };
        self.wait_for_proof(launch, handle).await?;
        let traits = self.agent_of(record)?.traits();
        let now = self.ports.clock.now();
        let launched = Launch { id: launch.clone(), committed_at: now, traits };
        let fact = Fact { at: now, kind: FactKind::Outcome(Outcome::Launched(launched)) };
        let policy = self.settings.policy_of(&record.project);
        let Step::Change(change) = reduce(&loaded.session, &fact, policy, &now) else {
            // Only an end that was asked for meanwhile keeps a launch from being one.
            return Err(StepError::trouble("CANCELLED", "the session ended while it was started"));
        };
        let (_, file) = self.launch_file(record).await?;
        let typed = self.invocation(saga.kind, record, launch, &file)?.typed_prompt;
        let mut commit = self.lifecycle.plan(loaded, *change, &fact, now);
        if let Some(next) = &mut commit.next {
            next.record.phase = Phase::Running;
            next.record.trouble = None;
        }
        commit.messages.extend(typed.map(|text| self.prompt_message(saga, launch, &text, now)));
        commit.saga = Some(SagaChange::End);
        self.lifecycle.commit(commit).await?;
        Ok(Next::Continue)
    }

    /// Waits until the launcher became the agent.
    async fn wait_for_proof(
        &self,
        launch: &LaunchId,
        handle: &RuntimeHandle,
    ) -> Result<(), StepError> {
        let started_at = self.ports.clock.now();
        loop {
            // Read before the proof: a launcher that is dead by now has said all it will say.
            let process = self.ports.processes.probe(&handle.process);
            match self.ports.launches.proof(launch).await {
                LaunchProof::Execed { pid } if pid == handle.process.pid => return Ok(()),
                LaunchProof::Execed { pid } => {
                    let expected = handle.process.pid;
                    let message = format!("process {pid} became the agent, not {expected}");
                    return Err(StepError::trouble("EXEC_FAILED", message));
                }
                LaunchProof::Failed { because } => {
                    return Err(StepError::trouble("EXEC_FAILED", because));
                }
                LaunchProof::NotStarted | LaunchProof::Starting => {}
            }
            if process == ProcessProbe::Dead {
                let message = "the launcher ended before it became the agent";
                return Err(StepError::trouble("EXEC_FAILED", message));
            }
            if self.ports.clock.now().since(&started_at) >= self.settings.exec_proof_for_max {
                let message = "the launcher did not become the agent in time";
                return Err(StepError::trouble("EXEC_TIMEOUT", message));
            }
            self.ports.clock.sleep(PROOF_PAUSE).await;
        }
    }

    /// The prompt as the first message, for agents that take it no other way.
    fn prompt_message(
        &self,
        saga: &Saga,
        launch: &LaunchId,
        text: &str,
        now: Moment,
    ) -> MessageChange {
        let sanitized = sanitize(text);
        MessageChange::Queue(Message {
            id: self.lifecycle.message_id(),
            session: saga.session.clone(),
            lane: Lane::Human,
            text: sanitized.text,
            n_stripped: sanitized.n_stripped,
            state: MessageState::Queued,
            reason: None,
            launch: None,
            idempotency_key: Some(IdempotencyKey::new(format!("prompt-{launch}"))),
            origin: None,
            created_at: now,
            typing_at: None,
            updated_at: now,
        })
    }
}
