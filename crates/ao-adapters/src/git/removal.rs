//! Lets go of worktrees without losing work.
//!
//! *Flow*: look → preserve what no ref reaches → move to the trash → look again, and back if
//! anything appeared → take the files from under the registration → drop the registration → unlink
//! what git has anyway.
//!
//! *Guarantees*: git never deletes a directory for us, and we delete none that git has registered.
//! A link at the worktree's path is not followed. A death at any point leaves either the worktree
//! or a trash entry that the next call goes on with; the files are in one of the two.
//!
//! *Caveats*: whoever writes into the worktree after the second look writes into the trash, where
//! files that are younger than that look keep their entry. The engine ends the processes of a
//! session before it comes here.

use std::path::Path;

use ao_core::ids::{RefName, Sha};
use ao_core::ports::{Appraisal, CreateWorkspace, Removal, RemovalMode, WorkspaceError};
use ao_core::saga::PreImage;

use super::GitWorktree;
use super::appraise::{self, Standing};
use super::branch::{delete_branch, doomed_branch, has_stash};
use super::create::is_of;
use super::look::{Changes, Eye, Submodules, operation};
use super::preserve::{self, BranchPlan, Snapshot};
use super::repo::{Repo, SessionRefs, Site, io_error, is_occupied, resolved};
use super::run::{Git, Pace};
use super::trash::{self, Disposal, Entry};

/// Most paths that a sentence names.
const NAMED_MAX: usize = 3;

/// A removal under way.
struct Removing<'a> {
    git: &'a GitWorktree,
    repo: &'a Repo,
    request: &'a CreateWorkspace,
    mode: RemovalMode,
}

/// What the removal of a worktree came to.
enum Outcome {
    Gone(Gone),
    Kept(String),
}

/// A worktree that is not there any more.
struct Gone {
    preserved: Option<RefName>,
    /// The tip at which the branch may be deleted: what only it remembered is preserved.
    doomed: Option<Sha>,
}

pub(super) async fn destroy(
    git: &GitWorktree,
    request: &CreateWorkspace,
    mode: RemovalMode,
) -> Result<Removal, WorkspaceError> {
    let Some(repo) = open_if_there(git, &request.repo).await? else {
        return Ok(Removal::Kept { because: repository_missing(request) });
    };
    let _turn = git.locks.turn(&repo.common).await?;
    match (Removing { git, repo: &repo, request, mode }).worktree().await? {
        Outcome::Gone(gone) => finish(&repo, request, gone, &git.scratch()).await,
        Outcome::Kept(because) => Ok(Removal::Kept { because }),
    }
}

/// Deletes the branch if what was found out about it still holds.
async fn finish(
    repo: &Repo,
    request: &CreateWorkspace,
    gone: Gone,
    scratch: &Path,
) -> Result<Removal, WorkspaceError> {
    let mut is_branch_deleted = false;
    if let Some(tip) = &gone.doomed
        && doomed_branch(repo, request, scratch).await?.as_ref() == Some(tip)
    {
        delete_branch(repo, request, tip).await?;
        is_branch_deleted = true;
    }
    Ok(Removal::Removed { is_branch_deleted, preserved: gone.preserved })
}

