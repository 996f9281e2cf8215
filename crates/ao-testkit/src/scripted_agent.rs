//! An agent that does what a test says: its traits, its command line and what its events mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ao_core::agent::{AgentTraits, Signals};
use ao_core::fact::SignalDetail;
use ao_core::ids::AgentName;
use ao_core::ports::{
    Agent, AgentError, AgentEvent, Invocation, LaunchRequest, RunningAgent, TerminalLook,
};
use ao_core::reading::{
    Composer, PromptSeen, Reading, ScreenReading, StatusReading, TranscriptMemory,
    TranscriptReading, Usage,
};
use ao_core::record::ActivityState;
use ao_core::time::Timestamp;

/// Longest prompt that is passed as an argument, as the real adapters have it.
const ARGUMENT_BYTES_MAX: usize = 100_000;

/// How the prompt of a [`ScriptedAgent`] travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PromptWay {
    /// As the last word of the command line.
    Argument,
    /// Typed once the agent runs.
    Typed,
}

/// What a [`ScriptedAgent`] writes down about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Writes {
    Nothing,
    Files,
}

/// A fake agent.
#[derive(Debug)]
pub struct ScriptedAgent {
    name: AgentName,
    traits: AgentTraits,
    prompt_way: PromptWay,
    can_resume: bool,
    reads_screens: bool,
    writes: Writes,
    events: BTreeMap<String, AgentEvent>,
    failures: Mutex<Vec<AgentError>>,
}

impl ScriptedAgent {
    /// An agent that signals everything, stays when done and takes its prompt as an argument.
    ///
    /// The names of the activity states are its events; `submit` is a submit and `active` at once.
    pub fn new(name: AgentName) -> Self {
        let mut events: BTreeMap<String, AgentEvent> = ActivityState::ALL
            .iter()
            .map(|&state| (state.as_str().to_owned(), plain_event(state)))
            .collect();
        let submit = AgentEvent { is_submit: true, ..plain_event(ActivityState::Active) };
        events.insert("submit".to_owned(), submit);
        Self {
            name,
            traits: AgentTraits {
                signals: Signals::Full,
                exits_when_done: false,
                settle_for: Duration::ZERO,
            },
            prompt_way: PromptWay::Argument,
            can_resume: true,
            reads_screens: false,
            writes: Writes::Nothing,
            events,
            failures: Mutex::new(Vec::new()),
        }
    }

    /// Declares other traits.
    #[must_use]
    pub const fn with_traits(mut self, traits: AgentTraits) -> Self {
        self.traits = traits;
        self
    }

    /// Declares other signals.
    #[must_use]
    pub const fn with_signals(mut self, signals: Signals) -> Self {
        self.traits.signals = signals;
        self
    }

    /// Ends when its work is done.
    #[must_use]
    pub const fn exiting_when_done(mut self) -> Self {
        self.traits.exits_when_done = true;
        self
    }

    /// Takes its prompt another way.
    #[must_use]
    pub const fn with_prompt_way(mut self, prompt_way: PromptWay) -> Self {
        self.prompt_way = prompt_way;
        self
    }

    /// Cannot resume a conversation.
    #[must_use]
    pub const fn without_resume(mut self) -> Self {
        self.can_resume = false;
        self
    }

    /// Reads the screens of a [`crate::machine::FakeMachine`] whose composer is set.
    #[must_use]
    pub const fn reading_screens(mut self) -> Self {
        self.reads_screens = true;
        self
    }

    /// Has a status file and a transcript, as [`Self::status_path`] and [`Self::transcript_path`]
    /// say. The status is `STATE@MILLIS`, and may end in ` pid=N`; the transcript has lines of
    /// `prompt@MILLIS TEXT`, `used@IN,OUT,MICROUSD` and `STATE@MILLIS [DETAIL]`.
    #[must_use]
    pub const fn writing_files(mut self) -> Self {
        self.writes = Writes::Files;
        self
    }

    /// Where an agent that was started there has its status file.
    pub fn status_path(directory: &Path) -> PathBuf {
        directory.join(".scripted/status")
    }

    /// Where an agent that was started there has its transcript.
    pub fn transcript_path(directory: &Path) -> PathBuf {
        directory.join(".scripted/transcript")
    }

    /// Gives an event a meaning.
    #[must_use]
    pub fn with_event(mut self, name: &str, event: AgentEvent) -> Self {
        self.events.insert(name.to_owned(), event);
        self
    }

    /// Makes the next launch or restore fail; further ones queue behind it.
    pub fn fail_next(&self, error: AgentError) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(error);
    }

    fn fault(&self) -> Result<(), AgentError> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.is_empty() { Ok(()) } else { Err(failures.remove(0)) }
    }

    fn check_prompt(&self, request: &LaunchRequest) -> Result<(), AgentError> {
        let n_bytes = request.prompt.as_ref().map_or(0, String::len);
        if self.prompt_way == PromptWay::Typed || n_bytes <= ARGUMENT_BYTES_MAX {
            return Ok(());
        }
        let message = format!("a prompt of {n_bytes} bytes is no argument: use `{{prompt_file}}`");
        Err(AgentError::Invalid { message })
    }

    fn invocation(&self, words: &[&str], prompt: Option<&str>) -> Invocation {
        let mut argv = vec![format!("/usr/bin/{}", self.name)];
        argv.extend(words.iter().map(|&word| word.to_owned()));
        let mut typed_prompt = None;
        match (self.prompt_way, prompt) {
            (_, None) => {}
            (PromptWay::Argument, Some(prompt)) => argv.push(prompt.to_owned()),
            (PromptWay::Typed, Some(prompt)) => typed_prompt = Some(prompt.to_owned()),
        }
        Invocation { argv, env: BTreeMap::new(), files: Vec::new(), typed_prompt }
    }
}

