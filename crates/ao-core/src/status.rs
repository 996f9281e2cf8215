//! The display status: what a person is shown, derived on every read and stored nowhere.

use crate::closed::closed_enum;
use crate::record::{Lifecycle, PrReason, PrState, SessionReason, SessionState};
use crate::session::Session;

closed_enum! {
    /// What a person is shown, most urgent first.
    pub enum Status {
        /// Ended with its work complete.
        Done = "done",
        /// Someone killed it.
        Killed = "killed",
        /// Ended by cleanup or because its pull request merged.
        Cleanup = "cleanup",
        /// It failed: to start, or on the way.
        Errored = "errored",
        /// Ended for another reason; `ao explain` says which.
        Terminated = "terminated",
        /// Waits for a free place.
        Queued = "queued",
        /// The provider's usage limit pauses it.
        Limited = "limited",
        /// Only a human can move it on.
        NeedsInput = "needs_input",
        /// Nobody can tell what it does; a human should look.
        Stuck = "stuck",
        /// Contradicting or missing evidence; being looked at.
        Detecting = "detecting",
        /// Its agent has not shown itself yet.
        Spawning = "spawning",
        /// Every pull request is complete and at least one merged.
        Merged = "merged",
        /// A required check failed.
        CiFailed = "ci_failed",
        /// A reviewer wants changes.
        ChangesRequested = "changes_requested",
        /// A pull request conflicts with its base.
        MergeConflict = "merge_conflict",
        /// The pull request is a draft.
        Draft = "draft",
        /// A review is awaited.
        ReviewPending = "review_pending",
        /// Approved, not mergeable yet.
        Approved = "approved",
        /// Ready to merge.
        Mergeable = "mergeable",
        /// A pull request is open.
        PrOpen = "pr_open",
        /// The turn ended and the composer is empty.
        Idle = "idle",
        /// A turn runs, or work of its own is to come.
        Working = "working",
    }
}

/// Derives what a person is shown.
pub fn status(session: &Session) -> Status {
    status_of(&session.lifecycle)
}

/// Derives it from the record alone. Pull requests outrank the soft states only.
pub fn status_of(lifecycle: &Lifecycle) -> Status {
    let reason = lifecycle.session.reason;
    match lifecycle.session.state {
        SessionState::Done => Status::Done,
        SessionState::Terminated => ended(reason),
        SessionState::NotStarted if reason == SessionReason::QueuedForCapacity => Status::Queued,
        SessionState::NeedsInput
            if reason == SessionReason::UsageLimited && lifecycle.paused_until.is_some() =>
        {
            Status::Limited
        }
        SessionState::NeedsInput => Status::NeedsInput,
        SessionState::Stuck => Status::Stuck,
        SessionState::Detecting => Status::Detecting,
        SessionState::NotStarted => Status::Spawning,
        SessionState::Idle => pull_request(lifecycle).unwrap_or(Status::Idle),
        SessionState::Working => pull_request(lifecycle).unwrap_or(Status::Working),
    }
}

fn ended(reason: SessionReason) -> Status {
    match reason {
        SessionReason::ManuallyKilled => Status::Killed,
        SessionReason::AutoCleanup | SessionReason::PrMerged => Status::Cleanup,
        SessionReason::SpawnFailed
        | SessionReason::AgentProcessExited
        | SessionReason::ErrorInProcess
        | SessionReason::AgentAuthFailed => Status::Errored,
        SessionReason::SpawnRequested
        | SessionReason::QueuedForCapacity
        | SessionReason::RestoreRequested
        | SessionReason::Adopted
        | SessionReason::AgentAcknowledged
        | SessionReason::TaskInProgress
        | SessionReason::PrCreated
        | SessionReason::FixingCi
        | SessionReason::ResolvingReviewComments
        | SessionReason::ResolvingConflicts
        | SessionReason::AwaitingUserInput
        | SessionReason::AwaitingPermission
        | SessionReason::AwaitingExternalReview
        | SessionReason::UsageLimited
        | SessionReason::AgentApiError
        | SessionReason::ResearchComplete
        | SessionReason::Completed
        | SessionReason::MergedWaitingDecision
        | SessionReason::RuntimeLost
        | SessionReason::HostRebooted
        | SessionReason::ServerGone
        | SessionReason::ProbeFailure
        | SessionReason::NoSignal => Status::Terminated,
    }
}

