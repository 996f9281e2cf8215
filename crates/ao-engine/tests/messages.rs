//! Messages: lanes, holding, receipts, and what a crash leaves in doubt.

use std::time::Duration;

use ao_core::ids::IdempotencyKey;
use ao_core::message::MESSAGE_BYTES_MAX;
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
fn a_session_that_ended_by_itself_takes_no_messages_either() {
    let world = World::new(21);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::Blocked);
    send(&world, &id, "too late");
    world.machine.exit_process(world.machine.agent_of(&id).unwrap().pid, 0);
    world.until(&id, |session| session.lifecycle.is_terminal());
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

#[test]
fn a_message_that_is_too_large_is_refused() {
    let world = World::new(19);
    let id = world.spawn("mute");
    let send = |n_bytes: usize| {
        let request = request(&id, &"x".repeat(n_bytes));
        world.tasks.block_on(world.engine().messenger.send(request))
    };
    let n_bytes = MESSAGE_BYTES_MAX + 1;
    assert_eq!(send(n_bytes), Err(SendError::TooLarge { n_bytes }));
    assert_eq!(world.messages(&id), [""; 0]);
    assert_eq!(send(MESSAGE_BYTES_MAX).unwrap().text.len(), MESSAGE_BYTES_MAX);
}

/// A session whose agent rests at an empty composer.
fn seeing(world: &World) -> ao_core::ids::SessionId {
    let id = world.spawn("seeing");
    world.machine.set_composer(&id, "");
    world.signal(&id, ActivityState::Idle);
    id
}

#[test]
fn a_receipt_goes_from_typed_to_acknowledged_by_what_the_agent_says() {
    let world = World::new(8);
    let id = seeing(&world);
    send(&world, &id, "fix the build");
    world.pass_time(Duration::from_secs(1));
    assert_eq!(world.messages(&id), ["typed: fix the build"]);
    world.submit(&id, "fix  the build\n");
    assert_eq!(world.messages(&id), ["submitted: fix the build"]);
    world.pass_time(Duration::from_millis(10));
    world.signal(&id, ActivityState::Active);
    assert_eq!(world.messages(&id), ["acknowledged: fix the build"]);
    assert_eq!(world.machine.submitted(&id), ["fix the build"]);
}

#[test]
fn a_message_waits_until_the_one_before_it_was_taken_in() {
    let world = World::new(9);
    let id = seeing(&world);
    send(&world, &id, "one");
    send(&world, &id, "two");
    world.pass_time(Duration::from_secs(20));
    assert_eq!(world.messages(&id), ["typed: one", "queued behind: two"]);
    world.submit(&id, "one");
    world.pass_time(Duration::from_secs(1));
    assert_eq!(world.messages(&id), ["submitted: one", "typed: two"]);
    assert_eq!(world.machine.submitted(&id), ["one", "two"]);
}

#[test]
fn what_another_typed_confirms_no_message_of_ours() {
    let world = World::new(10);
    let id = seeing(&world);
    send(&world, &id, "fix the build");
    world.pass_time(Duration::from_secs(1));
    world.submit(&id, "something of a person");
    assert_eq!(world.messages(&id), ["typed: fix the build"]);
}

#[test]
fn a_message_of_which_nothing_is_heard_ends_in_doubt_once_the_agent_rests() {
    let world = World::new(11);
    let id = seeing(&world);
    send(&world, &id, "hello");
    world.pass_time(Duration::from_secs(20));
    assert_eq!(world.messages(&id), ["typed: hello"]);
    world.pass_time(Duration::from_secs(30));
    assert_eq!(world.messages(&id), ["in_doubt no_evidence: hello"]);
    // The hook was late, not lost.
    world.submit(&id, "hello");
    assert_eq!(world.messages(&id), ["submitted: hello"]);
}

