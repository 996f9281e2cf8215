//! Reactions through the real engine: planned with the state, performed at least once, escalated
//! once.

use std::collections::BTreeSet;
use std::time::Duration;

use ao_core::fact::{Fact, FactKind};
use ao_core::ids::{BranchName, CauseKey, PrNumber, SessionId, Sha};
use ao_core::ledger::{IncidentKey, ReactionKind};
use ao_core::outbox::{OutboxState, told_in};
use ao_core::policy::{Policy, ReactionPolicy};
use ao_core::ports::{Clock as _, Outbox as _, WorkspaceError};
use ao_core::pr::{Checks, Draftness, Known, Pr, PrLife, PrObservation};
use ao_core::record::ActivityState;
use ao_testkit::machine::{Fault, Op};
use ao_testkit::workspace::WorkspaceOp;

use crate::gate::Stop;
use crate::harness::World;

fn impatient(policy: &mut Policy) {
    let line = ReactionPolicy {
        escalate_after: Some(Duration::from_secs(2)),
        ..ReactionPolicy::default_of(ReactionKind::AgentNeedsInput)
    };
    policy.reactions.insert(ReactionKind::AgentNeedsInput, line);
}

#[test]
fn an_escalation_survives_a_crash_and_comes_once() {
    let world = World::with_policy(1, impatient);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::WaitingInput);
    world.crash();
    world.clock.advance(Duration::from_secs(3));
    world.boot();
    world.pass_time(Duration::from_mins(5));
    assert_eq!(world.told(), ["agent-needs-input", "reaction.escalated"]);
}

#[test]
fn an_answer_in_time_escalates_nothing() {
    let world = World::with_policy(2, impatient);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::WaitingInput);
    world.pass_time(Duration::from_secs(1));
    world.answer(&id);
    world.pass_time(Duration::from_mins(5));
    assert_eq!(world.told(), ["agent-needs-input"]);
}

#[test]
fn a_notifier_that_is_down_loses_nothing_that_still_holds() {
    let world = World::new(3);
    let id = world.spawn("scripted");
    world.notifier.go_down();
    world.signal(&id, ActivityState::WaitingInput);
    world.pass_time(Duration::from_secs(20));
    assert_eq!(world.told(), [""; 0]);
    world.notifier.come_up();
    world.pass_time(Duration::from_mins(1));
    assert_eq!(world.told(), ["agent-needs-input"]);
}

#[test]
fn a_loop_that_panics_is_started_again_and_goes_on() {
    let world = World::new(7);
    let id = world.spawn("scripted");
    world.notifier.panic_next();
    world.signal(&id, ActivityState::WaitingInput);
    world.pass_time(Duration::from_secs(5));
    assert_eq!(world.told(), ["agent-needs-input"]);
}

#[test]
fn what_no_longer_holds_when_its_turn_comes_is_not_said() {
    let world = World::new(4);
    let id = world.spawn("scripted");
    world.notifier.go_down();
    world.signal(&id, ActivityState::WaitingInput);
    world.pass_time(Duration::from_secs(5));
    world.answer(&id);
    world.notifier.come_up();
    world.pass_time(Duration::from_mins(2));
    assert_eq!(world.told(), [""; 0]);
}

#[test]
fn an_agent_that_declares_signals_and_sends_none_is_stuck_after_ninety_seconds() {
    let world = World::new(5);
    let id = world.spawn("scripted");
    world.pass_time(Duration::from_secs(80));
    world.check(
        &id,
        "spawning (not_started/spawn_requested, alive/process_running, running, worktree present)",
    );
    world.pass_time(Duration::from_secs(20));
    world.check(&id, "stuck (stuck/no_signal, alive/process_running, running, worktree present)");
    assert_eq!(world.told(), ["agent-stuck"]);
    world.signal(&id, ActivityState::Active);
    world.until_status(&id, "working");
}

