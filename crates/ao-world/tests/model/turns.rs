//! Which step a turn plays. The conversation says it, not the server.

use serde_json::{Value, json};

use super::server::Server;

const SCRIPT: &str = r#"MOCK[{"text":"zero","run":"true"},{"text":"one"},{"text":"two"}]"#;

fn user(text: &str) -> Value {
    json!({"role": "user", "content": [{"type": "text", "text": text}]})
}

fn model(text: &str) -> Value {
    json!({"role": "assistant", "content": [{"type": "text", "text": text}]})
}

fn result() -> Value {
    json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": ""}]})
}

fn said(server: &Server, messages: &[Value]) -> String {
    let request = json!({"model": "m", "max_tokens": 100, "messages": messages});
    let answer = server.post("/v1/messages", &request).json();
    answer["content"][0]["text"].as_str().unwrap().to_owned()
}

#[test]
fn the_turns_after_the_script_count_whichever_server_answers() {
    let mut messages = vec![user("before"), model("nothing"), user(SCRIPT)];
    assert_eq!(said(&Server::new(), &messages), "zero");
    messages.extend([model("zero"), result()]);
    assert_eq!(said(&Server::new(), &messages), "one");
    messages.extend([model("one"), user("and on")]);
    assert_eq!(said(&Server::new(), &messages), "two");
    messages.extend([model("two"), user("and on")]);
    assert_eq!(said(&Server::new(), &messages), "The script has no further step.");
}

#[test]
fn a_later_script_takes_over() {
    let later = r#"<pasted_content id="7">
        MOCK[{"text":"other"}]
        </pasted_content>"#;
    let server = Server::new();
    let messages = [user(SCRIPT), model("zero"), result(), user(later)];
    assert_eq!(said(&server, &messages), "other");
    let while_busy =
        "The user sent a new message while you were working:\nMOCK[{\"text\":\"busy\"}]";
    let of_both = json!({"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "t", "content": ""},
        {"type": "text", "text": while_busy},
    ]});
    assert_eq!(said(&server, &[user(SCRIPT), model("zero"), of_both]), "busy");
}

#[test]
fn what_is_not_from_the_user_is_no_script() {
    let server = Server::new();
    let of_tool = json!({"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "t", "content": r#"MOCK[{"text":"from a file"}]"#},
    ]});
    assert_eq!(said(&server, &[user(SCRIPT), model("zero"), of_tool]), "one");
    let reminder = user("<system-reminder>\nMOCK[{\"text\":\"reminded\"}]\n</system-reminder>");
    let system = json!({"role": "system", "content": r#"MOCK[{"text":"system"}]"#});
    assert_eq!(said(&server, &[user(SCRIPT), reminder, system]), "zero");
}

#[test]
fn without_a_script_the_answer_is_a_friendly_one() {
    let first = said(&Server::new(), &[user("hi")]);
    assert!(first.starts_with("Hello!"), "{first}");
    assert_eq!(said(&Server::new(), &[user("hi"), model(&first), user("again")]), first);
}

#[test]
fn a_turn_that_the_user_interrupted_is_a_turn() {
    let server = Server::new();
    let kept = [user(SCRIPT), model("ze"), user("[Request interrupted by user]"), user("go on")];
    assert_eq!(said(&server, &kept), "one");
    let dropped = [user(SCRIPT), user("<turn_aborted>\nx\n</turn_aborted>"), user("go on")];
    assert_eq!(said(&server, &dropped), "one");
    let of_tool = [
        user(SCRIPT),
        model("zero"),
        result(),
        user("[Request interrupted by user for tool use]"),
        user("go on"),
    ];
    assert_eq!(said(&server, &of_tool), "one");
}
