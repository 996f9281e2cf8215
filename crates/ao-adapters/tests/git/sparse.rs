//! Worktrees that hold only some directories: what is absent is neither deleted nor a change.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ao_core::ports::{
    Appraisal, CreateWorkspace, Removal, RemovalMode, Workspace as _, WorkspaceError,
};
use ao_testkit::contract::workspace::WorkspaceHarness as _;

use super::bench::{Bench, assert_untouched, contents, git_ok};

/// Every file of the repository.
const FILES: [&str; 8] =
    ["top.txt", "a/one", "a/deep/two", "a/deep/too", "b/three", "b/four", "c/beside", "c/d/five"];

/// Those that a worktree of `a` and `c/d` has.
const INSIDE: [&str; 6] = ["top.txt", "a/one", "a/deep/two", "a/deep/too", "c/beside", "c/d/five"];

/// A repository with these files, and a request for a worktree in it.
async fn request(bench: &Bench, files: &[&str]) -> CreateWorkspace {
    let repo = bench.repo().await;
    for file in files {
        let path = repo.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("{file}\n")).unwrap();
    }
    git_ok(&repo, &["add", "."]).await;
    git_ok(&repo, &["commit", "--quiet", "--message", "files"]).await;
    bench.request_in(&repo, "app-1")
}

async fn made(bench: &Bench) -> CreateWorkspace {
    let request = request(bench, &FILES).await;
    bench.git.create(&request).await.unwrap();
    request
}

#[track_caller]
fn assert_has_only(path: &Path, there: &[&str], all: &[&str]) {
    for file in all {
        assert_eq!(path.join(file).exists(), there.contains(file), "{file}");
    }
}

/// The files of a worktree with mode and bytes, without times and without git's link.
fn files(worktree: &Path) -> Vec<String> {
    contents(worktree).into_iter().filter(|it| !it.starts_with(".git ")).collect()
}

async fn status(path: &Path) -> String {
    git_ok(path, &["status", "--porcelain=v2", "--untracked-files=all"]).await
}

