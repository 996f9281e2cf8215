//! The agent for everything that lives in a terminal and tells nothing: any command line, with
//! templates for launch and resume.
//!
//! It knows no events. `ao report` speaks for such a program if it wants to be understood.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ao_core::agent::{AgentTraits, Signals};
use ao_core::ids::AgentName;
use ao_core::message::MESSAGE_BYTES_MAX;
use ao_core::ports::{
    Agent, AgentError, AgentEvent, Invocation, LaunchRequest, RunningAgent, TerminalLook,
};
use ao_core::reading::{ScreenReading, StatusReading, TranscriptMemory, TranscriptReading};

use super::program::resolve;

/// Longest single argument: the kernel refuses 128 KiB, and the name of a variable beside it
/// should not decide.
const ARGUMENT_BYTES_MAX: usize = 100_000;

/// Longest command line in all: half of what the kernel gives arguments and environment together
/// under the usual stack limit.
const COMMAND_LINE_BYTES_MAX: usize = 1024 * 1024;

/// Pause between a paste and Enter for a program of which nothing is known; the slowest terminal
/// program that was measured took in a paste within half of it.
const SETTLE_FOR: Duration = Duration::from_millis(300);

/// How an agent of the configuration (`[agents.NAME]`) is started and resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentTemplate {
    /// Its name.
    pub name: AgentName,
    /// Its command line. Empty: the one that the session was asked to run.
    pub launch: Vec<String>,
    /// The command line that resumes a conversation. Empty: launched again, with its prompt.
    pub resume: Vec<String>,
    /// Whether its process ends when its work is complete.
    pub exits_when_done: bool,
}

/// Any program in a terminal.
///
/// `{prompt}`, `{prompt_file}`, `{session}` and `{agent_session_id}` in its words are replaced,
/// once: a prompt that contains one of them is left as it is. A prompt that no word asks for is
/// typed once the program runs.
#[derive(Debug, Clone)]
pub struct CommandAgent {
    template: AgentTemplate,
}

impl CommandAgent {
    /// An agent of the configuration.
    pub const fn new(template: AgentTemplate) -> Self {
        Self { template }
    }

    /// The agent `command`: runs what the session was asked to run.
    pub fn command(exits_when_done: bool) -> Result<Self, ao_core::ids::InvalidId> {
        let name = AgentName::parse("command")?;
        Ok(Self::new(AgentTemplate {
            name,
            launch: Vec::new(),
            resume: Vec::new(),
            exits_when_done,
        }))
    }

    fn invalid(&self, what: &str) -> AgentError {
        AgentError::Invalid { message: format!("agent `{}` {what}", self.template.name) }
    }

    fn launch_words<'a>(&'a self, request: &'a LaunchRequest) -> Result<&'a [String], AgentError> {
        match (self.template.launch.is_empty(), request.argv.is_empty()) {
            (true, true) => Err(self.invalid("needs a command line to run")),
            (true, false) => Ok(&request.argv),
            (false, true) => Ok(&self.template.launch),
            (false, false) => {
                Err(self.invalid("has a command line of its own in the configuration"))
            }
        }
    }

    fn invocation(
        &self,
        words: &[String],
        request: &LaunchRequest,
    ) -> Result<Invocation, AgentError> {
        let has = |placeholder: &str| words.iter().any(|word| word.contains(placeholder));
        let prompt_file = request.files_dir.join("prompt.txt");
        let mut files = Vec::new();
        let mut typed_prompt = None;
        if let Some(prompt) = &request.prompt {
            if has("{prompt_file}") {
                files.push((prompt_file.clone(), prompt.clone()));
            }
            if !has("{prompt_file}") && !has("{prompt}") {
                self.check_typed(prompt)?;
                typed_prompt = Some(prompt.clone());
            }
        }
        let mut argv = Vec::with_capacity(words.len());
        for word in words {
            argv.push(self.expand(word, request, &prompt_file)?);
        }
        let n_bytes: usize = argv.iter().map(|word| word.len() + 1).sum();
        if n_bytes > COMMAND_LINE_BYTES_MAX {
            return Err(self.invalid(&format!(
                "would get a command line of {n_bytes} bytes, at most {COMMAND_LINE_BYTES_MAX} \
                 are possible"
            )));
        }
        let program = argv.first().cloned().unwrap_or_default();
        let path = resolve(&program, request)?;
        let Some(path) = path.to_str() else {
            return Err(self.invalid(&format!("has a path that is not UTF-8: `{program}`")));
        };
        if let Some(first) = argv.first_mut() {
            path.clone_into(first);
        }
        Ok(Invocation { argv, env: BTreeMap::new(), files, typed_prompt })
    }

