//! Rules of the reaction ledger that take more than a scenario can hold.

use std::collections::BTreeSet;

use ao_core::fact::{Fact, FactKind};
use ao_core::ids::{BranchName, CauseKey, PrNumber};
use ao_core::pr::{Draftness, Known, Pr, PrLife, PrObservation, Review};
use ao_core::react::{CAUSES_MAX, ESCALATED};
use ao_core::reduce::reduce;
use ao_core::session::Session;
use ao_core::step::Step;

use crate::fixtures::{after, at_s, launched, policy};

/// So many threads of a human are open on pull request 1.
fn review(session: &Session, seconds: u64, n_threads: usize) -> Step {
    fn known<T>(value: T, seconds: u64) -> Known<T> {
        Known::Known { value, at: at_s(seconds) }
    }
    let human: BTreeSet<_> =
        (0..n_threads).map(|n| CauseKey::new(format!("thread-{n:03}"))).collect();
    let pr = Pr {
        number: PrNumber(1),
        url: String::new(),
        base: BranchName::new("main"),
        head: Known::Unknown,
        life: known(PrLife::Open, seconds),
        draft: known(Draftness::Ready, seconds),
        checks: Known::Unknown,
        review: known(Review::ChangesRequested { human, bot: BTreeSet::new() }, seconds),
        mergeability: Known::Unknown,
    };
    let fact = Fact { at: at_s(seconds), kind: FactKind::PullRequests(vec![PrObservation { pr }]) };
    reduce(session, &fact, &policy(), &fact.at)
}

/// How many messages a step sends, and whether it calls a human.
fn said(step: &Step) -> (usize, bool) {
    let Step::Change(change) = step else { return (0, false) };
    let is_call = change.effects.iter().any(|it| it.notification.reaction == ESCALATED);
    (change.messages.len(), is_call)
}

#[test]
fn more_causes_than_an_incident_remembers_call_a_human() {
    let session = launched(1, "full");
    let first = review(&session, 10, CAUSES_MAX - 1);
    assert_eq!(said(&first), (1, false));
    let session = after(&session, &first);
    let last = review(&session, 20, CAUSES_MAX);
    assert_eq!(said(&last), (1, false), "the last that it remembers is told");
    let session = after(&session, &last);
    assert_eq!(said(&review(&session, 30, CAUSES_MAX + 1)), (0, true));
}
