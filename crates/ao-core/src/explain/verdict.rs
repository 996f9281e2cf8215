//! A verdict in one sentence: what the session does, and why that is its state.

use super::is_pr_status;
use crate::fact::{ProcessProbe, SignalDetail};
use crate::react::reason_words;
use crate::record::{
    ActivityState, Exit, Lifecycle, PrReason, PrState, SessionReason, SessionState,
};
use crate::session::{Phase, Session};
use crate::status::Status;

/// Why a session is shown as it is.
pub(super) fn sentence(status: Status, session: &Session) -> String {
    let lifecycle = &session.lifecycle;
    let verdict = lifecycle.session;
    let own = own_words(session);
    if is_pr_status(status) {
        let pr = pr_words(lifecycle);
        return format!("{pr}; {own} ({}/{}).", verdict.state, verdict.reason);
    }
    let mut letters = own.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let own: String = first.into_iter().chain(letters).collect();
    format!("{own} ({}/{}).", verdict.state, verdict.reason)
}

/// The pull request that is shown, and what it waits for.
fn pr_words(lifecycle: &Lifecycle) -> String {
    let pr = lifecycle.pr;
    let name = pr.number.map_or_else(
        || "Its pull request".to_owned(),
        |number| format!("Its pull request #{number}"),
    );
    let words = match (pr.state, pr.reason) {
        (PrState::Merged, _) | (_, PrReason::Merged) => "is merged, and no other one is open",
        (PrState::Draft, PrReason::InProgress) => "is a draft",
        (_, PrReason::CiFailing) => "has failing checks",
        (_, PrReason::ChangesRequested) => "has a reviewer who wants changes",
        (_, PrReason::MergeConflicts) => "conflicts with its base",
        (_, PrReason::ReviewPending) => "waits for a review",
        (_, PrReason::Approved) => "is approved, and not ready to merge yet",
        (_, PrReason::MergeReady) => "is ready to merge",
        (_, PrReason::ClosedUnmerged) => "was closed without a merge",
        (_, PrReason::InProgress | PrReason::NotCreated | PrReason::ClearedOnRestore) => {
            "is open, and its checks run or nothing more is known of it"
        }
    };
    format!("{name} {words}")
}

fn own_words(session: &Session) -> String {
    let lifecycle = &session.lifecycle;
    let reason = lifecycle.session.reason;
    match lifecycle.session.state {
        SessionState::NotStarted => starting(session),
        SessionState::Working => working(lifecycle),
        SessionState::Idle => idle(lifecycle),
        SessionState::NeedsInput => needs_input(lifecycle),
        SessionState::Detecting => {
            format!("{}, and it is looked at again before anything is believed", doubt(lifecycle))
        }
        SessionState::Stuck if reason == SessionReason::NoSignal => {
            "its agent should tell what it does, and has told nothing since it was started"
                .to_owned()
        }
        SessionState::Stuck => {
            format!("{}, for so long that a human should look", doubt(lifecycle))
        }
        SessionState::Done if reason == SessionReason::Completed => {
            "its agent has ended with its work complete".to_owned()
        }
        SessionState::Done => {
            format!("it has ended with its work complete: {}", reason_words(reason))
        }
        SessionState::Terminated => ended(session),
    }
}

fn starting(session: &Session) -> String {
    let reason = session.lifecycle.session.reason;
    if reason == SessionReason::QueuedForCapacity {
        return "as many sessions run as may, and it waits for a free place".to_owned();
    }
    if reason == SessionReason::Adopted {
        return "it was found running without a record of it, and its agent has told nothing since"
            .to_owned();
    }
    if session.lifecycle.launch.is_some() {
        return "its agent's process runs, and the agent has not told that it started".to_owned();
    }
    let step = match session.record.phase {
        Phase::Queued => "nothing of it was made yet",
        Phase::Worktree => "its worktree is being made",
        Phase::Provision => "its worktree is being prepared",
        Phase::Runtime => "its agent is being started",
        Phase::Running => "its agent is to be heard from",
        Phase::Ended => "what its last launch left is being put away",
    };
    if reason == SessionReason::RestoreRequested {
        format!("it is being brought back: {step}")
    } else {
        format!("it is being started: {step}")
    }
}

fn working(lifecycle: &Lifecycle) -> String {
    let activity = lifecycle.activity;
    let what = match activity.map(|it| (it.state, it.detail)) {
        None => "its agent's process runs, and it does not tell what it does",
        Some((ActivityState::Ready, Some(SignalDetail::Background))) => {
            "its agent's turn has ended, and work that it left running goes on"
        }
        Some((ActivityState::Ready, Some(SignalDetail::Started))) => {
            "its agent has started and is about to take its task up"
        }
        Some((ActivityState::Ready, _)) => {
            "its agent's turn has ended, and more work of its own is to come"
        }
        Some(_) => "its agent is in the middle of a turn",
    };
    let on = lifecycle.session.reason;
    if matches!(on, SessionReason::TaskInProgress | SessionReason::AgentAcknowledged) {
        what.to_owned()
    } else {
        format!("{what}: {}", reason_words(on))
    }
}

