//! What `reduce` answers: the next record, and everything that is to be done because of it.

use std::path::PathBuf;

use crate::closed::closed_enum;
use crate::deadline::DeadlineChange;
use crate::ids::AgentSessionId;
use crate::ledger::{IncidentKey, Ledger};
use crate::message::MessageOrigin;
use crate::outbox::Effect;
use crate::record::Lifecycle;

/// The plan that follows from one fact.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a step that is not committed is lost"]
pub enum Step {
    /// Something changes; all of it is committed together.
    Change(Box<Change>),
    /// Nothing changes, and nothing is written.
    None {
        /// Why not.
        because: Because,
        /// Looks that should be taken at once all the same.
        asks: Vec<Ask>,
    },
}

/// Everything that one fact changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The record after it. Its revision is the one that was read: the store raises it.
    pub lifecycle: Lifecycle,
    /// The ledger after it.
    pub ledger: Ledger,
    /// Effects on the outside.
    pub effects: Vec<Effect>,
    /// Messages to the agent.
    pub messages: Vec<PlannedMessage>,
    /// What becomes of queued messages.
    pub message_orders: Vec<MessageOrder>,
    /// Deadlines to arm and disarm.
    pub deadlines: Vec<DeadlineChange>,
    /// Looks that should be taken at once.
    pub asks: Vec<Ask>,
    /// The agent's own name for its conversation, when this fact told it: it lives in the
    /// session's record, not in the lifecycle. Absent means not addressed.
    pub agent_session_id: Option<AgentSessionId>,
    /// Where the agent writes its conversation down, newly told.
    pub transcript: Option<PathBuf>,
    /// Which rule, on which values.
    pub because: Because,
}

/// A message that the core wants sent; the engine gives it its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedMessage {
    /// What it reacts to.
    pub origin: MessageOrigin,
    /// What it says.
    pub text: String,
}

/// What happens to messages that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageOrder {
    /// Every queued message is cancelled: the session ended.
    CancelAll,
    /// Queued messages of this incident are superseded: it ended.
    SupersedeIncident(IncidentKey),
}

closed_enum! {
    /// Something that the core wants looked at before the next pass.
    pub enum Ask {
        /// A fresh look at process and runtime.
        Look = "look",
    }
}

closed_enum! {
    /// The rule that decided, in the order in which they are asked. `ao explain` shows it.
    pub enum Rule {
        /// An end was asked for.
        EndRequested = "end_requested",
        /// The session is terminal: only a restore reopens it.
        Terminal = "terminal",
        /// No launch runs yet.
        NoLaunch = "no_launch",
        /// The fact belongs to another launch, or the look began before this one.
        Fenced = "fenced",
        /// The look began before what is known already.
        OutdatedLook = "outdated_look",
        /// The machine was booted again.
        Rebooted = "rebooted",
        /// Server unreachable, or a look that could not tell.
        CannotTell = "cannot_tell",
        /// Process and runtime both alive.
        Healthy = "healthy",
        /// The process runs, its terminal is gone.
        ProcessWithoutRuntime = "process_without_runtime",
        /// The process runs, nobody looked at its terminal.
        RuntimeNotLooked = "runtime_not_looked",
        /// The process is gone, its terminal is there or was not looked at.
        RuntimeWithoutProcess = "runtime_without_process",
        /// Both gone, but the agent was heard from since.
        HeardSince = "heard_since",
        /// Both gone, the exit status is asked for once more.
        ExitUnknown = "exit_unknown",
        /// Both gone and the work was complete.
        Completed = "completed",
        /// Both gone: the pane is dead.
        PaneDead = "pane_dead",
        /// Both gone: the server is dead.
        ServerGone = "server_gone",
        /// Both gone: the session is missing.
        RuntimeMissing = "runtime_missing",
        /// The same evidence for too long.
        QuarantineExpired = "quarantine_expired",
        /// Many deaths in one pass without proven cause: the next look decides.
        Breaker = "breaker",
        /// The activity settled the session.
        Settled = "settled",
        /// A signal that is older than what is known, or weaker than a sticky state.
        OutdatedSignal = "outdated_signal",
        /// A signal that cannot end the doubt.
        SignalInQuarantine = "signal_in_quarantine",
        /// The agent claims to be done.
        ClaimedDone = "claimed_done",
        /// An agent that signals was silent for too long.
        NoSignal = "no_signal",
        /// The launch was proven.
        Launched = "launched",
        /// A launch was found running that the record did not know.
        Adopted = "adopted",
        /// The launch failed.
        SpawnFailed = "spawn_failed",
        /// The runtime was torn down as asked.
        RuntimeDestroyed = "runtime_destroyed",
        /// A restore was asked for.
        RestoreRequested = "restore_requested",
        /// A session that waited found a place.
        PlaceFound = "place_found",
        /// The pull requests changed.
        PullRequests = "pull_requests",
        /// A deadline came due and its condition still held.
        DeadlineDue = "deadline_due",
        /// A deadline came due and its condition was over.
        DeadlineOver = "deadline_over",
        /// A message could not be sent.
        SendFailed = "send_failed",
        /// Signals were lost on their way.
        SignalsLost = "signals_lost",
        /// The verdict is what the record says already.
        Unchanged = "unchanged",
    }
}

/// Which rule decided, and a sentence with the values that it saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Because {
    /// The rule.
    pub rule: Rule,
    /// The values: `server living, runtime missing, process dead`.
    pub values: String,
}
