//! Command lines that make no sense, and commands without a daemon.

use serde_json::json;

use crate::env::TestEnv;

#[test]
fn a_command_line_that_makes_no_sense_exits_2_and_says_what_was_meant() {
    let env = TestEnv::new();
    let ended = env.ao(&["kil"]);
    assert_eq!((ended.code, ended.out.as_str()), (2, ""));
    assert!(ended.err.starts_with("Error: unrecognized subcommand 'kil'\n"), "{}", ended.err);
    let ended = env.ao(&["kil", "--json"]);
    assert_eq!(ended.code, 2);
    assert_eq!(
        ended.error(),
        json!({"code": "USAGE", "kind": "user", "message": "unrecognized subcommand 'kil'",
            "hint": "a similar subcommand exists: 'kill'"})
    );
}

#[test]
fn half_a_command_exits_2_and_shows_what_may_follow() {
    let env = TestEnv::new();
    for (line, expect) in [(&[][..], "spawn"), (&["project"], "add"), (&["config"], "schema")] {
        let ended = env.ao(line);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""));
        assert!(ended.err.contains("Usage:") && ended.err.contains(expect), "{ended:?}");
    }
}

#[test]
fn every_command_without_a_daemon_exits_5() {
    let env = TestEnv::new();
    let lines: [&[&str]; 8] = [
        &["status"],
        &["ls"],
        &["project", "ls"],
        &["spawn", "fix it"],
        &["show", "app-1"],
        &["kill", "app-1"],
        &["events"],
        &["inbox"],
    ];
    for line in lines {
        let ended = env.ao(&[line, &["--json"]].concat());
        assert_eq!(ended.code, 5, "{line:?}: {ended:?}");
        assert_eq!(ended.error()["code"], "DAEMON_UNREACHABLE");
    }
}

#[test]
fn help_and_version_are_answers() {
    let env = TestEnv::new();
    let help = env.ao(&["--help"]);
    assert_eq!((help.code, help.err.as_str()), (0, ""));
    assert!(help.out.contains("spawn"), "{}", help.out);
    assert!(!help.out.contains("launch-agent"), "what is not for people is not shown");
    let version = env.ao(&["--version"]);
    assert_eq!(version.out, format!("ao {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let env = TestEnv::new();
    let ended = env.shell("{ ao config schema; echo $? >&2; } | true");
    assert_eq!((ended.code, ended.err.as_str()), (0, "0\n"));
}

#[test]
fn the_schema_the_path_and_a_check_need_no_daemon() {
    let env = TestEnv::new();
    let path = env.home().join("config.toml");
    assert_eq!(env.ao(&["config", "path"]).out, format!("{}\n", path.display()));
    assert_eq!(env.ao(&["config", "schema"]).json()["type"], "object");
    assert_eq!(env.ao(&["config", "check", "--json"]).json()["ok"], true);
    std::fs::create_dir_all(env.home()).unwrap();
    std::fs::write(&path, "[defaults]\nagnet = \"x\"\n").unwrap();
    let ended = env.ao(&["config", "check", "--json"]);
    assert_eq!((ended.code, &ended.json()["problems"][0]["line"]), (2, &json!(2)));
}
