//! Every message: begun at most once, in a legal order, at most one of a session unfinished.

use ao_core::ids::{MessageId, SessionId};
use ao_core::message::{Message, MessageChange, MessageReason, MessageState};
use ao_core::ports::Commit;
use ao_core::session::Session;
use ao_core::step::MessageOrder;

use super::Seen;

impl Seen {
    pub(super) fn note_messages(&mut self, commit: &Commit) {
        let mut fresh: Vec<MessageId> = Vec::new();
        for change in &commit.messages {
            match change {
                MessageChange::Queue(message) => {
                    fresh.push(message.id.clone());
                    self.queued(message);
                }
                MessageChange::Move { id, from, to, reason, launch: _, at: _ } => {
                    self.moved(&commit.session, id, (*from, *to), *reason);
                }
            }
        }
        for order in &commit.message_orders {
            let (state, reason, incident) = match order {
                MessageOrder::CancelAll => {
                    (MessageState::Cancelled, MessageReason::SessionEnded, None)
                }
                MessageOrder::SupersedeIncident(incident) => {
                    let over = MessageReason::ConditionOver;
                    (MessageState::Superseded, over, Some(*incident))
                }
            };
            let concerned: Vec<MessageId> = (self.messages.values())
                .filter(|it| it.session == commit.session && it.state == MessageState::Queued)
                .filter(|it| !fresh.contains(&it.id))
                .filter(|it| {
                    let of = it.origin.as_ref().map(|origin| origin.incident);
                    incident.is_none() || of == incident
                })
                .map(|it| it.id.clone())
                .collect();
            for id in concerned {
                let change = (MessageState::Queued, state);
                self.moved(&commit.session, &id, change, Some(reason));
            }
        }
    }

    fn queued(&mut self, message: &Message) {
        let is_repeated = self.messages.values().any(|known| {
            known.id == message.id
                || known.session == message.session
                    && message.idempotency_key.is_some()
                    && known.idempotency_key == message.idempotency_key
        });
        if !is_repeated {
            self.occurred.insert(format!("message:{}", message.state));
            self.messages.insert(message.id.clone(), message.clone());
        }
    }

    fn moved(
        &mut self,
        session: &SessionId,
        id: &MessageId,
        (from, to): (MessageState, MessageState),
        reason: Option<MessageReason>,
    ) {
        self.occurred.insert(format!("message:{to}"));
        let n_pastes = self.n_pastes.get(id).copied().unwrap_or(0);
        let Some(message) = self.messages.get_mut(id) else {
            self.violate(format!("{session}: message {id} moved and was never queued"));
            return;
        };
        let was = (message.state, message.reason);
        (message.state, message.reason) = (to, reason);
        self.history.push(format!("    {session} message {id} {from} → {to} {reason:?}"));
        if was.0 != from {
            self.violate(format!("{session}: message {id} moved from {from} and was {}", was.0));
        }
        if !is_legal(from, to) {
            self.violate(format!("{session}: message {id} went from {from} to {to}"));
        }
        let is_receipt = matches!(to, MessageState::Submitted | MessageState::Acknowledged);
        if is_receipt && n_pastes == 0 {
            self.violate(format!("{session}: message {id} is {to} and was never typed"));
        }
        self.check_dropped(session, id, (to, reason));
        if from == MessageState::Queued && to == MessageState::Typing {
            if n_pastes > 0 {
                self.violate(format!("{session}: message {id} is typed again"));
            }
            let others = self.messages.values().filter(|it| {
                it.session == *session
                    && it.id != *id
                    && matches!(it.state, MessageState::Typing | MessageState::Typed)
                    && !it.is_final()
            });
            let unfinished: Vec<String> =
                others.map(|it| format!("{} {}", it.id, it.state)).collect();
            if !unfinished.is_empty() {
                self.violate(format!("{session}: {id} begun beside {}", unfinished.join(", ")));
            }
        }
    }
}

impl Seen {
    /// A message that is given up has a reason that is true.
    fn check_dropped(
        &mut self,
        session: &SessionId,
        id: &MessageId,
        (to, reason): (MessageState, Option<MessageReason>),
    ) {
        let Some(message) = self.messages.get(id) else { return };
        let holds = |session: &Session| {
            let Some(origin) = &message.origin else { return true };
            let open = session.ledger.open.get(&origin.incident);
            open.is_some_and(|open| open.episode == origin.episode)
        };
        let of = self.sessions.get(session);
        let is_wrong = match (to, reason) {
            (MessageState::Superseded, Some(MessageReason::ConditionOver)) => of.is_some_and(holds),
            (MessageState::Superseded, Some(MessageReason::Newer)) => {
                let incident = message.origin.as_ref().map(|origin| origin.incident);
                let is_newer = |it: &&Message| {
                    it.id != *id
                        && it.session == *session
                        && it.state == MessageState::Queued
                        && it.origin.as_ref().map(|origin| origin.incident) == incident
                };
                incident.is_none() || !self.messages.values().any(|it| is_newer(&it))
            }
            (MessageState::Cancelled, Some(MessageReason::SessionEnded)) => {
                of.is_some_and(|session| !session.lifecycle.is_terminal())
            }
            (MessageState::Superseded | MessageState::Cancelled, _) => true,
            _ => false,
        };
        if is_wrong {
            self.violate(format!("{session}: message {id} is {to} {reason:?}, which is not so"));
        }
    }
}

const fn is_legal(from: MessageState, to: MessageState) -> bool {
    match from {
        MessageState::Queued => !matches!(
            to,
            MessageState::Typed | MessageState::Submitted | MessageState::Acknowledged
        ),
        MessageState::Typing => !matches!(to, MessageState::Queued | MessageState::Expired),
        MessageState::Typed | MessageState::InDoubt => matches!(
            to,
            MessageState::Typed
                | MessageState::Submitted
                | MessageState::Acknowledged
                | MessageState::InDoubt
        ),
        MessageState::Submitted => matches!(to, MessageState::Acknowledged),
        MessageState::Acknowledged
        | MessageState::Refused
        | MessageState::Expired
        | MessageState::Superseded
        | MessageState::Cancelled => false,
    }
}
