//! Messages to agents, and their receipts.

use crate::closed::closed_enum;
use crate::ids::{CauseKey, IdempotencyKey, LaunchId, MessageId, SessionId};
use crate::ledger::IncidentKey;
use crate::time::Moment;

closed_enum! {
    /// Who a message is from; humans go first.
    pub enum Lane {
        /// A person.
        Human = "human",
        /// A reaction.
        Automatic = "automatic",
    }
}

closed_enum! {
    /// How far a message got.
    pub enum MessageState {
        /// Waits for its turn, or is held with the reason shown.
        Queued = "queued",
        /// Being put into the terminal; a crash here leaves it in doubt.
        Typing = "typing",
        /// In the terminal, Enter pressed.
        Typed = "typed",
        /// The agent said that it took it in.
        Submitted = "submitted",
        /// Its turn began.
        Acknowledged = "acknowledged",
        /// It could not be typed at all.
        Refused = "refused",
        /// It waited too long.
        Expired = "expired",
        /// Its condition no longer holds, or a newer one took its place.
        Superseded = "superseded",
        /// Its sender took it back, or its session ended.
        Cancelled = "cancelled",
        /// Nobody can tell whether it arrived.
        InDoubt = "in_doubt",
    }
}

impl MessageState {
    /// Whether nothing more is done about it. `Typed` is final only for agents without a submit
    /// signal, `InDoubt` until evidence resolves it.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Acknowledged
                | Self::Refused
                | Self::Expired
                | Self::Superseded
                | Self::Cancelled
                | Self::InDoubt
        )
    }

    /// Whether a message that ends like this certainly never reached its agent, though what it was
    /// about may hold on: a reaction gets the attempt back.
    ///
    /// One in doubt may have arrived, and keeps its attempt: the text is never typed twice. One that
    /// was superseded or cancelled had nothing more to say, or nobody to say it to.
    pub const fn is_failed_send(self) -> bool {
        match self {
            Self::Refused | Self::Expired => true,
            Self::Queued
            | Self::Typing
            | Self::Typed
            | Self::Submitted
            | Self::Acknowledged
            | Self::Superseded
            | Self::Cancelled
            | Self::InDoubt => false,
        }
    }

    /// Whether nothing more is done about a message in this state for this reason: the reason tells
    /// where `Typed` is final.
    pub const fn is_final_with(self, reason: Option<MessageReason>) -> bool {
        self.is_final()
            || (matches!(self, Self::Typed) && matches!(reason, Some(MessageReason::CannotConfirm)))
    }
}

closed_enum! {
    /// Why a message is where it is.
    pub enum MessageReason {
        /// A dialog is open.
        Blocked = "blocked",
        /// The pane is in copy mode.
        CopyMode = "copy_mode",
        /// The agent asked a human; automatic messages wait.
        WaitingInput = "waiting_input",
        /// A human is attached and typing.
        HumanTyping = "human_typing",
        /// The composer is not empty.
        ComposerBusy = "composer_busy",
        /// A usage limit pauses the agent.
        Paused = "paused",
        /// The session has not started yet.
        NotStarted = "not_started",
        /// A look could not tell whether typing is safe.
        CannotTell = "cannot_tell",
        /// An earlier message is unfinished.
        Behind = "behind",
        /// The session ended.
        SessionEnded = "session_ended",
        /// A newer message of the same incident took its place.
        Newer = "newer",
        /// The condition that caused it is over.
        ConditionOver = "condition_over",
        /// The runtime refused the text.
        RuntimeRefused = "runtime_refused",
        /// The daemon went away between typing and evidence.
        Interrupted = "interrupted",
        /// The agent cannot confirm; the receipt ends here.
        CannotConfirm = "cannot_confirm",
        /// It left the composer, and nothing told that the agent took it in.
        NoEvidence = "no_evidence",
        /// Its sender took it back.
        TakenBack = "taken_back",
    }
}

/// Largest message in bytes: the largest paste that was measured to arrive exactly.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// A message with its receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// The session that it is for.
    pub session: SessionId,
    /// Who it is from.
    pub lane: Lane,
    /// What will be typed: printable characters, newline and tab only.
    pub text: String,
    /// How many characters were taken out of what was sent.
    pub n_stripped: u64,
    /// How far it got.
    pub state: MessageState,
    /// Why it is there.
    pub reason: Option<MessageReason>,
    /// The launch that it was typed into.
    pub launch: Option<LaunchId>,
    /// What the sender said to recognise a repetition.
    pub idempotency_key: Option<IdempotencyKey>,
    /// What it reacts to.
    pub origin: Option<MessageOrigin>,
    /// When it was queued.
    pub created_at: Moment,
    /// When it began to be typed: what the agent took in before that was something else.
    pub typing_at: Option<Moment>,
    /// When its state last changed.
    pub updated_at: Moment,
}

impl Message {
    /// Whether nothing more is done about it: its state is final, or it was typed at an agent that
    /// cannot confirm.
    pub const fn is_final(&self) -> bool {
        self.state.is_final_with(self.reason)
    }
}

/// The incident that an automatic message belongs to; it is typed only while that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageOrigin {
    /// The incident.
    pub incident: IncidentKey,
    /// Which one of its kind.
    pub episode: u64,
    /// The causes that it tells.
    pub causes: Vec<CauseKey>,
}

/// A change of one message, valid only from the state that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a commit holds one or two, and not for long")]
pub enum MessageChange {
    /// Queues a new one; a repeated id or idempotency key changes nothing.
    Queue(Message),
    /// Moves one on.
    Move {
        /// Which one.
        id: MessageId,
        /// The state that was read.
        from: MessageState,
        /// The new state.
        to: MessageState,
        /// Why.
        reason: Option<MessageReason>,
        /// The launch that it was typed into, when that is now known.
        launch: Option<LaunchId>,
        /// When.
        at: Moment,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_given_back_for_what_certainly_did_not_arrive() {
        let failed = MessageState::ALL.iter().filter(|state| state.is_failed_send());
        assert_eq!(failed.collect::<Vec<_>>(), [&MessageState::Refused, &MessageState::Expired]);
    }

    #[test]
    fn a_message_is_done_with_when_nothing_more_can_be_learnt_of_it() {
        use MessageState::{
            Acknowledged, Cancelled, Expired, InDoubt, Queued, Refused, Submitted, Superseded,
            Typed, Typing,
        };
        for (state, expect) in [
            (Queued, false),
            (Typing, false),
            (Typed, false),
            (Submitted, false),
            (Acknowledged, true),
            (Refused, true),
            (Expired, true),
            (Superseded, true),
            (Cancelled, true),
            (InDoubt, true),
        ] {
            assert_eq!(state.is_final_with(None), expect, "{state}");
            let is_final = state.is_final_with(Some(MessageReason::CannotConfirm));
            assert_eq!(is_final, expect || state == Typed, "{state}");
            assert_eq!(state.is_final_with(Some(MessageReason::Behind)), expect, "{state}");
        }
    }

    #[test]
    fn a_message_may_hold_a_mebibyte() {
        assert_eq!(MESSAGE_BYTES_MAX, 1 << 20);
    }
}
