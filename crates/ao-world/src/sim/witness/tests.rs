//! Each check of the witness, shown the least that breaks its promise: a check that cannot fail
//! holds nothing.

use std::time::Duration;

use ao_core::agent::{AgentTraits, Signals};
use ao_core::fact::{
    BootProbe, Fact, FactKind, LookFact, LookValues, Outcome, ProcessProbe, RuntimeProbe,
    ServerProbe,
};
use ao_core::ids::{EffectId, InfraIncidentId, NotifierId, Revision, SessionId};
use ao_core::inbox::Notification;
use ao_core::journal::JournalEntry;
use ao_core::ledger::{Incident, IncidentKey, ReactionKind};
use ao_core::message::{Message, MessageChange, MessageReason, MessageState};
use ao_core::outbox::{Condition, Effect, OutboxEntry, OutboxOutcome, OutboxState, Sink};
use ao_core::ports::{Commit, Ensured, Expected, Processes as _};
use ao_core::record::{
    Activity, ActivitySource, ActivityState, EndIntent, SessionReason, SessionState,
};
use ao_core::saga::SagaChange;
use ao_core::session::Session;
use ao_core::step::{Because, Rule};
use ao_testkit::clock::JumpingClock;
use ao_testkit::contract::store::sample::{
    effect, launch_id, message, moment, outage, reaction, saga, seed, session_id, with_verdict,
};
use ao_testkit::machine::FakeMachine;

use super::{Wish, Witness};
use crate::sim::names;

mod keeping;

const APP: &str = "app-1";

fn app() -> SessionId {
    session_id(APP)
}

/// A witness that has seen a session begin.
fn witness() -> Witness {
    let witness = Witness::new(FakeMachine::new(JumpingClock::new(), names::home("home")));
    let commit = Commit { next: Some(working()), ..Commit::on(app(), Expected::Absent, moment(1)) };
    witness.committed(&commit, Revision(1));
    witness
}

/// A session that works, in its launch `one`.
fn working() -> Session {
    let mut session =
        with_verdict(seed(APP), SessionState::Working, SessionReason::AgentAcknowledged);
    session.lifecycle.revision = Revision(1);
    session.lifecycle.launch = Some(ao_core::record::Launch {
        id: launch_id("one"),
        committed_at: moment(1),
        traits: AgentTraits {
            signals: Signals::None,
            exits_when_done: false,
            settle_for: Duration::ZERO,
        },
    });
    session
}

fn ended(reason: SessionReason) -> Session {
    with_verdict(working(), SessionState::Terminated, reason)
}

/// A commit upon the last one, because of this fact.
fn commit(next: Session, kind: FactKind, rule: Rule) -> Commit {
    let because = Because { rule, values: String::new() };
    let fact = Fact { at: moment(9), kind };
    let journal = Some(JournalEntry { at: moment(9), fact, because });
    Commit {
        next: Some(next),
        journal,
        ..Commit::on(app(), Expected::Revision(Revision(1)), moment(9))
    }
}

fn both_gone() -> LookFact {
    let values = LookValues {
        boot: BootProbe::Same,
        server: ServerProbe::Living,
        runtime: RuntimeProbe::Missing,
        process: ProcessProbe::Dead,
    };
    LookFact::new(launch_id("one"), values)
}

/// An end by a look, which opens the incident that tells of it.
fn death(look: LookFact) -> Commit {
    let mut next = ended(SessionReason::RuntimeLost);
    next.ledger.open.insert(key(ReactionKind::AgentExited), incident(1));
    commit(next, FactKind::Look(look), Rule::RuntimeMissing)
}

const fn key(reaction: ReactionKind) -> IncidentKey {
    IncidentKey { reaction, pr: None }
}

fn incident(episode: u64) -> Incident {
    Incident {
        episode,
        opened_at: moment(2),
        attempts: 1,
        first_attempt_at: None,
        is_escalated: false,
        causes: std::collections::BTreeSet::new(),
    }
}

/// Asserts that exactly one promise was broken, and which.
#[track_caller]
fn check(witness: &Witness, expect: &str) {
    let found = witness.seen().violations.join("; ");
    assert!(found.contains(expect), "{found:?} does not tell of {expect:?}");
    assert_eq!(witness.seen().violations.len(), 1, "{found}");
}

#[track_caller]
fn check_none(witness: &Witness) {
    assert_eq!(witness.seen().violations, [""; 0]);
}

