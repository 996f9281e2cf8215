//! Gets back what removals set aside: the worktree as it was, commits that had lost their ref, and
//! ignored files that the trash still has.
//!
//! *Flow*: read what is preserved → a worktree where none stands, on the branch where that still is
//! where it was → the files, those that nobody had committed without any filter → the index →
//! ignored files from the trash → the mark that it is complete.
//!
//! *Guarantees*: no file, no branch and no ref that stands is overwritten, and what is preserved
//! stays preserved. A death at any point leaves a worktree that is not complete: the next call sets
//! it aside and begins anew, with what it had taken from the trash.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use ao_core::ids::{BranchName, Sha};
use ao_core::ports::{CreateWorkspace, Recovery, WorkspaceError};

use super::GitWorktree;
use super::base::{self, Freshness};
use super::create::{self, is_of};
use super::preserved::{self, Preserved, Work};
use super::removal;
use super::repo::{Repo, SessionRefs, Site, io_error, is_occupied, resolved};
use super::run::{Filters, Git, Pace, split_z};
use super::sparse::Cone;
use super::trash::{self, BroughtBack, Entry};

/// File in git's directory of a worktree that names the preserved commit which it was made from.
const RECOVERED: &str = "ao-recovered";

/// Most branches of one session that hold work which was brought back.
const BRANCHES_MAX: u32 = 1_000;

/// Most files that a sentence names.
const NAMED_MAX: usize = 5;

/// Where a worktree is put.
struct Place {
    head: Sha,
    /// The branch that it checks out; a detached head without.
    branch: Option<BranchName>,
    /// Whether that branch has to be made.
    is_new: bool,
}

pub(super) async fn recover(
    git: &GitWorktree,
    request: &CreateWorkspace,
) -> Result<Option<Recovery>, WorkspaceError> {
    let repo = git.repo(&request.repo).await?;
    repo.check_branch_name(&request.branch).await?;
    let _turn = git.locks.turn(&repo.common).await?;
    let home = resolved(&request.path);
    let sites = repo.sites().await?;
    let site = sites.iter().find(|site| is_of(site, request, &home)).cloned();
    let recovering = Recovering { git, repo: &repo, request };
    let is_whole =
        |site: &Site| is_occupied(&site.worktree.path) && !site.is_half_made() && site.is_linked();
    match site {
        Some(site) if is_whole(&site) => {
            let preserved = preserved::read(&repo, &request.session).await?;
            recovering.beside(site, preserved).await
        }
        site => {
            if let Some(site) = site {
                removal::set_aside(git, &repo, request, &site).await?;
            }
            // What was set aside just now is preserved only since.
            let preserved = preserved::read(&repo, &request.session).await?;
            recovering.anew(preserved).await
        }
    }
}

struct Recovering<'a> {
    git: &'a GitWorktree,
    repo: &'a Repo,
    request: &'a CreateWorkspace,
}

