//! What SQLite says, in the words of the ports.

use std::io;
use std::path::{Path, PathBuf};

use ao_core::ports::StoreError;
use rusqlite::ErrorCode;

use crate::doc::BadDoc;

/// Why a database was not opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A newer version of this program wrote it.
    #[error(
        "database `{}` has schema {found}, this program knows schemas up to {supported}",
        path.display()
    )]
    FromTheFuture {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest schema that is known here.
        supported: u32,
    },
    /// It is a database of another program.
    #[error("`{}` is a database of another program", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// It is no database, or a damaged one.
    #[error("database `{}` is damaged: {message}", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The file, or the directory for its companions, cannot be written.
    #[error("database `{}` cannot be written: {message}", path.display())]
    Unwritable {
        /// The database.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
    /// There is no space left.
    #[error("no space is left for database `{}`", path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// It cannot be used now.
    #[error("database `{}` does not answer: {message}", path.display())]
    Unavailable {
        /// The database.
        path: PathBuf,
        /// What went wrong.
        message: String,
    },
}

impl OpenError {
    /// What a person can do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::FromTheFuture { .. } => {
                "use the version of ao that wrote it, or a newer one; nothing was changed"
            }
            Self::NotOurs { .. } => "point ao at a home of its own",
            Self::Corrupt { .. } => {
                "move the file and its `-wal` and `-shm` companions aside and start again: sessions \
                 that still run are adopted, worktrees and branches are not touched; or put a copy \
                 in its place"
            }
            Self::Unwritable { .. } => "make the file and its directory writable for this user",
            Self::Full { .. } => "free some space and start again; nothing is lost",
            Self::Unavailable { .. } => "close other programs that have the file open",
        }
    }

    pub(crate) fn of_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let message = error.to_string();
        match class(error) {
            Class::Damaged => Self::Corrupt { path, message },
            Class::ReadOnly => Self::Unwritable { path, message },
            Class::Full => Self::Full { path },
            Class::Other => Self::Unavailable { path, message },
        }
    }

    pub(crate) fn of_io(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        if error.kind() == io::ErrorKind::StorageFull {
            Self::Full { path }
        } else {
            Self::Unwritable { path, message: error.to_string() }
        }
    }
}

enum Class {
    Damaged,
    ReadOnly,
    Full,
    Other,
}

fn class(error: &rusqlite::Error) -> Class {
    let Some(code) = error.sqlite_error_code() else { return Class::Other };
    if [ErrorCode::DatabaseCorrupt, ErrorCode::NotADatabase].contains(&code) {
        Class::Damaged
    } else if [ErrorCode::ReadOnly, ErrorCode::CannotOpen, ErrorCode::PermissionDenied]
        .contains(&code)
    {
        Class::ReadOnly
    } else if code == ErrorCode::DiskFull {
        Class::Full
    } else {
        Class::Other
    }
}

/// A value in a column that has another type than this version writes.
fn is_misread(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
    )
}

/// What a statement that failed means to the caller of a port.
#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`, which gives it away")]
pub(crate) fn of_sqlite(error: rusqlite::Error) -> StoreError {
    let message = error.to_string();
    match class(&error) {
        Class::Damaged => StoreError::Corrupt { message },
        Class::ReadOnly | Class::Full => StoreError::Unavailable { message },
        Class::Other if is_misread(&error) => StoreError::Corrupt { message },
        Class::Other => StoreError::Unavailable { message },
    }
}

/// A document that cannot be read, in which column.
pub(crate) fn of_doc(column: &str, error: &BadDoc) -> StoreError {
    StoreError::Corrupt { message: format!("column `{column}`: {error}") }
}

pub(crate) fn closed() -> StoreError {
    StoreError::Unavailable { message: "the store is closed".to_owned() }
}
