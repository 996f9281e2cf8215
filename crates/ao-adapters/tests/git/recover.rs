//! Getting back what removals set aside, byte for byte, without overwriting anything.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use ao_core::ids::{BranchName, RefName};
use ao_core::ports::{CreateWorkspace, Recovery, Removal, RemovalMode, Workspace as _};
use ao_testkit::contract::workspace::WorkspaceHarness as _;

use super::bench::{Bench, assert_untouched, contents, git, git_ok};

async fn discard(bench: &Bench, request: &CreateWorkspace) {
    let removal = bench.git.destroy(request, RemovalMode::Discard).await.unwrap();
    assert!(matches!(removal, Removal::Removed { .. }), "{removal:?}");
    bench.tasks.run().await;
    assert!(!request.path.exists());
}

async fn recover(bench: &Bench, request: &CreateWorkspace) -> Recovery {
    bench.git.recover(request).await.unwrap().unwrap()
}

/// The files of a worktree with mode and bytes, without times and without git's link.
fn files(worktree: &Path) -> Vec<String> {
    contents(worktree).into_iter().filter(|it| !it.starts_with(".git ")).collect()
}

#[tokio::test]
async fn a_discarded_worktree_comes_back_with_files_index_links_modes_and_ignored_files() {
    let bench = Bench::new();
    let request = bench.made().await;
    let path = &request.path;
    bench.write(path, ".gitignore", ".env\n*.db\n").await;
    for name in ["kept.txt", "gone.txt", "both.txt"] {
        bench.write(path, name, "committed\n").await;
    }
    bench.commit(path).await;
    std::fs::write(path.join("kept.txt"), b"changed\0bytes\r\n").unwrap();
    std::fs::remove_file(path.join("gone.txt")).unwrap();
    bench.write(path, "both.txt", "staged\n").await;
    git_ok(path, &["add", "both.txt"]).await;
    bench.write(path, "both.txt", "newer\n").await;
    std::fs::create_dir(path.join("deep dir")).unwrap();
    bench.write(path, "deep dir/un\ntracked.sh", "#!/bin/sh\n").await;
    let script = path.join("deep dir/un\ntracked.sh");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    symlink("kept.txt", path.join("link")).unwrap();
    symlink("/nowhere/at/all", path.join("dangling")).unwrap();
    bench.write(path, ".env", "SECRET=1\n").await;
    std::fs::create_dir(path.join("data")).unwrap();
    bench.write(path, "data/app.db", "rows\n").await;
    let before = files(path);
    let status = git_ok(path, &["status", "--porcelain=v2", "--branch", "--ignored"]).await;
    let index = git_ok(path, &["ls-files", "--stage"]).await;
    discard(&bench, &request).await;

    let recovered = recover(&bench, &request).await;
    assert_eq!(recovered.worktree.as_ref(), Some(path));
    assert_eq!(recovered.branch.as_ref(), Some(&request.branch));
    assert_untouched(&before, &files(path));
    let branch = ["status", "--porcelain=v2", "--branch", "--ignored"];
    assert_eq!(git_ok(path, &branch).await, status);
    assert_eq!(git_ok(path, &["ls-files", "--stage"]).await, index);
    let told = recovered.restored.join("; ");
    assert!(told.contains("what was staged is staged"), "{told}");
    assert!(told.contains("from the trash: `.env`, `data`"), "{told}");
    assert_eq!(recovered.remaining, [""; 0]);

    let again = recover(&bench, &request).await;
    assert!(again.restored[0].contains("brought back before"), "{again:?}");
    assert_untouched(&before, &files(path));

    // And once more: nothing was lost by the way back.
    discard(&bench, &request).await;
    recover(&bench, &request).await;
    assert_untouched(&before, &files(path));
}

