//! How far a message got, going by what its agent was heard to take in.
//!
//! Only what the agent itself told or wrote down counts, never that a key was pressed. It moves
//! messages forward and types nothing.

use crate::echo::PromptEcho;
use crate::ids::{LaunchId, MessageId};
use crate::message::{Message, MessageState};
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
/// one in doubt. A prompt whose text was not told confirms what waits for it, if anything does. What
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
    for message in messages.iter().filter(is_begun_before) {
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
