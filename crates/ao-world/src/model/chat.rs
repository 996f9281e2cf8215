//! OpenAI's Chat Completions: what most other agents speak.

use serde_json::{Value, json};

use super::conversation::{Conversation, Purpose, Said, Tool, add_text};
use super::responses::texts;
use super::wire::{Answer, Event, Events, Use};

/// Reads a request.
pub(crate) fn read(body: &Value) -> Result<Conversation, String> {
    let messages = body.get("messages").and_then(Value::as_array);
    let messages = messages.ok_or("messages: a list is required")?;
    let mut said = Vec::new();
    for message in messages {
        add_message(&mut said, message);
    }
    Ok(Conversation {
        model: body.get("model").and_then(Value::as_str).unwrap_or("stand-in").to_owned(),
        is_streamed: body.get("stream").and_then(Value::as_bool).unwrap_or(false),
        said,
        tools: tools(body),
        session: body.get("prompt_cache_key").and_then(Value::as_str).map(str::to_owned),
        purpose: Purpose::Turn,
    })
}

fn add_message(said: &mut Vec<Said>, message: &Value) {
    match message.get("role").and_then(Value::as_str) {
        Some("assistant") => said.push(Said::Model),
        Some("tool" | "function") => said.push(Said::Result),
        Some("user") => {
            for text in texts(message.get("content")) {
                add_text(said, text);
            }
        }
        _system => {}
    }
}

fn tools(body: &Value) -> Vec<Tool> {
    let offered = body.get("tools").and_then(Value::as_array).into_iter().flatten();
    let names = offered.filter_map(|tool| tool.pointer("/function/name").and_then(Value::as_str));
    names.map(|name| Tool { name: name.to_owned(), takes_text: false }).collect()
}

fn finish_reason(answer: &Answer) -> &'static str {
    if answer.calls.is_empty() { "stop" } else { "tool_calls" }
}

fn usage(answer: &Answer) -> Value {
    let input = answer.usage.input + answer.usage.cached;
    json!({
        "prompt_tokens": input,
        "prompt_tokens_details": {"cached_tokens": answer.usage.cached},
        "completion_tokens": answer.usage.output,
        "total_tokens": input + answer.usage.output,
    })
}

fn call(answer: &Answer, index: usize, used: &Use) -> Value {
    json!({
        "id": format!("call_{}_{index}", answer.token),
        "type": "function",
        "function": {"name": used.call.tool, "arguments": used.input_text()},
    })
}

/// The answer in one piece.
pub(crate) fn whole(answer: &Answer) -> Value {
    let text = if answer.text.is_empty() { Value::Null } else { json!(answer.text) };
    let mut message = json!({"role": "assistant", "content": text, "refusal": null});
    let calls: Vec<_> =
        answer.calls.iter().enumerate().map(|(index, used)| call(answer, index, used)).collect();
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    json!({
        "id": format!("chatcmpl-{}", answer.token),
        "object": "chat.completion",
        "created": answer.at,
        "model": answer.model,
        "choices": [{
            "index": 0, "message": message, "logprobs": null,
            "finish_reason": finish_reason(answer),
        }],
        "usage": usage(answer),
    })
}

/// The answer as events.
pub(crate) fn events(answer: &Answer, pieces: &[&str]) -> Events {
    let chunk = |choices: Value, usage: Value| {
        Event::plain(&json!({
            "id": format!("chatcmpl-{}", answer.token),
            "object": "chat.completion.chunk",
            "created": answer.at,
            "model": answer.model,
            "choices": choices,
            "usage": usage,
        }))
    };
    let choice = |delta: Value, finish: Value| {
        let choices = json!([{
            "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish,
        }]);
        chunk(choices, Value::Null)
    };
    let head = vec![choice(json!({"role": "assistant", "content": ""}), Value::Null)];
    let pieces =
        pieces.iter().map(|piece| choice(json!({"content": piece}), Value::Null)).collect();
    let mut tail: Vec<_> = answer
        .calls
        .iter()
        .enumerate()
        .map(|(index, used)| {
            let mut call = call(answer, index, used);
            call["index"] = json!(index);
            choice(json!({"tool_calls": [call]}), Value::Null)
        })
        .collect();
    tail.push(choice(json!({}), json!(finish_reason(answer))));
    tail.push(chunk(json!([]), usage(answer)));
    tail.push(Event::plain(&"[DONE]"));
    Events { head, pieces, tail }
}
