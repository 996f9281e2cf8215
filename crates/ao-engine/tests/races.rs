//! Two things at once: kills that meet kills, a dialog that opens while text is typed, machinery
//! that does not end at the first try.

use std::time::Duration;

use ao_core::ports::{Clock as _, RemovalMode};
use ao_core::record::ActivityState;
use ao_core::session::Phase;
use ao_engine::SendRequest;
use ao_testkit::machine::{Fault, Op};

use crate::harness::World;

#[test]
fn a_discard_that_meets_a_careful_kill_is_not_lost() {
    let world = World::new(1);
    let id = world.spawn("mute");
    let path = world.session(&id).record.workspace.path;
    assert!(world.workspace.write(&path, "notes.txt", "uncommitted"));
    world.machine.fail_next(Op::Destroy, Fault::Slow(Duration::from_secs(2)));
    let engine = world.engine();
    let (_, discarded) = world.tasks.block_on(async {
        let careful = engine.sessions.kill(&id, RemovalMode::Careful, None);
        let discard = async {
            world.clock.sleep(Duration::from_secs(1)).await;
            engine.sessions.kill(&id, RemovalMode::Discard, None).await
        };
        Box::pin(futures_util::future::join(careful, discard)).await
    });
    assert_eq!(discarded.unwrap().workspace.as_str(), "removed");
    world.check_clean();
}

#[test]
fn a_caller_of_a_kill_is_spared_though_another_kill_comes() {
    let world = World::new(2);
    let id = world.spawn("mute");
    let caller = world.machine.start_child(world.machine.agent_of(&id).unwrap().pid);
    world.machine.leave_session(caller);
    world.machine.fail_next(Op::Scan, Fault::Slow(Duration::from_secs(2)));
    let engine = world.engine();
    world.tasks.block_on(async {
        let own = engine.sessions.kill(&id, RemovalMode::Careful, Some(caller));
        let other = async {
            world.clock.sleep(Duration::from_secs(1)).await;
            engine.sessions.kill(&id, RemovalMode::Careful, None).await
        };
        let (own, other) = Box::pin(futures_util::future::join(own, other)).await;
        own.unwrap();
        other.unwrap();
    });
    assert_eq!(world.running(), [caller]);
}

#[test]
fn a_dialog_that_opens_while_text_is_pasted_gets_no_enter() {
    let world = World::new(3);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::Active);
    world.machine.fail_next(Op::Paste, Fault::Slow(Duration::from_secs(2)));
    let text = "yes".to_owned();
    let request = SendRequest { session: id.clone(), text, idempotency_key: None };
    world.tasks.block_on(world.engine().messenger.send(request)).unwrap();
    world.pass_time(Duration::from_secs(1));
    world.signal(&id, ActivityState::Blocked);
    world.pass_time(Duration::from_secs(10));
    assert_eq!(world.machine.keys(&id), [""; 0]);
    assert_eq!(world.messages(&id), ["in_doubt blocked: yes"]);
}

#[test]
fn a_terminal_that_stayed_is_put_away_by_the_next_pass() {
    let world = World::new(4);
    let id = world.spawn("mute");
    world.until_status(&id, "working");
    world.machine.fail_next(Op::Destroy, Fault::Refuse);
    world.machine.kill_process(world.machine.agent_of(&id).unwrap().pid);
    world.until(&id, |session| session.lifecycle.is_terminal());
    // Two intervals of the reaper, far from the next pass that looks at everything.
    world.pass_time(Duration::from_secs(10));
    assert_eq!(world.machine.sessions(), []);
    world.check(&id, "errored (terminated/agent_process_exited, exited/process_missing, ended, worktree present)");
}

#[test]
fn many_ends_at_once_keep_neither_each_other_nor_a_death_waiting() {
    const ENDED: usize = 16;
    const EACH: Duration = Duration::from_secs(4);
    let world = World::new(11);
    let ids: Vec<_> = (0..ENDED).map(|_| world.spawn("mute")).collect();
    let last = world.spawn("mute");
    ids.iter().chain([&last]).for_each(|id| world.until_status(id, "working"));
    for id in &ids {
        world.machine.fail_next(Op::Destroy, Fault::Slow(EACH));
        world.machine.kill_process(world.machine.agent_of(id).unwrap().pid);
    }
    let began = world.clock.now();
    let passed = || world.clock.now().since(&began);
    for id in &ids {
        world.until(id, |session| session.lifecycle.is_terminal());
    }
    // While terminals are still being ended, another death is seen.
    world.machine.kill_process(world.machine.agent_of(&last).unwrap().pid);
    world.until(&last, |session| session.lifecycle.is_terminal());
    assert!(passed() < EACH * 2, "{:?}", passed());
    for id in &ids {
        world.until(id, |session| session.record.phase == Phase::Ended);
    }
    assert!(passed() < EACH * 4, "one after the other they take {:?}", EACH * 16);
}

