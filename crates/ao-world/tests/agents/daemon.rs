//! The daemon dies at a bad moment.

use std::time::Duration;

use rustix::process::{Signal, kill_process};

use crate::for_each_agent;
use crate::history::{IDLE, WORKING};
use crate::kit::{Kit, UNASKING};
use crate::tools::{is_running, pid_of, wait_until, waited_for};
use crate::world::{World, wait_for_terminal};

for_each_agent!(
    a_turn_that_ends_while_the_daemon_is_away_has_ended_when_it_is_back,
    a_daemon_killed_while_it_types_submits_nothing_twice,
);

impl World {
    /// Kills the daemon as a crash would, and waits until it is gone.
    #[track_caller]
    fn crash(&self) {
        let daemon = pid_of(&self.json(&["status"])["pid"]);
        kill_process(daemon, Signal::KILL).unwrap();
        wait_until("the daemon is gone", || !is_running(daemon));
    }
}

fn a_turn_that_ends_while_the_daemon_is_away_has_ended_when_it_is_back(kit: Kit) {
    let world = World::new(kit, "daemon killed in mid-turn");
    let session = world.spawn_in(
        UNASKING,
        r#"mark-1 MOCK[{"text":"I work","run":"sleep 3","slow":1},{"text":"finished","slow":1}]"#,
    );
    session.wait("working");
    session.wait_until("the turn runs", || world.model.n_submitted("mark-1") == 1);
    let shown = session.show();
    world.crash();
    wait_until("the turn is at its end", || world.model.turns().len() == 2);
    wait_for_terminal(&shown, "finished");
    world.ok(&["start"]);
    session.wait("idle");
    session.started();
    session.truth(WORKING, world.model.began("mark-1"));
    session.truth(IDLE, None);
    let receipt = session.send(r#"mark-2 MOCK[{"text":"still here","slow":1}]"#);
    assert_eq!(receipt["state"], "acknowledged", "{receipt:#}");
    session.wait("idle");
    session.worked("mark-2", 1);
    session.judge();
    world.was_submitted_once(&["mark-1", "mark-2"]);
}

fn a_daemon_killed_while_it_types_submits_nothing_twice(kit: Kit) {
    let world = World::new(kit, "daemon killed while typing");
    let session = world.open();
    for round in 1..=4 {
        let mark = format!("mark-{round}");
        session.queue(&format!(r#"{mark} MOCK[{{"text":"hello"}}]"#));
        let state = || session.messages().last().unwrap()["state"].as_str().unwrap().to_owned();
        session.wait_until("it is being typed", || state() != "queued");
        world.crash();
        world.ok(&["start"]);
        // Evidence may still come for what is in doubt at first.
        let is_in = || state() == "acknowledged" && world.model.n_submitted(&mark) == 1;
        if !waited_for(Duration::from_secs(10), is_in) {
            assert_eq!(
                state(),
                "in_doubt",
                "{mark} was submitted {}x",
                world.model.n_submitted(&mark)
            );
            assert_eq!(world.model.n_submitted(&mark), 0);
            world.ledger().borrow_mut().note(&["message", &mark, "0", "in_doubt"]);
            // What is left in the composer is for a person to decide on.
            session.press(&["C-u"]);
        } else {
            world.was_submitted_once(&[&mark]);
        }
        session.wait("idle");
    }
}
