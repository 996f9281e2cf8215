//! Every status has an explanation, and what it says would happen is what happens.

use std::collections::BTreeSet;
use std::time::Duration;

use ao_core::deadline::{Deadline, DeadlineClock, DeadlineKind};
use ao_core::explain::{Beside, Explanation, explain};
use ao_core::fact::{
    BootProbe, Fact, FactKind, LookFact, LookValues, Outcome, ProcessProbe, RuntimeProbe,
    ServerProbe, SignalDetail, SignalFact,
};
use ao_core::ids::{CauseKey, EffectId, FactId, InfraIncidentId, MessageId, PrNumber};
use ao_core::inbox::{Notification, Priority};
use ao_core::journal::{JournalEntry, JournalRecord};
use ao_core::ledger::{Incident, IncidentKey, ReactionKind};
use ao_core::message::{Lane, Message, MessageReason, MessageState};
use ao_core::outbox::{Condition, Effect, OutboxEntry, OutboxState, Sink};
use ao_core::ports::{InfraIncident, InfraIncidentKind};
use ao_core::record::{
    Activity, ActivitySource, ActivityState, DoneClaim, EndIntent, Evidence, Exit, PrReason,
    PrState, PrVerdict, Quarantine, SessionReason, SessionState, SessionVerdict,
};
use ao_core::reduce::reduce;
use ao_core::saga::{PreImage, Saga, SagaDirection, SagaKind, SagaStep, SagaTrouble};
use ao_core::session::{Phase, Session, WorkspaceFate};
use ao_core::status::{Status, status};
use ao_core::step::{Because, Rule, Step};
use ao_core::time::Moment;
use proptest::prelude::*;
use proptest::sample::select;

use crate::fixtures::{after, at_s, launched, look, look_values, policy, seeded, traits};
use crate::properties::{Life, events};
use crate::script::Script;

/// Every sentence of an explanation, with where it stands.
fn sentences(told: &Explanation) -> Vec<(String, String)> {
    let mut all = vec![
        ("sentence".to_owned(), told.sentence.clone()),
        ("meaning".to_owned(), told.decided.meaning.clone()),
    ];
    let mut add = |place: String, text: &str| all.push((place, text.to_owned()));
    for fact in &told.facts {
        add(format!("fact {}", fact.kind), &fact.value);
        add(format!("source of {}", fact.kind), fact.source);
    }
    for reaction in &told.reactions {
        add(format!("reaction {}", reaction.reaction), &reaction.sentence);
    }
    for message in &told.messages {
        add(format!("message {}", message.message.state), &message.sentence);
    }
    for deadline in &told.deadlines {
        add(format!("deadline {}", deadline.kind), &deadline.sentence);
    }
    if let Some(incident) = &told.incident {
        add("incident".to_owned(), &incident.sentence);
    }
    if let Some(restore) = &told.restore {
        for text in restore.sentences.iter().chain(&restore.losses) {
            add("restore".to_owned(), text);
        }
    }
    for text in &told.would_change {
        add("would change".to_owned(), text);
    }
    all
}

/// Nothing is empty, no piece of the program shows, and what has to be there is.
#[track_caller]
fn check_whole(session: &Session, told: &Explanation) {
    let context = || format!("{:?}: {told:#?}", session.lifecycle.session);
    assert_eq!(told.status, status(session));
    for (place, text) in sentences(told) {
        assert!(!text.trim().is_empty(), "{place} is empty, {}", context());
        assert_eq!(text.trim(), text, "{place}, {}", context());
        for piece in ["{", "}", "Some(", "None", "::", "unknown rule", "  ", "  ", "``", ".."] {
            assert!(!text.contains(piece), "{place} has `{piece}`: {text}, {}", context());
        }
        // A name in backticks is closed.
        assert_eq!(text.matches('`').count() % 2, 0, "{place}: {text}");
    }
    let verdict = session.lifecycle.session;
    let axis = format!("({}/{}).", verdict.state, verdict.reason);
    assert!(told.sentence.ends_with(&axis), "{}", context());
    assert!(told.sentence.starts_with(char::is_uppercase), "{}", context());
    let is_seed = verdict.state == SessionState::NotStarted
        && session.lifecycle.launch.is_none()
        && verdict.reason != SessionReason::RestoreRequested;
    match told.decided.rule {
        None => assert!(is_seed, "{}", context()),
        // One that waited, or waits to be brought back, was decided although nothing runs.
        Some(Rule::RestoreRequested | Rule::PlaceFound) => {}
        Some(_) => assert!(!is_seed, "{}", context()),
    }
    assert!(!told.facts.is_empty() && !told.would_change.is_empty(), "{}", context());
    for fact in &told.facts {
        let is_untold = fact.value.contains("unknown") && fact.source == "scm";
        let is_dated = fact.at.is_some() || is_untold || fact.kind == "signals_lost";
        assert!(is_dated, "{} has no age, {}", fact.kind, context());
    }
    assert_eq!(told.restore.is_some(), session.lifecycle.is_terminal(), "{}", context());
    let n_open = session.ledger.open.len();
    assert_eq!(told.reactions.len(), n_open, "{}", context());
}

