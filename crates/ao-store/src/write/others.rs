//! What is written outside a commit: ends of effects, projects, inbox, incidents, removals.

use std::os::unix::ffi::OsStrExt as _;

use ao_core::ids::{EffectId, ProjectId, SessionId};
use ao_core::inbox::Notification;
use ao_core::outbox::{Effect, OutboxOutcome, OutboxState, told_in};
use ao_core::ports::{Ensured, InfraIncident, StoreError};
use ao_core::project::Project;
use rusqlite::{Connection, params};

use super::children::{end_saga, plan};
use crate::db::Writing;
use crate::doc::to_text;
use crate::row::{exists, first, number, run};

/// Removes a terminal session. Effects still pending stay, and go when they are finished.
pub(crate) fn remove(tx: &Writing<'_>, id: &SessionId) -> Result<(), StoreError> {
    let conn = tx.conn;
    let sql = "SELECT is_terminal FROM sessions WHERE id = ?1";
    match first(conn, sql, [id.as_str()], |row| row.get("is_terminal"))? {
        Some(true) => {}
        Some(false) => {
            return Err(StoreError::NotFound { what: format!("terminal session `{id}`") });
        }
        None => return Err(StoreError::NotFound { what: format!("session `{id}`") }),
    }
    end_saga(conn, id)?;
    run(conn, "DELETE FROM outbox WHERE session = ?1 AND state <> 'pending'", [id.as_str()])?;
    run(conn, "DELETE FROM sessions WHERE id = ?1", [id.as_str()])?;
    run(conn, "INSERT INTO removed_sessions (id) VALUES (?1)", [id.as_str()])?;
    Ok(())
}

/// Records how a try of an effect ended, if it is still pending.
pub(crate) fn finish(tx: &Writing<'_>, seq: u64, outcome: OutboxOutcome) -> Result<(), StoreError> {
    let (state, n_failed, not_before, error) = match outcome {
        OutboxOutcome::Done => (OutboxState::Done, 0, None, None),
        OutboxOutcome::Merged { into } => (OutboxState::Done, 0, None, Some(told_in(&into))),
        OutboxOutcome::Superseded => (OutboxState::Superseded, 0, None, None),
        OutboxOutcome::Retry { not_before, error } => {
            (OutboxState::Pending, 1, Some(to_text(&not_before)), Some(error))
        }
        OutboxOutcome::Dead { error } => (OutboxState::Dead, 1, None, Some(error)),
    };
    let sql = "UPDATE outbox SET state = ?2, attempts = attempts + ?3,
        not_before = coalesce(?4, not_before), last_error = coalesce(?5, last_error)
        WHERE seq = ?1 AND state = 'pending'";
    let columns = params![number(seq), state.as_str(), n_failed, not_before, error];
    if run(tx.conn, sql, columns)? > 0 && state != OutboxState::Pending {
        trim_effects(tx, seq)?;
    }
    Ok(())
}

/// Keeps the last finished effects of a session, and none of one that was removed.
fn trim_effects(tx: &Writing<'_>, seq: u64) -> Result<(), StoreError> {
    let sql = "DELETE FROM outbox WHERE seq = ?1 AND session IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM sessions WHERE sessions.id = outbox.session)";
    if run(tx.conn, sql, [number(seq)])? > 0 {
        return Ok(());
    }
    let sql = "SELECT session FROM outbox WHERE seq = ?1";
    let session: Option<String> =
        first(tx.conn, sql, [number(seq)], |row| row.get("session"))?.flatten();
    let sql = "DELETE FROM outbox WHERE session IS ?1 AND state <> 'pending' AND seq <=
        (SELECT seq FROM outbox WHERE session IS ?1 AND state <> 'pending'
            ORDER BY seq DESC LIMIT 1 OFFSET ?2)";
    run(tx.conn, sql, params![session, number(tx.retention.effects)])?;
    Ok(())
}

pub(crate) fn add_project(tx: &Writing<'_>, project: &Project) -> Result<Ensured, StoreError> {
    let conn = tx.conn;
    let path = project.path.as_os_str().as_bytes();
    let sql = "SELECT path FROM projects WHERE id = ?1";
    let known: Option<Vec<u8>> = first(conn, sql, [project.id.as_str()], |row| row.get("path"))?;
    match known {
        Some(known) if known == path => return Ok(Ensured::AlreadyThere),
        Some(_) => return Err(StoreError::Exists { what: format!("project `{}`", project.id) }),
        None => {}
    }
    let sql = "SELECT id FROM projects WHERE path = ?1";
    let other: Option<String> = first(conn, sql, [path], |row| row.get("id"))?;
    if let Some(other) = other {
        return Err(StoreError::Exists { what: format!("project `{other}` at this path") });
    }
    let sql = "INSERT INTO projects (id, path, github, created_at) VALUES (?1, ?2, ?3, ?4)";
    let created_at = project.created_at.as_millis();
    run(conn, sql, params![project.id.as_str(), path, project.github, created_at])?;
    Ok(Ensured::Done)
}

