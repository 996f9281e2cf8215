//! What a repository holds: its worktrees, its refs, its base. Decided by listing them, never by
//! catching what an attempt complains about.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ao_core::ids::{BranchName, HomeId, RefName, SessionId, Sha};
use ao_core::ports::{MarkedBy, WorkspaceError, Worktree};

use super::run::{Git, Pace, failure, path_of, split_z};

/// File in git's directory of a worktree that names the session which the worktree was made for,
/// and the path: another home has sessions of the same name.
const MARKER: &str = "ao-session";

/// File beside it that names the home: two homes may keep their worktrees in one directory. Apart,
/// because the path in the other one may hold anything, a line end included.
const HOME: &str = "ao-home";

/// File beside it that appears once the worktree is complete.
const READY: &str = "ao-ready";

/// How often worktrees are listed before git's complaint about them is believed, and the pause in
/// between: it writes what a new one needs within milliseconds.
const LISTS_MAX: u32 = 5;
const LIST_PAUSE: Duration = Duration::from_millis(25);

/// An opened repository.
#[derive(Debug, Clone)]
pub(super) struct Repo {
    /// The directory that it was asked for by.
    pub(super) dir: PathBuf,
    /// What all of its worktrees share.
    pub(super) common: PathBuf,
    /// The home that looks.
    pub(super) home: HomeId,
    is_bare: bool,
}

/// Whom a worktree was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    /// The session.
    pub(super) session: String,
    /// Where it was made, in the home of that session; it may have been moved since.
    pub(super) path: PathBuf,
    /// Which home it was.
    pub(super) by: MarkedBy,
}

impl Owner {
    fn read(admin: &Path, ours: &HomeId) -> Option<Self> {
        let owner = Self::parse(&std::fs::read(admin.join(MARKER)).ok()?)?;
        let by = match std::fs::read_to_string(admin.join(HOME)) {
            Ok(home) if home.trim_end() == ours.as_str() => MarkedBy::ThisHome,
            Ok(_) => MarkedBy::AnotherHome,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => MarkedBy::Unknown,
            // Something is written there, and not by us.
            Err(_) => MarkedBy::AnotherHome,
        };
        Some(Self { by, ..owner })
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let mut lines = text.splitn(2, |&byte| byte == b'\n');
        let session = String::from_utf8(lines.next()?.to_vec()).ok()?;
        let path = path_of(lines.next()?.strip_suffix(b"\n")?);
        Some(Self { session, path, by: MarkedBy::Unknown })
    }

    fn to_bytes(&self) -> Vec<u8> {
        [self.session.as_bytes(), b"\n", self.path.as_os_str().as_bytes(), b"\n"].concat()
    }
}

/// A linked worktree, with the directory in which git keeps what it knows about it.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) worktree: Worktree,
    pub(super) admin: PathBuf,
    /// Whom it was made for, when it was made by us.
    pub(super) owner: Option<Owner>,
    /// Whether its making came to its end.
    pub(super) is_ready: bool,
}

impl Site {
    /// Whether git or the checkout was interrupted while it was made.
    pub(super) fn is_half_made(&self) -> bool {
        let is_being_made = self.worktree.locked.as_deref() == Some("initializing");
        let has_index = self.admin.join("index").exists();
        !self.is_ready && (self.owner.is_some() || is_being_made || !has_index)
    }

    /// Writes down whose it is.
    pub(super) fn mark(
        &mut self,
        session: &SessionId,
        home: &HomeId,
    ) -> Result<(), WorkspaceError> {
        let path = self.worktree.path.clone();
        let owner = Owner { session: session.to_string(), path, by: MarkedBy::ThisHome };
        // First: a worktree with the other half alone would be taken for one of an older version.
        write(&self.admin.join(HOME), format!("{home}\n").as_bytes())?;
        write(&self.admin.join(MARKER), &owner.to_bytes())?;
        self.owner = Some(owner);
        Ok(())
    }

    /// Writes down that it is complete.
    pub(super) fn mark_ready(&self) -> Result<(), WorkspaceError> {
        write(&self.admin.join(READY), b"")
    }

