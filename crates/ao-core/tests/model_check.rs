//! An exhaustive walk through what the rules make of a session, together with everything that waits
//! for it: the ledger, the deadlines, the outbox of a sink, the lanes of messages, and restarts.
//!
//! The rules are the real ones; time, counters and names are abstracted (see `model/state.rs`), so
//! that the states are finitely many. One walk over every fact at once would not end, so each scope
//! takes a part of the facts in full. `MODEL_DEPTH` walks deeper than the default.

mod action;
mod promises;
mod state;

use std::collections::{BTreeSet, VecDeque};

use ao_core::fact::{BootProbe, LookValues, ProcessProbe, RuntimeProbe, ServerProbe, SignalDetail};
use ao_core::pr::{Checks, PrLife, Review};
use ao_core::record::{ActivitySource, ActivityState, EndIntent, Exit, SessionState};

use action::{Action, Looked, Told, World, failed, pr};
use promises::is_unknown;
use state::State;

/// A part of the facts, walked in full.
struct Scope {
    name: &'static str,
    agent: &'static str,
    actions: Vec<Action>,
    depth: usize,
    /// Looks that every doubt is followed with to its end.
    ends: Vec<LookValues>,
}

/// What a walk has seen.
#[derive(Debug, Default)]
struct Walked {
    n_states: usize,
    n_transitions: usize,
    depth: usize,
    n_doubts: usize,
    is_complete: bool,
    states: BTreeSet<SessionState>,
}

fn walk(scope: &Scope) -> Walked {
    let world = World::new(scope.agent);
    let depth_max = depth().unwrap_or(scope.depth);
    let mut start = State::of(world.template.clone());
    start.normalise(&world.template);
    let mut seen = BTreeSet::from([start.fingerprint()]);
    let mut doubts = BTreeSet::new();
    let mut open = VecDeque::from([(start, 0_usize)]);
    let mut walked = Walked { is_complete: true, ..Walked::default() };
    while let Some((state, depth)) = open.pop_front() {
        walked.n_states += 1;
        walked.depth = walked.depth.max(depth);
        walked.states.insert(state.lifecycle.session.state);
        if state.lifecycle.session.state == SessionState::Detecting
            && doubts.insert(state.record_fingerprint())
        {
            promises::quarantine_ends(&world, &state, &scope.ends);
        }
        promises::something_leads_on(&world, &state);
        if depth == depth_max {
            walked.is_complete = false;
            continue;
        }
        let due: Vec<Action> = state.due().cloned().map(Action::Due).collect();
        for action in scope.actions.iter().chain(&due) {
            if !World::is_possible(&state, action) {
                continue;
            }
            walked.n_transitions += 1;
            let (next, step) = world.perform(&state, action);
            promises::terminal_is_absorbing(&state, action, &next);
            promises::unknown_never_kills(&state, action, &next);
            promises::escalates_once(&state, step.as_ref());
            promises::a_wish_reacts_to_nothing(step.as_ref());
            promises::nothing_is_lost(&world, &state, action, &next);
            promises::nothing_is_typed_at_a_dialog(&state, action, &next);
            promises::the_ended_are_told_nothing(&world, &next);
            if seen.insert(next.fingerprint()) {
                open.push_back((next, depth + 1));
            }
        }
    }
    walked.n_doubts = doubts.len();
    walked
}

/// How deep to walk instead of the default.
fn depth() -> Option<usize> {
    std::env::var_os("MODEL_DEPTH")?.to_str()?.parse().ok()
}

fn every_look() -> Vec<LookValues> {
    let mut all = Vec::new();
    for &boot in BootProbe::ALL {
        for &server in ServerProbe::ALL {
            for &runtime in RuntimeProbe::ALL {
                for &process in ProcessProbe::ALL {
                    all.push(LookValues { boot, server, runtime, process });
                }
            }
        }
    }
    all
}

