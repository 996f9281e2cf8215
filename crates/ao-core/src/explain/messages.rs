//! Messages that are on their way, or whose fate nobody knows: where each stands and why.

use super::{ExplainedMessage, duration_words};
use crate::message::{Lane, Message, MessageReason, MessageState};
use crate::session::Session;
use crate::time::Moment;

/// The messages of a session that somebody may still wait for, oldest first.
///
/// One in doubt belongs to them as long as the launch that it was typed into is the last one: until
/// then its agent may still tell that it has it, and its sender decides what to do.
pub(super) fn messages(
    session: &Session,
    messages: &[Message],
    now: &Moment,
) -> Vec<ExplainedMessage> {
    let is_of_last_launch =
        |it: &Message| it.launch.is_some() && it.launch == session.record.launch_id;
    let is_told = |it: &&Message| match it.state {
        MessageState::InDoubt => is_of_last_launch(it),
        MessageState::Queued
        | MessageState::Typing
        | MessageState::Typed
        | MessageState::Submitted
        | MessageState::Acknowledged
        | MessageState::Refused
        | MessageState::Expired
        | MessageState::Superseded
        | MessageState::Cancelled => !it.is_final(),
    };
    messages
        .iter()
        .filter(is_told)
        .map(|message| ExplainedMessage {
            message: message.clone(),
            sentence: sentence(session, message, messages, now),
        })
        .collect()
}

fn sentence(session: &Session, message: &Message, all: &[Message], now: &Moment) -> String {
    let id = &session.record.id;
    match message.state {
        MessageState::Queued => {
            let waited = duration_words(now.since(&message.created_at));
            let why = message.reason.map_or_else(
                || "it is about to be typed".to_owned(),
                |reason| hold(session, message, reason, all),
            );
            format!("waits for {waited}: {why}")
        }
        MessageState::Typing => message.reason.map_or_else(
            || "is being put into the terminal".to_owned(),
            |reason| {
                let why = hold(session, message, reason, all);
                format!("was put into the terminal, and Enter waits: {why}")
            },
        ),
        MessageState::Typed => {
            "was typed and Enter was pressed; its agent has not told yet that it took it in"
                .to_owned()
        }
        MessageState::Submitted => {
            "was taken in by its agent, and its turn has not begun yet".to_owned()
        }
        MessageState::InDoubt => {
            let doubt = doubt(message.reason);
            let then = if session.lifecycle.is_terminal() {
                format!(
                    "see `ao logs {id}`, and send it again with `ao send {id}` after a restore if \
                     it is not there"
                )
            } else {
                format!(
                    "see `ao logs {id}`, and send it again with `ao send {id}` if it is not there. \
                     If its agent still tells that it took it in, it counts as `submitted`"
                )
            };
            format!(
                "nobody can tell whether it arrived: {doubt}. It is never typed again by itself; \
                 {then}"
            )
        }
        MessageState::Acknowledged => "was taken in, and its turn began".to_owned(),
        MessageState::Refused => "could not be typed".to_owned(),
        MessageState::Expired => "waited too long".to_owned(),
        MessageState::Superseded => "is no longer true, or a newer one took its place".to_owned(),
        MessageState::Cancelled => "was taken back, or its session ended".to_owned(),
    }
}

/// Why a message is held, and what frees it.
fn hold(session: &Session, message: &Message, reason: MessageReason, all: &[Message]) -> String {
    let id = &session.record.id;
    let words = match reason {
        MessageReason::Blocked => {
            return format!(
                "a dialog is open, and nothing is ever typed at one; answer it with `ao attach \
                 {id}`"
            );
        }
        MessageReason::CopyMode => {
            return format!(
                "its terminal is in copy mode, which swallows what is typed; leave it with \
                 `ao attach {id}` and `q`"
            );
        }
        MessageReason::WaitingInput => {
            return format!(
                "its agent asked a human, and what reactions say waits for the answer (`ao send \
                 {id}`)"
            );
        }
        MessageReason::HumanTyping => "somebody is typing in its terminal",
        MessageReason::ComposerBusy => {
            return format!(
                "something else stands in its input line; send or clear that with `ao attach {id}`"
            );
        }
        MessageReason::Paused => "a usage limit pauses its agent, and reactions wait for its end",
        MessageReason::NotStarted => "its agent has not started yet",
        MessageReason::CannotTell => {
            return format!(
                "nobody can tell whether typing is safe: its screen shows no input line, or cannot \
                 be read; see `ao logs {id}`"
            );
        }
        MessageReason::Behind => {
            let first = all.iter().find(|other| {
                other.id != message.id
                    && !other.is_final()
                    && (other.state != MessageState::Queued || other.lane == Lane::Human)
            });
            return first.map_or_else(
                || "an earlier message is not finished".to_owned(),
                |first| format!("message `{}` before it is not finished", first.id),
            );
        }
        MessageReason::SessionEnded => "its session has ended",
        MessageReason::Newer => "a newer one takes its place",
        MessageReason::ConditionOver => "what it tells is over",
        MessageReason::RuntimeRefused => "its terminal refused it",
        MessageReason::Interrupted => "the daemon stopped on the way",
        MessageReason::CannotConfirm => "its agent cannot tell that it took it in",
        MessageReason::NoEvidence => "nothing told that its agent took it in",
        MessageReason::TakenBack => "its sender took it back",
    };
    words.to_owned()
}

/// What happened to a message in doubt.
const fn doubt(reason: Option<MessageReason>) -> &'static str {
    match reason {
        Some(MessageReason::Interrupted) => "the daemon stopped while it was being typed",
        Some(MessageReason::NoEvidence) => {
            "it was typed and Enter was pressed, and its agent rests without having told that it \
             took it in"
        }
        Some(MessageReason::SessionEnded) => {
            "its session ended before its agent told that it took it in"
        }
        Some(MessageReason::Blocked) => "a dialog opened while it was being typed",
        Some(MessageReason::CopyMode) => {
            "its terminal went into copy mode while it was being typed"
        }
        Some(MessageReason::ComposerBusy) => {
            "something else came into the input line while it was being typed"
        }
        Some(MessageReason::CannotTell) => {
            "its terminal could not be seen while it was being typed"
        }
        Some(MessageReason::RuntimeRefused) => "its terminal took only part of it",
        Some(
            MessageReason::WaitingInput
            | MessageReason::HumanTyping
            | MessageReason::Paused
            | MessageReason::NotStarted
            | MessageReason::Behind
            | MessageReason::Newer
            | MessageReason::ConditionOver
            | MessageReason::CannotConfirm
            | MessageReason::TakenBack,
        )
        | None => "its typing was begun, and its end was not seen",
    }
}
