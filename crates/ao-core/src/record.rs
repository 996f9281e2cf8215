//! The canonical record of one session: four axes, and the memory that the rules need.
//!
//! It holds no display status. What people see is derived from it on read.

use std::collections::BTreeMap;

use crate::agent::AgentTraits;
use crate::closed::closed_enum;
use crate::fact::{LookValues, SignalDetail};
use crate::ids::{LaunchId, PrNumber, Revision};
use crate::pr::Pr;
use crate::time::{Moment, Timestamp};

/// Shape of [`Lifecycle`]; raised when its meaning changes.
pub const LIFECYCLE_VERSION: u32 = 1;

closed_enum! {
    /// What a session is doing, as decided.
    pub enum SessionState {
        /// Seeded; its agent has not shown itself yet.
        NotStarted = "not_started",
        /// A turn runs, or work of its own is to come.
        Working = "working",
        /// The turn ended and the composer is empty.
        Idle = "idle",
        /// Only a human can move it on.
        NeedsInput = "needs_input",
        /// Nobody can tell what it does; a human should look.
        Stuck = "stuck",
        /// Contradicting or missing evidence; being looked at.
        Detecting = "detecting",
        /// Ended with its work complete. Terminal.
        Done = "done",
        /// Ended otherwise. Terminal.
        Terminated = "terminated",
    }
}

impl SessionState {
    /// Whether only an explicit restore leaves this state.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Done | Self::Terminated)
    }
}

closed_enum! {
    /// Why a session is in its state.
    pub enum SessionReason {
        /// Asked for, not running yet.
        SpawnRequested = "spawn_requested",
        /// Waits for a free place.
        QueuedForCapacity = "queued_for_capacity",
        /// A restore was asked for, not running yet.
        RestoreRequested = "restore_requested",
        /// Found running, by a daemon that had no record of its launch.
        Adopted = "adopted",
        /// The agent showed itself.
        AgentAcknowledged = "agent_acknowledged",
        /// A turn runs.
        TaskInProgress = "task_in_progress",
        /// Works with a pull request open.
        PrCreated = "pr_created",
        /// Works on failing checks.
        FixingCi = "fixing_ci",
        /// Works on review comments.
        ResolvingReviewComments = "resolving_review_comments",
        /// Works on merge conflicts.
        ResolvingConflicts = "resolving_conflicts",
        /// Waits for an answer.
        AwaitingUserInput = "awaiting_user_input",
        /// Waits at a dialog.
        AwaitingPermission = "awaiting_permission",
        /// Rests with a pull request open.
        AwaitingExternalReview = "awaiting_external_review",
        /// The provider's usage limit was hit.
        UsageLimited = "usage_limited",
        /// The provider refuses its credentials.
        AgentAuthFailed = "agent_auth_failed",
        /// The provider's API failed for good.
        AgentApiError = "agent_api_error",
        /// Ended with findings and no change.
        ResearchComplete = "research_complete",
        /// Its agent says, or its exit shows, that the work is complete.
        Completed = "completed",
        /// Every pull request is merged; someone decides what is next.
        MergedWaitingDecision = "merged_waiting_decision",
        /// Someone killed it through us.
        ManuallyKilled = "manually_killed",
        /// Ended because its pull request merged.
        PrMerged = "pr_merged",
        /// Ended by cleanup.
        AutoCleanup = "auto_cleanup",
        /// Its runtime is gone.
        RuntimeLost = "runtime_lost",
        /// The machine was booted again.
        HostRebooted = "host_rebooted",
        /// Its tmux server is proven dead.
        ServerGone = "server_gone",
        /// Its agent's process ended.
        AgentProcessExited = "agent_process_exited",
        /// A look could not tell.
        ProbeFailure = "probe_failure",
        /// An agent that signals has sent nothing.
        NoSignal = "no_signal",
        /// It could not be started.
        SpawnFailed = "spawn_failed",
        /// The agent's own work failed.
        ErrorInProcess = "error_in_process",
    }
}

closed_enum! {
    /// What is known about the terminal that the agent lives in.
    pub enum RuntimeState {
        /// Not looked at yet.
        Unknown = "unknown",
        /// It is there.
        Alive = "alive",
        /// It ended.
        Exited = "exited",
        /// It is not there.
        Missing = "missing",
        /// The last look could not tell.
        ProbeFailed = "probe_failed",
    }
}

