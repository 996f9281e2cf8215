//! A git that lives in memory: repositories, branches, commits, worktrees with files, and a
//! schedule of faults.
//!
//! It keeps the promises of the port, not the file formats of git. Nothing touches the disk.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ao_core::ids::{BranchName, RefName, SessionId, Sha};
use ao_core::ports::{
    Appraisal, BoxFuture, CreateWorkspace, CreatedWorkspace, Ensured, MarkedBy, Recovery, Removal,
    RemovalMode, TrashSweep, Workspace, WorkspaceError, WorkspaceLook, WorkspaceTrace, Worktree,
};
use ao_core::saga::PreImage;

mod repo;

use repo::{FakeRepo, FakeWorktree, is_branch_name};

/// The calls of the port that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkspaceOp {
    /// `preflight`.
    Preflight,
    /// `create`.
    Create,
    /// `restore` and `recover`.
    Restore,
    /// `destroy`.
    Destroy,
    /// `undo_create`.
    UndoCreate,
    /// `inspect`, `appraise` and `diff`.
    Look,
    /// `list`, `refresh_base`, `exclude` and `discover`.
    Repository,
    /// `traces`.
    Traces,
}

/// Workspaces in memory.
#[derive(Debug, Default)]
pub struct FakeWorkspace {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    repos: BTreeMap<PathBuf, FakeRepo>,
    plain: Vec<PathBuf>,
    faults: BTreeMap<WorkspaceOp, VecDeque<WorkspaceError>>,
    lost: BTreeMap<WorkspaceOp, VecDeque<WorkspaceError>>,
}

impl FakeWorkspace {
    /// No repository yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a repository with one commit on `main`.
    pub fn add_repo(&self, path: impl Into<PathBuf>) {
        self.state().repos.insert(path.into(), FakeRepo::with_a_commit());
    }

    /// Adds a repository without any commit.
    pub fn add_unborn_repo(&self, path: impl Into<PathBuf>) {
        self.state().repos.insert(path.into(), FakeRepo::default());
    }

    /// Puts something that is no worktree at a path.
    pub fn occupy(&self, path: impl Into<PathBuf>) {
        self.state().plain.push(path.into());
    }

    /// Makes the next call of this kind fail; further ones queue behind it.
    pub fn fail_next(&self, op: WorkspaceOp, error: WorkspaceError) {
        self.state().faults.entry(op).or_default().push_back(error);
    }

    /// Lets the next `create` or `restore` do what it was asked, and fail nevertheless.
    pub fn lose_next(&self, op: WorkspaceOp, error: WorkspaceError) {
        self.state().lost.entry(op).or_default().push_back(error);
    }

    /// Writes a file in a worktree; `false` when there is no such worktree.
    pub fn write(&self, worktree: &Path, name: &str, text: &str) -> bool {
        self.with_worktree(worktree, |_repo, worktree| {
            worktree.files.insert(name.to_owned(), text.to_owned());
        })
    }

    /// Reads a file of a worktree.
    pub fn read(&self, worktree: &Path, name: &str) -> Option<String> {
        let state = self.state();
        let worktree = state.repos.values().find_map(|repo| repo.worktrees.get(worktree))?;
        if worktree.is_dir_missing { None } else { worktree.files.get(name).cloned() }
    }

    /// Commits everything in a worktree; `false` when there is no such worktree.
    pub fn commit(&self, worktree: &Path) -> bool {
        self.with_worktree(worktree, FakeRepo::commit)
    }

    /// Locks a worktree; `false` when there is no such worktree.
    pub fn lock(&self, worktree: &Path, reason: &str) -> bool {
        self.with_worktree(worktree, |_repo, worktree| worktree.locked = Some(reason.to_owned()))
    }

    /// Begins (or ends, with `None`) an operation such as a merge; `false` without such worktree.
    pub fn set_operation(&self, worktree: &Path, operation: Option<&str>) -> bool {
        self.with_worktree(worktree, |_repo, worktree| {
            worktree.operation = operation.map(str::to_owned);
        })
    }

