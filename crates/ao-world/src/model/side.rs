//! Requests beside the conversation: titles, summaries, judgements.
//!
//! They carry the user's text and so the script, which must not be played for them.

use serde_json::{Map, Value, json};

/// What is answered where any text will do.
pub(crate) const TEXT: &str = "Stand-in session";

/// Depth to which a schema is followed: far beyond what an agent asks for.
const DEPTH_MAX: usize = 16;

/// Claude Code's side requests offer no tools, and its own turns do; others' requests say nothing.
pub(crate) fn is_side_of_claude(body: &Value) -> bool {
    let first = body.pointer("/system/0/text").and_then(Value::as_str).unwrap_or_default();
    let is_claude_code = first.starts_with("x-anthropic-billing-header");
    let has_tools = body.get("tools").and_then(Value::as_array).is_some_and(|it| !it.is_empty());
    is_claude_code && !has_tools
}

/// Codex says what each of its requests is for, and for whom the thread is.
pub(crate) fn is_side_of_codex(body: &Value) -> bool {
    let metadata = body.pointer("/client_metadata/x-codex-turn-metadata").and_then(Value::as_str);
    let metadata = metadata.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let says = |name| metadata.as_ref().and_then(|it| it.get(name)).and_then(Value::as_str);
    says("request_kind").is_some_and(|kind| kind != "turn")
        || says("thread_source").is_some_and(|source| source == "thread_title")
}

/// The least that satisfies this schema.
pub(crate) fn sample(schema: &Value) -> Value {
    sample_at(schema, DEPTH_MAX)
}

fn sample_at(schema: &Value, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    if let Some(first) = schema.pointer("/enum/0").or_else(|| schema.get("const")) {
        return first.clone();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => json!(TEXT),
        Some("boolean") => json!(false),
        Some("integer" | "number") => json!(0),
        Some("array") => json!([]),
        Some("object") => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let members = properties.into_iter().flatten();
            let members: Map<_, _> = members
                .map(|(name, schema)| (name.clone(), sample_at(schema, depth - 1)))
                .collect();
            Value::Object(members)
        }
        _unknown => Value::Null,
    }
}
