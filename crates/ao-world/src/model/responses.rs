//! OpenAI's Responses: what Codex speaks.

use serde_json::{Value, json};

use super::conversation::{Conversation, Purpose, Said, Tool, add_text};
use super::failure::Failure;
use super::side;
use super::wire::{Answer, Event, Events, Use};

/// Reads a request.
pub(crate) fn read(body: &Value) -> Result<Conversation, String> {
    let mut said = Vec::new();
    match body.get("input") {
        Some(Value::String(text)) => add_text(&mut said, text),
        Some(Value::Array(items)) => items.iter().for_each(|item| add_item(&mut said, item)),
        _nothing => return Err("input: a text or a list is required".to_owned()),
    }
    Ok(Conversation {
        model: body.get("model").and_then(Value::as_str).unwrap_or("stand-in").to_owned(),
        is_streamed: body.get("stream").and_then(Value::as_bool).unwrap_or(false),
        said,
        tools: tools(body),
        session: body.get("prompt_cache_key").and_then(Value::as_str).map(str::to_owned),
        purpose: side::of_codex(body).map_or(Purpose::Turn, Purpose::Side),
    })
}

fn add_item(said: &mut Vec<Said>, item: &Value) {
    let role = item.get("role").and_then(Value::as_str);
    match (item.get("type").and_then(Value::as_str).unwrap_or("message"), role) {
        ("message", Some("user")) => {
            for text in texts(item.get("content")) {
                add_text(said, text);
            }
        }
        ("message", Some("assistant")) => said.push(Said::Model),
        ("message", _developer) => {}
        (kind, _) if kind.ends_with("_output") => said.push(Said::Result),
        (kind, _) if kind.ends_with("_call") || kind == "reasoning" => said.push(Said::Model),
        _other => {}
    }
}

/// The texts of a message, which has one or a list of parts.
pub(crate) fn texts(content: Option<&Value>) -> Vec<&str> {
    match content {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect()
        }
        _nothing => Vec::new(),
    }
}

fn tools(body: &Value) -> Vec<Tool> {
    let offered = body.get("tools").and_then(Value::as_array).into_iter().flatten();
    let named = offered.filter_map(|tool| {
        let name = tool.get("name").and_then(Value::as_str)?.to_owned();
        Some(Tool { name, takes_text: tool.get("type").and_then(Value::as_str) == Some("custom") })
    });
    named.collect()
}

/// One entry of the `output`, whole or as it begins.
enum Item<'a> {
    Message(&'a str),
    Use(usize, &'a Use),
}

impl Item<'_> {
    fn id(&self, token: &str) -> String {
        match self {
            Self::Message(_) => format!("msg_{token}"),
            Self::Use(index, used) if used.takes_text => format!("ctc_{token}_{index}"),
            Self::Use(index, _) => format!("fc_{token}_{index}"),
        }
    }

    fn part(text: &str) -> Value {
        json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
    }

    fn value(&self, token: &str, is_whole: bool) -> Value {
        let status = if is_whole { "completed" } else { "in_progress" };
        let id = self.id(token);
        match self {
            Self::Message(text) => {
                let content = if is_whole { json!([Self::part(text)]) } else { json!([]) };
                json!({
                    "id": id, "type": "message", "status": status, "role": "assistant",
                    "content": content,
                })
            }
            Self::Use(index, used) => {
                let input = if is_whole { used.input_text() } else { String::new() };
                let (kind, field) = Self::names(used);
                json!({
                    "id": id, "type": kind, "status": status, "name": used.call.tool,
                    "call_id": format!("call_{token}_{index}"), field: input,
                })
            }
        }
    }

    fn names(used: &Use) -> (&'static str, &'static str) {
        if used.takes_text { ("custom_tool_call", "input") } else { ("function_call", "arguments") }
    }
}

fn items(answer: &Answer) -> Vec<Item<'_>> {
    let message = (!answer.text.is_empty()).then_some(Item::Message(&answer.text));
    let calls = answer.calls.iter().enumerate().map(|(index, used)| Item::Use(index, used));
    message.into_iter().chain(calls).collect()
}

