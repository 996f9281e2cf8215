//! One kind of agent: how it is launched and what it can tell.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{ErrorKind, TerminalLook};
use crate::agent::AgentTraits;
use crate::echo::PromptEcho;
use crate::fact::SignalDetail;
use crate::ids::{AgentName, AgentSessionId, LaunchId, SessionId};
use crate::reading::{ScreenReading, StatusReading, TranscriptMemory, TranscriptReading};
use crate::record::ActivityState;
use crate::session::ProcessIdentity;
use crate::time::Timestamp;

/// Why an agent cannot be launched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// Its program is not installed, in the environment that it would get.
    #[error("`{program}` is not on the PATH of the session")]
    Missing {
        /// The program.
        program: String,
    },
    /// The request lacks something.
    #[error("{message}")]
    Invalid {
        /// What.
        message: String,
    },
    /// It cannot resume a conversation.
    #[error("agent `{agent}` has no way to resume a conversation")]
    NoResume {
        /// The agent.
        agent: AgentName,
    },
}

impl AgentError {
    /// The stable code of SURFACES.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "AGENT_MISSING",
            Self::Invalid { .. } => "AGENT_INVALID",
            Self::NoResume { .. } => "AGENT_NO_RESUME",
        }
    }

    /// What this error asks of its reader.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing { .. } | Self::Invalid { .. } => ErrorKind::User,
            Self::NoResume { .. } => ErrorKind::Conflict,
        }
    }
}

/// What a launch is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchRequest {
    /// The session.
    pub session: SessionId,
    /// The launch.
    pub launch: LaunchId,
    /// Where the agent starts.
    pub directory: PathBuf,
    /// A directory of this launch's own for agent files (hooks, settings, prompt).
    pub files_dir: PathBuf,
    /// What to do.
    pub prompt: Option<String>,
    /// The command line asked for, for the `command` agent.
    pub argv: Vec<String>,
    /// The model asked for.
    pub model: Option<String>,
    /// The permission mode asked for.
    pub permission_mode: Option<String>,
    /// The conversation to resume.
    pub agent_session_id: Option<AgentSessionId>,
    /// The environment that the agent will get.
    pub env: BTreeMap<String, String>,
}

/// What is to be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The command line; the first word is an absolute path.
    pub argv: Vec<String>,
    /// Variables on top of the environment.
    pub env: BTreeMap<String, String>,
    /// Files to write, 0600, before it starts: path and content.
    pub files: Vec<(PathBuf, String)>,
    /// Text to type once it runs, when the prompt goes in that way.
    pub typed_prompt: Option<String>,
}

/// What an agent's event means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentEvent {
    /// What the agent does.
    pub activity: ActivityState,
    /// What was told beyond the state.
    pub detail: Option<SignalDetail>,
    /// The agent's own conversation id.
    pub agent_session_id: Option<AgentSessionId>,
    /// Whether the agent took a prompt or message in.
    pub is_submit: bool,
    /// What it took in, when the event tells.
    pub prompt: Option<PromptEcho>,
    /// Where the agent writes its conversation down, when the event tells.
    pub transcript: Option<PathBuf>,
    /// When a usage limit ends.
    pub paused_until: Option<Timestamp>,
    /// A sentence for people.
    pub message: Option<String>,
}

/// What is known of a running agent: enough to find what it writes down about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningAgent {
    /// Its process.
    pub process: ProcessIdentity,
    /// Where it was started.
    pub directory: PathBuf,
    /// Its own name for the conversation.
    pub agent_session_id: Option<AgentSessionId>,
    /// Where it said that it writes the conversation down.
    pub transcript: Option<PathBuf>,
    /// The environment that it was given.
    pub env: BTreeMap<String, String>,
}

/// One kind of agent. Pure: it says what to do and what a text means; the engine does and reads.
pub trait Agent: Send + Sync {
    /// Its name.
    fn name(&self) -> &AgentName;

    /// What it can tell.
    fn traits(&self) -> AgentTraits;

    /// How to start it. Finds its program on the PATH of `request.env`.
    fn launch(&self, request: &LaunchRequest) -> Result<Invocation, AgentError>;

    /// How to continue its conversation.
    fn restore_command(&self, request: &LaunchRequest) -> Result<Invocation, AgentError>;

    /// What one of its events means; `None` when it means nothing to us.
    fn parse_event(&self, event: &str, payload: &str) -> Option<AgentEvent>;

    /// The key that interrupts a turn, by its tmux name.
    fn interrupt_key(&self) -> &'static str;

    /// The file in which it keeps what it does now; `None` where it has none.
    fn status_file(&self, running: &RunningAgent) -> Option<PathBuf>;

    /// What its status file says; `None` when that is not about this very process.
    fn read_status(&self, running: &RunningAgent, text: &str) -> Option<StatusReading>;

    /// The file in which it writes the conversation down, a JSON object a line.
    fn transcript(&self, running: &RunningAgent) -> Option<PathBuf>;

    /// What the lines say that were appended to a transcript since the last call, the first call
    /// having begun at its beginning. Every line is whole.
    fn read_transcript(&self, memory: &mut TranscriptMemory, lines: &str) -> TranscriptReading;

    /// A message as it has to be typed: some agents take a leading `!` or `/`, or a trailing `\\`,
    /// for something else than text. What it takes in is still recognised as the message.
    fn text_to_type<'a>(&self, text: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(text)
    }

    /// What a screen of it shows; `None` for an agent whose screens cannot be read at all.
    fn read_screen(&self, look: &TerminalLook) -> Option<ScreenReading>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Signals;

    /// An agent that says nothing of its own about how text is typed.
    struct Plain(AgentName);

    impl Agent for Plain {
        fn name(&self) -> &AgentName {
            &self.0
        }

        fn traits(&self) -> AgentTraits {
            let settle_for = std::time::Duration::ZERO;
            AgentTraits { signals: Signals::None, exits_when_done: false, settle_for }
        }

        fn launch(&self, _request: &LaunchRequest) -> Result<Invocation, AgentError> {
            Err(AgentError::Missing { program: "plain".to_owned() })
        }

        fn restore_command(&self, _request: &LaunchRequest) -> Result<Invocation, AgentError> {
            Err(AgentError::NoResume { agent: self.0.clone() })
        }

        fn parse_event(&self, _event: &str, _payload: &str) -> Option<AgentEvent> {
            None
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

        fn transcript(&self, _running: &RunningAgent) -> Option<PathBuf> {
            None
        }

        fn read_transcript(&self, _: &mut TranscriptMemory, _lines: &str) -> TranscriptReading {
            TranscriptReading::default()
        }

        fn read_screen(&self, _look: &TerminalLook) -> Option<ScreenReading> {
            None
        }
    }

    #[test]
    fn text_is_typed_as_it_is_unless_an_agent_takes_it_for_something_else() {
        let plain = Plain(AgentName::parse("plain").unwrap());
        assert_eq!(plain.text_to_type("!ls /tmp\\"), "!ls /tmp\\");
    }

    #[test]
    fn an_error_keeps_its_stable_code() {
        let program = "claude".to_owned();
        assert_eq!(AgentError::Missing { program }.code(), "AGENT_MISSING");
        let message = "no prompt".to_owned();
        assert_eq!(AgentError::Invalid { message }.code(), "AGENT_INVALID");
        let agent = AgentName::parse("command").unwrap();
        assert_eq!(AgentError::NoResume { agent }.code(), "AGENT_NO_RESUME");
    }
}
