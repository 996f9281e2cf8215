//! Putting one message into one terminal: look, commit `typing`, paste, look, Enter, commit `typed`.
//!
//! # Common pitfalls
//!
//! `typing` is on disk before the first byte, so that a crash in the middle is seen as one and the
//! text is not typed twice. What was begun is finished even if its sender went away.

use ao_core::agent::AgentTraits;
use ao_core::message::{Lane, Message, MessageChange, MessageReason, MessageState};
use ao_core::ports::{Commit, Expected, RuntimeError, StoreError, TerminalLook};
use ao_core::record::{ActivityState, SessionState};
use ao_core::session::{RuntimeHandle, Session};

use crate::messenger::Messenger;

/// What is to be done with the next message.
enum Turn {
    /// It may be typed now.
    Type(Box<RuntimeHandle>, AgentTraits),
    /// Not now.
    Hold(MessageReason),
    /// Never.
    Drop(MessageState, MessageReason),
}

impl Messenger {
    /// Delivers the queued messages of a session until one has to wait; says how many it moved.
    pub(crate) async fn deliver_all(
        &self,
        session: &ao_core::ids::SessionId,
    ) -> Result<usize, StoreError> {
        // One delivery at a time works on a session, so what is being typed as this one begins was
        // left by one that lost the store half-way.
        let mut n_moved = self.settle_in_doubt(|id| id == session).await?;
        while !self.is_stopping() {
            let Some(loaded) = self.ports.sessions.get(session).await? else { break };
            let mut messages = self.ports.messages.unfinished().await?;
            messages.retain(|message| message.session == *session);
            let Some(message) = next_of(&messages) else { break };
            let turn = if is_outdone(message, &messages) {
                Turn::Drop(MessageState::Superseded, MessageReason::Newer)
            } else {
                self.turn_of(&loaded, message).await
            };
            let is_moved = match turn {
                Turn::Hold(reason) => {
                    self.hold(message, reason).await?;
                    break;
                }
                Turn::Drop(to, reason) => self.move_message(message, to, Some(reason)).await?,
                Turn::Type(handle, traits) => {
                    self.type_message(&loaded, message, &handle, traits).await?
                }
            };
            if !is_moved {
                // Somebody wrote the session or the message meanwhile: read both again.
                continue;
            }
            n_moved = n_moved.saturating_add(1);
        }
        Ok(n_moved)
    }

    async fn hold(&self, message: &Message, reason: MessageReason) -> Result<(), StoreError> {
        if message.reason != Some(reason) {
            self.move_message(message, MessageState::Queued, Some(reason)).await?;
        }
        Ok(())
    }

    async fn turn_of(&self, session: &Session, message: &Message) -> Turn {
        let lifecycle = &session.lifecycle;
        if lifecycle.is_terminal() {
            return Turn::Drop(MessageState::Cancelled, MessageReason::SessionEnded);
        }
        if let Some(origin) = &message.origin {
            let open = session.ledger.open.get(&origin.incident);
            if open.is_none_or(|open| open.episode != origin.episode) {
                return Turn::Drop(MessageState::Superseded, MessageReason::ConditionOver);
            }
        }
        if let Some(reason) = hold_by_record(session, message.lane) {
            return Turn::Hold(reason);
        }
        let (Some(handle), Some(launch)) = (&session.record.handle, &lifecycle.launch) else {
            return Turn::Hold(MessageReason::NotStarted);
        };
        match self.ports.terminal.look(handle).await {
            Ok(look) => hold_by_look(&look, message.lane)
                .map_or_else(|| Turn::Type(Box::new(handle.clone()), launch.traits), Turn::Hold),
            Err(_) => Turn::Hold(MessageReason::CannotTell),
        }
    }

