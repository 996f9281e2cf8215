//! A clock that moves only when it is told to.
//!
//! It never reads the machine's time. Who drives it (a test, or [`crate::tasks::TestTasks`] once
//! every task waits) decides when the next sleeper wakes.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ao_core::ports::{BoxFuture, Clock};
use ao_core::time::{BootId, Moment, Timestamp};

/// Where the wall clock starts: a Monday noon, UTC.
const WALL_START_MS: i64 = 1_700_000_000_000;

/// How long a freshly booted machine is up before anything of ours runs.
const UPTIME_AT_START: Duration = Duration::from_secs(20);

/// A clock whose three times move by command. Clones share one time.
#[derive(Debug, Clone)]
pub struct JumpingClock {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    now: Moment,
    next_sleeper: u64,
    /// By the time awake at which they wake, then by the order in which they fell asleep.
    sleepers: BTreeMap<(Duration, u64), Waker>,
}

impl JumpingClock {
    /// A clock shortly after the first boot.
    pub fn new() -> Self {
        let now = Moment {
            wall: Timestamp::from_millis(WALL_START_MS),
            boot: BootId(1),
            since_boot: UPTIME_AT_START,
            awake: UPTIME_AT_START,
        };
        Self {
            state: Arc::new(Mutex::new(State { now, next_sleeper: 0, sleepers: BTreeMap::new() })),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets time pass while the machine is awake, and wakes who is due by then.
    pub fn advance(&self, by: Duration) {
        let mut state = self.lock();
        state.now.wall = state.now.wall.plus(by);
        state.now.since_boot = state.now.since_boot.saturating_add(by);
        state.now.awake = state.now.awake.saturating_add(by);
        state.wake_due();
    }

    /// Lets time pass while the machine is suspended: nobody becomes due by it.
    pub fn suspend(&self, for_: Duration) {
        let mut state = self.lock();
        state.now.wall = state.now.wall.plus(for_);
        state.now.since_boot = state.now.since_boot.saturating_add(for_);
    }

    /// Sets the wall clock, forward or back; the other two do not notice.
    pub fn jump_wall_to(&self, wall: Timestamp) {
        self.lock().now.wall = wall;
    }

    /// Boots the machine again after it was off for some time. Whoever slept sleeps for ever.
    pub fn reboot(&self, off_for: Duration) {
        let mut state = self.lock();
        state.now = Moment {
            wall: state.now.wall.plus(off_for).plus(UPTIME_AT_START),
            boot: BootId(state.now.boot.0.wrapping_add(1)),
            since_boot: UPTIME_AT_START,
            awake: UPTIME_AT_START,
        };
        state.sleepers.clear();
    }

    /// Advances to the moment at which the next sleeper wakes; false when nobody sleeps.
    pub fn advance_to_next_sleeper(&self) -> bool {
        let due = self.lock().sleepers.keys().next().map(|&(due, _)| due);
        let Some(due) = due else { return false };
        self.advance(due.saturating_sub(self.now().awake));
        true
    }

    /// How many wait for time to pass.
    pub fn n_sleepers(&self) -> usize {
        self.lock().sleepers.len()
    }
}

impl Default for JumpingClock {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn wake_due(&mut self) {
        while let Some(sleeper) = self.sleepers.first_entry()
            && sleeper.key().0 <= self.now.awake
        {
            sleeper.remove().wake();
        }
    }
}

impl Clock for JumpingClock {
    fn now(&self) -> Moment {
        self.lock().now
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut state = self.lock();
        let due = state.now.awake.saturating_add(duration);
        let boot = state.now.boot;
        state.next_sleeper += 1;
        Box::pin(Sleep { clock: self.clone(), key: (due, state.next_sleeper), boot })
    }
}

/// A wait; dropping it takes it off the clock.
struct Sleep {
    clock: JumpingClock,
    key: (Duration, u64),
    boot: BootId,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.lock();
        if state.now.boot != self.boot {
            return Poll::Pending;
        }
        if self.key.0 <= state.now.awake {
            return Poll::Ready(());
        }
        state.sleepers.insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.lock().sleepers.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_sleeper_wakes_when_its_time_has_come_and_not_before() {
        let clock = JumpingClock::new();
        let mut sleep = clock.sleep(Duration::from_secs(5));
        assert_eq!((&mut sleep).now_or_never(), None);
        clock.advance(Duration::from_millis(4_999));
        assert_eq!((&mut sleep).now_or_never(), None);
        assert!(clock.advance_to_next_sleeper());
        assert_eq!((&mut sleep).now_or_never(), Some(()));
        assert!(!clock.advance_to_next_sleeper());
    }

    #[test]
    fn a_suspended_machine_wakes_nobody_and_grows_older() {
        let clock = JumpingClock::new();
        let before = clock.now();
        let mut sleep = clock.sleep(Duration::from_secs(5));
        clock.suspend(Duration::from_hours(1));
        assert_eq!((&mut sleep).now_or_never(), None);
        assert_eq!(clock.now().since(&before), Duration::from_hours(1));
        assert_eq!(clock.now().awake_since(&before), Duration::ZERO);
    }

    #[test]
    fn a_cancelled_sleep_leaves_the_clock() {
        let clock = JumpingClock::new();
        let mut sleep = clock.sleep(Duration::from_secs(5));
        assert_eq!((&mut sleep).now_or_never(), None);
        assert_eq!(clock.n_sleepers(), 1);
        drop(sleep);
        assert_eq!(clock.n_sleepers(), 0);
    }

    #[test]
    fn a_reboot_is_another_boot_with_a_later_wall_clock() {
        let clock = JumpingClock::new();
        let before = clock.now();
        clock.reboot(Duration::from_mins(1));
        let after = clock.now();
        assert_ne!(after.boot, before.boot);
        assert!(after.wall > before.wall);
    }
}
