//! The process table.

use super::BoxFuture;
use crate::fact::ProcessProbe;
use crate::ids::{Nonce, Pid};
use crate::session::ProcessIdentity;
use crate::time::BootId;

/// Why the process table could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the process table cannot be read: {message}")]
pub struct ProcessError {
    /// What went wrong.
    pub message: String,
}

/// How a watch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProcessEnd {
    /// The process ended.
    Died,
    /// It can no longer be watched.
    Lost,
}

/// The signals that we send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProcessSignal {
    /// Asks to end.
    Terminate,
    /// Ends.
    Kill,
}

/// Looks at processes and signals them, never by number alone.
pub trait Processes: Send + Sync {
    /// The boot that the machine is in.
    fn boot(&self) -> BootId;

    /// Reads who a process number is now; `None` when nobody (zombies included).
    fn identity(&self, pid: Pid, nonce: Option<&Nonce>) -> Option<ProcessIdentity>;

    /// The secret in the environment of whoever has this process number; `None` as well when the
    /// environment cannot be read.
    fn nonce_of(&self, pid: Pid) -> Option<Nonce>;

    /// Looks whether that very process runs.
    fn probe(&self, process: &ProcessIdentity) -> ProcessProbe;

    /// Waits until that very process ends. One that has ended already ends the wait at once.
    fn watch<'a>(&'a self, process: &'a ProcessIdentity) -> BoxFuture<'a, ProcessEnd>;

    /// Every process of a launch: those that carry its nonce in their environment, those in its
    /// control group where the machine keeps one for it, and all descendants of `root` and of
    /// those, whatever process group or session they moved to.
    ///
    /// Never among them: this process, and any process of the tmux server.
    fn scan<'a>(
        &'a self,
        nonce: &'a Nonce,
        root: Option<&'a ProcessIdentity>,
    ) -> BoxFuture<'a, Result<Vec<ProcessIdentity>, ProcessError>>;

    /// Signals each of these processes, if it still is that very process. Returns how many were.
    fn signal_tree<'a>(
        &'a self,
        processes: &'a [ProcessIdentity],
        signal: ProcessSignal,
    ) -> BoxFuture<'a, Result<usize, ProcessError>>;

    /// Ends at once everything in the control group of a launch, what it starts meanwhile
    /// included. `false` when nothing was done: the machine keeps none for this launch, or somebody
    /// is in it whom a scan never finds.
    fn kill_group<'a>(&'a self, nonce: &'a Nonce) -> BoxFuture<'a, Result<bool, ProcessError>>;

    /// Lets go of the control group of a launch. One that something still runs in stays.
    fn forget_group<'a>(&'a self, nonce: &'a Nonce) -> BoxFuture<'a, ()>;
}
