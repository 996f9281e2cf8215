//! What a session remembers has a bound.

use std::collections::BTreeSet;

use ao_core::fact::{Fact, FactKind};
use ao_core::ids::{BranchName, CauseKey, PrNumber};
use ao_core::ledger::{IncidentKey, ReactionKind};
use ao_core::pr::{Draftness, Known, Pr, PrLife, PrObservation, Review};
use ao_core::react::{CAUSES_MAX, ESCALATED};
use ao_core::reduce::reduce;
use ao_core::session::Session;
use ao_core::step::Step;

use crate::fixtures::{after, at_s, launched, policy};

/// Threads of so many humans, numbered from `first`.
fn threads(first: usize, n: usize) -> BTreeSet<CauseKey> {
    (first..first + n).map(|n| CauseKey::new(format!("thread-{n}"))).collect()
}

fn reviewed(session: &Session, seconds: u64, human: BTreeSet<CauseKey>) -> Step {
    let at = at_s(seconds);
    let pr = Pr {
        number: PrNumber(7),
        url: String::new(),
        base: BranchName::new("main"),
        head: Known::Unknown,
        life: Known::Known { value: PrLife::Open, at },
        draft: Known::Known { value: Draftness::Ready, at },
        checks: Known::Unknown,
        review: Known::Known {
            value: Review::ChangesRequested { human, bot: BTreeSet::new() },
            at,
        },
        mergeability: Known::Unknown,
    };
    let fact = Fact { at, kind: FactKind::PullRequests(vec![PrObservation { pr }]) };
    reduce(session, &fact, &policy(), &at)
}

#[test]
fn an_incident_remembers_so_many_causes_and_calls_a_human_for_the_next() {
    let key = IncidentKey { reaction: ReactionKind::ChangesRequested, pr: Some(PrNumber(7)) };
    let session = launched(1, "full");
    let full = after(&session, &reviewed(&session, 1, threads(0, CAUSES_MAX)));
    assert_eq!(full.ledger.open[&key].causes.len(), CAUSES_MAX);
    assert!(!full.ledger.open[&key].is_escalated);
    let step = reviewed(&full, 2, threads(CAUSES_MAX, 10));
    let Step::Change(change) = &step else { panic!("news is no news: {step:?}") };
    assert!(change.messages.is_empty(), "{:?}", change.messages);
    let told: Vec<_> = change.effects.iter().map(|it| it.notification.reaction.as_str()).collect();
    assert_eq!(told, [ESCALATED]);
    assert_eq!(after(&full, &step).ledger.open[&key].causes.len(), CAUSES_MAX);
}
