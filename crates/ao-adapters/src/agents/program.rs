//! Finds a program as the session itself would, before anything is started.

use std::path::{Path, PathBuf};

use ao_core::ports::{AgentError, LaunchRequest};
use rustix::fs::{Access, access};

/// The absolute path of a program.
///
/// A name with a slash is taken from the session's directory, a plain one from the PATH that the
/// session will have. Entries of that PATH which are not absolute are passed over: they would mean
/// another program in every worktree.
pub(super) fn resolve(program: &str, request: &LaunchRequest) -> Result<PathBuf, AgentError> {
    let missing = || AgentError::Missing { program: program.to_owned() };
    if program.contains('/') {
        let path = request.directory.join(program);
        return if is_executable(&path) { Ok(path) } else { Err(missing()) };
    }
    let path = request.env.get("PATH").map(String::as_str).unwrap_or_default();
    std::env::split_paths(path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(program))
        .find(|candidate| !program.is_empty() && is_executable(candidate))
        .ok_or_else(missing)
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}
