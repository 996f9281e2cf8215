//! What agents show and write down corrects what a lost hook left wrong, and nothing else.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ao_core::fact::{FactKind, SignalDetail};
use ao_core::ids::SessionId;
use ao_core::ports::{ChangeFeed as _, Clock as _, SessionStore as _};
use ao_core::reading::Usage;
use ao_core::record::{ActivitySource, ActivityState};
use ao_engine::{RestoreRequest, SendRequest, SpawnRequest};
use ao_testkit::machine::{Fault, Op};
use ao_testkit::scripted_agent::ScriptedAgent;

use crate::harness::World;

/// What a wrong status may last: one look, and the time that it takes.
const SOON: Duration = Duration::from_secs(1);

fn directory(world: &World, id: &SessionId) -> PathBuf {
    world.session(id).record.workspace.path
}

/// Writes `STATE@now`, and whatever else, into the status file of a session's agent.
fn write_status(world: &World, id: &SessionId, state: &str, rest: &str) {
    let path = ScriptedAgent::status_path(&directory(world, id));
    let now = world.clock.now().wall.as_millis();
    world.machine.write_file(&path, &format!("{state}@{now}{rest}\n"));
}

/// Appends a line to the transcript of a session's agent; `@` becomes `@now`.
fn append(world: &World, id: &SessionId, line: &str) {
    let path = ScriptedAgent::transcript_path(&directory(world, id));
    let now = world.clock.now().wall.as_millis();
    world.machine.append_file(&path, &format!("{}\n", line.replace("@ ", &format!("@{now} "))));
}

/// A session whose agent works, as it said itself a while ago.
fn working(world: &World, agent: &str) -> SessionId {
    let id = world.spawn(agent);
    world.signal(&id, ActivityState::Active);
    world.pass_time(Duration::from_secs(3));
    id
}

fn signal_with(world: &World, id: &SessionId, state: ActivityState, detail: SignalDetail) {
    let mut fact = world.tasks.block_on(world.signal_now(id, state));
    if let FactKind::Signal(signal) = &mut fact.kind {
        signal.detail = Some(detail);
    }
    world.tasks.block_on(world.engine().lifecycle.observe(id, fact)).unwrap();
}

/// `STATE from SOURCE`, or with its detail.
fn activity(world: &World, id: &SessionId) -> String {
    let activity = world.session(id).lifecycle.activity;
    activity.map_or_else(
        || "nothing".to_owned(),
        |it| match it.detail {
            Some(detail) => format!("{} ({detail}) from {}", it.state, it.source),
            None => format!("{} from {}", it.state, it.source),
        },
    )
}

#[test]
fn a_turn_whose_end_no_hook_told_ends_with_the_status_file() {
    let world = World::new(1);
    let id = working(&world, "native");
    let ended_at = world.clock.now();
    write_status(&world, &id, "idle", "");
    world.pass_time(SOON);
    assert_eq!(activity(&world, &id), "idle from native");
    let known = world.session(&id).lifecycle.activity.unwrap();
    assert_eq!(known.at.since_boot, ended_at.since_boot, "it is as old as the agent says");
    write_status(&world, &id, "active", "");
    world.pass_time(SOON);
    assert_eq!(activity(&world, &id), "active from native");
}

#[test]
fn a_hook_that_was_heard_since_is_not_corrected_by_an_older_status() {
    let world = World::new(2);
    let id = world.spawn("native");
    write_status(&world, &id, "idle", "");
    world.pass_time(SOON);
    assert_eq!(activity(&world, &id), "idle from native");
    world.answer(&id);
    world.pass_time(Duration::from_mins(2));
    assert_eq!(activity(&world, &id), "active from hook");
}

#[test]
fn where_the_status_file_and_the_last_hook_differ_for_long_the_screen_decides() {
    let world = World::new(3);
    let id = world.spawn("native");
    write_status(&world, &id, "idle", "");
    world.pass_time(SOON);
    world.answer(&id);
    world.machine.set_screen(&id, "turn");
    world.pass_time(Duration::from_secs(20));
    assert_eq!(activity(&world, &id), "active from hook");
    world.machine.set_screen(&id, "rest");
    world.pass_time(Duration::from_secs(3));
    assert_eq!(activity(&world, &id), "idle from terminal");
}

