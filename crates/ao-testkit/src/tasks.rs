//! One single-threaded executor for tests: it picks the next ready task by seed, and moves the
//! clock when every task waits.
//!
//! The same seed gives the same interleaving. It knows no I/O: a future that waits for another
//! thread never ends here.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

use ao_core::ports::{BoxFuture, Tasks};

use crate::clock::JumpingClock;

/// Polls after which a run is taken for one that never ends: a hundred times what the longest
/// history of the simulated world takes.
const POLLS_MAX: u64 = 20_000_000;

/// The number of the future that [`TestTasks::block_on`] waits for.
const MAIN: u64 = 0;

/// Runs tasks by seed. Clones share the tasks.
#[derive(Clone)]
pub struct TestTasks {
    clock: JumpingClock,
    state: Arc<Mutex<State>>,
}

struct State {
    random: u64,
    next: u64,
    tasks: BTreeMap<u64, Task>,
    ready: BTreeSet<u64>,
    panics: Vec<String>,
}

struct Task {
    name: &'static str,
    /// Absent while it is being polled.
    future: Option<BoxFuture<'static, ()>>,
    waker: Waker,
}

impl Task {
    fn take(&mut self) -> Option<(BoxFuture<'static, ()>, Waker)> {
        self.future.take().map(|future| (future, self.waker.clone()))
    }
}

struct TaskWaker {
    task: u64,
    state: Weak<Mutex<State>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if let Some(state) = self.state.upgrade() {
            state.lock().unwrap_or_else(PoisonError::into_inner).ready.insert(self.task);
        }
    }
}

impl TestTasks {
    /// No tasks yet. The clock jumps whenever every task waits.
    pub fn new(clock: JumpingClock, seed: u64) -> Self {
        let state = State {
            // A state of zero would stay zero.
            random: seed ^ 0x9e37_79b9_7f4a_7c15 | 1,
            next: MAIN,
            tasks: BTreeMap::new(),
            ready: BTreeSet::new(),
            panics: Vec::new(),
        };
        Self { clock, state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waker(&self, task: u64) -> Waker {
        Waker::from(Arc::new(TaskWaker { task, state: Arc::downgrade(&self.state) }))
    }

    /// Runs everything until `main` is done, and moves the clock when nothing else can happen.
    ///
    /// # Panics
    ///
    /// When every task waits and no clock could wake one, or when it goes on for ever.
    pub fn block_on<T>(&self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        let waker = self.waker(MAIN);
        self.lock().ready.insert(MAIN);
        for _ in 0..POLLS_MAX {
            let next = self.lock().next_ready();
            match next {
                Some(MAIN) => {
                    let polled = main.as_mut().poll(&mut Context::from_waker(&waker));
                    if let Poll::Ready(output) = polled {
                        return output;
                    }
                }
                Some(task) => self.poll(task),
                None => assert!(
                    self.clock.advance_to_next_sleeper(),
                    "every task waits for something that does not come: {:?}",
                    self.names()
                ),
            }
        }
        unreachable!("the tasks {:?} go on for ever", self.names())
    }

    /// Runs what can run without time passing.
    pub fn run_until_idle(&self) {
        for _ in 0..POLLS_MAX {
            let Some(task) = self.lock().next_ready() else { return };
            self.poll(task);
        }
        unreachable!("the tasks {:?} go on for ever", self.names())
    }

    fn poll(&self, id: u64) {
        let taken = self.lock().tasks.get_mut(&id).and_then(Task::take);
        let Some((mut future, waker)) = taken else { return };
        let polled = catch_unwind(AssertUnwindSafe(|| {
            future.as_mut().poll(&mut Context::from_waker(&waker))
        }));
        let mut state = self.lock();
        match polled {
            Ok(Poll::Pending) => {
                if let Some(task) = state.tasks.get_mut(&id) {
                    task.future = Some(future);
                    return;
                }
            }
            Ok(Poll::Ready(())) => drop(state.tasks.remove(&id)),
            Err(payload) => {
                let name = state.tasks.remove(&id).map_or("?", |task| task.name);
                state.panics.push(format!("{name}: {}", text_of(payload.as_ref())));
            }
        }
        // Dropping a future may wake others, which needs the lock.
        drop(state);
        drop(future);
    }

    /// Drops every task where it stands, as a crash of the program does.
    pub fn crash(&self) {
        let dropped = {
            let mut state = self.lock();
            state.ready.clear();
            std::mem::take(&mut state.tasks)
        };
        drop(dropped);
    }

    /// Names of the tasks that have not ended.
    pub fn names(&self) -> Vec<&'static str> {
        self.lock().tasks.values().map(|task| task.name).collect()
    }

    /// What tasks panicked with, each with its name, and forgets it.
    pub fn take_panics(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().panics)
    }
}

