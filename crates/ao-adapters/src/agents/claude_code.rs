//! Claude Code, in a terminal.
//!
//! Its prompt is pasted into its composer: that way holds a megabyte, keeps it out of every process
//! list, and shows in the event that Claude sends when it takes a prompt in. Its hooks come in a
//! settings file of the launch, which Claude merges with the user's own; neither the user's home nor
//! the worktree is written to, so a repository that the user has not trusted stays a dialog that is
//! shown and never answered.
//!
//! Seen with version 2.1.330.

mod compose;
mod events;
mod screen;
mod settings;
mod status;
mod transcript;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ao_core::agent::{AgentTraits, Signals};
use ao_core::ids::{AgentName, InvalidId};
use ao_core::message::MESSAGE_BYTES_MAX;
use ao_core::ports::{
    Agent, AgentError, AgentEvent, Invocation, LaunchRequest, RunningAgent, TerminalLook,
};
use ao_core::reading::{ScreenReading, StatusReading, TranscriptMemory, TranscriptReading};

use super::program::resolve;

/// Its program.
const PROGRAM: &str = "claude";

/// The settings of one launch, in the directory of its files.
const SETTINGS_FILE: &str = "claude-settings.json";

/// Between a paste and Enter. Without any pause each of 102 pastes of 10 bytes to 1 MB was taken in
/// whole; this is for machines slower than the one where that was seen.
const SETTLE_FOR: Duration = Duration::from_millis(100);

/// What `--permission-mode` knows.
const PERMISSION_MODES: [&str; 6] =
    ["acceptEdits", "auto", "bypassPermissions", "manual", "dontAsk", "plan"];

/// Claude Code.
#[derive(Debug, Clone)]
pub struct ClaudeCode {
    name: AgentName,
}

impl ClaudeCode {
    /// The agent `claude-code`.
    pub fn new() -> Result<Self, InvalidId> {
        Ok(Self { name: AgentName::parse("claude-code")? })
    }

    fn invalid(&self, what: &str) -> AgentError {
        AgentError::Invalid { message: format!("agent `{}` {what}", self.name) }
    }

    /// The command line up to what differs between a launch and a restore.
    fn invocation(&self, request: &LaunchRequest) -> Result<Invocation, AgentError> {
        if !request.argv.is_empty() {
            return Err(self.invalid("has a command line of its own"));
        }
        let path = resolve(PROGRAM, request)?;
        let Some(path) = path.to_str() else {
            return Err(self.invalid(&format!("has a path that is not UTF-8: `{PROGRAM}`")));
        };
        let settings_path = request.files_dir.join(SETTINGS_FILE);
        let Some(settings_word) = settings_path.to_str() else {
            return Err(self.invalid("cannot be given settings below a path that is not UTF-8"));
        };
        let mut argv = vec![path.to_owned(), "--settings".to_owned(), settings_word.to_owned()];
        if let Some(mode) = &request.permission_mode {
            self.check_mode(mode)?;
            argv.extend(["--permission-mode".to_owned(), mode.clone()]);
        }
        if let Some(model) = &request.model {
            self.check_word("model", model)?;
            argv.extend(["--model".to_owned(), model.clone()]);
        }
        let settings = settings::of_launch(request)
            .ok_or_else(|| self.invalid("cannot call `ao` by a path with a zero byte"))?;
        let files = vec![(settings_path, settings)];
        Ok(Invocation { argv, env: BTreeMap::new(), files, typed_prompt: None })
    }

    fn check_mode(&self, mode: &str) -> Result<(), AgentError> {
        if PERMISSION_MODES.contains(&mode) {
            return Ok(());
        }
        let known = PERMISSION_MODES.join(", ");
        Err(self.invalid(&format!("has no permission mode `{mode}`: it knows {known}")))
    }

    /// A word of the command line that must not be taken for an option.
    fn check_word(&self, what: &str, word: &str) -> Result<(), AgentError> {
        let is_plain = !word.is_empty()
            && word.len() <= 256
            && !word.starts_with('-')
            && !word.chars().any(char::is_control);
        if is_plain { Ok(()) } else { Err(self.invalid(&format!("has no {what} `{word}`"))) }
    }

    fn check_prompt(&self, prompt: &str) -> Result<(), AgentError> {
        if prompt.len() <= MESSAGE_BYTES_MAX {
            return Ok(());
        }
        Err(self.invalid(&format!(
            "cannot be typed a prompt of {} bytes, at most {MESSAGE_BYTES_MAX}: write it to a file \
             and ask it to read that",
            prompt.len()
        )))
    }
}

impl Agent for ClaudeCode {
    fn name(&self) -> &AgentName {
        &self.name
    }

    fn traits(&self) -> AgentTraits {
        AgentTraits { signals: Signals::Full, exits_when_done: false, settle_for: SETTLE_FOR }
    }

    fn launch(&self, request: &LaunchRequest) -> Result<Invocation, AgentError> {
        let mut invocation = self.invocation(request)?;
        if let Some(prompt) = &request.prompt {
            self.check_prompt(prompt)?;
            invocation.typed_prompt = Some(prompt.clone());
        }
        Ok(invocation)
    }

    /// Continues the conversation, and without one starts again with the saved prompt.
    ///
    /// Claude starts any number of processes on one conversation: that there is one only, the
    /// caller has to see to.
    fn restore_command(&self, request: &LaunchRequest) -> Result<Invocation, AgentError> {
        let Some(conversation) = &request.agent_session_id else {
            return self.launch(request);
        };
        self.check_word("conversation", conversation.as_str())?;
        let mut invocation = self.invocation(request)?;
        invocation.argv.extend(["--resume".to_owned(), conversation.as_str().to_owned()]);
        Ok(invocation)
    }

    fn parse_event(&self, event: &str, payload: &str) -> Option<AgentEvent> {
        events::parse(event, payload)
    }

    fn interrupt_key(&self) -> &'static str {
        "Escape"
    }

    fn status_file(&self, running: &RunningAgent) -> Option<PathBuf> {
        status::path(running)
    }

    fn read_status(&self, running: &RunningAgent, text: &str) -> Option<StatusReading> {
        status::read(running, text)
    }

    fn transcript(&self, running: &RunningAgent) -> Option<PathBuf> {
        transcript::path(running)
    }

    fn read_transcript(&self, memory: &mut TranscriptMemory, lines: &str) -> TranscriptReading {
        transcript::read(memory, lines)
    }

    fn text_to_type<'a>(&self, text: &'a str) -> Cow<'a, str> {
        compose::typed(text)
    }

    fn read_screen(&self, look: &TerminalLook) -> Option<ScreenReading> {
        Some(screen::read(look))
    }
}

/// Where it keeps what it writes down.
fn config_dir(running: &RunningAgent) -> Option<PathBuf> {
    let named = |name: &str| running.env.get(name).map(PathBuf::from);
    let dir = named("CLAUDE_CONFIG_DIR").or_else(|| Some(named("HOME")?.join(".claude")))?;
    dir.is_absolute().then_some(dir)
}
