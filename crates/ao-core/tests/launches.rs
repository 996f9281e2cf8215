//! What a launch that was proven makes of what was known before.

use std::time::Duration;

use ao_core::fact::{Fact, FactKind, Outcome};
use ao_core::ids::LaunchId;
use ao_core::record::{
    Activity, ActivitySource, ActivityState, DoneClaim, Exit, Launch, SessionReason, SessionState,
    SessionVerdict,
};
use ao_core::reduce::reduce;
use ao_core::session::Session;
use ao_core::step::{Rule, Step};

use crate::fixtures::{after, at_s, launch_id, launched, policy, traits};

/// A session of whose first launch everything is known that can be.
fn known() -> Session {
    let mut session = launched(1, "full");
    let lifecycle = &mut session.lifecycle;
    lifecycle.session =
        SessionVerdict { state: SessionState::Working, reason: SessionReason::TaskInProgress };
    lifecycle.activity = Some(Activity {
        state: ActivityState::Active,
        at: at_s(5),
        source: ActivitySource::Hook,
        detail: None,
    });
    lifecycle.paused_until = Some(at_s(0).wall.plus(Duration::from_hours(1)));
    lifecycle.claim = Some(DoneClaim { at: at_s(5) });
    lifecycle.process_dead_at = Some(at_s(6));
    lifecycle.exit = Some(Exit::Status(0));
    lifecycle.exit_asked = true;
    session
}

fn launch(session: &Session, id: LaunchId) -> Step {
    let launch = Launch { id, committed_at: at_s(10), traits: traits("full") };
    let kind = FactKind::Outcome(Outcome::Launched(launch));
    reduce(session, &Fact { at: at_s(10), kind }, &policy(), &at_s(10))
}

#[test]
fn a_launch_that_is_told_twice_is_taken_in_once() {
    let session = known();
    let step = launch(&session, launch_id(&session, 1));
    let Step::None { because, .. } = step else { panic!("{step:?}") };
    assert_eq!(because.rule, Rule::Unchanged);
}

#[test]
fn another_launch_begins_without_what_was_known_of_the_one_before() {
    let session = known();
    let next = after(&session, &launch(&session, launch_id(&session, 2))).lifecycle;
    assert_eq!(next.launch.map(|it| it.id), Some(launch_id(&session, 2)));
    assert_eq!(next.session.state, SessionState::NotStarted);
    assert_eq!((next.activity, next.claim, next.paused_until), (None, None, None));
    assert_eq!((next.process_dead_at, next.exit, next.exit_asked), (None, None, false));
}
