//! The fake files of agents.

use std::path::Path;

use ao_core::ports::{AgentFiles, BoxFuture, FilePart, FileTail};

use super::{FakeMachine, Op};

impl FakeMachine {
    /// Writes a file, as an agent does.
    pub fn write_file(&self, path: &Path, text: &str) {
        self.lock().files.insert(path.to_owned(), Some(text.to_owned()));
    }

    /// Writes at the end of a file, as an agent does.
    pub fn append_file(&self, path: &Path, text: &str) {
        let mut state = self.lock();
        let file = state.files.entry(path.to_owned()).or_default();
        file.get_or_insert_default().push_str(text);
    }

    /// Removes a file.
    pub fn remove_file(&self, path: &Path) {
        self.lock().files.remove(path);
    }

    /// Puts something that is no regular file where one might be expected.
    pub fn make_no_file(&self, path: &Path) {
        self.lock().files.insert(path.to_owned(), None);
    }

    fn text_of(&self, path: &Path) -> Option<String> {
        self.lock().files.get(path).cloned().flatten()
    }
}

fn n_bytes(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

impl AgentFiles for FakeMachine {
    fn length<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Option<u64>> {
        Box::pin(async move {
            if self.enter(Op::FileLength).await.is_some() {
                return None;
            }
            self.text_of(path).map(|text| n_bytes(&text))
        })
    }

    fn read_tail<'a>(
        &'a self,
        path: &'a Path,
        n_bytes_max: usize,
    ) -> BoxFuture<'a, Option<FileTail>> {
        Box::pin(async move {
            if self.enter(Op::ReadFile).await.is_some() {
                return None;
            }
            let text = self.text_of(path)?;
            let start = text.ceil_char_boundary(text.len().saturating_sub(n_bytes_max));
            Some(FileTail {
                n_bytes: n_bytes(&text),
                is_whole: start == 0,
                text: text.get(start..)?.to_owned(),
            })
        })
    }

    fn read_part<'a>(
        &'a self,
        path: &'a Path,
        offset: u64,
        n_bytes_max: usize,
    ) -> BoxFuture<'a, Option<FilePart>> {
        Box::pin(async move {
            if self.enter(Op::ReadFile).await.is_some() {
                return None;
            }
            let text = self.text_of(path)?;
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
            let end = start.saturating_add(n_bytes_max).min(text.len());
            let bytes = text.as_bytes().get(start..end).unwrap_or_default();
            Some(FilePart {
                text: String::from_utf8_lossy(bytes).into_owned(),
                ends_at: u64::try_from(end).unwrap_or(u64::MAX),
                n_bytes: n_bytes(&text),
            })
        })
    }
}
