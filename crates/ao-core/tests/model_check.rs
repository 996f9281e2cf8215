//! An exhaustive walk through what the rules make of a session, together with everything that waits
//! for it: the ledger, the deadlines, the outboxes of two sinks, the lanes of messages, and restarts.
//!
//! The rules are the real ones; time, counters and names are abstracted (see `model_check/state.rs`),
//! so that the states are finitely many. One walk over every fact at once is too long, so each scope
//! takes a part of the facts in full. A scope without a depth is walked to its end: then its whole
//! graph is known, and what must happen in the end is asked of it (see `model_check/graph.rs`). The
//! others go as deep as they say, or as `MODEL_DEPTH` says, which also makes the first ones wider.

mod action;
mod graph;
mod promises;
mod state;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ao_core::fact::{BootProbe, LookValues, ProcessProbe, RuntimeProbe, ServerProbe, SignalDetail};
use ao_core::ledger::ReactionKind;
use ao_core::pr::{Checks, PrLife, Review};
use ao_core::record::{ActivitySource, ActivityState, EndIntent, Exit, SessionState};

use action::{Action, Looked, Setting, Told, World, failed, pr};
use graph::{Edge, Graph, Marks};
use promises::is_unknown;
use state::{Grain, N_SINKS, State};

/// A part of the facts, walked in full.
struct Scope {
    name: &'static str,
    setting: Setting,
    actions: Vec<Action>,
    /// How deep; without it, to the end.
    depth: Option<usize>,
    /// Looks that every doubt is followed with to its end, where the walk has none.
    ends: Vec<LookValues>,
}

/// What a walk has seen.
#[derive(Debug, Default)]
struct Walked {
    n_states: usize,
    n_transitions: usize,
    depth: usize,
    is_complete: bool,
    states: BTreeSet<SessionState>,
    graph: Graph,
    /// How each state was first reached, for a walk that has an end.
    origins: Vec<Option<(u32, Action)>>,
}

impl Walked {
    /// What led to a state.
    fn trail(&self, node: u32) -> Vec<&Action> {
        let mut trail = Vec::new();
        let mut at = node;
        while let Some((before, action)) = &self.origins[usize::try_from(at).unwrap()] {
            trail.push(action);
            at = *before;
        }
        trail.reverse();
        trail
    }
}

fn walk(scope: &Scope) -> Walked {
    let world = World::new(scope.setting.clone());
    let depth_max = scope.depth.map(|depth| deeper().unwrap_or(depth));
    let mut start = State::of(world.template.clone());
    start.normalise(&world.template, scope.setting.grain);
    let mut seen: BTreeMap<Vec<u8>, u32> = BTreeMap::from([(start.key(), 0)]);
    let mut doubts = BTreeSet::new();
    let mut walked = Walked { is_complete: true, ..Walked::default() };
    walked.graph.nodes.push(marks_of(&start));
    walked.origins.push(None);
    let mut open = VecDeque::from([(start, 0_u32, 0_usize)]);
    while let Some((state, node, depth)) = open.pop_front() {
        walked.n_states += 1;
        walked.depth = walked.depth.max(depth);
        walked.states.insert(state.lifecycle.session.state);
        if depth_max.is_some() {
            if state.is_in_doubt() && doubts.insert(state.record_key()) {
                promises::quarantine_ends(&world, &state, &scope.ends);
            }
            promises::something_leads_on(&world, &state);
        }
        if Some(depth) == depth_max {
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
            promises::an_episode_is_new(&state, step.as_ref());
            promises::a_wish_reacts_to_nothing(step.as_ref());
            promises::nothing_is_lost(&world, &state, action, &next);
            promises::nothing_is_typed_at_a_dialog(&state, action, &next);
            promises::the_ended_are_told_nothing(&world, &next);
            let n_known = u32::try_from(seen.len()).unwrap();
            let to = *seen.entry(next.key()).or_insert(n_known);
            if depth_max.is_none() {
                walked.graph.edges.push(Edge { from: node, to, marks: marks_by(action) });
            }
            if to == n_known {
                if depth_max.is_none() {
                    walked.graph.nodes.push(marks_of(&next));
                    walked.origins.push(Some((node, action.clone())));
                }
                open.push_back((next, to, depth + 1));
            }
        }
    }
    walked
}

/// Whether to walk through more than there is time for in every test run.
fn is_wide() -> bool {
    deeper().is_some()
}

