//! Claude Code: what it is started with, and what its events, files and screens mean. Each fixture
//! is what version 2.1.330 sent, wrote or showed, paths excepted.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ao_adapters::agents::ClaudeCode;
use ao_core::echo::PromptEcho;
use ao_core::fact::SignalDetail::{
    self, ApiError, AuthFailed, Background, Interrupted, Permission, PlanApproval, Question,
    Started, Trust, UsageLimited,
};
use ao_core::ids::{AgentSessionId, Pid};
use ao_core::ports::{Agent as _, AgentEvent, LaunchRequest, RunningAgent, TerminalLook};
use ao_core::reading::{Composer, ScreenReading, TranscriptMemory, TranscriptReading, Usage};
use ao_core::record::ActivityState::{self, Active, Blocked, Exited, Idle, Ready};
use ao_core::session::ProcessIdentity;
use ao_core::time::{BootId, Timestamp};
use ao_testkit::contract::agent::agent_contract;

use super::Bench;

fn claude() -> ClaudeCode {
    ClaudeCode::new().unwrap()
}

fn fixture(path: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents/claude");
    std::fs::read_to_string(dir.join(path)).unwrap()
}

fn bench() -> (Bench, LaunchRequest) {
    let bench = Bench::new();
    bench.program("bin/claude", 0o755);
    let mut request = bench.request(&[]);
    request.env.insert("AO_BIN".to_owned(), "/home/a user/.ao/bin/ao".to_owned());
    (bench, request)
}

#[test]
fn it_keeps_the_promises_of_an_agent() {
    let (_bench, request) = bench();
    agent_contract(&claude(), &request);
}

#[test]
fn a_launch_brings_hooks_of_its_own_and_types_the_prompt() {
    let (bench, request) = bench();
    let invocation = claude().launch(&request).unwrap();
    let program = bench.root.join("bin/claude").display().to_string();
    let settings = "/launches/launch1/claude-settings.json";
    assert_eq!(invocation.argv, [program.as_str(), "--settings", settings]);
    assert_eq!(invocation.typed_prompt.as_deref(), Some("fix {session}"));
    assert_eq!(invocation.env, BTreeMap::new());
    let [(path, text)] = invocation.files.as_slice() else { panic!("one file") };
    assert_eq!(path, Path::new(settings));
    let settings: serde_json::Value = serde_json::from_str(text).unwrap();
    let hooks = settings.get("hooks").unwrap().as_object().unwrap();
    for (event, groups) in hooks {
        let command = groups.pointer("/0/hooks/0/command").unwrap().as_str().unwrap();
        let expect = format!("'/home/a user/.ao/bin/ao' hook claude-code {event}");
        assert_eq!((command, groups.as_array().unwrap().len()), (expect.as_str(), 1));
    }
    let asked: Vec<&str> = hooks.keys().map(String::as_str).collect();
    for event in ["SessionStart", "UserPromptSubmit", "Stop", "StopFailure", "PermissionRequest"] {
        assert!(asked.contains(&event), "{asked:?}");
    }
    assert_eq!(settings.as_object().unwrap().len(), 1, "nothing but hooks: {settings}");
}

#[test]
fn model_and_mode_are_options_and_nothing_else_is_taken_for_one() {
    let (_bench, request) = bench();
    let model = Some("opus".to_owned());
    let permission_mode = Some("bypassPermissions".to_owned());
    let asked = LaunchRequest { model, permission_mode, ..request.clone() };
    let invocation = claude().launch(&asked).unwrap();
    let words = ["--permission-mode", "bypassPermissions", "--model", "opus"];
    assert_eq!(invocation.argv.get(3..).unwrap_or_default(), words);
    let (_, settings) = invocation.files.first().unwrap();
    assert!(settings.contains("\"skipDangerousModePermissionPrompt\":true"), "{settings}");

    let refused = [
        LaunchRequest { model: Some("--resume".to_owned()), ..request.clone() },
        LaunchRequest { model: Some(String::new()), ..request.clone() },
        LaunchRequest { permission_mode: Some("yolo".to_owned()), ..request.clone() },
        LaunchRequest { argv: vec!["claude".to_owned()], ..request.clone() },
        LaunchRequest { prompt: Some("x".repeat(1_048_577)), ..request.clone() },
    ];
    for request in refused {
        assert_eq!(claude().launch(&request).unwrap_err().code(), "AGENT_INVALID");
    }
    let request = LaunchRequest { env: BTreeMap::new(), ..request };
    assert_eq!(claude().launch(&request).unwrap_err().code(), "AGENT_MISSING");
}

