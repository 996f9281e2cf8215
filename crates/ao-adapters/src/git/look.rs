//! Looks at a worktree: what is uncommitted, what is under way, how far it is from its base.
//!
//! A look writes nothing into the repository and runs nothing that stands in it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ao_core::ids::Sha;
use ao_core::ports::{CreateWorkspace, DiffStat, WorkspaceError};

use super::base;
use super::repo::{Repo, SessionRefs, Site, is_occupied};
use super::run::{Filters, Git, Pace, split_z};
use super::scratch::ScratchIndex;

/// Most uncommitted paths that are listed: more would tell nobody more.
const PATHS_MAX: usize = 1000;

/// Most bytes of a difference that are shown.
const DIFF_BYTES_MAX: usize = 1024 * 1024;

/// What keeps a worktree from being like its head commit.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    /// Paths, those of untracked files included.
    pub(super) paths: Vec<String>,
    /// Whether any of them holds what a commit of this repository cannot: a submodule with changes
    /// of its own, or a repository in the repository.
    pub(super) has_nested: bool,
    /// Every untracked file; a repository in the repository is none.
    untracked: Vec<Vec<u8>>,
}

/// Whether a look goes into submodules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Submodules {
    /// Their changes count, untracked files included.
    Included,
    /// They cannot be looked at.
    PassedOver,
}

impl Submodules {
    /// In a worktree that was moved, submodules no longer find their repositories.
    pub(super) const fn of_moved(has_submodules: bool) -> Self {
        if has_submodules { Self::PassedOver } else { Self::Included }
    }

    pub(super) const fn option(self) -> &'static str {
        match self {
            Self::Included => "--ignore-submodules=none",
            Self::PassedOver => "--ignore-submodules=all",
        }
    }
}

/// What an index holds beyond plain files.
#[derive(Debug, Clone, Default)]
pub(super) struct Census {
    /// Files that git was told not to compare.
    hidden: Vec<Vec<u8>>,
    /// Whether there are submodules.
    pub(super) has_submodules: bool,
}

impl Census {
    /// The files that git was told not to compare and that are there; a sparse checkout lacks most.
    pub(super) fn hidden_in(&self, worktree: &Path) -> Vec<Vec<u8>> {
        let is_there = |name: &&Vec<u8>| is_occupied(&worktree.join(OsStr::from_bytes(name)));
        self.hidden.iter().filter(is_there).cloned().collect()
    }
}

/// A worktree with what every look at it needs.
#[derive(Debug, Clone)]
pub(super) struct Eye<'a> {
    pub(super) path: &'a Path,
    pub(super) admin: &'a Path,
    pub(super) filters: Filters,
}

impl<'a> Eye<'a> {
    pub(super) async fn on(site: &'a Site) -> Result<Self, WorkspaceError> {
        let (path, admin) = (site.worktree.path.as_path(), site.admin.as_path());
        let filters = Filters::of(Git::in_worktree(admin, path, Pace::Look)).await?;
        Ok(Self { path, admin, filters })
    }

    pub(super) fn git(&self, pace: Pace) -> Git {
        Git::in_worktree(self.admin, self.path, pace).without(&self.filters)
    }

    /// What is uncommitted.
    pub(super) async fn changes(&self, submodules: Submodules) -> Result<Changes, WorkspaceError> {
        let args = [
            "status",
            "--porcelain=v2",
            "-z",
            "--untracked-files=all",
            "--ignored=no",
            submodules.option(),
            "--no-renames",
        ];
        let bytes = self.git(Pace::Look).args(args).ok().await?;
        Ok(parse_status(&bytes))
    }

    /// What the index says about the working tree beyond its files.
    pub(super) async fn census(&self) -> Result<Census, WorkspaceError> {
        let args = ["ls-files", "-v", "--stage", "-z"];
        let bytes = self.git(Pace::Look).args(args).ok().await?;
        Ok(parse_census(&bytes))
    }

    /// Files with changes that git was told not to look for. A status does not show them, and that
    /// is how such work gets lost.
    pub(super) async fn hidden_changes(
        &self,
        census: &Census,
        scratch: &Path,
    ) -> Result<Vec<String>, WorkspaceError> {
        let present = census.hidden_in(self.path);
        if present.is_empty() {
            return Ok(Vec::new());
        }
        let index = ScratchIndex::copy_of(self.admin, scratch)?;
        self.unhide(&index.path, &present).await?;
        let args = ["diff-files", "--name-only", "-z", "--"];
        let names = present.iter().map(|name| OsStr::from_bytes(name));
        let bytes = self.git(Pace::Look).index(&index.path).args(args).args(names).ok().await?;
        Ok(split_z(&bytes).map(|it| String::from_utf8_lossy(it).into_owned()).collect())
    }