#[test]
fn terminals_that_hold_messages_for_long_are_looked_at_once_a_pass() {
    let world = World::new(4);
    for _ in 0..3 {
        let id = world.spawn("mute");
        world.until_status(&id, "working");
        world.machine.set_in_mode(&id, true);
        send(&world, &id, "later");
    }
    world.pass_time(Duration::from_secs(5));
    let early = world.machine.n_calls(Op::Look);
    assert!(early >= 24, "{early} looks in the first five seconds");
    world.pass_time(Duration::from_secs(15));
    let before = world.machine.n_calls(Op::Look);
    world.pass_time(Duration::from_mins(1));
    let n_looks = world.machine.n_calls(Op::Look) - before;
    // The end of one delivery begins none of another session, which would begin the first again.
    assert!((30..=42).contains(&n_looks), "{n_looks} looks in twelve passes");
}

#[test]
fn deliveries_that_overlap_do_not_begin_each_other_for_ever() {
    let world = World::new(4);
    let ids: Vec<_> = (0..4).map(|_| world.spawn("mute")).collect();
    for id in &ids {
        world.until_status(id, "working");
        world.machine.set_in_mode(id, true);
        send(&world, id, "first");
    }
    world.pass_time(Duration::from_secs(20));
    let before = world.machine.n_calls(Op::Look);
    let engine = world.engine();
    for n in 0..10 {
        let text = format!("text {n}");
        let sends = ids.iter().map(|id| engine.messenger.send(request(id, &text)));
        world.tasks.block_on(futures_util::future::join_all(sends));
        world.pass_time(Duration::from_millis(100));
    }
    let n_looks = world.machine.n_calls(Op::Look) - before;
    // Each of forty sends has the four terminals looked at once, or twice when it came in between.
    assert!((40..=340).contains(&n_looks), "{n_looks} looks for forty sends");
}

#[test]
fn a_dialog_that_only_the_screen_shows_is_not_typed_at() {
    let world = World::new(12);
    let id = seeing(&world);
    world.machine.set_dialog(&id, Some("permission"));
    send(&world, &id, "go on");
    world.pass_time(Duration::from_secs(30));
    assert_eq!(world.messages(&id), ["queued blocked: go on"]);
    world.machine.set_dialog(&id, None);
    world.pass_time(Duration::from_secs(6));
    assert_eq!(world.machine.submitted(&id), ["go on"]);
    assert_eq!(world.machine.typed_at_dialogs(&id), [""; 0]);
}

#[test]
fn a_dialog_that_opens_under_the_paste_gets_no_enter_and_the_text_gets_it_afterwards() {
    let world = World::new(13);
    let id = seeing(&world);
    world.machine.set_dialog_on_paste(&id, "permission");
    send(&world, &id, "go on");
    world.pass_time(Duration::from_mins(5));
    assert_eq!(world.messages(&id), ["typing blocked: go on"]);
    assert_eq!(world.machine.typed_at_dialogs(&id), [""; 0]);
    send(&world, &id, "and then");
    world.pass_time(Duration::from_secs(1));
    assert_eq!(world.messages(&id), ["typing blocked: go on", "queued behind: and then"]);
    world.machine.set_dialog(&id, None);
    // The dialog is known by now, and has to be seen gone.
    world.pass_time(Duration::from_secs(2));
    assert_eq!(world.machine.submitted(&id), ["go on"]);
    assert_eq!(world.machine.pastes(&id), ["go on"]);
}

#[test]
fn a_line_that_a_person_has_begun_is_neither_added_to_nor_sent() {
    let world = World::new(14);
    let id = seeing(&world);
    world.machine.set_composer(&id, "rm -rf");
    send(&world, &id, "go on");
    world.pass_time(Duration::from_secs(30));
    assert_eq!(world.messages(&id), ["queued composer_busy: go on"]);
    world.machine.set_composer(&id, "");
    world.pass_time(Duration::from_secs(6));
    assert_eq!(world.machine.submitted(&id), ["go on"]);
}

