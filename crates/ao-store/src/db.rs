//! The database, synchronously: open it, apply a batch, read.
//!
//! It has no threads and waits for nobody; [`crate::SqliteStore`] puts those around it.
//!
//! # Guarantees
//!
//! A batch is one transaction, synced when [`Db::apply`] returns. Each job of it has a savepoint:
//! one that is refused leaves nothing behind and does not spoil its neighbours. When the
//! transaction itself fails, nothing of any job was written, and each is told so.
//!
//! # Caveats
//!
//! When the system fails to sync, a job is told that nothing was written; should the machine lose
//! power before anything else is written, it may be there all the same. Every commit is fenced by
//! its revision, so a retry finds out.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ao_core::ports::StoreError;
use ao_core::time::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::{OpenError, of_sqlite};
use crate::lock::DataLock;
use crate::{read, row, schema};

/// How much of the past is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Events of the change feed.
    pub events: usize,
    /// Journal entries of a session that are kept at least.
    pub journal: usize,
    /// A replay can begin at every so many entries; at most twice as many are kept beyond
    /// `journal`.
    pub journal_segment: usize,
    /// Ids of facts that were taken in.
    pub facts: usize,
    /// Messages of a session that are final.
    pub messages: usize,
    /// Effects of a session that are no longer pending.
    pub effects: usize,
    /// Notifications that were read.
    pub notifications: usize,
    /// Infrastructure incidents.
    pub incidents: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            // A consumer that was away for a day of fifty busy sessions still resumes; 20 MB.
            events: 100_000,
            // What `ao explain` and a replay of the last hours need.
            journal: 512,
            // A base is as large as some dozen entries: so it costs a few per cent.
            journal_segment: 256,
            // A hook retries for minutes; this is hours of a hundred busy sessions.
            facts: 65_536,
            // `ao messages` shows fewer; a repeated send is recognised for as long.
            messages: 500,
            // Likewise for a repeated plan.
            effects: 500,
            // More than anybody reads again.
            notifications: 2_000,
            // Outages are rare; this is years.
            incidents: 1_000,
        }
    }
}

/// How a database is opened.
#[derive(Clone)]
pub struct Options {
    /// How much of the past is kept.
    pub retention: Retention,
    /// How long a statement waits for another program that has the file locked.
    pub busy_for: Duration,
    /// Largest size of the database, in pages of 4 KiB; writes beyond it are refused.
    pub n_pages_max: Option<u32>,
    /// Pages of the log, of 4 KiB, after which a write puts it into the main file. A larger log makes
    /// more writes cheap and the start after a crash slow.
    pub n_log_pages: u32,
    /// Nobody else opens the database while it is open, so that no lock of its file is asked for.
    pub is_alone: bool,
    /// Tells when a row was committed. The ports carry the moments that rules need; this one is
    /// for the people who read events.
    pub wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention: Retention::default(),
            // A backup or a person with `sqlite3` holds the lock for less.
            busy_for: Duration::from_secs(5),
            n_pages_max: None,
            // What SQLite does by itself.
            n_log_pages: 1_000,
            is_alone: false,
            wall: Arc::new(wall_now),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the store reads the clock")]
fn wall_now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::from_millis(row::number(since_epoch.unwrap_or_default().as_millis()))
}

/// The transaction that a job writes in.
pub(crate) struct Writing<'a> {
    pub(crate) conn: &'a Connection,
    pub(crate) retention: Retention,
}

