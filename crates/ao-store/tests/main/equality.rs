//! Whatever is asked of them, the database and its fake answer the same.

use std::time::Duration;

use ao_core::deadline::{DeadlineChange, DeadlineClock, DeadlineKind};
use ao_core::event::{Changes, Event};
use ao_core::ids::{EffectId, FactId, IdempotencyKey, Revision, SessionId};
use ao_core::ledger::IncidentKey;
use ao_core::message::{MessageChange, MessageReason, MessageState};
use ao_core::outbox::OutboxOutcome;
use ao_core::ports::{Commit, Expected, InboxFilter, SessionFilter};
use ao_core::record::{SessionReason, SessionState};
use ao_core::saga::{SagaChange, SagaDirection, SagaStep};
use ao_core::session::{Phase, Session};
use ao_core::step::MessageOrder;
use ao_core::time::{Moment, Timestamp};
use ao_store::{DataLock, Options, Retention, SqliteStore};
use ao_testkit::contract::store::sample::{
    effect, ended, entry, episode, incident, launch_id, message, message_id, moment,
    moment_of_next_boot, notification, outage, project, project_id, reaction, rich, saga, seed,
    session_id, with_verdict,
};
use ao_testkit::contract::store::{Stores, wait};
use ao_testkit::memory_store::MemoryStore;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::path_in;

const SESSIONS: &[&str] = &["app-1", "app-2", "lib-1"];
/// Few enough that a run is reset now and then.
const N_EVENTS: usize = 25;

/// What a writer believes about a session.
#[derive(Debug, Clone, Copy)]
enum Belief {
    Absent,
    Revision(u64),
    /// What it really is.
    Right,
}

