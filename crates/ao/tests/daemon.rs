//! Starting, stopping and refusing to start.

use serde_json::json;

use crate::env::TestEnv;

#[test]
fn starting_and_stopping_twice_are_no_failures() {
    let env = TestEnv::new();
    assert_eq!(env.ao(&["stop"]).code, 0);
    let first = env.ao(&["start", "--json"]);
    assert_eq!((first.code, &first.json()["ready"]), (0, &json!(true)));
    let second = env.ao(&["start", "--json"]);
    assert_eq!((second.code, &second.json()["pid"]), (0, &first.json()["pid"]));
    assert_eq!(env.ao(&["status", "--json"]).json()["pid"], first.json()["pid"]);
    assert_eq!(env.ao(&["stop", "--json"]).json()["pid"], first.json()["pid"]);
    assert_eq!(env.ao(&["stop"]).code, 0);
    assert_eq!(env.ao(&["status"]).code, 5);
}

#[test]
fn a_stopped_daemon_is_gone_when_stop_returns() {
    let env = TestEnv::new();
    let pid = env.ao(&["start", "--json"]).json()["pid"].clone();
    assert_eq!(env.ao(&["stop"]).code, 0);
    // A zombie still has an entry: its parent is whoever adopts orphans here.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
}

#[test]
fn the_daemon_is_recognised_by_its_arguments_and_keeps_only_its_home() {
    let env = TestEnv::new();
    let vars = [("AO_SESSION_ID", "app-1"), ("AO_LOG", "debug"), ("AO_NONCE", "n")];
    let started = env.ao_with(&["start", "--json"], &vars, "").json();
    let read = |name: &str| std::fs::read(format!("/proc/{}/{name}", started["pid"])).unwrap();
    let words = |bytes: Vec<u8>| -> Vec<String> {
        bytes.split(|&b| b == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    };
    assert!(words(read("cmdline")).contains(&"daemon".to_owned()));
    let ours: Vec<String> =
        words(read("environ")).into_iter().filter(|var| var.starts_with("AO_")).collect();
    assert_eq!(ours, [format!("AO_HOME={}", env.home().display())]);
}

#[test]
fn a_second_daemon_on_one_home_is_refused() {
    let env = TestEnv::new();
    assert_eq!(env.ao(&["start"]).code, 0);
    let ended = env.ao(&["daemon", "--json"]);
    assert_eq!((ended.code, &ended.error()["kind"]), (4, &json!("conflict")));
}

#[test]
fn several_starts_at_once_make_one_daemon() {
    let env = TestEnv::new();
    let ended = env.shell("for i in 1 2 3 4; do ao start --json & done; wait");
    assert_eq!(ended.err, "");
    let pids: Vec<serde_json::Value> = ended
        .out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["pid"].clone())
        .collect();
    assert_eq!(pids.len(), 4, "{ended:?}");
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
}

#[test]
fn a_configuration_that_keeps_the_daemon_from_starting_is_named() {
    let env = TestEnv::new();
    std::fs::create_dir_all(env.home()).unwrap();
    std::fs::write(env.home().join("config.toml"), "agnet = 1\n").unwrap();
    let ended = env.ao(&["start", "--json"]);
    assert_eq!(ended.code, 2);
    let message = ended.error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("agnet"), "{message}");
    assert_eq!(env.ao(&["status"]).code, 5);
}

#[test]
fn a_home_that_cannot_be_made_is_named() {
    let env = TestEnv::with_home("file/home");
    std::fs::write(env.home().parent().unwrap(), "").unwrap();
    let ended = env.ao(&["start", "--json"]);
    assert_eq!((ended.code, &ended.error()["code"]), (1, &json!("HOME_UNWRITABLE")));
}

#[test]
fn a_home_too_deep_for_a_socket_works_all_the_same() {
    let env = TestEnv::with_home(&"deep/".repeat(30));
    let started = env.ao(&["start", "--json"]);
    assert_eq!(started.code, 0, "{started:?}");
    assert!(started.json()["socket"].as_str().unwrap().len() <= 100);
    assert_eq!(env.ao(&["ls", "--json"]).json(), json!([]));
    let fallback = started.json()["socket"].as_str().unwrap().to_owned();
    assert_eq!(env.ao(&["stop"]).code, 0);
    drop(std::fs::remove_dir(std::path::Path::new(&fallback).parent().unwrap()));
}

#[test]
fn two_homes_never_meet() {
    let (left, right) = (TestEnv::new(), TestEnv::new());
    let started = [&left, &right].map(|env| env.ao(&["start", "--json"]).json());
    assert_ne!(started[0]["pid"], started[1]["pid"]);
    assert_eq!(left.ao(&["stop"]).code, 0);
    assert_eq!(right.ao(&["status"]).code, 0);
}
