//! Indexes of our own, for questions and snapshots that must not touch the user's.

use std::path::{Path, PathBuf};

use ao_core::ports::WorkspaceError;

use super::repo::io_error;

/// An index of our own; gone with the value.
#[derive(Debug)]
pub(super) struct ScratchIndex {
    pub(super) path: PathBuf,
    _dir: ScratchDir,
}

/// A directory of our own; gone with the value.
#[derive(Debug)]
pub(super) struct ScratchDir {
    pub(super) path: PathBuf,
}

impl ScratchDir {
    /// Makes one with a name that nobody else draws.
    pub(super) fn new(scratch: &Path, what: &str) -> Result<Self, WorkspaceError> {
        let name = getrandom::u64().map_err(|error| WorkspaceError::Io {
            path: scratch.to_owned(),
            message: error.to_string(),
        })?;
        let path = scratch.join(format!("{what}-{name:016x}"));
        std::fs::create_dir_all(&path).map_err(|error| io_error(scratch, &error))?;
        Ok(Self { path })
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "Could not remove a scratch directory.");
        }
    }
}

impl ScratchIndex {
    /// Copies the index of a worktree; one without an index gets an empty one.
    pub(super) fn copy_of(admin: &Path, scratch: &Path) -> Result<Self, WorkspaceError> {
        let failed = |error: &std::io::Error| io_error(scratch, error);
        let dir = ScratchDir::new(scratch, "index")?;
        let path = dir.path.join("index");
        copy_with_time(&admin.join("index"), &path).map_err(|error| failed(&error))?;
        Ok(Self { path, _dir: dir })
    }
}

/// Copies an index with its time: a file that was changed in the same instant in which the index
/// was written is only compared when the index is not younger than the file.
fn copy_with_time(from: &Path, to: &Path) -> std::io::Result<()> {
    let modified = match from.metadata() {
        Ok(metadata) => metadata.modified()?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    std::fs::copy(from, to)?;
    let file = std::fs::File::options().write(true).open(to)?;
    file.set_times(std::fs::FileTimes::new().set_modified(modified))
}
