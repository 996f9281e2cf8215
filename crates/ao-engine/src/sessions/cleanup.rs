//! Frees what ended sessions hold and nobody needs any more: worktree, branch, launch files, what is
//! left of the terminal. It says of every session it passes over why it does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ao_core::ids::{Pid, ProjectId, RefName, SessionId};
use ao_core::ports::{Appraisal, CreateWorkspace, Loaded, RemovalMode, SessionFilter, StoreError};
use ao_core::record::EndIntent;
use ao_core::saga::{SagaChange, SagaKind};
use ao_core::session::{Phase, ProcessIdentity, Session, WorkspaceFate};

use super::{KILL_FOR_MAX, SessionError, SessionManager, end_saga};
use crate::lifecycle::CONFLICTS_MAX;
use crate::worktree::{project_of, workspace_request};

/// After so long no further session is begun with: whoever asked waits for the answer.
const CLEANUP_FOR_MAX: Duration = Duration::from_mins(5);

/// What to clean up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CleanupRequest {
    /// Only sessions of this project.
    pub project: Option<ProjectId>,
    /// Only say what would be done.
    pub is_dry_run: bool,
    /// Preserve what is not merged or not committed, and remove its worktree too.
    pub discard: bool,
    /// The process that waits for the answer: never signalled.
    pub caller: Option<Pid>,
}

/// What became of one session in a cleanup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaned {
    /// The session.
    pub session: SessionId,
    /// Whether what it held was freed, or would be.
    pub is_removed: bool,
    /// Why: a clause.
    pub because: String,
}

/// How a session that is not passed over goes on.
enum Plan {
    Skip(String),
    Free(String),
}

/// What was found out about the bases of a cleanup's sessions: why each may be older than the one
/// at its remote.
type Bases = BTreeMap<(PathBuf, Option<RefName>), Option<String>>;

