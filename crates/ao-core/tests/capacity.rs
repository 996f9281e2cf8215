//! Who holds a place, who waits for one, and what a place is worth.

use std::collections::BTreeMap;

use ao_core::capacity::{Caps, is_holding, is_queued};
use ao_core::ids::AgentName;
use ao_core::record::SessionState;
use ao_core::saga::{PreImage, Saga, SagaDirection, SagaKind, SagaStep};
use ao_core::session::{Phase, Session};

use crate::fixtures::{at_s, seeded};

/// A session as words: its phase, then `ended`, then `dead`.
fn session(words: &str) -> Session {
    let mut session = seeded(1);
    for word in words.split(' ') {
        match word {
            "ended" => session.lifecycle.session.state = SessionState::Terminated,
            "dead" => session.lifecycle.process_dead_at = Some(at_s(1)),
            phase => session.record.phase = phase.parse::<Phase>().unwrap(),
        }
    }
    session
}

/// A saga as words: its kind and step, then `unwinding`, then `cancelled`; `none` for none.
fn saga(words: &str) -> Option<Saga> {
    let mut words = words.split(' ');
    let kind = words.next().filter(|&kind| kind != "none")?;
    let mut saga = Saga {
        session: seeded(1).record.id,
        kind: kind.parse::<SagaKind>().unwrap(),
        step: words.next().unwrap().parse::<SagaStep>().unwrap(),
        direction: SagaDirection::Forward,
        is_cancelled: false,
        pre_image: PreImage { branch_at: None, path_existed: false, is_recorded: false },
        discard: false,
        because: None,
        attempts: 0,
        started_at: at_s(0),
    };
    for word in words {
        match word {
            "unwinding" => saga.direction = SagaDirection::Unwinding,
            "cancelled" => saga.is_cancelled = true,
            other => panic!("no such word: {other}"),
        }
    }
    Some(saga)
}

#[track_caller]
fn check(of_session: &str, of_saga: &str, expect: &str) {
    let (session, saga) = (session(of_session), saga(of_saga));
    let told = match (is_holding(&session, saga.as_ref()), is_queued(&session, saga.as_ref())) {
        (true, true) => "both",
        (true, false) => "holds",
        (false, true) => "waits",
        (false, false) => "neither",
    };
    assert_eq!(told, expect, "{of_session}, {of_saga}");
}

#[test]
fn a_session_holds_a_place_from_its_start_until_its_processes_are_known_to_be_dead() {
    check("queued", "spawn worktree", "waits");
    check("runtime", "spawn worktree", "holds");
    // Cancelled, it turns around at its next step.
    check("runtime", "spawn exec_proof cancelled", "holds");
    check("running", "none", "holds");
    check("running dead", "none", "holds");
    for teardown in ["kill", "cleanup"] {
        check("running", &format!("{teardown} processes"), "holds");
        check("running ended", &format!("{teardown} processes"), "holds");
        check("running dead", &format!("{teardown} processes"), "holds");
        check("running ended dead", &format!("{teardown} processes"), "neither");
        check("running", &format!("{teardown} destroy_runtime"), "neither");
    }
    for launch in ["spawn", "restore"] {
        check("runtime", &format!("{launch} processes unwinding"), "holds");
        check("runtime", &format!("{launch} destroy_runtime unwinding"), "neither");
    }
    check("ended ended", "none", "neither");
    check("running ended", "none", "neither");
}

#[test]
fn a_session_waits_for_a_place_while_it_is_still_to_be_started() {
    check("queued", "restore worktree", "waits");
    check("queued", "spawn worktree cancelled", "neither");
    check("queued", "spawn worktree unwinding", "neither");
    check("queued", "kill processes", "neither");
    check("queued", "cleanup processes", "neither");
    check("queued", "none", "neither");
    check("queued ended", "restore worktree", "neither");
}

#[test]
fn an_agent_takes_the_places_that_its_weight_says_and_one_by_default() {
    let agent = |name: &str| AgentName::parse(name).unwrap();
    let weights = BTreeMap::from([(agent("codex"), 3), (agent("command"), 0)]);
    let caps = Caps { max: Some(4), per_project: None, weights };
    assert_eq!(["codex", "command", "other"].map(|name| caps.weight_of(&agent(name))), [3, 0, 1]);
    assert_eq!(caps.claim_of(&seeded(1)).weight, 0);
}

#[test]
fn there_is_nothing_to_count_where_nothing_is_capped() {
    let check = |max, per_project, is_unlimited, exceeded_by: [Option<u32>; 3]| {
        let caps = Caps { max, per_project, weights: BTreeMap::new() };
        assert_eq!(caps.is_unlimited(), is_unlimited, "{caps:?}");
        assert_eq!([2, 3, 5].map(|weight| caps.exceeded_by(weight)), exceeded_by, "{caps:?}");
    };
    check(None, None, true, [None, None, None]);
    check(Some(4), None, false, [None, None, Some(4)]);
    check(None, Some(2), false, [None, Some(2), Some(2)]);
    check(Some(4), Some(2), false, [None, Some(2), Some(2)]);
}
