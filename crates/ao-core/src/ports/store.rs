//! What is kept, and how it is written: one value per transaction.

use super::{BoxFuture, Ensured, ErrorKind};
use crate::deadline::{Deadline, DeadlineChange};
use crate::event::Changes;
use crate::ids::{
    EffectId, FactId, IdempotencyKey, InfraIncidentId, MessageId, ProjectId, Revision, SessionId,
};
use crate::inbox::{InboxItem, Notification};
use crate::journal::{JournalEntry, JournalRecord};
use crate::message::{Message, MessageChange};
use crate::outbox::{Effect, OutboxEntry, OutboxOutcome};
use crate::project::Project;
use crate::saga::{Saga, SagaChange};
use crate::session::Session;
use crate::step::MessageOrder;
use crate::time::Moment;

/// Why the store did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The session was written since it was read: read it again and decide again.
    #[error("session `{session}` is at revision {found}, not {expected}")]
    Conflict {
        /// The session.
        session: SessionId,
        /// What the writer had read.
        expected: Revision,
        /// What it is.
        found: Revision,
    },
    /// Something with this name, or a saga of this session, exists already.
    #[error("{what} exists already")]
    Exists {
        /// What.
        what: String,
    },
    /// A request with this idempotency key was taken in before.
    #[error("this request already made session `{session}`")]
    KeyTaken {
        /// What it made.
        session: SessionId,
    },
    /// The fact was taken in before.
    #[error("fact `{fact}` was taken in before")]
    FactSeen {
        /// The fact.
        fact: FactId,
    },
    /// There is no such thing, or it is not in the state that was read.
    #[error("there is no {what}")]
    NotFound {
        /// What.
        what: String,
    },
    /// A row that was read is not what this version writes.
    #[error("the database holds something unreadable: {message}")]
    Corrupt {
        /// What.
        message: String,
    },
    /// It cannot be written or read now (disk full, locked, closed). Nothing was written.
    #[error("the database does not answer: {message}")]
    Unavailable {
        /// What went wrong.
        message: String,
    },
}

impl StoreError {
    /// What this error asks of its reader.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Conflict { .. }
            | Self::Exists { .. }
            | Self::KeyTaken { .. }
            | Self::FactSeen { .. } => ErrorKind::Conflict,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Corrupt { .. } => ErrorKind::Bug,
            Self::Unavailable { .. } => ErrorKind::Unavailable,
        }
    }
}

/// What the writer has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expected {
    /// There is no such session yet.
    Absent,
    /// It is at this revision.
    Revision(Revision),
}

/// Everything that is written together, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The session.
    pub session: SessionId,
    /// What was read.
    pub expected: Expected,
    /// When it was decided.
    pub at: Moment,
    /// The session after it. The store writes it under the next revision, whatever revision it
    /// carries. `None` leaves session and revision as they are (the expectation is still checked).
    pub next: Option<Session>,
    /// The saga.
    pub saga: Option<SagaChange>,
    /// Deadlines.
    pub deadlines: Vec<DeadlineChange>,
    /// New messages, and moves of old ones. A move from another state than the message has fails
    /// the whole commit with `NotFound`.
    pub messages: Vec<MessageChange>,
    /// What becomes of the messages that are still queued after the moves in `messages`. Those that
    /// this very commit queues are not touched: they are the answer to what it ends.
    pub message_orders: Vec<MessageOrder>,
    /// Planned effects; an id that was planned before changes nothing.
    pub effects: Vec<Effect>,
    /// What is said about it in the journal.
    pub journal: Option<JournalEntry>,
    /// Recognises a repeated request (for a commit that seeds).
    pub idempotency_key: Option<IdempotencyKey>,
    /// Recognises a repeated fact.
    pub fact: Option<FactId>,
}

impl Commit {
    /// A commit that writes nothing yet.
    pub const fn on(session: SessionId, expected: Expected, at: Moment) -> Self {
        Self {
            session,
            expected,
            at,
            next: None,
            saga: None,
            deadlines: Vec::new(),
            messages: Vec::new(),
            message_orders: Vec::new(),
            effects: Vec::new(),
            journal: None,
            idempotency_key: None,
            fact: None,
        }
    }

    /// The first session that something in it belongs to and that is not its own. Such a commit is
    /// refused with `NotFound`.
    pub fn stray(&self) -> Option<&SessionId> {
        let next = self.next.iter().map(|session| &session.record.id);
        let saga = self.saga.iter().filter_map(|change| match change {
            SagaChange::Begin(saga) | SagaChange::Put(saga) => Some(&saga.session),
            SagaChange::End => None,
        });
        let messages = self.messages.iter().filter_map(|change| match change {
            MessageChange::Queue(message) => Some(&message.session),
            MessageChange::Move { .. } => None,
        });
        next.chain(saga).chain(messages).find(|id| **id != self.session)
    }
}

