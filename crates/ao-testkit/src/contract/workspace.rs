//! What every [`Workspace`] promises.
//!
//! Each check starts from a repository of its own, so that they may run in any order.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a contract fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ao_core::ids::{BranchName, RefName, SessionId};
use ao_core::ports::{
    Appraisal, BoxFuture, CreateWorkspace, DiffStat, Ensured, MarkedBy, Removal, RemovalMode,
    Workspace, WorkspaceError, WorkspaceTrace,
};
use ao_core::saga::PreImage;

use crate::workspace::workspace_request;

/// What a contract needs beyond the port: somebody who works in the worktrees.
pub trait WorkspaceHarness: Send + Sync {
    /// The port.
    fn workspace(&self) -> Arc<dyn Workspace>;

    /// A new repository with one commit on `main`, which holds a `README.md`.
    fn repo(&self) -> BoxFuture<'_, PathBuf>;

    /// A new repository without any commit.
    fn unborn_repo(&self) -> BoxFuture<'_, PathBuf>;

    /// A path at which nothing stands, for a worktree of this repository.
    fn free_path(&self, repo: &Path) -> PathBuf;

    /// Puts something at a path that is no worktree.
    fn occupy<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, ()>;

    /// Writes a file in a worktree.
    fn write<'a>(&'a self, dir: &'a Path, name: &'a str, text: &'a str) -> BoxFuture<'a, ()>;

    /// Reads a file of a worktree.
    fn read<'a>(&'a self, dir: &'a Path, name: &'a str) -> BoxFuture<'a, Option<String>>;

    /// Commits everything in a worktree.
    fn commit<'a>(&'a self, dir: &'a Path) -> BoxFuture<'a, ()>;

    /// Detaches the head of a worktree.
    fn detach<'a>(&'a self, dir: &'a Path) -> BoxFuture<'a, ()>;

    /// Locks a worktree.
    fn lock<'a>(&'a self, dir: &'a Path, reason: &'a str) -> BoxFuture<'a, ()>;

    /// Leaves a merge in progress in a worktree.
    fn begin_merge<'a>(&'a self, dir: &'a Path) -> BoxFuture<'a, ()>;

    /// Removes the directory of a worktree, behind git's back.
    fn remove_dir<'a>(&'a self, dir: &'a Path) -> BoxFuture<'a, ()>;

    /// Makes a branch from `main`.
    fn add_branch<'a>(&'a self, repo: &'a Path, branch: &'a str) -> BoxFuture<'a, ()>;

    /// Moves `main` to a branch that was made from it.
    fn fast_forward_main<'a>(&'a self, repo: &'a Path, branch: &'a str) -> BoxFuture<'a, ()>;

    /// Puts all that a branch changed on `main`, as one commit.
    fn squash_into_main<'a>(&'a self, repo: &'a Path, branch: &'a str) -> BoxFuture<'a, ()>;

    /// The branches of a repository.
    fn branches<'a>(&'a self, repo: &'a Path) -> BoxFuture<'a, Vec<String>>;
}

const BRANCH: &str = "ao/app-1";

fn session() -> SessionId {
    SessionId::parse("app-1").unwrap()
}

async fn fresh(harness: &dyn WorkspaceHarness) -> CreateWorkspace {
    let repo = harness.repo().await;
    let path = harness.free_path(&repo);
    workspace_request(repo, &session(), path, BRANCH)
}

/// A request whose worktree was made; its path as the port resolved it.
async fn made(harness: &dyn WorkspaceHarness) -> CreateWorkspace {
    let mut request = fresh(harness).await;
    request.path = harness.workspace().create(&request).await.unwrap().path;
    request
}

async fn destroy(
    harness: &dyn WorkspaceHarness,
    request: &CreateWorkspace,
    mode: RemovalMode,
) -> Removal {
    harness.workspace().destroy(request, mode).await.unwrap()
}

async fn is_registered(harness: &dyn WorkspaceHarness, request: &CreateWorkspace) -> bool {
    harness.workspace().inspect(request).await.unwrap().is_registered
}

