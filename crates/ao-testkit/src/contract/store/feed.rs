//! Claims about the change feed.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use ao_core::event::{Changes, Event};
use ao_core::ids::{PrNumber, Revision};
use ao_core::message::{MessageChange, MessageReason, MessageState};
use ao_core::ports::Commit;
use ao_core::pr::Known;
use ao_core::reading::Usage;
use ao_core::record::{ActivityState, SessionReason, SessionState};
use ao_core::saga::{SagaChange, SagaDirection, SagaStep};
use ao_core::session::{Phase, Session};
use ao_core::step::MessageOrder;

use super::sample::{
    effect, ended, entry, message, message_id, moment, notification, outage, project, project_id,
    rich, saga, seed, seeding, session_id, with_verdict,
};
use super::sessions::{begin, on};
use super::{Stores, wait};

fn events(stores: &Stores, cursor: u64, n_max: usize) -> Vec<Event> {
    match wait(stores.feed.changes_after(cursor, n_max)).unwrap() {
        Changes::Events(events) => events,
        reset @ Changes::Reset { .. } => panic!("the cursor was kept: {reset:?}"),
    }
}

/// An event in one line.
fn line(event: &Event) -> String {
    let parts = [
        Some(event.kind.as_str().to_owned()),
        event.project.as_ref().map(ToString::to_string),
        event.session.as_ref().map(ToString::to_string),
        event.revision.map(|revision| revision.to_string()),
        event.key.clone(),
        event.became.clone(),
    ];
    parts.map(|part| part.unwrap_or_else(|| "-".to_owned())).join(" ")
}

/// What was told since the last call.
fn news(stores: &Stores, cursor: &mut u64) -> Vec<String> {
    let events = events(stores, *cursor, 1_000);
    for event in &events {
        *cursor += 1;
        assert_eq!(event.seq, *cursor, "the feed has a gap");
    }
    assert_eq!(wait(stores.feed.head()).unwrap(), *cursor);
    events.iter().map(line).collect()
}

fn next(name: &str, revision: u64, session: Session) -> Commit {
    Commit { next: Some(session), ..on(name, Revision(revision)) }
}

pub(super) fn every_change_is_told_once_and_without_a_gap(stores: &Stores) {
    let mut cursor = 0;
    let mut check = |expected: &[&str]| assert_eq!(news(stores, &mut cursor), expected);
    let commit = |commit| wait(stores.sessions.commit(commit)).unwrap();
    check(&[]);
    wait(stores.projects.add_project(project("app"))).unwrap();
    check(&["project.added app - - app -"]);

    let first = Commit {
        saga: Some(SagaChange::Begin(saga("app-1"))),
        messages: vec![MessageChange::Queue(message("app-1", "m-1"))],
        ..seeding(seed("app-1"))
    };
    commit(first);
    check(&[
        "session.created app app-1 1 - not_started/spawn_requested",
        "saga.changed app app-1 1 spawn worktree",
        "message.changed app app-1 1 m-1 queued",
    ]);

    let mut running =
        with_verdict(seed("app-1"), SessionState::Working, SessionReason::TaskInProgress);
    running.record.phase = Phase::Running;
    let mut unwinding = saga("app-1");
    unwinding.direction = SagaDirection::Unwinding;
    let hold = MessageChange::Move {
        id: message_id("m-1"),
        from: MessageState::Queued,
        to: MessageState::Queued,
        reason: Some(MessageReason::Blocked),
        launch: None,
        at: moment(30),
    };
    let second = Commit {
        saga: Some(SagaChange::Put(unwinding)),
        messages: vec![hold],
        ..next("app-1", 1, running)
    };
    commit(second);
    check(&[
        "session.changed app app-1 2 - working/task_in_progress",
        "session.updated app app-1 2 - running",
        "saga.changed app app-1 2 spawn unwinding/worktree",
        "message.changed app app-1 2 m-1 queued",
    ]);

    let third = Commit {
        saga: Some(SagaChange::End),
        message_orders: vec![MessageOrder::CancelAll],
        ..next("app-1", 2, ended(seed("app-1")))
    };
    commit(third);
    check(&[
        "session.changed app app-1 3 - terminated/manually_killed",
        "session.updated app app-1 3 - ended",
        "saga.changed app app-1 3 spawn ended",
        "message.changed app app-1 3 m-1 cancelled",
    ]);

    wait(stores.inbox.deliver(&notification("n-1"))).unwrap();
    wait(stores.inbox.deliver(&notification("n-1"))).unwrap();
    wait(stores.incidents.open_incident(&outage("i-1"), &[])).unwrap();
    wait(stores.incidents.open_incident(&outage("i-1"), &[])).unwrap();
    check(&["inbox.added app app-1 - n-1 unread", "incident.changed - - - i-1 server_gone"]);

    let cleanup =
        Commit { saga: Some(SagaChange::Begin(saga("app-1"))), ..on("app-1", Revision(3)) };
    commit(cleanup);
    wait(stores.sessions.remove(&session_id("app-1"))).unwrap();
    wait(stores.projects.remove_project(&project_id("app"))).unwrap();
    check(&[
        "saga.changed app app-1 3 spawn worktree",
        "saga.changed app app-1 3 spawn ended",
        "session.removed app app-1 3 - terminated/manually_killed",
        "project.removed app - - app -",
    ]);
}

