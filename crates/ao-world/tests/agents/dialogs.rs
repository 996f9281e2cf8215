//! Dialogs: each is seen, takes no text, and is left when it is gone.

use crate::for_each_agent;
use crate::history::{IDLE, PERMISSION, QUESTION, WORKING};
use crate::kit::Kit;
use crate::world::{Session, World};

for_each_agent!(
    a_permission_is_asked_for_and_granted,
    a_permission_is_asked_for_and_denied,
    a_permission_dialog_is_escaped,
    a_message_waits_until_the_dialog_is_gone,
);

/// The session in front of a dialog that asks whether a file may be made.
#[track_caller]
fn asked(world: &World) -> Session<'_> {
    let session = world.spawn(
        r#"mark-1 MOCK[{"text":"I make it","run":"sleep 3; touch made","ask":true},{"text":"finished","slow":1}]"#,
    );
    session.wait("needs_input");
    let seen = session.wait_for_screen(world.kit.permission_dialog());
    session.started();
    session.truth(WORKING, world.model.began("mark-1"));
    session.truth(PERMISSION, seen);
    session
}

/// Whether the tool ran.
fn is_made(session: &Session<'_>) -> bool {
    let workspace = session.show()["workspace_path"].as_str().unwrap().to_owned();
    std::path::Path::new(&workspace).join("made").exists()
}

fn a_permission_is_asked_for_and_granted(kit: Kit) {
    let world = World::new(kit, "permission granted");
    let session = asked(&world);
    let granted = session.answer(kit.grants(), kit.permission_dialog());
    session.wait("working");
    session.wait("idle");
    session.truth(WORKING, granted);
    session.truth(IDLE, world.model.last() + 1_000);
    assert!(is_made(&session));
    session.judge();
    world.was_submitted_once(&["mark-1"]);
}

fn a_permission_is_asked_for_and_denied(kit: Kit) {
    let world = World::new(kit, "permission denied");
    let session = asked(&world);
    let denied = session.answer(&kit.denies(&session.screen()), kit.permission_dialog());
    session.wait("idle");
    session.truth(IDLE, denied);
    assert!(!is_made(&session));
    session.judge();
    world.was_submitted_once(&["mark-1"]);
}

fn a_permission_dialog_is_escaped(kit: Kit) {
    let world = World::new(kit, "permission dialog escaped");
    let session = asked(&world);
    let escaped = session.answer("Escape", kit.permission_dialog());
    session.wait("idle");
    session.truth(IDLE, escaped);
    assert!(!is_made(&session));
    session.judge();
    world.was_submitted_once(&["mark-1"]);
}

fn a_message_waits_until_the_dialog_is_gone(kit: Kit) {
    let world = World::new(kit, "message into a dialog");
    let session = asked(&world);
    session.queue(r#"mark-2 MOCK[{"text":"and that","slow":1}]"#);
    session.wait_until_held("blocked");
    assert!(!session.screen().contains("mark-2"), "{}", session.screen());
    let granted = session.answer(kit.grants(), kit.permission_dialog());
    session.wait_until_all_acknowledged();
    session.wait_until("it was taken in", || world.model.n_submitted("mark-2") == 1);
    session.wait_until_at_rest();
    session.truth(WORKING, granted);
    session.truth(IDLE, None);
    session.judge_turns();
    world.was_submitted_once(&["mark-1", "mark-2"]);
}

#[test]
fn a_question_of_claude_is_a_dialog() {
    let world = World::new(Kit::ClaudeCode, "question menu");
    let session = world.spawn(
        r#"mark-1 MOCK[{"tool":"AskUserQuestion","input":{"questions":[{"question":"Which colour shall it be?",
        "header":"Colour","multiSelect":false,"options":[{"label":"Green","description":"like grass"},
        {"label":"Blue","description":"like the sea"}]}]}},{"text":"green it is","slow":2}]"#,
    );
    session.wait("needs_input");
    let seen = session.wait_for_screen("to navigate");
    session.queue(r#"mark-2 MOCK[{"text":"and that","slow":1}]"#);
    session.wait_until_held("blocked");
    let answered = session.answer("Enter", "to navigate");
    session.wait_until_all_acknowledged();
    session.wait_until("it was taken in", || world.model.n_submitted("mark-2") == 1);
    session.wait_until_at_rest();
    session.started();
    session.truth(WORKING, world.model.began("mark-1"));
    session.truth(QUESTION, seen);
    session.truth(WORKING, answered);
    session.truth(IDLE, world.model.last() + 1_000);
    session.judge_turns();
    world.was_submitted_once(&["mark-1", "mark-2"]);
}

#[test]
fn a_plan_of_claude_is_a_dialog() {
    let world = World::new(Kit::ClaudeCode, "plan approval");
    let session = world.spawn_in(
        "plan",
        r#"mark-1 MOCK[{"tool":"ExitPlanMode","input":{"plan":"1. Paint the door."}},{"text":"painted","slow":2}]"#,
    );
    session.wait("needs_input");
    let seen = session.wait_for_screen("plan mode?");
    let answered = session.answer("Enter", "plan mode?");
    session.wait("working");
    session.wait("idle");
    session.started();
    session.truth(WORKING, world.model.began("mark-1"));
    session.truth(PERMISSION, seen);
    session.truth(WORKING, answered);
    session.truth(IDLE, world.model.last() + 2_000);
    session.judge();
    world.was_submitted_once(&["mark-1"]);
}
