//! Which decision a status rests on, and what its rule says.

use super::{Decided, duration_words, is_pr_status};
use crate::fact::FactKind;
use crate::journal::JournalRecord;
use crate::policy::Policy;
use crate::record::{ActivityState, Lifecycle, SessionReason, SessionState};
use crate::session::Session;
use crate::status::Status;
use crate::step::Rule;

/// The newest decision that made what is shown: the forge's where a pull request is shown.
///
/// The journal is bounded. Where the entry is no longer kept, the rule that leads to this verdict
/// is named without its values.
pub(super) fn decided(
    status: Status,
    session: &Session,
    journal: &[JournalRecord],
    policy: &Policy,
) -> Decided {
    let lifecycle = &session.lifecycle;
    let leads_here: &[Rule] =
        if is_pr_status(status) { &[Rule::PullRequests] } else { leads_to(lifecycle) };
    let entry = journal.iter().rev().map(|record| &record.entry).find(|entry| {
        let rule = entry.because.rule;
        // A healthy look decides only what it moved; anything else only repeats it.
        let is_mover = rule != Rule::Healthy || entry.fact.at == lifecycle.state_since;
        leads_here.contains(&rule) && is_mover && !is_goodbye(&entry.fact.kind)
    });
    // One that was only asked for was decided by nothing, unless the journal says so.
    let likeliest = leads_here.first().copied().filter(|_| !is_only_asked_for(lifecycle));
    let known = entry.map(|entry| entry.because.rule).or(likeliest);
    let Some(rule) = known else {
        return Decided {
            rule: None,
            meaning: "a session that was asked for waits for the first fact about it".to_owned(),
            values: None,
            at: None,
        };
    };
    Decided {
        rule: Some(rule),
        meaning: meaning(rule, policy),
        values: entry.map(|entry| entry.because.values.clone()),
        at: entry.map(|entry| entry.at.wall),
    }
}

/// A goodbye moves nothing: it only asks for a look.
const fn is_goodbye(kind: &FactKind) -> bool {
    match kind {
        FactKind::Signal(signal) => matches!(signal.activity, ActivityState::Exited),
        FactKind::Look(_)
        | FactKind::PullRequests(_)
        | FactKind::Outcome(_)
        | FactKind::Due(_)
        | FactKind::IdleDue(_)
        | FactKind::SendFailed(_)
        | FactKind::SignalsLost(_) => false,
    }
}

/// Whether nothing but a request may have made what a record says.
fn is_only_asked_for(lifecycle: &Lifecycle) -> bool {
    lifecycle.session.state == SessionState::NotStarted
        && lifecycle.launch.is_none()
        && lifecycle.session.reason != SessionReason::RestoreRequested
}

/// The rules that can lead to the verdict of a record, the likeliest first.
fn leads_to(lifecycle: &Lifecycle) -> &'static [Rule] {
    let reason = lifecycle.session.reason;
    match lifecycle.session.state {
        SessionState::NotStarted if reason == SessionReason::Adopted => {
            &[Rule::Adopted, Rule::Healthy]
        }
        SessionState::NotStarted if lifecycle.launch.is_some() => &[Rule::Launched, Rule::Healthy],
        // What was only asked for is given the likeliest after a restore alone.
        SessionState::NotStarted => &[Rule::RestoreRequested, Rule::PlaceFound],
        SessionState::Working | SessionState::Idle | SessionState::NeedsInput => {
            &[Rule::Settled, Rule::ClaimedDone, Rule::Healthy]
        }
        SessionState::Stuck if reason == SessionReason::NoSignal => &[Rule::NoSignal],
        SessionState::Stuck => STUCK,
        SessionState::Detecting if reason == SessionReason::ProbeFailure => {
            &[Rule::CannotTell, Rule::Breaker]
        }
        SessionState::Detecting if reason == SessionReason::AgentProcessExited => {
            &[Rule::RuntimeWithoutProcess, Rule::ExitUnknown, Rule::Breaker]
        }
        SessionState::Detecting => &[Rule::ProcessWithoutRuntime, Rule::HeardSince, Rule::Breaker],
        SessionState::Done => &[Rule::Completed],
        SessionState::Terminated => ends(reason),
    }
}

/// A doubt that lasts too long, and what is seen of it afterwards.
const STUCK: &[Rule] = &[
    Rule::QuarantineExpired,
    Rule::CannotTell,
    Rule::ProcessWithoutRuntime,
    Rule::RuntimeWithoutProcess,
    Rule::HeardSince,
    Rule::ExitUnknown,
    Rule::Breaker,
];

/// The rule behind each end; what nobody found is what somebody asked for.
fn ends(reason: SessionReason) -> &'static [Rule] {
    let all: [(SessionReason, &'static [Rule]); 5] = [
        (SessionReason::SpawnFailed, &[Rule::SpawnFailed]),
        (SessionReason::AgentProcessExited, &[Rule::PaneDead]),
        (SessionReason::ServerGone, &[Rule::ServerGone]),
        (SessionReason::HostRebooted, &[Rule::Rebooted]),
        (SessionReason::RuntimeLost, &[Rule::RuntimeMissing]),
    ];
    let found = all.into_iter().find(|(end, _)| *end == reason);
    found.map_or(&[Rule::EndRequested], |(_, rules)| rules)
}

