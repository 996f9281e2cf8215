//! The machine's clocks, its randomness, and tasks on the tokio runtime.
//!
//! The only place of the adapters that reads a clock, draws a random number or spawns a task.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ao_core::ids::Token;
use ao_core::ports::{BoxFuture, Clock, IdGen, Tasks};
use ao_core::time::{BootId, Moment, Timestamp};
use futures_util::FutureExt as _;
use rustix::time::{ClockId, Timespec, clock_gettime};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::processes::{BootIdError, LinuxProcesses};

/// The kernel's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    boot: BootId,
}

impl SystemClock {
    /// A clock of the boot that the machine is in.
    pub fn new() -> Result<Self, BootIdError> {
        Ok(Self { boot: LinuxProcesses::new()?.boot_id() })
    }
}

fn duration(time: Timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn wall_now() -> Timestamp {
    let time = clock_gettime(ClockId::Realtime);
    Timestamp::from_millis(time.tv_sec.saturating_mul(1_000) + time.tv_nsec / 1_000_000)
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        // In this order: read the other way round, time awake could exceed time since boot.
        let awake = duration(clock_gettime(ClockId::Monotonic));
        let since_boot = duration(clock_gettime(ClockId::Boottime));
        Moment { wall: wall_now(), boot: self.boot, since_boot, awake }
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        #[expect(clippy::disallowed_methods, reason = "this is the clock that the rule asks for")]
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Ids of 48 bits of wall time and 80 random bits.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

/// Bits of a token that nobody can guess.
const RANDOM_BITS: u32 = 80;

impl IdGen for SystemIds {
    fn token(&self) -> Token {
        let mut random = [0; 16];
        #[expect(
            clippy::expect_used,
            reason = "a kernel that booted has randomness; no id is safe without it"
        )]
        getrandom::fill(&mut random).expect("the kernel gives random bytes");
        let random = u128::from_le_bytes(random) & ((1 << RANDOM_BITS) - 1);
        let time = u128::try_from(wall_now().as_millis()).unwrap_or(0);
        Token::from_bits(time << RANDOM_BITS | random)
    }
}

/// Tasks on a tokio runtime, each known until it ended. Clones share the tasks.
#[derive(Clone)]
pub struct TokioTasks {
    runtime: Handle,
    running: Arc<Running>,
}

#[derive(Default)]
struct Running {
    state: Mutex<State>,
    has_ended: Notify,
}

#[derive(Default)]
struct State {
    next: u64,
    tasks: BTreeMap<u64, (&'static str, Option<AbortHandle>)>,
    is_shut_down: bool,
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes its task off the list, however the task ends.
struct Entry {
    id: u64,
    running: Arc<Running>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.running.lock().tasks.remove(&self.id);
        self.running.has_ended.notify_waiters();
    }
}

impl TokioTasks {
    /// Tasks on this runtime.
    pub fn new(runtime: Handle) -> Self {
        Self { runtime, running: Arc::default() }
    }

    /// Cancels every task, takes no more, and waits for them to end. Returns the names of those
    /// that had not ended by the deadline.
    pub async fn shutdown(&self, deadline: Duration) -> Vec<&'static str> {
        let cancelled: Vec<AbortHandle> = {
            let mut state = self.running.lock();
            state.is_shut_down = true;
            state.tasks.values().filter_map(|(_, handle)| handle.clone()).collect()
        };
        cancelled.iter().for_each(AbortHandle::abort);
        let all_ended = async {
            loop {
                let ended = self.running.has_ended.notified();
                if self.running.lock().tasks.is_empty() {
                    return;
                }
                ended.await;
            }
        };
        match tokio::time::timeout(deadline, all_ended).await {
            Ok(()) => Vec::new(),
            Err(_elapsed) => self.running.lock().tasks.values().map(|(name, _)| *name).collect(),
        }
    }

