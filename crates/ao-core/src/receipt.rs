//! How far a message got, going by what its agent was heard to take in.
//!
//! Only what the agent itself told or wrote down counts, never that a key was pressed. It moves
//! messages forward and types nothing.

use crate::echo::PromptEcho;
use crate::ids::{LaunchId, MessageId};
use crate::message::{Message, MessageReason, MessageState};
use crate::time::Moment;

/// Something that the agent of a launch took in, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The launch.
    pub launch: LaunchId,
    /// When.
    pub at: Moment,
    /// What.
    pub kind: EvidenceKind,
}

/// What an agent was heard to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EvidenceKind {
    /// It took a prompt in; what it was, when that was told.
    Prompt(Option<PromptEcho>),
    /// A turn runs, or ended.
    Turn,
}

/// A message that moves on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Which one.
    pub id: MessageId,
    /// The state that was read.
    pub from: MessageState,
    /// The new state.
    pub to: MessageState,
}

/// What a piece of evidence says about the messages of its session.
///
/// A prompt confirms the oldest message of this launch with its text that was begun before it, also
/// one in doubt; of which nobody knows whether it was typed at all only if there is no other. A prompt whose text was not told confirms what waits for it, if anything does. What
/// the agent did after it took a message in is the turn of that message.
pub fn receipts(messages: &[Message], evidence: &Evidence) -> Vec<Receipt> {
    let is_begun_before = |message: &&Message| {
        message.launch.as_ref() == Some(&evidence.launch)
            && message.typing_at.is_some_and(|typing_at| !typing_at.is_after(&evidence.at))
    };
    let submitted_before = || {
        messages.iter().filter(is_begun_before).filter(|message| {
            message.state == MessageState::Submitted && evidence.at.is_after(&message.updated_at)
        })
    };
    let mut moved: Vec<Receipt> =
        submitted_before().map(|message| receipt(message, MessageState::Acknowledged)).collect();
    let EvidenceKind::Prompt(echo) = &evidence.kind else { return moved };
    let mut confirmed: Vec<&str> = Vec::new();
    let begun = || messages.iter().filter(is_begun_before);
    let was_typed = |message: &&Message| message.reason != Some(MessageReason::Interrupted);
    for message in begun().filter(was_typed).chain(begun().filter(|it| !was_typed(it))) {
        let is_open = match message.state {
            MessageState::Typing | MessageState::Typed | MessageState::InDoubt => true,
            MessageState::Queued
            | MessageState::Submitted
            | MessageState::Acknowledged
            | MessageState::Refused
            | MessageState::Expired
            | MessageState::Superseded
            | MessageState::Cancelled => false,
        };
        let is_told = match echo {
            Some(echo) => echo.is_of(&message.text),
            // Anybody may have typed it: only what was typed and waits is confirmed.
            None => message.state == MessageState::Typed && !message.is_final(),
        };
        if is_open && is_told && !confirmed.contains(&message.text.as_str()) {
            confirmed.push(&message.text);
            moved.push(receipt(message, MessageState::Submitted));
        }
    }
    moved
}

