//! The working copy of a session.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{BoxFuture, Ensured, ErrorKind};
use crate::ids::{BranchName, RefName, SessionId, Sha};
use crate::saga::PreImage;
use crate::time::Timestamp;

/// Why a workspace could not be had, or not be let go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkspaceError {
    /// The path is no git repository.
    #[error("`{path}` is not a git repository")]
    NotARepo {
        /// The path.
        path: PathBuf,
    },
    /// The repository has no commit yet.
    #[error("`{path}` has no commit yet, so nothing can be branched from it")]
    Unborn {
        /// The repository.
        path: PathBuf,
    },
    /// The branch is checked out elsewhere, or exists and is not this session's.
    #[error("branch `{branch}` is in use{}", at.as_ref().map(|p| format!(" at `{}`", p.display())).unwrap_or_default())]
    BranchTaken {
        /// The branch.
        branch: BranchName,
        /// Where it is checked out.
        at: Option<PathBuf>,
    },
    /// Git refuses the name.
    #[error("git refuses `{branch}` as a branch name")]
    BranchInvalid {
        /// The name.
        branch: String,
    },
    /// The base does not exist.
    #[error("base `{base}` does not exist in the repository")]
    BaseMissing {
        /// The base.
        base: RefName,
    },
    /// A directory of a sparse checkout cannot be one.
    #[error("`sparse` names `{directory}`, which {because}")]
    SparseInvalid {
        /// What is named.
        directory: String,
        /// What is wrong with it: a clause.
        because: &'static str,
    },
    /// Something stands at the path already.
    #[error("`{path}` exists already and is not this session's worktree")]
    PathTaken {
        /// The path.
        path: PathBuf,
    },
    /// `git` is not installed.
    #[error("`git` is not installed or not on the PATH")]
    GitMissing,
    /// Git failed; trying again may help.
    #[error("git failed: {message}")]
    Git {
        /// What it said.
        message: String,
    },
    /// The file system failed.
    #[error("`{path}`: {message}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        message: String,
    },
}

impl WorkspaceError {
    /// The stable code of SURFACES.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotARepo { .. } => "NOT_A_REPO",
            Self::Unborn { .. } => "UNBORN",
            Self::BranchTaken { .. } => "BRANCH_TAKEN",
            Self::BranchInvalid { .. } => "BRANCH_INVALID",
            Self::BaseMissing { .. } => "BASE_MISSING",
            Self::SparseInvalid { .. } => "SPARSE_INVALID",
            Self::PathTaken { .. } => "PATH_TAKEN",
            Self::GitMissing => "GIT_MISSING",
            Self::Git { .. } => "GIT_FAILED",
            Self::Io { .. } => "IO_FAILED",
        }
    }

    /// What this error asks of its reader.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotARepo { .. }
            | Self::Unborn { .. }
            | Self::BranchInvalid { .. }
            | Self::SparseInvalid { .. }
            | Self::GitMissing => ErrorKind::User,
            Self::BaseMissing { .. } => ErrorKind::NotFound,
            Self::BranchTaken { .. } | Self::PathTaken { .. } => ErrorKind::Conflict,
            Self::Git { .. } | Self::Io { .. } => ErrorKind::Unavailable,
        }
    }
}

/// What a workspace is created from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateWorkspace {
    /// Top of the project's main worktree.
    pub repo: PathBuf,
    /// The session.
    pub session: SessionId,
    /// Where the worktree goes.
    pub path: PathBuf,
    /// Its branch: made from `base` when it does not exist, checked out when it exists and nobody
    /// has it.
    pub branch: BranchName,
    /// What to branch from; `None` for the repository's default.
    pub base: Option<RefName>,
}

/// A workspace that was just created, or found as an earlier call left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedWorkspace {
    /// Where it is, resolved.
    pub path: PathBuf,
    /// The base as it was resolved.
    pub base: RefName,
    /// The commit that the branch started from.
    pub base_sha: Sha,
    /// Why the base may be older than the one at its remote: a sentence. `None` when it was
    /// fetched, or has no remote.
    pub stale: Option<String>,
}

/// A registered worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worktree {
    /// Where it is.
    pub path: PathBuf,
    /// Its branch, unless detached.
    pub branch: Option<BranchName>,
    /// Its head commit.
    pub head: Option<Sha>,
    /// Whether it is locked, and why.
    pub locked: Option<String>,
    /// Whether its directory is missing.
    pub is_prunable: bool,
}

