//! One fact in, one step out: the only way in which a record changes.
//!
//! It is pure and total, and it persists nothing: what it answers is committed by the engine on the
//! revision that was read, or not at all. It never looks at more than one session; what happens to
//! many at once is put into their facts by [`crate::triage`] before.

mod due;
mod look;
mod outcome;
mod plan;
mod signal;

use crate::decide::ladder;
use crate::fact::{Fact, FactKind, LookValues};
use crate::policy::Policy;
use crate::pr::PrObservation;
use crate::react;
use crate::record::{PrReason, PrVerdict};
use crate::session::Session;
use crate::step::{Rule, Step};
use crate::time::Moment;

pub(crate) use plan::{Plan, describe_fact};

/// Decides what follows from one fact.
///
/// *Guarantees*: no look that could not tell ends a session. A terminal session stays terminal until
/// a restore is asked for. A fact of another launch changes nothing. A fact taken in twice changes
/// nothing the second time (a [`FactKind::SendFailed`] gives back one attempt each time, and a
/// [`FactKind::Due`] or [`FactKind::IdleDue`] always takes its deadline back). The revision is the one that was read.
///
/// *Assumptions*: facts of one source come in the order in which they were observed, nearly; looks
/// went through [`crate::triage::triage`] with the others of their pass.
pub fn reduce(session: &Session, fact: &Fact, policy: &Policy, now: &Moment) -> Step {
    let mut plan = Plan::new(session, fact, policy, *now);
    let rule = match &fact.kind {
        FactKind::Look(look) => look::reduce(&mut plan, look),
        FactKind::Signal(signal) => signal::reduce(&mut plan, signal),
        FactKind::PullRequests(seen) => pull_requests(&mut plan, seen),
        FactKind::Outcome(outcome) => outcome::reduce(&mut plan, outcome),
        FactKind::Due(kind) => due::reduce(&mut plan, kind),
        FactKind::IdleDue(work) => due::idle(&mut plan, *work),
        FactKind::SendFailed(origin) => react::give_back(&mut plan, origin),
        FactKind::SignalsLost(n) => signal::lost(&mut plan, *n),
    };
    plan.follow_the_session();
    react::follow(&mut plan);
    plan.finish(rule)
}

/// The forge writes the pull request side and nothing else, for terminal sessions too.
fn pull_requests(plan: &mut Plan<'_>, seen: &[PrObservation]) -> Rule {
    for observation in seen {
        ladder::observe(&mut plan.lifecycle.prs, &observation.pr);
    }
    let is_forgotten =
        plan.lifecycle.prs.is_empty() && plan.lifecycle.pr.reason == PrReason::ClearedOnRestore;
    if !is_forgotten {
        plan.lifecycle.pr = ladder::worst(&plan.lifecycle.prs);
    }
    Rule::PullRequests
}

/// The values of a look, as a sentence shows them.
pub(crate) fn describe_look(look: LookValues) -> String {
    let LookValues { boot, server, runtime, process } = look;
    format!("boot {boot}, server {server}, runtime {runtime}, process {process}")
}

/// The worst pull request, as a sentence shows it.
pub(crate) fn describe_pr(pr: PrVerdict) -> String {
    let number = pr.number.map_or_else(String::new, |number| format!(" #{number}"));
    format!("pull request{number} {}/{}", pr.state, pr.reason)
}