#[test]
fn a_turn_that_ended_is_told_after_ten_quiet_seconds() {
    let world = World::new(6);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::Active);
    world.signal(&id, ActivityState::Idle);
    world.pass_time(Duration::from_secs(19));
    assert_eq!(world.told(), [""; 0]);
    world.pass_time(Duration::from_secs(3));
    assert_eq!(world.told(), ["turn-finished"]);
    assert_eq!(world.notifier.taken()[0].session, Some(id));
}

/// Sessions whose turns end now.
fn ending(world: &World, n: usize) -> Vec<SessionId> {
    let ids: Vec<_> = (0..n).map(|_| world.spawn("scripted")).collect();
    for id in &ids {
        world.signal(id, ActivityState::Active);
    }
    for id in &ids {
        world.signal(id, ActivityState::Idle);
    }
    ids
}

/// Whom the notifier was told of, each notification on its own.
fn told_of(world: &World) -> Vec<String> {
    world.notifier.taken().iter().map(|it| it.cause.clone()).collect()
}

/// Where each session's only notification stands, and in which one it was told.
fn standings(world: &World, ids: &[SessionId]) -> Vec<(OutboxState, Option<String>)> {
    let mut all = Vec::new();
    for id in ids {
        let entries = world.tasks.block_on(world.store.of_session(id, 10)).unwrap();
        all.extend(entries.into_iter().map(|entry| (entry.state, entry.last_error)));
    }
    all
}

#[test]
fn turns_of_a_project_that_end_together_are_told_as_one() {
    let world = World::new(14);
    let ids = ending(&world, 3);
    world.pass_time(Duration::from_secs(25));
    assert_eq!(told_of(&world), ["app-1, app-2, app-3"]);
    let into = told_in(&world.notifier.taken()[0].id);
    assert_eq!(standings(&world, &ids), vec![(OutboxState::Done, Some(into)); 3]);
    world.pass_time(Duration::from_mins(10));
    assert_eq!(world.told().len(), 1);
}

#[test]
fn a_turn_that_goes_on_meanwhile_is_not_among_those_that_are_told() {
    let world = World::new(15);
    let ids = ending(&world, 3);
    world.pass_time(Duration::from_secs(15));
    world.answer(&ids[0]);
    world.pass_time(Duration::from_secs(10));
    assert_eq!(told_of(&world), ["app-2, app-3"]);
    assert_eq!(standings(&world, &ids)[0], (OutboxState::Superseded, None));
}

#[test]
fn what_is_urgent_does_not_wait_for_turns_that_gather() {
    let world = World::new(16);
    let ids = ending(&world, 2);
    world.pass_time(Duration::from_secs(12));
    world.signal(&ids[0], ActivityState::WaitingInput);
    world.pass_time(Duration::from_secs(2));
    assert_eq!(world.told(), ["agent-needs-input"]);
    world.pass_time(Duration::from_secs(10));
    assert_eq!(world.told(), ["agent-needs-input", "turn-finished"]);
}

#[test]
fn a_notifier_that_was_down_hears_of_every_turn_that_still_holds() {
    let world = World::new(17);
    world.notifier.go_down();
    let _ids = ending(&world, 3);
    world.pass_time(Duration::from_mins(2));
    world.notifier.come_up();
    world.pass_time(Duration::from_mins(5));
    assert_eq!(told_of(&world), ["app-1, app-2, app-3"]);
}

