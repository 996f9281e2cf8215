//! How git is called: a fixed prefix and a scrubbed environment, so that nothing in a repository
//! runs because we looked at it, nothing asks anybody anything, and nothing takes for ever.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ao_core::ports::WorkspaceError;

use crate::cmd::{Cmd, CmdError, Output};

/// Settings that every call gets. Filters are blanked apart, because they have to be named.
const SETTINGS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "core.askPass=",
    "credential.interactive=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "log.showSignature=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "color.ui=false",
    "advice.addEmbeddedRepo=false",
];

/// Variables that would turn a call to another repository, index or configuration, or make it
/// talk or trace.
const SCRUBBED: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INDEX_VERSION",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_QUARANTINE_PATH",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_ATTR_SOURCE",
    "GIT_DEFAULT_HASH",
    "GIT_CEILING_DIRECTORIES",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS",
    "GIT_PAGER",
    "GIT_EDITOR",
    "GIT_SEQUENCE_EDITOR",
    "GIT_TRACE",
    "GIT_TRACE2",
    "GIT_TRACE2_EVENT",
    "GIT_TRACE2_PERF",
    "GIT_TRACE_SETUP",
    "GIT_TRACE_PACKET",
    "GIT_CURL_VERBOSE",
];

/// Output that a call may write: what `ls-files` says about a million files.
const OUTPUT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Longest complaint of git that is passed on.
const MESSAGE_CHARS_MAX: usize = 500;

/// How long a call may take, by what it does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    /// Reads. Ten times what a status of 50,000 cold files took.
    Look,
    /// Writes refs or a registration; also waits for locks of the user's own git.
    Write,
    /// Writes or moves a working tree: a client's limit of two minutes left half-made worktrees in
    /// the field, so this one is far beyond any repository that was seen.
    Bulk,
    /// Talks to a remote; whoever waits for a session waits for this.
    Remote(Duration),
}

impl Pace {
    const fn timeout(self) -> Duration {
        match self {
            Self::Look => Duration::from_secs(30),
            Self::Write => Duration::from_mins(1),
            Self::Bulk => Duration::from_mins(20),
            Self::Remote(timeout) => timeout,
        }
    }
}

/// One call of git.
#[derive(Debug)]
pub(super) struct Git {
    cmd: Cmd,
    what: String,
}

impl Git {
    /// A call in a directory of a repository.
    pub(super) fn at(dir: &Path, pace: Pace) -> Self {
        Self::with_prefix(&[OsStr::new("-C"), dir.as_os_str()], pace)
    }

    /// A call in a linked worktree, without any search for its repository: where the link in the
    /// worktree is broken, a search would find the repository around it.
    pub(super) fn in_worktree(admin: &Path, worktree: &Path, pace: Pace) -> Self {
        let mut git_dir = OsString::from("--git-dir=");
        git_dir.push(admin);
        let mut work_tree = OsString::from("--work-tree=");
        work_tree.push(worktree);
        Self::with_prefix(&[OsStr::new("-C"), worktree.as_os_str(), &git_dir, &work_tree], pace)
    }

    /// A call that needs only what git keeps about a worktree, not the worktree.
    pub(super) fn in_admin(admin: &Path, pace: Pace) -> Self {
        let mut git_dir = OsString::from("--git-dir=");
        git_dir.push(admin);
        // Without a working tree of its own the call must not take the current directory for one.
        Self::with_prefix(&[OsStr::new("-C"), admin.as_os_str(), &git_dir], pace)
    }

