//! Making worktrees: from the newest base, many at once, and again after a death.

use std::path::Path;

use ao_core::ids::{BranchName, RefName};
use ao_core::ports::{CreateWorkspace, Removal, RemovalMode, Workspace as _};
use ao_testkit::contract::workspace::WorkspaceHarness as _;
use futures_util::future::join_all;

use super::bench::{Bench, fingerprint, git_ok};

#[tokio::test]
async fn sixteen_sessions_start_at_once() {
    let bench = Bench::new();
    let repo = bench.repo().await;
    let requests: Vec<CreateWorkspace> =
        (1..=16).map(|n| bench.request_in(&repo, &format!("app-{n}"))).collect();
    for created in join_all(requests.iter().map(|request| bench.git.create(request))).await {
        created.unwrap();
    }
    let list = bench.git.list(&repo).await.unwrap();
    assert_eq!(list.len(), 17);
    assert!(list.iter().all(|it| it.locked.is_none()), "{list:?}");
    let removals = requests.iter().map(|it| bench.git.destroy(it, RemovalMode::Careful));
    for removal in join_all(removals).await {
        let gone = Removal::Removed { is_branch_deleted: true, preserved: None };
        assert_eq!(removal.unwrap(), gone);
    }
    assert_eq!(git_ok(&repo, &["for-each-ref", "--format=%(refname)"]).await, "refs/heads/main");
}

#[tokio::test]
async fn work_starts_from_what_the_remote_has_by_now() {
    let bench = Bench::new();
    let upstream = bench.repo().await;
    let clone = bench.dir("clone");
    let (from, to) = (upstream.display().to_string(), clone.display().to_string());
    git_ok(&upstream, &["clone", "--quiet", &from, &to]).await;
    bench.write(&upstream, "newer.txt", "newer\n").await;
    bench.commit(&upstream).await;
    let newest = git_ok(&upstream, &["rev-parse", "main"]).await;

    for base in [None, Some("main"), Some("origin/main")] {
        let base = base.map(RefName::new);
        let request = CreateWorkspace { base, ..bench.request_in(&clone, "app-1") };
        let created = bench.git.create(&request).await.unwrap();
        assert_eq!(created.base_sha.as_str(), newest, "{:?}", request.base);
        assert_eq!((created.base.as_str(), created.stale), ("origin/main", None));
        assert!(created.path.join("newer.txt").exists());
        let config = git_ok(&clone, &["config", "--list", "--local"]).await;
        assert!(!config.contains("branch.ao/"), "nothing tracks: {config}");
        bench.git.destroy(&request, RemovalMode::Careful).await.unwrap();
    }

    bench.add_branch(&upstream, "only-there").await;
    let base = Some(RefName::new("only-there"));
    let request = CreateWorkspace { base, ..bench.request_in(&clone, "app-2") };
    bench.git.preflight(&request).await.unwrap();
    let created = bench.git.create(&request).await.unwrap();
    assert_eq!(created.base.as_str(), "origin/only-there");

    bench.write(&clone, "local.txt", "mine\n").await;
    bench.commit(&clone).await;
    let base = Some(RefName::new("main"));
    let request = CreateWorkspace { base, ..bench.request_in(&clone, "app-3") };
    let created = bench.git.create(&request).await.unwrap();
    assert_eq!(
        created.base.as_str(),
        "main",
        "a local branch with commits of its own stays itself"
    );
}

#[tokio::test]
async fn a_remote_that_does_not_answer_is_told_and_stops_nobody() {
    let bench = Bench::new();
    let repo = bench.repo().await;
    git_ok(&repo, &["remote", "add", "origin", "/no/such/repository"]).await;
    git_ok(&repo, &["update-ref", "refs/remotes/origin/main", "main"]).await;
    let created = bench.git.create(&bench.request_in(&repo, "app-1")).await.unwrap();
    let stale = created.stale.unwrap();
    assert!(stale.starts_with("remote `origin` could not be asked: "), "{stale}");
    assert!(created.path.join("README.md").exists());
}

