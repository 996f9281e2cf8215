//! What is killed from outside is seen at once: passes are ten minutes apart here, so only an event
//! can explain it.

use jiff::Timestamp;
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::world::{World, is_running, pid_of, tmux, wait_until};

/// The promise: not at the next tick.
const SEEN_WITHIN_MS: i64 = 1_000;

/// Asserts that a session's last change came within a second of `killed_at`.
#[track_caller]
fn assert_seen_at_once(session: &Value, killed_at: Timestamp) {
    let changed_at: Timestamp = session["updated_at"].as_str().unwrap().parse().unwrap();
    let took = changed_at.as_millisecond() - killed_at.as_millisecond();
    assert!((-1..=SEEN_WITHIN_MS).contains(&took), "seen after {took} ms: {session:#}");
}

#[test]
fn an_agent_process_killed_by_hand_ends_its_session_within_a_second() {
    let world = World::started();
    let id = world.spawn("victim", "ao report active; exec sleep 600");
    let other = world.spawn("bystander", "ao report active; exec sleep 600");
    world.wait_for(&id, "working");
    let killed_at = Timestamp::now();
    kill_process(world.pid(&id), Signal::KILL).unwrap();
    let session = world.wait_for(&id, "errored");
    assert_seen_at_once(&session, killed_at);
    assert_eq!(session["lifecycle"]["session"]["reason"], "agent_process_exited");
    assert_eq!(session["exit"]["signal"], 9);
    assert_eq!(world.wait_for(&other, "working")["lifecycle"]["runtime"]["state"], "alive");
}

#[test]
fn an_agent_that_ends_by_itself_leaves_its_status_and_its_last_screen() {
    let world = World::started();
    let id = world.spawn("leaver", "echo 'the last words'; exit 7");
    let session = world.wait_for(&id, "errored");
    assert_eq!(session["exit"]["status"], 7);
    assert!(world.ok(&["logs", &id]).contains("the last words"));
}

#[test]
fn a_tmux_session_killed_by_hand_ends_its_session_and_no_other() {
    let world = World::started();
    let id = world.spawn("victim", "ao report active; exec sleep 600");
    let other = world.spawn("bystander", "ao report active; exec sleep 600");
    let session = world.wait_for(&id, "working");
    let name = session["handle"]["session"].as_str().unwrap();
    let killed_at = Timestamp::now();
    assert!(tmux(&session, &["kill-session", "-t", &format!("={name}")]).status.success());
    let session = world.wait_for(&id, "terminated");
    assert_seen_at_once(&session, killed_at);
    assert_eq!(session["lifecycle"]["session"]["reason"], "runtime_lost");
    world.wait_for(&other, "working");
}

#[test]
fn a_process_that_outlives_its_terminal_is_doubt_and_not_death() {
    let world = World::started();
    let id = world.spawn("stubborn", "trap '' HUP; ao report active; while :; do sleep 1; done");
    let session = world.wait_for(&id, "working");
    let name = session["handle"]["session"].as_str().unwrap();
    let killed_at = Timestamp::now();
    assert!(tmux(&session, &["kill-session", "-t", &format!("={name}")]).status.success());
    let session = world.wait_for(&id, "detecting");
    // Its process tells nothing: only the server can have.
    assert_seen_at_once(&session, killed_at);
    assert_eq!(session["lifecycle"]["session"]["reason"], "runtime_lost");
    assert!(is_running(pid_of(&session["handle"]["pid"])));
    world.ok(&["kill", &id]);
    assert!(!is_running(pid_of(&session["handle"]["pid"])));
}

#[test]
fn a_tmux_server_killed_by_hand_is_one_incident_and_every_worktree_is_kept() {
    let world = World::started();
    let ids = ["one", "two", "three"]
        .map(|name| world.spawn(name, "echo draft > draft.txt; ao report active; exec sleep 600"));
    for id in &ids {
        world.wait_for(id, "working");
    }
    let server = pid_of(&world.session(&ids[0])["handle"]["server_pid"]);
    let killed_at = Timestamp::now();
    kill_process(server, Signal::KILL).unwrap();
    for id in &ids {
        let session = world.wait_for(id, "terminated");
        assert_seen_at_once(&session, killed_at);
        assert_eq!(session["lifecycle"]["session"]["reason"], "server_gone");
        let draft = format!("{}/draft.txt", session["workspace_path"].as_str().unwrap());
        assert_eq!(std::fs::read_to_string(draft).unwrap(), "draft\n");
    }
    let urgent = || -> Vec<Value> {
        let inbox = world.json(&["inbox", "--all"]);
        let items = inbox.as_array().unwrap().iter();
        items.filter(|item| item["priority"] == "urgent").cloned().collect()
    };
    wait_until("the incident is in the inbox", || !urgent().is_empty());
    assert_eq!(urgent().len(), 1, "{:#?}", urgent());
    // The project works on: the next session gets a server of its own.
    let next = world.spawn("next", "ao report active; exec sleep 600");
    world.wait_for(&next, "working");
}