/// Runs every check.
pub async fn workspace_contract(harness: &dyn WorkspaceHarness) {
    Box::pin(preflight_refuses_before_anything_happens(harness)).await;
    Box::pin(a_worktree_is_made_from_its_base(harness)).await;
    Box::pin(a_second_create_finds_the_first_with_its_changes(harness)).await;
    Box::pin(a_branch_that_exists_is_checked_out_and_outlives_its_worktree(harness)).await;
    Box::pin(a_look_counts_what_is_uncommitted(harness)).await;
    Box::pin(a_clean_worktree_goes_with_its_branch_and_twice_is_as_good(harness)).await;
    Box::pin(commits_keep_the_branch_and_a_restore_brings_them_back(harness)).await;
    Box::pin(merged_work_takes_its_branch_along(harness)).await;
    Box::pin(only_what_is_merged_goes_with_a_cleanup(harness)).await;
    Box::pin(squashed_work_goes_and_is_preserved(harness)).await;
    Box::pin(work_keeps_the_worktree(harness)).await;
    Box::pin(a_repository_tells_whose_worktrees_and_refs_it_has(harness)).await;
    Box::pin(what_nobody_would_look_for_keeps_a_worktree_that_must_be_spotless(harness)).await;
    Box::pin(a_discard_preserves_first(harness)).await;
    Box::pin(what_was_discarded_comes_back_as_it_was(harness)).await;
    Box::pin(commits_that_no_branch_has_are_preserved(harness)).await;
    Box::pin(a_directory_that_is_gone_is_let_go_of(harness)).await;
    Box::pin(an_undo_removes_only_what_was_absent_and_did_not_change(harness)).await;
    Box::pin(excluded_files_are_not_changes(harness)).await;
    Box::pin(a_repository_is_discovered_from_within(harness)).await;
}

async fn preflight_refuses_before_anything_happens(harness: &dyn WorkspaceHarness) {
    let workspace = harness.workspace();
    let good = fresh(harness).await;
    let code = async |request: CreateWorkspace| match workspace.preflight(&request).await {
        Ok(pre_image) => format!("{pre_image:?}"),
        Err(error) => error.code().to_owned(),
    };
    let nowhere = good.repo.join("no-such-directory");
    assert_eq!(code(CreateWorkspace { repo: nowhere, ..good.clone() }).await, "NOT_A_REPO");
    let unborn = harness.unborn_repo().await;
    assert_eq!(code(CreateWorkspace { repo: unborn, ..good.clone() }).await, "UNBORN");
    for name in ["-evil", "a..b", "a b", "a.lock", "@{-1}", "@", "", "HEAD", "a//b", "a\u{7f}"] {
        let branch = BranchName::new(name);
        let got = code(CreateWorkspace { branch, ..good.clone() }).await;
        assert_eq!(got, "BRANCH_INVALID", "{name}");
    }
    for name in ["no-such-base", "--help", "", "main^{blob}"] {
        let base = Some(RefName::new(name));
        let got = code(CreateWorkspace { base, ..good.clone() }).await;
        assert_eq!(got, "BASE_MISSING", "{name}");
    }
    let main = CreateWorkspace { branch: BranchName::new("main"), ..good.clone() };
    match workspace.preflight(&main).await {
        Err(WorkspaceError::BranchTaken { at: Some(at), .. }) => assert_eq!(at, good.repo),
        other => panic!("`main` is checked out: {other:?}"),
    }
    let occupied = harness.free_path(&good.repo);
    harness.occupy(&occupied).await;
    assert_eq!(code(CreateWorkspace { path: occupied, ..good.clone() }).await, "PATH_TAKEN");

    let pre_image = workspace.preflight(&good).await.unwrap();
    let expected = PreImage { branch_at: None, path_existed: false, is_recorded: true };
    assert_eq!(pre_image, expected);
    assert_eq!(harness.branches(&good.repo).await, ["main"]);
    assert_eq!(workspace.list(&good.repo).await.unwrap().len(), 1);
}

