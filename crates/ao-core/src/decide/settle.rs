//! What a session does, seen from its agent's activity, its claim and its pull requests; and which
//! signal may replace the last known activity.
//!
//! It knows nothing of looks and doubts: [`crate::reduce`] asks it only when those allow.

use std::time::Duration;

use crate::agent::Signals;
use crate::decide::ladder;
use crate::fact::{SignalDetail, SignalFact};
use crate::reading::Reading;
use crate::record::{
    Activity, ActivitySource, ActivityState, Confidence, Lifecycle, PrReason, PrState,
    SessionReason, SessionState, SessionVerdict,
};
use crate::time::Moment;

/// What the session axis is, going by what the agent was last known to do.
///
/// A goodbye that no death followed leaves the agent at rest.
pub fn settle(lifecycle: &Lifecycle) -> SessionVerdict {
    let Some(activity) = &lifecycle.activity else { return unheard(lifecycle) };
    if let Some(reason) = trouble(activity) {
        return SessionVerdict { state: SessionState::NeedsInput, reason };
    }
    match activity.state {
        ActivityState::Active | ActivityState::Ready => SessionVerdict {
            state: SessionState::Working,
            reason: working_reason(activity, lifecycle),
        },
        ActivityState::Idle | ActivityState::Exited => {
            SessionVerdict { state: SessionState::Idle, reason: idle_reason(activity, lifecycle) }
        }
        ActivityState::WaitingInput | ActivityState::Blocked => {
            SessionVerdict { state: SessionState::NeedsInput, reason: input_reason(activity) }
        }
    }
}

/// An agent that says when it starts has not started before it said so; another one works from its
/// first healthy look on.
fn unheard(lifecycle: &Lifecycle) -> SessionVerdict {
    let has_start =
        lifecycle.launch.as_ref().is_none_or(|launch| launch.traits.signals.has_start());
    if has_start {
        let reason = SessionReason::SpawnRequested;
        SessionVerdict { state: SessionState::NotStarted, reason }
    } else {
        let reason = SessionReason::TaskInProgress;
        SessionVerdict { state: SessionState::Working, reason }
    }
}

/// What keeps an agent that is not in a turn from ever taking another one on its own.
fn trouble(activity: &Activity) -> Option<SessionReason> {
    if activity.state == ActivityState::Active {
        return None;
    }
    match activity.detail? {
        SignalDetail::UsageLimited => Some(SessionReason::UsageLimited),
        SignalDetail::AuthFailed => Some(SessionReason::AgentAuthFailed),
        SignalDetail::ApiError => Some(SessionReason::AgentApiError),
        SignalDetail::Permission
        | SignalDetail::Question
        | SignalDetail::PlanApproval
        | SignalDetail::Trust
        | SignalDetail::Background
        | SignalDetail::Done
        | SignalDetail::Started
        | SignalDetail::Interrupted => None,
    }
}

fn working_reason(activity: &Activity, lifecycle: &Lifecycle) -> SessionReason {
    if activity.detail == Some(SignalDetail::Started) {
        return SessionReason::AgentAcknowledged;
    }
    match lifecycle.pr.state {
        PrState::None | PrState::Merged | PrState::Closed => SessionReason::TaskInProgress,
        PrState::Open | PrState::Draft => match lifecycle.pr.reason {
            PrReason::CiFailing => SessionReason::FixingCi,
            PrReason::ChangesRequested => SessionReason::ResolvingReviewComments,
            PrReason::MergeConflicts => SessionReason::ResolvingConflicts,
            PrReason::NotCreated
            | PrReason::InProgress
            | PrReason::ReviewPending
            | PrReason::Approved
            | PrReason::MergeReady
            | PrReason::Merged
            | PrReason::ClosedUnmerged
            | PrReason::ClearedOnRestore => SessionReason::PrCreated,
        },
    }
}

fn idle_reason(activity: &Activity, lifecycle: &Lifecycle) -> SessionReason {
    if lifecycle.claim.is_some() {
        SessionReason::Completed
    } else if ladder::is_all_complete(&lifecycle.prs) {
        SessionReason::MergedWaitingDecision
    } else if ladder::has_open(&lifecycle.prs) {
        SessionReason::AwaitingExternalReview
    } else if activity.detail == Some(SignalDetail::Started) {
        SessionReason::AgentAcknowledged
    } else {
        SessionReason::TaskInProgress
    }
}

