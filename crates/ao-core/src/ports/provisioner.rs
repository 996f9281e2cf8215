//! What a new worktree is given before its agent starts: links, copies, commands.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::{BoxFuture, Ensured, ErrorKind};
use crate::ids::SessionId;

/// What the worktrees of a project are given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provisions {
    /// Paths that become links to those of the main worktree, relative to its top.
    pub link: Vec<String>,
    /// Paths that are copied from the main worktree, relative to its top.
    pub copy: Vec<String>,
    /// Command lines for a shell, run one after the other in the worktree.
    pub post_create: Vec<String>,
}

impl Provisions {
    /// Whether there is nothing to give.
    pub const fn is_empty(&self) -> bool {
        self.link.is_empty() && self.copy.is_empty() && self.post_create.is_empty()
    }

    /// What keeps links and copies out of `git status`, in the language of `.gitignore`: anchored,
    /// and without a slash at the end, because a link is no directory.
    pub fn patterns(&self) -> Vec<String> {
        self.link.iter().chain(&self.copy).map(|path| pattern_of(path)).collect()
    }
}

/// Whether a path stays inside a worktree and outside of what is git's.
pub fn is_inside(path: &str) -> bool {
    let mut components = Path::new(path).components().peekable();
    let is_git = components.peek() == Some(&Component::Normal(".git".as_ref()));
    let is_plain = components.all(|it| matches!(it, Component::Normal(_)));
    !path.is_empty() && is_plain && !is_git && !path.contains(['\n', '\r', '\0'])
}

fn pattern_of(path: &str) -> String {
    let mut pattern = String::from("/");
    for c in path.trim_end_matches('/').chars() {
        if matches!(c, '*' | '?' | '[' | '\\') || c == ' ' {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// A worktree to prepare.
#[derive(Clone, PartialEq, Eq)]
pub struct ProvisionRequest {
    /// The session.
    pub session: SessionId,
    /// Top of the project's main worktree.
    pub repo: PathBuf,
    /// Top of the session's worktree.
    pub path: PathBuf,
    /// What it is given.
    pub provisions: Provisions,
    /// The whole environment of the commands.
    pub env: BTreeMap<String, String>,
}

/// Environments hold secrets: they are counted, not shown.
impl std::fmt::Debug for ProvisionRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProvisionRequest")
            .field("session", &self.session)
            .field("path", &self.path)
            .field("provisions", &self.provisions)
            .field("n_env", &self.env.len())
            .finish_non_exhaustive()
    }
}

/// Why a worktree could not be prepared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProvisionError {
    /// A link or a copy could not be made.
    #[error("`{path}`: {message}")]
    Path {
        /// Of what.
        path: PathBuf,
        /// What went wrong.
        message: String,
    },
    /// A command failed, or took too long.
    #[error("`{command}` {how}{}", if last.is_empty() { String::new() } else { format!("; it said last: {last}") })]
    Command {
        /// Its command line.
        command: String,
        /// How it ended: `ended with status 1`.
        how: String,
        /// The last that it said, on one line, at most 500 characters.
        last: String,
    },
    /// What was printed cannot be kept or read.
    #[error("the output of the commands cannot be kept or read: {message}")]
    Log {
        /// What went wrong.
        message: String,
    },
}

impl ProvisionError {
    /// The stable code of the failure.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Path { .. } => "PROVISION_FAILED",
            Self::Command { .. } => "POST_CREATE_FAILED",
            Self::Log { .. } => "HOME_UNWRITABLE",
        }
    }

    /// What this error asks of its reader.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Path { .. } | Self::Command { .. } => ErrorKind::User,
            Self::Log { .. } => ErrorKind::Unavailable,
        }
    }
}

/// Prepares worktrees.
pub trait Provisioner: Send + Sync {
    /// Makes the links and copies that are not there yet. `AlreadyThere` for a worktree that was
    /// prepared to its end, commands included: nothing of it is repeated.
    ///
    /// *Guarantees*: what stands in the worktree is not replaced, nothing is written outside of it,
    /// and what the main worktree lacks is left out. An interrupted call can be repeated.
    fn place<'a>(
        &'a self,
        request: &'a ProvisionRequest,
    ) -> BoxFuture<'a, Result<Ensured, ProvisionError>>;

    /// Runs the commands, one after the other, and writes down that the worktree is prepared.
    ///
    /// *Guarantees*: a command gets a bounded time; what it prints is kept up to a bound. Giving the
    /// future up ends the command that runs.
    fn run<'a>(
        &'a self,
        request: &'a ProvisionRequest,
    ) -> BoxFuture<'a, Result<(), ProvisionError>>;

    /// What was done and printed for a session; empty when nothing was.
    fn log<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, Result<String, ProvisionError>>;

    /// Removes what was kept of a session.
    fn forget<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, Result<(), ProvisionError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_nothing_to_give_without_links_copies_and_commands() {
        let check = |link: &[&str], copy: &[&str], post_create: &[&str], expect: bool| {
            let [link, copy, post_create] = [link, copy, post_create]
                .map(|words| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
            let provisions = Provisions { link, copy, post_create };
            assert_eq!(provisions.is_empty(), expect, "{provisions:?}");
        };
        check(&[], &[], &[], true);
        check(&["a"], &[], &[], false);
        check(&[], &["a"], &[], false);
        check(&[], &[], &["make"], false);
    }

    #[test]
    fn the_environment_of_the_commands_is_not_shown() {
        let request = ProvisionRequest {
            session: SessionId::parse("app-1").unwrap(),
            repo: PathBuf::from("/repo"),
            path: PathBuf::from("/worktree"),
            provisions: Provisions::default(),
            env: BTreeMap::from([("TOKEN".to_owned(), "hush".to_owned())]),
        };
        let shown = format!("{request:?}");
        assert!(shown.contains("/worktree") && shown.contains("n_env: 1"), "{shown}");
        assert!(!shown.contains("TOKEN") && !shown.contains("hush"), "{shown}");
    }

    #[test]
    fn a_path_stays_inside_the_worktree() {
        for path in ["node_modules", "a/b/.env", ".env", ".github"] {
            assert!(is_inside(path), "{path}");
        }
        for path in ["", "/etc", "../x", "a/../../x", ".git", ".git/config", "./a", "a\nb"] {
            assert!(!is_inside(path), "{path}");
        }
    }

    #[test]
    fn a_pattern_means_this_very_path_as_a_file_a_link_and_a_directory() {
        let provisions = Provisions {
            link: vec!["node_modules/".to_owned()],
            copy: vec!["a b/[x]*.env".to_owned()],
            post_create: Vec::new(),
        };
        assert_eq!(provisions.patterns(), ["/node_modules", r"/a\ b/\[x]\*.env"]);
    }

    #[test]
    fn a_failed_command_says_how_and_what_it_said_last() {
        let failed = |last: &str| ProvisionError::Command {
            command: "npm ci".to_owned(),
            how: "ended with status 1".to_owned(),
            last: last.to_owned(),
        };
        assert_eq!(failed("").to_string(), "`npm ci` ended with status 1");
        let told = "`npm ci` ended with status 1; it said last: no lockfile";
        assert_eq!(failed("no lockfile").to_string(), told);
        assert_eq!(failed("").code(), "POST_CREATE_FAILED");
    }
}
