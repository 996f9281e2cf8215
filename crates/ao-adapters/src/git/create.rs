//! Makes worktrees: checks first, then branch and registration, then the files.
//!
//! *Flow*: refs in one transaction → registration without files (milliseconds, whatever the size)
//! → our mark → files → the mark that it is complete.
//!
//! *Guarantees*: after a failure, or a death at any point, the next call either finds the complete
//! worktree or sets the incomplete one aside and makes it anew. No half-made worktree stays
//! registered or locked.

use std::path::{Path, PathBuf};

use ao_core::ids::Sha;
use ao_core::ports::{CreateWorkspace, CreatedWorkspace, MarkedBy, WorkspaceError};
use ao_core::saga::PreImage;

use super::GitWorktree;
use super::base::{self, Base, Freshness};
use super::branch::delete_branch;
use super::removal;
use super::repo::{Repo, SessionRefs, Site, io_error, is_occupied, resolved};
use super::run::{Git, Pace};
use super::sparse::Cone;
use super::trash::Entry;

/// What stands where a session's worktree goes.
enum Found {
    Nothing,
    /// Complete, from an earlier call.
    Ours(Site),
    /// Ours, but of no use: incomplete, or its directory is gone.
    Remains(Site),
}

pub(super) async fn preflight(
    git: &GitWorktree,
    request: &CreateWorkspace,
) -> Result<PreImage, WorkspaceError> {
    let repo = git.repo(&request.repo).await?;
    repo.check_branch_name(&request.branch).await?;
    let base = find_base(git, &repo, request, Freshness::Known).await?;
    let found = find(&repo, request).await?;
    let branch_at = repo.branch_at(&request.branch).await?;
    let cone = git.cone_of(&request.session)?;
    cone.check(&repo, branch_at.as_ref().unwrap_or(&base.sha)).await?;
    Ok(PreImage { branch_at, path_existed: !matches!(found, Found::Nothing), is_recorded: true })
}

pub(super) async fn make(
    git: &GitWorktree,
    request: &CreateWorkspace,
    freshness: Freshness,
) -> Result<CreatedWorkspace, WorkspaceError> {
    let repo = git.repo(&request.repo).await?;
    repo.check_branch_name(&request.branch).await?;
    let base = find_base(git, &repo, request, freshness).await?;
    let cone = git.cone_of(&request.session)?;
    let _turn = git.locks.turn(&repo.common).await?;
    match find(&repo, request).await? {
        Found::Ours(site) => {
            let site = bring_home(&repo, request, site).await?;
            return finished(&repo, request, &site, base).await;
        }
        Found::Remains(site) => removal::set_aside(git, &repo, request, &site).await?,
        Found::Nothing => {}
    }
    let is_branch_made = begin_branch(&repo, request, &base).await?;
    match populate(&repo, request, &base.sha, &cone).await {
        Ok(site) => finished(&repo, request, &site, base).await,
        Err(error) => {
            abandon(git, &repo, request, is_branch_made.then_some(&base.sha)).await;
            Err(error)
        }
    }
}

/// What the session starts from. One whose branch stands already needs no more than what was
/// written down when it began: its base may be gone since.
async fn find_base(
    git: &GitWorktree,
    repo: &Repo,
    request: &CreateWorkspace,
    freshness: Freshness,
) -> Result<Base, WorkspaceError> {
    let found = base::resolve(repo, request.base.as_ref(), freshness, &git.fetches).await;
    let Err(WorkspaceError::BaseMissing { base: name }) = found else { return found };
    let recorded = repo.exact_ref(&SessionRefs::of(&request.session).base).await?;
    match (recorded, repo.branch_at(&request.branch).await?) {
        (Some(sha), Some(_tip)) => Ok(Base { name, sha, stale: None }),
        (_, _) => Err(WorkspaceError::BaseMissing { base: name }),
    }
}

/// Looks at the path and the branch, and refuses what somebody else has.
async fn find(repo: &Repo, request: &CreateWorkspace) -> Result<Found, WorkspaceError> {
    let path = resolved(&request.path);
    let sites = repo.sites().await?;
    let main = repo.list().await?.into_iter().next();
    let ours = sites.iter().find(|site| is_of(site, request, &path));
    let holder = main.iter().chain(sites.iter().map(|site| &site.worktree)).find(|worktree| {
        worktree.branch.as_ref() == Some(&request.branch)
            && ours.is_none_or(|ours| ours.worktree.path != worktree.path)
    });
    if let Some(holder) = holder {
        return Err(WorkspaceError::BranchTaken {
            branch: request.branch.clone(),
            at: Some(holder.path.clone()),
        });
    }
    check_no_ref_in_the_way(repo, request).await?;
    let Some(ours) = ours else {
        let path = request.path.clone();
        return if is_occupied(&path) {
            Err(WorkspaceError::PathTaken { path })
        } else {
            Ok(Found::Nothing)
        };
    };
    let at = &ours.worktree.path;
    let is_usable = at.is_dir() && !at.is_symlink() && !ours.is_half_made();
    if is_usable {
        return Ok(Found::Ours(ours.clone()));
    }
    if *at != path && is_occupied(&path) {
        return Err(WorkspaceError::PathTaken { path });
    }
    Ok(Found::Remains(ours.clone()))
}

