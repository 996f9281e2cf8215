//! The journal through the core again.

use std::collections::BTreeSet;
use std::time::Duration;

use ao_core::deadline::DeadlineKind;
use ao_core::fact::{Fact, FactKind};
use ao_core::ids::{BranchName, CauseKey, PrNumber, Sha};
use ao_core::journal::{JournalEntry, JournalRecord};
use ao_core::ledger::{IncidentKey, ReactionKind};
use ao_core::policy::Policy;
use ao_core::pr::{Checks, Draftness, Known, Mergeability, Pr, PrLife, PrObservation, Review};
use ao_core::record::SessionState;
use ao_core::reduce::reduce;
use ao_core::replay::{Replayed, ReplayedEntry, policy_differences, replay};
use ao_core::session::Session;
use ao_core::step::{Rule, Step};
use proptest::prelude::*;
use proptest::sample::select;

use crate::fixtures::{after, at_s, launched, policy};
use crate::properties::{Life, events, histories};

/// A session and what was written down about it since.
struct Written {
    base: Session,
    session: Session,
    policy: Policy,
    journal: Vec<JournalRecord>,
}

impl Written {
    fn new(policy: Policy) -> Self {
        let base = launched(1, "full");
        Self { session: base.clone(), base, policy, journal: Vec::new() }
    }

    fn take_in(&mut self, seconds: u64, kind: FactKind) {
        let fact = Fact { at: at_s(seconds), kind };
        let step = reduce(&self.session, &fact, &self.policy, &fact.at);
        self.session = after(&self.session, &step);
        let Step::Change(change) = step else { return };
        self.journal.push(JournalRecord {
            seq: self.journal.len() as u64 + 1,
            session: self.session.record.id.clone(),
            revision: self.session.lifecycle.revision,
            entry: JournalEntry { at: fact.at, fact, because: change.because },
        });
    }

    /// The checks of pull request 1 fail at this commit.
    fn red(&mut self, seconds: u64, head: &str) {
        fn known<T>(value: T, seconds: u64) -> Known<T> {
            Known::Known { value, at: at_s(seconds) }
        }
        let causes = BTreeSet::from([CauseKey::new(head)]);
        let pr = Pr {
            number: PrNumber(1),
            url: String::new(),
            base: BranchName::new("main"),
            head: known(Sha::new(head), seconds),
            life: known(PrLife::Open, seconds),
            draft: known(Draftness::ALL[0], seconds),
            checks: known(Checks::Failed { causes }, seconds),
            review: known(Review::Pending, seconds),
            mergeability: known(Mergeability::ALL[0], seconds),
        };
        self.take_in(seconds, FactKind::PullRequests(vec![PrObservation { pr }]));
    }

    fn with(&self, change: impl FnOnce(&mut Policy)) -> Vec<ReplayedEntry> {
        self.whole(change).entries
    }

    fn whole(&self, change: impl FnOnce(&mut Policy)) -> Replayed {
        let mut changed = self.policy.clone();
        change(&mut changed);
        replay(&self.base, &self.journal, Some(&self.session), &self.policy, Some(&changed))
    }

    fn again(&self) -> Replayed {
        replay(&self.base, &self.journal, Some(&self.session), &self.policy, None)
    }
}

/// Three pushes, each with a failure of its own: two are told, the third calls a human.
fn three_bad_pushes() -> Written {
    let mut written = Written::new(policy());
    written.red(10, "a");
    written.red(20, "b");
    written.red(30, "c");
    written
}

fn different(entries: &[ReplayedEntry]) -> Vec<u64> {
    entries.iter().filter(|it| it.is_different()).map(|it| it.seq).collect()
}

#[test]
fn a_larger_budget_tells_the_agent_where_a_human_was_called() {
    let written = three_bad_pushes();
    assert_eq!(different(&written.with(|_| {})), [0_u64; 0]);
    let entries = written.with(|policy| {
        policy.reactions.get_mut(&ReactionKind::CiFailed).unwrap().retries = Some(3);
    });
    assert_eq!(different(&entries), [3]);
    assert!(entries[2].decided_then.contains("reaction.escalated"), "{:?}", entries[2]);
    assert!(entries[2].decided_now.contains("tells the agent (ci-failed #1)"), "{:?}", entries[2]);
    let why = &entries[2].why;
    assert!(why.iter().any(|it| it.starts_with("no more: tells inbox")), "{why:?}");
    assert!(why.iter().any(|it| it.starts_with("new: tells the agent (ci-failed #1)")), "{why:?}");
}

#[test]
fn a_reaction_that_is_off_says_nothing_of_what_was_said() {
    let entries = three_bad_pushes().with(|policy| {
        policy.reactions.get_mut(&ReactionKind::CiFailed).unwrap().is_enabled = false;
    });
    assert_eq!(different(&entries), [1, 2, 3]);
    assert!(entries.iter().all(|it| !it.decided_now.contains("ci-failed")), "{entries:?}");
}

#[test]
fn a_longer_patience_lets_a_deadline_ring_that_calls_nobody() {
    let ci_failed = IncidentKey { reaction: ReactionKind::CiFailed, pr: Some(PrNumber(1)) };
    let patient = |policy: &mut Policy, minutes| {
        let line = policy.reactions.get_mut(&ReactionKind::CiFailed).unwrap();
        line.escalate_after = Some(Duration::from_mins(minutes));
    };
    let mut first = policy();
    patient(&mut first, 10);
    let mut written = Written::new(first);
    written.red(10, "a");
    written.red(20, "b");
    written.take_in(610, FactKind::Due(DeadlineKind::Escalate(ci_failed)));
    let entries = written.with(|policy| patient(policy, 30));
    assert_eq!(different(&entries), [1, 3]);
    assert_eq!(entries[0].fact, "pull requests were fetched");
    assert_eq!(entries[2].fact, "deadline escalate ci-failed came due");
    assert!(entries[0].decided_now.ends_with("waits 1800s for the escalation of ci-failed #1"));
    assert_eq!(
        (entries[2].rule_then, entries[2].rule_now),
        (Rule::DeadlineDue, Rule::DeadlineOver)
    );
}

