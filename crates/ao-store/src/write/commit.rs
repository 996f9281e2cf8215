//! One commit: the session under its next revision, with everything that is written beside it.

use ao_core::ids::{FactId, IdempotencyKey, Revision, SessionId};
use ao_core::journal::JournalEntry;
use ao_core::message::MessageChange;
use ao_core::ports::{Commit, Expected, StoreError};
use ao_core::session::Session;
use rusqlite::{Connection, params};

use super::children;
use crate::db::Writing;
use crate::doc::{axes, identity, to_text};
use crate::row::{exists, first, number, run};

/// Writes everything in the commit; an error means that its savepoint has to be taken back.
pub(crate) fn commit(tx: &Writing<'_>, commit: &Commit) -> Result<Revision, StoreError> {
    let conn = tx.conn;
    if let Some(stray) = commit.stray() {
        let what = format!("session `{stray}` in a commit of `{}`", commit.session);
        return Err(StoreError::NotFound { what });
    }
    let id = &commit.session;
    if let Some(key) = &commit.idempotency_key {
        take_key(conn, key, id)?;
    }
    if let Some(fact) = &commit.fact {
        take_fact(tx, fact)?;
    }
    let revision = write_session(conn, id, commit.expected, commit.next.as_ref())?;
    if let Some(change) = &commit.saga {
        children::put_saga(conn, id, change)?;
    }
    for change in &commit.deadlines {
        children::put_deadline(conn, id, change)?;
    }
    let last_no = children::last_message(conn)?;
    for change in &commit.messages {
        match change {
            MessageChange::Queue(message) => children::queue(tx, message)?,
            MessageChange::Move { .. } => children::move_message(conn, id, change)?,
        }
    }
    for order in &commit.message_orders {
        children::obey(conn, id, order, &commit.at, last_no)?;
    }
    children::plan(conn, Some(id), &commit.effects)?;
    if let Some(entry) = &commit.journal {
        write_journal(tx, id, revision, entry)?;
    }
    Ok(revision)
}

fn take_key(conn: &Connection, key: &IdempotencyKey, id: &SessionId) -> Result<(), StoreError> {
    let sql = "SELECT session FROM idempotency_keys WHERE key = ?1";
    if let Some(session) = first(conn, sql, [key.as_str()], |row| row.parsed("session"))? {
        return Err(StoreError::KeyTaken { session });
    }
    let sql = "INSERT INTO idempotency_keys (key, session) VALUES (?1, ?2)";
    run(conn, sql, [key.as_str(), id.as_str()])?;
    Ok(())
}

fn take_fact(tx: &Writing<'_>, fact: &FactId) -> Result<(), StoreError> {
    let sql = "INSERT OR IGNORE INTO seen_facts (fact) VALUES (?1)";
    if run(tx.conn, sql, [fact.as_str()])? == 0 {
        return Err(StoreError::FactSeen { fact: fact.clone() });
    }
    let newest = tx.conn.last_insert_rowid();
    let oldest = newest.saturating_sub(number(tx.retention.facts));
    run(tx.conn, "DELETE FROM seen_facts WHERE no <= ?1", [oldest])?;
    Ok(())
}

/// Checks what the writer had read, and writes the session if it is given.
fn write_session(
    conn: &Connection,
    id: &SessionId,
    expected: Expected,
    next: Option<&Session>,
) -> Result<Revision, StoreError> {
    let sql = "SELECT revision FROM sessions WHERE id = ?1";
    let found = first(conn, sql, [id.as_str()], |row| row.count("revision").map(Revision))?;
    match (expected, found, next) {
        (Expected::Absent, Some(_), _) => {
            Err(StoreError::Exists { what: format!("session `{id}`") })
        }
        (Expected::Absent, None, _) if was_removed(conn, id)? => {
            Err(StoreError::Exists { what: format!("session `{id}`") })
        }
        (Expected::Absent, None, None) | (Expected::Revision(_), None, _) => {
            Err(StoreError::NotFound { what: format!("session `{id}`") })
        }
        (Expected::Absent, None, Some(session)) => {
            let sql = "INSERT INTO sessions (revision, project, is_terminal, verdict, phase, axes,
                record, updated_at, lifecycle, ledger, id)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
            put_session(conn, sql, session, Revision::default().next())
        }
        (Expected::Revision(expected), Some(found), _) if found != expected => {
            Err(StoreError::Conflict { session: id.clone(), expected, found })
        }
        (Expected::Revision(_), Some(found), None) => Ok(found),
        (Expected::Revision(_), Some(found), Some(session)) => {
            let sql = "UPDATE sessions SET revision = ?1, project = ?2, is_terminal = ?3,
                verdict = ?4, phase = ?5, axes = ?6, record = ?7, updated_at = ?8, lifecycle = ?9,
                ledger = ?10 WHERE id = ?11";
            put_session(conn, sql, session, found.next())
        }
    }
}