async fn a_worktree_is_made_from_its_base(harness: &dyn WorkspaceHarness) {
    let workspace = harness.workspace();
    let request = fresh(harness).await;
    let created = workspace.create(&request).await.unwrap();
    assert_eq!(created.base, RefName::new("main"));
    assert_eq!(created.stale, None);
    assert_eq!(harness.read(&created.path, "README.md").await.as_deref(), Some("hello\n"));
    let list = workspace.list(&request.repo).await.unwrap();
    assert_eq!(list.len(), 2, "{list:?}");
    let ours = list.iter().find(|it| it.path == created.path).unwrap();
    assert_eq!(ours.branch, Some(request.branch.clone()));
    assert_eq!(ours.head, Some(created.base_sha.clone()));
    assert_eq!((ours.locked.clone(), ours.is_prunable), (None, false));
    let look = workspace.inspect(&request).await.unwrap();
    assert!(look.exists && look.is_registered && look.dirty_paths.is_empty(), "{look:?}");
    assert_eq!((look.n_commits_ahead, look.diff), (0, DiffStat::default()));
    assert_eq!(workspace.diff(&request).await.unwrap(), "");

    let path = harness.free_path(&request.repo);
    let other = SessionId::parse("app-2").unwrap();
    let second = workspace_request(&request.repo, &other, path, BRANCH);
    match workspace.create(&second).await {
        Err(WorkspaceError::BranchTaken { at: Some(at), .. }) => assert_eq!(at, created.path),
        other => panic!("the branch is checked out: {other:?}"),
    }
    let same_path = workspace_request(&request.repo, &other, &created.path, "ao/app-2");
    let refused = workspace.create(&same_path).await.unwrap_err();
    assert_eq!(refused.code(), "PATH_TAKEN");
    assert_eq!(harness.branches(&request.repo).await, [BRANCH, "main"]);
}

async fn a_second_create_finds_the_first_with_its_changes(harness: &dyn WorkspaceHarness) {
    let workspace = harness.workspace();
    let request = fresh(harness).await;
    let first = workspace.create(&request).await.unwrap();
    harness.write(&first.path, "new.txt", "mine\n").await;
    harness.write(&first.path, "README.md", "changed\n").await;
    assert_eq!(workspace.create(&request).await.unwrap(), first);
    assert_eq!(harness.read(&first.path, "new.txt").await.as_deref(), Some("mine\n"));
    assert_eq!(harness.read(&first.path, "README.md").await.as_deref(), Some("changed\n"));
    assert!(workspace.preflight(&request).await.unwrap().path_existed);
}

async fn a_branch_that_exists_is_checked_out_and_outlives_its_worktree(
    harness: &dyn WorkspaceHarness,
) {
    let workspace = harness.workspace();
    let request = fresh(harness).await;
    harness.add_branch(&request.repo, BRANCH).await;
    assert!(workspace.preflight(&request).await.unwrap().branch_at.is_some());
    workspace.create(&request).await.unwrap();
    let removal = destroy(harness, &request, RemovalMode::Careful).await;
    assert_eq!(removal, Removal::Removed { is_branch_deleted: false, preserved: None });
    assert_eq!(harness.branches(&request.repo).await, [BRANCH, "main"]);
}

async fn a_look_counts_what_is_uncommitted(harness: &dyn WorkspaceHarness) {
    let workspace = harness.workspace();
    let request = made(harness).await;
    harness.write(&request.path, "committed.txt", "1\n2\n3\n").await;
    harness.commit(&request.path).await;
    harness.write(&request.path, "untracked.txt", "new line\n").await;
    harness.write(&request.path, "README.md", "other\n").await;
    let look = workspace.inspect(&request).await.unwrap();
    let mut dirty = look.dirty_paths.clone();
    dirty.sort();
    assert_eq!(dirty, ["README.md", "untracked.txt"]);
    assert_eq!(look.n_commits_ahead, 1);
    assert_eq!(look.diff, DiffStat { n_added: 5, n_removed: 1, n_files: 3 });
    let diff = workspace.diff(&request).await.unwrap();
    for line in ["+1", "+new line", "-hello", "+other"] {
        assert!(diff.lines().any(|it| it == line), "{line} in {diff}");
    }
    let after = workspace.inspect(&request).await.unwrap();
    assert_eq!(after, look, "a look changes nothing");
}

