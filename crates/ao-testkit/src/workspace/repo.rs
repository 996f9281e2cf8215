//! One repository of the fake: commits with trees, branches, worktrees.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ao_core::ids::{BranchName, RefName, SessionId, Sha};
use ao_core::ports::{
    Appraisal, CreateWorkspace, DiffStat, MarkedBy, MarkedWorktree, Recovery, Removal, RemovalMode,
    WorkspaceError, WorkspaceLook, WorkspaceTrace, Worktree,
};
use ao_core::saga::PreImage;

type Tree = BTreeMap<String, String>;

type Patch = BTreeMap<String, Option<String>>;

#[derive(Debug, Clone)]
struct FakeCommit {
    parent: Option<Sha>,
    tree: Tree,
}

#[derive(Debug)]
pub(super) struct FakeWorktree {
    pub(super) session: SessionId,
    pub(super) branch: Option<BranchName>,
    pub(super) head: Sha,
    pub(super) files: Tree,
    pub(super) locked: Option<String>,
    pub(super) operation: Option<String>,
    pub(super) is_dir_missing: bool,
    /// Whose mark it carries.
    pub(super) by: MarkedBy,
    /// Whether it was made from what was preserved.
    is_recovered: bool,
    /// Its number among the worktrees that were ever made.
    pub(super) no: u64,
}

#[derive(Debug, Default)]
pub(super) struct FakeRepo {
    commits: BTreeMap<Sha, FakeCommit>,
    pub(super) branches: BTreeMap<String, Sha>,
    pub(super) worktrees: BTreeMap<PathBuf, FakeWorktree>,
    pub(super) excludes: BTreeSet<String>,
    /// Work that removals set aside, one beside the other: the head and the files.
    pub(super) preserved: BTreeMap<SessionId, Vec<(Sha, Tree)>>,
    /// What each session's branch started from, and whether the branch was made for it.
    bases: BTreeMap<SessionId, (Sha, bool)>,
    n_made: u64,
}

impl FakeRepo {
    pub(super) fn with_a_commit() -> Self {
        let mut repo = Self::default();
        let tree = Tree::from([("README.md".to_owned(), "hello\n".to_owned())]);
        let first = repo.add_commit(None, tree);
        repo.branches.insert("main".to_owned(), first);
        repo
    }

    fn add_commit(&mut self, parent: Option<Sha>, tree: Tree) -> Sha {
        let sha = Sha::new(format!("{:040x}", self.commits.len() + 1));
        self.commits.insert(sha.clone(), FakeCommit { parent, tree });
        sha
    }

    pub(super) fn commit(&mut self, worktree: &mut FakeWorktree) {
        let tree = self.visible(&worktree.files);
        worktree.head = self.add_commit(Some(worktree.head.clone()), tree);
        if let Some(branch) = &worktree.branch {
            self.branches.insert(branch.to_string(), worktree.head.clone());
        }
    }

    /// The files that are not excluded.
    fn visible(&self, files: &Tree) -> Tree {
        let is_visible = |name: &str| !self.excludes.contains(name);
        files
            .iter()
            .filter(|(name, _)| is_visible(name))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }

    fn tree(&self, sha: &Sha) -> Tree {
        self.commits.get(sha).map(|commit| commit.tree.clone()).unwrap_or_default()
    }

    /// A commit and everything before it.
    fn history(&self, tip: &Sha) -> BTreeSet<Sha> {
        let mut seen = BTreeSet::new();
        let mut next = Some(tip.clone());
        while let Some(sha) = next {
            next = self.commits.get(&sha).and_then(|commit| commit.parent.clone());
            seen.insert(sha);
        }
        seen
    }

    /// Moves `main` to where a branch stands, if nothing of `main` is left behind by that.
    pub(super) fn fast_forward_main(&mut self, branch: &str) -> bool {
        let Some(tip) = self.branches.get(branch).cloned() else { return false };
        let is_ahead =
            self.branches.get("main").is_none_or(|main| self.history(&tip).contains(main));
        if is_ahead {
            self.branches.insert("main".to_owned(), tip);
        }
        is_ahead
    }

