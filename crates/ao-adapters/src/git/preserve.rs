//! Gives a ref to work that would lose its last one.
//!
//! *Guarantees*: nothing of the user's moves: no branch, no index, no file. What was preserved once
//! is never overwritten: later work becomes another parent of it.

use std::collections::BTreeSet;
use std::path::Path;

use ao_core::ids::{RefName, SessionId, Sha};
use ao_core::ports::{CreateWorkspace, WorkspaceError};

use super::look::{Census, Eye, Submodules};
use super::repo::{Repo, SessionRefs};
use super::run::{Git, Pace, split_z};
use super::scratch::ScratchIndex;

/// Heads that an operation in progress leaves in git's directory of a worktree.
/// An autostash is uncommitted work that only such a file still names.
const OPERATION_HEADS: &[&str] = &[
    "MERGE_HEAD",
    "MERGE_AUTOSTASH",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "ORIG_HEAD",
    "rebase-merge/autostash",
    "rebase-merge/orig-head",
    "rebase-apply/autostash",
    "rebase-apply/orig-head",
];

/// What the commits say that hold preserved work, after the session: they are known by it.
pub(super) const SNAPSHOT: &str = "work that was discarded";

/// The index of a worktree, where it said something of its own.
pub(super) const STAGED: &str = "what was staged";

/// Several things together: their commits are its parents, the newest first.
pub(super) const SET_ASIDE: &str = "work that was set aside";

/// The subject of a commit that holds preserved work.
pub(super) fn subject(session: &SessionId, what: &str) -> String {
    format!("{session}: {what}")
}

/// What happens to a session's branch along with its worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BranchPlan {
    /// It stays, and so does everything that its history of values remembers.
    Stays,
    /// It goes, and its history of values with it.
    Goes,
}

/// The uncommitted work of a worktree, as a commit.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) commit: Sha,
    /// The index that the commit was made from: what differs from it appeared later.
    pub(super) index: ScratchIndex,
}

/// Commits that nothing would reach any more once a worktree is gone, and that no other of them
/// reaches.
pub(super) async fn lost_commits(
    repo: &Repo,
    admin: Option<&Path>,
    request: &CreateWorkspace,
    plan: BranchPlan,
) -> Result<Vec<Sha>, WorkspaceError> {
    let branch = &request.branch;
    let mut names = match admin {
        Some(admin) => known_to_worktree(admin).await?,
        None => BTreeSet::new(),
    };
    if plan == BranchPlan::Goes {
        names.extend(history(repo.look(), &format!("refs/heads/{branch}")).await?);
        // Without a history of values, as in a bare repository, there still is the last one.
        names.extend(repo.branch_at(branch).await?.map(|tip| tip.to_string()));
    }
    let commits = only_commits(repo, &names).await?;
    let (goes, reflogs) = match plan {
        BranchPlan::Stays => (Vec::new(), vec!["--reflog"]),
        // These refs go too, so that they keep nothing.
        BranchPlan::Goes => {
            let own = format!("--exclude=refs/ao/sessions/{}/*", request.session);
            (vec![format!("--exclude=refs/heads/{branch}"), own], Vec::new())
        }
    };
    unreached(repo, &commits, &goes, &reflogs).await
}

/// Everything that git keeps about a worktree and about nothing else.
async fn known_to_worktree(admin: &Path) -> Result<BTreeSet<String>, WorkspaceError> {
    let mut names = BTreeSet::new();
    let here = || Git::in_admin(admin, Pace::Look);
    let at_head = here().args(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).line().await?;
    if at_head.is_some() {
        names.extend(at_head);
        names.extend(history(here(), "HEAD").await?);
    }
    for head in OPERATION_HEADS {
        if let Ok(text) = std::fs::read_to_string(admin.join(head)) {
            names.extend(text.split_whitespace().map(str::to_owned));
        }
    }
    let own = ["for-each-ref", "--format=%(objectname)", "refs/worktree/", "refs/bisect/"];
    names.extend(here().args(own).text().await?.lines().map(str::to_owned));
    Ok(names)
}

