//! Codex, on what codex-cli 0.169.0 printed, wrote and showed. Paths and ports are made up.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ao_adapters::agents::Codex;
use ao_core::agent::Signals;
use ao_core::fact::SignalDetail;
use ao_core::ids::{AgentSessionId, Pid};
use ao_core::ports::{
    Agent as _, AgentEvent, Cursor, Invocation, LaunchRequest, RunningAgent, TerminalLook,
};
use ao_core::reading::{Composer, ScreenReading, TranscriptMemory, TranscriptReading, Usage};
use ao_core::record::ActivityState;
use ao_core::session::ProcessIdentity;
use ao_core::time::BootId;
use ao_testkit::contract::agent::agent_contract;

use super::Bench;

fn codex() -> Codex {
    Codex::new().unwrap()
}

fn fixtures(kind: &str) -> BTreeMap<String, String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents/codex").join(kind);
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        found.insert(name, std::fs::read_to_string(&path).unwrap());
    }
    found
}

/// The request of a bench with `codex` on its PATH.
fn request(bench: &Bench) -> LaunchRequest {
    bench.program("bin/codex", 0o755);
    let mut request = bench.request(&[]);
    request.env.insert("AO_BIN".to_owned(), "/opt/my ao/ao".to_owned());
    request
}

/// The words that are no settings.
fn after_settings(invocation: &Invocation) -> Vec<&str> {
    let mut words = Vec::new();
    let mut is_setting = false;
    for word in &invocation.argv {
        if !is_setting && word != "-c" {
            words.push(word.as_str());
        }
        is_setting = word == "-c";
    }
    words
}

#[test]
fn it_keeps_the_agent_contract() {
    let bench = Bench::new();
    agent_contract(&codex(), &request(&bench));
}

#[test]
fn it_tells_everything_and_is_interrupted_by_escape() {
    assert_eq!(codex().traits().signals, Signals::Full);
    assert!(!codex().traits().exits_when_done);
    assert_eq!((codex().name().as_str(), codex().interrupt_key()), ("codex", "Escape"));
}

#[test]
fn a_launch_says_all_on_its_command_line_and_for_this_session_only() {
    let bench = Bench::new();
    let invocation = codex().launch(&request(&bench)).unwrap();
    let directory = std::fs::canonicalize(bench.root.join("worktree")).unwrap();
    let trust = format!("projects={{\"{}\"={{trust_level=\"trusted\"}}}}", directory.display());
    let has = |word: &str| invocation.argv.iter().any(|it| it == word);
    assert!(has(&trust), "{:#?}", invocation.argv);
    assert!(has(
        "hooks.UserPromptSubmit=[{hooks=[{type=\"command\",command=\"'/opt/my ao/ao' hook codex \
         UserPromptSubmit\",timeout=3}]}]"
    ));
    assert_eq!(&after_settings(&invocation)[1..], ["--no-daemon", "--", "fix {session}"]);
    assert_eq!(
        (invocation.files.len(), invocation.env.len(), invocation.typed_prompt),
        (0, 0, None)
    );
    let states: Vec<&String> =
        invocation.argv.iter().filter(|it| it.starts_with("hooks.state=")).collect();
    assert_eq!(states.len(), 1, "a second one would take the place of the first");
}

#[test]
fn a_worktree_behind_a_link_is_trusted_by_both_its_names() {
    let bench = Bench::new();
    let link = bench.root.join("link");
    std::os::unix::fs::symlink(bench.root.join("worktree"), &link).unwrap();
    let request = LaunchRequest { directory: link.clone(), ..request(&bench) };
    let invocation = codex().launch(&request).unwrap();
    let real = std::fs::canonicalize(&link).unwrap();
    let trust = invocation.argv.iter().find(|it| it.starts_with("projects=")).unwrap();
    for path in [link, real] {
        assert!(trust.contains(&format!("\"{}\"=", path.display())), "{trust}");
    }
}

#[test]
fn a_model_and_a_mode_are_arguments() {
    let bench = Bench::new();
    let mode = |mode: &str| LaunchRequest {
        model: Some("gpt".to_owned()),
        permission_mode: Some(mode.to_owned()),
        prompt: None,
        ..request(&bench)
    };
    let words = |it: &str| {
        let invocation = codex().launch(&mode(it)).unwrap();
        after_settings(&invocation)[2..].join(" ")
    };
    assert_eq!(words("default"), "--model=gpt --");
    let ask = "--model=gpt --sandbox workspace-write --ask-for-approval on-request --";
    assert_eq!((words("acceptEdits"), words("workspace-write")), (ask.into(), ask.into()));
    let all = "--model=gpt --dangerously-bypass-approvals-and-sandbox --";
    assert_eq!(words("bypassPermissions"), all);
    let error = codex().launch(&mode("plan")).unwrap_err();
    assert_eq!(error.code(), "AGENT_INVALID");
    assert!(error.to_string().contains("`plan`, but `default`, `read-only`"), "{error}");
}

