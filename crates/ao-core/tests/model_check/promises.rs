//! What must hold of every transition and of every state. Each is said here anew, from the design
//! and not from the rules.

use std::collections::BTreeSet;

use ao_core::fact::{BootProbe, LookValues, ProcessProbe, RuntimeProbe, ServerProbe};
use ao_core::ids::CauseKey;
use ao_core::ledger::{IncidentKey, ReactionKind};
use ao_core::message::{Lane, MessageState};
use ao_core::outbox::Condition;
use ao_core::policy::ReactionAction;
use ao_core::pr::{Checks, PrLife};
use ao_core::react::ESCALATED;
use ao_core::record::{ActivitySource, ActivityState, SessionState};
use ao_core::step::Step;

use super::action::{Action, Looked, Told, World, is_held, is_inferred, own};
use super::state::{N_SINKS, State};

/// A look that could not tell whether anything lives.
pub(super) fn is_unknown(seen: LookValues) -> bool {
    let is_gone = seen.server == ServerProbe::Gone;
    seen.boot == BootProbe::Same
        && (seen.server == ServerProbe::Unreachable
            || seen.process == ProcessProbe::Unknown
            || (!is_gone && seen.runtime == RuntimeProbe::Unknown))
}

/// Both witnesses say that it is over.
fn has_two_witnesses(seen: LookValues) -> bool {
    let is_runtime_over = seen.server == ServerProbe::Gone
        || matches!(seen.runtime, RuntimeProbe::Dead | RuntimeProbe::Missing);
    seen.boot == BootProbe::Rebooted || (seen.process == ProcessProbe::Dead && is_runtime_over)
}

/// A session that ended stays as it ended until a restore is asked for.
pub(super) fn terminal_is_absorbing(before: &State, action: &Action, after: &State) {
    let is_reopened = *action == Action::Restore;
    if before.lifecycle.is_terminal() && !is_reopened {
        assert_eq!(
            before.lifecycle.session, after.lifecycle.session,
            "terminal_is_absorbing: {action:?}"
        );
    }
}

/// Only a look with both witnesses, or somebody's wish, ends a session.
pub(super) fn unknown_never_kills(before: &State, action: &Action, after: &State) {
    if before.lifecycle.is_terminal() || !after.lifecycle.is_terminal() {
        return;
    }
    let is_allowed = match action {
        Action::Look(look) => !is_unknown(look.values) && has_two_witnesses(look.values),
        Action::End(_) | Action::SpawnFailed => true,
        Action::Pass
        | Action::Signal(_)
        | Action::Pr(_)
        | Action::Launched
        | Action::Destroyed
        | Action::Restore
        | Action::SignalsLost
        | Action::Due(_)
        | Action::HandOver(_)
        | Action::Finish(_)
        | Action::Fail(_)
        | Action::Ask
        | Action::Begin
        | Action::Typed
        | Action::Refused
        | Action::Doubted
        | Action::Restart => false,
    };
    assert!(is_allowed, "unknown_never_kills: {action:?} ended {:#?}", before.lifecycle);
}

/// A human is called exactly when an incident becomes escalated, and it becomes so once.
pub(super) fn escalates_once(before: &State, step: Option<&Step>) {
    let Some(Step::Change(change)) = step else { return };
    let mut called: Vec<(IncidentKey, u64)> = Vec::new();
    for effect in &change.effects {
        if effect.notification.reaction == ESCALATED {
            let Condition::IncidentOpen { incident, episode } = effect.condition else {
                panic!("escalates_once: an escalation without an incident");
            };
            called.push((incident, episode));
        }
    }
    let mut became: Vec<(IncidentKey, u64)> = Vec::new();
    for (key, incident) in &change.ledger.open {
        let known = before.ledger.open.get(key).filter(|it| it.episode == incident.episode);
        let was_escalated = known.is_some_and(|it| it.is_escalated);
        assert!(incident.is_escalated || !was_escalated, "escalates_once: {key:?} is taken back");
        if incident.is_escalated && !was_escalated {
            became.push((*key, incident.episode));
        }
    }
    called.sort_unstable();
    // The one call is told to each sink that hears what is urgent.
    called.dedup();
    assert_eq!(called, became, "escalates_once");
}

