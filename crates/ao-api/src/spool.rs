//! The spool: where a signal waits that no daemon took in time.
//!
//! One directory for each session, one file for each signal, written under another name and then
//! renamed, so that a reader sees whole files only. Nothing is synced to disk: a machine that lost
//! its power lost the agents whose state this is, too.
//!
//! It is bounded for each session. Beyond the bound the oldest signal makes room, because the
//! newest one tells what holds now; what went is counted in a file beside, one byte for each.
//!
//! What a signal means, and when it is taken in, is the daemon's business.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::signal::SignalRequest;

/// Most signals of one session: hours of an agent's turns, and seconds of work for a drain.
pub const FILES_MAX: usize = 256;

/// Most bytes of one session.
pub const BYTES_MAX: u64 = 1024 * 1024;

/// Most bytes of one signal: a payload at its bound of which every byte is escaped, and room.
pub const FILE_BYTES_MAX: u64 = 128 * 1024;

/// Most unreadable files that are kept for somebody to look at.
const UNREADABLE_MAX: usize = 64;

/// Longest name of a session or a signal, as for every id.
const NAME_BYTES_MAX: usize = 100;

/// Age at which a file that was never renamed has lost its writer.
const ABANDONED_AFTER: Duration = Duration::from_mins(1);

/// How a signal's file ends.
const SIGNAL_SUFFIX: &str = ".json";

/// How a file ends that is being written.
const FRESH_SUFFIX: &str = ".new";

/// In a session's directory: a byte for each signal that made room.
const LOST: &str = "lost";

/// Where unreadable files are put. No session has a dot in its name.
const UNREADABLE: &str = ".unreadable";

/// Tries to write: a drain may take the emptied directory away in between.
const WRITES_MAX: usize = 3;

/// Why a signal was not put into the spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// It cannot be the name of a file.
    #[error("`{}` is not a valid id", name.escape_debug())]
    BadName {
        /// The name.
        name: String,
    },
    /// It is larger than any signal.
    #[error("the signal has {n_bytes} bytes, more than {FILE_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        n_bytes: u64,
    },
    /// It cannot be encoded.
    #[error("the signal cannot be encoded")]
    Encode(#[source] serde_json::Error),
    /// The file system refused.
    #[error("the spool cannot be written")]
    Io(#[from] io::Error),
}

/// Why a signal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableError {
    /// It is larger than any signal.
    #[error("it has more than {FILE_BYTES_MAX} bytes")]
    TooLarge,
    /// It is not a signal.
    #[error(transparent)]
    Malformed(#[from] serde_json::Error),
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl UnreadableError {
    /// Whether the same file may be readable later: then it is not to be put aside.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::TooLarge | Self::Malformed(_) => false,
            Self::Io(error) => !matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory
            ),
        }
    }
}

/// What is in the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Signals that wait.
    pub n_waiting: u64,
    /// Signals that made room for newer ones.
    pub n_lost: u64,
    /// Files that were put aside because they are no signals.
    pub n_unreadable: u64,
}

/// The spool of a home.
#[derive(Debug, Clone)]
pub struct Spool {
    dir: PathBuf,
}

