//! How urgently the daemon is to end, told to everybody who has to know.

use std::time::Duration;

use tokio::sync::watch;

/// How far the end has come; it only ever rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// Everything goes on.
    Running,
    /// Take nothing new, finish what is begun, each part within its bound.
    Graceful,
    /// Drop what is not finished: the next start picks it up.
    Now,
}

/// Asks for the end, and hears of it.
#[derive(Debug, Clone)]
pub struct Stop(watch::Sender<Urgency>);

impl Default for Stop {
    fn default() -> Self {
        Self(watch::Sender::new(Urgency::Running))
    }
}

impl Stop {
    /// Nobody asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the end.
    pub fn request(&self) {
        self.raise(Urgency::Graceful);
    }

    /// Asks once more: whoever asks twice does not want to wait.
    pub fn hurry(&self) {
        self.0.send_modify(|urgency| {
            *urgency = match *urgency {
                Urgency::Running => Urgency::Graceful,
                Urgency::Graceful | Urgency::Now => Urgency::Now,
            };
        });
    }

    fn raise(&self, to: Urgency) {
        self.0.send_if_modified(|urgency| {
            let rises = *urgency < to;
            *urgency = (*urgency).max(to);
            rises
        });
    }

    /// Waits until the end is at least this urgent.
    pub(crate) async fn reached(&self, urgency: Urgency) {
        let mut receiver = self.0.subscribe();
        let waited = receiver.wait_for(|now| *now >= urgency).await;
        // The sender lives in `self`, so the wait ends only by the value.
        drop(waited);
    }

    /// Runs a part of the shutdown: at most this long, and not at all once it hurries.
    pub(crate) async fn bounded<T>(
        &self,
        name: &'static str,
        limit: Duration,
        part: impl Future<Output = T>,
    ) -> Option<T> {
        let ended = tokio::select! {
            biased;
            () = self.reached(Urgency::Now) => None,
            ended = tokio::time::timeout(limit, part) => ended.ok(),
        };
        if ended.is_none() {
            tracing::warn!(part = name, "Did not wait for a part of the shutdown to end.");
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_request_hurries_and_nothing_slows_it_down_again() {
        let stop = Stop::new();
        assert_eq!(*stop.0.borrow(), Urgency::Running);
        stop.hurry();
        stop.reached(Urgency::Graceful).await;
        stop.hurry();
        stop.request();
        stop.reached(Urgency::Now).await;
        assert_eq!(*stop.0.borrow(), Urgency::Now);
    }

    #[tokio::test]
    async fn a_request_over_the_socket_repeated_does_not_hurry() {
        let stop = Stop::new();
        stop.request();
        stop.request();
        assert_eq!(*stop.0.borrow(), Urgency::Graceful);
    }

    #[tokio::test]
    async fn a_part_that_never_ends_is_left_behind_when_it_hurries() {
        let stop = Stop::new();
        stop.hurry();
        stop.hurry();
        let part = std::future::pending::<()>();
        assert_eq!(stop.bounded("never", Duration::MAX, part).await, None);
    }
}
