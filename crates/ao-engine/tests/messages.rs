//! Messages: lanes, holding, receipts, and what a crash leaves in doubt.

use std::time::Duration;

use ao_core::ids::IdempotencyKey;
use ao_core::record::ActivityState;
use ao_engine::{SendError, SendRequest};
use ao_testkit::machine::{Fault, Op};

use crate::harness::World;

fn request(id: &ao_core::ids::SessionId, text: &str) -> SendRequest {
    SendRequest { session: id.clone(), text: text.to_owned(), idempotency_key: None }
}

fn send(world: &World, id: &ao_core::ids::SessionId, text: &str) {
    world.tasks.block_on(world.engine().messenger.send(request(id, text))).unwrap();
}

#[test]
fn messages_are_typed_once_each_in_their_order() {
    let world = World::new(1);
    let id = world.spawn("mute");
    for text in ["one", "two", "three"] {
        send(&world, &id, text);
    }
    world.pass_time(Duration::from_secs(5));
    assert_eq!(world.machine.pastes(&id), ["one", "two", "three"]);
    assert_eq!(
        world.messages(&id),
        ["typed cannot_confirm: one", "typed cannot_confirm: two", "typed cannot_confirm: three"]
    );
}

#[test]
fn a_repeated_send_is_typed_once() {
    let world = World::new(2);
    let id = world.spawn("mute");
    let engine = world.engine();
    let request =
        SendRequest { idempotency_key: Some(IdempotencyKey::new("k")), ..request(&id, "once") };
    let (first, second) = world.tasks.block_on(async {
        let first = engine.messenger.send(request.clone()).await;
        (first, engine.messenger.send(request.clone()).await)
    });
    assert_eq!(first.unwrap().id, second.unwrap().id);
    world.pass_time(Duration::from_secs(5));
    assert_eq!(world.machine.pastes(&id), ["once"]);
}

#[test]
fn nothing_is_typed_at_a_dialog_and_it_is_typed_when_the_dialog_is_gone() {
    let world = World::new(3);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::Blocked);
    send(&world, &id, "go on");
    world.pass_time(Duration::from_secs(30));
    assert_eq!(world.machine.pastes(&id), [""; 0]);
    assert_eq!(world.messages(&id), ["queued blocked: go on"]);
    world.signal(&id, ActivityState::Idle);
    world.pass_time(Duration::from_secs(5));
    assert_eq!(world.machine.pastes(&id), ["go on"]);
}

#[test]
fn copy_mode_holds_a_message_until_it_is_left() {
    let world = World::new(4);
    let id = world.spawn("mute");
    world.until_status(&id, "working");
    world.machine.set_in_mode(&id, true);
    send(&world, &id, "later");
    world.pass_time(Duration::from_secs(10));
    assert_eq!(world.messages(&id), ["queued copy_mode: later"]);
    world.machine.set_in_mode(&id, false);
    world.pass_time(Duration::from_secs(10));
    assert_eq!(world.machine.pastes(&id), ["later"]);
}

#[test]
fn a_paste_whose_answer_was_lost_is_in_doubt_and_never_typed_again() {
    let world = World::new(5);
    let id = world.spawn("mute");
    world.machine.fail_next(Op::Paste, Fault::LoseAnswer);
    send(&world, &id, "once");
    world.pass_time(Duration::from_mins(1));
    assert_eq!(world.machine.pastes(&id), ["once"]);
    assert_eq!(world.messages(&id), ["in_doubt cannot_tell: once"]);
}

#[test]
fn an_ended_session_takes_no_messages_and_cancels_those_that_wait() {
    let world = World::new(6);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::Blocked);
    send(&world, &id, "too late");
    world.kill(&id);
    assert_eq!(world.messages(&id), ["cancelled session_ended: too late"]);
    let refused = world.tasks.block_on(world.engine().messenger.send(request(&id, "hello")));
    assert_eq!(refused, Err(SendError::Ended { session: id }));
}

#[test]
fn what_a_terminal_would_act_on_is_taken_out_and_counted() {
    let world = World::new(7);
    let id = world.spawn("mute");
    let sent = world
        .tasks
        .block_on(world.engine().messenger.send(request(&id, "a\u{1b}[201~\u{3}b")))
        .unwrap();
    assert_eq!((sent.text.as_str(), sent.n_stripped), ("a[201~b", 2));
    let refused = world.tasks.block_on(world.engine().messenger.send(request(&id, "\u{3}\n")));
    assert_eq!(refused, Err(SendError::Empty));
}