/// What a repository knows of a session: enough to leave its name alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceTrace {
    /// The session.
    pub session: SessionId,
    /// Its worktree, when it is registered and carries our mark. `None` where only refs of the
    /// session are left.
    pub worktree: Option<MarkedWorktree>,
}

/// A registered worktree with the mark of the session that it was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkedWorktree {
    /// Which home marked it.
    pub by: MarkedBy,
    /// Where it was made, resolved.
    pub made_at: PathBuf,
    /// The worktree as git has it.
    pub worktree: Worktree,
}

/// Which home marked a worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MarkedBy {
    /// This one.
    ThisHome,
    /// Another one.
    AnotherHome,
    /// A version that did not write it down.
    Unknown,
}

/// What a look at a workspace saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceLook {
    /// Whether its directory exists.
    pub exists: bool,
    /// Whether git has it registered.
    pub is_registered: bool,
    /// Locked, and why.
    pub locked: Option<String>,
    /// Paths with uncommitted changes, untracked ones included (at most 1,000).
    pub dirty_paths: Vec<String>,
    /// A merge, rebase, cherry-pick, revert or bisect in progress.
    pub operation: Option<String>,
    /// Head commit.
    pub head: Option<Sha>,
    /// Commits that the branch has beyond its base.
    pub n_commits_ahead: u64,
    /// Lines added and removed against the base, uncommitted ones included.
    pub diff: DiffStat,
}

/// Files touched, lines added and removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_field_names, reason = "counts are called `n_…` everywhere")]
pub struct DiffStat {
    /// Files that differ.
    pub n_files: u64,
    /// Added.
    pub n_added: u64,
    /// Removed.
    pub n_removed: u64,
}

/// How hard a removal may try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RemovalMode {
    /// Removes only what holds no uncommitted work; a branch that adds something stays.
    Careful,
    /// The same, and only when its base has everything that was committed in it.
    Merged,
    /// The same, and only when no ignored file would have to be kept: nobody would know where.
    Spotless,
    /// Preserves the work under `refs/ao/preserved/SESSION` first, then removes.
    Discard,
}

/// How a removal ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// The worktree is gone, nothing is lost.
    Removed {
        /// Whether its branch, which added nothing to its base, was deleted too.
        is_branch_deleted: bool,
        /// Where unreachable or discarded work was preserved.
        preserved: Option<RefName>,
    },
    /// It stays, because it holds work: a sentence.
    Kept {
        /// Why.
        because: String,
    },
}

/// What a removal would come to, told without removing anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appraisal {
    /// There is neither a worktree nor a branch of this session.
    Nothing,
    /// Its worktree would go, or its branch where no worktree is left: why nothing is lost by that,
    /// a clause.
    Goes {
        /// Why.
        because: String,
    },
    /// It would stay: a clause.
    Stays {
        /// Why.
        because: String,
    },
}

/// What was brought back of the work that removals set aside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovery {
    /// The worktree that holds it; `None` when it is on a branch only.
    pub worktree: Option<PathBuf>,
    /// The branch that holds it; `None` when its worktree has a detached head.
    pub branch: Option<BranchName>,
    /// The ref under which it was, and stays, preserved; `None` when only the trash had something.
    pub preserved: Option<RefName>,
    /// What is there again: clauses.
    pub restored: Vec<String>,
    /// What is not, and where it is: clauses.
    pub remaining: Vec<String>,
}

/// Which trashes to sweep, beside the one of the home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrashSweep {
    /// Repositories that may have one.
    pub repos: Vec<PathBuf>,
    /// Directories with worktrees that may have one.
    pub directories: Vec<PathBuf>,
    /// The moment on the wall: ages are counted from here.
    pub now: Timestamp,
    /// How long things are kept.
    pub keep_for: Duration,
}

/// Makes, looks at and removes the working copies of sessions. Never loses work.
pub trait Workspace: Send + Sync {
    /// Checks, before anything happens, whether `create` could work; resolves base and branch, and
    /// says what stands there now.
    fn preflight<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<PreImage, WorkspaceError>>;

    /// Makes the worktree and its branch, or finds what an earlier call for this session left.
    fn create<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<CreatedWorkspace, WorkspaceError>>;