    /// Puts all that a branch changed on `main`, as one commit; `false` when it changed nothing, or
    /// when `main` has changed the same files since.
    pub(super) fn squash_into_main(&mut self, branch: &str) -> bool {
        let (Some(tip), Some(main)) = (self.branches.get(branch), self.branches.get("main")) else {
            return false;
        };
        let Some(fork) = self.fork(main, tip) else { return false };
        let (before, mut tree) = (self.tree(&fork), self.tree(main));
        let patch = self.patch(&fork, tip);
        let is_conflicting = |(name, text): (&String, &Option<String>)| {
            tree.get(name) != before.get(name) && tree.get(name) != text.as_ref()
        };
        if patch.is_empty() || patch.iter().any(is_conflicting) {
            return false;
        }
        let parent = main.clone();
        for (name, text) in patch {
            match text {
                Some(text) => drop(tree.insert(name, text)),
                None => drop(tree.remove(&name)),
            }
        }
        let squashed = self.add_commit(Some(parent), tree);
        self.branches.insert("main".to_owned(), squashed);
        true
    }

    /// The newest commit that both have in their history.
    fn fork(&self, one: &Sha, other: &Sha) -> Option<Sha> {
        let known = self.history(one);
        let mut next = Some(other.clone());
        while let Some(sha) = next {
            if known.contains(&sha) {
                return Some(sha);
            }
            next = self.commits.get(&sha).and_then(|commit| commit.parent.clone());
        }
        None
    }

    /// What the files became that differ between two commits; nothing for one that went.
    fn patch(&self, from: &Sha, to: &Sha) -> Patch {
        let (old, mut new) = (self.tree(from), self.tree(to));
        let gone = old.keys().filter(|name| !new.contains_key(*name)).cloned().collect::<Vec<_>>();
        new.retain(|name, text| old.get(name) != Some(text));
        let changed = new.into_iter().map(|(name, text)| (name, Some(text)));
        changed.chain(gone.into_iter().map(|name| (name, None))).collect()
    }

    /// Whether a base has all that a commit brings as one change: a commit of it is that change, or
    /// a merge would change nothing.
    fn is_squashed(&self, base: &Sha, tip: &Sha) -> bool {
        let Some(fork) = self.fork(base, tip) else { return false };
        let patch = self.patch(&fork, tip);
        if patch.is_empty() {
            return false;
        }
        let tree = self.tree(base);
        let mut next = Some(base.clone()).filter(|base| *base != fork);
        let is_there =
            next.is_some() && patch.iter().all(|(name, text)| tree.get(name) == text.as_ref());
        while let Some(sha) = next.filter(|sha| !is_there && *sha != fork) {
            let Some(parent) = self.commits.get(&sha).and_then(|it| it.parent.clone()) else {
                return false;
            };
            if self.patch(&parent, &sha) == patch {
                return true;
            }
            next = Some(parent);
        }
        is_there
    }

    /// Whether `main` has all that a commit brings, however it got there.
    pub(super) fn is_in_main(&self, commit: &Sha) -> bool {
        self.branches.get("main").is_some_and(|main| self.has_work(main, commit))
    }

    fn has_work(&self, base: &Sha, tip: &Sha) -> bool {
        self.history(base).contains(tip) || self.is_squashed(base, tip)
    }

    /// Whether a commit is on a branch, or preserved for a session.
    pub(super) fn keeps_commit(&self, session: &SessionId, commit: &Sha) -> bool {
        let preserved = self.preserved.get(session).into_iter().flatten().map(|(head, _)| head);
        self.branches.values().chain(preserved).any(|tip| self.history(tip).contains(commit))
    }

    /// Whether a worktree stands on a commit, or on one that came after it.
    pub(super) fn is_below_a_head(&self, commit: &Sha) -> bool {
        self.worktrees.values().any(|it| self.history(&it.head).contains(commit))
    }

