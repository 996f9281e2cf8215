//! What an agent says while nobody listens is not lost, and nothing of it counts twice.

use std::fs;

use rustix::process::{Signal, kill_process};

use super::world::{World, wait_until};

/// Waits for a file, then says two things.
const TALKER: &str = "ao report idle; while ! test -e \"$1/go\"; do sleep 0.05; done; \
                      ao report active; ao report waiting_input -m 'which one?'; \
                      echo $? > \"$1/said.new\"; mv \"$1/said.new\" \"$1/said\"; exec sleep 600";

fn talk(world: &World) {
    fs::write(world.path("go"), "").unwrap();
    wait_until("the agent has said it", || world.path("said").exists());
    assert_eq!(fs::read_to_string(world.path("said")).unwrap(), "0\n");
}

/// What became of a session, in order.
fn became(world: &World, id: &str) -> Vec<String> {
    let printed = world.ok(&["events", "--after", "0", "--json"]);
    let events = printed.lines().map(|line| serde_json::from_str(line).unwrap());
    events
        .filter(|event: &serde_json::Value| event["session"] == id)
        .filter_map(|event| event["became"].as_str().map(str::to_owned))
        .collect()
}

fn n_starting_with(became: &[String], state: &str) -> usize {
    became.iter().filter(|it| it.starts_with(state)).count()
}

#[test]
fn what_is_reported_while_the_daemon_is_dead_is_there_when_it_comes_back() {
    let world = World::started();
    let id = world.spawn("talker", TALKER);
    world.wait_for(&id, "idle");
    let spool = world.home().join("spool").join(&id);
    // The first report may have missed the daemon by a moment, too.
    wait_until("nothing waits", || !spool.exists());
    let before = became(&world, &id);
    world.crash();
    talk(&world);
    assert_eq!(fs::read_dir(&spool).unwrap().count(), 2);

    world.ok(&["start"]);
    // Not waited for: it is known before the daemon says that it is ready.
    assert_eq!(world.session(&id)["status"], "needs_input");
    assert!(!spool.exists());
    let after = became(&world, &id);
    let news = after.strip_prefix(before.as_slice()).unwrap();
    assert_eq!(n_starting_with(news, "working"), 1, "{news:?}");
    assert_eq!(n_starting_with(news, "needs_input"), 1, "{news:?}");
    assert_eq!(world.json(&["status"])["spool"]["lost"], 0);
}

#[test]
fn a_daemon_that_stands_still_holds_no_agent_and_takes_everything_in_once() {
    let world = World::started();
    let id = world.spawn("talker", TALKER);
    world.wait_for(&id, "idle");
    let spool = world.home().join("spool").join(&id);
    wait_until("nothing waits", || !spool.exists());
    let before = became(&world, &id);
    let daemon = world.daemon_pid();
    kill_process(daemon, Signal::STOP).unwrap();
    talk(&world);
    assert_eq!(fs::read_dir(&spool).unwrap().count(), 2);
    kill_process(daemon, Signal::CONT).unwrap();

    world.wait_for(&id, "needs_input");
    wait_until("nothing waits", || !spool.exists());
    let after = became(&world, &id);
    let news = after.strip_prefix(before.as_slice()).unwrap();
    assert_eq!(n_starting_with(news, "needs_input"), 1, "{news:?}");
    assert_eq!(world.session(&id)["status"], "needs_input");
}
