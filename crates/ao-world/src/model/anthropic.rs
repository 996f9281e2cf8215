//! Anthropic's Messages: what Claude Code speaks.

use serde_json::{Value, json};

use super::conversation::{Conversation, Purpose, Said, Tool, add_text};
use super::side;
use super::wire::{Answer, Event, Events};

/// Reads a request.
pub(crate) fn read(body: &Value) -> Result<Conversation, String> {
    let messages = body.get("messages").and_then(Value::as_array);
    let messages = messages.ok_or("messages: a list is required")?;
    let mut said = Vec::new();
    for message in messages {
        match message.get("role").and_then(Value::as_str) {
            Some("assistant") => said.push(Said::Model),
            Some("user") => add_user(&mut said, message.get("content")),
            // What the agent tells the model in mid-conversation.
            Some("system") => {}
            _other => return Err("messages: role must be user, assistant or system".to_owned()),
        }
    }
    Ok(Conversation {
        model: body.get("model").and_then(Value::as_str).unwrap_or("stand-in").to_owned(),
        is_streamed: body.get("stream").and_then(Value::as_bool).unwrap_or(false),
        said,
        tools: tools(body),
        session: session(body),
        purpose: side::of_claude(body).map_or(Purpose::Turn, Purpose::Side),
    })
}

fn add_user(said: &mut Vec<Said>, content: Option<&Value>) {
    match content {
        Some(Value::String(text)) => add_text(said, text),
        Some(Value::Array(blocks)) => blocks.iter().for_each(|block| add_block(said, block)),
        _nothing => {}
    }
}

fn add_block(said: &mut Vec<Said>, block: &Value) {
    match block.get("type").and_then(Value::as_str) {
        Some("text") => {
            add_text(said, block.get("text").and_then(Value::as_str).unwrap_or_default());
        }
        Some("tool_result") => said.push(Said::Result),
        _image => {}
    }
}

fn tools(body: &Value) -> Vec<Tool> {
    let offered = body.get("tools").and_then(Value::as_array).into_iter().flatten();
    let names = offered.filter_map(|tool| tool.get("name").and_then(Value::as_str));
    names.map(|name| Tool { name: name.to_owned(), takes_text: false }).collect()
}

/// Claude Code puts it into a JSON text within the user's id.
fn session(body: &Value) -> Option<String> {
    let user = body.pointer("/metadata/user_id").and_then(Value::as_str)?;
    let user: Value = serde_json::from_str(user).ok()?;
    user.get("session_id").and_then(Value::as_str).map(str::to_owned)
}

fn stop_reason(answer: &Answer) -> &'static str {
    if answer.calls.is_empty() { "end_turn" } else { "tool_use" }
}

fn usage(answer: &Answer, output: u64) -> Value {
    json!({
        "input_tokens": answer.usage.input,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": answer.usage.cached,
        "output_tokens": output,
        "service_tier": "standard",
    })
}

fn tool_id(answer: &Answer, index: usize) -> String {
    format!("toolu_{}_{index}", answer.token)
}

/// The answer in one piece.
pub(crate) fn whole(answer: &Answer) -> Value {
    let text = (!answer.text.is_empty()).then(|| json!({"type": "text", "text": answer.text}));
    let calls = answer.calls.iter().enumerate().map(|(index, used)| {
        json!({
            "type": "tool_use",
            "id": tool_id(answer, index),
            "name": used.call.tool,
            "input": used.call.input,
        })
    });
    let content: Vec<_> = text.into_iter().chain(calls).collect();
    json!({
        "id": format!("msg_{}", answer.token),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stop_reason(answer),
        "stop_sequence": null,
        "usage": usage(answer, answer.usage.output),
    })
}

/// The answer as events.
pub(crate) fn events(answer: &Answer, pieces: &[&str]) -> Events {
    let mut message = whole(answer);
    message["content"] = json!([]);
    message["stop_reason"] = Value::Null;
    message["usage"] = usage(answer, 1);
    let mut head = vec![Event::typed(&json!({"type": "message_start", "message": message}))];
    let has_text = !answer.text.is_empty();
    if has_text {
        head.push(block_start(0, &json!({"type": "text", "text": ""})));
    }
    head.push(ping());
    let pieces = pieces
        .iter()
        .map(|piece| delta(0, &json!({"type": "text_delta", "text": piece})))
        .collect();
    let mut tail = Vec::new();
    if has_text {
        tail.push(block_stop(0));
    }
    for (index, used) in answer.calls.iter().enumerate() {
        let at = index + usize::from(has_text);
        let id = tool_id(answer, index);
        let block = json!({"type": "tool_use", "id": id, "name": used.call.tool, "input": {}});
        tail.push(block_start(at, &block));
        let input = used.call.input.to_string();
        tail.push(delta(at, &json!({"type": "input_json_delta", "partial_json": ""})));
        tail.push(delta(at, &json!({"type": "input_json_delta", "partial_json": input})));
        tail.push(block_stop(at));
    }
    tail.push(Event::typed(&json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason(answer), "stop_sequence": null},
        "usage": usage(answer, answer.usage.output),
    })));
    tail.push(Event::typed(&json!({"type": "message_stop"})));
    Events { head, pieces, tail }
}

/// What the server sends when it has nothing to say.
pub(crate) fn ping() -> Event {
    Event::typed(&json!({"type": "ping"}))
}

fn block_start(index: usize, block: &Value) -> Event {
    Event::typed(&json!({"type": "content_block_start", "index": index, "content_block": block}))
}

fn delta(index: usize, delta: &Value) -> Event {
    Event::typed(&json!({"type": "content_block_delta", "index": index, "delta": delta}))
}

fn block_stop(index: usize) -> Event {
    Event::typed(&json!({"type": "content_block_stop", "index": index}))
}