closed_enum! {
    /// Why the runtime is in its state.
    pub enum RuntimeReason {
        /// Not created yet.
        SpawnIncomplete = "spawn_incomplete",
        /// The agent's process runs.
        ProcessRunning = "process_running",
        /// The agent's process is gone.
        ProcessMissing = "process_missing",
        /// The tmux session is gone.
        TmuxMissing = "tmux_missing",
        /// The tmux server is proven dead.
        ServerGone = "server_gone",
        /// The tmux server does not answer.
        ServerUnreachable = "server_unreachable",
        /// The machine was booted again.
        HostRebooted = "host_rebooted",
        /// Ended because someone killed the session.
        ManualKillRequested = "manual_kill_requested",
        /// Ended after its pull request merged.
        PrMergedCleanup = "pr_merged_cleanup",
        /// Ended by cleanup.
        AutoCleanup = "auto_cleanup",
        /// The look itself failed.
        ProbeError = "probe_error",
    }
}

closed_enum! {
    /// What an agent was last known to do.
    pub enum ActivityState {
        /// A turn runs.
        Active = "active",
        /// No turn runs, but the agent has work of its own to come.
        Ready = "ready",
        /// The turn ended and the composer is empty.
        Idle = "idle",
        /// An explicit, structured request for a human.
        WaitingInput = "waiting_input",
        /// Something on screen takes keys other than the composer.
        Blocked = "blocked",
        /// The agent said goodbye. A claim, not a death.
        Exited = "exited",
    }
}

impl ActivityState {
    /// Whether no clock ages it: only contradicting later evidence ends it.
    pub const fn is_sticky(self) -> bool {
        matches!(self, Self::WaitingInput | Self::Blocked)
    }
}

closed_enum! {
    /// Who told about an activity.
    pub enum ActivitySource {
        /// The agent's own interface or status file.
        Native = "native",
        /// A hook that the agent calls, or `ao report`.
        Hook = "hook",
        /// The agent's transcript.
        Transcript = "transcript",
        /// The agent's screen or title.
        Terminal = "terminal",
        /// The runtime alone.
        Runtime = "runtime",
        /// Nobody.
        None = "none",
    }
}

closed_enum! {
    /// How far a source can be trusted; ordered.
    pub enum Confidence {
        /// Read off a screen.
        Low = "low",
        /// Read off a transcript.
        Medium = "medium",
        /// Told by the agent.
        High = "high",
    }
}

impl ActivitySource {
    /// How far this source can be trusted.
    pub const fn confidence(self) -> Confidence {
        match self {
            Self::Native | Self::Hook => Confidence::High,
            Self::Transcript => Confidence::Medium,
            Self::Terminal | Self::Runtime | Self::None => Confidence::Low,
        }
    }
}

closed_enum! {
    /// Where the worst open pull request stands.
    pub enum PrState {
        /// There is none.
        None = "none",
        /// Open.
        Open = "open",
        /// Open as a draft.
        Draft = "draft",
        /// Every pull request is complete and at least one merged.
        Merged = "merged",
        /// Every pull request was closed unmerged.
        Closed = "closed",
    }
}

closed_enum! {
    /// Why the pull request is in its state.
    pub enum PrReason {
        /// No pull request is known.
        NotCreated = "not_created",
        /// Open; its checks run or nothing more is known.
        InProgress = "in_progress",
        /// A required check failed.
        CiFailing = "ci_failing",
        /// Waits for a review.
        ReviewPending = "review_pending",
        /// A reviewer wants changes.
        ChangesRequested = "changes_requested",
        /// It conflicts with its base.
        MergeConflicts = "merge_conflicts",
        /// Approved, not yet mergeable.
        Approved = "approved",
        /// The forge says clean and every required check passed.
        MergeReady = "merge_ready",
        /// Merged.
        Merged = "merged",
        /// Closed without a merge.
        ClosedUnmerged = "closed_unmerged",
        /// Forgotten when the session was restored.
        ClearedOnRestore = "cleared_on_restore",
    }
}

/// State of the session axis, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a verdict that is not persisted is lost"]
pub struct SessionVerdict {
    /// The state.
    pub state: SessionState,
    /// Why.
    pub reason: SessionReason,
}