    /// Makes git look at these files again, in an index of ours.
    pub(super) async fn unhide(
        &self,
        index: &Path,
        names: &[Vec<u8>],
    ) -> Result<(), WorkspaceError> {
        let mut input = Vec::new();
        for name in names {
            input.extend_from_slice(name);
            input.push(0);
        }
        for flag in ["--no-assume-unchanged", "--no-skip-worktree"] {
            let args = ["update-index", flag, "-z", "--stdin"];
            self.git(Pace::Write).index(index).args(args).stdin(input.clone()).ok().await?;
        }
        self.refresh(index).await
    }

    /// Compares what only looks changed, in an index of ours.
    pub(super) async fn refresh(&self, index: &Path) -> Result<(), WorkspaceError> {
        let args = ["update-index", "-q", "--refresh"];
        // Status 1 says that something did change; that is for the next question to tell.
        self.git(Pace::Bulk).index(index).args(args).answer().await.map(drop)
    }

    /// The head commit; `None` on a branch without any.
    pub(super) async fn head(&self) -> Result<Option<Sha>, WorkspaceError> {
        let args = ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"];
        let line = self.git(Pace::Look).args(args).line().await?;
        Ok(line.map(Sha::new))
    }

    /// A copy of the index in which untracked files stand as empty, so that a difference shows
    /// them; the index itself is not touched.
    async fn index_with_untracked(
        &self,
        changes: &Changes,
        scratch: &Path,
    ) -> Result<ScratchIndex, WorkspaceError> {
        let index = ScratchIndex::copy_of(self.admin, scratch)?;
        // Entries, not files: a file that its agent removes meanwhile must not fail the look, and
        // nothing is written into the repository.
        let empty = self.git(Pace::Look).args(["hash-object", "--stdin"]).text().await?;
        let mut entries = Vec::new();
        for name in &changes.untracked {
            entries.extend_from_slice(format!("100644 {empty}\t").as_bytes());
            entries.extend_from_slice(name);
            entries.push(0);
        }
        let update = ["update-index", "-z", "--index-info"];
        self.git(Pace::Write).index(&index.path).args(update).stdin(entries).ok().await?;
        Ok(index)
    }

    /// Added and removed lines against a commit, uncommitted and untracked ones included.
    pub(super) async fn diff_stat(
        &self,
        base: &Sha,
        changes: &Changes,
        scratch: &Path,
    ) -> Result<DiffStat, WorkspaceError> {
        let bytes = self.diff_against(base, changes, scratch, &["--numstat", "-z"]).await?;
        let mut stat = DiffStat::default();
        for entry in split_z(&bytes) {
            let text = String::from_utf8_lossy(entry);
            let mut columns = text.splitn(3, '\t');
            // Binary files have a dash for a number; they have no lines.
            let mut number = || columns.next().and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
            stat.n_added += number();
            stat.n_removed += number();
            stat.n_files += 1;
        }
        Ok(stat)
    }

    /// The difference to a commit as text, uncommitted and untracked files included.
    pub(super) async fn diff_text(
        &self,
        base: &Sha,
        changes: &Changes,
        scratch: &Path,
    ) -> Result<String, WorkspaceError> {
        let mut bytes = self.diff_against(base, changes, scratch, &["--patch"]).await?;
        bytes.truncate(DIFF_BYTES_MAX);
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        while text.len() > DIFF_BYTES_MAX {
            text.pop();
        }
        Ok(text)
    }

    async fn diff_against(
        &self,
        base: &Sha,
        changes: &Changes,
        scratch: &Path,
        how: &[&str],
    ) -> Result<Vec<u8>, WorkspaceError> {
        let fixed = ["diff", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames"];
        let git = self.git(Pace::Look);
        if changes.untracked.is_empty() {
            return git.args(fixed).args(how).args([base.as_str(), "--"]).ok().await;
        }
        let index = self.index_with_untracked(changes, scratch).await?;
        git.index(&index.path).args(fixed).args(how).args([base.as_str(), "--"]).ok().await
    }
}

/// The operation that git has under way in a worktree.
pub(super) fn operation(admin: &Path) -> Option<&'static str> {
    const SIGNS: &[(&str, &str)] = &[
        ("rebase-merge", "rebase"),
        ("rebase-apply", "rebase"),
        ("MERGE_HEAD", "merge"),
        ("CHERRY_PICK_HEAD", "cherry-pick"),
        ("REVERT_HEAD", "revert"),
        ("sequencer", "cherry-pick or revert"),
        ("BISECT_LOG", "bisect"),
    ];
    SIGNS.iter().find(|(file, _)| admin.join(file).exists()).map(|&(_, name)| name)
}

