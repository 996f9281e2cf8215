//! What a cleanup takes for merged, and how it tells why it lets a session be.

#![expect(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ao_core::ids::RefName;
use ao_core::ports::{Appraisal, CreateWorkspace, Removal, RemovalMode, Workspace as _};
use ao_testkit::contract::workspace::WorkspaceHarness as _;

use super::bench::{Bench, assert_untouched, contents, fingerprint, git, git_ok};

const PRESERVED: &str = "refs/ao/preserved/app-1";

/// Why its removal would lose nothing.
async fn goes(bench: &Bench, request: &CreateWorkspace) -> String {
    match bench.git.appraise(request, RemovalMode::Merged).await.unwrap() {
        Appraisal::Goes { because } => because,
        other @ (Appraisal::Nothing | Appraisal::Stays { .. }) => {
            panic!("it does not go: {other:?}")
        }
    }
}

/// Why it would stay.
async fn stays(bench: &Bench, request: &CreateWorkspace) -> String {
    match bench.git.appraise(request, RemovalMode::Merged).await.unwrap() {
        Appraisal::Stays { because } => because,
        other @ (Appraisal::Nothing | Appraisal::Goes { .. }) => {
            panic!("it does not stay: {other:?}")
        }
    }
}

/// A session with three commits, the second of which takes back a line of the first.
async fn worked(bench: &Bench) -> CreateWorkspace {
    let mut request = bench.made().await;
    request.base = Some(RefName::new("main"));
    for (name, text) in [("a.txt", "one\ntwo\n"), ("a.txt", "one\n"), ("b.txt", "three\n")] {
        bench.write(&request.path, name, text).await;
        bench.commit(&request.path).await;
    }
    request
}

async fn squash(request: &CreateWorkspace) {
    let branch = request.branch.as_str();
    git_ok(&request.repo, &["merge", "--quiet", "--squash", branch]).await;
    git_ok(&request.repo, &["commit", "--quiet", "--message", "all of it"]).await;
}

#[tokio::test]
async fn a_squash_merge_of_several_commits_is_recognised_and_loses_no_commit() {
    let bench = Bench::new();
    let request = worked(&bench).await;
    let tip = git_ok(&request.path, &["rev-parse", "HEAD"]).await;
    assert!(stays(&bench, &request).await.contains("3 commits that `main` does not have"));
    bench.write(&request.repo, "other.txt", "somebody else\n").await;
    bench.commit(&request.repo).await;
    squash(&request).await;
    bench.write(&request.repo, "later.txt", "later\n").await;
    bench.commit(&request.repo).await;
    let because = goes(&bench, &request).await;
    assert_eq!(because, "everything that it committed is in `main` as one squashed change");
    let removal = bench.git.destroy(&request, RemovalMode::Merged).await.unwrap();
    let preserved = Some(RefName::new(PRESERVED));
    assert_eq!(removal, Removal::Removed { is_branch_deleted: true, preserved });
    assert_eq!(git_ok(&request.repo, &["rev-parse", PRESERVED]).await, tip);
    assert!(!request.path.exists());
}

#[tokio::test]
async fn a_squash_merge_is_recognised_by_its_patch_where_the_base_took_it_back() {
    let bench = Bench::new();
    let request = worked(&bench).await;
    squash(&request).await;
    git_ok(&request.repo, &["revert", "--no-edit", "HEAD"]).await;
    assert!(goes(&bench, &request).await.contains("squashed"));
}

#[tokio::test]
async fn a_squash_merge_is_recognised_by_what_a_merge_would_change() {
    let bench = Bench::new();
    let mut request = bench.made().await;
    request.base = Some(RefName::new("main"));
    // The base has all of it, among changes of somebody else in the same commit.
    bench.write(&request.path, "a.txt", "one\n").await;
    bench.commit(&request.path).await;
    bench.write(&request.path, "b.txt", "two\n").await;
    bench.commit(&request.path).await;
    for (name, text) in [("a.txt", "one\n"), ("b.txt", "two\n"), ("c.txt", "more\n")] {
        bench.write(&request.repo, name, text).await;
    }
    bench.commit(&request.repo).await;
    assert!(goes(&bench, &request).await.contains("squashed"));
}