/// State of the runtime axis, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a verdict that is not persisted is lost"]
pub struct RuntimeVerdict {
    /// The state.
    pub state: RuntimeState,
    /// Why.
    pub reason: RuntimeReason,
}

/// State of the worst open pull request, why, and which one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a verdict that is not persisted is lost"]
pub struct PrVerdict {
    /// The state.
    pub state: PrState,
    /// Why.
    pub reason: PrReason,
    /// The pull request that decided.
    pub number: Option<PrNumber>,
}

/// The last known activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Activity {
    /// What the agent did.
    pub state: ActivityState,
    /// When it was observed to.
    pub at: Moment,
    /// Who told.
    pub source: ActivitySource,
    /// What was told beyond the state.
    pub detail: Option<SignalDetail>,
}

/// Memory of an episode of doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quarantine {
    /// Counted looks with the same evidence.
    pub attempts: u32,
    /// When the episode began; survives a change of evidence.
    pub started_at: Moment,
    /// When the last counted look began.
    pub counted_at: Moment,
    /// What was seen: compared by equality, so it holds no times.
    pub evidence: Evidence,
}

/// What put a session into quarantine: the reason, and the values that were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// The doubt.
    pub reason: SessionReason,
    /// The values of the look.
    pub look: LookValues,
}

/// The launch whose facts count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Its id.
    pub id: LaunchId,
    /// When it was committed as running: earlier looks are not about it.
    pub committed_at: Moment,
    /// What the agent of this launch can tell.
    pub traits: AgentTraits,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// It returned this status.
    Status(i32),
    /// This signal ended it.
    Signal(i32),
}

closed_enum! {
    /// An end that somebody asked for.
    pub enum EndIntent {
        /// `ao kill`.
        Kill = "kill",
        /// `ao cleanup`.
        Cleanup = "cleanup",
        /// The merge policy.
        Merged = "merged",
    }
}

/// What the agent claims about its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DoneClaim {
    /// When it said so.
    pub at: Moment,
}

/// The canonical record: everything that the rules decide on, and nothing that they derive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifecycle {
    /// Shape of this record.
    pub version: u32,
    /// Write counter.
    pub revision: Revision,
    /// The session axis.
    pub session: SessionVerdict,
    /// The runtime axis.
    pub runtime: RuntimeVerdict,
    /// The last known activity; absent until the first signal of the current launch.
    pub activity: Option<Activity>,
    /// Every known pull request.
    pub prs: BTreeMap<PrNumber, Pr>,
    /// The worst open one.
    pub pr: PrVerdict,
    /// Present only while quarantined (`detecting`, and `stuck` out of it).
    pub detecting: Option<Quarantine>,
    /// When a usage limit ends.
    pub paused_until: Option<Timestamp>,
    /// The running launch; absent while queued or while a saga is in flight.
    pub launch: Option<Launch>,
    /// The end that was asked for.
    pub intent: Option<EndIntent>,
    /// The agent's claim of being done, in this launch.
    pub claim: Option<DoneClaim>,
    /// Since when the agent's process is known to be dead.
    pub process_dead_at: Option<Moment>,
    /// How the agent's process ended.
    pub exit: Option<Exit>,
    /// Whether an unknown exit status was already asked for once more.
    pub exit_asked: bool,
    /// Since when the session axis has its state: idle and turn-finished count from here.
    pub state_since: Moment,
    /// How many signals were lost on their way, in all launches; absent when none was.
    pub signals_lost: Option<u64>,
}

impl Lifecycle {
    /// The record of a session that was just asked for.
    pub fn seeded(reason: SessionReason, now: Moment) -> Self {
        Self {
            version: LIFECYCLE_VERSION,
            revision: Revision(0),
            session: SessionVerdict { state: SessionState::NotStarted, reason },
            runtime: RuntimeVerdict {
                state: RuntimeState::Unknown,
                reason: RuntimeReason::SpawnIncomplete,
            },
            activity: None,
            prs: BTreeMap::new(),
            pr: PrVerdict { state: PrState::None, reason: PrReason::NotCreated, number: None },
            detecting: None,
            paused_until: None,
            launch: None,
            intent: None,
            claim: None,
            process_dead_at: None,
            exit: None,
            exit_asked: false,
            state_since: now,
            signals_lost: None,
        }
    }

    /// Whether only an explicit restore reopens it.
    pub const fn is_terminal(&self) -> bool {
        self.session.state.is_terminal()
    }
}
