//! What a record makes of what the forge tells.

use std::time::Duration;

use ao_core::fact::{Fact, FactKind, Outcome};
use ao_core::ids::{BranchName, PrNumber};
use ao_core::pr::{Draftness, Known, Pr, PrLife, PrObservation};
use ao_core::record::{EndIntent, PrReason, PrState};
use ao_core::reduce::reduce;
use ao_core::session::Session;

use crate::fixtures::{after, at, launched, policy};

fn take_in(session: &Session, seconds: u64, kind: FactKind) -> Session {
    let at = at(Duration::from_secs(seconds));
    after(session, &reduce(session, &Fact { at, kind }, &policy(), &at))
}

/// Pull request 1, open and ready.
fn open(seconds: u64) -> PrObservation {
    fn known<T>(value: T, seconds: u64) -> Known<T> {
        Known::Known { value, at: at(Duration::from_secs(seconds)) }
    }
    PrObservation {
        pr: Pr {
            number: PrNumber(1),
            url: String::new(),
            base: BranchName::new("main"),
            head: Known::Unknown,
            life: known(PrLife::Open, seconds),
            draft: known(Draftness::Ready, seconds),
            checks: Known::Unknown,
            review: Known::Unknown,
            mergeability: Known::Unknown,
        },
    }
}

#[test]
fn what_a_restore_forgot_stays_forgotten_until_the_forge_tells_of_a_pull_request() {
    let session = take_in(&launched(1, "full"), 10, FactKind::PullRequests(vec![open(10)]));
    assert_eq!(session.lifecycle.pr.state, PrState::Open);
    let killed = FactKind::Outcome(Outcome::EndRequested(EndIntent::Kill));
    let ended = take_in(&session, 20, killed);
    let session = take_in(&ended, 30, FactKind::Outcome(Outcome::RestoreRequested));
    assert_eq!(session.lifecycle.revision, ended.lifecycle.revision.next(), "it counts on");
    assert_eq!(session.lifecycle.pr.reason, PrReason::ClearedOnRestore);
    let nothing = take_in(&session, 40, FactKind::PullRequests(Vec::new()));
    assert_eq!(nothing.lifecycle.pr.reason, PrReason::ClearedOnRestore);
    let again = take_in(&nothing, 50, FactKind::PullRequests(vec![open(50)]));
    assert_eq!(
        (again.lifecycle.pr.state, again.lifecycle.pr.reason),
        (PrState::Open, PrReason::InProgress)
    );
}

#[test]
fn a_session_without_pull_requests_says_so() {
    let session = take_in(&launched(1, "full"), 10, FactKind::PullRequests(Vec::new()));
    assert_eq!(session.lifecycle.pr.reason, PrReason::NotCreated);
}