/// How deep to walk instead of the default.
fn deeper() -> Option<usize> {
    std::env::var_os("MODEL_DEPTH")?.to_str()?.parse().ok()
}

// What a state is.
const DOUBT: Marks = 1;
const ENDED: Marks = 1 << 1;
const CERTAIN: Marks = 1 << 3;
const NOTHING_WAITS: Marks = 1 << 4;
const NO_MESSAGE: Marks = 1 << 5;
const CALLED: Marks = 1 << 6;
const EMPTY_SINK: [Marks; N_SINKS] = [1 << 7, 1 << 8];
const WORKS: Marks = 1 << 9;

fn marks_of(state: &State) -> Marks {
    let lifecycle = &state.lifecycle;
    let session = lifecycle.session.state;
    let is_unsure = matches!(session, SessionState::Detecting | SessionState::Stuck);
    let is_quiet = state.messages.is_empty()
        && state.planned().next().is_none()
        && state.due().next().is_none();
    let is_called = state
        .ledger
        .open
        .values()
        .all(|incident| incident.is_escalated || incident.first_attempt_at.is_none());
    let mut marks = 0;
    for (is_so, mark) in [
        (state.is_in_doubt(), DOUBT),
        (lifecycle.is_terminal(), ENDED),
        (!is_unsure, CERTAIN),
        (session == SessionState::Working, WORKS),
        (is_quiet, NOTHING_WAITS),
        (state.messages.is_empty(), NO_MESSAGE),
        (is_called, CALLED),
        (state.outbox[0].is_empty(), EMPTY_SINK[0]),
        (state.outbox[1].is_empty(), EMPTY_SINK[1]),
    ] {
        marks |= if is_so { mark } else { 0 };
    }
    marks
}

// What a transition is.
const PASSES: Marks = 1;
const DUE: Marks = 1 << 1;
/// A look of the running launch that asked everything, not the first one after a gap.
const LOOKS: Marks = 1 << 2;
/// Such a look of a kind world: the agent is well, or is gone for certain.
const TELLS: Marks = 1 << 3;
/// An agent that is well takes a turn and ends it.
const TURNS: Marks = 1 << 4;
const TYPES: Marks = 1 << 5;
const STARTS: Marks = 1 << 6;
const SINK: [Marks; N_SINKS] = [1 << 7, 1 << 8];
/// A sink that takes nothing, and what it had in hand before.
const BROKEN_SINK: [Marks; N_SINKS] = [1 << 9, 1 << 10];
const RESTORES: Marks = 1 << 11;
/// A look that finds everything well.
const WELL: Marks = 1 << 12;
const KIND: Marks = PASSES | DUE | TELLS | TURNS | TYPES | STARTS | SINK[0] | SINK[1];

fn marks_by(action: &Action) -> Marks {
    match action {
        Action::Pass => PASSES,
        Action::Due(_) => DUE,
        Action::Look(look) if look.age == 0 && look.generation == 1 && !look.is_first_after_gap => {
            let is_asked = look.values.runtime != RuntimeProbe::NotLooked;
            let is_well = look.values == seen("living alive alive");
            let is_over = look.values == seen("living missing dead") && !look.is_held_back;
            (if is_asked { LOOKS } else { 0 })
                | (if is_well { WELL | TELLS } else { 0 })
                | (if is_over { TELLS } else { 0 })
        }
        Action::Signal(told) => {
            let is_turn = told.activity == ActivityState::Active && told.is_submit;
            let is_rest = told.activity == ActivityState::Idle && told.detail.is_none();
            let is_told = told.source == ActivitySource::Hook;
            if is_told && (is_turn || is_rest) { TURNS } else { 0 }
        }
        Action::Begin | Action::Typed | Action::Doubted => TYPES,
        Action::Launched => STARTS,
        Action::Restore => RESTORES,
        Action::HandOver(sink) => SINK[*sink],
        Action::Finish(sink) => SINK[*sink] | BROKEN_SINK[*sink],
        Action::Fail(sink) => BROKEN_SINK[*sink],
        Action::Look(_)
        | Action::Pr(_)
        | Action::SpawnFailed
        | Action::End(_)
        | Action::Destroyed
        | Action::SignalsLost
        | Action::Ask
        | Action::Refused
        | Action::Restart => 0,
    }
}

