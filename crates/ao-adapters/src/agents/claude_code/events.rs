//! What the hooks of Claude mean.
//!
//! Some moments have no hook at all: a permission that was given or refused, a turn that was
//! interrupted. The status file tells those.

use std::path::PathBuf;

use ao_core::echo::PromptEcho;
use ao_core::fact::SignalDetail;
use ao_core::ports::AgentEvent;
use ao_core::record::ActivityState;
use ao_core::time::Timestamp;
use serde_json::Value;

use super::super::json::conversation;
use super::compose::unwrapped;

/// Longest sentence for people, in characters: a line of a list, not a conversation.
const SENTENCE_CHARS_MAX: usize = 200;

/// How a prompt begins that Claude gives itself when background work ends.
const TASK_NOTIFICATION: &str = "<task-notification>";

/// What an event means; `None` when it means nothing.
pub(super) fn parse(event: &str, payload: &str) -> Option<AgentEvent> {
    let payload = serde_json::from_str(payload).unwrap_or(Value::Null);
    let told = Told(&payload);
    let (activity, detail) = match event {
        "SessionStart" => start(told)?,
        "UserPromptSubmit" => (ActivityState::Active, None),
        "PermissionRequest" => (ActivityState::Blocked, Some(request(told))),
        // A sub-agent in the background uses tools while the conversation itself rests.
        "PostToolUse" | "PostToolUseFailure" if told.word("agent_id").is_none() => {
            (ActivityState::Active, None)
        }
        "Notification" => notification(told)?,
        "Stop" => stop(told),
        "StopFailure" => (ActivityState::Idle, Some(failure(told))),
        // After a compaction in mid-turn the turn goes on.
        "PostCompact" if told.word("trigger") == Some("manual") => (ActivityState::Idle, None),
        "SessionEnd" => end(told)?,
        _ => return None,
    };
    // A conversation in which nothing was said cannot be resumed: it is none yet.
    let has_begun = event != "SessionStart" || told.word("source") != Some("startup");
    let transcript = told.word("transcript_path").filter(|_| has_begun).map(PathBuf::from);
    let prompt = (event == "UserPromptSubmit").then(|| told.word("prompt")).flatten();
    Some(AgentEvent {
        activity,
        detail,
        agent_session_id: conversation(&payload).filter(|_| has_begun),
        is_submit: event == "UserPromptSubmit"
            && !prompt.is_some_and(|it| it.starts_with(TASK_NOTIFICATION)),
        prompt: prompt.map(|text| PromptEcho::new(&unwrapped(text), false)),
        transcript: transcript.filter(|it| it.is_absolute()),
        paused_until: (detail == Some(SignalDetail::UsageLimited)).then(|| reset(told)).flatten(),
        message: message(event, told),
    })
}

/// The payload.
#[derive(Clone, Copy)]
struct Told<'a>(&'a Value);

impl<'a> Told<'a> {
    fn word(self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.as_str()
    }

    fn at(self, pointer: &str) -> Option<&'a str> {
        self.0.pointer(pointer)?.as_str()
    }

    fn items(self, name: &str) -> &'a [Value] {
        self.0.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

fn start(told: Told<'_>) -> Option<(ActivityState, Option<SignalDetail>)> {
    let activity = match told.word("source") {
        // Compacted, perhaps in mid-turn: the conversation and what it does are the same.
        Some("compact") => return None,
        Some("resume" | "clear") => ActivityState::Idle,
        Some(_) | None => ActivityState::Ready,
    };
    Some((activity, Some(SignalDetail::Started)))
}

/// A goodbye; a conversation that makes room for another in the same process is none.
fn end(told: Told<'_>) -> Option<(ActivityState, Option<SignalDetail>)> {
    match told.word("reason") {
        Some("clear" | "resume") => None,
        Some(_) | None => Some((ActivityState::Exited, None)),
    }
}

fn request(told: Told<'_>) -> SignalDetail {
    match told.word("tool_name") {
        Some("AskUserQuestion") => SignalDetail::Question,
        Some("ExitPlanMode") => SignalDetail::PlanApproval,
        Some(_) | None => SignalDetail::Permission,
    }
}

fn notification(told: Told<'_>) -> Option<(ActivityState, Option<SignalDetail>)> {
    match told.word("notification_type") {
        Some("idle_prompt") => Some((ActivityState::Idle, None)),
        Some("elicitation_dialog") => Some((ActivityState::Blocked, Some(SignalDetail::Question))),
        // A permission was told when it was asked for, six seconds earlier.
        Some(_) | None => None,
    }
}

/// The end of a turn; what still runs in the background wakes the agent by itself.
fn stop(told: Told<'_>) -> (ActivityState, Option<SignalDetail>) {
    let is_running = |task: &Value| match task.get("status").and_then(Value::as_str) {
        Some(status) => !matches!(status, "completed" | "failed" | "killed" | "stopped"),
        None => true,
    };
    let has_work = told.items("background_tasks").iter().any(is_running)
        || !told.items("session_crons").is_empty();
    if has_work {
        (ActivityState::Ready, Some(SignalDetail::Background))
    } else {
        (ActivityState::Idle, None)
    }
}

fn failure(told: Told<'_>) -> SignalDetail {
    let said = told.word("last_assistant_message").unwrap_or_default();
    match told.word("error") {
        Some("authentication_failed" | "oauth_org_not_allowed" | "cloud_credential_error") => {
            SignalDetail::AuthFailed
        }
        Some("billing_error") => SignalDetail::UsageLimited,
        Some("rate_limit") if is_limit(said) => SignalDetail::UsageLimited,
        Some(_) | None => SignalDetail::ApiError,
    }
}

/// Whether a refusal for too many requests is about the account's limit and not about the moment.
fn is_limit(said: &str) -> bool {
    let said = said.to_lowercase();
    said.contains("hit your") || said.contains("limit reached") || said.contains("resets")
}

/// When a limit ends, where it is told as seconds since the epoch. Mostly it is told as a time of
/// day, which without the day means nothing; the transcript has it whole.
fn reset(told: Told<'_>) -> Option<Timestamp> {
    let (_, seconds) = told.word("last_assistant_message")?.rsplit_once('|')?;
    let seconds: i64 = seconds.trim().parse().ok()?;
    Some(Timestamp::from_millis(seconds.checked_mul(1000)?))
}

fn message(event: &str, told: Told<'_>) -> Option<String> {
    let text = match event {
        "PermissionRequest" => {
            let tool = told.word("tool_name")?;
            let about = ["/tool_input/command", "/tool_input/file_path", "/tool_input/url"];
            let question = told.at("/tool_input/questions/0/question");
            match question.or_else(|| about.iter().find_map(|pointer| told.at(pointer))) {
                Some(about) if question.is_none() => format!("{tool}: {about}"),
                Some(about) => about.to_owned(),
                None => tool.to_owned(),
            }
        }
        "StopFailure" => told.word("last_assistant_message")?.to_owned(),
        "Notification" => told.word("message")?.to_owned(),
        _ => return None,
    };
    let line = text.lines().find(|line| !line.trim().is_empty())?;
    let plain = line.chars().filter(|char| !char.is_control());
    Some(plain.take(SENTENCE_CHARS_MAX).collect())
}
