//! What every [`Agent`] promises, whatever it runs.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a contract fails by panicking")]

use std::path::Path;

use ao_core::ids::AgentSessionId;
use ao_core::ports::{Agent, AgentError, Invocation, LaunchRequest};

/// Longest argument that the kernel takes.
const ARGUMENT_BYTES_MAX: usize = 128 * 1024;

/// Runs every check, with a request that the agent accepts.
pub fn agent_contract(agent: &dyn Agent, request: &LaunchRequest) {
    the_same_request_gives_the_same_invocation(agent, request);
    a_restore_is_as_good_as_a_launch(agent, request);
    a_large_prompt_never_breaks_the_command_line(agent, request);
    what_is_no_event_means_nothing(agent);
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

fn what_is_no_event_means_nothing(agent: &dyn Agent) {
    for (event, payload) in [("", ""), ("no-such-event", "{"), ("no-such-event", "\u{0}")] {
        assert_eq!(agent.parse_event(event, payload), None, "{event:?} {payload:?}");
    }
}