async fn a_clean_worktree_goes_with_its_branch_and_twice_is_as_good(
    harness: &dyn WorkspaceHarness,
) {
    let request = made(harness).await;
    let removal = destroy(harness, &request, RemovalMode::Careful).await;
    assert_eq!(removal, Removal::Removed { is_branch_deleted: true, preserved: None });
    assert!(!is_registered(harness, &request).await);
    assert_eq!(harness.read(&request.path, "README.md").await, None);
    assert_eq!(harness.branches(&request.repo).await, ["main"]);
    let again = destroy(harness, &request, RemovalMode::Careful).await;
    assert_eq!(again, Removal::Removed { is_branch_deleted: false, preserved: None });
}

async fn commits_keep_the_branch_and_a_restore_brings_them_back(harness: &dyn WorkspaceHarness) {
    let workspace = harness.workspace();
    let request = made(harness).await;
    let base = workspace.create(&request).await.unwrap().base_sha;
    harness.write(&request.path, "work.txt", "work\n").await;
    harness.commit(&request.path).await;
    let removal = destroy(harness, &request, RemovalMode::Careful).await;
    assert_eq!(removal, Removal::Removed { is_branch_deleted: false, preserved: None });
    assert!(!is_registered(harness, &request).await);
    let restored = workspace.restore(&request).await.unwrap();
    assert_eq!((restored.path, restored.base_sha), (request.path.clone(), base));
    assert_eq!(harness.read(&request.path, "work.txt").await.as_deref(), Some("work\n"));
    assert_eq!(workspace.inspect(&request).await.unwrap().n_commits_ahead, 1);
}

async fn merged_work_takes_its_branch_along(harness: &dyn WorkspaceHarness) {
    let request = made(harness).await;
    harness.write(&request.path, "work.txt", "work\n").await;
    harness.commit(&request.path).await;
    harness.fast_forward_main(&request.repo, BRANCH).await;
    let removal = destroy(harness, &request, RemovalMode::Careful).await;
    assert_eq!(removal, Removal::Removed { is_branch_deleted: true, preserved: None });
    assert_eq!(harness.branches(&request.repo).await, ["main"]);
}

async fn appraise(
    harness: &dyn WorkspaceHarness,
    request: &CreateWorkspace,
    mode: RemovalMode,
) -> Appraisal {
    harness.workspace().appraise(request, mode).await.unwrap()
}

#[track_caller]
fn assert_stays(appraisal: &Appraisal, because: &str) {
    match appraisal {
        Appraisal::Stays { because: said } => assert!(said.contains(because), "{said}"),
        other @ (Appraisal::Nothing | Appraisal::Goes { .. }) => {
            panic!("`{because}` does not keep it: {other:?}")
        }
    }
}

