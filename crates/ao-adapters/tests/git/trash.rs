//! The end of what lies in the trash: in time, never before, and nothing else.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ao_core::ports::{CreateWorkspace, RemovalMode, TrashSweep, Workspace as _};
use ao_core::time::Timestamp;
use ao_testkit::contract::workspace::WorkspaceHarness as _;

use super::bench::{Bench, git_ok};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The moment at which a test began, by the clock of its file system.
fn today(bench: &Bench) -> i64 {
    bench.trash().parent().unwrap().metadata().unwrap().ctime() * 1000
}

/// Sweeps as if so many days had passed.
async fn sweep(bench: &Bench, request: &CreateWorkspace, days: i64) -> usize {
    let request = TrashSweep {
        repos: vec![request.repo.clone(), bench.dir("no-such-repository")],
        directories: vec![request.path.parent().unwrap().to_owned()],
        now: Timestamp::from_millis(today(bench) + days * DAY_MS),
        keep_for: Duration::from_hours(7 * 24),
    };
    bench.git.sweep(&request).await.unwrap()
}

/// A session whose ignored file is in the trash.
async fn trashed(bench: &Bench) -> (CreateWorkspace, PathBuf) {
    let request = bench.made().await;
    bench.write(&request.path, ".gitignore", ".env\n").await;
    bench.commit(&request.path).await;
    bench.write(&request.path, ".env", "SECRET=1\n").await;
    bench.git.destroy(&request, RemovalMode::Careful).await.unwrap();
    bench.tasks.run().await;
    let entry = bench.trash().join("app-1.1");
    assert!(entry.join("files/.env").exists());
    (request, entry)
}

#[tokio::test]
async fn what_nobody_took_back_goes_after_its_days_and_not_before() {
    let bench = Bench::new();
    let (request, entry) = trashed(&bench).await;
    for days in [0, 6, -3, -20_000] {
        assert_eq!(sweep(&bench, &request, days).await, 0, "{days} days");
        assert!(entry.join("files/.env").exists(), "{days} days");
    }
    assert_eq!(sweep(&bench, &request, 8).await, 1);
    assert!(!entry.exists());
    assert_eq!(sweep(&bench, &request, 8).await, 0);
}

#[tokio::test]
async fn what_nobody_needs_goes_soon_although_the_daemon_died_before_it_went() {
    let bench = Bench::new();
    let request = bench.made().await;
    bench.git.destroy(&request, RemovalMode::Careful).await.unwrap();
    // The task that unlinks it never runs.
    let entry = bench.trash().join("app-1.1");
    assert!(entry.join("files/README.md").exists());
    assert_eq!(sweep(&bench, &request, 0).await, 0);
    assert_eq!(sweep(&bench, &request, 1).await, 1);
    assert!(!entry.exists());
}

#[tokio::test]
async fn no_link_is_followed_and_nothing_that_is_not_ours_goes() {
    let bench = Bench::new();
    let (request, entry) = trashed(&bench).await;
    let outside = bench.dir("outside");
    std::fs::create_dir(&outside).unwrap();
    bench.write(&outside, "precious.txt", "theirs\n").await;
    symlink(&outside, entry.join("files/link")).unwrap();
    // Beside the entries: something of nobody, a link named like an entry, and one whose files are
    // a link.
    let stranger = bench.trash().join("stranger");
    std::fs::create_dir(&stranger).unwrap();
    bench.write(&stranger, "file.txt", "theirs\n").await;
    symlink(&outside, bench.trash().join("app-2.1")).unwrap();
    std::fs::create_dir(bench.trash().join("app-3.1")).unwrap();
    symlink(&outside, bench.trash().join("app-3.1/files")).unwrap();
    // And a whole trash that is a link.
    symlink(&outside, request.path.parent().unwrap().join(".ao-trash")).unwrap();
    std::fs::create_dir_all(outside.join("app-9.1/files")).unwrap();
    assert_eq!(sweep(&bench, &request, 30).await, 2, "the entry, and the link in the other one");
    let precious = std::fs::read_to_string(outside.join("precious.txt")).unwrap();
    assert_eq!(precious, "theirs\n");
    for kept in [stranger.join("file.txt"), outside.join("app-9.1/files")] {
        assert!(kept.exists(), "{}", kept.display());
    }
    assert!(!entry.exists());
}

#[tokio::test]
async fn a_worktree_that_git_has_registered_stays_however_old_it_is() {
    let bench = Bench::new();
    let request = bench.made().await;
    let there = bench.trash().join("app-1.1/worktree");
    std::fs::create_dir_all(there.parent().unwrap()).unwrap();
    let (from, to) = (request.path.display().to_string(), there.display().to_string());
    git_ok(&request.repo, &["worktree", "move", &from, &to]).await;
    assert_eq!(sweep(&bench, &request, 400).await, 0);
    assert!(there.join("README.md").exists());
}

#[tokio::test]
async fn a_sweep_that_died_half_way_is_finished_and_one_takes_a_bounded_part() {
    let bench = Bench::new();
    let request = bench.made().await;
    for n in 1..=25 {
        let going = bench.trash().join(format!("app-1.{n}")).join("going/deep");
        std::fs::create_dir_all(going).unwrap();
    }
    let in_git = request.repo.join(".git/ao-trash/app-7.1/going");
    std::fs::create_dir_all(&in_git).unwrap();
    let left = || std::fs::read_dir(bench.trash()).unwrap().count();
    assert_eq!(sweep(&bench, &request, 0).await, 20);
    assert_eq!(left(), 5);
    assert_eq!(sweep(&bench, &request, 0).await, 6, "that of the repository, too");
    assert_eq!(left(), 0);
    assert!(!Path::new(&in_git).exists());
}

#[tokio::test]
async fn what_a_dead_question_left_in_the_scratch_directory_goes_after_a_day() {
    let bench = Bench::new();
    let request = bench.made().await;
    let scratch = bench.trash().join("scratch/index-0123");
    std::fs::create_dir_all(&scratch).unwrap();
    bench.write(&scratch, "index", "half\n").await;
    sweep(&bench, &request, 0).await;
    assert!(scratch.exists());
    sweep(&bench, &request, 2).await;
    assert!(!scratch.exists());
}
