//! Letting go of worktrees: whatever was in them is there afterwards, somewhere.

#![expect(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;

use ao_adapters::git::IgnoredRules;
use ao_core::ids::SessionId;
use ao_core::ports::{CreateWorkspace, Removal, RemovalMode, Workspace as _};
use ao_testkit::contract::workspace::WorkspaceHarness as _;

use super::bench::{Bench, assert_untouched, fingerprint, git, git_ok};

const PRESERVED: &str = "refs/ao/preserved/app-1";

async fn careful(bench: &Bench, request: &CreateWorkspace) -> Removal {
    bench.git.destroy(request, RemovalMode::Careful).await.unwrap()
}

#[track_caller]
fn assert_kept(removal: &Removal, because: &str) {
    match removal {
        Removal::Kept { because: said } => assert!(said.contains(because), "{said}"),
        Removal::Removed { .. } => panic!("removed in spite of `{because}`"),
    }
}

#[track_caller]
fn preserved(removal: &Removal) -> Option<String> {
    match removal {
        Removal::Removed { preserved, .. } => preserved.as_ref().map(ToString::to_string),
        Removal::Kept { because } => panic!("kept: {because}"),
    }
}

/// The text of a file in a commit.
async fn show(repo: &Path, commit: &str, name: &str) -> String {
    git_ok(repo, &["show", &format!("{commit}:{name}")]).await
}

