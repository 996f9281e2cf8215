//! What would change a status, in words: what would happen is asked of the deciders.

use super::{duration_words, is_pr_status};
use crate::agent::Signals;
use crate::decide::ladder;
use crate::decide::probe::{self, Completion, Ending, Finding, Question, Standing, Voice};
use crate::decide::settle::settle;
use crate::fact::{BootProbe, LookValues, ProcessProbe, RuntimeProbe, ServerProbe};
use crate::policy::Policy;
use crate::record::{
    Activity, ActivitySource, ActivityState, Lifecycle, PrReason, SessionReason, SessionState,
    SessionVerdict,
};
use crate::reduce::describe_pr;
use crate::session::Session;
use crate::status::status_of;
use crate::time::Moment;

/// What would change it, likeliest first.
pub(super) fn would_change(session: &Session, policy: &Policy, now: &Moment) -> Vec<String> {
    let lifecycle = &session.lifecycle;
    let id = &session.record.id;
    if lifecycle.is_terminal() {
        let mut all = vec![format!("nothing but `ao restore {id}`, which reopens it")];
        if ladder::has_open(&lifecycle.prs) {
            all.push(
                "its pull request is still looked at; what happens to it is told to a human, and \
                 changes nothing here"
                    .to_owned(),
            );
        }
        return all;
    }
    let mut all = match lifecycle.session.state {
        SessionState::NotStarted => starting(session, now, policy),
        SessionState::Working | SessionState::Idle => at_work(session, now, policy),
        SessionState::NeedsInput => waiting(session, now),
        SessionState::Detecting | SessionState::Stuck => doubt_ends(session, policy, now),
        SessionState::Done | SessionState::Terminated => Vec::new(),
    };
    all.extend(pull_request_change(lifecycle));
    if lifecycle.launch.is_some() {
        all.extend(deaths(lifecycle));
    }
    let killed =
        SessionVerdict { state: SessionState::Terminated, reason: SessionReason::ManuallyKilled };
    all.push(format!("`ao kill {id}` makes it {}", shown(lifecycle, killed)));
    all
}

/// How a record with another verdict would be shown.
fn shown(lifecycle: &Lifecycle, verdict: SessionVerdict) -> String {
    let next = Lifecycle { session: verdict, ..lifecycle.clone() };
    format!("`{}` ({}/{})", status_of(&next), verdict.state, verdict.reason)
}

/// The record as it would be, had its agent just told this.
fn had_told(lifecycle: &Lifecycle, state: ActivityState) -> Lifecycle {
    let at = lifecycle.state_since;
    let activity = Some(Activity { state, at, source: ActivitySource::Hook, detail: None });
    let mut next = Lifecycle { activity, ..lifecycle.clone() };
    next.session = settle(&next);
    next
}

/// How its status would read, had its agent just told this.
fn if_told(lifecycle: &Lifecycle, state: ActivityState) -> String {
    let next = had_told(lifecycle, state);
    format!("`{}` ({}/{})", status_of(&next), next.session.state, next.session.reason)
}

/// Who tells what an agent does.
fn teller(lifecycle: &Lifecycle) -> &'static str {
    let signals = lifecycle.launch.as_ref().map_or(Signals::None, |launch| launch.traits.signals);
    if signals.are_declared() { "as its agent tells it" } else { "told by `ao report`" }
}

fn starting(session: &Session, now: &Moment, policy: &Policy) -> Vec<String> {
    let lifecycle = &session.lifecycle;
    let Some(launch) = &lifecycle.launch else {
        let start = if lifecycle.session.reason == SessionReason::QueuedForCapacity {
            "a free place lets it start"
        } else {
            "the proof that its agent's process runs lets it go on"
        };
        let failed =
            SessionVerdict { state: SessionState::Terminated, reason: SessionReason::SpawnFailed };
        return vec![
            start.to_owned(),
            format!("a step of its start that fails makes it {}", shown(lifecycle, failed)),
        ];
    };
    let mut all = vec![format!(
        "the first word of its agent settles it: the beginning of a turn makes it {}",
        if_told(lifecycle, ActivityState::Active)
    )];
    all.extend(silence(lifecycle, now, policy));
    if !launch.traits.signals.has_start() {
        all.push(
            "a look that finds its process and its terminal alive makes it `working`".to_owned(),
        );
    }
    all
}

/// When silence becomes something for a human; none where it means nothing.
fn silence(lifecycle: &Lifecycle, now: &Moment, policy: &Policy) -> Option<String> {
    let launch = lifecycle.launch.as_ref()?;
    if lifecycle.activity.is_some() || !launch.traits.signals.are_declared() {
        return None;
    }
    let left = policy.no_signal_for_max.saturating_sub(now.awake_since(&launch.committed_at));
    Some(format!(
        "{} more without a word of its agent make it `stuck` (stuck/no_signal)",
        duration_words(left)
    ))
}

fn at_work(session: &Session, now: &Moment, policy: &Policy) -> Vec<String> {
    let lifecycle = &session.lifecycle;
    let id = &session.record.id;
    let is_working = lifecycle.session.state == SessionState::Working;
    let told = teller(lifecycle);
    let mut all = if is_working {
        let idle = if_told(lifecycle, ActivityState::Idle);
        vec![format!("the end of its turn, {told}, makes it {idle}")]
    } else {
        let active = if_told(lifecycle, ActivityState::Active);
        vec![format!(
            "the beginning of a turn, {told}, makes it {active}; `ao send {id}` begins one"
        )]
    };
    let asks = if_told(lifecycle, ActivityState::WaitingInput);
    all.push(format!("a question or a dialog of its agent, {told}, makes it {asks}"));
    if is_working {
        all.extend(silence(lifecycle, now, policy));
    }
    all
}