fn input_reason(activity: &Activity) -> SessionReason {
    let is_dialog = match activity.detail {
        Some(SignalDetail::Permission | SignalDetail::PlanApproval | SignalDetail::Trust) => true,
        Some(SignalDetail::Question) => false,
        Some(
            SignalDetail::AuthFailed
            | SignalDetail::UsageLimited
            | SignalDetail::ApiError
            | SignalDetail::Background
            | SignalDetail::Done
            | SignalDetail::Started
            | SignalDetail::Interrupted,
        )
        | None => activity.state == ActivityState::Blocked,
    };
    if is_dialog { SessionReason::AwaitingPermission } else { SessionReason::AwaitingUserInput }
}

/// The activity that a signal tells.
pub const fn heard(signal: &SignalFact, at: Moment) -> Activity {
    Activity { state: signal.activity, at, source: signal.source, detail: signal.detail }
}

/// Whether a signal observed at `at` replaces the last known activity.
///
/// The later observation wins, and at the same moment the one that can be trusted more. What only a
/// human ends (a sticky state) yields only to evidence against it: see [`ends_sticky`].
pub fn replaces(
    known: Option<&Activity>,
    signal: &SignalFact,
    at: &Moment,
    signals: Signals,
) -> bool {
    let Some(known) = known else { return true };
    if known.at.is_after(at) {
        return false;
    }
    let is_tie = !at.is_after(&known.at);
    if is_tie && signal.source.confidence() < known.source.confidence() {
        return false;
    }
    !known.state.is_sticky() || ends_sticky(known.state, signal, signals)
}

/// How late a hook may come that says more of a moment than another source did: far longer than one
/// takes on a loaded machine, far shorter than a turn that it could be mistaken for.
pub const LATE_FOR_MAX: Duration = Duration::from_secs(5);

/// Whether a hook says more of what another source told a moment later.
///
/// A hook takes its time to arrive, and a status file that was read meanwhile carries a later stamp.
/// The hook alone says why an agent rests, what it waits for, and that it took a prompt in.
pub fn refines(known: &Activity, signal: &SignalFact, at: &Moment) -> bool {
    let is_late = known.at.is_after(at) && known.at.since(at) <= LATE_FOR_MAX;
    if !is_late || signal.source != ActivitySource::Hook || known.source == ActivitySource::Hook {
        return false;
    }
    let read = Reading { activity: known.state, detail: known.detail };
    let says_more = signal.is_submit
        || (signal.activity, signal.detail) != (known.state, known.detail)
            && (signal.detail.is_some() || signal.activity != known.state);
    says_more && !read.says_otherwise(Some(&heard(signal, *at)))
}

/// Whether a later signal is evidence against a sticky state.
///
/// A dialog is on screen: what the agent tells afterwards, or a screen without it, ends it. A
/// request for a human is not: the turn that made it goes on and ends without an answer, so only a
/// new turn, an interruption, a claim, another request or a goodbye ends it. An agent that cannot
/// tell a new turn ends it with anything that it tells.
pub fn ends_sticky(known: ActivityState, signal: &SignalFact, signals: Signals) -> bool {
    if signal.source.confidence() == Confidence::Low {
        let is_seen_gone = signal.source == ActivitySource::Terminal
            && known == ActivityState::Blocked
            && !signal.activity.is_sticky();
        // A dialog that is seen replaces a request: it takes the keys.
        let is_dialog = signal.source == ActivitySource::Terminal
            && known == ActivityState::WaitingInput
            && signal.activity == ActivityState::Blocked;
        return is_seen_gone || is_dialog;
    }
    if known == ActivityState::Blocked || !signals.has_submit() {
        return true;
    }
    let is_new_turn = signal.is_submit
        || matches!(
            signal.detail,
            Some(SignalDetail::Started | SignalDetail::Interrupted | SignalDetail::Done)
        );
    is_new_turn || signal.activity.is_sticky() || signal.activity == ActivityState::Exited
}

