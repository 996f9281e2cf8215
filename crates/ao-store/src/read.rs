//! The read path: rows into values. Each function wants one snapshot.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::time::Duration;

use ao_core::deadline::Deadline;
use ao_core::event::{Changes, Event};
use ao_core::ids::{IdempotencyKey, MessageId, ProjectId, Revision, SessionId};
use ao_core::inbox::{InboxItem, InboxState};
use ao_core::journal::JournalRecord;
use ao_core::message::Message;
use ao_core::outbox::OutboxEntry;
use ao_core::ports::{InboxFilter, InfraIncident, Loaded, SessionFilter, StoreError};
use ao_core::project::Project;
use ao_core::saga::Saga;
use ao_core::session::Session;
use ao_core::time::{Moment, Timestamp};
use rusqlite::{Connection, params};

use crate::doc;
use crate::error::of_doc;
use crate::row::{Columns, all, first, number};

fn session(row: &Columns<'_>) -> Result<Session, StoreError> {
    let record = doc::record(row.text("record")?, row.get("updated_at")?);
    Ok(Session {
        record: record.map_err(|error| of_doc("record", &error))?,
        lifecycle: row.doc("lifecycle")?,
        ledger: row.doc("ledger")?,
    })
}

pub(crate) fn get(conn: &Connection, id: &SessionId) -> Result<Option<Session>, StoreError> {
    first(conn, "SELECT * FROM sessions WHERE id = ?1", [id.as_str()], session)
}

pub(crate) fn load(conn: &Connection, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
    let Some(session) = get(conn, id)? else { return Ok(None) };
    Ok(Some(Loaded { session, saga: saga(conn, id)? }))
}

pub(crate) fn saga(conn: &Connection, id: &SessionId) -> Result<Option<Saga>, StoreError> {
    let sql = "SELECT doc FROM sagas WHERE session = ?1";
    first(conn, sql, [id.as_str()], |row| row.doc("doc"))
}

pub(crate) fn list(conn: &Connection, filter: &SessionFilter) -> Result<Vec<Session>, StoreError> {
    let sql = "SELECT * FROM sessions
        WHERE (?1 IS NULL OR project = ?1) AND (?2 OR is_terminal = 0) ORDER BY no";
    let project = filter.project.as_ref().map(ProjectId::as_str);
    all(conn, sql, params![project, filter.with_terminal], session)
}

pub(crate) fn find_by_key(
    conn: &Connection,
    key: &IdempotencyKey,
) -> Result<Option<SessionId>, StoreError> {
    let sql = "SELECT session FROM idempotency_keys WHERE key = ?1";
    first(conn, sql, [key.as_str()], |row| row.parsed("session"))
}

/// The last of a query that gives the newest first, oldest first.
fn oldest_first<T>(mut newest_first: Vec<T>) -> Vec<T> {
    newest_first.reverse();
    newest_first
}

pub(crate) fn journal(
    conn: &Connection,
    id: &SessionId,
    n_max: usize,
) -> Result<Vec<JournalRecord>, StoreError> {
    let sql = "SELECT * FROM journal WHERE session = ?1 ORDER BY seq DESC LIMIT ?2";
    let record = |row: &Columns<'_>| {
        Ok(JournalRecord {
            seq: row.count("seq")?,
            session: row.parsed("session")?,
            revision: Revision(row.count("revision")?),
            entry: row.doc("doc")?,
        })
    };
    all(conn, sql, params![id.as_str(), number(n_max)], record).map(oldest_first)
}

/// The oldest state that the kept journal of a session leads on from, and its place there.
pub(crate) fn journal_base(
    conn: &Connection,
    id: &SessionId,
) -> Result<Option<(u64, Session)>, StoreError> {
    let sql = "SELECT * FROM journal_bases WHERE session = ?1 ORDER BY seq LIMIT 1";
    first(conn, sql, [id.as_str()], |row| Ok((row.count("seq")?, row.doc("doc")?)))
}

