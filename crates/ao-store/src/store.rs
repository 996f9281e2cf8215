//! The threads around the database: one that writes, some that read.
//!
//! # Flow
//!
//! A write waits for a place in a bounded queue. The writer takes what is queued, never waits for
//! more, applies it as one transaction, wakes the readers of the change feed, and only then
//! answers. A read goes to the next free reader, which sees everything that was answered before.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use ao_core::ports::StoreError;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use crate::db::{Db, Job, Options, Writing, snapshot};
use crate::error::{OpenError, closed};
use crate::lock::DataLock;
use crate::queue::{Closed, Queue, Served};
use crate::read;

/// Writes that may wait: more than the sessions of one machine have in flight at once.
const N_WRITES_MAX: usize = 1024;
/// Writes of one transaction: beyond this a larger group gains nothing, and only its callers wait.
const N_GROUP_MAX: usize = 64;
/// Reads that may wait.
const N_READS_MAX: usize = 1024;
/// Enough that a long list does not hold up a look at one session.
const N_READERS: usize = 4;

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// The store of one daemon.
pub struct SqliteStore {
    writes: Arc<Queue<Box<dyn Job>>>,
    reads: Arc<Queue<Read>>,
    head: watch::Receiver<u64>,
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    readers: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<Result<(), StoreError>>>,
}

impl SqliteStore {
    /// Opens the database and starts the threads.
    pub fn open(lock: DataLock, path: &Path) -> Result<Self, OpenError> {
        Self::open_with(lock, path, Options::default())
    }

    /// Opens the database in another way than by default.
    pub fn open_with(lock: DataLock, path: &Path, options: Options) -> Result<Self, OpenError> {
        let unavailable = |message: String| OpenError::Unavailable { path: path.into(), message };
        let db = Db::open(lock, path, options)?;
        let head = db.read(read::head).map_err(|error| unavailable(error.to_string()))?;
        let (head_sender, head) = watch::channel(head);
        // From here on a failure drops the store, which ends the threads that run already.
        let store = Self {
            writes: Arc::new(Queue::new(N_WRITES_MAX)),
            reads: Arc::new(Queue::new(N_READS_MAX)),
            head,
            threads: Mutex::default(),
        };
        let failed = |error: std::io::Error| unavailable(error.to_string());
        let mut threads = store.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..N_READERS {
            let conn = db.reader()?;
            let reads = Arc::clone(&store.reads);
            let reader = Builder::new().name("store-read".to_owned());
            threads.readers.push(reader.spawn(move || serve(&conn, &reads)).map_err(failed)?);
        }
        let writes = Arc::clone(&store.writes);
        let writer = Builder::new().name("store-write".to_owned());
        let writer = writer.spawn(move || write_all(db, &writes, &head_sender)).map_err(failed)?;
        threads.writer = Some(writer);
        drop(threads);
        Ok(store)
    }

    /// Ends the reads and writes that are queued, puts everything into the main file, and lets go
    /// of the lock. Later calls are `Unavailable`. Closing twice does nothing.
    ///
    /// It blocks its thread for as long as the last writes take.
    pub fn close(&self) -> Result<(), StoreError> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let Threads { readers, writer } = std::mem::take(&mut *threads);
        self.reads.close();
        for reader in readers {
            if reader.join().is_err() {
                tracing::error!("A reader of the store panicked.");
            }
        }
        // The writer goes last: only the last connection can empty the log.
        self.writes.close();
        match writer.map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(ended)) => ended,
            Some(Err(_panic)) => {
                Err(StoreError::Unavailable { message: "the writer panicked".to_owned() })
            }
        }
    }

    /// Does a piece of work with the newest snapshot, on one of the readers.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, reply) = oneshot::channel();
        let read: Read = Box::new(move |conn| {
            // A caller that went away needs no answer.
            drop(sender.send(snapshot(conn, work)));
        });
        self.reads.push(read).await.map_err(|Closed| closed())?;
        reply.await.unwrap_or_else(|_gone| Err(closed()))
    }

    /// Does a piece of work in a transaction. It is answered after the sync; a caller that goes
    /// away before has it written all the same.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Writing<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, reply) = oneshot::channel();
        let job = Pending { work: Some(work), outcome: None, sender };
        self.writes.push(Box::new(job)).await.map_err(|Closed| closed())?;
        reply.await.unwrap_or_else(|_gone| Err(closed()))
    }

    /// The newest position, for a caller that waits.
    pub(crate) fn watch_head(&self) -> watch::Receiver<u64> {
        self.head.clone()
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "The store did not close cleanly.");
        }
    }
}

/// One write with its caller.
struct Pending<F, T> {
    work: Option<F>,
    outcome: Option<Result<T, StoreError>>,
    sender: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Job for Pending<F, T>
where
    F: FnOnce(&Writing<'_>) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn run(&mut self, tx: &Writing<'_>) -> bool {
        let outcome = self.work.take().map(|work| work(tx));
        let is_kept = matches!(outcome, Some(Ok(_)));
        self.outcome = outcome;
        is_kept
    }

    fn settle(self: Box<Self>, ended: &Result<(), StoreError>) {
        // A refusal, too, may rest on what a neighbour wrote: it counts only if that was kept.
        let reply = match (ended, self.outcome) {
            (Err(error), _) => Err(error.clone()),
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => {
                Err(StoreError::Unavailable { message: "the write panicked".to_owned() })
            }
        };
        // A caller that went away needs no answer.
        drop(self.sender.send(reply));
    }
}

fn serve(conn: &Connection, reads: &Queue<Read>) {
    loop {
        let taken = reads.take(1);
        if taken.is_empty() {
            return;
        }
        for read in taken {
            if catch_unwind(AssertUnwindSafe(|| read(conn))).is_err() {
                tracing::error!("A read panicked.");
            }
        }
    }
}

fn write_all(
    mut db: Db,
    writes: &Queue<Box<dyn Job>>,
    head: &watch::Sender<u64>,
) -> Result<(), StoreError> {
    let _served = Served(writes);
    loop {
        let mut group = writes.take(N_GROUP_MAX);
        if group.is_empty() {
            return db.close();
        }
        let ended = db.apply(&mut group).map(|newest| {
            head.send_if_modified(|known| std::mem::replace(known, newest) != newest);
        });
        for job in group {
            job.settle(&ended);
        }
    }
}