#[test]
fn a_restore_continues_the_conversation_and_does_not_repeat_the_prompt() {
    let (_bench, request) = bench();
    let conversation = Some(AgentSessionId::new("4ef1-90"));
    let resumed = LaunchRequest { agent_session_id: conversation, ..request.clone() };
    let invocation = claude().restore_command(&resumed).unwrap();
    assert_eq!(invocation.argv.get(3..).unwrap_or_default(), ["--resume", "4ef1-90"]);
    assert_eq!((invocation.typed_prompt, invocation.files.len()), (None, 1));
    let again = claude().restore_command(&request).unwrap();
    assert_eq!(again, claude().launch(&request).unwrap());
    let option = Some(AgentSessionId::new("--help"));
    let request = LaunchRequest { agent_session_id: option, ..request };
    assert_eq!(claude().restore_command(&request).unwrap_err().code(), "AGENT_INVALID");
}

/// What an agent does, and what is told beyond that.
type Meaning = (ActivityState, Option<SignalDetail>);

/// What the hook of a fixture means.
fn event(name: &str) -> Option<AgentEvent> {
    let payload = fixture(&format!("hooks/{name}.json"));
    let told: serde_json::Value = serde_json::from_str(&payload).unwrap();
    claude().parse_event(told.get("hook_event_name").unwrap().as_str().unwrap(), &payload)
}

#[test]
fn every_event_means_what_its_fixture_was_seen_to_mean() {
    let table: [(&str, Option<Meaning>); 27] = [
        ("session_start_startup", Some((Ready, Some(Started)))),
        ("session_start_resume", Some((Idle, Some(Started)))),
        ("session_start_clear", Some((Idle, Some(Started)))),
        ("session_start_compact", None),
        ("user_prompt_submit", Some((Active, None))),
        ("user_prompt_submit_pasted", Some((Active, None))),
        ("user_prompt_submit_task", Some((Active, None))),
        ("pre_tool_use", None),
        ("permission_request_bash", Some((Blocked, Some(Permission)))),
        ("permission_request_write", Some((Blocked, Some(Permission)))),
        ("permission_request_question", Some((Blocked, Some(Question)))),
        ("permission_request_plan", Some((Blocked, Some(PlanApproval)))),
        ("post_tool_use", Some((Active, None))),
        ("notification_permission", None),
        ("notification_idle", Some((Idle, None))),
        ("stop", Some((Idle, None))),
        ("stop_background", Some((Ready, Some(Background)))),
        ("stop_failure_auth", Some((Idle, Some(AuthFailed)))),
        ("stop_failure_billing", Some((Idle, Some(UsageLimited)))),
        ("stop_failure_invalid", Some((Idle, Some(ApiError)))),
        ("stop_failure_limit", Some((Idle, Some(UsageLimited)))),
        ("stop_failure_overloaded", Some((Idle, Some(ApiError)))),
        ("stop_failure_rate", Some((Idle, Some(ApiError)))),
        ("stop_failure_server", Some((Idle, Some(ApiError)))),
        ("post_compact", Some((Idle, None))),
        ("session_end_exit", Some((Exited, None))),
        ("session_end_clear", None),
    ];
    for (name, expect) in table {
        let event = event(name);
        let found = event.as_ref().map(|event| (event.activity, event.detail));
        assert_eq!(found, expect, "{name}");
        let Some(event) = event else { continue };
        // Nothing was said yet: there is nothing to resume.
        let has_begun = name != "session_start_startup";
        assert_eq!(event.agent_session_id.is_some(), has_begun, "{name}");
        let dir = "/home/user/.claude/projects/-srv-tree";
        assert_eq!(event.transcript.is_some_and(|it| it.starts_with(dir)), has_begun, "{name}");
    }
    assert_eq!(event("session_end_other").unwrap().activity, Exited);
}