fn details() -> Vec<Option<(ActivityState, Option<SignalDetail>)>> {
    let mut all = vec![None];
    for &state in ActivityState::ALL {
        all.push(Some((state, None)));
        all.extend(SignalDetail::ALL.iter().map(|&detail| Some((state, Some(detail)))));
    }
    all
}

fn pr_verdicts() -> Vec<PrVerdict> {
    let mut all = Vec::new();
    for &state in PrState::ALL {
        for &reason in PrReason::ALL {
            for number in [None, Some(PrNumber(7))] {
                all.push(PrVerdict { state, reason, number });
            }
        }
    }
    all
}

fn doubt(words: &str, reason: SessionReason) -> Quarantine {
    Quarantine {
        attempts: 2,
        started_at: at_s(10),
        counted_at: at_s(15),
        evidence: Evidence { reason, look: look_values(words) },
    }
}

/// The statuses that a pull request gives.
const OF_PRS: [Status; 9] = [
    Status::Merged,
    Status::CiFailed,
    Status::ChangesRequested,
    Status::MergeConflict,
    Status::Draft,
    Status::ReviewPending,
    Status::Approved,
    Status::Mergeable,
    Status::PrOpen,
];

#[test]
fn every_state_and_reason_is_explained_whatever_the_agent_told() {
    let mut shown = BTreeSet::new();
    let (policy, details) = (policy(), details());
    for agent in ["full", "none+exits", ""] {
        let mut session = if agent.is_empty() { seeded(1) } else { launched(1, agent) };
        for &state in SessionState::ALL {
            for &reason in SessionReason::ALL {
                session.lifecycle.session = SessionVerdict { state, reason };
                for told in &details {
                    let is_limit = matches!(told, Some((_, Some(SignalDetail::UsageLimited))));
                    session.lifecycle.paused_until = is_limit.then(|| at_s(600).wall);
                    session.lifecycle.activity = told.map(|(state, detail)| Activity {
                        state,
                        at: at_s(20),
                        source: ActivitySource::Hook,
                        detail,
                    });
                    let told = explain(&session, &Beside::default(), &policy, &at_s(30));
                    check_whole(&session, &told);
                    shown.insert(told.status);
                }
            }
        }
    }
    let is_shown = |status: &&Status| !OF_PRS.contains(status);
    assert!(Status::ALL.iter().filter(is_shown).eq(&shown), "{shown:?}");
}

#[test]
fn every_pull_request_that_is_shown_is_explained() {
    let mut shown = BTreeSet::new();
    for state in [SessionState::Working, SessionState::Idle, SessionState::Terminated] {
        for pr in pr_verdicts() {
            let mut session = launched(1, "full");
            session.lifecycle.session =
                SessionVerdict { state, reason: SessionReason::TaskInProgress };
            session.lifecycle.pr = pr;
            let told = explain(&session, &Beside::default(), &policy(), &at_s(30));
            check_whole(&session, &told);
            let is_of_forge = told.decided.rule == Some(Rule::PullRequests);
            let is_of_pr =
                ![Status::Working, Status::Idle, Status::Terminated].contains(&told.status);
            assert_eq!(is_of_forge, is_of_pr, "{told:#?}");
            shown.insert(told.status);
        }
    }
    for status in [Status::Merged, Status::CiFailed, Status::Mergeable, Status::PrOpen] {
        assert!(shown.contains(&status), "{shown:?}");
    }
}

#[test]
fn every_doubt_is_told_as_it_was_seen() {
    let all = [
        ("living alive unknown", SessionReason::ProbeFailure, "nobody could find out"),
        ("living missing alive", SessionReason::RuntimeLost, "process runs, and its terminal is"),
        ("living missing dead", SessionReason::RuntimeLost, "one more look has to confirm it"),
        ("living alive dead", SessionReason::AgentProcessExited, "does not confirm that yet"),
    ];
    for (words, reason, expect) in all {
        for state in [SessionState::Detecting, SessionState::Stuck] {
            let mut session = launched(1, "full");
            session.lifecycle.session = SessionVerdict { state, reason };
            session.lifecycle.detecting = Some(doubt(words, reason));
            let told = explain(&session, &Beside::default(), &policy(), &at_s(20));
            check_whole(&session, &told);
            let sentence = told.sentence.to_lowercase();
            assert!(sentence.contains(expect), "{sentence}");
            let counted = told.facts.iter().find(|fact| fact.kind == "quarantine").unwrap();
            assert!(counted.value.starts_with("2 of 3 looks"), "{counted:?}");
        }
    }
}