#[tokio::test]
async fn commits_of_the_same_changes_are_merged_and_those_that_undo_each_other_are_not() {
    let bench = Bench::new();
    let request = worked(&bench).await;
    bench.write(&request.repo, "other.txt", "somebody else\n").await;
    bench.commit(&request.repo).await;
    let range = format!("main..{}", request.branch);
    git_ok(&request.repo, &["cherry-pick", &range]).await;
    assert!(goes(&bench, &request).await.ends_with("as commits of the same changes"));

    let mut undone = bench.made().await;
    undone.base = Some(RefName::new("main"));
    bench.write(&undone.path, "a.txt", "one\n").await;
    bench.commit(&undone.path).await;
    git_ok(&undone.path, &["revert", "--no-edit", "HEAD"]).await;
    assert!(stays(&bench, &undone).await.contains("2 commits"));
}

#[tokio::test]
async fn a_partly_merged_branch_stays() {
    let bench = Bench::new();
    let request = worked(&bench).await;
    let first = format!("{}~2", request.branch);
    bench.write(&request.repo, "other.txt", "somebody else\n").await;
    bench.commit(&request.repo).await;
    git_ok(&request.repo, &["cherry-pick", &first]).await;
    let because = stays(&bench, &request).await;
    assert_eq!(because, "its branch `ao/app-1` has 3 commits that `main` does not have");
    bench.write(&request.path, "more.txt", "more\n").await;
    assert!(stays(&bench, &request).await.contains("`more.txt`"), "the first reason is told");
}

#[tokio::test]
async fn what_is_merged_at_the_remote_alone_is_merged_once_it_was_asked() {
    let bench = Bench::new();
    let origin = bench.repo().await;
    let clone = bench.dir("clone");
    let (from, to) = (origin.display().to_string(), clone.display().to_string());
    git_ok(&origin, &["clone", "--quiet", &from, &to]).await;
    let mut request = bench.request_in(&clone, "app-1");
    request.base = Some(RefName::new("main"));
    bench.git.create(&request).await.unwrap();
    bench.write(&request.path, "a.txt", "one\n").await;
    bench.commit(&request.path).await;
    git_ok(&clone, &["push", "--quiet", "origin", "ao/app-1"]).await;
    git_ok(&origin, &["merge", "--quiet", "--no-ff", "--no-edit", "ao/app-1"]).await;
    assert!(stays(&bench, &request).await.contains("1 commit that"));
    assert_eq!(bench.git.refresh_base(&request).await.unwrap(), None);
    assert_eq!(goes(&bench, &request).await, "everything that it committed is in `main`");

    std::fs::rename(&origin, bench.dir("moved")).unwrap();
    let trouble = bench.git.refresh_base(&request).await.unwrap().unwrap();
    assert!(trouble.contains("remote `origin` could not be asked"), "{trouble}");
}

#[tokio::test]
async fn a_head_that_is_not_on_the_branch_counts_and_is_named() {
    let bench = Bench::new();
    let mut request = bench.made().await;
    request.base = Some(RefName::new("main"));
    git_ok(&request.path, &["checkout", "--quiet", "-b", "mine"]).await;
    bench.write(&request.path, "a.txt", "one\n").await;
    bench.commit(&request.path).await;
    let because = stays(&bench, &request).await;
    assert!(
        because.contains("the branch `mine` that it has checked out has 1 commit"),
        "{because}"
    );
    git_ok(&request.path, &["checkout", "--quiet", "--detach"]).await;
    let because = stays(&bench, &request).await;
    assert!(because.contains("its detached head has 1 commit"), "{because}");
}

