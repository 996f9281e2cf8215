//! Places, preparations and cleanups.

use std::collections::BTreeMap;

use ao_core::capacity::Caps;
use ao_core::fact::{FactKind, Outcome};
use ao_core::ids::{Revision, SessionId};
use ao_core::ports::{Commit, Expected, ProvisionError, Removal, RemovalMode};
use ao_core::record::SessionReason;
use ao_core::saga::{Saga, SagaChange, SagaDirection, SagaKind, SagaStep};
use ao_core::session::{Phase, Session, WorkspaceFate};
use ao_core::step::Rule;
use ao_testkit::clock::JumpingClock;
use ao_testkit::contract::store::sample::{moment, saga, seed, session_id};
use ao_testkit::machine::FakeMachine;

use super::super::Witness;
use super::{app, check, check_none, commit, ended, witness, working};
use crate::sim::names;

/// A witness of a world with so many places.
fn with_places(max: u32, per_project: Option<u32>) -> Witness {
    let witness = Witness::new(FakeMachine::new(JumpingClock::new(), names::home("home")));
    recap(&witness, max, per_project);
    witness
}

fn recap(witness: &Witness, max: u32, per_project: Option<u32>) {
    witness.recap(&Caps { max: Some(max), per_project, weights: BTreeMap::new() });
}

fn launch(name: &str) -> Saga {
    Saga { because: None, discard: false, ..saga(name) }
}

/// A session of which nothing is made yet, in this phase.
fn unbegun(name: &str, phase: Phase) -> Session {
    let mut session = seed(name);
    session.record.phase = phase;
    session.record.handle = None;
    session.record.workspace.fate = WorkspaceFate::Absent;
    session
}

fn begin(witness: &Witness, name: &str, phase: Phase) {
    let commit = Commit {
        next: Some(unbegun(name, phase)),
        saga: Some(SagaChange::Begin(launch(name))),
        ..Commit::on(session_id(name), Expected::Absent, moment(1))
    };
    witness.committed(&commit, Revision(1));
}

fn starts(witness: &Witness, name: &str) {
    begin(witness, name, Phase::Worktree);
}

fn waits(witness: &Witness, name: &str) {
    begin(witness, name, Phase::Queued);
}

/// A session that waited gets a place.
fn admit(witness: &Witness, name: &str) {
    let found = FactKind::Outcome(Outcome::SpawnAdmitted);
    let commit = Commit {
        saga: Some(SagaChange::Put(launch(name))),
        session: session_id(name),
        ..commit(unbegun(name, Phase::Worktree), found, Rule::PlaceFound)
    };
    witness.committed(&commit, Revision(2));
}

fn queue(witness: &Witness) -> Vec<SessionId> {
    witness.seen().places.queue().to_vec()
}

#[test]
fn one_start_too_many_is_seen() {
    let all = with_places(2, None);
    starts(&all, "app-1");
    starts(&all, "lib-1");
    check_none(&all);
    starts(&all, "app-2");
    check(&all, "started, and 3 places are taken");

    let of_project = with_places(9, Some(1));
    starts(&of_project, "app-1");
    starts(&of_project, "lib-1");
    check_none(&of_project);
    starts(&of_project, "app-2");
    check(&of_project, "2 of its project");
}

#[test]
fn what_ran_before_the_places_became_fewer_may_run_on_and_no_other_starts() {
    let witness = with_places(3, None);
    starts(&witness, "app-1");
    starts(&witness, "app-2");
    waits(&witness, "app-3");
    recap(&witness, 1, None);
    check_none(&witness);
    assert!(witness.seen().occurred.contains("places:fewer than are taken"));
    admit(&witness, "app-3");
    check(&witness, "started, and 3 places are taken");
}

#[test]
fn one_whose_process_runs_on_takes_a_place() {
    let witness = with_places(1, None);
    starts(&witness, "app-1");
    let pid = witness.machine.start_process(None);
    let mut over = ended(SessionReason::ManuallyKilled);
    over.record.phase = Phase::Ended;
    let process = ao_core::ports::Processes::identity(&witness.machine, pid, None).unwrap();
    over.record.handle.as_mut().unwrap().process = process;
    {
        let mut seen = witness.seen();
        seen.sessions.insert(app(), over);
        seen.sagas.remove(&app());
    }
    starts(&witness, "app-2");
    check(&witness, "started, and 2 places are taken");
}

