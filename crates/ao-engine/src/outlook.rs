//! Waiting for a condition on what the store holds: woken by the change feed, never polled.

use std::time::Duration;

use ao_core::ports::{ChangeFeed, Clock, StoreError};
use futures_util::future::{Either, select};

/// How a wait ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Waited<T> {
    /// The condition held.
    Met(T),
    /// Time ran out.
    TimedOut,
}

/// Asks `condition` now and after every change until it answers, or time runs out.
pub(crate) async fn wait_until<T, C, F>(
    feed: &dyn ChangeFeed,
    clock: &dyn Clock,
    for_max: Duration,
    mut condition: C,
) -> Result<Waited<T>, StoreError>
where
    C: FnMut() -> F,
    F: Future<Output = Result<Option<T>, StoreError>>,
{
    let mut timer = clock.sleep(for_max);
    loop {
        // The cursor is read before the condition, so a change in between ends the wait.
        let cursor = feed.head().await?;
        if let Some(met) = condition().await? {
            return Ok(Waited::Met(met));
        }
        match select(timer, feed.wait_after(cursor)).await {
            Either::Left(((), _)) => return Ok(Waited::TimedOut),
            Either::Right((woken, rest)) => {
                woken?;
                timer = rest;
            }
        }
    }
}