#[test]
fn a_screen_does_not_overrule_a_status_file_that_agrees() {
    let world = World::new(29);
    let id = world.spawn("native");
    write_status(&world, &id, "active", "");
    world.machine.set_screen(&id, "rest");
    world.pass_time(Duration::from_mins(2));
    assert_eq!(activity(&world, &id), "active from native");
}

#[test]
fn a_status_file_that_another_process_left_says_nothing() {
    let world = World::new(4);
    let id = working(&world, "native");
    write_status(&world, &id, "idle", " pid=1");
    world.pass_time(Duration::from_secs(10));
    assert_eq!(activity(&world, &id), "active from hook");
    let pid = world.machine.agent_of(&id).unwrap().pid;
    write_status(&world, &id, "idle", &format!(" pid={pid}"));
    world.pass_time(SOON);
    assert_eq!(activity(&world, &id), "idle from native");
}

#[test]
fn a_status_of_the_launch_that_ended_starts_no_restored_one() {
    let world = World::new(5);
    let id = working(&world, "native");
    let process = world.machine.agent_of(&id).unwrap();
    write_status(&world, &id, "active", &format!(" pid={}", process.pid));
    world.machine.kill_process(process.pid);
    world.until(&id, |session| session.record.phase == ao_core::session::Phase::Ended);
    let request = RestoreRequest { session: id.clone(), env: BTreeMap::new() };
    world.tasks.block_on(world.engine().sessions.restore(&request)).unwrap();
    world.until(&id, |session| session.lifecycle.launch.is_some());
    world.pass_time(Duration::from_secs(10));
    assert_eq!(activity(&world, &id), "nothing");
    let process = world.machine.agent_of(&id).unwrap();
    write_status(&world, &id, "idle", &format!(" pid={}", process.pid));
    world.pass_time(SOON);
    assert_eq!(activity(&world, &id), "idle from native");
}

#[test]
fn background_work_goes_on_while_the_agent_looks_idle() {
    let world = World::new(6);
    let id = working(&world, "native");
    signal_with(&world, &id, ActivityState::Ready, SignalDetail::Background);
    world.pass_time(Duration::from_millis(10));
    write_status(&world, &id, "idle", "");
    world.machine.set_screen(&id, "rest");
    world.pass_time(Duration::from_mins(10));
    assert_eq!(activity(&world, &id), "ready (background) from hook");
}

#[test]
fn a_hook_that_says_more_wins_over_the_status_of_the_same_moment_however_they_race() {
    for seed in 0..60 {
        let world = World::new(seed);
        let id = working(&world, "native");
        write_status(&world, &id, "idle", "");
        let mut fact = world.tasks.block_on(world.signal_now(&id, ActivityState::Ready));
        if let FactKind::Signal(signal) = &mut fact.kind {
            signal.detail = Some(SignalDetail::Background);
        }
        // Stamped a moment before the status, and taken in while the status is told: at the next
        // interval that finds it old enough.
        fact.at.since_boot -= Duration::from_millis(1);
        let n_reads = || world.machine.n_calls(Op::ReadFile);
        let before = n_reads();
        while n_reads() == before {
            world.pass_time(Duration::from_millis(1));
        }
        world.tasks.block_on(async {
            world.clock.sleep(Duration::from_millis(499)).await;
            world.engine().lifecycle.observe(&id, fact).await.unwrap();
        });
        world.pass_time(SOON);
        let shown = activity(&world, &id);
        assert_eq!(shown, "ready (background) from hook", "seed {seed}");
    }
}

