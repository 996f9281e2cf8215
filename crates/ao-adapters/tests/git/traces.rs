//! Worktrees and refs that are found without being asked for by name, whoever left them.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use ao_core::ids::SessionId;
use ao_core::ports::{MarkedBy, Removal, RemovalMode, Workspace as _, WorkspaceError};

use super::bench::Bench;

/// Git's own directory of the only worktree of a repository.
fn admin(repo: &Path) -> PathBuf {
    let mut entries = fs::read_dir(repo.join(".git/worktrees")).unwrap();
    entries.next().unwrap().unwrap().path()
}

async fn marked_by(bench: &Bench, repo: &Path) -> Vec<(SessionId, Option<MarkedBy>)> {
    let traces = bench.git.traces(repo).await.unwrap();
    traces.into_iter().map(|it| (it.session, it.worktree.map(|it| it.by))).collect()
}

#[tokio::test]
async fn a_mark_of_another_home_at_the_same_place_is_another_homes_worktree() {
    let bench = Bench::new();
    let request = bench.made().await;
    let home = admin(&request.repo).join("ao-home");
    assert_eq!(fs::read_to_string(&home).unwrap(), "here\n");
    fs::write(&home, "there\n").unwrap();
    let app = request.session.clone();
    assert_eq!(marked_by(&bench, &request.repo).await, [(app, Some(MarkedBy::AnotherHome))]);
    let removal = bench.git.destroy(&request, RemovalMode::Discard).await.unwrap();
    assert!(matches!(removal, Removal::Kept { .. }), "{removal:?}");
    assert!(request.path.join("README.md").exists());
    let again = bench.git.create(&request).await;
    assert!(
        matches!(again, Err(WorkspaceError::BranchTaken { .. } | WorkspaceError::PathTaken { .. })),
        "{again:?}"
    );
}

#[tokio::test]
async fn a_mark_that_names_no_home_is_nobodys_and_still_its_sessions() {
    let bench = Bench::new();
    let request = bench.made().await;
    fs::remove_file(admin(&request.repo).join("ao-home")).unwrap();
    let app = request.session.clone();
    assert_eq!(marked_by(&bench, &request.repo).await, [(app, Some(MarkedBy::Unknown))]);
    let removal = bench.git.destroy(&request, RemovalMode::Careful).await.unwrap();
    assert!(matches!(removal, Removal::Removed { .. }), "{removal:?}");
}

#[tokio::test]
async fn garbage_in_a_mark_is_passed_over() {
    let bench = Bench::new();
    let request = bench.made().await;
    let mark = admin(&request.repo).join("ao-session");
    let left = [(request.session.clone(), None)];
    for garbage in [b"".as_slice(), b"app-1", b"../x\n/w\n", b"\xff\xfe\n/w\n", b"\0\n\0\n"] {
        fs::write(&mark, garbage).unwrap();
        // Its refs still tell of it.
        assert_eq!(marked_by(&bench, &request.repo).await, left, "{garbage:?}");
    }
    fs::remove_file(&mark).unwrap();
    fs::create_dir(&mark).unwrap();
    assert_eq!(marked_by(&bench, &request.repo).await, left);
    assert!(request.path.join("README.md").exists());
}
