//! What goes wrong on a fake machine, and when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// A call of one of the machine's ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// `Runtime::create`.
    Create,
    /// `Runtime::find`.
    Find,
    /// `Runtime::destroy`.
    Destroy,
    /// `Runtime::is_alive`.
    IsAlive,
    /// `Runtime::look_all`.
    LookAll,
    /// `Runtime::survey`.
    Survey,
    /// `Runtime::watch`.
    WatchServer,
    /// `Runtime::end_idle_servers`.
    EndIdleServers,
    /// `Terminal::get_output`.
    GetOutput,
    /// `Terminal::look`.
    Look,
    /// `Terminal::paste`.
    Paste,
    /// `Terminal::press`.
    Press,
    /// `Processes::watch`.
    WatchProcess,
    /// `Processes::scan`.
    Scan,
    /// `Processes::signal_tree`.
    Signal,
    /// `Processes::kill_group`.
    KillGroup,
    /// `Launches::write`.
    WriteLaunch,
    /// `Launches::read`.
    ReadLaunch,
    /// `Launches::proof`.
    Proof,
    /// `Launches::remove`.
    RemoveLaunch,
    /// `Launches::list`.
    ListLaunches,
    /// `AgentFiles::length`.
    FileLength,
    /// `AgentFiles::read_tail`.
    ReadFile,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call does nothing and fails; a look could not tell.
    Refuse,
    /// The call does nothing, and its answer says so: what a paste or a key was refused for.
    Deny,
    /// The call does what it was asked, and fails nevertheless.
    LoseAnswer,
    /// The call takes this long.
    Slow(Duration),
    /// The call takes this long, does nothing and fails.
    TimeOut(Duration),
    /// The call never ends.
    Hang,
}

impl Fault {
    /// What it is called, without its numbers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::LoseAnswer => "lose answer",
            Self::Slow(_) => "slow",
            Self::TimeOut(_) => "time out",
            Self::Hang => "hang",
            Self::Deny => "deny",
        }
    }
}

/// Scheduled faults, and how often each call was made.
#[derive(Debug, Default)]
pub(super) struct Faults {
    scheduled: BTreeMap<Op, VecDeque<Fault>>,
    n_calls: BTreeMap<Op, u64>,
    struck: BTreeSet<(Op, &'static str)>,
}

impl Faults {
    pub(super) fn schedule(&mut self, op: Op, fault: Fault) {
        self.scheduled.entry(op).or_default().push_back(fault);
    }

    pub(super) fn take(&mut self, op: Op) -> Option<Fault> {
        *self.n_calls.entry(op).or_default() += 1;
        let fault = self.scheduled.get_mut(&op)?.pop_front()?;
        self.struck.insert((op, fault.name()));
        Some(fault)
    }

    pub(super) fn heal(&mut self) {
        self.scheduled.clear();
    }

    pub(super) fn struck(&self) -> Vec<(Op, &'static str)> {
        self.struck.iter().copied().collect()
    }

    pub(super) fn n_calls(&self, op: Op) -> u64 {
        self.n_calls.get(&op).copied().unwrap_or(0)
    }
}
