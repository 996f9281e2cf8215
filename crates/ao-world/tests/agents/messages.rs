//! What is sent is submitted once and whole, and says how far it got.

use std::fmt::Write as _;

use crate::for_each_agent;
use crate::history::{IDLE, WORKING};
use crate::kit::Kit;
use crate::world::World;

for_each_agent!(
    a_message_to_an_idle_agent_begins_a_turn,
    a_message_to_a_busy_agent_is_taken_in_once,
    two_senders_at_once_lose_and_double_nothing,
    many_lines_are_one_message,
    a_hundred_kilobytes_are_one_message,
    control_bytes_and_the_end_of_a_paste_do_no_harm,
    texts_that_look_like_commands_are_texts,
    what_a_human_has_half_typed_is_never_mixed_with_a_message,
);

/// A text of so many bytes with a mark at each end, lines, quotes and emoji.
pub(crate) fn long_text(mark: &str, n_bytes: usize) -> String {
    let mut text = format!("{mark}-begins\n");
    for number in 0.. {
        writeln!(text, "{number:05} {{\"quoted\": 'text'}} $HOME `ls` \\n äöü → 漢字 🦀 -- #!")
            .unwrap();
        if text.len() > n_bytes {
            break;
        }
    }
    write!(text, "MOCK[{{\"text\":\"that was long\",\"slow\":1}}] {mark}-ends").unwrap();
    text
}