    /// Lets a worktree carry the mark of another home; `false` without such worktree.
    pub fn set_foreign(&self, worktree: &Path) -> bool {
        self.with_worktree(worktree, |_repo, worktree| worktree.by = MarkedBy::AnotherHome)
    }

    /// Detaches the head of a worktree; `false` when there is no such worktree.
    pub fn detach(&self, worktree: &Path) -> bool {
        self.with_worktree(worktree, |_repo, worktree| worktree.branch = None)
    }

    /// Removes the directory of a worktree behind git's back; `false` without such worktree.
    pub fn remove_dir(&self, worktree: &Path) -> bool {
        self.with_worktree(worktree, |_repo, worktree| worktree.is_dir_missing = true)
    }

    /// Makes a branch of `main`'s commit in a repository; `false` when it cannot.
    pub fn add_branch(&self, repo: &Path, branch: &str) -> bool {
        let mut state = self.state();
        let Some(repo) = state.repos.get_mut(repo) else { return false };
        let Some(head) = repo.branches.get("main").cloned() else { return false };
        repo.branches.insert(branch.to_owned(), head);
        true
    }

    /// Merges a branch into `main` by moving `main` to it; `false` when there is none, or when
    /// `main` has commits that it has not.
    pub fn fast_forward_main(&self, repo: &Path, branch: &str) -> bool {
        self.state().repos.get_mut(repo).is_some_and(|repo| repo.fast_forward_main(branch))
    }

    /// Merges a branch into `main` as one commit of all that it changed; `false` when there is no
    /// such branch, when it changed nothing, or when `main` has changed the same files since.
    pub fn squash_into_main(&self, repo: &Path, branch: &str) -> bool {
        self.state().repos.get_mut(repo).is_some_and(|repo| repo.squash_into_main(branch))
    }

    /// Whether `main` has all that a commit brings, by a merge or as one commit.
    pub fn is_in_main(&self, repo: &Path, commit: &Sha) -> bool {
        self.state().repos.get(repo).is_some_and(|repo| repo.is_in_main(commit))
    }

    /// The number of a worktree among those that were ever made in its repository: one that is made
    /// again is another one.
    pub fn worktree_no(&self, worktree: &Path) -> Option<u64> {
        let state = self.state();
        let worktree = state.repos.values().find_map(|repo| repo.worktrees.get(worktree))?;
        Some(worktree.no)
    }