impl Spool {
    /// The spool in this directory, which need not be there.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Puts a signal into the spool.
    ///
    /// The home itself is not made: one that was removed stays removed.
    pub fn write(&self, session: &str, request: &SignalRequest) -> Result<(), SpoolError> {
        for name in [session, &request.id] {
            if !is_name(name) {
                return Err(SpoolError::BadName { name: name.to_owned() });
            }
        }
        let text = serde_json::to_vec(request).map_err(SpoolError::Encode)?;
        let n_bytes = size(text.len());
        let dir = self.dir.join(session);
        let mut tries = 0_usize;
        loop {
            tries = tries.saturating_add(1);
            ensure_dir(&self.dir)?;
            ensure_dir(&dir)?;
            if n_bytes > FILE_BYTES_MAX {
                note_loss(&dir)?;
                return Err(SpoolError::TooLarge { n_bytes });
            }
            match put(&dir, &request.id, &text) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < WRITES_MAX => {}
                ended => return Ok(ended?),
            }
        }
    }

    /// The sessions that have a directory.
    pub fn sessions(&self) -> io::Result<Vec<String>> {
        let names = entries(&self.dir)?.into_iter().map(|entry| entry.name);
        Ok(names.filter(|name| is_name(name)).collect())
    }

    /// The files of a session's signals, by name.
    pub fn files(&self, session: &str) -> io::Result<Vec<PathBuf>> {
        let dir = self.dir.join(session);
        Ok(signals(&dir)?.into_iter().map(|entry| dir.join(entry.name)).collect())
    }

    /// How many signals of a session made room.
    pub fn n_lost(&self, session: &str) -> u64 {
        std::fs::metadata(self.dir.join(session).join(LOST)).map_or(0, |it| it.len())
    }

    /// What is in it.
    pub fn tally(&self) -> io::Result<Tally> {
        let mut tally = Tally {
            n_unreadable: size(entries(&self.dir.join(UNREADABLE))?.len()),
            ..Tally::default()
        };
        for session in self.sessions()? {
            let n_waiting = size(self.files(&session)?.len());
            tally.n_waiting = tally.n_waiting.saturating_add(n_waiting);
            tally.n_lost = tally.n_lost.saturating_add(self.n_lost(&session));
        }
        Ok(tally)
    }

    /// Puts a file aside that is no signal; one too many is removed.
    pub fn set_aside(&self, file: &Path) -> io::Result<()> {
        let aside = self.dir.join(UNREADABLE);
        ensure_dir(&aside)?;
        let session = file.parent().and_then(Path::file_name).unwrap_or_default();
        let name = file.file_name().unwrap_or_default();
        let (session, name) = (session.to_string_lossy(), name.to_string_lossy());
        let is_full = entries(&aside)?.len() >= UNREADABLE_MAX;
        let moved = if !is_full {
            std::fs::rename(file, aside.join(format!("{session}.{name}")))
        } else if file.is_dir() {
            std::fs::remove_dir_all(file)
        } else {
            std::fs::remove_file(file)
        };
        gone_is_fine(moved)
    }

    /// Removes what a session left: files without a writer, and a directory that is empty.
    pub fn tidy(&self, session: &str, now: std::time::SystemTime) -> io::Result<()> {
        let dir = self.dir.join(session);
        for entry in entries(&dir)?.iter().filter(|entry| entry.name.ends_with(FRESH_SUFFIX)) {
            let path = dir.join(&entry.name);
            let age = std::fs::metadata(&path)
                .and_then(|it| it.modified())
                .map(|at| now.duration_since(at).unwrap_or_default());
            if age.is_ok_and(|age| age > ABANDONED_AFTER) {
                gone_is_fine(std::fs::remove_file(&path))?;
            }
        }
        match std::fs::remove_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            ended => gone_is_fine(ended),
        }
    }

    /// Removes everything of a session that does not exist.
    pub fn forget(&self, session: &str) -> io::Result<()> {
        gone_is_fine(std::fs::remove_dir_all(self.dir.join(session)))
    }
}

/// Reads a signal; `None` when it is gone.
pub fn read(file: &Path) -> Result<Option<SignalRequest>, UnreadableError> {
    let opened = match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = Vec::new();
    opened.take(FILE_BYTES_MAX.saturating_add(1)).read_to_end(&mut text)?;
    if size(text.len()) > FILE_BYTES_MAX {
        return Err(UnreadableError::TooLarge);
    }
    Ok(Some(serde_json::from_slice(&text)?))
}

/// Removes a signal that was taken in.
pub fn remove(file: &Path) -> io::Result<()> {
    gone_is_fine(std::fs::remove_file(file))
}

/// A regular file or a directory of the spool.
struct Entry {
    name: String,
    n_bytes: u64,
}

/// What a directory holds, by name; nothing when it is not there. Links, pipes and names that are
/// not UTF-8 were not made by us and are left alone: opening one may never end.
fn entries(dir: &Path) -> io::Result<Vec<Entry>> {
    let listed = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut entries = Vec::new();
    for entry in listed {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        if let Ok(name) = entry.file_name().into_string()
            && (metadata.is_file() || metadata.is_dir())
        {
            entries.push(Entry { name, n_bytes: metadata.len() });
        }
    }
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}

