//! Takes in what the agent or its screen told.

use crate::decide::settle;
use crate::fact::{SignalDetail, SignalFact};
use crate::record::{ActivityState, DoneClaim, SessionReason, SessionState};
use crate::reduce::Plan;
use crate::step::{Ask, Rule};

/// Reduces one signal.
pub(super) fn reduce(plan: &mut Plan<'_>, signal: &SignalFact) -> Rule {
    if plan.lifecycle.is_terminal() {
        return Rule::Terminal;
    }
    let Some(launch) = &plan.lifecycle.launch else { return Rule::NoLaunch };
    if launch.id != signal.launch {
        return Rule::Fenced;
    }
    let at = plan.fact.at;
    let signals = launch.traits.signals;
    let known = plan.lifecycle.activity;
    let refined = known.filter(|known| settle::refines(known, signal, &at));
    if refined.is_none() && known.is_some_and(|known| known.at.is_after(&at)) {
        return Rule::OutdatedSignal;
    }
    if signal.agent_session_id.is_some()
        && signal.agent_session_id != plan.session.record.agent_session_id
    {
        plan.agent_session_id.clone_from(&signal.agent_session_id);
    }
    if signal.transcript.is_some() && signal.transcript != plan.session.record.transcript {
        plan.transcript.clone_from(&signal.transcript);
    }
    if refined.is_none() && !settle::replaces(known.as_ref(), signal, &at, signals) {
        return Rule::OutdatedSignal;
    }
    // What it refines is not made older by it.
    let mut heard = settle::heard(signal, refined.map_or(at, |known| known.at));
    let awaits_prompt = plan.session.record.prompt.is_some();
    if heard.state == ActivityState::Ready
        && heard.detail == Some(SignalDetail::Started)
        && !awaits_prompt
    {
        // An agent that just started has work to come only if it was launched with some.
        heard.state = ActivityState::Idle;
    }
    // The very fact that was taken in already is taken in like the first time.
    let is_first = known.is_none_or(|known| {
        known.at == at
            && known.source == signal.source
            && known.state == ActivityState::Ready
            && known.detail == Some(SignalDetail::Started)
    });
    let is_launched_anew = matches!(
        plan.lifecycle.session.reason,
        SessionReason::SpawnRequested | SessionReason::AgentAcknowledged
    );
    if heard.state == ActivityState::Idle
        && heard.detail.is_none()
        && is_first
        && awaits_prompt
        && is_launched_anew
    {
        // It rests before it was told anything: the prompt that it was launched with is to come.
        heard.state = ActivityState::Ready;
        heard.detail = Some(SignalDetail::Started);
    }
    plan.lifecycle.activity = Some(heard);
    if settle::ends_claim(signal, signals) {
        plan.lifecycle.claim = None;
    }
    if signal.detail == Some(SignalDetail::Done) && plan.lifecycle.claim.is_none() {
        plan.lifecycle.claim = Some(DoneClaim { at });
    }
    plan.lifecycle.paused_until = if signal.detail == Some(SignalDetail::UsageLimited) {
        signal.paused_until.or(plan.lifecycle.paused_until)
    } else {
        None
    };
    if signal.activity == ActivityState::Exited {
        // A goodbye is a claim: only a look tells whether it is true.
        plan.asks.push(Ask::Look);
        return Rule::Settled;
    }
    resolve(plan, signal)
}

/// Takes in that signals were lost, so many in all.
///
/// It says nothing about the agent, so no axis moves; what the signals would have told has to be
/// found by looking.
pub(super) fn lost(plan: &mut Plan<'_>, n: u64) -> Rule {
    if plan.lifecycle.is_terminal() {
        return Rule::Terminal;
    }
    if plan.lifecycle.signals_lost.is_none_or(|known| known < n) && n > 0 {
        plan.lifecycle.signals_lost = Some(n);
        plan.asks.push(Ask::Look);
    }
    Rule::SignalsLost
}

fn resolve(plan: &mut Plan<'_>, signal: &SignalFact) -> Rule {
    let is_resolved = match plan.lifecycle.session.state {
        SessionState::Detecting => {
            plan.lifecycle.process_dead_at.is_none()
                && plan
                    .lifecycle
                    .detecting
                    .is_none_or(|doubt| plan.fact.at.is_after(&doubt.started_at))
        }
        SessionState::Stuck => {
            plan.lifecycle.process_dead_at.is_none()
                && plan.lifecycle.session.reason == SessionReason::NoSignal
        }
        SessionState::NotStarted
        | SessionState::Working
        | SessionState::Idle
        | SessionState::NeedsInput => true,
        SessionState::Done | SessionState::Terminated => false,
    };
    if !is_resolved {
        return Rule::SignalInQuarantine;
    }
    plan.lifecycle.detecting = None;
    plan.lifecycle.session = settle::settle(&plan.lifecycle);
    if signal.detail == Some(SignalDetail::Done) { Rule::ClaimedDone } else { Rule::Settled }
}