fn a_message_to_an_idle_agent_begins_a_turn(kit: Kit) {
    let world = World::new(kit, "message while idle");
    let session = world.open();
    let receipt = session.send(r#"mark-1 MOCK[{"text":"hello","slow":1}]"#);
    assert_eq!(receipt["state"], "acknowledged", "{receipt:#}");
    assert_eq!(receipt["confirmed"], true, "{receipt:#}");
    session.wait("idle");
    session.worked("mark-1", 1);
    session.judge();
    world.was_submitted_once(&["mark-0", "mark-1"]);
}

fn a_message_to_a_busy_agent_is_taken_in_once(kit: Kit) {
    let world = World::new(kit, "message while busy");
    let session = world.spawn(r#"mark-1 MOCK[{"text":"thinking about it","slow":5}]"#);
    session.wait("working");
    session.wait_until("the turn runs", || world.model.n_submitted("mark-1") == 1);
    let receipt = session.send(r#"mark-2 MOCK[{"text":"and that","slow":2}]"#);
    assert_eq!(receipt["state"], "acknowledged", "{receipt:#}");
    session.wait_until("it was taken in", || world.model.n_submitted("mark-2") == 1);
    session.wait_until_at_rest();
    session.started();
    session.truth(WORKING, world.model.began("mark-1"));
    if kit == Kit::ClaudeCode {
        // What it is told in mid-turn makes the next turn; Codex takes it into the same one.
        session.truth(IDLE, None);
        session.truth(WORKING, world.model.began("mark-2"));
    }
    session.truth(IDLE, world.model.last() + 2_000);
    session.judge();
    world.was_submitted_once(&["mark-1", "mark-2"]);
}

fn two_senders_at_once_lose_and_double_nothing(kit: Kit) {
    let world = World::new(kit, "two senders at once");
    let session = world.spawn(r#"mark-0 MOCK[{"text":"ready when you are","slow":1}]"#);
    session.wait("working");
    session.wait("idle");
    let mut marks = Vec::new();
    for round in 0..5 {
        let sends = ["left", "right"].map(|sender| {
            let mark = format!("mark-{sender}-{round}");
            let text = format!(r#"{mark} MOCK[{{"text":"thanks"}}]"#);
            marks.push(mark);
            world.command(&["send", &session.id, &text]).spawn().unwrap()
        });
        for mut send in sends {
            assert!(send.wait().unwrap().success());
        }
    }
    session.wait_until_all_acknowledged();
    let marks: Vec<_> = marks.iter().map(String::as_str).collect();
    session
        .wait_until("all were taken in", || marks.iter().all(|it| world.model.n_submitted(it) > 0));
    session.wait_until_at_rest();
    session.started();
    session.truth(WORKING, world.model.began("mark-0"));
    session.truth(IDLE, world.model.last());
    session.judge_turns();
    world.was_submitted_once(&marks);
}

fn many_lines_are_one_message(kit: Kit) {
    let world = World::new(kit, "many lines");
    let session = world.open();
    let lines: String = (0..40).fold(String::new(), |mut lines, number| {
        writeln!(lines, "line {number:02} \t of forty").unwrap();
        lines
    });
    let receipt = session.send(&format!(
        "mark-1 begins\n\n{lines}\nMOCK[{{\"text\":\"read\",\"slow\":1}}] mark-1 ends\n"
    ));
    assert_eq!(receipt["state"], "acknowledged", "{receipt:#}");
    session.wait("idle");
    session.worked("mark-1 ends", 1);
    session.judge();
    world.was_submitted_once(&["mark-1 begins", "mark-1 ends"]);
    let text = world.model.text_with("mark-1 begins");
    for number in 0..40 {
        assert!(text.contains(&format!("line {number:02}")), "line {number} is missing:\n{text}");
    }
}

fn a_hundred_kilobytes_are_one_message(kit: Kit) {
    let world = World::new(kit, "message of 100 kB");
    send_whole(&world, 100_000);
}

/// Sends so many bytes and sees that they were taken in whole.
pub(crate) fn send_whole(world: &World, n_bytes: usize) {
    let session = world.open();
    let text = long_text("mark-1", n_bytes);
    let receipt = session.send(&text);
    assert_eq!(receipt["state"], "acknowledged", "{receipt:#}");
    session.wait("idle");
    session.worked("mark-1-ends", 1);
    session.judge();
    world.was_submitted_once(&["mark-1-begins", "mark-1-ends"]);
    world.model.had_whole("mark-1-ends", text.len());
}

fn control_bytes_and_the_end_of_a_paste_do_no_harm(kit: Kit) {
    let world = World::new(kit, "control bytes");
    let session = world.open();
    let controls: String = (1..32).chain(127..160).filter_map(char::from_u32).collect();
    let text = format!(
        "mark-1 begins {controls} \u{1b}[201~\rmark-2 escaped\r\u{1b}[200~ \u{1b}[A\u{3}\u{4} \
         MOCK[{{\"text\":\"unharmed\",\"slow\":1}}] mark-1 ends"
    );
    let receipt = session.send(&text);
    assert_eq!(receipt["state"], "acknowledged", "{receipt:#}");
    assert!(receipt["stripped"].as_u64().unwrap() > 60, "{receipt:#}");
    session.wait("idle");
    session.worked("mark-1 ends", 1);
    session.judge();
    world.was_submitted_once(&["mark-1 begins", "mark-2 escaped", "mark-1 ends"]);
    let text = world.model.text_with("mark-1 begins");
    assert!(text.contains("mark-2 escaped") && text.contains("mark-1 ends"), "{text}");
}

fn texts_that_look_like_commands_are_texts(kit: Kit) {
    let world = World::new(kit, "texts that look like commands");
    let session = world.open();
    let texts = [
        ("mark-1", r#"/usr/bin/env is what I mean, mark-1 MOCK[{"text":"a path","slow":1}]"#),
        ("mark-2", r#"!important: mark-2 MOCK[{"text":"noted","slow":1}]"#),
        ("mark-3", r#"@README.md has mark-3 MOCK[{"text":"read","slow":1}]"#),
        ("mark-4", r#"MOCK[{"text":"an end","slow":1}] mark-4 in C:\"#),
        ("mark-5", r#"MOCK[{"text":"a name","slow":1}] mark-5 like @README"#),
    ];
    for (mark, text) in texts {
        let receipt = session.send(text);
        assert_eq!(receipt["state"], "acknowledged", "{text}: {receipt:#}");
        session.wait("idle");
        session.worked(mark, 1);
    }
    session.judge();
    world.was_submitted_once(&texts.map(|(mark, _)| mark));
}

fn what_a_human_has_half_typed_is_never_mixed_with_a_message(kit: Kit) {
    let world = World::new(kit, "human half-way through a line");
    let session = world.open();
    session.press(&["-l", "half a thought"]);
    session.wait_for_screen("half a thought");
    session.queue(r#"mark-1 MOCK[{"text":"hello","slow":1}]"#);
    session.wait_until_held("composer_busy");
    assert!(session.screen().contains("half a thought"));
    assert_eq!(world.model.n_submitted("mark-1"), 0);
    session.press(&["C-u"]);
    session.wait_until_all_acknowledged();
    session.wait("idle");
    session.worked("mark-1", 1);
    session.judge();
    world.was_submitted_once(&["mark-1"]);
    assert_eq!(world.model.n_submitted("half a thought"), 0);
}
