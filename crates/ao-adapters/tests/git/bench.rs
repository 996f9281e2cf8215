//! Repositories in a temporary directory, and somebody who works in them with plain git.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ao_adapters::cmd::{Cmd, Output};
use ao_adapters::git::{GitConfig, GitWorktree, IgnoredRules};
use ao_core::ids::{HomeId, ProjectId, SessionId};
use ao_core::ports::{BoxFuture, CreateWorkspace, Tasks, Workspace};
use ao_testkit::contract::workspace::WorkspaceHarness;
use ao_testkit::workspace::workspace_request;
use tempfile::TempDir;

/// Tasks that wait until somebody runs them.
#[derive(Default)]
pub(crate) struct LaterTasks {
    tasks: Mutex<Vec<BoxFuture<'static, ()>>>,
}

impl LaterTasks {
    /// Runs everything that was spawned.
    pub(crate) async fn run(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
        for task in tasks {
            task.await;
        }
    }
}

impl Tasks for LaterTasks {
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        self.tasks.lock().unwrap().push(task);
    }
}

pub(crate) struct Bench {
    pub(crate) git: Arc<GitWorktree>,
    pub(crate) tasks: Arc<LaterTasks>,
    root: PathBuf,
    n: AtomicU32,
    _dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with_disposable(&[])
    }

    pub(crate) fn with_disposable(disposable: &[&str]) -> Self {
        let disposable = disposable.iter().map(|&it| it.to_owned()).collect();
        Self::with_ignored(IgnoredRules { disposable, kept: Vec::new() }, BTreeMap::new())
    }

    pub(crate) fn with_ignored(
        ignored: IgnoredRules,
        ignored_by_project: BTreeMap<ProjectId, IgnoredRules>,
    ) -> Self {
        Self::with(ignored, ignored_by_project, &[])
    }

    pub(crate) fn with_sparse(dirs: &[&str]) -> Self {
        Self::with(IgnoredRules::default(), BTreeMap::new(), dirs)
    }

    fn with(
        ignored: IgnoredRules,
        ignored_by_project: BTreeMap<ProjectId, IgnoredRules>,
        sparse: &[&str],
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let tasks = Arc::new(LaterTasks::default());
        let config = GitConfig {
            home: HomeId::parse("here").unwrap(),
            trash: root.join("trash"),
            ignored,
            ignored_by_project,
            sparse: sparse.iter().map(|&it| it.to_owned()).collect(),
            sparse_by_project: BTreeMap::new(),
            fetch_timeout: Duration::from_secs(10),
        };
        let git = Arc::new(GitWorktree::new(config, Arc::clone(&tasks) as Arc<dyn Tasks>));
        Self { git, tasks, root, n: AtomicU32::new(0), _dir: dir }
    }

    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        let n = self.n.fetch_add(1, Ordering::Relaxed);
        self.root.join(format!("{name}-{n}"))
    }

    pub(crate) fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// A repository with a commit, and a request for a session's worktree in it.
    pub(crate) async fn request(&self) -> CreateWorkspace {
        let repo = self.repo().await;
        self.request_in(&repo, "app-1")
    }

    pub(crate) fn request_in(&self, repo: &Path, session: &str) -> CreateWorkspace {
        let id = SessionId::parse(session).unwrap();
        workspace_request(repo, &id, self.dir("worktree"), &format!("ao/{session}"))
    }

    /// The same, made.
    pub(crate) async fn made(&self) -> CreateWorkspace {
        let request = self.request().await;
        self.git.create(&request).await.unwrap();
        request
    }
}

/// Runs plain git, as a person would.
pub(crate) async fn git(dir: &Path, args: &[&str]) -> Output {
    let name = ["-c", "user.name=dev", "-c", "user.email=dev@localhost"];
    let quiet = ["-c", "commit.gpgSign=false", "-c", "protocol.file.allow=always"];
    Cmd::new("git").arg("-C").arg(dir).args(name).args(quiet).args(args).run().await.unwrap()
}

/// Runs plain git, which has to succeed, and says what it said.
#[track_caller]
pub(crate) fn git_ok<'a>(dir: &'a Path, args: &'a [&'a str]) -> BoxFuture<'a, String> {
    let at = std::panic::Location::caller();
    Box::pin(async move {
        let output = git(dir, args).await;
        assert!(output.status.success(), "{at}: git {args:?}: {}", output.stderr_text());
        output.stdout_text().trim().to_owned()
    })
}

/// Every file below a directory with its size, time, mode and a hash of its bytes: what must survive.
pub(crate) fn fingerprint(dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let name = path.strip_prefix(dir).unwrap().display().to_string();
            let content = if metadata.is_dir() {
                dirs.push(path);
                String::new()
            } else if metadata.is_symlink() {
                std::fs::read_link(&path).unwrap().display().to_string()
            } else {
                let mut hasher = DefaultHasher::new();
                std::fs::read(&path).unwrap().hash(&mut hasher);
                format!("{:x}", hasher.finish())
            };
            let (mode, time) = (metadata.mode(), (metadata.mtime(), metadata.mtime_nsec()));
            lines.push(format!("{name} {mode:o} {time:?} {content}"));
        }
    }
    lines.sort();
    lines
}

