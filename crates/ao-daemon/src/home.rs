//! The directories of a home: made private, proven writable, marked.

use std::fmt;
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use ao_api::home::Layout;
use ao_core::ids::HomeId;
use ao_core::ports::{ErrorKind, IdGen};

use crate::fault::Fault;

/// Holds the marker of the home: only tmux servers that carry it are ours.
const MARKER: &str = "home-id";

/// Why a home cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct HomeFault {
    path: PathBuf,
    message: String,
}

impl HomeFault {
    pub(crate) fn new(path: &Path, error: &dyn fmt::Display) -> Self {
        Self { path: path.to_owned(), message: error.to_string() }
    }
}

impl fmt::Display for HomeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the home cannot be used: `{}`: {}", self.path.display(), self.message)
    }
}

impl From<HomeFault> for Fault {
    fn from(fault: HomeFault) -> Self {
        Self::new("HOME_UNWRITABLE", ErrorKind::Unavailable, fault.to_string())
            .with_hint("make it writable, or set `AO_HOME` to a directory that is")
    }
}

/// The directories that only their owner may enter.
pub(crate) fn private_dirs(layout: &Layout) -> Vec<PathBuf> {
    let mut dirs = vec![layout.data_dir.clone(), layout.state_dir.clone()];
    if let Some(parent) = layout.sockets_dir.parent()
        && !layout.sockets_dir.starts_with(&layout.data_dir)
    {
        dirs.push(parent.to_owned());
    }
    dirs.push(layout.sockets_dir.clone());
    dirs.dedup();
    dirs
}

/// Makes what is missing, and takes away what others may do with what is there. A directory that
/// belongs to another user is refused.
pub(crate) fn prepare(layout: &Layout) -> Result<(), HomeFault> {
    for dir in private_dirs(layout) {
        make_private(&dir).map_err(|error| HomeFault::new(&dir, &error))?;
    }
    prove_writable(&layout.data_dir)
}

fn make_private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let metadata = std::fs::metadata(dir)?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it belongs to another user"));
    }
    if metadata.mode() & 0o077 != 0 {
        std::fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Looks without making anything that stays.
pub(crate) fn check(layout: &Layout) -> Result<(), HomeFault> {
    let home = layout.home();
    if home.exists() {
        return prove_writable(home);
    }
    let there = home.ancestors().find(|dir| dir.exists()).unwrap_or_else(|| Path::new("/"));
    if !there.is_dir() {
        return Err(HomeFault::new(there, &io::Error::from(io::ErrorKind::NotADirectory)));
    }
    rustix::fs::access(there, rustix::fs::Access::WRITE_OK)
        .map_err(|error| HomeFault::new(there, &io::Error::from(error)))
}

/// Writing is the only proof: permissions say nothing about read-only file systems and quotas.
fn prove_writable(dir: &Path) -> Result<(), HomeFault> {
    let path = dir.join(".writable");
    let tried = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(b"?"))
        .and_then(|()| remove_if_there(&path));
    tried.map_err(|error| HomeFault::new(dir, &error))
}

/// Removes a file; a daemon that starts at the same time may have been quicker.
fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        ended => ended,
    }
}

/// Reads the marker of the home, or makes one. Asked for under the lock only.
pub(crate) fn marker(layout: &Layout, ids: &dyn IdGen) -> Result<HomeId, HomeFault> {
    let path = layout.data_dir.join(MARKER);
    let failed = |error: &dyn fmt::Display| HomeFault::new(&path, error);
    match std::fs::read_to_string(&path) {
        Ok(text) => HomeId::parse(text.trim()).map_err(|error| failed(&error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = HomeId::from(ids.token());
            let fresh = path.with_extension("new");
            std::fs::write(&fresh, format!("{id}\n")).map_err(|error| failed(&error))?;
            std::fs::rename(&fresh, &path).map_err(|error| failed(&error))?;
            Ok(id)
        }
        Err(error) => Err(failed(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use ao_core::ids::Token;

    struct Counter;

    impl IdGen for Counter {
        fn token(&self) -> Token {
            Token::from_bits(7)
        }
    }

    fn layout(home: &Path) -> Layout {
        Layout {
            ao_home: Some(home.to_owned()),
            config_file: home.join("config.toml"),
            data_dir: home.to_owned(),
            state_dir: home.join("state"),
            sockets_dir: home.join("sockets"),
        }
    }

    #[test]
    fn what_is_missing_is_made_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(&dir.path().join("a/home"));
        prepare(&layout).unwrap();
        for dir in private_dirs(&layout) {
            let mode = std::fs::metadata(&dir).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", dir.display());
        }
    }

    #[test]
    fn a_home_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let fault = prepare(&layout(&file.join("home"))).expect_err("a file is no directory");
        assert!(fault.to_string().contains("file/home"), "{fault}");
    }

    #[test]
    fn a_home_below_a_file_is_found_out_without_making_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let fault = check(&layout(&file.join("home"))).expect_err("a file is no directory");
        assert!(fault.to_string().contains("file`: not a directory"), "{fault}");
        assert!(check(&layout(&dir.path().join("home"))).is_ok());
    }

    #[test]
    fn the_marker_of_a_home_stays() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        let first = marker(&layout, &Counter).unwrap();
        assert_eq!(marker(&layout, &Counter).unwrap(), first);
        std::fs::write(layout.data_dir.join(MARKER), "a/b").unwrap();
        assert!(marker(&layout, &Counter).is_err(), "a damaged one is not replaced");
    }
}
