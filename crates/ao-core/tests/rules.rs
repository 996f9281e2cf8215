//! The rules of the design as tables, written down a second time: each line is a sentence of it, the
//! first line that matches decides, and the rules have to say the same for everything there is.
//!
//! What the probe decider answers has a table of its own (see `rule_table`), and what is said over
//! time stands in the scenarios. `docs/testing.md` lists which rule is held by which test.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ao_core::deadline::{DeadlineChange, DeadlineClock, DeadlineKind};
use ao_core::decide::ladder;
use ao_core::decide::quarantine::{LookOrder, quarantine};
use ao_core::decide::settle::settle;
use ao_core::fact::{Fact, FactKind, SignalDetail, SignalFact};
use ao_core::ids::{BranchName, CauseKey, FactId, PrNumber, Sha};
use ao_core::ledger::{IncidentKey, ReactionKind};
use ao_core::policy::{Policy, ReactionAction, ReactionPolicy};
use ao_core::pr::{Checks, Draftness, Known, Mergeability, Pr, PrLife, PrObservation, Review};
use ao_core::react::ESCALATED;
use ao_core::record::{
    Activity, ActivitySource, ActivityState, Confidence, DoneClaim, EndIntent, Evidence, Lifecycle,
    PrReason, PrState, PrVerdict, Quarantine, SessionReason, SessionState, SessionVerdict,
};
use ao_core::reduce::reduce;
use ao_core::session::Session;
use ao_core::status::{Status, status_of};
use ao_core::step::{Ask, Change, Rule, Step};
use ao_core::time::Moment;

use crate::fixtures::{after, at, at_s, launch_id, launched, look, look_values, policy, seeded};

fn known<T>(value: T) -> Known<T> {
    Known::Known { value, at: at_s(1) }
}

fn causes(names: &[&str]) -> BTreeSet<CauseKey> {
    names.iter().map(|&name| CauseKey::new(name)).collect()
}

fn pr(number: u64) -> Pr {
    Pr {
        number: PrNumber(number),
        url: String::new(),
        base: BranchName::new("main"),
        head: known(Sha::new("a")),
        life: known(PrLife::Open),
        draft: known(Draftness::Ready),
        checks: Known::Unknown,
        review: Known::Unknown,
        mergeability: Known::Unknown,
    }
}

fn prs(all: impl IntoIterator<Item = Pr>) -> BTreeMap<PrNumber, Pr> {
    all.into_iter().map(|pr| (pr.number, pr)).collect()
}

/// The step of a fact that is taken in when it is observed.
fn step(session: &Session, kind: FactKind, now: Moment) -> Step {
    reduce(session, &Fact { at: now, kind }, &policy(), &now)
}

#[track_caller]
fn change(session: &Session, kind: FactKind, now: Moment) -> Change {
    match step(session, kind, now) {
        Step::Change(change) => *change,
        Step::None { because, .. } => panic!("nothing changes: {because:?}"),
    }
}

fn signal(session: &Session, activity: ActivityState, source: ActivitySource) -> SignalFact {
    SignalFact {
        id: FactId::parse("fact").unwrap(),
        launch: launch_id(session, 1),
        activity,
        source,
        detail: None,
        agent_session_id: None,
        paused_until: None,
        is_submit: false,
        prompt: None,
        transcript: None,
        message: None,
    }
}

fn hook(session: &Session, activity: ActivityState) -> FactKind {
    FactKind::Signal(signal(session, activity, ActivitySource::Hook))
}

/// A session that works, heard at one second.
fn working() -> Session {
    let session = launched(1, "full");
    let submit = SignalFact {
        is_submit: true,
        ..signal(&session, ActivityState::Active, ActivitySource::Hook)
    };
    after(&session, &step(&session, FactKind::Signal(submit), at_s(1)))
}

fn verdict(session: &Session) -> String {
    format!("{}/{}", session.lifecycle.session.state, session.lifecycle.session.reason)
}

