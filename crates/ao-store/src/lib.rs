//! The store: every port of `ao-core` that keeps something, over one SQLite database.
//!
//! [`SqliteStore`] is what the daemon holds: a thin writer thread with group commit around the
//! synchronous `Db`, and a small pool of readers. [`DataLock`] is the right to open it.
//!
//! It decides nothing about sessions: it writes what it is given, if what the writer had read still
//! holds, and tells what changed.

#![warn(missing_docs)]

mod db;
mod doc;
mod error;
mod lock;
mod ports;
mod queue;
mod read;
mod row;
mod schema;
mod store;
mod write;

pub use db::{Options, Retention};
pub use error::OpenError;
pub use lock::{DataLock, LockError};
pub use store::SqliteStore;