/// Whether a signal takes an earlier claim of being done back: a new turn was begun since.
pub fn ends_claim(signal: &SignalFact, signals: Signals) -> bool {
    signal.is_submit || (!signals.has_submit() && signal.activity == ActivityState::Active)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::AgentTraits;
    use crate::ids::{FactId, LaunchId};
    use crate::record::{DoneClaim, Launch, PrVerdict};
    use crate::time::{BootId, Timestamp};

    fn at(seconds: u64) -> Moment {
        let since_boot = Duration::from_secs(seconds);
        Moment {
            wall: Timestamp::default().plus(since_boot),
            boot: BootId(1),
            since_boot,
            awake: since_boot,
        }
    }

    /// `ACTIVITY [SOURCE] [DETAIL] [submit]`.
    fn signal(words: &str) -> SignalFact {
        let mut signal = SignalFact {
            id: FactId::parse("f").unwrap(),
            launch: LaunchId::parse("l").unwrap(),
            activity: ActivityState::Active,
            source: ActivitySource::Hook,
            detail: None,
            agent_session_id: None,
            paused_until: None,
            is_submit: false,
            prompt: None,
            transcript: None,
            message: None,
        };
        let mut words = words.split(' ');
        signal.activity = words.next().unwrap().parse().unwrap();
        for word in words {
            if word == "submit" {
                signal.is_submit = true;
            } else if let Ok(source) = word.parse() {
                signal.source = source;
            } else {
                signal.detail = Some(word.parse().unwrap());
            }
        }
        signal
    }

    fn lifecycle(signals: Signals) -> Lifecycle {
        let mut lifecycle = Lifecycle::seeded(SessionReason::SpawnRequested, at(0));
        lifecycle.launch = Some(Launch {
            id: LaunchId::parse("l").unwrap(),
            committed_at: at(0),
            traits: AgentTraits {
                signals,
                exits_when_done: false,
                settle_for: Duration::from_millis(100),
            },
        });
        lifecycle
    }

    #[track_caller]
    fn check(words: &str, expect: &str) {
        let mut lifecycle = lifecycle(Signals::Full);
        lifecycle.activity = Some(heard(&signal(words), at(1)));
        let verdict = settle(&lifecycle);
        assert_eq!(format!("{}/{}", verdict.state, verdict.reason), expect);
    }

    #[test]
    fn the_activity_settles_the_session() {
        check("active", "working/task_in_progress");
        check("ready started", "working/agent_acknowledged");
        check("ready background", "working/task_in_progress");
        check("idle", "idle/task_in_progress");
        check("waiting_input", "needs_input/awaiting_user_input");
        check("blocked", "needs_input/awaiting_permission");
        check("blocked question", "needs_input/awaiting_user_input");
        check("blocked trust", "needs_input/awaiting_permission");
        check("exited", "idle/task_in_progress");
    }

    #[test]
    fn an_agent_that_cannot_go_on_alone_needs_a_human_whatever_it_calls_its_state() {
        check("idle usage_limited", "needs_input/usage_limited");
        check("blocked auth_failed", "needs_input/agent_auth_failed");
        check("idle api_error", "needs_input/agent_api_error");
        check("active api_error", "working/task_in_progress");
    }

    #[test]
    fn an_agent_without_a_start_signal_works_unheard() {
        for (signals, expect) in [
            (Signals::None, SessionState::Working),
            (Signals::Activity, SessionState::Working),
            (Signals::Full, SessionState::NotStarted),
        ] {
            assert_eq!(settle(&lifecycle(signals)).state, expect, "{signals:?}");
        }
    }

    #[test]
    fn work_is_named_after_what_the_pull_request_wants() {
        let mut lifecycle = lifecycle(Signals::Full);
        lifecycle.activity = Some(heard(&signal("active"), at(1)));
        lifecycle.pr =
            PrVerdict { state: PrState::Open, reason: PrReason::CiFailing, number: None };
        assert_eq!(settle(&lifecycle).reason, SessionReason::FixingCi);
    }

    #[test]
    fn a_claim_of_being_done_outlives_the_turn_that_made_it() {
        let mut lifecycle = lifecycle(Signals::Full);
        lifecycle.claim = Some(DoneClaim { at: at(1) });
        lifecycle.activity = Some(heard(&signal("idle"), at(2)));
        assert_eq!(settle(&lifecycle).reason, SessionReason::Completed);
        assert!(!ends_claim(&signal("active"), Signals::Full));
        assert!(ends_claim(&signal("active submit"), Signals::Full));
        assert!(ends_claim(&signal("active"), Signals::None));
    }

    #[track_caller]
    fn check_replaces(known: &str, next: &str, signals: Signals, expect: bool) {
        let known = heard(&signal(known), at(10));
        assert_eq!(replaces(Some(&known), &signal(next), &at(11), signals), expect);
        assert!(!replaces(Some(&known), &signal(next), &at(9), signals), "an older one never wins");
    }

    #[test]
    fn a_dialog_ends_when_the_agent_goes_on_or_the_screen_shows_it_gone() {
        check_replaces("blocked", "active", Signals::Full, true);
        check_replaces("blocked", "idle", Signals::Full, true);
        check_replaces("blocked", "active terminal", Signals::Full, true);
        check_replaces("blocked", "active transcript", Signals::Full, true);
        check_replaces("blocked", "active runtime", Signals::Full, false);
        check_replaces("blocked", "idle none", Signals::Full, false);
    }

    #[test]
    fn a_request_for_a_human_outlives_the_turn_that_made_it() {
        check_replaces("waiting_input", "active", Signals::Full, false);
        check_replaces("waiting_input", "idle", Signals::Full, false);
        check_replaces("waiting_input", "idle terminal", Signals::Full, false);
        check_replaces("waiting_input", "active submit", Signals::Full, true);
        check_replaces("waiting_input", "idle interrupted", Signals::Full, true);
        check_replaces("waiting_input", "idle done", Signals::Full, true);
        check_replaces("waiting_input", "blocked terminal", Signals::Full, true);
        check_replaces("waiting_input", "blocked question", Signals::Full, true);
        check_replaces("waiting_input", "waiting_input", Signals::Full, true);
        check_replaces("waiting_input", "exited", Signals::Full, true);
        check_replaces("waiting_input", "active", Signals::None, true);
    }

    #[track_caller]
    fn check_refines(known: &str, hook: &str, seconds_late: u64, expect: bool) {
        let known = heard(&signal(known), at(20));
        let hook = signal(hook);
        assert_eq!(refines(&known, &hook, &at(20 - seconds_late)), expect, "{known:?} {hook:?}");
    }

    #[test]
    fn a_hook_that_comes_late_may_say_more_and_nothing_else() {
        check_refines("idle native", "ready background", 1, true);
        check_refines("idle native", "idle api_error", 5, true);
        check_refines("idle native", "waiting_input", 1, true);
        check_refines("blocked native permission", "blocked question", 1, true);
        check_refines("active native", "active submit", 1, true);
        check_refines("idle terminal", "idle interrupted", 1, true);
        check_refines("idle native", "ready background", 0, false);
        check_refines("idle native", "ready background", 6, false);
        check_refines("idle native", "active submit", 1, false);
        check_refines("idle native usage_limited", "idle", 1, false);
        check_refines("idle native interrupted", "idle", 1, false);
        check_refines("blocked native permission", "blocked permission", 1, false);
        check_refines("active native", "blocked permission", 1, false);
        check_refines("active native", "active", 1, false);
        check_refines("idle hook", "ready background", 1, false);
        check_refines("idle native", "ready terminal background", 1, false);
    }

    #[test]
    fn at_the_same_moment_the_more_trusted_one_wins() {
        let known = heard(&signal("idle"), at(10));
        let weaker = signal("active terminal");
        assert!(!replaces(Some(&known), &weaker, &at(10), Signals::Full));
        assert!(replaces(Some(&known), &signal("active"), &at(10), Signals::Full));
        assert!(replaces(Some(&known), &weaker, &at(11), Signals::Full));
    }
}
