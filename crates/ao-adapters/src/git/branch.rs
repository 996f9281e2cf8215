//! A session's branch: it goes only when it was made for the session and its base has all of it.

use ao_core::ids::Sha;
use ao_core::ports::{CreateWorkspace, WorkspaceError};

use super::create::is_of;
use super::look::bases;
use super::repo::{Repo, SessionRefs, resolved};
use super::run::split_z;

/// Whether a stash stands that was made on a branch: its user means to come back to it.
pub(super) async fn has_stash(repo: &Repo, branch: &str) -> Result<bool, WorkspaceError> {
    if repo.exact_ref("refs/stash").await?.is_none() {
        return Ok(false);
    }
    let args = ["log", "--walk-reflogs", "--format=%gs", "refs/stash", "--"];
    let text = repo.look().args(args).text().await?;
    let starts = [format!("WIP on {branch}:"), format!("On {branch}:")];
    Ok(text.lines().any(|line| starts.iter().any(|start| line.starts_with(start))))
}

/// The tip of the session's branch, if the branch was made for the session, is checked out nowhere
/// else, and adds nothing to its base.
pub(super) async fn doomed_branch(
    repo: &Repo,
    request: &CreateWorkspace,
) -> Result<Option<Sha>, WorkspaceError> {
    if repo.exact_ref(&SessionRefs::of(&request.session).made).await?.is_none() {
        return Ok(None);
    }
    let Some(tip) = repo.branch_at(&request.branch).await? else { return Ok(None) };
    let path = resolved(&request.path);
    let own = repo.sites().await?.into_iter().find(|site| is_of(site, request, &path));
    let own = own.map(|site| site.worktree.path);
    let is_used = repo.list().await?.iter().any(|worktree| {
        worktree.branch.as_ref() == Some(&request.branch) && Some(&worktree.path) != own.as_ref()
    });
    if is_used {
        return Ok(None);
    }
    for base in bases(repo, request).await? {
        if repo.is_ancestor(&tip, &base).await? || has_same_patches(repo, &base, &tip).await? {
            return Ok(Some(tip));
        }
    }
    Ok(None)
}

/// Whether each commit of a branch is in the base as the same patch.
///
/// A merge counts as something of its own: `git cherry` passes over merges, and with them over
/// what somebody wrote to resolve a conflict.
async fn has_same_patches(repo: &Repo, base: &Sha, tip: &Sha) -> Result<bool, WorkspaceError> {
    let merges = ["rev-list", "--merges", "--max-count=1", tip.as_str(), "--not", base.as_str()];
    if !repo.look().args(merges).text().await?.is_empty() {
        return Ok(false);
    }
    let text = repo.look().args(["cherry", base.as_str(), tip.as_str()]).text().await?;
    Ok(!text.is_empty() && text.lines().all(|line| line.starts_with("- ")))
}

/// Deletes the session's branch, if it still is where it was looked at, with all we keep about it.
pub(super) async fn delete_branch(
    repo: &Repo,
    request: &CreateWorkspace,
    tip: &Sha,
) -> Result<(), WorkspaceError> {
    let branch = &request.branch;
    let refs = SessionRefs::of(&request.session);
    let mut lines = vec![format!("delete refs/heads/{branch}\0{tip}\0")];
    for name in [&refs.base, &refs.made] {
        if let Some(sha) = repo.exact_ref(name).await? {
            lines.push(format!("delete {name}\0{sha}\0"));
        }
    }
    repo.update_refs(&lines).await?;
    let prefix = format!("branch.{branch}.");
    let keys = ["config", "--local", "-z", "--name-only", "--get-regexp", r"^branch\."];
    let keys = repo.look().args(keys).run().await?.stdout;
    if split_z(&keys).any(|key| key.starts_with(prefix.as_bytes())) {
        let section = format!("branch.{branch}");
        let args = ["config", "--local", "--remove-section", &section];
        if let Err(error) = repo.write().args(args).ok().await {
            tracing::debug!(%branch, %error, "The configuration of a deleted branch stays.");
        }
    }
    Ok(())
}