#[test]
fn a_write_on_another_revision_is_seen() {
    let witness = witness();
    let commit = Commit::on(app(), Expected::Revision(Revision(0)), moment(2));
    witness.committed(&commit, Revision(1));
    check(&witness, "passed at");
}

#[test]
fn a_write_that_does_not_raise_the_revision_is_seen() {
    let witness = witness();
    let mut commit = Commit::on(app(), Expected::Revision(Revision(1)), moment(2));
    commit.next = Some(working());
    witness.committed(&commit, Revision(1));
    check(&witness, "became");
}

#[test]
fn an_end_that_says_something_else_afterwards_is_seen() {
    let witness = witness();
    witness.committed(&death(both_gone()), Revision(2));
    check_none(&witness);
    let mut again = death(both_gone());
    again.expected = Expected::Revision(Revision(2));
    again.next = Some(ended(SessionReason::ServerGone));
    witness.committed(&again, Revision(3));
    check(&witness, "now says");
}

#[test]
fn a_death_with_one_witness_is_seen() {
    let witness = witness();
    let mut look = both_gone();
    look.values.runtime = RuntimeProbe::Unknown;
    witness.committed(&death(look), Revision(2));
    check(&witness, "two witnesses");
}

#[test]
fn a_death_of_a_process_that_runs_is_seen() {
    let witness = witness();
    let pid = witness.machine.start_process(None);
    let process = witness.machine.identity(pid, None).unwrap();
    let server =
        ao_core::session::ServerIdentity { socket: "/tmux".into(), process: process.clone() };
    let handle = ao_core::session::RuntimeHandle {
        version: ao_core::session::HANDLE_VERSION,
        server,
        session: APP.to_owned(),
        pane: "%1".to_owned(),
        process,
    };
    witness.seen().sessions.get_mut(&app()).unwrap().record.handle = Some(handle);
    witness.committed(&death(both_gone()), Revision(2));
    check(&witness, "its process runs");
}

#[test]
fn a_death_of_an_agent_that_was_heard_since_is_seen() {
    let witness = witness();
    {
        let mut seen = witness.seen();
        let lifecycle = &mut seen.sessions.get_mut(&app()).unwrap().lifecycle;
        lifecycle.process_dead_at = Some(moment(5));
        lifecycle.activity = Some(Activity {
            state: ActivityState::Active,
            at: moment(6),
            source: ActivitySource::Hook,
            detail: None,
        });
    }
    witness.committed(&death(both_gone()), Revision(2));
    check(&witness, "heard from");
}

#[test]
fn a_death_that_nobody_is_told_of_is_seen() {
    let silent = witness();
    let mut commit = death(both_gone());
    commit.next = Some(ended(SessionReason::RuntimeLost));
    silent.committed(&commit, Revision(2));
    check(&silent, "nobody will be told");

    let unopened = witness();
    let look = LookFact { incident: Some(InfraIncidentId::new("o")), ..both_gone() };
    unopened.committed(&death(look.clone()), Revision(2));
    check(&unopened, "was not opened");

    let opened = witness();
    opened.opened(&outage("o"), Ensured::Done, &[]);
    opened.committed(&death(look), Revision(2));
    check_none(&opened);
}

#[test]
fn an_end_that_nobody_asks_for_any_more_is_seen() {
    let end = || {
        let fact = FactKind::Outcome(Outcome::EndRequested(EndIntent::Kill));
        commit(ended(SessionReason::ManuallyKilled), fact, Rule::EndRequested)
    };
    let unasked = witness();
    unasked.committed(&end(), Revision(2));
    check(&unasked, "nobody asked");

    // A request excuses one end, and none once it was answered.
    let asked = witness();
    let request = asked.asked(&app(), Wish::End);
    asked.committed(&end(), Revision(2));
    check_none(&asked);
    asked.seen().sessions.insert(app(), working());
    asked.committed(&end(), Revision(3));
    check(&asked, "nobody asked");
    drop(request);

    let answered = witness();
    drop(answered.asked(&app(), Wish::End));
    answered.committed(&end(), Revision(2));
    check(&answered, "nobody asked");
}

#[test]
fn a_return_that_nobody_asks_for_is_seen() {
    let witness = witness();
    witness.committed(&death(both_gone()), Revision(2));
    let fact = FactKind::Outcome(Outcome::RestoreRequested);
    let mut back = commit(working(), fact, Rule::RestoreRequested);
    back.expected = Expected::Revision(Revision(2));
    let _other = witness.asked(&app(), Wish::End);
    witness.committed(&back, Revision(3));
    check(&witness, "reopened");
}