#[derive(Debug, Clone)]
struct Write {
    session: &'static str,
    belief: Belief,
    next: Option<u8>,
    saga: Option<SagaChoice>,
    deadlines: Vec<DeadlineChange>,
    messages: Vec<MessageChoice>,
    orders: Vec<MessageOrder>,
    effects: Vec<(u8, &'static str)>,
    marks: Marks,
}

#[derive(Debug, Clone)]
struct Marks {
    is_journaled: bool,
    key: Option<u8>,
    fact: Option<u8>,
}

#[derive(Debug, Clone, Copy)]
enum SagaChoice {
    Begin,
    Put(SagaStep, SagaDirection, u32),
    End,
}

#[derive(Debug, Clone)]
enum MessageChoice {
    Queue(u8, Option<IncidentKey>),
    Move(u8, MessageState, MessageState, Option<MessageReason>, bool),
}

#[derive(Debug, Clone)]
enum Ask {
    Write(Box<Write>),
    Remove(&'static str),
    Finish(usize, OutboxOutcome),
    AddProject(&'static str, &'static str),
    RemoveProject(&'static str),
    NextSessionId(&'static str),
    Deliver(u8),
    MarkRead(u8),
    OpenIncident(u8, Vec<(u8, &'static str)>),
}

fn an_incident() -> impl Strategy<Value = IncidentKey> {
    select(vec![incident(7), incident(8), episode()])
}

fn a_moment() -> impl Strategy<Value = Moment> {
    (0_u32..90, any::<bool>()).prop_map(|(secs, is_later)| {
        if is_later { moment_of_next_boot(secs) } else { moment(secs) }
    })
}

fn a_deadline() -> impl Strategy<Value = DeadlineChange> {
    let kind = prop_oneof![
        an_incident().prop_map(DeadlineKind::Escalate),
        Just(DeadlineKind::NoSignal),
        Just(DeadlineKind::PauseEnds),
    ];
    let clock = select(DeadlineClock::ALL);
    (kind, option::weighted(0.7, (a_moment(), 0_u64..60, clock))).prop_map(|(kind, armed)| {
        match armed {
            None => DeadlineChange::Disarm(kind),
            Some((armed_at, after, clock)) => {
                DeadlineChange::Arm { kind, armed_at, after: Duration::from_secs(after), clock }
            }
        }
    })
}

fn a_message() -> impl Strategy<Value = MessageChoice> {
    let state = || prop_oneof![3 => Just(MessageState::Queued), 1 => select(MessageState::ALL)];
    let reason = option::of(select(MessageReason::ALL));
    prop_oneof![
        (0_u8..6, option::of(an_incident())).prop_map(|(n, it)| MessageChoice::Queue(n, it)),
        (0_u8..6, state(), select(MessageState::ALL), reason, any::<bool>()).prop_map(
            |(n, from, to, why, to_launch)| { MessageChoice::Move(n, from, to, why, to_launch) }
        ),
    ]
}

fn effects() -> impl Strategy<Value = Vec<(u8, &'static str)>> {
    vec((0_u8..12, select(vec!["inbox", "mail"])), 0..3)
}

fn a_write() -> impl Strategy<Value = Write> {
    let belief = prop_oneof![
        1 => Just(Belief::Absent),
        1 => (0_u64..4).prop_map(Belief::Revision),
        6 => Just(Belief::Right),
    ];
    let saga = prop_oneof![
        Just(SagaChoice::Begin),
        (select(SagaStep::ALL), select(SagaDirection::ALL), 0_u32..2)
            .prop_map(|(step, direction, n)| SagaChoice::Put(step, direction, n)),
        Just(SagaChoice::End),
    ];
    let order = prop_oneof![
        1 => Just(MessageOrder::CancelAll),
        3 => an_incident().prop_map(MessageOrder::SupersedeIncident),
    ];
    let marks = (any::<bool>(), option::weighted(0.1, 0_u8..3), option::weighted(0.2, 0_u8..9))
        .prop_map(|(is_journaled, key, fact)| Marks { is_journaled, key, fact });
    let rest = (
        option::weighted(0.3, saga),
        vec(a_deadline(), 0..2),
        vec(a_message(), 0..2),
        vec(order, 0..2),
        effects(),
        marks,
    );
    (select(SESSIONS), belief, option::weighted(0.7, 0_u8..6), rest).prop_map(
        |(session, belief, next, rest)| {
            let (saga, deadlines, messages, orders, effects, marks) = rest;
            Write { session, belief, next, saga, deadlines, messages, orders, effects, marks }
        },
    )
}

fn an_outcome() -> impl Strategy<Value = OutboxOutcome> {
    prop_oneof![
        Just(OutboxOutcome::Done),
        Just(OutboxOutcome::Superseded),
        a_moment().prop_map(|not_before| OutboxOutcome::Retry {
            not_before,
            error: "not now".to_owned()
        }),
        Just(OutboxOutcome::Dead { error: "never".to_owned() }),
    ]
}

fn an_ask() -> impl Strategy<Value = Ask> {
    let project = || select(vec!["app", "lib"]);
    prop_oneof![
        12 => a_write().prop_map(|write| Ask::Write(Box::new(write))),
        1 => select(SESSIONS).prop_map(Ask::Remove),
        3 => (0_usize..4, an_outcome()).prop_map(|(n, outcome)| Ask::Finish(n, outcome)),
        1 => (project(), project()).prop_map(|(id, path)| Ask::AddProject(id, path)),
        1 => project().prop_map(Ask::RemoveProject),
        1 => project().prop_map(Ask::NextSessionId),
        1 => (0_u8..4).prop_map(Ask::Deliver),
        1 => (0_u8..4).prop_map(Ask::MarkRead),
        1 => (0_u8..3, effects()).prop_map(|(n, effects)| Ask::OpenIncident(n, effects)),
    ]
}

/// A session in one of the shapes that differ in what is news.
fn shape(name: &str, n: u8) -> Session {
    let working = SessionState::Working;
    match n {
        0 => seed(name),
        1 => rich(name),
        2 => with_verdict(rich(name), working, SessionReason::TaskInProgress),
        3 => {
            let mut session = rich(name);
            session.record.updated_at = Timestamp::from_millis(99);
            session.record.phase = Phase::Running;
            session
        }
        4 => {
            let mut session = seed(name);
            session.ledger = rich(name).ledger;
            session
        }
        _ => ended(seed(name)),
    }
}

fn commit_of(write: &Write, current: Option<Revision>) -> Commit {
    let name = write.session;
    let expected = match (write.belief, current) {
        (Belief::Absent, _) | (Belief::Right, None) => Expected::Absent,
        (Belief::Revision(n), _) => Expected::Revision(Revision(n)),
        (Belief::Right, Some(revision)) => Expected::Revision(revision),
    };
    let saga = write.saga.map(|choice| match choice {
        SagaChoice::Begin => SagaChange::Begin(saga(name)),
        SagaChoice::Put(step, direction, attempts) => {
            SagaChange::Put(ao_core::saga::Saga { step, direction, attempts, ..saga(name) })
        }
        SagaChoice::End => SagaChange::End,
    });
    let messages = write.messages.iter().map(|choice| match choice {
        MessageChoice::Queue(n, None) => MessageChange::Queue(message(name, &format!("m-{n}"))),
        MessageChoice::Queue(n, Some(incident)) => {
            MessageChange::Queue(reaction(name, &format!("m-{n}"), *incident))
        }
        MessageChoice::Move(n, from, to, reason, to_launch) => MessageChange::Move {
            id: message_id(&format!("m-{n}")),
            from: *from,
            to: *to,
            reason: *reason,
            launch: to_launch.then(|| launch_id("launch-2")),
            at: moment(70),
        },
    });
    let fact = |n: u8| -> FactId { format!("fact-{n}").parse().unwrap() };
    Commit {
        next: write.next.map(|n| shape(name, n)),
        saga,
        deadlines: write.deadlines.clone(),
        messages: messages.collect(),
        message_orders: write.orders.clone(),
        effects: planned(&write.effects),
        journal: write.marks.is_journaled.then(|| entry(7)),
        idempotency_key: write.marks.key.map(|n| IdempotencyKey::new(format!("key {n}"))),
        fact: write.marks.fact.map(fact),
        ..Commit::on(session_id(name), expected, moment(60))
    }
}

fn planned(effects: &[(u8, &'static str)]) -> Vec<ao_core::outbox::Effect> {
    effects.iter().map(|(n, sink)| effect(&format!("effect {n}"), sink)).collect()
}

/// Asks a store; what it answers, as text.
fn answer(stores: &Stores, ask: &Ask) -> String {
    match ask {
        Ask::Write(write) => {
            let current = wait(stores.sessions.get(&session_id(write.session))).unwrap();
            let revision = current.map(|session| session.lifecycle.revision);
            format!("{:?}", wait(stores.sessions.commit(commit_of(write, revision))))
        }
        Ask::Remove(name) => format!("{:?}", wait(stores.sessions.remove(&session_id(name)))),
        Ask::Finish(n, outcome) => {
            let pending = wait(stores.outbox.ready(&moment(1_000), 9)).unwrap();
            let seq = pending.get(*n).map_or(0, |entry| entry.seq);
            format!("{:?}", wait(stores.outbox.finish(vec![(seq, outcome.clone())])))
        }
        Ask::AddProject(id, path) => {
            let mut project = project(id);
            project.path = format!("/repos/{path}").into();
            format!("{:?}", wait(stores.projects.add_project(project)))
        }
        Ask::RemoveProject(id) => {
            format!("{:?}", wait(stores.projects.remove_project(&project_id(id))))
        }
        Ask::NextSessionId(id) => {
            format!("{:?}", wait(stores.projects.next_session_id(&project_id(id))))
        }
        Ask::Deliver(n) => {
            format!("{:?}", wait(stores.inbox.deliver(&notification(&format!("n-{n}")))))
        }
        Ask::MarkRead(n) => {
            let ids = [EffectId::new(format!("n-{n}"))];
            format!("{:?}", wait(stores.inbox.mark_read(&ids)))
        }
        Ask::OpenIncident(n, effects) => {
            let incident = outage(&format!("i-{n}"));
            format!("{:?}", wait(stores.incidents.open_incident(&incident, &planned(effects))))
        }
    }
}

/// Events without their time: the database tells when it was written, the fake what it was told.
fn timeless(changes: Changes) -> Changes {
    match changes {
        Changes::Events(events) => {
            let timeless = |event| Event { at: Timestamp::from_millis(0), ..event };
            Changes::Events(events.into_iter().map(timeless).collect())
        }
        reset @ Changes::Reset { .. } => reset,
    }
}

/// Everything that can be read, piece by piece.
fn everything(stores: &Stores) -> Vec<String> {
    let mut all = Vec::new();
    let filter = |with_terminal| SessionFilter { project: None, with_terminal };
    for with_terminal in [false, true] {
        all.push(format!("{:#?}", wait(stores.sessions.list(&filter(with_terminal)))));
        let with_read = with_terminal;
        all.push(format!("{:#?}", wait(stores.inbox.inbox(&InboxFilter { with_read }))));
    }
    for id in SESSIONS.iter().map(|name| session_id(name)) {
        all.extend(of_session(stores, &id));
    }
    for now in [moment(0), moment(45), moment(90), moment_of_next_boot(30)] {
        all.push(format!("{:#?}", wait(stores.outbox.ready(&now, 3))));
        all.push(format!("{:#?}", wait(stores.deadlines.due(&now))));
        all.push(format!("{:#?}", wait(stores.deadlines.next_due_in(&now))));
    }
    all.push(format!("{:#?}", wait(stores.sagas.in_flight())));
    all.push(format!("{:#?}", wait(stores.messages.unfinished())));
    all.push(format!("{:#?}", wait(stores.projects.projects())));
    all.push(format!("{:#?}", wait(stores.incidents.incidents(2))));
    let head = wait(stores.feed.head()).unwrap();
    for cursor in [0, head.saturating_sub(5), head] {
        all.push(format!("{:#?}", wait(stores.feed.changes_after(cursor, 50)).map(timeless)));
    }
    for n in 0..3 {
        let key = IdempotencyKey::new(format!("key {n}"));
        all.push(format!("{:#?}", wait(stores.sessions.find_by_key(&key))));
    }
    all
}

fn of_session(stores: &Stores, id: &SessionId) -> Vec<String> {
    let key = IdempotencyKey::new("key of m-1");
    vec![
        format!("{:#?}", wait(stores.sessions.load(id))),
        format!("{:#?}", wait(stores.sessions.journal(id, 4))),
        format!("{:#?}", wait(stores.messages.messages_of(id, 4))),
        format!("{:#?}", wait(stores.messages.message_by_key(id, &key))),
        format!("{:#?}", wait(stores.outbox.of_session(id, 4))),
        format!("{:#?}", wait(stores.deadlines.deadlines_of(id))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_fake_answers_what_the_database_answers(asks in vec(an_ask(), 1..50)) {
        let dir = tempfile::tempdir().unwrap();
        let lock = DataLock::acquire(dir.path()).unwrap();
        let retention = Retention { events: N_EVENTS, ..Retention::default() };
        let options = Options { retention, ..Options::default() };
        let database = SqliteStore::open_inline(lock, &path_in(dir.path()), options).unwrap();
        let database = Stores::over(database, dir);
        let fake = Stores::over(MemoryStore::with_events_max(N_EVENTS), ());
        for ask in &asks {
            prop_assert_eq!(answer(&database, ask), answer(&fake, ask), "{:?}", ask);
        }
        for (real, faked) in everything(&database).iter().zip(everything(&fake)) {
            prop_assert_eq!(real, &faked);
        }
    }
}