async fn only_what_is_merged_goes_with_a_cleanup(harness: &dyn WorkspaceHarness) {
    const MERGED: RemovalMode = RemovalMode::Merged;
    let workspace = harness.workspace();

    let unused = made(harness).await;
    assert!(matches!(appraise(harness, &unused, MERGED).await, Appraisal::Goes { .. }));
    assert!(is_registered(harness, &unused).await, "it was only told");
    assert_eq!(destroy(harness, &unused, MERGED).await, removed(true));
    assert_eq!(appraise(harness, &unused, MERGED).await, Appraisal::Nothing);
    assert_eq!(destroy(harness, &unused, MERGED).await, removed(false));

    let request = made(harness).await;
    assert_eq!(workspace.refresh_base(&request).await.unwrap(), None);
    harness.write(&request.path, "work.txt", "work\n").await;
    assert_stays(&appraise(harness, &request, MERGED).await, "`work.txt`");
    assert_kept(&destroy(harness, &request, MERGED).await, "`work.txt`");
    harness.commit(&request.path).await;
    assert_stays(&appraise(harness, &request, MERGED).await, "does not have");
    assert_kept(&destroy(harness, &request, MERGED).await, "does not have");
    assert_eq!(harness.read(&request.path, "work.txt").await.as_deref(), Some("work\n"));
    for mode in [RemovalMode::Careful, RemovalMode::Discard] {
        let appraisal = appraise(harness, &request, mode).await;
        assert!(matches!(appraisal, Appraisal::Goes { .. }), "{mode:?}: {appraisal:?}");
    }
    // Its worktree goes with a kill, its branch stays, and is freed once it is merged.
    assert_eq!(destroy(harness, &request, RemovalMode::Careful).await, removed(false));
    for mode in [MERGED, RemovalMode::Discard] {
        assert_stays(&appraise(harness, &request, mode).await, "does not have");
        assert_eq!(destroy(harness, &request, mode).await, removed(false));
    }
    harness.fast_forward_main(&request.repo, BRANCH).await;
    assert!(matches!(appraise(harness, &request, MERGED).await, Appraisal::Goes { .. }));
    assert_eq!(harness.branches(&request.repo).await, [BRANCH, "main"]);
    assert_eq!(destroy(harness, &request, MERGED).await, removed(true));
    assert_eq!(harness.branches(&request.repo).await, ["main"]);

    let locked = made(harness).await;
    harness.lock(&locked.path, "on a stick").await;
    for mode in [MERGED, RemovalMode::Discard] {
        assert_stays(&appraise(harness, &locked, mode).await, "locked: on a stick");
    }
    let nowhere = locked.repo.join("no-such-directory");
    let homeless = CreateWorkspace { repo: nowhere, ..locked };
    assert_stays(&appraise(harness, &homeless, MERGED).await, "cannot be found");
}

async fn squashed_work_goes_and_is_preserved(harness: &dyn WorkspaceHarness) {
    const MERGED: RemovalMode = RemovalMode::Merged;
    let request = made(harness).await;
    for (name, text) in [("one.txt", "one\n"), ("two.txt", "two\n")] {
        harness.write(&request.path, name, text).await;
        harness.commit(&request.path).await;
    }
    assert_stays(&appraise(harness, &request, MERGED).await, "does not have");
    harness.squash_into_main(&request.repo, BRANCH).await;
    assert!(matches!(appraise(harness, &request, MERGED).await, Appraisal::Goes { .. }));

    // What came after it is work again.
    harness.write(&request.path, "three.txt", "three\n").await;
    harness.commit(&request.path).await;
    assert_stays(&appraise(harness, &request, MERGED).await, "does not have");
    harness.squash_into_main(&request.repo, BRANCH).await;

    // No branch has its commits any more, so that they are preserved.
    let removal = destroy(harness, &request, MERGED).await;
    let is_right =
        matches!(removal, Removal::Removed { is_branch_deleted: true, preserved: Some(_) });
    assert!(is_right, "{removal:?}");
    assert_eq!(harness.branches(&request.repo).await, ["main"]);
}

#[track_caller]
fn assert_kept(removal: &Removal, because: &str) {
    match removal {
        Removal::Kept { because: said } => assert!(said.contains(because), "{said}"),
        Removal::Removed { .. } => panic!("removed in spite of `{because}`"),
    }
}

fn removed(is_branch_deleted: bool) -> Removal {
    Removal::Removed { is_branch_deleted, preserved: None }
}

async fn a_repository_tells_whose_worktrees_and_refs_it_has(harness: &dyn WorkspaceHarness) {
    let workspace = harness.workspace();
    let request = fresh(harness).await;
    assert_eq!(workspace.traces(&request.repo).await, Ok(Vec::new()));
    let path = workspace.create(&request).await.unwrap().path;
    let request = CreateWorkspace { path, ..request };
    let traces = workspace.traces(&request.repo).await.unwrap();
    let [WorkspaceTrace { session: found, worktree: Some(marked) }] = &traces[..] else {
        panic!("one worktree: {traces:?}")
    };
    assert_eq!((found, marked.by), (&session(), MarkedBy::ThisHome));
    assert_eq!((&marked.made_at, &marked.worktree.path), (&request.path, &request.path));
    assert_eq!(marked.worktree.branch, Some(request.branch.clone()));
    // Its name stays known for as long as its branch does.
    harness.write(&request.path, "work.txt", "work\n").await;
    harness.commit(&request.path).await;
    assert_eq!(destroy(harness, &request, RemovalMode::Careful).await, removed(false));
    let left = WorkspaceTrace { session: session(), worktree: None };
    assert_eq!(workspace.traces(&request.repo).await, Ok(vec![left]));
    let nowhere = request.repo.join("no-such-directory");
    assert!(workspace.traces(&nowhere).await.is_err());
}