#[test]
fn a_hook_on_its_way_is_waited_for_before_a_status_is_told() {
    for offset in (0..500).step_by(50) {
        let world = World::new(30);
        let id = working(&world, "native");
        world.pass_time(Duration::from_millis(offset));
        let mut fact = world.tasks.block_on(world.signal_now(&id, ActivityState::Idle));
        if let FactKind::Signal(signal) = &mut fact.kind {
            signal.detail = Some(SignalDetail::Interrupted);
        }
        write_status(&world, &id, "idle", "");
        world.pass_time(Duration::from_millis(200));
        assert_eq!(activity(&world, &id), "active from hook", "after {offset} ms");
        world.tasks.block_on(world.engine().lifecycle.observe(&id, fact)).unwrap();
        world.pass_time(SOON);
        assert_eq!(activity(&world, &id), "idle (interrupted) from hook");
    }
}

#[test]
fn a_request_for_a_human_outlives_what_its_agent_shows() {
    let world = World::new(7);
    let id = working(&world, "native");
    world.signal(&id, ActivityState::WaitingInput);
    for (state, screen) in [("active", "turn"), ("idle", "rest"), ("active", "turn")] {
        world.pass_time(SOON);
        write_status(&world, &id, state, "");
        world.machine.set_screen(&id, screen);
        world.pass_time(Duration::from_secs(20));
        assert_eq!(activity(&world, &id), "waiting_input from hook");
    }
    world.machine.set_screen(&id, "dialog: permission");
    world.pass_time(Duration::from_secs(10));
    assert_eq!(activity(&world, &id), "blocked (permission) from terminal", "it takes the keys");
}

#[test]
fn a_dialog_that_was_answered_ends_with_the_status_file() {
    for offset in (0..500).step_by(50) {
        let world = World::new(8);
        let id = working(&world, "native");
        signal_with(&world, &id, ActivityState::Blocked, SignalDetail::Permission);
        write_status(&world, &id, "blocked", "");
        world.pass_time(Duration::from_millis(5_000 + offset));
        assert_eq!(activity(&world, &id), "blocked (permission) from hook");
        write_status(&world, &id, "active", "");
        world.pass_time(Duration::from_millis(251));
        assert_eq!(activity(&world, &id), "active from native", "after {offset} ms");
    }
}

#[test]
fn a_start_whose_prompt_is_never_taken_in_comes_to_rest() {
    let world = World::new(9);
    let spawn = || {
        let request = SpawnRequest { prompt: Some("fix it".to_owned()), ..world.request("native") };
        let id = world.tasks.block_on(world.engine().sessions.spawn(request)).unwrap();
        world.until(&id, |session| session.lifecycle.launch.is_some());
        write_status(&world, &id, "idle", "");
        signal_with(&world, &id, ActivityState::Ready, SignalDetail::Started);
        id
    };
    let (lost, taken) = (spawn(), spawn());
    world.pass_time(Duration::from_secs(15));
    assert_eq!(activity(&world, &lost), "ready (started) from hook");
    world.answer(&taken);
    write_status(&world, &taken, "active", "");
    world.pass_time(Duration::from_secs(10));
    assert_eq!(activity(&world, &lost), "idle from native");
    assert_eq!(activity(&world, &taken), "active from hook");
}

#[test]
fn a_dialog_that_keeps_an_agent_from_starting_is_shown_and_ends_when_it_is_gone() {
    for agent in ["seeing", "native"] {
        let world = World::new(10);
        let id = world.spawn(agent);
        world.machine.set_dialog(&id, Some("trust"));
        world.pass_time(Duration::from_secs(2));
        assert_eq!(activity(&world, &id), "blocked (trust) from terminal", "{agent}");
        assert!(world.shown(&id).starts_with("needs_input (needs_input/awaiting_permission"));
        world.machine.set_dialog(&id, None);
        world.pass_time(Duration::from_secs(2));
        assert_eq!(activity(&world, &id), "idle from terminal", "{agent}");
    }
}

#[test]
fn a_dialog_before_the_first_hook_is_seen_whatever_the_status_file_says() {
    let world = World::new(11);
    let id = world.spawn("native");
    write_status(&world, &id, "idle", "");
    world.pass_time(SOON);
    assert_eq!(activity(&world, &id), "idle from native");
    world.machine.set_dialog(&id, Some("trust"));
    world.pass_time(Duration::from_secs(3));
    assert_eq!(activity(&world, &id), "blocked (trust) from terminal");
}