#[test]
fn a_short_prompt_is_an_argument_and_a_long_one_is_typed() {
    let bench = Bench::new();
    let launch = |prompt: &str| {
        let prompt = Some(prompt.to_owned());
        let invocation = codex().launch(&LaunchRequest { prompt, ..request(&bench) }).unwrap();
        let words = after_settings(&invocation)[2..].join(" ");
        (words, invocation.typed_prompt)
    };
    assert_eq!(launch("-x\n\u{7}/compact"), ("-- -x\n\u{7}/compact".to_owned(), None));
    assert_eq!(launch("!ls").0, "--  !ls", "it would run as a shell command");
    assert_eq!(launch(" \n"), ("--".to_owned(), None));
    let long = "word ".repeat(40_000);
    assert_eq!(launch(&long), ("--".to_owned(), Some(long)));
    assert_eq!(launch("a\0b"), ("--".to_owned(), Some("a\0b".to_owned())));
}

#[test]
fn a_conversation_is_resumed_without_saying_its_prompt_again() {
    let bench = Bench::new();
    let id = AgentSessionId::new("0194-conversation");
    let request = request(&bench);
    let resume = LaunchRequest { agent_session_id: Some(id), ..request.clone() };
    let invocation = codex().restore_command(&resume).unwrap();
    let words = ["resume", "--no-daemon", "--", "0194-conversation"];
    assert_eq!(&after_settings(&invocation)[1..], words);
    assert_eq!(invocation.typed_prompt, None);
    assert_eq!(codex().restore_command(&request), codex().launch(&request));
}

#[test]
fn what_it_cannot_run_is_said() {
    let bench = Bench::new();
    let own = LaunchRequest { argv: vec!["x".to_owned()], ..request(&bench) };
    let zero = LaunchRequest { model: Some("a\0b".to_owned()), ..request(&bench) };
    for request in [own, zero] {
        assert_eq!(codex().launch(&request).unwrap_err().code(), "AGENT_INVALID");
    }
    let bare = Bench::new();
    let error = codex().launch(&bare.request(&[])).unwrap_err();
    assert_eq!(error.code(), "AGENT_MISSING");
}

#[test]
fn a_text_is_typed_so_that_it_is_no_command() {
    assert_eq!(codex().text_to_type("/compact"), " /compact ");
    // Codex takes 1 Mi characters, and no more.
    for (char, n_chars, has_blanks) in [
        ("x", 1_048_574, true),
        ("x", 1_048_575, false),
        ("x", 1_048_576, false),
        ("ü", 524_288, true),
    ] {
        let text = char.repeat(n_chars);
        let typed = codex().text_to_type(&text).into_owned();
        let n_blanks = if has_blanks { 2 } else { 0 };
        assert_eq!(typed.chars().count(), n_chars + n_blanks, "{n_chars} {char}");
    }
}

fn event_line(event: &AgentEvent) -> String {
    let detail = event.detail.map_or("-", SignalDetail::as_str);
    let mut line = format!("{} {detail}", event.activity.as_str());
    if event.is_submit {
        write!(line, " submits {:?}", event.prompt.as_ref().unwrap().text).unwrap();
    }
    if let Some(message) = &event.message {
        write!(line, " says {message:?}").unwrap();
    }
    line
}