/// No effect is planned twice for one sink, and an incident that opens again is another one.
pub(super) fn an_episode_is_new(before: &State, step: Option<&Step>) {
    let Some(Step::Change(change)) = step else { return };
    for (key, incident) in &change.ledger.open {
        let is_same =
            before.ledger.open.get(key).is_some_and(|known| known.episode == incident.episode);
        // Each is read as if it had been open before (`World::reduce`).
        let n_before = before.ledger.episodes.get(key).copied().unwrap_or(1);
        assert!(is_same || incident.episode > n_before, "an_episode_is_new: {key:?}");
        assert!(
            change.ledger.episodes.get(key) >= Some(&incident.episode),
            "an_episode_is_new: {key:?} is not counted"
        );
    }
    let ids: BTreeSet<String> = change.effects.iter().map(|it| it.id.to_string()).collect();
    assert_eq!(ids.len(), change.effects.len(), "an_episode_is_new: an effect is planned twice");
}

/// What should be reacted to after a transition, and for which causes.
fn demanded(
    world: &World,
    before: &State,
    action: &Action,
    after: &State,
) -> Vec<(IncidentKey, BTreeSet<CauseKey>)> {
    if after.lifecycle.intent.is_some() {
        return Vec::new();
    }
    let session = after.lifecycle.session;
    let is_new_end = !before.lifecycle.is_terminal();
    let own_reaction = match session.state {
        SessionState::Stuck => Some(ReactionKind::AgentStuck),
        SessionState::NeedsInput => Some(ReactionKind::AgentNeedsInput),
        SessionState::Done => Some(ReactionKind::SessionDone),
        SessionState::Terminated if is_inferred(session.reason) && is_new_end => {
            Some(ReactionKind::AgentExited)
        }
        SessionState::Terminated
        | SessionState::Detecting
        | SessionState::NotStarted
        | SessionState::Working
        | SessionState::Idle => None,
    };
    let mut all = Vec::new();
    if let Some(reaction) = own_reaction {
        all.push((own(reaction), BTreeSet::from([CauseKey::new(session.reason.as_str())])));
    }
    if let Action::Pr(pr) = action {
        let key = |reaction| IncidentKey { reaction, pr: Some(pr.number) };
        if pr.life.value() == Some(&PrLife::Open)
            && let Some(Checks::Failed { causes }) = pr.checks.value()
        {
            all.push((key(ReactionKind::CiFailed), causes.clone()));
        }
        if pr.life.value() == Some(&PrLife::Closed) {
            all.push((key(ReactionKind::PrClosed), BTreeSet::from([CauseKey::new("closed")])));
        }
    }
    all.retain(|(key, _)| world.policy.reaction(key.reaction).is_enabled);
    all
}

/// What should be reacted to is in the ledger, and what is in the ledger was said, waits to be
/// said, or failed to be and is said with the next observation.
pub(super) fn nothing_is_lost(world: &World, before: &State, action: &Action, after: &State) {
    for (key, causes) in demanded(world, before, action, after) {
        let Some(open) = after.ledger.open.get(&key) else {
            panic!("nothing_is_lost: {key:?} is not open after {action:?}");
        };
        let is_taken = open.is_escalated || causes.is_subset(&open.causes);
        let is_failed = *action == Action::Refused && open.causes.is_empty();
        assert!(is_taken || is_failed, "nothing_is_lost: {key:?} is not told after {action:?}");
    }
    for (key, open) in &after.ledger.open {
        if open.causes.is_empty() && !open.is_escalated {
            continue;
        }
        let id = (*key, open.episode);
        let is_said = after.told.contains(&id)
            || after.given_up.contains(&id)
            || after.planned().any(|effect| (effect.incident, effect.episode) == id)
            || after.messages.iter().any(|message| message.origin == Some(id));
        assert!(is_said, "nothing_is_lost: {key:?} of {open:?} is said to nobody after {action:?}");
    }
}

/// A doubt does not last: equal looks, one interval apart, end in `stuck` or leave it.
///
/// A walk that has an end shows more: see `graph`.
pub(super) fn quarantine_ends(world: &World, state: &State, looks: &[LookValues]) {
    for values in looks {
        let mut now = state.clone();
        for _ in 0..6 {
            if now.lifecycle.session.state != SessionState::Detecting {
                break;
            }
            now = world.perform(&now, &Action::Pass).0;
            let look = Looked {
                values: *values,
                exit: None,
                is_held_back: false,
                is_first_after_gap: false,
                age: 0,
                generation: 1,
            };
            now = world.perform(&now, &Action::Look(look)).0;
        }
        let has_left = now.lifecycle.session.state != SessionState::Detecting;
        assert!(has_left, "quarantine_ends: {values:?} in {:#?}", state.lifecycle);
    }
}