#[tokio::test]
async fn a_session_is_restored_even_when_its_base_is_gone() {
    let bench = Bench::new();
    let request = bench.request().await;
    bench.add_branch(&request.repo, "topic").await;
    let request = CreateWorkspace { base: Some(RefName::new("topic")), ..request };
    let created = bench.git.create(&request).await.unwrap();
    bench.write(&request.path, "work.txt", "work\n").await;
    bench.commit(&request.path).await;
    bench.git.destroy(&request, RemovalMode::Careful).await.unwrap();
    git_ok(&request.repo, &["branch", "--quiet", "--delete", "--force", "topic"]).await;
    let restored = bench.git.restore(&request).await.unwrap();
    assert_eq!(restored.base_sha, created.base_sha);
    assert_eq!(bench.git.inspect(&request).await.unwrap().n_commits_ahead, 1);
    let new = bench.request_in(&request.repo, "app-2");
    let new = CreateWorkspace { base: request.base, ..new };
    assert_eq!(bench.git.create(&new).await.unwrap_err().code(), "BASE_MISSING");
}

#[tokio::test]
async fn a_half_made_worktree_is_set_aside_and_made_anew() {
    let bench = Bench::new();
    let request = bench.request().await;
    let path = request.path.display().to_string();
    git_ok(&request.repo, &["branch", "ao/app-1"]).await;
    // What a git that was killed leaves: registered, locked, and some of the files.
    let add = ["worktree", "add", "--quiet", "--no-checkout", "--lock", "--reason", "initializing"];
    git_ok(&request.repo, &[&add[..], &[&path, "ao/app-1"]].concat()).await;
    bench.write(&request.path, "half.txt", "half\n").await;

    let created = bench.git.create(&request).await.unwrap();
    assert_eq!(created.path, request.path);
    let list = bench.git.list(&request.repo).await.unwrap();
    assert!(list.len() == 2 && list.iter().all(|it| it.locked.is_none()), "{list:?}");
    assert!(request.path.join("README.md").exists() && !request.path.join("half.txt").exists());
    let kept = fingerprint(&bench.trash());
    assert!(kept.iter().any(|it| it.starts_with("app-1.1/files/half.txt ")), "{kept:?}");
}

#[tokio::test]
async fn a_half_made_worktree_goes_with_its_session() {
    let bench = Bench::new();
    let request = bench.made().await;
    let admin = git_ok(&request.path, &["rev-parse", "--absolute-git-dir"]).await;
    std::fs::remove_file(Path::new(&admin).join("ao-ready")).unwrap();
    let removal = bench.git.destroy(&request, RemovalMode::Careful).await.unwrap();
    assert_eq!(removal, Removal::Removed { is_branch_deleted: true, preserved: None });
    assert_eq!(bench.git.list(&request.repo).await.unwrap().len(), 1);
    assert_eq!(bench.branches(&request.repo).await, ["main"]);
}

#[tokio::test]
async fn a_checkout_that_fails_leaves_neither_worktree_nor_branch() {
    let bench = Bench::new();
    let request = bench.request().await;
    bench.write(&request.repo, ".gitattributes", "*.bin filter=broken\n").await;
    bench.write(&request.repo, "a.bin", "bytes\n").await;
    bench.commit(&request.repo).await;
    git_ok(&request.repo, &["config", "filter.broken.smudge", "false"]).await;
    git_ok(&request.repo, &["config", "filter.broken.required", "true"]).await;
    let error = bench.git.create(&request).await.unwrap_err();
    assert_eq!(error.code(), "GIT_FAILED");
    assert_eq!(bench.git.list(&request.repo).await.unwrap().len(), 1);
    assert_eq!(bench.branches(&request.repo).await, ["main"]);
    assert!(!request.path.exists());
    git_ok(&request.repo, &["config", "--unset", "filter.broken.smudge"]).await;
    git_ok(&request.repo, &["config", "--unset", "filter.broken.required"]).await;
    bench.git.create(&request).await.unwrap();
}