/// A session with what is in flight for it, read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The session.
    pub session: Session,
    /// Its saga.
    pub saga: Option<Saga>,
}

/// Which sessions to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionFilter {
    /// Only of this project.
    pub project: Option<ProjectId>,
    /// Also terminal ones.
    pub with_terminal: bool,
}

/// Sessions, written under their revision.
pub trait SessionStore: Send + Sync {
    /// Reads a session.
    fn get<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Option<Session>, StoreError>>;

    /// Reads a session with its saga, to decide on.
    fn load<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Option<Loaded>, StoreError>>;

    /// Lists sessions in the order in which they were made.
    fn list<'a>(
        &'a self,
        filter: &'a SessionFilter,
    ) -> BoxFuture<'a, Result<Vec<Session>, StoreError>>;

    /// Writes everything in the commit, or nothing. Returns after the sync, with the revision that
    /// the session then has.
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Revision, StoreError>>;

    /// The session that an idempotency key made.
    fn find_by_key<'a>(
        &'a self,
        key: &'a IdempotencyKey,
    ) -> BoxFuture<'a, Result<Option<SessionId>, StoreError>>;

    /// The last `n_max` journal entries of a session, oldest first.
    fn journal<'a>(
        &'a self,
        id: &'a SessionId,
        n_max: usize,
    ) -> BoxFuture<'a, Result<Vec<JournalRecord>, StoreError>>;

    /// The oldest state that the kept journal of a session leads on from, and the position of the
    /// entry that made it: a replay begins there, with the entries after it. `None` before the first
    /// entry.
    fn journal_base<'a>(
        &'a self,
        id: &'a SessionId,
    ) -> BoxFuture<'a, Result<Option<(u64, Session)>, StoreError>>;

    /// Removes a terminal session's record and everything that hangs on it; one that is not terminal
    /// is `NotFound`. Its id and its idempotency key stay used, effects still pending are performed.
    fn remove<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// What is in flight.
pub trait Sagas: Send + Sync {
    /// Every saga, oldest first.
    fn in_flight(&self) -> BoxFuture<'_, Result<Vec<Saga>, StoreError>>;
}

/// Planned effects.
pub trait Outbox: Send + Sync {
    /// The first pending entry of each (session, sink) whose time has come, at most `n_max`.
    fn ready<'a>(
        &'a self,
        now: &'a Moment,
        n_max: usize,
    ) -> BoxFuture<'a, Result<Vec<OutboxEntry>, StoreError>>;

    /// Records how tries ended, all of them or none. An entry that is no longer pending is left
    /// alone.
    fn finish(&self, outcomes: Vec<(u64, OutboxOutcome)>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The last `n_max` entries of a session, oldest first.
    fn of_session<'a>(
        &'a self,
        id: &'a SessionId,
        n_max: usize,
    ) -> BoxFuture<'a, Result<Vec<OutboxEntry>, StoreError>>;
}

/// Messages. They are written by [`SessionStore::commit`].
pub trait Messages: Send + Sync {
    /// Reads one.
    fn message<'a>(
        &'a self,
        id: &'a MessageId,
    ) -> BoxFuture<'a, Result<Option<Message>, StoreError>>;

    /// The message of a session that a key stands for.
    fn message_by_key<'a>(
        &'a self,
        session: &'a SessionId,
        key: &'a IdempotencyKey,
    ) -> BoxFuture<'a, Result<Option<Message>, StoreError>>;

    /// The last `n_max` messages of a session, oldest first.
    fn messages_of<'a>(
        &'a self,
        session: &'a SessionId,
        n_max: usize,
    ) -> BoxFuture<'a, Result<Vec<Message>, StoreError>>;

    /// Every message that is not final ([`Message::is_final`]), of every session, oldest first.
    fn unfinished(&self) -> BoxFuture<'_, Result<Vec<Message>, StoreError>>;
}

/// Deadlines. They are written by [`SessionStore::commit`].
pub trait Deadlines: Send + Sync {
    /// Every deadline that is due, longest overdue first.
    fn due<'a>(&'a self, now: &'a Moment) -> BoxFuture<'a, Result<Vec<Deadline>, StoreError>>;

    /// The deadlines of a session.
    fn deadlines_of<'a>(
        &'a self,
        session: &'a SessionId,
    ) -> BoxFuture<'a, Result<Vec<Deadline>, StoreError>>;

    /// How long until the next one is due; `None` when none is armed.
    fn next_due_in<'a>(
        &'a self,
        now: &'a Moment,
    ) -> BoxFuture<'a, Result<Option<std::time::Duration>, StoreError>>;
}

