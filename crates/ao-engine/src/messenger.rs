//! The messenger: takes messages in, and has them typed one at a time per session.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ao_core::fact::{Fact, FactKind};
use ao_core::ids::{IdempotencyKey, SessionId};
use ao_core::message::{
    Lane, MESSAGE_BYTES_MAX, Message, MessageChange, MessageReason, MessageState,
};
use ao_core::ports::{Commit, ErrorKind, Expected, StoreError};

use crate::deliver::Held;
use crate::lifecycle::{CONFLICTS_MAX, LifecycleManager, ObserveError};
use crate::ports::EnginePorts;
use crate::receipts::is_unconfirmed;
use crate::text::sanitize;
use crate::wake::Wake;

/// A message of a person.
#[derive(Debug, Clone)]
pub struct SendRequest {
    /// The session that it is for.
    pub session: SessionId,
    /// What is said.
    pub text: String,
    /// Recognises a repeated request.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// Why a message was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no such session.
    #[error("there is no session `{session}`")]
    NoSession {
        /// Its id.
        session: SessionId,
    },
    /// The session ended.
    #[error("session `{session}` has ended")]
    Ended {
        /// Its id.
        session: SessionId,
    },
    /// Nothing printable is in it.
    #[error("the message is empty")]
    Empty,
    /// It is too large.
    #[error("the message has {n_bytes} bytes; at most {} are taken", MESSAGE_BYTES_MAX)]
    TooLarge {
        /// Its size.
        n_bytes: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SendError {
    /// The stable code of SURFACES.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoSession { .. } => "NO_SESSION",
            Self::Ended { .. } => "SESSION_ENDED",
            Self::Empty => "MESSAGE_EMPTY",
            Self::TooLarge { .. } => "MESSAGE_TOO_LARGE",
            Self::Store(_) => "STORE_FAILED",
        }
    }

    /// What this error asks of its reader.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSession { .. } => ErrorKind::NotFound,
            Self::Ended { .. } => ErrorKind::Conflict,
            Self::Empty | Self::TooLarge { .. } => ErrorKind::User,
            Self::Store(error) => error.kind(),
        }
    }
}

impl From<ObserveError> for SendError {
    fn from(error: ObserveError) -> Self {
        match error {
            ObserveError::NoSession { session } => Self::NoSession { session },
            ObserveError::Store(error) => Self::Store(error),
        }
    }
}

/// Takes messages in and delivers them.
#[derive(Clone)]
pub struct Messenger {
    pub(crate) ports: EnginePorts,
    pub(crate) lifecycle: LifecycleManager,
    pub(crate) wake: Wake,
    busy: BusySet,
    interrupted: Arc<Mutex<BTreeSet<SessionId>>>,
    pub(crate) held: Held,
}

/// Sessions being typed at, each with whether something was queued since.
type BusySet = Arc<Mutex<BTreeMap<SessionId, bool>>>;

/// Takes a session off the list of those being typed at, also when its task is dropped.
struct Busy {
    session: SessionId,
    busy: BusySet,
    wake: Wake,
    /// It is off the list, and what stands there now is of another delivery.
    is_released: bool,
}

impl Busy {
    /// Ends the delivery, unless something was queued since it began.
    ///
    /// The delivery itself looks again: were everybody woken for it, two sessions that hold
    /// messages up would begin each other's deliveries for ever.
    fn release(&mut self) -> bool {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(is_asked_again @ true) = busy.get_mut(&self.session) {
            *is_asked_again = false;
            return false;
        }
        busy.remove(&self.session);
        self.is_released = true;
        true
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.is_released {
            return;
        }
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if busy.remove(&self.session) == Some(true) {
            self.wake.messenger.notify_one();
        }
    }
}

impl Messenger {
    pub(crate) fn new(ports: EnginePorts, lifecycle: LifecycleManager, wake: Wake) -> Self {
        let (busy, interrupted) = (Arc::default(), Arc::default());
        Self { ports, lifecycle, wake, busy, interrupted, held: Held::default() }
    }