/// The commits that a session's work is measured against: where it started, and what its base is
/// by now.
pub(super) async fn bases(
    repo: &Repo,
    request: &CreateWorkspace,
) -> Result<Vec<Sha>, WorkspaceError> {
    let recorded = repo.exact_ref(&SessionRefs::of(&request.session).base).await?;
    let mut bases = BTreeSet::from_iter(recorded);
    bases.extend(base::everywhere(repo, request.base.as_ref()).await?);
    Ok(bases.into_iter().collect())
}

/// The newest commit that a worktree shares with its base: an agent that rebased onto a newer base
/// did not write what that brought.
pub(super) async fn fork_point(
    repo: &Repo,
    head: &Sha,
    bases: &[Sha],
) -> Result<Option<Sha>, WorkspaceError> {
    let mut best: Option<Sha> = None;
    for base in bases {
        let Some(found) = repo.merge_base(head, base).await? else { continue };
        let is_newer = match &best {
            Some(best) => repo.is_ancestor(best, &found).await?,
            None => true,
        };
        if is_newer {
            best = Some(found);
        }
    }
    Ok(best)
}

/// How many commits a head has that none of its bases has.
pub(super) async fn n_commits_ahead(
    repo: &Repo,
    head: &Sha,
    bases: &[Sha],
) -> Result<u64, WorkspaceError> {
    let args = ["rev-list", "--count", head.as_str(), "--not"];
    let text = repo.look().args(args).args(bases.iter().map(Sha::as_str)).text().await?;
    Ok(text.parse().unwrap_or(0))
}

/// Reads `git status --porcelain=v2 -z --no-renames`.
fn parse_status(bytes: &[u8]) -> Changes {
    let mut changes = Changes::default();
    for entry in split_z(bytes) {
        let text = String::from_utf8_lossy(entry);
        // `1 XY SUB MODES… PATH`, `u XY SUB MODES… PATH`, `? PATH`.
        let (path, submodule) = match text.split(' ').next() {
            Some("1") => (text.splitn(9, ' ').nth(8), text.split(' ').nth(2)),
            Some("u") => (text.splitn(11, ' ').nth(10), text.split(' ').nth(2)),
            Some("?") => (text.split_once(' ').map(|(_, path)| path), None),
            Some(_) | None => (None, None),
        };
        let Some(path) = path else { continue };
        if text.starts_with('?') {
            let name = entry.get(2..).unwrap_or_default();
            if name.ends_with(b"/") {
                changes.has_nested = true;
            } else {
                changes.untracked.push(name.to_vec());
            }
        }
        changes.has_nested |= submodule.is_some_and(|it| it.starts_with('S'));
        if changes.paths.len() < PATHS_MAX {
            changes.paths.push(path.to_owned());
        }
    }
    changes
}

/// Reads `git ls-files -v --stage -z`: `TAG MODE SHA STAGE<tab>PATH`.
fn parse_census(bytes: &[u8]) -> Census {
    let mut census = Census::default();
    for entry in split_z(bytes) {
        let Some(tab) = entry.iter().position(|&byte| byte == b'\t') else { continue };
        let (Some(head), Some(name)) = (entry.get(..tab), entry.get(tab + 1..)) else { continue };
        census.has_submodules |= head.get(2..8) == Some(b"160000");
        // `S`: skip-worktree. Lower case: assume-unchanged.
        if head.first().is_some_and(|tag| *tag == b'S' || tag.is_ascii_lowercase()) {
            census.hidden.push(name.to_vec());
        }
    }
    census
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_with_conflicts_submodules_and_odd_paths() {
        let changes = parse_status(
            b"1 .M N... 100644 100644 100644 aa bb src/a b.rs\0\
              u UU N... 100644 100644 100644 100644 aa bb cc both.rs\0\
              1 .M S.MU 160000 160000 160000 aa bb lib\0\
              ? new\nfile\0? clone/\0",
        );
        assert_eq!(changes.paths, ["src/a b.rs", "both.rs", "lib", "new\nfile", "clone/"]);
        assert!(changes.has_nested);
        assert_eq!(changes.untracked, [b"new\nfile".to_vec()]);
        assert!(parse_status(b"").paths.is_empty());
    }
}