impl SessionManager {
    /// Frees what ended sessions hold whose work is merged, or which have none.
    ///
    /// *Flow*: each session by itself: look → intent and saga in one commit → the saga ends what is
    /// left of its processes, its terminal, its worktree and branch, its files.
    ///
    /// *Guarantees*: a session that has not ended is not touched. Work that is not committed, or
    /// that no base has, is left, or preserved first with `discard`. The saga looks again under the
    /// lock of the repository, so that what changed since the first look counts. Two at once and
    /// repetitions are harmless. A dry run writes nothing but what a fetch writes.
    ///
    /// *Caveats*: how a session ended stays as it was: a cleanup adds that it was meant to.
    pub async fn cleanup(&self, request: &CleanupRequest) -> Result<Vec<Cleaned>, SessionError> {
        let began = self.ports.clock.now();
        let filter = SessionFilter { project: request.project.clone(), with_terminal: true };
        let caller = request.caller.and_then(|pid| self.ports.processes.identity(pid, None));
        let mut bases = Bases::new();
        let mut cleaned = Vec::new();
        for session in self.list(&filter).await? {
            let id = session.record.id;
            let is_late = self.ports.clock.now().since(&began) >= CLEANUP_FOR_MAX;
            let ended = if is_late {
                let because = "the time for one cleanup is over; `ao cleanup` goes on with it";
                Ok(skipped(&id, because))
            } else {
                self.clean(&id, request, caller.clone(), &mut bases).await
            };
            match ended {
                Ok(one) => cleaned.push(one),
                // Removed by somebody else meanwhile.
                Err(SessionError::NoSession { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(cleaned)
    }

    async fn clean(
        &self,
        id: &SessionId,
        request: &CleanupRequest,
        caller: Option<ProcessIdentity>,
        bases: &mut Bases,
    ) -> Result<Cleaned, SessionError> {
        for _ in 0..CONFLICTS_MAX {
            let loaded = self.load(id).await?;
            let because = match self.plan_cleanup(&loaded, request.discard, bases).await? {
                Plan::Skip(because) => return Ok(skipped(id, because)),
                Plan::Free(because) => because,
            };
            if request.is_dry_run {
                return Ok(Cleaned { session: id.clone(), is_removed: true, because });
            }
            let now = self.ports.clock.now();
            let mut commit = self.end_commit(&loaded, EndIntent::Cleanup, now);
            let saga = end_saga(id, SagaKind::Cleanup, request.discard, now);
            commit.saga = Some(SagaChange::Begin(saga));
            let _spared = self.runner.spare(id, caller.clone());
            match self.lifecycle.commit(commit).await {
                Ok(()) => return self.finish_cleanup(id, because).await,
                Err(StoreError::Conflict { .. } | StoreError::Exists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(skipped(id, "it keeps changing; `ao cleanup` tries it again"))
    }

    /// Looks at a session and decides. Nothing is written.
    async fn plan_cleanup(
        &self,
        loaded: &Loaded,
        discard: bool,
        bases: &mut Bases,
    ) -> Result<Plan, SessionError> {
        let session = &loaded.session;
        let skip = |because: &str| Ok(Plan::Skip(because.to_owned()));
        if !session.lifecycle.is_terminal() {
            return skip("it has not ended; `ao kill` ends it");
        }
        if loaded.saga.is_some() {
            return skip("it is being started or put away right now");
        }
        if session.record.phase != Phase::Ended {
            return skip("what is left of its terminal is not put away yet");
        }
        let Some(project) = project_of(&self.ports, &session.record.project).await? else {
            return skip("its project is not registered");
        };
        let workspace = workspace_request(&session.record, project);
        let mode = if discard { RemovalMode::Discard } else { RemovalMode::Merged };
        let mut appraisal = self.appraise(&workspace, mode).await;
        // Only what would stay is worth a question to the remote.
        if matches!(appraisal, Ok(Appraisal::Stays { .. }))
            && mode == RemovalMode::Merged
            && self.refresh(&workspace, bases).await
        {
            appraisal = self.appraise(&workspace, mode).await;
        }
        Ok(match appraisal {
            Ok(Appraisal::Goes { because }) => Plan::Free(because),
            Ok(Appraisal::Nothing) if is_put_away(session) => Plan::Skip(NOTHING_LEFT.to_owned()),
            Ok(Appraisal::Nothing) => Plan::Free("its worktree and branch are gone".to_owned()),
            Ok(Appraisal::Stays { because }) => {
                let stale = bases.get(&(workspace.repo, workspace.base)).cloned().flatten();
                Plan::Skip(match stale {
                    Some(stale) => format!("{because}; {stale}"),
                    None => because,
                })
            }
            Err(because) => Plan::Skip(because),
        })
    }

    /// What cannot be looked at is let be.
    async fn appraise(
        &self,
        workspace: &CreateWorkspace,
        mode: RemovalMode,
    ) -> Result<Appraisal, String> {
        let appraisal = self.ports.workspace.appraise(workspace, mode).await;
        appraisal.map_err(|error| format!("its worktree could not be looked at: {error}"))
    }

    /// Asks the remote of a base, once for each; says whether there is anything new to know.
    async fn refresh(&self, workspace: &CreateWorkspace, bases: &mut Bases) -> bool {
        let key = (workspace.repo.clone(), workspace.base.clone());
        if bases.contains_key(&key) {
            return false;
        }
        let refreshed = self.ports.workspace.refresh_base(workspace).await;
        let is_fresh = matches!(refreshed, Ok(None));
        bases.insert(key, refreshed.unwrap_or_else(|error| Some(error.to_string())));
        is_fresh
    }

    /// Runs the saga, and tells what it came to.
    async fn finish_cleanup(
        &self,
        id: &SessionId,
        because: String,
    ) -> Result<Cleaned, SessionError> {
        self.runner.start(id);
        self.runner.settled(id, KILL_FOR_MAX).await?;
        let loaded = match self.load(id).await {
            Ok(loaded) => loaded,
            Err(SessionError::NoSession { .. }) => {
                return Ok(Cleaned { session: id.clone(), is_removed: true, because });
            }
            Err(error) => return Err(error),
        };
        if let Some(saga) = &loaded.saga {
            let why = saga.because.as_ref().map(|it| format!(": {}", it.message));
            let why = why.unwrap_or_default();
            let because = format!("its removal is not finished{why}; it is tried again every pass");
            return Ok(skipped(id, because));
        }
        let workspace = &loaded.session.record.workspace;
        if workspace.fate == WorkspaceFate::Kept {
            let because = workspace.because.as_deref().unwrap_or("it was kept");
            return Ok(skipped(id, because));
        }
        let because = match &workspace.preserved_ref {
            Some(preserved) => {
                format!(
                    "{because}; `{preserved}` has what no branch has, `ao recover` gets it back"
                )
            }
            None => because,
        };
        Ok(Cleaned { session: id.clone(), is_removed: true, because })
    }
}

/// What is said of a session that was cleaned up before.
pub const NOTHING_LEFT: &str = "nothing of it is left to free";

fn skipped(id: &SessionId, because: impl Into<String>) -> Cleaned {
    Cleaned { session: id.clone(), is_removed: false, because: because.into() }
}

/// Whether the record says that nothing is left of a session either.
fn is_put_away(session: &Session) -> bool {
    match session.record.workspace.fate {
        WorkspaceFate::Absent | WorkspaceFate::Removed => true,
        WorkspaceFate::Present | WorkspaceFate::Kept | WorkspaceFate::Pending => false,
    }
}