fn ended(reason: SessionReason) -> Session {
    let mut session = launched(1, "full");
    session.lifecycle.session = SessionVerdict { state: SessionState::Terminated, reason };
    session.lifecycle.state_since = at_s(20);
    session.record.phase = Phase::Ended;
    session
}

fn kill_saga(because: Option<&str>) -> Saga {
    Saga {
        session: seeded(1).record.id,
        kind: SagaKind::Kill,
        step: SagaStep::Processes,
        direction: SagaDirection::Forward,
        is_cancelled: false,
        pre_image: PreImage::default(),
        discard: false,
        because: because.map(|message| SagaTrouble {
            code: "PROCESS_LIVES".to_owned(),
            message: message.to_owned(),
        }),
        attempts: 3,
        started_at: at_s(20),
    }
}

#[test]
fn a_start_that_is_tried_again_says_how_often_it_was() {
    let mut session = seeded(1);
    session.record.phase = Phase::Worktree;
    let check = |attempts: u32, expect: &str| {
        let saga = Saga { kind: SagaKind::Spawn, attempts, ..kill_saga(None) };
        let beside = Beside { saga: Some(&saga), ..Beside::default() };
        let told = explain(&session, &beside, &policy(), &at_s(30));
        let phase = told.facts.iter().find(|fact| fact.kind == "phase").unwrap();
        assert_eq!(phase.value, expect);
    };
    check(0, "worktree");
    check(1, "worktree, tried 1 time so far");
    check(2, "worktree, tried 2 times so far");
}

