//! What every store promises, as claims that each get an empty store of their own.
//!
//! Durability, retention and refused files are the real store's own and are tested there.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a claim that does not hold panics")]

mod children;
mod claims;
mod effects;
mod feed;
pub mod sample;
mod sessions;

use std::any::Any;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Builder, ScopedJoinHandle};
use std::time::Duration;

use ao_core::ports::{
    ChangeFeed, Deadlines, Inbox, Incidents, Messages, Outbox, Projects, Sagas, SessionStore,
};

/// Every port of one store.
#[derive(Clone)]
pub struct Stores {
    /// Sessions, and what is committed with them.
    pub sessions: Arc<dyn SessionStore>,
    /// What is in flight.
    pub sagas: Arc<dyn Sagas>,
    /// Planned effects.
    pub outbox: Arc<dyn Outbox>,
    /// Messages.
    pub messages: Arc<dyn Messages>,
    /// Deadlines.
    pub deadlines: Arc<dyn Deadlines>,
    /// Registered repositories.
    pub projects: Arc<dyn Projects>,
    /// The durable inbox.
    pub inbox: Arc<dyn Inbox>,
    /// Infrastructure incidents.
    pub incidents: Arc<dyn Incidents>,
    /// The change feed.
    pub feed: Arc<dyn ChangeFeed>,
    /// What has to live as long as the store: its directory.
    keep: Arc<dyn Any + Send + Sync>,
}

impl Stores {
    /// The ports of a store that implements all of them. `keep` is dropped after it.
    pub fn over<S>(store: S, keep: impl Any + Send + Sync) -> Self
    where
        S: SessionStore
            + Sagas
            + Outbox
            + Messages
            + Deadlines
            + Projects
            + Inbox
            + Incidents
            + ChangeFeed
            + 'static,
    {
        let store = Arc::new(store);
        Self {
            sessions: Arc::<S>::clone(&store),
            sagas: Arc::<S>::clone(&store),
            outbox: Arc::<S>::clone(&store),
            messages: Arc::<S>::clone(&store),
            deadlines: Arc::<S>::clone(&store),
            projects: Arc::<S>::clone(&store),
            inbox: Arc::<S>::clone(&store),
            incidents: Arc::<S>::clone(&store),
            feed: store,
            keep: Arc::new(keep),
        }
    }

    /// What was handed over to be kept alive.
    pub fn kept(&self) -> &(dyn Any + Send + Sync) {
        &*self.keep
    }
}

/// A promise: its name, how many events the feed of its store keeps, and what shows it.
type Claim = (&'static str, usize, fn(&Stores));

/// Checks every claim. `make` makes an empty store whose feed keeps so many events.
///
/// # Panics
///
/// Where a claim does not hold; the thread of the panic has its name.
pub fn check(make: impl Fn(usize) -> Stores + Sync) {
    for &(name, n_events, claim) in claims::ALL {
        let run = || claim(&make(n_events));
        let ended = thread::scope(|scope| {
            Builder::new()
                .name(name.to_owned())
                .spawn_scoped(scope, run)
                .map(ScopedJoinHandle::join)
        });
        if let Err(panic) = ended.unwrap_or_else(|error| Err(Box::new(error))) {
            resume_unwind(panic);
        }
    }
}

/// Longer than any store takes, also on a loaded machine.
const ANSWER_MAX: Duration = Duration::from_mins(1);

/// Drives a future on this thread; the store brings threads of its own, if any.
///
/// # Panics
///
/// When nobody wakes it for a minute.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Knock(SyncSender<()>);

    impl Wake for Knock {
        fn wake(self: Arc<Self>) {
            match self.0.try_send(()) {
                // When there is a knock already, or nobody listens any more, one more says nothing.
                Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
            }
        }
    }

    let (sender, knocks) = sync_channel(1);
    let waker = Waker::from(Arc::new(Knock(sender)));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => knocks.recv_timeout(ANSWER_MAX).unwrap(),
        }
    }
}
