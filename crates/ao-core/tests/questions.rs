//! How a record and a look become the question that the probe decider is asked.

use std::time::Duration;

use ao_core::decide::probe::{Completion, Ending, Question, Standing, Voice};
use ao_core::fact::{BootProbe, Fact, FactKind};
use ao_core::record::{
    Activity, ActivitySource, ActivityState, DoneClaim, EndIntent, Evidence, Exit, Quarantine,
    SessionReason, SessionState, SessionVerdict,
};
use ao_core::session::Session;
use ao_core::time::BootId;

use crate::fixtures::{at_s, launch_id, launched, look, policy, seeded};

fn ask(session: &Session, fact: &Fact) -> Question {
    let FactKind::Look(look) = &fact.kind else { panic!("not a look") };
    Question::of(&session.lifecycle, look, &fact.at, &policy())
}

fn heard(session: &mut Session, state: ActivityState, seconds: u64) {
    let source = ActivitySource::Hook;
    session.lifecycle.activity = Some(Activity { state, at: at_s(seconds), source, detail: None });
}

#[test]
fn a_look_stands_to_its_session_by_end_intent_launch_and_time() {
    let session = launched(1, "full");
    let fact = look(&session, "living alive alive", at_s(10));
    let standing = |session: &Session, fact: &Fact| ask(session, fact).standing;
    assert_eq!(standing(&session, &fact), Standing::Current);

    let mut ended = session.clone();
    ended.lifecycle.session =
        SessionVerdict { state: SessionState::Terminated, reason: SessionReason::ManuallyKilled };
    ended.lifecycle.intent = Some(EndIntent::Kill);
    assert_eq!(standing(&ended, &fact), Standing::Terminal);

    let mut asked = session.clone();
    asked.lifecycle.intent = Some(EndIntent::Kill);
    assert_eq!(standing(&asked, &fact), Standing::Kill);

    assert_eq!(standing(&seeded(1), &fact), Standing::NoLaunch);

    let mut other = session.clone();
    other.lifecycle.launch.as_mut().unwrap().id = launch_id(&session, 2);
    assert_eq!(standing(&other, &fact), Standing::Fenced);

    let mut later = session;
    later.lifecycle.launch.as_mut().unwrap().committed_at = at_s(11);
    assert_eq!(standing(&later, &fact), Standing::Fenced);
    later.lifecycle.launch.as_mut().unwrap().committed_at = at_s(10);
    assert_eq!(standing(&later, &fact), Standing::Current);
}

#[test]
fn a_look_that_began_before_the_death_cannot_find_it_undone() {
    let mut session = launched(1, "full");
    session.lifecycle.process_dead_at = Some(at_s(10));
    let alive = |seconds| look(&session, "living alive alive", at_s(seconds));
    assert_eq!(ask(&session, &alive(10)).standing, Standing::Outdated);
    assert_eq!(ask(&session, &alive(11)).standing, Standing::Current);
    let dead = look(&session, "living dead dead", at_s(9));
    assert_eq!(ask(&session, &dead).standing, Standing::Current);
}

#[test]
fn only_what_was_heard_after_the_death_and_lately_holds_the_verdict_back() {
    let mut session = launched(1, "full");
    session.lifecycle.process_dead_at = Some(at_s(10));
    let voice = |session: &Session, seconds| {
        ask(session, &look(session, "living dead dead", at_s(seconds))).voice
    };
    assert_eq!(voice(&session, 20), Voice::Silent);
    heard(&mut session, ActivityState::Active, 10);
    assert_eq!(voice(&session, 20), Voice::Silent, "not after the death");
    heard(&mut session, ActivityState::Active, 11);
    assert_eq!(voice(&session, 20), Voice::HeardSince);
    assert_eq!(voice(&session, 71), Voice::HeardSince, "the boundary is inclusive");
    assert_eq!(voice(&session, 72), Voice::Silent);
    heard(&mut session, ActivityState::Exited, 11);
    assert_eq!(voice(&session, 20), Voice::Silent, "a goodbye is no sign of life");
}