#[test]
fn of_many_pull_requests_the_newest_and_the_worst_are_told_value_by_value() {
    let told = |n_last: u32| {
        let mut script = Script::new();
        script.say("seed app-1");
        script.say("launched app-1 full");
        script.say("1s signal app-1 active");
        // The first one is the worst: the session shows it.
        script.say("5s pr app-1 #1 head=h1 checks=lint");
        for n in 2..=n_last {
            script.say(&format!("5s pr app-1 #{n} head=h{n}"));
        }
        script.say("20s explain app-1")
    };
    let heads = |lines: &[String]| -> Vec<String> {
        let heads = lines.iter().filter_map(|line| line.trim().strip_prefix("fact head: #"));
        heads.map(|head| head.split(':').next().unwrap().to_owned()).collect()
    };
    let numbers = |numbers: &[u32]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>();
    let ten = told(10);
    assert_eq!(heads(&ten), numbers(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
    let twelve = told(12);
    assert_eq!(heads(&twelve), numbers(&[1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]));
    let lives = twelve.iter().filter(|line| line.contains("fact pull_request: #"));
    assert_eq!(lives.count(), 12);
}

#[test]
fn a_teardown_that_is_pending_says_why_and_holds_the_restore_back() {
    let mut session = ended(SessionReason::ManuallyKilled);
    session.lifecycle.intent = Some(EndIntent::Kill);
    session.record.phase = Phase::Running;
    let saga = kill_saga(Some("process 42 does not end"));
    let beside = Beside { saga: Some(&saga), ..Beside::default() };
    let told = explain(&session, &beside, &policy(), &at_s(30));
    check_whole(&session, &told);
    let teardown = told.facts.iter().find(|fact| fact.kind == "teardown").unwrap();
    assert!(teardown.value.contains("process 42 does not end"), "{teardown:?}");
    let restore = told.restore.unwrap();
    assert!(!restore.is_possible && !restore.is_with_all);
    assert!(restore.sentences[0].contains("has to wait"), "{restore:?}");

    session.record.phase = Phase::Ended;
    let told = explain(&session, &Beside::default(), &policy(), &at_s(30));
    assert!(!told.facts.iter().any(|fact| fact.kind == "teardown"), "{told:#?}");
    assert!(told.restore.unwrap().is_possible);
}

#[test]
fn an_ended_session_says_what_a_restore_would_do_and_what_it_would_lose() {
    let mut session = ended(SessionReason::ServerGone);
    session.lifecycle.activity = Some(Activity {
        state: ActivityState::Active,
        at: at_s(10),
        source: ActivitySource::Hook,
        detail: None,
    });
    session.record.workspace.fate = WorkspaceFate::Kept;
    session.record.workspace.because = Some("it has uncommitted changes".to_owned());
    let told = explain(&session, &Beside::default(), &policy(), &at_s(30));
    check_whole(&session, &told);
    let restore = told.restore.unwrap();
    assert!(restore.is_possible && restore.is_with_all, "{restore:?}");
    assert!(restore.sentences[0].contains("its worktree, which is still there"), "{restore:?}");
    assert!(restore.sentences[0].contains("anew with the prompt"), "{restore:?}");
    assert_eq!(restore.losses, ["a turn was running and is interrupted"]);
    let worktree = told.facts.iter().find(|fact| fact.kind == "worktree").unwrap();
    assert_eq!(worktree.value, "kept, because it has uncommitted changes");

    for &phase in Phase::ALL {
        for &fate in WorkspaceFate::ALL {
            for &reason in SessionReason::ALL {
                let mut session = ended(reason);
                session.record.phase = phase;
                session.record.workspace.fate = fate;
                let told = explain(&session, &Beside::default(), &policy(), &at_s(30));
                check_whole(&session, &told);
            }
        }
    }
}

fn message(state: MessageState, reason: Option<MessageReason>) -> Message {
    let session = launched(1, "full");
    Message {
        id: MessageId::parse("m-1").unwrap(),
        session: session.record.id,
        lane: Lane::Human,
        text: "go on".to_owned(),
        n_stripped: 0,
        state,
        reason,
        launch: Some(session.lifecycle.launch.unwrap().id),
        idempotency_key: None,
        origin: None,
        created_at: at_s(5),
        typing_at: None,
        updated_at: at_s(6),
    }
}

#[test]
fn a_message_is_told_until_its_fate_is_known_with_what_holds_it() {
    let mut session = launched(1, "full");
    session.record.launch_id.clone_from(&message(MessageState::Queued, None).launch);
    let reasons: Vec<_> = std::iter::once(None)
        .chain(MessageReason::ALL.iter().map(|&reason| Some(reason)))
        .collect();
    for &state in MessageState::ALL {
        let mut said = BTreeSet::new();
        for &reason in &reasons {
            let messages = [message(state, reason)];
            let beside = Beside { messages: &messages, ..Beside::default() };
            let told = explain(&session, &beside, &policy(), &at_s(65));
            check_whole(&session, &told);
            let is_told = !messages[0].is_final() || state == MessageState::InDoubt;
            assert_eq!(told.messages.len(), usize::from(is_told), "{state} {reason:?}");
            said.extend(told.messages.iter().map(|it| it.sentence.clone()));
        }
        if state == MessageState::Queued {
            assert_eq!(said.len(), reasons.len(), "two reasons sound alike: {said:#?}");
            assert!(said.iter().all(|it| it.starts_with("waits for 60 s: ")), "{said:#?}");
        }
        if state == MessageState::InDoubt {
            assert!(said.iter().all(|it| it.contains("`ao send app-1`")), "{said:#?}");
            for what in ["the daemon stopped", "Enter was pressed", "a dialog opened", "was begun"]
            {
                assert!(said.iter().any(|it| it.contains(what)), "{what}: {said:#?}");
            }
        }
    }
}

#[test]
fn a_message_behind_another_names_it_and_one_in_doubt_of_an_old_launch_is_history() {
    let mut session = launched(1, "full");
    session.record.launch_id.clone_from(&message(MessageState::Queued, None).launch);
    let old = Message {
        launch: Some("old".parse().unwrap()),
        ..message(MessageState::InDoubt, Some(MessageReason::Interrupted))
    };
    let typed =
        Message { id: MessageId::parse("m-2").unwrap(), ..message(MessageState::Typed, None) };
    let behind = Message {
        id: MessageId::parse("m-3").unwrap(),
        ..message(MessageState::Queued, Some(MessageReason::Behind))
    };
    let messages = [old, typed, behind];
    let beside = Beside { messages: &messages, ..Beside::default() };
    let told = explain(&session, &beside, &policy(), &at_s(65)).messages;
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[1].sentence.contains("message `m-2` before it"), "{told:#?}");
}

#[test]
fn a_message_waits_behind_what_goes_first_and_not_behind_what_waits_for_it() {
    let mut session = launched(1, "full");
    session.record.launch_id.clone_from(&message(MessageState::Queued, None).launch);
    let named = |id: &str, state, lane| Message {
        id: MessageId::parse(id).unwrap(),
        lane,
        ..message(state, None)
    };
    let check = |others: &[Message], expect: &str| {
        let behind = Message {
            reason: Some(MessageReason::Behind),
            ..named("m-9", MessageState::Queued, Lane::Human)
        };
        let messages: Vec<Message> = others.iter().cloned().chain([behind]).collect();
        let beside = Beside { messages: &messages, ..Beside::default() };
        let told = explain(&session, &beside, &policy(), &at_s(65)).messages;
        let last = &told.last().unwrap().sentence;
        assert!(last.contains(expect), "{expect}: {last}");
    };
    let automatic = named("m-1", MessageState::Queued, Lane::Automatic);
    let human = named("m-2", MessageState::Queued, Lane::Human);
    let typed = named("m-3", MessageState::Typed, Lane::Automatic);
    let done = named("m-4", MessageState::Acknowledged, Lane::Human);
    check(&[], "an earlier message is not finished");
    check(std::slice::from_ref(&automatic), "an earlier message is not finished");
    check(&[automatic.clone(), human], "message `m-2` before it");
    check(&[automatic, done, typed], "message `m-3` before it");
}

fn key(reaction: ReactionKind) -> IncidentKey {
    IncidentKey { reaction, pr: Some(PrNumber(3)) }
}

#[test]
fn an_open_incident_tells_its_budget_its_causes_and_when_it_escalates() {
    let mut session = launched(1, "full");
    let mut policy = policy();
    for line in policy.reactions.values_mut() {
        line.is_enabled = true;
    }
    for &reaction in ReactionKind::ALL {
        for (attempts, is_escalated) in [(0, false), (1, false), (2, false), (3, true)] {
            session.ledger.open.clear();
            session.ledger.open.insert(
                key(reaction),
                Incident {
                    episode: 1,
                    opened_at: at_s(10),
                    attempts,
                    first_attempt_at: Some(at_s(10)),
                    is_escalated,
                    causes: BTreeSet::from([CauseKey::new("a\nb"), CauseKey::new("c")]),
                },
            );
            let escalate = Deadline {
                session: session.record.id.clone(),
                kind: DeadlineKind::Escalate(key(reaction)),
                armed_at: at_s(10),
                after: Duration::from_secs(100),
                clock: DeadlineClock::Awake,
            };
            let deadlines = [escalate];
            let beside = Beside { deadlines: &deadlines, ..Beside::default() };
            // The machine slept for an hour in between: patience does not count it.
            let mut now = at_s(50);
            now.since_boot += Duration::from_hours(1);
            now.wall = now.wall.plus(Duration::from_hours(1));
            let told = explain(&session, &beside, &policy, &now);
            check_whole(&session, &told);
            let it = &told.reactions[0];
            assert_eq!(it.causes, ["a b", "c"]);
            assert_eq!(it.escalates_at, Some(now.wall.plus(Duration::from_mins(1))));
            assert_eq!(told.deadlines[0].at, now.wall.plus(Duration::from_mins(1)));
            assert_eq!(it.sentence.contains("a human was called"), is_escalated, "{it:?}");
            assert_eq!(it.sentence.contains("is called in 60 s"), !is_escalated, "{it:?}");
            if reaction == ReactionKind::CiFailed {
                let left = [Some(2), Some(1), Some(0), None][attempts as usize];
                assert_eq!(it.attempts_left, left, "{it:?}");
            }
        }
    }
}

#[test]
fn every_deadline_says_what_it_brings_and_the_soonest_stands_first() {
    let session = launched(1, "full");
    let deadline = |kind, seconds, clock| Deadline {
        session: session.record.id.clone(),
        kind,
        armed_at: at_s(0),
        after: Duration::from_secs(seconds),
        clock,
    };
    let deadlines = [
        deadline(DeadlineKind::Escalate(key(ReactionKind::CiFailed)), 500, DeadlineClock::Awake),
        deadline(DeadlineKind::NoSignal, 90, DeadlineClock::Awake),
        deadline(DeadlineKind::AgentIdle, 900, DeadlineClock::Awake),
        deadline(DeadlineKind::TurnFinished, 10, DeadlineClock::Awake),
        deadline(DeadlineKind::PauseEnds, 7_000, DeadlineClock::Wall),
    ];
    let beside = Beside { deadlines: &deadlines, ..Beside::default() };
    let told = explain(&session, &beside, &policy(), &at_s(30));
    check_whole(&session, &told);
    let kinds: Vec<_> = told.deadlines.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, ["turn_finished", "no_signal", "escalate", "agent_idle", "pause_ends"]);
    assert!(told.deadlines[0].sentence.starts_with("now: "), "{told:#?}");
    assert!(told.deadlines[1].sentence.starts_with("in 60 s: it is `stuck`"), "{told:#?}");
}