pub(crate) fn in_flight(conn: &Connection) -> Result<Vec<Saga>, StoreError> {
    all(conn, "SELECT doc FROM sagas ORDER BY no", [], |row| row.doc("doc"))
}

fn entry(row: &Columns<'_>) -> Result<OutboxEntry, StoreError> {
    Ok(OutboxEntry {
        seq: row.count("seq")?,
        session: row.parsed_or_none("session")?,
        effect: row.doc("doc")?,
        state: row.parsed("state")?,
        attempts: row.get("attempts")?,
        not_before: row.doc_or_none("not_before")?,
        last_error: row.get("last_error")?,
    })
}

pub(crate) fn ready(
    conn: &Connection,
    now: &Moment,
    n_max: usize,
) -> Result<Vec<OutboxEntry>, StoreError> {
    // A head that waits holds up its own lane; the clock is compared here because a pause counts in
    // its own boot only.
    let sql = "SELECT * FROM outbox WHERE seq IN
        (SELECT min(seq) FROM outbox WHERE state = 'pending' GROUP BY session, sink) ORDER BY seq";
    let mut heads = all(conn, sql, [], entry)?;
    heads.retain(|entry| entry.is_ready(now));
    heads.truncate(n_max);
    Ok(heads)
}

pub(crate) fn of_session(
    conn: &Connection,
    id: &SessionId,
    n_max: usize,
) -> Result<Vec<OutboxEntry>, StoreError> {
    let sql = "SELECT * FROM outbox WHERE session = ?1 ORDER BY seq DESC LIMIT ?2";
    all(conn, sql, params![id.as_str(), number(n_max)], entry).map(oldest_first)
}

fn a_message(row: &Columns<'_>) -> Result<Message, StoreError> {
    Ok(Message {
        id: row.parsed("id")?,
        session: row.parsed("session")?,
        lane: row.parsed("lane")?,
        text: row.get("text")?,
        n_stripped: row.count("n_stripped")?,
        state: row.parsed("state")?,
        reason: row.parsed_or_none("reason")?,
        launch: row.parsed_or_none("launch")?,
        idempotency_key: row.get::<Option<String>>("idempotency_key")?.map(IdempotencyKey::new),
        origin: row.doc_or_none("origin")?,
        created_at: row.doc("created_at")?,
        typing_at: row.doc_or_none("typing_at")?,
        updated_at: row.doc("updated_at")?,
    })
}

pub(crate) fn message(conn: &Connection, id: &MessageId) -> Result<Option<Message>, StoreError> {
    first(conn, "SELECT * FROM messages WHERE id = ?1", [id.as_str()], a_message)
}

pub(crate) fn message_by_key(
    conn: &Connection,
    session: &SessionId,
    key: &IdempotencyKey,
) -> Result<Option<Message>, StoreError> {
    let sql = "SELECT * FROM messages WHERE session = ?1 AND idempotency_key = ?2";
    first(conn, sql, [session.as_str(), key.as_str()], a_message)
}

pub(crate) fn messages_of(
    conn: &Connection,
    session: &SessionId,
    n_max: usize,
) -> Result<Vec<Message>, StoreError> {
    let sql = "SELECT * FROM messages WHERE session = ?1 ORDER BY no DESC LIMIT ?2";
    all(conn, sql, params![session.as_str(), number(n_max)], a_message).map(oldest_first)
}

pub(crate) fn unfinished(conn: &Connection) -> Result<Vec<Message>, StoreError> {
    all(conn, "SELECT * FROM messages WHERE is_final = 0 ORDER BY no", [], a_message)
}

/// Every armed deadline. There are a few of each living session, and three clocks to compare by, so
/// they are read whole rather than searched.
fn armed(conn: &Connection) -> Result<Vec<Deadline>, StoreError> {
    all(conn, "SELECT doc FROM deadlines", [], |row| row.doc("doc"))
}