/// Lets everything that git may run by itself leave a trace.
async fn set_traps(repo: &Path) -> PathBuf {
    let trace = repo.parent().unwrap().join("trace");
    let script = format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\n", trace.display());
    let hooks = repo.join(".git/hooks");
    std::fs::create_dir_all(&hooks).unwrap();
    for hook in ["post-checkout", "post-index-change", "reference-transaction", "fsmonitor"] {
        let path = hooks.join(hook);
        std::fs::write(&path, &script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let fsmonitor = hooks.join("fsmonitor");
    git_ok(repo, &["config", "core.fsmonitor", fsmonitor.to_str().unwrap()]).await;
    drop(std::fs::remove_file(&trace));
    trace
}

#[tokio::test]
async fn a_sparse_worktree_holds_its_directories_and_lacks_nothing() {
    let bench = Bench::with_sparse(&["a/", "c/d"]);
    let request = request(&bench, &FILES).await;
    let trace = set_traps(&request.repo).await;
    bench.git.create(&request).await.unwrap();
    assert_has_only(&request.path, &INSIDE, &FILES);
    let look = bench.git.inspect(&request).await.unwrap();
    assert_eq!((look.dirty_paths, look.diff.n_files), (Vec::new(), 0));
    assert_eq!(bench.git.diff(&request).await.unwrap(), "");
    assert!(!trace.exists(), "{}", std::fs::read_to_string(&trace).unwrap());
    git_ok(&request.repo, &["config", "--unset", "core.fsmonitor"]).await;
    assert_eq!(status(&request.path).await, "");

    // The main worktree, and one that somebody else makes, are whole.
    assert_has_only(&request.repo, &FILES, &FILES);
    assert_eq!(status(&request.repo).await, "");
    let theirs = bench.free_path(&request.repo);
    git_ok(&request.repo, &["worktree", "add", "-q", "-b", "theirs", theirs.to_str().unwrap()])
        .await;
    assert_has_only(&theirs, &FILES, &FILES);

    // Its agent works with it as with any sparse checkout.
    git_ok(&request.path, &["sparse-checkout", "add", "b"]).await;
    assert_has_only(&request.path, &FILES, &FILES);
}

#[tokio::test]
async fn a_clean_sparse_worktree_is_removed_and_comes_back_sparse() {
    let bench = Bench::with_sparse(&["a", "c/d"]);
    let request = made(&bench).await;
    bench.write(&request.path, "a/one", "changed\n").await;
    git_ok(&request.path, &["commit", "--quiet", "--all", "--message", "work"]).await;
    // Nothing but the change is in the commit: what is absent was not deleted by it.
    let names = git_ok(&request.path, &["diff", "--name-only", "HEAD~", "HEAD"]).await;
    assert_eq!(names, "a/one");
    let careful = RemovalMode::Careful;
    let told = bench.git.appraise(&request, careful).await.unwrap();
    assert!(matches!(told, Appraisal::Goes { .. }), "{told:?}");
    let removal = bench.git.destroy(&request, careful).await.unwrap();
    let expected = Removal::Removed { is_branch_deleted: false, preserved: None };
    assert_eq!(removal, expected);
    bench.tasks.run().await;
    assert!(!request.path.exists());

    bench.git.restore(&request).await.unwrap();
    assert_has_only(&request.path, &INSIDE, &FILES);
    assert_eq!(status(&request.path).await, "");
    let text = std::fs::read_to_string(request.path.join("a/one")).unwrap();
    assert_eq!(text, "changed\n");
}

#[tokio::test]
async fn work_inside_and_outside_of_the_cone_is_seen_kept_and_recovered() {
    let bench = Bench::with_sparse(&["a", "c/d"]);
    let request = made(&bench).await;
    let path = &request.path;
    bench.write(path, "a/one", "changed\n").await;
    std::fs::remove_file(path.join("a/deep/two")).unwrap();
    bench.write(path, "c/d/five", "staged\n").await;
    git_ok(path, &["add", "c/d/five"]).await;
    // Outside: a new file, and one of the repository's with another text.
    std::fs::create_dir(path.join("b")).unwrap();
    bench.write(path, "b/new", "new\n").await;
    bench.write(path, "b/three", "mine\n").await;
    let mut dirty = bench.git.inspect(&request).await.unwrap().dirty_paths;
    dirty.sort();
    assert_eq!(dirty, ["a/deep/two", "a/one", "b/new", "b/three", "c/d/five"]);
    let kept = bench.git.destroy(&request, RemovalMode::Careful).await.unwrap();
    assert!(matches!(kept, Removal::Kept { .. }), "{kept:?}");
    let (before, seen) = (files(path), status(path).await);

    let removal = bench.git.destroy(&request, RemovalMode::Discard).await.unwrap();
    let Removal::Removed { preserved: Some(name), .. } = removal else { panic!("{removal:?}") };
    bench.tasks.run().await;
    // What was absent is in the preserved tree: nobody deleted it.
    let tree = git_ok(&request.repo, &["ls-tree", "-r", "--name-only", name.as_str()]).await;
    assert!(tree.lines().any(|it| it == "b/four"), "{tree}");
    assert!(!tree.lines().any(|it| it == "a/deep/two"), "{tree}");

    bench.git.recover(&request).await.unwrap().unwrap();
    assert_untouched(&before, &files(path));
    assert_eq!(status(path).await, seen);
    assert!(!path.join("b/four").exists(), "it is as sparse as it was");
}

#[tokio::test]
async fn what_cannot_be_a_directory_is_one_sentence_and_leaves_nothing() {
    for (bad, because) in [
        ("/etc", "is absolute, not relative to the top of the repository"),
        ("a/../../x", "is no path inside the repository"),
        (".git", "is no path inside the repository"),
        ("a/one", "is a file, not a directory"),
    ] {
        let bench = Bench::with_sparse(&["c", bad]);
        let request = request(&bench, &FILES).await;
        let expected = WorkspaceError::SparseInvalid { directory: bad.to_owned(), because };
        assert_eq!(bench.git.preflight(&request).await.unwrap_err(), expected);
        assert_eq!(bench.git.create(&request).await.unwrap_err(), expected);
        assert_eq!(expected.to_string(), format!("`sparse` names `{bad}`, which {because}"));
        assert!(!request.path.exists());
        assert_eq!(bench.git.list(&request.repo).await.unwrap().len(), 1);
        assert_eq!(git_ok(&request.repo, &["branch", "--list", "ao/*"]).await, "");
    }
}

#[tokio::test]
async fn a_directory_that_is_not_there_yet_may_come_and_names_may_hold_anything() {
    let odd = ["we \"ird\"", "*", "[x]", "#hash", "!not", "-dash", "back\\slash", "ü", "a b/c?"];
    let bench = Bench::with_sparse(&[&odd[..], &["to/come"]].concat());
    let inside: Vec<String> = odd.iter().map(|dir| format!("{dir}/deep/file")).collect();
    let inside: Vec<&str> = inside.iter().map(String::as_str).collect();
    let all: Vec<&str> =
        inside.iter().copied().chain(["other/file", "x/file", "a b/d/e"]).collect();
    let request = request(&bench, &all).await;
    bench.git.create(&request).await.unwrap();
    assert_has_only(&request.path, &inside, &all);
    let look = bench.git.inspect(&request).await.unwrap();
    assert_eq!(look.dirty_paths, Vec::<String>::new());
}