#[test]
fn without_earlier_evidence_the_look_itself_is_the_death_evidence() {
    let mut session = launched(1, "full");
    heard(&mut session, ActivityState::Active, 9);
    let fact = look(&session, "living dead dead", at_s(10));
    assert_eq!(ask(&session, &fact).voice, Voice::Silent);
    heard(&mut session, ActivityState::Active, 11);
    assert_eq!(ask(&session, &fact).voice, Voice::HeardSince);
}

#[test]
fn the_ending_is_what_this_look_or_an_earlier_one_read() {
    let mut session = launched(1, "full");
    let mut fact = look(&session, "living dead dead", at_s(10));
    assert_eq!(ask(&session, &fact).ending, Ending::Unknown);
    session.lifecycle.exit_asked = true;
    assert_eq!(ask(&session, &fact).ending, Ending::StillUnknown);
    session.lifecycle.exit = Some(Exit::Signal(9));
    assert_eq!(ask(&session, &fact).ending, Ending::Failed);
    let FactKind::Look(look) = &mut fact.kind else { panic!("not a look") };
    look.exit = Some(Exit::Status(0));
    assert_eq!(ask(&session, &fact).ending, Ending::Clean);
}

#[test]
fn a_claim_counts_before_the_habit_of_the_agent() {
    let completion =
        |session: &Session| ask(session, &look(session, "living dead dead", at_s(10))).completion;
    assert_eq!(completion(&launched(1, "full")), Completion::Never);
    let mut session = launched(1, "none+exits");
    assert_eq!(completion(&session), Completion::OnCleanExit);
    session.lifecycle.claim = Some(DoneClaim { at: at_s(5) });
    assert_eq!(completion(&session), Completion::Claimed);
}

/// A look that began so long after a boot, with the wall clock so long after the start of the test.
fn in_boot(session: &Session, boot: (u128, BootProbe), wall_s: u64) -> Fact {
    let mut began_at = at_s(wall_s);
    (began_at.boot, began_at.since_boot) = (BootId(boot.0), Duration::from_secs(1));
    let mut fact = look(session, "living alive alive", began_at);
    let FactKind::Look(look) = &mut fact.kind else { panic!("not a look") };
    look.values.boot = boot.1;
    fact
}

#[test]
fn a_look_in_a_later_boot_is_later_whatever_the_wall_clock_says() {
    let mut session = launched(1, "full");
    session.lifecycle.launch.as_mut().unwrap().committed_at = at_s(100);
    let standing = |boot, wall_s| ask(&session, &in_boot(&session, boot, wall_s)).standing;
    assert_eq!(standing((2, BootProbe::Rebooted), 40), Standing::Current, "set back meanwhile");
    assert_eq!(standing((2, BootProbe::Rebooted), 160), Standing::Current);
    assert_eq!(standing((2, BootProbe::Same), 40), Standing::Fenced, "nothing tells that it is");
    assert_eq!(standing((1, BootProbe::Rebooted), 160), Standing::Fenced, "it is the launch's own");
}

#[test]
fn a_look_that_began_before_the_last_counted_one_is_outdated() {
    let mut session = launched(1, "full");
    session.lifecycle.session.state = SessionState::Detecting;
    let unknown = look(&session, "unreachable unknown unknown", at_s(100));
    let FactKind::Look(seen) = &unknown.kind else { panic!("not a look") };
    session.lifecycle.detecting = Some(Quarantine {
        attempts: 1,
        started_at: at_s(50),
        counted_at: at_s(100),
        evidence: Evidence { reason: SessionReason::ProbeFailure, look: seen.values },
    });
    let standing = |fact: &Fact| ask(&session, fact).standing;
    assert_eq!(standing(&look(&session, "living alive alive", at_s(99))), Standing::Outdated);
    assert_eq!(standing(&look(&session, "living alive alive", at_s(100))), Standing::Current);
    let rebooted = in_boot(&session, (2, BootProbe::Rebooted), 40);
    assert_eq!(standing(&rebooted), Standing::Current, "it is of a later boot");
}
