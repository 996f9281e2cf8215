//! An end is an end, whatever is heard or seen afterwards; only a restore that is asked for reopens
//! it.

use ao_core::deadline::{DeadlineChange, DeadlineKind};
use ao_core::fact::{Fact, FactKind, Outcome, SignalFact};
use ao_core::ids::FactId;
use ao_core::record::{ActivitySource, ActivityState, EndIntent, Launch, SessionReason};
use ao_core::reduce::reduce;
use ao_core::session::Session;
use ao_core::status::{Status, status_of};
use ao_core::step::{Ask, MessageOrder, Rule, Step};

use crate::fixtures::{after, at_s, launch_id, launched, look, policy, seeded, traits};

fn step(session: &Session, seconds: u64, kind: FactKind) -> Step {
    let fact = Fact { at: at_s(seconds), kind };
    reduce(session, &fact, &policy(), &fact.at)
}

fn outcome(session: &Session, seconds: u64, outcome: Outcome) -> Step {
    step(session, seconds, FactKind::Outcome(outcome))
}

fn launch(session: &Session) -> FactKind {
    let id = launch_id(session, 1);
    let launch = Launch { id, committed_at: at_s(20), traits: traits("full") };
    FactKind::Outcome(Outcome::Launched(launch))
}

fn signal(session: &Session, activity: ActivityState) -> FactKind {
    FactKind::Signal(SignalFact {
        id: FactId::parse("late").unwrap(),
        launch: launch_id(session, 1),
        activity,
        source: ActivitySource::Hook,
        detail: None,
        agent_session_id: None,
        paused_until: None,
        is_submit: false,
        prompt: None,
        transcript: None,
        message: None,
    })
}

/// One that was killed as it started, one that was killed as it ran, and one that died.
fn ended() -> Vec<Session> {
    let kill = || Outcome::EndRequested(EndIntent::Kill);
    let (young, running) = (seeded(1), launched(2, "full"));
    let died = look(&launched(3, "full"), "living missing dead", at_s(5));
    let ended = vec![
        after(&young, &outcome(&young, 5, kill())),
        after(&running, &outcome(&running, 5, kill())),
        after(&launched(3, "full"), &reduce(&launched(3, "full"), &died, &policy(), &at_s(5))),
    ];
    assert!(ended.iter().all(|session| session.lifecycle.is_terminal()));
    ended
}

#[test]
fn nothing_but_a_restore_reopens_what_ended() {
    for session in ended() {
        let mut facts = vec![
            launch(&session),
            FactKind::Outcome(Outcome::SpawnFailed),
            FactKind::Outcome(Outcome::SpawnAdmitted),
            FactKind::Outcome(Outcome::RestoreAdmitted),
            FactKind::Due(DeadlineKind::NoSignal),
            signal(&session, ActivityState::Active),
            signal(&session, ActivityState::Exited),
        ];
        if session.lifecycle.launch.is_some() {
            for words in ["living alive alive", "unreachable unknown unknown", "living alive dead"]
            {
                facts.push(look(&session, words, at_s(30)).kind);
            }
        }
        for kind in facts {
            let next = after(&session, &step(&session, 30, kind.clone()));
            let (was, is) = (&session.lifecycle, &next.lifecycle);
            assert_eq!((is.session, is.activity), (was.session, was.activity), "{kind:?}");
            assert_eq!((&is.launch, is.detecting), (&was.launch, was.detecting), "{kind:?}");
        }
        let reopened = after(&session, &outcome(&session, 30, Outcome::RestoreRequested));
        assert!(!reopened.lifecycle.is_terminal());
    }
}