#[test]
fn one_that_overtakes_another_is_seen() {
    let admitted = with_places(2, None);
    starts(&admitted, "app-1");
    waits(&admitted, "app-2");
    waits(&admitted, "app-3");
    assert_eq!(queue(&admitted), ["app-2", "app-3"].map(session_id));
    admit(&admitted, "app-3");
    check(&admitted, "started before app-2");

    let begun = with_places(2, None);
    starts(&begun, "app-1");
    waits(&begun, "app-2");
    starts(&begun, "lib-1");
    check(&begun, "started before app-2");

    let in_turn = with_places(2, None);
    starts(&in_turn, "app-1");
    waits(&in_turn, "app-2");
    waits(&in_turn, "app-3");
    admit(&in_turn, "app-2");
    check_none(&in_turn);
    assert_eq!(queue(&in_turn), ["app-3"].map(session_id));

    // A project whose places are taken keeps no other waiting.
    let full = with_places(3, Some(1));
    starts(&full, "app-1");
    waits(&full, "app-2");
    starts(&full, "lib-1");
    check_none(&full);
}

#[test]
fn a_place_that_is_free_at_rest_is_seen() {
    let witness = with_places(1, None);
    starts(&witness, "app-1");
    waits(&witness, "app-2");
    waits(&witness, "app-3");
    let machine = witness.machine.clone();
    witness.seen().check_free_places(&machine);
    check_none(&witness);
    {
        let mut seen = witness.seen();
        seen.sagas.remove(&app());
        let mut over = ended(SessionReason::RuntimeLost);
        over.record.handle = None;
        seen.sessions.insert(app(), over);
        seen.check_free_places(&machine);
    }
    check(&witness, "app-2 waits at rest");
}

#[test]
fn one_that_waits_and_has_something_is_seen() {
    let witness = with_places(1, None);
    let mut session = unbegun("app-1", Phase::Queued);
    session.record.workspace.fate = WorkspaceFate::Present;
    let commit = Commit {
        next: Some(session),
        saga: Some(SagaChange::Begin(launch("app-1"))),
        ..Commit::on(app(), Expected::Absent, moment(1))
    };
    witness.committed(&commit, Revision(1));
    check(&witness, "has something");
}

#[test]
fn a_preparation_that_fails_in_silence_is_seen() {
    let failed = |told: Option<&str>| {
        let witness = witness();
        let error = ProvisionError::Command {
            command: "npm ci".to_owned(),
            how: "ended with status 1".to_owned(),
            last: String::new(),
        };
        {
            let mut seen = witness.seen();
            seen.setups.failed(&app(), &error);
            seen.sagas.insert(app(), launch("app-1"));
        }
        let mut next = ended(SessionReason::SpawnFailed);
        next.record.trouble = told.map(str::to_owned);
        let fact = FactKind::Outcome(Outcome::SpawnFailed);
        let mut commit = commit(next, fact, Rule::SpawnFailed);
        commit.saga = Some(SagaChange::End);
        witness.committed(&commit, Revision(2));
        witness
    };
    check_none(&failed(Some("POST_CREATE_FAILED: `npm ci` ended with status 1")));
    check(&failed(None), "told is None");
}

fn cleanup(discard: bool) -> Saga {
    let (kind, step) = (SagaKind::Cleanup, SagaStep::Processes);
    Saga { kind, step, direction: SagaDirection::Forward, discard, ..launch("app-1") }
}

fn begin_cleanup(witness: &Witness, discard: bool) {
    let commit = Commit {
        saga: Some(SagaChange::Begin(cleanup(discard))),
        ..Commit::on(app(), Expected::Revision(Revision(1)), moment(2))
    };
    witness.committed(&commit, Revision(1));
}

#[test]
fn a_cleanup_that_nobody_asks_for_is_seen() {
    let asked = witness();
    let asking = asked.cleaning(false);
    begin_cleanup(&asked, false);
    check_none(&asked);
    drop(asking);

    let answered = witness();
    drop(answered.cleaning(false));
    begin_cleanup(&answered, false);
    check(&answered, "nobody asked for");

    let careful = witness();
    let _asking = careful.cleaning(false);
    begin_cleanup(&careful, true);
    check(&careful, "nobody asked for");
}

const GONE: Removal = Removal::Removed { is_branch_deleted: true, preserved: None };

/// What is seen when a worktree goes in a cleanup.
fn freed(session: Session, saga: Saga, (mode, is_merged): (RemovalMode, bool)) -> Witness {
    let witness = witness();
    {
        let mut seen = witness.seen();
        seen.sessions.insert(app(), session);
        seen.sagas.insert(app(), saga);
    }
    witness.freed(&app(), mode, &GONE, Some(is_merged));
    witness
}

#[test]
fn a_cleanup_of_what_is_alive_or_not_merged_is_seen() {
    let over = || ended(SessionReason::RuntimeLost);
    let (careful, discarding) = (|| cleanup(false), || cleanup(true));
    check_none(&freed(over(), careful(), (RemovalMode::Merged, true)));
    check_none(&freed(over(), discarding(), (RemovalMode::Discard, false)));
    check(&freed(over(), careful(), (RemovalMode::Careful, false)), "not merged");
    check(&freed(over(), careful(), (RemovalMode::Discard, true)), "nobody asked for it");
    check(&freed(working(), careful(), (RemovalMode::Merged, true)), "has not ended");
}