#[test]
fn a_prompt_is_told_without_what_claude_puts_around_it() {
    let plain = event("user_prompt_submit").unwrap();
    assert!(plain.is_submit && plain.prompt.unwrap().is_of("say hi please"));
    let pasted = event("user_prompt_submit_pasted").unwrap();
    let message = "l0\nl1\nl2\nl3\nl4\nl5\nl6\nl7";
    assert!(pasted.is_submit && pasted.prompt.unwrap().is_of(message));
    let own = event("user_prompt_submit_task").unwrap();
    assert!(!own.is_submit, "Claude woke itself");
    assert!(!event("stop").unwrap().is_submit);

    let payload = r#"{"prompt":"\n\n<pasted_content id=\"a\">\nfix the build and th…[cut]"}"#;
    let cut = claude().parse_event("UserPromptSubmit", payload).unwrap().prompt.unwrap();
    assert!(cut.is_cut && cut.is_of("fix the build and then rest"));
}

#[test]
fn an_event_says_what_it_is_about_in_one_line() {
    let message = |name: &str| event(name).unwrap().message;
    let about = [
        ("permission_request_bash", "Bash: touch /srv/outside1; sleep 2"),
        ("permission_request_question", "Which colour?"),
        ("permission_request_plan", "ExitPlanMode"),
        ("stop_failure_limit", "You've hit your limit · resets 8:01pm (UTC)"),
        ("stop_failure_auth", "Please run /login · API Error: 401 mock error"),
    ];
    for (name, expect) in about {
        assert_eq!(message(name).as_deref(), Some(expect), "{name}");
    }
    assert_eq!(message("stop"), None);
    let long = format!("{{\"tool_name\":\"{}\\u0007\\nx\"}}", "y".repeat(900));
    let long = claude().parse_event("PermissionRequest", &long).unwrap().message;
    assert_eq!(long, Some("y".repeat(200)));
    let bell = r#"{"tool_name":"\n\nx\u0007\u001b[2Jy\nz"}"#;
    let bell = claude().parse_event("PermissionRequest", bell).unwrap().message;
    assert_eq!(bell.as_deref(), Some("x[2Jy"));
}

