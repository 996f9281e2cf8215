//! The lock of a data directory: one daemon at a time, and a database that cannot be opened
//! without it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Why the lock was not given.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else holds it. Talk to that daemon, or stop it first.
    #[error("{} runs on this home (`{}`)", holder(*pid), path.display())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Who holds it, when it could be read.
        pid: Option<u32>,
    },
    /// The lock file cannot be opened or written. Make the directory writable.
    #[error("cannot lock `{}`", path.display())]
    Unwritable {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("another daemon (pid {pid})"),
        None => "another daemon".to_owned(),
    }
}

/// The right to write in a data directory, held until it is dropped or its process ends, however
/// that ends.
#[derive(Debug)]
pub struct DataLock {
    file: File,
    path: PathBuf,
}

impl DataLock {
    /// The name of the lock file in its directory.
    pub const FILE_NAME: &'static str = "daemon.lock";

    /// Takes the lock of a directory, or says who holds it. Never waits.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join(Self::FILE_NAME);
        let unwritable = |source: io::Error| LockError::Unwritable { path: path.clone(), source };
        // The file is never removed: a lock on an unlinked file would exclude nobody.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(unwritable)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(LockError::Held { pid: read_pid(&mut file), path });
            }
            Err(errno) => return Err(unwritable(errno.into())),
        }
        write_pid(&mut file).map_err(unwritable)?;
        Ok(Self { file, path })
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DataLock {
    /// Lets go explicitly: a child that another thread has forked and that has not reached its
    /// `exec` shares the descriptor, and closing ours alone would leave the lock with it.
    fn drop(&mut self) {
        if let Err(errno) = flock(&self.file, FlockOperation::Unlock) {
            tracing::warn!(path = %self.path.display(), %errno, "The lock was not released.");
        }
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    // The holder may be writing it just now; then its number is not known, and nothing else.
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_refused_and_says_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataLock::acquire(dir.path()).unwrap();
        let refused = DataLock::acquire(dir.path()).unwrap_err().to_string();
        let expected = format!(
            "another daemon (pid {}) runs on this home (`{}`)",
            std::process::id(),
            held.path().display()
        );
        assert_eq!(refused, expected);
    }

    #[test]
    fn a_lock_is_free_again_when_its_holder_lets_go() {
        let dir = tempfile::tempdir().unwrap();
        drop(DataLock::acquire(dir.path()).unwrap());
        // What is left of an earlier holder is overwritten, not added to.
        std::fs::write(dir.path().join(DataLock::FILE_NAME), "123456789\n").unwrap();
        let lock = DataLock::acquire(dir.path()).unwrap();
        let text = std::fs::read_to_string(lock.path()).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        let error = DataLock::acquire(&missing).unwrap_err();
        assert!(matches!(&error, LockError::Unwritable { .. }), "{error:?}");
        assert!(error.to_string().contains("missing/daemon.lock"), "{error}");
    }
}
