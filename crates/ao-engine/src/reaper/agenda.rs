//! Which servers are to be looked at soon, and when. It lives in memory: a look that is forgotten is
//! taken by the next pass.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ao_core::session::ServerIdentity;

use super::watches::{ServerKey, server_key};

/// Quick looks at a server that still contradicts itself, before it is left to the passes. Their
/// pauses double, so that together they cover one second.
const QUICK_LOOKS_MAX: u32 = 4;

/// Pause before the second quick look: what tmux needs to notice a death on a loaded machine.
const PAUSE_FIRST: Duration = Duration::from_millis(50);

/// A look that is due at some time since boot.
#[derive(Debug, Clone)]
pub(super) struct Due {
    pub(super) server: ServerIdentity,
    at: Duration,
    n_looks: u32,
}

/// The looks to take.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    due: Mutex<BTreeMap<ServerKey, Due>>,
}

impl Agenda {
    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<ServerKey, Due>) -> T) -> T {
        act(&mut self.due.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a look down. An earlier one stays.
    pub(super) fn put(&self, server: &ServerIdentity, at: Duration) {
        self.with(|due| {
            due.entry(server_key(server))
                .and_modify(|due| due.at = due.at.min(at))
                .or_insert_with(|| Due { server: server.clone(), at, n_looks: 0 });
        });
    }

    /// Puts another look at a server down, after twice the pause of the one before; not for ever.
    pub(super) fn put_again(&self, server: &ServerIdentity, before: &[Due], now: Duration) {
        let key = server_key(server);
        let last = before.iter().find(|due| server_key(&due.server) == key);
        let n_before = last.map_or(0, |due| due.n_looks);
        if n_before < QUICK_LOOKS_MAX {
            let at = now.saturating_add(PAUSE_FIRST.saturating_mul(1 << n_before));
            let due = Due { server: server.clone(), at, n_looks: n_before.saturating_add(1) };
            self.with(|agenda| agenda.insert(key, due));
        }
    }

    /// When the next look is due.
    pub(super) fn next_at(&self) -> Option<Duration> {
        self.with(|due| due.values().map(|due| due.at).min())
    }

    /// Takes what is due off the agenda.
    pub(super) fn take_due(&self, now: Duration) -> Vec<Due> {
        self.with(|agenda| {
            let (due, later) = std::mem::take(agenda)
                .into_iter()
                .partition::<BTreeMap<_, _>, _>(|(_, due)| due.at <= now);
            *agenda = later;
            due.into_values().collect()
        })
    }
}
