//! The threads around the database: one that writes, some that read.
//!
//! # Flow
//!
//! A write waits for a place in a bounded queue. The writer takes what is queued, never waits for
//! more, applies it as one transaction, wakes the readers of the change feed, and only then
//! answers. A read goes to the next free reader, which sees everything that was answered before.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    engine: Engine,
    head: watch::Receiver<u64>,
}

/// Who does the work.
enum Engine {
    Threads { writes: Arc<Queue<Box<dyn Job>>>, reads: Arc<Queue<Read>>, threads: Mutex<Threads> },
    Caller(Mutex<Option<Box<Writer>>>),
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
        let (writer, head) = Writer::open(lock, path, options)?;
        let (writes, reads) =
            (Arc::new(Queue::new(N_WRITES_MAX)), Arc::new(Queue::new(N_READS_MAX)));
        let mut readers = Vec::new();
        for _ in 0..N_READERS {
            let conn = writer.db.reader()?;
            let reads = Arc::clone(&reads);
            readers.push(move || serve(&conn, &reads));
        }
        // From here on a failure drops the store, which ends the threads that run already.
        let threads = Mutex::default();
        let engine =
            Engine::Threads { writes: Arc::clone(&writes), reads: Arc::clone(&reads), threads };
        let store = Self { engine, head };
        store.start(writer, writes, readers).map_err(|error| {
            let message = format!("a thread cannot be started: {error}");
            OpenError::Unavailable { path: path.to_owned(), message }
        })?;
        Ok(store)
    }

    /// Opens the database without any threads: each call does its work when it is polled, so that
    /// a simulation with one seed has one history.
    pub fn open_inline(lock: DataLock, path: &Path, options: Options) -> Result<Self, OpenError> {
        let (writer, head) = Writer::open(lock, path, options)?;
        Ok(Self { engine: Engine::Caller(Mutex::new(Some(Box::new(writer)))), head })
    }

    fn start(
        &self,
        writer: Writer,
        writes: Arc<Queue<Box<dyn Job>>>,
        readers: Vec<impl FnOnce() + Send + 'static>,
    ) -> io::Result<()> {
        let Engine::Threads { threads, .. } = &self.engine else { return Ok(()) };
        let mut threads = lock(threads);
        for reader in readers {
            let thread = Builder::new().name("store-read".to_owned());
            threads.readers.push(thread.spawn(reader)?);
        }
        let thread = Builder::new().name("store-write".to_owned());
        threads.writer = Some(thread.spawn(move || writer.serve(&writes))?);
        Ok(())
    }

    /// Ends the reads and writes that are queued, puts everything into the main file, and lets go
    /// of the lock. Later calls are `Unavailable`. Closing twice does nothing.
    ///
    /// It blocks its thread for as long as the last writes take.
    pub fn close(&self) -> Result<(), StoreError> {
        let (writes, reads, threads) = match &self.engine {
            Engine::Threads { writes, reads, threads } => (writes, reads, threads),
            Engine::Caller(writer) => {
                return lock(writer).take().map_or(Ok(()), |writer| writer.db.close());
            }
        };
        let mut threads = lock(threads);
        let Threads { readers, writer } = std::mem::take(&mut *threads);
        reads.close();
        for reader in readers {
            if reader.join().is_err() {
                tracing::error!("A reader of the store panicked.");
            }
        }
        // The writer goes last: only the last connection can empty the log.
        writes.close();
        match writer.map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(ended)) => ended,
            Some(Err(_panic)) => {
                Err(StoreError::Unavailable { message: "the writer panicked".to_owned() })
            }
        }
    }

    /// Lets go of the database as a program does that is killed: what is in the log stays there,
    /// for the next one to recover. Later calls are `Unavailable`.
    ///
    /// With threads it is [`Self::close`]: only who does the work itself knows that none is begun.
    pub fn abandon(&self) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Threads { .. } => self.close(),
            Engine::Caller(writer) => {
                lock(writer).take().map_or(Ok(()), |writer| writer.db.abandon())
            }
        }
    }

    /// Does a piece of work with the newest snapshot.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let reads = match &self.engine {
            Engine::Threads { reads, .. } => reads,
            Engine::Caller(writer) => {
                return lock(writer).as_ref().ok_or_else(closed)?.db.read(work);
            }
        };
        let (sender, reply) = oneshot::channel();
        let read: Read = Box::new(move |conn| {
            // A caller that went away needs no answer.
            drop(sender.send(snapshot(conn, work)));
        });
        reads.push(read).await.map_err(|Closed| closed())?;
        reply.await.unwrap_or_else(|_gone| Err(closed()))
    }

    /// Does a piece of work in a transaction. It is answered after the sync; a caller that goes
    /// away before has it written all the same.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Writing<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (job, reply) = pending(work);
        match &self.engine {
            Engine::Threads { writes, .. } => {
                writes.push(job).await.map_err(|Closed| closed())?;
            }
            Engine::Caller(writer) => {
                lock(writer).as_mut().ok_or_else(closed)?.apply(vec![job]);
            }
        }
        reply.await.unwrap_or_else(|_gone| Err(closed()))
    }

    /// The newest position, for a caller that waits.
    pub(crate) fn watch_head(&self) -> watch::Receiver<u64> {
        self.head.clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "The store did not close cleanly.");
        }
    }
}

/// What a caller waits for.
type Reply<T> = oneshot::Receiver<Result<T, StoreError>>;

/// A piece of work as a job, and where its caller is answered.
pub(crate) fn pending<T: Send + 'static>(
    work: impl FnOnce(&Writing<'_>) -> Result<T, StoreError> + Send + 'static,
) -> (Box<dyn Job>, Reply<T>) {
    let (sender, reply) = oneshot::channel();
    (Box::new(Pending { work: Some(work), outcome: None, sender }), reply)
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

/// The database with those who wait for its events.
struct Writer {
    db: Db,
    head: watch::Sender<u64>,
}

impl Writer {
    fn open(
        lock: DataLock,
        path: &Path,
        options: Options,
    ) -> Result<(Self, watch::Receiver<u64>), OpenError> {
        let db = Db::open(lock, path, options)?;
        let head = db.read(read::head).map_err(|error| OpenError::Corrupt {
            path: path.to_owned(),
            message: error.to_string(),
        })?;
        let (sender, head) = watch::channel(head);
        Ok((Self { db, head: sender }, head))
    }

    fn apply(&mut self, mut group: Vec<Box<dyn Job>>) {
        let ended = self.db.apply(&mut group).map(|newest| {
            self.head.send_if_modified(|known| std::mem::replace(known, newest) != newest);
        });
        for job in group {
            job.settle(&ended);
        }
    }

    fn serve(mut self, writes: &Queue<Box<dyn Job>>) -> Result<(), StoreError> {
        let _served = Served(writes);
        loop {
            let group = writes.take(N_GROUP_MAX);
            if group.is_empty() {
                return self.db.close();
            }
            self.apply(group);
        }
    }
}