/// What must happen in the end, asked of a walk that came to its own.
fn check_the_end(name: &str, walked: &Walked) {
    let graph = &walked.graph;
    let there = graph.edges.iter().fold(0, |marks, edge| marks | edge.marks);
    let asked = [
        // Nothing blocks for ever: lanes, holds, sinks and deadlines together.
        ("something_leads_on", PASSES, KIND, NOTHING_WAITS),
        // The lanes wait for no sink.
        ("the_lanes_wait_for_no_sink", TYPES, KIND & !SINK[0] & !SINK[1], NO_MESSAGE),
        // And no sink for anything but itself, whether it takes what it is given or not.
        ("a_sink_waits_for_nobody", SINK[0], SINK[0], EMPTY_SINK[0]),
        ("a_sink_waits_for_nobody", SINK[1], SINK[1], EMPTY_SINK[1]),
        ("a_sink_gives_up", BROKEN_SINK[0], BROKEN_SINK[0], EMPTY_SINK[0]),
        ("a_sink_gives_up", BROKEN_SINK[1], BROKEN_SINK[1], EMPTY_SINK[1]),
        // An incident that nothing ends calls a human.
        ("what_lasts_is_escalated", DUE, PASSES | DUE, CALLED | ENDED),
        // A doubt can be left, and so can what it led to, without the death of anything.
        ("a_doubt_can_be_left", WELL, PASSES | WELL | TURNS, CERTAIN),
        // Whatever happened, the agent can be brought to work again.
        ("it_can_work_again", RESTORES, PASSES | TELLS | TURNS | STARTS | RESTORES, WORKS),
    ];
    // What a scope leaves out cannot lead anywhere in it.
    for (promise, _, by, goal) in asked.into_iter().filter(|(_, needs, ..)| there & needs != 0) {
        if let Some(node) = graph.stranded(by, |marks| marks & goal != 0) {
            panic!("{promise} ({name}): nothing leads on after {:#?}", walked.trail(node));
        }
    }
    if let Some(node) = graph.trap(|marks| marks & DOUBT != 0, [PASSES, LOOKS]) {
        panic!("quarantine_ends ({name}): it goes on for ever after {:#?}", walked.trail(node));
    }
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
    let ends = ending_looks(&all);
    Scope { name: "looks", setting: everything("full"), actions, depth: Some(3), ends }
}

/// Every look with every value to its end, and little else.
fn every_look_to_the_end() -> Scope {
    let mut actions =
        vec![Action::Pass, Action::Launched, Action::Signal(told(ActivityState::Idle, None))];
    let all = every_look();
    let few = ["living alive alive", "living alive dead", "living missing dead"].map(seen);
    let taken = if is_wide() { all } else { few.to_vec() };
    actions.extend(taken.into_iter().map(|values| Action::Look(look(values))));
    let setting = Setting {
        reactions: vec![ReactionKind::AgentStuck],
        is_told_at_once: true,
        patience: 2,
        grain: COARSE,
        ..everything("full")
    };
    Scope { name: "every look", setting, actions, depth: None, ends: Vec::new() }
}

/// Looks that cannot tell, and everything that is no look: nothing of it ends a session.
fn unknown_only(agent: &'static str) -> Scope {
    let all: Vec<_> = every_look().into_iter().filter(|&it| is_unknown(it)).collect();
    let few = [
        "unreachable unknown unknown",
        "unreachable missing dead",
        "living unknown dead",
        "living missing unknown",
        "gone missing unknown",
    ];
    let unknown = if is_wide() { all } else { few.map(seen).to_vec() };
    let mut actions = vec![
        Action::Pass,
        Action::Launched,
        Action::Destroyed,
        Action::Signal(told(ActivityState::Active, None)),
        Action::Signal(told(ActivityState::Idle, Some(SignalDetail::Done))),
        Action::Signal(told(ActivityState::Exited, None)),
    ];
    actions.extend(unknown.iter().map(|&values| Action::Look(look(values))));
    let setting = Setting {
        reactions: vec![ReactionKind::AgentStuck],
        is_told_at_once: true,
        patience: 2,
        grain: COARSE,
        ..everything(agent)
    };
    Scope { name: "unknown only", setting, actions, depth: None, ends: Vec::new() }
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
    Scope { name: "signals", setting: everything(agent), actions, depth: Some(3), ends }
}

/// The fine grain of a walk that goes so deep and no deeper.
const FINE: Grain = Grain { age_max: 3, is_coarse: false, is_rest_timed: true };

/// The coarse grain of a walk that has an end.
const COARSE: Grain = Grain { age_max: 2, is_coarse: true, is_rest_timed: false };