async fn what_nobody_would_look_for_keeps_a_worktree_that_must_be_spotless(
    harness: &dyn WorkspaceHarness,
) {
    const SPOTLESS: RemovalMode = RemovalMode::Spotless;
    let request = made(harness).await;
    harness.write(&request.path, "work.txt", "work\n").await;
    assert_stays(&appraise(harness, &request, SPOTLESS).await, "`work.txt`");
    assert_kept(&destroy(harness, &request, SPOTLESS).await, "`work.txt`");
    harness.commit(&request.path).await;
    assert_stays(&appraise(harness, &request, SPOTLESS).await, "does not have");
    assert_kept(&destroy(harness, &request, SPOTLESS).await, "does not have");
    harness.fast_forward_main(&request.repo, BRANCH).await;
    let ignored = ["local.db".to_owned()];
    harness.workspace().exclude(&request.repo, &ignored).await.unwrap();
    harness.write(&request.path, "local.db", "rows\n").await;
    let merged = appraise(harness, &request, RemovalMode::Merged).await;
    assert!(matches!(merged, Appraisal::Goes { .. }), "{merged:?}");
    assert_stays(&appraise(harness, &request, SPOTLESS).await, "ignored files");
    assert_kept(&destroy(harness, &request, SPOTLESS).await, "ignored files");
    assert_eq!(harness.read(&request.path, "local.db").await.as_deref(), Some("rows\n"));
    let clean = made(harness).await;
    assert!(matches!(appraise(harness, &clean, SPOTLESS).await, Appraisal::Goes { .. }));
    assert_eq!(destroy(harness, &clean, SPOTLESS).await, removed(true));
}

async fn work_keeps_the_worktree(harness: &dyn WorkspaceHarness) {
    let workspace = harness.workspace();
    let request = made(harness).await;
    harness.write(&request.path, "untracked.txt", "precious\n").await;
    let removal = destroy(harness, &request, RemovalMode::Careful).await;
    assert_kept(&removal, "`untracked.txt`");
    assert_eq!(harness.read(&request.path, "untracked.txt").await.as_deref(), Some("precious\n"));
    harness.commit(&request.path).await;
    harness.write(&request.path, "README.md", "edited\n").await;
    assert_kept(&destroy(harness, &request, RemovalMode::Careful).await, "`README.md`");
    assert_eq!(harness.read(&request.path, "README.md").await.as_deref(), Some("edited\n"));

    let locked = made(harness).await;
    harness.lock(&locked.path, "on a stick").await;
    for mode in [RemovalMode::Careful, RemovalMode::Discard] {
        assert_kept(&destroy(harness, &locked, mode).await, "locked: on a stick");
    }
    assert_eq!(workspace.inspect(&locked).await.unwrap().locked.as_deref(), Some("on a stick"));

    let merging = made(harness).await;
    harness.begin_merge(&merging.path).await;
    let nowhere = merging.repo.join("no-such-directory");
    let homeless = CreateWorkspace { repo: nowhere, ..merging.clone() };
    assert_kept(&destroy(harness, &homeless, RemovalMode::Careful).await, "cannot be found");
    let undone = workspace.undo_create(&homeless, &PreImage::default()).await.unwrap();
    assert_kept(&undone, "cannot be found");

    let look = workspace.inspect(&merging).await.unwrap();
    assert_eq!(look.operation.as_deref(), Some("merge"));
    assert_kept(&destroy(harness, &merging, RemovalMode::Careful).await, "a merge is in progress");
    assert!(is_registered(harness, &merging).await);
}