/// The values that a ref had, by its reflog.
async fn history(git: Git, name: &str) -> Result<Vec<String>, WorkspaceError> {
    let text = git.args(["rev-list", "--walk-reflogs", name, "--"]).text().await?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Those of the names that are commits which are still there.
async fn only_commits(
    repo: &Repo,
    names: &BTreeSet<String>,
) -> Result<Vec<String>, WorkspaceError> {
    let is_name =
        |name: &&String| name.len() >= 40 && name.bytes().all(|it| it.is_ascii_hexdigit());
    let mut input = String::new();
    for name in names.iter().filter(is_name) {
        input.push_str(name);
        input.push('\n');
    }
    if input.is_empty() {
        return Ok(Vec::new());
    }
    let args = ["cat-file", "--batch-check=%(objectname) %(objecttype)"];
    let text = repo.look().args(args).stdin(input).text().await?;
    Ok(text.lines().filter_map(|it| it.strip_suffix(" commit")).map(str::to_owned).collect())
}

/// The commits among these that no ref reaches, without those that another of them reaches.
async fn unreached(
    repo: &Repo,
    commits: &[String],
    goes: &[String],
    reflogs: &[&str],
) -> Result<Vec<Sha>, WorkspaceError> {
    if commits.is_empty() {
        return Ok(Vec::new());
    }
    let mut input = commits.join("\n");
    input.push('\n');
    // Asked from the shared directory and for this place alone: otherwise the head of the very
    // worktree that goes would count as reaching its commits.
    let args = ["rev-list", "--parents", "--stdin", "--not", "--single-worktree"];
    let git = Git::in_admin(&repo.common, Pace::Look);
    let text = git.args(args).args(goes).args(["--all"]).args(reflogs).stdin(input).text().await?;
    let mut found = BTreeSet::new();
    let mut parents = BTreeSet::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        found.extend(words.next());
        parents.extend(words);
    }
    Ok(found.difference(&parents).map(|&sha| Sha::new(sha)).collect())
}

/// Makes a commit of everything uncommitted: index, working tree, untracked files.
pub(super) async fn snapshot(
    eye: &Eye<'_>,
    census: &Census,
    session: &SessionId,
    scratch: &Path,
) -> Result<Snapshot, WorkspaceError> {
    let staged = staged_commit(eye, session, scratch).await?;
    let index = ScratchIndex::copy_of(eye.admin, scratch)?;
    let hidden = census.hidden_in(eye.path);
    if !hidden.is_empty() {
        eye.unhide(&index.path, &hidden).await?;
    }
    let mut names = Vec::new();
    for name in uncommitted(eye, &index, Submodules::Included).await? {
        names.extend_from_slice(&name);
        names.push(0);
    }
    let update = ["update-index", "--add", "--remove", "--replace", "-z", "--stdin"];
    eye.git(Pace::Bulk).index(&index.path).args(update).stdin(names).ok().await?;
    let tree = eye.git(Pace::Write).index(&index.path).args(["write-tree"]).text().await?;
    let mut parents: Vec<String> = eye.head().await?.iter().map(Sha::to_string).collect();
    parents.extend(staged.map(|it| it.to_string()));
    for head in ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD"] {
        if let Ok(text) = std::fs::read_to_string(eye.admin.join(head)) {
            parents.extend(text.split_whitespace().map(str::to_owned));
        }
    }
    let message = subject(session, SNAPSHOT);
    let commit = commit_tree(eye.git(Pace::Write), &tree, &parents, &message).await?;
    Ok(Snapshot { commit, index })
}

/// What appeared or changed in a worktree since a snapshot of it.
pub(super) async fn changed_since(
    eye: &Eye<'_>,
    index: &ScratchIndex,
    submodules: Submodules,
) -> Result<Vec<String>, WorkspaceError> {
    let names = uncommitted(eye, index, submodules).await?;
    Ok(names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect())
}