#[tokio::test]
async fn filters_change_nothing_of_what_was_not_committed() {
    let bench = Bench::new();
    let request = bench.request().await;
    let repo = &request.repo;
    git_ok(repo, &["config", "filter.rot.clean", "tr a-y b-z"]).await;
    git_ok(repo, &["config", "filter.rot.smudge", "tr b-z a-y"]).await;
    bench.write(repo, ".gitattributes", "*.rot filter=rot\n").await;
    bench.write(repo, "same.rot", "abc\n").await;
    bench.write(repo, "changed.rot", "abc\n").await;
    bench.commit(repo).await;
    bench.git.create(&request).await.unwrap();
    let path = &request.path;
    assert_eq!(std::fs::read_to_string(path.join("same.rot")).unwrap(), "abc\n");
    bench.write(path, "changed.rot", "xyz\n").await;
    bench.write(path, "new.rot", "xyz\n").await;
    let before = files(path);
    discard(&bench, &request).await;
    recover(&bench, &request).await;
    assert_untouched(&before, &files(path));
}

#[tokio::test]
async fn a_merge_and_a_rebase_come_back_as_files_and_say_what_is_not_under_way_again() {
    let bench = Bench::new();
    let request = bench.made().await;
    let path = &request.path;
    bench.begin_merge(path).await;
    let side = git_ok(path, &["rev-parse", "MERGE_HEAD"]).await;
    bench.write(path, "resolution.txt", "half\n").await;
    discard(&bench, &request).await;
    let recovered = recover(&bench, &request).await;
    let told = recovered.remaining.join("; ");
    assert!(
        told.contains(side.get(..10).unwrap()) && told.contains("not under way again"),
        "{told}"
    );
    assert_eq!(std::fs::read_to_string(path.join("resolution.txt")).unwrap(), "half\n");

    let rebased = bench.made().await;
    for (dir, text) in [(&rebased.repo, "theirs\n"), (&rebased.path, "ours\n")] {
        bench.write(dir, "both.txt", text).await;
        bench.commit(dir).await;
    }
    let tip = git_ok(&rebased.path, &["rev-parse", "HEAD"]).await;
    assert!(!git(&rebased.path, &["rebase", "main"]).await.status.success());
    bench.write(&rebased.path, "both.txt", "resolved\n").await;
    discard(&bench, &rebased).await;
    let recovered = recover(&bench, &rebased).await;
    assert_eq!(recovered.branch, None, "the rebase had detached its head: {recovered:?}");
    assert_eq!(std::fs::read_to_string(rebased.path.join("both.txt")).unwrap(), "resolved\n");
    assert_eq!(git_ok(&rebased.repo, &["rev-parse", "ao/app-1"]).await, tip);
}

#[tokio::test]
async fn commits_of_a_detached_head_come_back_on_a_branch() {
    let bench = Bench::new();
    let request = bench.made().await;
    bench.write(&request.path, "on.txt", "on\n").await;
    bench.commit(&request.path).await;
    bench.detach(&request.path).await;
    bench.write(&request.path, "off.txt", "off\n").await;
    bench.commit(&request.path).await;
    let lost = git_ok(&request.path, &["rev-parse", "HEAD"]).await;
    bench.git.destroy(&request, RemovalMode::Careful).await.unwrap();
    bench.tasks.run().await;
    let recovered = recover(&bench, &request).await;
    assert_eq!(recovered.worktree, None);
    assert_eq!(recovered.branch, Some(BranchName::new("ao/app-1.recovered")));
    assert_eq!(git_ok(&request.repo, &["rev-parse", "ao/app-1.recovered"]).await, lost);
    assert_eq!(recover(&bench, &request).await.branch, recovered.branch);
    let branches = ["ao/app-1", "ao/app-1.recovered", "main"];
    assert_eq!(bench.branches(&request.repo).await, branches);
}