#[test]
fn no_crash_loses_a_turn_that_was_to_be_told_with_others() {
    let mut n_reached = 0;
    for n in 1..8 {
        for stop in [Stop::Before(n), Stop::After(n)] {
            let world = World::new(18);
            let ids = ending(&world, 3);
            world.pass_time(Duration::from_secs(11));
            world.gate.stop_at(Some(stop));
            world.pass_time(Duration::from_secs(15));
            n_reached += u32::from(world.gate.n_writes() >= n);
            world.crash();
            world.boot();
            world.pass_time(Duration::from_mins(1));
            let told = told_of(&world).join(", ");
            for id in &ids {
                assert!(told.contains(id.as_str()), "{stop:?}: {id} is lost: {told}");
            }
            let done = standings(&world, &ids);
            assert!(done.iter().all(|it| it.0 == OutboxState::Done), "{stop:?}: {done:?}");
            // A repetition is recognised by its id.
            let ids: BTreeSet<_> = world.notifier.taken().into_iter().map(|it| it.id).collect();
            assert_eq!(ids.len(), 1, "{stop:?}: {told}");
        }
    }
    assert!(n_reached > 0, "no crash came before a write");
}

/// What the forge shows on the session's pull request.
fn shows(world: &World, head: &str, checks: Checks) -> Fact {
    let at = world.clock.now();
    let pr = Pr {
        number: PrNumber(7),
        url: String::new(),
        base: BranchName::new("main"),
        head: Known::Known { value: Sha::new(head), at },
        life: Known::Known { value: PrLife::Open, at },
        draft: Known::Known { value: Draftness::Ready, at },
        checks: Known::Known { value: checks, at },
        review: Known::Unknown,
        mergeability: Known::Unknown,
    };
    Fact { at, kind: FactKind::PullRequests(vec![PrObservation { pr }]) }
}

fn failed(head: &str) -> Checks {
    Checks::Failed { causes: [CauseKey::new(format!("lint@{head}"))].into() }
}

/// The forge shows failing checks on the session's pull request.
fn checks_fail(world: &World, id: &SessionId, head: &str) {
    let fact = shows(world, head, failed(head));
    world.tasks.block_on(world.engine().lifecycle.observe(id, fact)).unwrap();
}

#[test]
fn what_fails_again_while_its_end_is_being_delivered_is_told_again() {
    for seed in 1..=60 {
        let world = World::new(seed);
        let id = world.spawn("mute");
        world.until_status(&id, "working");
        let lifecycle = world.engine().lifecycle.clone();
        world.tasks.block_on(async {
            for checks in [failed("a"), Checks::Passed, failed("a"), Checks::Passed, failed("a")] {
                lifecycle.observe(&id, shows(&world, "a", checks)).await.unwrap();
            }
        });
        world.pass_time(Duration::from_secs(5));
        let told = receipts(&world, &id);
        let last = told.last().map(String::as_str);
        assert_eq!(last, Some("typed cannot_confirm"), "seed {seed}: {told:?}");
    }
}

/// How often the agent was told of its failing checks, as the ledger has it.
fn attempts(world: &World, id: &SessionId) -> u32 {
    let key = IncidentKey { reaction: ReactionKind::CiFailed, pr: Some(PrNumber(7)) };
    world.session(id).ledger.open[&key].attempts
}

/// How many messages of the session stand in each state.
fn receipts(world: &World, id: &SessionId) -> Vec<String> {
    let told = world.messages(id);
    told.iter().map(|line| line.split(':').next().unwrap().to_owned()).collect()
}

/// A session at rest whose terminal refuses the next text.
fn denying(seed: u64) -> (World, SessionId) {
    let world = World::new(seed);
    let id = world.spawn("mute");
    world.until_status(&id, "working");
    world.machine.fail_next(Op::Paste, Fault::Deny);
    (world, id)
}

#[test]
fn a_refused_message_gives_its_attempt_back_and_is_told_again() {
    let (world, id) = denying(8);
    checks_fail(&world, &id, "a1");
    assert_eq!(attempts(&world, &id), 1);
    world.pass_time(Duration::from_secs(5));
    assert_eq!(receipts(&world, &id), ["refused runtime_refused"]);
    assert_eq!(attempts(&world, &id), 0);
    assert_eq!(world.machine.pastes(&id).len(), 0);

    checks_fail(&world, &id, "a1");
    world.pass_time(Duration::from_secs(5));
    assert_eq!(receipts(&world, &id), ["refused runtime_refused", "typed cannot_confirm"]);
    assert_eq!(attempts(&world, &id), 1);
    assert_eq!(world.machine.pastes(&id).len(), 1);
}

