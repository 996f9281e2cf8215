//! Every change, once, in order.

use serde_json::Value;

use super::world::World;

fn events_after(world: &World, after: u64) -> Vec<Value> {
    let printed = world.ok(&["events", "--after", &after.to_string(), "--json"]);
    // One event per line, so that a follower can read it as it comes.
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn seq(event: &Value) -> u64 {
    event["seq"].as_u64().unwrap()
}

#[test]
fn a_replay_has_every_change_once_and_in_order_across_restarts() {
    let world = World::started();
    let id = world.spawn("one", "ao report active; ao report idle; exec sleep 600");
    world.wait_for(&id, "idle");
    let before = events_after(&world, 0);
    world.crash();
    world.ok(&["start"]);
    world.ok(&["kill", &id]);
    world.ok(&["stop"]);
    world.ok(&["start"]);

    let all = events_after(&world, 0);
    assert_eq!(all[..before.len()], before);
    assert!(all.len() > before.len());
    assert!(all.windows(2).all(|pair| seq(&pair[0]) < seq(&pair[1])));
    for cursor in all.iter().map(seq) {
        let rest: Vec<_> = all.iter().filter(|event| seq(event) > cursor).cloned().collect();
        assert_eq!(events_after(&world, cursor), rest, "after {cursor}");
    }
    let became: Vec<_> = all
        .iter()
        .filter(|event| event["type"] == "session.changed" && event["session"] == id.as_str())
        .filter_map(|event| event["became"].as_str())
        .collect();
    assert_eq!(became.last(), Some(&"terminated/manually_killed"), "{all:#?}");
}

#[test]
fn every_revision_of_a_session_is_in_the_replay() {
    let world = World::started();
    let id = world.spawn("one", "ao report active; ao report waiting_input; exec sleep 600");
    let session = world.wait_for(&id, "needs_input");
    let revisions: Vec<_> = events_after(&world, 0)
        .iter()
        .filter(|event| event["session"] == id.as_str())
        .filter_map(|event| event["revision"].as_u64())
        .collect();
    assert!(revisions.is_sorted(), "{revisions:?}");
    assert_eq!(revisions.last().copied(), session["lifecycle"]["revision"].as_u64());
}