/// Everything is reacted to, and the inbox hears of it.
fn everything(agent: &'static str) -> Setting {
    Setting {
        agent,
        reactions: ReactionKind::ALL.to_vec(),
        has_phone: false,
        is_told_at_once: false,
        patience: 3,
        grain: FINE,
    }
}

/// A whole life to its end: launches, looks and signals, kills and restores.
fn life() -> Scope {
    let dead = look(seen("living dead dead"));
    let mut actions = vec![
        Action::Pass,
        Action::Launched,
        Action::End(EndIntent::Kill),
        Action::Restore,
        Action::Look(look(seen("living alive alive"))),
        Action::Look(look(seen("living alive dead"))),
        Action::Look(look(seen("unreachable unknown unknown"))),
        Action::Look(dead),
        Action::Signal(Told { is_submit: true, ..told(ActivityState::Active, None) }),
        Action::Look(Looked { exit: Some(Exit::Status(0)), ..dead }),
        Action::Signal(told(ActivityState::Blocked, Some(SignalDetail::Permission))),
    ];
    let mut reactions = vec![ReactionKind::AgentStuck];
    if is_wide() {
        let missing = look(seen("living missing dead"));
        let blind = look(seen("unreachable unknown unknown"));
        actions.extend([
            Action::SpawnFailed,
            Action::Destroyed,
            Action::Look(missing),
            Action::Look(look(seen("living missing alive"))),
            Action::Look(look(seen("living not_looked alive"))),
            Action::Signal(told(ActivityState::Idle, Some(SignalDetail::Done))),
            Action::Look(Looked { is_held_back: true, ..missing }),
            Action::Look(Looked { is_first_after_gap: true, ..blind }),
            Action::Signal(told(ActivityState::Idle, None)),
            Action::Signal(told(ActivityState::Exited, None)),
        ]);
        reactions.extend([
            ReactionKind::AgentNeedsInput,
            ReactionKind::AgentExited,
            ReactionKind::SessionDone,
        ]);
    }
    let setting = Setting {
        agent: "full+exits",
        reactions,
        has_phone: false,
        is_told_at_once: true,
        patience: 2,
        grain: COARSE,
    };
    Scope { name: "life", setting, actions, depth: None, ends: Vec::new() }
}

/// Both lanes of messages to their end: holds, refusals, doubts, restarts, and the pull request
/// that they are about.
fn lanes() -> Scope {
    let mut actions = vec![
        Action::Pass,
        Action::Launched,
        Action::End(EndIntent::Kill),
        Action::Restore,
        Action::Ask,
        Action::Begin,
        Action::Typed,
        Action::Refused,
        Action::Doubted,
        Action::Restart,
        Action::Look(look(seen("living missing dead"))),
        Action::Signal(Told { is_submit: true, ..told(ActivityState::Active, None) }),
        Action::Signal(told(ActivityState::Idle, None)),
        Action::Signal(told(ActivityState::Blocked, Some(SignalDetail::Permission))),
        Action::Signal(Told { source: ActivitySource::Runtime, ..told(ActivityState::Idle, None) }),
    ];
    actions.extend(pushes(&["a"]));
    if is_wide() {
        let limited = told(ActivityState::Idle, Some(SignalDetail::UsageLimited));
        actions.extend([
            Action::SpawnFailed,
            Action::Look(look(seen("unreachable unknown unknown"))),
            Action::Look(look(seen("living alive alive"))),
            Action::Signal(told(ActivityState::WaitingInput, None)),
            Action::Signal(limited),
        ]);
        actions.extend(pushes(&["b"]));
    }
    let setting = Setting {
        agent: "full",
        reactions: vec![ReactionKind::CiFailed],
        has_phone: false,
        is_told_at_once: true,
        patience: 2,
        grain: Grain { is_rest_timed: true, ..COARSE },
    };
    Scope { name: "lanes", setting, actions, depth: None, ends: Vec::new() }
}

