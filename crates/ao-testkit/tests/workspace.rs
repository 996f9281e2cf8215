//! The fake workspace keeps the promises of the port.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ao_core::ids::SessionId;
use ao_core::ports::{BoxFuture, Workspace, WorkspaceError};
use ao_testkit::contract::workspace::{WorkspaceHarness, workspace_contract};
use ao_testkit::workspace::{FakeWorkspace, WorkspaceOp, workspace_request};
use futures_util::FutureExt as _;

#[derive(Default)]
struct Harness {
    fake: Arc<FakeWorkspace>,
    n: AtomicU32,
}

impl Harness {
    fn next(&self) -> u32 {
        self.n.fetch_add(1, Ordering::Relaxed)
    }
}

fn done<T: Send + 'static>(value: T) -> BoxFuture<'static, T> {
    Box::pin(async move { value })
}

#[track_caller]
fn done_if(is_done: bool) -> BoxFuture<'static, ()> {
    assert!(is_done, "there is no such thing in the fake");
    done(())
}

impl WorkspaceHarness for Harness {
    fn workspace(&self) -> Arc<dyn Workspace> {
        Arc::clone(&self.fake) as Arc<dyn Workspace>
    }

    fn repo(&self) -> BoxFuture<'_, PathBuf> {
        let path = PathBuf::from(format!("/repo-{}", self.next()));
        self.fake.add_repo(&path);
        done(path)
    }

    fn unborn_repo(&self) -> BoxFuture<'_, PathBuf> {
        let path = PathBuf::from(format!("/unborn-{}", self.next()));
        self.fake.add_unborn_repo(&path);
        done(path)
    }

    fn free_path(&self, _repo: &Path) -> PathBuf {
        PathBuf::from(format!("/worktrees/{}", self.next()))
    }

    fn occupy<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, ()> {
        self.fake.occupy(path);
        done(())
    }

    fn write<'a>(&'a self, dir: &'a Path, name: &'a str, text: &'a str) -> BoxFuture<'a, ()> {
        done_if(self.fake.write(dir, name, text))
    }

    fn read<'a>(&'a self, dir: &'a Path, name: &'a str) -> BoxFuture<'a, Option<String>> {
        done(self.fake.read(dir, name))
    }

    fn commit<'a>(&'a self, dir: &'a Path) -> BoxFuture<'a, ()> {
        done_if(self.fake.commit(dir))
    }

    fn detach<'a>(&'a self, dir: &'a Path) -> BoxFuture<'a, ()> {
        done_if(self.fake.detach(dir))
    }

    fn lock<'a>(&'a self, dir: &'a Path, reason: &'a str) -> BoxFuture<'a, ()> {
        done_if(self.fake.lock(dir, reason))
    }

    fn begin_merge<'a>(&'a self, dir: &'a Path) -> BoxFuture<'a, ()> {
        done_if(self.fake.set_operation(dir, Some("merge")))
    }

    fn remove_dir<'a>(&'a self, dir: &'a Path) -> BoxFuture<'a, ()> {
        done_if(self.fake.remove_dir(dir))
    }

    fn add_branch<'a>(&'a self, repo: &'a Path, branch: &'a str) -> BoxFuture<'a, ()> {
        done_if(self.fake.add_branch(repo, branch))
    }

    fn fast_forward_main<'a>(&'a self, repo: &'a Path, branch: &'a str) -> BoxFuture<'a, ()> {
        done_if(self.fake.fast_forward_main(repo, branch))
    }

    fn squash_into_main<'a>(&'a self, repo: &'a Path, branch: &'a str) -> BoxFuture<'a, ()> {
        done_if(self.fake.squash_into_main(repo, branch))
    }

    fn branches<'a>(&'a self, repo: &'a Path) -> BoxFuture<'a, Vec<String>> {
        done(self.fake.branches(repo))
    }
}

#[test]
fn the_fake_keeps_the_workspace_contract() {
    let harness = Harness::default();
    workspace_contract(&harness).now_or_never().unwrap();
}

#[test]
fn a_scheduled_fault_is_met_once_and_changes_nothing() {
    let fake = FakeWorkspace::new();
    fake.add_repo("/repo");
    let session = SessionId::parse("app-1").unwrap();
    let request = workspace_request("/repo", &session, "/worktree", "ao/app-1");
    let error = WorkspaceError::Git { message: "disk full".to_owned() };
    fake.fail_next(WorkspaceOp::Create, error.clone());
    assert_eq!(fake.create(&request).now_or_never().unwrap(), Err(error));
    assert_eq!(fake.branches(Path::new("/repo")), ["main"]);
    assert!(fake.create(&request).now_or_never().unwrap().is_ok());
}