#[test]
fn launch_files_that_stayed_are_removed_by_a_later_pass() {
    let world = World::new(10);
    let id = world.spawn("mute");
    world.until_status(&id, "working");
    world.machine.fail_next(Op::RemoveLaunch, Fault::Refuse);
    world.kill(&id);
    world.pass_time(Duration::from_mins(1));
    assert_eq!(world.machine.launches_with_files(), []);
    world.check(&id, "killed (terminated/manually_killed, exited/manual_kill_requested, ended, worktree removed)");
}

#[test]
fn a_session_with_machinery_left_is_not_removed() {
    let world = World::new(5);
    let id = world.spawn("mute");
    world.until_status(&id, "working");
    world.machine.fail_next(Op::Destroy, Fault::Refuse);
    world.machine.kill_process(world.machine.agent_of(&id).unwrap().pid);
    world.until(&id, |session| session.lifecycle.is_terminal());
    let engine = world.engine();
    let refused = world.tasks.block_on(engine.sessions.remove(&id));
    assert!(refused.is_err(), "its terminal would be nobody's");
    world.pass_time(Duration::from_mins(3));
    world.kill(&id);
    world.tasks.block_on(engine.sessions.remove(&id)).unwrap();
    assert_eq!(world.machine.sessions(), []);
}

#[test]
fn a_process_that_died_behind_a_silent_server_is_told_once_and_written_once() {
    let world = World::new(6);
    let id = world.spawn("mute");
    world.until_status(&id, "working");
    world.machine.server_unreachable(&crate::harness::project_id());
    world.machine.kill_process(world.machine.agent_of(&id).unwrap().pid);
    world.pass_time(Duration::from_secs(30));
    world.until_status(&id, "stuck");
    let n_before = world.store.n_commits();
    world.pass_time(Duration::from_mins(10));
    assert_eq!(world.store.n_commits(), n_before, "{}", world.shown(&id));
    assert_eq!(world.told(), ["agent-stuck"]);
}

#[test]
fn a_launch_that_fails_because_the_daemon_stops_goes_on_with_the_next_one() {
    let world = World::new(7);
    world.machine.set_exec_held(true);
    let engine = world.engine();
    let id = world.tasks.block_on(engine.sessions.spawn(world.request("mute"))).unwrap();
    world.until(&id, |session| session.record.handle.is_some());
    world.tasks.block_on(engine.shutdown());
    world.pass_time(Duration::from_secs(15));
    world.crash();
    world.machine.set_exec_held(false);
    world.boot();
    world.until_status(&id, "working");
}

#[test]
fn the_oldest_of_very_many_messages_is_typed_first() {
    let world = World::new(8);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::Blocked);
    for n in 0..1_100 {
        let text = format!("{n}");
        let request = SendRequest { session: id.clone(), text, idempotency_key: None };
        world.tasks.block_on(world.engine().messenger.send(request)).unwrap();
    }
    world.signal(&id, ActivityState::Idle);
    world.pass_time(Duration::from_secs(2));
    assert_eq!(world.machine.pastes(&id).first().map(String::as_str), Some("0"));
}

#[test]
fn a_session_whose_store_row_is_gone_stops_no_loop() {
    let world = World::new(9);
    let ids = [world.spawn("mute"), world.spawn("mute")];
    for id in &ids {
        world.until_status(id, "working");
    }
    world.kill(&ids[0]);
    world.tasks.block_on(world.engine().sessions.remove(&ids[0])).unwrap();
    world.machine.kill_process(world.machine.agent_of(&ids[1]).unwrap().pid);
    world.until(&ids[1], |session| session.lifecycle.is_terminal());
    world.pass_time(Duration::from_mins(2));
    assert_eq!(world.told(), ["agent-exited"]);
    assert_eq!(world.tasks.take_panics(), [""; 0]);
}

#[test]
fn an_end_is_written_down_at_once_whichever_of_its_writes_meets_another() {
    for nth in 1..=6 {
        let world = World::new(nth);
        let id = world.spawn("scripted");
        world.signal(&id, ActivityState::Idle);
        world.pass_time(Duration::from_secs(20));
        world.store.conflict_next(nth);
        world.machine.kill_process(world.machine.agent_of(&id).unwrap().pid);
        world.pass_time(Duration::from_secs(3));
        let phase = world.session(&id).record.phase.as_str();
        assert_eq!(phase, "ended", "the {nth}. write conflicts: {}", world.shown(&id));
    }
}
