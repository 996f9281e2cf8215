//! OpenAI's Responses, as Codex reads them.

use serde_json::{Value, json};

use super::server::{Answer, Server, joined};

fn request(text: &str, is_streamed: bool) -> Value {
    json!({
        "model": "mock-model", "stream": is_streamed,
        "input": [{
            "type": "message", "role": "user",
            "content": [{"type": "input_text", "text": text}],
        }],
        "tools": [
            {"type": "function", "name": "exec_command"},
            {"type": "custom", "name": "apply_patch"},
        ],
    })
}

fn assert_numbered(answer: &Answer) {
    for (at, (name, data)) in answer.events().iter().enumerate() {
        assert_eq!(data["sequence_number"], at, "{name}");
        assert_eq!(data["type"], *name);
    }
}

#[test]
fn a_streamed_text_is_every_event_that_the_real_server_sends() {
    let script =
        r#"MOCK[{"text":"Good morning, world.","usage":{"input":7,"cached":5,"output":9}}]"#;
    let answer = Server::new().post("/v1/responses", &request(script, true));
    assert_eq!((answer.status, answer.is_whole), (200, true));
    assert_eq!(
        answer.names(),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    assert_numbered(&answer);
    let deltas = answer.data("response.output_text.delta");
    assert!(deltas.len() > 1, "a stream is more than one piece");
    assert_eq!(joined(&deltas, "/delta"), "Good morning, world.");
    let created = &answer.data("response.created")[0]["response"];
    let completed = &answer.data("response.completed")[0]["response"];
    assert_eq!(
        (&created["status"], &completed["status"]),
        (&json!("in_progress"), &json!("completed"))
    );
    assert_eq!(created["id"], completed["id"]);
    assert_eq!(completed["output"][0], answer.data("response.output_item.done")[0]["item"]);
    assert_eq!(completed["output"][0]["content"][0]["text"], "Good morning, world.");
    assert_eq!(completed["usage"]["input_tokens"], 12);
    assert_eq!(completed["usage"]["input_tokens_details"]["cached_tokens"], 5);
    assert_eq!(completed["usage"]["total_tokens"], 21);
}

#[test]
fn tools_side_by_side_are_items_of_their_own() {
    let script = r#"MOCK[{"run":"echo a","tools":[{"tool":"apply_patch","input":"*** Begin"}]}]"#;
    let answer = Server::new().post("/v1/responses", &request(script, true));
    assert_numbered(&answer);
    let items = answer.data("response.output_item.done");
    let patch = &items[0]["item"];
    assert_eq!(
        (&patch["type"], &patch["input"]),
        (&json!("custom_tool_call"), &json!("*** Begin"))
    );
    let command = &items[1]["item"];
    assert_eq!(
        (&command["type"], &command["name"]),
        (&json!("function_call"), &json!("exec_command"))
    );
    assert_eq!(command["arguments"], r#"{"cmd":"echo a"}"#);
    assert_ne!(patch["call_id"], command["call_id"]);
    assert_eq!(
        joined(&answer.data("response.function_call_arguments.delta"), "/delta"),
        r#"{"cmd":"echo a"}"#
    );
    assert_eq!(
        joined(&answer.data("response.custom_tool_call_input.delta"), "/delta"),
        "*** Begin"
    );
}

#[test]
fn an_answer_in_one_piece_has_the_same_content() {
    let script = r#"MOCK[{"text":"one","run":"true"}]"#;
    let response = Server::new().post("/v1/responses", &request(script, false)).json();
    assert_eq!(
        (&response["object"], &response["status"]),
        (&json!("response"), &json!("completed"))
    );
    assert_eq!(response["output"][0]["content"][0]["text"], "one");
    assert_eq!(response["output"][1]["name"], "exec_command");
}

#[test]
fn a_command_may_have_to_ask() {
    let response = Server::new()
        .post("/v1/responses", &request(r#"MOCK[{"run":"true","ask":true}]"#, false))
        .json();
    let arguments = response["output"][0]["arguments"].as_str().unwrap();
    let arguments: Value = serde_json::from_str(arguments).unwrap();
    assert_eq!(
        (&arguments["cmd"], &arguments["sandbox_permissions"]),
        (&json!("true"), &json!("require_escalated"))
    );
}

#[test]
fn the_input_may_be_a_text() {
    let request = json!({"model": "m", "input": r#"MOCK[{"text":"short"}]"#});
    let response = Server::new().post("/v1/responses", &request).json();
    assert_eq!(response["output"][0]["content"][0]["text"], "short");
}

#[test]
fn a_title_for_codex_is_no_turn_of_the_script() {
    let server = Server::new();
    let of = |metadata: &Value| {
        let mut request = request(r#"Title for: MOCK[{"text":"a turn"}]"#, false);
        request["client_metadata"] = json!({"x-codex-turn-metadata": metadata.to_string()});
        let response = server.post("/v1/responses", &request).json();
        response["output"][0]["content"][0]["text"].clone()
    };
    assert_eq!(of(&json!({"request_kind": "turn", "thread_source": "user"})), "a turn");
    assert_ne!(of(&json!({"request_kind": "turn", "thread_source": "thread_title"})), "a turn");
    assert_ne!(of(&json!({"request_kind": "compaction", "thread_source": "user"})), "a turn");
}