    /// Waits for the tasks of these names to end by themselves, at most this long.
    pub async fn settle(&self, names: &[&str], deadline: Duration) {
        let all_ended = async {
            loop {
                let ended = self.running.has_ended.notified();
                if !self.names().iter().any(|name| names.contains(name)) {
                    return;
                }
                ended.await;
            }
        };
        if tokio::time::timeout(deadline, all_ended).await.is_err() {
            tracing::debug!("Tasks that were begun are cancelled.");
        }
    }

    /// Names of the tasks that have not ended.
    pub fn names(&self) -> Vec<&'static str> {
        self.running.lock().tasks.values().map(|(name, _)| *name).collect()
    }
}

impl Tasks for TokioTasks {
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        let mut state = self.running.lock();
        if state.is_shut_down {
            tracing::debug!(task = name, "Task was not started: the program shuts down.");
            return;
        }
        state.next += 1;
        let id = state.next;
        let entry = Entry { id, running: Arc::clone(&self.running) };
        let caught = async move {
            let _entry = entry;
            if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
                let because = text_of(panic.as_ref());
                tracing::error!(task = name, because, "Task panicked: this is a bug in ao.");
            }
        };
        // Listed before it can end, so that its end finds it on the list.
        state.tasks.insert(id, (name, None));
        let handle = self.runtime.spawn(caught).abort_handle();
        state.tasks.insert(id, (name, Some(handle)));
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_clocks_tell_one_boot_and_do_not_run_backwards() {
        let clock = SystemClock::new().unwrap();
        let (earlier, later) = (clock.now(), clock.now());
        assert_eq!(earlier.boot, later.boot);
        assert!(later.since_boot >= earlier.since_boot && later.awake >= earlier.awake);
        assert!(later.since_boot >= later.awake, "time asleep counts since boot");
    }

    #[test]
    fn tokens_never_repeat_and_sort_by_time() {
        let tokens: BTreeSet<Token> = (0..1_000).map(|_| SystemIds.token()).collect();
        assert_eq!(tokens.len(), 1_000);
        let bits = |ms: u128| Token::from_bits(ms << RANDOM_BITS | ((1 << RANDOM_BITS) - 1));
        assert!(bits(1_700_000_000_000) < tokens.first().unwrap().clone());
    }

    #[tokio::test]
    async fn only_the_named_tasks_are_waited_for() {
        let tasks = TokioTasks::new(Handle::current());
        let (tell, told) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn("loop", Box::pin(std::future::pending()));
        tasks.spawn("work", Box::pin(async move { told.await.unwrap_or_default() }));
        let settled = tasks.settle(&["work"], Duration::from_secs(10));
        tell.send(()).unwrap();
        settled.await;
        assert_eq!(tasks.names(), ["loop"]);
        assert_eq!(tasks.shutdown(Duration::from_secs(10)).await, Vec::<&str>::new());
    }

    #[tokio::test]
    async fn a_panic_stops_neither_the_program_nor_the_other_tasks() {
        let tasks = TokioTasks::new(Handle::current());
        tasks.spawn("bug", Box::pin(async { panic!("one too many") }));
        let (tell, told) = tokio::sync::oneshot::channel();
        tasks.spawn("other", Box::pin(async move { tell.send(()).unwrap() }));
        told.await.unwrap();
        assert_eq!(tasks.shutdown(Duration::from_secs(10)).await, Vec::<&str>::new());
    }

    #[tokio::test]
    async fn shutdown_cancels_what_waits_and_takes_nothing_more() {
        let tasks = TokioTasks::new(Handle::current());
        tasks.spawn("waits for ever", Box::pin(std::future::pending()));
        assert_eq!(tasks.names(), ["waits for ever"]);
        assert_eq!(tasks.shutdown(Duration::from_secs(10)).await, Vec::<&str>::new());
        tasks.spawn("too late", Box::pin(std::future::pending()));
        assert_eq!(tasks.names(), Vec::<&str>::new());
    }
}
