//! A life decided again, by the binary that lived it.

use std::fs;

use serde_json::Value;

use super::world::World;

#[test]
fn a_life_is_decided_again_as_it_was_and_another_policy_shows_where_it_differs() {
    let world = World::started();
    let id = world.spawn("asker", "ao report waiting_input; exec sleep 600");
    world.wait_for(&id, "needs_input");
    world.ok(&["kill", &id]);

    let replay = world.json(&["replay", &id]);
    assert_eq!(replay["n_differences"], 0, "{replay:#}");
    assert!(replay["n_entries"].as_u64().unwrap() >= 2, "{replay:#}");

    let policy = world.path("policy.toml");
    fs::write(&policy, "[projects.hello.reactions.agent-needs-input]\nenabled = false\n").unwrap();
    let policy = policy.to_str().unwrap();
    let tried = world.json(&["replay", &id, "--policy", policy]);
    let entries = tried["entries"].as_array().unwrap();
    let different: Vec<&Value> = entries.iter().filter(|it| it["different"] == true).collect();
    assert_eq!(different.len(), 1, "{tried:#}");
    let then = different[0]["decided_then"].as_str().unwrap();
    let now = different[0]["decided_now"].as_str().unwrap();
    assert!(then.contains("tells inbox (agent-needs-input)"), "{then}");
    assert_eq!(now, "needs_input/awaiting_user_input");

    let shown = world.ok(&["replay", &id, "--policy", policy]);
    assert!(shown.lines().last().unwrap().ends_with(", 1 difference"), "{shown}");
    fs::write(world.path("policy.toml"), "[defaults.reactions.no-such]\n").unwrap();
    assert_eq!(world.refused(&["replay", &id, "--policy", policy]).exit, 2);
}
