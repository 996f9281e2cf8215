//! The steps that end a session: processes, runtime, worktree, files. A kill, a cleanup and the
//! unwinding of a launch all take them; they differ in what may happen to the worktree.

use std::time::Duration;

use ao_core::fact::{Fact, FactKind, Outcome, ProcessProbe};
use ao_core::ids::{Nonce, SessionId};
use ao_core::ports::{
    ErrorKind, Loaded, ProcessError, ProcessSignal, Removal, RemovalMode, RuntimeError,
};
use ao_core::saga::{Saga, SagaChange, SagaDirection, SagaKind, SagaStep};
use ao_core::session::{
    BranchFate, Phase, ProcessIdentity, RuntimeHandle, SessionRecord, WorkspaceFate,
};

use super::{Next, SagaRunner, StepError};

/// Pause between two looks at processes that were asked to end.
const END_PAUSE: Duration = Duration::from_millis(20);

/// How long processes get to disappear after SIGKILL: the kernel needs milliseconds, unless one
/// hangs in a device.
const KILLED_FOR_MAX: Duration = Duration::from_secs(3);

/// Lines of the last screen that are kept: what a person scrolls back to find out what happened.
const SCREEN_LINES_MAX: usize = 1_000;

impl SagaRunner {
    pub(super) async fn teardown_step(
        &self,
        loaded: &Loaded,
        saga: &Saga,
    ) -> Result<Next, StepError> {
        match saga.step {
            SagaStep::Processes => self.end_processes(loaded, saga).await,
            SagaStep::DestroyRuntime => self.destroy_runtime(loaded, saga).await,
            SagaStep::RemoveWorktree => self.remove_worktree(loaded, saga).await,
            SagaStep::RemoveFiles => self.remove_files(loaded, saga).await,
            SagaStep::Finish => self.finish(loaded, saga).await,
            SagaStep::Worktree
            | SagaStep::Provision
            | SagaStep::AgentFiles
            | SagaStep::Runtime
            | SagaStep::ExecProof => {
                Err(StepError::trouble("BUG", format!("a teardown has no step `{}`", saga.step)))
            }
        }
    }

    async fn end_processes(&self, loaded: &Loaded, saga: &Saga) -> Result<Next, StepError> {
        let mut record = loaded.session.record.clone();
        // A crash between the start of a runtime and its record leaves one without a handle.
        if record.handle.is_none() {
            record.handle = self.find_runtime(&record).await?;
        }
        if let Some(handle) = &record.handle {
            self.save_screen(&record, handle).await;
        }
        if let Some(nonce) = &record.nonce {
            let root = record.handle.as_ref().map(|handle| &handle.process);
            self.end_tree(&record.id, nonce, root).await?;
        }
        self.advance(loaded, saga, SagaStep::DestroyRuntime, record).await
    }

    async fn find_runtime(
        &self,
        record: &SessionRecord,
    ) -> Result<Option<RuntimeHandle>, StepError> {
        let Some(request) = self.runtime_request(record) else { return Ok(None) };
        match self.ports.runtime.find(&request).await {
            Ok(found) => Ok(found),
            // Neither is a runtime of ours, so there is nothing to end.
            Err(
                RuntimeError::Missing { .. }
                | RuntimeError::Taken { .. }
                | RuntimeError::Stranger { .. }
                | RuntimeError::Gone { .. },
            ) => Ok(None),
            Err(error @ (RuntimeError::Unavailable { .. } | RuntimeError::Refused { .. })) => {
                Err(StepError::trouble("RUNTIME_FAILED", error.to_string()))
            }
        }
    }

    /// Keeps what the terminal shows. A screen that cannot be had is not worth a session that
    /// cannot be ended.
    pub(crate) async fn save_screen(&self, record: &SessionRecord, handle: &RuntimeHandle) {
        let Ok(screen) = self.ports.terminal.get_output(handle, SCREEN_LINES_MAX).await else {
            return;
        };
        if let Err(error) = self.ports.screens.save_screen(&record.id, screen.trim_end()).await {
            tracing::warn!(session = %record.id, %error, "The last screen was not kept.");
        }
    }