/// What a rule says, to a person who has never seen it.
pub(super) fn meaning(rule: Rule, policy: &Policy) -> String {
    match rule {
        Rule::QuarantineExpired => format!(
            "a doubt that lasts for {} looks with the same answer, or for {}, is for a human",
            policy.detecting_attempts_max,
            duration_words(policy.detecting_for_max)
        ),
        Rule::NoSignal => format!(
            "an agent that should tell what it does and tells nothing for {} is for a human",
            duration_words(policy.no_signal_for_max)
        ),
        Rule::Rebooted
        | Rule::CannotTell
        | Rule::Healthy
        | Rule::ProcessWithoutRuntime
        | Rule::RuntimeNotLooked
        | Rule::RuntimeWithoutProcess
        | Rule::HeardSince
        | Rule::ExitUnknown
        | Rule::Completed
        | Rule::PaneDead
        | Rule::ServerGone
        | Rule::RuntimeMissing
        | Rule::Breaker
        | Rule::OutdatedLook => of_looks(rule).to_owned(),
        Rule::EndRequested
        | Rule::Terminal
        | Rule::NoLaunch
        | Rule::Fenced
        | Rule::Settled
        | Rule::OutdatedSignal
        | Rule::SignalInQuarantine
        | Rule::ClaimedDone
        | Rule::Launched
        | Rule::Adopted
        | Rule::SpawnFailed
        | Rule::RuntimeDestroyed
        | Rule::RestoreRequested
        | Rule::PlaceFound
        | Rule::PullRequests
        | Rule::DeadlineDue
        | Rule::DeadlineOver
        | Rule::SendFailed
        | Rule::SignalsLost
        | Rule::Unchanged => of_others(rule).to_owned(),
    }
}

/// What the rules about looks say; the last one is that of a look which decides nothing.
fn of_looks(rule: Rule) -> &'static str {
    let all = [
        (Rule::Rebooted, "no process outlives a boot of the machine"),
        (
            Rule::CannotTell,
            "a look that fails proves nothing, so the session is looked at again before anything \
             is believed",
        ),
        (
            Rule::Healthy,
            "its process and its terminal are both there, so what its agent last told counts, if it \
             told anything",
        ),
        (
            Rule::ProcessWithoutRuntime,
            "a process that runs without its terminal contradicts itself, so it is looked at again",
        ),
        (Rule::RuntimeNotLooked, "a process that runs proves nothing about its terminal"),
        (
            Rule::RuntimeWithoutProcess,
            "a process that is gone while its terminal is not is one witness, and an end needs two",
        ),
        (
            Rule::HeardSince,
            "an agent that was heard from after its process was seen dead is not taken for dead yet",
        ),
        (Rule::ExitUnknown, "before an end is believed, its exit status is asked for once more"),
        (Rule::Completed, "its process and its terminal have ended, and its work was complete"),
        (
            Rule::PaneDead,
            "two witnesses say that it ended: its process is dead, and tmux shows that the program \
             in its terminal has ended",
        ),
        (
            Rule::ServerGone,
            "two witnesses say that it ended: its process is dead, and so is the tmux server that \
             held its terminal",
        ),
        (
            Rule::RuntimeMissing,
            "two witnesses say that it ended: its process is dead, and a living tmux server has no \
             such session",
        ),
        (
            Rule::Breaker,
            "where many sessions seem to die at once without a proven cause, the next look decides",
        ),
    ];
    let found = all.into_iter().find(|(one, _)| *one == rule);
    found.map_or("a look that began before what is known already decides nothing", |(_, it)| it)
}

/// What the rules about everything else say; the last one is that of news which is none.
fn of_others(rule: Rule) -> &'static str {
    let all = [
        (Rule::EndRequested, "an end that somebody asks for is carried out at once"),
        (Rule::Terminal, "a session that has ended stays so until a restore is asked for"),
        (Rule::NoLaunch, "nothing is decided about an agent that was not launched yet"),
        (Rule::Fenced, "what is told of another launch says nothing about this one"),
        (Rule::Settled, "what its agent last told decides"),
        (Rule::OutdatedSignal, "what was told earlier, or by a weaker source, decides nothing"),
        (
            Rule::SignalInQuarantine,
            "what an agent tells does not end a doubt about whether it lives",
        ),
        (
            Rule::ClaimedDone,
            "its agent says that its work is done; the session is done once its process has ended",
        ),
        (Rule::Launched, "its agent was started, and is to be heard from"),
        (
            Rule::Adopted,
            "it was found running by a daemon whose database did not know it, and is to be heard \
             from",
        ),
        (Rule::SpawnFailed, "a start that fails is undone, and ends the session"),
        (Rule::RuntimeDestroyed, "its terminal was put away after its end"),
        (Rule::RestoreRequested, "a restore reopens a session that has ended"),
        (Rule::PlaceFound, "a session that waited is started as soon as a place is free for it"),
        (
            Rule::PullRequests,
            "the worst open pull request is shown before what the agent does, unless a human is \
             needed",
        ),
        (Rule::DeadlineDue, "a time that was set was over, and its condition still held"),
        (Rule::DeadlineOver, "a time that was set was over, and its condition held no more"),
        (Rule::SendFailed, "a message that could not be sent does not count as an attempt"),
        (Rule::SignalsLost, "what was lost on its way has to be found by looking"),
    ];
    let found = all.into_iter().find(|(one, _)| *one == rule);
    found.map_or("it said what was known already", |(_, it)| it)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_rules_say_the_same() {
        let said: BTreeSet<_> =
            Rule::ALL.iter().map(|&rule| meaning(rule, &Policy::default())).collect();
        assert_eq!(said.len(), Rule::ALL.len());
    }
}
