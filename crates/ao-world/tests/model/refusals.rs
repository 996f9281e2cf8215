//! Requests that make no sense get a sentence, and the server stays.

use std::io::Write as _;

use serde_json::{Value, json};

use super::server::{Server, read};

#[test]
fn garbage_is_refused_with_a_sentence() {
    let server = Server::new();
    for path in ["/v1/messages", "/v1/responses", "/v1/chat/completions"] {
        for body in [
            "",
            "{",
            "null",
            "[]",
            "{}",
            "\u{0}\u{1b}",
            r#"{"messages":7,"input":7}"#,
            r#"{"messages":[{"role":"user","content":"MOCK[{"}],"input":"MOCK[{"}"#,
            r#"{"messages":[{"role":"user","content":"MOCK[{\"erorr\":1}]"}],"input":"MOCK[7]"}"#,
            r#"{"messages":[{"role":"user","content":"MOCK[{\"error\":\"x\"}]"}],"input":"MOCK[{\"error\":\"x\"}]"}"#,
            r#"{"messages":[{"role":"user","content":"MOCK[{\"error\":\"billing\",\"status\":200}]"}],"input":"MOCK[{\"error\":\"billing\",\"status\":200}]"}"#,
        ] {
            let answer = read(server.send("POST", path, body));
            assert_eq!(answer.status, 400, "{path} {body}");
            let error = &answer.json()["error"];
            assert_eq!(error["type"], "invalid_request_error");
            assert!(error["message"].as_str().unwrap().contains(' '), "{path} {body}");
        }
    }
    assert_eq!(server.get("/v1/models").status, 200);
}

#[test]
fn deeply_nested_json_ends_nothing() {
    let server = Server::new();
    let deep = "[".repeat(100_000);
    assert_eq!(read(server.send("POST", "/v1/messages", &deep)).status, 400);
    let script = format!("MOCK[{deep}");
    let request = json!({"model": "m", "messages": [{"role": "user", "content": script}]});
    assert_eq!(server.post("/v1/messages", &request).status, 400);
    assert_eq!(server.get("/v1/models").status, 200);
}

#[test]
fn a_body_beyond_the_bound_is_refused_before_it_is_read() {
    let server = Server::new();
    let mut stream = server.connect();
    let head = "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 40000000\r\n\
                Connection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let answer = read(stream);
    assert_eq!(
        (answer.status, answer.json()["error"]["type"].clone()),
        (413, json!("request_too_large"))
    );
}

#[test]
fn an_unknown_path_is_not_found() {
    let answer = Server::new().post("/v2/messages", &Value::Null);
    assert_eq!(answer.status, 404);
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("/v2/messages"));
}

#[test]
fn a_message_of_a_megabyte_is_taken() {
    let text = format!(r#"{} MOCK[{{"text":"read it all"}}]"#, "lorem ".repeat(200_000));
    let request = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
    let answer = Server::new().post("/v1/messages", &request).json();
    assert_eq!(answer["content"][0]["text"], "read it all");
}
