//! How the sockets of tmux servers are called: their paths have to be short.
//!
//! Where they are is the rule of the home, which every client of a daemon applies too; the names
//! here are a part of that rule.

use std::path::{Path, PathBuf};

use ao_core::ids::ProjectId;

/// Bytes of a socket path: the kernel takes 107, some tools a little less.
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// What the name of each begins with: other sockets may be in the same directory.
const PREFIX: &str = "t-";

/// The socket of a project's server. A directory has to leave room for a hashed name.
pub(super) fn socket_of(dir: &Path, project: &ProjectId) -> PathBuf {
    let socket = dir.join(format!("{PREFIX}{project}"));
    if socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return socket;
    }
    dir.join(format!("{PREFIX}{}", hash(project.as_str().as_bytes())))
}

/// Whether a path is named like the socket of a server.
pub(super) fn is_socket(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()))
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
    use super::*;

    #[test]
    fn every_socket_path_fits_however_long_the_project_is_called() {
        let room = "/t-0123456789abcdef".len();
        let dir = PathBuf::from(format!("/{}", "d".repeat(SOCKET_PATH_BYTES_MAX - room - 1)));
        let project = |name: String| ProjectId::parse(name).unwrap();
        assert_eq!(socket_of(&dir, &project("app".to_owned())), dir.join("t-app"));
        let long = socket_of(&dir, &project("p".repeat(100)));
        assert!(long.as_os_str().len() <= SOCKET_PATH_BYTES_MAX, "{}", long.display());
        assert_ne!(long, socket_of(&dir, &project("q".repeat(100))));
    }

    #[test]
    fn the_sockets_of_others_in_the_same_directory_are_told_apart() {
        let dir = Path::new("/h");
        assert!(is_socket(&socket_of(dir, &ProjectId::parse("app").unwrap())));
        assert!(!is_socket(Path::new("/h/daemon.sock")));
    }
}