#[test]
fn without_a_status_file_the_screen_ends_a_turn_that_no_hook_ended() {
    let world = World::new(12);
    let id = working(&world, "seeing");
    world.machine.set_screen(&id, "turn");
    world.pass_time(Duration::from_secs(30));
    assert_eq!(activity(&world, &id), "active from hook");
    world.machine.set_screen(&id, "rest");
    world.pass_time(Duration::from_secs(2));
    assert_eq!(activity(&world, &id), "idle from terminal");
    world.machine.set_screen(&id, "turn");
    world.pass_time(Duration::from_secs(6));
    assert_eq!(activity(&world, &id), "active from terminal");
}

#[test]
fn a_screen_that_is_behind_a_hook_corrects_nothing() {
    let world = World::new(13);
    let id = working(&world, "seeing");
    world.machine.set_screen(&id, "rest");
    world.until(&id, |session| session.lifecycle.activity.unwrap().state == ActivityState::Idle);
    for _ in 0..20 {
        // A new turn whose screen comes a moment later.
        world.answer(&id);
        world.pass_time(Duration::from_millis(900));
        assert_eq!(activity(&world, &id), "active from hook");
        world.machine.set_screen(&id, "turn");
        world.pass_time(Duration::from_millis(1_700));
        assert_eq!(activity(&world, &id), "active from hook");
        world.machine.set_screen(&id, "rest");
        world.signal(&id, ActivityState::Idle);
        world.pass_time(Duration::from_millis(300));
    }
}

#[test]
fn what_a_human_reads_in_copy_mode_is_not_what_the_agent_does() {
    let world = World::new(14);
    let id = working(&world, "seeing");
    world.machine.set_in_mode(&id, true);
    world.machine.set_screen(&id, "rest");
    world.pass_time(Duration::from_secs(30));
    assert_eq!(activity(&world, &id), "active from hook");
}

#[test]
fn what_a_dead_agent_left_on_its_screen_is_no_sign_of_life() {
    for killed_after in [0, 100, 250, 400, 600, 900] {
        let world = World::new(15);
        world.machine.set_watches(false);
        let id = working(&world, "seeing");
        world.machine.set_screen(&id, "rest");
        for _ in 0..4 {
            world.machine.fail_next(Op::Look, Fault::Slow(Duration::from_millis(300)));
        }
        world.pass_time(Duration::from_millis(killed_after));
        let died_at = world.clock.now();
        world.machine.kill_process(world.machine.agent_of(&id).unwrap().pid);
        world.until(&id, |session| session.lifecycle.is_terminal());
        let heard_at = world.session(&id).lifecycle.activity.unwrap().at;
        assert!(!heard_at.is_after(&died_at), "{}", activity(&world, &id));
        assert!(world.clock.now().since(&died_at) < Duration::from_secs(12), "nothing vetoed it");
    }
}

#[test]
fn a_file_that_hangs_keeps_no_other_session_waiting() {
    let world = World::new(16);
    let ids = [working(&world, "native"), working(&world, "native")];
    world.machine.fail_next(Op::ReadFile, Fault::Hang);
    for id in &ids {
        write_status(&world, id, "idle", "");
    }
    world.pass_time(Duration::from_secs(3));
    let idle = |id: &&SessionId| activity(&world, id) == "idle from native";
    assert_eq!(ids.iter().filter(idle).count(), 1, "the other one is not read yet");
    world.pass_time(Duration::from_secs(35));
    assert_eq!(ids.iter().filter(idle).count(), 2);
}

#[test]
fn a_terminal_that_hangs_or_fails_delays_no_file_and_is_looked_at_again() {
    for fault in [Fault::Hang, Fault::Refuse] {
        let world = World::new(17);
        let (native, seeing) = (working(&world, "native"), working(&world, "seeing"));
        world.machine.set_screen(&seeing, "rest");
        world.machine.fail_next(Op::Look, fault);
        write_status(&world, &native, "idle", "");
        world.pass_time(SOON);
        assert_eq!(activity(&world, &native), "idle from native");
        world.pass_time(Duration::from_secs(15));
        assert_eq!(activity(&world, &seeing), "idle from terminal");
        assert!(world.shown(&seeing).contains("alive/process_running"), "it is no finding");
    }
}