/// The files that differ from an index, and those that are not in it.
///
/// A repository inside the worktree is passed over: no commit of this one can hold it, and whoever
/// finds one keeps its files.
async fn uncommitted(
    eye: &Eye<'_>,
    index: &ScratchIndex,
    submodules: Submodules,
) -> Result<Vec<Vec<u8>>, WorkspaceError> {
    eye.refresh(&index.path).await?;
    let git = || eye.git(Pace::Look).index(&index.path);
    let changed = ["diff-files", "--name-only", "-z", submodules.option()];
    let changed = git().args(changed).ok().await?;
    let others = ["ls-files", "--others", "--exclude-standard", "-z"];
    let others = git().args(others).ok().await?;
    let names = split_z(&changed).chain(split_z(&others));
    Ok(names.filter(|name| !name.ends_with(b"/")).map(<[u8]>::to_vec).collect())
}

/// A commit of the index as it stands, when it says something that neither its head nor its
/// conflicts say.
async fn staged_commit(
    eye: &Eye<'_>,
    session: &SessionId,
    scratch: &Path,
) -> Result<Option<Sha>, WorkspaceError> {
    let git = |pace| Git::in_worktree(eye.admin, eye.path, pace);
    staged(git, eye.admin, session, scratch).await
}

/// The same for a worktree whose directory is gone: its index is all that is left of it.
pub(super) async fn staged_without_files(
    admin: &Path,
    session: &SessionId,
    scratch: &Path,
) -> Result<Option<Sha>, WorkspaceError> {
    staged(|pace| Git::in_admin(admin, pace), admin, session, scratch).await
}

async fn staged(
    git: impl Fn(Pace) -> Git,
    admin: &Path,
    session: &SessionId,
    scratch: &Path,
) -> Result<Option<Sha>, WorkspaceError> {
    if !admin.join("index").exists() {
        return Ok(None);
    }
    let index = ScratchIndex::copy_of(admin, scratch)?;
    let unmerged = git(Pace::Look).index(&index.path).args(["ls-files", "--unmerged", "-z"]);
    if !unmerged.ok().await?.is_empty() {
        return Ok(None);
    }
    let tree = git(Pace::Write).index(&index.path).args(["write-tree"]).text().await?;
    let head = git(Pace::Look).args(["rev-parse", "--verify", "--quiet", "HEAD^{tree}"]);
    if head.line().await?.as_ref() == Some(&tree) {
        return Ok(None);
    }
    let parent = git(Pace::Look).args(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]);
    let parents: Vec<String> = parent.line().await?.into_iter().collect();
    let message = subject(session, STAGED);
    commit_tree(git(Pace::Write), &tree, &parents, &message).await.map(Some)
}

async fn commit_tree(
    git: Git,
    tree: &str,
    parents: &[String],
    message: &str,
) -> Result<Sha, WorkspaceError> {
    let mut seen = BTreeSet::new();
    let parents = parents.iter().filter(|parent| seen.insert(parent.as_str()));
    let parents = parents.flat_map(|parent| ["-p", parent.as_str()]);
    let git = git.args(["commit-tree", tree]).args(parents).args(["-m", message]);
    git.text().await.map(Sha::new)
}

/// Puts a ref on commits, beside what it holds already.
pub(super) async fn keep(
    repo: &Repo,
    session: &SessionId,
    commits: &[Sha],
) -> Result<Option<RefName>, WorkspaceError> {
    if commits.is_empty() {
        return Ok(None);
    }
    let name = SessionRefs::of(session).preserved;
    let earlier = repo.exact_ref(name.as_str()).await?;
    let mut roots: Vec<String> = Vec::new();
    for commit in commits {
        let is_kept = match &earlier {
            Some(earlier) => repo.is_ancestor(commit, earlier).await?,
            None => false,
        };
        if !is_kept {
            roots.push(commit.to_string());
        }
    }
    let Some(first) = roots.first().cloned() else { return Ok(earlier.map(|_sha| name)) };
    roots.extend(earlier.iter().map(Sha::to_string));
    let target = if roots.len() == 1 {
        Sha::new(first)
    } else {
        let message = subject(session, SET_ASIDE);
        commit_tree(repo.write(), &format!("{first}^{{tree}}"), &roots, &message).await?
    };
    let line = match earlier {
        Some(earlier) => format!("update {name}\0{target}\0{earlier}\0"),
        None => format!("create {name}\0{target}\0"),
    };
    repo.update_refs(&[line]).await?;
    Ok(Some(name))
}