    /// The branches of a repository.
    pub fn branches(&self, repo: &Path) -> Vec<String> {
        let state = self.state();
        state
            .repos
            .get(repo)
            .map(|repo| repo.branches.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// Whether a file of a session, with this text, is among the work that was preserved.
    pub fn has_preserved(
        &self,
        repo: &Path,
        session: &SessionId,
        (name, text): (&str, &str),
    ) -> bool {
        let state = self.state();
        let preserved = state.repos.get(repo).and_then(|repo| repo.preserved.get(session));
        let mut trees = preserved.into_iter().flatten().map(|(_head, files)| files);
        trees.any(|files| files.get(name).is_some_and(|kept| kept == text))
    }

    /// The commit that a worktree stands on.
    pub fn head(&self, worktree: &Path) -> Option<Sha> {
        let state = self.state();
        let worktree = state.repos.values().find_map(|repo| repo.worktrees.get(worktree))?;
        Some(worktree.head.clone())
    }

    /// Whether a commit of a session is still on a branch, preserved, or below the head of a
    /// worktree, which may be on no branch.
    pub fn keeps_commit(&self, repo: &Path, session: &SessionId, commit: &Sha) -> bool {
        let state = self.state();
        let repo = state.repos.get(repo);
        repo.is_some_and(|it| it.keeps_commit(session, commit) || it.is_below_a_head(commit))
    }

    fn with_worktree(&self, path: &Path, f: impl FnOnce(&mut FakeRepo, &mut FakeWorktree)) -> bool {
        let mut state = self.state();
        for repo in state.repos.values_mut() {
            if let Some(mut worktree) = repo.worktrees.remove(path) {
                f(repo, &mut worktree);
                repo.worktrees.insert(path.to_owned(), worktree);
                return true;
            }
        }
        false
    }
}

impl State {
    fn fault(&mut self, op: WorkspaceOp) -> Result<(), WorkspaceError> {
        match self.faults.get_mut(&op).and_then(VecDeque::pop_front) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn answer<T>(
        &mut self,
        op: WorkspaceOp,
        answer: Result<T, WorkspaceError>,
    ) -> Result<T, WorkspaceError> {
        match self.lost.get_mut(&op).and_then(VecDeque::pop_front) {
            Some(error) => Err(error),
            None => answer,
        }
    }

    fn repo(&mut self, path: &Path) -> Result<&mut FakeRepo, WorkspaceError> {
        self.repos.get_mut(path).ok_or_else(|| WorkspaceError::NotARepo { path: path.to_owned() })
    }

    /// Checks a request and finds the base; the order is that of the real adapter.
    fn check(
        &mut self,
        request: &CreateWorkspace,
    ) -> Result<(RefName, Sha, PreImage), WorkspaceError> {
        let is_occupied = self.plain.contains(&request.path);
        let repo = self.repo(&request.repo)?;
        if !is_branch_name(request.branch.as_str()) {
            return Err(WorkspaceError::BranchInvalid { branch: request.branch.to_string() });
        }
        let (base, base_sha) = repo.base(request)?;
        let found = repo.worktrees.get(&request.path);
        let is_ours = found.is_some_and(|it| it.session == request.session);
        if is_occupied || (found.is_some() && !is_ours) {
            return Err(WorkspaceError::PathTaken { path: request.path.clone() });
        }
        repo.check_branch_free(request)?;
        let branch_at = repo.branches.get(request.branch.as_str()).cloned();
        Ok((base, base_sha, PreImage { branch_at, path_existed: is_ours, is_recorded: true }))
    }

    fn make(&mut self, request: &CreateWorkspace) -> Result<CreatedWorkspace, WorkspaceError> {
        let (base, base_sha, _pre_image) = self.check(request)?;
        let repo = self.repo(&request.repo)?;
        let base_sha = repo.begin(request, &base_sha);
        Ok(CreatedWorkspace { path: request.path.clone(), base, base_sha, stale: None })
    }
}

fn repository_missing(request: &CreateWorkspace) -> Removal {
    let because = format!("its repository `{}` cannot be found", request.repo.display());
    Removal::Kept { because }
}

impl Workspace for FakeWorkspace {
    fn preflight<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<PreImage, WorkspaceError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.fault(WorkspaceOp::Preflight)?;
            state.check(request).map(|(_base, _sha, pre_image)| pre_image)
        })
    }

