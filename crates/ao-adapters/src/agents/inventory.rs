//! What is known of the agents that are installed from elsewhere: their programs, the versions
//! that were tested, how they are installed, and what else they need to run unattended.
//!
//! It is data, and pure: it says which files tell whether an agent is set up and what their texts
//! mean; whoever asks reads them. Nothing here writes, and nothing is ever put into a user's home.

mod claude_code;
mod codex;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

pub use claude_code::CLAUDE_CODE;
pub use codex::CODEX;

/// The agents of this inventory, by name.
pub const INVENTORY: &[&AgentEntry] = &[&CLAUDE_CODE, &CODEX];

/// One agent.
#[derive(Debug, Clone, Copy)]
pub struct AgentEntry {
    /// Its name, as `--agent` takes it.
    pub name: &'static str,
    /// Its program, as it is called on the PATH.
    pub program: &'static str,
    /// What makes the program print its version and end.
    pub version_args: &'static [&'static str],
    /// The versions that the tests of this project ran with.
    pub tested_versions: &'static [&'static str],
    /// A command that installs the newest tested version.
    pub install: &'static str,
    /// Whether it can continue a conversation.
    pub can_resume: bool,
    /// What keeps it from running unattended.
    needs: fn(&Surroundings<'_>) -> Vec<Need>,
}

impl AgentEntry {
    /// The entry of an agent.
    pub fn named(name: &str) -> Option<&'static Self> {
        INVENTORY.iter().copied().find(|entry| entry.name == name)
    }

    /// What it needs and does not have. What cannot be looked at is not reported.
    pub fn needs(&self, around: &Surroundings<'_>) -> Vec<Need> {
        (self.needs)(around)
    }

    /// Whether the tests ran with this version.
    pub fn is_tested(&self, version: &str) -> bool {
        self.tested_versions.contains(&version)
    }
}

/// Where an agent would run.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The environment that it would get.
    pub env: &'a BTreeMap<String, String>,
    /// Whether it would run as root.
    pub is_root: bool,
    /// The permission modes that the configuration asks for.
    pub permission_modes: &'a [String],
    /// The repositories that it would work in.
    pub repositories: &'a [PathBuf],
    /// Reads a file of the user's as text.
    pub read: &'a dyn Fn(&Path) -> io::Result<String>,
}

impl Surroundings<'_> {
    /// A variable; empty counts as absent.
    fn var(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A directory of the agent's own: where a variable says, or at its place in the home.
    fn dir(&self, variable: &str, in_home: &str) -> Option<PathBuf> {
        let named = self.var(variable).map(PathBuf::from);
        named.or_else(|| self.var("HOME").map(|home| Path::new(home).join(in_home)))
    }

    /// The text of a file: `Ok(None)` when it is not there.
    fn text(&self, path: &Path) -> io::Result<Option<String>> {
        match (self.read)(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Something that an agent needs and does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// What was seen, as one sentence without its full stop.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Need {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

/// The version in what a program printed about itself: its first word that begins with a digit,
/// as in `codex-cli 0.169.0` and `2.1.330 (Claude Code)`.
pub fn version_in(text: &str) -> Option<&str> {
    text.split_whitespace().find(|word| {
        word.len() <= VERSION_BYTES_MAX
            && word.starts_with(|c: char| c.is_ascii_digit())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || ".-+_".contains(c))
    })
}

/// Longest version that is taken for one.
const VERSION_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_programs_say_of_themselves() {
        assert_eq!(version_in("2.1.330 (Claude Code)\n"), Some("2.1.330"));
        assert_eq!(version_in("codex-cli 0.169.0"), Some("0.169.0"));
        assert_eq!(version_in("tool version 1.2.0-beta+7 of 2026"), Some("1.2.0-beta+7"));
        assert_eq!(version_in("usage: tool"), None);
        assert_eq!(version_in(&"1".repeat(65)), None);
        assert_eq!(version_in("1\u{1b}[31m"), None);
    }

    #[test]
    fn an_entry_is_complete_and_names_itself() {
        for entry in INVENTORY {
            assert_eq!(AgentEntry::named(entry.name).map(|it| it.name), Some(entry.name));
            let newest = entry.tested_versions.last().unwrap();
            assert!(entry.is_tested(newest) && entry.install.contains(newest), "{entry:?}");
            assert_eq!(version_in(newest), Some(*newest));
        }
        assert!(AgentEntry::named("command").is_none());
    }
}