/// The answer in one piece.
pub(crate) fn whole(answer: &Answer) -> Value {
    let output: Vec<_> = items(answer).iter().map(|item| item.value(&answer.token, true)).collect();
    let mut response = response(&answer.token, answer.at, &answer.model, "completed");
    response["output"] = json!(output);
    response["usage"] = json!({
        "input_tokens": answer.usage.input + answer.usage.cached,
        "input_tokens_details": {"cached_tokens": answer.usage.cached},
        "output_tokens": answer.usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.usage.input + answer.usage.cached + answer.usage.output,
    });
    response
}

fn response(token: &str, at: i64, model: &str, status: &str) -> Value {
    json!({
        "id": format!("resp_{token}"),
        "object": "response",
        "created_at": at,
        "status": status,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "model": model,
        "output": [],
        "parallel_tool_calls": true,
        "tool_choice": "auto",
        "tools": [],
        "metadata": {},
        "usage": null,
    })
}

/// Events as they are numbered through a stream.
struct Numbered {
    next: u64,
}

impl Numbered {
    fn event(&mut self, kind: &str, mut data: Value) -> Event {
        data["type"] = json!(kind);
        data["sequence_number"] = json!(self.next);
        self.next += 1;
        Event::typed(&data)
    }
}

/// The answer as events.
pub(crate) fn events(answer: &Answer, pieces: &[&str]) -> Events {
    let begun = response(&answer.token, answer.at, &answer.model, "in_progress");
    let mut numbered = Numbered { next: 0 };
    let mut head = vec![
        numbered.event("response.created", json!({"response": begun})),
        numbered.event("response.in_progress", json!({"response": begun})),
    ];
    let mut said = Vec::new();
    let mut tail = Vec::new();
    for (at, item) in items(answer).iter().enumerate() {
        let id = item.id(&answer.token);
        let added = json!({"output_index": at, "item": item.value(&answer.token, false)});
        let added = numbered.event("response.output_item.added", added);
        match item {
            Item::Message(text) => {
                let place = json!({"item_id": id, "output_index": at, "content_index": 0});
                let with = |key: &str, value: Value| {
                    let mut data = place.clone();
                    data[key] = value;
                    data
                };
                head.push(added);
                let part = with("part", Item::part(""));
                head.push(numbered.event("response.content_part.added", part));
                said.extend(pieces.iter().map(|piece| {
                    numbered.event("response.output_text.delta", with("delta", json!(piece)))
                }));
                tail.push(numbered.event("response.output_text.done", with("text", json!(text))));
                let part = with("part", Item::part(text));
                tail.push(numbered.event("response.content_part.done", part));
            }
            Item::Use(_, used) => {
                tail.push(added);
                let (kind, field) = if used.takes_text {
                    ("response.custom_tool_call_input", "input")
                } else {
                    ("response.function_call_arguments", "arguments")
                };
                let input = used.input_text();
                let data = json!({"item_id": id, "output_index": at, "delta": input});
                tail.push(numbered.event(&format!("{kind}.delta"), data));
                let data = json!({"item_id": id, "output_index": at, field: input});
                tail.push(numbered.event(&format!("{kind}.done"), data));
            }
        }
        let done = json!({"output_index": at, "item": item.value(&answer.token, true)});
        tail.push(numbered.event("response.output_item.done", done));
    }
    tail.push(numbered.event("response.completed", json!({"response": whole(answer)})));
    Events { head, pieces: said, tail }
}

/// An error after the stream began.
pub(crate) fn late_error(failure: &Failure, token: &str) -> Event {
    let mut response = response(token, 0, "stand-in", "failed");
    response["error"] = json!({"code": failure.code(), "message": failure.message});
    Event::typed(&json!({"type": "response.failed", "response": response}))
}

/// What the server sends when it has nothing to say.
pub(crate) fn keep_alive() -> Event {
    Event::typed(&json!({"type": "keepalive"}))
}
