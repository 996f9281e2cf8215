//! Gets back what removals set aside of a session, also when its record is gone.

use ao_core::ids::{ProjectId, SessionId};
use ao_core::ports::{Commit, CreateWorkspace, Expected, Loaded, Recovery, StoreError};
use ao_core::session::{BranchFate, Phase, WorkspaceFate, WorkspaceRecord};

use super::{SessionError, SessionManager};
use crate::lifecycle::CONFLICTS_MAX;
use crate::spawn::own_branch;
use crate::worktree::{project_of, workspace_request};

/// Why a worktree is there after a recovery.
const BROUGHT_BACK: &str = "`ao recover` brought it back";

impl SessionManager {
    /// Gets back what removals set aside of a session: its worktree with what was uncommitted and
    /// untracked in it, its branch, and its ignored files while the trash has them.
    ///
    /// *Flow*: the record accounts for a worktree that may be made → the worktree → the record as
    /// it turned out.
    ///
    /// *Guarantees*: nothing that stands anywhere is overwritten, and what is preserved stays
    /// preserved. It can be repeated. A session that lives, or has its worktree, is not touched:
    /// its work comes back on a branch of its own.
    pub async fn recover(&self, session: &SessionId) -> Result<Recovery, SessionError> {
        let before = match self.expect_worktree(session).await {
            Ok(before) => before,
            Err(SessionError::NoSession { .. }) => return self.recover_forgotten(session).await,
            Err(error) => return Err(error),
        };
        let request = self.recover_request(session).await?;
        let recovery = self.ports.workspace.recover(&request).await;
        let has_worktree = matches!(&recovery, Ok(Some(recovery)) if recovery.worktree.is_some());
        if let Some(before) = before
            && !has_worktree
        {
            self.take_back(session, &request, before).await?;
        }
        recovery?.ok_or_else(|| SessionError::NothingPreserved { session: session.clone() })
    }

    /// The record is gone: the project is in the id, and the repository has the rest.
    async fn recover_forgotten(&self, session: &SessionId) -> Result<Recovery, SessionError> {
        let unknown = || SessionError::NoSession { session: session.clone() };
        let (project, _number) = session.as_str().rsplit_once('-').ok_or_else(unknown)?;
        let project = ProjectId::parse(project).map_err(|_invalid| unknown())?;
        let project = project_of(&self.ports, &project).await?.ok_or_else(unknown)?;
        let request = CreateWorkspace {
            repo: project.path,
            session: session.clone(),
            path: self.settings.worktree_of(&project.id, session),
            branch: own_branch(session),
            base: None,
        };
        self.ports.workspace.recover(&request).await?.ok_or_else(unknown)
    }

    async fn recover_request(&self, session: &SessionId) -> Result<CreateWorkspace, SessionError> {
        let record = self.load(session).await?.session.record;
        let project = project_of(&self.ports, &record.project).await?;
        let project =
            project.ok_or_else(|| SessionError::NoProject { session: session.clone() })?;
        Ok(workspace_request(&record, project))
    }

    /// Writes down that a worktree may be there, where the record says that there is none. Returns
    /// what it said.
    async fn expect_worktree(
        &self,
        session: &SessionId,
    ) -> Result<Option<WorkspaceRecord>, SessionError> {
        for _ in 0..CONFLICTS_MAX {
            let loaded = self.load(session).await?;
            if loaded.saga.is_some() {
                return Err(SessionError::Busy { session: session.clone() });
            }
            let record = &loaded.session.record;
            let has_none =
                matches!(record.workspace.fate, WorkspaceFate::Removed | WorkspaceFate::Absent);
            if !loaded.session.lifecycle.is_terminal() || record.phase != Phase::Ended || !has_none
            {
                return Ok(None);
            }
            let before = record.workspace.clone();
            let mut expected = before.clone();
            expected.fate = WorkspaceFate::Kept;
            expected.because = Some(BROUGHT_BACK.to_owned());
            expected.branch = BranchFate::Kept;
            if self.put_workspace(&loaded, expected).await? {
                return Ok(Some(before));
            }
        }
        Err(SessionError::Busy { session: session.clone() })
    }

    /// Nothing was made: the record says again what it said. A worktree that is there in spite of
    /// that stays accounted for.
    async fn take_back(
        &self,
        session: &SessionId,
        request: &CreateWorkspace,
        before: WorkspaceRecord,
    ) -> Result<(), SessionError> {
        let look = self.ports.workspace.inspect(request).await;
        if look.is_ok_and(|look| look.is_registered) {
            return Ok(());
        }
        for _ in 0..CONFLICTS_MAX {
            let loaded = self.load(session).await?;
            let is_ours = loaded.session.record.workspace.because.as_deref() == Some(BROUGHT_BACK);
            if loaded.saga.is_some()
                || !is_ours
                || self.put_workspace(&loaded, before.clone()).await?
            {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Writes what became of a worktree; `false` when somebody else wrote the session first.
    async fn put_workspace(
        &self,
        loaded: &Loaded,
        workspace: WorkspaceRecord,
    ) -> Result<bool, SessionError> {
        let now = self.ports.clock.now();
        let revision = loaded.session.lifecycle.revision;
        let session = loaded.session.record.id.clone();
        let mut commit = Commit::on(session, Expected::Revision(revision), now);
        let mut next = loaded.session.clone();
        next.record.workspace = workspace;
        next.record.updated_at = now.wall;
        commit.next = Some(next);
        match self.lifecycle.commit(commit).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
