//! Keeps files of ours out of `git status`, in every worktree of a repository and in none of its
//! commits.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use ao_core::ports::{Ensured, WorkspaceError};

use super::repo::io_error;

/// Adds the patterns that are not there yet, and touches nothing else in the file.
///
/// The file is replaced in one step, so that git never reads half of it; a file that is a link is
/// replaced where it leads to.
pub(super) fn ensure(common: &Path, patterns: &[String]) -> Result<Ensured, WorkspaceError> {
    let dir = common.join("info");
    let failed = |error: &std::io::Error| io_error(&dir.join("exclude"), error);
    fs::create_dir_all(&dir).map_err(|error| failed(&error))?;
    let link = dir.join("exclude");
    let path = link.canonicalize().unwrap_or(link);
    let mut bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(&error)),
    };
    let n_before = bytes.len();
    for pattern in patterns {
        // A line end in a pattern would be a second pattern that nobody asked for.
        if pattern.is_empty() || pattern.contains(['\n', '\r', '\0']) {
            return Err(WorkspaceError::Io {
                path,
                message: format!("`{}` cannot be a pattern", pattern.escape_debug()),
            });
        }
        let is_there = bytes.split(|&byte| byte == b'\n').any(|line| line == pattern.as_bytes());
        if !is_there {
            if bytes.last().is_some_and(|&byte| byte != b'\n') {
                bytes.push(b'\n');
            }
            bytes.extend_from_slice(pattern.as_bytes());
            bytes.push(b'\n');
        }
    }
    if bytes.len() == n_before {
        return Ok(Ensured::AlreadyThere);
    }
    let beside = path.with_extension("ao-new");
    let write = || {
        let mut file = fs::File::create(&beside)?;
        file.write_all(&bytes)?;
        if let Ok(metadata) = fs::metadata(&path) {
            file.set_permissions(metadata.permissions())?;
        }
        fs::rename(&beside, &path)
    };
    write().map_err(|error| failed(&error))?;
    Ok(Ensured::Done)
}