    fn resolve(&self, base: &RefName) -> Option<Sha> {
        let sha = Sha::new(base.as_str());
        let by_sha = self.commits.contains_key(&sha).then_some(sha);
        self.branches.get(base.as_str()).cloned().or(by_sha)
    }

    pub(super) fn base(&self, request: &CreateWorkspace) -> Result<(RefName, Sha), WorkspaceError> {
        if self.commits.is_empty() {
            return Err(WorkspaceError::Unborn { path: request.repo.clone() });
        }
        let base = request.base.clone().unwrap_or_else(|| RefName::new("main"));
        match self.resolve(&base) {
            Some(sha) => Ok((base, sha)),
            None => Err(WorkspaceError::BaseMissing { base }),
        }
    }

    pub(super) fn check_branch_free(
        &self,
        request: &CreateWorkspace,
    ) -> Result<(), WorkspaceError> {
        let taken = |at: Option<PathBuf>| {
            Err(WorkspaceError::BranchTaken { branch: request.branch.clone(), at })
        };
        if request.branch.as_str() == "main" {
            return taken(Some(request.repo.clone()));
        }
        let holder = self.worktrees.iter().find(|(path, it)| {
            it.branch.as_ref() == Some(&request.branch) && **path != request.path
        });
        match holder {
            Some((path, _)) => taken(Some(path.clone())),
            None => Ok(()),
        }
    }

    /// Makes branch and worktree where they are missing, and says what the branch started from.
    pub(super) fn begin(&mut self, request: &CreateWorkspace, base: &Sha) -> Sha {
        let is_made = !self.branches.contains_key(request.branch.as_str());
        let tip =
            self.branches.entry(request.branch.to_string()).or_insert_with(|| base.clone()).clone();
        let recorded = self
            .bases
            .entry(request.session.clone())
            .or_insert_with(|| (base.clone(), is_made))
            .0
            .clone();
        let tree = self.tree(&tip);
        self.n_made += 1;
        let no = self.n_made;
        self.worktrees
            .entry(request.path.clone())
            .and_modify(|it| {
                if it.is_dir_missing {
                    it.files.clone_from(&tree);
                    it.is_dir_missing = false;
                }
            })
            .or_insert_with(|| FakeWorktree {
                session: request.session.clone(),
                branch: Some(request.branch.clone()),
                head: tip,
                files: tree,
                locked: None,
                operation: None,
                is_dir_missing: false,
                by: MarkedBy::ThisHome,
                is_recovered: false,
                no,
            });
        recorded
    }

    fn dirty(&self, worktree: &FakeWorktree) -> Vec<String> {
        if worktree.is_dir_missing {
            return Vec::new();
        }
        let (old, new) = (self.tree(&worktree.head), self.visible(&worktree.files));
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        names.into_iter().filter(|name| old.get(*name) != new.get(*name)).cloned().collect()
    }

    /// Why a worktree may not go: a sentence.
    fn obstacle(&self, worktree: &FakeWorktree) -> Option<String> {
        if let Some(reason) = &worktree.locked {
            return Some(format!("it is locked: {reason}"));
        }
        if let Some(operation) = &worktree.operation {
            return Some(format!("a {operation} is in progress"));
        }
        self.dirty(worktree).first().map(|path| format!("it has uncommitted changes: `{path}`"))
    }

    /// Why a worktree stays in spite of a removal.
    fn stays(
        &self,
        request: &CreateWorkspace,
        worktree: &FakeWorktree,
        mode: RemovalMode,
    ) -> Option<String> {
        match mode {
            RemovalMode::Careful => self.obstacle(worktree),
            RemovalMode::Merged => {
                self.obstacle(worktree).or_else(|| self.unmerged(request, &worktree.head))
            }
            RemovalMode::Spotless => self
                .obstacle(worktree)
                .or_else(|| self.unmerged(request, &worktree.head))
                .or_else(|| self.ignored(worktree)),
            RemovalMode::Discard => {
                worktree.locked.as_ref().map(|reason| format!("it is locked: {reason}"))
            }
        }
    }