fn receipt(message: &Message, to: MessageState) -> Receipt {
    Receipt { id: message.id.clone(), from: message.state, to }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ids::SessionId;
    use crate::message::Lane;
    use crate::time::{BootId, Timestamp};

    fn at(seconds: u64) -> Moment {
        let since_boot = Duration::from_secs(seconds);
        let wall = Timestamp::default().plus(since_boot);
        Moment { wall, boot: BootId(1), since_boot, awake: since_boot }
    }

    fn launch(name: &str) -> LaunchId {
        LaunchId::parse(name).unwrap()
    }

    /// A message of launch `l` that began to be typed at 10 s.
    fn message(id: &str, text: &str, state: MessageState) -> Message {
        Message {
            id: MessageId::parse(id).unwrap(),
            session: SessionId::parse("app-1").unwrap(),
            lane: Lane::Human,
            text: text.to_owned(),
            n_stripped: 0,
            state,
            reason: None,
            launch: Some(launch("l")),
            idempotency_key: None,
            origin: None,
            created_at: at(1),
            typing_at: Some(at(10)),
            updated_at: at(11),
        }
    }

    fn prompt(text: &str) -> Evidence {
        let kind = EvidenceKind::Prompt(Some(PromptEcho::new(text, false)));
        Evidence { launch: launch("l"), at: at(20), kind }
    }

    #[track_caller]
    fn check(messages: &[Message], evidence: &Evidence, expect: &[&str]) {
        let moved: Vec<String> = receipts(messages, evidence)
            .iter()
            .map(|it| format!("{} {} to {}", it.id, it.from, it.to))
            .collect();
        assert_eq!(moved, expect, "{evidence:?}");
    }

    #[test]
    fn a_prompt_confirms_what_was_begun_and_is_not_settled_yet() {
        for state in MessageState::ALL {
            let moved = receipts(&[message("m", "hello", *state)], &prompt("hello"));
            let is_open =
                matches!(state, MessageState::Typing | MessageState::Typed | MessageState::InDoubt);
            let is_turn = *state == MessageState::Submitted;
            assert_eq!(!moved.is_empty(), is_open || is_turn, "{state}");
        }
    }

    #[test]
    fn a_prompt_of_another_launch_or_from_before_the_typing_proves_nothing() {
        let typed = [message("m", "hello", MessageState::Typed)];
        check(&typed, &prompt("hello"), &["m typed to submitted"]);
        check(&typed, &Evidence { launch: launch("old"), ..prompt("hello") }, &[]);
        check(&typed, &Evidence { at: at(9), ..prompt("hello") }, &[]);
        check(&typed, &prompt("something else"), &[]);
    }

    #[test]
    fn one_prompt_confirms_a_text_once_and_all_that_were_joined_to_it() {
        let twice = [
            message("m-1", "go on", MessageState::InDoubt),
            message("m-2", "go on", MessageState::Typed),
        ];
        check(&twice, &prompt("go on"), &["m-1 in_doubt to submitted"]);
        let both = [
            message("m-1", "first", MessageState::InDoubt),
            message("m-2", "second", MessageState::Typed),
        ];
        let expect = ["m-1 in_doubt to submitted", "m-2 typed to submitted"];
        check(&both, &prompt("first\nsecond"), &expect);
    }

    #[test]
    fn what_was_typed_is_confirmed_before_what_may_never_have_been() {
        let doubt = |id, reason| Message {
            reason: Some(reason),
            ..message(id, "go on", MessageState::InDoubt)
        };
        let lost = doubt("m-1", MessageReason::Interrupted);
        let typed = doubt("m-2", MessageReason::NoEvidence);
        check(&[lost.clone(), typed], &prompt("go on"), &["m-2 in_doubt to submitted"]);
        check(&[lost], &prompt("go on"), &["m-1 in_doubt to submitted"]);
    }

    #[test]
    fn a_prompt_whose_text_was_not_told_confirms_only_what_waits_for_it() {
        let untold = Evidence { kind: EvidenceKind::Prompt(None), ..prompt("") };
        check(&[message("m", "x", MessageState::Typed)], &untold, &["m typed to submitted"]);
        check(&[message("m", "x", MessageState::Typing)], &untold, &[]);
        check(&[message("m", "x", MessageState::InDoubt)], &untold, &[]);
        let reason = Some(MessageReason::CannotConfirm);
        check(&[Message { reason, ..message("m", "x", MessageState::Typed) }], &untold, &[]);
    }

    #[test]
    fn what_the_agent_does_after_it_took_a_message_in_is_its_turn() {
        let submitted = [message("m", "x", MessageState::Submitted)];
        let turn =
            |seconds| Evidence { at: at(seconds), launch: launch("l"), kind: EvidenceKind::Turn };
        check(&submitted, &turn(12), &["m submitted to acknowledged"]);
        check(&submitted, &turn(11), &[]);
        check(&submitted, &prompt("the next"), &["m submitted to acknowledged"]);
        check(&[message("m", "x", MessageState::Typed)], &turn(12), &[]);
    }
}
