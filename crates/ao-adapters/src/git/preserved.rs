//! Reads what removals of a session preserved, newest first.
//!
//! What [`super::preserve`] writes is known by its subjects; everything else is a commit of the
//! user's.

use std::collections::{BTreeSet, VecDeque};

use ao_core::ids::{RefName, SessionId, Sha};
use ao_core::ports::WorkspaceError;

use super::preserve::{SET_ASIDE, SNAPSHOT, STAGED, subject};
use super::repo::{Repo, SessionRefs};

/// Most commits that are read to find what was preserved: each removal adds one or two.
const COMMITS_MAX: usize = 200;

/// What is preserved of a session.
#[derive(Debug, Clone)]
pub(super) struct Preserved {
    pub(super) name: RefName,
    pub(super) at: Sha,
    /// The uncommitted work of the last worktree that had any.
    pub(super) work: Option<Work>,
    /// Commits that had no ref any more, newest first.
    pub(super) commits: Vec<Sha>,
    /// Whether there is uncommitted work of earlier worktrees, too.
    pub(super) has_earlier: bool,
}

/// The uncommitted work of a worktree.
#[derive(Debug, Clone)]
pub(super) struct Work {
    /// A commit whose tree is the worktree as it was.
    pub(super) commit: Sha,
    /// The commit that it stood on.
    pub(super) head: Option<Sha>,
    /// A commit whose tree is what was staged, where that was something of its own.
    pub(super) staged: Option<Sha>,
    /// What was being merged, picked or reverted.
    pub(super) others: Vec<Sha>,
}

/// Reads what is preserved of a session; `None` when nothing is.
pub(super) async fn read(
    repo: &Repo,
    session: &SessionId,
) -> Result<Option<Preserved>, WorkspaceError> {
    let name = SessionRefs::of(session).preserved;
    let Some(at) = repo.exact_ref(name.as_str()).await? else { return Ok(None) };
    let (snapshot, staged) = (subject(session, SNAPSHOT), subject(session, STAGED));
    let set_aside = subject(session, SET_ASIDE);
    let mut work = None;
    let mut has_earlier = false;
    let mut commits = Vec::new();
    let mut seen = BTreeSet::new();
    let mut next = VecDeque::from([at.clone()]);
    while let Some(sha) = next.pop_front() {
        if seen.len() >= COMMITS_MAX || !seen.insert(sha.clone()) {
            continue;
        }
        let (says, parents) = look_at(repo, &sha).await?;
        if says == set_aside {
            next.extend(parents);
        } else if says == snapshot || says == staged {
            has_earlier |= work.is_some();
            if work.is_none() {
                work = Some(work_of(repo, sha, parents, &staged, says == staged).await?);
            }
        } else {
            commits.push(sha);
        }
    }
    let commits = newest_first(repo, commits).await?;
    Ok(Some(Preserved { name, at, work, commits, has_earlier }))
}

async fn work_of(
    repo: &Repo,
    commit: Sha,
    parents: Vec<Sha>,
    staged_says: &str,
    is_staged: bool,
) -> Result<Work, WorkspaceError> {
    let mut work = Work { commit, head: None, staged: None, others: Vec::new() };
    if is_staged {
        // The directory had vanished: what was staged is all that was left of it.
        work.staged = Some(work.commit.clone());
        work.head = parents.into_iter().next();
        return Ok(work);
    }
    for (n, parent) in parents.into_iter().enumerate() {
        if look_at(repo, &parent).await?.0 == staged_says {
            work.staged = Some(parent);
        } else if n == 0 {
            work.head = Some(parent);
        } else {
            work.others.push(parent);
        }
    }
    Ok(work)
}

/// The subject and the parents of a commit.
async fn look_at(repo: &Repo, sha: &Sha) -> Result<(String, Vec<Sha>), WorkspaceError> {
    let args = ["log", "--max-count=1", "--no-show-signature", "--format=%P%n%s", sha.as_str()];
    let text = repo.look().args(args).args(["--"]).text().await?;
    let (parents, says) = text.split_once('\n').unwrap_or((&text, ""));
    Ok((says.to_owned(), parents.split_whitespace().map(Sha::new).collect()))
}

async fn newest_first(repo: &Repo, commits: Vec<Sha>) -> Result<Vec<Sha>, WorkspaceError> {
    if commits.len() < 2 {
        return Ok(commits);
    }
    let args = ["rev-list", "--no-walk=sorted", "--end-of-options"];
    let text = repo.look().args(args).args(commits.iter().map(Sha::as_str)).text().await?;
    Ok(text.lines().map(Sha::new).collect())
}