fn idle(lifecycle: &Lifecycle) -> String {
    let reason = lifecycle.session.reason;
    let rests = "its agent's turn has ended, and it waits for the next message";
    if lifecycle.claim.is_some() || reason == SessionReason::Completed {
        "its agent says that its work is done, and its process still runs".to_owned()
    } else if reason == SessionReason::AgentAcknowledged {
        "its agent has started, and waits for its first message".to_owned()
    } else if reason == SessionReason::TaskInProgress {
        rests.to_owned()
    } else if reason == SessionReason::MergedWaitingDecision {
        format!("{rests}; every pull request is merged, and somebody decides what is next")
    } else {
        format!("{rests}; {}", reason_words(reason))
    }
}

fn needs_input(lifecycle: &Lifecycle) -> String {
    let reason = lifecycle.session.reason;
    let detail = lifecycle.activity.and_then(|activity| activity.detail);
    let asked = match detail {
        Some(SignalDetail::Permission) => Some("its agent asks for a permission in a dialog"),
        Some(SignalDetail::Question) => Some("its agent asks a question"),
        Some(SignalDetail::PlanApproval) => Some("its agent shows a plan and asks for approval"),
        Some(SignalDetail::Trust) => Some("its agent asks in a dialog whether to trust this place"),
        Some(
            SignalDetail::AuthFailed
            | SignalDetail::UsageLimited
            | SignalDetail::ApiError
            | SignalDetail::Background
            | SignalDetail::Done
            | SignalDetail::Started
            | SignalDetail::Interrupted,
        )
        | None => None,
    };
    let is_question =
        matches!(reason, SessionReason::AwaitingUserInput | SessionReason::AwaitingPermission);
    if let (true, Some(asked)) = (is_question, asked) {
        return asked.to_owned();
    }
    if reason == SessionReason::UsageLimited {
        return if lifecycle.paused_until.is_some() {
            "its agent's provider allows no more use for now".to_owned()
        } else {
            "its agent's provider allowed no more use, and the agent has not gone on since"
                .to_owned()
        };
    }
    if reason == SessionReason::AgentAuthFailed {
        return "its agent's provider refuses the login".to_owned();
    }
    if reason == SessionReason::AgentApiError {
        return "its agent's turn ended with an error of its provider".to_owned();
    }
    reason_words(reason).to_owned()
}

/// What cannot be told, as a look saw it.
fn doubt(lifecycle: &Lifecycle) -> String {
    let reason = lifecycle.session.reason;
    let process = lifecycle.detecting.map(|doubt| doubt.evidence.look.process);
    if reason == SessionReason::ProbeFailure {
        "nobody could find out whether its agent still runs".to_owned()
    } else if reason == SessionReason::AgentProcessExited {
        "its agent's process is gone, and its terminal does not confirm that yet".to_owned()
    } else if reason == SessionReason::RuntimeLost && process == Some(ProcessProbe::Alive) {
        "its agent's process runs, and its terminal is gone".to_owned()
    } else if reason == SessionReason::RuntimeLost {
        "its agent's process and its terminal are gone, and one more look has to confirm it"
            .to_owned()
    } else {
        format!("what is known of it contradicts itself: {}", reason_words(reason))
    }
}

fn ended(session: &Session) -> String {
    let lifecycle = &session.lifecycle;
    let reason = lifecycle.session.reason;
    let all = [
        (SessionReason::ManuallyKilled, "somebody ended it with `ao kill`"),
        (SessionReason::PrMerged, "it was ended because its pull request is merged"),
        (SessionReason::AutoCleanup, "it was ended by `ao cleanup`"),
        (
            SessionReason::ServerGone,
            "the tmux server that its terminal lived in died, and its agent with it",
        ),
        (SessionReason::HostRebooted, "the machine was booted again, and its agent with it ended"),
        (
            SessionReason::RuntimeLost,
            "its agent's process and its tmux session are gone, and nobody asked for that",
        ),
    ];
    if let Some((_, words)) = all.into_iter().find(|(end, _)| *end == reason) {
        return words.to_owned();
    }
    if reason == SessionReason::AgentProcessExited {
        return match lifecycle.exit {
            Some(Exit::Status(status)) => {
                format!("its agent's process ended by itself, with exit status {status}")
            }
            Some(Exit::Signal(signal)) => {
                format!("its agent's process was ended by signal {signal}")
            }
            None => "its agent's process ended, and how is not known".to_owned(),
        };
    }
    if reason == SessionReason::SpawnFailed {
        return session.record.trouble.as_ref().map_or_else(
            || "its agent could not be started, and what was made for it was undone".to_owned(),
            |trouble| format!("its agent could not be started ({trouble})"),
        );
    }
    format!("it has ended: {}", reason_words(reason))
}