    /// A file that git ignores, where there is one: a sentence.
    fn ignored(&self, worktree: &FakeWorktree) -> Option<String> {
        let name = worktree.files.keys().find(|name| self.excludes.contains(*name))?;
        Some(format!("it has ignored files that nobody called disposable: `{name}`"))
    }

    fn unmerged(&self, request: &CreateWorkspace, tip: &Sha) -> Option<String> {
        let is_merged = self.bases_of(request).iter().any(|it| self.has_work(it, tip));
        (!is_merged).then(|| "it has commits that its base does not have".to_owned())
    }

    fn bases_of(&self, request: &CreateWorkspace) -> Vec<Sha> {
        let recorded = self.bases.get(&request.session).map(|(base, _is_made)| base.clone());
        let named = request.base.as_ref().and_then(|it| self.resolve(it));
        let main = self.branches.get("main").cloned();
        [recorded, named, main].into_iter().flatten().collect()
    }

    pub(super) fn appraise(&self, request: &CreateWorkspace, mode: RemovalMode) -> Appraisal {
        let merged = || "its base has everything that it committed".to_owned();
        if let Some(worktree) = self.worktrees.get(&request.path) {
            return match self.stays(request, worktree, mode) {
                Some(because) => Appraisal::Stays { because },
                None => Appraisal::Goes { because: merged() },
            };
        }
        let is_made = self.bases.get(&request.session).is_some_and(|(_, is_made)| *is_made);
        let Some(tip) = self.branches.get(request.branch.as_str()).filter(|_| is_made) else {
            return Appraisal::Nothing;
        };
        match self.unmerged(request, tip) {
            Some(because) => Appraisal::Stays { because },
            None => Appraisal::Goes { because: merged() },
        }
    }

    pub(super) fn remove(&mut self, request: &CreateWorkspace, mode: RemovalMode) -> Removal {
        let mut preserved = None;
        if let Some(worktree) = self.worktrees.get(&request.path) {
            if let Some(because) = self.stays(request, worktree, mode) {
                return Removal::Kept { because };
            }
            let is_reachable =
                self.branches.values().any(|tip| self.history(tip).contains(&worktree.head));
            if !is_reachable || self.obstacle(worktree).is_some() {
                preserved = Some(RefName::new(format!("refs/ao/preserved/{}", request.session)));
                let work = (worktree.head.clone(), worktree.files.clone());
                self.preserved.entry(request.session.clone()).or_default().push(work);
            }
            self.worktrees.remove(&request.path);
        }
        let tip = self.branches.get(request.branch.as_str()).cloned();
        let is_branch_deleted = self.drop_branch(request);
        if let Some(tip) = tip.filter(|_| is_branch_deleted)
            && !self.keeps_commit(&request.session, &tip)
        {
            let work = (tip.clone(), self.tree(&tip));
            let kept = self.preserved.entry(request.session.clone()).or_default();
            // What a recovery gets back is the newest: what stood in the worktree.
            let place = kept.len() - usize::from(preserved.is_some());
            kept.insert(place, work);
            preserved = Some(RefName::new(format!("refs/ao/preserved/{}", request.session)));
        }
        Removal::Removed { is_branch_deleted, preserved }
    }

    /// Deletes the session's branch if it was made for it and adds nothing.
    fn drop_branch(&mut self, request: &CreateWorkspace) -> bool {
        if self.bases.get(&request.session).is_none_or(|(_base, is_made)| !is_made) {
            return false;
        }
        let Some(tip) = self.branches.get(request.branch.as_str()).cloned() else { return false };
        let is_used = self.worktrees.values().any(|it| it.branch.as_ref() == Some(&request.branch));
        let adds_nothing = self.unmerged(request, &tip).is_none();
        let is_deleted = adds_nothing && !is_used;
        if is_deleted {
            self.branches.remove(request.branch.as_str());
            self.bases.remove(&request.session);
        }
        is_deleted
    }

