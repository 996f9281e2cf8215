//! The dispatcher: performs planned effects, in order per (session, sink), many in parallel.
//!
//! At least once: an effect is marked done only after its sink has it durably, so a crash in between
//! repeats it under the same id. No sink waits for another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ao_core::outbox::{Condition, OutboxEntry, OutboxOutcome, Sink};
use ao_core::ports::StoreError;
use ao_core::time::{Moment, Timestamp};
use futures_util::StreamExt as _;

use crate::ports::EnginePorts;
use crate::wake::Wake;

/// Effects performed at the same time.
const EFFECTS_AT_ONCE: usize = 8;

/// Effects taken from the store at once.
const READY_MAX: usize = 64;

/// Tries of one effect. With the pauses below they span more than an hour: longer than a chat
/// service is usually down, shorter than a person would want to wait before hearing of it.
const ATTEMPTS_MAX: u32 = 12;

/// Pause after the first failure; each further one doubles it.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Longest pause between two tries.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(10);

/// How long the loop sleeps when nothing wakes it: retries come due without a wake-up.
const IDLE_FOR: Duration = Duration::from_secs(1);

/// Performs planned effects.
#[derive(Clone)]
pub(crate) struct Dispatcher {
    ports: EnginePorts,
    wake: Wake,
    /// How tries ended that the store could not take yet. A try is not made again because of that;
    /// a crash forgets it, and then it is.
    unwritten: Arc<Mutex<BTreeMap<u64, OutboxOutcome>>>,
}

impl Dispatcher {
    pub(crate) fn new(ports: EnginePorts, wake: Wake) -> Self {
        Self { ports, wake, unwritten: Arc::default() }
    }

    fn unwritten(&self) -> MutexGuard<'_, BTreeMap<u64, OutboxOutcome>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Dispatches until the engine stops.
    pub(crate) async fn run(self) {
        loop {
            if let Err(error) = self.drain().await {
                tracing::error!(%error, "Effects wait for the store.");
            }
            tokio::select! {
                biased;
                () = self.wake.stopped() => return,
                () = self.wake.dispatcher.notified() => {}
                () = self.ports.clock.sleep(IDLE_FOR) => {}
            }
        }
    }

    /// Performs everything that is ready, until nothing is. One that fails keeps no other from its
    /// turn; the first failure is told at the end.
    pub(crate) async fn drain(&self) -> Result<usize, StoreError> {
        let mut n_performed = 0_usize;
        while !self.wake.is_stopping() {
            let now = self.ports.clock.now();
            let ready = self.ports.outbox.ready(&now, READY_MAX).await?;
            if ready.is_empty() {
                break;
            }
            n_performed = n_performed.saturating_add(ready.len());
            let mut performed = futures_util::stream::iter(ready)
                .map(|entry| self.perform(entry))
                .buffer_unordered(EFFECTS_AT_ONCE);
            let mut failure = None;
            while let Some(result) = performed.next().await {
                failure = failure.or_else(|| result.err());
            }
            if let Some(error) = failure {
                return Err(error);
            }
        }
        Ok(n_performed)
    }

    async fn perform(&self, entry: OutboxEntry) -> Result<(), StoreError> {
        let seq = entry.seq;
        let tried = self.unwritten().get(&seq).cloned();
        let outcome = match tried {
            Some(outcome) => outcome,
            None => self.attempt(&entry).await?,
        };
        self.unwritten().insert(seq, outcome.clone());
        self.ports.outbox.finish(seq, outcome).await?;
        self.unwritten().remove(&seq);
        Ok(())
    }

    async fn attempt(&self, entry: &OutboxEntry) -> Result<OutboxOutcome, StoreError> {
        let outcome = if self.still_holds(entry).await? {
            let Sink::Notifier(notifier) = &entry.effect.sink;
            let handed_over = match self.ports.notifiers.get(notifier) {
                Some(port) => {
                    port.notify(&entry.effect.notification).await.map_err(|it| it.to_string())
                }
                None => Err(format!("no notifier `{notifier}` is configured")),
            };
            match handed_over {
                Ok(()) => OutboxOutcome::Done,
                Err(error) => self.after_failure(entry, error),
            }
        } else {
            OutboxOutcome::Superseded
        };
        Ok(outcome)
    }

    /// Reads the condition again, right before the effect.
    async fn still_holds(&self, entry: &OutboxEntry) -> Result<bool, StoreError> {
        let (incident, episode) = match entry.effect.condition {
            Condition::Always => return Ok(true),
            Condition::IncidentOpen { incident, episode } => (incident, episode),
        };
        let Some(id) = &entry.session else { return Ok(true) };
        let Some(session) = self.ports.sessions.get(id).await? else { return Ok(false) };
        let open = session.ledger.open.get(&incident);
        Ok(open.is_some_and(|open| open.episode == episode))
    }

    fn after_failure(&self, entry: &OutboxEntry, error: String) -> OutboxOutcome {
        let n_failed = entry.attempts.saturating_add(1);
        if n_failed >= ATTEMPTS_MAX {
            tracing::error!(effect = %entry.effect.id, %error, "An effect is given up.");
            return OutboxOutcome::Dead { error };
        }
        tracing::warn!(effect = %entry.effect.id, %error, "An effect failed and is tried again.");
        let not_before = later(&self.ports.clock.now(), pause_after(n_failed));
        OutboxOutcome::Retry { not_before, error }
    }
}

fn pause_after(n_failed: u32) -> Duration {
    let doublings = n_failed.saturating_sub(1).min(16);
    RETRY_AFTER.saturating_mul(1 << doublings).min(RETRY_AFTER_MAX)
}

fn later(now: &Moment, by: Duration) -> Moment {
    let wall = Timestamp::plus(now.wall, by);
    Moment {
        wall,
        boot: now.boot,
        since_boot: now.since_boot.saturating_add(by),
        awake: now.awake.saturating_add(by),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound() {
        let seconds: Vec<u64> = [1, 2, 3, 11, 40].map(|n| pause_after(n).as_secs()).to_vec();
        assert_eq!(seconds, [1, 2, 4, 600, 600]);
    }
}
