//! What is sent arrives, once and unchanged, or says why it did not.

use std::fmt::Write as _;
use std::fs;

use super::world::{World, wait_until};

/// Reads so many bytes from the terminal as they come, without echo and without line editing.
fn reader(n_bytes: usize) -> String {
    format!(
        "stty -icanon -echo; ao report idle; head -c {n_bytes} > \"$1/received\"; \
         touch \"$1/complete\"; exec sleep 600"
    )
}

#[test]
fn a_hundred_kilobytes_arrive_byte_for_byte() {
    let world = World::started();
    let mut text = String::new();
    for number in 0.. {
        writeln!(text, "{number:05} {{\"quoted\": 'text'}}; $HOME `ls` \\n \t äöü → 漢字 🦀 -- #!")
            .unwrap();
        if text.len() > 100_000 {
            break;
        }
    }
    let text = text.trim_end();
    let file = world.path("message");
    fs::write(&file, text).unwrap();
    let id = world.spawn("reader", &reader(text.len()));
    world.wait_for(&id, "idle");
    let receipt = world.json(&["send", &id, "--file", file.to_str().unwrap(), "--wait", "typed"]);
    assert_eq!(receipt["state"], "typed", "{receipt:#}");
    assert_eq!(receipt["stripped"], 0, "{receipt:#}");
    wait_until("all of it was read", || world.path("complete").exists());
    assert!(fs::read_to_string(world.path("received")).unwrap() == text, "it was changed");
}

#[test]
fn what_could_break_out_of_a_paste_is_taken_out_and_counted() {
    let world = World::started();
    let id = world.spawn("reader", &reader(4));
    world.wait_for(&id, "idle");
    let receipt = world.json(&["send", &id, "a\u{1b}b\u{7}cd"]);
    assert_eq!(receipt["stripped"], 2, "{receipt:#}");
    wait_until("all of it was read", || world.path("complete").exists());
    assert_eq!(fs::read_to_string(world.path("received")).unwrap(), "abcd");
}

#[test]
fn messages_arrive_in_the_order_in_which_they_were_sent() {
    let world = World::started();
    let id = world.spawn("reader", &reader(12));
    world.wait_for(&id, "idle");
    for text in ["one", "two", "six"] {
        world.ok(&["send", &id, text, "--wait", "typed"]);
    }
    wait_until("all of it was read", || world.path("complete").exists());
    assert_eq!(fs::read_to_string(world.path("received")).unwrap(), "one\ntwo\nsix\n");
}

#[test]
fn nothing_is_typed_at_a_dialog_and_what_waits_is_typed_after_it() {
    let world = World::started();
    let id = world.spawn(
        "dialog",
        "stty -icanon -echo; ao report blocked; while ! test -e \"$1/go\"; do sleep 0.05; done; \
         read -r -t 0.2 early && touch \"$1/typed-at-the-dialog\"; \
         ao report idle; read -r late; echo \"$late\" > \"$1/received\"; exec sleep 600",
    );
    world.wait_for(&id, "needs_input");
    let receipt = world.json(&["send", &id, "hello"]);
    assert_eq!(receipt["state"], "queued", "{receipt:#}");
    let reason = || world.json(&["messages", &id])[0]["reason"].clone();
    wait_until("it says why it is held", || reason() == "blocked");
    fs::write(world.path("go"), "").unwrap();
    wait_until("it was read", || {
        fs::read_to_string(world.path("received")).is_ok_and(|it| it == "hello\n")
    });
    assert!(!world.path("typed-at-the-dialog").exists());
}

#[test]
fn a_daemon_killed_during_a_send_types_nothing_twice() {
    let world = World::started();
    let id = world.spawn("reader", "stty -icanon -echo; ao report idle; cat >> \"$1/received\"");
    world.wait_for(&id, "idle");
    for round in 0..4 {
        let text = format!("round {round}");
        let mut send = world.command(&["send", &id, &text]).spawn().unwrap();
        // Each round meets the message at another step: none is waited for.
        world.crash();
        send.wait().unwrap();
        world.ok(&["start"]);
        let state = || -> Option<String> {
            let messages = world.json(&["messages", &id]);
            let mut messages = messages.as_array().unwrap().iter();
            let message = messages.find(|it| it["text"] == text.as_str())?;
            message["state"].as_str().map(ToOwned::to_owned)
        };
        // A send that the daemon did not take in has failed, and its caller was told so.
        let is_settled = || state().is_none_or(|it| it == "typed" || it == "in_doubt");
        wait_until("the message is typed or in doubt", is_settled);
        let n_received = || {
            let received = fs::read_to_string(world.path("received")).unwrap_or_default();
            // Not by line: a text whose Enter was lost has the next one behind it.
            received.matches(&text).count()
        };
        if state().as_deref() == Some("typed") {
            wait_until("what is typed arrives", || n_received() == 1);
        }
        assert!(n_received() <= 1, "typed twice: {text}");
    }
}

#[test]
fn a_message_to_an_ended_session_is_refused() {
    let world = World::started();
    let id = world.spawn("short", "exit 0");
    wait_until("it has ended", || world.session(&id)["phase"] == "ended");
    let refusal = world.refused(&["send", &id, "hello"]);
    assert_eq!(refusal.exit, 4, "{refusal:?}");
}