    /// Ends a whole process tree: asks, waits, ends, and looks that nothing is left.
    pub(super) async fn end_tree(
        &self,
        session: &SessionId,
        nonce: &Nonce,
        root: Option<&ProcessIdentity>,
    ) -> Result<(), StepError> {
        let grace = self.settings.kill_grace;
        // Descendants are only known while their parents live, so those that were seen stay known.
        let mut known: Vec<ProcessIdentity> = Vec::new();
        for (signal, for_max) in
            [(ProcessSignal::Terminate, grace), (ProcessSignal::Kill, KILLED_FOR_MAX)]
        {
            let mut signalled: Vec<ProcessIdentity> = Vec::new();
            let started_at = self.ports.clock.now();
            let mut is_group_due = signal == ProcessSignal::Kill;
            loop {
                self.look_for_more(nonce, root, &mut known).await?;
                let n_known = known.len();
                known.retain(|process| !self.is_spared(session, process));
                if known.is_empty() {
                    self.ports.processes.forget_group(nonce).await;
                    return Ok(());
                }
                // All at once, which nothing outruns; where somebody is spared, one by one.
                if std::mem::take(&mut is_group_due) && known.len() == n_known {
                    let killed = self.ports.processes.kill_group(nonce).await;
                    killed.map_err(|error| unknown(&error))?;
                }
                let fresh: Vec<_> =
                    known.iter().filter(|it| !signalled.contains(it)).cloned().collect();
                self.ports
                    .processes
                    .signal_tree(&fresh, signal)
                    .await
                    .map_err(|error| unknown(&error))?;
                signalled.extend(fresh);
                if self.ports.clock.now().since(&started_at) >= for_max {
                    break;
                }
                self.ports.clock.sleep(END_PAUSE).await;
            }
        }
        Err(StepError::trouble("PROCESSES_REMAIN", "processes of the session do not end"))
    }

    /// Adds what a fresh scan finds to what is known, and drops what has ended.
    async fn look_for_more(
        &self,
        nonce: &Nonce,
        root: Option<&ProcessIdentity>,
        known: &mut Vec<ProcessIdentity>,
    ) -> Result<(), StepError> {
        for process in
            self.ports.processes.scan(nonce, root).await.map_err(|error| unknown(&error))?
        {
            if !known.contains(&process) {
                known.push(process);
            }
        }
        known.retain(|process| self.ports.processes.probe(process) != ProcessProbe::Dead);
        Ok(())
    }

    async fn destroy_runtime(&self, loaded: &Loaded, saga: &Saga) -> Result<Next, StepError> {
        let record = loaded.session.record.clone();
        if let Some(handle) = &record.handle {
            self.end_runtime(handle)
                .await
                .map_err(|error| StepError::trouble("RUNTIME_FAILED", error.to_string()))?;
        }
        self.advance(loaded, saga, SagaStep::RemoveWorktree, record).await
    }

    pub(crate) async fn end_runtime(&self, handle: &RuntimeHandle) -> Result<(), RuntimeError> {
        match self.ports.runtime.destroy(handle).await {
            Ok(_) => Ok(()),
            // It is not there, or not ours any more: as good as ended.
            Err(
                RuntimeError::Gone { .. }
                | RuntimeError::Stranger { .. }
                | RuntimeError::Taken { .. },
            ) => Ok(()),
            Err(
                error @ (RuntimeError::Missing { .. }
                | RuntimeError::Unavailable { .. }
                | RuntimeError::Refused { .. }),
            ) => Err(error),
        }
    }

    async fn remove_worktree(&self, loaded: &Loaded, saga: &Saga) -> Result<Next, StepError> {
        let mut record = loaded.session.record.clone();
        let is_undone = saga.direction == SagaDirection::Unwinding && saga.kind == SagaKind::Spawn;
        // A spawn that crashed in its first step may have left a worktree that no record shows.
        // What a kill left of a branch is merged by now: that is what a cleanup is for.
        let is_branch_left =
            saga.kind == SagaKind::Cleanup && record.workspace.branch == BranchFate::Kept;
        let may_exist = record.workspace.fate != WorkspaceFate::Removed || is_branch_left;
        if may_exist && !is_to_be_tried_again(saga) {
            let request = self.workspace_request(&record).await?;
            let removal = if is_undone {
                self.ports.workspace.undo_create(&request, &saga.pre_image).await
            } else {
                self.ports.workspace.destroy(&request, mode_of(saga)).await
            };
            let removal =
                removal.map_err(|error| StepError::trouble(error.code(), error.to_string()))?;
            note_removal(&mut record, removal);
        } else if is_to_be_tried_again(saga) {
            self.note_restored(&mut record).await?;
        }
        self.advance(loaded, saga, SagaStep::RemoveFiles, record).await
    }

