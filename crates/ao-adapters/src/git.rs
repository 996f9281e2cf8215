//! Workspaces as git worktrees.
//!
//! Every question is answered by listing what git has registered, never by what an attempt
//! complains about; every change is made so that a death in the middle of it can be told apart
//! later. Work is never deleted: what no commit reaches is preserved or kept.
//!
//! It does not know sessions beyond their id, and it decides nothing about them.
//!
//! # Common pitfalls
//!
//! - `git worktree remove` deletes ignored files and the commits of a detached head without being
//!   forced. It is called only for worktrees whose directory is not there.
//! - `git rev-list --all` counts the head of *every* worktree as a ref, the one that goes included:
//!   `--single-worktree`.
//! - A call inside a worktree whose `.git` is gone finds the repository around it. Calls about a
//!   worktree name its git directory.
//! - `git worktree list` calls prunable what lacks its `.git`, even when the directory is full.
//! - A copied index needs the time of its original: by that time git knows which files may have been
//!   changed in the instant in which the index was written.
//! - Files marked `assume-unchanged` or `skip-worktree` hide their changes from `git status`.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ao_core::ids::{HomeId, ProjectId, SessionId};
use ao_core::ports::{
    Appraisal, BoxFuture, CreateWorkspace, CreatedWorkspace, DiffStat, Ensured, Recovery, Removal,
    RemovalMode, Tasks, TrashSweep, Workspace, WorkspaceError, WorkspaceLook, WorkspaceTrace,
    Worktree,
};
use ao_core::saga::PreImage;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

mod appraise;
mod base;
mod branch;
mod create;
mod exclude;
mod look;
mod merged;
mod preserve;
mod preserved;
mod recover;
mod removal;
mod repo;
mod run;
mod scratch;
mod sparse;
mod sweep;
mod traces;
mod trash;

use base::{Fetches, Freshness};
use create::is_of;
use look::{Eye, Submodules};
use repo::{Repo, is_occupied, resolved};
use sparse::Cone;
use trash::{Disposal, Entry};

/// Where removed worktrees go, what of them is worth nothing, and how long a remote may take.
#[derive(Debug, Clone)]
pub struct GitConfig {
    /// The marker of this home, in the mark of each of its worktrees.
    pub home: HomeId,
    /// The trash. Worktrees on another file system get one beside them.
    pub trash: PathBuf,
    /// What becomes of ignored files in projects without rules of their own.
    pub ignored: IgnoredRules,
    /// What becomes of them in these projects.
    pub ignored_by_project: BTreeMap<ProjectId, IgnoredRules>,
    /// Which directories the worktrees of these projects hold; every one without.
    pub sparse_by_project: BTreeMap<ProjectId, Vec<String>>,
    /// The same in projects without directories of their own.
    pub sparse: Vec<String>,
    /// How long a remote may take to tell about the base.
    pub fetch_timeout: Duration,
}

/// What becomes of ignored files when their worktree is let go of, in the language of `.gitignore`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnoredRules {
    /// Those that may be unlinked.
    pub disposable: Vec<String>,
    /// Those that never are, whatever else says so.
    pub kept: Vec<String>,
}

/// Git worktrees.
#[derive(Clone)]
pub struct GitWorktree {
    config: GitConfig,
    tasks: Arc<dyn Tasks>,
    locks: Arc<Locks>,
    fetches: Arc<Fetches>,
}

impl std::fmt::Debug for GitWorktree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitWorktree").field("config", &self.config).finish_non_exhaustive()
    }
}

/// One turn at a time for each repository: `git worktree add` fails beside another one.
#[derive(Debug, Default)]
struct Locks {
    turns: Mutex<HashMap<PathBuf, Arc<Semaphore>>>,
}

impl Locks {
    async fn turn(&self, common: &Path) -> Result<OwnedSemaphorePermit, WorkspaceError> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(
                turns.entry(common.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(1))),
            )
        };
        turn.acquire_owned()
            .await
            .map_err(|closed| WorkspaceError::Git { message: closed.to_string() })
    }
}

