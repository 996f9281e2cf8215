//! The file in which Claude writes a conversation down, a JSON object a line.
//!
//! Tokens stand with every answer; several lines of one answer repeat them. What all of it cost
//! stands in a line that is written when the process says goodbye, and is taken up again when the
//! conversation is resumed: before that, and for a process that was killed, no cost is told.

use std::path::PathBuf;

use ao_core::fact::SignalDetail;
use ao_core::ports::RunningAgent;
use ao_core::reading::{PromptSeen, Reading, TranscriptMemory, TranscriptReading, Usage};
use ao_core::record::ActivityState;
use ao_core::time::Timestamp;
use serde_json::Value;

use super::compose::unwrapped;
use super::config_dir;

/// Longest name of a directory that Claude makes from a path without a hash of it.
const PROJECT_NAME_CHARS_MAX: usize = 200;

/// How the line begins that a human's interruption leaves.
const INTERRUPTED: &str = "[Request interrupted by user";

/// Where it is; Claude's own hooks name it, this is for before the first of them.
pub(super) fn path(running: &RunningAgent) -> Option<PathBuf> {
    if let Some(path) = &running.transcript {
        return Some(path.clone());
    }
    let conversation = running.agent_session_id.as_ref()?.as_str();
    let is_plain = |char: char| char.is_ascii_alphanumeric() || char == '-';
    if conversation.is_empty() || !conversation.chars().all(is_plain) {
        return None;
    }
    let directory = running.directory.to_str()?;
    let name: String = directory
        .encode_utf16()
        .map(|unit| match u8::try_from(unit).map(char::from) {
            Ok(char) if char.is_ascii_alphanumeric() => char,
            Ok(_) | Err(_) => '-',
        })
        .collect();
    if name.len() > PROJECT_NAME_CHARS_MAX {
        return None;
    }
    let file = format!("{conversation}.jsonl");
    Some(config_dir(running)?.join("projects").join(name).join(file))
}

/// What the lines say that were added to one.
pub(super) fn read(memory: &mut TranscriptMemory, lines: &str) -> TranscriptReading {
    let mut reading = TranscriptReading::default();
    for line in lines.lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let line = Line(&line);
        count(memory, line);
        if line.is_aside() {
            continue;
        }
        let Some(at) = line.at() else { continue };
        if let Some(text) = line.prompt().map(unwrapped).or_else(|| line.command()) {
            reading.prompts.push(PromptSeen { text, at });
        }
        if let Some(says) = line.says() {
            reading.last = Some((says, at));
            reading.paused_until = line.limit_ends();
        }
    }
    let total = memory.total();
    reading.usage = (total != Usage::default()).then_some(total);
    reading
}

/// One line.
#[derive(Clone, Copy)]
struct Line<'a>(&'a Value);