#[test]
fn a_restore_that_waits_is_reopened_and_started_once_a_place_is_found() {
    for session in ended() {
        let waiting = after(&session, &outcome(&session, 30, Outcome::RestoreQueued));
        assert_eq!(status_of(&waiting.lifecycle), Status::Queued);
        let found = after(&waiting, &outcome(&waiting, 60, Outcome::RestoreAdmitted));
        let reason = found.lifecycle.session.reason;
        assert_eq!(reason, SessionReason::RestoreRequested);
        assert_eq!(status_of(&found.lifecycle), Status::Spawning);
        let again = outcome(&found, 61, Outcome::RestoreAdmitted);
        assert!(matches!(again, Step::None { .. }), "a place is found once: {again:?}");
        let killed =
            after(&waiting, &outcome(&waiting, 60, Outcome::EndRequested(EndIntent::Kill)));
        assert_eq!(status_of(&killed.lifecycle), Status::Killed);
    }
}

/// A database that is older than what runs says nothing about what runs.
#[test]
fn a_launch_that_the_record_does_not_know_is_taken_for_the_current_one_whatever_the_record_says() {
    let sessions = ended().into_iter().chain([seeded(1), launched(2, "full")]);
    for session in sessions {
        let id = launch_id(&session, 7);
        let found = Launch { id: id.clone(), committed_at: at_s(30), traits: traits("full") };
        let adopted = || Outcome::Adopted(found.clone());
        let Step::Change(change) = outcome(&session, 30, adopted()) else {
            panic!("it was not adopted: {:?}", session.lifecycle)
        };
        assert_eq!(change.because.rule, Rule::Adopted);
        assert!(change.message_orders.contains(&MessageOrder::CancelAll), "their fate is unknown");
        let next = after(&session, &Step::Change(change));
        let lifecycle = &next.lifecycle;
        assert_eq!(status_of(lifecycle), Status::Spawning);
        assert_eq!(lifecycle.session.reason, SessionReason::Adopted);
        assert_eq!(lifecycle.launch.as_ref(), Some(&found));
        assert_eq!((lifecycle.intent, lifecycle.activity, lifecycle.exit), (None, None, None));
        let again = outcome(&next, 31, adopted());
        assert!(matches!(again, Step::None { .. }), "twice is the same as once: {again:?}");
        // From here on it is a session like any other.
        let signal = signal(&next, ActivityState::Active);
        let FactKind::Signal(told) = signal else { panic!("no signal") };
        let told = FactKind::Signal(SignalFact { launch: id, ..told });
        assert_eq!(status_of(&after(&next, &step(&next, 32, told)).lifecycle), Status::Working);
        let dead = look(&next, "living missing dead", at_s(40));
        let dead = after(&next, &reduce(&next, &dead, &policy(), &at_s(40)));
        assert!(dead.lifecycle.is_terminal());
    }
}

#[test]
fn one_that_runs_finds_no_place() {
    for session in [seeded(1), launched(2, "full")] {
        let step = outcome(&session, 5, Outcome::SpawnAdmitted);
        assert!(matches!(step, Step::None { .. }), "{step:?}");
    }
}

#[test]
fn a_goodbye_is_looked_into_and_ends_nothing() {
    let session = launched(1, "full");
    let Step::Change(change) = step(&session, 5, signal(&session, ActivityState::Exited)) else {
        panic!("a goodbye is no news");
    };
    assert!(!change.lifecycle.is_terminal(), "{:?}", change.lifecycle.session);
    assert_eq!(change.asks, [Ask::Look]);
}

#[test]
fn a_session_that_runs_is_not_reopened() {
    for session in [seeded(1), launched(2, "full")] {
        let step = outcome(&session, 5, Outcome::RestoreRequested);
        assert!(matches!(step, Step::None { .. }), "{step:?}");
    }
}

#[test]
fn an_end_takes_back_every_deadline_that_is_about_the_agent() {
    let session = launched(1, "full");
    let Step::Change(end) = outcome(&session, 5, Outcome::EndRequested(EndIntent::Kill)) else {
        panic!("a kill is refused");
    };
    for kind in [
        DeadlineKind::NoSignal,
        DeadlineKind::AgentIdle,
        DeadlineKind::TurnFinished,
        DeadlineKind::PauseEnds,
    ] {
        assert!(end.deadlines.contains(&DeadlineChange::Disarm(kind.clone())), "{kind:?}");
    }
}
