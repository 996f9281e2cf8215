//! A bounded queue from async callers to threads.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

/// Callers wait for a place, threads wait for an item.
pub(crate) struct Queue<T> {
    places: Semaphore,
    inner: Mutex<Inner<T>>,
    arrived: Condvar,
}

struct Inner<T> {
    items: VecDeque<T>,
    is_closed: bool,
}

/// The queue takes nothing any more.
pub(crate) struct Closed;

impl<T> Queue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            places: Semaphore::new(capacity),
            inner: Mutex::new(Inner { items: VecDeque::new(), is_closed: false }),
            arrived: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an item in, waiting for a place.
    pub(crate) async fn push(&self, item: T) -> Result<(), Closed> {
        match self.places.acquire().await {
            // The place comes back when a thread takes the item.
            Ok(place) => place.forget(),
            Err(_closed) => return Err(Closed),
        }
        let mut inner = self.lock();
        if inner.is_closed {
            return Err(Closed);
        }
        inner.items.push_back(item);
        drop(inner);
        self.arrived.notify_one();
        Ok(())
    }

    /// Takes what is there, at most `n_max`, waiting for the first. Empty when the queue is closed
    /// and everything was taken.
    pub(crate) fn take(&self, n_max: usize) -> Vec<T> {
        let is_waiting = |inner: &mut Inner<T>| inner.items.is_empty() && !inner.is_closed;
        let mut inner = self
            .arrived
            .wait_while(self.lock(), is_waiting)
            .unwrap_or_else(PoisonError::into_inner);
        let n_taken = inner.items.len().min(n_max);
        let taken: Vec<T> = inner.items.drain(..n_taken).collect();
        drop(inner);
        self.places.add_permits(n_taken);
        taken
    }

    /// Takes nothing more; what is in it is still handed out.
    pub(crate) fn close(&self) {
        self.places.close();
        self.lock().is_closed = true;
        self.arrived.notify_all();
    }

    /// Takes nothing more and drops what is in it: nobody is there to do it.
    fn abandon(&self) {
        self.close();
        let abandoned = std::mem::take(&mut self.lock().items);
        drop(abandoned);
    }
}

/// Held by the last thread that serves a queue: should it end in a panic, callers are not left
/// waiting.
pub(crate) struct Served<'a, T>(pub(crate) &'a Queue<T>);

impl<T> Drop for Served<'_, T> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
