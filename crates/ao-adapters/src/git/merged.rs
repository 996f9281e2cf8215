//! Whether a base has everything that a branch brought, however it got there: by a merge, by
//! commits of the same patches, or squashed into one commit.
//!
//! *Guarantees*: a question writes nothing into the repository: what has to be made for it goes into
//! an object directory of our own. What cannot be told is not merged.
//!
//! *Caveats*: a squashed commit is recognised by its patch, or by a merge that would change nothing;
//! where the base went on to change the same lines, only the forge knows.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ao_core::ids::Sha;
use ao_core::ports::WorkspaceError;

use super::repo::Repo;
use super::run::{Git, Pace, split_z};
use super::scratch::ScratchDir;

/// How a base came to have a commit's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// It reaches the commit.
    Reached,
    /// Each commit is in it as the same patch.
    SamePatches,
    /// All of it together is.
    Squashed,
}

impl How {
    /// The end of the sentence “all of its work is in `main`…”.
    pub(super) const fn clause(self) -> &'static str {
        match self {
            Self::Reached => "",
            Self::SamePatches => " as commits of the same changes",
            Self::Squashed => " as one squashed change",
        }
    }
}

/// How one of these bases has everything that a commit brings; `None` when none has.
pub(super) async fn into_any(
    repo: &Repo,
    bases: &[Sha],
    tip: &Sha,
    scratch: &Path,
) -> Result<Option<How>, WorkspaceError> {
    for base in bases {
        if repo.is_ancestor(tip, base).await? {
            return Ok(Some(How::Reached));
        }
    }
    for base in bases {
        if has_same_patches(repo, base, tip).await? {
            return Ok(Some(How::SamePatches));
        }
    }
    for base in bases {
        if is_squashed(repo, base, tip, scratch).await? {
            return Ok(Some(How::Squashed));
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

/// Whether the base has everything of a branch together: a commit of it is the branch's whole
/// patch, or merging the branch would change nothing.
async fn is_squashed(
    repo: &Repo,
    base: &Sha,
    tip: &Sha,
    scratch: &Path,
) -> Result<bool, WorkspaceError> {
    let Some(fork) = repo.merge_base(base, tip).await? else { return Ok(false) };
    let tree_of = async |commit: &Sha| {
        let name = format!("{commit}^{{tree}}");
        repo.look().args(["rev-parse", "--verify", "--end-of-options", &name]).text().await
    };
    let tree = tree_of(tip).await?;
    // Commits that undo each other are in no base, although merging them would change nothing.
    if tree == tree_of(&fork).await? {
        return Ok(false);
    }
    let aside = Aside::new(repo, scratch).await?;
    let args = ["commit-tree", &tree, "-p", fork.as_str(), "-m", "everything at once"];
    let whole = aside.git().args(args).text().await?;
    let text = aside.git().args(["cherry", base.as_str(), &whole]).text().await?;
    if text.starts_with("- ") {
        return Ok(true);
    }
    // Status 1 stands for conflicts, 129 for a git that cannot do it.
    let args = ["merge-tree", "--write-tree", "--no-messages", base.as_str(), tip.as_str()];
    let merged = aside.git().args(args).run().await?;
    Ok(merged.status.success() && merged.stdout_text().trim() == tree_of(base).await?)
}

/// A place beside a repository for objects that only a question needs.
struct Aside<'a> {
    repo: &'a Repo,
    dir: ScratchDir,
    drivers: Vec<OsString>,
}

impl<'a> Aside<'a> {
    async fn new(repo: &'a Repo, scratch: &Path) -> Result<Self, WorkspaceError> {
        let args = ["config", "-z", "--name-only", "--get-regexp", r"^merge\..*\.driver$"];
        let keys = repo.look().args(args).run().await?.stdout;
        let drivers = split_z(&keys).map(|key| super::run::path_of(key).into_os_string()).collect();
        Ok(Self { repo, dir: ScratchDir::new(scratch, "objects")?, drivers })
    }

    /// A call that reads the repository and writes here. Merge drivers of the configuration fail
    /// instead of running: a conflict is not merged.
    fn git(&self) -> Git {
        let fail = self.drivers.iter().map(|key| (key.clone(), "false"));
        let settings = fail.chain([(OsString::from("merge.renormalize"), "false")]);
        Git::at(&self.repo.dir, Pace::Look)
            .objects(&self.dir.path, &objects_of(&self.repo.common))
            .settings(settings)
    }
}

fn objects_of(common: &Path) -> PathBuf {
    common.join("objects")
}