impl GitWorktree {
    /// Worktrees with a trash; files are unlinked by tasks of their own.
    pub fn new(config: GitConfig, tasks: Arc<dyn Tasks>) -> Self {
        let fetches = Arc::new(Fetches::new(config.fetch_timeout));
        Self { config, tasks, locks: Arc::default(), fetches }
    }

    /// What holds for the worktree of a session.
    fn ignored_of(&self, session: &SessionId) -> &IgnoredRules {
        let own = project_of(session).and_then(|it| self.config.ignored_by_project.get(&it));
        own.unwrap_or(&self.config.ignored)
    }

    /// The directories that the worktree of a session holds.
    fn cone_of(&self, session: &SessionId) -> Result<Cone, WorkspaceError> {
        let own = project_of(session).and_then(|it| self.config.sparse_by_project.get(&it));
        Cone::of(own.unwrap_or(&self.config.sparse))
    }

    async fn repo(&self, dir: &Path) -> Result<Repo, WorkspaceError> {
        Repo::open(dir, &self.config.home).await
    }

    /// Where indexes of our own are put for the time of a call.
    fn scratch(&self) -> PathBuf {
        self.config.trash.join("scratch")
    }

    fn dispose(&self, entry: Entry, disposal: Disposal) {
        trash::condemn(&entry, &disposal);
        let task = async move {
            let disposed = tokio::task::spawn_blocking(move || trash::dispose(&entry, &disposal));
            match disposed.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "Could not unlink a removed worktree."),
                Err(error) => tracing::error!(%error, "Unlinking a removed worktree panicked."),
            }
        };
        self.tasks.spawn("unlink-worktree", Box::pin(task));
    }

    async fn look(&self, request: &CreateWorkspace) -> Result<WorkspaceLook, WorkspaceError> {
        let repo = self.repo(&request.repo).await?;
        let path = resolved(&request.path);
        let sites = repo.sites().await?;
        let Some(site) = sites.iter().find(|site| is_of(site, request, &path)) else {
            return Ok(nothing(is_occupied(&path)));
        };
        let bases = look::bases(&repo, request).await?;
        let mut seen = nothing(site.worktree.path.is_dir());
        seen.is_registered = true;
        seen.locked.clone_from(&site.worktree.locked);
        seen.operation = look::operation(&site.admin).map(str::to_owned);
        seen.head.clone_from(&site.worktree.head);
        if let Some(head) = &seen.head {
            seen.n_commits_ahead = look::n_commits_ahead(&repo, head, &bases).await?;
        }
        if seen.exists && !site.is_half_made() {
            let eye = Eye::on(site).await?;
            let changes = eye.changes(Submodules::Included).await?;
            if let Some(head) = &seen.head
                && let Some(base) = look::fork_point(&repo, head, &bases).await?
            {
                seen.diff = eye.diff_stat(&base, &changes, &self.scratch()).await?;
            }
            seen.dirty_paths = changes.paths;
        }
        Ok(seen)
    }

    async fn diff_text(&self, request: &CreateWorkspace) -> Result<String, WorkspaceError> {
        let repo = self.repo(&request.repo).await?;
        let path = resolved(&request.path);
        let sites = repo.sites().await?;
        let site = sites.iter().find(|site| is_of(site, request, &path));
        let Some(site) = site.filter(|site| site.worktree.path.is_dir()) else {
            return Ok(String::new());
        };
        let eye = Eye::on(site).await?;
        let bases = look::bases(&repo, request).await?;
        let Some(head) = eye.head().await? else { return Ok(String::new()) };
        let base = look::fork_point(&repo, &head, &bases).await?.unwrap_or(head);
        let changes = eye.changes(Submodules::Included).await?;
        eye.diff_text(&base, &changes, &self.scratch()).await
    }
}

/// The project of a session, by whose id its own begins.
fn project_of(session: &SessionId) -> Option<ProjectId> {
    let (project, _) = session.as_str().rsplit_once('-')?;
    ProjectId::parse(project).ok()
}