/// Two sinks to their end: each may fail until it gives up, and the daemon may die at any moment.
fn sinks() -> Scope {
    let mut actions = vec![
        Action::Pass,
        Action::Launched,
        Action::End(EndIntent::Kill),
        Action::Restore,
        Action::Restart,
        Action::Signal(Told { is_submit: true, ..told(ActivityState::Active, None) }),
        Action::Signal(told(ActivityState::Blocked, Some(SignalDetail::Permission))),
    ];
    actions.extend(every_sink());
    let mut reactions = vec![ReactionKind::AgentNeedsInput];
    if is_wide() {
        reactions.extend([ReactionKind::AgentExited, ReactionKind::PrClosed]);
        actions.push(Action::Look(look(seen("living missing dead"))));
        actions.push(Action::Look(look(seen("living alive alive"))));
        actions.extend(pushes(&["a"]));
    }
    let setting = Setting {
        agent: "full",
        reactions,
        has_phone: true,
        is_told_at_once: false,
        patience: 2,
        grain: COARSE,
    };
    Scope { name: "sinks", setting, actions, depth: None, ends: Vec::new() }
}

/// Lanes, holds and sinks together, with few facts.
fn delivery() -> Scope {
    let mut actions = vec![
        Action::Pass,
        Action::Launched,
        Action::Restore,
        Action::Ask,
        Action::Begin,
        Action::Typed,
        Action::Look(look(seen("living missing dead"))),
        Action::Signal(Told { is_submit: true, ..told(ActivityState::Active, None) }),
        Action::Signal(told(ActivityState::WaitingInput, None)),
    ];
    actions.extend(every_sink());
    actions.extend(pushes(&["a"]).into_iter().take(2));
    if is_wide() {
        actions.extend([
            Action::End(EndIntent::Kill),
            Action::Restart,
            Action::Signal(told(ActivityState::Idle, None)),
        ]);
    }
    let setting = Setting {
        agent: "full",
        reactions: vec![ReactionKind::CiFailed, ReactionKind::AgentNeedsInput],
        has_phone: is_wide(),
        is_told_at_once: false,
        patience: 2,
        grain: COARSE,
    };
    Scope { name: "delivery", setting, actions, depth: None, ends: Vec::new() }
}

fn every_sink() -> impl Iterator<Item = Action> {
    (0..N_SINKS).flat_map(|sink| [Action::HandOver(sink), Action::Finish(sink), Action::Fail(sink)])
}

/// A pull request that fails for each of these causes, passes, and is closed or merged.
fn pushes(causes: &[&str]) -> Vec<Action> {
    let mut all: Vec<_> =
        causes.iter().map(|cause| (PrLife::Open, "-", failed(&[cause]))).collect();
    all.push((PrLife::Open, "h", Checks::Passed));
    all.push((PrLife::Closed, "-", Checks::Pending));
    all.into_iter()
        .map(|(life, head, checks)| {
            Action::Pr(Box::new(pr(life, head, checks, Review::NotRequired)))
        })
        .collect()
}

/// Walks a scope and says what was seen, so that a run can be compared with `docs/testing.md`.
fn check(scope: &Scope) -> Walked {
    let walked = walk(scope);
    let Walked { n_states, n_transitions, depth, is_complete, states, .. } = &walked;
    let end = if *is_complete { "complete" } else { "bounded" };
    let line = format!(
        "{} ({}): {n_states} states, {n_transitions} transitions, depth {depth} ({end}), {} \
         session states",
        scope.name,
        scope.setting.agent,
        states.len()
    );
    report(&line);
    assert_eq!(scope.depth.is_none(), *is_complete, "{}", scope.name);
    if *is_complete {
        check_the_end(scope.name, &walked);
    }
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
    assert!(walked.states.contains(&SessionState::Done));
}

#[test]
fn every_look_leads_on() {
    let walked = check(&every_look_to_the_end());
    assert!(walked.states.contains(&SessionState::Terminated));
    assert!(walked.states.contains(&SessionState::Stuck));
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
fn a_whole_life_keeps_the_promises() {
    let walked = check(&life());
    for state in [SessionState::Stuck, SessionState::Done, SessionState::Terminated] {
        assert!(walked.states.contains(&state), "{:?}", walked.states);
    }
}

#[test]
fn what_waits_in_a_lane_is_typed_or_over() {
    let walked = check(&lanes());
    assert!(walked.states.contains(&SessionState::NeedsInput));
}

#[test]
fn what_waits_for_a_sink_is_told_or_given_up() {
    let walked = check(&sinks());
    assert!(walked.states.contains(&SessionState::NeedsInput));
}

#[test]
fn what_waits_is_delivered_or_over() {
    let walked = check(&delivery());
    assert!(walked.states.contains(&SessionState::NeedsInput));
    assert!(walked.states.contains(&SessionState::Terminated));
}
