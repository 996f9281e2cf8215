//! The model's server fails.

use crate::for_each_agent;
use crate::history::{API_ERROR, AUTH_FAILED, IDLE, LIMITED, WORKING};
use crate::kit::Kit;
use crate::world::World;

for_each_agent!(
    an_api_that_fails_for_good_needs_a_human,
    a_login_that_is_refused_needs_a_human,
    a_usage_limit_pauses_until_it_ends,
    a_connection_that_is_cut_is_asked_again_and_submits_nothing_twice,
    a_server_that_never_answers_is_a_turn_that_can_be_interrupted,
);

fn an_api_that_fails_for_good_needs_a_human(kit: Kit) {
    let world = World::new(kit, "server error");
    let session = world.spawn(r#"mark-1 MOCK[{"error":"server_error"}]"#);
    session.wait("needs_input");
    session.started();
    session.truth(WORKING, world.model.began("mark-1"));
    // The screen may be read before the transcript that tells why.
    session.perhaps(IDLE);
    session.truth(API_ERROR, world.model.last());
    // The next turn is a turn like any other.
    let receipt = session.send(r#"mark-2 MOCK[{"text":"well again","slow":1}]"#);
    assert_eq!(receipt["state"], "acknowledged", "{receipt:#}");
    session.wait("idle");
    session.worked("mark-2", 1);
    session.judge();
    world.was_submitted_once(&["mark-1", "mark-2"]);
}

fn a_login_that_is_refused_needs_a_human(kit: Kit) {
    let world = World::new(kit, "login refused");
    let session = world.spawn(r#"mark-1 MOCK[{"error":"authentication"}]"#);
    session.wait("needs_input");
    session.started();
    session.truth(WORKING, world.model.began("mark-1"));
    // The screen may be read before the transcript that tells why.
    session.perhaps(IDLE);
    session.truth(AUTH_FAILED, world.model.last());
    session.judge();
    world.was_submitted_once(&["mark-1"]);
}

fn a_usage_limit_pauses_until_it_ends(kit: Kit) {
    // Only a subscriber has one at Claude.
    let subscription =
        vec![("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-stand-in"), ("ANTHROPIC_API_KEY", "")];
    let world = World::with_env(kit, "usage limit", subscription);
    let session = world.spawn(r#"mark-1 MOCK[{"error":"usage_limit","resets_in":3600}]"#);
    session.wait("limited");
    session.started();
    session.truth(WORKING, world.model.began("mark-1"));
    // The screen may be read before the transcript that tells why.
    session.perhaps(IDLE);
    session.truth(LIMITED, world.model.last());
    assert_eq!(session.show()["status"], "limited");
    session.judge();
    world.was_submitted_once(&["mark-1"]);
}

fn a_connection_that_is_cut_is_asked_again_and_submits_nothing_twice(kit: Kit) {
    let world = World::new(kit, "connection cut");
    let session = world.spawn(r#"mark-1 MOCK[{"drop":true,"times":1},{"text":"well","slow":1}]"#);
    session.wait("working");
    session.wait("idle");
    session.started();
    session.worked("mark-1", 1);
    assert!(world.model.turns().len() > 1, "nothing was asked again");
    session.judge();
    world.was_submitted_once(&["mark-1"]);
}

fn a_server_that_never_answers_is_a_turn_that_can_be_interrupted(kit: Kit) {
    let world = World::new(kit, "server hangs");
    let session = world.spawn(r#"mark-1 MOCK[{"hang":true,"times":1},{"text":"hello","slow":1}]"#);
    session.wait("working");
    session.wait_until("the turn runs", || world.model.n_submitted("mark-1") == 1);
    let interrupted = session.press(&["Escape"]);
    session.wait("idle");
    session.started();
    session.truth(WORKING, world.model.began("mark-1"));
    session.truth(IDLE, interrupted);
    session.judge();
    world.was_submitted_once(&["mark-1"]);
}
