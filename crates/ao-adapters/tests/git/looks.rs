//! Looking at a worktree: nothing in it runs, nothing of it changes, and the numbers are right.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ao_core::ids::RefName;
use ao_core::ports::{CreateWorkspace, DiffStat, RemovalMode, Workspace as _};
use ao_testkit::contract::workspace::WorkspaceHarness as _;

use super::bench::{Bench, assert_untouched, fingerprint, git_ok};

/// A program that leaves a trace when it runs.
fn tripwire(dir: &Path) -> (String, std::path::PathBuf) {
    let (program, trace) = (dir.join("tripwire.sh"), dir.join("it-ran"));
    let script = format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\ncat\n", trace.display());
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    (program.display().to_string(), trace)
}

#[tokio::test]
async fn nothing_in_a_repository_runs_because_it_is_looked_at_or_removed() {
    let bench = Bench::new();
    let request = bench.request().await;
    bench.write(&request.repo, ".gitattributes", "*.txt filter=trip diff=trip\n").await;
    bench.write(&request.repo, "a.txt", "one\n").await;
    bench.commit(&request.repo).await;
    bench.git.create(&request).await.unwrap();
    let traps = bench.dir("traps");
    std::fs::create_dir(&traps).unwrap();
    let (program, trace) = tripwire(&traps);
    for key in [
        "core.fsmonitor",
        "filter.trip.clean",
        "filter.trip.smudge",
        "diff.external",
        "diff.trip.command",
        "diff.trip.textconv",
        "core.pager",
        "core.editor",
        "gpg.program",
    ] {
        git_ok(&request.repo, &["config", key, &program]).await;
    }
    for (key, value) in [("commit.gpgSign", "true"), ("core.hooksPath", &*traps.to_string_lossy())]
    {
        git_ok(&request.repo, &["config", key, value]).await;
    }
    for hook in ["post-checkout", "reference-transaction", "post-index-change", "pre-commit"] {
        std::fs::copy(&program, traps.join(hook)).unwrap();
    }
    bench.write(&request.path, "a.txt", "two\n").await;
    bench.write(&request.path, "b.txt", "new\n").await;

    let look = bench.git.inspect(&request).await.unwrap();
    assert_eq!(look.diff, DiffStat { n_files: 2, n_added: 2, n_removed: 1 });
    assert!(bench.git.diff(&request).await.unwrap().contains("+two"));
    bench.git.destroy(&request, RemovalMode::Careful).await.unwrap();
    bench.git.destroy(&request, RemovalMode::Discard).await.unwrap();
    assert!(!request.path.exists());
    let ran = std::fs::read_to_string(&trace).unwrap_or_default();
    assert_eq!(ran, "", "something ran");
    let kept = git_ok(&request.repo, &["show", "refs/ao/preserved/app-1:b.txt"]).await;
    assert_eq!(kept, "new");
}

#[tokio::test]
async fn a_look_writes_nothing() {
    let bench = Bench::new();
    let request = bench.made().await;
    bench.write(&request.path, "untracked.txt", "new\n").await;
    // A stale time is what makes git want to rewrite its index.
    bench.write(&request.path, "README.md", "hello\n").await;
    let before = [fingerprint(&request.repo), fingerprint(&request.path)];
    bench.git.inspect(&request).await.unwrap();
    bench.git.diff(&request).await.unwrap();
    bench.git.list(&request.repo).await.unwrap();
    bench.git.preflight(&request).await.unwrap();
    assert_untouched(&before[0], &fingerprint(&request.repo));
    assert_untouched(&before[1], &fingerprint(&request.path));
}

#[tokio::test]
async fn what_a_newer_base_brought_is_not_counted_as_the_agents_work() {
    let bench = Bench::new();
    let request = bench.request().await;
    let request = CreateWorkspace { base: Some(RefName::new("main")), ..request };
    bench.git.create(&request).await.unwrap();
    bench.write(&request.path, "mine.txt", "1\n2\n").await;
    bench.commit(&request.path).await;
    bench.write(&request.repo, "theirs.txt", "1\n2\n3\n").await;
    bench.commit(&request.repo).await;
    git_ok(&request.path, &["rebase", "--quiet", "main"]).await;
    let look = bench.git.inspect(&request).await.unwrap();
    assert_eq!(look.n_commits_ahead, 1);
    assert_eq!(look.diff, DiffStat { n_files: 1, n_added: 2, n_removed: 0 });
    assert!(!bench.git.diff(&request).await.unwrap().contains("theirs"));
}

#[tokio::test]
async fn every_operation_in_progress_has_its_name() {
    let bench = Bench::new();
    let request = bench.made().await;
    let path = &request.path;
    let name = async || bench.git.inspect(&request).await.unwrap().operation;
    assert_eq!(name().await, None);
    for text in ["one\n", "two\n"] {
        bench.write(path, "a.txt", text).await;
        bench.commit(path).await;
    }
    git_ok(path, &["bisect", "start"]).await;
    assert_eq!(name().await.as_deref(), Some("bisect"));
    git_ok(path, &["bisect", "reset"]).await;
    super::bench::git(path, &["revert", "--no-edit", "HEAD~1"]).await;
    assert_eq!(name().await.as_deref(), Some("revert"));
    git_ok(path, &["revert", "--abort"]).await;
    git_ok(path, &["checkout", "--quiet", "-b", "side", "HEAD~1"]).await;
    bench.write(path, "a.txt", "three\n").await;
    bench.commit(path).await;
    super::bench::git(path, &["cherry-pick", "ao/app-1"]).await;
    assert_eq!(name().await.as_deref(), Some("cherry-pick"));
    git_ok(path, &["cherry-pick", "--abort"]).await;
    super::bench::git(path, &["rebase", "ao/app-1"]).await;
    assert_eq!(name().await.as_deref(), Some("rebase"));
    git_ok(path, &["rebase", "--abort"]).await;
    assert_eq!(name().await, None);
}

#[tokio::test]
async fn many_changes_are_listed_up_to_a_bound_and_a_large_difference_is_cut() {
    let bench = Bench::new();
    let request = bench.made().await;
    for n in 0..1100 {
        std::fs::write(request.path.join(format!("file-{n:04}")), "x\n").unwrap();
    }
    std::fs::write(request.path.join("large"), "ä".repeat(2 * 1024 * 1024)).unwrap();
    let look = bench.git.inspect(&request).await.unwrap();
    assert_eq!(look.dirty_paths.len(), 1000);
    assert_eq!(look.diff.n_files, 1101);
    let diff = bench.git.diff(&request).await.unwrap();
    assert!(diff.len() <= 1024 * 1024 && diff.len() > 1000 * 1024, "{}", diff.len());
}

#[tokio::test]
async fn exclusions_are_added_to_what_stands_there() {
    let bench = Bench::new();
    let repo = bench.repo().await;
    let file = repo.join(".git/info/exclude");
    std::fs::write(&file, "# mine\n*.log").unwrap();
    let patterns = ["/.ao".to_owned(), "*.log".to_owned()];
    bench.git.exclude(&repo, &patterns).await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# mine\n*.log\n/.ao\n");
    let refused = bench.git.exclude(&repo, &["a\n*".to_owned()]).await.unwrap_err();
    assert_eq!(refused.code(), "IO_FAILED");
}
