//! Which message of a session is next, and whether it may be typed now.
//!
//! # Common pitfalls
//!
//! A message that was typed and is not confirmed yet keeps the next one waiting: two texts in one
//! composer are one text. One that the agent took in does not: it stands in the conversation.

mod put_in;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ao_core::decide::typing::paste_hold;
use ao_core::ids::{MessageId, SessionId};
use ao_core::message::{Lane, Message, MessageChange, MessageReason, MessageState};
use ao_core::ports::{Agent, Commit, Expected, StoreError};
use ao_core::record::{ActivityState, Lifecycle, SessionState};
use ao_core::session::{RuntimeHandle, Session};
use ao_core::time::Moment;

use crate::messenger::Messenger;
use crate::receipts::is_unconfirmed;

/// Pause between two looks at a terminal that shows something against typing.
const HELD_PAUSE: Duration = Duration::from_millis(500);

/// Looks in a row for which a held message is waited with; after that each pass looks once, until
/// the message is held by something else.
const HELD_LOOKS_MAX: u32 = 20;

/// How long an agent may rest, typed text gone from its composer, before nothing is expected to be
/// heard of it any more: hooks come within a second, and what spools within a few.
const NO_EVIDENCE_AFTER: Duration = Duration::from_secs(30);

/// What is to be done with the next message.
enum Turn {
    /// It may be typed now.
    Type(Box<RuntimeHandle>),
    /// Not now.
    Hold(MessageReason),
    /// Not now, because of what the terminal shows: it may show something else soon.
    HoldByLook(MessageReason),
    /// Never.
    Drop(MessageState, MessageReason),
}

/// How often in a row a look held the next message of each session, and by what: it outlasts the
/// delivery, or each pass would begin a row of its own.
#[derive(Clone, Default)]
pub(crate) struct Held {
    looks: Arc<Mutex<Looks>>,
}

type Looks = BTreeMap<SessionId, (MessageId, MessageReason, u32)>;