#[tokio::test]
async fn the_commits_of_a_squashed_branch_come_back_on_it_without_its_record() {
    let bench = Bench::new();
    let request = bench.made().await;
    for name in ["a.txt", "b.txt"] {
        bench.write(&request.path, name, "work\n").await;
        bench.commit(&request.path).await;
    }
    let tip = git_ok(&request.path, &["rev-parse", "HEAD"]).await;
    git_ok(&request.repo, &["merge", "--quiet", "--squash", "ao/app-1"]).await;
    git_ok(&request.repo, &["commit", "--quiet", "--message", "all"]).await;
    bench.git.destroy(&request, RemovalMode::Merged).await.unwrap();
    assert_eq!(bench.branches(&request.repo).await, ["main"]);
    // The files are not unlinked yet, and nobody needs them.
    // All that is known of a session whose record was removed.
    let forgotten = CreateWorkspace { base: None, path: bench.dir("elsewhere"), ..request.clone() };
    let recovered = recover(&bench, &forgotten).await;
    assert_eq!((recovered.worktree, recovered.branch), (None, Some(request.branch.clone())));
    assert_eq!(git_ok(&request.repo, &["rev-parse", "ao/app-1"]).await, tip);
}

#[tokio::test]
async fn a_branch_that_went_on_and_one_that_is_checked_out_elsewhere_stay_where_they_are() {
    let bench = Bench::new();
    let request = bench.made().await;
    bench.write(&request.path, "work.txt", "work\n").await;
    bench.commit(&request.path).await;
    let head = git_ok(&request.path, &["rev-parse", "HEAD"]).await;
    bench.write(&request.path, "late.txt", "late\n").await;
    discard(&bench, &request).await;
    let other = bench.dir("other");
    let at = other.display().to_string();
    git_ok(&request.repo, &["worktree", "add", "--quiet", &at, "ao/app-1"]).await;
    let recovered = recover(&bench, &request).await;
    assert_eq!(recovered.branch, None);
    assert!(recovered.remaining.join(" ").contains("branch `ao/app-1` stays"), "{recovered:?}");
    assert_eq!(git_ok(&request.path, &["rev-parse", "HEAD"]).await, head);
    assert_eq!(std::fs::read_to_string(request.path.join("late.txt")).unwrap(), "late\n");

    bench.git.destroy(&request, RemovalMode::Discard).await.unwrap();
    bench.write(&other, "more.txt", "more\n").await;
    bench.commit(&other).await;
    let on = git_ok(&other, &["rev-parse", "HEAD"]).await;
    git_ok(&request.repo, &["worktree", "remove", "--force", &at]).await;
    let recovered = recover(&bench, &request).await;
    assert_eq!(recovered.branch, None);
    assert_eq!(git_ok(&request.repo, &["rev-parse", "ao/app-1"]).await, on);
}

#[tokio::test]
async fn a_place_that_is_taken_is_told_and_left_alone() {
    let bench = Bench::new();
    let request = bench.made().await;
    bench.write(&request.path, "late.txt", "late\n").await;
    discard(&bench, &request).await;
    let outside = bench.dir("outside");
    std::fs::create_dir(&outside).unwrap();
    symlink(&outside, &request.path).unwrap();
    let refused = bench.git.recover(&request).await.unwrap_err();
    assert_eq!(refused.code(), "PATH_TAKEN");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "the link was not followed");
    std::fs::remove_file(&request.path).unwrap();
    recover(&bench, &request).await;
    assert_eq!(std::fs::read_to_string(request.path.join("late.txt")).unwrap(), "late\n");
}

#[tokio::test]
async fn a_recovery_that_died_half_way_begins_anew_and_finds_what_it_had_taken() {
    let bench = Bench::new();
    let request = bench.made().await;
    bench.write(&request.path, ".gitignore", ".env\n").await;
    bench.commit(&request.path).await;
    bench.write(&request.path, ".env", "SECRET=1\n").await;
    bench.write(&request.path, "late.txt", "late\n").await;
    let before = files(&request.path);
    discard(&bench, &request).await;
    recover(&bench, &request).await;
    // As it stands before the last mark: complete but for that.
    let admin = git_ok(&request.path, &["rev-parse", "--absolute-git-dir"]).await;
    for mark in ["ao-ready", "ao-recovered"] {
        std::fs::remove_file(Path::new(&admin).join(mark)).unwrap();
    }
    let recovered = recover(&bench, &request).await;
    assert!(recovered.restored.join(" ").contains("`.env`"), "{recovered:?}");
    assert_untouched(&before, &files(&request.path));
}

