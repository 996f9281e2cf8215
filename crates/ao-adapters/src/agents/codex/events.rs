//! What the events of Codex mean.
//!
//! It has none for an error of its model, a usage limit or an expired login: the turn just ends,
//! and only the rollout says so. A plan that waits for approval has none either: its screen tells.

use std::path::PathBuf;

use ao_core::echo::PromptEcho;
use ao_core::fact::SignalDetail;
use ao_core::ports::AgentEvent;
use ao_core::record::ActivityState;
use serde_json::Value;

use super::super::json::{conversation, object, text};

/// The tool that asks its user.
const QUESTION_TOOL: &str = "request_user_input";

/// Longest sentence for people, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// What an event means; `None` when it means nothing to us.
pub(super) fn parse(event: &str, payload: &str) -> Option<AgentEvent> {
    let payload = object(payload)?;
    // Sub-agents work within a turn of the one that counts, and ask its user like itself.
    if text(&payload, &["agent_id"]).is_some() && event != "PermissionRequest" {
        return None;
    }
    let (activity, detail) = meaning(event, &payload)?;
    let is_submit = event == "UserPromptSubmit";
    let prompt = text(&payload, &["prompt"]).filter(|_prompt| is_submit);
    Some(AgentEvent {
        activity,
        detail,
        agent_session_id: conversation(&payload),
        is_submit,
        prompt: prompt.map(|prompt| PromptEcho::new(prompt, false)),
        transcript: text(&payload, &["transcript_path"]).map(PathBuf::from),
        paused_until: None,
        message: sentence(event, &payload),
    })
}

fn meaning(event: &str, payload: &Value) -> Option<(ActivityState, Option<SignalDetail>)> {
    let tool = text(payload, &["tool_name"]);
    let is_manual = text(payload, &["trigger"]) == Some("manual");
    Some(match event {
        // It comes with the first prompt, which follows within milliseconds.
        "SessionStart" => match text(payload, &["source"]) {
            // In the middle of a turn, perhaps.
            Some("compact") => return None,
            Some("startup") | None => (ActivityState::Ready, Some(SignalDetail::Started)),
            Some(_) => (ActivityState::Idle, Some(SignalDetail::Started)),
        },
        "PreToolUse" if tool == Some(QUESTION_TOOL) => {
            (ActivityState::Blocked, Some(SignalDetail::Question))
        }
        "UserPromptSubmit" | "PreToolUse" | "PostToolUse" | "PreCompact" => {
            (ActivityState::Active, None)
        }
        "PermissionRequest" => (ActivityState::Blocked, Some(SignalDetail::Permission)),
        // Asked for by hand, it is no part of a turn, and no `Stop` follows.
        "PostCompact" if is_manual => (ActivityState::Idle, None),
        "PostCompact" => (ActivityState::Active, None),
        "Stop" => (ActivityState::Idle, None),
        "Interrupt" => (ActivityState::Idle, Some(SignalDetail::Interrupted)),
        "SessionEnd" => (ActivityState::Exited, None),
        _ => return None,
    })
}

/// What people are told beside the state.
fn sentence(event: &str, payload: &Value) -> Option<String> {
    let told = match event {
        "Stop" => text(payload, &["last_assistant_message"])?.to_owned(),
        "PermissionRequest" => {
            let tool = text(payload, &["tool_name"])?;
            let input = ["description", "command"]
                .iter()
                .find_map(|name| text(payload, &["tool_input", name]));
            input.map_or_else(|| tool.to_owned(), |input| format!("{tool}: {input}"))
        }
        "PreToolUse" if text(payload, &["tool_name"]) == Some(QUESTION_TOOL) => {
            let questions = payload.get("tool_input")?.get("questions")?;
            text(questions.get(0)?, &["question"])?.to_owned()
        }
        _ => return None,
    };
    Some(told.chars().take(MESSAGE_CHARS_MAX).collect())
}