#[test]
fn a_failed_launch_without_a_launch_is_seen() {
    let witness = witness();
    let fact = FactKind::Outcome(Outcome::SpawnFailed);
    witness.committed(
        &commit(ended(SessionReason::SpawnFailed), fact, Rule::SpawnFailed),
        Revision(2),
    );
    check(&witness, "no launch was in flight");
}

#[test]
fn a_fact_of_another_launch_that_changes_something_is_seen() {
    let witness = witness();
    let mut look = both_gone();
    look.launch = launch_id("two");
    let doubt = with_verdict(working(), SessionState::Detecting, SessionReason::RuntimeLost);
    witness.committed(&commit(doubt, FactKind::Look(look), Rule::HeardSince), Revision(2));
    check(&witness, "was taken in by");
}

#[test]
fn a_second_saga_is_seen() {
    let witness = witness();
    let begin = |revision| Commit {
        saga: Some(SagaChange::Begin(saga(APP))),
        ..Commit::on(app(), Expected::Revision(Revision(revision)), moment(2))
    };
    witness.committed(&begin(1), Revision(1));
    check_none(&witness);
    witness.committed(&begin(1), Revision(1));
    check(&witness, "two sagas");
}

#[test]
fn a_record_that_is_removed_while_its_session_lives_is_seen() {
    let witness = witness();
    witness.removed(&app());
    check(&witness, "removed while it lives");
}

/// Moves messages of the session, one commit each.
fn moves(
    witness: &Witness,
    moves: &[(&Message, MessageState, MessageState, Option<MessageReason>)],
) {
    for &(message, from, to, reason) in moves {
        let mut commit = Commit::on(app(), Expected::Revision(Revision(1)), moment(3));
        let (id, launch, at) = (message.id.clone(), None, moment(3));
        commit.messages = vec![MessageChange::Move { id, from, to, reason, launch, at }];
        witness.committed(&commit, Revision(1));
    }
}

/// A witness that has seen these messages queued.
fn with_queued(messages: &[&Message]) -> Witness {
    let witness = witness();
    let mut commit = Commit::on(app(), Expected::Revision(Revision(1)), moment(2));
    commit.messages = messages.iter().map(|&it| MessageChange::Queue(it.clone())).collect();
    witness.committed(&commit, Revision(1));
    witness
}

#[test]
fn a_message_that_goes_back_or_begins_twice_is_seen() {
    use MessageState::{InDoubt, Queued, Submitted, Typed, Typing};
    let one = message(APP, "one");
    let back = with_queued(&[&one]);
    moves(&back, &[(&one, Queued, Typing, None), (&one, Typing, InDoubt, None)]);
    check_none(&back);
    moves(&back, &[(&one, InDoubt, Queued, None)]);
    check(&back, "went from in_doubt to queued");

    let other = with_queued(&[&one]);
    moves(&other, &[(&one, Typing, Typed, None)]);
    check(&other, "and was queued");

    let two = message(APP, "two");
    let beside = with_queued(&[&one, &two]);
    moves(&beside, &[(&one, Queued, Typing, None), (&two, Queued, Typing, None)]);
    check(&beside, "begun beside");

    let unheard = with_queued(&[&one]);
    moves(&unheard, &[(&one, Queued, Typing, None), (&one, Typing, Submitted, None)]);
    check(&unheard, "was never typed");
}

#[test]
fn a_message_that_is_given_up_for_a_reason_that_is_not_so_is_seen() {
    use MessageState::{Cancelled, Queued, Superseded};
    let one = reaction(APP, "one", key(ReactionKind::AgentIdle));
    for (to, reason) in [
        (Superseded, MessageReason::ConditionOver),
        (Superseded, MessageReason::Newer),
        (Cancelled, MessageReason::SessionEnded),
    ] {
        let witness = with_queued(&[&one]);
        let open = (key(ReactionKind::AgentIdle), incident(1));
        witness.seen().sessions.get_mut(&app()).unwrap().ledger.open.extend([open]);
        moves(&witness, &[(&one, Queued, to, Some(reason))]);
        check(&witness, "which is not so");
    }
}