/// Looks that really looked: one that did not ask the runtime proves nothing about it.
fn ending_looks(all: &[LookValues]) -> Vec<LookValues> {
    let has_looked = |it: &&LookValues| it.runtime != RuntimeProbe::NotLooked;
    all.iter().filter(has_looked).copied().collect()
}

fn look(values: LookValues) -> Looked {
    Looked {
        values,
        exit: None,
        is_held_back: false,
        is_first_after_gap: false,
        age: 0,
        generation: 1,
    }
}

fn seen(words: &str) -> LookValues {
    crate::fixtures::look_values(words)
}

fn told(activity: ActivityState, detail: Option<SignalDetail>) -> Told {
    Told { activity, source: ActivitySource::Hook, detail, is_submit: false, age: 0, generation: 1 }
}

/// Every value of every probe, and the ways a look may be marked.
fn looks() -> Scope {
    let all = every_look();
    let mut actions = vec![
        Action::Pass,
        Action::Launched,
        Action::End(EndIntent::Kill),
        Action::Destroyed,
        Action::Restore,
        Action::Signal(told(ActivityState::Active, None)),
        Action::Signal(told(ActivityState::Exited, None)),
        Action::Signal(told(ActivityState::Idle, Some(SignalDetail::Done))),
    ];
    actions.extend(all.iter().map(|&values| Action::Look(look(values))));
    let gone = seen("living dead dead");
    for (exit, is_held_back, is_first_after_gap, age, generation) in [
        (Some(Exit::Status(0)), false, false, 0, 1),
        (Some(Exit::Signal(9)), false, false, 0, 1),
        (Some(Exit::Signal(9)), true, false, 0, 1),
        (Some(Exit::Signal(9)), false, false, 1, 1),
        (Some(Exit::Signal(9)), false, false, 0, 9),
        (None, false, true, 0, 1),
    ] {
        let values = gone;
        let one = Looked { values, exit, is_held_back, is_first_after_gap, age, generation };
        actions.push(Action::Look(one));
    }
    for words in ["living missing dead", "gone missing dead", "unreachable unknown unknown"] {
        for is_held_back in [false, true] {
            let is_first_after_gap = !is_held_back;
            let marked = Looked { is_held_back, is_first_after_gap, ..look(seen(words)) };
            actions.push(Action::Look(marked));
        }
    }
    Scope { name: "looks", agent: "full", actions, depth: 4, ends: ending_looks(&all) }
}

/// Looks that cannot tell, and everything that is no look: nothing of it ends a session.
fn unknown_only(agent: &'static str) -> Scope {
    let unknown: Vec<_> = every_look().into_iter().filter(|&it| is_unknown(it)).collect();
    let mut actions = vec![
        Action::Pass,
        Action::Launched,
        Action::Destroyed,
        Action::SignalsLost,
        Action::HandOver,
        Action::Finish,
        Action::Signal(told(ActivityState::Active, None)),
        Action::Signal(told(ActivityState::Idle, None)),
        Action::Signal(told(ActivityState::Idle, Some(SignalDetail::Done))),
        Action::Signal(told(ActivityState::Exited, None)),
    ];
    actions.extend(unknown.iter().map(|&values| Action::Look(look(values))));
    Scope { name: "unknown only", agent, actions, depth: 4, ends: unknown }
}

/// Every activity with every detail, of now, of before and of another launch.
fn signals(agent: &'static str) -> Scope {
    let mut actions = vec![
        Action::Pass,
        Action::Launched,
        Action::SignalsLost,
        Action::Look(look(seen("living alive alive"))),
        Action::Look(look(seen("unreachable unknown unknown"))),
        Action::Look(look(seen("living alive dead"))),
    ];
    let details = SignalDetail::ALL.iter().copied().map(Some).chain([None]);
    for detail in details {
        for &activity in ActivityState::ALL {
            let one = told(activity, detail);
            actions.push(Action::Signal(one));
            if detail.is_none() {
                actions.push(Action::Signal(Told { is_submit: true, ..one }));
                actions.push(Action::Signal(Told { age: 1, ..one }));
                actions.push(Action::Signal(Told { generation: 9, ..one }));
                actions.push(Action::Signal(Told { source: ActivitySource::Terminal, ..one }));
            }
        }
    }
    let ends = vec![seen("unreachable unknown unknown"), seen("living alive dead")];
    Scope { name: "signals", agent, actions, depth: 3, ends }
}

