//! What a session starts from: the newest that is known of the base, after asking its remote.
//!
//! A remote that does not answer delays a session by a bound and is told; it stops none.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ao_core::ids::{RefName, Sha};
use ao_core::ports::WorkspaceError;
use tokio::sync::Semaphore;

use super::repo::Repo;
use super::run::{Git, Pace};

/// A base that was found.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) name: RefName,
    pub(super) sha: Sha,
    /// Why it may be older than the one at its remote.
    pub(super) stale: Option<String>,
}

/// Whether a remote is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Only when the base is not known here.
    Known,
    /// In any case.
    Asked,
}

/// Where the newest version of a branch comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Tracked {
    remote: String,
    branch: String,
}

impl Tracked {
    fn ref_name(&self) -> String {
        format!("refs/remotes/{}/{}", self.remote, self.branch)
    }
}

/// Asks remotes; many sessions that start at once share one answer.
#[derive(Debug)]
pub(super) struct Fetches {
    timeout: Duration,
    slots: Mutex<HashMap<(PathBuf, Tracked), Arc<Slot>>>,
}

#[derive(Debug)]
struct Slot {
    turn: Semaphore,
    n_begun: AtomicU64,
    /// Number of the last fetch that ended, and what was wrong with it.
    last: Mutex<Option<(u64, Option<String>)>>,
}

impl Fetches {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, slots: Mutex::default() }
    }

    fn slot(&self, repo: &Repo, tracked: &Tracked) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry((repo.common.clone(), tracked.clone())).or_insert_with(|| {
            Arc::new(Slot {
                turn: Semaphore::new(1),
                n_begun: AtomicU64::new(0),
                last: Mutex::new(None),
            })
        });
        Arc::clone(slot)
    }

    /// Fetches one branch; what went wrong is a sentence. A fetch that began after this call was
    /// made answers for it too.
    async fn fetch(&self, repo: &Repo, tracked: &Tracked) -> Option<String> {
        let slot = self.slot(repo, tracked);
        let n_seen = slot.n_begun.load(Ordering::Acquire);
        let Ok(_turn) = slot.turn.acquire().await else {
            return Some("the fetch was cancelled".to_owned());
        };
        let last = slot.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((n, trouble)) = last
            && n > n_seen
        {
            return trouble;
        }
        let n = slot.n_begun.fetch_add(1, Ordering::AcqRel) + 1;
        let trouble = self.fetch_now(repo, tracked).await;
        *slot.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((n, trouble.clone()));
        trouble
    }

    async fn fetch_now(&self, repo: &Repo, tracked: &Tracked) -> Option<String> {
        let refspec = format!("+refs/heads/{}:{}", tracked.branch, tracked.ref_name());
        let args = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-prune",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--end-of-options",
            &tracked.remote,
            &refspec,
        ];
        match Git::at(&repo.dir, Pace::Remote(self.timeout)).args(args).ok().await {
            Ok(_bytes) => None,
            Err(error) => Some(format!("remote `{}` could not be asked: {error}", tracked.remote)),
        }
    }
}

/// Finds what to start from.
pub(super) async fn resolve(
    repo: &Repo,
    asked: Option<&RefName>,
    freshness: Freshness,
    fetches: &Fetches,
) -> Result<Base, WorkspaceError> {
    let remotes = remotes(repo).await?;
    let name = match asked {
        Some(base) => base.as_str().to_owned(),
        None => default_branch(repo, &remotes).await?,
    };
    if name.is_empty() || name.contains('\0') {
        return Err(WorkspaceError::BaseMissing { base: RefName::new(name) });
    }
    let tracked = tracked(repo, &name, &remotes).await?;
    let before = newest(repo, &name, tracked.as_ref()).await?;
    let mut stale = None;
    if let Some(tracked) = &tracked
        && (freshness == Freshness::Asked || before.is_none())
    {
        stale = fetches.fetch(repo, tracked).await;
    }
    let found = newest(repo, &name, tracked.as_ref()).await?;
    if let Some((name, sha)) = found {
        return Ok(Base { name: RefName::new(name), sha, stale });
    }
    if is_unborn(repo).await? {
        return Err(WorkspaceError::Unborn { path: repo.dir.clone() });
    }
    Err(WorkspaceError::BaseMissing { base: RefName::new(name) })
}

/// The commits that a base's name stands for by now, here and at every remote: work that is in one
/// of them is not lost with a branch.
pub(super) async fn everywhere(
    repo: &Repo,
    asked: Option<&RefName>,
) -> Result<Vec<Sha>, WorkspaceError> {
    let remotes = remotes(repo).await?;
    let name = match asked {
        Some(base) => base.as_str().to_owned(),
        None => default_branch(repo, &remotes).await?,
    };
    let is_of_remote = |remote: &&String| name.starts_with(&format!("{remote}/"));
    let branch = match remotes.iter().find(is_of_remote) {
        Some(remote) => name.get(remote.len() + 1..).unwrap_or(&name).to_owned(),
        None => name.clone(),
    };
    let mut found = Vec::new();
    if is_plain_ref(repo, &branch).await? {
        let at_remotes = remotes.iter().map(|remote| format!("refs/remotes/{remote}/{branch}"));
        let here = [format!("refs/heads/{branch}"), format!("refs/heads/{name}")];
        for name in here.into_iter().chain(at_remotes) {
            found.extend(repo.exact_ref(&name).await?);
        }
    }
    if found.is_empty() {
        found.extend(repo.commit_at(&name).await?);
    }
    Ok(found)
}