#[test]
fn the_end_of_a_pause_is_among_what_would_change_it() {
    let mut session = launched(1, "full");
    let signal = signal(&session, ActivityState::Idle, Some(SignalDetail::UsageLimited));
    let FactKind::Signal(mut signal) = signal else { unreachable!() };
    signal.paused_until = Some(at_s(3_610).wall);
    let fact = Fact { at: at_s(10), kind: FactKind::Signal(signal) };
    session = after(&session, &reduce(&session, &fact, &policy(), &fact.at));
    let told = explain(&session, &Beside::default(), &policy(), &at_s(10));
    check_whole(&session, &told);
    assert_eq!(told.status, Status::Limited);
    let first = &told.would_change[0];
    assert!(first.contains("in 60 min") && first.contains("`needs_input`"), "{first}");
    let paused = told.facts.iter().find(|fact| fact.kind == "paused_until").unwrap();
    let goes_on = told.would_change.iter().any(|it| it.contains("makes it `working`"));
    assert!(goes_on, "{:#?}", told.would_change);
    assert_eq!(paused.value, "a usage limit that ends in 60 min");
    assert_eq!(paused.at, Some(at_s(10).wall), "its age is that of the word, not of the end");
}

#[test]
fn a_value_that_the_forge_never_told_is_unknown_and_one_of_an_old_head_says_so() {
    let mut prs = Script::new();
    prs.say("seed app-1");
    prs.say("launched app-1 full");
    prs.say("1s signal app-1 active");
    prs.say("5s pr app-1 #3 head=a checks=lint");
    prs.say("9s pr app-1 #3 head=b");
    let told = prs.say("20s explain app-1").join("\n");
    assert!(
        told.contains("fact checks: #3: failed: lint, of an earlier head (scm, 15s ago)"),
        "{told}"
    );
    assert!(told.contains("fact head: #3: b (scm, 11s ago)"), "{told}");
    assert!(told.contains("fact review: #3: unknown (scm, at an unknown time)"), "{told}");
}

