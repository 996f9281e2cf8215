//! Somebody does something to a worktree at the very moment when it is moved away: the tests run
//! themselves again with a git in front of the real one that does it.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use ao_adapters::cmd::Cmd;
use ao_core::ports::{Removal, RemovalMode, Workspace as _};
use ao_testkit::contract::workspace::WorkspaceHarness as _;

use super::bench::{Bench, assert_untouched, contents};

/// Set where somebody stands in front.
const MARK: &str = "WITH_SOMEBODY_IN_FRONT";

/// Stands first on the PATH; the real git is what comes after it there.
const LATE_WRITER: &str = r#"#!/bin/sh
PATH=${PATH#*:}
git "$@" || exit
case " $* " in *" worktree move "*) for to; do :; done; echo late > "$to/late.txt" ;; esac
"#;

/// Puts a link in the place of a worktree just before it is moved: what it leads to looks exactly
/// like the worktree, git's own link included.
const SWAPPER: &str = r#"#!/bin/sh
PATH=${PATH#*:}
case " $* " in *" worktree move "*)
    for it; do from=$to; to=$it; done
    mv "$from" "$from.real" && cp -a "$from.real" "$from.outside" && ln -s "$from.outside" "$from" ;;
esac
exec git "$@"
"#;

async fn run_again_with(in_front: &str, test: &str) {
    let dir = tempfile::tempdir().unwrap();
    let git = dir.path().join("git");
    std::fs::write(&git, in_front).unwrap();
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
        return run_again_with(LATE_WRITER, test).await;
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

#[tokio::test]
async fn a_link_that_takes_the_place_of_a_worktree_in_the_last_moment_takes_nothing_along() {
    if std::env::var_os(MARK).is_none() {
        let test = "git::late::a_link_that_takes_the_place_of_a_worktree_in_the_last_moment_takes_nothing_along";
        return run_again_with(SWAPPER, test).await;
    }
    for mode in [RemovalMode::Careful, RemovalMode::Discard] {
        let bench = Bench::new();
        let request = bench.made().await;
        bench.write(&request.path, ".gitignore", ".env\n").await;
        bench.commit(&request.path).await;
        bench.write(&request.path, ".env", "SECRET=1\n").await;
        if mode == RemovalMode::Discard {
            bench.write(&request.path, "untracked.txt", "precious\n").await;
        }
        let before = contents(&request.path);
        // Whatever comes of it, it is told or nothing of it was real.
        let removal = bench.git.destroy(&request, mode).await;
        bench.tasks.run().await;
        for name in ["real", "outside"] {
            let stays = request.path.with_extension(name);
            assert_untouched(&before, &contents(&stays));
            assert!(stays.join(".env").exists(), "{mode:?}: {removal:?}");
        }
    }
}
