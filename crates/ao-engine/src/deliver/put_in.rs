//! Putting one message into one terminal: commit `typing`, paste, look, Enter, commit `typed`, and
//! press Enter again while the text is seen to stand in the composer.
//!
//! # Common pitfalls
//!
//! `typing` is on disk before the first byte, so that a crash in the middle is seen as one and the
//! text is not typed twice. What was begun is finished even if its sender went away.

use std::borrow::Cow;
use std::time::Duration;

use ao_core::agent::AgentTraits;
use ao_core::decide::typing::{EnterTurn, enter_turn, stands_before_the_cursor};
use ao_core::ids::SessionId;
use ao_core::message::{Message, MessageReason, MessageState};
use ao_core::ports::{RuntimeError, StoreError};
use ao_core::reading::Composer;
use ao_core::record::ActivityState;
use ao_core::session::{RuntimeHandle, Session};
use ao_core::time::Moment;

use crate::messenger::Messenger;
use crate::outlook::{Waited, wait_until};

/// How long a pasted text may take to be seen in the composer, and a doubt about it to go away: a
/// megabyte takes the slowest agent that was measured a few seconds.
const SEEN_FOR_MAX: Duration = Duration::from_secs(15);

/// Pause between two looks for the pasted text.
const SEEN_PAUSE: Duration = Duration::from_millis(150);

/// How long an agent gets to say that it took a message in before its composer is looked at.
const CONFIRMED_FOR_MAX: Duration = Duration::from_secs(2);

/// How often Enter is pressed again on a text that still stands in the composer.
const ENTERS_AGAIN_MAX: u32 = 2;

/// Messages looked through for those that an interruption left.
const MESSAGES_MAX: usize = 20;

/// How putting a message in ended.
enum PutIn {
    /// Enter was pressed, or the agent said that it took the text in.
    Typed,
    /// It did not get so far, and nobody can tell how far.
    Doubt(MessageReason),
    /// Nothing was typed.
    Refused(MessageReason),
    /// The engine stops; the next start finds it as it stands.
    Stopping,
}

/// What stands against Enter, going by the record.
enum Standing {
    /// Nothing.
    Clear,
    /// The agent took the text in already: a person pressed Enter.
    TakenIn,
    /// A dialog, of which a hook told.
    Dialog,
    /// The session or its launch ended.
    Ended,
}

/// The agent that is typed at.
struct Place<'a> {
    session: &'a Session,
    handle: &'a RuntimeHandle,
    traits: AgentTraits,
}

impl Messenger {
    /// Types one message; `false` when it was no longer there to be typed.
    pub(super) async fn type_message(
        &self,
        session: &Session,
        message: &Message,
        handle: &RuntimeHandle,
    ) -> Result<bool, StoreError> {
        let Some(launch) = &session.lifecycle.launch else { return Ok(false) };
        let Some(typing) = self.begin_typing(session, message).await? else { return Ok(false) };
        let place = Place { session, handle, traits: launch.traits };
        let (to, reason) = match self.put_in(&typing, &place).await? {
            PutIn::Typed if place.traits.signals.has_submit() => (MessageState::Typed, None),
            PutIn::Typed => (MessageState::Typed, Some(MessageReason::CannotConfirm)),
            PutIn::Refused(reason) => (MessageState::Refused, Some(reason)),
            PutIn::Doubt(reason) => (MessageState::InDoubt, Some(reason)),
            PutIn::Stopping => return Ok(true),
        };
        // When the agent said so first, it is further already.
        let is_moved = self.move_message(&typing, to, reason).await?;
        if is_moved && to == MessageState::Typed && place.traits.signals.has_submit() {
            self.see_it_taken(&typing, &place).await?;
        }
        Ok(true)
    }

