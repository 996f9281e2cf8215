//! How turns and agents end.

use rustix::process::{Signal, kill_process};

use crate::for_each_agent;
use crate::history::{CRASHED, DYING, EXITED, GOODBYE, IDLE, LEAVING, READY, WORKING, now_ms};
use crate::kit::{Kit, UNASKING};
use crate::tools::pid_of;
use crate::world::{Session, World};

for_each_agent!(
    an_interrupt_ends_the_turn_and_not_the_agent,
    a_human_who_presses_escape_ends_the_turn,
    an_agent_killed_from_outside_is_an_error_within_a_second,
    an_agent_that_is_told_to_quit_has_ended,
);

/// A session in the midst of a tool that takes longer than any patience.
#[track_caller]
fn at_work(world: &World) -> Session<'_> {
    let session = world
        .spawn_in(UNASKING, r#"mark-1 MOCK[{"text":"I wait","run":"touch begun; sleep 300"}]"#);
    session.wait("working");
    session.wait_for_file("begun");
    session.started();
    session.truth(WORKING, world.model.began("mark-1"));
    session
}

fn an_interrupt_ends_the_turn_and_not_the_agent(kit: Kit) {
    let world = World::new(kit, "interrupt");
    let session = at_work(&world);
    let interrupted = now_ms();
    world.ok(&["interrupt", &session.id]);
    session.wait("idle");
    session.truth(IDLE, interrupted);
    let receipt = session.send(r#"mark-2 MOCK[{"text":"still here","slow":1}]"#);
    assert_eq!(receipt["state"], "acknowledged", "{receipt:#}");
    session.wait("idle");
    session.worked("mark-2", 1);
    session.judge();
    world.was_submitted_once(&["mark-1", "mark-2"]);
}

fn a_human_who_presses_escape_ends_the_turn(kit: Kit) {
    let world = World::new(kit, "escape in mid-turn");
    let session = at_work(&world);
    let escaped = session.press(&["Escape"]);
    session.wait("idle");
    session.truth(IDLE, escaped);
    session.judge();
    world.was_submitted_once(&["mark-1"]);
}

fn an_agent_killed_from_outside_is_an_error_within_a_second(kit: Kit) {
    let world = World::new(kit, "crash");
    let session = at_work(&world);
    let agent = pid_of(&session.show()["handle"]["pid"]);
    let killed = now_ms();
    kill_process(agent, Signal::KILL).unwrap();
    session.wait("errored");
    session.truth(DYING, killed);
    session.truth(CRASHED, killed);
    session.judge();
    world.was_submitted_once(&["mark-1"]);
}

fn an_agent_that_is_told_to_quit_has_ended(kit: Kit) {
    let world = World::new(kit, "quit");
    let session = world.open();
    session.press(&[
        "-l",
        match kit {
            Kit::ClaudeCode => "/exit",
            Kit::Codex => "/quit",
        },
    ]);
    session.wait_for_screen(match kit {
        Kit::ClaudeCode => "❯\u{a0}/exit",
        Kit::Codex => "› /quit",
    });
    let quit = session.press(&["Enter"]);
    session.wait("errored");
    session.truth(GOODBYE, quit);
    session.truth(LEAVING, None);
    session.truth(EXITED, None);
    session.judge();
}

#[test]
fn background_work_of_claude_goes_on_after_its_turn() {
    let world = World::new(Kit::ClaudeCode, "background work");
    let session = world.spawn_in(
        UNASKING,
        r#"mark-1 MOCK[{"tool":"Bash","input":{"command":"sleep 6","run_in_background":true}},{"text":"it runs","slow":1},{"text":"it has ended","slow":1}]"#,
    );
    session.wait("working");
    session.wait_until("it was noticed", || world.model.turns().len() >= 3);
    session.wait("idle");
    session.started();
    session.truth(WORKING, world.model.began("mark-1"));
    session.truth(READY, None);
    session.truth(WORKING, None);
    session.truth(IDLE, world.model.last() + 1_000);
    session.judge();
    world.was_submitted_once(&["mark-1"]);
}
