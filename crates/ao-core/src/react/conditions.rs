//! Which conditions of the reaction table hold after a fact.
//!
//! The session's conditions are read after every fact, those of pull requests only after the forge
//! was asked: a message that could not be sent is then tried again at the forge's pace.

use std::collections::BTreeSet;

use crate::decide::ladder;
use crate::fact::FactKind;
use crate::ids::{CauseKey, PrNumber};
use crate::ledger::{IncidentKey, ReactionKind};
use crate::pr::{Checks, Draftness, Mergeability, Pr, PrLife, Review};
use crate::react::one_cause;
use crate::record::{Lifecycle, SessionReason, SessionState};
use crate::reduce::Plan;

/// How a condition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// It holds, for these causes.
    Holds(BTreeSet<CauseKey>),
    /// It is over.
    Over,
    /// Nobody can tell: an open incident stays open, a closed one closed.
    CannotTell,
}

impl Condition {
    fn when(holds: bool, cause: &str) -> Self {
        if holds { Self::Holds(one_cause(cause)) } else { Self::Over }
    }
}

/// Every condition that this fact may have begun or ended.
pub(super) fn of(plan: &Plan<'_>) -> Vec<(IncidentKey, Condition)> {
    let mut all = session_conditions(plan);
    let is_from_forge = match &plan.fact.kind {
        FactKind::PullRequests(_) => true,
        FactKind::Look(_)
        | FactKind::Signal(_)
        | FactKind::Outcome(_)
        | FactKind::Due(_)
        | FactKind::IdleDue(_)
        | FactKind::SendFailed(_)
        | FactKind::SignalsLost(_) => false,
    };
    if is_from_forge {
        for pr in plan.lifecycle.prs.values() {
            all.extend(pr_conditions(pr));
        }
        let prs = &plan.lifecycle.prs;
        let holds = ladder::is_all_complete(prs);
        all.push((key(ReactionKind::AllComplete, None), Condition::when(holds, "merged")));
    }
    all
}

const fn key(reaction: ReactionKind, pr: Option<PrNumber>) -> IncidentKey {
    IncidentKey { reaction, pr }
}

fn session_conditions(plan: &Plan<'_>) -> Vec<(IncidentKey, Condition)> {
    let session = plan.lifecycle.session;
    let reason = session.reason.as_str();
    // A doubt says nothing about what the session would do if it could be seen.
    let unless_in_doubt = |holds: bool| match session.state {
        SessionState::Detecting | SessionState::Stuck => Condition::CannotTell,
        SessionState::NotStarted
        | SessionState::Working
        | SessionState::Idle
        | SessionState::NeedsInput
        | SessionState::Done
        | SessionState::Terminated => Condition::when(holds, reason),
    };
    // Idleness only ends here: it begins with its deadline.
    let while_idle = match unless_in_doubt(session.state == SessionState::Idle) {
        Condition::Holds(_) | Condition::CannotTell => Condition::CannotTell,
        Condition::Over => Condition::Over,
    };
    vec![
        (
            key(ReactionKind::AgentStuck, None),
            Condition::when(session.state == SessionState::Stuck, reason),
        ),
        (
            key(ReactionKind::AgentNeedsInput, None),
            unless_in_doubt(session.state == SessionState::NeedsInput),
        ),
        (
            key(ReactionKind::SessionDone, None),
            Condition::when(session.state == SessionState::Done, reason),
        ),
        (key(ReactionKind::AgentExited, None), exited(plan)),
        (key(ReactionKind::TurnFinished, None), while_idle.clone()),
        // A pull request or a claim that comes while the agent rests ends it as well.
        (
            key(ReactionKind::AgentIdle, None),
            if is_work_open(&plan.lifecycle) { while_idle } else { Condition::Over },
        ),
    ]
}

/// Whether nothing says that what the agent did is seen to by somebody: no open pull request, no
/// claim of being done, not everything merged.
pub(crate) fn is_work_open(lifecycle: &Lifecycle) -> bool {
    lifecycle.claim.is_none()
        && !ladder::has_open(&lifecycle.prs)
        && !ladder::is_all_complete(&lifecycle.prs)
}

/// A death that nobody asked for is news when it is found, unless an outage explains it.
fn exited(plan: &Plan<'_>) -> Condition {
    let session = plan.lifecycle.session;
    if session.state != SessionState::Terminated {
        return Condition::Over;
    }
    let is_inferred = matches!(
        session.reason,
        SessionReason::AgentProcessExited
            | SessionReason::RuntimeLost
            | SessionReason::ServerGone
            | SessionReason::HostRebooted
    );
    let is_new = !plan.before().is_terminal() && plan.infra_incident().is_none();
    if is_inferred && is_new {
        Condition::Holds(one_cause(session.reason.as_str()))
    } else {
        Condition::CannotTell
    }
}