    /// Queues a message. It is durable when this returns; a repeated key returns the first one.
    pub async fn send(&self, request: SendRequest) -> Result<Message, SendError> {
        let sanitized = sanitize(&request.text);
        if sanitized.text.is_empty() {
            return Err(SendError::Empty);
        }
        if sanitized.text.len() > MESSAGE_BYTES_MAX {
            return Err(SendError::TooLarge { n_bytes: sanitized.text.len() });
        }
        let session = &request.session;
        let mut last = None;
        for _ in 0..CONFLICTS_MAX {
            if let Some(key) = &request.idempotency_key
                && let Some(message) = self.ports.messages.message_by_key(session, key).await?
            {
                return Ok(message);
            }
            let loaded = self.lifecycle.load(session).await?;
            if loaded.session.lifecycle.is_terminal() {
                return Err(SendError::Ended { session: session.clone() });
            }
            let now = self.ports.clock.now();
            let message = Message {
                id: self.lifecycle.message_id(),
                session: session.clone(),
                lane: Lane::Human,
                text: sanitized.text.clone(),
                n_stripped: sanitized.n_stripped,
                state: MessageState::Queued,
                reason: None,
                launch: None,
                idempotency_key: request.idempotency_key.clone(),
                origin: None,
                created_at: now,
                typing_at: None,
                updated_at: now,
            };
            let expected = Expected::Revision(loaded.session.lifecycle.revision);
            let mut commit = Commit::on(session.clone(), expected, now);
            commit.messages = vec![MessageChange::Queue(message.clone())];
            match self.lifecycle.commit(commit).await {
                Ok(()) if request.idempotency_key.is_none() => return Ok(message),
                // A concurrent send with the same key may have won: the loop reads which one did.
                Ok(()) => {}
                Err(error @ StoreError::Conflict { .. }) => last = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(last
            .map_or_else(|| SendError::NoSession { session: session.clone() }, SendError::Store))
    }

    /// Delivers until the engine stops.
    pub(crate) async fn run(self) {
        loop {
            tokio::select! {
                biased;
                () = self.wake.stopped() => return,
                () = self.wake.messenger.notified() => {}
            }
            match self.ports.messages.unfinished().await {
                Ok(unfinished) => {
                    self.start_all(&unfinished);
                    if let Err(error) = self.show_behind(&unfinished).await {
                        tracing::error!(%error, "What a message waits for waits for the store.");
                    }
                }
                Err(error) => tracing::error!(%error, "Messages wait for the store."),
            }
        }
    }

    /// Starts one delivery for each session that has something to deliver.
    fn start_all(&self, unfinished: &[Message]) {
        let is_to_do = |message: &&Message| {
            matches!(message.state, MessageState::Queued | MessageState::Typing)
                || is_unconfirmed(message)
        };
        let mut sessions: BTreeSet<SessionId> =
            unfinished.iter().filter(is_to_do).map(|message| message.session.clone()).collect();
        sessions.extend(self.interrupted().iter().cloned());
        for session in &sessions {
            if !self.claim(session) {
                continue;
            }
            let mut guard = Busy {
                session: session.clone(),
                busy: Arc::clone(&self.busy),
                wake: self.wake.clone(),
                is_released: false,
            };
            let this = self.clone();
            self.ports.tasks.spawn(
                "delivery",
                Box::pin(async move {
                    loop {
                        if let Err(error) = this.deliver_all(&guard.session).await {
                            let session = &guard.session;
                            tracing::error!(%session, %error, "A delivery waits for the store.");
                        }
                        if guard.release() {
                            return;
                        }
                    }
                }),
            );
        }
    }

    /// Claims a session for one delivery; one that is claimed already is asked to look again.
    fn claim(&self, session: &SessionId) -> bool {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let is_claimed = busy.contains_key(session);
        busy.insert(session.clone(), is_claimed);
        !is_claimed
    }

    /// What was being typed when the daemon went away, or when a delivery lost the store, is in
    /// doubt: nobody can tell whether it arrived, and it is never typed twice.
    ///
    /// *Assumptions*: nobody is typing at these sessions now.
    pub(crate) async fn settle_in_doubt(
        &self,
        is_of: impl Fn(&SessionId) -> bool,
    ) -> Result<usize, StoreError> {
        let unfinished = self.ports.messages.unfinished().await?;
        let interrupted = unfinished
            .into_iter()
            .filter(|message| message.state == MessageState::Typing && is_of(&message.session));
        let mut n_settled = 0_usize;
        for message in interrupted {
            self.interrupted().insert(message.session.clone());
            self.move_message(&message, MessageState::InDoubt, Some(MessageReason::Interrupted))
                .await?;
            n_settled = n_settled.saturating_add(1);
        }
        Ok(n_settled)
    }

    /// Moves a message on from the state that was read; says whether it still was in it.
    ///
    /// A message of a reaction that certainly did not arrive gives its attempt back in the same
    /// transaction: no crash comes between the two.
    pub(crate) async fn move_message(
        &self,
        message: &Message,
        to: MessageState,
        reason: Option<MessageReason>,
    ) -> Result<bool, StoreError> {
        for _ in 0..CONFLICTS_MAX {
            let Some(loaded) = self.ports.sessions.load(&message.session).await? else {
                return Ok(false);
            };
            let at = self.ports.clock.now();
            let failed = message.origin.as_ref().filter(|_| to.is_failed_send());
            let mut commit = if let Some(origin) = failed {
                let fact = Fact { at, kind: FactKind::SendFailed(origin.clone()) };
                self.lifecycle.commit_of(&loaded, &fact, at)
            } else {
                let expected = Expected::Revision(loaded.session.lifecycle.revision);
                Commit::on(message.session.clone(), expected, at)
            };
            commit.messages.push(MessageChange::Move {
                id: message.id.clone(),
                from: message.state,
                to,
                reason,
                launch: None,
                at,
            });
            match self.ports.sessions.commit(commit).await {
                Ok(_) => return Ok(true),
                Err(StoreError::NotFound { .. }) => return Ok(false),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn interrupted(&self) -> MutexGuard<'_, BTreeSet<SessionId>> {
        self.interrupted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether typing at this session was interrupted, and nobody has looked at what it left since.
    pub(crate) fn take_interrupted(&self, session: &SessionId) -> bool {
        self.interrupted().remove(session)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.wake.is_stopping()
    }
}