impl Held {
    fn lock(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more look that held this message for this reason.
    fn again(&self, message: &Message, reason: MessageReason) -> u32 {
        let mut looks = self.lock();
        let n_before = match looks.get(&message.session) {
            Some((id, because, n)) if *id == message.id && *because == reason => *n,
            Some(_) | None => 0,
        };
        let n_looks = n_before.saturating_add(1);
        looks.insert(message.session.clone(), (message.id.clone(), reason, n_looks));
        n_looks
    }

    fn end(&self, session: &SessionId) {
        self.lock().remove(session);
    }
}

impl Messenger {
    /// Delivers the queued messages of a session until one has to wait; says how many it moved.
    pub(crate) async fn deliver_all(&self, session: &SessionId) -> Result<usize, StoreError> {
        // One delivery at a time works on a session, so what is being typed as this one begins was
        // left by one that lost the store half-way.
        let mut n_moved = self.settle_in_doubt(|id| id == session).await?;
        self.finish_interrupted(session).await?;
        while !self.is_stopping() {
            let Some(loaded) = self.ports.sessions.get(session).await? else {
                self.held.end(session);
                break;
            };
            let mut messages = self.ports.messages.unfinished().await?;
            messages.retain(|message| message.session == *session);
            if let Some(typed) = messages.iter().find(|message| is_unconfirmed(message)) {
                let Some(reason) = self.hopeless(&loaded.lifecycle, typed) else {
                    if let Some(next) = next_of(&messages) {
                        self.hold(next, MessageReason::Behind).await?;
                    }
                    break;
                };
                let is_moved =
                    self.drop_message(&loaded, typed, MessageState::InDoubt, reason).await?;
                n_moved = n_moved.saturating_add(usize::from(is_moved));
                continue;
            }
            let Some(message) = next_of(&messages) else { break };
            let turn = if is_outdone(message, &messages) {
                Turn::Drop(MessageState::Superseded, MessageReason::Newer)
            } else {
                self.turn_of(&loaded, message).await
            };
            let is_moved = match turn {
                Turn::Hold(reason) => {
                    self.held.end(session);
                    self.hold(message, reason).await?;
                    break;
                }
                Turn::HoldByLook(reason) => {
                    self.hold(message, reason).await?;
                    if self.held.again(message, reason) >= HELD_LOOKS_MAX
                        || self.rest(HELD_PAUSE).await
                    {
                        break;
                    }
                    continue;
                }
                Turn::Drop(to, reason) => self.drop_message(&loaded, message, to, reason).await?,
                Turn::Type(handle) => self.type_message(&loaded, message, &handle).await?,
            };
            if !is_moved {
                // Somebody wrote the session or the message meanwhile: read both again.
                continue;
            }
            self.held.end(session);
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

    /// Shows that the next message waits behind one that is being typed: who types that one may wait
    /// for a dialog to go, and looks at no other meanwhile.
    pub(crate) async fn show_behind(&self, unfinished: &[Message]) -> Result<(), StoreError> {
        for typing in unfinished.iter().filter(|it| it.state == MessageState::Typing) {
            let of_session = unfinished.iter().filter(|it| it.session == typing.session);
            let queued = of_session.filter(|it| it.state == MessageState::Queued);
            let next = queued.min_by_key(|it| it.lane == Lane::Automatic);
            if let Some(next) = next.filter(|next| next.reason.is_none()) {
                self.hold(next, MessageReason::Behind).await?;
            }
        }
        Ok(())
    }

    /// Waits; `true` when the engine stops.
    pub(super) async fn rest(&self, duration: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.wake.stopped() => true,
            () = self.ports.clock.sleep(duration) => false,
        }
    }

    pub(super) fn agent_of(&self, session: &Session) -> Option<&dyn Agent> {
        self.ports.agents.get(&session.record.agent).map(AsRef::as_ref)
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
        let (Some(handle), Some(_)) = (&session.record.handle, &lifecycle.launch) else {
            return Turn::Hold(MessageReason::NotStarted);
        };
        let Ok(look) = self.ports.terminal.look(handle).await else {
            return Turn::Hold(MessageReason::CannotTell);
        };
        let reading = self.agent_of(session).and_then(|agent| agent.read_screen(&look));
        paste_hold(&look, reading.as_ref(), message.lane)
            .map_or_else(|| Turn::Type(Box::new(handle.clone())), Turn::HoldByLook)
    }

    /// Why nothing will be heard of a message that was typed; `None` while something may be.
    fn hopeless(&self, lifecycle: &Lifecycle, typed: &Message) -> Option<MessageReason> {
        if lifecycle.is_terminal() {
            return Some(MessageReason::SessionEnded);
        }
        let launch = lifecycle.launch.as_ref().map(|launch| &launch.id);
        if launch != typed.launch.as_ref() {
            return Some(MessageReason::SessionEnded);
        }
        let rested_since = resting_since(lifecycle)?;
        let now = self.ports.clock.now();
        let since =
            if rested_since.is_after(&typed.updated_at) { rested_since } else { typed.updated_at };
        (now.awake_since(&since) >= NO_EVIDENCE_AFTER).then_some(MessageReason::NoEvidence)
    }

    /// Gives a message up, on the revision that its turn was decided on: what it is about may have
    /// begun since, and then it is wanted.
    async fn drop_message(
        &self,
        session: &Session,
        message: &Message,
        to: MessageState,
        reason: MessageReason,
    ) -> Result<bool, StoreError> {
        let at = self.ports.clock.now();
        let (id, from, reason) = (message.id.clone(), message.state, Some(reason));
        let change = MessageChange::Move { id, from, to, reason, launch: None, at };
        self.move_on(session, change).await
    }

    /// Moves a message on this revision of its session; `false` when something was written since.
    async fn move_on(&self, session: &Session, change: MessageChange) -> Result<bool, StoreError> {
        let at = self.ports.clock.now();
        let expected = Expected::Revision(session.lifecycle.revision);
        let mut commit = Commit::on(session.record.id.clone(), expected, at);
        commit.messages = vec![change];
        match self.ports.sessions.commit(commit).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Moves a message to `typing`, on the revision that the turn was decided on: a fact since then
    /// decides again. It is on disk before the first byte is typed.
    pub(super) async fn begin_typing(
        &self,
        session: &Session,
        message: &Message,
    ) -> Result<Option<Message>, StoreError> {
        let at = self.ports.clock.now();
        let launch = session.lifecycle.launch.as_ref().map(|launch| launch.id.clone());
        let is_moved = self
            .move_on(
                session,
                MessageChange::Move {
                    id: message.id.clone(),
                    from: MessageState::Queued,
                    to: MessageState::Typing,
                    reason: None,
                    launch: launch.clone(),
                    at,
                },
            )
            .await?;
        if !is_moved {
            return Ok(None);
        }
        let state = MessageState::Typing;
        let typing =
            Message { state, reason: None, launch, typing_at: Some(at), ..message.clone() };
        Ok(Some(typing))
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

/// Since when an agent has been at rest; `None` while it may still take in what it was told.
fn resting_since(lifecycle: &Lifecycle) -> Option<Moment> {
    let activity = lifecycle.activity?;
    match activity.state {
        ActivityState::Idle | ActivityState::Ready | ActivityState::WaitingInput => {
            Some(activity.at)
        }
        ActivityState::Active | ActivityState::Blocked | ActivityState::Exited => None,
    }
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