fn nothing(exists: bool) -> WorkspaceLook {
    WorkspaceLook {
        exists,
        is_registered: false,
        locked: None,
        dirty_paths: Vec::new(),
        operation: None,
        head: None,
        n_commits_ahead: 0,
        diff: DiffStat::default(),
    }
}

impl Workspace for GitWorktree {
    fn preflight<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<PreImage, WorkspaceError>> {
        Box::pin(create::preflight(self, request))
    }

    fn create<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<CreatedWorkspace, WorkspaceError>> {
        Box::pin(create::make(self, request, Freshness::Asked))
    }

    fn restore<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<CreatedWorkspace, WorkspaceError>> {
        Box::pin(create::make(self, request, Freshness::Known))
    }

    fn destroy<'a>(
        &'a self,
        request: &'a CreateWorkspace,
        mode: RemovalMode,
    ) -> BoxFuture<'a, Result<Removal, WorkspaceError>> {
        Box::pin(removal::destroy(self, request, mode))
    }

    fn appraise<'a>(
        &'a self,
        request: &'a CreateWorkspace,
        mode: RemovalMode,
    ) -> BoxFuture<'a, Result<Appraisal, WorkspaceError>> {
        Box::pin(removal::appraise(self, request, mode))
    }

    fn refresh_base<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<Option<String>, WorkspaceError>> {
        Box::pin(async move {
            let repo = self.repo(&request.repo).await?;
            let base = request.base.as_ref();
            let found = base::resolve(&repo, base, Freshness::Asked, &self.fetches).await?;
            Ok(found.stale)
        })
    }

    fn recover<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<Option<Recovery>, WorkspaceError>> {
        Box::pin(recover::recover(self, request))
    }

    fn sweep<'a>(
        &'a self,
        request: &'a TrashSweep,
    ) -> BoxFuture<'a, Result<usize, WorkspaceError>> {
        Box::pin(async move {
            let mut roots = vec![self.config.trash.clone()];
            for repo in &request.repos {
                match self.repo(repo).await {
                    Ok(repo) => roots.push(trash::root_in(&repo)),
                    Err(error) => tracing::debug!(%error, "A repository has no trash to sweep."),
                }
            }
            roots.extend(request.directories.iter().map(|dir| trash::root_in_directory(dir)));
            let (now, keep_for) = (request.now, request.keep_for);
            let swept = tokio::task::spawn_blocking(move || sweep::sweep(&roots, now, keep_for));
            swept.await.map_err(|error| WorkspaceError::Git { message: error.to_string() })
        })
    }

    fn undo_create<'a>(
        &'a self,
        request: &'a CreateWorkspace,
        pre_image: &'a PreImage,
    ) -> BoxFuture<'a, Result<Removal, WorkspaceError>> {
        Box::pin(removal::undo_create(self, request, pre_image))
    }

    fn list<'a>(&'a self, repo: &'a Path) -> BoxFuture<'a, Result<Vec<Worktree>, WorkspaceError>> {
        Box::pin(async move { self.repo(repo).await?.list().await })
    }

    fn traces<'a>(
        &'a self,
        repo: &'a Path,
    ) -> BoxFuture<'a, Result<Vec<WorkspaceTrace>, WorkspaceError>> {
        Box::pin(traces::traces(self, repo))
    }

    fn inspect<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<WorkspaceLook, WorkspaceError>> {
        Box::pin(self.look(request))
    }

    fn diff<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<String, WorkspaceError>> {
        Box::pin(self.diff_text(request))
    }

    fn exclude<'a>(
        &'a self,
        repo: &'a Path,
        patterns: &'a [String],
    ) -> BoxFuture<'a, Result<Ensured, WorkspaceError>> {
        Box::pin(async move {
            let repo = self.repo(repo).await?;
            let _turn = self.locks.turn(&repo.common).await?;
            exclude::ensure(&repo.common, patterns)
        })
    }

    fn discover<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<PathBuf, WorkspaceError>> {
        Box::pin(async move {
            let dir = if path.is_file() { path.parent().unwrap_or(path) } else { path };
            let top = self.repo(dir).await?.top().await?;
            Ok(top.canonicalize().unwrap_or(top))
        })
    }
}
