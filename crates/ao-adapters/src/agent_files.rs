//! What agents write down about themselves, read off the disk.
//!
//! The paths come from agents, so anything may stand there: only regular files are opened, and
//! never in a way that could wait for somebody at the other end.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ao_core::ports::{AgentFiles, BoxFuture, FilePart, FileTail};
use rustix::fs::OFlags;

/// Reads files of agents off the thread that drives everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskAgentFiles;

impl AgentFiles for DiskAgentFiles {
    fn length<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Option<u64>> {
        let path = path.to_owned();
        Box::pin(blocking(move || length(&path)))
    }

    fn read_tail<'a>(
        &'a self,
        path: &'a Path,
        n_bytes_max: usize,
    ) -> BoxFuture<'a, Option<FileTail>> {
        let path = path.to_owned();
        Box::pin(blocking(move || read_tail(&path, n_bytes_max)))
    }

    fn read_part<'a>(
        &'a self,
        path: &'a Path,
        offset: u64,
        n_bytes_max: usize,
    ) -> BoxFuture<'a, Option<FilePart>> {
        let path = path.to_owned();
        Box::pin(blocking(move || read_part(&path, offset, n_bytes_max)))
    }
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Option<T> + Send + 'static,
) -> Option<T> {
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| {
        tracing::error!(%error, "Reading a file of an agent met a bug.");
        None
    })
}

fn length(path: &Path) -> Option<u64> {
    let metadata = path.metadata().ok()?;
    metadata.is_file().then_some(metadata.len())
}

fn read_tail(path: &Path, n_bytes_max: usize) -> Option<FileTail> {
    let (mut file, n_bytes) = open(path)?;
    let n_max = u64::try_from(n_bytes_max).unwrap_or(u64::MAX);
    let start = n_bytes.saturating_sub(n_max);
    file.seek(SeekFrom::Start(start)).ok()?;
    let mut bytes = Vec::new();
    // A file that grows meanwhile is read as it was when it was opened.
    file.take(n_bytes.saturating_sub(start)).read_to_end(&mut bytes).ok()?;
    // The cut may fall into a character.
    let n_half = if start == 0 { 0 } else { n_continuing(&bytes) };
    let text = String::from_utf8_lossy(bytes.get(n_half..).unwrap_or_default()).into_owned();
    Some(FileTail { text, n_bytes, is_whole: start == 0 })
}

fn read_part(path: &Path, offset: u64, n_bytes_max: usize) -> Option<FilePart> {
    let (mut file, n_bytes) = open(path)?;
    let start = offset.min(n_bytes);
    let n_max = u64::try_from(n_bytes_max).unwrap_or(u64::MAX);
    file.seek(SeekFrom::Start(start)).ok()?;
    let mut bytes = Vec::new();
    file.take(n_bytes.saturating_sub(start).min(n_max)).read_to_end(&mut bytes).ok()?;
    let n_read = u64::try_from(bytes.len()).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Some(FilePart { text, ends_at: start.saturating_add(n_read), n_bytes })
}

/// Opens a regular file, with its length.
///
/// It is looked at before, because opening a device may already do something, and after, because
/// it may have been another file before.
fn open(path: &Path) -> Option<(File, u64)> {
    length(path)?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).ok()?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let metadata = file.metadata().ok()?;
    metadata.is_file().then_some((file, metadata.len()))
}

/// How many of the first bytes continue a character that began before them.
fn n_continuing(bytes: &[u8]) -> usize {
    bytes.iter().take(3).take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000).count()
}
