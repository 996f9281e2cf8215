//! How the commits of a session stand to its base: what a cleanup goes by, and tells.

use std::path::Path;

use ao_core::ids::Sha;
use ao_core::ports::{CreateWorkspace, WorkspaceError};

use super::base;
use super::look::bases;
use super::merged::{self, How};
use super::repo::{Repo, SessionRefs, Site};

/// How the commits of a session stand to its base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It committed nothing.
    Unused,
    /// Its base has all of it.
    Merged {
        /// The name of the base.
        base: String,
        /// How it got there.
        how: How,
    },
    /// Its base lacks some: a clause.
    Unmerged {
        /// What.
        because: String,
    },
}

impl Standing {
    /// Why its removal loses nothing, as a clause.
    pub(super) fn sentence(&self, is_dirty: bool) -> String {
        let committed = match self {
            Self::Unused => "it committed nothing".to_owned(),
            Self::Merged { base, how } => {
                format!("everything that it committed is in {base}{}", how.clause())
            }
            Self::Unmerged { because } => format!("{because}, and none of them is lost"),
        };
        let uncommitted = if is_dirty { "; what it did not commit is preserved" } else { "" };
        format!("{committed}{uncommitted}")
    }
}

/// Compares the head of a worktree and the branch that was made for its session with the base.
pub(super) async fn standing(
    repo: &Repo,
    request: &CreateWorkspace,
    site: Option<&Site>,
    scratch: &Path,
) -> Result<Standing, WorkspaceError> {
    let refs = SessionRefs::of(&request.session);
    let start = repo.exact_ref(&refs.base).await?;
    let bases = bases(repo, request).await?;
    let trunk = base::trunk(repo).await?;
    let trunk_at = base::everywhere(repo, Some(&trunk)).await?;
    let base = format!("`{}`", request.base.as_ref().unwrap_or(&trunk));
    let head = site.and_then(|site| site.worktree.head.clone());
    let branch = &request.branch;
    let is_on_branch = site.is_some_and(|site| site.worktree.branch.as_ref() == Some(branch));
    let mut tips: Vec<(String, Sha)> = Vec::new();
    if let Some(head) = head
        && !is_on_branch
    {
        let what = match site.and_then(|site| site.worktree.branch.as_ref()) {
            Some(other) => format!("the branch `{other}` that it has checked out"),
            None => "its detached head".to_owned(),
        };
        tips.push((what, head));
    }
    let is_made = repo.exact_ref(&refs.made).await?.is_some();
    if let Some(tip) = repo.branch_at(branch).await?
        && (is_made || is_on_branch)
    {
        tips.push((format!("its branch `{branch}`"), tip));
    }
    let mut worst = None;
    for (what, tip) in tips {
        if start.as_ref() == Some(&tip) {
            continue;
        }
        let mut found = merged::into_any(repo, &bases, &tip, scratch).await?;
        let mut name = &base;
        let trunk = format!("`{trunk}`");
        if found.is_none() {
            found = merged::into_any(repo, &trunk_at, &tip, scratch).await?;
            name = &trunk;
        }
        let Some(how) = found else {
            let n = n_missing(repo, &tip, &bases).await?;
            let commits = if n == 1 { "commit" } else { "commits" };
            let because = format!("{what} has {n} {commits} that {base} does not have");
            return Ok(Standing::Unmerged { because });
        };
        if worst.is_none() || how != How::Reached {
            worst = Some((how, name.clone()));
        }
    }
    Ok(match worst {
        Some((how, base)) => Standing::Merged { base, how },
        None => Standing::Unused,
    })
}

/// Commits that a tip reaches and no base does.
async fn n_missing(repo: &Repo, tip: &Sha, bases: &[Sha]) -> Result<u64, WorkspaceError> {
    let args = ["rev-list", "--count", tip.as_str(), "--not"];
    let text = repo.look().args(args).args(bases.iter().map(Sha::as_str)).text().await?;
    text.parse().map_err(|_error| WorkspaceError::Git { message: format!("counted `{text}`") })
}