pub(crate) fn remove_project(tx: &Writing<'_>, id: &ProjectId) -> Result<(), StoreError> {
    let conn = tx.conn;
    check_project(conn, id)?;
    let sql = "SELECT id FROM sessions WHERE project = ?1 AND is_terminal = 0 ORDER BY no LIMIT 1";
    let living: Option<String> = first(conn, sql, [id.as_str()], |row| row.get("id"))?;
    if let Some(living) = living {
        return Err(StoreError::Exists {
            what: format!("session `{living}`, which has not ended,"),
        });
    }
    run(conn, "DELETE FROM projects WHERE id = ?1", [id.as_str()])?;
    Ok(())
}

pub(crate) fn next_session_id(tx: &Writing<'_>, id: &ProjectId) -> Result<SessionId, StoreError> {
    check_project(tx.conn, id)?;
    let sql = "INSERT INTO project_numbers (project, last) VALUES (?1, 1)
        ON CONFLICT (project) DO UPDATE SET last = last + 1 RETURNING last";
    match first(tx.conn, sql, [id.as_str()], |row| row.count("last"))? {
        Some(last) => Ok(SessionId::of(id, last)),
        None => Err(StoreError::Corrupt { message: "no number was given out".to_owned() }),
    }
}

pub(crate) fn skip_session_ids(tx: &Writing<'_>, id: &ProjectId, n: u64) -> Result<(), StoreError> {
    let sql = "INSERT INTO project_numbers (project, last) VALUES (?1, ?2)
        ON CONFLICT (project) DO UPDATE SET last = max(last, excluded.last)";
    run(tx.conn, sql, params![id.as_str(), number(n)])?;
    Ok(())
}

fn check_project(conn: &Connection, id: &ProjectId) -> Result<(), StoreError> {
    if exists(conn, "SELECT 1 FROM projects WHERE id = ?1", [id.as_str()])? {
        Ok(())
    } else {
        Err(StoreError::NotFound { what: format!("project `{id}`") })
    }
}

pub(crate) fn deliver(tx: &Writing<'_>, item: &Notification) -> Result<Ensured, StoreError> {
    let sql = "INSERT OR IGNORE INTO inbox (id, session, project, is_read, doc)
        VALUES (?1, ?2, ?3, 0, ?4)";
    let session = item.session.as_ref().map(SessionId::as_str);
    let project = item.project.as_ref().map(ProjectId::as_str);
    match run(tx.conn, sql, params![item.id.as_str(), session, project, to_text(item)])? {
        0 => Ok(Ensured::AlreadyThere),
        _ => Ok(Ensured::Done),
    }
}

pub(crate) fn mark_read(tx: &Writing<'_>, ids: &[EffectId]) -> Result<(), StoreError> {
    for id in ids {
        run(tx.conn, "UPDATE inbox SET is_read = 1 WHERE id = ?1", [id.as_str()])?;
    }
    // Only what was read is ever let go.
    let sql = "DELETE FROM inbox WHERE is_read = 1 AND no <=
        (SELECT no FROM inbox WHERE is_read = 1 ORDER BY no DESC LIMIT 1 OFFSET ?1)";
    run(tx.conn, sql, [number(tx.retention.notifications)])?;
    Ok(())
}

pub(crate) fn open_incident(
    tx: &Writing<'_>,
    incident: &InfraIncident,
    effects: &[Effect],
) -> Result<Ensured, StoreError> {
    let sql = "INSERT OR IGNORE INTO incidents (id, kind, doc) VALUES (?1, ?2, ?3)";
    let columns = params![incident.id.as_str(), incident.kind.as_str(), to_text(incident)];
    if run(tx.conn, sql, columns)? == 0 {
        return Ok(Ensured::AlreadyThere);
    }
    plan(tx.conn, None, effects)?;
    let sql = "DELETE FROM incidents WHERE no <=
        (SELECT no FROM incidents ORDER BY no DESC LIMIT 1 OFFSET ?1)";
    run(tx.conn, sql, [number(tx.retention.incidents)])?;
    Ok(Ensured::Done)
}
