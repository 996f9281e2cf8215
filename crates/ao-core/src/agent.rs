//! What an agent adapter declares about its agent.

use std::time::Duration;

/// What an agent can tell, and how it behaves. Recorded with each launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AgentTraits {
    /// What it can tell.
    pub signals: Signals,
    /// Whether its process ends when its work is complete.
    pub exits_when_done: bool,
    /// How long it needs between a paste and Enter.
    pub settle_for: Duration,
}

/// Which signals an agent sends on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signals {
    /// None: only its process and its screen can be seen.
    None,
    /// Activity, but nothing when it starts.
    Activity,
    /// Activity, a start signal and a submit signal.
    Full,
}

impl Signals {
    /// Whether silence means something.
    pub const fn are_declared(self) -> bool {
        !matches!(self, Self::None)
    }

    /// Whether it signals its start.
    pub const fn has_start(self) -> bool {
        matches!(self, Self::Full)
    }

    /// Whether it signals that it took a message in.
    pub const fn has_submit(self) -> bool {
        matches!(self, Self::Full)
    }
}
