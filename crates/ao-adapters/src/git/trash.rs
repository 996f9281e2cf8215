//! The trash: where worktrees go before anything of them is unlinked.
//!
//! An entry is a directory of ours alone. What git still has registered stands in it as
//! `worktree`; what git has let go of as `files`. Only `files` is ever unlinked.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use ao_core::ids::SessionId;
use ao_core::ports::{CreateWorkspace, WorkspaceError};

use super::IgnoredRules;
use super::look::Eye;
use super::repo::{Repo, io_error, is_occupied};
use super::run::{Pace, split_z};

/// Largest ignored file that is compared with the main worktree's before it counts as a copy.
const COPY_BYTES_MAX: u64 = 1024 * 1024;

/// Most removals of one session that the trash can hold at a time.
const ENTRIES_MAX: u32 = 10_000;

/// One removed worktree.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    dir: PathBuf,
}

impl Entry {
    /// Makes an empty entry on the file system of a path: moving there must not copy.
    pub(super) fn new(
        trash: &Path,
        repo: &Repo,
        session: &SessionId,
        path: &Path,
    ) -> Result<Self, WorkspaceError> {
        let root = root_beside(trash, repo, path)?;
        let mut last = None;
        for n in 1..=ENTRIES_MAX {
            let dir = root.join(format!("{session}.{n}"));
            match fs::DirBuilder::new().mode(0o700).create(&dir) {
                Ok(()) => return Ok(Self { dir }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    last = Some(error);
                }
                Err(error) => return Err(io_error(&dir, &error)),
            }
        }
        let message = last.map_or_else(String::new, |error| error.to_string());
        Err(WorkspaceError::Io { path: root, message })
    }

    /// The entry that a worktree lies in, if its path is that of one in a trash.
    pub(super) fn around(worktree: &Path, session: &SessionId) -> Option<Self> {
        let dir = worktree.parent()?;
        let name = dir.file_name()?.to_str()?;
        let number = name.strip_prefix(session.as_str())?.strip_prefix('.')?;
        let is_ours = worktree.ends_with("worktree") && number.parse::<u32>().is_ok();
        is_ours.then(|| Self { dir: dir.to_owned() })
    }

    /// Where a worktree stands that git still has registered.
    pub(super) fn worktree(&self) -> PathBuf {
        self.dir.join("worktree")
    }

    /// Where its files stand once git let go of it.
    pub(super) fn files(&self) -> PathBuf {
        self.dir.join("files")
    }

    /// Moves what is not in a worktree back into it. Nothing there is overwritten; what stands there
    /// already, and differs, stays here.
    pub(super) fn bring_back(&self, worktree: &Path) -> Result<BroughtBack, WorkspaceError> {
        let mut brought = BroughtBack::default();
        merge_into(&self.files(), worktree, Path::new(""), &mut brought)
            .map_err(|error| io_error(&self.files(), &error))?;
        brought.names.sort();
        Ok(brought)
    }

    /// Moves something here.
    pub(super) fn take(&self, from: &Path, name: &str) -> Result<(), WorkspaceError> {
        let to = self.dir.join(name);
        fs::rename(from, &to).map_err(|error| io_error(from, &error))
    }

    /// Writes down when the last look at the files begins: what changes later was not seen.
    pub(super) fn begin_last_look(&self) -> Result<(), WorkspaceError> {
        let path = self.looked();
        fs::write(&path, "").map_err(|error| io_error(&path, &error))
    }

    fn looked(&self) -> PathBuf {
        self.dir.join("looked")
    }

    /// Takes the worktree away from the place where git has it registered.
    pub(super) fn detach(&self) -> Result<(), WorkspaceError> {
        let worktree = self.worktree();
        fs::rename(&worktree, self.files()).map_err(|error| io_error(&worktree, &error))
    }

    /// Writes down that nobody needs its files: git has all of them, or they are disposable.
    fn call_worthless(&self) -> std::io::Result<()> {
        fs::write(self.worthless(), "")
    }

    fn worthless(&self) -> PathBuf {
        self.dir.join("worthless")
    }

    /// Gives the entry up again; one that holds anything stays.
    pub(super) fn give_up(self) {
        if let Err(error) = fs::remove_file(self.looked()) {
            tracing::debug!(path = %self.dir.display(), %error, "A trash entry was not looked at.");
        }
        if let Err(error) = fs::remove_dir(&self.dir) {
            tracing::debug!(path = %self.dir.display(), %error, "A trash entry stays.");
        }
    }
}