/// Registered repositories.
pub trait Projects: Send + Sync {
    /// Registers one. The same id with the same path is `AlreadyThere`; with another path, or the
    /// same path with another id, `Exists`.
    fn add_project(&self, project: Project) -> BoxFuture<'_, Result<Ensured, StoreError>>;

    /// Lists them by id.
    fn projects(&self) -> BoxFuture<'_, Result<Vec<Project>, StoreError>>;

    /// Removes one. `Exists` while it has sessions that are not terminal.
    fn remove_project<'a>(&'a self, id: &'a ProjectId) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Takes the next session id of a project. It is never given out again, not even after the
    /// project was removed and registered again.
    fn next_session_id<'a>(
        &'a self,
        id: &'a ProjectId,
    ) -> BoxFuture<'a, Result<SessionId, StoreError>>;

    /// Sees to it that [`Self::next_session_id`] gives out numbers above `n` only, whether or not
    /// the project is registered.
    fn skip_session_ids<'a>(
        &'a self,
        id: &'a ProjectId,
        n: u64,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// The durable inbox.
pub trait Inbox: Send + Sync {
    /// Puts a notification in, once per id.
    fn deliver<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<Ensured, StoreError>>;

    /// Reads notifications, oldest first.
    fn inbox<'a>(
        &'a self,
        filter: &'a InboxFilter,
    ) -> BoxFuture<'a, Result<Vec<InboxItem>, StoreError>>;

    /// Marks these as read.
    fn mark_read<'a>(&'a self, ids: &'a [EffectId]) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// Which notifications to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InboxFilter {
    /// Also those that were read.
    pub with_read: bool,
}

crate::closed::closed_enum! {
    /// The kinds of infrastructure incidents.
    pub enum InfraIncidentKind {
        /// A tmux server is proven dead.
        ServerGone = "server_gone",
        /// The machine was booted again.
        HostRebooted = "host_rebooted",
        /// Most sessions died in one pass, without a proven cause.
        MassDeath = "mass_death",
        /// Launches run that no record knows, and that could not be adopted.
        NotAdopted = "not_adopted",
    }
}

/// One outage under many sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InfraIncident {
    /// Stable name, made from what died: opening it twice opens it once.
    pub id: InfraIncidentId,
    /// What kind.
    pub kind: InfraIncidentKind,
    /// What it is about: a socket, a boot.
    pub scope: String,
    /// The sessions that it explains.
    pub sessions: Vec<SessionId>,
    /// When it was opened.
    pub opened_at: Moment,
}

/// Infrastructure incidents.
pub trait Incidents: Send + Sync {
    /// Opens one together with its effects; one that was opened before changes nothing.
    fn open_incident<'a>(
        &'a self,
        incident: &'a InfraIncident,
        effects: &'a [Effect],
    ) -> BoxFuture<'a, Result<Ensured, StoreError>>;

    /// The last `n_max`, oldest first.
    fn incidents(&self, n_max: usize) -> BoxFuture<'_, Result<Vec<InfraIncident>, StoreError>>;
}

/// Change data capture.
pub trait ChangeFeed: Send + Sync {
    /// The newest position.
    fn head(&self) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// What changed after a cursor, at most `n_max` events.
    fn changes_after(
        &self,
        cursor: u64,
        n_max: usize,
    ) -> BoxFuture<'_, Result<Changes, StoreError>>;

    /// Waits until something newer than the cursor is committed.
    fn wait_after(&self, cursor: u64) -> BoxFuture<'_, Result<(), StoreError>>;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::message::{Lane, MessageState};
    use crate::time::{BootId, Timestamp};

    fn now() -> Moment {
        let (wall, boot) = (Timestamp::default(), BootId(1));
        Moment { wall, boot, since_boot: Duration::ZERO, awake: Duration::ZERO }
    }

    fn session(n: u32) -> SessionId {
        SessionId::parse(format!("app-{n}")).unwrap()
    }

    fn message(session: SessionId) -> MessageChange {
        MessageChange::Queue(Message {
            id: MessageId::parse("m").unwrap(),
            session,
            lane: Lane::Human,
            text: String::new(),
            n_stripped: 0,
            state: MessageState::Queued,
            reason: None,
            launch: None,
            idempotency_key: None,
            origin: None,
            created_at: now(),
            typing_at: None,
            updated_at: now(),
        })
    }

    #[test]
    fn a_commit_knows_what_in_it_is_of_another_session() {
        let mut commit = Commit::on(session(1), Expected::Revision(Revision(1)), now());
        assert_eq!(commit.stray(), None);
        commit.messages.push(message(session(1)));
        assert_eq!(commit.stray(), None);
        commit.messages.push(message(session(2)));
        assert_eq!(commit.stray(), Some(&session(2)));
    }
}
