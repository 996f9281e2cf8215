//! Files on a disk are read as every file of an agent is.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use ao_adapters::agent_files::DiskAgentFiles;
use ao_core::ports::AgentFiles;
use ao_testkit::contract::agent_files::AgentFilesHarness;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

struct Harness {
    dir: TempDir,
}

impl AgentFilesHarness for Harness {
    fn files(&self) -> &dyn AgentFiles {
        &DiskAgentFiles
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
    }

    fn remove(&self, path: &Path) {
        std::fs::remove_file(path).unwrap();
    }

    fn no_files(&self) -> Vec<PathBuf> {
        let [pipe, device, socket] = ["pipe", "device", "socket"].map(|name| self.path(name));
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &device).unwrap();
        drop(UnixListener::bind(&socket).unwrap());
        vec![self.dir.path().to_owned(), pipe, device, socket]
    }
}

fn with(claim: &impl AsyncFn(&dyn AgentFilesHarness)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(claim(&Harness { dir: tempfile::tempdir().unwrap() }));
}

mod contract {
    use super::with;

    ao_testkit::agent_files_contract!(with);
}

#[tokio::test]
async fn a_link_to_a_regular_file_is_as_good_and_bytes_that_are_no_text_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("file"), dir.path().join("link"));
    std::fs::write(&file, b"a\xffb").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let tail = DiskAgentFiles.read_tail(&link, 100).await.unwrap();
    assert_eq!((tail.text.as_str(), tail.n_bytes), ("a\u{fffd}b", 3));
}