    /// Types one message; `false` when it was no longer there to be typed.
    async fn type_message(
        &self,
        session: &Session,
        message: &Message,
        handle: &RuntimeHandle,
        traits: AgentTraits,
    ) -> Result<bool, StoreError> {
        let at = self.ports.clock.now();
        // On the revision that the turn was decided on: a fact since then decides again.
        let expected = Expected::Revision(session.lifecycle.revision);
        let mut commit = Commit::on(message.session.clone(), expected, at);
        commit.messages = vec![MessageChange::Move {
            id: message.id.clone(),
            from: MessageState::Queued,
            to: MessageState::Typing,
            reason: None,
            launch: session.lifecycle.launch.as_ref().map(|launch| launch.id.clone()),
            at,
        }];
        match self.ports.sessions.commit(commit).await {
            Ok(_) => {}
            Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
        let launch = session.lifecycle.launch.as_ref().map(|launch| launch.id.clone());
        let typing = Message { state: MessageState::Typing, launch, ..message.clone() };
        let (to, reason) = match self.put_in(&typing, handle, traits).await {
            Ok(()) if traits.signals.has_submit() => (MessageState::Typed, None),
            Ok(()) => (MessageState::Typed, Some(MessageReason::CannotConfirm)),
            Err(reason @ MessageReason::RuntimeRefused) => (MessageState::Refused, Some(reason)),
            Err(reason) => (MessageState::InDoubt, Some(reason)),
        };
        self.move_message(&typing, to, reason).await
    }

    /// Pastes and presses Enter. The error says whether anything may have arrived.
    async fn put_in(
        &self,
        message: &Message,
        handle: &RuntimeHandle,
        traits: AgentTraits,
    ) -> Result<(), MessageReason> {
        self.ports.terminal.paste(handle, &message.text).await.map_err(|error| match error {
            // A refusal comes before the first byte.
            RuntimeError::Missing { .. }
            | RuntimeError::Taken { .. }
            | RuntimeError::Stranger { .. }
            | RuntimeError::Gone { .. }
            | RuntimeError::Refused { .. } => MessageReason::RuntimeRefused,
            RuntimeError::Unavailable { .. } => MessageReason::CannotTell,
        })?;
        self.ports.clock.sleep(traits.settle_for).await;
        let in_doubt = |_error: RuntimeError| MessageReason::CannotTell;
        let look = self.ports.terminal.look(handle).await.map_err(in_doubt)?;
        if look.is_in_mode {
            // Enter would go to the copy mode; the text stands in the composer.
            return Err(MessageReason::CopyMode);
        }
        // Enter would answer a dialog that opened meanwhile.
        self.check_enter(message).await?;
        self.ports.terminal.press(handle, "Enter").await.map_err(in_doubt)
    }

    /// Reads the session again: what was heard since the paste may forbid the Enter.
    async fn check_enter(&self, message: &Message) -> Result<(), MessageReason> {
        let read = self.ports.sessions.get(&message.session).await;
        let session =
            read.map_err(|_error| MessageReason::CannotTell)?.ok_or(MessageReason::SessionEnded)?;
        let lifecycle = &session.lifecycle;
        let launch = lifecycle.launch.as_ref().map(|launch| &launch.id);
        if lifecycle.is_terminal() || launch != message.launch.as_ref() {
            return Err(MessageReason::SessionEnded);
        }
        let is_blocked =
            lifecycle.activity.is_some_and(|activity| activity.state == ActivityState::Blocked);
        if is_blocked { Err(MessageReason::Blocked) } else { Ok(()) }
    }
}

/// The next message: people first, each lane in its order. None while one is being typed.
fn next_of(messages: &[Message]) -> Option<&Message> {
    if messages.iter().any(|message| message.state == MessageState::Typing) {
        return None;
    }
    let queued_in = |lane: Lane| {
        messages
            .iter()
            .find(move |message| message.lane == lane && message.state == MessageState::Queued)
    };
    queued_in(Lane::Human).or_else(|| queued_in(Lane::Automatic))
}

/// Whether a newer message tells the agent about the same incident.
fn is_outdone(message: &Message, messages: &[Message]) -> bool {
    let Some(origin) = &message.origin else { return false };
    messages
        .iter()
        .skip_while(|other| other.id != message.id)
        .skip(1)
        .filter(|newer| newer.state == MessageState::Queued)
        .any(|newer| newer.origin.as_ref().is_some_and(|it| it.incident == origin.incident))
}

/// What the record says against typing now.
fn hold_by_record(session: &Session, lane: Lane) -> Option<MessageReason> {
    let lifecycle = &session.lifecycle;
    let activity = lifecycle.activity.map(|activity| activity.state);
    if lifecycle.launch.is_none() || lifecycle.session.state == SessionState::NotStarted {
        return Some(MessageReason::NotStarted);
    }
    if activity == Some(ActivityState::Blocked) {
        return Some(MessageReason::Blocked);
    }
    if lane == Lane::Automatic {
        if activity == Some(ActivityState::WaitingInput) {
            return Some(MessageReason::WaitingInput);
        }
        if lifecycle.paused_until.is_some() {
            return Some(MessageReason::Paused);
        }
    }
    if lifecycle.session.state == SessionState::Detecting {
        return Some(MessageReason::CannotTell);
    }
    None
}

/// What the terminal shows against typing now.
fn hold_by_look(look: &TerminalLook, lane: Lane) -> Option<MessageReason> {
    if look.is_in_mode {
        return Some(MessageReason::CopyMode);
    }
    (look.is_human_typing && lane == Lane::Automatic).then_some(MessageReason::HumanTyping)
}