impl Recovering<'_> {
    /// A worktree stands already: it is not touched, and the work comes back on branches.
    async fn beside(
        &self,
        site: Site,
        preserved: Option<Preserved>,
    ) -> Result<Option<Recovery>, WorkspaceError> {
        let home = resolved(&self.request.path);
        if site.worktree.path != home
            && Entry::around(&site.worktree.path, &self.request.session).is_some()
        {
            let site = create::bring_home(self.repo, self.request, site).await?;
            return Ok(Some(Recovery {
                restored: vec![format!(
                    "its worktree, whose removal was interrupted, is at `{}` with all that was in it",
                    site.worktree.path.display()
                )],
                worktree: Some(site.worktree.path),
                branch: site.worktree.branch,
                preserved: preserved.map(|it| it.name),
                remaining: Vec::new(),
            }));
        }
        let Some(preserved) = preserved else { return Ok(None) };
        let mark = std::fs::read_to_string(site.admin.join(RECOVERED)).unwrap_or_default();
        let mut recovery =
            Recovery { preserved: Some(preserved.name.clone()), ..Recovery::default() };
        if mark.trim() == preserved.at.as_str() {
            recovery.restored.push(format!(
                "its worktree is at `{}`, where it was brought back before",
                site.worktree.path.display()
            ));
            recovery.worktree = Some(site.worktree.path);
            recovery.branch = site.worktree.branch;
            return Ok(Some(recovery));
        }
        if let Some(work) = &preserved.work {
            let (branch, is_new) = self.branch_for(&work.commit).await?;
            let verb = if is_new { "is" } else { "was brought back before, and is" };
            recovery.restored.push(format!(
                "what it had not committed {verb} commit {} on branch `{branch}`",
                short(&work.commit)
            ));
            recovery.remaining.push(format!(
                "its worktree at `{path}` stays as it is; `git -C {path} restore --source={branch} -- .` \
                 takes the files over",
                path = site.worktree.path.display()
            ));
            recovery.branch = Some(branch);
        }
        self.commits(&preserved, &mut recovery).await?;
        Ok(Some(recovery))
    }

    /// No worktree stands.
    async fn anew(&self, preserved: Option<Preserved>) -> Result<Option<Recovery>, WorkspaceError> {
        let home = resolved(&self.request.path);
        let entry = trash::newest(&self.git.config.trash, self.repo, self.request)?;
        let work = preserved.as_ref().and_then(|it| it.work.clone());
        let mut recovery = Recovery {
            preserved: preserved.as_ref().map(|it| it.name.clone()),
            ..Recovery::default()
        };
        if work.is_some() || entry.is_some() {
            if is_occupied(&home) {
                return Err(WorkspaceError::PathTaken { path: home });
            }
            if let Some(place) = self.place(work.as_ref(), preserved.as_ref()).await? {
                let at = preserved.as_ref().map(|it| &it.at);
                let made = (work.as_ref(), at, entry.as_ref());
                self.make(&place, made, &mut recovery).await?;
            }
        }
        if let Some(preserved) = &preserved {
            self.commits(preserved, &mut recovery).await?;
            if preserved.has_earlier {
                recovery.remaining.push(format!(
                    "what earlier worktrees of it had not committed is under `{}` as well; \
                     `git log --graph {}` shows it",
                    preserved.name, preserved.name
                ));
            }
        }
        Ok(if recovery.restored.is_empty() && recovery.remaining.is_empty() {
            None
        } else {
            Some(recovery)
        })
    }

    /// Where the worktree goes: on the session's branch, unless that went on or somebody has it.
    async fn place(
        &self,
        work: Option<&Work>,
        preserved: Option<&Preserved>,
    ) -> Result<Option<Place>, WorkspaceError> {
        let branch = &self.request.branch;
        let tip = self.repo.branch_at(branch).await?;
        let lost = preserved.and_then(|it| it.commits.first()).cloned();
        let head = match work {
            Some(work) => work.head.clone(),
            None => tip.clone().or(lost),
        };
        let Some(head) = head else { return Ok(None) };
        let is_held = self.repo.list().await?.iter().any(|it| it.branch.as_ref() == Some(branch));
        let is_blocked = create::check_no_ref_in_the_way(self.repo, self.request).await.is_err();
        let (own, is_new) = match tip {
            Some(tip) => ((tip == head && !is_held).then(|| branch.clone()), false),
            None => ((!is_blocked).then(|| branch.clone()), !is_blocked),
        };
        Ok(Some(Place { head, branch: own, is_new }))
    }

    async fn make(
        &self,
        place: &Place,
        (work, at, entry): (Option<&Work>, Option<&Sha>, Option<&Entry>),
        recovery: &mut Recovery,
    ) -> Result<(), WorkspaceError> {
        if place.is_new
            && let Some(branch) = &place.branch
        {
            self.begin_branch(branch, &place.head).await?;
        }
        let mut site = self.register(place).await?;
        site.mark(&self.request.session, &self.repo.home)?;
        // A configuration that was broken since is no reason to keep work back.
        let cone = self.git.cone_of(&self.request.session).unwrap_or_default();
        cone.apply(&site).await?;
        if let Some(work) = work {
            self.fill(&site, work, &place.head, &cone).await?;
        } else {
            let checkout = ["reset", "--hard", "--quiet", "--no-recurse-submodules"];
            let path = &site.worktree.path;
            Git::in_worktree(&site.admin, path, Pace::Bulk).args(checkout).ok().await?;
        }
        let brought = match entry {
            Some(entry) => entry.bring_back(&site.worktree.path)?,
            None => BroughtBack::default(),
        };
        if let Some(at) = at {
            let mark = site.admin.join(RECOVERED);
            std::fs::write(&mark, format!("{at}\n")).map_err(|error| io_error(&mark, &error))?;
        }
        site.mark_ready()?;
        self.tell(place, &site, work, recovery);
        tell_of_trash(&brought, entry, recovery);
        recovery.worktree = Some(site.worktree.path);
        recovery.branch.clone_from(&place.branch);
        Ok(())
    }

    fn tell(&self, place: &Place, site: &Site, work: Option<&Work>, recovery: &mut Recovery) {
        let path = site.worktree.path.display();
        let head = short(&place.head);
        let on = match &place.branch {
            Some(branch) if place.is_new => format!("on branch `{branch}`, made again at {head}"),
            Some(branch) => format!("on branch `{branch}` at {head}"),
            None => format!("with a detached head at {head}"),
        };
        recovery.restored.push(format!("its worktree is at `{path}` again, {on}"));
        if place.branch.is_none() {
            let branch = &self.request.branch;
            recovery.remaining.push(format!(
                "branch `{branch}` stays where it is: it went on since, or is checked out elsewhere"
            ));
        }
        let Some(work) = work else { return };
        recovery.restored.push(match (&work.staged, work.staged.as_ref() == Some(&work.commit)) {
            (Some(_), true) => "what was staged, in its index and as files".to_owned(),
            (Some(_), false) => {
                "what it had not committed, untracked files included; what was staged is staged"
                    .to_owned()
            }
            (None, _) => "what it had not committed, untracked files included".to_owned(),
        });
        for other in &work.others {
            recovery.remaining.push(format!(
                "what was under way with commit {} is not under way again; its files are as they were",
                short(other)
            ));
        }
    }

    /// Makes the session's branch again, as one of its own.
    async fn begin_branch(&self, branch: &BranchName, head: &Sha) -> Result<(), WorkspaceError> {
        let refs = SessionRefs::of(&self.request.session);
        let asked = self.request.base.as_ref();
        let found = base::resolve(self.repo, asked, Freshness::Known, &self.git.fetches).await;
        let start = match found {
            Ok(base) => self.repo.merge_base(head, &base.sha).await?,
            Err(_gone) => None,
        };
        let start = start.unwrap_or_else(|| head.clone());
        let mut lines = vec![format!("create refs/heads/{branch}\0{head}\0")];
        for name in [&refs.base, &refs.made] {
            if self.repo.exact_ref(name).await?.is_none() {
                lines.push(format!("create {name}\0{start}\0"));
            }
        }
        self.repo.update_refs(&lines).await
    }

    async fn register(&self, place: &Place) -> Result<Site, WorkspaceError> {
        let home = resolved(&self.request.path);
        if let Some(parent) = home.parent() {
            std::fs::create_dir_all(parent).map_err(|error| io_error(parent, &error))?;
        }
        let add = ["worktree", "add", "--quiet", "--no-checkout"];
        let git = self.repo.write().args(add);
        let git = match &place.branch {
            Some(_) => git,
            None => git.args(["--detach"]),
        };
        let at = place.branch.as_ref().map_or(place.head.as_str(), BranchName::as_str);
        git.args(["--end-of-options"]).args([home.as_os_str()]).args([at]).ok().await?;
        create::site_at(self.repo, &home).await
    }

    /// Writes the files as they were, and the index. Of what nobody had changed, a sparse checkout
    /// has what lies in its cone.
    async fn fill(
        &self,
        site: &Site,
        work: &Work,
        head: &Sha,
        cone: &Cone,
    ) -> Result<(), WorkspaceError> {
        let path = site.worktree.path.as_path();
        let git = |pace| Git::in_worktree(&site.admin, path, pace);
        let filters = Filters::of(git(Pace::Look)).await?;
        let tree = |commit: &Sha| format!("{commit}^{{tree}}");
        git(Pace::Write).args(["read-tree", &tree(&work.commit)]).ok().await?;
        // What nobody had committed was kept byte for byte, so that no filter may change it now.
        let changed = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=d"];
        let changed = git(Pace::Look).args(changed).args([&tree(head), &tree(&work.commit)]);
        let changed = changed.ok().await?;
        let changed: BTreeSet<&[u8]> = split_z(&changed).collect();
        let index = work.staged.as_ref().unwrap_or(head);
        let staged = ["diff-tree", "-r", "-z", "--name-only", "--no-renames"];
        let staged = git(Pace::Look).args(staged).args([&tree(head), &tree(index)]).ok().await?;
        let staged: BTreeSet<&[u8]> = split_z(&staged).collect();
        let all = git(Pace::Look).args(["ls-files", "-z"]).ok().await?;
        let (kept, plain): (Vec<&[u8]>, Vec<&[u8]>) =
            split_z(&all).partition(|name| changed.contains(name));
        let (plain, absent): (Vec<&[u8]>, Vec<&[u8]>) =
            plain.into_iter().partition(|name| cone.has(name) || staged.contains(name));
        let write = ["checkout-index", "-u", "-z", "--stdin"];
        git(Pace::Bulk).without(&filters).args(write).stdin(joined(&kept)).ok().await?;
        // The rest as any checkout writes it.
        git(Pace::Bulk).args(write).stdin(joined(&plain)).ok().await?;
        git(Pace::Write).args(["read-tree", &tree(index)]).ok().await?;
        let absent = joined(&absent);
        let skip = ["update-index", "--skip-worktree", "-z", "--stdin"];
        git(Pace::Write).args(skip).stdin(absent).ok().await?;
        let refresh = ["update-index", "-q", "--refresh"];
        // Status 1 says that files differ from the index, as they should.
        git(Pace::Bulk).without(&filters).args(refresh).answer().await.map(drop)
    }

    /// Commits that had lost their ref get a branch.
    async fn commits(
        &self,
        preserved: &Preserved,
        recovery: &mut Recovery,
    ) -> Result<(), WorkspaceError> {
        let mut commits = preserved.commits.iter();
        let own = self.request.branch.clone();
        let mut is_own_missing = self.repo.branch_at(&own).await?.is_none()
            && create::check_no_ref_in_the_way(self.repo, self.request).await.is_ok();
        for commit in commits.by_ref() {
            let (branch, is_new) = if is_own_missing && self.holder(commit).await?.is_none() {
                self.begin_branch(&own, commit).await?;
                (own.clone(), true)
            } else {
                self.branch_for(commit).await?
            };
            is_own_missing = false;
            let verb = if is_new { "is again" } else { "is" };
            recovery.restored.push(format!("commit {} {verb} on branch `{branch}`", short(commit)));
            recovery.branch.get_or_insert(branch);
        }
        Ok(())
    }

    /// A branch that reaches a commit, made where there is none.
    async fn branch_for(&self, commit: &Sha) -> Result<(BranchName, bool), WorkspaceError> {
        if let Some(holder) = self.holder(commit).await? {
            return Ok((holder, false));
        }
        for n in 1..=BRANCHES_MAX {
            let mut name = format!("{}.recovered", self.request.branch);
            if n > 1 {
                // Writing to a string cannot fail.
                write!(name, "-{n}").unwrap_or_default();
            }
            let branch = BranchName::new(name);
            if self.repo.branch_at(&branch).await?.is_some() {
                continue;
            }
            let line = format!("create refs/heads/{branch}\0{commit}\0");
            self.repo.update_refs(&[line]).await?;
            return Ok((branch, true));
        }
        let branch = self.request.branch.clone();
        Err(WorkspaceError::BranchTaken { branch, at: None })
    }

    /// A branch that reaches a commit.
    async fn holder(&self, commit: &Sha) -> Result<Option<BranchName>, WorkspaceError> {
        let args = ["for-each-ref", "--format=%(refname)", "--contains", commit.as_str()];
        let text = self.repo.look().args(args).args(["refs/heads/"]).text().await?;
        let names = text.lines().filter_map(|line| line.strip_prefix("refs/heads/"));
        // The session's own first.
        let mut names: Vec<&str> = names.collect();
        names.sort_by_key(|name| !name.starts_with(self.request.branch.as_str()));
        Ok(names.first().map(|name| BranchName::new(*name)))
    }
}

/// Names as git reads them.
fn joined(names: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for name in names {
        bytes.extend_from_slice(name);
        bytes.push(0);
    }
    bytes
}

fn tell_of_trash(brought: &BroughtBack, entry: Option<&Entry>, recovery: &mut Recovery) {
    if !brought.names.is_empty() {
        let names = removal::named(&brought.names, NAMED_MAX);
        recovery.restored.push(format!("from the trash: {names}"));
    }
    if brought.has_left
        && let Some(entry) = entry
    {
        let files = entry.files();
        recovery.remaining.push(format!(
            "what differs from what stands there now, and submodules, stay in the trash at `{}`",
            shown(&files)
        ));
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn short(sha: &Sha) -> &str {
    sha.as_str().get(..10).unwrap_or(sha.as_str())
}