async fn a_discard_preserves_first(harness: &dyn WorkspaceHarness) {
    let request = made(harness).await;
    harness.write(&request.path, "untracked.txt", "precious\n").await;
    let removal = destroy(harness, &request, RemovalMode::Discard).await;
    let preserved = Some(RefName::new("refs/ao/preserved/app-1"));
    assert_eq!(removal, Removal::Removed { is_branch_deleted: true, preserved });
    assert!(!is_registered(harness, &request).await);
    assert_eq!(harness.read(&request.path, "untracked.txt").await, None);
    let again = destroy(harness, &request, RemovalMode::Discard).await;
    assert_eq!(again, Removal::Removed { is_branch_deleted: false, preserved: None });

    let clean = made(harness).await;
    let removal = destroy(harness, &clean, RemovalMode::Discard).await;
    assert_eq!(removal, Removal::Removed { is_branch_deleted: true, preserved: None });
}

async fn what_was_discarded_comes_back_as_it_was(harness: &dyn WorkspaceHarness) {
    let workspace = harness.workspace();
    let request = made(harness).await;
    assert_eq!(workspace.recover(&request).await.unwrap(), None, "nothing was set aside");
    harness.write(&request.path, "committed.txt", "committed\n").await;
    harness.commit(&request.path).await;
    harness.write(&request.path, "untracked.txt", "precious\n").await;
    harness.write(&request.path, "README.md", "edited\n").await;
    let before = workspace.inspect(&request).await.unwrap();
    destroy(harness, &request, RemovalMode::Discard).await;

    let recovered = workspace.recover(&request).await.unwrap().unwrap();
    assert_eq!(recovered.worktree.as_ref(), Some(&request.path));
    assert_eq!(recovered.branch.as_ref(), Some(&request.branch));
    assert_eq!(recovered.preserved, Some(RefName::new("refs/ao/preserved/app-1")));
    assert!(!recovered.restored.is_empty());
    assert_eq!(workspace.inspect(&request).await.unwrap(), before);
    for (name, text) in [("untracked.txt", "precious\n"), ("README.md", "edited\n")] {
        assert_eq!(harness.read(&request.path, name).await.as_deref(), Some(text));
    }

    harness.write(&request.path, "README.md", "later\n").await;
    let again = workspace.recover(&request).await.unwrap().unwrap();
    assert_eq!((again.worktree, again.branch), (recovered.worktree, recovered.branch));
    assert_eq!(harness.read(&request.path, "README.md").await.as_deref(), Some("later\n"));
    assert_kept(&destroy(harness, &request, RemovalMode::Careful).await, "`README.md`");

    // One that was restored meanwhile keeps its worktree as it is.
    destroy(harness, &request, RemovalMode::Discard).await;
    workspace.restore(&request).await.unwrap();
    let beside = workspace.recover(&request).await.unwrap().unwrap();
    assert_eq!(beside.worktree, None);
    assert_eq!(beside.branch, Some(BranchName::new("ao/app-1.recovered")));
    assert_eq!(harness.read(&request.path, "README.md").await.as_deref(), Some("hello\n"));
    assert_eq!(workspace.recover(&request).await.unwrap().unwrap().branch, beside.branch);
    let branches = [BRANCH, "ao/app-1.recovered", "main"];
    assert_eq!(harness.branches(&request.repo).await, branches);
}

async fn commits_that_no_branch_has_are_preserved(harness: &dyn WorkspaceHarness) {
    let request = made(harness).await;
    harness.detach(&request.path).await;
    harness.write(&request.path, "detached.txt", "work\n").await;
    harness.commit(&request.path).await;
    let removal = destroy(harness, &request, RemovalMode::Careful).await;
    let preserved = Some(RefName::new("refs/ao/preserved/app-1"));
    assert_eq!(removal, Removal::Removed { is_branch_deleted: true, preserved });
}

