//! Where the sockets of tmux servers are: their paths have to be short.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use ao_core::ids::ProjectId;

/// Bytes of a socket path: the kernel takes 107, some tools a little less.
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// Bytes of a socket's name that a directory must leave room for, the separator included: those
/// of a hashed name.
const SOCKET_NAME_BYTES: usize = "/p-0123456789abcdef.sock".len();

/// Why no directory can hold the sockets of a home.
#[derive(Debug, thiserror::Error)]
pub enum SocketDirError {
    /// Neither the home nor the runtime directory is short enough.
    #[error(
        "the path of `{home}` is too long for a socket, and so is `{runtime_dir}`; use a shorter home, or set `XDG_RUNTIME_DIR` to a short directory"
    )]
    TooLong {
        /// The home.
        home: PathBuf,
        /// The other place.
        runtime_dir: PathBuf,
    },
    /// The directory cannot be made.
    #[error(
        "the socket directory `{dir}` cannot be made: {message}; use a shorter home, or make it writable"
    )]
    Unusable {
        /// The directory.
        dir: PathBuf,
        /// What went wrong.
        message: String,
    },
    /// Somebody else could reach the directory.
    #[error(
        "the socket directory `{dir}` is not private to this user; remove it, or set `XDG_RUNTIME_DIR` to a directory of your own"
    )]
    NotPrivate {
        /// The directory.
        dir: PathBuf,
    },
}

/// Chooses, and makes, the directory that holds the sockets of a home: its own when the paths fit,
/// else one below the user's runtime directory (or the temporary one) under a hash of the home.
pub fn socket_dir_for(home: &Path, runtime_dir: Option<&Path>) -> Result<PathBuf, SocketDirError> {
    let own = home.join("run");
    if fits(&own) {
        return make_private(own);
    }
    let uid = rustix::process::getuid().as_raw();
    let runtime_dir = runtime_dir
        .map_or_else(|| std::env::temp_dir().join(format!("ao-{uid}")), |dir| dir.join("ao"));
    let dir = runtime_dir.join(hash(home.as_os_str().as_encoded_bytes()));
    if !fits(&dir) {
        return Err(SocketDirError::TooLong { home: home.to_owned(), runtime_dir });
    }
    make_private(runtime_dir)?;
    make_private(dir)
}

fn fits(dir: &Path) -> bool {
    dir.as_os_str().len() + SOCKET_NAME_BYTES <= SOCKET_PATH_BYTES_MAX
}

/// Anyone may have put something into a shared directory under the name that we use.
fn make_private(dir: PathBuf) -> Result<PathBuf, SocketDirError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    match made.and_then(|()| std::fs::symlink_metadata(&dir)) {
        Err(error) => Err(SocketDirError::Unusable { dir, message: error.to_string() }),
        Ok(found)
            if !found.is_dir()
                || found.uid() != rustix::process::getuid().as_raw()
                || found.mode() & 0o077 != 0 =>
        {
            Err(SocketDirError::NotPrivate { dir })
        }
        Ok(_) => Ok(dir),
    }
}

/// The socket of a project's server.
pub(super) fn socket_of(dir: &Path, project: &ProjectId) -> PathBuf {
    let socket = dir.join(format!("{project}.sock"));
    if socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return socket;
    }
    dir.join(format!("p-{}.sock", hash(project.as_str().as_bytes())))
}

/// FNV-1a: stable across releases, which the standard library's is not. Two that collide are told
/// apart by the server's marker.
fn hash(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_home_with_a_short_path_holds_its_sockets() {
        let home = tempfile::tempdir().unwrap();
        let dir = socket_dir_for(home.path(), None).unwrap();
        assert_eq!(dir, home.path().join("run"));
        assert_eq!(dir.metadata().unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_home_with_a_long_path_gets_a_directory_under_its_hash() {
        let runtime = tempfile::tempdir().unwrap();
        let home = PathBuf::from(format!("/{}", "h".repeat(120)));
        let dir = socket_dir_for(&home, Some(runtime.path())).unwrap();
        assert!(dir.starts_with(runtime.path().join("ao")), "{}", dir.display());
        assert_eq!(socket_dir_for(&home, Some(runtime.path())).unwrap(), dir);
        let other = PathBuf::from(format!("/{}", "i".repeat(120)));
        assert_ne!(socket_dir_for(&other, Some(runtime.path())).unwrap(), dir);
    }

    #[test]
    fn a_directory_that_others_can_enter_is_refused() {
        let runtime = tempfile::tempdir().unwrap();
        let shared = runtime.path().join("ao");
        std::fs::create_dir(&shared).unwrap();
        std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o777)).unwrap();
        let home = PathBuf::from(format!("/{}", "h".repeat(120)));
        let error = socket_dir_for(&home, Some(runtime.path())).unwrap_err();
        assert!(matches!(error, SocketDirError::NotPrivate { .. }), "{error}");
    }

    #[test]
    fn where_nothing_fits_the_error_says_what_to_do() {
        let home = PathBuf::from(format!("/{}", "h".repeat(120)));
        let error = socket_dir_for(&home, Some(&home)).unwrap_err();
        assert!(error.to_string().contains("use a shorter home"), "{error}");
    }

    #[test]
    fn every_socket_path_fits_however_long_the_project_is_called() {
        let dir = PathBuf::from(format!(
            "/{}",
            "d".repeat(SOCKET_PATH_BYTES_MAX - SOCKET_NAME_BYTES - 1)
        ));
        assert!(fits(&dir));
        let project = |name: String| ProjectId::parse(name).unwrap();
        assert_eq!(socket_of(&dir, &project("app".to_owned())), dir.join("app.sock"));
        let long = socket_of(&dir, &project("p".repeat(100)));
        assert!(long.as_os_str().len() <= SOCKET_PATH_BYTES_MAX, "{}", long.display());
        assert_ne!(long, socket_of(&dir, &project("q".repeat(100))));
    }
}
