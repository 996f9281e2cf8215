//! A notifier that remembers what it was given, with a schedule of faults.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ao_core::ids::{EffectId, NotifierId};
use ao_core::inbox::Notification;
use ao_core::ports::{BoxFuture, Notifier, NotifyError};

/// A fake notifier.
#[derive(Debug)]
pub struct FakeNotifier {
    id: NotifierId,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: Vec<Notification>,
    n_calls: usize,
    faults: VecDeque<String>,
    is_down: bool,
    panics_next: bool,
}

impl FakeNotifier {
    /// One that works.
    pub fn new(id: NotifierId) -> Self {
        Self { id, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the next call fail; further ones queue behind it.
    pub fn fail_next(&self, message: &str) {
        self.state().faults.push_back(message.to_owned());
    }

    /// Makes every call fail from here.
    pub fn go_down(&self) {
        self.state().is_down = true;
    }

    /// Ends [`Self::go_down`].
    pub fn come_up(&self) {
        self.state().is_down = false;
    }

    /// Makes the next call panic, as a fault of its adapter would.
    pub fn panic_next(&self) {
        self.state().panics_next = true;
    }

    /// What was handed over, in order, repetitions included.
    pub fn taken(&self) -> Vec<Notification> {
        self.state().taken.clone()
    }

    /// The ids of what was handed over, in order, repetitions included.
    pub fn taken_ids(&self) -> Vec<EffectId> {
        self.state().taken.iter().map(|it| it.id.clone()).collect()
    }

    /// How often it was called, failures included.
    pub fn n_calls(&self) -> usize {
        self.state().n_calls
    }
}

impl Notifier for FakeNotifier {
    fn id(&self) -> &NotifierId {
        &self.id
    }

    fn notify<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifyError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.n_calls += 1;
            assert!(!std::mem::take(&mut state.panics_next), "a notifier with a fault");
            let fault = state.faults.pop_front();
            let down = state.is_down.then(|| "it is down".to_owned());
            if let Some(message) = fault.or(down) {
                return Err(NotifyError { notifier: self.id.clone(), message });
            }
            state.taken.push(notification.clone());
            Ok(())
        })
    }
}