impl Tasks for TestTasks {
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        let mut state = self.lock();
        state.next += 1;
        let id = state.next;
        let waker = self.waker(id);
        state.tasks.insert(id, Task { name, future: Some(task), waker });
        state.ready.insert(id);
    }
}

impl State {
    fn next_ready(&mut self) -> Option<u64> {
        let n_ready = u64::try_from(self.ready.len()).ok().filter(|&n| n > 0)?;
        // xorshift: enough to shuffle, and the same on every machine.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let index = usize::try_from(self.random % n_ready).unwrap_or(0);
        let id = self.ready.iter().nth(index).copied()?;
        self.ready.remove(&id);
        Some(id)
    }
}

fn text_of(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}

/// Lets every other ready task run first: what makes a call of a fake a point where anything can
/// happen in between.
pub async fn yield_now() {
    let mut has_yielded = false;
    std::future::poll_fn(|context| {
        if has_yielded {
            return Poll::Ready(());
        }
        has_yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ao_core::ports::Clock as _;

    use super::*;

    fn order_of_ten(seed: u64) -> Vec<u32> {
        let tasks = TestTasks::new(JumpingClock::new(), seed);
        let order = Arc::new(Mutex::new(Vec::new()));
        for n in 0..10 {
            let order = Arc::clone(&order);
            tasks.spawn(
                "one of ten",
                Box::pin(async move {
                    yield_now().await;
                    order.lock().unwrap().push(n);
                }),
            );
        }
        tasks.run_until_idle();
        let order = order.lock().unwrap();
        order.clone()
    }

    #[test]
    fn one_seed_is_one_order_and_another_seed_another() {
        assert_eq!(order_of_ten(7), order_of_ten(7));
        assert_ne!(order_of_ten(7), order_of_ten(8));
    }

    #[test]
    fn time_passes_only_when_every_task_waits() {
        let clock = JumpingClock::new();
        let tasks = TestTasks::new(clock.clone(), 1);
        let before = clock.now();
        tasks.block_on(clock.sleep(Duration::from_hours(1)));
        assert_eq!(clock.now().since(&before), Duration::from_hours(1));
    }

    #[test]
    fn a_panic_ends_its_task_and_is_kept() {
        let tasks = TestTasks::new(JumpingClock::new(), 1);
        tasks.spawn("the bug", Box::pin(async { panic!("one too many") }));
        tasks.run_until_idle();
        assert_eq!(tasks.take_panics(), ["the bug: one too many"]);
        assert!(tasks.names().is_empty());
    }

    #[test]
    fn a_crash_drops_every_task_where_it_stands() {
        let clock = JumpingClock::new();
        let tasks = TestTasks::new(clock.clone(), 1);
        tasks.spawn("sleeper", clock.sleep(Duration::from_secs(1)));
        tasks.run_until_idle();
        assert_eq!(clock.n_sleepers(), 1);
        tasks.crash();
        assert_eq!(clock.n_sleepers(), 0);
    }
}
