//! What `ao explain` says to a person who has never seen the rules, of sessions that really live.

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::world::World;
use crate::tools::{pid_of, wait_until};

/// The texts of a list.
fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect()
}

#[test]
fn a_message_that_is_held_at_a_dialog_says_so_and_how_it_is_freed() {
    let world = World::started();
    let id = world.spawn("dialog", "ao report blocked; exec sleep 600");
    world.wait_for(&id, "needs_input");
    world.ok(&["send", &id, "fix it"]);
    wait_until("the message is held", || {
        let told = world.json(&["explain", &id]);
        let summary = told["messages"][0]["summary"].as_str().unwrap_or_default();
        summary.contains("a dialog is open") && summary.contains("`ao attach")
    });
    let told = world.json(&["explain", &id]);
    assert_eq!(told["messages"][0]["text"], "fix it");
    assert_eq!(told["rule"], "settled");
    assert_eq!(told["evidence"], "activity blocked from hook");
    assert_eq!(told["reactions"][0]["reaction"], "agent-needs-input");
    assert!(told["reactions"][0]["summary"].as_str().unwrap().contains("inbox"), "{told:#}");
    let shown = world.ok(&["explain", &id]);
    for title in ["What is known", "What is done about it", "Messages", "What would change it"] {
        assert!(shown.contains(&format!("\n{title}\n")), "{shown}");
    }
}

#[test]
fn the_death_of_a_server_is_explained_as_an_outage_with_what_a_restore_would_do() {
    let world = World::started();
    let id = world.spawn("works", "ao report active; exec sleep 600");
    world.wait_for(&id, "working");
    let server = world.json(&["show", &id])["handle"]["server_pid"].clone();
    kill_process(pid_of(&server), Signal::KILL).unwrap();
    world.wait_for(&id, "terminated");
    wait_until("its terminal is put away", || {
        world.json(&["explain", &id])["restore"]["possible"] == true
    });
    let told = world.json(&["explain", &id]);
    assert_eq!(told["rule"], "server_gone");
    assert_eq!(told["incident"]["kind"], "server_gone");
    assert_eq!(told["incident"]["sessions"], 1);
    assert_eq!(told["restore"]["with_all"], true);
    assert_eq!(texts(&told["restore"]["losses"]), ["a turn was running and is interrupted"]);
    assert_eq!(
        texts(&told["would_change"]),
        [format!("nothing but `ao restore {id}`, which reopens it")]
    );
    let replayed = world.json(&["replay", &id]);
    assert_eq!(replayed["n_differences"], 0, "{replayed:#}");
    assert_eq!(replayed["end_differences"], Value::Array(Vec::new()), "{replayed:#}");
}
