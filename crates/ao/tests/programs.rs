//! What programs inside a session call: nothing of ours may make them fail.

use crate::env::TestEnv;

#[test]
fn a_hook_exits_0_and_prints_nothing_that_an_agent_could_read() {
    let env = TestEnv::new();
    let session = [("AO_SESSION_ID", "app-1"), ("AO_LAUNCH_ID", "l-1")];
    for vars in [&session[..], &[]] {
        let ended = env.ao_with(&["hook", "claude-code", "Stop"], vars, "{\"x\":1}");
        assert_eq!((ended.code, ended.out.as_str()), (0, ""), "{vars:?}: {ended:?}");
    }
}

#[test]
fn even_a_malformed_report_or_hook_exits_0() {
    let env = TestEnv::new();
    for line in [&["report", "nonsense"][..], &["hook"], &["report"], &["hook", "a", "b", "c"]] {
        assert_eq!(env.ao(line).code, 0, "{line:?}");
    }
}

#[test]
fn a_hook_reads_a_payload_that_is_too_long_to_its_end() {
    let env = TestEnv::new();
    let ended = env.shell(
        "head -c 1000000 /dev/zero | { AO_SESSION_ID=app-1 ao hook claude-code Stop; echo $?; cat | wc -c; }",
    );
    assert_eq!(ended.out, "0\n0\n");
}

#[test]
fn a_payload_is_reduced_before_it_waits_for_a_daemon() {
    let env = TestEnv::new();
    let ended = env.shell(
        "export AO_SESSION_ID=app-1 AO_LAUNCH_ID=l-1; mkdir -p \"$AO_HOME\"; \
         { printf '{\"session_id\": \"s-1\", \"prompt\": \"'; head -c 1000000 /dev/zero | tr '\\0' x; printf '\"}'; } | \
         ao hook claude-code UserPromptSubmit; cat \"$AO_HOME\"/spool/app-1/*.json",
    );
    let waiting: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    let signal = &waiting["signal"];
    assert_eq!(signal["truncated"], true);
    let payload: serde_json::Value =
        serde_json::from_str(signal["payload"].as_str().unwrap()).unwrap();
    assert_eq!(payload["session_id"], "s-1");
    assert_eq!(payload["prompt"], format!("{}…[cut]", "x".repeat(1024)));
}