fn waiting(session: &Session, now: &Moment) -> Vec<String> {
    let lifecycle = &session.lifecycle;
    let id = &session.record.id;
    let reason = lifecycle.session.reason;
    let goes_on = if_told(lifecycle, ActivityState::Active);
    let mut all = Vec::new();
    if let Some(until) = lifecycle.paused_until {
        let left = until.since(now.wall);
        let after = Lifecycle { paused_until: None, ..lifecycle.clone() };
        all.push(format!(
            "the end of the usage limit in {} makes it `{}`; its agent goes on when it is told to \
             (`ao send {id}`)",
            duration_words(left),
            status_of(&after)
        ));
    }
    all.push(if reason == SessionReason::AwaitingUserInput {
        format!(
            "an answer makes it {goes_on}: `ao send {id}`, or in its terminal with `ao attach {id}`"
        )
    } else if reason == SessionReason::AwaitingPermission {
        format!(
            "an answer to the dialog in its terminal (`ao attach {id}`) makes it {goes_on}; so \
             does the dialog being gone from the screen, once its agent goes on"
        )
    } else if reason == SessionReason::AgentAuthFailed {
        format!("a login in its terminal (`ao attach {id}`) and a turn after it make it {goes_on}")
    } else {
        format!("its next turn makes it {goes_on}; `ao send {id}` begins one")
    });
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
            "the next word of the forge about it"
        }
    };
    Some(format!("{}: {change} moves it on", describe_pr(lifecycle.pr)))
}

/// What ends a doubt, and what makes it worse.
fn doubt_ends(session: &Session, policy: &Policy, now: &Moment) -> Vec<String> {
    let lifecycle = &session.lifecycle;
    let id = &session.record.id;
    if lifecycle.session.reason == SessionReason::NoSignal {
        return vec![
            format!(
                "the first word of its agent ends it: the beginning of a turn makes it {}",
                if_told(lifecycle, ActivityState::Active)
            ),
            format!(
                "what keeps it silent is on its screen: see `ao logs {id}`, go in with `ao attach \
                 {id}`"
            ),
        ];
    }
    let back = shown(lifecycle, settle(lifecycle));
    let mut all =
        vec![format!("a look that finds its process and its terminal alive makes it {back} again")];
    if lifecycle.session.state == SessionState::Stuck {
        all.push(format!("see for yourself with `ao logs {id}` or `ao attach {id}`"));
        return all;
    }
    if lifecycle.process_dead_at.is_none() {
        all.push("any word of its agent from here on settles it".to_owned());
    }
    if let Some(doubt) = &lifecycle.detecting {
        let looks = policy.detecting_attempts_max.saturating_sub(doubt.attempts);
        let patience = policy.detecting_for_max.saturating_sub(now.awake_since(&doubt.started_at));
        let looks =
            if looks == 1 { "1 more look".to_owned() } else { format!("{looks} more looks") };
        all.push(format!(
            "{looks} with the same answer, or {} more of doubt, make it `stuck`, and a human is \
             called",
            duration_words(patience)
        ));
    }
    all
}

/// An end of the agent's own making.
const BY_ITSELF: &str = "its process ends by itself";

/// The same, and its exit says that all is well.
const BY_ITSELF_CLEAN: &str = "its process ends by itself with status 0";

/// How it would end, by what a look could find; what ends alike is told together.
fn deaths(lifecycle: &Lifecycle) -> Vec<String> {
    let completion = if lifecycle.claim.is_some() {
        Completion::Claimed
    } else if lifecycle.launch.as_ref().is_some_and(|launch| launch.traits.exits_when_done) {
        Completion::OnCleanExit
    } else {
        Completion::Never
    };
    let end = |boot, runtime, server, ending| {
        let look = LookValues { boot, server, runtime, process: ProcessProbe::Dead };
        let standing = Standing::Current;
        let voice = Voice::Silent;
        match probe::decide(Question { standing, look, voice, ending, completion }).finding {
            Finding::Ended(verdict) => Some(verdict),
            Finding::NotAddressed | Finding::Healthy | Finding::Doubt(_) => None,
        }
    };
    let (same, living, gone) = (BootProbe::Same, ServerProbe::Living, ServerProbe::Gone);
    let (pane, missing) = (RuntimeProbe::Dead, RuntimeProbe::Missing);
    let ways = [
        (BY_ITSELF_CLEAN, end(same, pane, living, Ending::Clean)),
        (BY_ITSELF, end(same, pane, living, Ending::Failed)),
        ("its process and its tmux session are gone", end(same, missing, living, Ending::Failed)),
        ("its process and its tmux server are dead", end(same, missing, gone, Ending::Failed)),
        ("the machine is booted again", end(BootProbe::Rebooted, missing, gone, Ending::Failed)),
    ];
    let mut ends: Vec<(SessionVerdict, Vec<&str>)> = Vec::new();
    for (way, verdict) in ways {
        let Some(verdict) = verdict else { continue };
        match ends.iter_mut().find(|(known, _)| *known == verdict) {
            Some((_, ways)) => ways.push(way),
            None => ends.push((verdict, vec![way])),
        }
    }
    // Where the status of an exit makes no difference, it is not told.
    for (_, ways) in &mut ends {
        if ways.contains(&BY_ITSELF) {
            ways.retain(|way| *way != BY_ITSELF_CLEAN);
        }
    }
    ends.into_iter()
        .map(|(verdict, ways)| {
            format!("if {}, it becomes {}", ways.join(", or if "), shown(lifecycle, verdict))
        })
        .collect()
}