#[tokio::test]
async fn an_appraisal_writes_nothing_and_runs_nothing_of_the_repository() {
    let bench = Bench::new();
    let request = worked(&bench).await;
    let ran = bench.dir("ran");
    let script = bench.dir("driver");
    std::fs::write(&script, format!("#!/bin/sh\ntouch {}\n", ran.display())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let driver = script.display().to_string();
    for key in ["merge.theirs.driver", "filter.theirs.clean", "filter.theirs.smudge"] {
        git_ok(&request.repo, &["config", key, &driver]).await;
    }
    let attributes = request.repo.join(".git/info/attributes");
    std::fs::create_dir_all(attributes.parent().unwrap()).unwrap();
    std::fs::write(attributes, "*.txt merge=theirs filter=theirs\n").unwrap();
    // Both sides change the file, so that a merge would ask the driver.
    std::fs::write(request.repo.join("a.txt"), "two\n").unwrap();
    let plain = ["-c", "filter.theirs.clean=", "-c", "filter.theirs.smudge="];
    let commit: Vec<&str> = plain.iter().copied().chain(["add", "a.txt"]).collect();
    git_ok(&request.repo, &commit).await;
    let commit: Vec<&str> = plain.iter().copied().chain(["commit", "-qm", "two"]).collect();
    git_ok(&request.repo, &commit).await;
    assert!(!ran.exists());
    // Git freshens the times of objects that it would have to write.
    let before = [contents(&request.repo), fingerprint(&request.path)];
    assert!(stays(&bench, &request).await.contains("does not have"));
    assert!(!ran.exists(), "a program of the repository ran");
    assert_untouched(&before[0], &contents(&request.repo));
    assert_untouched(&before[1], &fingerprint(&request.path));
    let scratch = bench.trash().join("scratch");
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0, "nothing of the question is left");
}

#[tokio::test]
async fn a_branch_deleted_underneath_and_a_repository_that_moved_are_told() {
    let bench = Bench::new();
    let mut request = worked(&bench).await;
    let tip = git_ok(&request.path, &["rev-parse", "HEAD"]).await;
    git_ok(&request.repo, &["update-ref", "-d", "refs/heads/ao/app-1"]).await;
    // Its head names a branch that is not there: every file looks new.
    assert!(stays(&bench, &request).await.contains("uncommitted changes"));
    let removal = bench.git.destroy(&request, RemovalMode::Merged).await.unwrap();
    assert!(matches!(removal, Removal::Kept { .. }), "{removal:?}");
    assert!(git(&request.repo, &["cat-file", "-e", &tip]).await.status.success());
    assert_eq!(std::fs::read_to_string(request.path.join("b.txt")).unwrap(), "three\n");

    let moved = bench.dir("moved");
    std::fs::rename(&request.repo, &moved).unwrap();
    assert!(stays(&bench, &request).await.contains("cannot be found"));
    request.repo = moved;
    assert!(
        stays(&bench, &request).await.contains("git worktree repair"),
        "its link leads nowhere"
    );
    assert!(Path::new(&request.path).join("b.txt").exists());
}

#[tokio::test]
async fn what_the_default_branch_has_is_merged_whatever_it_was_branched_from() {
    let bench = Bench::new();
    let mut request = bench.request().await;
    git_ok(&request.repo, &["branch", "epic"]).await;
    request.base = Some(RefName::new("epic"));
    bench.git.create(&request).await.unwrap();
    bench.write(&request.path, "a.txt", "one\n").await;
    bench.commit(&request.path).await;
    assert!(stays(&bench, &request).await.contains("1 commit that `epic` does not have"));
    bench.write(&request.repo, "other.txt", "somebody else\n").await;
    bench.commit(&request.repo).await;
    git_ok(&request.repo, &["merge", "--quiet", "--no-edit", request.branch.as_str()]).await;
    assert_eq!(goes(&bench, &request).await, "everything that it committed is in `main`");
    let removal = bench.git.destroy(&request, RemovalMode::Merged).await.unwrap();
    assert_eq!(removal, Removal::Removed { is_branch_deleted: true, preserved: None });
    assert_eq!(bench.branches(&request.repo).await, ["epic", "main"]);
}