#[tokio::test]
async fn a_branch_name_that_cannot_stand_beside_another_is_taken() {
    let bench = Bench::new();
    let request = bench.request().await;
    bench.add_branch(&request.repo, "feature").await;
    bench.add_branch(&request.repo, "a/b/c").await;
    for name in ["feature/x", "a/b", "a"] {
        let branch = BranchName::new(name);
        let request = CreateWorkspace { branch, ..request.clone() };
        assert_eq!(bench.git.preflight(&request).await.unwrap_err().code(), "BRANCH_TAKEN");
        assert_eq!(bench.git.create(&request).await.unwrap_err().code(), "BRANCH_TAKEN");
    }
}

#[tokio::test]
async fn a_session_of_the_same_name_in_another_home_keeps_its_worktree() {
    let bench = Bench::new();
    let theirs = bench.made().await;
    std::fs::write(theirs.path.join("work"), "theirs").unwrap();
    let ours = bench.request_in(&theirs.repo, theirs.session.as_str());
    assert_eq!(bench.git.preflight(&ours).await.unwrap_err().code(), "BRANCH_TAKEN");
    assert_eq!(bench.git.create(&ours).await.unwrap_err().code(), "BRANCH_TAKEN");
    bench.git.destroy(&ours, RemovalMode::Discard).await.unwrap();
    assert_eq!(std::fs::read_to_string(theirs.path.join("work")).unwrap(), "theirs");
    assert_eq!(bench.git.create(&theirs).await.unwrap().path, theirs.path);
}

#[tokio::test]
async fn a_branch_wins_over_a_tag_of_the_same_name() {
    let bench = Bench::new();
    let request = bench.request().await;
    git_ok(&request.repo, &["tag", "topic"]).await;
    git_ok(&request.repo, &["tag", "ao/app-1"]).await;
    git_ok(&request.repo, &["checkout", "--quiet", "-b", "topic"]).await;
    bench.write(&request.repo, "topic.txt", "topic\n").await;
    bench.commit(&request.repo).await;
    let request = CreateWorkspace { base: Some(RefName::new("topic")), ..request };
    let created = bench.git.create(&request).await.unwrap();
    assert!(created.path.join("topic.txt").exists());
    let branch = git_ok(&created.path, &["symbolic-ref", "HEAD"]).await;
    assert_eq!(branch, "refs/heads/ao/app-1");
}

#[tokio::test]
async fn bare_repositories_subdirectories_and_odd_paths_work() {
    let bench = Bench::new();
    let source = bench.repo().await;
    let bare = bench.dir("bare repo\nwith a line end");
    let (from, to) = (source.display().to_string(), bare.display().to_string());
    git_ok(&source, &["clone", "--quiet", "--bare", &from, &to]).await;
    let request = bench.request_in(&bare, "app-1");
    let path = bench.dir("odd ünd 'quoted' \"path\"\n");
    let request = CreateWorkspace { path, ..request };
    let created = bench.git.create(&request).await.unwrap();
    assert!(created.path.join("README.md").exists());
    assert_eq!(bench.git.discover(&created.path).await.unwrap(), bare);
    let deep = created.path.join("a/b");
    std::fs::create_dir_all(&deep).unwrap();
    assert_eq!(bench.git.discover(&deep).await.unwrap(), bare);
    bench.write(&deep, "new.txt", "new\n").await;
    let look = bench.git.inspect(&request).await.unwrap();
    assert_eq!(look.dirty_paths, ["a/b/new.txt"]);
    std::fs::remove_dir_all(created.path.join("a")).unwrap();
    let removal = bench.git.destroy(&request, RemovalMode::Careful).await.unwrap();
    assert!(matches!(removal, Removal::Removed { is_branch_deleted: true, .. }), "{removal:?}");
}