    fn check_typed(&self, prompt: &str) -> Result<(), AgentError> {
        if prompt.len() <= MESSAGE_BYTES_MAX {
            return Ok(());
        }
        Err(self.invalid(&format!(
            "cannot be typed a prompt of {} bytes, at most {MESSAGE_BYTES_MAX}: put \
             `{{prompt_file}}` into its command line",
            prompt.len()
        )))
    }

    /// Replaces the placeholders of one word, in one pass.
    fn expand(
        &self,
        word: &str,
        request: &LaunchRequest,
        prompt_file: &Path,
    ) -> Result<String, AgentError> {
        let mut out = String::with_capacity(word.len());
        let mut rest = word;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let named = after.split_once('}');
            let value = match named {
                Some((name, _)) => self.value(name, request, prompt_file)?,
                None => None,
            };
            if let (Some((_, tail)), Some(value)) = (named, value) {
                out.push_str(&value);
                rest = tail;
            } else {
                out.push('{');
                rest = after;
            }
        }
        out.push_str(rest);
        self.check_word(out)
    }

    fn check_word(&self, word: String) -> Result<String, AgentError> {
        if word.contains('\0') {
            return Err(self.invalid("cannot be given a command line with a zero byte"));
        }
        if word.len() > ARGUMENT_BYTES_MAX {
            return Err(self.invalid(&format!(
                "would get an argument of {} bytes, at most {ARGUMENT_BYTES_MAX} are possible: use \
                 `{{prompt_file}}` in place of `{{prompt}}`",
                word.len()
            )));
        }
        Ok(word)
    }

    /// What stands for a placeholder; `None` when it is none of ours.
    fn value(
        &self,
        name: &str,
        request: &LaunchRequest,
        prompt_file: &Path,
    ) -> Result<Option<String>, AgentError> {
        let no_prompt =
            || self.invalid(&format!("needs a prompt: its command line has `{{{name}}}`"));
        match name {
            "prompt" => request.prompt.clone().map(Some).ok_or_else(no_prompt),
            "prompt_file" if request.prompt.is_none() => Err(no_prompt()),
            "prompt_file" => {
                match prompt_file.to_str() {
                    Some(path) => Ok(Some(path.to_owned())),
                    None => Err(self
                        .invalid("cannot be given a prompt file below a path that is not UTF-8")),
                }
            }
            "session" => Ok(Some(request.session.to_string())),
            "agent_session_id" => match &request.agent_session_id {
                Some(id) => Ok(Some(id.to_string())),
                None => Err(self
                    .invalid("has no conversation yet: its command line has `{agent_session_id}`")),
            },
            _ => Ok(None),
        }
    }

    /// Whether its way to resume can be used for this request.
    fn can_resume(&self, request: &LaunchRequest) -> bool {
        let resume = &self.template.resume;
        let needs_id = resume.iter().any(|word| word.contains("{agent_session_id}"));
        !resume.is_empty() && (!needs_id || request.agent_session_id.is_some())
    }
}

impl Agent for CommandAgent {
    fn name(&self) -> &AgentName {
        &self.template.name
    }

    fn traits(&self) -> AgentTraits {
        AgentTraits {
            signals: Signals::None,
            exits_when_done: self.template.exits_when_done,
            settle_for: SETTLE_FOR,
        }
    }

    fn launch(&self, request: &LaunchRequest) -> Result<Invocation, AgentError> {
        self.invocation(self.launch_words(request)?, request)
    }

    /// Resumes, or without a way to do that launches again with the saved prompt.
    ///
    /// A prompt is given to the resumed program only where its words ask for it: it was said once
    /// already.
    fn restore_command(&self, request: &LaunchRequest) -> Result<Invocation, AgentError> {
        if !self.can_resume(request) {
            return self.launch(request);
        }
        let words = &self.template.resume;
        let asks = words.iter().any(|it| it.contains("{prompt}") || it.contains("{prompt_file}"));
        let prompt = request.prompt.clone().filter(|_prompt| asks);
        self.invocation(words, &LaunchRequest { prompt, ..request.clone() })
    }

    fn parse_event(&self, _event: &str, _payload: &str) -> Option<AgentEvent> {
        None
    }

    fn interrupt_key(&self) -> &'static str {
        "C-c"
    }

    fn status_file(&self, _running: &RunningAgent) -> Option<PathBuf> {
        None
    }

    fn read_status(&self, _running: &RunningAgent, _text: &str) -> Option<StatusReading> {
        None
    }

    fn transcript(&self, _running: &RunningAgent) -> Option<PathBuf> {
        None
    }

    fn read_transcript(&self, _memory: &mut TranscriptMemory, _lines: &str) -> TranscriptReading {
        TranscriptReading::default()
    }

    fn read_screen(&self, _look: &TerminalLook) -> Option<ScreenReading> {
        None
    }
}
