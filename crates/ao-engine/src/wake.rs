//! Wake-ups between the loops: “look soon”, never “this happened”.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use ao_core::ids::SessionId;
use tokio::sync::{Notify, watch};

/// The wake-ups of one engine, and its wish to stop.
#[derive(Debug, Clone)]
pub(crate) struct Wake {
    /// Effects may be ready.
    pub(crate) dispatcher: Arc<Notify>,
    /// Messages may be ready, or the state that held them changed.
    pub(crate) messenger: Arc<Notify>,
    /// Sessions, deadlines or servers may want a look.
    pub(crate) reaper: Arc<Notify>,
    /// A place may have become free.
    pub(crate) places: Arc<Notify>,
    looks: Arc<Mutex<BTreeSet<SessionId>>>,
    stopping: watch::Sender<bool>,
}

impl Wake {
    pub(crate) fn new() -> Self {
        Self {
            dispatcher: Arc::default(),
            messenger: Arc::default(),
            reaper: Arc::default(),
            places: Arc::default(),
            looks: Arc::default(),
            stopping: watch::Sender::new(false),
        }
    }

    /// Wakes everything: after a start, and when nobody knows what was missed.
    pub(crate) fn all(&self) {
        self.dispatcher.notify_one();
        self.messenger.notify_one();
        self.reaper.notify_one();
        self.places.notify_one();
    }

    /// Asks for a look at a session before the next pass.
    pub(crate) fn ask_look(&self, session: &SessionId) {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).insert(session.clone());
        self.reaper.notify_one();
    }

    /// Takes the looks that were asked for.
    pub(crate) fn take_looks(&self) -> BTreeSet<SessionId> {
        std::mem::take(&mut *self.looks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Ends when the engine stops.
    pub(crate) async fn stopped(&self) {
        let mut receiver = self.stopping.subscribe();
        // The sender lives in `self`, so waiting can only end with the wish.
        if receiver.wait_for(|&is_stopping| is_stopping).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
