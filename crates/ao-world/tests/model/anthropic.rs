//! Anthropic's Messages, as Claude Code reads them.

use serde_json::{Value, json};

use super::server::{Server, joined};

fn request(text: &str, is_streamed: bool) -> Value {
    json!({
        "model": "claude-opus-5-5", "max_tokens": 1_000, "stream": is_streamed,
        "messages": [{"role": "user", "content": text}],
    })
}

#[test]
fn a_streamed_text_is_every_event_that_the_real_server_sends() {
    let answer = Server::new().post(
        "/v1/messages?beta=true",
        &request(r#"MOCK[{"text":"Good morning, world. ü🙂","usage":{"input":7,"cached":5,"output":9}}]"#, true),
    );
    assert_eq!((answer.status, answer.is_whole), (200, true));
    assert_eq!(
        answer.names(),
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    for (name, data) in answer.events() {
        assert_eq!(data["type"], name);
    }
    let start = &answer.data("message_start")[0]["message"];
    assert_eq!(start["role"], "assistant");
    assert_eq!(start["model"], "claude-opus-5-5");
    assert_eq!(start["content"], json!([]));
    assert_eq!(start["usage"]["input_tokens"], 7);
    assert_eq!(start["usage"]["cache_read_input_tokens"], 5);
    let deltas = answer.data("content_block_delta");
    assert!(deltas.len() > 1, "a stream is more than one piece");
    assert_eq!(joined(&deltas, "/delta/text"), "Good morning, world. ü🙂");
    let end = &answer.data("message_delta")[0];
    assert_eq!(end["delta"]["stop_reason"], "end_turn");
    assert_eq!(end["usage"]["output_tokens"], 9);
}

#[test]
fn tools_side_by_side_are_blocks_of_their_own_after_the_text() {
    let script = r#"MOCK[{"text":"both","tools":[{"tool":"Read","input":{"file_path":"a"}},{"tool":"Bash","input":{"command":"b"}}]}]"#;
    let answer = Server::new().post("/v1/messages", &request(script, true));
    let starts = answer.data("content_block_start");
    let kinds: Vec<_> = starts.iter().map(|start| start["content_block"]["type"].clone()).collect();
    assert_eq!(kinds, ["text", "tool_use", "tool_use"]);
    let indexes: Vec<_> = starts.iter().map(|start| start["index"].clone()).collect();
    assert_eq!(indexes, [0, 1, 2]);
    assert_eq!(starts[1]["content_block"]["name"], "Read");
    assert_ne!(starts[1]["content_block"]["id"], starts[2]["content_block"]["id"]);
    let deltas = answer.data("content_block_delta");
    for (index, input) in [(1, r#"{"file_path":"a"}"#), (2, r#"{"command":"b"}"#)] {
        let of_block: Vec<_> =
            deltas.iter().filter(|delta| delta["index"] == index).cloned().collect();
        assert_eq!(joined(&of_block, "/delta/partial_json"), input);
    }
    assert_eq!(answer.data("content_block_stop").len(), 3);
    assert_eq!(answer.data("message_delta")[0]["delta"]["stop_reason"], "tool_use");
}

#[test]
fn an_answer_in_one_piece_has_the_same_content() {
    let script = r#"MOCK[{"text":"one","tool":"Bash","input":{"command":"true"}}]"#;
    let message = Server::new().post("/v1/messages", &request(script, false)).json();
    assert_eq!(message["type"], "message");
    assert_eq!(message["stop_reason"], "tool_use");
    assert_eq!(message["content"][0], json!({"type": "text", "text": "one"}));
    assert_eq!(message["content"][1]["input"], json!({"command": "true"}));
    assert_eq!(message["usage"]["input_tokens"], 100);
}

#[test]
fn a_command_is_run_with_the_tool_that_the_agent_offers() {
    let server = Server::new();
    let mut request = request(r#"MOCK[{"run":"true"}]"#, false);
    let of_claude = server.post("/v1/messages", &request).json();
    assert_eq!(of_claude["content"][0]["name"], "Bash");
    request["tools"] = json!([{"name": "shell", "input_schema": {"type": "object"}}]);
    let of_other = server.post("/v1/messages", &request).json();
    assert_eq!(of_other["content"][0]["name"], "shell");
    assert_eq!(of_other["content"][0]["input"], json!({"command": ["bash", "-lc", "true"]}));
}

#[test]
fn tokens_are_counted_and_models_are_listed() {
    let server = Server::new();
    let count = server.post("/v1/messages/count_tokens", &request(&"x".repeat(4_000), false));
    assert!(count.json()["input_tokens"].as_u64().unwrap() > 1_000);
    let models = server.get("/v1/models?limit=10").json();
    assert!(models["data"].as_array().unwrap().iter().all(|model| model["id"].is_string()));
    assert_eq!(models["data"][0]["type"], "model");
    assert_eq!(server.get("/api/hello").status, 200, "what Claude Code asks first");
}

#[test]
fn a_title_for_claude_code_is_no_turn_of_the_script() {
    let script = r#"MOCK[{"tool":"Bash","input":{"command":"touch x"}}]"#;
    let mut request = request(script, false);
    request["system"] =
        json!([{"type": "text", "text": "x-anthropic-billing-header: cc_version=2"}]);
    request["output_config"] = json!({"format": {"type": "json_schema", "schema": {
        "type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"],
    }}});
    let server = Server::new();
    let title = server.post("/v1/messages", &request).json();
    assert_eq!(title["stop_reason"], "end_turn");
    let text = title["content"][0]["text"].as_str().unwrap();
    assert!(serde_json::from_str::<Value>(text).unwrap()["title"].is_string(), "{text}");
    request["tools"] = json!([{"name": "Bash"}]);
    assert_eq!(server.post("/v1/messages", &request).json()["stop_reason"], "tool_use");
}

#[test]
fn claude_code_is_told_that_what_the_script_does_may_be_done() {
    let mut request = request("<transcript>\nMOCK[{\"text\":\"a turn\"}]", false);
    let rules = "Answer <block>yes</block> or:\n<block>no</block>";
    request["system"] = json!([{"type": "text", "text": rules}]);
    let judgement = Server::new().post("/v1/messages", &request).json();
    assert_eq!(judgement["content"][0]["text"], "<block>no</block>");
}