#[test]
fn a_notification_that_did_not_arrive_is_told() {
    let session = launched(1, "full");
    let entry = |state, attempts: u32, error: Option<&str>| OutboxEntry {
        seq: 1,
        session: Some(session.record.id.clone()),
        effect: Effect {
            id: EffectId::new("x@slack"),
            sink: Sink::Notifier("slack".parse().unwrap()),
            condition: Condition::Always,
            notification: Notification {
                id: EffectId::new("x"),
                session: Some(session.record.id.clone()),
                project: None,
                reaction: "agent-stuck".to_owned(),
                cause: "x".to_owned(),
                priority: Priority::Urgent,
                title: "t".to_owned(),
                text: "t".to_owned(),
                at: at_s(5).wall,
            },
        },
        state,
        attempts,
        not_before: None,
        last_error: error.map(str::to_owned),
    };
    let effects = [
        entry(OutboxState::Pending, 1, Some("no\nroute")),
        entry(OutboxState::Dead, 12, None),
        entry(OutboxState::Done, 0, None),
        entry(OutboxState::Superseded, 0, None),
    ];
    let beside = Beside { effects: &effects, ..Beside::default() };
    let told = explain(&session, &beside, &policy(), &at_s(30));
    check_whole(&session, &told);
    let values: Vec<_> = told
        .facts
        .iter()
        .filter(|fact| fact.kind == "notification")
        .map(|fact| fact.value.as_str())
        .collect();
    assert_eq!(
        values,
        [
            "`agent-stuck` for `slack` waits, after 1 failed try: no route",
            "`agent-stuck` for `slack` was given up after 12 failed tries",
        ]
    );
}

