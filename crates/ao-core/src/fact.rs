//! What was observed, by whom and when.

use std::path::PathBuf;

use crate::closed::closed_enum;
use crate::deadline::DeadlineKind;
use crate::echo::PromptEcho;
use crate::ids::{AgentSessionId, FactId, InfraIncidentId, LaunchId};
use crate::message::MessageOrigin;
use crate::pr::PrObservation;
use crate::record::{ActivitySource, ActivityState, EndIntent, Exit, Launch};
use crate::time::{Moment, Timestamp};

/// One observation of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// When it was observed; for a look, when the look *began*.
    pub at: Moment,
    /// What was observed.
    pub kind: FactKind,
}

/// The kinds of facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactKind {
    /// A look at the runtime and the process.
    Look(LookFact),
    /// Something that the agent, or its screen, told.
    Signal(SignalFact),
    /// Pull requests as the forge shows them.
    PullRequests(Vec<PrObservation>),
    /// What the session manager did or was asked to do.
    Outcome(Outcome),
    /// A deadline came due. That of an idle session says nothing without a look at its worktree: see
    /// [`Self::IdleDue`].
    Due(DeadlineKind),
    /// The deadline of an idle session came due, and this is what a look at its worktree found.
    IdleDue(WorkFound),
    /// A message of a reaction certainly did not arrive: the reaction gets its attempt back. What
    /// it was about, as it was planned.
    SendFailed(MessageOrigin),
    /// Signals of the session were lost on their way, so many in all: what they said is not known.
    SignalsLost(u64),
}

/// One compound look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookFact {
    /// The launch that was looked at.
    pub launch: LaunchId,
    /// What was seen.
    pub values: LookValues,
    /// How the process ended, when that could be read.
    pub exit: Option<Exit>,
    /// Whether this is the first look after a boot or a resume: it never escalates.
    pub is_first_after_gap: bool,
    /// The infrastructure incident that explains what was seen, put here by triage.
    pub incident: Option<InfraIncidentId>,
    /// Whether triage holds a verdict of death back until the next pass: many sessions died in this
    /// one, and nothing proves why.
    pub is_held_back: bool,
}

impl LookFact {
    /// A look as taken, before triage.
    pub const fn new(launch: LaunchId, values: LookValues) -> Self {
        Self {
            launch,
            values,
            exit: None,
            is_first_after_gap: false,
            incident: None,
            is_held_back: false,
        }
    }
}

/// The values of a look, without any time: what evidence is compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LookValues {
    /// Whether the machine is still in the boot of the launch.
    pub boot: BootProbe,
    /// The tmux server.
    pub server: ServerProbe,
    /// The tmux session and pane.
    pub runtime: RuntimeProbe,
    /// The agent's process.
    pub process: ProcessProbe,
}

closed_enum! {
    /// Whether the launch belongs to this boot.
    pub enum BootProbe {
        /// It does.
        Same = "same",
        /// The machine was booted again since.
        Rebooted = "rebooted",
    }
}

closed_enum! {
    /// What a look says about the server of a runtime.
    pub enum ServerProbe {
        /// It answers, and it is the recorded one.
        Living = "living",
        /// The recorded server process is proven dead.
        Gone = "gone",
        /// It does not answer; that proves nothing.
        Unreachable = "unreachable",
    }
}

closed_enum! {
    /// What a look says about a runtime.
    pub enum RuntimeProbe {
        /// The pane runs.
        Alive = "alive",
        /// The pane is kept, its process ended.
        Dead = "dead",
        /// A living server says that it has no such session, or the server is gone.
        Missing = "missing",
        /// The look could not tell.
        Unknown = "unknown",
        /// Nobody looked.
        NotLooked = "not_looked",
    }
}

closed_enum! {
    /// What a look says about a process.
    pub enum ProcessProbe {
        /// The very process runs.
        Alive = "alive",
        /// It is gone, is a zombie, or its number belongs to another.
        Dead = "dead",
        /// The look could not tell.
        Unknown = "unknown",
    }
}

/// Something that the agent or its screen told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalFact {
    /// Taken in at most once.
    pub id: FactId,
    /// The launch that it belongs to.
    pub launch: LaunchId,
    /// What the agent does.
    pub activity: ActivityState,
    /// Who told.
    pub source: ActivitySource,
    /// What was told beyond the state.
    pub detail: Option<SignalDetail>,
    /// The agent's own conversation id, when it was told.
    pub agent_session_id: Option<AgentSessionId>,
    /// When a usage limit ends, when it was told.
    pub paused_until: Option<Timestamp>,
    /// Whether the agent took a prompt or message in: evidence for a receipt.
    pub is_submit: bool,
    /// What it took in, when it was told.
    pub prompt: Option<PromptEcho>,
    /// Where the agent writes its conversation down, when it was told.
    pub transcript: Option<PathBuf>,
    /// A sentence for people, at most 16 KiB.
    pub message: Option<String>,
}

closed_enum! {
    /// What a signal told beyond the activity.
    pub enum SignalDetail {
        /// A tool waits for a permission.
        Permission = "permission",
        /// The agent asks a question.
        Question = "question",
        /// A plan waits for approval.
        PlanApproval = "plan_approval",
        /// A trust or onboarding dialog.
        Trust = "trust",
        /// A login dialog, or refused credentials.
        AuthFailed = "auth_failed",
        /// A usage limit.
        UsageLimited = "usage_limited",
        /// The provider's API failed for good.
        ApiError = "api_error",
        /// Background work goes on after the turn.
        Background = "background",
        /// The agent claims that its work is done (`ao report done`).
        Done = "done",
        /// The agent just started.
        Started = "started",
        /// A human interrupted the turn.
        Interrupted = "interrupted",
    }
}

closed_enum! {
    /// What a look at a worktree says about work beyond its base.
    pub enum WorkFound {
        /// There are commits, uncommitted changes or untracked files.
        Changed = "changed",
        /// There are none.
        Unchanged = "unchanged",
        /// The look could not tell.
        Unknown = "unknown",
    }
}

/// What the session manager reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A launch runs: exec was proven.
    Launched(Launch),
    /// A launch was found running that the record does not know, and was proven to be the session's:
    /// the record is new, or older than the launch.
    Adopted(Launch),
    /// A spawn or restore failed and was unwound.
    SpawnFailed,
    /// Somebody asked for the end.
    EndRequested(EndIntent),
    /// The runtime was torn down as asked.
    RuntimeDestroyed,
    /// A restore was asked for.
    RestoreRequested,
    /// A restore was asked for, and waits for a free place.
    RestoreQueued,
    /// A spawn that waited found a place.
    SpawnAdmitted,
    /// A restore that waited found a place.
    RestoreAdmitted,
}