#[test]
fn every_payload_has_its_meaning() {
    let expected = [
        ("interrupt", "idle interrupted"),
        ("permission-request", "blocked permission says \"Bash: need it\""),
        (
            "permission-request-patch",
            "blocked permission says \"apply_patch: *** Begin Patch\\n*** Add File: new.txt\\n\
             +hello\\n*** End Patch\"",
        ),
        ("post-compact", "idle -"),
        ("post-tool-use", "active -"),
        ("pre-compact", "active -"),
        ("pre-tool-use", "active -"),
        ("pre-tool-use-question", "blocked question says \"Which color?\""),
        ("session-end", "exited -"),
        ("session-start", "ready started"),
        ("session-start-clear", "idle started"),
        ("session-start-compact", "nothing"),
        ("session-start-resume", "idle started"),
        ("stop", "idle - says \"finished\""),
        ("stop-without-message", "idle -"),
        ("user-prompt-submit", "active - submits \"message while busy\\nsecond line\""),
    ];
    let mut found = BTreeMap::new();
    for (name, payload) in fixtures("hooks") {
        let json: serde_json::Value = serde_json::from_str(&payload).unwrap();
        let event = codex().parse_event(json["hook_event_name"].as_str().unwrap(), &payload);
        if let Some(event) = &event {
            let id = AgentSessionId::new(json["session_id"].as_str().unwrap());
            assert_eq!(event.agent_session_id, Some(id), "{name}");
            let transcript = PathBuf::from(json["transcript_path"].as_str().unwrap());
            assert_eq!(event.transcript, Some(transcript), "{name}");
        }
        found.insert(name, event.as_ref().map_or_else(|| "nothing".to_owned(), event_line));
    }
    let expected = expected.map(|(name, line)| (name.to_owned(), line.to_owned()));
    assert_eq!(found, BTreeMap::from(expected));
}

#[test]
fn what_a_sub_agent_does_is_its_own_but_for_what_it_asks() {
    let payload = r#"{"agent_id":"a","tool_name":"Bash","tool_input":{"command":"ls"}}"#;
    assert_eq!(codex().parse_event("PreToolUse", payload), None);
    let asked = codex().parse_event("PermissionRequest", payload).unwrap();
    assert_eq!(asked.activity, ActivityState::Blocked);
}

#[test]
fn a_prompt_that_was_cut_on_its_way_is_told_as_one() {
    let payload = "{\"prompt\":\"fix the bu…[cut]\"}";
    let prompt = codex().parse_event("UserPromptSubmit", payload).unwrap().prompt.unwrap();
    assert_eq!((prompt.text.as_str(), prompt.is_cut), ("fix the bu", true));
}

/// A screen as it was captured, below its cursor and its title.
fn look(fixture: &str) -> TerminalLook {
    let (cursor, rest) = fixture.split_once('\n').unwrap();
    let (title, styled) = rest.split_once('\n').unwrap();
    let cursor = cursor
        .strip_prefix("cursor ")
        .unwrap()
        .split_once(',')
        .map(|(column, row)| Cursor { column: column.parse().unwrap(), row: row.parse().unwrap() });
    TerminalLook {
        screen: String::new(),
        styled: styled.to_owned(),
        cursor,
        title: title.strip_prefix("title ").unwrap().to_owned(),
        is_in_mode: false,
        is_human_typing: false,
    }
}

fn screen_line(reading: &ScreenReading) -> String {
    let turn = match reading.is_turn {
        Some(true) => "turn",
        Some(false) => "rest",
        None => "unknown",
    };
    if let Some(dialog) = reading.dialog {
        assert_eq!(reading.composer, Composer::Unknown);
        return format!("{turn}, dialog: {}", dialog.as_str());
    }
    match &reading.composer {
        Composer::Unknown => turn.to_owned(),
        Composer::Empty => format!("{turn}, empty"),
        Composer::Collapsed => format!("{turn}, long paste"),
        Composer::Holds(text) if text.len() > 60 => format!("{turn}, {} bytes", text.len()),
        Composer::Holds(text) => format!("{turn}, {text:?}"),
    }
}

