//! The store ports over the threads: each call is one read or one write.

use std::time::Duration;

use ao_core::deadline::Deadline;
use ao_core::event::Changes;
use ao_core::ids::{EffectId, IdempotencyKey, MessageId, ProjectId, Revision, SessionId};
use ao_core::inbox::{InboxItem, Notification};
use ao_core::journal::JournalRecord;
use ao_core::message::Message;
use ao_core::outbox::{Effect, OutboxEntry, OutboxOutcome};
use ao_core::ports::{
    BoxFuture, ChangeFeed, Commit, Deadlines, Ensured, Inbox, InboxFilter, Incidents,
    InfraIncident, Loaded, Messages, Outbox, Projects, Sagas, SessionFilter, SessionStore,
    StoreError,
};
use ao_core::project::Project;
use ao_core::saga::Saga;
use ao_core::session::Session;
use ao_core::time::Moment;

use crate::error::closed;
use crate::store::SqliteStore;
use crate::{read, write};

type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl SessionStore for SqliteStore {
    fn get<'a>(&'a self, id: &'a SessionId) -> Answer<'a, Option<Session>> {
        let id = id.clone();
        Box::pin(self.read(move |conn| read::get(conn, &id)))
    }

    fn load<'a>(&'a self, id: &'a SessionId) -> Answer<'a, Option<Loaded>> {
        let id = id.clone();
        Box::pin(self.read(move |conn| read::load(conn, &id)))
    }

    fn list<'a>(&'a self, filter: &'a SessionFilter) -> Answer<'a, Vec<Session>> {
        let filter = filter.clone();
        Box::pin(self.read(move |conn| read::list(conn, &filter)))
    }

    fn commit(&self, commit: Commit) -> Answer<'_, Revision> {
        Box::pin(self.write(move |tx| write::commit(tx, &commit)))
    }

    fn find_by_key<'a>(&'a self, key: &'a IdempotencyKey) -> Answer<'a, Option<SessionId>> {
        let key = key.clone();
        Box::pin(self.read(move |conn| read::find_by_key(conn, &key)))
    }

    fn journal<'a>(&'a self, id: &'a SessionId, n_max: usize) -> Answer<'a, Vec<JournalRecord>> {
        let id = id.clone();
        Box::pin(self.read(move |conn| read::journal(conn, &id, n_max)))
    }

    fn journal_base<'a>(&'a self, id: &'a SessionId) -> Answer<'a, Option<(u64, Session)>> {
        let id = id.clone();
        Box::pin(self.read(move |conn| read::journal_base(conn, &id)))
    }

    fn remove<'a>(&'a self, id: &'a SessionId) -> Answer<'a, ()> {
        let id = id.clone();
        Box::pin(self.write(move |tx| write::remove(tx, &id)))
    }
}

impl Sagas for SqliteStore {
    fn in_flight(&self) -> Answer<'_, Vec<Saga>> {
        Box::pin(self.read(read::in_flight))
    }
}

impl Outbox for SqliteStore {
    fn ready<'a>(&'a self, now: &'a Moment, n_max: usize) -> Answer<'a, Vec<OutboxEntry>> {
        let now = *now;
        Box::pin(self.read(move |conn| read::ready(conn, &now, n_max)))
    }

    fn finish(&self, outcomes: Vec<(u64, OutboxOutcome)>) -> Answer<'_, ()> {
        Box::pin(self.write(move |tx| {
            outcomes.into_iter().try_for_each(|(seq, outcome)| write::finish(tx, seq, outcome))
        }))
    }

    fn of_session<'a>(&'a self, id: &'a SessionId, n_max: usize) -> Answer<'a, Vec<OutboxEntry>> {
        let id = id.clone();
        Box::pin(self.read(move |conn| read::of_session(conn, &id, n_max)))
    }
}

impl Messages for SqliteStore {
    fn message<'a>(&'a self, id: &'a MessageId) -> Answer<'a, Option<Message>> {
        let id = id.clone();
        Box::pin(self.read(move |conn| read::message(conn, &id)))
    }

