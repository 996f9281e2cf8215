//! Statements and columns: the few ways in which the other modules talk to SQLite.

use std::str::FromStr;

use ao_core::ports::StoreError;
use rusqlite::types::FromSql;
use rusqlite::{Connection, Params, Row};

use crate::doc::{self, Doc};
use crate::error::{of_doc, of_sqlite};

/// A row being read; its columns are asked for by name.
pub(crate) struct Columns<'a>(&'a Row<'a>);

impl Columns<'_> {
    pub(crate) fn get<T: FromSql>(&self, name: &str) -> Result<T, StoreError> {
        self.0.get(name).map_err(of_sqlite)
    }

    /// A column that holds a count or a position.
    pub(crate) fn count(&self, name: &str) -> Result<u64, StoreError> {
        let value: i64 = self.get(name)?;
        u64::try_from(value).map_err(|error| StoreError::Corrupt {
            message: format!("column `{name}`: {value}: {error}"),
        })
    }

    /// A column that holds a document.
    pub(crate) fn doc<T: Doc>(&self, name: &str) -> Result<T, StoreError> {
        let text = self.text(name)?;
        doc::from_text(text).map_err(|error| of_doc(name, &error))
    }

    pub(crate) fn doc_or_none<T: Doc>(&self, name: &str) -> Result<Option<T>, StoreError> {
        match self.0.get_ref(name).map_err(of_sqlite)?.as_str_or_null() {
            Ok(None) => Ok(None),
            Ok(Some(_)) => self.doc(name).map(Some),
            Err(error) => Err(StoreError::Corrupt { message: error.to_string() }),
        }
    }

    /// A column that holds a text which its type parses.
    pub(crate) fn parsed<T>(&self, name: &str) -> Result<T, StoreError>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let parsed = self.text(name)?.parse();
        parsed.map_err(|error| StoreError::Corrupt { message: format!("column `{name}`: {error}") })
    }

    pub(crate) fn parsed_or_none<T>(&self, name: &str) -> Result<Option<T>, StoreError>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        match self.get::<Option<String>>(name)? {
            None => Ok(None),
            Some(_) => self.parsed(name).map(Some),
        }
    }

    fn text(&self, name: &str) -> Result<&str, StoreError> {
        let value = self.0.get_ref(name).map_err(of_sqlite)?;
        value
            .as_str()
            .map_err(|error| StoreError::Corrupt { message: format!("column `{name}`: {error}") })
    }
}

/// Every row of a query.
pub(crate) fn all<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Columns<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = conn.prepare_cached(sql).map_err(of_sqlite)?;
    let mut rows = statement.query(params).map_err(of_sqlite)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(of_sqlite)? {
        found.push(read(&Columns(row))?);
    }
    Ok(found)
}

/// The first row of a query.
pub(crate) fn first<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Columns<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = conn.prepare_cached(sql).map_err(of_sqlite)?;
    let mut rows = statement.query(params).map_err(of_sqlite)?;
    match rows.next().map_err(of_sqlite)? {
        Some(row) => read(&Columns(row)).map(Some),
        None => Ok(None),
    }
}

/// Whether a query has a row.
pub(crate) fn exists(
    conn: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<bool, StoreError> {
    Ok(first(conn, sql, params, |_| Ok(()))?.is_some())
}

/// Runs a statement; returns how many rows it touched.
pub(crate) fn run(conn: &Connection, sql: &str, params: impl Params) -> Result<usize, StoreError> {
    conn.prepare_cached(sql).and_then(|mut it| it.execute(params)).map_err(of_sqlite)
}

/// A count or position as SQLite keeps it. What is beyond its range is beyond every row.
pub(crate) fn number(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
