//! The prompt that a session is started with.

use crate::for_each_agent;
use crate::kit::Kit;
use crate::messages::long_text;
use crate::world::World;

for_each_agent!(
    a_prompt_on_launch_is_taken_in_once,
    a_prompt_of_two_hundred_kilobytes_is_taken_in_whole
);

fn a_prompt_on_launch_is_taken_in_once(kit: Kit) {
    let world = World::new(kit, "prompt on launch");
    let session = world.spawn(r#"mark-1 MOCK[{"text":"hello","slow":2}]"#);
    session.wait("working");
    session.wait("idle");
    session.started();
    session.worked("mark-1", 2);
    session.judge();
    world.was_submitted_once(&["mark-1"]);
}

fn a_prompt_of_two_hundred_kilobytes_is_taken_in_whole(kit: Kit) {
    let world = World::new(kit, "prompt of 200 kB");
    let prompt = long_text("mark-1", 200_000);
    let session = world.spawn(&prompt);
    session.wait("working");
    session.wait("idle");
    session.started();
    session.worked("mark-1", 1);
    session.judge();
    world.was_submitted_once(&["mark-1-begins", "mark-1-ends"]);
    world.model.had_whole("mark-1-ends", prompt.len());
}