pub(super) fn what_changes_no_axis_is_no_news(stores: &Stores) {
    let commit = |commit| wait(stores.sessions.commit(commit)).unwrap();
    commit(Commit { saga: Some(SagaChange::Begin(saga("app-1"))), ..seeding(rich("app-1")) });
    wait(stores.inbox.deliver(&notification("n-1"))).unwrap();
    let mut cursor = wait(stores.feed.head()).unwrap();

    // Times, counts, the memory of the rules and the ledger, a try of the same step, an effect.
    let mut session = rich("app-1");
    session.record.usage =
        Some(Usage { input_tokens: 7, output_tokens: 7, cost_microusd: Some(7) });
    session.record.updated_at = session.record.updated_at.plus(Duration::from_secs(1));
    session.lifecycle.detecting = None;
    session.lifecycle.state_since = moment(77);
    session.ledger.open = BTreeMap::new();
    if let Some(activity) = &mut session.lifecycle.activity {
        activity.at = moment(77);
    }
    if let Some(pr) = session.lifecycle.prs.get_mut(&PrNumber(7)) {
        pr.head = Known::Known { value: pr.head.value().unwrap().clone(), at: moment(77) };
    }
    let mut retried = saga("app-1");
    retried.attempts += 1;
    let quiet = Commit {
        saga: Some(SagaChange::Put(retried)),
        effects: vec![effect("one", "inbox")],
        journal: Some(entry(77)),
        ..next("app-1", 1, session.clone())
    };
    commit(quiet);
    wait(stores.inbox.mark_read(&[notification("n-1").id])).unwrap();
    assert_eq!(news(stores, &mut cursor), Vec::<String>::new());

    // Each axis alone is news: what is told of it, and of nothing else.
    let mut check = |revision: u64, change: &dyn Fn(&mut Session)| {
        change(&mut session);
        commit(next("app-1", revision, session.clone()));
        let verdict = "not_started/spawn_requested";
        let told = format!("session.changed app app-1 {} - {verdict}", revision + 1);
        assert_eq!(news(stores, &mut cursor), [told]);
    };
    check(2, &|session| session.lifecycle.activity = None);
    check(3, &|session| session.lifecycle.paused_until = None);
    check(4, &|session| session.lifecycle.pr.number = Some(PrNumber(8)));
    check(5, &|session| session.lifecycle.runtime.state = ao_core::record::RuntimeState::Alive);
    check(6, &|session| {
        if let Some(pr) = session.lifecycle.prs.get_mut(&PrNumber(7)) {
            pr.mergeability = Known::Unknown;
        }
    });
    check(7, &|session| {
        session.lifecycle.prs.remove(&PrNumber(8));
    });
    let mut step = saga("app-1");
    step.step = SagaStep::Runtime;
    commit(Commit { saga: Some(SagaChange::Put(step)), ..on("app-1", Revision(8)) });
    assert_eq!(news(stores, &mut cursor), ["saga.changed app app-1 8 spawn runtime"]);
}

/// Makes `n` events.
fn make_events(stores: &Stores, n: u64) {
    for revision in 1..=n {
        let state = match revision % 2 {
            0 => ActivityState::Active,
            _ => ActivityState::Idle,
        };
        let mut session = rich("app-1");
        if let Some(activity) = &mut session.lifecycle.activity {
            activity.state = state;
        }
        wait(stores.sessions.commit(next("app-1", revision, session))).unwrap();
    }
}

pub(super) fn pages_of_the_feed_join_without_a_gap(stores: &Stores) {
    begin(stores, rich("app-1"));
    make_events(stores, 9);
    let all = events(stores, 0, 1_000);
    assert_eq!(all.len(), 10);
    let mut joined = Vec::new();
    loop {
        let cursor = joined.last().map_or(0, |event: &Event| event.seq);
        let page = events(stores, cursor, 4);
        assert!(page.len() <= 4);
        if page.is_empty() {
            break;
        }
        joined.extend(page);
    }
    assert_eq!(joined, all);
    assert_eq!(events(stores, 0, 0), []);
}

pub(super) fn who_waits_is_woken_by_the_commit(stores: &Stores) {
    begin(stores, rich("app-1"));
    let head = wait(stores.feed.head()).unwrap();
    // Something newer is there already.
    wait(stores.feed.wait_after(head - 1)).unwrap();
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    wait(stores.feed.wait_after(head)).unwrap();
                    events(stores, head, 1_000)
                })
            })
            .collect();
        make_events(stores, 1);
        for waiter in waiters {
            let seen = waiter.join().unwrap();
            assert_eq!(seen.first().map(|event| event.seq), Some(head + 1));
        }
    });
}

pub(super) fn a_cursor_of_another_database_is_reset(stores: &Stores) {
    assert_eq!(events(stores, 0, 10), []);
    let reset = |oldest, head| Ok(Changes::Reset { oldest, head });
    assert_eq!(wait(stores.feed.changes_after(1, 10)), reset(0, 0));
    begin(stores, rich("app-1"));
    assert_eq!(events(stores, 1, 10), []);
    assert_eq!(wait(stores.feed.changes_after(u64::MAX, 10)), reset(0, 1));
}

pub(super) fn a_cursor_that_is_too_old_is_reset(stores: &Stores) {
    begin(stores, rich("app-1"));
    make_events(stores, 6);
    let too_old = wait(stores.feed.changes_after(3, 10)).unwrap();
    assert_eq!(too_old, Changes::Reset { oldest: 4, head: 7 });
    let kept: Vec<_> = events(stores, 4, 10).iter().map(|event| event.seq).collect();
    assert_eq!(kept, [5, 6, 7]);
    assert_eq!(events(stores, 7, 10), []);
}