/// §3: the display status, most urgent first, and that of pull requests over the soft states only.
#[test]
fn the_display_status_is_the_first_line_that_matches() {
    type Line = (&'static str, &'static str, &'static str, &'static str);
    // Session, pause, pull request (`*` says anything), status.
    const LINES: &[Line] = &[
        ("done/*", "*", "*", "done"),
        ("terminated/manually_killed", "*", "*", "killed"),
        ("terminated/auto_cleanup", "*", "*", "cleanup"),
        ("terminated/pr_merged", "*", "*", "cleanup"),
        ("terminated/spawn_failed", "*", "*", "errored"),
        ("terminated/agent_process_exited", "*", "*", "errored"),
        ("terminated/error_in_process", "*", "*", "errored"),
        ("terminated/agent_auth_failed", "*", "*", "errored"),
        ("terminated/*", "*", "*", "terminated"),
        ("not_started/queued_for_capacity", "*", "*", "queued"),
        ("needs_input/usage_limited", "paused", "*", "limited"),
        ("needs_input/*", "*", "*", "needs_input"),
        ("stuck/*", "*", "*", "stuck"),
        ("detecting/*", "*", "*", "detecting"),
        ("not_started/*", "*", "*", "spawning"),
        ("*", "*", "merged/*", "merged"),
        ("idle/*", "*", "none/*", "idle"),
        ("idle/*", "*", "closed/*", "idle"),
        ("working/*", "*", "none/*", "working"),
        ("working/*", "*", "closed/*", "working"),
        ("*", "*", "*/ci_failing", "ci_failed"),
        ("*", "*", "*/changes_requested", "changes_requested"),
        ("*", "*", "*/merge_conflicts", "merge_conflict"),
        ("*", "*", "draft/*", "draft"),
        ("*", "*", "*/review_pending", "review_pending"),
        ("*", "*", "*/approved", "approved"),
        ("*", "*", "*/merge_ready", "mergeable"),
        ("*", "*", "*", "pr_open"),
    ];
    fn says(pattern: &str, words: &str) -> bool {
        let one = |pattern: &str, word: &str| pattern == "*" || pattern == word;
        match (pattern.split_once('/'), words.split_once('/')) {
            (Some((a, b)), Some((c, d))) => one(a, c) && one(b, d),
            _ => one(pattern, words),
        }
    }
    let mut lifecycle = Lifecycle::seeded(SessionReason::SpawnRequested, at_s(0));
    let mut is_reached = vec![false; LINES.len()];
    for &state in SessionState::ALL {
        for &reason in SessionReason::ALL {
            for pause in ["-", "paused"] {
                for &pr_state in PrState::ALL {
                    for &pr_reason in PrReason::ALL {
                        lifecycle.session = SessionVerdict { state, reason };
                        lifecycle.paused_until = (pause == "paused").then_some(at_s(9).wall);
                        lifecycle.pr =
                            PrVerdict { state: pr_state, reason: pr_reason, number: None };
                        let session = format!("{state}/{reason}");
                        let shown = format!("{pr_state}/{pr_reason}");
                        let line = LINES.iter().position(|(a, b, c, _)| {
                            says(a, &session) && says(b, pause) && says(c, &shown)
                        });
                        let line = line.unwrap();
                        is_reached[line] = true;
                        let status = status_of(&lifecycle);
                        assert_eq!(status.as_str(), LINES[line].3, "{session} {pause} {shown}");
                    }
                }
            }
        }
    }
    assert!(is_reached.iter().all(|&it| it), "a line says nothing: {is_reached:?}");
    let mut order: Vec<&str> = LINES.iter().map(|line| line.3).collect();
    order.dedup();
    let mut listed: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
    for status in order {
        listed.retain(|it| *it != status);
    }
    assert!(listed.is_empty(), "nothing is shown as {listed:?}");
}