    /// Makes the worktree of an existing branch again, where it was.
    fn restore<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<CreatedWorkspace, WorkspaceError>>;

    /// Removes the worktree if nothing is lost by it, and its branch if that adds nothing.
    fn destroy<'a>(
        &'a self,
        request: &'a CreateWorkspace,
        mode: RemovalMode,
    ) -> BoxFuture<'a, Result<Removal, WorkspaceError>>;

    /// Says what a removal would come to. It removes nothing and writes nothing.
    fn appraise<'a>(
        &'a self,
        request: &'a CreateWorkspace,
        mode: RemovalMode,
    ) -> BoxFuture<'a, Result<Appraisal, WorkspaceError>>;

    /// Asks the remote for the newest state of the base, within a bound. What went wrong is a
    /// clause: what is known of the base goes on to count.
    fn refresh_base<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<Option<String>, WorkspaceError>>;

    /// Gets back what removals set aside of a session: its worktree with what was uncommitted in
    /// it, its branch, and its ignored files while the trash has them. Overwrites nothing; what was
    /// preserved stays preserved. Where its worktree stands already, the work comes back on a branch
    /// beside its own. `None` when nothing was set aside.
    fn recover<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<Option<Recovery>, WorkspaceError>>;

    /// Unlinks what removed worktrees left longer ago than it is to be kept, a bounded part of it
    /// at a time; returns how many entries went. A repository that cannot be found is passed over.
    fn sweep<'a>(&'a self, request: &'a TrashSweep)
    -> BoxFuture<'a, Result<usize, WorkspaceError>>;

    /// Undoes a `create` that did not become a session: removes only what was absent before, and
    /// never a worktree that changed. `Kept` says what changed.
    fn undo_create<'a>(
        &'a self,
        request: &'a CreateWorkspace,
        pre_image: &'a PreImage,
    ) -> BoxFuture<'a, Result<Removal, WorkspaceError>>;

    /// Every worktree that git has registered for a repository.
    fn list<'a>(&'a self, repo: &'a Path) -> BoxFuture<'a, Result<Vec<Worktree>, WorkspaceError>>;

    /// Every session, of this home and of others, that a repository knows anything of, by id. A mark
    /// that cannot be read is passed over.
    fn traces<'a>(
        &'a self,
        repo: &'a Path,
    ) -> BoxFuture<'a, Result<Vec<WorkspaceTrace>, WorkspaceError>>;

    /// Looks at one worktree.
    fn inspect<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<WorkspaceLook, WorkspaceError>>;

    /// The difference to the base as text (at most 1 MiB), uncommitted changes and untracked
    /// files included.
    fn diff<'a>(
        &'a self,
        request: &'a CreateWorkspace,
    ) -> BoxFuture<'a, Result<String, WorkspaceError>>;

    /// Keeps the given paths out of `git status` in every worktree of the repository.
    fn exclude<'a>(
        &'a self,
        repo: &'a Path,
        patterns: &'a [String],
    ) -> BoxFuture<'a, Result<Ensured, WorkspaceError>>;

    /// The top of the main worktree that a path lies in.
    fn discover<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<PathBuf, WorkspaceError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_stable_code() {
        let path = || PathBuf::from("/r");
        let message = || "no".to_owned();
        let branch = BranchName::new("b");
        for (error, code) in [
            (WorkspaceError::NotARepo { path: path() }, "NOT_A_REPO"),
            (WorkspaceError::Unborn { path: path() }, "UNBORN"),
            (WorkspaceError::BranchTaken { branch, at: None }, "BRANCH_TAKEN"),
            (WorkspaceError::BranchInvalid { branch: message() }, "BRANCH_INVALID"),
            (WorkspaceError::BaseMissing { base: RefName::new("main") }, "BASE_MISSING"),
            (
                WorkspaceError::SparseInvalid { directory: message(), because: "is" },
                "SPARSE_INVALID",
            ),
            (WorkspaceError::PathTaken { path: path() }, "PATH_TAKEN"),
            (WorkspaceError::GitMissing, "GIT_MISSING"),
            (WorkspaceError::Git { message: message() }, "GIT_FAILED"),
            (WorkspaceError::Io { path: path(), message: message() }, "IO_FAILED"),
        ] {
            assert_eq!(error.code(), code);
        }
    }
}