/// Something to be written, all of it or nothing.
pub(crate) trait Job: Send {
    /// Writes. Whether it is kept: what a refused job wrote is taken back.
    fn run(&mut self, tx: &Writing<'_>) -> bool;

    /// Learns how the transaction ended.
    fn settle(self: Box<Self>, ended: &Result<(), StoreError>);
}

/// The database of one data directory, open for writing.
pub(crate) struct Db {
    // Declared before the lock: the connection closes first.
    conn: Connection,
    options: Options,
    path: PathBuf,
    _lock: DataLock,
}

impl Db {
    /// Opens a database, making or migrating it where needed.
    ///
    /// One that is refused is left as it is.
    pub(crate) fn open(lock: DataLock, path: &Path, options: Options) -> Result<Self, OpenError> {
        let failed = |error: rusqlite::Error| OpenError::of_sqlite(path, &error);
        make_file(path).map_err(|error| OpenError::of_io(path, &error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut conn = Connection::open_with_flags(path, flags).map_err(failed)?;
        conn.busy_timeout(options.busy_for).map_err(failed)?;
        let version = schema::inspect(&conn, path)?;
        // The whole file, each time: a copy that was put in its place or a disk that forgets shows
        // only when the damaged page is read, and that may be in the middle of a kill.
        check(&conn, path)?;
        prepare(&conn, &options).map_err(failed)?;
        schema::migrate(&mut conn, version).map_err(failed)?;
        Ok(Self { conn, options, path: path.to_owned(), _lock: lock })
    }

    /// Applies a batch in one transaction. Returns the newest position of the change feed, after
    /// the sync.
    pub(crate) fn apply(&mut self, batch: &mut [Box<dyn Job>]) -> Result<u64, StoreError> {
        let applied = self.try_apply(batch);
        if applied.is_err() && !self.conn.is_autocommit() {
            // SQLite ends a transaction on its own when it cannot go on; then there is nothing
            // left to roll back, and the first error is the one that counts.
            self.conn.execute_batch("ROLLBACK").map_err(of_sqlite)?;
        }
        applied
    }

    fn try_apply(&mut self, batch: &mut [Box<dyn Job>]) -> Result<u64, StoreError> {
        let execute = |sql| row::run(&self.conn, sql, []).map(drop);
        execute("BEGIN IMMEDIATE")?;
        let now = (self.options.wall)();
        row::run(&self.conn, "UPDATE stamp SET at = ?1", [now.as_millis()])?;
        let before = self.conn.total_changes();
        let tx = Writing { conn: &self.conn, retention: self.options.retention };
        let mut is_kept = false;
        // A job without neighbours is taken back with the transaction.
        let is_alone = batch.len() == 1;
        let nested = |sql| if is_alone { Ok(()) } else { execute(sql) };
        for job in batch {
            nested("SAVEPOINT job")?;
            let outcome = catch_unwind(AssertUnwindSafe(|| job.run(&tx)));
            if self.conn.is_autocommit() {
                let message = "the transaction was ended by SQLite".to_owned();
                return Err(StoreError::Unavailable { message });
            }
            match outcome {
                Ok(true) => is_kept = true,
                Ok(false) => nested("ROLLBACK TO job")?,
                Err(_panic) => {
                    tracing::error!("A write panicked; nothing of it was kept.");
                    nested("ROLLBACK TO job")?;
                }
            }
            nested("RELEASE job")?;
        }
        if is_kept && self.conn.total_changes() != before {
            let head = read::head(&self.conn)?;
            self.trim_events(head)?;
            execute("COMMIT")?;
            Ok(head)
        } else {
            // Nothing is to be kept: no sync is spent on it.
            execute("ROLLBACK")?;
            read::head(&self.conn)
        }
    }

    fn trim_events(&self, head: u64) -> Result<(), StoreError> {
        let oldest = head.saturating_sub(self.options.retention.events as u64);
        row::run(&self.conn, "DELETE FROM change_log WHERE seq <= ?1", [row::number(oldest)])?;
        Ok(())
    }

    /// Reads what is committed.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        snapshot(&self.conn, work)
    }

    /// Opens a further connection that can only read.
    pub(crate) fn reader(&self) -> Result<Connection, OpenError> {
        let failed = |error: rusqlite::Error| OpenError::of_sqlite(&self.path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&self.path, flags).map_err(failed)?;
        conn.busy_timeout(self.options.busy_for).map_err(failed)?;
        prepare_statements(&conn).map_err(failed)?;
        Ok(conn)
    }

    /// Puts everything into the main file and closes it.
    pub(crate) fn close(self) -> Result<(), StoreError> {
        self.conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(of_sqlite)?;
        self.conn.close().map_err(|(_, error)| of_sqlite(error))
    }

    /// Closes it and leaves the files as they are, the log with all that is not in the main file.
    pub(crate) fn abandon(self) -> Result<(), StoreError> {
        self.conn
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .map_err(of_sqlite)?;
        self.conn.close().map_err(|(_, error)| of_sqlite(error))
    }
}

/// Every statement of this crate has room in the cache of a connection.
const N_STATEMENTS: usize = 128;

/// Reads in one snapshot, however many statements it takes.
pub(crate) fn snapshot<T>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    row::run(conn, "BEGIN", [])?;
    let _snapshot = Snapshot(conn);
    work(conn)
}

/// Ends a transaction that has only read, also when the reader panics.
struct Snapshot<'a>(&'a Connection);

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // SQLite has ended it already where it could not go on.
        if !self.0.is_autocommit() {
            drop(row::run(self.0, "ROLLBACK", []));
        }
    }
}

/// Makes the file, for its owner only (it holds prompts and nonces), and its name durable.
fn make_file(path: &Path) -> std::io::Result<()> {
    if path.try_exists()? {
        return OpenOptions::new().write(true).open(path).map(drop);
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.sync_all()?;
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => File::open(dir)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

fn check(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    let found = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match found {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(found) => {
            // A heading, and one line per finding.
            let message = found.lines().last().unwrap_or_default().to_owned();
            Err(OpenError::Corrupt { path: path.to_owned(), message })
        }
        Err(error) => Err(OpenError::of_sqlite(path, &error)),
    }
}

fn prepare(conn: &Connection, options: &Options) -> Result<(), rusqlite::Error> {
    if options.is_alone {
        conn.pragma_update_and_check(None, "locking_mode", "exclusive", |_| Ok(()))?;
    }
    conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    // The sync of every commit is what an acknowledgement means.
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    // The log may grow under a long reader; afterwards it shrinks to this again.
    conn.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
    conn.pragma_update_and_check(None, "wal_autocheckpoint", options.n_log_pages, |_| Ok(()))?;
    if let Some(n_pages) = options.n_pages_max {
        conn.pragma_update_and_check(None, "max_page_count", n_pages, |_| Ok(()))?;
    }
    prepare_statements(conn)
}

/// Statements are kept, and prepared once: not again whenever other values are bound to them.
fn prepare_statements(conn: &Connection) -> Result<(), rusqlite::Error> {
    conn.set_prepared_statement_cache_capacity(N_STATEMENTS);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

#[cfg(test)]
mod tests;
