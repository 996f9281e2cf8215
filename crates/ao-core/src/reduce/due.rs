//! Takes a due deadline in: it acts only if its condition still holds, and is taken back anyway.

use std::time::Duration;

use crate::deadline::{DeadlineClock, DeadlineKind};
use crate::fact::WorkFound;
use crate::ledger::{IncidentKey, ReactionKind};
use crate::react;
use crate::record::{SessionReason, SessionState};
use crate::reduce::Plan;
use crate::reduce::plan::is_doubt;
use crate::step::Rule;

/// When a worktree is looked at again that a look could not tell about: long enough for a lock or a
/// stalled disk to be over.
const LOOK_AGAIN_AFTER: Duration = Duration::from_mins(1);

/// Reduces one due deadline.
pub(super) fn reduce(plan: &mut Plan<'_>, kind: &DeadlineKind) -> Rule {
    plan.disarm(kind.clone());
    match kind {
        DeadlineKind::Escalate(incident) => react::escalate_when_due(plan, *incident),
        DeadlineKind::NoSignal => no_signal(plan),
        // Nobody looked at its worktree.
        DeadlineKind::AgentIdle => idle(plan, WorkFound::Unknown),
        DeadlineKind::TurnFinished => turn_finished(plan),
        DeadlineKind::PauseEnds => pause_ends(plan),
    }
}

fn no_signal(plan: &mut Plan<'_>) -> Rule {
    let Some(launch) = &plan.lifecycle.launch else { return Rule::DeadlineOver };
    let committed_at = launch.committed_at;
    let is_silent = plan.lifecycle.activity.is_none()
        && matches!(plan.lifecycle.session.state, SessionState::NotStarted | SessionState::Working);
    if !is_silent || !launch.traits.signals.are_declared() {
        // A doubt that ends before the first signal arms it again.
        return Rule::DeadlineOver;
    }
    if plan.now.awake_since(&committed_at) < plan.policy.no_signal_for_max {
        plan.arm_no_signal(committed_at);
        return Rule::DeadlineOver;
    }
    plan.set_session(SessionState::Stuck, SessionReason::NoSignal);
    Rule::NoSignal
}

fn turn_finished(plan: &mut Plan<'_>) -> Rule {
    let key = IncidentKey { reaction: ReactionKind::TurnFinished, pr: None };
    let after = plan.policy.reaction(key.reaction).after;
    if !has_been_idle_for(plan, after, &DeadlineKind::TurnFinished) {
        return Rule::DeadlineOver;
    }
    react::raise(plan, key, &react::one_cause("turn"));
    Rule::DeadlineDue
}

/// Tells an idle agent to go on, when its worktree holds work that nobody has seen.
///
/// A look that could not tell is no finding: another one is asked for soon. Without work there is
/// nothing to go on with.
pub(super) fn idle(plan: &mut Plan<'_>, work: WorkFound) -> Rule {
    plan.disarm(DeadlineKind::AgentIdle);
    let key = IncidentKey { reaction: ReactionKind::AgentIdle, pr: None };
    let line = plan.policy.reaction(key.reaction);
    let told = plan.ledger.open.get(&key).map(|incident| incident.attempts);
    let is_first = told.is_none() || is_doubt(plan.lifecycle.session.state);
    if is_first && !has_been_idle_for(plan, line.after, &DeadlineKind::AgentIdle) {
        return Rule::DeadlineOver;
    }
    let is_unfinished =
        plan.lifecycle.session.state == SessionState::Idle && react::is_work_open(&plan.lifecycle);
    if !is_unfinished || !line.is_enabled {
        return Rule::DeadlineOver;
    }
    match work {
        WorkFound::Changed => {}
        WorkFound::Unchanged => {
            react::close(plan, key);
            return Rule::DeadlineOver;
        }
        WorkFound::Unknown => {
            let after = line.after.min(LOOK_AGAIN_AFTER);
            plan.arm(DeadlineKind::AgentIdle, plan.now, after, DeadlineClock::Awake);
            return Rule::DeadlineOver;
        }
    }
    if react::is_escalation_due(plan, key) {
        // Both come due at once: who is called now is not told of another attempt.
        return react::escalate_when_due(plan, key);
    }
    react::raise(plan, key, &react::one_cause(&format!("idle/{}", told.unwrap_or(0))));
    let is_silent = plan.ledger.open.get(&key).is_none_or(|incident| incident.is_escalated);
    if !is_silent {
        plan.arm(DeadlineKind::AgentIdle, plan.now, line.after, DeadlineClock::Awake);
    }
    Rule::DeadlineDue
}

/// Whether the session has been idle for that long; while it cannot be told, or not yet, the
/// deadline is armed again.
fn has_been_idle_for(plan: &mut Plan<'_>, after: Duration, kind: &DeadlineKind) -> bool {
    let state = plan.lifecycle.session.state;
    if is_doubt(state) {
        plan.arm(kind.clone(), plan.now, after, DeadlineClock::Awake);
        return false;
    }
    if state != SessionState::Idle {
        return false;
    }
    let since = plan.lifecycle.state_since;
    let is_over = plan.now.awake_since(&since) >= after;
    if !is_over {
        plan.arm(kind.clone(), since, after, DeadlineClock::Awake);
    }
    is_over
}

fn pause_ends(plan: &mut Plan<'_>) -> Rule {
    let Some(until) = plan.lifecycle.paused_until else { return Rule::DeadlineOver };
    let left = until.since(plan.now.wall);
    if !left.is_zero() {
        plan.arm(DeadlineKind::PauseEnds, plan.now, left, DeadlineClock::Wall);
        return Rule::DeadlineOver;
    }
    plan.lifecycle.paused_until = None;
    Rule::DeadlineDue
}