impl<'a> Line<'a> {
    fn word(self, pointer: &str) -> Option<&'a str> {
        self.0.pointer(pointer)?.as_str()
    }

    fn is(self, pointer: &str) -> bool {
        self.0.pointer(pointer).and_then(Value::as_bool) == Some(true)
    }

    fn number(self, pointer: &str) -> u64 {
        self.0.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
    }

    /// Whether it belongs to a sub-agent, or to what Claude tells itself.
    fn is_aside(self) -> bool {
        self.is("/isSidechain") || self.is("/isMeta") || self.is("/isCompactSummary")
    }

    fn at(self) -> Option<Timestamp> {
        let at: jiff::Timestamp = self.word("/timestamp")?.parse().ok()?;
        Some(Timestamp::from_millis(at.as_millisecond()))
    }

    /// The text of a message: the first one, where it has several parts.
    fn text(self) -> Option<&'a str> {
        let content = self.0.pointer("/message/content")?;
        content.as_str().or_else(|| content.pointer("/0/text")?.as_str())
    }

    /// What a human, or we, had it take in.
    fn prompt(self) -> Option<&'a str> {
        match self.word("/type")? {
            "user" if self.is_human() => self.text(),
            // Taken in while a turn ran.
            "attachment" if self.word("/attachment/type") == Some("queued_command") => {
                let is_human = self.word("/attachment/origin/kind") == Some("human");
                is_human.then(|| self.word("/attachment/prompt")).flatten()
            }
            _ => None,
        }
    }

    /// A command that was typed, such as `/compact`: it runs no hook and is no prompt, but it was
    /// taken in.
    fn command(self) -> Option<String> {
        let text = self.text().filter(|text| text.starts_with("<command-name>"))?;
        let name = between(text, "<command-name>", "</command-name>")?;
        let arguments = between(text, "<command-args>", "</command-args>").unwrap_or_default();
        Some(format!("{name} {arguments}").trim_end().to_owned())
    }

    fn is_human(self) -> bool {
        self.word("/origin/kind") == Some("human")
    }

    fn says(self) -> Option<Reading> {
        let (activity, detail) = match self.word("/type")? {
            "assistant" if self.is("/isApiErrorMessage") => {
                (ActivityState::Idle, Some(self.failure()))
            }
            "assistant" => match self.word("/message/stop_reason") {
                Some("tool_use") | None => (ActivityState::Active, None),
                Some(_) => (ActivityState::Idle, None),
            },
            "user" if self.text().is_some_and(|text| text.starts_with(INTERRUPTED)) => {
                (ActivityState::Idle, Some(SignalDetail::Interrupted))
            }
            "user" if self.word("/promptSource").is_some() || self.is_result() => {
                (ActivityState::Active, None)
            }
            "system" if self.word("/subtype") == Some("turn_duration") => {
                (ActivityState::Idle, None)
            }
            _ => return None,
        };
        Some(Reading { activity, detail })
    }

    fn is_result(self) -> bool {
        self.word("/message/content/0/type") == Some("tool_result")
    }

    /// When the limit ends that an answer was refused for.
    fn limit_ends(self) -> Option<Timestamp> {
        let seconds = self.0.pointer("/quotaLimits/resetsAt").and_then(Value::as_i64)?;
        Some(Timestamp::from_millis(seconds.checked_mul(1000)?))
    }

    fn failure(self) -> SignalDetail {
        match (self.word("/apiError"), self.word("/error")) {
            (Some("usage_limit_reached"), _) | (_, Some("billing_error")) => {
                SignalDetail::UsageLimited
            }
            (
                _,
                Some("authentication_failed" | "oauth_org_not_allowed" | "cloud_credential_error"),
            ) => SignalDetail::AuthFailed,
            (_, Some(_) | None) => SignalDetail::ApiError,
        }
    }
}

/// What stands between two marks.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(begin)?;
    rest.split_once(end).map(|(inside, _)| inside)
}

/// Adds up what a line tells of usage.
fn count(memory: &mut TranscriptMemory, line: Line<'_>) {
    match line.word("/type") {
        Some("cost-state") => {
            // It counts what Claude asked for its own ends, too, and not what a process did that was
            // killed: the larger count is the fuller one.
            let account = account(line);
            let counted = memory.total();
            memory.open = None;
            memory.usage = Usage {
                input_tokens: counted.input_tokens.max(account.input_tokens),
                output_tokens: counted.output_tokens.max(account.output_tokens),
                cost_microusd: account.cost_microusd.or(counted.cost_microusd),
            };
        }
        Some("assistant") if !line.is("/isApiErrorMessage") => {
            let Some(id) = line.word("/message/id") else { return };
            let answer = Usage {
                input_tokens: line
                    .number("/message/usage/input_tokens")
                    .saturating_add(line.number("/message/usage/cache_read_input_tokens"))
                    .saturating_add(line.number("/message/usage/cache_creation_input_tokens")),
                output_tokens: line.number("/message/usage/output_tokens"),
                cost_microusd: None,
            };
            if memory.open.as_ref().is_none_or(|(open, _)| open != id) {
                memory.usage = memory.total();
            }
            memory.open = Some((id.to_owned(), answer));
        }
        Some(_) | None => {}
    }
}

/// The account of a `cost-state` line.
fn account(line: Line<'_>) -> Usage {
    let mut usage =
        Usage { cost_microusd: line.0.get("totalCostUSD").and_then(microusd), ..Usage::default() };
    let models = line.0.get("modelUsage").and_then(Value::as_object);
    for model in models.into_iter().flat_map(|models| models.values()) {
        let model = Line(model);
        for name in ["/inputTokens", "/cacheReadInputTokens", "/cacheCreationInputTokens"] {
            usage.input_tokens = usage.input_tokens.saturating_add(model.number(name));
        }
        usage.output_tokens = usage.output_tokens.saturating_add(model.number("/outputTokens"));
    }
    usage
}

/// Dollars as JSON has them, in millionths.
fn microusd(dollars: &Value) -> Option<u64> {
    let dollars = dollars.as_f64().filter(|it| it.is_finite() && *it >= 0.0)?;
    format!("{:.0}", dollars * 1e6).parse().ok()
}