/// Whether a worktree is this session's: it carries its mark, or stands at its path on its branch
/// as a call left it that died before it could mark it. A session of the same name in another home
/// has another path, or at least that home's mark.
pub(super) fn is_of(site: &Site, request: &CreateWorkspace, path: &Path) -> bool {
    match &site.owner {
        Some(owner) => {
            owner.session == request.session.as_str()
                && owner.path == path
                && owner.by != MarkedBy::AnotherHome
        }
        None => {
            site.worktree.path == path && site.worktree.branch.as_ref() == Some(&request.branch)
        }
    }
}

/// A removal that died on its way left the worktree in the trash, registered there.
pub(super) async fn bring_home(
    repo: &Repo,
    request: &CreateWorkspace,
    mut site: Site,
) -> Result<Site, WorkspaceError> {
    let home = resolved(&request.path);
    let entry = Entry::around(&site.worktree.path, &request.session);
    if entry.is_none() || site.worktree.path == home {
        return Ok(site);
    }
    if is_occupied(&home) {
        return Err(WorkspaceError::PathTaken { path: home });
    }
    removal::relocate(repo, &site.worktree.path, &home, true).await?;
    site.worktree.path = home;
    Ok(site)
}

/// Refs are paths: `a` and `a/b` cannot both be.
pub(super) async fn check_no_ref_in_the_way(
    repo: &Repo,
    request: &CreateWorkspace,
) -> Result<(), WorkspaceError> {
    let taken = || WorkspaceError::BranchTaken { branch: request.branch.clone(), at: None };
    let full = format!("refs/heads/{}", request.branch);
    if repo.refs_below(&full).await?.iter().any(|(name, _)| *name != full) {
        return Err(taken());
    }
    let name = request.branch.as_str();
    for (at, _) in name.match_indices('/') {
        let above = name.get(..at).unwrap_or_default();
        if repo.exact_ref(&format!("refs/heads/{above}")).await?.is_some() {
            return Err(taken());
        }
    }
    Ok(())
}

/// Makes the branch where it is missing, and writes down what the session starts from. Returns
/// whether it made the branch.
async fn begin_branch(
    repo: &Repo,
    request: &CreateWorkspace,
    base: &Base,
) -> Result<bool, WorkspaceError> {
    let refs = SessionRefs::of(&request.session);
    let Some(tip) = repo.branch_at(&request.branch).await? else {
        let sha = &base.sha;
        let lines = [
            format!("create refs/heads/{}\0{sha}\0", request.branch),
            format!("update {}\0{sha}\0\0", refs.base),
            format!("update {}\0{sha}\0\0", refs.made),
        ];
        repo.update_refs(&lines).await?;
        return Ok(true);
    };
    if repo.exact_ref(&refs.base).await?.is_none() {
        let start = repo.merge_base(&tip, &base.sha).await?.unwrap_or(tip);
        repo.update_refs(&[format!("create {}\0{start}\0", refs.base)]).await?;
    }
    Ok(false)
}

/// Registers the worktree and writes its files, those of its cone.
async fn populate(
    repo: &Repo,
    request: &CreateWorkspace,
    base: &Sha,
    cone: &Cone,
) -> Result<Site, WorkspaceError> {
    // The base may be another one than that of the preflight.
    let tip = repo.branch_at(&request.branch).await?;
    cone.check(repo, tip.as_ref().unwrap_or(base)).await?;
    if let Some(parent) = request.path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| io_error(parent, &error))?;
    }
    let path = resolved(&request.path);
    let add = ["worktree", "add", "--quiet", "--no-checkout", "--end-of-options"];
    let git = repo.write().args(add).args([path.as_os_str()]);
    git.args([request.branch.as_str()]).ok().await?;
    let mut site = site_at(repo, &path).await?;
    site.mark(&request.session, &repo.home)?;
    cone.apply(&site).await?;
    // As `git worktree add` does it. Filters run here: whoever works in it needs the real files.
    let checkout = ["reset", "--hard", "--quiet", "--no-recurse-submodules"];
    Git::in_worktree(&site.admin, &path, Pace::Bulk).args(checkout).ok().await?;
    site.mark_ready()?;
    Ok(site)
}

pub(super) async fn site_at(repo: &Repo, path: &Path) -> Result<Site, WorkspaceError> {
    let found = repo.sites().await?.into_iter().find(|site| site.worktree.path == path);
    found.ok_or_else(|| WorkspaceError::Git {
        message: format!("`{}` is not registered after it was made", path.display()),
    })
}

async fn finished(
    repo: &Repo,
    request: &CreateWorkspace,
    site: &Site,
    base: Base,
) -> Result<CreatedWorkspace, WorkspaceError> {
    let recorded = repo.exact_ref(&SessionRefs::of(&request.session).base).await?;
    let path: PathBuf = site.worktree.path.clone();
    let base_sha = recorded.unwrap_or(base.sha);
    Ok(CreatedWorkspace { path, base: base.name, base_sha, stale: base.stale })
}

/// Takes back what a failed call began. What cannot be taken back now is found by the next call.
async fn abandon(git: &GitWorktree, repo: &Repo, request: &CreateWorkspace, made_at: Option<&Sha>) {
    let path = resolved(&request.path);
    let taken_back = async {
        if let Some(site) = repo.sites().await?.iter().find(|it| is_of(it, request, &path)) {
            removal::set_aside(git, repo, request, site).await?;
        }
        match made_at {
            Some(sha) => delete_branch(repo, request, sha).await,
            None => Ok(()),
        }
    };
    if let Err(error) = taken_back.await {
        tracing::warn!(session = %request.session, %error, "Could not take back a failed worktree.");
    }
}