    pub(super) fn undo(&mut self, request: &CreateWorkspace, pre_image: &PreImage) -> Removal {
        let kept = |because: String| Removal::Kept { because };
        if let Some(worktree) = self.worktrees.get(&request.path) {
            if !pre_image.is_recorded {
                return kept("what stood there before is not known".to_owned());
            }
            if pre_image.path_existed {
                return kept("it stood there before".to_owned());
            }
            if let Some(because) = self.obstacle(worktree) {
                return kept(because);
            }
            let start = pre_image
                .branch_at
                .as_ref()
                .or_else(|| self.bases.get(&request.session).map(|(base, _is_made)| base));
            if start.is_some_and(|start| *start != worktree.head) {
                return kept("it has new commits".to_owned());
            }
            self.worktrees.remove(&request.path);
        }
        let is_branch_deleted =
            pre_image.is_recorded && pre_image.branch_at.is_none() && self.drop_branch(request);
        Removal::Removed { is_branch_deleted, preserved: None }
    }

    pub(super) fn recover(&mut self, request: &CreateWorkspace) -> Option<Recovery> {
        let (head, files) = self.preserved.get(&request.session)?.last()?.clone();
        let preserved = Some(RefName::new(format!("refs/ao/preserved/{}", request.session)));
        let mut recovery = Recovery { preserved, ..Recovery::default() };
        if let Some(worktree) = self.worktrees.get(&request.path) {
            recovery.restored.push("what it had not committed".to_owned());
            if worktree.is_recovered {
                recovery.worktree = Some(request.path.clone());
                recovery.branch.clone_from(&worktree.branch);
                return Some(recovery);
            }
            let name = format!("{}.recovered", request.branch);
            if !self.branches.contains_key(&name) {
                let commit = self.add_commit(Some(head), files);
                self.branches.insert(name.clone(), commit);
            }
            recovery.branch = Some(BranchName::new(name));
            return Some(recovery);
        }
        let name = request.branch.to_string();
        let tip = self.branches.entry(name).or_insert_with(|| head.clone()).clone();
        let branch = (tip == head).then(|| request.branch.clone());
        self.bases.entry(request.session.clone()).or_insert_with(|| (head.clone(), true));
        self.n_made += 1;
        let no = self.n_made;
        self.worktrees.insert(
            request.path.clone(),
            FakeWorktree {
                session: request.session.clone(),
                branch: branch.clone(),
                head,
                files,
                locked: None,
                operation: None,
                is_dir_missing: false,
                by: MarkedBy::ThisHome,
                is_recovered: true,
                no,
            },
        );
        recovery.restored.push("its worktree".to_owned());
        recovery.worktree = Some(request.path.clone());
        recovery.branch = branch;
        Some(recovery)
    }

    pub(super) fn list(&self, top: &Path) -> Vec<Worktree> {
        let main = Worktree {
            path: top.to_owned(),
            branch: Some(BranchName::new("main")),
            head: self.branches.get("main").cloned(),
            locked: None,
            is_prunable: false,
        };
        let linked = self.worktrees.iter().map(|(path, it)| Worktree {
            path: path.clone(),
            branch: it.branch.clone(),
            head: Some(it.head.clone()),
            locked: it.locked.clone(),
            is_prunable: it.is_dir_missing,
        });
        std::iter::once(main).chain(linked).collect()
    }

    pub(super) fn traces(&self) -> Vec<WorkspaceTrace> {
        let known = self.bases.keys().chain(self.preserved.keys());
        let mut traces: BTreeMap<SessionId, Vec<MarkedWorktree>> =
            known.map(|session| (session.clone(), Vec::new())).collect();
        for listed in self.list(Path::new("")).into_iter().skip(1) {
            let Some(worktree) = self.worktrees.get(&listed.path) else { continue };
            let made_at = listed.path.clone();
            let marked = MarkedWorktree { by: worktree.by, made_at, worktree: listed };
            traces.entry(worktree.session.clone()).or_default().push(marked);
        }
        let trace = |session: &SessionId, worktree: Option<MarkedWorktree>| WorkspaceTrace {
            session: session.clone(),
            worktree,
        };
        let all = traces.into_iter().map(|(session, worktrees)| {
            if worktrees.is_empty() {
                return vec![trace(&session, None)];
            }
            worktrees.into_iter().map(|it| trace(&session, Some(it))).collect()
        });
        all.flatten().collect()
    }

