//! What all readers of agents' files promise.

#![expect(clippy::expect_used, reason = "a suite fails by panicking")]

use std::path::{Path, PathBuf};

use ao_core::ports::{AgentFiles, FilePart, FileTail};

/// Files of agents, and the means to be the agent that writes them.
pub trait AgentFilesHarness {
    /// What reads them.
    fn files(&self) -> &dyn AgentFiles;
    /// The path of a file that does not exist yet.
    fn path(&self, name: &str) -> PathBuf;
    /// Writes a file, or writes it anew.
    fn write(&self, path: &Path, text: &str);
    /// Removes a file.
    fn remove(&self, path: &Path);
    /// Things that have a path and are no regular file: a directory, a pipe that nobody writes to,
    /// a device that never ends.
    fn no_files(&self) -> Vec<PathBuf>;
}

/// Makes one test of each promise.
#[macro_export]
macro_rules! agent_files_contract {
    ($with:path) => {
        $crate::contract_tests!($with, agent_files:
            a_file_is_read_as_it_is_now,
            only_the_end_of_a_long_file_is_read,
            a_cut_character_is_left_out,
            a_file_is_read_on_where_the_last_part_ended,
            what_is_not_there_is_not_told,
            what_is_no_regular_file_is_not_read_and_not_waited_for,
        );
    };
}

async fn tail(harness: &dyn AgentFilesHarness, path: &Path, n_bytes_max: usize) -> FileTail {
    harness.files().read_tail(path, n_bytes_max).await.expect("a tail")
}

/// Nothing is remembered between two looks.
pub async fn a_file_is_read_as_it_is_now(harness: &dyn AgentFilesHarness) {
    let path = harness.path("status.json");
    for text in ["{\"status\":\"busy\"}", "", "{}\n"] {
        harness.write(&path, text);
        let n_bytes = u64::try_from(text.len()).expect("a length");
        assert_eq!(harness.files().length(&path).await, Some(n_bytes));
        let whole = FileTail { text: text.to_owned(), n_bytes, is_whole: true };
        assert_eq!(tail(harness, &path, 100).await, whole);
        assert_eq!(tail(harness, &path, text.len()).await, whole, "it fits exactly");
    }
}

/// The reader is told that there is more before it.
pub async fn only_the_end_of_a_long_file_is_read(harness: &dyn AgentFilesHarness) {
    let path = harness.path("transcript.jsonl");
    harness.write(&path, "first\nsecond\nthird\n");
    let end = FileTail { text: "nd\nthird\n".to_owned(), n_bytes: 19, is_whole: false };
    assert_eq!(tail(harness, &path, 9).await, end);
    assert_eq!(tail(harness, &path, 0).await.text, "");
}

/// A tail begins with a whole character, and is never longer than it may be.
pub async fn a_cut_character_is_left_out(harness: &dyn AgentFilesHarness) {
    let path = harness.path("emoji");
    harness.write(&path, "🦀🦀");
    for (n_bytes_max, expect) in [(8, "🦀🦀"), (7, "🦀"), (5, "🦀"), (4, "🦀"), (3, "")] {
        assert_eq!(tail(harness, &path, n_bytes_max).await.text, expect, "{n_bytes_max} bytes");
    }
}

/// Parts follow each other without a gap, and what is appended is the next part.
pub async fn a_file_is_read_on_where_the_last_part_ended(harness: &dyn AgentFilesHarness) {
    let path = harness.path("appended.jsonl");
    harness.write(&path, "first\nsecond\n");
    let files = harness.files();
    let part = |text: &str, ends_at| FilePart { text: text.to_owned(), ends_at, n_bytes: 13 };
    assert_eq!(files.read_part(&path, 0, 6).await, Some(part("first\n", 6)));
    assert_eq!(files.read_part(&path, 6, 100).await, Some(part("second\n", 13)));
    assert_eq!(files.read_part(&path, 13, 100).await, Some(part("", 13)));
    assert_eq!(files.read_part(&path, 99, 100).await, Some(part("", 13)));
    harness.write(&path, "first\nsecond\nthird\n");
    let third = FilePart { text: "third\n".to_owned(), ends_at: 19, n_bytes: 19 };
    assert_eq!(files.read_part(&path, 13, 100).await, Some(third));
    assert_eq!(files.read_part(&harness.path("none"), 0, 10).await, None);
}

/// A failed look is not a finding.
pub async fn what_is_not_there_is_not_told(harness: &dyn AgentFilesHarness) {
    let path = harness.path("absent");
    assert_eq!(harness.files().length(&path).await, None);
    assert_eq!(harness.files().read_tail(&path, 10).await, None);
    harness.write(&path, "there");
    assert_eq!(harness.files().length(&path).await, Some(5));
    harness.remove(&path);
    assert_eq!(harness.files().read_tail(&path, 10).await, None);
    let below = path.join("below");
    assert_eq!(harness.files().read_tail(&below, 10).await, None);
}

/// An agent may put anything where its file should be.
pub async fn what_is_no_regular_file_is_not_read_and_not_waited_for(
    harness: &dyn AgentFilesHarness,
) {
    let no_files = harness.no_files();
    assert!(!no_files.is_empty());
    for path in no_files {
        assert_eq!(harness.files().length(&path).await, None, "{}", path.display());
        assert_eq!(harness.files().read_tail(&path, 10).await, None, "{}", path.display());
    }
}
