//! Claims about sagas, deadlines and messages.

use std::time::Duration;

use ao_core::deadline::{Deadline, DeadlineChange, DeadlineClock, DeadlineKind};
use ao_core::ids::{IdempotencyKey, Revision};
use ao_core::message::{Message, MessageChange, MessageReason, MessageState};
use ao_core::ports::{Commit, Loaded};
use ao_core::saga::{SagaChange, SagaDirection, SagaStep};
use ao_core::step::MessageOrder;
use ao_core::time::Moment;

use super::sample::{
    episode, incident, launch_id, message, message_id, moment, moment_of_next_boot, reaction, saga,
    seed, session_id,
};
use super::sessions::{begin, on};
use super::{Stores, wait};

/// The revision that every session of these claims stays at.
const FIRST: Revision = Revision(1);

fn commit(stores: &Stores, commit: Commit) {
    wait(stores.sessions.commit(commit)).unwrap();
}

fn change_saga(stores: &Stores, name: &str, change: SagaChange) {
    commit(stores, Commit { saga: Some(change), ..on(name, FIRST) });
}

pub(super) fn a_session_has_at_most_one_saga(stores: &Stores) {
    begin(stores, seed("app-1"));
    change_saga(stores, "app-1", SagaChange::End);
    change_saga(stores, "app-1", SagaChange::Begin(saga("app-1")));
    let loaded = wait(stores.sessions.load(&session_id("app-1"))).unwrap();
    let mut session = seed("app-1");
    session.lifecycle.revision = FIRST;
    assert_eq!(loaded, Some(Loaded { session, saga: Some(saga("app-1")) }));
    let mut moved = saga("app-1");
    moved.step = SagaStep::Runtime;
    moved.direction = SagaDirection::Unwinding;
    moved.because = None;
    moved.pre_image.branch_at = None;
    change_saga(stores, "app-1", SagaChange::Put(moved.clone()));
    assert_eq!(wait(stores.sagas.in_flight()).unwrap(), [moved]);
    change_saga(stores, "app-1", SagaChange::End);
    assert_eq!(wait(stores.sagas.in_flight()).unwrap(), []);
    change_saga(stores, "app-1", SagaChange::Begin(saga("app-1")));
    assert_eq!(wait(stores.sagas.in_flight()).unwrap(), [saga("app-1")]);
}

pub(super) fn sagas_in_flight_come_oldest_first(stores: &Stores) {
    for name in ["app-3", "app-1", "app-2"] {
        begin(stores, seed(name));
    }
    for name in ["app-2", "app-3", "app-1"] {
        change_saga(stores, name, SagaChange::Begin(saga(name)));
    }
    // Moving on does not make a saga younger.
    change_saga(stores, "app-2", SagaChange::Put(saga("app-2")));
    let expected = ["app-2", "app-3", "app-1"].map(saga);
    assert_eq!(wait(stores.sagas.in_flight()).unwrap(), expected);
}

fn deadline(name: &str, kind: DeadlineKind, after: u64, clock: DeadlineClock) -> Deadline {
    Deadline {
        session: session_id(name),
        kind,
        armed_at: moment(100),
        after: Duration::from_secs(after),
        clock,
    }
}

fn arm(stores: &Stores, deadline: &Deadline) {
    let Deadline { session, kind, armed_at, after, clock } = deadline.clone();
    let change = DeadlineChange::Arm { kind, armed_at, after, clock };
    commit(stores, Commit { deadlines: vec![change], ..on(session.as_str(), FIRST) });
}

fn due(stores: &Stores, now: &Moment) -> Vec<Deadline> {
    wait(stores.deadlines.due(now)).unwrap()
}

pub(super) fn a_deadline_is_one_of_its_kind(stores: &Stores) {
    let id = session_id("app-1");
    begin(stores, seed("app-1"));
    let of = |kind, after| deadline("app-1", kind, after, DeadlineClock::Wall);
    arm(stores, &of(DeadlineKind::Escalate(incident(7)), 10));
    arm(stores, &of(DeadlineKind::Escalate(incident(8)), 20));
    arm(stores, &of(DeadlineKind::NoSignal, 30));
    arm(stores, &of(DeadlineKind::Escalate(incident(7)), 40));
    let expected = [
        of(DeadlineKind::Escalate(incident(7)), 40),
        of(DeadlineKind::Escalate(incident(8)), 20),
        of(DeadlineKind::NoSignal, 30),
    ];
    assert_eq!(wait(stores.deadlines.deadlines_of(&id)).unwrap(), expected);
    let disarm = |kind| {
        let deadlines = vec![DeadlineChange::Disarm(kind)];
        commit(stores, Commit { deadlines, ..on("app-1", FIRST) });
    };
    disarm(DeadlineKind::Escalate(incident(8)));
    disarm(DeadlineKind::Escalate(episode()));
    disarm(DeadlineKind::NoSignal);
    let left = wait(stores.deadlines.deadlines_of(&id)).unwrap();
    assert_eq!(left, [of(DeadlineKind::Escalate(incident(7)), 40)]);
    assert_eq!(wait(stores.deadlines.deadlines_of(&session_id("app-2"))).unwrap(), []);
}