#[test]
fn an_event_of_a_sub_agent_or_with_a_broken_payload_decides_no_more_than_it_can() {
    let tool = |payload: &str| claude().parse_event("PostToolUse", payload);
    assert_eq!(tool(r#"{"agent_id":"a1"}"#), None);
    assert_eq!(tool("{}").unwrap().activity, Active);
    let end = claude().parse_event("Stop", "{\"session_id\":").unwrap();
    assert_eq!((end.activity, end.agent_session_id, end.transcript), (Idle, None, None));
    let done = r#"{"background_tasks":[{"status":"completed"}],"session_crons":[]}"#;
    assert_eq!(claude().parse_event("Stop", done).unwrap().activity, Idle);
    let cron = r#"{"background_tasks":[],"session_crons":[{"id":"c"}]}"#;
    assert_eq!(claude().parse_event("Stop", cron).unwrap().activity, Ready);
    let limit =
        r#"{"error":"rate_limit","last_assistant_message":"usage limit reached|1795377689"}"#;
    let limit = claude().parse_event("StopFailure", limit).unwrap();
    assert_eq!(limit.paused_until, Some(Timestamp::from_millis(1_795_377_689_000)));
}

fn running() -> RunningAgent {
    RunningAgent {
        process: ProcessIdentity {
            boot: BootId(1),
            pid: Pid(21420),
            start_ticks: 1_183_974,
            nonce: None,
        },
        directory: PathBuf::from("/srv/tree_1/a.b"),
        agent_session_id: None,
        transcript: None,
        env: BTreeMap::from([("HOME".to_owned(), "/home/user".to_owned())]),
    }
}

#[test]
fn its_files_are_found_below_its_home() {
    let mut running = running();
    let status = |running: &RunningAgent| claude().status_file(running);
    let transcript = |running: &RunningAgent| claude().transcript(running);
    assert_eq!(status(&running), Some("/home/user/.claude/sessions/21420.json".into()));
    assert_eq!(transcript(&running), None);
    running.agent_session_id = Some(AgentSessionId::new("1ac881fb-945a"));
    let expect = "/home/user/.claude/projects/-srv-tree-1-a-b/1ac881fb-945a.jsonl";
    assert_eq!(transcript(&running), Some(expect.into()));
    running.agent_session_id = Some(AgentSessionId::new("../../x"));
    assert_eq!(transcript(&running), None);
    running.transcript = Some("/told/by/a/hook.jsonl".into());
    assert_eq!(transcript(&running), Some("/told/by/a/hook.jsonl".into()));
    running.env.insert("CLAUDE_CONFIG_DIR".to_owned(), "/other".to_owned());
    assert_eq!(status(&running), Some("/other/sessions/21420.json".into()));
    running.env.insert("CLAUDE_CONFIG_DIR".to_owned(), "relative".to_owned());
    assert_eq!(status(&running), None);
}

fn status(fields: &str) -> Option<Meaning> {
    let text = format!(
        "{{\"pid\":21420,\"sessionId\":\"1ac8\",\"procStart\":\"1183974\",{fields}\
         \"statusUpdatedAt\":1795370373299}}"
    );
    let reading = claude().read_status(&running(), &text)?;
    assert_eq!(reading.since, Some(Timestamp::from_millis(1_795_370_373_299)));
    let works = matches!(reading.reading.activity, Active | Ready);
    assert_eq!(reading.agent_session_id, works.then(|| AgentSessionId::new("1ac8")));
    Some((reading.reading.activity, reading.reading.detail))
}

#[test]
fn its_status_file_says_what_no_hook_tells() {
    let waiting =
        |what: &str| status(&format!("\"status\":\"waiting\",\"waitingFor\":\"{what}\","));
    assert_eq!(status("\"status\":\"busy\","), Some((Active, None)));
    assert_eq!(status("\"status\":\"idle\","), Some((Idle, None)));
    assert_eq!(status("\"status\":\"shell\","), Some((Ready, Some(Background))));
    assert_eq!(waiting("permission prompt"), Some((Blocked, Some(Permission))));
    assert_eq!(waiting("input needed"), Some((Blocked, Some(Question))));
    assert_eq!(waiting("dialog open"), Some((Blocked, Some(Question))));
    assert_eq!(status("\"status\":\"of the next version\","), None);
    assert_eq!(status(""), None, "it has only just started");
}

#[test]
fn a_status_file_of_another_process_says_nothing() {
    let read = |text: &str| claude().read_status(&running(), text);
    let reused = r#"{"pid":21420,"procStart":"7","status":"busy"}"#;
    let other = r#"{"pid":2142,"procStart":"1183974","status":"busy"}"#;
    for text in [reused, other, "", "{", "[]", r#"{"status":"busy"}"#] {
        assert_eq!(read(text), None, "{text}");
    }
}

/// Reads lines as the first of a transcript.
fn lines(lines: &str) -> TranscriptReading {
    claude().read_transcript(&mut TranscriptMemory::default(), lines)
}

fn transcript(name: &str) -> TranscriptReading {
    lines(&fixture(&format!("transcripts/{name}.jsonl")))
}

fn prompts(reading: &TranscriptReading) -> Vec<&str> {
    reading.prompts.iter().map(|prompt| prompt.text.get(..8).unwrap_or(&prompt.text)).collect()
}

#[test]
fn a_transcript_tells_how_the_conversation_stands() {
    let table = [
        ("tool_turn", Idle, None),
        ("interrupted", Idle, Some(Interrupted)),
        ("denied", Idle, Some(Interrupted)),
        ("limit", Idle, Some(UsageLimited)),
        ("server_error", Idle, Some(ApiError)),
        ("background", Idle, None),
    ];
    for (name, activity, detail) in table {
        let (reading, _) = transcript(name).last.unwrap();
        assert_eq!((reading.activity, reading.detail), (activity, detail), "{name}");
    }
    let whole = fixture("transcripts/tool_turn.jsonl");
    let all: Vec<&str> = whole.lines().collect();
    let at_call = all.iter().position(|line| line.contains("\"tool_use\"")).unwrap();
    let until = all.get(..=at_call).unwrap_or_default().join("\n");
    assert_eq!(lines(&until).last.unwrap().0.activity, Active);

    let ends = Some(Timestamp::from_millis(1_795_377_689_000));
    assert_eq!(transcript("limit").paused_until, ends);
    assert_eq!(transcript("server_error").paused_until, None);
}

#[test]
fn a_transcript_repeats_the_prompts_of_humans_and_ours_once_each() {
    assert_eq!(prompts(&transcript("queued")), ["MOCK[{\"t", "queued d"]);
    let compacted = ["hello on", "hello tw", "/compact", "hello th"];
    assert_eq!(prompts(&transcript("compacted")), compacted, "commands too");
    assert_eq!(prompts(&transcript("cleared")), ["/clear", "after cl"]);
    assert_eq!(prompts(&transcript("background")).len(), 1, "Claude woke itself");
    let first = transcript("compacted").prompts.first().unwrap().at;
    assert_eq!(first, Timestamp::from_millis(1_795_370_278_440));
}

#[test]
fn usage_adds_up_each_answer_once_and_has_the_cost_that_was_told_last() {
    let used = |input_tokens, output_tokens, cost_microusd| {
        Some(Usage { input_tokens, output_tokens, cost_microusd })
    };
    assert_eq!(transcript("tool_turn").usage, used(840, 100, Some(3120)));
    // Three answers; the process of the second was killed and gave no account.
    assert_eq!(transcript("resumed_after_a_kill").usage, used(1260, 150, Some(3120)));

    let whole = fixture("transcripts/tool_turn.jsonl");
    let without: Vec<&str> = whole.lines().filter(|it| !it.contains("cost-state")).collect();
    assert_eq!(lines(&without.join("\n")).usage, used(840, 100, None));
    assert_eq!(lines("").usage, None);
    assert_eq!(lines("[]\nnull\n{\"type\":1}\n{\"half").last, None);
}

#[test]
fn a_transcript_read_line_by_line_adds_up_to_the_same() {
    for name in ["tool_turn", "resumed_after_a_kill", "compacted", "queued", "limit"] {
        let mut memory = TranscriptMemory::default();
        let mut last = TranscriptReading::default();
        let mut n_prompts = 0;
        for line in fixture(&format!("transcripts/{name}.jsonl")).lines() {
            let reading = claude().read_transcript(&mut memory, line);
            n_prompts += reading.prompts.len();
            last.usage = reading.usage;
            if reading.last.is_some() {
                (last.last, last.paused_until) = (reading.last, reading.paused_until);
            }
        }
        let whole = transcript(name);
        assert_eq!(n_prompts, whole.prompts.len(), "{name}");
        assert_eq!(TranscriptReading { prompts: Vec::new(), ..whole }, last, "{name}");
    }
}

#[test]
fn what_is_typed_is_still_recognised_as_the_message() {
    for message in ["!ls -la", "a trailing \\", "in\u{202e}visible", "plain"] {
        let typed = claude().text_to_type(message).into_owned();
        assert!(PromptEcho::new(typed.trim_end(), false).is_of(message), "{message}");
    }
}

/// Reads a screen: its first line is the title, and `␛` stands for the escape character.
fn look(name: &str) -> TerminalLook {
    let text = fixture(&format!("screens/{name}.txt"));
    let (title, styled) = text.split_once('\n').unwrap();
    TerminalLook {
        screen: String::new(),
        styled: styled.replace('␛', "\u{1b}"),
        cursor: None,
        title: title.to_owned(),
        is_in_mode: false,
        is_human_typing: false,
    }
}

fn read(name: &str) -> ScreenReading {
    claude().read_screen(&look(name)).unwrap()
}

#[test]
fn an_empty_composer_is_empty_whatever_hint_stands_in_it() {
    let table = [
        ("idle", Some(false)),
        ("fresh", Some(false)),
        ("busy", Some(true)),
        ("thinking", Some(true)),
        ("queued", Some(true)),
        ("retrying", Some(true)),
        ("background", Some(false)),
        ("compacted", Some(false)),
        ("classic", Some(false)),
        ("interrupted", Some(false)),
        ("usage_limit", Some(false)),
        ("login_expired", Some(false)),
        ("help", Some(false)),
    ];
    for (name, is_turn) in table {
        let expect = ScreenReading { dialog: None, composer: Composer::Empty, is_turn };
        assert_eq!(read(name), expect, "{name}");
    }
}

#[test]
fn text_in_the_composer_is_told_as_it_stands_there() {
    let table = [
        ("three_lines", "line one\nline two\nline three"),
        ("text_in_a_turn", "queued A"),
        ("slash_popup", "/co"),
        ("file_popup", "look at @REA"),
        ("shell_mode", "!ls -la"),
        ("taken_back", "MOCK[{\"text\": \"late\", \"delay\": 20}]"),
        ("vim_insert", "hello\nworld"),
        ("vim_normal", "hello\nworld"),
        ("invisible_removed", "é é 🎉  x"),
    ];
    for (name, text) in table {
        let reading = read(name);
        assert_eq!(reading.composer, Composer::Holds(text.to_owned()), "{name}");
        assert_eq!(reading.dialog, None, "{name}");
    }
    assert_eq!(read("text_in_a_turn").is_turn, Some(true), "its title tells");
    for name in ["scrolled_text", "scrolled_narrow"] {
        let Composer::Holds(text) = read(name).composer else { panic!("{name}") };
        assert!(text.lines().count() > 2, "{name}: {text}");
    }
}

#[test]
fn a_long_paste_shows_as_its_stand_in() {
    for name in ["pasted_lines", "pasted_line"] {
        assert_eq!(read(name).composer, Composer::Collapsed, "{name}");
    }
}

#[test]
fn a_dialog_is_never_taken_for_a_composer() {
    let table = [
        ("dialog_permission", Permission),
        ("dialog_permission_narrow", Permission),
        ("dialog_edit", Permission),
        ("dialog_question", Question),
        ("dialog_plan", PlanApproval),
        ("dialog_trust", Trust),
        ("dialog_key", Trust),
        ("dialog_bypass", Trust),
        ("dialog_login", AuthFailed),
        ("dialog_model", Question),
        ("dialog_status", Question),
        ("dialog_rewind", Question),
        ("dialog_history", Question),
        ("dialog_auto", Question),
    ];
    for (name, kind) in table {
        let dialog = Some(kind);
        let expect = ScreenReading { dialog, composer: Composer::Unknown, is_turn: None };
        assert_eq!(read(name), expect, "{name}");
    }
}

#[test]
fn what_is_neither_is_not_told() {
    for name in ["transcript_view", "no_connection"] {
        assert_eq!(read(name), ScreenReading::UNKNOWN, "{name}");
    }
    let blank = TerminalLook { styled: "\n\n".to_owned(), ..look("idle") };
    assert_eq!(claude().read_screen(&blank), Some(ScreenReading::UNKNOWN));
}

#[test]
fn a_conversation_that_shows_a_composer_or_a_dialog_is_no_such_thing() {
    let idle = look("idle");
    let said = "⏺ It looked like this:\n  ────────────────\n  ❯\u{a0}rm -rf /\n  ────────────────\n\
                  ❯ 1. Yes\n    2. No\n  Esc to cancel\n";
    let look = TerminalLook { styled: format!("{said}{}", idle.styled), ..idle };
    let expect = ScreenReading { dialog: None, composer: Composer::Empty, is_turn: Some(false) };
    assert_eq!(claude().read_screen(&look), Some(expect));
}
