//! More sessions than places: who waits is shown, can be killed, and starts when a place is free.

use std::fs;
use std::thread;

use serde_json::Value;

use super::world::{World, is_running};

/// A world with two places, in which programs take one each like agents.
fn world() -> World {
    let world = World::new();
    configure(&world, "[capacity]\nmax = 2\nweight = { command = 1 }\n");
    world.start();
    world
}

fn configure(world: &World, text: &str) {
    fs::write(world.home().join("config.toml"), text).unwrap();
}

fn sleepers<const N: usize>(world: &World, names: [&str; N]) -> [String; N] {
    names.map(|name| world.spawn(name, "ao report active; exec sleep 600"))
}

/// The ids that wait, as `ao status` tells them.
fn queue(world: &World) -> Vec<String> {
    ids(&world.json(&["status"])["capacity"]["queue"])
}

fn ids(value: &Value) -> Vec<String> {
    let all = value.as_array().unwrap().iter();
    all.map(|it| it["session"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn beyond_the_places_sessions_wait_in_their_order_and_everybody_can_see_for_whom() {
    let world = world();
    let [first, second, third, fourth] = sleepers(&world, ["one", "two", "three", "four"]);
    world.wait_for(&first, "working");
    let waiting = world.session(&fourth);
    assert_eq!((&waiting["status"], &waiting["phase"]), (&"queued".into(), &"queued".into()));
    assert_eq!(waiting["lifecycle"]["session"]["reason"], "queued_for_capacity");
    assert_eq!((&waiting["queue"]["position"], &waiting["queue"]["of"]), (&2.into(), &2.into()));
    assert!(!fs::exists(waiting["workspace_path"].as_str().unwrap()).unwrap());
    assert_eq!(world.worktrees().len(), 3);

    let capacity = &world.json(&["status"])["capacity"];
    assert_eq!((&capacity["max"], &capacity["taken"]), (&2.into(), &2.into()));
    assert_eq!(ids(&capacity["holders"]), [first.clone(), second.clone()]);
    let listed = world.ao(&["ls"]);
    let (table, note) =
        (String::from_utf8_lossy(&listed.stdout), String::from_utf8_lossy(&listed.stderr));
    assert!(table.contains("queued (1)") && table.contains("queued (2)"), "{table}");
    let told = format!("2 sessions wait for a place; 2 of 2 are taken, by {first}, {second}.");
    assert!(note.contains(&told), "{note}");
    let account = world.ok(&["explain", &third]);
    assert!(account.contains("number 1 of 2; all 2 places are taken, by"), "{account}");

    world.ok(&["kill", &first]);
    world.wait_for(&third, "working");
    assert_eq!(queue(&world), [fourth.as_str()]);
    // An agent that ends by itself frees its place, too.
    rustix::process::kill_process(world.pid(&second), rustix::process::Signal::KILL).unwrap();
    world.wait_for(&fourth, "working");
    assert_eq!(queue(&world), [""; 0]);
}

#[test]
fn one_that_waits_is_killed_and_a_killed_daemon_keeps_the_others_in_their_order() {
    let world = world();
    let [first, _second, third, fourth, fifth] =
        sleepers(&world, ["one", "two", "three", "four", "five"]);
    let killed = world.json(&["kill", &third]);
    assert_eq!(killed["workspace"], "removed");
    assert_eq!(world.session(&third)["status"], "killed");
    world.crash();
    configure(&world, "[capacity]\nmax = 3\nweight = { command = 1 }\n");
    world.ok(&["start"]);
    // The cap that was raised meanwhile lets the next one start.
    world.wait_for(&fourth, "working");
    assert_eq!(queue(&world), [fifth.as_str()]);
    // An ended session is brought back when there is a place, and not before.
    world.ok(&["kill", &first]);
    world.wait_for(&fifth, "working");
    let restored = world.json(&["restore", &first]);
    assert_eq!(restored["status"], "queued");
    world.ok(&["kill", &fifth]);
    world.wait_for(&first, "working");
}

#[test]
fn spawns_that_race_take_no_more_places_than_there_are() {
    let world = world();
    let results: Vec<String> = thread::scope(|scope| {
        let spawn = |n: usize| {
            let world = &world;
            scope.spawn(move || world.spawn(&format!("racer-{n}"), "exec sleep 600"))
        };
        let racers: Vec<_> = (0..8).map(spawn).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert_eq!(results.len(), 8);
    let capacity = &world.json(&["status"])["capacity"];
    assert_eq!((&capacity["live"], &capacity["queued"]), (&2.into(), &6.into()));
    assert_eq!(world.worktrees().len(), 3);
    // Ending all of them starts none of those that wait.
    world.ok(&["kill", "--all", "--project", "hello"]);
    assert_eq!(queue(&world), [""; 0]);
    for session in world.json(&["ls", "--all"]).as_array().unwrap() {
        assert_eq!(session["status"], "killed", "{session:#}");
        let id = session["id"].as_str().unwrap();
        let journal = world.ok(&["replay", id, "--all"]);
        assert!(!journal.contains("place_found"), "{journal}");
    }
}

#[test]
fn what_can_never_start_is_refused_and_programs_take_no_place_unless_they_are_given_one() {
    let world = world();
    configure(&world, "[capacity]\nmax = 2\nweight = { command = 3 }\n");
    world.ok(&["stop"]);
    world.ok(&["start"]);
    let refused = world.refused(&["spawn", "--project", "hello", "--", "sleep", "600"]);
    assert_eq!((refused.code.as_str(), refused.exit), ("CAPACITY", 4));
    assert_eq!(refused.message, "it takes 3 places, and there are 2");
    assert_eq!(world.json(&["ls", "--all"]).as_array().unwrap().len(), 0);

    configure(&world, "[capacity]\nmax = 1\n");
    world.ok(&["stop"]);
    world.ok(&["start"]);
    for id in sleepers(&world, ["one", "two", "three"]) {
        world.wait_for(&id, "working");
        assert!(is_running(world.pid(&id)));
    }
    assert_eq!(world.json(&["status"])["capacity"]["taken"], 0);
}