#[test]
fn an_outage_explains_the_end_that_it_made_and_no_later_one() {
    let session = launched(1, "full");
    let mut fact = look(&session, "gone missing dead", at_s(10));
    let FactKind::Look(seen) = &mut fact.kind else { unreachable!() };
    seen.incident = Some(InfraIncidentId::new("server_gone/x"));
    let (session, record) = taken_in(&session, fact, 1);
    assert_eq!(status(&session), Status::Terminated);
    let journal = [record];
    let incident = InfraIncident {
        id: InfraIncidentId::new("server_gone/x"),
        kind: InfraIncidentKind::ServerGone,
        scope: "/s".to_owned(),
        sessions: vec![session.record.id.clone()],
        opened_at: at_s(10),
    };
    let incidents = [incident];
    for incidents in [&incidents[..], &[]] {
        let beside = Beside { journal: &journal, incidents, ..Beside::default() };
        let told = explain(&session, &beside, &policy(), &at_s(30));
        check_whole(&session, &told);
        let outage = told.incident.unwrap();
        assert_eq!(outage.n_sessions.is_some(), !incidents.is_empty(), "{outage:?}");
    }
    // Restored and ended again by itself: the outage is history, and so is the look that found it.
    let mut journal = journal.to_vec();
    let mut session = session;
    let launch = ao_core::record::Launch {
        id: "second".parse().unwrap(),
        committed_at: at_s(40),
        traits: traits("full"),
    };
    let launch_of = launch.id.clone();
    for (seconds, kind) in [
        (35, FactKind::Outcome(Outcome::RestoreRequested)),
        (40, FactKind::Outcome(Outcome::Launched(launch))),
    ] {
        let (next, record) = taken_in(&session, Fact { at: at_s(seconds), kind }, 2);
        session = next;
        journal.push(record);
    }
    let beside = Beside { journal: &journal, incidents: &incidents, ..Beside::default() };
    let told = explain(&session, &beside, &policy(), &at_s(50));
    assert!(!told.facts.iter().any(|fact| fact.kind == "look"), "{told:#?}");
    let runtime = told.facts.iter().find(|fact| fact.kind == "runtime").unwrap();
    assert_eq!(runtime.at, Some(at_s(40).wall));
    let mut fact = look(&session, "living dead dead", at_s(60));
    let FactKind::Look(seen) = &mut fact.kind else { unreachable!() };
    seen.exit = Some(Exit::Status(3));
    assert_eq!(seen.launch, launch_of);
    let (session, record) = taken_in(&session, fact, 4);
    journal.push(record);
    let beside = Beside { journal: &journal, incidents: &incidents, ..Beside::default() };
    let told = explain(&session, &beside, &policy(), &at_s(70));
    check_whole(&session, &told);
    assert_eq!(told.incident, None);
    assert_eq!(told.decided.rule, Some(Rule::PaneDead));
    assert!(told.sentence.contains("exit status 3"), "{}", told.sentence);
}

/// The session after a fact, and what is written down about it.
fn taken_in(session: &Session, fact: Fact, seq: u64) -> (Session, JournalRecord) {
    let step = reduce(session, &fact, &policy(), &fact.at);
    let next = after(session, &step);
    let Step::Change(change) = step else { panic!("{fact:?} changes nothing") };
    let record = JournalRecord {
        seq,
        session: session.record.id.clone(),
        revision: next.lifecycle.revision,
        entry: JournalEntry { at: fact.at, fact, because: change.because },
    };
    (next, record)
}

fn signal(session: &Session, activity: ActivityState, detail: Option<SignalDetail>) -> FactKind {
    FactKind::Signal(SignalFact {
        id: FactId::parse("told").unwrap(),
        launch: session.lifecycle.launch.as_ref().unwrap().id.clone(),
        activity,
        source: ActivitySource::Hook,
        detail,
        agent_session_id: None,
        paused_until: None,
        is_submit: activity == ActivityState::Active,
        prompt: None,
        transcript: None,
        message: None,
    })
}