#[test]
fn a_text_that_is_typed_twice_unlooked_or_at_a_dialog_is_seen() {
    let typing = || {
        let mut one = message(APP, "one");
        one.state = MessageState::Typing;
        let witness = witness();
        witness.seen().messages.insert(one.id.clone(), one.clone());
        (witness, one.text)
    };
    let (twice, text) = typing();
    for _ in 0..2 {
        twice.looked(&app(), false);
        twice.pasted(&app(), &text);
    }
    check(&twice, "pasted again");

    let (unlooked, text) = typing();
    unlooked.pasted(&app(), &text);
    check(&unlooked, "without a fresh look");

    let (dialog, text) = typing();
    dialog.looked(&app(), true);
    dialog.pasted(&app(), &text);
    check(&dialog, "showed a dialog");

    let (enter, _text) = typing();
    enter.pressed(&app(), "Enter");
    check(&enter, "without a fresh look");

    let (unknown, _text) = typing();
    unknown.looked(&app(), false);
    unknown.pasted(&app(), "what nobody sent");
    check(&unknown, "0 messages say");

    let (given, _text) = typing();
    let sent = format!("{} 7", super::TEXT_OF_A_PERSON);
    given.submitted(&app(), &[sent.clone(), sent]);
    check(&given, "2 times");
}

fn about(name: &str, reaction: &str) -> Effect {
    let condition = Condition::IncidentOpen { incident: key(ReactionKind::AgentStuck), episode: 1 };
    let planned = effect(name, "desk");
    let notification = Notification { reaction: reaction.to_owned(), ..planned.notification };
    Effect { condition, notification, ..planned }
}

fn desk() -> Sink {
    Sink::Notifier(NotifierId::parse("desk").unwrap())
}

/// A witness that has seen an incident open and these effects planned, in this order.
fn with_planned(effects: &[Effect]) -> Witness {
    let witness = witness();
    let mut next = working();
    next.ledger.open.insert(key(ReactionKind::AgentStuck), incident(1));
    let mut commit = commit(next, FactKind::SignalsLost(1), Rule::SignalsLost);
    commit.effects = effects.to_vec();
    witness.committed(&commit, Revision(2));
    witness
}

fn take(witness: &Witness, seq: u64, effect: &Effect) {
    witness.taken(&[OutboxEntry {
        seq,
        session: Some(app()),
        effect: effect.clone(),
        state: OutboxState::Pending,
        attempts: 0,
        not_before: None,
        last_error: None,
    }]);
}

/// Ends the incident of the planned effects.
fn end_incident(witness: &Witness) {
    witness.seen().sessions.get_mut(&app()).unwrap().ledger.open.clear();
}

#[test]
fn a_human_who_is_called_twice_is_seen() {
    let calls = ["one", "two"].map(|name| about(name, "reaction.escalated"));
    check(&with_planned(&calls), "called twice");
}

#[test]
fn an_effect_that_overtakes_another_is_seen() {
    let (one, two) = (about("one", "agent-stuck"), about("two", "agent-stuck"));
    let witness = with_planned(&[one, two.clone()]);
    witness.delivered(&two.notification, &desk());
    check(&witness, "overtook");
}

#[test]
fn an_effect_that_is_told_after_its_incident_is_seen() {
    let one = about("one", "agent-stuck");
    let stale = with_planned(std::slice::from_ref(&one));
    end_incident(&stale);
    take(&stale, 1, &one);
    stale.delivered(&one.notification, &desk());
    check(&stale, "its incident is over");

    let done = with_planned(std::slice::from_ref(&one));
    take(&done, 1, &one);
    done.delivered(&one.notification, &desk());
    done.finished(1, &OutboxOutcome::Done);
    check_none(&done);
    done.delivered(&one.notification, &desk());
    check(&done, "although it is Done");

    let unplanned = with_planned(&[]);
    unplanned.delivered(&one.notification, &desk());
    check(&unplanned, "never planned");
}

#[test]
fn an_effect_that_is_dropped_although_it_holds_is_seen() {
    let one = about("one", "agent-stuck");
    let superseded = with_planned(std::slice::from_ref(&one));
    take(&superseded, 1, &one);
    superseded.finished(1, &OutboxOutcome::Superseded);
    check(&superseded, "although its condition holds");

    let over = with_planned(std::slice::from_ref(&one));
    take(&over, 1, &one);
    end_incident(&over);
    over.finished(1, &OutboxOutcome::Superseded);
    check_none(&over);

    let untold = with_planned(std::slice::from_ref(&one));
    take(&untold, 1, &one);
    untold.finished(1, &OutboxOutcome::Done);
    check(&untold, "never told");

    let given_up = with_planned(std::slice::from_ref(&one));
    take(&given_up, 1, &one);
    given_up.finished(1, &OutboxOutcome::Dead { error: "lost".to_owned() });
    check(&given_up, "given up after 0");
    assert_eq!(one.notification.id, EffectId::new("one"));
}