fn pull_request(lifecycle: &Lifecycle) -> Option<Status> {
    match lifecycle.pr.state {
        PrState::None | PrState::Closed => None,
        PrState::Merged => Some(Status::Merged),
        PrState::Open | PrState::Draft => match lifecycle.pr.reason {
            PrReason::CiFailing => Some(Status::CiFailed),
            PrReason::ChangesRequested => Some(Status::ChangesRequested),
            PrReason::MergeConflicts => Some(Status::MergeConflict),
            _ if lifecycle.pr.state == PrState::Draft => Some(Status::Draft),
            PrReason::ReviewPending => Some(Status::ReviewPending),
            PrReason::Approved => Some(Status::Approved),
            PrReason::MergeReady => Some(Status::Mergeable),
            PrReason::NotCreated
            | PrReason::InProgress
            | PrReason::Merged
            | PrReason::ClosedUnmerged
            | PrReason::ClearedOnRestore => Some(Status::PrOpen),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{PrVerdict, SessionVerdict};
    use crate::time::{BootId, Moment, Timestamp};

    #[track_caller]
    fn check(session: &str, pr: &str, expect: &str) {
        let now = Moment {
            wall: Timestamp::default(),
            boot: BootId(1),
            since_boot: std::time::Duration::ZERO,
            awake: std::time::Duration::ZERO,
        };
        let mut lifecycle = Lifecycle::seeded(SessionReason::SpawnRequested, now);
        let (session, pause) = session.split_once('+').unwrap_or((session, ""));
        let (state, reason) = session.split_once('/').unwrap();
        lifecycle.session =
            SessionVerdict { state: state.parse().unwrap(), reason: reason.parse().unwrap() };
        lifecycle.paused_until = (pause == "paused").then_some(Timestamp::default());
        let (state, reason) = pr.split_once('/').unwrap();
        lifecycle.pr = PrVerdict {
            state: state.parse().unwrap(),
            reason: reason.parse().unwrap(),
            number: None,
        };
        assert_eq!(status_of(&lifecycle).as_str(), expect);
    }

    #[test]
    fn what_ended_is_named_by_how_it_ended() {
        let pr = "open/ci_failing";
        check("done/completed", pr, "done");
        check("terminated/manually_killed", pr, "killed");
        check("terminated/auto_cleanup", pr, "cleanup");
        check("terminated/pr_merged", pr, "cleanup");
        check("terminated/spawn_failed", pr, "errored");
        check("terminated/agent_process_exited", pr, "errored");
        check("terminated/server_gone", pr, "terminated");
        check("terminated/host_rebooted", pr, "terminated");
        check("terminated/runtime_lost", pr, "terminated");
    }

    #[test]
    fn pull_requests_outrank_the_soft_states_only() {
        let pr = "open/ci_failing";
        check("not_started/queued_for_capacity", pr, "queued");
        check("not_started/spawn_requested", pr, "spawning");
        check("needs_input/awaiting_permission", pr, "needs_input");
        check("stuck/no_signal", pr, "stuck");
        check("detecting/probe_failure", pr, "detecting");
        check("idle/awaiting_external_review", pr, "ci_failed");
        check("working/fixing_ci", pr, "ci_failed");
        check("idle/task_in_progress", "none/not_created", "idle");
        check("working/task_in_progress", "closed/closed_unmerged", "working");
    }

    #[test]
    fn an_open_pull_request_is_shown_by_its_reason() {
        let session = "idle/awaiting_external_review";
        check(session, "open/changes_requested", "changes_requested");
        check(session, "draft/merge_conflicts", "merge_conflict");
        check(session, "draft/in_progress", "draft");
        check(session, "open/review_pending", "review_pending");
        check(session, "open/approved", "approved");
        check(session, "open/merge_ready", "mergeable");
        check(session, "open/in_progress", "pr_open");
        check(session, "merged/merged", "merged");
    }

    #[test]
    fn limited_is_shown_while_its_end_is_ahead() {
        check("needs_input/usage_limited+paused", "none/not_created", "limited");
        check("needs_input/usage_limited", "none/not_created", "needs_input");
    }
}