#[test]
fn a_message_in_doubt_keeps_its_attempt() {
    let world = World::new(9);
    let id = world.spawn("mute");
    world.until_status(&id, "working");
    world.machine.fail_next(Op::Paste, Fault::LoseAnswer);
    checks_fail(&world, &id, "a1");
    world.pass_time(Duration::from_mins(1));
    assert_eq!(receipts(&world, &id), ["in_doubt cannot_tell"]);
    assert_eq!(attempts(&world, &id), 1);
    checks_fail(&world, &id, "a1");
    world.pass_time(Duration::from_mins(1));
    assert_eq!(world.machine.pastes(&id).len(), 1);
}

#[test]
fn no_crash_comes_between_a_refusal_and_its_attempt() {
    let mut seen = Vec::new();
    for n in 1..20 {
        for stop in [Stop::Before(n), Stop::After(n)] {
            let (world, id) = denying(10);
            checks_fail(&world, &id, "a1");
            world.gate.stop_at(Some(stop));
            world.pass_time(Duration::from_secs(5));
            world.crash();
            world.boot();
            world.pass_time(Duration::from_secs(5));
            let receipts = receipts(&world, &id);
            seen.push((receipts.clone(), attempts(&world, &id)));
            checks_fail(&world, &id, "a1");
            world.pass_time(Duration::from_mins(1));
            assert!(world.machine.pastes(&id).len() <= 1, "{stop:?}: {receipts:?}");
        }
    }
    seen.sort();
    seen.dedup();
    let refused = (vec!["refused runtime_refused".to_owned()], 0);
    let in_doubt = (vec!["in_doubt interrupted".to_owned()], 1);
    assert_eq!(seen, [in_doubt, refused]);
}

/// A session that rests, under a policy that tells idle agents to go on.
fn resting(seed: u64) -> (World, SessionId) {
    let world = World::with_policy(seed, |policy| {
        let idle = policy.reactions.get_mut(&ReactionKind::AgentIdle).unwrap();
        idle.is_enabled = true;
        let turn = policy.reactions.get_mut(&ReactionKind::TurnFinished).unwrap();
        turn.is_enabled = false;
    });
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::Active);
    world.signal(&id, ActivityState::Idle);
    (world, id)
}

fn write_a_file(world: &World, id: &SessionId) {
    let path = world.session(id).record.workspace.path;
    assert!(world.workspace.write(&path, "new", "text"));
}

#[test]
fn an_idle_agent_without_work_is_told_nothing() {
    let (world, id) = resting(11);
    world.pass_time(Duration::from_hours(2));
    assert_eq!(world.messages(&id), [""; 0]);
    assert_eq!(world.told(), [""; 0]);
}

#[test]
fn an_idle_agent_with_work_is_told_to_go_on() {
    let (world, id) = resting(12);
    write_a_file(&world, &id);
    world.pass_time(Duration::from_secs(899));
    assert_eq!(world.messages(&id), [""; 0]);
    world.pass_time(Duration::from_secs(3));
    assert_eq!(world.messages(&id).len(), 1);
    assert!(world.messages(&id)[0].contains("[ao, agent-idle]"));
}

#[test]
fn a_worktree_that_cannot_be_looked_at_is_looked_at_again_across_a_crash() {
    let (world, id) = resting(13);
    write_a_file(&world, &id);
    let locked = || WorkspaceError::Git { message: "index.lock".to_owned() };
    world.workspace.fail_next(WorkspaceOp::Look, locked());
    world.pass_time(Duration::from_secs(910));
    assert_eq!(world.messages(&id), [""; 0]);
    world.crash();
    world.boot();
    world.pass_time(Duration::from_mins(1));
    assert_eq!(world.messages(&id).len(), 1);
}