/// The same without times: for what is compared with another copy of itself.
pub(crate) fn contents(dir: &Path) -> Vec<String> {
    let without_time = |line: String| match (line.split_once(" ("), line.rsplit_once(") ")) {
        (Some((before, _)), Some((_, after))) => format!("{before} {after}"),
        _ => line,
    };
    fingerprint(dir).into_iter().map(without_time).collect()
}

/// Fails with the lines that differ, and with no others.
#[track_caller]
pub(crate) fn assert_untouched(before: &[String], after: &[String]) {
    let gone: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(gone.is_empty() && new.is_empty(), "gone: {gone:#?}\nnew: {new:#?}");
}

impl WorkspaceHarness for Bench {
    fn workspace(&self) -> Arc<dyn Workspace> {
        Arc::clone(&self.git) as Arc<dyn Workspace>
    }

    fn repo(&self) -> BoxFuture<'_, PathBuf> {
        Box::pin(async move {
            let dir = self.unborn_repo().await;
            std::fs::write(dir.join("README.md"), "hello\n").unwrap();
            git_ok(&dir, &["add", "."]).await;
            git_ok(&dir, &["commit", "--quiet", "--message", "first"]).await;
            dir
        })
    }

    fn unborn_repo(&self) -> BoxFuture<'_, PathBuf> {
        Box::pin(async move {
            let dir = self.dir("repo");
            std::fs::create_dir(&dir).unwrap();
            git_ok(&dir, &["init", "--quiet", "--initial-branch=main"]).await;
            dir
        })
    }

    fn free_path(&self, _repo: &Path) -> PathBuf {
        self.dir("worktree")
    }

    fn occupy<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, ()> {
        Box::pin(async move { std::fs::create_dir(path).unwrap() })
    }

    fn write<'a>(&'a self, dir: &'a Path, name: &'a str, text: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move { std::fs::write(dir.join(name), text).unwrap() })
    }

    fn read<'a>(&'a self, dir: &'a Path, name: &'a str) -> BoxFuture<'a, Option<String>> {
        Box::pin(async move { std::fs::read_to_string(dir.join(name)).ok() })
    }

    fn commit<'a>(&'a self, dir: &'a Path) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            git_ok(dir, &["add", "--all"]).await;
            git_ok(dir, &["commit", "--quiet", "--message", "work"]).await;
        })
    }

    fn detach<'a>(&'a self, dir: &'a Path) -> BoxFuture<'a, ()> {
        Box::pin(async move { drop(git_ok(dir, &["checkout", "--quiet", "--detach"]).await) })
    }

    fn lock<'a>(&'a self, dir: &'a Path, reason: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            git_ok(dir, &["worktree", "lock", "--reason", reason, "."]).await;
        })
    }

    fn begin_merge<'a>(&'a self, dir: &'a Path) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            git_ok(dir, &["branch", "side"]).await;
            git_ok(dir, &["commit", "--quiet", "--allow-empty", "--message", "ours"]).await;
            git_ok(dir, &["checkout", "--quiet", "side"]).await;
            git_ok(dir, &["commit", "--quiet", "--allow-empty", "--message", "theirs"]).await;
            git_ok(dir, &["checkout", "--quiet", "-"]).await;
            git_ok(dir, &["merge", "--quiet", "--no-commit", "--no-ff", "side"]).await;
        })
    }

    fn remove_dir<'a>(&'a self, dir: &'a Path) -> BoxFuture<'a, ()> {
        Box::pin(async move { std::fs::remove_dir_all(dir).unwrap() })
    }

    fn add_branch<'a>(&'a self, repo: &'a Path, branch: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move { drop(git_ok(repo, &["branch", branch, "main"]).await) })
    }

    fn fast_forward_main<'a>(&'a self, repo: &'a Path, branch: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            drop(git_ok(repo, &["merge", "--quiet", "--ff-only", branch]).await);
        })
    }

    fn squash_into_main<'a>(&'a self, repo: &'a Path, branch: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            git_ok(repo, &["merge", "--quiet", "--squash", branch]).await;
            git_ok(repo, &["commit", "--quiet", "--message", "squashed"]).await;
        })
    }

    fn branches<'a>(&'a self, repo: &'a Path) -> BoxFuture<'a, Vec<String>> {
        Box::pin(async move {
            let args = ["for-each-ref", "--format=%(refname:short)", "refs/heads/"];
            git_ok(repo, &args).await.lines().map(str::to_owned).collect()
        })
    }
}
