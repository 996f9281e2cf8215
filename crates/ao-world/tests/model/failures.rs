//! What real servers do on bad days: errors, silence, and connections that end.

use std::io::{ErrorKind, Read as _};
use std::time::Duration;

use serde_json::{Value, json};

use super::server::{Answer, Server};

const MESSAGES: &str = "/v1/messages";
const RESPONSES: &str = "/v1/responses";
const CHAT: &str = "/v1/chat/completions";
const PATHS: [&str; 3] = [MESSAGES, RESPONSES, CHAT];

/// Silence that tells a server that waits from one that is about to answer.
const SILENCE: Duration = Duration::from_millis(300);

/// A request that fits every protocol here.
fn request(script: &str) -> Value {
    json!({
        "model": "m", "stream": true, "max_tokens": 100, "input": script,
        "messages": [{"role": "user", "content": script}],
    })
}

fn post(server: &Server, path: &str, script: &str) -> Answer {
    server.post(path, &request(script))
}

#[test]
fn every_kind_of_error_has_the_status_and_the_type_of_the_real_server() {
    let server = Server::new();
    for (kind, anthropic, openai) in [
        ("authentication", (401, "authentication_error"), (401, "invalid_request_error")),
        ("permission", (403, "permission_error"), (403, "invalid_request_error")),
        ("billing", (402, "billing_error"), (429, "insufficient_quota")),
        ("rate_limit", (429, "rate_limit_error"), (429, "rate_limit_error")),
        ("usage_limit", (429, "rate_limit_error"), (429, "usage_limit_reached")),
        ("overloaded", (529, "overloaded_error"), (503, "service_unavailable_error")),
        ("server_error", (500, "api_error"), (500, "server_error")),
        ("invalid_request", (400, "invalid_request_error"), (400, "invalid_request_error")),
        ("context_length", (400, "invalid_request_error"), (400, "invalid_request_error")),
        ("not_found", (404, "not_found_error"), (404, "invalid_request_error")),
        ("too_large", (413, "request_too_large"), (413, "invalid_request_error")),
    ] {
        let script = format!(r#"MOCK[{{"error":"{kind}"}}]"#);
        for (path, (status, of_type)) in
            [(MESSAGES, anthropic), (RESPONSES, openai), (CHAT, openai)]
        {
            let answer = post(&server, path, &script);
            assert_eq!(answer.status, status, "{kind} {path}");
            let body = answer.json();
            assert_eq!(body["error"]["type"], of_type, "{kind} {path}");
            assert!(!body["error"]["message"].as_str().unwrap().is_empty());
            assert_eq!(body["type"] == "error", path == MESSAGES, "{kind} {path}");
        }
    }
}

#[test]
fn an_error_says_what_the_script_says() {
    let script =
        r#"MOCK[{"error":"server_error","status":503,"message":"tea break","retry_after":7}]"#;
    for path in PATHS {
        let answer = post(&Server::new(), path, script);
        assert_eq!(answer.status, 503);
        assert_eq!(answer.json()["error"]["message"], "tea break");
        assert!(answer.head.contains("\r\nretry-after: 7"), "{}", answer.head);
    }
}

#[test]
fn a_usage_limit_tells_when_it_ends() {
    let server = Server::new();
    let script = r#"MOCK[{"error":"usage_limit","resets_in":120}]"#;
    let head = post(&server, MESSAGES, script).head;
    assert!(head.contains("\r\nanthropic-ratelimit-unified-status: rejected"), "{head}");
    assert!(head.contains("\r\nanthropic-ratelimit-unified-reset: "), "{head}");
    let answer = post(&server, RESPONSES, script);
    assert!(answer.head.contains("\r\nx-codex-primary-reset-at: "), "{}", answer.head);
    let error = answer.json()["error"].clone();
    assert_eq!(error["resets_in_seconds"], 120);
    assert!(error["resets_at"].as_i64().unwrap() > 120);
}

#[test]
fn an_error_after_some_text_is_the_last_event() {
    let script = r#"MOCK[{"text":"half of it","error":"overloaded"}]"#;
    let server = Server::new();
    let anthropic = post(&server, MESSAGES, script);
    let (name, data) = anthropic.events().pop().unwrap();
    assert_eq!((name.as_str(), &data["error"]["type"]), ("error", &json!("overloaded_error")));
    let responses = post(&server, RESPONSES, script);
    let (name, data) = responses.events().pop().unwrap();
    let code = &data["response"]["error"]["code"];
    assert_eq!((name.as_str(), code), ("response.failed", &json!("server_is_overloaded")));
    let chat = post(&server, CHAT, script);
    let (_, data) = chat.events().pop().unwrap();
    assert_eq!(data["error"]["code"], "server_is_overloaded");
    for answer in [anthropic, responses, chat] {
        assert!(answer.status == 200 && answer.events().len() > 5, "{}", answer.body);
    }
}

#[test]
fn a_dropped_connection_has_no_status_or_no_end() {
    let server = Server::new();
    for path in PATHS {
        assert_eq!(post(&server, path, r#"MOCK[{"drop":true}]"#).status, 0, "{path}");
        let half = post(&server, path, r#"MOCK[{"text":"half","drop":true}]"#);
        assert_eq!((half.status, half.is_whole), (200, false), "{path}");
        assert!(half.body.contains("\"h\""), "{}", half.body);
        assert!(!half.body.contains("_stop") && !half.body.contains("completed"), "{}", half.body);
    }
}

#[test]
fn a_server_that_hangs_says_nothing_or_nothing_more() {
    let server = Server::new();
    for path in PATHS {
        let mut mute = server.send("POST", path, &request(r#"MOCK[{"hang":true}]"#).to_string());
        mute.set_read_timeout(Some(SILENCE)).unwrap();
        assert_eq!(mute.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock, "{path}");
        let script = r#"MOCK[{"text":"z","hang":true}]"#;
        let mut half = server.send("POST", path, &request(script).to_string());
        let mut read = Vec::new();
        while !read.ends_with(b"\n\n\r\n") || !String::from_utf8_lossy(&read).contains("\"z\"") {
            let mut byte = [0; 1];
            half.read_exact(&mut byte).unwrap();
            read.extend(byte);
        }
        half.set_read_timeout(Some(SILENCE)).unwrap();
        assert_eq!(half.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock, "{path}");
    }
}

#[test]
fn a_failure_of_some_times_makes_room_for_the_next_step() {
    let script =
        r#"MOCK[{"error":"overloaded","times":2},{"drop":true,"times":1},{"text":"at last"}]"#;
    for path in PATHS {
        let server = Server::new();
        let statuses: Vec<_> = (0..5).map(|_| post(&server, path, script).status).collect();
        let overloaded = if path == MESSAGES { 529 } else { 503 };
        assert_eq!(statuses, [overloaded, overloaded, 0, 200, 200], "{path}");
    }
}

#[test]
fn an_answer_that_takes_long_shows_that_somebody_is_there() {
    let script = r#"MOCK[{"slow":1.2,"run":"true"}]"#;
    for (path, sign) in
        [(MESSAGES, "event: ping"), (RESPONSES, "event: keepalive"), (CHAT, ": keep-alive")]
    {
        let answer = post(&Server::new(), path, script);
        assert!(answer.is_whole && answer.body.contains(sign), "{}", answer.body);
    }
}