#[test]
fn every_screen_is_read() {
    let expected = [
        ("after-ctrl-c", "rest, empty"),
        ("after-esc", "rest, empty"),
        ("approval", "turn, dialog: permission"),
        ("browsing-transcript", "unknown"),
        ("busy-held", "turn, empty"),
        ("busy-pasted", "turn, \"message while busy\\nsecond line\""),
        ("busy-queued", "turn, empty"),
        ("command-center", "rest, dialog: question"),
        ("empty-after-turn", "rest, empty"),
        ("error-401", "rest, empty"),
        ("error-500", "rest, empty"),
        ("find", "unknown"),
        ("history-search", "unknown"),
        ("hooks-review", "rest, dialog: trust"),
        ("loading", "unknown"),
        ("login", "rest, dialog: auth_failed"),
        ("medium-held", "rest, 111 bytes"),
        ("medium-tall", "rest, 66 bytes"),
        ("mention-popup", "rest, \"look at @READ\""),
        ("narrow-approval", "turn, dialog: permission"),
        ("narrow-held", "rest, 111 bytes"),
        ("narrow-loading", "unknown"),
        ("narrow-plan-approval", "rest, dialog: plan_approval"),
        ("narrow-question", "turn, dialog: question"),
        ("narrow-tall", "rest, \"para 57\\n\\npara 58\\n\\npara 59\\nlast\""),
        ("narrow-tall-cursor-up", "rest, \"para 57\\n\\npara 58\\n\\npara 59\\nlast\""),
        ("no-server", "turn, empty"),
        ("paste-12-lines", "rest, 85 bytes"),
        ("paste-beside-text", "rest, 112 bytes"),
        ("paste-collapsed", "rest, long paste"),
        ("paste-taller-than-screen", "rest, 191 bytes"),
        ("paste-wrapped", "rest, 498 bytes"),
        ("patch-approval", "turn, dialog: permission"),
        ("permissions-menu", "rest, dialog: question"),
        ("plan-approval", "rest, dialog: plan_approval"),
        ("plan-mode", "rest, empty"),
        ("question", "turn, dialog: question"),
        ("question-notes", "turn, dialog: question"),
        ("quit", "unknown"),
        ("ready", "rest, empty"),
        ("resume-elsewhere", "rest, dialog: question"),
        ("resume-live", "rest, dialog: question"),
        ("resumed", "rest, empty"),
        ("resumed-after-kill", "rest, empty"),
        ("shell-mode", "rest, \"! echo hi\""),
        ("shell-running", "turn, empty"),
        ("skill-popup", "rest, \"use $skill\""),
        ("slash-popup", "rest, \"/compact\""),
        ("trust", "rest, dialog: trust"),
        ("unknown-command", "rest, \"/nosuch thing\""),
        ("usage-limit", "rest, empty"),
        ("usage-limit-nudge", "rest, dialog: question"),
        ("wide-held", "rest, 111 bytes"),
        ("wide-plan-approval", "rest, dialog: plan_approval"),
        ("working", "turn, empty"),
        ("working-tool", "turn, empty"),
    ];
    let found = fixtures("screens").into_iter().map(|(name, fixture)| {
        let reading = codex().read_screen(&look(&fixture)).unwrap();
        (name, screen_line(&reading))
    });
    let expected = expected.map(|(name, line)| (name.to_owned(), line.to_owned()));
    assert_eq!(found.collect::<BTreeMap<_, _>>(), BTreeMap::from(expected));
}

#[test]
fn a_composer_without_hints_below_it_is_read_to_its_end() {
    let text = "hello there, this is a message that is\nlong enough to be wrapped in a narrow\n\
                terminal\n\nand has a paragraph more";
    let fixture = fixtures("screens")["narrow-held"].clone();
    let (without_hints, hints) = fixture.trim_end().rsplit_once('\n').unwrap();
    assert!(hints.contains("f2"), "{hints}");
    for screen in [fixture.as_str(), without_hints] {
        let reading = codex().read_screen(&look(screen)).unwrap();
        assert_eq!(reading.composer, Composer::Holds(text.to_owned()), "{screen}");
    }
}

#[test]
fn no_screen_can_make_it_panic_or_find_a_composer_where_none_is() {
    for (name, fixture) in fixtures("screens") {
        let whole = look(&fixture);
        for row in 0..60 {
            for column in [0, 2, 200] {
                let cursor = Some(Cursor { column, row });
                let reading = codex().read_screen(&TerminalLook { cursor, ..whole.clone() });
                let composer = reading.unwrap().composer;
                let is_there = name.starts_with("paste") || name.starts_with("narrow") || row >= 20;
                assert!(is_there || composer != Composer::Empty, "{name} {row} {composer:?}");
            }
        }
    }
    let blank = look("cursor 0,0\ntitle \n");
    assert_eq!(codex().read_screen(&blank), Some(ScreenReading::UNKNOWN));
}

fn read(lines: &str) -> TranscriptReading {
    codex().read_transcript(&mut TranscriptMemory::default(), lines)
}

/// A pass may end between any two lines.
#[test]
fn a_rollout_means_the_same_read_line_by_line() {
    for (name, rollout) in fixtures("rollouts") {
        let whole = read(&rollout);
        let mut memory = TranscriptMemory::default();
        let mut last = None;
        let mut usage = None;
        for line in rollout.lines() {
            let part = codex().read_transcript(&mut memory, &format!("{line}\n"));
            usage = part.usage.or(usage);
            last = part.last.map(|last| (last, part.paused_until)).or(last);
        }
        assert_eq!(last, whole.last.map(|last| (last, whole.paused_until)), "{name}");
        assert_eq!(usage, whole.usage, "{name}");
    }
}

