//! Clock, ids and tasks: the three things that make a program unrepeatable.

use std::time::Duration;

use super::BoxFuture;
use crate::ids::Token;
use crate::time::Moment;

/// Tells the time and waits.
pub trait Clock: Send + Sync {
    /// This moment, on all three clocks.
    fn now(&self) -> Moment;

    /// Waits. A cancelled wait has no effect.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// Makes names that nobody can guess and that never repeat.
pub trait IdGen: Send + Sync {
    /// A token with at least 80 random bits; later ones sort later.
    fn token(&self) -> Token;
}

/// Runs tasks that shutdown can wait for.
pub trait Tasks: Send + Sync {
    /// Starts a task. Its panic is caught and logged as a bug, and does not stop the program.
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>);
}
