//! A session's branch: it goes only when it was made for the session and its base has all of it.

use std::path::Path;

use ao_core::ids::Sha;
use ao_core::ports::{CreateWorkspace, WorkspaceError};

use super::base;
use super::create::is_of;
use super::look::bases;
use super::merged;
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
/// else, and adds nothing to its base. What only it reaches is preserved by whoever deletes it.
pub(super) async fn doomed_branch(
    repo: &Repo,
    request: &CreateWorkspace,
    scratch: &Path,
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
    let mut bases = bases(repo, request).await?;
    let trunk = base::trunk(repo).await?;
    bases.extend(base::everywhere(repo, Some(&trunk)).await?);
    let is_in_base = merged::into_any(repo, &bases, &tip, scratch).await?.is_some();
    Ok(is_in_base.then_some(tip))
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
