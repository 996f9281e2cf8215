//! The log: how often was a text submitted?

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::server::Server;

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How often a text with this mark was submitted, as the documentation says to count.
fn submissions(file: &Path, mark: &str) -> usize {
    let lines = lines(file);
    let new = lines.iter().flat_map(|line| line["new"].as_array().unwrap());
    new.filter(|text| text.as_str().unwrap().contains(mark)).count()
}

fn ask(server: &Server, texts: &[&str]) {
    let input: Vec<_> = texts
        .iter()
        .map(|text| json!({"type": "message", "role": "user", "content": text}))
        .collect();
    let request = json!({"model": "m", "prompt_cache_key": "session-1", "input": input});
    server.post("/v1/responses", &request);
}

#[test]
fn a_text_counts_once_however_often_the_agent_asks() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log");
    let server = Server::logging(&file);
    ask(&server, &["MARK-1"]);
    ask(&server, &["MARK-1"]);
    ask(&server, &["MARK-1", "MARK-2"]);
    assert_eq!((submissions(&file, "MARK-1"), submissions(&file, "MARK-2")), (1, 1));
    ask(&server, &["MARK-1", "MARK-2", "MARK-1"]);
    assert_eq!((submissions(&file, "MARK-1"), submissions(&file, "MARK-2")), (2, 1));
    let attempts: Vec<_> = lines(&file).iter().map(|line| line["attempt"].clone()).collect();
    assert_eq!(attempts, [1, 2, 1, 1]);
    let begins: Vec<_> = lines(&file).iter().map(|line| line["begins"].clone()).collect();
    assert_eq!(begins, [true, false, true, true]);
}

#[test]
fn a_line_tells_what_was_asked_and_what_was_played() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log");
    let server = Server::logging(&file);
    let script = format!(r#"MOCK[{{"drop":true}}]{}"#, "é".repeat(1_000));
    ask(&server, &[&script]);
    server.get("/v1/models");
    server.post("/v1/messages", &Value::Null);
    server.get("/nowhere");
    let lines = lines(&file);
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["n"].as_u64().unwrap(),
                line["kind"].as_str().unwrap(),
                line["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        (1, "turn", "drop"),
        (2, "models", "text"),
        (3, "refused", "refused"),
        (4, "refused", "refused"),
    ];
    assert_eq!(told, expected);
    let turn = &lines[0];
    assert_eq!((&turn["session"], &turn["model"]), (&json!("session-1"), &json!("m")));
    assert_eq!((&turn["path"], &turn["step"]), (&json!("/v1/responses"), &json!(0)));
    assert_eq!(turn["text_bytes"], script.len());
    let text = turn["text"].as_str().unwrap();
    assert!(text.starts_with("MOCK[{\"drop\"") && text.ends_with("é") && text.len() < 60, "{text}");
}

#[test]
fn the_server_ends_with_its_standard_input() {
    assert!(Server::new().end().success());
}
