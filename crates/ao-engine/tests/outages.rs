//! Outages: one server, one reboot, one incident. An answer that is no answer ends nothing.

use std::time::Duration;

use crate::harness::{World, project_id};
use ao_core::time::Timestamp;

#[test]
fn a_server_that_is_gone_is_one_incident_and_every_worktree_stays() {
    for seed in 0..20 {
        let world = World::new(seed);
        let ids: Vec<_> = (0..8).map(|_| world.spawn("mute")).collect();
        for id in &ids {
            world.until_status(id, "working");
        }
        world.machine.kill_server(&project_id());
        for id in &ids {
            world.until(id, |session| session.lifecycle.is_terminal());
        }
        world.pass_time(Duration::from_secs(2));
        for id in &ids {
            world.check(
                id,
                "terminated (terminated/server_gone, missing/server_gone, ended, worktree present)",
            );
        }
        assert_eq!(world.told(), ["infrastructure"], "seed {seed}");
        assert_eq!(world.n_incidents(), 1);
    }
}

#[test]
fn a_reboot_ends_its_sessions_although_the_wall_clock_was_set_back() {
    let world = World::new(1);
    let id = world.spawn("mute");
    world.crash();
    world.machine.reboot(Duration::from_mins(5));
    world.clock.jump_wall_to(Timestamp::from_millis(1_000));
    world.boot();
    world.pass_time(Duration::from_secs(2));
    world.check(
        &id,
        "terminated (terminated/host_rebooted, missing/host_rebooted, ended, worktree present)",
    );
}

#[test]
fn a_reboot_is_one_incident_across_a_restart_of_the_daemon() {
    let world = World::new(1);
    let ids: Vec<_> = (0..3).map(|_| world.spawn("mute")).collect();
    world.crash();
    world.machine.reboot(Duration::from_mins(5));
    world.boot();
    for id in &ids {
        world.pass_time(Duration::from_secs(2));
        world.check(
            id,
            "terminated (terminated/host_rebooted, missing/host_rebooted, ended, worktree present)",
        );
    }
    assert_eq!(world.told(), ["infrastructure"]);
}

#[test]
fn a_server_that_does_not_answer_ends_no_session_however_long() {
    let world = World::new(2);
    let ids: Vec<_> = (0..6).map(|_| world.spawn("mute")).collect();
    for id in &ids {
        world.until_status(id, "working");
    }
    world.machine.server_unreachable(&project_id());
    world.pass_time(Duration::from_mins(20));
    for id in &ids {
        assert!(!world.session(id).lifecycle.is_terminal(), "{}", world.shown(id));
    }
    world.machine.set_server_reachable(&project_id(), true);
    for id in &ids {
        world.until_status(id, "working");
    }
}

#[test]
fn an_agent_that_dies_under_a_server_that_does_not_answer_ends_its_session_only_when_it_answers() {
    let world = World::new(14);
    let id = world.spawn("mute");
    world.until_status(&id, "working");
    world.machine.server_unreachable(&project_id());
    world.machine.kill_process(world.machine.agent_of(&id).unwrap().pid);
    world.pass_time(Duration::from_mins(20));
    assert!(!world.session(&id).lifecycle.is_terminal(), "{}", world.shown(&id));
    world.machine.set_server_reachable(&project_id(), true);
    world.until(&id, |session| session.lifecycle.is_terminal());
}

#[test]
fn a_session_killed_by_hand_while_its_agent_lives_on_is_in_doubt_and_not_ended() {
    let world = World::new(3);
    let id = world.spawn("mute");
    world.until_status(&id, "working");
    let agent = world.machine.agent_of(&id).unwrap().pid;
    world.machine.ignore_signals(agent);
    world.machine.kill_session(&id);
    world.until_status(&id, "detecting");
    world.pass_time(Duration::from_mins(10));
    assert!(!world.session(&id).lifecycle.is_terminal(), "{}", world.shown(&id));
    world.kill(&id);
    assert_eq!(world.running(), []);
}

#[test]
fn a_laptop_that_slept_escalates_nothing() {
    let world = World::new(4);
    let id = world.spawn("scripted");
    world.signal(&id, ao_core::record::ActivityState::Active);
    world.clock.suspend(Duration::from_hours(9));
    world.pass_time(Duration::from_secs(30));
    world.until_status(&id, "working");
    assert_eq!(world.told(), [""; 0]);
}

#[test]
fn stopping_and_starting_the_daemon_touches_no_agent() {
    let world = World::new(5);
    let ids: Vec<_> = (0..4).map(|_| world.spawn("mute")).collect();
    let before: Vec<_> = ids.iter().map(|id| world.machine.agent_of(id).unwrap()).collect();
    world.tasks.block_on(world.engine().shutdown());
    world.crash();
    world.boot();
    let after: Vec<_> = ids.iter().map(|id| world.machine.agent_of(id).unwrap()).collect();
    assert_eq!(before, after);
    for id in &ids {
        world.until_status(id, "working");
    }
}

#[test]
fn the_first_look_of_a_daemon_that_was_away_calls_nobody() {
    let world = World::new(6);
    let id = world.spawn("mute");
    world.until_status(&id, "working");
    world.machine.server_unreachable(&project_id());
    world.until_status(&id, "detecting");
    world.crash();
    world.clock.advance(Duration::from_mins(10));
    world.boot();
    world.until_status(&id, "detecting");
    assert_eq!(world.told(), [""; 0]);
    world.pass_time(Duration::from_secs(20));
    world.until_status(&id, "stuck");
    world.pass_time(Duration::from_secs(2));
    assert_eq!(world.told(), ["agent-stuck"]);
}