fn pr_conditions(pr: &Pr) -> Vec<(IncidentKey, Condition)> {
    let number = Some(pr.number);
    let life = pr.life.value().copied();
    let closed = match life {
        Some(PrLife::Closed) => Condition::Holds(one_cause("closed")),
        Some(PrLife::Open | PrLife::Merged) => Condition::Over,
        None => Condition::CannotTell,
    };
    let mut all = vec![(key(ReactionKind::PrClosed, number), closed)];
    let is_complete = matches!(life, Some(PrLife::Merged | PrLife::Closed));
    for (reaction, condition) in [
        (ReactionKind::CiFailed, ci_failed(pr)),
        (ReactionKind::ChangesRequested, review(pr, Reviewer::Human)),
        (ReactionKind::BugbotComments, review(pr, Reviewer::Bot)),
        (ReactionKind::MergeConflicts, conflicts(pr)),
        (ReactionKind::ApprovedAndGreen, approved_and_green(pr)),
    ] {
        let condition = if is_complete { Condition::Over } else { condition };
        all.push((key(reaction, number), condition));
    }
    all
}

/// Only checks that all concluded and passed end it: pending ones, refused ones and none at all
/// (as a forge shows right after a push) end nothing.
fn ci_failed(pr: &Pr) -> Condition {
    match ladder::of_head(pr, &pr.checks) {
        Some(Checks::Failed { causes }) => Condition::Holds(causes.clone()),
        Some(Checks::Passed) => Condition::Over,
        Some(Checks::None | Checks::Pending | Checks::Refused) | None => Condition::CannotTell,
    }
}

#[derive(Clone, Copy)]
enum Reviewer {
    Human,
    Bot,
}

fn review(pr: &Pr, reviewer: Reviewer) -> Condition {
    match pr.review.value() {
        Some(Review::ChangesRequested { human, bot }) => {
            let causes = match reviewer {
                Reviewer::Human => human,
                Reviewer::Bot => bot,
            };
            if causes.is_empty() { Condition::Over } else { Condition::Holds(causes.clone()) }
        }
        Some(Review::NotRequired | Review::Pending | Review::Approved) => Condition::Over,
        None => Condition::CannotTell,
    }
}

fn conflicts(pr: &Pr) -> Condition {
    match ladder::of_head(pr, &pr.mergeability) {
        Some(Mergeability::Conflicting) => {
            Condition::Holds(one_cause(&format!("conflict/{}/{}", head(pr), pr.base)))
        }
        Some(Mergeability::Clean | Mergeability::ConflictingWithParent | Mergeability::Blocked) => {
            Condition::Over
        }
        None => Condition::CannotTell,
    }
}

/// A re-run of the checks of the same head does not end it, and so does not tell it again. Without
/// any checks (as a forge also shows right after a push) the forge itself has to call it clean.
fn approved_and_green(pr: &Pr) -> Condition {
    let (Some(checks), Some(review), Some(draft)) =
        (pr.checks.value(), pr.review.value(), pr.draft.value())
    else {
        return Condition::CannotTell;
    };
    let is_of_head = ladder::of_head(pr, &pr.checks).is_some();
    let is_reviewed = match review {
        Review::Approved | Review::NotRequired => true,
        Review::Pending | Review::ChangesRequested { .. } => false,
    };
    let is_conflicting = matches!(
        pr.mergeability.value(),
        Some(Mergeability::Conflicting | Mergeability::ConflictingWithParent)
    );
    if !is_reviewed || is_conflicting || *draft == Draftness::Draft {
        return Condition::Over;
    }
    match checks {
        Checks::Failed { .. } | Checks::Refused => Condition::Over,
        Checks::Pending => Condition::CannotTell,
        Checks::None | Checks::Passed if !is_of_head => Condition::CannotTell,
        Checks::None
            if *review == Review::NotRequired
                || ladder::of_head(pr, &pr.mergeability) != Some(&Mergeability::Clean) =>
        {
            Condition::CannotTell
        }
        Checks::None | Checks::Passed => {
            Condition::Holds(one_cause(&format!("ready/{}", head(pr))))
        }
    }
}

fn head(pr: &Pr) -> &str {
    pr.head.value().map_or("-", |head| head.as_str())
}