/// What an explanation says would happen, against what does.
fn check_outlook(session: &Session, told: &Explanation, now: &Moment) -> Result<(), TestCaseError> {
    let Some(launch) = &session.lifecycle.launch else { return Ok(()) };
    if session.lifecycle.is_terminal() {
        return Ok(());
    }
    let mut later = *now;
    later.wall = later.wall.plus(Duration::from_mins(2));
    later.since_boot += Duration::from_mins(2);
    later.awake += Duration::from_mins(2);
    let look = |boot, server, runtime, exit| {
        let values = LookValues { boot, server, runtime, process: ProcessProbe::Dead };
        FactKind::Look(LookFact { exit, ..LookFact::new(launch.id.clone(), values) })
    };
    let (same, rebooted) = (BootProbe::Same, BootProbe::Rebooted);
    let (living, gone) = (ServerProbe::Living, ServerProbe::Gone);
    let (dead, missing) = (RuntimeProbe::Dead, RuntimeProbe::Missing);
    let failed = Some(Exit::Status(1));
    let mut next_boot = later;
    next_boot.boot.0 += 1;
    let mut ways = vec![
        ("ends by itself", later, look(same, living, dead, failed)),
        ("status 0", later, look(same, living, dead, Some(Exit::Status(0)))),
        ("tmux session", later, look(same, living, missing, failed)),
        ("tmux server", later, look(same, gone, missing, failed)),
        ("booted", next_boot, look(rebooted, gone, missing, failed)),
        ("ao kill", later, FactKind::Outcome(Outcome::EndRequested(EndIntent::Kill))),
    ];
    let state = session.lifecycle.session.state;
    let is_sticky = session.lifecycle.activity.is_some_and(|it| it.state.is_sticky());
    if state == SessionState::Working && !is_sticky {
        ways.push(("end of its turn", later, signal(session, ActivityState::Idle, None)));
    }
    if matches!(state, SessionState::Idle | SessionState::NeedsInput) {
        ways.push(("", later, signal(session, ActivityState::Active, None)));
    }
    for (words, at, kind) in ways {
        let is_clean = words == "status 0";
        let next = after(session, &reduce(session, &Fact { at, kind }, &policy(), &at));
        let verdict = next.lifecycle.session;
        let is_end = next.lifecycle.is_terminal() || words.is_empty() || words.contains("turn");
        prop_assert!(is_end, "{words} ends nothing: {:?}", next.lifecycle);
        let shown = format!("`{}` ({}/{})", status(&next), verdict.state, verdict.reason);
        // A clean exit is told on its own only where it makes a difference.
        let is_told = |line: &String| {
            line.contains(&shown)
                && (line.contains(words) || is_clean && line.contains("by itself"))
        };
        prop_assert!(
            told.would_change.iter().any(is_told),
            "{words}: {shown} is not among {:#?} of {:?}",
            told.would_change,
            session.lifecycle
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn an_explanation_of_any_life_names_what_decided_and_what_would_happen(
        agent in select(vec!["full", "activity", "none", "none+exits"]),
        events in proptest::collection::vec(events(), 1..40),
    ) {
        let mut life = Life::new(agent);
        // The entry since which the verdict is what it is; none while it is that of the launch.
        let mut moved_by: Option<usize> = None;
        for event in &events {
            let before = life.session.lifecycle.session;
            let n_before = life.journal.len();
            life.live(event)?;
            if life.journal.len() > n_before && life.session.lifecycle.session != before {
                moved_by = Some(n_before);
            }
            let beside = Beside { journal: &life.journal, ..Beside::default() };
            let told = explain(&life.session, &beside, &life.policy, &life.now);
            check_whole(&life.session, &told);
            check_outlook(&life.session, &told, &life.now)?;
            let is_of_forge = told.decided.rule == Some(Rule::PullRequests);
            let Some(moved_by) = moved_by.filter(|_| !is_of_forge) else { continue };
            let entries = &life.journal[moved_by..];
            let (rule, values) = (told.decided.rule, told.decided.values.clone());
            let is_named = |entry: &JournalEntry| {
                let Because { rule: named, values: saw } = &entry.because;
                Some(*named) == rule && Some(saw) == values.as_ref()
            };
            prop_assert!(
                entries.iter().any(|record| is_named(&record.entry)),
                "{:?} is not of {entries:#?}",
                told.decided
            );
        }
    }
}

#[test]
fn a_claim_of_being_done_makes_every_end_a_good_one() {
    let mut session = launched(1, "full");
    session.lifecycle.claim = Some(DoneClaim { at: at_s(1) });
    let told = explain(&session, &Beside::default(), &policy(), &at_s(5));
    check_whole(&session, &told);
    let ends: Vec<_> = told.would_change.iter().filter(|it| it.contains("`done`")).collect();
    assert_eq!(ends.len(), 1, "{:#?}", told.would_change);
    assert!(ends[0].contains("tmux server"), "{ends:?}");
}

#[test]
fn what_starts_a_session_is_what_it_waits_for() {
    for (reason, expect) in [
        (SessionReason::QueuedForCapacity, "a free place lets it start"),
        (SessionReason::SpawnRequested, "the proof that its agent's process runs lets it go on"),
        (SessionReason::RestoreRequested, "the proof that its agent's process runs lets it go on"),
    ] {
        let mut session = seeded(1);
        session.lifecycle.session.reason = reason;
        let told = explain(&session, &Beside::default(), &policy(), &at_s(1));
        assert_eq!(told.would_change.first().map(String::as_str), Some(expect), "{reason}");
    }
}

#[test]
fn a_goodbye_is_not_what_a_status_rests_on() {
    let mut script = Script::new();
    script.say("seed app-1");
    script.say("launched app-1 full");
    script.say("5s signal app-1 active");
    script.say("8s signal app-1 exited");
    let told = script.say("10s explain app-1").join("\n");
    assert!(told.contains("saw: activity active from hook"), "{told}");
}

#[test]
fn a_restore_is_known_by_its_rule_when_its_entry_is_no_longer_kept() {
    let mut session = seeded(1);
    session.lifecycle.session.reason = SessionReason::RestoreRequested;
    let told = explain(&session, &Beside::default(), &policy(), &at_s(30));
    assert_eq!(told.decided.rule, Some(Rule::RestoreRequested));
    assert_eq!((told.decided.values, told.decided.at), (None, None));
}
