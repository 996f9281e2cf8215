//! Requests beside the conversation: titles, summaries, judgements.
//!
//! They carry the user's text and so the script, which must not be played for them.

use serde_json::{Map, Value, json};

/// What is answered where any text will do.
const TEXT: &str = "Stand-in session";

/// The judgement that an action may be done: the user's own script asks for it.
const ALLOWED: &str = "<block>no</block>";

/// Depth to which a schema is followed: far beyond what an agent asks for.
const DEPTH_MAX: usize = 16;

/// The answer to a side request of Claude Code. It offers no tools there, and its own turns do;
/// others' requests say nothing.
pub(crate) fn of_claude(body: &Value) -> Option<String> {
    let system = body.get("system").and_then(Value::as_array)?;
    let mut texts = system.iter().filter_map(|block| block.get("text").and_then(Value::as_str));
    let is_judgement = texts.clone().any(|text| text.contains(ALLOWED));
    let is_claude_code = texts.any(|text| text.starts_with("x-anthropic-billing-header"));
    let has_tools = body.get("tools").and_then(Value::as_array).is_some_and(|it| !it.is_empty());
    if has_tools || !(is_claude_code || is_judgement) {
        return None;
    }
    let schema = body.pointer("/output_config/format/schema");
    Some(if is_judgement { ALLOWED.to_owned() } else { text(schema) })
}

/// The answer to a side request of Codex, which says what each of its requests is for, and for
/// whom the thread is.
pub(crate) fn of_codex(body: &Value) -> Option<String> {
    let metadata =
        body.pointer("/client_metadata/x-codex-turn-metadata").and_then(Value::as_str)?;
    let metadata: Value = serde_json::from_str(metadata).ok()?;
    let says = |name| metadata.get(name).and_then(Value::as_str);
    let is_turn = says("request_kind").is_none_or(|kind| kind == "turn");
    let is_title = says("thread_source") == Some("thread_title");
    (!is_turn || is_title).then(|| text(body.pointer("/text/format/schema")))
}

/// The text that is answered, within the schema that the agent may have named.
fn text(schema: Option<&Value>) -> String {
    schema.map_or_else(|| TEXT.to_owned(), |schema| sample(schema).to_string())
}

/// The least that satisfies this schema.
fn sample(schema: &Value) -> Value {
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