pub(super) fn a_deadline_is_due_at_its_very_moment(stores: &Stores) {
    let remaining = |at| wait(stores.deadlines.next_due_in(&moment(at))).unwrap();
    assert_eq!(remaining(0), None);
    for name in ["app-1", "app-2", "app-3"] {
        begin(stores, seed(name));
    }
    let [one, two, three] = [("app-1", 30), ("app-2", 20), ("app-3", 10)]
        .map(|(name, after)| deadline(name, DeadlineKind::AgentIdle, after, DeadlineClock::Wall));
    for armed in [&one, &two, &three] {
        arm(stores, armed);
    }
    assert_eq!(due(stores, &moment(109)), []);
    assert_eq!(remaining(109), Some(Duration::from_secs(1)));
    assert_eq!(due(stores, &moment(110)), std::slice::from_ref(&three));
    assert_eq!(remaining(110), Some(Duration::ZERO));
    // Longest overdue first.
    assert_eq!(due(stores, &moment(130)), [three, two, one]);
}

pub(super) fn a_deadline_counts_on_its_own_clock(stores: &Stores) {
    begin(stores, seed("app-1"));
    begin(stores, seed("app-2"));
    let awake = deadline("app-1", DeadlineKind::NoSignal, 50, DeadlineClock::Awake);
    let wall = deadline("app-2", DeadlineKind::PauseEnds, 50, DeadlineClock::Wall);
    arm(stores, &awake);
    arm(stores, &wall);
    // Half of the time of the samples is asleep.
    assert_eq!(due(stores, &moment(150)), std::slice::from_ref(&wall));
    assert_eq!(due(stores, &moment(200)), [wall.clone(), awake.clone()]);
    // Across a boot only the wall can tell.
    assert_eq!(due(stores, &moment_of_next_boot(149)), []);
    assert_eq!(due(stores, &moment_of_next_boot(150)), [awake, wall]);
    assert_eq!(due(stores, &moment_of_next_boot(50)), []);
}

fn queue(stores: &Stores, message: Message) {
    let name = message.session.as_str().to_owned();
    let messages = vec![MessageChange::Queue(message)];
    commit(stores, Commit { messages, ..on(&name, FIRST) });
}

fn shift(name: &str, from: MessageState, to: MessageState) -> MessageChange {
    MessageChange::Move {
        id: message_id(name),
        from,
        to,
        reason: None,
        launch: None,
        at: moment(50),
    }
}

fn messages(stores: &Stores, name: &str) -> Vec<Message> {
    wait(stores.messages.messages_of(&session_id(name), 100)).unwrap()
}

pub(super) fn a_repeated_message_is_queued_once(stores: &Stores) {
    begin(stores, seed("app-1"));
    begin(stores, seed("app-2"));
    let mut first = message("app-1", "m-1");
    first.text = "\u{1f980}\n".repeat(30_000);
    queue(stores, first.clone());
    let same_id = Message { idempotency_key: None, ..message("app-1", "m-1") };
    queue(stores, same_id);
    queue(stores, Message { text: "other".to_owned(), ..message("app-2", "m-1") });
    let same_key =
        Message { idempotency_key: first.idempotency_key.clone(), ..message("app-1", "m-2") };
    queue(stores, same_key);
    assert_eq!(messages(stores, "app-1"), [first.clone()]);
    // A key is the session's own, and no key is no repetition.
    let keyed =
        Message { idempotency_key: first.idempotency_key.clone(), ..message("app-2", "m-3") };
    let [four, five] =
        ["m-4", "m-5"].map(|name| Message { idempotency_key: None, ..message("app-2", name) });
    for message in [&keyed, &four, &five] {
        queue(stores, message.clone());
    }
    assert_eq!(messages(stores, "app-2"), [keyed.clone(), four, five.clone()]);

    let by_key = |session: &str, key: &str| {
        let key = IdempotencyKey::new(key);
        wait(stores.messages.message_by_key(&session_id(session), &key)).unwrap()
    };
    assert_eq!(by_key("app-1", "key of m-1"), Some(first.clone()));
    assert_eq!(by_key("app-2", "key of m-1"), Some(keyed));
    assert_eq!(by_key("app-1", "key of m-3"), None);
    assert_eq!(wait(stores.messages.message(&message_id("m-1"))).unwrap(), Some(first));
    assert_eq!(wait(stores.messages.message(&message_id("m-2"))).unwrap(), None);
    let last = wait(stores.messages.messages_of(&session_id("app-2"), 1)).unwrap();
    assert_eq!(last, [five]);
}

