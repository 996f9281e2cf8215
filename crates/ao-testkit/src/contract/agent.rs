//! What every [`Agent`] promises, whatever it runs.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a contract fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;

use ao_core::echo::PromptEcho;
use ao_core::ids::{AgentSessionId, Pid};
use ao_core::ports::{Agent, AgentError, Invocation, LaunchRequest, RunningAgent, TerminalLook};
use ao_core::reading::{Composer, TranscriptMemory};
use ao_core::session::ProcessIdentity;
use ao_core::time::BootId;

/// Longest argument that the kernel takes.
const ARGUMENT_BYTES_MAX: usize = 128 * 1024;

/// Variables that say where agents keep the user's login, settings and conversations.
const HOMES: [&str; 5] =
    ["HOME", "XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME", "OPENCODE_CONFIG_DIR"];

/// Runs every check, with a request that the agent accepts.
pub fn agent_contract(agent: &dyn Agent, request: &LaunchRequest) {
    the_same_request_gives_the_same_invocation(agent, request);
    a_restore_is_as_good_as_a_launch(agent, request);
    a_large_prompt_never_breaks_the_command_line(agent, request);
    a_resumed_conversation_is_not_told_its_prompt_again(agent, request);
    what_is_no_event_means_nothing(agent);
    what_is_typed_is_recognised_as_the_message(agent);
    garbage_is_no_finding(agent, request);
    assert!(!agent.interrupt_key().is_empty());
}

fn check_invocation(invocation: &Invocation, request: &LaunchRequest) {
    let program = invocation.argv.first().unwrap();
    assert!(Path::new(program).is_absolute(), "`{program}` has to be absolute");
    for word in &invocation.argv {
        assert!(word.len() < ARGUMENT_BYTES_MAX, "an argument of {} bytes", word.len());
        assert!(!word.contains('\0'), "a zero byte ends an argument");
    }
    for (path, _text) in &invocation.files {
        assert!(path.starts_with(&request.files_dir), "{} is not its own", path.display());
        assert!(!path.starts_with(&request.directory), "{} is the worktree's", path.display());
    }
    for name in HOMES {
        let told = invocation.env.get(name);
        assert!(told.is_none(), "{name} is the user's: its login and its settings stand there");
    }
}

fn the_same_request_gives_the_same_invocation(agent: &dyn Agent, request: &LaunchRequest) {
    let first = agent.launch(request).unwrap();
    check_invocation(&first, request);
    assert_eq!(agent.launch(request).unwrap(), first);
    assert_eq!(agent.traits(), agent.traits());
}

fn a_restore_is_as_good_as_a_launch(agent: &dyn Agent, request: &LaunchRequest) {
    let conversations = [None, Some(AgentSessionId::new("0194-conversation"))];
    for agent_session_id in conversations {
        let request = LaunchRequest { agent_session_id, ..request.clone() };
        match agent.restore_command(&request) {
            Ok(invocation) => check_invocation(&invocation, &request),
            Err(AgentError::NoResume { agent: name }) => assert_eq!(name, *agent.name()),
            Err(error) => panic!("a restore fails only for want of a way to resume: {error}"),
        }
    }
}

fn a_large_prompt_never_breaks_the_command_line(agent: &dyn Agent, request: &LaunchRequest) {
    let prompt = "a line of a long prompt\n".repeat(200_000 / 24);
    let request = LaunchRequest { prompt: Some(prompt.clone()), ..request.clone() };
    match agent.launch(&request) {
        Ok(invocation) => {
            check_invocation(&invocation, &request);
            let is_whole = invocation.typed_prompt.as_ref() == Some(&prompt)
                || invocation.files.iter().any(|(_, text)| text.contains(&prompt));
            assert!(is_whole, "a prompt travels whole or not at all");
        }
        Err(AgentError::Invalid { message }) => {
            assert!(message.contains("{prompt_file}"), "it says what to do: {message}");
        }
        Err(error) => panic!("{error}"),
    }
}

/// It was said already, and the conversation has it.
fn a_resumed_conversation_is_not_told_its_prompt_again(agent: &dyn Agent, request: &LaunchRequest) {
    let conversation = "0194-conversation";
    let request = LaunchRequest {
        agent_session_id: Some(AgentSessionId::new(conversation)),
        prompt: Some("the launch prompt".to_owned()),
        ..request.clone()
    };
    let Ok(invocation) = agent.restore_command(&request) else { return };
    if !invocation.argv.iter().any(|word| word.contains(conversation)) {
        // Without a way to resume it starts again, with its prompt.
        return;
    }
    let is_said = |text: &str| text.contains("the launch prompt");
    assert_eq!(invocation.typed_prompt, None);
    assert!(!invocation.argv.iter().any(|word| is_said(word)), "{:?}", invocation.argv);
    assert!(!invocation.files.iter().any(|(_, text)| is_said(text)));
}

/// An agent may need a text to be typed another way; what it takes in is still that message.
fn what_is_typed_is_recognised_as_the_message(agent: &dyn Agent) {
    let long = "many words ".repeat(10_000);
    let texts = [
        "plain",
        "two\nlines\twith a tab",
        "!shell",
        "/command and more",
        "@file",
        "#note",
        "ends with \\",
        "- a list",
        "äöü 🦀 👩‍👩‍👧",
        &long,
    ];
    for text in texts {
        let typed = agent.text_to_type(text);
        let is_plain = !typed.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
        assert!(is_plain, "{typed:?} would press keys");
        assert!(PromptEcho::new(&typed, false).is_of(text), "{typed:?} for {text:?}");
    }
}

/// What cannot be read is told as such: above all, nothing is an empty composer that may be none.
fn garbage_is_no_finding(agent: &dyn Agent, request: &LaunchRequest) {
    let running = RunningAgent {
        process: ProcessIdentity { boot: BootId(1), pid: Pid(7), start_ticks: 7, nonce: None },
        directory: request.directory.clone(),
        agent_session_id: None,
        transcript: None,
        env: BTreeMap::new(),
    };
    assert_eq!(agent.status_file(&running), None, "nobody said where its home is");
    for text in ["", "{", "null", "[]", "{}", "\u{0}\u{1b}[2J", "❯ ", "> ", "› ", "────────────"]
    {
        assert_eq!(agent.read_status(&running, text), None, "{text:?}");
        let mut memory = TranscriptMemory::default();
        let lines = format!("{text}\n");
        let reading = agent.read_transcript(&mut memory, &lines);
        assert_eq!((reading.prompts.len(), reading.last), (0, None), "{text:?}");
        let look = TerminalLook {
            screen: text.to_owned(),
            styled: text.to_owned(),
            cursor: None,
            title: text.to_owned(),
            is_in_mode: false,
            is_human_typing: false,
        };
        if let Some(reading) = agent.read_screen(&look) {
            assert_eq!(reading.composer, Composer::Unknown, "{text:?}");
        }
    }
}

fn what_is_no_event_means_nothing(agent: &dyn Agent) {
    for (event, payload) in [("", ""), ("no-such-event", "{"), ("no-such-event", "\u{0}")] {
        assert_eq!(agent.parse_event(event, payload), None, "{event:?} {payload:?}");
    }
}
