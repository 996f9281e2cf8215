//! The dispatcher: performs planned effects, in order per (session, sink), many in parallel.
//!
//! At least once: an effect is marked done only after its sink has it durably, so a crash in between
//! repeats it under the same id. No sink waits for another.
//!
//! Turns of one project that end at about the same time are told as one: the first of them waits a
//! little for the others. What waits is nowhere but in the outbox, and each entry is done only with
//! the notification that told it, so a crash loses none. The entry says in which it was told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ao_core::ids::ProjectId;
use ao_core::inbox::Notification;
use ao_core::outbox::{Condition, OutboxEntry, OutboxOutcome, Sink};
use ao_core::ports::StoreError;
use ao_core::react::{together, together_in};
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
const ATTEMPTS_MAX: u32 = 16;

/// Pause after the first failure; each further one doubles it.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Longest pause between two tries.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(10);

/// How long the loop sleeps when nothing wakes it: retries come due without a wake-up.
const IDLE_FOR: Duration = Duration::from_secs(1);

/// How long the first of those that are told together waits for the others: as long as a turn must
/// be over before it is told, so that agents which were set to work together end together.
const GATHER_FOR: Duration = Duration::from_secs(10);

/// What is told together: the entries of one project for one notifier.
type Bundle = (ProjectId, Sink);

/// Entries that wait for others, since when, and how many there were at the last look.
type Gathering = BTreeMap<Bundle, (Moment, usize)>;

/// What is done with entries that are ready.
enum Turn {
    /// They are handed over, as one notification when they are several.
    Tell(Vec<OutboxEntry>),
    /// They were before, and the store could not take it.
    Write(Vec<(u64, OutboxOutcome)>),
}

/// Performs planned effects.
#[derive(Clone)]
pub(crate) struct Dispatcher {
    ports: EnginePorts,
    wake: Wake,
    /// How tries ended that the store could not take yet. A try is not made again because of that;
    /// a crash forgets it, and then it is.
    unwritten: Arc<Mutex<BTreeMap<u64, OutboxOutcome>>>,
    gathering: Arc<Mutex<Gathering>>,
}

impl Dispatcher {
    pub(crate) fn new(ports: EnginePorts, wake: Wake) -> Self {
        Self { ports, wake, unwritten: Arc::default(), gathering: Arc::default() }
    }

    fn unwritten(&self) -> MutexGuard<'_, BTreeMap<u64, OutboxOutcome>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gathering(&self) -> MutexGuard<'_, Gathering> {
        self.gathering.lock().unwrap_or_else(PoisonError::into_inner)
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
            // Those that wait for others are ready all along, and keep nothing else from its turn.
            let n_waiting = self.gathering().values().map(|(_, n)| n).sum::<usize>();
            let n_max = READY_MAX.saturating_add(n_waiting);
            let ready = self.ports.outbox.ready(&now, n_max).await?;
            let turns = self.turns_of(ready, now).await?;
            if turns.is_empty() {
                break;
            }
            n_performed = n_performed.saturating_add(turns.len());
            let mut performed = futures_util::stream::iter(turns)
                .map(|turn| self.perform(turn))
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

    /// What is done now with entries that are ready.
    async fn turns_of(
        &self,
        ready: Vec<OutboxEntry>,
        now: Moment,
    ) -> Result<Vec<Turn>, StoreError> {
        let mut turns = Vec::new();
        let mut tried = Vec::new();
        let mut bundles: BTreeMap<Bundle, Vec<OutboxEntry>> = BTreeMap::new();
        for entry in ready {
            let outcome = self.unwritten().get(&entry.seq).cloned();
            if let Some(outcome) = outcome {
                tried.push((entry.seq, outcome));
            } else if let Some(project) = together_in(&entry.effect) {
                let bundle = (project.clone(), entry.effect.sink.clone());
                bundles.entry(bundle).or_default().push(entry);
            } else {
                turns.push(Turn::Tell(vec![entry]));
            }
        }
        if !tried.is_empty() {
            turns.push(Turn::Write(tried));
        }
        self.gathering().retain(|bundle, _| bundles.contains_key(bundle));
        for (bundle, entries) in bundles {
            if self.is_gathered(&bundle, &entries, now) {
                turns.push(Turn::Tell(entries));
                continue;
            }
            for entry in entries {
                // What is over waits for nobody, and keeps what comes after it from nothing.
                if !self.still_holds(&entry).await? {
                    turns.push(Turn::Tell(vec![entry]));
                }
            }
        }
        Ok(turns)
    }

    /// Whether the first of those that are told together has waited for the others. What failed
    /// before has waited enough.
    fn is_gathered(&self, bundle: &Bundle, entries: &[OutboxEntry], now: Moment) -> bool {
        let mut gathering = self.gathering();
        let (since, n) = gathering.entry(bundle.clone()).or_insert((now, 0));
        *n = entries.len();
        let is_gathered =
            now.since(since) >= GATHER_FOR || entries.iter().any(|entry| entry.attempts > 0);
        if is_gathered {
            gathering.remove(bundle);
        }
        is_gathered
    }

    async fn perform(&self, turn: Turn) -> Result<(), StoreError> {
        let outcomes = match turn {
            Turn::Tell(entries) => self.attempt(entries).await?,
            Turn::Write(outcomes) => outcomes,
        };
        self.unwritten().extend(outcomes.iter().cloned());
        self.ports.outbox.finish(outcomes.clone()).await?;
        let mut unwritten = self.unwritten();
        for (seq, _) in outcomes {
            unwritten.remove(&seq);
        }
        Ok(())
    }

    /// Hands entries over, those that still hold as one notification.
    async fn attempt(
        &self,
        entries: Vec<OutboxEntry>,
    ) -> Result<Vec<(u64, OutboxOutcome)>, StoreError> {
        let mut outcomes = Vec::new();
        let mut told = Vec::new();
        for entry in entries {
            if self.still_holds(&entry).await? {
                told.push(entry);
            } else {
                outcomes.push((entry.seq, OutboxOutcome::Superseded));
            }
        }
        let Some(first) = told.first() else { return Ok(outcomes) };
        let notifications: Vec<_> = told.iter().map(|it| &it.effect.notification).collect();
        let bundled = match (together_in(&first.effect), notifications.as_slice()) {
            (None, _) | (_, [_]) => None,
            (Some(project), several) => together(project, several),
        };
        let notification = bundled.as_ref().unwrap_or(&first.effect.notification);
        let handed_over = self.hand_over(&first.effect.sink, notification).await;
        for entry in &told {
            let outcome = match (&handed_over, &bundled) {
                (Ok(()), None) => OutboxOutcome::Done,
                (Ok(()), Some(into)) => OutboxOutcome::Merged { into: into.id.clone() },
                (Err(error), _) => self.after_failure(entry, error.clone()),
            };
            outcomes.push((entry.seq, outcome));
        }
        Ok(outcomes)
    }

    async fn hand_over(&self, sink: &Sink, notification: &Notification) -> Result<(), String> {
        let Sink::Notifier(notifier) = sink;
        match self.ports.notifiers.get(notifier) {
            Some(port) => port.notify(notification).await.map_err(|error| error.to_string()),
            None => Err(format!("no notifier `{notifier}` is configured")),
        }
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

    #[test]
    fn an_effect_is_tried_for_more_than_an_hour_and_less_than_two() {
        let tried_for: Duration = (1..ATTEMPTS_MAX).map(pause_after).sum();
        assert!(tried_for > Duration::from_hours(1), "{tried_for:?}");
        assert!(tried_for < Duration::from_hours(2), "{tried_for:?}");
    }
}