/// The names of the files that stand anywhere in the trash.
fn trashed(bench: &Bench) -> Vec<String> {
    if !bench.trash().exists() {
        return Vec::new();
    }
    let is_file = |line: &&String| line.split(' ').nth(1).is_some_and(|it| it.starts_with("10"));
    fingerprint(&bench.trash())
        .iter()
        .filter(is_file)
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn locked_and_dirty_worktrees_survive_byte_for_byte() {
    let bench = Bench::new();
    let request = bench.made().await;
    bench.write(&request.path, "untracked.txt", "two hundred lines\n").await;
    bench.write(&request.path, "README.md", "edited\n").await;
    bench.write(&request.path, "staged.txt", "staged\n").await;
    git_ok(&request.path, &["add", "staged.txt"]).await;
    let admin = git_ok(&request.path, &["rev-parse", "--absolute-git-dir"]).await;
    let see = || [fingerprint(&request.path), fingerprint(Path::new(&admin))].concat();
    let before = see();
    assert_kept(&careful(&bench, &request).await, "uncommitted changes");
    assert_untouched(&before, &see());
    bench.lock(&request.path, "mine").await;
    let before = see();
    for mode in [RemovalMode::Careful, RemovalMode::Discard] {
        assert_kept(&bench.git.destroy(&request, mode).await.unwrap(), "locked: mine");
    }
    bench.tasks.run().await;
    assert_untouched(&before, &see());
    assert_eq!(trashed(&bench), [""; 0]);
}

#[tokio::test]
async fn ignored_files_outlive_their_worktree_unless_they_are_disposable() {
    let bench = Bench::with_disposable(&["target", "*.tmp"]);
    let request = bench.request().await;
    let (repo, path) = (&request.repo, &request.path);
    bench.write(repo, ".gitignore", "/target/\n.env\n.env.copy\nnode_modules\n*.tmp\n").await;
    bench.commit(repo).await;
    bench.write(repo, ".env.copy", "same\n").await;
    bench.git.create(&request).await.unwrap();
    std::fs::create_dir_all(path.join("target/debug")).unwrap();
    bench.write(path, "target/debug/app", "built\n").await;
    bench.write(path, "a.tmp", "scratch\n").await;
    bench.write(path, ".env", "SECRET=1\n").await;
    bench.write(path, ".env.copy", "same\n").await;
    symlink(repo, path.join("node_modules")).unwrap();

    assert_eq!(preserved(&careful(&bench, &request).await), None);
    assert!(!path.exists());
    bench.tasks.run().await;
    let left = trashed(&bench);
    assert!(left.iter().any(|it| it.ends_with("files/.env")), "{left:?}");
    assert!(!left.iter().any(|it| it.contains("target") || it.contains(".tmp")), "{left:?}");
    assert!(repo.join("README.md").exists(), "no link was followed");
}

#[tokio::test]
async fn ignored_files_that_are_kept_stay_whatever_else_says_so_and_a_project_has_its_own_rules() {
    let own = |all: &[&str]| all.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
    let app = ao_core::ids::ProjectId::parse("app").unwrap();
    let rules = IgnoredRules { disposable: own(&["target", "*.env"]), kept: own(&["*.sqlite"]) };
    let others = IgnoredRules { disposable: own(&["*"]), kept: Vec::new() };
    let bench = Bench::with_ignored(others, BTreeMap::from([(app, rules)]));
    let request = bench.request().await;
    let (repo, path) = (&request.repo, &request.path);
    bench.write(repo, ".gitignore", "/target/\n*.env\n*.sqlite\n*.log\n").await;
    bench.commit(repo).await;
    bench.write(repo, "copy.sqlite", "same\n").await;
    bench.git.create(&request).await.unwrap();
    std::fs::create_dir_all(path.join("target/debug")).unwrap();
    bench.write(path, "target/debug/data.sqlite", "rows\n").await;
    bench.write(path, "copy.sqlite", "same\n").await;
    bench.write(path, "a.env", "x\n").await;
    bench.write(path, "a.log", "x\n").await;
    careful(&bench, &request).await;
    bench.tasks.run().await;
    let left = trashed(&bench);
    let is_left = |name: &str| left.iter().any(|it| it.ends_with(name));
    assert!(is_left("files/target/debug/data.sqlite") && is_left("files/copy.sqlite"), "{left:?}");
    assert!(is_left("files/a.log"), "the rules of its project hold: {left:?}");
    assert!(!is_left("a.env"), "{left:?}");
}

#[tokio::test]
async fn a_worktree_with_nothing_but_links_and_copies_leaves_nothing_in_the_trash() {
    let bench = Bench::new();
    let request = bench.request().await;
    let (repo, path) = (&request.repo, &request.path);
    bench.write(repo, ".gitignore", ".env\nnode_modules\n").await;
    bench.commit(repo).await;
    bench.write(repo, ".env", "same\n").await;
    std::fs::create_dir(repo.join("node_modules")).unwrap();
    bench.write(repo, "node_modules/a.js", "1\n").await;
    bench.git.create(&request).await.unwrap();
    bench.write(path, ".env", "same\n").await;
    symlink(repo.join("node_modules"), path.join("node_modules")).unwrap();
    careful(&bench, &request).await;
    bench.tasks.run().await;
    assert_eq!(trashed(&bench), [""; 0]);
    assert!(repo.join("node_modules/a.js").exists(), "no link was followed");

    bench.git.create(&request).await.unwrap();
    bench.write(path, ".env", "diff\n").await;
    careful(&bench, &request).await;
    bench.tasks.run().await;
    assert!(trashed(&bench).iter().any(|it| it.ends_with("files/.env")), "it is no copy");
}

#[tokio::test]
async fn changes_that_git_was_told_not_to_look_for_keep_the_worktree() {
    for flag in ["--assume-unchanged", "--skip-worktree"] {
        let bench = Bench::new();
        let request = bench.made().await;
        git_ok(&request.path, &["update-index", flag, "README.md"]).await;
        assert_eq!(git_ok(&request.path, &["status", "--porcelain"]).await, "");
        bench.write(&request.path, "README.md", "hidden work\n").await;
        assert_eq!(git_ok(&request.path, &["status", "--porcelain"]).await, "");
        assert_kept(&careful(&bench, &request).await, "`README.md`");
        let removal = bench.git.destroy(&request, RemovalMode::Discard).await.unwrap();
        assert_eq!(preserved(&removal).as_deref(), Some(PRESERVED));
        assert_eq!(show(&request.repo, PRESERVED, "README.md").await, "hidden work");
    }
}

#[tokio::test]
async fn an_edit_in_the_instant_of_the_index_is_seen_and_preserved() {
    let bench = Bench::new();
    let request = bench.made().await;
    git_ok(&request.repo, &["config", "core.trustctime", "false"]).await;
    let file = request.path.join("README.md");
    let instant = file.metadata().unwrap().modified().unwrap();
    let admin = git_ok(&request.path, &["rev-parse", "--absolute-git-dir"]).await;
    let at_instant = |path: &Path| {
        let times = std::fs::FileTimes::new().set_modified(instant);
        std::fs::File::options().write(true).open(path).unwrap().set_times(times).unwrap();
    };
    at_instant(&Path::new(&admin).join("index"));
    std::fs::write(&file, "HELLO\n").unwrap();
    at_instant(&file);
    assert_kept(&careful(&bench, &request).await, "`README.md`");
    let removal = bench.git.destroy(&request, RemovalMode::Discard).await.unwrap();
    assert_eq!(preserved(&removal).as_deref(), Some(PRESERVED));
    assert_eq!(show(&request.repo, PRESERVED, "README.md").await, "HELLO");
}

#[tokio::test]
async fn commits_that_were_reset_away_are_preserved_when_their_branch_goes() {
    let bench = Bench::new();
    let request = bench.made().await;
    bench.write(&request.path, "work.txt", "work\n").await;
    bench.commit(&request.path).await;
    let lost = git_ok(&request.path, &["rev-parse", "HEAD"]).await;
    git_ok(&request.path, &["reset", "--quiet", "--hard", "HEAD~1"]).await;
    let removal = careful(&bench, &request).await;
    assert_eq!(preserved(&removal).as_deref(), Some(PRESERVED));
    assert_eq!(git_ok(&request.repo, &["rev-parse", PRESERVED]).await, lost);
    assert_eq!(bench.branches(&request.repo).await, ["main"]);
}

#[tokio::test]
async fn an_amended_commit_needs_no_ref_while_its_branch_remembers_it() {
    let bench = Bench::new();
    let request = bench.made().await;
    bench.write(&request.path, "work.txt", "work\n").await;
    bench.commit(&request.path).await;
    git_ok(&request.path, &["commit", "--quiet", "--amend", "--message", "better"]).await;
    assert_eq!(preserved(&careful(&bench, &request).await), None);
    assert_eq!(bench.branches(&request.repo).await, ["ao/app-1", "main"]);
}

#[tokio::test]
async fn every_detached_line_of_work_is_preserved_and_later_ones_beside_it() {
    let bench = Bench::new();
    let request = bench.made().await;
    for name in ["one.txt", "two.txt"] {
        git_ok(&request.path, &["checkout", "--quiet", "--detach", "ao/app-1"]).await;
        bench.write(&request.path, name, "work\n").await;
        bench.commit(&request.path).await;
    }
    git_ok(&request.path, &["checkout", "--quiet", "ao/app-1"]).await;
    assert_eq!(preserved(&careful(&bench, &request).await).as_deref(), Some(PRESERVED));

    bench.git.create(&request).await.unwrap();
    bench.write(&request.path, "three.txt", "work\n").await;
    let removal = bench.git.destroy(&request, RemovalMode::Discard).await.unwrap();
    assert_eq!(preserved(&removal).as_deref(), Some(PRESERVED));
    let files = git_ok(&request.repo, &["log", "--name-only", "--format=", "-m", PRESERVED]).await;
    for name in ["one.txt", "two.txt", "three.txt"] {
        assert!(files.lines().any(|it| it == name), "{name} in {files}");
    }
    git_ok(&request.repo, &["reflog", "expire", "--expire=now", "--all"]).await;
    git_ok(&request.repo, &["gc", "--quiet", "--prune=now"]).await;
    git_ok(&request.repo, &["fsck", "--strict"]).await;
}

#[tokio::test]
async fn an_operation_in_progress_keeps_a_worktree_without_changes() {
    let bench = Bench::new();
    let request = bench.made().await;
    bench.write(&request.path, "work.txt", "work\n").await;
    bench.commit(&request.path).await;
    let stopped = git(&request.path, &["rebase", "--quiet", "--exec", "false", "HEAD~1"]).await;
    assert!(!stopped.status.success(), "it went through");
    assert_eq!(git_ok(&request.path, &["status", "--porcelain"]).await, "");
    assert_kept(&careful(&bench, &request).await, "a rebase is in progress");
}

#[tokio::test]
async fn a_discard_preserves_index_files_deletions_and_the_merge_in_progress() {
    let bench = Bench::new();
    let request = bench.made().await;
    let path = &request.path;
    bench.write(path, "gone.txt", "committed\n").await;
    bench.commit(path).await;
    let tip = git_ok(path, &["rev-parse", "HEAD"]).await;
    bench.begin_merge(path).await;
    let side = git_ok(path, &["rev-parse", "MERGE_HEAD"]).await;
    bench.write(path, "both.txt", "staged\n").await;
    git_ok(path, &["add", "both.txt"]).await;
    bench.write(path, "both.txt", "newer\n").await;
    bench.write(path, "untracked.txt", "untracked\n").await;
    std::fs::remove_file(path.join("gone.txt")).unwrap();
    let branches = bench.branches(&request.repo).await;
    let head = git_ok(path, &["rev-parse", "HEAD"]).await;

    let removal = bench.git.destroy(&request, RemovalMode::Discard).await.unwrap();
    assert_eq!(preserved(&removal).as_deref(), Some(PRESERVED));
    bench.tasks.run().await;
    let repo = &request.repo;
    assert_eq!(show(repo, PRESERVED, "both.txt").await, "newer");
    assert_eq!(show(repo, PRESERVED, "untracked.txt").await, "untracked");
    assert!(!git(repo, &["show", &format!("{PRESERVED}:gone.txt")]).await.status.success());
    assert_eq!(show(repo, &format!("{PRESERVED}^2"), "both.txt").await, "staged");
    assert_eq!(git_ok(repo, &["rev-parse", &format!("{PRESERVED}^1")]).await, head);
    let parents = git_ok(repo, &["rev-list", "--parents", "--max-count=1", PRESERVED]).await;
    assert!(parents.contains(&side) && !tip.is_empty(), "{parents}");
    assert_eq!(bench.branches(repo).await, branches);
    assert_eq!(trashed(&bench), [""; 0], "everything is in the commit");
}

#[tokio::test]
async fn a_repository_inside_the_worktree_outlives_a_discard_in_the_trash() {
    let bench = Bench::new();
    let request = bench.made().await;
    let inner = request.path.join("clone");
    std::fs::create_dir(&inner).unwrap();
    git_ok(&inner, &["init", "--quiet", "--initial-branch=main"]).await;
    bench.write(&inner, "work.txt", "work\n").await;
    bench.write(&request.path, "beside.txt", "work\n").await;
    assert_kept(&careful(&bench, &request).await, "`clone/`");
    assert_eq!(bench.git.inspect(&request).await.unwrap().diff.n_files, 1);
    bench.git.destroy(&request, RemovalMode::Discard).await.unwrap();
    bench.tasks.run().await;
    assert!(trashed(&bench).iter().any(|it| it.ends_with("files/clone/work.txt")));
}

#[tokio::test]
async fn a_worktree_with_submodules_goes_and_what_they_hold_stays() {
    let bench = Bench::new();
    let library = bench.repo().await;
    let request = bench.request().await;
    let url = library.display().to_string();
    git_ok(&request.repo, &["submodule", "--quiet", "add", &url, "lib"]).await;
    bench.commit(&request.repo).await;
    bench.git.create(&request).await.unwrap();
    git_ok(&request.path, &["submodule", "--quiet", "update", "--init"]).await;
    let lib = request.path.join("lib");
    bench.write(&lib, "untracked.txt", "work\n").await;
    assert_kept(&careful(&bench, &request).await, "`lib`");
    std::fs::remove_file(lib.join("untracked.txt")).unwrap();
    git_ok(&lib, &["checkout", "--quiet", "-b", "aside"]).await;
    bench.write(&lib, "aside.txt", "work\n").await;
    bench.commit(&lib).await;
    git_ok(&lib, &["checkout", "--quiet", "--detach", "HEAD~1"]).await;

    let removal = careful(&bench, &request).await;
    assert_eq!(removal, Removal::Removed { is_branch_deleted: true, preserved: None });
    bench.tasks.run().await;
    assert!(!request.path.exists());
    assert_eq!(bench.git.list(&request.repo).await.unwrap().len(), 1);
    let module = bench.trash().join("app-1.1/modules/lib");
    let show = ["--work-tree=.", "show", "aside:aside.txt"];
    assert_eq!(git_ok(&module, &show).await, "work");
}

#[tokio::test]
async fn a_link_at_the_path_of_a_worktree_is_not_followed() {
    let bench = Bench::new();
    let request = bench.made().await;
    let elsewhere = bench.dir("elsewhere");
    std::fs::rename(&request.path, &elsewhere).unwrap();
    symlink(&elsewhere, &request.path).unwrap();
    let before = fingerprint(&elsewhere);
    for mode in [RemovalMode::Careful, RemovalMode::Discard] {
        assert_kept(&bench.git.destroy(&request, mode).await.unwrap(), "a link");
    }
    bench.tasks.run().await;
    assert_untouched(&before, &fingerprint(&elsewhere));
}

#[tokio::test]
async fn a_directory_that_is_no_worktree_any_more_is_left_alone() {
    let bench = Bench::new();
    let request = bench.made().await;
    std::fs::remove_file(request.path.join(".git")).unwrap();
    git_ok(&request.path, &["init", "--quiet"]).await;
    bench.write(&request.path, "work.txt", "work\n").await;
    bench.commit(&request.path).await;
    for mode in [RemovalMode::Careful, RemovalMode::Discard] {
        assert_kept(&bench.git.destroy(&request, mode).await.unwrap(), "`.git`");
    }

    let other = bench.request_in(&request.repo, "app-2");
    bench.occupy(&other.path).await;
    bench.write(&other.path, "work.txt", "work\n").await;
    assert_kept(&careful(&bench, &other).await, "is not this session's worktree");
    assert!(other.path.join("work.txt").exists() && request.path.join("work.txt").exists());
}

#[tokio::test]
async fn only_the_registration_of_this_session_is_let_go_of() {
    let bench = Bench::new();
    let request = bench.made().await;
    let on_a_stick = bench.dir("stick");
    let stick = on_a_stick.display().to_string();
    git_ok(&request.repo, &["worktree", "add", "--quiet", "--detach", &stick]).await;
    std::fs::rename(&on_a_stick, bench.dir("unplugged")).unwrap();
    std::fs::remove_dir_all(&request.path).unwrap();
    careful(&bench, &request).await;
    let list = bench.git.list(&request.repo).await.unwrap();
    assert!(list.len() == 2 && list.iter().any(|it| it.path == on_a_stick), "{list:?}");
}

#[tokio::test]
async fn what_was_staged_in_a_vanished_worktree_is_preserved() {
    let bench = Bench::new();
    let request = bench.made().await;
    bench.write(&request.path, "staged.txt", "staged\n").await;
    git_ok(&request.path, &["add", "staged.txt"]).await;
    std::fs::remove_dir_all(&request.path).unwrap();
    let removal = careful(&bench, &request).await;
    assert_eq!(preserved(&removal).as_deref(), Some(PRESERVED));
    assert_eq!(show(&request.repo, PRESERVED, "staged.txt").await, "staged");
}

#[tokio::test]
async fn a_branch_goes_only_when_its_base_has_all_of_it() {
    let bench = Bench::new();
    let request = bench.made().await;
    let (repo, path) = (&request.repo, &request.path);
    bench.write(path, "work.txt", "work\n").await;
    bench.commit(path).await;
    bench.write(repo, "other.txt", "other\n").await;
    bench.commit(repo).await;
    git_ok(repo, &["cherry-pick", "ao/app-1"]).await;
    let tip = git_ok(path, &["rev-parse", "HEAD"]).await;
    let removal = careful(&bench, &request).await;
    assert!(matches!(removal, Removal::Removed { is_branch_deleted: true, .. }), "{removal:?}");
    assert_eq!(preserved(&removal).as_deref(), Some(PRESERVED), "no other ref reaches its commit");
    assert_eq!(git_ok(repo, &["rev-parse", PRESERVED]).await, tip);

    let merged = bench.request_in(repo, "app-2");
    bench.git.create(&merged).await.unwrap();
    bench.write(&merged.path, "more.txt", "more\n").await;
    bench.commit(&merged.path).await;
    bench.begin_merge(&merged.path).await;
    bench.write(&merged.path, "resolution.txt", "only here\n").await;
    bench.commit(&merged.path).await;
    bench.write(repo, "more.txt", "more\n").await;
    bench.commit(repo).await;
    let removal = careful(&bench, &merged).await;
    assert_eq!(removal, Removal::Removed { is_branch_deleted: false, preserved: None });
    assert_eq!(show(repo, "ao/app-2", "resolution.txt").await, "only here");
}

#[tokio::test]
async fn a_base_that_only_the_branch_still_reached_is_preserved_in_a_bare_repository_too() {
    let bench = Bench::new();
    let bare = bench.dir("bare");
    let (from, to) = (bench.repo().await.display().to_string(), bare.display().to_string());
    git_ok(Path::new("/"), &["clone", "--quiet", "--bare", &from, &to]).await;
    git_ok(&bare, &["branch", "feature", "main"]).await;
    let tree = git_ok(&bare, &["rev-parse", "main^{tree}"]).await;
    let start = git_ok(&bare, &["commit-tree", &tree, "-p", "main", "-m", "theirs"]).await;
    git_ok(&bare, &["update-ref", "refs/heads/feature", &start]).await;
    let mut request = bench.request_in(&bare, "app-1");
    request.base = Some(ao_core::ids::RefName::new("feature"));
    bench.git.create(&request).await.unwrap();
    git_ok(&bare, &["update-ref", "-d", "refs/heads/feature"]).await;
    let removal = careful(&bench, &request).await;
    assert_eq!(preserved(&removal).as_deref(), Some(PRESERVED));
    assert_eq!(git_ok(&bare, &["rev-parse", PRESERVED]).await, start);
}

#[tokio::test]
async fn a_branch_with_a_resolution_that_stands_in_no_patch_stays() {
    let bench = Bench::new();
    let request = bench.made().await;
    let (repo, path) = (&request.repo, &request.path);
    bench.write(path, "work.txt", "work\n").await;
    bench.commit(path).await;
    bench.write(repo, "other.txt", "other\n").await;
    bench.commit(repo).await;
    git_ok(path, &["merge", "--quiet", "--no-commit", "main"]).await;
    bench.write(path, "resolution.txt", "only here\n").await;
    bench.commit(path).await;
    // The base has every patch of the branch by now, and not what the merge of it holds.
    git_ok(repo, &["cherry-pick", "ao/app-1^1"]).await;
    let removal = careful(&bench, &request).await;
    assert_eq!(removal, Removal::Removed { is_branch_deleted: false, preserved: None });
    assert_eq!(show(repo, "ao/app-1", "resolution.txt").await, "only here");
}

#[tokio::test]
async fn a_branch_that_somebody_else_has_checked_out_stays() {
    let bench = Bench::new();
    let request = bench.made().await;
    git_ok(&request.path, &["checkout", "--quiet", "--detach"]).await;
    git_ok(&request.repo, &["checkout", "--quiet", "ao/app-1"]).await;
    let removal = careful(&bench, &request).await;
    assert_eq!(removal, Removal::Removed { is_branch_deleted: false, preserved: None });
    assert_eq!(bench.branches(&request.repo).await, ["ao/app-1", "main"]);
}

#[tokio::test]
async fn a_stash_made_on_its_branch_keeps_the_worktree() {
    let bench = Bench::new();
    let request = bench.made().await;
    bench.write(&request.path, "README.md", "stashed\n").await;
    git_ok(&request.path, &["stash"]).await;
    assert_kept(&careful(&bench, &request).await, "a stash");
}

#[tokio::test]
async fn a_removal_that_died_on_its_way_is_finished_or_taken_back() {
    let bench = Bench::new();
    let request = bench.made().await;
    let entry = bench.trash().join("app-1.1");
    let there = entry.join("worktree").display().to_string();
    let die_after_the_move = async || {
        std::fs::create_dir_all(&entry).unwrap();
        let here = request.path.display().to_string();
        git_ok(&request.repo, &["worktree", "move", &here, &there]).await;
    };
    die_after_the_move().await;
    bench.write(Path::new(&there), "late.txt", "late\n").await;
    assert_kept(&careful(&bench, &request).await, "`late.txt`");
    assert!(request.path.join("late.txt").exists(), "it came back");

    std::fs::remove_file(request.path.join("late.txt")).unwrap();
    die_after_the_move().await;
    bench.git.restore(&request).await.unwrap();
    assert!(request.path.join("README.md").exists(), "a restore brings it home");

    die_after_the_move().await;
    careful(&bench, &request).await;
    bench.tasks.run().await;
    assert_eq!(bench.git.list(&request.repo).await.unwrap().len(), 1);
    assert_eq!(trashed(&bench), [""; 0]);
}

#[tokio::test]
async fn what_is_written_after_the_last_look_stays_in_the_trash() {
    let bench = Bench::new();
    let request = bench.made().await;
    let removed = Removal::Removed { is_branch_deleted: true, preserved: None };
    assert_eq!(careful(&bench, &request).await, removed);
    let files = bench.trash().join("app-1.1/files");
    bench.write(&files, "README.md", "HELLO\n").await;
    bench.tasks.run().await;
    assert_eq!(std::fs::read_to_string(files.join("README.md")).unwrap(), "HELLO\n");
}

#[tokio::test]
async fn what_only_the_branch_remembers_is_preserved_after_its_worktree_went_by_hand() {
    let bench = Bench::new();
    let request = bench.made().await;
    bench.write(&request.path, "work.txt", "work\n").await;
    bench.commit(&request.path).await;
    let lost = git_ok(&request.path, &["rev-parse", "HEAD"]).await;
    git_ok(&request.path, &["reset", "--quiet", "--hard", "HEAD~1"]).await;
    let path = request.path.display().to_string();
    git_ok(&request.repo, &["worktree", "remove", &path]).await;
    let removal = careful(&bench, &request).await;
    assert_eq!(preserved(&removal).as_deref(), Some(PRESERVED));
    assert_eq!(git_ok(&request.repo, &["rev-parse", PRESERVED]).await, lost);
    assert_eq!(bench.branches(&request.repo).await, ["main"]);
}

#[tokio::test]
async fn an_autostash_outlives_the_rebase_that_made_it() {
    let bench = Bench::new();
    let request = bench.made().await;
    let (repo, path) = (&request.repo, &request.path);
    for (dir, text) in [(repo, "theirs\n"), (path, "ours\n")] {
        bench.write(dir, "both.txt", text).await;
        bench.commit(dir).await;
    }
    bench.write(path, "README.md", "stashed\n").await;
    assert!(!git(path, &["rebase", "--autostash", "main"]).await.status.success());
    assert_kept(&careful(&bench, &request).await, "a rebase is in progress");
    bench.git.destroy(&request, RemovalMode::Discard).await.unwrap();
    let all = git_ok(repo, &["rev-list", PRESERVED, "--not", "--branches"]).await;
    let mut texts = Vec::new();
    for commit in all.lines() {
        texts.push(show(repo, commit, "README.md").await);
    }
    assert!(texts.iter().any(|it| it == "stashed"), "{texts:?}");
}

#[tokio::test]
async fn a_worktree_that_is_another_sessions_is_not_removed() {
    let bench = Bench::new();
    let request = bench.made().await;
    let thief = CreateWorkspace { session: SessionId::parse("app-9").unwrap(), ..request.clone() };
    assert_kept(&careful(&bench, &thief).await, "is not this session's worktree");
    assert!(request.path.join("README.md").exists());
    assert_eq!(bench.branches(&request.repo).await, ["ao/app-1", "main"]);
}

#[tokio::test]
async fn the_configuration_of_a_deleted_branch_goes_with_it() {
    let bench = Bench::new();
    let request = bench.made().await;
    git_ok(&request.repo, &["config", "branch.ao/app-1.remote", "origin"]).await;
    git_ok(&request.repo, &["config", "branch.ao/app-11.remote", "origin"]).await;
    careful(&bench, &request).await;
    let left = git_ok(&request.repo, &["config", "--get-regexp", "^branch"]).await;
    assert_eq!(left, "branch.ao/app-11.remote origin");
}