#[test]
fn the_engine_stops_at_once_while_every_look_hangs() {
    let world = World::new(18);
    working(&world, "native");
    working(&world, "seeing");
    for _ in 0..8 {
        world.machine.fail_next(Op::ReadFile, Fault::Hang);
        world.machine.fail_next(Op::Look, Fault::Hang);
    }
    world.pass_time(Duration::from_millis(900));
    let stopped_at = world.clock.now();
    world.tasks.block_on(world.engine().shutdown());
    world.tasks.run_until_idle();
    assert!(!world.tasks.names().contains(&"observer"), "{:?}", world.tasks.names());
    assert_eq!(world.clock.now(), stopped_at);
}

#[test]
fn with_nothing_changed_a_look_at_a_session_is_one_small_read() {
    let world = World::new(19);
    let ids: Vec<SessionId> = (0..5).map(|_| world.spawn("native")).collect();
    for id in &ids {
        append(&world, id, "idle@ ");
        write_status(&world, id, "idle", "");
        world.signal(id, ActivityState::Idle);
    }
    world.pass_time(Duration::from_mins(2));
    let calls = || {
        [Op::ReadFile, Op::FileLength, Op::Look, Op::ReadLaunch].map(|op| world.machine.n_calls(op))
    };
    let before = calls();
    let revisions =
        || ids.iter().map(|id| world.session(id).lifecycle.revision).collect::<Vec<_>>();
    let written = revisions();
    world.pass_time(Duration::from_mins(1));
    let [n_reads, n_lengths, n_looks, n_launches] =
        [0, 1, 2, 3].map(|op: usize| calls()[op] - before[op]);
    assert!((500..=610).contains(&n_reads), "{n_reads} reads of 5 files in 120 intervals");
    assert!(n_lengths <= 160, "{n_lengths} lengths of 5 transcripts, one every 2 s");
    assert_eq!((n_looks, n_launches), (0, 0));
    assert_eq!(revisions(), written, "nothing is written");
}

#[test]
fn looks_at_terminals_are_bounded_however_many_wait() {
    let world = World::new(20);
    let ids: Vec<SessionId> = (0..40).map(|_| working(&world, "seeing")).collect();
    for id in &ids {
        world.machine.set_screen(id, "turn");
    }
    let before = world.machine.n_calls(Op::Look);
    world.pass_time(Duration::from_secs(20));
    let n_looks = world.machine.n_calls(Op::Look) - before;
    assert!((300..=340).contains(&n_looks), "{n_looks} looks in 40 intervals, 8 at most in each");
    for id in &ids {
        world.machine.set_screen(id, "rest");
    }
    world.pass_time(Duration::from_secs(15));
    for id in &ids {
        assert_eq!(activity(&world, id), "idle from terminal", "each has its turn");
    }
}

fn used(world: &World, id: &SessionId) -> Option<(u64, u64, Option<u64>)> {
    let usage = world.session(id).record.usage;
    usage.map(|Usage { input_tokens, output_tokens, cost_microusd }| {
        (input_tokens, output_tokens, cost_microusd)
    })
}

#[test]
fn what_was_used_is_written_rarely_while_the_agent_works_and_at_once_when_it_rests() {
    let world = World::new(21);
    let id = working(&world, "native");
    let n_entries = || world.tasks.block_on(world.store.journal(&id, 100)).unwrap().len();
    let head = || world.tasks.block_on(world.store.head()).unwrap();
    let (before, told) = (n_entries(), head());
    append(&world, &id, "used@100,10,5000");
    world.pass_time(Duration::from_secs(3));
    assert_eq!(used(&world, &id), Some((100, 10, Some(5_000))));
    assert_eq!(head(), told, "it is no news");
    append(&world, &id, "used@100,10,5000");
    world.pass_time(Duration::from_secs(4));
    assert_eq!(used(&world, &id), Some((100, 10, Some(5_000))), "too soon to be written again");
    world.pass_time(Duration::from_secs(8));
    assert_eq!(used(&world, &id), Some((200, 20, Some(10_000))));
    append(&world, &id, "used@1,1,1");
    world.signal(&id, ActivityState::Idle);
    world.pass_time(Duration::from_secs(3));
    assert_eq!(used(&world, &id), Some((201, 21, Some(10_001))));
    assert_eq!(n_entries(), before + 1, "the journal holds the turn's end and no count");
}