pub(super) async fn undo_create(
    git: &GitWorktree,
    request: &CreateWorkspace,
    pre_image: &PreImage,
) -> Result<Removal, WorkspaceError> {
    let Some(repo) = open_if_there(git, &request.repo).await? else {
        return Ok(Removal::Kept { because: repository_missing(request) });
    };
    let _turn = git.locks.turn(&repo.common).await?;
    let kept = |because: &str| Ok(Removal::Kept { because: because.to_owned() });
    let path = resolved(&request.path);
    let sites = repo.sites().await?;
    let site = sites.iter().find(|site| is_of(site, request, &path));
    if let Some(site) = site {
        if !pre_image.is_recorded {
            return kept("what stood there before is not known");
        }
        if pre_image.path_existed {
            return kept("it stood there before");
        }
        if !site.is_half_made() && has_new_commits(&repo, request, pre_image, site).await? {
            return kept("it has new commits");
        }
    } else if is_occupied(&path) {
        return Ok(Removal::Removed { is_branch_deleted: false, preserved: None });
    }
    let mode = RemovalMode::Careful;
    let mut gone = match (Removing { git, repo: &repo, request, mode }).worktree().await? {
        Outcome::Gone(gone) => gone,
        Outcome::Kept(because) => return Ok(Removal::Kept { because }),
    };
    if !pre_image.is_recorded || pre_image.branch_at.is_some() {
        gone.doomed = None;
    }
    finish(&repo, request, gone, &git.scratch()).await
}

