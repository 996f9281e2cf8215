//! What the agents noted, each after it had done it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::tool::Failure;

/// All journals together.
#[derive(Debug, Default)]
pub(super) struct Journals {
    /// Lines that were written, with the session that wrote each.
    pub(super) wrote: BTreeMap<String, String>,
    /// Commits that were made, with their session.
    pub(super) committed: BTreeMap<String, String>,
    /// Lines that were written into an ignored file.
    pub(super) ignored: BTreeMap<String, String>,
    /// How often each message was heard.
    pub(super) heard: BTreeMap<String, usize>,
    /// Who noted anything at all.
    pub(super) sessions: BTreeSet<String>,
}

impl Journals {
    pub(super) fn read(dir: &Path) -> Result<Self, Failure> {
        let mut journals = Self::default();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let session = entry.file_name().to_string_lossy().into_owned();
            for line in fs::read_to_string(entry.path())?.lines() {
                let Some((what, rest)) = line.split_once(' ') else { continue };
                let rest = rest.trim().to_owned();
                match what {
                    "wrote" => drop(journals.wrote.insert(rest, session.clone())),
                    "committed" => drop(journals.committed.insert(rest, session.clone())),
                    "ignored" => drop(journals.ignored.insert(rest, session.clone())),
                    "heard" => *journals.heard.entry(rest).or_default() += 1,
                    _ => {}
                }
            }
            journals.sessions.insert(session);
        }
        Ok(journals)
    }
}
