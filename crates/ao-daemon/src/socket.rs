//! The Unix socket that the daemon answers on, and who may talk to it.
//!
//! The path is taken over only by a caller that holds the lock of the home: whatever stands there
//! then was left by a daemon that is gone.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ao_api::home::SOCKET_PATH_BYTES_MAX;
use rustix::process::geteuid;
use tokio::net::{UnixListener, UnixStream};

/// Added to the path while the socket is not yet ready.
const SUFFIX: &str = ".new";

/// Why the socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The kernel takes no longer ones.
    #[error(
        "the socket path `{}` has {n_bytes} bytes, {SOCKET_PATH_BYTES_MAX} are possible; \
         set `AO_HOME` to a shorter path",
        path.display()
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        n_bytes: usize,
    },
    /// The file system refused.
    #[error("cannot listen on `{}`: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// Whether a path is short enough to be a socket.
pub(crate) fn check_path(path: &Path) -> Result<(), SocketError> {
    let n_bytes = path.as_os_str().len();
    if n_bytes > SOCKET_PATH_BYTES_MAX {
        return Err(SocketError::TooLong { path: path.to_owned(), n_bytes });
    }
    Ok(())
}

/// A listening socket, and its file.
#[derive(Debug)]
pub(crate) struct Socket {
    /// Takes connections for as long as it lives.
    pub(crate) listener: Listener,
    /// Removes the file when it is dropped.
    pub(crate) file: SocketFile,
}

impl Socket {
    /// Listens, replacing what a daemon that is gone left there.
    ///
    /// *Guarantees*: nobody but the owner can connect at any moment, and a client sees either no
    /// socket or one that answers.
    pub(crate) fn bind(path: &Path) -> Result<Self, SocketError> {
        check_path(path)?;
        let failed = |source| SocketError::Io { path: path.to_owned(), source };
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(SUFFIX);
        let fresh = PathBuf::from(fresh);
        remove_if_there(&fresh).map_err(failed)?;
        let listener = UnixListener::bind(&fresh).map_err(failed)?;
        std::fs::set_permissions(&fresh, Permissions::from_mode(0o600)).map_err(failed)?;
        std::fs::rename(&fresh, path).map_err(failed)?;
        let inode = inode_of(path).map_err(failed)?;
        let file = SocketFile { path: path.to_owned(), inode };
        Ok(Self { listener: Listener(listener), file })
    }
}

/// Takes the connections of the owner.
#[derive(Debug)]
pub(crate) struct Listener(UnixListener);

impl Listener {
    /// The next connection of the owner; others are turned away.
    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.0.accept().await?;
            let peer = stream.peer_cred()?;
            if peer.uid() == geteuid().as_raw() {
                return Ok(stream);
            }
            tracing::warn!(uid = peer.uid(), "Turned away a connection of another user.");
        }
    }
}

/// The file of a socket; dropping it removes the file, unless another one stands there by then.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode_of(&self.path).is_ok_and(|inode| inode == self.inode)
            && let Err(error) = remove_if_there(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "Could not remove the socket.");
        }
    }
}

fn inode_of(path: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::symlink_metadata(path).map(|metadata| metadata.ino())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn only_the_owner_can_connect_and_the_file_goes_with_the_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ao.sock");
        let socket = Socket::bind(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        let client = UnixStream::connect(&path).await.unwrap();
        assert!(socket.listener.accept().await.is_ok());
        drop((socket, client));
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_a_daemon_that_is_gone_left_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ao.sock");
        std::mem::forget(Socket::bind(&path).unwrap());
        let socket = Socket::bind(&path).unwrap();
        let client = UnixStream::connect(&path).await.unwrap();
        assert!(socket.listener.accept().await.is_ok());
        drop(client);
    }

    #[tokio::test]
    async fn a_socket_leaves_its_successor_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ao.sock");
        let first = Socket::bind(&path).unwrap();
        let second = Socket::bind(&path).unwrap();
        drop(first);
        assert!(UnixStream::connect(&path).await.is_ok());
        drop(second);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_says_what_to_do() {
        let path = PathBuf::from(format!("/{}", "x".repeat(100)));
        let error = Socket::bind(&path).expect_err("too long").to_string();
        assert!(error.contains("101 bytes") && error.contains("shorter path"), "{error}");
    }
}