#[test]
fn enter_is_pressed_again_only_while_our_text_is_seen_in_the_composer() {
    let world = World::new(15);
    let id = seeing(&world);
    world.machine.ignore_enters(&id, 1);
    send(&world, &id, "go on");
    world.pass_time(Duration::from_secs(10));
    assert_eq!(world.machine.keys(&id), ["Enter", "Enter"]);
    assert_eq!(world.machine.submitted(&id), ["go on"]);
    world.submit(&id, "go on");
    // An agent that never takes it in gets three in all.
    world.machine.ignore_enters(&id, 100);
    send(&world, &id, "again");
    world.pass_time(Duration::from_secs(20));
    assert_eq!(world.machine.keys(&id).len(), 2 + 3);
    assert_eq!(world.machine.pastes(&id), ["go on", "again"]);
}

#[test]
fn a_daemon_that_died_between_paste_and_enter_finishes_what_it_began() {
    let world = World::new(16);
    let id = seeing(&world);
    world.machine.set_dialog_on_paste(&id, "permission");
    send(&world, &id, "go on");
    world.pass_time(Duration::from_secs(5));
    assert_eq!(world.messages(&id), ["typing blocked: go on"]);
    world.crash();
    world.machine.set_dialog(&id, None);
    world.boot();
    world.pass_time(Duration::from_secs(3));
    assert_eq!(world.machine.submitted(&id), ["go on"]);
    assert_eq!(world.machine.pastes(&id), ["go on"]);
    world.submit(&id, "go on");
    assert_eq!(world.messages(&id), ["submitted: go on"]);
}

#[test]
fn enter_ends_what_a_crash_left_right_before_the_cursor_of_a_blind_prompt() {
    let check = |screen: &str, keys: &[&str], message: &str| {
        let world = World::new(18);
        let id = world.spawn("mute");
        world.until_status(&id, "working");
        world.machine.fail_next(Op::Paste, Fault::Slow(Duration::from_secs(1)));
        send(&world, &id, "go on");
        world.pass_time(Duration::from_millis(500));
        world.crash();
        world.machine.set_screen(&id, screen);
        world.boot();
        world.pass_time(Duration::from_secs(3));
        assert_eq!(world.machine.keys(&id), keys, "{screen:?}");
        assert_eq!(world.messages(&id), [message], "{screen:?}");
    };
    check("$ go on", &["Enter"], "typed cannot_confirm: go on");
    check("$ go on\n$ ", &[], "in_doubt interrupted: go on");
    check("$ ", &[], "in_doubt interrupted: go on");
}

#[test]
fn what_a_crash_left_in_doubt_is_resolved_by_the_agents_word_and_typed_no_second_time() {
    let world = World::new(17);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::Idle);
    world.machine.fail_next(Op::Press, Fault::LoseAnswer);
    send(&world, &id, "once");
    world.pass_time(Duration::from_secs(5));
    assert_eq!(world.messages(&id), ["in_doubt cannot_tell: once"]);
    world.crash();
    world.boot();
    world.submit(&id, "once");
    assert_eq!(world.messages(&id), ["submitted: once"]);
    world.pass_time(Duration::from_mins(1));
    assert_eq!(world.machine.pastes(&id), ["once"]);
}

#[test]
fn a_person_who_presses_enter_first_is_not_doubled() {
    let world = World::new(18);
    let id = seeing(&world);
    world.machine.set_dialog_on_paste(&id, "permission");
    send(&world, &id, "go on");
    world.pass_time(Duration::from_secs(5));
    // The person answers the dialog and sends the text.
    world.machine.set_composer(&id, "");
    world.machine.set_dialog(&id, None);
    world.submit(&id, "go on");
    world.pass_time(Duration::from_mins(1));
    assert_eq!(world.machine.keys(&id), [""; 0]);
    assert_eq!(world.messages(&id), ["submitted: go on"]);
}
