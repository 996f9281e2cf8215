//! The pull request ladder: where the worst open pull request stands.
//!
//! It reads last known values only. What was never fetched matches no rung.

use std::collections::BTreeMap;

use crate::ids::PrNumber;
use crate::pr::{Checks, Draftness, Known, Mergeability, Pr, PrLife, Review};
use crate::record::{PrReason, PrState, PrVerdict};

/// Where one pull request stands, as far as its life is known.
fn life(pr: &Pr) -> PrLife {
    pr.life.value().copied().unwrap_or(PrLife::Open)
}

/// The rungs, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rung {
    CiFailing,
    ChangesRequested,
    MergeConflicts,
    Draft,
    ChecksRunning,
    MergeReady,
    Approved,
    ReviewPending,
    Open,
}

fn rung(pr: &Pr) -> Rung {
    let checks = pr.checks.value();
    let review = pr.review.value();
    let mergeability = pr.mergeability.value();
    let has_passed = matches!(checks, Some(Checks::Passed | Checks::None));
    if matches!(checks, Some(Checks::Failed { .. })) {
        Rung::CiFailing
    } else if matches!(review, Some(Review::ChangesRequested { .. })) {
        Rung::ChangesRequested
    } else if mergeability == Some(&Mergeability::Conflicting) {
        Rung::MergeConflicts
    } else if is_draft(pr) {
        Rung::Draft
    } else if checks == Some(&Checks::Pending) {
        Rung::ChecksRunning
    } else if mergeability == Some(&Mergeability::Clean) && has_passed {
        Rung::MergeReady
    } else if review == Some(&Review::Approved) {
        Rung::Approved
    } else if review == Some(&Review::Pending) {
        Rung::ReviewPending
    } else {
        Rung::Open
    }
}

fn is_draft(pr: &Pr) -> bool {
    pr.draft.value() == Some(&Draftness::Draft)
}

/// Decides where the worst open pull request stands; of two that stand equal, the older one.
pub fn worst(prs: &BTreeMap<PrNumber, Pr>) -> PrVerdict {
    let open =
        prs.values().filter(|pr| life(pr) == PrLife::Open).min_by_key(|pr| (rung(pr), pr.number));
    if let Some(pr) = open {
        return open_verdict(pr);
    }
    let newest = |wanted| prs.values().rev().find(|pr| life(pr) == wanted).map(|pr| pr.number);
    if let Some(number) = newest(PrLife::Merged) {
        PrVerdict { state: PrState::Merged, reason: PrReason::Merged, number: Some(number) }
    } else if let Some(number) = newest(PrLife::Closed) {
        PrVerdict { state: PrState::Closed, reason: PrReason::ClosedUnmerged, number: Some(number) }
    } else {
        PrVerdict { state: PrState::None, reason: PrReason::NotCreated, number: None }
    }
}

fn open_verdict(pr: &Pr) -> PrVerdict {
    let reason = match rung(pr) {
        Rung::CiFailing => PrReason::CiFailing,
        Rung::ChangesRequested => PrReason::ChangesRequested,
        Rung::MergeConflicts => PrReason::MergeConflicts,
        Rung::Draft | Rung::ChecksRunning | Rung::Open => PrReason::InProgress,
        Rung::MergeReady => PrReason::MergeReady,
        Rung::Approved => PrReason::Approved,
        Rung::ReviewPending => PrReason::ReviewPending,
    };
    let state = if is_draft(pr) { PrState::Draft } else { PrState::Open };
    PrVerdict { state, reason, number: Some(pr.number) }
}

/// Whether every pull request is merged, or closed with at least one merged.
pub fn is_all_complete(prs: &BTreeMap<PrNumber, Pr>) -> bool {
    worst(prs).state == PrState::Merged
}

/// Whether any pull request is open, or may be.
pub fn has_open(prs: &BTreeMap<PrNumber, Pr>) -> bool {
    prs.values().any(|pr| life(pr) == PrLife::Open)
}

/// Takes an observation in: what is unknown, or older than what is known, keeps its last value.
pub fn observe(known: &mut BTreeMap<PrNumber, Pr>, seen: &Pr) {
    let Some(pr) = known.get_mut(&seen.number) else {
        known.insert(seen.number, seen.clone());
        return;
    };
    let mut next = pr.clone();
    next.url.clone_from(&seen.url);
    next.base.clone_from(&seen.base);
    let mut has_news = next.url != pr.url || next.base != pr.base;
    if next.head.value() != seen.head.value() {
        // It is known since it is this one.
        has_news |= take(&mut next.head, &seen.head);
    }
    has_news |= take(&mut next.life, &seen.life);
    has_news |= take(&mut next.draft, &seen.draft);
    has_news |= take(&mut next.checks, &seen.checks);
    has_news |= take(&mut next.review, &seen.review);
    has_news |= take(&mut next.mergeability, &seen.mergeability);
    has_news |= of_head(pr, &pr.checks) != of_head(&next, &next.checks);
    has_news |= of_head(pr, &pr.mergeability) != of_head(&next, &next.mergeability);
    // An observation that only repeats what is known is not written, or every poll would be.
    if has_news {
        *pr = next;
    }
}

