//! What would change a status, in words.

use super::{duration_words, is_pr_status};
use crate::decide::probe::{self, Completion, Ending, Finding, Question, Standing, Voice};
use crate::decide::settle::settle;
use crate::fact::{BootProbe, LookValues, ProcessProbe, RuntimeProbe, ServerProbe};
use crate::policy::Policy;
use crate::record::{Lifecycle, PrReason, SessionReason, SessionState};
use crate::reduce::describe_pr;
use crate::status::status_of;
use crate::time::Moment;

/// What would change it, likeliest first.
pub(super) fn would_change(lifecycle: &Lifecycle, policy: &Policy, now: &Moment) -> Vec<String> {
    if lifecycle.is_terminal() {
        return vec!["only `ao restore` reopens it".to_owned()];
    }
    let Some(launch) = &lifecycle.launch else {
        let reason = lifecycle.session.reason;
        let start = if reason == SessionReason::QueuedForCapacity {
            "a free place starts it"
        } else {
            "the proof that its agent runs starts it"
        };
        return vec![
            start.to_owned(),
            "a step of its start that fails ends it as terminated/spawn_failed".to_owned(),
            "`ao kill` ends it as terminated/manually_killed".to_owned(),
        ];
    };
    let mut all = match lifecycle.session.state {
        SessionState::NotStarted | SessionState::Working | SessionState::Idle => {
            let mut all = vec!["the next signal of its agent settles it again".to_owned()];
            if lifecycle.activity.is_none() && launch.traits.signals.are_declared() {
                let heard_for = now.awake_since(&launch.committed_at);
                let left = policy.no_signal_for_max.saturating_sub(heard_for);
                all.push(format!(
                    "{} more without a signal make it stuck/no_signal",
                    duration_words(left)
                ));
            }
            all
        }
        SessionState::NeedsInput => {
            vec!["the agent going on, or its dialog gone from the screen, ends the wait".to_owned()]
        }
        SessionState::Detecting | SessionState::Stuck => doubt_ends(lifecycle, policy, now),
        SessionState::Done | SessionState::Terminated => Vec::new(),
    };
    all.extend(pull_request_change(lifecycle));
    all.extend(deaths(lifecycle));
    all.push("`ao kill` ends it as terminated/manually_killed".to_owned());
    all
}

/// What would move a pull request that is shown on.
fn pull_request_change(lifecycle: &Lifecycle) -> Option<String> {
    if !is_pr_status(status_of(lifecycle)) {
        return None;
    }
    let change = match lifecycle.pr.reason {
        PrReason::CiFailing => "every required check of its head concluding without a failure",
        PrReason::ChangesRequested => "every thread being resolved, or an approval",
        PrReason::MergeConflicts => "a push that resolves the conflict",
        PrReason::InProgress => "its checks concluding, a review, or leaving draft",
        PrReason::ReviewPending => "a review",
        PrReason::Approved => "the forge calling it clean with every required check passed",
        PrReason::MergeReady => "the merge",
        PrReason::Merged => "a new pull request",
        PrReason::NotCreated | PrReason::ClosedUnmerged | PrReason::ClearedOnRestore => {
            return None;
        }
    };
    Some(format!("{}: {change} moves it on", describe_pr(lifecycle.pr)))
}

/// What ends a doubt, and what makes it worse.
fn doubt_ends(lifecycle: &Lifecycle, policy: &Policy, now: &Moment) -> Vec<String> {
    let back = settle(lifecycle);
    let back = format!("{}/{}", back.state, back.reason);
    if lifecycle.session.reason == SessionReason::NoSignal {
        return vec!["the first signal of its agent settles it".to_owned()];
    }
    let mut all =
        vec![format!("a look that finds process and terminal alive takes it back to {back}")];
    if lifecycle.session.state == SessionState::Stuck {
        return all;
    }
    if lifecycle.process_dead_at.is_none() {
        all.push("a signal of its agent observed from here on settles it".to_owned());
    }
    if let Some(doubt) = &lifecycle.detecting {
        let looks = policy.detecting_attempts_max.saturating_sub(doubt.attempts);
        let patience = policy.detecting_for_max.saturating_sub(now.awake_since(&doubt.started_at));
        let looks =
            if looks == 1 { "1 more look".to_owned() } else { format!("{looks} more looks") };
        all.push(format!(
            "{looks} with the same evidence, or {} of it, would make it stuck",
            duration_words(patience)
        ));
    }
    all
}

/// How it would end, by what a look could find.
fn deaths(lifecycle: &Lifecycle) -> Vec<String> {
    let completion = if lifecycle.claim.is_some() {
        Completion::Claimed
    } else if lifecycle.launch.as_ref().is_some_and(|launch| launch.traits.exits_when_done) {
        Completion::OnCleanExit
    } else {
        Completion::Never
    };
    let end = |runtime, server, ending| {
        let question = Question {
            standing: Standing::Current,
            look: LookValues {
                boot: BootProbe::Same,
                server,
                runtime,
                process: ProcessProbe::Dead,
            },
            voice: Voice::Silent,
            ending,
            completion,
        };
        match probe::decide(question).finding {
            Finding::Ended(verdict) => format!("{}/{}", verdict.state, verdict.reason),
            Finding::NotAddressed | Finding::Healthy | Finding::Doubt(_) => String::new(),
        }
    };
    let (living, gone) = (ServerProbe::Living, ServerProbe::Gone);
    let failed = end(RuntimeProbe::Dead, living, Ending::Failed);
    let clean = end(RuntimeProbe::Dead, living, Ending::Clean);
    let mut all =
        vec![format!("a look that finds the process gone and the pane dead ends it as {failed}")];
    if clean != failed {
        all.push(format!("the same with exit status 0 ends it as {clean}"));
    }
    for (what, runtime, server) in [
        ("the process and the tmux session gone", RuntimeProbe::Missing, living),
        ("the process gone and the tmux server proven dead", RuntimeProbe::Missing, gone),
    ] {
        let verdict = end(runtime, server, Ending::Failed);
        all.push(format!("a look that finds {what} ends it as {verdict}"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{BootId, Timestamp};

    #[test]
    fn what_starts_a_session_is_what_it_waits_for() {
        let (wall, boot) = (Timestamp::default(), BootId(1));
        let zero = std::time::Duration::ZERO;
        let now = Moment { wall, boot, since_boot: zero, awake: zero };
        for (reason, expect) in [
            (SessionReason::QueuedForCapacity, "a free place starts it"),
            (SessionReason::SpawnRequested, "the proof that its agent runs starts it"),
            (SessionReason::RestoreRequested, "the proof that its agent runs starts it"),
        ] {
            let lifecycle = Lifecycle::seeded(reason, now);
            let told = would_change(&lifecycle, &Policy::default(), &now);
            assert_eq!(told.first().map(String::as_str), Some(expect), "{reason}");
        }
    }
}