#[test]
fn what_was_used_last_is_written_when_the_session_ends() {
    let world = World::new(22);
    let id = working(&world, "native");
    append(&world, &id, "used@1,1,1");
    world.pass_time(Duration::from_secs(3));
    append(&world, &id, "used@2,2,2");
    world.kill(&id);
    world.pass_time(Duration::from_secs(2));
    assert_eq!(used(&world, &id), Some((3, 3, Some(3))));
}

#[test]
fn a_transcript_is_read_line_by_line_however_it_grows() {
    let world = World::new(23);
    let id = working(&world, "native");
    let path = ScriptedAgent::transcript_path(&directory(&world, &id));
    let line = format!("{}\nused@1,0,0\n", "x".repeat(300));
    world.machine.append_file(&path, &line.repeat(10_000));
    world.machine.append_file(&path, &format!("{}\n", "y".repeat(5_000_000)));
    world.machine.append_file(&path, "used@1,0");
    world.pass_time(Duration::from_secs(30));
    assert_eq!(used(&world, &id), Some((10_000, 0, Some(0))), "half a line is none");
    world.machine.append_file(&path, ",0\n");
    world.pass_time(Duration::from_secs(15));
    assert_eq!(used(&world, &id), Some((10_001, 0, Some(0))));
    world.machine.write_file(&path, "used@7,7,7\n");
    world.pass_time(Duration::from_secs(15));
    assert_eq!(used(&world, &id), Some((7, 7, Some(7))), "it was begun anew");
}

#[test]
fn a_usage_limit_of_which_a_hook_told_gets_its_end_from_the_transcript() {
    let world = World::new(29);
    let id = working(&world, "native");
    signal_with(&world, &id, ActivityState::Idle, SignalDetail::UsageLimited);
    assert_eq!(world.session(&id).lifecycle.paused_until, None);
    let ends_at = world.clock.now().wall.plus(Duration::from_hours(1));
    append(&world, &id, &format!("idle@ usage_limited until={}", ends_at.as_millis()));
    world.pass_time(Duration::from_secs(4));
    assert_eq!(world.session(&id).lifecycle.paused_until, Some(ends_at));
    world.until_status(&id, "limited");
}

#[test]
fn a_usage_limit_that_only_the_transcript_tells_is_shown() {
    let world = World::new(24);
    let id = working(&world, "native");
    write_status(&world, &id, "idle", "");
    append(&world, &id, "idle@ usage_limited");
    world.pass_time(Duration::from_secs(4));
    assert_eq!(activity(&world, &id), "idle (usage_limited) from transcript");
}

#[test]
fn why_a_turn_ended_is_told_before_that_the_screen_shows_it_ended() {
    for offset in (0..500).step_by(50) {
        let world = World::new(31);
        let id = working(&world, "native");
        world.pass_time(Duration::from_millis(offset));
        append(&world, &id, "idle@ api_error");
        world.machine.set_screen(&id, "rest");
        world.pass_time(Duration::from_millis(1_500));
        assert_eq!(activity(&world, &id), "idle (api_error) from transcript", "after {offset} ms");
        let journal = world.tasks.block_on(world.store.journal(&id, 100)).unwrap();
        let is_of_screen = |kind: &FactKind| matches!(kind, FactKind::Signal(it) if it.source == ActivitySource::Terminal);
        assert!(!journal.iter().any(|it| is_of_screen(&it.entry.fact.kind)), "{journal:#?}");
    }
}