    fn create<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<CreatedWorkspace, WorkspaceError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.fault(WorkspaceOp::Create)?;
            let made = state.make(request);
            state.answer(WorkspaceOp::Create, made)
        })
    }

    fn restore<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<CreatedWorkspace, WorkspaceError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.fault(WorkspaceOp::Restore)?;
            let made = state.make(request);
            state.answer(WorkspaceOp::Restore, made)
        })
    }

    fn destroy<'a>(
        &'a self,
        request: &'a CreateWorkspace,
        mode: RemovalMode,
    ) -> BoxFuture<'a, Result<Removal, WorkspaceError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.fault(WorkspaceOp::Destroy)?;
            Ok(match state.repos.get_mut(&request.repo) {
                Some(repo) => repo.remove(request, mode),
                None => repository_missing(request),
            })
        })
    }

    fn appraise<'a>(
        &'a self,
        request: &'a CreateWorkspace,
        mode: RemovalMode,
    ) -> BoxFuture<'a, Result<Appraisal, WorkspaceError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.fault(WorkspaceOp::Look)?;
            let is_occupied = state.plain.contains(&request.path);
            Ok(match state.repos.get(&request.repo) {
                Some(_) if is_occupied => {
                    let because = "what stands at its path is not its worktree".to_owned();
                    Appraisal::Stays { because }
                }
                Some(repo) => repo.appraise(request, mode),
                None => Appraisal::Stays { because: "its repository cannot be found".to_owned() },
            })
        })
    }

    fn refresh_base<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<Option<String>, WorkspaceError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.fault(WorkspaceOp::Repository)?;
            state.repo(&request.repo)?.base(request).map(|_base| None)
        })
    }

    fn recover<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<Option<Recovery>, WorkspaceError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.fault(WorkspaceOp::Restore)?;
            let is_occupied = state.plain.contains(&request.path);
            let repo = state.repo(&request.repo)?;
            if is_occupied {
                return Err(WorkspaceError::PathTaken { path: request.path.clone() });
            }
            let recovered = repo.recover(request);
            state.answer(WorkspaceOp::Restore, Ok(recovered))
        })
    }

    fn sweep<'a>(
        &'a self,
        _request: &'a TrashSweep,
    ) -> BoxFuture<'a, Result<usize, WorkspaceError>> {
        // Nothing touches the disk here, so nothing lies in a trash.
        Box::pin(async move {
            self.state().fault(WorkspaceOp::Repository)?;
            Ok(0)
        })
    }

    fn undo_create<'a>(
        &'a self,
        request: &'a CreateWorkspace,
        pre_image: &'a PreImage,
    ) -> BoxFuture<'a, Result<Removal, WorkspaceError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.fault(WorkspaceOp::UndoCreate)?;
            Ok(match state.repos.get_mut(&request.repo) {
                Some(repo) => repo.undo(request, pre_image),
                None => repository_missing(request),
            })
        })
    }

    fn list<'a>(&'a self, repo: &'a Path) -> BoxFuture<'a, Result<Vec<Worktree>, WorkspaceError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.fault(WorkspaceOp::Repository)?;
            Ok(state.repo(repo)?.list(repo))
        })
    }

    fn traces<'a>(
        &'a self,
        repo: &'a Path,
    ) -> BoxFuture<'a, Result<Vec<WorkspaceTrace>, WorkspaceError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.fault(WorkspaceOp::Traces)?;
            Ok(state.repo(repo)?.traces())
        })
    }

    fn inspect<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<WorkspaceLook, WorkspaceError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.fault(WorkspaceOp::Look)?;
            let is_occupied = state.plain.contains(&request.path);
            Ok(state.repo(&request.repo)?.look(request, is_occupied))
        })
    }

    fn diff<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<String, WorkspaceError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.fault(WorkspaceOp::Look)?;
            Ok(state.repo(&request.repo)?.diff(request))
        })
    }

    fn exclude<'a>(
        &'a self,
        repo: &'a Path,
        patterns: &'a [String],
    ) -> BoxFuture<'a, Result<Ensured, WorkspaceError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.fault(WorkspaceOp::Repository)?;
            let repo = state.repo(repo)?;
            let n_before = repo.excludes.len();
            // A pattern with a slash in front names what lies at the top; there is nothing below it.
            let names = patterns.iter().map(|it| it.strip_prefix('/').unwrap_or(it).to_owned());
            repo.excludes.extend(names);
            Ok(if repo.excludes.len() == n_before { Ensured::AlreadyThere } else { Ensured::Done })
        })
    }

    fn discover<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<PathBuf, WorkspaceError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.fault(WorkspaceOp::Repository)?;
            let holds = |top: &Path, repo: &FakeRepo| {
                path.starts_with(top) || repo.worktrees.keys().any(|it| path.starts_with(it))
            };
            state
                .repos
                .iter()
                .find(|(top, repo)| holds(top, repo))
                .map(|(top, _repo)| top.clone())
                .ok_or_else(|| WorkspaceError::NotARepo { path: path.to_owned() })
        })
    }
}

/// A request for a session's worktree, from the default base.
pub fn workspace_request(
    repo: impl Into<PathBuf>,
    session: &SessionId,
    path: impl Into<PathBuf>,
    branch: &str,
) -> CreateWorkspace {
    CreateWorkspace {
        repo: repo.into(),
        session: session.clone(),
        path: path.into(),
        branch: BranchName::new(branch),
        base: None,
    }
}
