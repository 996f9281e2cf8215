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

#[derive(Debug)]
struct ScratchDir(PathBuf);

impl Drop for ScratchDir {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "Could not remove a scratch index.");
        }
    }
}

impl ScratchIndex {
    /// Copies the index of a worktree; one without an index gets an empty one.
    pub(super) fn copy_of(admin: &Path, scratch: &Path) -> Result<Self, WorkspaceError> {
        let failed = |error: &std::io::Error| io_error(scratch, error);
        let name = getrandom::u64().map_err(|error| WorkspaceError::Io {
            path: scratch.to_owned(),
            message: error.to_string(),
        })?;
        let dir = scratch.join(format!("index-{name:016x}"));
        std::fs::create_dir_all(&dir).map_err(|error| failed(&error))?;
        let dir = ScratchDir(dir);
        let path = dir.0.join("index");
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