    fn with_prefix(place: &[&OsStr], pace: Pace) -> Self {
        // Started from the root, because a program started in a directory that vanished looks like
        // a program that is not installed.
        let mut cmd = Cmd::new("git").dir("/").timeout(pace.timeout());
        for name in SCRUBBED {
            cmd = cmd.env_remove(name);
        }
        cmd = cmd
            .output_bytes_max(OUTPUT_BYTES_MAX)
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "")
            .env("SSH_ASKPASS", "false")
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("GIT_AUTHOR_NAME", "ao")
            .env("GIT_AUTHOR_EMAIL", "ao@localhost")
            .env("GIT_COMMITTER_NAME", "ao")
            .env("GIT_COMMITTER_EMAIL", "ao@localhost")
            .args(place)
            .args(["--no-pager", "--literal-pathspecs"]);
        if matches!(pace, Pace::Look) {
            cmd = cmd.arg("--no-optional-locks");
        }
        for setting in SETTINGS {
            cmd = cmd.arg("-c").arg(setting);
        }
        Self { cmd, what: String::new() }
    }

    /// Adds arguments; the first ones name the call in errors.
    #[must_use]
    pub(super) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        for arg in args {
            if self.what.is_empty() {
                self.what = format!("git {}", arg.as_ref().to_string_lossy());
            }
            self.cmd = self.cmd.arg(arg);
        }
        self
    }

    /// Feeds it these bytes.
    #[must_use]
    pub(super) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.cmd = self.cmd.stdin(bytes);
        self
    }

    /// Works on another index than the worktree's own.
    #[must_use]
    pub(super) fn index(mut self, path: &Path) -> Self {
        self.cmd = self.cmd.env("GIT_INDEX_FILE", path);
        self
    }

    /// Writes objects to another directory than the repository's, whose objects it still reads.
    #[must_use]
    pub(super) fn objects(mut self, dir: &Path, also: &Path) -> Self {
        // Git separates paths in a list by colons, and reads a quoted one as a C string.
        let mut quoted = b"\"".to_vec();
        for &byte in also.as_os_str().as_bytes() {
            if matches!(byte, b'"' | b'\\') {
                quoted.push(b'\\');
            }
            quoted.push(byte);
        }
        quoted.push(b'"');
        self.cmd = self.cmd.env("GIT_OBJECT_DIRECTORY", dir);
        self.cmd = self.cmd.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", OsString::from_vec(quoted));
        self
    }

    /// Runs none of these filters: files are compared and kept as they are.
    #[must_use]
    pub(super) fn without(self, filters: &Filters) -> Self {
        let settings = filters.drivers.iter().flat_map(|driver| {
            let values = [("clean", ""), ("smudge", ""), ("process", ""), ("required", "false")];
            values.map(|(key, value)| {
                let mut name = OsString::from("filter.");
                name.push(driver);
                name.push(".");
                name.push(key);
                (name, value)
            })
        });
        self.settings(settings)
    }

    /// Replaces settings whose names may hold anything.
    #[must_use]
    pub(super) fn settings<'v>(
        mut self,
        settings: impl IntoIterator<Item = (OsString, &'v str)>,
    ) -> Self {
        let mut n = 0_usize;
        for (name, value) in settings {
            self.cmd = self
                .cmd
                .env(format!("GIT_CONFIG_KEY_{n}"), name)
                .env(format!("GIT_CONFIG_VALUE_{n}"), value);
            n += 1;
        }
        self.cmd = self.cmd.env("GIT_CONFIG_COUNT", n.to_string());
        self
    }

    /// Runs it; any exit status is an answer.
    pub(super) async fn run(self) -> Result<Output, WorkspaceError> {
        let output = self.cmd.run().await.map_err(|error| match error {
            CmdError::Missing { .. } => WorkspaceError::GitMissing,
            CmdError::Io { .. } | CmdError::TimedOut { .. } => {
                WorkspaceError::Git { message: format!("`{}`: {error}", self.what) }
            }
        })?;
        if output.stdout.len() >= OUTPUT_BYTES_MAX {
            return Err(WorkspaceError::Git {
                message: format!("`{}` wrote more than can be read", self.what),
            });
        }
        Ok(output)
    }

    /// Runs it; only success is an answer.
    pub(super) async fn ok(self) -> Result<Vec<u8>, WorkspaceError> {
        let what = self.what.clone();
        let output = self.run().await?;
        if output.status.success() { Ok(output.stdout) } else { Err(failure(&what, &output)) }
    }

    /// Runs it and reads what it says as text, without its last line end.
    pub(super) async fn text(self) -> Result<String, WorkspaceError> {
        let mut bytes = self.ok().await?;
        while bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Runs a question whose answer is its exit status: 0 or 1.
    pub(super) async fn answer(self) -> Result<bool, WorkspaceError> {
        let what = self.what.clone();
        let output = self.run().await?;
        match output.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            Some(_) | None => Err(failure(&what, &output)),
        }
    }

    /// Runs a question that answers with one line, or with status 1 when there is no answer.
    pub(super) async fn line(self) -> Result<Option<String>, WorkspaceError> {
        let what = self.what.clone();
        let output = self.run().await?;
        match output.status.code() {
            Some(0) => Ok(Some(output.stdout_text().trim_end_matches('\n').to_owned())),
            Some(1) => Ok(None),
            Some(_) | None => Err(failure(&what, &output)),
        }
    }
}

/// What a failed call says to people.
pub(super) fn failure(what: &str, output: &Output) -> WorkspaceError {
    let said = output.stderr_text();
    let told: String = if said.is_empty() {
        format!("it ended with {}", output.status)
    } else {
        said.lines().collect::<Vec<_>>().join(" ").chars().take(MESSAGE_CHARS_MAX).collect()
    };
    WorkspaceError::Git { message: format!("`{what}`: {told}") }
}

/// The filter drivers that a repository's configuration names.
#[derive(Debug, Clone, Default)]
pub(super) struct Filters {
    drivers: Vec<OsString>,
}

impl Filters {
    /// Reads them; reading configuration runs nothing.
    pub(super) async fn of(git: Git) -> Result<Self, WorkspaceError> {
        let keys = git
            .args(["config", "-z", "--name-only", "--get-regexp", r"^filter\..*\.[a-z]+$"])
            .run()
            .await?;
        let mut drivers: Vec<OsString> = split_z(&keys.stdout)
            .filter_map(|key| {
                let rest = key.strip_prefix(b"filter.")?;
                let end = rest.iter().rposition(|&byte| byte == b'.')?;
                rest.get(..end).map(|driver| OsString::from_vec(driver.to_vec()))
            })
            .collect();
        drivers.sort();
        drivers.dedup();
        Ok(Self { drivers })
    }
}

/// The entries of a list that ends each with a zero byte.
pub(super) fn split_z(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|&byte| byte == 0).filter(|entry| !entry.is_empty())
}

/// A path that git wrote.
pub(super) fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}
