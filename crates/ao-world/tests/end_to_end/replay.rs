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

    let why = different[0]["why"][0].as_str().unwrap();
    assert!(why.starts_with("no more: tells inbox (agent-needs-input)"), "{why}");

    let shown = world.ok(&["replay", &id, "--policy", policy]);
    assert!(shown.contains("`agent-needs-input`: `enabled` is false, and was true"), "{shown}");
    assert!(shown.lines().last().unwrap().starts_with("1 difference: "), "{shown}");
    let unchanged = world.ok(&["replay", &id]);
    assert!(unchanged.starts_with("no difference: "), "{unchanged}");
    assert!(world.ok(&["replay", &id, "--all"]).contains("activity waiting_input from hook"));

    for (text, key) in [
        ("[defaults.reactions.no-such]\n", "`no-such`"),
        ("[defaults.reactions.ci-failed]\nretries = 'x'\n", ".retries`"),
        ("[defaults.reactions.ci-failed]\nescalate_after = 'soon'\n", ".escalate_after`"),
    ] {
        fs::write(world.path("policy.toml"), text).unwrap();
        let refused = world.refused(&["replay", &id, "--policy", policy]);
        assert_eq!(refused.exit, 2, "{refused:?}");
        assert!(format!("{refused:?}").contains(key), "{refused:?}");
    }
    assert_eq!(world.refused(&["replay", "hello-99"]).exit, 3);
    assert_eq!(world.refused(&["explain", "hello-99"]).exit, 3);
}