/// The trash on the file system of a path: the configured one, else one inside git's directory,
/// else one beside the path.
fn root_beside(trash: &Path, repo: &Repo, path: &Path) -> Result<PathBuf, WorkspaceError> {
    let device = |path: &Path| fs::metadata(path).map(|it| it.dev()).ok();
    let parent = path.parent().unwrap_or(path);
    let here = device(path).or_else(|| device(parent));
    for root in roots(trash, repo, path) {
        let existing = root.ancestors().find(|it| it.exists()).unwrap_or(&root);
        if device(existing) == here {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&root)
                .map_err(|error| io_error(&root, &error))?;
            return Ok(root);
        }
    }
    Err(WorkspaceError::Io {
        path: path.to_owned(),
        message: "there is no place for a trash on its file system".to_owned(),
    })
}

/// What came back from the trash.
#[derive(Debug, Default)]
pub(super) struct BroughtBack {
    /// Files and directories, relative to the worktree.
    pub(super) names: Vec<String>,
    /// Whether something stayed because another one stands in its place.
    pub(super) has_left: bool,
}

fn merge_into(
    from: &Path,
    to: &Path,
    below: &Path,
    brought: &mut BroughtBack,
) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_link_of_git = name == ".git";
        if is_link_of_git && below.as_os_str().is_empty() {
            continue;
        }
        let (source, target, shown) = (entry.path(), to.join(&name), below.join(&name));
        match rename_into_gap(&source, &target) {
            Ok(()) => brought.names.push(shown.display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let (ours, theirs) = (source.symlink_metadata()?, target.symlink_metadata()?);
                let is_repository = is_occupied(&source.join(".git"));
                if ours.is_dir() && theirs.is_dir() && !is_repository {
                    merge_into(&source, &target, &shown, brought)?;
                } else {
                    brought.has_left |= is_repository || !is_same(&source, &target);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Moves something to where nothing stands.
fn rename_into_gap(from: &Path, to: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};

    renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(Into::into)
}

/// Whether two files, or two links, hold the same.
fn is_same(a: &Path, b: &Path) -> bool {
    let (Ok(ours), Ok(theirs)) = (a.symlink_metadata(), b.symlink_metadata()) else {
        return false;
    };
    if ours.is_symlink() && theirs.is_symlink() {
        return matches!((fs::read_link(a), fs::read_link(b)), (Ok(a), Ok(b)) if a == b);
    }
    ours.is_file()
        && theirs.is_file()
        && ours.len() == theirs.len()
        && ours.len() <= COPY_BYTES_MAX
        && matches!((fs::read(a), fs::read(b)), (Ok(a), Ok(b)) if a == b)
}

/// The entry of the last worktree of a session that left files in a trash.
pub(super) fn newest(
    trash: &Path,
    repo: &Repo,
    request: &CreateWorkspace,
) -> Result<Option<Entry>, WorkspaceError> {
    let mut found: Option<(std::time::SystemTime, Entry)> = None;
    for root in roots(trash, repo, &request.path) {
        let entries = match fs::read_dir(&root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(io_error(&root, &error)),
        };
        for dir in entries.flatten().map(|entry| entry.path()) {
            let Some(entry) = Entry::around(&dir.join("worktree"), &request.session) else {
                continue;
            };
            let files = entry.files();
            let is_real = files.symlink_metadata().is_ok_and(|it| it.is_dir())
                && !is_occupied(&entry.worthless());
            let Ok(at) = dir.symlink_metadata().and_then(|it| it.modified()) else { continue };
            if is_real && found.as_ref().is_none_or(|(newest, _)| at > *newest) {
                found = Some((at, entry));
            }
        }
    }
    Ok(found.map(|(_, entry)| entry))
}

/// Where the trash of a worktree at a path may be.
fn roots(trash: &Path, repo: &Repo, path: &Path) -> [PathBuf; 3] {
    let parent = path.parent().unwrap_or(path);
    [trash.to_owned(), root_in(repo), root_in_directory(parent)]
}

/// The trash inside git's directory of a repository.
pub(super) fn root_in(repo: &Repo) -> PathBuf {
    repo.common.join("ao-trash")
}

/// The trash beside worktrees.
pub(super) fn root_in_directory(dir: &Path) -> PathBuf {
    dir.join(".ao-trash")
}

/// What becomes of the files of an entry.
#[derive(Debug, Clone)]
pub(super) enum Disposal {
    /// They all stay.
    Keep,
    /// These go, relative to the worktree; the rest stays.
    Some(Vec<PathBuf>),
    /// Everything goes: git has all of it, or it is disposable.
    All,
}

/// Decides what becomes of a clean worktree's files once git let go of it.
///
/// Ignored files are work until somebody says otherwise. Disposable are those that the patterns
/// name, links (what they lead to stays), and copies of what the main worktree has.
pub(super) async fn disposal(
    eye: &Eye<'_>,
    top: &Path,
    rules: &IgnoredRules,
) -> Result<Disposal, WorkspaceError> {
    let list = ["ls-files", "--others", "--ignored", "--directory", "-z"];
    let all = eye.git(Pace::Look).args(list).args(["--exclude-standard"]).ok().await?;
    let named = matching(eye, &list, &rules.disposable).await?;
    // One by one: what is kept may lie in a directory that is disposable as a whole.
    let kept = matching(eye, &["ls-files", "--others", "--ignored", "-z"], &rules.kept).await?;
    let kept: Vec<&[u8]> = split_z(&kept).collect();
    let is_kept = |name: &[u8]| {
        kept.iter().any(|it| *it == name || (name.ends_with(b"/") && it.starts_with(name)))
    };
    let named: Vec<&[u8]> = split_z(&named).filter(|name| !is_kept(name)).collect();
    let path = |name: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(name.trim_ascii_end()));
    let mut is_everything = true;
    for entry in split_z(&all) {
        let is_named =
            named.iter().any(|it| entry == *it || (it.ends_with(b"/") && entry.starts_with(it)));
        let is_worthless =
            !is_kept(entry) && is_worthless(&eye.path.join(path(entry)), &top.join(path(entry)));
        if !is_named && !is_worthless {
            is_everything = false;
        }
    }
    if is_everything {
        return Ok(Disposal::All);
    }
    // Only what is ignored may go: a pattern says nothing about files that git does not ignore.
    let ignored: Vec<&[u8]> = split_z(&all).collect();
    let is_ignored = |name: &[u8]| {
        ignored.iter().any(|it| name == *it || (it.ends_with(b"/") && name.starts_with(it)))
    };
    Ok(Disposal::Some(named.into_iter().filter(|it| is_ignored(it)).map(path).collect()))
}

/// The files of a list that match patterns; none for no patterns.
async fn matching(
    eye: &Eye<'_>,
    list: &[&str],
    patterns: &[String],
) -> Result<Vec<u8>, WorkspaceError> {
    if patterns.is_empty() {
        return Ok(Vec::new());
    }
    let patterns = patterns.iter().map(|pattern| format!("--exclude={pattern}"));
    eye.git(Pace::Look).args(list).args(patterns).ok().await
}

/// Whether an ignored file is a link, or the same as the main worktree's.
fn is_worthless(file: &Path, original: &Path) -> bool {
    file.is_symlink() || is_same(file, original)
}

/// Writes down what may go, so that a death before it went is made up for.
pub(super) fn condemn(entry: &Entry, disposal: &Disposal) {
    if matches!(disposal, Disposal::All)
        && let Err(error) = entry.call_worthless()
    {
        // Kept for as long as everything else then.
        tracing::debug!(path = %entry.dir.display(), %error, "A trash entry has no mark.");
    }
}

/// Unlinks what may go of an entry that git has let go of.
///
/// *Guarantees*: nothing outside the entry is touched, and no link is followed out of it.
pub(super) fn dispose(entry: &Entry, disposal: &Disposal) -> std::io::Result<()> {
    let files = entry.files();
    match disposal {
        Disposal::Keep => Ok(()),
        Disposal::All if has_younger(&files, &entry.looked())? => {
            tracing::warn!(path = %files.display(), "Files changed late, so they stay in the trash.");
            forget_mark(&entry.worthless())
        }
        Disposal::All => {
            fs::remove_dir_all(&files)?;
            forget_mark(&entry.looked())?;
            forget_mark(&entry.worthless())?;
            // Submodules' own repositories may stand beside the files.
            if fs::read_dir(&entry.dir)?.next().is_none() {
                fs::remove_dir(&entry.dir)
            } else {
                Ok(())
            }
        }
        Disposal::Some(paths) => {
            let root = files.canonicalize()?;
            for path in paths {
                let target = root.join(path);
                let parent = target.parent().map(Path::canonicalize).transpose()?;
                if !parent.is_some_and(|parent| parent.starts_with(&root)) || target == root {
                    continue;
                }
                match target.symlink_metadata() {
                    Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&target)?,
                    Ok(_file) => fs::remove_file(&target)?,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        }
    }
}

fn forget_mark(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Whether anything below a directory changed when a file was written, or later. The directory
/// itself was renamed since, and does not count.
fn has_younger(dir: &Path, than: &Path) -> std::io::Result<bool> {
    let time = |metadata: &fs::Metadata| (metadata.ctime(), metadata.ctime_nsec());
    let looked_at = time(&than.metadata()?);
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next)? {
            let entry = entry?;
            let metadata = entry.path().symlink_metadata()?;
            if time(&metadata) >= looked_at {
                return Ok(true);
            }
            if metadata.is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    Ok(false)
}

/// Whether a directory of submodule repositories holds any.
pub(super) fn has_modules(admin: &Path) -> bool {
    let modules = admin.join("modules");
    is_occupied(&modules) && fs::read_dir(&modules).is_ok_and(|mut it| it.next().is_some())
}
