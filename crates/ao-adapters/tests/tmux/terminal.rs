//! Terminals: what only tmux can show.

use ao_core::fact::RuntimeProbe;
use ao_core::ports::{AttachMode, Ensured, Runtime as _, RuntimeError, Terminal as _};
use ao_core::session::RuntimeHandle;
use ao_testkit::contract::runtime::{Program, RuntimeHarness as _};
use ao_testkit::contract::wait_until;

use super::{Harness, with_harness};

/// A terminal that has shown this text, and waits.
async fn showing(harness: &Harness, session: &str, script: &str, shown: &str) -> RuntimeHandle {
    let script = format!("{script}; exec tail -f /dev/null");
    let handle = harness.create(session, &["sh", "-c", &script]).await;
    wait_until(&harness.clock, "the text is shown", async || {
        harness.tmux.get_output(&handle, 10_000).await.unwrap().contains(shown)
    })
    .await;
    handle
}

#[test]
fn output_reaches_back_beyond_the_screen_and_no_further_than_asked() {
    with_harness(&async |harness: &Harness| {
        let handle = showing(harness, "app-1", "seq 1 200; echo 'end  '", "end").await;
        let output = async |n_lines| harness.tmux.get_output(&handle, n_lines).await.unwrap();
        assert_eq!(output(3).await, "199\n200\nend");
        assert_eq!(output(10_000).await.lines().count(), 201);
        assert_eq!(output(0).await, "");
    });
}

#[test]
fn a_line_longer_than_the_screen_is_one_line_of_output() {
    with_harness(&async |harness: &Harness| {
        let long = "x".repeat(500);
        let handle = showing(harness, "app-1", &format!("echo {long}; echo end"), "end").await;
        assert_eq!(harness.tmux.get_output(&handle, 10).await.unwrap(), format!("{long}\nend"));
    });
}

#[test]
fn a_look_shows_screen_title_and_mode() {
    with_harness(&async |harness: &Harness| {
        let script = r"printf '\033]2;a: %%b ✳ c\007'; echo 'grün 漢字'; echo done";
        let handle = showing(harness, "app-1", script, "done").await;
        let look = harness.tmux.look(&handle).await.unwrap();
        assert_eq!(look.screen, "grün 漢字\ndone");
        assert_eq!(look.title, "a: %b ✳ c");
        assert!(!look.is_in_mode && !look.is_human_typing);
        let copy = ["copy-mode", "-t", &handle.pane];
        assert!(harness.by_hand(&handle.server.socket, &copy).await.status.success());
        assert!(harness.tmux.look(&handle).await.unwrap().is_in_mode);
    });
}

#[test]
fn a_mebibyte_arrives_as_it_was_sent() {
    with_harness(&async |harness: &Harness| {
        let argv = harness.argv(Program::Records);
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let handle = harness.create("app-1", &argv).await;
        wait_until(&harness.clock, "it records", async || harness.is_recording(&handle).await)
            .await;
        let text = "0123456789 grün\t→\n".repeat(ao_core::message::MESSAGE_BYTES_MAX / 22);
        harness.tmux.paste(&handle, &text).await.unwrap();
        wait_until(&harness.clock, "all of it arrived", async || {
            harness.recorded(&handle).len() >= text.len()
        })
        .await;
        assert!(harness.recorded(&handle) == text, "something else arrived");
        let buffers = harness.by_hand(&handle.server.socket, &["list-buffers"]).await;
        assert_eq!(buffers.stdout_text(), "", "no text is left in the server");
    });
}

#[test]
fn a_paste_is_bracketed_where_the_program_asked_for_it() {
    with_harness(&async |harness: &Harness| {
        let script = r"stty raw -echo; printf '\033[?2004hready\r\n'; exec cat > recorded";
        let handle = harness.create("app-1", &["sh", "-c", script]).await;
        wait_until(&harness.clock, "it records", async || harness.is_recording(&handle).await)
            .await;
        harness.tmux.paste(&handle, "one\ntwo").await.unwrap();
        let expected = "\u{1b}[200~one\ntwo\u{1b}[201~";
        wait_until(&harness.clock, "it arrived", async || harness.recorded(&handle) == expected)
            .await;
    });
}