fn signals(dir: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = entries(dir)?;
    entries.retain(|entry| entry.name.ends_with(SIGNAL_SUFFIX));
    Ok(entries)
}

fn put(dir: &Path, id: &str, text: &[u8]) -> io::Result<()> {
    make_room(dir, size(text.len()))?;
    let fresh = dir.join(format!("{id}{FRESH_SUFFIX}"));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    let written = file
        .write_all(text)
        .and_then(|()| std::fs::rename(&fresh, dir.join(format!("{id}{SIGNAL_SUFFIX}"))));
    if written.is_err() {
        gone_is_fine(std::fs::remove_file(&fresh))?;
    }
    written
}

/// Removes the oldest signals until one more fits: their names begin with their time.
fn make_room(dir: &Path, n_bytes: u64) -> io::Result<()> {
    let signals = signals(dir)?;
    let mut n_files = signals.len();
    let mut n_held = signals.iter().fold(0_u64, |sum, it| sum.saturating_add(it.n_bytes));
    for oldest in signals {
        if n_files < FILES_MAX && n_held.saturating_add(n_bytes) <= BYTES_MAX {
            break;
        }
        match std::fs::remove_file(dir.join(&oldest.name)) {
            Ok(()) => note_loss(dir)?,
            // Taken in, or counted by another writer.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        n_files = n_files.saturating_sub(1);
        n_held = n_held.saturating_sub(oldest.n_bytes);
    }
    Ok(())
}

fn note_loss(dir: &Path) -> io::Result<()> {
    let lost = dir.join(LOST);
    OpenOptions::new().append(true).create(true).mode(0o600).open(lost)?.write_all(b".")
}

fn ensure_dir(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        ended => ended,
    }
}

fn gone_is_fine(ended: io::Result<()>) -> io::Result<()> {
    match ended {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        ended => ended,
    }
}

/// Whether a text can name a file here: the rule of every id.
fn is_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && !text.starts_with('-')
        && text.bytes().all(is_allowed)
}