/// What is known of the head that is there now: a value that was observed before the head was says
/// nothing about it.
pub(crate) fn of_head<'k, T>(pr: &Pr, known: &'k Known<T>) -> Option<&'k T> {
    match (&pr.head, known) {
        (Known::Known { at: head_at, .. }, Known::Known { at, .. }) if head_at.is_after(at) => None,
        (Known::Known { .. } | Known::Unknown, _) => known.value(),
    }
}

/// Takes one value in; answers whether it is another one.
fn take<T: Clone + PartialEq>(known: &mut Known<T>, seen: &Known<T>) -> bool {
    let (Known::Known { value, at }, old) = (seen, &*known) else { return false };
    let is_news = match old {
        Known::Unknown => true,
        Known::Known { at: old_at, .. } if old_at.is_after(at) => return false,
        Known::Known { value: old, .. } => old != value,
    };
    *known = seen.clone();
    is_news
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::ids::{BranchName, CauseKey, Sha};
    use crate::time::{BootId, Moment, Timestamp};

    fn known<T>(value: T) -> Known<T> {
        known_at(value, 1)
    }

    fn known_at<T>(value: T, seconds: u64) -> Known<T> {
        let since_boot = Duration::from_secs(seconds);
        let at = Moment {
            wall: Timestamp::default().plus(since_boot),
            boot: BootId(1),
            since_boot,
            awake: since_boot,
        };
        Known::Known { value, at }
    }

    fn pr(number: u64, words: &str) -> Pr {
        let mut pr = Pr {
            number: PrNumber(number),
            url: String::new(),
            base: BranchName::new("main"),
            head: Known::Unknown,
            life: known(PrLife::Open),
            draft: known(Draftness::Ready),
            checks: Known::Unknown,
            review: Known::Unknown,
            mergeability: Known::Unknown,
        };
        let causes = BTreeSet::from([CauseKey::new("a")]);
        for word in words.split_whitespace() {
            match word {
                "merged" => pr.life = known(PrLife::Merged),
                "closed" => pr.life = known(PrLife::Closed),
                "draft" => pr.draft = known(Draftness::Draft),
                "failed" => pr.checks = known(Checks::Failed { causes: causes.clone() }),
                "refused" => pr.checks = known(Checks::Refused),
                "pending" => pr.checks = known(Checks::Pending),
                "passed" => pr.checks = known(Checks::Passed),
                "approved" => pr.review = known(Review::Approved),
                "awaited" => pr.review = known(Review::Pending),
                "changes" => {
                    let bot = BTreeSet::new();
                    pr.review = known(Review::ChangesRequested { human: causes.clone(), bot });
                }
                "clean" => pr.mergeability = known(Mergeability::Clean),
                "conflict" => pr.mergeability = known(Mergeability::Conflicting),
                "parent" => pr.mergeability = known(Mergeability::ConflictingWithParent),
                word => panic!("no such word: {word}"),
            }
        }
        pr
    }

    #[track_caller]
    fn check(prs: &[&str], expect: &str) {
        let prs = (1..)
            .zip(prs)
            .map(|(number, words)| (PrNumber(number), pr(number, words)))
            .collect::<BTreeMap<_, _>>();
        let verdict = worst(&prs);
        let number = verdict.number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        assert_eq!(format!("{}/{} {number}", verdict.state, verdict.reason), expect);
    }

    #[test]
    fn the_first_rung_that_matches_decides() {
        check(&["failed changes conflict draft"], "draft/ci_failing 1");
        check(&["conflict passed changes"], "open/changes_requested 1");
        check(&["conflict passed approved"], "open/merge_conflicts 1");
        check(&["draft passed approved clean"], "draft/in_progress 1");
        check(&["pending approved clean"], "open/in_progress 1");
        check(&["passed approved clean"], "open/merge_ready 1");
        check(&["passed approved"], "open/approved 1");
        check(&["passed awaited"], "open/review_pending 1");
        check(&["passed"], "open/in_progress 1");
        check(&[""], "open/in_progress 1");
    }

    #[test]
    fn pending_unknown_and_refused_checks_are_not_passing() {
        check(&["pending clean"], "open/in_progress 1");
        check(&["clean"], "open/in_progress 1");
        check(&["refused clean approved"], "open/approved 1");
    }

    #[test]
    fn a_parents_conflict_is_not_the_childs() {
        check(&["parent approved"], "open/approved 1");
    }

    #[test]
    fn the_worst_open_one_decides_and_ended_ones_only_when_none_is_open() {
        check(&["passed approved clean", "failed", "failed"], "open/ci_failing 2");
        check(&["merged", "draft", "closed"], "draft/in_progress 2");
        check(&["merged", "closed"], "merged/merged 1");
        check(&["closed", "closed"], "closed/closed_unmerged 2");
        check(&[], "none/not_created -");
    }

    #[test]
    fn what_was_not_fetched_keeps_its_last_known_value() {
        let mut prs = BTreeMap::from([(PrNumber(1), pr(1, "failed"))]);
        let mut seen = pr(1, "draft");
        seen.life = Known::Unknown;
        observe(&mut prs, &seen);
        assert_eq!(prs, BTreeMap::from([(PrNumber(1), pr(1, "failed draft"))]));
    }

    #[test]
    fn an_older_observation_changes_nothing_and_a_repeated_one_neither() {
        let mut prs = BTreeMap::from([(PrNumber(1), pr(1, "failed"))]);
        let before = prs.clone();
        let older = Pr { checks: known_at(Checks::Passed, 0), ..pr(1, "") };
        observe(&mut prs, &older);
        assert_eq!(prs, before);
        let repeated = Pr { life: known_at(PrLife::Open, 9), ..pr(1, "failed") };
        observe(&mut prs, &repeated);
        assert_eq!(prs, before);
    }

    #[test]
    fn news_of_any_one_value_is_taken_in() {
        type Change = fn(&mut Pr);
        let before = Pr { head: known(Sha::new("a1")), ..pr(1, "passed approved clean") };
        let changes: [(&str, Change); 8] = [
            ("url", |pr| pr.url = "https://forge/1".to_owned()),
            ("base", |pr| pr.base = BranchName::new("next")),
            ("head", |pr| pr.head = known_at(Sha::new("a2"), 5)),
            ("life", |pr| pr.life = known_at(PrLife::Closed, 5)),
            ("draft", |pr| pr.draft = known_at(Draftness::Draft, 5)),
            ("checks", |pr| pr.checks = known_at(Checks::Pending, 5)),
            ("review", |pr| pr.review = known_at(Review::Pending, 5)),
            ("mergeability", |pr| pr.mergeability = known_at(Mergeability::Blocked, 5)),
        ];
        for (what, change) in changes {
            let mut seen = before.clone();
            change(&mut seen);
            let mut prs = BTreeMap::from([(PrNumber(1), before.clone())]);
            observe(&mut prs, &seen);
            assert_eq!(prs[&PrNumber(1)], seen, "{what}");
        }
        // Of a pull request of which nothing else is known, a push is news, too.
        let pushed =
            |head: &str, seconds| Pr { head: known_at(Sha::new(head), seconds), ..pr(1, "") };
        let mut prs = BTreeMap::from([(PrNumber(1), pushed("a1", 1))]);
        observe(&mut prs, &pushed("a2", 5));
        assert_eq!(prs[&PrNumber(1)], pushed("a2", 5));
    }

    #[test]
    fn a_head_is_known_since_it_is_this_one() {
        let mut prs = BTreeMap::from([(
            PrNumber(1),
            Pr { head: known_at(Sha::new("a1"), 1), ..pr(1, "pending") },
        )]);
        let later = Pr {
            head: known_at(Sha::new("a1"), 9),
            checks: known_at(Checks::Passed, 9),
            ..pr(1, "")
        };
        observe(&mut prs, &later);
        assert_eq!(prs[&PrNumber(1)].head, known_at(Sha::new("a1"), 1));
        assert_eq!(prs[&PrNumber(1)].checks, known_at(Checks::Passed, 9));
    }

    #[test]
    fn what_was_seen_of_the_head_before_says_nothing_about_this_one() {
        let one = Pr { head: known_at(Sha::new("a2"), 5), ..pr(1, "") };
        assert_eq!(of_head(&one, &known_at(1, 4)), None);
        assert_eq!(of_head(&one, &known_at(1, 5)), Some(&1));
        assert_eq!(of_head(&pr(1, ""), &known_at(1, 4)), Some(&1));
    }

    #[test]
    fn every_pull_request_is_complete_when_none_is_open_and_one_merged() {
        let prs = |all: &[&str]| {
            let numbered = (1..).zip(all).map(|(n, words)| (PrNumber(n), pr(n, words)));
            numbered.collect::<BTreeMap<_, _>>()
        };
        for (all, is_complete, is_open) in [
            (&["merged", "closed"][..], true, false),
            (&["merged", ""][..], false, true),
            (&["closed"][..], false, false),
            (&[][..], false, false),
        ] {
            assert_eq!(is_all_complete(&prs(all)), is_complete, "{all:?}");
            assert_eq!(has_open(&prs(all)), is_open, "{all:?}");
        }
    }
}
