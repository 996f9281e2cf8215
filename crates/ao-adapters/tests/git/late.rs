//! Somebody writes into a worktree at the very moment when it is moved away: the test runs itself
//! again with a git in front of the real one that writes a file after every move.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use ao_adapters::cmd::Cmd;
use ao_core::ports::{Removal, RemovalMode, Workspace as _};

use super::bench::Bench;

/// Set where the late writer is in place.
const MARK: &str = "WITH_A_LATE_WRITER";

/// Stands first on the PATH; the real git is what comes after it there.
const LATE_WRITER: &str = r#"#!/bin/sh
PATH=${PATH#*:}
git "$@" || exit
case " $* " in *" worktree move "*) for to; do :; done; echo late > "$to/late.txt" ;; esac
"#;

async fn run_again_with_a_late_writer(test: &str) {
    let dir = tempfile::tempdir().unwrap();
    let git = dir.path().join("git");
    std::fs::write(&git, LATE_WRITER).unwrap();
    std::fs::set_permissions(&git, Permissions::from_mode(0o755)).unwrap();
    let mut path = dir.path().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let again = Cmd::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("PATH", path)
        .env(MARK, "1")
        .timeout(std::time::Duration::from_mins(1));
    let output = again.run().await.unwrap();
    assert!(output.status.success(), "{}{}", output.stdout_text(), output.stderr_text());
    assert!(output.stdout_text().contains("1 passed"), "{}", output.stdout_text());
}

#[tokio::test]
async fn what_appears_while_a_worktree_is_moved_brings_it_back() {
    if std::env::var_os(MARK).is_none() {
        let test = "git::late::what_appears_while_a_worktree_is_moved_brings_it_back";
        return run_again_with_a_late_writer(test).await;
    }
    let bench = Bench::new();
    let request = bench.made().await;
    match bench.git.destroy(&request, RemovalMode::Careful).await.unwrap() {
        Removal::Kept { because } => {
            assert_eq!(because, "it changed while it was being removed: `late.txt`");
        }
        removed @ Removal::Removed { .. } => panic!("{removed:?}"),
    }
    bench.tasks.run().await;
    let text = |name: &str| std::fs::read_to_string(request.path.join(name)).unwrap();
    assert_eq!((text("late.txt"), text("README.md")), ("late\n".into(), "hello\n".into()));
    let look = bench.git.inspect(&request).await.unwrap();
    assert!(look.exists && look.is_registered, "{look:?}");
}
