//! Worktrees that hold only some directories of their repository, by git's own sparse checkout in
//! cone mode: the files at the top, the named directories whole, and the files right in the
//! directories above them.
//!
//! What is not checked out is marked in the index (`skip-worktree`), so that git, and every look of
//! ours, takes it for unchanged and not for deleted. The profile belongs to the worktree alone:
//! git turns `extensions.worktreeConfig` on in the repository to keep it there.

use std::path::Path;

use ao_core::ids::Sha;
use ao_core::ports::{WorkspaceError, is_inside};

use super::repo::{Repo, Site};
use super::run::{Git, Pace};

/// The directories of a worktree; all of them when none is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cone {
    dirs: Vec<String>,
}

impl Cone {
    /// A profile of directories relative to the top of the repository.
    pub(super) fn of(dirs: &[String]) -> Result<Self, WorkspaceError> {
        let refused = |dir: &str, because: &'static str| WorkspaceError::SparseInvalid {
            directory: dir.escape_debug().to_string(),
            because,
        };
        let mut clean = Vec::new();
        for dir in dirs {
            if Path::new(dir).is_absolute() {
                return Err(refused(dir, "is absolute, not relative to the top of the repository"));
            }
            if !is_inside(dir) {
                return Err(refused(dir, "is no path inside the repository"));
            }
            let parts: Vec<&str> = dir.split('/').filter(|part| !part.is_empty()).collect();
            clean.push(parts.join("/"));
        }
        clean.sort();
        clean.dedup();
        Ok(Self { dirs: clean })
    }

    pub(super) fn is_all(&self) -> bool {
        self.dirs.is_empty()
    }

    /// Whether a file belongs to the checkout, as git's cone mode has it.
    pub(super) fn has(&self, file: &[u8]) -> bool {
        let Some(end) = file.iter().rposition(|&byte| byte == b'/') else { return true };
        let parent = file.get(..end).unwrap_or_default();
        self.is_all()
            || self
                .dirs
                .iter()
                .map(String::as_bytes)
                .any(|dir| dir == parent || is_below(parent, dir) || is_below(dir, parent))
    }

    /// Refuses what is a file in the commit that the worktree starts from. What is not there yet
    /// may come.
    pub(super) async fn check(&self, repo: &Repo, start: &Sha) -> Result<(), WorkspaceError> {
        if self.is_all() {
            return Ok(());
        }
        let input: String =
            self.dirs.iter().flat_map(|dir| [start.as_str(), ":", dir, "\n"]).collect();
        let args = ["cat-file", "--batch-check=%(objecttype)"];
        let kinds = repo.look().args(args).stdin(input).text().await?;
        let mut told = self.dirs.iter().zip(kinds.lines());
        match told.find(|(_, kind)| *kind == "blob") {
            Some((dir, _)) => Err(WorkspaceError::SparseInvalid {
                directory: dir.clone(),
                because: "is a file, not a directory",
            }),
            None => Ok(()),
        }
    }

    /// Gives a worktree without files its profile. What it checks out from here on follows it.
    pub(super) async fn apply(&self, site: &Site) -> Result<(), WorkspaceError> {
        if self.is_all() {
            return Ok(());
        }
        let input: String = self.dirs.iter().map(|dir| quoted(dir)).collect();
        let set = ["sparse-checkout", "set", "--cone", "--stdin"];
        let git = Git::in_worktree(&site.admin, &site.worktree.path, Pace::Write);
        git.args(set).stdin(input).ok().await.map(drop)
    }
}

/// Whether a path lies below a directory.
fn is_below(path: &[u8], dir: &[u8]) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// A line that git reads back as this very path.
fn quoted(dir: &str) -> String {
    format!("\"{}\"\n", dir.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cone(dirs: &[&str]) -> Result<Cone, String> {
        let dirs: Vec<String> = dirs.iter().map(|&dir| dir.to_owned()).collect();
        Cone::of(&dirs).map_err(|error| error.to_string())
    }

    #[test]
    fn a_directory_is_a_relative_path_inside_the_repository() {
        assert_eq!(cone(&["b/", "a//c", "b"]).unwrap().dirs, ["a/c", "b"]);
        assert!(cone(&[]).unwrap().is_all());
        for bad in ["../x", "a/../../x", "a/..", ".", "./a", "", "a\nb", ".git/x"] {
            let error = cone(&[bad]).unwrap_err();
            assert!(error.starts_with("`sparse` names `"), "{error}");
            assert!(error.ends_with("is no path inside the repository"), "{error}");
        }
        let error = cone(&["/etc"]).unwrap_err();
        assert!(error.contains("`/etc`, which is absolute"), "{error}");
    }

    #[test]
    fn a_cone_has_its_directories_and_the_files_above_them() {
        let cone = cone(&["a/b", "c"]).unwrap();
        for inside in ["top", "a/file", "a/b/file", "a/b/deep/file", "c/file"] {
            assert!(cone.has(inside.as_bytes()), "{inside}");
        }
        for outside in ["a/other/file", "a/bb/file", "d/file", "cc/file"] {
            assert!(!cone.has(outside.as_bytes()), "{outside}");
        }
        assert!(Cone::default().has(b"any/where"));
    }
}