/// Whatever waits gets its turn once the world is kind: its sink answers, its agent is well and
/// takes turns, and time passes.
pub(super) fn something_leads_on(world: &World, state: &State) {
    let mut now = state.clone();
    for _ in 0..60 {
        let Some(action) = kind_action(world, &now) else { return };
        now = world.perform(&now, &action).0;
    }
    panic!("something_leads_on: from {state:#?} to {now:#?}");
}

/// What a kind world does next; nothing when nothing waits.
fn kind_action(world: &World, state: &State) -> Option<Action> {
    let sinks = (0..N_SINKS).flat_map(|sink| [Action::Finish(sink), Action::HandOver(sink)]);
    for action in sinks.chain([Action::Typed, Action::Begin]) {
        if World::is_possible(state, &action) {
            return Some(action);
        }
    }
    if let Some(due) = state.due().next() {
        return Some(Action::Due(due.clone()));
    }
    if state.messages.is_empty() {
        return None;
    }
    assert!(
        !state.lifecycle.is_terminal(),
        "something_leads_on: a message outlives its session: {state:#?}"
    );
    if World::is_possible(state, &Action::Launched) {
        return Some(Action::Launched);
    }
    if state.lifecycle.session.state == SessionState::Detecting {
        let values = LookValues {
            boot: BootProbe::Same,
            server: ServerProbe::Living,
            runtime: RuntimeProbe::Alive,
            process: ProcessProbe::Alive,
        };
        // A process that was seen dead does not live again: then the look finds its end.
        let is_dead = state.lifecycle.process_dead_at.is_some();
        let ended =
            LookValues { runtime: RuntimeProbe::Missing, process: ProcessProbe::Dead, ..values };
        let values = if is_dead { ended } else { values };
        let (exit, is_held_back, age, generation) = (None, false, 0, 1);
        let look =
            Looked { values, exit, is_held_back, is_first_after_gap: false, age, generation };
        let (next, _) = world.perform(state, &Action::Look(look));
        let is_moved = next.key() != state.key();
        return Some(if is_moved { Action::Look(look) } else { Action::Pass });
    }
    let is_typed = state.messages.iter().any(|it| it.state == MessageState::Typed);
    let is_waiting =
        state.messages.iter().any(|it| it.state == MessageState::Queued && is_held(state, it.lane));
    if is_typed || is_waiting {
        let submit = Told {
            activity: ActivityState::Active,
            source: ActivitySource::Hook,
            detail: None,
            is_submit: true,
            age: 0,
            generation: 1,
        };
        return Some(Action::Signal(submit));
    }
    Some(Action::Pass)
}

/// Nothing is typed at a dialog, nor before the agent runs, nor into a doubt.
pub(super) fn nothing_is_typed_at_a_dialog(before: &State, action: &Action, after: &State) {
    if *action != Action::Begin {
        return;
    }
    let is_typing = after.messages.iter().any(|it| it.state == MessageState::Typing);
    assert!(!(is_typing && before.is_dialog), "nothing_is_typed_at_a_dialog");
    assert!(!before.lifecycle.is_terminal() || !is_typing, "nothing is typed after the end");
}

/// A kill reacts to nothing.
pub(super) fn a_wish_reacts_to_nothing(step: Option<&Step>) {
    let Some(Step::Change(change)) = step else { return };
    if change.lifecycle.intent.is_some() {
        assert!(
            change.effects.is_empty() && change.messages.is_empty(),
            "a_wish_reacts_to_nothing"
        );
    }
}

/// An agent that ended is told nothing; its human is.
pub(super) fn the_ended_are_told_nothing(world: &World, after: &State) {
    if !after.lifecycle.is_terminal() {
        return;
    }
    let reacts = |it: &&super::state::Waiting| {
        it.lane == Lane::Automatic
            && it.origin.is_some_and(|(key, _)| {
                world.policy.reaction(key.reaction).action == ReactionAction::Message
            })
    };
    assert_eq!(after.messages.iter().filter(reacts).count(), 0, "the_ended_are_told_nothing");
}