    async fn put_in(&self, message: &Message, place: &Place<'_>) -> Result<PutIn, StoreError> {
        let agent = self.agent_of(place.session);
        let text = agent.map_or(Cow::Borrowed(message.text.as_str()), |agent| {
            agent.text_to_type(&message.text)
        });
        let pasted = self.ports.terminal.paste(place.handle, &text).await;
        match pasted {
            Ok(()) => {}
            // A refusal comes before the first byte.
            Err(
                RuntimeError::Missing { .. }
                | RuntimeError::Taken { .. }
                | RuntimeError::Stranger { .. }
                | RuntimeError::Gone { .. }
                | RuntimeError::Refused { .. },
            ) => return Ok(PutIn::Refused(MessageReason::RuntimeRefused)),
            Err(RuntimeError::Unavailable { .. }) => {
                return Ok(PutIn::Doubt(MessageReason::CannotTell));
            }
        }
        self.ports.clock.sleep(place.traits.settle_for).await;
        self.enter(message, place).await
    }

    /// Presses Enter once nothing stands against it. A dialog and the copy mode are waited for as
    /// long as they last; a doubt, not for long.
    async fn enter(&self, message: &Message, place: &Place<'_>) -> Result<PutIn, StoreError> {
        let mut shown = message.reason;
        let mut doubted_since: Option<Moment> = None;
        loop {
            let (reason, is_patient) = match self.standing(message).await? {
                Standing::TakenIn => return Ok(PutIn::Typed),
                Standing::Ended => return Ok(PutIn::Doubt(MessageReason::SessionEnded)),
                // Where the composer cannot be seen, nobody knows what an answer did to the text.
                Standing::Dialog if !self.can_see(place).await => {
                    return Ok(PutIn::Doubt(MessageReason::Blocked));
                }
                Standing::Dialog => (MessageReason::Blocked, true),
                Standing::Clear => match self.look_for_enter(&message.text, place).await {
                    EnterTurn::Press => {
                        return Ok(match self.ports.terminal.press(place.handle, "Enter").await {
                            Ok(()) => PutIn::Typed,
                            Err(_) => PutIn::Doubt(MessageReason::CannotTell),
                        });
                    }
                    EnterTurn::Wait(
                        reason @ (MessageReason::Blocked | MessageReason::CopyMode),
                    ) => (reason, true),
                    EnterTurn::Wait(reason) => (reason, false),
                    EnterTurn::Gone => (MessageReason::CannotTell, false),
                },
            };
            let now = self.ports.clock.now();
            doubted_since = if is_patient { None } else { doubted_since.or(Some(now)) };
            if doubted_since.is_some_and(|since| now.since(&since) >= SEEN_FOR_MAX) {
                return Ok(PutIn::Doubt(reason));
            }
            if is_patient && shown != Some(reason) {
                // Shown while it lasts; who asks sees why nothing moves.
                self.move_message(message, MessageState::Typing, Some(reason)).await?;
                shown = Some(reason);
            }
            if self.rest(SEEN_PAUSE).await {
                return Ok(PutIn::Stopping);
            }
        }
    }

    /// Whether the screens of this agent can be read, or at least not be told to be unreadable.
    async fn can_see(&self, place: &Place<'_>) -> bool {
        let Some(agent) = self.agent_of(place.session) else { return false };
        let look = self.ports.terminal.look(place.handle).await;
        look.map_or(true, |look| agent.read_screen(&look).is_some())
    }

    /// A fresh look, read for whether Enter may be pressed on `text`.
    async fn look_for_enter(&self, text: &str, place: &Place<'_>) -> EnterTurn {
        let Ok(look) = self.ports.terminal.look(place.handle).await else {
            return EnterTurn::Wait(MessageReason::CannotTell);
        };
        let agent = self.agent_of(place.session);
        let reading = agent.and_then(|agent| agent.read_screen(&look));
        enter_turn(&look, reading.as_ref(), text)
    }

    /// Reads the session again: what was heard since the paste may forbid the Enter.
    async fn standing(&self, message: &Message) -> Result<Standing, StoreError> {
        let Some(session) = self.ports.sessions.get(&message.session).await? else {
            return Ok(Standing::Ended);
        };
        let lifecycle = &session.lifecycle;
        let launch = lifecycle.launch.as_ref().map(|launch| &launch.id);
        if lifecycle.is_terminal() || launch != message.launch.as_ref() {
            return Ok(Standing::Ended);
        }
        let known = self.ports.messages.message(&message.id).await?;
        if known.is_none_or(|known| known.state != message.state) {
            return Ok(Standing::TakenIn);
        }
        let is_blocked =
            lifecycle.activity.is_some_and(|activity| activity.state == ActivityState::Blocked);
        Ok(if is_blocked { Standing::Dialog } else { Standing::Clear })
    }

