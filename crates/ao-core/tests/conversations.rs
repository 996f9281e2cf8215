//! What a signal tells about the agent's own conversation: its name, and where it is written down.

use std::path::PathBuf;

use ao_core::fact::{Fact, FactKind, SignalFact};
use ao_core::ids::{AgentSessionId, FactId};
use ao_core::record::{ActivitySource, ActivityState};
use ao_core::reduce::reduce;
use ao_core::session::Session;
use ao_core::step::Step;

use crate::fixtures::{after, at_s, launch_id, launched, policy};

/// A session whose agent told its conversation and its transcript.
fn told() -> Session {
    let session = launched(1, "full");
    let step = hear(&session, 1, Some("one"), Some("/t/one"));
    after(&session, &step)
}

/// The agent is heard at work, and tells this about its conversation.
fn hear(session: &Session, seconds: u64, name: Option<&str>, transcript: Option<&str>) -> Step {
    let signal = SignalFact {
        id: FactId::parse("f").unwrap(),
        launch: launch_id(session, 1),
        activity: ActivityState::Active,
        source: ActivitySource::Hook,
        detail: None,
        agent_session_id: name.map(AgentSessionId::new),
        paused_until: None,
        is_submit: false,
        prompt: None,
        transcript: transcript.map(PathBuf::from),
        message: None,
    };
    let at = at_s(seconds);
    reduce(session, &Fact { at, kind: FactKind::Signal(signal) }, &policy(), &at)
}

/// What a step writes down about the conversation: its name and its transcript.
fn written(step: &Step) -> (Option<String>, Option<String>) {
    let Step::Change(change) = step else { return (None, None) };
    let name = change.agent_session_id.as_ref().map(|it| it.as_str().to_owned());
    let transcript = change.transcript.as_ref().map(|it| it.display().to_string());
    (name, transcript)
}

#[test]
fn a_conversation_is_written_down_when_it_is_first_told() {
    let session = told();
    assert_eq!(session.record.agent_session_id, Some(AgentSessionId::new("one")));
    assert_eq!(session.record.transcript, Some(PathBuf::from("/t/one")));
}

#[test]
fn what_is_known_of_a_conversation_is_not_written_again() {
    let step = hear(&told(), 2, Some("one"), Some("/t/one"));
    assert_eq!(written(&step), (None, None));
}

#[test]
fn a_signal_that_says_nothing_about_the_conversation_leaves_it() {
    let session = told();
    let step = hear(&session, 2, None, None);
    assert_eq!(written(&step), (None, None));
    assert_eq!(after(&session, &step).record, session.record);
}

#[test]
fn another_conversation_is_taken_over_part_by_part() {
    let session = told();
    let name = hear(&session, 2, Some("two"), Some("/t/one"));
    assert_eq!(written(&name), (Some("two".to_owned()), None));
    let transcript = hear(&session, 2, Some("one"), Some("/t/two"));
    assert_eq!(written(&transcript), (None, Some("/t/two".to_owned())));
}

#[test]
fn a_name_is_written_though_nothing_else_is_news() {
    let session = launched(1, "full");
    let session = after(&session, &hear(&session, 1, None, None));
    let repeated = hear(&session, 1, None, None);
    assert!(matches!(repeated, Step::None { .. }), "{repeated:?}");
    let name = hear(&session, 1, Some("one"), None);
    assert_eq!(written(&name), (Some("one".to_owned()), None));
    let transcript = hear(&session, 1, None, Some("/t/one"));
    assert_eq!(written(&transcript), (None, Some("/t/one".to_owned())));
}
