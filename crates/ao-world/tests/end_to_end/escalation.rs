//! A deadline outlives the daemon, and rings once.

use std::fs;

use serde_json::Value;

use super::world::{World, wait_until};

#[test]
fn a_deadline_that_the_daemon_dies_under_escalates_exactly_once() {
    let world = World::new();
    let config = "[projects.hello.reactions.agent-needs-input]\nescalate_after = \"2s\"\n";
    fs::write(world.home().join("config.toml"), config).unwrap();
    world.ok(&["start"]);
    world.ok(&["project", "add", world.repo().to_str().unwrap(), "--id", "hello"]);
    let id = world.spawn("asker", "ao report waiting_input; exec sleep 600");
    world.wait_for(&id, "needs_input");
    world.crash();
    world.ok(&["start"]);

    let escalated = || -> Vec<Value> {
        let inbox = world.json(&["inbox", "--all"]);
        let items = inbox.as_array().unwrap().iter();
        items.filter(|item| item["reaction"] == "reaction.escalated").cloned().collect()
    };
    wait_until("it is escalated", || !escalated().is_empty());
    // A start returns after a pass and a dispatch: whatever would ring twice has rung by then.
    world.crash();
    world.ok(&["start"]);
    assert_eq!(escalated().len(), 1, "{:#?}", escalated());
    assert_eq!(escalated()[0]["session"], id.as_str());
}
