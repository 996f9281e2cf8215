//! Reads a rollout, the file in which Codex writes a conversation down.
//!
//! It is the only place that tells how a turn ended when no event does: by an error of the model,
//! at a usage limit, with a login that is no longer good.

use ao_core::fact::SignalDetail;
use ao_core::reading::{PromptSeen, Reading, TranscriptMemory, TranscriptReading, Usage};
use ao_core::record::ActivityState;
use ao_core::time::Timestamp;
use serde_json::Value;

use super::super::json::{at, count, moment, objects, text, unix_seconds};

/// Most prompts that are read at once.
const PROMPTS_MAX: usize = 32;

/// What further lines of a rollout say.
pub(super) fn read(memory: &mut TranscriptMemory, lines: &str) -> TranscriptReading {
    let mut reading = TranscriptReading::default();
    for line in objects(lines) {
        if is_event(&line, "token_count") {
            // It keeps count of the whole conversation itself.
            memory.usage = usage(&line).unwrap_or(memory.usage);
            memory.limit_ends = at(&line, &["payload", "rate_limits"]).and_then(end_of_limit);
        }
        let Some(written_at) = moment(&line, &["timestamp"]) else { continue };
        if let Some(text) = prompt(&line) {
            reading.prompts.push(PromptSeen { text, at: written_at });
        }
        let is_new_turn = is_event(&line, "task_started");
        memory.has_plan = is_item(&line, "Plan") || memory.has_plan && !is_new_turn;
        if let Some((activity, detail)) = activity(&line, memory.has_plan) {
            reading.last = Some((Reading { activity, detail }, written_at));
            let is_limited = detail == Some(SignalDetail::UsageLimited);
            reading.paused_until = memory.limit_ends.filter(|_end| is_limited);
        }
    }
    let n_too_many = reading.prompts.len().saturating_sub(PROMPTS_MAX);
    reading.prompts.drain(..n_too_many);
    reading.usage = Some(memory.total()).filter(|total| *total != Usage::default());
    reading
}

fn usage(line: &Value) -> Option<Usage> {
    let total = at(line, &["payload", "info", "total_token_usage"])?;
    Some(Usage {
        input_tokens: count(total, &["input_tokens"])?,
        output_tokens: count(total, &["output_tokens"])?,
        cost_microusd: None,
    })
}

/// When the last of the windows ends that are used up.
fn end_of_limit(limits: &Value) -> Option<Timestamp> {
    let windows = ["primary", "secondary"].into_iter().filter_map(|name| limits.get(name));
    let is_used_up = |window: &&Value| {
        window.get("used_percent").and_then(Value::as_f64).is_some_and(|used| used >= 100.0)
    };
    windows.filter(is_used_up).filter_map(|window| unix_seconds(window, &["resets_at"])).max()
}

/// A prompt that was taken in.
fn prompt(line: &Value) -> Option<String> {
    let content = at(line, &["payload", "item", "content"])?;
    let parts = content.as_array().filter(|_parts| is_item(line, "UserMessage"))?;
    let parts: Vec<&str> = parts.iter().filter_map(|part| text(part, &["text"])).collect();
    Some(parts.join("\n"))
}

fn is_event(line: &Value, name: &str) -> bool {
    text(line, &["type"]) == Some("event_msg") && text(line, &["payload", "type"]) == Some(name)
}

fn is_item(line: &Value, kind: &str) -> bool {
    is_event(line, "item_completed") && text(line, &["payload", "item", "type"]) == Some(kind)
}

fn activity(line: &Value, has_plan: bool) -> Option<(ActivityState, Option<SignalDetail>)> {
    let kind = text(line, &["payload", "type"])?;
    match (text(line, &["type"])?, kind) {
        ("event_msg", "task_started" | "item_completed") => Some((ActivityState::Active, None)),
        ("event_msg", "task_complete") => {
            let error = at(line, &["payload", "error"]).filter(|error| !error.is_null());
            Some(match error {
                Some(error) => (ActivityState::Idle, Some(trouble(error))),
                // Codex asks about a plan once its turn has ended.
                None if has_plan => (ActivityState::Blocked, Some(SignalDetail::PlanApproval)),
                None => (ActivityState::Idle, None),
            })
        }
        ("event_msg", "turn_aborted") => {
            Some((ActivityState::Idle, Some(SignalDetail::Interrupted)))
        }
        ("response_item", "function_call" | "function_call_output" | "reasoning") => {
            Some((ActivityState::Active, None))
        }
        _ => None,
    }
}

/// What an error of the model is for the session.
fn trouble(error: &Value) -> SignalDetail {
    let info = error.get("codex_error_info").unwrap_or(&Value::Null);
    // One that has more to tell is an object with the name as its only key.
    let inner = info.as_object().and_then(|object| object.iter().next());
    let name = info.as_str().or_else(|| inner.map(|(name, _)| name.as_str()));
    let status = inner.and_then(|(_, told)| count(told, &["http_status_code"]));
    match (name, status) {
        (Some("usage_limit_exceeded"), _) => SignalDetail::UsageLimited,
        (Some("unauthorized"), _) | (_, Some(401 | 403)) => SignalDetail::AuthFailed,
        _ => SignalDetail::ApiError,
    }
}