async fn a_directory_that_is_gone_is_let_go_of(harness: &dyn WorkspaceHarness) {
    let workspace = harness.workspace();
    let request = made(harness).await;
    harness.remove_dir(&request.path).await;
    let look = workspace.inspect(&request).await.unwrap();
    assert!(!look.exists && look.is_registered, "{look:?}");
    let list = workspace.list(&request.repo).await.unwrap();
    assert!(list.iter().any(|it| it.path == request.path && it.is_prunable), "{list:?}");
    let removal = destroy(harness, &request, RemovalMode::Careful).await;
    assert_eq!(removal, Removal::Removed { is_branch_deleted: true, preserved: None });
    assert!(!is_registered(harness, &request).await);

    let vanished = made(harness).await;
    harness.write(&vanished.path, "work.txt", "work\n").await;
    harness.commit(&vanished.path).await;
    harness.remove_dir(&vanished.path).await;
    workspace.restore(&vanished).await.unwrap();
    assert_eq!(harness.read(&vanished.path, "work.txt").await.as_deref(), Some("work\n"));
}

async fn an_undo_removes_only_what_was_absent_and_did_not_change(harness: &dyn WorkspaceHarness) {
    let workspace = harness.workspace();
    let undo = async |request: &CreateWorkspace, pre_image: &PreImage| {
        workspace.undo_create(request, pre_image).await.unwrap()
    };
    let request = fresh(harness).await;
    let pre_image = workspace.preflight(&request).await.unwrap();
    let nothing = undo(&request, &pre_image).await;
    assert_eq!(nothing, Removal::Removed { is_branch_deleted: false, preserved: None });

    let path = workspace.create(&request).await.unwrap().path;
    assert_kept(&undo(&request, &PreImage::default()).await, "not known");
    let existed = PreImage { path_existed: true, ..pre_image.clone() };
    assert_kept(&undo(&request, &existed).await, "stood there before");
    harness.write(&path, "new.txt", "mine\n").await;
    assert_kept(&undo(&request, &pre_image).await, "`new.txt`");
    assert_eq!(harness.read(&path, "new.txt").await.as_deref(), Some("mine\n"));
    harness.commit(&path).await;
    assert_kept(&undo(&request, &pre_image).await, "new commits");
    assert_eq!(harness.branches(&request.repo).await, [BRANCH, "main"]);

    let request = fresh(harness).await;
    let pre_image = workspace.preflight(&request).await.unwrap();
    workspace.create(&request).await.unwrap();
    let undone = undo(&request, &pre_image).await;
    assert_eq!(undone, Removal::Removed { is_branch_deleted: true, preserved: None });
    assert!(!is_registered(harness, &request).await);
    assert_eq!(harness.branches(&request.repo).await, ["main"]);

    let request = fresh(harness).await;
    harness.add_branch(&request.repo, BRANCH).await;
    let pre_image = workspace.preflight(&request).await.unwrap();
    workspace.create(&request).await.unwrap();
    let undone = undo(&request, &pre_image).await;
    assert_eq!(undone, Removal::Removed { is_branch_deleted: false, preserved: None });
    assert_eq!(harness.branches(&request.repo).await, [BRANCH, "main"]);
}

async fn excluded_files_are_not_changes(harness: &dyn WorkspaceHarness) {
    let workspace = harness.workspace();
    let request = made(harness).await;
    let patterns = [".ao-agent".to_owned(), "node_modules".to_owned()];
    assert_eq!(workspace.exclude(&request.repo, &patterns).await.unwrap(), Ensured::Done);
    assert_eq!(workspace.exclude(&request.repo, &patterns).await.unwrap(), Ensured::AlreadyThere);
    harness.write(&request.path, ".ao-agent", "ours\n").await;
    assert!(workspace.inspect(&request).await.unwrap().dirty_paths.is_empty());
    let removal = destroy(harness, &request, RemovalMode::Careful).await;
    assert_eq!(removal, Removal::Removed { is_branch_deleted: true, preserved: None });
}

async fn a_repository_is_discovered_from_within(harness: &dyn WorkspaceHarness) {
    let workspace = harness.workspace();
    let request = made(harness).await;
    assert_eq!(workspace.discover(&request.repo).await.unwrap(), request.repo);
    assert_eq!(workspace.discover(&request.path).await.unwrap(), request.repo);
    let nowhere = Path::new("/");
    assert_eq!(workspace.discover(nowhere).await.unwrap_err().code(), "NOT_A_REPO");
}