#[tokio::test]
async fn what_differs_from_the_trash_and_nested_repositories_are_not_mixed_up() {
    let bench = Bench::new();
    let request = bench.made().await;
    let inner = request.path.join("clone");
    std::fs::create_dir(&inner).unwrap();
    git_ok(&inner, &["init", "--quiet", "--initial-branch=main"]).await;
    bench.write(&inner, "work.txt", "work\n").await;
    bench.write(&request.path, "beside.txt", "work\n").await;
    discard(&bench, &request).await;
    // Whoever had it open went on writing into what is in the trash now.
    bench.write(&bench.trash().join("app-1.1/files"), "beside.txt", "late\n").await;
    let recovered = recover(&bench, &request).await;
    let beside = std::fs::read_to_string(request.path.join("beside.txt")).unwrap();
    assert_eq!(beside, "work\n", "as it was when it was removed");
    assert!(recovered.remaining.join(" ").contains("stay in the trash at"), "{recovered:?}");
    assert_eq!(std::fs::read_to_string(inner.join("work.txt")).unwrap(), "work\n");
    assert!(git(&inner, &["status"]).await.status.success());
}

#[tokio::test]
async fn what_was_staged_when_the_directory_vanished_comes_back() {
    let bench = Bench::new();
    let request = bench.made().await;
    bench.write(&request.path, "staged.txt", "staged\n").await;
    git_ok(&request.path, &["add", "staged.txt"]).await;
    bench.remove_dir(&request.path).await;
    bench.git.destroy(&request, RemovalMode::Careful).await.unwrap();
    let recovered = recover(&bench, &request).await;
    assert!(recovered.restored.join(" ").contains("what was staged"), "{recovered:?}");
    let status = git_ok(&request.path, &["status", "--porcelain"]).await;
    assert_eq!(status, "A  staged.txt");
    assert_eq!(std::fs::read_to_string(request.path.join("staged.txt")).unwrap(), "staged\n");
}

#[tokio::test]
async fn the_last_of_several_discards_comes_back_and_the_earlier_ones_are_named() {
    let bench = Bench::new();
    let request = bench.made().await;
    for text in ["first\n", "second\n"] {
        bench.git.restore(&request).await.unwrap();
        bench.write(&request.path, "work.txt", text).await;
        discard(&bench, &request).await;
    }
    let recovered = recover(&bench, &request).await;
    assert_eq!(std::fs::read_to_string(request.path.join("work.txt")).unwrap(), "second\n");
    let told = recovered.remaining.join(" ");
    assert!(told.contains("git log --graph refs/ao/preserved/app-1"), "{told}");
    assert_eq!(recovered.preserved, Some(RefName::new("refs/ao/preserved/app-1")));
}

#[tokio::test]
async fn ignored_files_alone_come_back_with_a_worktree_on_its_branch() {
    let bench = Bench::new();
    let request = bench.made().await;
    bench.write(&request.path, ".gitignore", ".env\n").await;
    bench.commit(&request.path).await;
    bench.write(&request.path, ".env", "SECRET=1\n").await;
    bench.git.destroy(&request, RemovalMode::Careful).await.unwrap();
    bench.tasks.run().await;
    let recovered = recover(&bench, &request).await;
    assert_eq!((recovered.preserved, recovered.branch), (None, Some(request.branch.clone())));
    assert_eq!(std::fs::read_to_string(request.path.join(".env")).unwrap(), "SECRET=1\n");
    assert_eq!(bench.git.recover(&request).await.unwrap(), None, "there is nothing more");
}
