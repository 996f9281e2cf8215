//! Codex, the CLI: seen with codex-cli 0.169.0.
//!
//! All that is said to it stands on its command line and holds for this session only: no file is
//! written, neither into the worktree nor into the user's home. Its shared background server is
//! never used: it would run the turns of one session with the environment of another, and go on
//! when the terminal is gone.

mod events;
mod hooks;
mod rollout;
mod screen;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ao_core::agent::{AgentTraits, Signals};
use ao_core::ids::{AgentName, InvalidId};
use ao_core::ports::{
    Agent, AgentError, AgentEvent, Invocation, LaunchRequest, RunningAgent, TerminalLook,
};
use ao_core::reading::{ScreenReading, StatusReading, TranscriptMemory, TranscriptReading};

use super::program::resolve;

/// Its program, as it is called on the PATH.
const PROGRAM: &str = "codex";

/// Longest prompt that goes in as an argument; a longer one is typed. As an argument it is taken in
/// exactly, once, and at the start, which Codex does not tell otherwise; but every user of the
/// machine can read it there, and the command line is to stay short.
const PROMPT_ARGUMENT_BYTES_MAX: usize = 8 * 1024;

/// Longest text that it submits; a longer one it keeps in the composer, with an error.
const COMPOSER_CHARS_MAX: usize = 1024 * 1024;

/// Pause between a paste and Enter. It takes a bracketed paste as one, and no pause was needed in
/// 234 tries of 10 bytes to 1 MB; this is for a machine under load.
const SETTLE_FOR: Duration = Duration::from_millis(100);

/// Settings for this session, each so that it can run unattended and be read from outside.
const SETTINGS: [&str; 3] = [
    // It would ask at the start.
    "check_for_update_on_startup=false",
    // It would ask near a usage limit, and take the keys for that.
    "notice.hide_rate_limit_model_nudge=true",
    // The title tells that it is ready, a turn, and a dialog; the user may have chosen another one.
    r#"tui.terminal_title=["activity","app-name","project"]"#,
];

/// A permission mode: its names, and the arguments that it stands for.
type Mode = (&'static [&'static str], &'static [&'static str]);

/// The permission modes. Each has the name that Codex gives its sandbox, and that of the like mode
/// of Claude Code, so that one configuration can do for both.
const MODES: [Mode; 6] = [
    (&["default"], &[]),
    (&["read-only", "manual"], &["--sandbox", "read-only", "--ask-for-approval", "on-request"]),
    (
        &["workspace-write", "acceptEdits"],
        &["--sandbox", "workspace-write", "--ask-for-approval", "on-request"],
    ),
    (&["approve-for-me", "auto"], &["--approve-for-me"]),
    (&["never", "dontAsk"], &["--sandbox", "workspace-write", "--ask-for-approval", "never"]),
    (&["danger-full-access", "bypassPermissions"], &["--dangerously-bypass-approvals-and-sandbox"]),
];

/// Codex.
#[derive(Debug, Clone)]
pub struct Codex {
    name: AgentName,
}

impl Codex {
    /// The agent `codex`.
    pub fn new() -> Result<Self, InvalidId> {
        Ok(Self { name: AgentName::parse("codex")? })
    }

    fn invalid(&self, what: &str) -> AgentError {
        AgentError::Invalid { message: format!("agent `{}` {what}", self.name) }
    }

    /// The command line without a conversation and a prompt.
    fn words(
        &self,
        subcommand: &[&str],
        request: &LaunchRequest,
    ) -> Result<Vec<String>, AgentError> {
        if !request.argv.is_empty() {
            return Err(self.invalid("has a command line of its own"));
        }
        let program = resolve(PROGRAM, request)?;
        let Some(program) = program.to_str() else {
            return Err(self.invalid("has a path that is not UTF-8"));
        };
        let ao = request.env.get("AO_BIN").map_or("ao", String::as_str);
        let Some(hooks) = hooks::settings(ao) else {
            return Err(self.invalid("cannot call a program with a zero byte in its path"));
        };
        let mut argv = vec![program.to_owned()];
        argv.extend(subcommand.iter().map(|&word| word.to_owned()));
        argv.push("--no-daemon".to_owned());
        let settings = SETTINGS.map(str::to_owned).into_iter().chain(hooks);
        for setting in std::iter::once(self.trust(&request.directory)?).chain(settings) {
            argv.extend(["-c".to_owned(), setting]);
        }
        if let Some(model) = &request.model {
            argv.push(format!("--model={}", self.argument(model)?));
        }
        if let Some(mode) = &request.permission_mode {
            argv.extend(self.mode(mode)?.iter().map(|&word| word.to_owned()));
        }
        argv.push("--".to_owned());
        Ok(argv)
    }

