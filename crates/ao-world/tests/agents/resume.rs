//! A session that died goes on in the same conversation.

use rustix::process::{Signal, kill_process};

use crate::for_each_agent;
use crate::history::{CRASHED, DYING, IDLE, RESTORING, RESUMED, WORKING, now_ms};
use crate::kit::{Kit, UNASKING};
use crate::tools::{is_running, pid_of};
use crate::world::World;

for_each_agent!(a_restored_session_goes_on_in_its_conversation);

fn a_restored_session_goes_on_in_its_conversation(kit: Kit) {
    let world = World::new(kit, "restore after a crash in mid-turn");
    let session = world.spawn_in(
        UNASKING,
        r#"mark-1 MOCK[{"text":"I wait","run":"touch begun; sleep 300"},{"text":"and on"}]"#,
    );
    session.wait("working");
    session.wait_for_file("begun");
    session.started();
    session.truth(WORKING, world.model.began("mark-1"));
    // Claude writes a turn down a moment after it began; before that there is nothing to resume,
    // which is a gap of its own (docs/status.md).
    session.wait_until("the turn is written down", || {
        let shown = world.ao(&["logs", &session.id, "--transcript", "-n", "200"]);
        String::from_utf8_lossy(&shown.stdout).contains("mark-1")
    });
    let before = session.show();
    let agent = pid_of(&before["handle"]["pid"]);
    let killed = now_ms();
    kill_process(agent, Signal::KILL).unwrap();
    session.wait("errored");
    session.truth(DYING, killed);
    session.truth(CRASHED, killed);

    session.wait_until("it is put away", || session.show()["phase"] == "ended");
    world.ok(&["restore", &session.id]);
    session.truth(RESTORING, None);
    session.wait("idle");
    // Codex says that it resumes when it is told something, and its screen that it rests before.
    session.perhaps(IDLE);
    session.truth(RESUMED, None);
    let receipt = session.send(r#"mark-2 MOCK[{"text":"where was I","slow":1}]"#);
    assert_eq!(receipt["state"], "acknowledged", "{receipt:#}");
    session.wait_until_at_rest();
    session.worked("mark-2", 1);

    let after = session.show();
    assert!(!after["agent_session_id"].is_null(), "{after:#}");
    assert_eq!(after["agent_session_id"], before["agent_session_id"]);
    assert!(!is_running(agent));
    assert!(is_running(pid_of(&after["handle"]["pid"])));
    let turns = world.model.turns();
    let (first, last) = (turns.first().unwrap(), turns.last().unwrap());
    assert_eq!(first["session"], last["session"], "another conversation");
    // What was said before the crash stands in the request that came after it.
    assert!(last["texts"].as_u64().unwrap() > first["texts"].as_u64().unwrap(), "{last:#}");
    session.judge();
    world.was_submitted_once(&["mark-1", "mark-2"]);
}
