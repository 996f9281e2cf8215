//! Takes in what the session manager did or was asked to do.

use crate::deadline::DeadlineKind;
use crate::fact::Outcome;
use crate::ids::Revision;
use crate::record::{
    EndIntent, Launch, Lifecycle, PrReason, PrState, PrVerdict, RuntimeReason, RuntimeState,
    RuntimeVerdict, SessionReason, SessionState,
};
use crate::reduce::Plan;
use crate::step::{MessageOrder, Rule};

/// Reduces one outcome.
pub(super) fn reduce(plan: &mut Plan<'_>, outcome: &Outcome) -> Rule {
    match outcome {
        Outcome::Launched(launch) => launched(plan, launch),
        Outcome::Adopted(launch) => adopted(plan, launch),
        Outcome::SpawnFailed => spawn_failed(plan),
        Outcome::EndRequested(intent) => end_requested(plan, *intent),
        Outcome::RuntimeDestroyed => runtime_destroyed(plan),
        Outcome::RestoreRequested => reopened(plan, SessionReason::RestoreRequested),
        Outcome::RestoreQueued => reopened(plan, SessionReason::QueuedForCapacity),
        Outcome::SpawnAdmitted => admitted(plan, SessionReason::SpawnRequested),
        Outcome::RestoreAdmitted => admitted(plan, SessionReason::RestoreRequested),
    }
}

fn launched(plan: &mut Plan<'_>, launch: &Launch) -> Rule {
    if plan.lifecycle.is_terminal() {
        return Rule::Terminal;
    }
    if plan.lifecycle.launch.as_ref().is_some_and(|known| known.id == launch.id) {
        return Rule::Unchanged;
    }
    let session = plan.lifecycle.session;
    let is_queued = session.reason == SessionReason::QueuedForCapacity;
    if session.state != SessionState::NotStarted || is_queued {
        plan.set_session(SessionState::NotStarted, SessionReason::SpawnRequested);
    }
    begin_the_launch(plan, launch);
    Rule::Launched
}

fn begin_the_launch(plan: &mut Plan<'_>, launch: &Launch) {
    forget_the_launch(&mut plan.lifecycle);
    plan.lifecycle.runtime =
        RuntimeVerdict { state: RuntimeState::Alive, reason: RuntimeReason::ProcessRunning };
    plan.lifecycle.launch = Some(launch.clone());
    if launch.traits.signals.are_declared() {
        plan.arm_no_signal(launch.committed_at);
    }
}

/// A launch that runs and that the record does not know began after what the record knows: whatever
/// that says, an end that was asked for included, is about an earlier one.
fn adopted(plan: &mut Plan<'_>, launch: &Launch) -> Rule {
    if plan.lifecycle.launch.as_ref().is_some_and(|known| known.id == launch.id) {
        return Rule::Unchanged;
    }
    if plan.lifecycle.is_terminal() {
        reopened(plan, SessionReason::Adopted);
    }
    plan.set_session(SessionState::NotStarted, SessionReason::Adopted);
    plan.lifecycle.intent = None;
    // Whether they were typed since nobody knows, and twice is worse than not at all.
    plan.message_orders.push(MessageOrder::CancelAll);
    begin_the_launch(plan, launch);
    Rule::Adopted
}

/// What was known about an earlier launch says nothing about the next one.
fn forget_the_launch(lifecycle: &mut Lifecycle) {
    lifecycle.activity = None;
    lifecycle.detecting = None;
    lifecycle.paused_until = None;
    lifecycle.launch = None;
    lifecycle.claim = None;
    lifecycle.process_dead_at = None;
    lifecycle.exit = None;
    lifecycle.exit_asked = false;
}

fn spawn_failed(plan: &mut Plan<'_>) -> Rule {
    if plan.lifecycle.is_terminal() {
        return Rule::Terminal;
    }
    plan.set_session(SessionState::Terminated, SessionReason::SpawnFailed);
    plan.lifecycle.runtime =
        RuntimeVerdict { state: RuntimeState::Missing, reason: RuntimeReason::SpawnIncomplete };
    plan.lifecycle.launch = None;
    Rule::SpawnFailed
}

/// The intent is enough: a kill always succeeds logically, and nothing reacts to it.
fn end_requested(plan: &mut Plan<'_>, intent: EndIntent) -> Rule {
    let is_late = plan.lifecycle.is_terminal();
    plan.lifecycle.intent.get_or_insert(intent);
    for key in std::mem::take(&mut plan.ledger.open).into_keys() {
        plan.disarm(DeadlineKind::Escalate(key));
    }
    if is_late {
        return Rule::Terminal;
    }
    let reason = match intent {
        EndIntent::Kill => SessionReason::ManuallyKilled,
        EndIntent::Cleanup => SessionReason::AutoCleanup,
        EndIntent::Merged => SessionReason::PrMerged,
    };
    plan.set_session(SessionState::Terminated, reason);
    Rule::EndRequested
}

fn runtime_destroyed(plan: &mut Plan<'_>) -> Rule {
    if !plan.lifecycle.is_terminal() {
        // Nobody asked for this end: only a look tells whether it is one.
        return Rule::Unchanged;
    }
    let has_ended =
        matches!(plan.lifecycle.runtime.state, RuntimeState::Exited | RuntimeState::Missing);
    if has_ended {
        // What a look found stays found.
        return Rule::Terminal;
    }
    let reason = match plan.lifecycle.intent {
        None | Some(EndIntent::Cleanup) => RuntimeReason::AutoCleanup,
        Some(EndIntent::Kill) => RuntimeReason::ManualKillRequested,
        Some(EndIntent::Merged) => RuntimeReason::PrMergedCleanup,
    };
    plan.lifecycle.runtime = RuntimeVerdict { state: RuntimeState::Exited, reason };
    Rule::RuntimeDestroyed
}

/// Reopens a terminal session. What the forge said is forgotten: it is about the work before.
fn reopened(plan: &mut Plan<'_>, reason: SessionReason) -> Rule {
    if !plan.lifecycle.is_terminal() {
        return Rule::Unchanged;
    }
    let revision: Revision = plan.lifecycle.revision;
    plan.lifecycle = Lifecycle {
        revision,
        pr: PrVerdict { state: PrState::None, reason: PrReason::ClearedOnRestore, number: None },
        ..Lifecycle::seeded(reason, plan.fact.at)
    };
    for key in std::mem::take(&mut plan.ledger.open).into_keys() {
        plan.disarm(DeadlineKind::Escalate(key));
    }
    Rule::RestoreRequested
}

/// A session that waited for a place is started like any other.
fn admitted(plan: &mut Plan<'_>, reason: SessionReason) -> Rule {
    if plan.lifecycle.is_terminal() {
        return Rule::Terminal;
    }
    if plan.lifecycle.session.reason != SessionReason::QueuedForCapacity {
        return Rule::Unchanged;
    }
    plan.set_session(SessionState::NotStarted, reason);
    Rule::PlaceFound
}
