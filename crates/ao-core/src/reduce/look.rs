//! Takes a look in: the probe decider's answer, seen through the quarantine.

use crate::decide::probe::{self, Finding, Question, Standing};
use crate::decide::quarantine::{LookOrder, quarantine};
use crate::decide::settle::settle;
use crate::fact::{LookFact, ProcessProbe};
use crate::record::{Evidence, SessionReason, SessionState, SessionVerdict};
use crate::reduce::Plan;
use crate::step::{Ask, Rule};

/// Reduces one look.
pub(super) fn reduce(plan: &mut Plan<'_>, look: &LookFact) -> Rule {
    let question = Question::of(&plan.lifecycle, look, &plan.fact.at, plan.policy);
    let answer = probe::decide(question);
    if question.standing == Standing::Current {
        remember(plan, look);
    }
    if let Some(runtime) = answer.runtime {
        plan.lifecycle.runtime = runtime;
    }
    match answer.finding {
        Finding::NotAddressed => answer.rule,
        Finding::Healthy => {
            healthy(plan);
            answer.rule
        }
        Finding::Ended(verdict) if look.is_held_back && answer.is_unproven_death() => {
            let rule = doubt(plan, look, verdict.reason);
            if rule == Rule::QuarantineExpired { rule } else { Rule::Breaker }
        }
        Finding::Ended(verdict) => {
            end(plan, verdict);
            answer.rule
        }
        Finding::Doubt(reason) => {
            let evidence = Evidence { reason, look: look.values };
            let is_news = plan.before().detecting.is_none_or(|doubt| doubt.evidence != evidence);
            if answer.wants_look && is_news {
                plan.asks.push(Ask::Look);
            }
            if answer.rule == Rule::ExitUnknown {
                plan.lifecycle.exit_asked = true;
            }
            if doubt(plan, look, reason) == Rule::QuarantineExpired {
                Rule::QuarantineExpired
            } else {
                answer.rule
            }
        }
    }
}

/// What a look of the running launch teaches about the process, whatever else it means.
fn remember(plan: &mut Plan<'_>, look: &LookFact) {
    let at = plan.fact.at;
    match look.values.process {
        ProcessProbe::Dead => {
            plan.lifecycle.process_dead_at.get_or_insert(at);
        }
        ProcessProbe::Alive => {
            plan.lifecycle.process_dead_at = None;
            plan.lifecycle.exit = None;
            plan.lifecycle.exit_asked = false;
        }
        ProcessProbe::Unknown => {}
    }
    if look.exit.is_some() {
        plan.lifecycle.exit = look.exit;
    }
}

fn healthy(plan: &mut Plan<'_>) {
    let SessionVerdict { state, reason } = plan.lifecycle.session;
    plan.lifecycle.detecting = None;
    let is_recovery = match state {
        SessionState::Detecting => true,
        // Silence is ended by a signal, not by a process that merely runs.
        SessionState::Stuck => reason != SessionReason::NoSignal,
        SessionState::NotStarted => {
            !plan.signals().has_start() || plan.lifecycle.activity.is_some()
        }
        SessionState::Working
        | SessionState::Idle
        | SessionState::NeedsInput
        | SessionState::Done
        | SessionState::Terminated => false,
    };
    if is_recovery {
        plan.lifecycle.session = settle(&plan.lifecycle);
    }
}

/// Counts a doubt. A session that is stuck stays so until the evidence is clear, and one that is
/// stuck because it is silent stays so until it is heard.
fn doubt(plan: &mut Plan<'_>, look: &LookFact, reason: SessionReason) -> Rule {
    let order = if look.is_first_after_gap { LookOrder::FirstAfterGap } else { LookOrder::Regular };
    let evidence = Evidence { reason, look: look.values };
    let previous = plan.lifecycle.detecting;
    let SessionVerdict { state, reason: known_reason } = plan.lifecycle.session;
    if state == SessionState::Stuck {
        if previous.is_none_or(|previous| previous.evidence != evidence) {
            let counted =
                quarantine(previous.as_ref(), evidence, &plan.fact.at, order, plan.policy);
            plan.lifecycle.detecting = Some(counted.memory);
            if known_reason != SessionReason::NoSignal {
                plan.set_session(SessionState::Stuck, reason);
            }
        }
        return Rule::Unchanged;
    }
    let counted = quarantine(previous.as_ref(), evidence, &plan.fact.at, order, plan.policy);
    plan.lifecycle.detecting = Some(counted.memory);
    if counted.is_expired {
        plan.set_session(SessionState::Stuck, reason);
        Rule::QuarantineExpired
    } else {
        plan.set_session(SessionState::Detecting, reason);
        Rule::Unchanged
    }
}

fn end(plan: &mut Plan<'_>, verdict: SessionVerdict) {
    plan.lifecycle.session = verdict;
    plan.lifecycle.detecting = None;
}