    fn message_by_key<'a>(
        &'a self,
        session: &'a SessionId,
        key: &'a IdempotencyKey,
    ) -> Answer<'a, Option<Message>> {
        let (session, key) = (session.clone(), key.clone());
        Box::pin(self.read(move |conn| read::message_by_key(conn, &session, &key)))
    }

    fn messages_of<'a>(&'a self, session: &'a SessionId, n_max: usize) -> Answer<'a, Vec<Message>> {
        let session = session.clone();
        Box::pin(self.read(move |conn| read::messages_of(conn, &session, n_max)))
    }

    fn unfinished(&self) -> Answer<'_, Vec<Message>> {
        Box::pin(self.read(read::unfinished))
    }
}

impl Deadlines for SqliteStore {
    fn due<'a>(&'a self, now: &'a Moment) -> Answer<'a, Vec<Deadline>> {
        let now = *now;
        Box::pin(self.read(move |conn| read::due(conn, &now)))
    }

    fn deadlines_of<'a>(&'a self, session: &'a SessionId) -> Answer<'a, Vec<Deadline>> {
        let session = session.clone();
        Box::pin(self.read(move |conn| read::deadlines_of(conn, &session)))
    }

    fn next_due_in<'a>(&'a self, now: &'a Moment) -> Answer<'a, Option<Duration>> {
        let now = *now;
        Box::pin(self.read(move |conn| read::next_due_in(conn, &now)))
    }
}

impl Projects for SqliteStore {
    fn add_project(&self, project: Project) -> Answer<'_, Ensured> {
        Box::pin(self.write(move |tx| write::add_project(tx, &project)))
    }

    fn projects(&self) -> Answer<'_, Vec<Project>> {
        Box::pin(self.read(read::projects))
    }

    fn remove_project<'a>(&'a self, id: &'a ProjectId) -> Answer<'a, ()> {
        let id = id.clone();
        Box::pin(self.write(move |tx| write::remove_project(tx, &id)))
    }

    fn next_session_id<'a>(&'a self, id: &'a ProjectId) -> Answer<'a, SessionId> {
        let id = id.clone();
        Box::pin(self.write(move |tx| write::next_session_id(tx, &id)))
    }

    fn skip_session_ids<'a>(&'a self, id: &'a ProjectId, n: u64) -> Answer<'a, ()> {
        let id = id.clone();
        Box::pin(self.write(move |tx| write::skip_session_ids(tx, &id, n)))
    }
}

impl Inbox for SqliteStore {
    fn deliver<'a>(&'a self, notification: &'a Notification) -> Answer<'a, Ensured> {
        let notification = notification.clone();
        Box::pin(self.write(move |tx| write::deliver(tx, &notification)))
    }

    fn inbox<'a>(&'a self, filter: &'a InboxFilter) -> Answer<'a, Vec<InboxItem>> {
        let filter = filter.clone();
        Box::pin(self.read(move |conn| read::inbox(conn, &filter)))
    }

    fn mark_read<'a>(&'a self, ids: &'a [EffectId]) -> Answer<'a, ()> {
        let ids = ids.to_vec();
        Box::pin(self.write(move |tx| write::mark_read(tx, &ids)))
    }
}

impl Incidents for SqliteStore {
    fn open_incident<'a>(
        &'a self,
        incident: &'a InfraIncident,
        effects: &'a [Effect],
    ) -> Answer<'a, Ensured> {
        let (incident, effects) = (incident.clone(), effects.to_vec());
        Box::pin(self.write(move |tx| write::open_incident(tx, &incident, &effects)))
    }

    fn incidents(&self, n_max: usize) -> Answer<'_, Vec<InfraIncident>> {
        Box::pin(self.read(move |conn| read::incidents(conn, n_max)))
    }
}

impl ChangeFeed for SqliteStore {
    fn head(&self) -> Answer<'_, u64> {
        Box::pin(self.read(read::head))
    }

    fn changes_after(&self, cursor: u64, n_max: usize) -> Answer<'_, Changes> {
        Box::pin(self.read(move |conn| read::changes_after(conn, cursor, n_max)))
    }

    fn wait_after(&self, cursor: u64) -> Answer<'_, ()> {
        Box::pin(async move {
            let mut head = self.watch_head();
            match head.wait_for(|newest| *newest > cursor).await {
                Ok(_newest) => Ok(()),
                Err(_closed) => Err(closed()),
            }
        })
    }
}