fn was_removed(conn: &Connection, id: &SessionId) -> Result<bool, StoreError> {
    exists(conn, "SELECT 1 FROM removed_sessions WHERE id = ?1", [id.as_str()])
}

fn put_session(
    conn: &Connection,
    sql: &str,
    session: &Session,
    revision: Revision,
) -> Result<Revision, StoreError> {
    let Session { record, lifecycle, ledger } = session;
    let mut lifecycle = lifecycle.clone();
    lifecycle.revision = revision;
    let columns = params![
        number(revision.0),
        record.project.as_str(),
        lifecycle.is_terminal(),
        format!("{}/{}", lifecycle.session.state, lifecycle.session.reason),
        record.phase.as_str(),
        axes(&lifecycle).to_string(),
        identity(record).to_string(),
        record.updated_at.as_millis(),
        to_text(&lifecycle),
        to_text(ledger),
        record.id.as_str(),
    ];
    run(conn, sql, columns)?;
    Ok(revision)
}

/// Writes the entry, now and then the state after it, and lets go of what is older than the oldest
/// such state that is needed: so a replay always has where to begin.
fn write_journal(
    tx: &Writing<'_>,
    id: &SessionId,
    revision: Revision,
    entry: &JournalEntry,
) -> Result<(), StoreError> {
    let conn = tx.conn;
    let sql = "INSERT INTO journal (session, revision, doc) VALUES (?1, ?2, ?3)";
    run(conn, sql, params![id.as_str(), number(revision.0), to_text(entry)])?;
    let seq = conn.last_insert_rowid();
    let sql = "SELECT count(*) AS n FROM journal WHERE session = ?1 AND seq >
        (SELECT coalesce(max(seq), -1) FROM journal_bases WHERE session = ?1)";
    let n_since: i64 = first(conn, sql, [id.as_str()], |row| row.get("n"))?.unwrap_or(0);
    let sql = "SELECT 1 FROM journal_bases WHERE session = ?1";
    let has_base = exists(conn, sql, [id.as_str()])?;
    if has_base && n_since < number(tx.retention.journal_segment) {
        return Ok(());
    }
    if let Some(session) = crate::read::get(conn, id)? {
        let sql = "INSERT INTO journal_bases (seq, session, doc) VALUES (?1, ?2, ?3)";
        run(conn, sql, params![seq, id.as_str(), to_text(&session)])?;
    }
    // The newest base that has enough entries after it becomes the oldest one.
    let sql = "SELECT seq FROM journal WHERE session = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2";
    let enough = params![id.as_str(), number(tx.retention.journal)];
    let Some(kept) = first(conn, sql, enough, |row| row.get::<i64>("seq"))? else { return Ok(()) };
    let sql = "SELECT max(seq) AS seq FROM journal_bases WHERE session = ?1 AND seq <= ?2";
    let base = first(conn, sql, params![id.as_str(), kept], |row| row.get::<Option<i64>>("seq"))?;
    if let Some(base) = base.flatten() {
        let old = params![id.as_str(), base];
        run(conn, "DELETE FROM journal WHERE session = ?1 AND seq <= ?2", old)?;
        run(conn, "DELETE FROM journal_bases WHERE session = ?1 AND seq < ?2", old)?;
    }
    Ok(())
}