fn size(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::signal::{ReportState, SIGNAL_BYTES_MAX, SIGNAL_VERSION, Signal, Stamp};

    fn request(id: &str, signal: Signal) -> SignalRequest {
        SignalRequest {
            version: SIGNAL_VERSION,
            id: id.to_owned(),
            launch_id: Some("l-1".to_owned()),
            at: Stamp {
                wall_ms: 1,
                boot_id: "boot".to_owned(),
                since_boot_ns: u64::MAX,
                awake_ns: 2,
            },
            signal,
        }
    }

    fn report(id: &str) -> SignalRequest {
        request(id, Signal::Report { state: ReportState::Idle, message: Some("ä\n".to_owned()) })
    }

    /// A payload of which every byte takes six.
    fn hook(id: &str, n_bytes: usize) -> SignalRequest {
        let payload = "\u{1}".repeat(n_bytes);
        let (agent, event) = ("a".to_owned(), "e".to_owned());
        request(id, Signal::Hook { agent, event, payload, truncated: true })
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_written_is_read_and_private() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::new(home.path().join("spool"));
        assert_eq!(spool.tally().unwrap(), Tally::default());
        let asked = [report("f1"), hook("f2", SIGNAL_BYTES_MAX)];
        for request in &asked {
            spool.write("app-1", request).unwrap();
        }
        assert_eq!(spool.sessions().unwrap(), ["app-1"]);
        let files = spool.files("app-1").unwrap();
        let found: Vec<_> = files.iter().map(|file| read(file).unwrap().unwrap()).collect();
        assert_eq!(found, asked);
        for file in &files {
            assert_eq!((mode(file), mode(file.parent().unwrap())), (0o600, 0o700));
            remove(file).unwrap();
            assert!(read(file).unwrap().is_none());
        }
        spool.tidy("app-1", std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(spool.sessions().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn the_oldest_make_room_for_the_newest_and_are_counted() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::new(home.path().join("spool"));
        for n in 0..FILES_MAX + 3 {
            spool.write("app-1", &report(&format!("{n:04}"))).unwrap();
        }
        let files = spool.files("app-1").unwrap();
        assert_eq!(files.len(), FILES_MAX);
        assert!(files.first().unwrap().ends_with("0003.json"), "{files:?}");
        let n_waiting = size(FILES_MAX);
        assert_eq!(spool.tally().unwrap(), Tally { n_waiting, n_lost: 3, n_unreadable: 0 });

        for n in 0..20 {
            spool.write("app-2", &hook(&format!("{n:04}"), SIGNAL_BYTES_MAX)).unwrap();
        }
        let files = spool.files("app-2").unwrap();
        let n_bytes: u64 = files.iter().map(|file| std::fs::metadata(file).unwrap().len()).sum();
        assert!(n_bytes <= BYTES_MAX, "{n_bytes}");
        assert!(files.last().unwrap().ends_with("0019.json"), "{files:?}");
        assert_eq!(spool.n_lost("app-2"), 20 - size(files.len()));
    }

    #[test]
    fn a_signal_too_large_to_be_one_is_a_loss() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::new(home.path().join("spool"));
        let refused = spool.write("app-1", &hook("f1", 2 * SIGNAL_BYTES_MAX));
        assert!(matches!(refused, Err(SpoolError::TooLarge { .. })), "{refused:?}");
        assert_eq!(spool.n_lost("app-1"), 1);
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::new(home.path().join("spool"));
        for name in ["", "..", "a/b", "-a", ".unreadable", &"x".repeat(101)] {
            let refused = spool.write(name, &report("f1"));
            assert!(matches!(refused, Err(SpoolError::BadName { .. })), "{name}");
            let refused = spool.write("app-1", &report(name));
            assert!(matches!(refused, Err(SpoolError::BadName { .. })), "{name}");
        }
        assert!(!home.path().join("spool").exists());
    }

    #[test]
    fn a_home_that_was_removed_is_not_made_again() {
        let home = tempfile::tempdir().unwrap();
        let gone = home.path().join("gone");
        assert!(Spool::new(gone.join("spool")).write("app-1", &report("f1")).is_err());
        assert!(!gone.exists());
    }

    #[test]
    fn what_is_no_signal_is_put_aside_and_the_aside_is_bounded() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::new(home.path().join("spool"));
        spool.write("app-1", &report("good")).unwrap();
        let dir = home.path().join("spool/app-1");
        for n in 0..UNREADABLE_MAX + 2 {
            let file = dir.join(format!("bad-{n}.json"));
            std::fs::write(&file, "{").unwrap();
            assert!(matches!(read(&file), Err(UnreadableError::Malformed(_))));
            spool.set_aside(&file).unwrap();
        }
        let tally = Tally { n_waiting: 1, n_lost: 0, n_unreadable: size(UNREADABLE_MAX) };
        assert_eq!(spool.tally().unwrap(), tally);
        let large = dir.join("large.json");
        std::fs::write(&large, vec![b' '; usize::try_from(FILE_BYTES_MAX).unwrap() + 1]).unwrap();
        assert!(matches!(read(&large), Err(UnreadableError::TooLarge)));
        let directory = dir.join("directory.json");
        std::fs::create_dir(&directory).unwrap();
        assert!(!read(&directory).unwrap_err().is_passing());
        spool.set_aside(&directory).unwrap();
        assert!(!directory.exists());
    }

    #[test]
    fn a_file_that_lost_its_writer_goes_and_one_that_is_being_written_stays() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::new(home.path().join("spool"));
        spool.write("app-1", &report("good")).unwrap();
        let fresh = home.path().join("spool/app-1/half.new");
        std::fs::write(&fresh, "{").unwrap();
        let at = std::fs::metadata(&fresh).unwrap().modified().unwrap();
        spool.tidy("app-1", at + ABANDONED_AFTER).unwrap();
        assert!(fresh.exists());
        spool.tidy("app-1", at + ABANDONED_AFTER * 2).unwrap();
        assert!(!fresh.exists());
        assert_eq!(spool.files("app-1").unwrap().len(), 1);
    }
}