#[test]
fn what_other_rules_decided_is_different_without_another_policy() {
    let mut written = three_bad_pushes();
    written.journal[1].entry.because.rule = Rule::Settled;
    let again = written.again();
    assert_eq!(again.n_differences(), 1);
    let entries = again.entries;
    assert_eq!(different(&entries), [2]);
    assert_eq!(entries[1].rule_then, Rule::Settled);
    assert_eq!(entries[1].rule_now, Rule::PullRequests);
    assert_eq!(entries[1].decided_then, written.journal[1].entry.because.values);
}

#[test]
fn what_is_told_of_a_session_is_its_own() {
    let mut written = three_bad_pushes();
    written.journal[0].session = "app-2".parse().unwrap();
    let entries = written.again().entries;
    assert_eq!(entries.iter().map(|it| it.seq).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn where_the_last_entry_leads_is_held_against_the_session_as_it_is() {
    let mut written = three_bad_pushes();
    assert_eq!(written.again().end_differences, [""; 0]);
    // Nobody asked what the entries say: another rule left another session.
    written.session.lifecycle.session.state = SessionState::Idle;
    let told = written.again();
    assert_eq!(told.n_differences(), 0);
    assert_eq!(
        told.end_differences,
        ["the session is idle/spawn_requested, and would be not_started/spawn_requested"]
    );
    let mut forgetful = three_bad_pushes();
    forgetful.session.ledger.episodes.clear();
    assert_eq!(forgetful.again().end_differences.len(), 1, "what does not show is told, too");
    let mut silent = three_bad_pushes();
    let told = silent.whole(|policy| {
        policy.reactions.get_mut(&ReactionKind::CiFailed).unwrap().is_enabled = false;
    });
    assert_eq!(
        told.end_differences,
        ["what is reacted to is ci-failed #1 (attempts 2, escalated), and would be nothing"]
    );
    silent.session.lifecycle.revision = silent.session.lifecycle.revision.next();
    assert_eq!(silent.again().end_differences, [""; 0], "a write besides the journal is none");
}

#[test]
fn entries_from_before_the_kept_state_are_not_taken_in_again() {
    let mut written = three_bad_pushes();
    let whole = written.again();
    let mut later = Written::new(policy());
    later.red(10, "a");
    written.base = later.session;
    let told = written.again();
    assert_eq!(told.entries, whole.entries[1..]);
    assert_eq!(told.end_differences, [""; 0]);
}

#[test]
fn what_a_policy_changes_is_named_by_its_keys() {
    let (one, mut other) = (policy(), policy());
    assert_eq!(policy_differences(&one, &one), [""; 0]);
    let line = other.reactions.get_mut(&ReactionKind::CiFailed).unwrap();
    line.retries = Some(5);
    line.message = Some("Look.".to_owned());
    other.reactions.get_mut(&ReactionKind::MergeConflicts).unwrap().escalate_after = None;
    assert_eq!(
        policy_differences(&one, &other),
        [
            "`ci-failed`: `retries` is 5, and was 2",
            "`ci-failed`: `message` is \"Look.\", and was the built-in one",
            "`merge-conflicts`: `escalate_after` is not given, and was 900s",
        ]
    );
}

#[test]
fn a_long_text_is_cut_and_still_told_apart_by_its_end() {
    let mut written = Written::new(policy());
    written.red(10, "a");
    let long = |end: &str| format!("{}{end}", "x".repeat(5_000));
    let line = written.policy.reactions.get_mut(&ReactionKind::CiFailed).unwrap();
    line.message = Some(long("one"));
    let mut again = Written::new(written.policy.clone());
    again.red(10, "a");
    let entries = again.with(|policy| {
        let line = policy.reactions.get_mut(&ReactionKind::CiFailed).unwrap();
        line.message = Some(long("two"));
    });
    assert_eq!(different(&entries), [1]);
    assert!(entries[0].decided_now.len() < 1_000, "{entries:?}");
}

proptest! {
    #![proptest_config(histories(150))]

    #[test]
    fn what_the_rules_decided_they_decide_again(
        agent in select(vec!["full", "activity", "none", "none+exits"]),
        events in proptest::collection::vec(events(), 1..60),
        n_trimmed in 0_usize..20,
    ) {
        let mut life = Life::new(agent);
        let mut base = life.session.clone();
        let mut n_kept_from = 0;
        for event in &events {
            life.live(event)?;
            // What a store keeps when it lets go of the beginning.
            if life.journal.len() <= n_trimmed {
                base = life.session.clone();
                n_kept_from = life.journal.len();
            }
        }
        let kept = &life.journal[n_kept_from..];
        for changed in [None, Some(&life.policy)] {
            let told = replay(&base, kept, Some(&life.session), &life.policy, changed);
            prop_assert_eq!(told.entries.len(), kept.len());
            for (entry, record) in told.entries.iter().zip(kept) {
                prop_assert!(!entry.is_different(), "{:?}", entry);
                prop_assert_eq!(entry.rule_now, record.entry.because.rule);
            }
            prop_assert_eq!(told.end_differences, [""; 0]);
        }
    }
}
