//! What was asked for and how it was answered: what the clients know of the run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A session as a client last saw it.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) has_ended: bool,
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) commands: BTreeMap<(&'static str, i32), u64>,
    /// Every session that a spawn named.
    pub(super) spawned: BTreeSet<String>,
    /// Sessions as they were last listed.
    pub(super) known: Vec<Known>,
    /// Spawns under way.
    pub(super) n_spawning: usize,
    pub(super) n_lived_max: usize,
    /// The texts that were accepted, and for whom.
    pub(super) sent: BTreeMap<String, String>,
    pub(super) n_daemon_kills: u64,
    pub(super) n_server_kills: u64,
    pub(super) violations: Vec<String>,
}

/// The shared account of a run.
pub(super) struct Account {
    facts: Mutex<Facts>,
    ends_at: Instant,
}

impl Account {
    pub(super) fn new(lasts: Duration) -> Self {
        Self { facts: Mutex::default(), ends_at: now() + lasts }
    }

    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_over(&self) -> bool {
        now() >= self.ends_at
    }

    pub(super) fn left(&self) -> Duration {
        self.ends_at.saturating_duration_since(now())
    }

    pub(super) fn violate(&self, what: String) {
        self.facts().violations.push(what);
    }
}

#[expect(clippy::disallowed_methods, reason = "the run lasts minutes of real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "people and disasters take real time")]
pub(crate) async fn pause(for_long: Duration) {
    tokio::time::sleep(for_long).await;
}