/// Pull requests, the outbox, both lanes and restarts.
fn delivery() -> Scope {
    let reviewed = || Review::NotRequired;
    let mut actions = vec![
        Action::Pass,
        Action::Launched,
        Action::SpawnFailed,
        Action::End(EndIntent::Kill),
        Action::Restore,
        Action::HandOver,
        Action::Finish,
        Action::Ask,
        Action::Begin,
        Action::Typed,
        Action::Refused,
        Action::Doubted,
        Action::Restart,
        Action::Look(look(seen("living missing dead"))),
        Action::Look(look(seen("unreachable unknown unknown"))),
        Action::Look(look(seen("living alive alive"))),
        Action::Signal(Told { is_submit: true, ..told(ActivityState::Active, None) }),
        Action::Signal(told(ActivityState::Idle, None)),
        Action::Signal(told(ActivityState::WaitingInput, None)),
        Action::Signal(told(ActivityState::Blocked, Some(SignalDetail::Permission))),
        Action::Signal(told(ActivityState::Idle, Some(SignalDetail::UsageLimited))),
    ];
    for (life, head, checks) in [
        (PrLife::Open, "-", Checks::Pending),
        (PrLife::Open, "-", failed(&["a"])),
        (PrLife::Open, "-", failed(&["b"])),
        (PrLife::Open, "h", Checks::Passed),
        (PrLife::Closed, "-", Checks::Pending),
        (PrLife::Merged, "-", Checks::Pending),
    ] {
        actions.push(Action::Pr(Box::new(pr(life, head, checks, reviewed()))));
    }
    let ends = vec![seen("unreachable unknown unknown"), seen("living alive alive")];
    Scope { name: "delivery", agent: "full", actions, depth: 5, ends }
}

/// Walks a scope and says what was seen, so that a run can be compared with `docs/testing.md`.
fn check(scope: &Scope) -> Walked {
    let walked = walk(scope);
    let Walked { n_states, n_transitions, depth, n_doubts, is_complete, states } = &walked;
    let end = if *is_complete { "complete" } else { "bounded" };
    let line = format!(
        "{} ({}): {n_states} states, {n_transitions} transitions, depth {depth} ({end}), \
         {n_doubts} doubts, {} session states",
        scope.name,
        scope.agent,
        states.len()
    );
    report(&line);
    walked
}

#[expect(clippy::print_stdout, reason = "the runner shows it only when asked to")]
fn report(line: &str) {
    println!("{line}");
}

#[test]
fn every_look_keeps_the_promises() {
    let walked = check(&looks());
    assert!(walked.states.contains(&SessionState::Terminated));
    assert!(walked.states.contains(&SessionState::Stuck));
    assert!(walked.states.contains(&SessionState::Done));
}

#[test]
fn what_cannot_tell_never_ends_a_session() {
    for agent in ["full", "none+exits"] {
        let walked = check(&unknown_only(agent));
        let is_ended = walked.states.iter().any(|state| state.is_terminal());
        assert!(!is_ended, "unknown_never_kills: {:?}", walked.states);
        assert!(walked.states.contains(&SessionState::Stuck));
    }
}

#[test]
fn every_signal_keeps_the_promises() {
    for agent in ["full", "activity"] {
        let walked = check(&signals(agent));
        assert!(walked.states.contains(&SessionState::NeedsInput));
        assert!(walked.states.contains(&SessionState::Detecting));
    }
}

#[test]
fn what_waits_is_delivered_or_over() {
    let walked = check(&delivery());
    assert!(walked.states.contains(&SessionState::NeedsInput));
    assert!(walked.states.contains(&SessionState::Terminated));
}