fn plain_event(activity: ActivityState) -> AgentEvent {
    AgentEvent {
        activity,
        detail: None,
        agent_session_id: None,
        is_submit: false,
        prompt: None,
        transcript: None,
        paused_until: None,
        message: None,
    }
}

/// `WORD@MILLIS`.
fn stamped(text: &str) -> Option<(&str, Timestamp)> {
    let (word, millis) = text.split_once('@')?;
    Some((word, Timestamp::from_millis(millis.parse().ok()?)))
}

fn read_fake_line(memory: &mut TranscriptMemory, reading: &mut TranscriptReading, line: &str) {
    let (head, rest) = line.split_once(' ').unwrap_or((line, ""));
    if let Some(counts) = head.strip_prefix("used@") {
        let counts: Vec<u64> = counts.split(',').filter_map(|it| it.parse().ok()).collect();
        if let [input_tokens, output_tokens, cost] = counts[..] {
            let used = Usage { input_tokens, output_tokens, cost_microusd: Some(cost) };
            memory.usage = memory.usage.plus(used);
            reading.usage = Some(memory.usage);
        }
        return;
    }
    match stamped(head) {
        Some(("prompt", at)) => reading.prompts.push(PromptSeen { text: rest.to_owned(), at }),
        Some((state, at)) => {
            if let Ok(activity) = state.parse() {
                // `STATE@MILLIS DETAIL until=MILLIS`
                let (detail, until) = rest.split_once(" until=").unwrap_or((rest, ""));
                reading.paused_until = until.parse().ok().map(Timestamp::from_millis);
                reading.last = Some((Reading { activity, detail: detail.parse().ok() }, at));
            }
        }
        None => {}
    }
}

/// `dialog: DETAIL`, `composer:`, `composer: TEXT`, `turn` (one runs) or `rest` (none does);
/// anything else is not understood.
fn read_fake_screen(screen: &str) -> ScreenReading {
    if matches!(screen, "turn" | "rest") {
        let is_turn = Some(screen == "turn");
        return ScreenReading { dialog: None, composer: Composer::Empty, is_turn };
    }
    if let Some(kind) = screen.strip_prefix("dialog: ") {
        let dialog = kind.parse().unwrap_or(SignalDetail::Question);
        return ScreenReading { dialog: Some(dialog), ..ScreenReading::UNKNOWN };
    }
    let composer = match screen.strip_prefix("composer:").map(str::trim) {
        Some("") => Composer::Empty,
        Some(text) => Composer::Holds(text.to_owned()),
        None => Composer::Unknown,
    };
    ScreenReading { composer, ..ScreenReading::UNKNOWN }
}

impl Agent for ScriptedAgent {
    fn name(&self) -> &AgentName {
        &self.name
    }

    fn traits(&self) -> AgentTraits {
        self.traits
    }

    fn launch(&self, request: &LaunchRequest) -> Result<Invocation, AgentError> {
        self.fault()?;
        self.check_prompt(request)?;
        let words: Vec<&str> = request.argv.iter().map(String::as_str).collect();
        Ok(self.invocation(&words, request.prompt.as_deref()))
    }

    fn restore_command(&self, request: &LaunchRequest) -> Result<Invocation, AgentError> {
        self.fault()?;
        match &request.agent_session_id {
            Some(id) if self.can_resume => Ok(self.invocation(&["--resume", id.as_str()], None)),
            Some(_) | None if self.can_resume => {
                self.check_prompt(request)?;
                Ok(self.invocation(&[], request.prompt.as_deref()))
            }
            Some(_) | None => Err(AgentError::NoResume { agent: self.name.clone() }),
        }
    }

    fn parse_event(&self, event: &str, payload: &str) -> Option<AgentEvent> {
        let mut event = self.events.get(event)?.clone();
        if event.message.is_none() && !payload.is_empty() {
            event.message = Some(payload.to_owned());
        }
        Some(event)
    }

    fn interrupt_key(&self) -> &'static str {
        "Escape"
    }

    fn status_file(&self, running: &RunningAgent) -> Option<PathBuf> {
        (self.writes == Writes::Files).then(|| Self::status_path(&running.directory))
    }

    fn read_status(&self, running: &RunningAgent, text: &str) -> Option<StatusReading> {
        let text = text.trim_end();
        let (status, pid) = text.split_once(" pid=").unwrap_or((text, ""));
        if !pid.is_empty() && pid != running.process.pid.to_string() {
            return None;
        }
        let (state, since) = stamped(status)?;
        let reading = Reading { activity: state.parse().ok()?, detail: None };
        Some(StatusReading { reading, since: Some(since), agent_session_id: None })
    }

    fn transcript(&self, running: &RunningAgent) -> Option<PathBuf> {
        (self.writes == Writes::Files).then(|| Self::transcript_path(&running.directory))
    }

    fn read_transcript(&self, memory: &mut TranscriptMemory, lines: &str) -> TranscriptReading {
        let mut reading = TranscriptReading::default();
        for line in lines.lines() {
            read_fake_line(memory, &mut reading, line);
        }
        reading
    }

    fn read_screen(&self, look: &TerminalLook) -> Option<ScreenReading> {
        self.reads_screens.then(|| read_fake_screen(&look.screen))
    }
}