/// The name of the repository's default branch: what is in it is not lost either, whatever a session
/// was branched from.
pub(super) async fn trunk(repo: &Repo) -> Result<RefName, WorkspaceError> {
    let remotes = remotes(repo).await?;
    default_branch(repo, &remotes).await.map(RefName::new)
}

async fn remotes(repo: &Repo) -> Result<Vec<String>, WorkspaceError> {
    let text = repo.look().args(["remote"]).text().await?;
    let mut remotes: Vec<String> = text.lines().map(str::to_owned).collect();
    // `origin` is the one that counts where there are several.
    remotes.sort_by_key(|name| name != "origin");
    Ok(remotes)
}

/// The remote's default branch where it is known, else what the main worktree is on.
async fn default_branch(repo: &Repo, remotes: &[String]) -> Result<String, WorkspaceError> {
    if let Some(remote) = remotes.first() {
        let head = format!("refs/remotes/{remote}/HEAD");
        let target = repo.look().args(["symbolic-ref", "--quiet", &head]).line().await?;
        let prefix = format!("refs/remotes/{remote}/");
        if let Some(branch) = target.as_deref().and_then(|it| it.strip_prefix(&prefix)) {
            return Ok(branch.to_owned());
        }
    }
    let main = repo.list().await?.into_iter().next();
    let branch = match main.and_then(|main| main.branch) {
        Some(branch) => Some(branch.to_string()),
        None => bare_head(repo).await?,
    };
    Ok(branch.unwrap_or_else(|| "HEAD".to_owned()))
}

/// The branch that a bare repository calls its own.
async fn bare_head(repo: &Repo) -> Result<Option<String>, WorkspaceError> {
    let git = Git::in_admin(&repo.common, Pace::Look);
    let target = git.args(["symbolic-ref", "--quiet", "HEAD"]).line().await?;
    Ok(target.and_then(|it| it.strip_prefix("refs/heads/").map(str::to_owned)))
}

/// The remote branch that a name follows, if any.
async fn tracked(
    repo: &Repo,
    name: &str,
    remotes: &[String],
) -> Result<Option<Tracked>, WorkspaceError> {
    let of_ref = |full: &str| {
        let rest = full.strip_prefix("refs/remotes/")?;
        remotes.iter().find_map(|remote| {
            let branch = rest.strip_prefix(remote.as_str())?.strip_prefix('/')?;
            Some(Tracked { remote: remote.clone(), branch: branch.to_owned() })
        })
    };
    let is_plain = is_plain_ref(repo, name).await?;
    if !is_plain {
        return Ok(None);
    }
    let local = format!("refs/heads/{name}");
    let args = ["for-each-ref", "--format=%(refname)%00%(upstream)", "--end-of-options", &local];
    let text = repo.look().args(args).text().await?;
    let upstream = text
        .lines()
        .filter_map(|line| line.split_once('\0'))
        .find(|(found, _)| *found == local)
        .map(|(_, upstream)| upstream.to_owned());
    if let Some(tracked) = upstream.as_deref().and_then(of_ref) {
        return Ok(Some(tracked));
    }
    if upstream.is_none()
        && let Some(tracked) = of_ref(&format!("refs/remotes/{name}"))
    {
        return Ok(Some(tracked));
    }
    let Some(remote) = remotes.first() else { return Ok(None) };
    let counterpart = Tracked { remote: remote.clone(), branch: name.to_owned() };
    let is_known = repo.exact_ref(&counterpart.ref_name()).await?.is_some();
    let is_elsewhere = upstream.is_none() && repo.commit_at(name).await?.is_none();
    Ok((is_known || is_elsewhere).then_some(counterpart))
}

/// Whether a name could be that of a branch, rather than `HEAD~2` or `v1^{}`.
async fn is_plain_ref(repo: &Repo, name: &str) -> Result<bool, WorkspaceError> {
    if name == "HEAD" || name.starts_with('-') {
        return Ok(false);
    }
    let full = format!("refs/heads/{name}");
    repo.look().args(["check-ref-format", &full]).answer().await
}

/// The newest commit that a name stands for here, and the name that says which one it is.
///
/// A local branch gives way to its remote one when that only adds to it: workers that started from
/// a stale local branch redo what is done. A local branch with commits of its own stays itself.
async fn newest(
    repo: &Repo,
    name: &str,
    tracked: Option<&Tracked>,
) -> Result<Option<(String, Sha)>, WorkspaceError> {
    let local = if is_plain_ref(repo, name).await? {
        repo.exact_ref(&format!("refs/heads/{name}")).await?
    } else {
        None
    };
    let remote = match tracked {
        Some(tracked) => repo
            .exact_ref(&tracked.ref_name())
            .await?
            .map(|sha| (format!("{}/{}", tracked.remote, tracked.branch), sha)),
        None => None,
    };
    match (local, remote) {
        (Some(local), Some((remote_name, remote))) => {
            let is_newer = local != remote && repo.is_ancestor(&local, &remote).await?;
            Ok(Some(if is_newer { (remote_name, remote) } else { (name.to_owned(), local) }))
        }
        (Some(local), None) => Ok(Some((name.to_owned(), local))),
        (None, Some(remote)) => Ok(Some(remote)),
        (None, None) => Ok(repo.commit_at(name).await?.map(|sha| (name.to_owned(), sha))),
    }
}

async fn is_unborn(repo: &Repo) -> Result<bool, WorkspaceError> {
    let args = ["for-each-ref", "--count=1", "--format=%(refname)"];
    let has_refs = !repo.look().args(args).text().await?.is_empty();
    Ok(!has_refs && repo.commit_at("HEAD").await?.is_none())
}
