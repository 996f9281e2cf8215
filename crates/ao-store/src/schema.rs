//! The schema, and the way from every older one to it.
//!
//! Migrations are append-only: one that was released is never edited, and a database of each is
//! kept under `tests/old/`.

use std::path::Path;

use rusqlite::Connection;

use crate::error::OpenError;

/// Marks a database as ours ("aost").
const APPLICATION_ID: i32 = 0x616f_7374;

/// The `n`-th makes schema `n + 1` of schema `n`.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
];

/// The schema that this program writes.
pub(crate) fn supported() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// Looks at a database without changing it: its schema, 0 for an empty file.
pub(crate) fn inspect(conn: &Connection, path: &Path) -> Result<u32, OpenError> {
    let failed = |error: rusqlite::Error| OpenError::of_sqlite(path, &error);
    let pragma = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application_id = pragma("application_id").map_err(failed)?;
    let version = pragma("user_version").map_err(failed)?;
    let n_objects: i64 = conn
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    if application_id == 0 && version == 0 && n_objects == 0 {
        return Ok(0);
    }
    if application_id != APPLICATION_ID {
        return Err(OpenError::NotOurs { path: path.to_owned() });
    }
    match u32::try_from(version) {
        Ok(found) if found > supported() => {
            Err(OpenError::FromTheFuture { path: path.to_owned(), found, supported: supported() })
        }
        Ok(0) | Err(_) => Err(OpenError::Corrupt {
            path: path.to_owned(),
            message: format!("its schema has the impossible number {version}"),
        }),
        Ok(found) => Ok(found),
    }
}

/// Brings a database from a schema to the one of this program, one transaction for each step.
pub(crate) fn migrate(conn: &mut Connection, from: u32) -> Result<(), rusqlite::Error> {
    let missing = (1_u32..).zip(MIGRATIONS).filter(|(number, _)| *number > from);
    for (number, sql) in missing {
        let step = conn.transaction()?;
        step.execute_batch(sql)?;
        step.pragma_update(None, "application_id", APPLICATION_ID)?;
        step.pragma_update(None, "user_version", number)?;
        step.commit()?;
    }
    Ok(())
}