/// §4: every combination of what is known of an open pull request, against the ladder.
#[test]
fn the_ladder_is_the_first_rung_that_matches_whatever_else_is_known() {
    let failed = || Checks::Failed { causes: causes(&["a"]) };
    let changes = || Review::ChangesRequested { human: causes(&["a"]), bot: BTreeSet::new() };
    let all_checks = [
        Known::Unknown,
        known(Checks::None),
        known(Checks::Pending),
        known(Checks::Passed),
        known(failed()),
        known(Checks::Refused),
    ];
    let all_reviews = [
        Known::Unknown,
        known(Review::NotRequired),
        known(Review::Pending),
        known(Review::Approved),
        known(changes()),
    ];
    let mergeability = Mergeability::ALL.iter().map(|&it| known(it)).chain([Known::Unknown]);
    let mergeability: Vec<_> = mergeability.collect();
    let mut seen = BTreeSet::new();
    for checks in &all_checks {
        for review in &all_reviews {
            for merge in &mergeability {
                for &draft in Draftness::ALL {
                    let is = |wanted: Mergeability| merge.value() == Some(&wanted);
                    let has_passed = matches!(checks.value(), Some(Checks::Passed | Checks::None));
                    let rungs = [
                        (checks.value() == Some(&failed()), PrReason::CiFailing),
                        (review.value() == Some(&changes()), PrReason::ChangesRequested),
                        (is(Mergeability::Conflicting), PrReason::MergeConflicts),
                        (draft == Draftness::Draft, PrReason::InProgress),
                        (checks.value() == Some(&Checks::Pending), PrReason::InProgress),
                        (is(Mergeability::Clean) && has_passed, PrReason::MergeReady),
                        (review.value() == Some(&Review::Approved), PrReason::Approved),
                        (review.value() == Some(&Review::Pending), PrReason::ReviewPending),
                        (true, PrReason::InProgress),
                    ];
                    let reason = rungs.iter().find(|(holds, _)| *holds).unwrap().1;
                    let state =
                        if draft == Draftness::Draft { PrState::Draft } else { PrState::Open };
                    let one = Pr {
                        draft: known(draft),
                        checks: checks.clone(),
                        review: review.clone(),
                        mergeability: merge.clone(),
                        ..pr(7)
                    };
                    let number = Some(PrNumber(7));
                    let expected = PrVerdict { state, reason, number };
                    assert_eq!(ladder::worst(&prs([one.clone()])), expected, "{one:?}");
                    seen.insert(reason.as_str());
                }
            }
        }
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
}

/// §4: all complete means every one merged, or closed with at least one merged; what is not known
/// to have ended is open.
#[test]
fn work_is_complete_when_all_ended_and_one_was_merged() {
    let lives: Vec<Known<PrLife>> =
        PrLife::ALL.iter().map(|&life| known(life)).chain([Known::Unknown]).collect();
    for one in &lives {
        for other in &lives {
            let both = [one, other];
            let two = prs([Pr { life: one.clone(), ..pr(1) }, Pr { life: other.clone(), ..pr(2) }]);
            let is_ended = |life: &&Known<PrLife>| {
                matches!(life.value(), Some(PrLife::Merged | PrLife::Closed))
            };
            let is_merged = |life: &&Known<PrLife>| life.value() == Some(&PrLife::Merged);
            let expected = both.iter().all(is_ended) && both.iter().any(is_merged);
            assert_eq!(ladder::is_all_complete(&two), expected, "{both:?}");
            assert_eq!(ladder::has_open(&two), !both.iter().all(is_ended), "{both:?}");
        }
    }
    assert!(!ladder::is_all_complete(&prs([])), "without any there is nothing to complete");
}

/// §4: unknown or not fetched keeps the last known value with its age, and begins and ends nothing.
#[test]
fn an_unknown_answer_keeps_the_value_with_its_age_and_every_incident() {
    let session = working();
    let red = Pr {
        checks: known(Checks::Failed { causes: causes(&["a"]) }),
        review: known(Review::ChangesRequested { human: causes(&["t"]), bot: causes(&["b"]) }),
        mergeability: known(Mergeability::Conflicting),
        ..pr(7)
    };
    let seen = FactKind::PullRequests(vec![PrObservation { pr: red.clone() }]);
    let told = after(&session, &step(&session, seen, at_s(10)));
    assert_eq!(told.ledger.open.len(), 4, "{:?}", told.ledger.open);
    let blind = Pr {
        head: Known::Unknown,
        life: Known::Unknown,
        draft: Known::Unknown,
        checks: Known::Unknown,
        review: Known::Unknown,
        mergeability: Known::Unknown,
        ..pr(7)
    };
    let seen = FactKind::PullRequests(vec![PrObservation { pr: blind.clone() }]);
    let Step::None { because, .. } = step(&told, seen, at_s(900)) else {
        panic!("an answer that says nothing changes something");
    };
    assert_eq!(because.rule, Rule::Unchanged);
    assert_eq!(told.lifecycle.prs[&PrNumber(7)], red, "the values are as old as they were");
    // A first answer that says nothing begins nothing either.
    let seen = FactKind::PullRequests(vec![PrObservation { pr: blind }]);
    let first = after(&session, &step(&session, seen, at_s(10)));
    assert!(first.ledger.open.is_empty(), "{:?}", first.ledger.open);
}

/// §4: a conflict with the branch that a pull request is stacked on is not its own.
#[test]
fn a_conflict_with_the_parent_is_told_to_nobody() {
    let session = working();
    for (mergeability, is_told) in [
        (Mergeability::Conflicting, true),
        (Mergeability::ConflictingWithParent, false),
        (Mergeability::Blocked, false),
        (Mergeability::Clean, false),
    ] {
        let stacked = Pr { mergeability: known(mergeability), ..pr(7) };
        let seen = FactKind::PullRequests(vec![PrObservation { pr: stacked }]);
        let told = change(&session, seen, at_s(10));
        assert_eq!(!told.messages.is_empty(), is_told, "{mergeability}");
    }
}

type Prs = BTreeMap<PrNumber, Pr>;

/// §4: `settle(activity, claim, prs)`.
#[test]
fn the_session_settles_by_activity_claim_and_pull_requests() {
    let none = || prs([]);
    let open = || prs([pr(1)]);
    let merged = || prs([Pr { life: known(PrLife::Merged), ..pr(1) }]);
    let half = || prs([Pr { life: known(PrLife::Merged), ..pr(1) }, pr(2)]);
    let red = || prs([Pr { checks: known(Checks::Failed { causes: causes(&["a"]) }), ..pr(1) }]);
    let lines: [(ActivityState, bool, Prs, &str); 15] = [
        (ActivityState::Active, false, none(), "working/task_in_progress"),
        (ActivityState::Active, true, merged(), "working/task_in_progress"),
        (ActivityState::Active, false, open(), "working/pr_created"),
        (ActivityState::Active, false, red(), "working/fixing_ci"),
        (ActivityState::Ready, false, none(), "working/task_in_progress"),
        (ActivityState::Ready, false, red(), "working/fixing_ci"),
        (ActivityState::Idle, false, none(), "idle/task_in_progress"),
        (ActivityState::Idle, false, open(), "idle/awaiting_external_review"),
        (ActivityState::Idle, false, half(), "idle/awaiting_external_review"),
        (ActivityState::Idle, false, merged(), "idle/merged_waiting_decision"),
        (ActivityState::Idle, true, none(), "idle/completed"),
        (ActivityState::Idle, true, merged(), "idle/completed"),
        (ActivityState::WaitingInput, true, merged(), "needs_input/awaiting_user_input"),
        (ActivityState::Blocked, true, merged(), "needs_input/awaiting_permission"),
        (ActivityState::Blocked, false, none(), "needs_input/awaiting_permission"),
    ];
    for (state, is_claimed, prs, expected) in lines {
        let mut lifecycle = working().lifecycle;
        let source = ActivitySource::Hook;
        lifecycle.activity = Some(Activity { state, at: at_s(2), source, detail: None });
        lifecycle.claim = is_claimed.then_some(DoneClaim { at: at_s(2) });
        lifecycle.pr = ladder::worst(&prs);
        lifecycle.prs = prs;
        let SessionVerdict { state: settled, reason } = settle(&lifecycle);
        assert_eq!(format!("{settled}/{reason}"), expected, "{state} {is_claimed}");
    }
}

/// §4: a goodbye leaves the session as it is, and a look is asked for.
#[test]
fn a_goodbye_leaves_the_session_as_it_was_and_asks_for_a_look() {
    let mut session = working();
    for state in [ActivityState::Active, ActivityState::Idle, ActivityState::Blocked] {
        session = after(&session, &step(&session, hook(&session, state), at_s(10)));
        let said = change(&session, hook(&session, ActivityState::Exited), at_s(20));
        assert_eq!(said.lifecycle.session, session.lifecycle.session, "after {state}");
        assert_eq!(said.asks, [Ask::Look]);
    }
}

/// §4: recovery from a doubt is settling again, whatever the agent does by then.
#[test]
fn a_doubt_ends_in_what_the_agent_does_and_never_in_a_fixed_state() {
    for (state, expected) in [
        (ActivityState::Active, "working/task_in_progress"),
        (ActivityState::Ready, "working/task_in_progress"),
        (ActivityState::Idle, "idle/task_in_progress"),
        (ActivityState::WaitingInput, "needs_input/awaiting_user_input"),
        (ActivityState::Blocked, "needs_input/awaiting_permission"),
    ] {
        for n_looks in [1, 3] {
            let mut session = working();
            session = after(&session, &step(&session, hook(&session, state), at_s(2)));
            for n in 1..=n_looks {
                let began_at = at_s(10 * n);
                let blind = look(&session, "unreachable unknown unknown", began_at);
                session = after(&session, &step(&session, blind.kind, began_at));
            }
            let doubt = if n_looks == 1 { "detecting" } else { "stuck" };
            assert_eq!(verdict(&session), format!("{doubt}/probe_failure"));
            let clear = look(&session, "living alive alive", at_s(60));
            session = after(&session, &step(&session, clear.kind, at_s(60)));
            assert_eq!(verdict(&session), expected, "{n_looks} looks");
            assert_eq!(session.lifecycle.detecting, None);
        }
    }
}

/// §4: `stuck` knows its owner. What looks found is left by a look, silence by a signal.
#[test]
fn what_made_a_session_stuck_is_what_frees_it() {
    let mut unseen = working();
    for n in 1..=3 {
        let blind = look(&unseen, "unreachable unknown unknown", at_s(10 * n));
        unseen = after(&unseen, &step(&unseen, blind.kind, at_s(10 * n)));
    }
    let silent = launched(1, "full");
    let silent = after(&silent, &step(&silent, FactKind::Due(DeadlineKind::NoSignal), at_s(90)));
    assert_eq!(
        (&*verdict(&unseen), &*verdict(&silent)),
        ("stuck/probe_failure", "stuck/no_signal")
    );
    let seen = |session: &Session| {
        let clear = look(session, "living alive alive", at_s(100)).kind;
        after(session, &step(session, clear, at_s(100)))
    };
    let heard = |session: &Session| {
        after(session, &step(session, hook(session, ActivityState::Active), at_s(100)))
    };
    assert_eq!(verdict(&seen(&unseen)), "working/task_in_progress");
    assert_eq!(verdict(&heard(&unseen)), "stuck/probe_failure");
    assert_eq!(verdict(&seen(&silent)), "stuck/no_signal");
    assert_eq!(verdict(&heard(&silent)), "working/task_in_progress");
}

/// §4: a signal resolves `detecting` only if it was observed after the doubt began and the process
/// is not known dead.
#[test]
fn a_signal_ends_a_doubt_that_it_is_younger_than() {
    let doubted = |words: &str| {
        let session = working();
        let doubt = look(&session, words, at_s(10)).kind;
        after(&session, &step(&session, doubt, at_s(10)))
    };
    for (words, observed_at, expected) in [
        ("unreachable unknown unknown", 9, "detecting/probe_failure"),
        ("unreachable unknown unknown", 10, "detecting/probe_failure"),
        ("unreachable unknown unknown", 11, "working/task_in_progress"),
        ("living missing alive", 11, "working/task_in_progress"),
        ("living alive dead", 11, "detecting/agent_process_exited"),
    ] {
        let session = doubted(words);
        let fact = Fact { at: at_s(observed_at), kind: hook(&session, ActivityState::Active) };
        let now = at_s(20);
        let next = after(&session, &reduce(&session, &fact, &policy(), &now));
        assert_eq!(verdict(&next), expected, "{words}, heard at {observed_at}");
    }
}

/// §4: `not_started` ends with the first signal, or with the first healthy look where no start
/// signal is declared.
#[test]
fn a_start_ends_with_what_the_agent_can_show() {
    for (agent, by_a_look, by_a_signal) in [
        ("full", "not_started/spawn_requested", "working/task_in_progress"),
        ("activity", "working/task_in_progress", "working/task_in_progress"),
        ("none", "working/task_in_progress", "working/task_in_progress"),
    ] {
        let session = launched(1, agent);
        assert_eq!(verdict(&session), "not_started/spawn_requested");
        let clear = look(&session, "living alive alive", at_s(5)).kind;
        assert_eq!(
            verdict(&after(&session, &step(&session, clear, at_s(5)))),
            by_a_look,
            "{agent}"
        );
        let heard = step(&session, hook(&session, ActivityState::Active), at_s(5));
        assert_eq!(verdict(&after(&session, &heard)), by_a_signal, "{agent}");
    }
}

fn ms(millis: u64) -> Moment {
    at(Duration::from_millis(millis))
}

/// The same moment on a machine that slept so long before it.
fn after_a_sleep(now: Moment, slept: Duration) -> Moment {
    Moment { wall: now.wall.plus(slept), since_boot: now.since_boot + slept, ..now }
}

const NIGHT: Duration = Duration::from_hours(9);

/// §4: 90 s awake without a signal, inclusive; a night asleep does not count.
#[test]
fn silence_is_counted_awake_and_its_bound_is_inclusive() {
    let session = launched(1, "full");
    let due = || FactKind::Due(DeadlineKind::NoSignal);
    for (now, expected) in [
        (ms(89_999), "not_started/spawn_requested"),
        (ms(90_000), "stuck/no_signal"),
        (after_a_sleep(ms(89_999), NIGHT), "not_started/spawn_requested"),
        (after_a_sleep(ms(90_000), NIGHT), "stuck/no_signal"),
    ] {
        let said = change(&session, due(), now);
        let next = after(&session, &Step::Change(Box::new(said.clone())));
        assert_eq!(verdict(&next), expected, "{now:?}");
        let is_armed = said.deadlines.iter().any(|it| matches!(it, DeadlineChange::Arm { .. }));
        assert_eq!(is_armed, expected.starts_with("not_started"), "who is not due yet stays armed");
    }
}

/// §3 and §4: a doubt lasts five minutes awake, inclusive.
#[test]
fn a_doubt_is_counted_awake_and_its_bound_is_inclusive() {
    let evidence = |reason| Evidence { reason, look: look_values("unreachable unknown unknown") };
    let memory = Quarantine {
        attempts: 1,
        started_at: ms(0),
        counted_at: ms(0),
        evidence: evidence(SessionReason::RuntimeLost),
    };
    for (now, is_expired) in [
        (ms(299_999), false),
        (ms(300_000), true),
        (after_a_sleep(ms(299_999), NIGHT), false),
        (after_a_sleep(ms(300_000), NIGHT), true),
    ] {
        // Other evidence each time: only the time counts.
        let other = evidence(SessionReason::ProbeFailure);
        let doubt = quarantine(Some(&memory), other, &now, LookOrder::Regular, &Policy::default());
        assert_eq!((doubt.is_expired, doubt.memory.attempts), (is_expired, 1), "{now:?}");
    }
    let same = memory.evidence;
    for (now, attempts) in [
        (ms(4_999), 1),
        (ms(5_000), 2),
        (after_a_sleep(ms(4_999), NIGHT), 1),
        (after_a_sleep(ms(5_000), NIGHT), 2),
    ] {
        let doubt = quarantine(Some(&memory), same, &now, LookOrder::Regular, &Policy::default());
        assert_eq!(doubt.memory.attempts, attempts, "{now:?}");
    }
}

/// §3: patience with an agent counts the time awake, what a provider says the wall.
#[test]
fn every_deadline_counts_on_the_clock_of_its_rule() {
    let session = working();
    let clocks = |said: &Change| {
        let armed = said.deadlines.iter().filter_map(|it| match it {
            DeadlineChange::Arm { kind, clock, .. } => Some((kind.clone(), *clock)),
            DeadlineChange::Disarm(_) => None,
        });
        armed.collect::<Vec<_>>()
    };
    let idle = change(&session, hook(&session, ActivityState::Idle), at_s(10));
    assert_eq!(clocks(&idle), [(DeadlineKind::TurnFinished, DeadlineClock::Awake)]);
    let conflict = Pr { mergeability: known(Mergeability::Conflicting), ..pr(7) };
    let seen = FactKind::PullRequests(vec![PrObservation { pr: conflict }]);
    let key = IncidentKey { reaction: ReactionKind::MergeConflicts, pr: Some(PrNumber(7)) };
    let escalation = (DeadlineKind::Escalate(key), DeadlineClock::Awake);
    assert_eq!(clocks(&change(&session, seen, at_s(10))), [escalation]);
    let limited = SignalFact {
        detail: Some(SignalDetail::UsageLimited),
        paused_until: Some(at_s(3_600).wall),
        ..signal(&session, ActivityState::Idle, ActivitySource::Hook)
    };
    let paused = change(&session, FactKind::Signal(limited), at_s(10));
    assert_eq!(clocks(&paused), [(DeadlineKind::PauseEnds, DeadlineClock::Wall)]);
    let silent = seeded(1);
    let launch = launched(1, "full").lifecycle.launch.unwrap();
    let begun = FactKind::Outcome(ao_core::fact::Outcome::Launched(launch));
    let listened = [(DeadlineKind::NoSignal, DeadlineClock::Awake)];
    assert_eq!(clocks(&change(&silent, begun, at_s(0))), listened);
}

/// §3: no clock ages a request or a dialog, nor any look; later evidence against it does.
#[test]
fn what_only_a_human_ends_is_ended_by_no_clock() {
    for state in ActivityState::ALL.iter().filter(|state| state.is_sticky()) {
        let session = working();
        let session = after(&session, &step(&session, hook(&session, *state), at_s(2)));
        let asked = session.lifecycle.session;
        assert_eq!(asked.state, SessionState::NeedsInput);
        let days_later = at(Duration::from_hours(72));
        let mut next = session;
        for kind in [
            DeadlineKind::NoSignal,
            DeadlineKind::AgentIdle,
            DeadlineKind::TurnFinished,
            DeadlineKind::PauseEnds,
        ] {
            next = after(&next, &step(&next, FactKind::Due(kind), days_later));
        }
        let clear = look(&next, "living alive alive", days_later).kind;
        next = after(&next, &step(&next, clear, days_later));
        assert_eq!(next.lifecycle.session, asked, "{state}");
        let turn = SignalFact {
            is_submit: true,
            ..signal(&next, ActivityState::Active, ActivitySource::Hook)
        };
        next = after(&next, &step(&next, FactKind::Signal(turn), days_later));
        assert_eq!(next.lifecycle.session.state, SessionState::Working, "{state}");
    }
    let sticky = ActivityState::ALL.iter().filter(|state| state.is_sticky());
    assert_eq!(sticky.collect::<Vec<_>>(), [&ActivityState::WaitingInput, &ActivityState::Blocked]);
}

/// §3: native and hook are high, transcript medium, terminal low; the later one wins, and of two of
/// one moment the one that can be trusted more.
#[test]
fn the_later_observation_wins_and_at_one_moment_the_more_trusted_one() {
    let confidence = [
        (ActivitySource::Native, Confidence::High),
        (ActivitySource::Hook, Confidence::High),
        (ActivitySource::Transcript, Confidence::Medium),
        (ActivitySource::Terminal, Confidence::Low),
        (ActivitySource::Runtime, Confidence::Low),
        (ActivitySource::None, Confidence::Low),
    ];
    assert_eq!(confidence.len(), ActivitySource::ALL.len());
    for (source, expected) in confidence {
        assert_eq!(source.confidence(), expected, "{source}");
        for (other, other_confidence) in confidence {
            for (seconds, is_taken) in [(9, false), (10, other_confidence >= expected), (11, true)]
            {
                let session = working();
                let known = FactKind::Signal(signal(&session, ActivityState::Active, source));
                let session = after(&session, &step(&session, known, at_s(10)));
                let told = signal(&session, ActivityState::Idle, other);
                let fact = Fact { at: at_s(seconds), kind: FactKind::Signal(told) };
                let next = after(&session, &reduce(&session, &fact, &policy(), &at_s(20)));
                let is_idle = next.lifecycle.session.state == SessionState::Idle;
                // A late hook may say more than a weaker source did (see `settle::refines`).
                let may_refine = other == ActivitySource::Hook && source != ActivitySource::Hook;
                if seconds > 9 || !may_refine {
                    assert_eq!(is_idle, is_taken, "{source} at 10, {other} at {seconds}");
                }
            }
        }
    }
}

/// §5: the table of the reactions.
#[test]
fn the_defaults_are_the_table_of_the_design() {
    // Reaction, whom it tells, retries, minutes until a human is called, priority.
    const LINES: [(&str, &str, &str, &str, &str); 14] = [
        ("ci-failed", "agent", "2", "-", "action"),
        ("changes-requested", "agent", "-", "30", "action"),
        ("bugbot-comments", "agent", "-", "30", "action"),
        ("merge-conflicts", "agent", "-", "15", "action"),
        ("agent-idle", "agent", "2", "15", "warning"),
        ("turn-finished", "human", "-", "-", "info"),
        ("session-done", "human", "-", "-", "info"),
        ("approved-and-green", "human", "-", "-", "action"),
        ("agent-stuck", "human", "-", "-", "urgent"),
        ("agent-needs-input", "human", "-", "-", "urgent"),
        ("agent-exited", "human", "-", "-", "urgent"),
        ("pr-closed", "human", "-", "-", "action"),
        ("all-complete", "human", "-", "-", "info"),
        ("infrastructure", "human", "-", "-", "urgent"),
    ];
    assert_eq!(LINES.len(), ReactionKind::ALL.len());
    for (name, whom, retries, minutes, priority) in LINES {
        let kind: ReactionKind = name.parse().unwrap();
        let line = ReactionPolicy::default_of(kind);
        let action = if whom == "agent" { ReactionAction::Message } else { ReactionAction::Notify };
        assert_eq!(line.action, action, "{name}");
        assert_eq!(line.retries, retries.parse().ok(), "{name}");
        assert_eq!(line.escalate_after, minutes.parse().ok().map(Duration::from_mins), "{name}");
        assert_eq!(line.priority.as_str(), priority, "{name}");
        assert_eq!(line.is_enabled, name != "agent-idle", "{name}");
        let after = match name {
            "agent-idle" => Duration::from_mins(15),
            "turn-finished" => Duration::from_secs(10),
            _ => Duration::ZERO,
        };
        assert_eq!(line.after, after, "{name}");
    }
}

/// §5: the escalation clock starts at the first attempt, a new cause does not restart it, it counts
/// awake, and its boundary is inclusive. It rings once.
#[test]
fn an_escalation_is_due_so_long_after_the_first_attempt_and_once() {
    let key = IncidentKey { reaction: ReactionKind::MergeConflicts, pr: Some(PrNumber(7)) };
    let conflict = |head: &str| {
        let head = known(Sha::new(head));
        let pr = Pr { head, mergeability: known(Mergeability::Conflicting), ..pr(7) };
        FactKind::PullRequests(vec![PrObservation { pr }])
    };
    let session = working();
    let first_at = 10_000;
    let session = after(&session, &step(&session, conflict("a"), ms(first_at)));
    let again = change(&session, conflict("b"), ms(first_at + 600_000));
    assert_eq!(again.messages.len(), 1, "a new cause is the next attempt");
    let is_rearmed = again.deadlines.iter().any(|it| matches!(it, DeadlineChange::Arm { .. }));
    assert!(!is_rearmed, "a new cause does not restart the clock");
    let session = after(&session, &Step::Change(Box::new(again)));
    let due = |session: &Session, now| {
        let said = change(session, FactKind::Due(DeadlineKind::Escalate(key)), now);
        let n = said.effects.iter().filter(|it| it.notification.reaction == ESCALATED).count();
        (n, after(session, &Step::Change(Box::new(said))))
    };
    let quarter = 900_000;
    assert_eq!(due(&session, ms(first_at + quarter - 1)).0, 0);
    assert_eq!(due(&session, after_a_sleep(ms(first_at + quarter - 1), NIGHT)).0, 0);
    let (n_told, escalated) = due(&session, ms(first_at + quarter));
    assert_eq!(n_told, 1, "the boundary is inclusive");
    assert_eq!(due(&escalated, ms(first_at + 2 * quarter)).0, 0, "once per incident");
    let third = change(&escalated, conflict("c"), ms(first_at + 2 * quarter));
    assert!(third.messages.is_empty() && third.effects.is_empty(), "it is silent from here on");
}

/// A pull request all of which was just fetched.
fn at_once(pr: Pr, seconds: u64) -> Pr {
    fn stamp<T>(known: Known<T>, seconds: u64) -> Known<T> {
        match known {
            Known::Known { value, .. } => Known::Known { value, at: at_s(seconds) },
            Known::Unknown => Known::Unknown,
        }
    }
    Pr {
        head: stamp(pr.head, seconds),
        life: stamp(pr.life, seconds),
        draft: stamp(pr.draft, seconds),
        checks: stamp(pr.checks, seconds),
        review: stamp(pr.review, seconds),
        mergeability: stamp(pr.mergeability, seconds),
        ..pr
    }
}

/// §5: a `ci-failed` incident ends only when every required check of the current head passed, or the
/// pull request is merged or closed.
#[test]
fn a_ci_incident_is_ended_by_nothing_but_passing_checks_or_the_end_of_the_pull_request() {
    let session = working();
    let seen = |pr: Pr| FactKind::PullRequests(vec![PrObservation { pr }]);
    let red = Pr { checks: known(Checks::Failed { causes: causes(&["a"]) }), ..pr(7) };
    let session = after(&session, &step(&session, seen(at_once(red, 10)), at_s(10)));
    let key = IncidentKey { reaction: ReactionKind::CiFailed, pr: Some(PrNumber(7)) };
    let pushed = || known(Sha::new("b"));
    for (what, pr, is_over) in [
        ("pending", Pr { checks: known(Checks::Pending), ..pr(7) }, false),
        ("none", Pr { checks: known(Checks::None), ..pr(7) }, false),
        ("refused", Pr { checks: known(Checks::Refused), ..pr(7) }, false),
        ("approval", Pr { review: known(Review::Approved), ..pr(7) }, false),
        ("a push", Pr { head: pushed(), ..pr(7) }, false),
        ("a push, pending", Pr { head: pushed(), checks: known(Checks::Pending), ..pr(7) }, false),
        ("a draft", Pr { draft: known(Draftness::Draft), ..pr(7) }, false),
        ("not fetched", Pr { checks: Known::Unknown, life: Known::Unknown, ..pr(7) }, false),
        ("passed", Pr { checks: known(Checks::Passed), ..pr(7) }, true),
        ("merged", Pr { life: known(PrLife::Merged), ..pr(7) }, true),
        ("closed", Pr { life: known(PrLife::Closed), ..pr(7) }, true),
    ] {
        let next = after(&session, &step(&session, seen(at_once(pr, 20)), at_s(20)));
        assert_eq!(!next.ledger.open.contains_key(&key), is_over, "{what}");
    }
}

/// §5: an explicit kill reacts to nothing and clears the ledger, whatever is open.
#[test]
fn a_kill_clears_the_ledger_and_every_deadline_of_it() {
    let session = working();
    let red = Pr {
        checks: known(Checks::Failed { causes: causes(&["a"]) }),
        mergeability: known(Mergeability::Conflicting),
        ..pr(7)
    };
    let seen = FactKind::PullRequests(vec![PrObservation { pr: red }]);
    let session = after(&session, &step(&session, seen, at_s(10)));
    for &intent in EndIntent::ALL {
        let end = FactKind::Outcome(ao_core::fact::Outcome::EndRequested(intent));
        let said = change(&session, end, at_s(20));
        assert!(said.ledger.open.is_empty() && said.effects.is_empty() && said.messages.is_empty());
        for key in session.ledger.open.keys() {
            let disarmed = DeadlineChange::Disarm(DeadlineKind::Escalate(*key));
            assert!(said.deadlines.contains(&disarmed), "{intent}: {key:?} stays armed");
        }
    }
}

/// §5: what is overdue for long comes once, however many of its periods passed.
#[test]
fn an_overdue_deadline_is_one_fact_however_long_it_was_due() {
    let session = working();
    let idle = change(&session, hook(&session, ActivityState::Idle), at_s(10));
    let session = after(&session, &Step::Change(Box::new(idle)));
    let due = FactKind::Due(DeadlineKind::TurnFinished);
    let late = at(Duration::from_hours(100));
    let said = change(&session, due.clone(), late);
    assert_eq!(said.effects.len(), 1);
    assert_eq!(said.deadlines, [DeadlineChange::Disarm(DeadlineKind::TurnFinished)]);
    let session = after(&session, &Step::Change(Box::new(said)));
    let again = change(&session, due, late);
    assert!(again.effects.is_empty(), "the same turn is told once");
}