    /// Waits for the agent to say that it took the text in; while the text is seen to stand in the
    /// composer instead, Enter is pressed again. Where that cannot be seen, it is not.
    async fn see_it_taken(&self, message: &Message, place: &Place<'_>) -> Result<(), StoreError> {
        let typed = Message { state: MessageState::Typed, ..message.clone() };
        for _ in 0..ENTERS_AGAIN_MAX {
            if self.is_taken_in(&typed).await? || self.is_stopping() {
                return Ok(());
            }
            let agent = self.agent_of(place.session);
            let Ok(look) = self.ports.terminal.look(place.handle).await else { return Ok(()) };
            let Some(reading) = agent.and_then(|agent| agent.read_screen(&look)) else {
                return Ok(());
            };
            let turn = enter_turn(&look, Some(&reading), &typed.text);
            if turn != EnterTurn::Press || !matches!(self.standing(&typed).await?, Standing::Clear)
            {
                return Ok(());
            }
            if self.ports.terminal.press(place.handle, "Enter").await.is_err() {
                return Ok(());
            }
        }
        self.is_taken_in(&typed).await.map(drop)
    }

    /// Waits a little for the agent's own word.
    async fn is_taken_in(&self, typed: &Message) -> Result<bool, StoreError> {
        let has_moved = || async {
            let known = self.ports.messages.message(&typed.id).await?;
            Ok(known.is_none_or(|known| known.state != typed.state).then_some(()))
        };
        let (feed, clock) = (self.ports.feed.as_ref(), self.ports.clock.as_ref());
        let waited = wait_until(feed, clock, CONFIRMED_FOR_MAX, has_moved).await?;
        Ok(waited == Waited::Met(()))
    }

    /// Finishes what an interruption left in the composer: the text is there, whole, and nobody has
    /// pressed Enter. Anything less clear stays in doubt; nothing is pasted.
    pub(super) async fn finish_interrupted(&self, session: &SessionId) -> Result<(), StoreError> {
        if !self.take_interrupted(session) {
            return Ok(());
        }
        let Some(loaded) = self.ports.sessions.get(session).await? else { return Ok(()) };
        let (Some(handle), Some(launch)) = (&loaded.record.handle, &loaded.lifecycle.launch) else {
            return Ok(());
        };
        let messages = self.ports.messages.messages_of(session, MESSAGES_MAX).await?;
        let interrupted = messages.iter().rev().find(|message| {
            message.state == MessageState::InDoubt
                && message.reason == Some(MessageReason::Interrupted)
                && message.launch.as_ref() == Some(&launch.id)
        });
        let Some(message) = interrupted else { return Ok(()) };
        let Ok(look) = self.ports.terminal.look(handle).await else { return Ok(()) };
        let agent = self.agent_of(&loaded);
        let can_confirm = launch.traits.signals.has_submit();
        let is_ours = match agent.and_then(|agent| agent.read_screen(&look)) {
            Some(reading) => {
                matches!(reading.composer, Composer::Holds(_))
                    && enter_turn(&look, Some(&reading), &message.text) == EnterTurn::Press
            }
            // An agent that confirms has screens that can be read, and this one may be a dialog.
            None => !can_confirm && stands_before_the_cursor(&look, &message.text),
        };
        if !is_ours || !matches!(self.standing(message).await?, Standing::Clear) {
            return Ok(());
        }
        let place = Place { session: &loaded, handle, traits: launch.traits };
        if self.ports.terminal.press(handle, "Enter").await.is_err() {
            return Ok(());
        }
        let reason = (!can_confirm).then_some(MessageReason::CannotConfirm);
        let is_moved = self.move_message(message, MessageState::Typed, reason).await?;
        if is_moved && can_confirm {
            self.see_it_taken(message, &place).await?;
        }
        Ok(())
    }
}