#[test]
fn a_line_reader_gets_lines() {
    with_harness(&async |harness: &Harness| {
        let handle =
            harness.create("app-1", &["sh", "-c", "echo ready; exec cat > recorded"]).await;
        wait_until(&harness.clock, "it records", async || {
            harness.tmux.get_output(&handle, 10).await.unwrap().starts_with("ready")
        })
        .await;
        harness.tmux.paste(&handle, "one\ntwo").await.unwrap();
        harness.tmux.press(&handle, "Enter").await.unwrap();
        let recorded = || std::fs::read_to_string(harness.file("recorded")).unwrap_or_default();
        wait_until(&harness.clock, "it arrived", async || recorded() == "one\ntwo\n").await;
    });
}

#[test]
fn a_word_that_is_no_key_is_not_typed_letter_by_letter() {
    with_harness(&async |harness: &Harness| {
        let handle = showing(harness, "app-1", "echo ready", "ready").await;
        for word in ["Entre", "hello", "-l", "C-"] {
            let pressed = harness.tmux.press(&handle, word).await;
            assert!(matches!(pressed, Err(RuntimeError::Refused { .. })), "{word}: {pressed:?}");
        }
        assert_eq!(harness.tmux.get_output(&handle, 10).await.unwrap(), "ready");
    });
}

#[test]
fn what_a_human_started_in_the_pane_of_a_runtime_is_not_that_runtime() {
    with_harness(&async |harness: &Harness| {
        let handle = showing(harness, "app-1", "echo ready", "ready").await;
        let respawn = ["respawn-pane", "-k", "-t", &handle.pane, "tail -f /dev/null"];
        assert!(harness.by_hand(&handle.server.socket, &respawn).await.status.success());
        // Nothing is typed at it, and no end of the runtime is its end.
        let gone = RuntimeError::Gone { name: handle.session.clone() };
        assert_eq!(harness.tmux.press(&handle, "C-c").await, Err(gone));
        assert_eq!(harness.tmux.is_alive(&handle).await.runtime, RuntimeProbe::Missing);
        assert_eq!(harness.tmux.destroy(&handle).await, Ok(Ensured::AlreadyThere));
        let panes = ["list-panes", "-a", "-F", "#{pane_id} #{pane_dead}"];
        let left = harness.by_hand(&handle.server.socket, &panes).await;
        assert_eq!(left.stdout_text().trim(), format!("{} 0", handle.pane));
    });
}

#[test]
fn an_interrupt_reaches_the_program() {
    with_harness(&async |harness: &Harness| {
        let handle = showing(harness, "app-1", "echo ready", "ready").await;
        harness.tmux.press(&handle, "C-c").await.unwrap();
        wait_until(&harness.clock, "it ended", async || {
            harness.tmux.is_alive(&handle).await.exit.is_some()
        })
        .await;
    });
}

/// Attaches from inside another terminal, as a human would.
async fn attached(harness: &Harness, inner: &RuntimeHandle, mode: AttachMode) -> RuntimeHandle {
    let argv = harness.tmux.attach_command(inner, mode);
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let outer = harness.create("human-1", &argv).await;
    wait_until(&harness.clock, "the inner screen is shown outside", async || {
        harness.tmux.look(&outer).await.unwrap().screen.contains("inner screen")
    })
    .await;
    outer
}

#[test]
fn a_human_who_types_is_noticed() {
    with_harness(&async |harness: &Harness| {
        let inner = showing(harness, "app-1", "echo inner screen", "screen").await;
        let outer = attached(harness, &inner, AttachMode::Interactive).await;
        harness.tmux.press(&outer, "x").await.unwrap();
        wait_until(&harness.clock, "the key arrived", async || {
            harness.tmux.look(&inner).await.unwrap().screen.ends_with('x')
        })
        .await;
        assert!(harness.tmux.look(&inner).await.unwrap().is_human_typing);
        assert_eq!(harness.tmux.destroy(&outer).await.map(drop), Ok(()));
        wait_until(&harness.clock, "nobody is attached", async || {
            !harness.tmux.look(&inner).await.unwrap().is_human_typing
        })
        .await;
    });
}

#[test]
fn a_human_who_only_watches_types_nothing() {
    with_harness(&async |harness: &Harness| {
        let inner = showing(harness, "app-1", "echo inner screen", "screen").await;
        let outer = attached(harness, &inner, AttachMode::ReadOnly).await;
        harness.tmux.press(&outer, "x").await.unwrap();
        let look = harness.tmux.look(&inner).await.unwrap();
        assert_eq!((&*look.screen, look.is_human_typing), ("inner screen", false));
    });
}