pub(crate) fn due(conn: &Connection, now: &Moment) -> Result<Vec<Deadline>, StoreError> {
    let mut due = armed(conn)?;
    due.retain(|deadline| deadline.is_due(now));
    due.sort_by_cached_key(|it| {
        (Reverse(it.overdue_for(now)), it.session.clone(), it.kind.clone())
    });
    Ok(due)
}

pub(crate) fn deadlines_of(
    conn: &Connection,
    session: &SessionId,
) -> Result<Vec<Deadline>, StoreError> {
    let sql = "SELECT doc FROM deadlines WHERE session = ?1";
    let mut deadlines: Vec<Deadline> = all(conn, sql, [session.as_str()], |row| row.doc("doc"))?;
    deadlines.sort_by(|a, b| a.kind.cmp(&b.kind));
    Ok(deadlines)
}

pub(crate) fn next_due_in(conn: &Connection, now: &Moment) -> Result<Option<Duration>, StoreError> {
    Ok(armed(conn)?.iter().map(|deadline| deadline.remaining(now)).min())
}

pub(crate) fn projects(conn: &Connection) -> Result<Vec<Project>, StoreError> {
    all(conn, "SELECT * FROM projects ORDER BY id", [], |row| {
        Ok(Project {
            id: row.parsed("id")?,
            path: PathBuf::from(OsString::from_vec(row.get("path")?)),
            github: row.get("github")?,
            created_at: Timestamp::from_millis(row.get("created_at")?),
        })
    })
}

pub(crate) fn inbox(conn: &Connection, filter: &InboxFilter) -> Result<Vec<InboxItem>, StoreError> {
    let sql = "SELECT * FROM inbox WHERE ?1 OR is_read = 0 ORDER BY no";
    all(conn, sql, [filter.with_read], |row| {
        let is_read: bool = row.get("is_read")?;
        let state = if is_read { InboxState::Read } else { InboxState::Unread };
        Ok(InboxItem { notification: row.doc("doc")?, state })
    })
}

pub(crate) fn incidents(conn: &Connection, n_max: usize) -> Result<Vec<InfraIncident>, StoreError> {
    let sql = "SELECT doc FROM incidents ORDER BY no DESC LIMIT ?1";
    all(conn, sql, [number(n_max)], |row| row.doc("doc")).map(oldest_first)
}

/// The newest position ever given out, also when its event is no longer kept.
pub(crate) fn head(conn: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'change_log'";
    Ok(first(conn, sql, [], |row| row.count("seq"))?.unwrap_or(0))
}

pub(crate) fn changes_after(
    conn: &Connection,
    cursor: u64,
    n_max: usize,
) -> Result<Changes, StoreError> {
    let head = head(conn)?;
    let sql = "SELECT seq FROM change_log ORDER BY seq LIMIT 1";
    let first_kept: Option<u64> = first(conn, sql, [], |row| row.count("seq"))?;
    let oldest = first_kept.map_or(head, |seq| seq.saturating_sub(1));
    // A cursor beyond the head is of another database.
    if cursor < oldest || cursor > head {
        return Ok(Changes::Reset { oldest, head });
    }
    let sql = "SELECT * FROM change_log WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    all(conn, sql, [number(cursor), number(n_max)], event).map(Changes::Events)
}

fn event(row: &Columns<'_>) -> Result<Event, StoreError> {
    let revision = match row.get::<Option<i64>>("revision")? {
        Some(_) => Some(Revision(row.count("revision")?)),
        None => None,
    };
    Ok(Event {
        seq: row.count("seq")?,
        at: Timestamp::from_millis(row.get("at")?),
        kind: row.parsed("type")?,
        project: row.parsed_or_none("project")?,
        session: row.parsed_or_none("session")?,
        revision,
        key: row.get("key")?,
        became: row.get("became")?,
    })
}