    pub(super) fn look(&self, request: &CreateWorkspace, is_occupied: bool) -> WorkspaceLook {
        let Some(worktree) = self.worktrees.get(&request.path) else {
            return WorkspaceLook {
                exists: is_occupied,
                is_registered: false,
                locked: None,
                dirty_paths: Vec::new(),
                operation: None,
                head: None,
                n_commits_ahead: 0,
                diff: DiffStat::default(),
            };
        };
        let base = self.start(request);
        let before = base.as_ref().map(|base| self.history(base)).unwrap_or_default();
        let n_ahead = self.history(&worktree.head).difference(&before).count();
        let mut diff = DiffStat::default();
        if !worktree.is_dir_missing {
            for (_name, old, new) in self.changes(base.as_ref(), worktree) {
                let (removed, added) = changed_lines(&old, &new);
                diff.n_files += 1;
                diff.n_added += added.len() as u64;
                diff.n_removed += removed.len() as u64;
            }
        }
        WorkspaceLook {
            exists: !worktree.is_dir_missing,
            is_registered: true,
            locked: worktree.locked.clone(),
            dirty_paths: self.dirty(worktree),
            operation: worktree.operation.clone(),
            head: Some(worktree.head.clone()),
            n_commits_ahead: n_ahead as u64,
            diff,
        }
    }

    fn start(&self, request: &CreateWorkspace) -> Option<Sha> {
        let recorded = self.bases.get(&request.session).map(|(sha, _is_made)| sha.clone());
        recorded.or_else(|| self.base(request).ok().map(|(_name, sha)| sha))
    }

    /// Name, old and new text of each file that differs from the base.
    fn changes(
        &self,
        base: Option<&Sha>,
        worktree: &FakeWorktree,
    ) -> Vec<(String, String, String)> {
        let old = base.map(|base| self.tree(base)).unwrap_or_default();
        let new = self.visible(&worktree.files);
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let text = |tree: &Tree, name: &String| tree.get(name).cloned().unwrap_or_default();
        names
            .into_iter()
            .filter(|name| old.get(*name) != new.get(*name))
            .map(|name| (name.clone(), text(&old, name), text(&new, name)))
            .collect()
    }

    pub(super) fn diff(&self, request: &CreateWorkspace) -> String {
        let mut out = String::new();
        let Some(worktree) = self.worktrees.get(&request.path) else { return out };
        for (name, old, new) in self.changes(self.start(request).as_ref(), worktree) {
            let (removed, added) = changed_lines(&old, &new);
            write!(out, "diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n").unwrap_or(());
            for line in removed {
                writeln!(out, "-{line}").unwrap_or(());
            }
            for line in added {
                writeln!(out, "+{line}").unwrap_or(());
            }
        }
        out
    }
}

/// The lines between the common beginning and the common end of two texts.
fn changed_lines<'a>(old: &'a str, new: &'a str) -> (Vec<&'a str>, Vec<&'a str>) {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let n_head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = |lines: &[&'a str]| lines.iter().skip(n_head).copied().collect::<Vec<_>>();
    let (mut old, mut new) = (rest(&old), rest(&new));
    while let (Some(a), Some(b)) = (old.last(), new.last())
        && a == b
    {
        old.pop();
        new.pop();
    }
    (old, new)
}

/// The rules of `git check-ref-format --branch` that matter here.
pub(super) fn is_branch_name(name: &str) -> bool {
    let is_component = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && !part.as_bytes().ends_with(b".lock")
    };
    let is_char = |c: char| !c.is_control() && !" ~^:?*[\\".contains(c);
    !name.starts_with('-')
        && name != "HEAD"
        && name != "@"
        && !name.contains("..")
        && !name.contains("@{")
        && name.chars().all(is_char)
        && name.split('/').all(is_component)
}