    /// A restore that failed may have made the worktree although it was told that it did not:
    /// what no record shows, nobody would remove.
    async fn note_restored(&self, record: &mut SessionRecord) -> Result<(), StepError> {
        let fate = record.workspace.fate;
        if !matches!(fate, WorkspaceFate::Absent | WorkspaceFate::Removed) {
            return Ok(());
        }
        let request = self.workspace_request(record).await?;
        match self.ports.workspace.inspect(&request).await {
            Ok(look) if look.is_registered => record.workspace.fate = WorkspaceFate::Present,
            Ok(_) => {}
            // What may answer later is asked again; a repository that is gone has no worktrees.
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                return Err(StepError::trouble(error.code(), error.to_string()));
            }
            Err(_) => {}
        }
        Ok(())
    }

    async fn remove_files(&self, loaded: &Loaded, saga: &Saga) -> Result<Next, StepError> {
        let record = loaded.session.record.clone();
        // What a cleanup had to leave can still be restored.
        let is_left =
            saga.kind == SagaKind::Cleanup && record.workspace.fate == WorkspaceFate::Kept;
        if let Some(launch) = &record.launch_id
            && !is_to_be_tried_again(saga)
            && !is_left
        {
            self.ports
                .launches
                .remove(launch)
                .await
                .map_err(|error| StepError::trouble("HOME_UNWRITABLE", error.to_string()))?;
        }
        self.advance(loaded, saga, SagaStep::Finish, record).await
    }

    async fn finish(&self, loaded: &Loaded, saga: &Saga) -> Result<Next, StepError> {
        let now = self.ports.clock.now();
        let has_failed = saga.direction == SagaDirection::Unwinding && !saga.is_cancelled;
        let outcome = if has_failed { Outcome::SpawnFailed } else { Outcome::RuntimeDestroyed };
        let fact = Fact { at: now, kind: FactKind::Outcome(outcome) };
        let mut commit = self.lifecycle.commit_of(loaded, &fact, now);
        // A session that ended by itself stays as it ended; only its machinery is done.
        let next = commit.next.get_or_insert_with(|| loaded.session.clone());
        next.record.phase = Phase::Ended;
        next.record.updated_at = now.wall;
        commit.saga = Some(SagaChange::End);
        self.lifecycle.commit(commit).await?;
        Ok(Next::Continue)
    }
}

/// Whether this is a restore that failed: it keeps the worktree, which holds the work of the
/// session, and the launch file, whose environment the next try needs. Only a kill lets go of them.
fn is_to_be_tried_again(saga: &Saga) -> bool {
    saga.kind == SagaKind::Restore && !saga.is_cancelled
}

/// How hard a teardown tries to remove a worktree.
fn mode_of(saga: &Saga) -> RemovalMode {
    match saga.kind {
        _ if saga.discard => RemovalMode::Discard,
        SagaKind::Cleanup => RemovalMode::Merged,
        SagaKind::Spawn | SagaKind::Kill | SagaKind::Restore => RemovalMode::Careful,
    }
}

fn unknown(error: &ProcessError) -> StepError {
    StepError::trouble("PROCESSES_UNKNOWN", error.to_string())
}

/// Writes down what became of a worktree and its branch.
fn note_removal(record: &mut SessionRecord, removal: Removal) {
    match removal {
        Removal::Removed { is_branch_deleted, preserved } => {
            record.workspace.fate = WorkspaceFate::Removed;
            record.workspace.because = None;
            record.workspace.branch =
                if is_branch_deleted { BranchFate::Deleted } else { BranchFate::Kept };
            if preserved.is_some() {
                record.workspace.preserved_ref = preserved;
            }
        }
        Removal::Kept { because } => {
            record.workspace.fate = WorkspaceFate::Kept;
            record.workspace.because = Some(because);
        }
    }
}
