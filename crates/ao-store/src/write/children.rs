//! What hangs on a session and is written with it: saga, deadlines, messages, effects.

use ao_core::deadline::{Deadline, DeadlineChange, DeadlineKind};
use ao_core::ids::{EffectId, IdempotencyKey, LaunchId, MessageId, SessionId};
use ao_core::ledger::IncidentKey;
use ao_core::message::{Message, MessageChange, MessageReason, MessageState};
use ao_core::outbox::{Effect, Sink};
use ao_core::ports::StoreError;
use ao_core::saga::{Saga, SagaChange, SagaDirection};
use ao_core::step::MessageOrder;
use ao_core::time::Moment;
use rusqlite::{Connection, params};

use crate::db::Writing;
use crate::doc::{Doc as _, Value, to_text};
use crate::row::{all, exists, first, number, run};

pub(super) fn put_saga(
    conn: &Connection,
    id: &SessionId,
    change: &SagaChange,
) -> Result<(), StoreError> {
    match change {
        SagaChange::Begin(saga) => {
            if exists(conn, "SELECT 1 FROM sagas WHERE session = ?1", [id.as_str()])? {
                return Err(StoreError::Exists { what: format!("a saga of session `{id}`") });
            }
            let sql = "INSERT INTO sagas (session, kind, standing, trouble, doc)
                VALUES (?1, ?2, ?3, ?4, ?5)";
            write_saga(conn, sql, id, saga).map(drop)
        }
        SagaChange::Put(saga) => {
            let sql = "UPDATE sagas SET kind = ?2, standing = ?3, trouble = ?4, doc = ?5
                WHERE session = ?1";
            match write_saga(conn, sql, id, saga)? {
                0 => Err(StoreError::NotFound { what: format!("saga of session `{id}`") }),
                _ => Ok(()),
            }
        }
        SagaChange::End => end_saga(conn, id),
    }
}

pub(super) fn end_saga(conn: &Connection, id: &SessionId) -> Result<(), StoreError> {
    run(conn, "DELETE FROM sagas WHERE session = ?1", [id.as_str()]).map(drop)
}

fn write_saga(
    conn: &Connection,
    sql: &str,
    id: &SessionId,
    saga: &Saga,
) -> Result<usize, StoreError> {
    let standing = match saga.direction {
        SagaDirection::Forward => saga.step.as_str().to_owned(),
        SagaDirection::Unwinding => format!("unwinding/{}", saga.step),
    };
    let trouble = Value::pair(saga.is_cancelled.write(), saga.because.write()).to_string();
    run(conn, sql, params![id.as_str(), saga.kind.as_str(), standing, trouble, to_text(saga)])
}

pub(super) fn put_deadline(
    conn: &Connection,
    id: &SessionId,
    change: &DeadlineChange,
) -> Result<(), StoreError> {
    match change {
        DeadlineChange::Arm { kind, armed_at, after, clock } => {
            let deadline = Deadline {
                session: id.clone(),
                kind: kind.clone(),
                armed_at: *armed_at,
                after: *after,
                clock: *clock,
            };
            let sql = "INSERT OR REPLACE INTO deadlines (session, kind, doc) VALUES (?1, ?2, ?3)";
            run(conn, sql, params![id.as_str(), kind_key(kind), to_text(&deadline)])?;
        }
        DeadlineChange::Disarm(kind) => {
            let sql = "DELETE FROM deadlines WHERE session = ?1 AND kind = ?2";
            run(conn, sql, params![id.as_str(), kind_key(kind)])?;
        }
    }
    Ok(())
}

fn kind_key(kind: &DeadlineKind) -> String {
    to_text(kind)
}

fn incident_key(incident: &IncidentKey) -> String {
    to_text(incident)
}

/// The place of the newest message, of any session; those of this commit come after it.
pub(super) fn last_message(conn: &Connection) -> Result<i64, StoreError> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'messages'";
    Ok(first(conn, sql, [], |row| row.get("seq"))?.unwrap_or(0))
}