#[test]
fn a_dialog_that_was_answered_ends_with_the_screen_within_a_second() {
    for offset in (0..500).step_by(50) {
        let world = World::new(32);
        let id = working(&world, "seeing");
        signal_with(&world, &id, ActivityState::Blocked, SignalDetail::Permission);
        world.machine.set_screen(&id, "dialog: permission");
        world.pass_time(Duration::from_millis(3_000 + offset));
        assert_eq!(activity(&world, &id), "blocked (permission) from hook");
        world.machine.set_screen(&id, "turn");
        world.pass_time(Duration::from_millis(800));
        assert_eq!(activity(&world, &id), "active from terminal", "after {offset} ms");
    }
}

#[test]
fn what_was_written_before_the_launch_is_not_what_the_agent_does() {
    let world = World::new(25);
    let id = world.spawn("native");
    let path = ScriptedAgent::transcript_path(&directory(&world, &id));
    let before = world.clock.now().wall.as_millis() - 60_000;
    world.machine.write_file(&path, &format!("active@{before}\n"));
    world.pass_time(Duration::from_secs(10));
    assert_eq!(activity(&world, &id), "nothing");
}

#[test]
fn a_message_that_stands_in_the_transcript_was_taken_in() {
    let world = World::new(26);
    let id = world.spawn("native");
    world.machine.set_composer(&id, "");
    world.signal(&id, ActivityState::Idle);
    let request =
        SendRequest { session: id.clone(), text: "go on".to_owned(), idempotency_key: None };
    world.tasks.block_on(world.engine().messenger.send(request)).unwrap();
    world.pass_time(Duration::from_secs(2));
    assert_eq!(world.messages(&id), ["typed: go on"]);
    append(&world, &id, "prompt@ something else");
    world.pass_time(Duration::from_secs(3));
    assert_eq!(world.messages(&id), ["typed: go on"]);
    append(&world, &id, "prompt@ go on");
    world.pass_time(Duration::from_secs(3));
    assert_eq!(world.messages(&id), ["submitted: go on"]);
}

#[test]
fn a_turn_that_only_the_status_file_tells_acknowledges_the_message_that_began_it() {
    let world = World::new(28);
    let id = world.spawn("native");
    world.machine.set_composer(&id, "");
    write_status(&world, &id, "active", "");
    world.signal(&id, ActivityState::Active);
    let request =
        SendRequest { session: id.clone(), text: "go on".to_owned(), idempotency_key: None };
    world.pass_time(Duration::from_secs(10));
    world.tasks.block_on(world.engine().messenger.send(request)).unwrap();
    world.pass_time(Duration::from_secs(1));
    world.submit(&id, "go on");
    world.pass_time(Duration::from_secs(2));
    assert_eq!(world.messages(&id), ["submitted: go on"], "that turn ran before it was typed");
    write_status(&world, &id, "active", "");
    world.pass_time(Duration::from_secs(1));
    assert_eq!(world.messages(&id), ["acknowledged: go on"]);
}

#[test]
fn a_wall_clock_that_was_set_back_gives_no_old_status_the_last_word() {
    let world = World::new(27);
    let id = world.spawn("native");
    write_status(&world, &id, "idle", "");
    world.pass_time(SOON);
    let an_hour_ago = world.clock.now().wall.as_millis() - 3_600_000;
    world.clock.jump_wall_to(ao_core::time::Timestamp::from_millis(an_hour_ago));
    world.answer(&id);
    world.pass_time(Duration::from_secs(10));
    assert_eq!(activity(&world, &id), "active from hook");
    write_status(&world, &id, "idle", "");
    world.pass_time(SOON);
    assert_eq!(activity(&world, &id), "idle from native");
}

#[test]
fn an_engine_that_comes_back_reads_what_happened_meanwhile() {
    let world = World::new(28);
    let id = working(&world, "native");
    world.crash();
    write_status(&world, &id, "idle", "");
    append(&world, &id, "used@5,5,5");
    world.pass_time(Duration::from_mins(5));
    world.boot();
    world.pass_time(Duration::from_secs(3));
    assert_eq!(activity(&world, &id), "idle from native");
    assert_eq!(used(&world, &id), Some((5, 5, Some(5))));
    let source = world.session(&id).lifecycle.activity.unwrap().source;
    assert_eq!(source, ActivitySource::Native);
}
