//! The end of what lies in the trash: some days after a worktree was removed, its files are
//! unlinked.
//!
//! *Guarantees*: only what this program puts into an entry of a trash is unlinked, by its names; a
//! worktree that git has registered is passed over, and no link is followed. What changed lately
//! stays, however old its entry is. A clock that was set back lets everything stay longer; a death
//! in the middle is made up for by the next sweep.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ao_core::time::Timestamp;

use super::repo::is_occupied;

/// Most entries that one sweep unlinks: the next one goes on.
const ENTRIES_MAX: usize = 20;

/// How long an index or an object of a question may lie in the scratch directory: a question takes
/// minutes at most, so that it belongs to a daemon that died.
const SCRATCH_FOR: Duration = Duration::from_hours(24);

/// How long files that nobody needs may wait for the task that unlinks them.
const WORTHLESS_FOR: Duration = Duration::from_hours(1);

/// What is being unlinked; nobody takes anything back from it any more.
const GOING: &str = "going";

/// Everything that an entry may hold beside a worktree and its files.
const MARKS: [&str; 2] = ["looked", "worthless"];

/// Unlinks what is due in these trashes; returns how many entries went.
pub(super) fn sweep(roots: &[PathBuf], now: Timestamp, keep_for: Duration) -> usize {
    let mut n_gone = 0_usize;
    for root in roots {
        for dir in directories(root) {
            if n_gone >= ENTRIES_MAX {
                return n_gone;
            }
            let ended = match dir.file_name().and_then(|name| name.to_str()) {
                Some("scratch") => sweep_scratch(&dir, now),
                Some(name) if is_entry(name) => sweep_entry(&dir, now, keep_for),
                Some(_) | None => Ok(false),
            };
            match ended {
                Ok(true) => n_gone += 1,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(path = %dir.display(), %error, "A trash entry stays.");
                }
            }
        }
    }
    n_gone
}

/// The real directories in a real directory.
fn directories(root: &Path) -> Vec<PathBuf> {
    if !is_dir(root) {
        return Vec::new();
    }
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let mut dirs: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| is_dir(path)).collect();
    dirs.sort();
    dirs
}

fn is_dir(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}

/// Whether a directory is named as entries are: `SESSION.N`.
fn is_entry(name: &str) -> bool {
    let number = name.rsplit_once('.').map(|(_session, number)| number);
    number.is_some_and(|it| it.parse::<u32>().is_ok())
}

fn sweep_entry(dir: &Path, now: Timestamp, keep_for: Duration) -> io::Result<bool> {
    // An interrupted removal: git still has it registered, and the next call goes on with it.
    if is_occupied(&dir.join("worktree")) {
        return Ok(false);
    }
    let going = dir.join(GOING);
    if !is_occupied(&going) {
        let files = dir.join("files");
        let keep_for = if is_occupied(&dir.join("worthless")) { WORTHLESS_FOR } else { keep_for };
        if !is_older(dir, now, keep_for)? || !is_all_older(&files, now, keep_for)? {
            return Ok(false);
        }
        if is_occupied(&files) {
            fs::rename(&files, &going)?;
        }
    }
    for name in [GOING, "modules"] {
        let path = dir.join(name);
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&path)?,
            Ok(_link) => fs::remove_file(&path)?,
            Err(_absent) => {}
        }
    }
    for name in MARKS {
        match fs::remove_file(dir.join(name)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    // One that holds anything else stays, and is told.
    fs::remove_dir(dir).map(|()| true)
}

fn sweep_scratch(scratch: &Path, now: Timestamp) -> io::Result<bool> {
    let mut is_any = false;
    for dir in directories(scratch) {
        if is_older(&dir, now, SCRATCH_FOR)? {
            fs::remove_dir_all(&dir)?;
            is_any = true;
        }
    }
    Ok(is_any)
}

/// Whether something changed longer ago than that; what changed in the future did not.
fn is_older(path: &Path, now: Timestamp, than: Duration) -> io::Result<bool> {
    let metadata = path.symlink_metadata()?;
    // Nobody but the kernel writes this time.
    let changed_ms = metadata.ctime().saturating_mul(1000);
    let age_ms = u64::try_from(now.as_millis().saturating_sub(changed_ms)).unwrap_or(0);
    Ok(Duration::from_millis(age_ms) >= than)
}

/// The same of everything below a directory.
fn is_all_older(dir: &Path, now: Timestamp, than: Duration) -> io::Result<bool> {
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        if !is_dir(&next) {
            continue;
        }
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if !is_older(&path, now, than)? {
                return Ok(false);
            }
            dirs.push(path);
        }
    }
    Ok(true)
}
