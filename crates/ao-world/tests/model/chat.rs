//! OpenAI's Chat Completions, as most other agents read them.

use serde_json::{Value, json};

use super::server::{Server, joined};

fn request(text: &str, is_streamed: bool) -> Value {
    json!({
        "model": "mock-model", "stream": is_streamed,
        "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": text}],
        "tools": [{"type": "function", "function": {"name": "bash"}}],
    })
}

#[test]
fn a_streamed_text_is_chunks_a_reason_the_usage_and_the_end() {
    let script = r#"MOCK[{"text":"Good morning, world.","usage":{"input":7,"output":9}}]"#;
    let answer = Server::new().post("/v1/chat/completions", &request(script, true));
    assert_eq!((answer.status, answer.is_whole), (200, true));
    let mut chunks = answer.data("");
    assert_eq!(chunks.pop().unwrap(), "[DONE]");
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk"));
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(joined(&chunks, "/choices/0/delta/content"), "Good morning, world.");
    assert_eq!(joined(&chunks, "/choices/0/finish_reason"), "stop");
    assert_eq!(chunks.last().unwrap()["usage"]["total_tokens"], 16);
}

#[test]
fn tools_side_by_side_have_their_own_index() {
    let script = r#"MOCK[{"run":"true","tools":[{"tool":"edit","input":{"a":1}}]}]"#;
    let server = Server::new();
    let chunks = server.post("/v1/chat/completions", &request(script, true)).data("");
    let calls: Vec<_> = chunks
        .iter()
        .filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0").cloned())
        .collect();
    let told: Vec<_> =
        calls.iter().map(|call| (&call["index"], &call["function"]["name"])).collect();
    assert_eq!(told, [(&json!(0), &json!("edit")), (&json!(1), &json!("bash"))]);
    assert_eq!(calls[0]["function"]["arguments"], r#"{"a":1}"#);
    assert_eq!(joined(&chunks, "/choices/0/finish_reason"), "tool_calls");
    let whole = server.post("/v1/chat/completions", &request(script, false)).json();
    assert_eq!(whole["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(whole["choices"][0]["message"]["content"], Value::Null);
    assert_eq!(whole["choices"][0]["message"]["tool_calls"].as_array().unwrap().len(), 2);
}

#[test]
fn an_answer_in_one_piece_has_the_same_text() {
    let request = request(r#"MOCK[{"text":"one"}]"#, false);
    let answer = Server::new().post("/v1/chat/completions", &request).json();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["choices"][0]["message"]["content"], "one");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
}