#[test]
fn what_an_earlier_episode_had_to_say_is_not_said_in_a_later_one() {
    let world = World::new(8);
    let id = world.spawn("scripted");
    world.notifier.go_down();
    world.signal(&id, ActivityState::WaitingInput);
    world.pass_time(Duration::from_secs(2));
    // The next one begins before the next try could find that none is open.
    world.answer(&id);
    world.signal(&id, ActivityState::WaitingInput);
    world.notifier.come_up();
    world.pass_time(Duration::from_mins(5));
    assert_eq!(world.told(), ["agent-needs-input"]);
    // Both could have been told as one, which would say it of an episode that is over.
    let mut effects = world.tasks.block_on(world.store.of_session(&id, 10)).unwrap();
    effects.sort_by_key(|entry| entry.seq);
    let ended: Vec<_> = effects.iter().map(|entry| entry.state.as_str()).collect();
    assert_eq!(ended, ["superseded", "done"]);
}

#[test]
fn an_effect_that_never_succeeds_is_given_up_and_shown() {
    let world = World::new(9);
    let id = world.spawn("scripted");
    world.notifier.go_down();
    world.signal(&id, ActivityState::WaitingInput);
    world.pass_time(Duration::from_mins(90));
    let tried = world.notifier.n_calls();
    let effects = world.tasks.block_on(world.store.of_session(&id, 10)).unwrap();
    let shown: Vec<_> = effects.iter().map(|it| (it.state.as_str(), it.attempts)).collect();
    assert_eq!(shown, [("dead", 16)]);
    assert!(effects[0].last_error.is_some());
    world.notifier.come_up();
    world.pass_time(Duration::from_mins(15));
    assert_eq!(world.notifier.n_calls(), tried);
    assert_eq!(world.told(), [""; 0]);
}

#[test]
fn a_message_that_is_held_past_the_deadline_of_its_reaction_calls_a_human_once() {
    let world = World::with_policy(19, |policy| {
        let line = policy.reactions.get_mut(&ReactionKind::CiFailed).unwrap();
        line.escalate_after = Some(Duration::from_mins(1));
    });
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::Blocked);
    checks_fail(&world, &id, "a1");
    world.pass_time(Duration::from_secs(59));
    assert_eq!(receipts(&world, &id), ["queued blocked"]);
    assert_eq!(world.told(), ["agent-needs-input"]);
    world.pass_time(Duration::from_secs(3));
    assert_eq!(world.told(), ["agent-needs-input", "reaction.escalated"]);
    assert_eq!(receipts(&world, &id), ["queued blocked"]);
    world.crash();
    world.boot();
    world.pass_time(Duration::from_hours(1));
    assert_eq!(world.told(), ["agent-needs-input", "reaction.escalated"]);
    // It still holds, so the agent is told once it can be.
    world.signal(&id, ActivityState::Idle);
    world.pass_time(Duration::from_secs(5));
    assert_eq!(world.machine.pastes(&id).len(), 1);
}

#[test]
fn a_newer_message_of_the_same_incident_takes_the_place_of_one_that_waits() {
    let world = World::new(20);
    let id = world.spawn("scripted");
    world.signal(&id, ActivityState::Blocked);
    checks_fail(&world, &id, "a1");
    checks_fail(&world, &id, "a2");
    world.pass_time(Duration::from_secs(5));
    assert_eq!(world.machine.pastes(&id).len(), 0);
    world.signal(&id, ActivityState::Idle);
    world.pass_time(Duration::from_secs(5));
    assert_eq!(receipts(&world, &id)[0], "superseded newer");
    let pasted = world.machine.pastes(&id);
    assert_eq!(pasted.len(), 1);
    assert!(pasted[0].contains("lint@a2") && !pasted[0].contains("lint@a1"), "{pasted:?}");
}