pub(super) fn queue(tx: &Writing<'_>, message: &Message) -> Result<(), StoreError> {
    let sql = "INSERT OR IGNORE INTO messages (id, session, lane, text, n_stripped, state, reason,
        is_final, launch, idempotency_key, origin, incident, created_at, typing_at,
        updated_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    let columns = params![
        message.id.as_str(),
        message.session.as_str(),
        message.lane.as_str(),
        message.text,
        number(message.n_stripped),
        message.state.as_str(),
        message.reason.map(MessageReason::as_str),
        message.is_final(),
        message.launch.as_ref().map(LaunchId::as_str),
        message.idempotency_key.as_ref().map(IdempotencyKey::as_str),
        message.origin.as_ref().map(to_text),
        message.origin.as_ref().map(|origin| incident_key(&origin.incident)),
        to_text(&message.created_at),
        message.typing_at.as_ref().map(to_text),
        to_text(&message.updated_at),
    ];
    if run(tx.conn, sql, columns)? > 0 {
        trim_messages(tx, &message.session)?;
    }
    Ok(())
}

fn trim_messages(tx: &Writing<'_>, id: &SessionId) -> Result<(), StoreError> {
    let sql = "DELETE FROM messages WHERE session = ?1 AND is_final AND no <=
        (SELECT no FROM messages WHERE session = ?1 AND is_final
            ORDER BY no DESC LIMIT 1 OFFSET ?2)";
    run(tx.conn, sql, params![id.as_str(), number(tx.retention.messages)]).map(drop)
}

pub(super) fn move_message(
    conn: &Connection,
    session: &SessionId,
    change: &MessageChange,
) -> Result<(), StoreError> {
    let MessageChange::Move { id, from, to, reason, launch, at } = change else { return Ok(()) };
    let sql = "UPDATE messages SET state = ?4, reason = ?5, is_final = ?6,
        launch = coalesce(?7, launch), updated_at = ?8,
        typing_at = CASE WHEN ?4 = 'typing' THEN ?8 ELSE typing_at END
        WHERE id = ?1 AND session = ?2 AND state = ?3";
    let columns = params![
        id.as_str(),
        session.as_str(),
        from.as_str(),
        to.as_str(),
        reason.map(MessageReason::as_str),
        to.is_final_with(*reason),
        launch.as_ref().map(LaunchId::as_str),
        to_text(at),
    ];
    match run(conn, sql, columns)? {
        0 => Err(StoreError::NotFound { what: format!("{from} message `{id}`") }),
        _ => Ok(()),
    }
}

/// Ends messages that were queued before this commit, in their order: each is an event.
pub(super) fn obey(
    conn: &Connection,
    session: &SessionId,
    order: &MessageOrder,
    at: &Moment,
    last_no: i64,
) -> Result<(), StoreError> {
    let (incident, to, reason) = match order {
        MessageOrder::CancelAll => (None, MessageState::Cancelled, MessageReason::SessionEnded),
        MessageOrder::SupersedeIncident(incident) => {
            let incident = Some(incident_key(incident));
            (incident, MessageState::Superseded, MessageReason::ConditionOver)
        }
    };
    let sql = "SELECT id FROM messages WHERE session = ?1 AND no <= ?2 AND state = 'queued'
        AND (?3 IS NULL OR incident = ?3) ORDER BY no";
    let which = params![session.as_str(), last_no, incident];
    let ids: Vec<MessageId> = all(conn, sql, which, |row| row.parsed("id"))?;
    for id in ids {
        let change = MessageChange::Move {
            id,
            from: MessageState::Queued,
            to,
            reason: Some(reason),
            launch: None,
            at: *at,
        };
        move_message(conn, session, &change)?;
    }
    Ok(())
}

pub(super) fn plan(
    conn: &Connection,
    session: Option<&SessionId>,
    effects: &[Effect],
) -> Result<(), StoreError> {
    // Not `OR IGNORE`: an ignored row would use up a number.
    let sql = "INSERT INTO outbox (id, session, sink, doc, state, attempts)
        SELECT ?1, ?2, ?3, ?4, 'pending', 0
        WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE id = ?1)";
    for effect in effects {
        let id: &EffectId = &effect.id;
        let session = session.map(SessionId::as_str);
        run(conn, sql, params![id.as_str(), session, sink_key(&effect.sink), to_text(effect)])?;
    }
    Ok(())
}

fn sink_key(sink: &Sink) -> String {
    to_text(sink)
}
