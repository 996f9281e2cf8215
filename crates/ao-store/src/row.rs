//! Statements and columns: the few ways in which the other modules talk to SQLite.

use std::cell::RefCell;
use std::str::FromStr;

use ao_core::ports::StoreError;
use rusqlite::types::{FromSql, ValueRef};
use rusqlite::{Connection, Params, Row};

use crate::doc::{self, Doc};
use crate::error::{of_doc, of_sqlite};

/// A row being read; its columns are asked for by name.
pub(crate) struct Columns<'a> {
    row: &'a Row<'a>,
    places: &'a Places,
}

/// Where the columns of a statement are: a name is looked up in SQLite for its first row only.
#[derive(Default)]
struct Places(RefCell<Vec<(&'static str, usize)>>);

impl Places {
    fn of(&self, name: &'static str, row: &Row<'_>) -> Result<usize, StoreError> {
        let mut known = self.0.borrow_mut();
        if let Some(&(_, place)) = known.iter().find(|(known, _)| *known == name) {
            return Ok(place);
        }
        let place = row.as_ref().column_index(name).map_err(of_sqlite)?;
        known.push((name, place));
        Ok(place)
    }
}

impl Columns<'_> {
    pub(crate) fn get<T: FromSql>(&self, name: &'static str) -> Result<T, StoreError> {
        self.row.get(self.places.of(name, self.row)?).map_err(of_sqlite)
    }

    fn value(&self, name: &'static str) -> Result<ValueRef<'_>, StoreError> {
        self.row.get_ref(self.places.of(name, self.row)?).map_err(of_sqlite)
    }

    /// A column that holds a count or a position.
    pub(crate) fn count(&self, name: &'static str) -> Result<u64, StoreError> {
        let value: i64 = self.get(name)?;
        u64::try_from(value).map_err(|error| StoreError::Corrupt {
            message: format!("column `{name}`: {value}: {error}"),
        })
    }

    /// A column that holds a document.
    pub(crate) fn doc<T: Doc>(&self, name: &'static str) -> Result<T, StoreError> {
        let text = self.text(name)?;
        doc::from_text(text).map_err(|error| of_doc(name, &error))
    }

    pub(crate) fn doc_or_none<T: Doc>(&self, name: &'static str) -> Result<Option<T>, StoreError> {
        match self.value(name)?.as_str_or_null() {
            Ok(None) => Ok(None),
            Ok(Some(_)) => self.doc(name).map(Some),
            Err(error) => Err(StoreError::Corrupt { message: error.to_string() }),
        }
    }

    /// A column that holds a text which its type parses.
    pub(crate) fn parsed<T>(&self, name: &'static str) -> Result<T, StoreError>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let parsed = self.text(name)?.parse();
        parsed.map_err(|error| StoreError::Corrupt { message: format!("column `{name}`: {error}") })
    }

    pub(crate) fn parsed_or_none<T>(&self, name: &'static str) -> Result<Option<T>, StoreError>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        match self.get::<Option<String>>(name)? {
            None => Ok(None),
            Some(_) => self.parsed(name).map(Some),
        }
    }

    pub(crate) fn text(&self, name: &'static str) -> Result<&str, StoreError> {
        let value = self.value(name)?;
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
    let (mut found, places) = (Vec::new(), Places::default());
    while let Some(row) = rows.next().map_err(of_sqlite)? {
        found.push(read(&Columns { row, places: &places })?);
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
        Some(row) => read(&Columns { row, places: &Places::default() }).map(Some),
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