    /// Whether the link from the worktree to git's directory is the one that git made.
    pub(super) fn is_linked(&self) -> bool {
        let Ok(link) = std::fs::read_to_string(self.worktree.path.join(".git")) else {
            return false;
        };
        let Some(target) = link.trim_end_matches('\n').strip_prefix("gitdir: ") else {
            return false;
        };
        resolved(&self.worktree.path.join(target)) == resolved(&self.admin)
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), WorkspaceError> {
    std::fs::write(path, bytes).map_err(|error| io_error(path, &error))
}

pub(super) fn io_error(path: &Path, error: &std::io::Error) -> WorkspaceError {
    WorkspaceError::Io { path: path.to_owned(), message: error.to_string() }
}

/// The path with every link but a last one resolved, as far as it exists.
pub(super) fn resolved(path: &Path) -> PathBuf {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return path.canonicalize().unwrap_or_else(|_error| path.to_owned());
    };
    match parent.canonicalize() {
        Ok(parent) => parent.join(name),
        Err(_error) => resolved(parent).join(name),
    }
}

/// Whether anything at all, a dangling link included, stands at a path.
pub(super) fn is_occupied(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

impl Repo {
    /// Opens the repository that a directory lies in.
    pub(super) async fn open(dir: &Path, home: &HomeId) -> Result<Self, WorkspaceError> {
        let not_a_repo = || WorkspaceError::NotARepo { path: dir.to_owned() };
        if !dir.is_dir() {
            return Err(not_a_repo());
        }
        let args =
            ["rev-parse", "--is-bare-repository", "--path-format=absolute", "--git-common-dir"];
        let output = Git::at(dir, Pace::Look).args(args).run().await?;
        if !output.status.success() {
            let is_none = output.stderr_text().contains("not a git repository");
            return Err(if is_none { not_a_repo() } else { failure("git rev-parse", &output) });
        }
        let Some((is_bare, common)) = output
            .stdout
            .iter()
            .position(|&it| it == b'\n')
            .and_then(|end| Some((output.stdout.get(..end)?, output.stdout.get(end + 1..)?)))
        else {
            return Err(not_a_repo());
        };
        let common = common.strip_suffix(b"\n").unwrap_or(common);
        let (dir, home) = (dir.to_owned(), home.clone());
        Ok(Self { dir, common: path_of(common), home, is_bare: is_bare == b"true" })
    }

    pub(super) fn look(&self) -> Git {
        Git::at(&self.dir, Pace::Look)
    }

    pub(super) fn write(&self) -> Git {
        Git::at(&self.dir, Pace::Write)
    }

    /// The top of the main worktree, or a bare repository itself.
    pub(super) async fn top(&self) -> Result<PathBuf, WorkspaceError> {
        if self.is_bare {
            return Ok(self.common.clone());
        }
        let git_dir =
            self.look().args(["rev-parse", "--path-format=absolute", "--git-dir"]).text().await?;
        if resolved(Path::new(&git_dir)) == resolved(&self.common) {
            let top = self.look().args(["rev-parse", "--show-toplevel"]).line().await;
            if let Ok(Some(top)) = top {
                return Ok(PathBuf::from(top));
            }
        }
        let main = self.list().await?.into_iter().next();
        main.map(|main| main.path)
            .ok_or_else(|| WorkspaceError::NotARepo { path: self.dir.clone() })
    }

    /// Every registered worktree, the main one first.
    #[expect(clippy::disallowed_methods, reason = "git is waited for, which no test simulates")]
    pub(super) async fn list(&self) -> Result<Vec<Worktree>, WorkspaceError> {
        // One that git is just making, for us or for anybody, is half there for a moment.
        let mut bytes = self.list_once().await;
        for _ in 1..LISTS_MAX {
            if bytes.is_ok() {
                break;
            }
            tokio::time::sleep(LIST_PAUSE).await;
            bytes = self.list_once().await;
        }
        let bytes = bytes?;
        let mut worktrees = parse_worktrees(&bytes);
        for worktree in &mut worktrees {
            // Git calls prunable what lacks its link; ours is about the directory.
            worktree.is_prunable = !worktree.path.is_dir();
        }
        Ok(worktrees)
    }

    async fn list_once(&self) -> Result<Vec<u8>, WorkspaceError> {
        self.look().args(["worktree", "list", "--porcelain", "-z"]).ok().await
    }

    /// Every linked worktree with its directory below the common one.
    pub(super) async fn sites(&self) -> Result<Vec<Site>, WorkspaceError> {
        let admins = self.admins();
        let linked = self.list().await?.into_iter().skip(1);
        Ok(linked
            .filter_map(|worktree| {
                let (_path, admin) = admins.iter().find(|(path, _)| *path == worktree.path)?;
                let owner = Owner::read(admin, &self.home);
                let is_ready = admin.join(READY).exists();
                Some(Site { worktree, admin: admin.clone(), owner, is_ready })
            })
            .collect())
    }

    /// Where each of git's worktree directories says that its worktree is.
    fn admins(&self) -> Vec<(PathBuf, PathBuf)> {
        let Ok(entries) = std::fs::read_dir(self.common.join("worktrees")) else {
            return Vec::new();
        };
        let mut admins = Vec::new();
        for entry in entries.flatten() {
            let admin = entry.path();
            let Ok(bytes) = std::fs::read(admin.join("gitdir")) else { continue };
            let link = admin.join(path_of(bytes.trim_ascii_end()));
            if let Some(worktree) = link.parent() {
                admins.push((resolved(worktree), admin.clone()));
                admins.push((worktree.to_owned(), admin));
            }
        }
        admins
    }

    /// The commit that git takes a name for.
    pub(super) async fn commit_at(&self, name: &str) -> Result<Option<Sha>, WorkspaceError> {
        let args = ["rev-parse", "--verify", "--quiet", "--end-of-options"];
        let output = self.look().args(args).args([format!("{name}^{{commit}}")]).run().await?;
        match output.status.code() {
            Some(0) => Ok(Some(Sha::new(output.stdout_text().trim()))),
            // 128 stands for a name that cannot be one, or names no commit.
            Some(1 | 128) => Ok(None),
            Some(_) | None => Err(failure("git rev-parse", &output)),
        }
    }

    /// The value of exactly this branch.
    pub(super) async fn branch_at(
        &self,
        branch: &BranchName,
    ) -> Result<Option<Sha>, WorkspaceError> {
        self.exact_ref(&format!("refs/heads/{branch}")).await
    }

    /// The object that exactly this ref names, by listing.
    pub(super) async fn exact_ref(&self, name: &str) -> Result<Option<Sha>, WorkspaceError> {
        let refs = self.refs_below(name).await?;
        Ok(refs.into_iter().find(|(found, _)| found == name).map(|(_, sha)| sha))
    }

    /// This ref, and every ref below it.
    pub(super) async fn refs_below(
        &self,
        name: &str,
    ) -> Result<Vec<(String, Sha)>, WorkspaceError> {
        let args = ["for-each-ref", "--format=%(refname)%00%(objectname)", "--end-of-options"];
        let bytes = self.look().args(args).args([name]).ok().await?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(text
            .lines()
            .filter_map(|line| line.split_once('\0'))
            .map(|(name, sha)| (name.to_owned(), Sha::new(sha)))
            .collect())
    }

    /// Refuses a name that git would not take for a new branch.
    pub(super) async fn check_branch_name(
        &self,
        branch: &BranchName,
    ) -> Result<(), WorkspaceError> {
        let name = branch.as_str();
        let invalid = || WorkspaceError::BranchInvalid { branch: name.to_owned() };
        // `@` is what git itself reads as `HEAD`.
        let is_head = ["HEAD", "@"].contains(&name);
        if name.is_empty() || name.contains('\0') || name.starts_with('-') || is_head {
            return Err(invalid());
        }
        let git = self.look().args(["check-ref-format", "--branch", name]).run().await?;
        // `@{-1}` is answered with the branch that was checked out before: valid, and not this.
        let is_same = git.stdout_text().trim_end_matches('\n') == name;
        if git.status.success() && is_same { Ok(()) } else { Err(invalid()) }
    }

    /// Whether a commit can be reached from another.
    pub(super) async fn is_ancestor(&self, old: &Sha, new: &Sha) -> Result<bool, WorkspaceError> {
        let args = ["merge-base", "--is-ancestor", old.as_str(), new.as_str()];
        self.look().args(args).answer().await
    }

    /// The last commit that two have in common.
    pub(super) async fn merge_base(&self, a: &Sha, b: &Sha) -> Result<Option<Sha>, WorkspaceError> {
        let line = self.look().args(["merge-base", a.as_str(), b.as_str()]).line().await?;
        Ok(line.map(Sha::new))
    }

    /// Changes refs, all or none: lines of `update-ref --stdin -z`.
    pub(super) async fn update_refs(&self, lines: &[String]) -> Result<(), WorkspaceError> {
        let mut input = Vec::new();
        for line in lines {
            input.extend_from_slice(line.as_bytes());
        }
        let args = ["update-ref", "-m", "ao", "--stdin", "-z"];
        self.write().args(args).stdin(input).ok().await.map(drop)
    }
}

/// The refs in which a session's beginnings are kept: they survive its worktree, so that a
/// restored session still knows them.
pub(super) struct SessionRefs {
    /// The commit that it started from.
    pub(super) base: String,
    /// There when the branch was made for it.
    pub(super) made: String,
    /// Work that a removal set aside.
    pub(super) preserved: RefName,
}

impl SessionRefs {
    pub(super) fn of(session: &SessionId) -> Self {
        Self {
            base: format!("refs/ao/sessions/{session}/base"),
            made: format!("refs/ao/sessions/{session}/made"),
            preserved: RefName::new(format!("refs/ao/preserved/{session}")),
        }
    }
}

/// Reads `git worktree list --porcelain -z`.
fn parse_worktrees(bytes: &[u8]) -> Vec<Worktree> {
    let mut worktrees: Vec<Worktree> = Vec::new();
    for field in split_z(bytes) {
        let (key, value) = match field.iter().position(|&byte| byte == b' ') {
            Some(at) => (field.get(..at).unwrap_or_default(), field.get(at + 1..)),
            None => (field, None),
        };
        let value = value.unwrap_or_default();
        let text = || String::from_utf8_lossy(value).into_owned();
        if key == b"worktree" {
            worktrees.push(Worktree {
                path: path_of(value),
                branch: None,
                head: None,
                locked: None,
                is_prunable: false,
            });
            continue;
        }
        let Some(worktree) = worktrees.last_mut() else { continue };
        match key {
            b"HEAD" if value.iter().any(|&byte| byte != b'0') => {
                worktree.head = Some(Sha::new(text()));
            }
            b"branch" => {
                let name = text();
                let name = name.strip_prefix("refs/heads/").unwrap_or(&name);
                worktree.branch = Some(BranchName::new(name));
            }
            b"locked" => worktree.locked = Some(text()),
            // `HEAD 000…` of an unborn branch, `bare`, `detached`, `prunable`, and what a later
            // git may add.
            _ => {}
        }
    }
    worktrees
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_worktrees_is_read_with_locks_and_odd_paths() {
        let bytes = b"worktree /r\0HEAD 1a\0branch refs/heads/main\0\0\
            worktree /w x\ny\0HEAD 2b\0detached\0locked\0\0\
            worktree /z\0HEAD 00\0branch refs/heads/a/b\0locked on a stick\0prunable gone\0\0";
        let lines: Vec<String> = parse_worktrees(bytes)
            .into_iter()
            .map(|it| {
                format!(
                    "{:?} {:?} {:?} {:?}",
                    it.path,
                    it.branch.map(|it| it.to_string()),
                    it.head.map(|it| it.to_string()),
                    it.locked
                )
            })
            .collect();
        assert_eq!(
            lines,
            [
                r#""/r" Some("main") Some("1a") None"#,
                r#""/w x\ny" None Some("2b") Some("")"#,
                r#""/z" Some("a/b") None Some("on a stick")"#,
            ]
        );
    }
}
