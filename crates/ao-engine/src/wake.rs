//! Wake-ups between the loops: “look soon”, never “this happened”.

use std::sync::Arc;

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
    stopping: watch::Sender<bool>,
}

impl Wake {
    pub(crate) fn new() -> Self {
        Self {
            dispatcher: Arc::default(),
            messenger: Arc::default(),
            reaper: Arc::default(),
            stopping: watch::Sender::new(false),
        }
    }

    /// Wakes everything: after a start, and when nobody knows what was missed.
    pub(crate) fn all(&self) {
        self.dispatcher.notify_one();
        self.messenger.notify_one();
        self.reaper.notify_one();
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