async fn open_if_there(git: &GitWorktree, dir: &Path) -> Result<Option<Repo>, WorkspaceError> {
    match git.repo(dir).await {
        Ok(repo) => Ok(Some(repo)),
        Err(WorkspaceError::NotARepo { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A repository that cannot be found may be back tomorrow, with its disk: nothing is said to be
/// removed, and nothing is.
fn repository_missing(request: &CreateWorkspace) -> String {
    format!("its repository `{}` cannot be found", request.repo.display())
}

fn not_ours(path: &Path) -> String {
    format!("`{}` is not this session's worktree, so it is left alone", path.display())
}

async fn has_new_commits(
    repo: &Repo,
    request: &CreateWorkspace,
    pre_image: &PreImage,
    site: &Site,
) -> Result<bool, WorkspaceError> {
    let start = match &pre_image.branch_at {
        Some(sha) => Some(sha.clone()),
        None => repo.exact_ref(&SessionRefs::of(&request.session).base).await?,
    };
    Ok(match (&start, &site.worktree.head) {
        (Some(start), Some(head)) => start != head,
        (Some(_), None) => false,
        (None, _) => true,
    })
}

/// What a removal would come to.
pub(super) async fn appraise(
    git: &GitWorktree,
    request: &CreateWorkspace,
    mode: RemovalMode,
) -> Result<Appraisal, WorkspaceError> {
    let Some(repo) = open_if_there(git, &request.repo).await? else {
        return Ok(Appraisal::Stays { because: repository_missing(request) });
    };
    (Removing { git, repo: &repo, request, mode }).appraise().await
}

impl Removing<'_> {
    async fn appraise(&self) -> Result<Appraisal, WorkspaceError> {
        let stays = |because: String| Ok(Appraisal::Stays { because });
        let goes = |because: String| Ok(Appraisal::Goes { because });
        let path = resolved(&self.request.path);
        let sites = self.repo.sites().await?;
        let site = sites.iter().find(|site| is_of(site, self.request, &path));
        let Some(site) = site else {
            if is_occupied(&path) {
                return stays(not_ours(&path));
            }
            return self.appraise_branch().await;
        };
        if site.is_half_made() {
            return goes("its worktree was never complete".to_owned());
        }
        if let Some(because) = barrier(site) {
            return stays(because);
        }
        let mut is_dirty = false;
        if is_occupied(&site.worktree.path) {
            let eye = Eye::on(site).await?;
            let census = eye.census().await?;
            let is_moved = site.worktree.path != path;
            let has_submodules = census.has_submodules || trash::has_modules(&site.admin);
            let submodules = Submodules::of_moved(is_moved && has_submodules);
            let mut changes = eye.changes(submodules).await?;
            changes.paths.extend(eye.hidden_changes(&census, &self.git.scratch()).await?);
            if let Some(because) = self.uncommitted(site, &changes).await? {
                return stays(because);
            }
            let has_submodules = has_submodules || changes.has_nested;
            if let Some(because) = self.ignored(&eye, has_submodules).await? {
                return stays(because);
            }
            is_dirty = !changes.paths.is_empty() || operation(&site.admin).is_some();
        }
        let standing = self.standing(Some(site)).await?;
        if let Standing::Unmerged { because } = &standing
            && self.is_for_merged()
        {
            return stays(because.clone());
        }
        goes(standing.sentence(is_dirty))
    }

    /// Only a branch can be left.
    async fn appraise_branch(&self) -> Result<Appraisal, WorkspaceError> {
        let refs = SessionRefs::of(&self.request.session);
        let is_made = self.repo.exact_ref(&refs.made).await?.is_some();
        if !is_made || self.repo.branch_at(&self.request.branch).await?.is_none() {
            return Ok(Appraisal::Nothing);
        }
        let standing = self.standing(None).await?;
        if let Standing::Unmerged { because } = standing {
            return Ok(Appraisal::Stays { because });
        }
        if doomed_branch(self.repo, self.request, &self.git.scratch()).await?.is_none() {
            let branch = &self.request.branch;
            let because = format!("its branch `{branch}` is checked out elsewhere");
            return Ok(Appraisal::Stays { because });
        }
        Ok(Appraisal::Goes { because: standing.sentence(false) })
    }

    async fn worktree(&self) -> Result<Outcome, WorkspaceError> {
        let path = resolved(&self.request.path);
        let sites = self.repo.sites().await?;
        let Some(site) = sites.iter().find(|site| is_of(site, self.request, &path)) else {
            if is_occupied(&path) {
                return Ok(Outcome::Kept(not_ours(&path)));
            }
            return self.branch_alone().await;
        };
        if site.is_half_made() {
            set_aside(self.git, self.repo, self.request, site).await?;
            return self.branch_alone().await;
        }
        if let Some(because) = barrier(site) {
            return Ok(Outcome::Kept(because));
        }
        if !is_occupied(&site.worktree.path) {
            return match self.unmerged(Some(site)).await? {
                Some(because) => Ok(Outcome::Kept(because)),
                None => self.forget(site).await,
            };
        }
        self.take_away(site).await
    }

    /// There is no worktree; what only the branch remembers is preserved if the branch goes.
    async fn branch_alone(&self) -> Result<Outcome, WorkspaceError> {
        let (lost, doomed) = self.lost_commits(None).await?;
        let preserved = preserve::keep(self.repo, &self.request.session, &lost).await?;
        Ok(Outcome::Gone(Gone { preserved, doomed }))
    }

    /// The directory is gone already: what git alone still knows is preserved, then dropped.
    async fn forget(&self, site: &Site) -> Result<Outcome, WorkspaceError> {
        let (mut lost, doomed) = self.lost_commits(Some(site)).await?;
        let scratch = self.git.scratch();
        let session = &self.request.session;
        lost.extend(preserve::staged_without_files(&site.admin, session, &scratch).await?);
        let preserved = preserve::keep(self.repo, session, &lost).await?;
        if trash::has_modules(&site.admin) {
            let path = &site.worktree.path;
            let entry = Entry::new(&self.git.config.trash, self.repo, session, path)?;
            entry.take(&site.admin.join("modules"), "modules")?;
        }
        drop_registration(self.repo, &site.worktree.path, &[]).await?;
        Ok(Outcome::Gone(Gone { preserved, doomed }))
    }

    /// The commits that nothing would reach any more, and the tip of the branch if it goes too.
    async fn lost_commits(
        &self,
        site: Option<&Site>,
    ) -> Result<(Vec<Sha>, Option<Sha>), WorkspaceError> {
        let doomed = doomed_branch(self.repo, self.request, &self.git.scratch()).await?;
        let plan = if doomed.is_some() { BranchPlan::Goes } else { BranchPlan::Stays };
        let admin = site.map(|site| site.admin.as_path());
        Ok((preserve::lost_commits(self.repo, admin, self.request, plan).await?, doomed))
    }

    async fn take_away(&self, site: &Site) -> Result<Outcome, WorkspaceError> {
        let home = resolved(&self.request.path);
        let in_trash = Entry::around(&site.worktree.path, &self.request.session)
            .filter(|_entry| site.worktree.path != home);
        if let Some(entry) = &in_trash {
            entry.begin_last_look()?;
        }
        let plan = match self.plan(site, in_trash.is_some()).await? {
            Ok(plan) => plan,
            Err(because) if in_trash.is_some() => {
                // An earlier call died between the move and its second look.
                let stays = self.move_back(&site.worktree.path, &home, true).await?;
                return Ok(Outcome::Kept(format!("{because}{stays}")));
            }
            Err(because) => return Ok(Outcome::Kept(because)),
        };
        let entry = match in_trash {
            Some(entry) => entry,
            None => match self.move_away(site, &plan).await? {
                Ok(entry) => entry,
                Err(because) => return Ok(Outcome::Kept(because)),
            },
        };
        if plan.has_modules {
            entry.take(&site.admin.join("modules"), "modules")?;
        }
        entry.detach()?;
        drop_registration(self.repo, &entry.worktree(), &[]).await?;
        self.git.dispose(entry, plan.disposal);
        Ok(Outcome::Gone(plan.gone))
    }

    /// Looks, preserves what would be lost, and decides what becomes of the files; or says why the
    /// worktree has to stay.
    async fn plan(
        &self,
        site: &Site,
        is_moved: bool,
    ) -> Result<Result<Plan, String>, WorkspaceError> {
        let eye = Eye::on(site).await?;
        let census = eye.census().await?;
        let scratch = self.git.scratch();
        let has_modules = trash::has_modules(&site.admin);
        let has_submodules = census.has_submodules || has_modules;
        let submodules = Submodules::of_moved(is_moved && has_submodules);
        let mut changes = eye.changes(submodules).await?;
        let hidden = eye.hidden_changes(&census, &scratch).await?;
        changes.paths.extend(hidden);
        if let Some(because) = self.obstacle(site, &changes).await? {
            return Ok(Err(because));
        }
        let may_hide = has_submodules || changes.has_nested;
        if let Some(because) = self.ignored(&eye, may_hide).await? {
            return Ok(Err(because));
        }
        let session = &self.request.session;
        let (mut lost, doomed) = self.lost_commits(Some(site)).await?;
        let is_clean = changes.paths.is_empty() && operation(&site.admin).is_none();
        let snapshot = if is_clean {
            None
        } else {
            Some(preserve::snapshot(&eye, &census, session, &scratch).await?)
        };
        lost.extend(snapshot.as_ref().map(|it| it.commit.clone()));
        let preserved = preserve::keep(self.repo, session, &lost).await?;
        let disposal = if changes.has_nested || has_submodules {
            // What such a directory holds beyond this repository is in no commit of it.
            Disposal::Keep
        } else {
            let top = self.repo.top().await?;
            trash::disposal(&eye, &top, self.git.ignored_of(session)).await?
        };
        let head = eye.head().await?;
        let gone = Gone { preserved, doomed };
        Ok(Ok(Plan { head, snapshot, gone, disposal, has_modules, has_submodules }))
    }

    /// Why a removal may not go on.
    async fn obstacle(
        &self,
        site: &Site,
        changes: &Changes,
    ) -> Result<Option<String>, WorkspaceError> {
        match self.uncommitted(site, changes).await? {
            Some(because) => Ok(Some(because)),
            None => self.unmerged(Some(site)).await,
        }
    }

    /// What nobody had committed: none of it stops a removal that preserves all of it first.
    async fn uncommitted(
        &self,
        site: &Site,
        changes: &Changes,
    ) -> Result<Option<String>, WorkspaceError> {
        if self.mode == RemovalMode::Discard {
            return Ok(None);
        }
        if let Some(operation) = operation(&site.admin) {
            return Ok(Some(format!("a {operation} is in progress")));
        }
        if !changes.paths.is_empty() {
            return Ok(Some(format!(
                "it has uncommitted changes: {}",
                named(&changes.paths, NAMED_MAX)
            )));
        }
        let branch = &self.request.branch;
        if has_stash(self.repo, branch.as_str()).await? {
            return Ok(Some(format!("a stash was made on its branch `{branch}`")));
        }
        Ok(None)
    }

    /// Whether only what is in its base may go.
    const fn is_for_merged(&self) -> bool {
        matches!(self.mode, RemovalMode::Merged | RemovalMode::Spotless)
    }

    /// What would have to be kept in the trash, when nobody would look for it there.
    async fn ignored(
        &self,
        eye: &Eye<'_>,
        has_submodules: bool,
    ) -> Result<Option<String>, WorkspaceError> {
        if self.mode != RemovalMode::Spotless {
            return Ok(None);
        }
        if has_submodules {
            return Ok(Some("it has submodules, which may hold work of their own".to_owned()));
        }
        let top = self.repo.top().await?;
        let rules = self.git.ignored_of(&self.request.session);
        Ok(match trash::disposal(eye, &top, rules).await? {
            Disposal::All => None,
            Disposal::Keep | Disposal::Some(_) => {
                Some("it has ignored files that nobody called disposable".to_owned())
            }
        })
    }

    /// What of its commits no base has, when that matters.
    async fn unmerged(&self, site: Option<&Site>) -> Result<Option<String>, WorkspaceError> {
        if !self.is_for_merged() {
            return Ok(None);
        }
        match self.standing(site).await? {
            Standing::Unmerged { because } => Ok(Some(because)),
            Standing::Unused | Standing::Merged { .. } => Ok(None),
        }
    }

    async fn standing(&self, site: Option<&Site>) -> Result<Standing, WorkspaceError> {
        appraise::standing(self.repo, self.request, site, &self.git.scratch()).await
    }

    /// Moves the worktree to the trash and looks again; on any doubt it moves back.
    async fn move_away(
        &self,
        site: &Site,
        plan: &Plan,
    ) -> Result<Result<Entry, String>, WorkspaceError> {
        let home = &site.worktree.path;
        let entry = Entry::new(&self.git.config.trash, self.repo, &self.request.session, home)?;
        if let Err(error) = relocate(self.repo, home, &entry.worktree(), plan.has_submodules).await
        {
            entry.give_up();
            return Err(error);
        }
        let mut moved = site.clone();
        moved.worktree.path = entry.worktree();
        entry.begin_last_look()?;
        let doubt = match self.second_look(&moved, plan).await {
            Ok(doubt) => doubt,
            Err(error) => Some(format!("it could not be looked at again: {error}")),
        };
        let Some(because) = doubt else { return Ok(Ok(entry)) };
        let stays = self.move_back(&entry.worktree(), home, plan.has_submodules).await?;
        entry.give_up();
        Ok(Err(format!("{because}{stays}")))
    }

    /// What appeared in a worktree since it was looked at.
    async fn second_look(
        &self,
        site: &Site,
        plan: &Plan,
    ) -> Result<Option<String>, WorkspaceError> {
        let eye = Eye::on(site).await?;
        if eye.head().await? != plan.head {
            return Ok(Some("its head moved while it was being removed".to_owned()));
        }
        // A moved submodule no longer finds its repository; its files stay in the trash anyway.
        let submodules = Submodules::of_moved(plan.has_submodules);
        let changed = match &plan.snapshot {
            Some(snapshot) => preserve::changed_since(&eye, &snapshot.index, submodules).await?,
            None if operation(&site.admin).is_some() => vec!["an operation".to_owned()],
            None => eye.changes(submodules).await?.paths,
        };
        Ok(if changed.is_empty() {
            None
        } else {
            Some(format!("it changed while it was being removed: {}", named(&changed, NAMED_MAX)))
        })
    }

    /// Moves a worktree back from the trash. Where its place is taken it stays, and that is said.
    async fn move_back(
        &self,
        from: &Path,
        home: &Path,
        must_repair: bool,
    ) -> Result<String, WorkspaceError> {
        if is_occupied(home) {
            return Ok(format!("; its place is taken, so it stands at `{}`", from.display()));
        }
        relocate(self.repo, from, home, must_repair).await?;
        Ok(String::new())
    }
}

/// What a removal does once nothing stands against it.
struct Plan {
    head: Option<Sha>,
    snapshot: Option<Snapshot>,
    gone: Gone,
    disposal: Disposal,
    has_modules: bool,
    has_submodules: bool,
}

/// What keeps any removal from touching a worktree.
pub(super) fn barrier(site: &Site) -> Option<String> {
    if let Some(reason) = &site.worktree.locked {
        let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        return Some(format!("it is locked{because}"));
    }
    if site.worktree.path.is_symlink() {
        return Some("a link stands at its path".to_owned());
    }
    if is_occupied(&site.worktree.path) && !site.is_linked() {
        let because = "its `.git` is not the link that git made; see `git worktree repair`";
        return Some(because.to_owned());
    }
    None
}

/// The first of these paths, and how many more there are.
pub(super) fn named(paths: &[String], n_max: usize) -> String {
    let some: Vec<String> = paths.iter().take(n_max).map(|path| format!("`{path}`")).collect();
    let some = some.join(", ");
    match paths.len().saturating_sub(n_max) {
        0 => some,
        n_more => format!("{some} and {n_more} more"),
    }
}

/// Moves a registered worktree; git refuses that for those with submodules, whose links are
/// repaired after the move.
pub(super) async fn relocate(
    repo: &Repo,
    from: &Path,
    to: &Path,
    must_repair: bool,
) -> Result<(), WorkspaceError> {
    let git = Git::at(&repo.dir, Pace::Bulk);
    if !must_repair {
        let args = ["worktree", "move", "--end-of-options"];
        return git.args(args).args([from, to]).ok().await.map(drop);
    }
    std::fs::rename(from, to).map_err(|error| io_error(from, &error))?;
    let args = ["worktree", "repair", "--end-of-options"];
    git.args(args).args([to]).ok().await.map(drop)
}

/// Makes git forget a worktree whose directory is not there.
///
/// Never called for one that is: git would delete it, ignored files and all.
async fn drop_registration(repo: &Repo, path: &Path, force: &[&str]) -> Result<(), WorkspaceError> {
    if is_occupied(path) {
        return Err(WorkspaceError::Io {
            path: path.to_owned(),
            message: "it appeared again while it was being removed".to_owned(),
        });
    }
    let args = ["worktree", "remove"];
    let git = repo.write().args(args).args(force).args(["--end-of-options"]);
    git.args([path]).ok().await.map(drop)
}

/// Takes away what an interrupted call left: the files go to the trash whole, because nobody can
/// tell what came into them since, and the registration goes.
pub(super) async fn set_aside(
    git: &GitWorktree,
    repo: &Repo,
    request: &CreateWorkspace,
    site: &Site,
) -> Result<(), WorkspaceError> {
    let path = &site.worktree.path;
    if !site.is_half_made() {
        if let Some(reason) = &site.worktree.locked {
            let path = path.display();
            let message = format!("the worktree at `{path}` is missing and locked: {reason}");
            return Err(WorkspaceError::Git { message });
        }
        let removing = Removing { git, repo, request, mode: RemovalMode::Careful };
        return removing.forget(site).await.map(drop);
    }
    if is_occupied(path) {
        let entry = Entry::new(&git.config.trash, repo, &request.session, path)?;
        entry.take(path, "files")?;
    }
    // Twice, because git locks what it is about to make.
    drop_registration(repo, path, &["--force", "--force"]).await
}