pub(super) fn a_message_moves_only_from_the_state_that_was_read(stores: &Stores) {
    begin(stores, seed("app-1"));
    queue(stores, message("app-1", "m-1"));
    let first = MessageChange::Move {
        id: message_id("m-1"),
        from: MessageState::Queued,
        to: MessageState::Typing,
        reason: Some(MessageReason::Behind),
        launch: Some(launch_id("launch-1")),
        at: moment(50),
    };
    let both = vec![first, shift("m-1", MessageState::Typing, MessageState::Typed)];
    commit(stores, Commit { messages: both.clone(), ..on("app-1", FIRST) });
    let typed = Message {
        state: MessageState::Typed,
        reason: None,
        launch: Some(launch_id("launch-1")),
        typing_at: Some(moment(50)),
        updated_at: moment(50),
        ..message("app-1", "m-1")
    };
    assert_eq!(messages(stores, "app-1"), std::slice::from_ref(&typed));
    let again = Commit { messages: both, ..on("app-1", FIRST) };
    let refused = wait(stores.sessions.commit(again)).unwrap_err();
    assert_eq!(refused.to_string(), "there is no queued message `m-1`");
    // Nor does a session move a message of another.
    begin(stores, seed("app-2"));
    let messages_of_other = vec![shift("m-1", MessageState::Typed, MessageState::Submitted)];
    let stray = Commit { messages: messages_of_other, ..on("app-2", FIRST) };
    let refused = wait(stores.sessions.commit(stray)).unwrap_err();
    assert_eq!(refused.to_string(), "there is no typed message `m-1`");
    assert_eq!(messages(stores, "app-1"), [typed]);
}

pub(super) fn unfinished_messages_are_those_that_are_not_final(stores: &Stores) {
    begin(stores, seed("app-1"));
    begin(stores, seed("app-2"));
    let mut expected = Vec::new();
    for (n, state) in MessageState::ALL.iter().enumerate() {
        let name = format!("m-{n}");
        let session = if n % 2 == 0 { "app-1" } else { "app-2" };
        queue(stores, message(session, &name));
        let changes = vec![shift(&name, MessageState::Queued, *state)];
        commit(stores, Commit { messages: changes, ..on(session, FIRST) });
        if !state.is_final() {
            let typing_at = (*state == MessageState::Typing).then(|| moment(50));
            let moved = Message {
                state: *state,
                typing_at,
                updated_at: moment(50),
                ..message(session, &name)
            };
            expected.push(moved);
        }
    }
    let mut unconfirmed = message("app-1", "m-last");
    unconfirmed.state = MessageState::Typed;
    unconfirmed.reason = Some(MessageReason::CannotConfirm);
    queue(stores, unconfirmed);
    assert_eq!(wait(stores.messages.unfinished()).unwrap(), expected);
}

/// States and reasons of the messages of a session.
fn standing(stores: &Stores, name: &str) -> Vec<String> {
    let show = |message: Message| {
        let reason = message.reason.map_or("", MessageReason::as_str);
        format!("{} {} {reason}", message.id, message.state).trim_end().to_owned()
    };
    messages(stores, name).into_iter().map(show).collect()
}

pub(super) fn the_end_of_a_session_cancels_what_is_queued_and_nothing_else(stores: &Stores) {
    begin(stores, seed("app-1"));
    begin(stores, seed("app-2"));
    for name in ["m-1", "m-2", "m-3"] {
        queue(stores, message("app-1", name));
    }
    queue(stores, message("app-2", "m-4"));
    let end = Commit {
        messages: vec![
            shift("m-2", MessageState::Queued, MessageState::Typing),
            MessageChange::Queue(message("app-1", "m-5")),
        ],
        message_orders: vec![MessageOrder::CancelAll],
        ..on("app-1", FIRST)
    };
    commit(stores, end);
    let expected =
        ["m-1 cancelled session_ended", "m-2 typing", "m-3 cancelled session_ended", "m-5 queued"];
    assert_eq!(standing(stores, "app-1"), expected);
    assert_eq!(standing(stores, "app-2"), ["m-4 queued"]);
    let cancelled = wait(stores.messages.message(&message_id("m-1"))).unwrap().unwrap();
    assert_eq!(cancelled.updated_at, moment(30));
}

pub(super) fn the_end_of_an_incident_supersedes_its_own_messages_only(stores: &Stores) {
    begin(stores, seed("app-1"));
    queue(stores, reaction("app-1", "m-1", incident(7)));
    queue(stores, reaction("app-1", "m-2", incident(8)));
    queue(stores, reaction("app-1", "m-3", episode()));
    queue(stores, message("app-1", "m-4"));
    queue(stores, reaction("app-1", "m-5", incident(7)));
    let end = Commit {
        messages: vec![
            shift("m-5", MessageState::Queued, MessageState::Typing),
            MessageChange::Queue(reaction("app-1", "m-6", incident(7))),
        ],
        message_orders: vec![
            MessageOrder::SupersedeIncident(incident(7)),
            MessageOrder::SupersedeIncident(episode()),
        ],
        ..on("app-1", FIRST)
    };
    commit(stores, end);
    let expected = [
        "m-1 superseded condition_over",
        "m-2 queued",
        "m-3 superseded condition_over",
        "m-4 queued",
        "m-5 typing",
        "m-6 queued",
    ];
    assert_eq!(standing(stores, "app-1"), expected);
}