    /// Trusts the worktree, and nothing else, for this session. A path with links in it is named as
    /// it is and as it leads, since Codex goes by the latter.
    fn trust(&self, directory: &Path) -> Result<String, AgentError> {
        let real = std::fs::canonicalize(directory).unwrap_or_else(|_error| directory.to_owned());
        let mut trusted = Vec::new();
        for path in [directory, real.as_path()] {
            let Some(path) = path.to_str() else {
                return Err(self.invalid("cannot be trusted with a path that is not UTF-8"));
            };
            let line = format!(r#"{}={{trust_level="trusted"}}"#, hooks::toml_string(path));
            if !trusted.contains(&line) {
                trusted.push(line);
            }
        }
        Ok(format!("projects={{{}}}", trusted.join(",")))
    }

    fn mode(&self, asked: &str) -> Result<&'static [&'static str], AgentError> {
        let found = MODES.iter().find(|(names, _)| names.contains(&asked));
        found.map(|&(_, arguments)| arguments).ok_or_else(|| {
            let names: Vec<&str> = MODES.iter().flat_map(|&(names, _)| names).copied().collect();
            let names = names.join("`, `");
            self.invalid(&format!("has no permission mode `{asked}`, but `{names}`"))
        })
    }

    fn argument<'a>(&self, word: &'a str) -> Result<&'a str, AgentError> {
        if word.contains('\0') {
            return Err(self.invalid("cannot be given an argument with a zero byte"));
        }
        Ok(word)
    }
}

/// Adds the prompt: as an argument where it is short, which it takes byte for byte, and typed
/// where it is long.
fn invocation(mut argv: Vec<String>, prompt: Option<&str>) -> Invocation {
    let mut typed_prompt = None;
    match prompt {
        Some(prompt) if prompt.trim().is_empty() => {}
        Some(prompt) if prompt.len() > PROMPT_ARGUMENT_BYTES_MAX || prompt.contains('\0') => {
            typed_prompt = Some(prompt.to_owned());
        }
        // It would run as a shell command.
        Some(prompt) if prompt.starts_with('!') => argv.push(format!(" {prompt}")),
        Some(prompt) => argv.push(prompt.to_owned()),
        None => {}
    }
    Invocation { argv, env: BTreeMap::new(), files: Vec::new(), typed_prompt }
}

impl Agent for Codex {
    fn name(&self) -> &AgentName {
        &self.name
    }

    /// It signals its start with its first prompt only: before that, its screen has to tell.
    fn traits(&self) -> AgentTraits {
        AgentTraits { signals: Signals::Full, exits_when_done: false, settle_for: SETTLE_FOR }
    }

    fn launch(&self, request: &LaunchRequest) -> Result<Invocation, AgentError> {
        let argv = self.words(&[], request)?;
        Ok(invocation(argv, request.prompt.as_deref()))
    }

    /// Resumes the conversation, which keeps its id and its transcript; the prompt was said in it
    /// already. Without a conversation it is launched again.
    fn restore_command(&self, request: &LaunchRequest) -> Result<Invocation, AgentError> {
        let Some(id) = &request.agent_session_id else { return self.launch(request) };
        let mut argv = self.words(&["resume"], request)?;
        argv.push(self.argument(id.as_str())?.to_owned());
        Ok(invocation(argv, None))
    }

    fn parse_event(&self, event: &str, payload: &str) -> Option<AgentEvent> {
        events::parse(event, payload)
    }

    fn interrupt_key(&self) -> &'static str {
        "Escape"
    }

    fn status_file(&self, _running: &RunningAgent) -> Option<PathBuf> {
        None
    }

    fn read_status(&self, _running: &RunningAgent, _text: &str) -> Option<StatusReading> {
        None
    }

    /// Every hook names it; before the first one there is none.
    fn transcript(&self, running: &RunningAgent) -> Option<PathBuf> {
        running.transcript.clone()
    }

    fn read_transcript(&self, memory: &mut TranscriptMemory, lines: &str) -> TranscriptReading {
        rollout::read(memory, lines)
    }

    /// A blank before it keeps a slash command and a shell command from being one; a blank after it
    /// closes the list that opens behind an `@` or a `$` and would take the Enter. Codex cuts both
    /// off. The longest text that it takes has no room for them; it is shown as a stand-in, in which
    /// no list opens.
    fn text_to_type<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let has_room =
            text.len() <= COMPOSER_CHARS_MAX - 2 || text.chars().count() <= COMPOSER_CHARS_MAX - 2;
        if has_room { Cow::Owned(format!(" {text} ")) } else { Cow::Borrowed(text) }
    }

    fn read_screen(&self, look: &TerminalLook) -> Option<ScreenReading> {
        Some(screen::read(look))
    }
}
