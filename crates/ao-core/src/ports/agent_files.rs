//! Reads what agents write down about themselves.

use std::path::Path;

use super::BoxFuture;

/// The end of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTail {
    /// Its last bytes; what is not UTF-8 is replaced.
    pub text: String,
    /// Its whole length in bytes.
    pub n_bytes: u64,
    /// Whether `text` is all of it.
    pub is_whole: bool,
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePart {
    /// The part; what is not UTF-8 is replaced.
    pub text: String,
    /// Where it ends, in bytes from the beginning of the file: where the next part begins.
    pub ends_at: u64,
    /// The length of the whole file in bytes.
    pub n_bytes: u64,
}

/// Reads files of agents. Never writes, and never waits for a pipe or a device.
pub trait AgentFiles: Send + Sync {
    /// The length of a regular file in bytes; `None` when there is none, or it cannot be told.
    fn length<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Option<u64>>;

    /// The last `n_bytes_max` bytes of a regular file; `None` when there is none, or it cannot be
    /// read: a failed look is not a finding.
    fn read_tail<'a>(
        &'a self,
        path: &'a Path,
        n_bytes_max: usize,
    ) -> BoxFuture<'a, Option<FileTail>>;

    /// Up to `n_bytes_max` bytes of a regular file from `offset` on; `None` when there is no such
    /// file, or it cannot be read: a failed look is not a finding. An offset beyond the end gives an
    /// empty part.
    fn read_part<'a>(
        &'a self,
        path: &'a Path,
        offset: u64,
        n_bytes_max: usize,
    ) -> BoxFuture<'a, Option<FilePart>>;
}