#[test]
fn every_rollout_tells_how_its_last_turn_ended() {
    let expected = [
        ("compacted", "idle -, 4424 in, 30 out, 2 prompts"),
        ("context-length", "idle api_error, 1 prompts"),
        ("error-401", "idle auth_failed, 1 prompts"),
        ("error-429", "idle api_error, 1 prompts"),
        ("error-500", "idle api_error, 1 prompts"),
        ("interrupted", "idle interrupted, 1 prompts"),
        ("plan", "blocked plan_approval, 2048 in, 20 out, 1 prompts"),
        ("quota", "idle usage_limited, 1 prompts"),
        ("resumed", "active -, 3320 in, 30 out, 5 prompts"),
        ("shell", "idle -, 0 prompts"),
        ("tool", "idle -, 2016 in, 20 out, 1 prompts"),
        ("turn", "idle -, 1001 in, 10 out, 1 prompts"),
        ("usage-limit", "idle usage_limited, 1 prompts, until 1795376590000"),
        ("working", "active -, 1 prompts"),
    ];
    let found = fixtures("rollouts").into_iter().map(|(name, tail)| {
        let reading = read(&tail);
        let (last, _at) = reading.last.unwrap();
        let detail = last.detail.map_or("-", SignalDetail::as_str);
        let mut line = format!("{} {detail}", last.activity.as_str());
        if let Some(Usage { input_tokens, output_tokens, cost_microusd }) = reading.usage {
            assert_eq!(cost_microusd, None);
            write!(line, ", {input_tokens} in, {output_tokens} out").unwrap();
        }
        write!(line, ", {} prompts", reading.prompts.len()).unwrap();
        if let Some(until) = reading.paused_until {
            write!(line, ", until {}", until.as_millis()).unwrap();
        }
        (name, line)
    });
    let expected = expected.map(|(name, line)| (name.to_owned(), line.to_owned()));
    assert_eq!(found.collect::<BTreeMap<_, _>>(), BTreeMap::from(expected));
}

#[test]
fn a_plan_is_asked_about_until_the_next_turn_begins() {
    let plan = &fixtures("rollouts")["plan"];
    let turn = &fixtures("rollouts")["turn"];
    let last = read(&format!("{plan}{turn}")).last.unwrap().0;
    assert_eq!((last.activity, last.detail), (ActivityState::Idle, None));
}

#[test]
fn what_was_used_is_remembered_between_two_reads() {
    let whole = &fixtures("rollouts")["resumed"];
    let mut memory = TranscriptMemory::default();
    let read = |line: &str| codex().read_transcript(&mut memory, line);
    let last = whole.lines().map(read).last().unwrap();
    assert_eq!(last.usage.map(|usage| usage.input_tokens), Some(3320));
}

/// Bytes between two cuts: shorter than any line, and prime.
const STEP: usize = 127;

#[test]
fn a_rollout_is_read_from_and_up_to_any_of_its_bytes() {
    let tail = &fixtures("rollouts")["tool"];
    let state = |part: Option<&str>| {
        let reading = read(part?);
        Some(reading.last.map(|(it, _)| it.activity))
    };
    let mut from: Vec<_> =
        (0..tail.len()).step_by(STEP).filter_map(|at| state(tail.get(at..))).collect();
    from.dedup();
    assert_eq!(from, [Some(ActivityState::Idle), None], "its last line decides");

    let mut up_to: Vec<_> =
        (0..=tail.len()).rev().step_by(STEP).filter_map(|at| state(tail.get(..at))).collect();
    up_to.dedup();
    let expected = [Some(ActivityState::Idle), Some(ActivityState::Active), None];
    assert_eq!(up_to, expected);
}

#[test]
fn its_transcript_is_where_it_says_and_it_has_no_status_file() {
    let running = RunningAgent {
        process: ProcessIdentity { boot: BootId(1), pid: Pid(7), start_ticks: 1, nonce: None },
        directory: PathBuf::from("/w"),
        agent_session_id: Some(AgentSessionId::new("0194")),
        transcript: None,
        env: BTreeMap::new(),
    };
    assert_eq!((codex().transcript(&running), codex().status_file(&running)), (None, None));
    let path = Some(PathBuf::from("/home/me/.codex/sessions/rollout.jsonl"));
    let running = RunningAgent { transcript: path.clone(), ..running };
    assert_eq!(codex().transcript(&running), path);
}
