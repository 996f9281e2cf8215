//! What hangs on a session, and what stands beside it: of two writers one has its way with each
//! row, and the other one is told.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use ao_core::fact::{BootProbe, Fact, FactKind, LookFact, LookValues, Outcome};
use ao_core::fact::{ProcessProbe, RuntimeProbe, ServerProbe, SignalFact};
use ao_core::ids::{FactId, IdempotencyKey, LaunchId, Revision, SessionId};
use ao_core::message::{MessageChange, MessageState};
use ao_core::outbox::{OutboxOutcome, OutboxState};
use ao_core::policy::Policy;
use ao_core::ports::{
    Commit, Ensured, Expected, Incidents as _, Messages as _, Outbox as _, Projects as _,
    Sagas as _, SessionStore as _, StoreError,
};
use ao_core::record::{ActivitySource, ActivityState, Launch, SessionState};
use ao_core::reduce::reduce;
use ao_core::saga::SagaChange;
use ao_core::session::Session;
use ao_core::step::{Rule, Step};
use ao_store::SqliteStore;
use ao_testkit::contract::store::sample::{
    effect, launch_id, message, message_id, moment, outage, project, project_id, saga, seed,
    seeding, session_id,
};
use ao_testkit::contract::store::wait;
use tempfile::TempDir;

use super::open_past_the_lock;
use crate::open;

/// Two stores on one file.
struct Two {
    stores: [SqliteStore; 2],
    _dirs: [TempDir; 2],
}

impl Two {
    fn new() -> Self {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let first = open(dirs[0].path());
        let other = open_past_the_lock(dirs[0].path(), dirs[1].path());
        Self { stores: [first, other], _dirs: dirs }
    }

    fn with_session() -> Self {
        let two = Self::new();
        wait(two.stores[0].commit(seeding(seed("app-1")))).unwrap();
        two
    }

    /// Lets both do the same at once; answers what each says.
    fn both<T: Send>(&self, work: impl Fn(&SqliteStore, usize) -> T + Sync) -> [T; 2] {
        thread::scope(|scope| {
            let work = &work;
            let [one, other] = [0, 1].map(|n| scope.spawn(move || work(&self.stores[n], n)));
            [one.join().unwrap(), other.join().unwrap()]
        })
    }
}

fn read(store: &SqliteStore) -> Session {
    wait(store.get(&session_id("app-1"))).unwrap().unwrap()
}

fn on(revision: Revision) -> Commit {
    Commit::on(session_id("app-1"), Expected::Revision(revision), moment(2))
}

#[track_caller]
fn n_won<T>(answers: &[Result<T, StoreError>; 2]) -> usize {
    answers.iter().filter(|answer| answer.is_ok()).count()
}

#[test]
fn a_message_is_begun_by_one_of_two_writers() {
    let two = Two::with_session();
    for n in 0..20 {
        let name = format!("m-{n}");
        let revision = read(&two.stores[0]).lifecycle.revision;
        let queue = MessageChange::Queue(message("app-1", &name));
        wait(two.stores[0].commit(Commit { messages: vec![queue], ..on(revision) })).unwrap();
        let answers = two.both(|store, _| {
            let begin = MessageChange::Move {
                id: message_id(&name),
                from: MessageState::Queued,
                to: MessageState::Typing,
                reason: None,
                launch: Some(launch_id("launch-1")),
                at: moment(3),
            };
            // As the messenger does: the revision is checked and kept.
            wait(store.commit(Commit { messages: vec![begin], ..on(revision) }))
        });
        assert_eq!(n_won(&answers), 1, "{answers:?}");
        let loser = answers.iter().find_map(|answer| answer.as_ref().err()).unwrap();
        assert!(matches!(loser, StoreError::NotFound { .. }), "{loser}");
    }
}

#[test]
fn messages_of_two_writers_are_all_there_and_a_repeated_one_is_there_once() {
    const N: usize = 25;
    let two = Two::with_session();
    two.both(|store, writer| {
        for n in 0..N {
            // Every fifth was sent to both daemons under one key.
            let is_repeated = n % 5 == 0;
            let mut sent = message("app-1", &format!("m-{writer}-{n}"));
            let key = if is_repeated { format!("{n}") } else { format!("{writer}-{n}") };
            sent.idempotency_key = Some(IdempotencyKey::new(key));
            let revision = read(store).lifecycle.revision;
            let queue = MessageChange::Queue(sent);
            wait(store.commit(Commit { messages: vec![queue], ..on(revision) })).unwrap();
        }
    });
    for store in &two.stores {
        let messages = wait(store.messages_of(&session_id("app-1"), 1_000)).unwrap();
        let keys: Vec<_> =
            messages.iter().map(|it| it.idempotency_key.clone().unwrap().to_string()).collect();
        let different: BTreeSet<_> = keys.iter().collect();
        assert_eq!((keys.len(), different.len()), (2 * N - N / 5, 2 * N - N / 5), "{keys:?}");
        for writer in ["0-", "1-"] {
            let own: Vec<_> = keys.iter().filter(|key| key.starts_with(writer)).collect();
            let mut sorted = own.clone();
            sorted.sort_by_key(|key| key.trim_start_matches(writer).parse::<usize>().unwrap());
            assert_eq!(own, sorted, "each writer's are in its order");
        }
    }
}

#[test]
fn a_session_has_one_saga_whoever_begins_it() {
    let two = Two::with_session();
    for n in 0..20 {
        let session = read(&two.stores[0]);
        let answers = two.both(|store, writer| {
            let begun =
                ao_core::saga::Saga { attempts: u32::try_from(writer).unwrap(), ..saga("app-1") };
            let commit = Commit {
                next: Some(session.clone()),
                saga: Some(SagaChange::Begin(begun)),
                ..on(session.lifecycle.revision)
            };
            wait(store.commit(commit))
        });
        assert_eq!(n_won(&answers), 1, "{answers:?}");
        let winner = u32::try_from(answers.iter().position(Result::is_ok).unwrap()).unwrap();
        for store in &two.stores {
            let in_flight = wait(store.in_flight()).unwrap();
            assert_eq!(in_flight.iter().map(|it| it.attempts).collect::<Vec<_>>(), [winner]);
        }
        // The step of one and the cancellation of the other are on one revision: one of them is
        // told, and reads again.
        let session = read(&two.stores[0]);
        let answers = two.both(|store, writer| {
            let saga = ao_core::saga::Saga { is_cancelled: writer == 1, ..saga("app-1") };
            let commit = Commit {
                next: Some(session.clone()),
                saga: Some(SagaChange::Put(saga)),
                ..on(session.lifecycle.revision)
            };
            wait(store.commit(commit))
        });
        assert_eq!(n_won(&answers), 1, "{n}: {answers:?}");
        let is_cancelled = answers[1].is_ok();
        assert_eq!(wait(two.stores[0].in_flight()).unwrap()[0].is_cancelled, is_cancelled);
        let end =
            Commit { saga: Some(SagaChange::End), ..on(read(&two.stores[0]).lifecycle.revision) };
        wait(two.stores[1].commit(end)).unwrap();
    }
}

#[test]
fn an_effect_is_planned_once_and_its_end_stands() {
    let two = Two::with_session();
    for n in 0..20 {
        let name = format!("e-{n}");
        let revision = read(&two.stores[0]).lifecycle.revision;
        let planned = two.both(|store, _| {
            wait(store.commit(Commit { effects: vec![effect(&name, "inbox")], ..on(revision) }))
        });
        assert_eq!(n_won(&planned), 2, "a plan that is there already is no error");
        let ready = wait(two.stores[1].ready(&moment(5), 10)).unwrap();
        assert_eq!(ready.len(), 1, "{ready:?}");
        // Two dispatchers had it in hand: one delivered it, the other one could not.
        two.both(|store, writer| {
            let outcome = if writer == 0 {
                OutboxOutcome::Done
            } else {
                OutboxOutcome::Retry { not_before: moment(9), error: "no".to_owned() }
            };
            wait(store.finish(vec![(ready[0].seq, outcome)])).unwrap();
        });
        for store in &two.stores {
            let told = wait(store.of_session(&session_id("app-1"), 1)).unwrap();
            assert_eq!(told[0].state, OutboxState::Done, "what was delivered is not told again");
            assert!(wait(store.ready(&moment(99), 10)).unwrap().is_empty());
        }
    }
}

#[test]
fn an_outage_is_opened_and_told_once() {
    let two = Two::new();
    for n in 0..20 {
        let (incident, effect) = (outage(&format!("o-{n}")), effect(&format!("e-{n}"), "inbox"));
        let answers = two.both(|store, _| {
            wait(store.open_incident(&incident, std::slice::from_ref(&effect))).unwrap()
        });
        let n_opened = answers.iter().filter(|it| **it == Ensured::Done).count();
        assert_eq!(n_opened, 1, "{answers:?}");
    }
    assert_eq!(wait(two.stores[0].incidents(100)).unwrap().len(), 20);
    let ready = wait(two.stores[1].ready(&moment(99), 100)).unwrap();
    let mut ids: Vec<_> = ready.iter().map(|it| it.effect.id.to_string()).collect();
    ids.dedup();
    assert_eq!(ready.len(), ids.len());
}

#[test]
fn a_number_of_a_project_is_given_out_once() {
    const N: u64 = 40;
    let two = Two::new();
    let added = two.both(|store, _| wait(store.add_project(project("app"))).unwrap());
    assert_eq!(added.iter().filter(|it| **it == Ensured::Done).count(), 1, "{added:?}");
    let given = two.both(|store, _| {
        (0..N).map(|_| wait(store.next_session_id(&project_id("app"))).unwrap()).collect::<Vec<_>>()
    });
    let all: BTreeSet<SessionId> = given.iter().flatten().cloned().collect();
    let expected: BTreeSet<SessionId> =
        (1..=2 * N).map(|n| SessionId::of(&project_id("app"), n)).collect();
    assert_eq!(all, expected);
}

#[test]
fn a_request_that_reaches_two_daemons_makes_one_session() {
    let two = Two::new();
    for n in 0..20 {
        let key = IdempotencyKey::new(format!("k-{n}"));
        let answers = two.both(|store, writer| {
            let made = seed(&format!("app-{}", 2 * n + writer));
            let commit = Commit { idempotency_key: Some(key.clone()), ..seeding(made) };
            wait(store.commit(commit))
        });
        assert_eq!(n_won(&answers), 1, "{answers:?}");
        let winner = answers.iter().position(Result::is_ok).unwrap();
        let made = session_id(&format!("app-{}", 2 * n + winner));
        assert_eq!(answers[1 - winner], Err(StoreError::KeyTaken { session: made.clone() }));
        for store in &two.stores {
            assert_eq!(wait(store.find_by_key(&key)).unwrap(), Some(made.clone()));
        }
    }
}

#[test]
fn a_fact_that_two_take_in_counts_once() {
    const N: usize = 20;
    let two = Two::with_session();
    let first = read(&two.stores[0]).lifecycle.revision;
    let taken = two.both(|store, _| {
        let mut n_taken = 0_usize;
        for n in 0..N {
            let fact = FactId::parse(format!("fact-{n}")).unwrap();
            // Until the fact is in: by this writer or by the other one.
            loop {
                let session = read(store);
                let revision = session.lifecycle.revision;
                let next = Some(session);
                let commit = Commit { next, fact: Some(fact.clone()), ..on(revision) };
                match wait(store.commit(commit)) {
                    Ok(_) => n_taken += 1,
                    Err(StoreError::Conflict { .. }) => continue,
                    Err(StoreError::FactSeen { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
                break;
            }
        }
        n_taken
    });
    assert_eq!(taken.iter().sum::<usize>(), N, "{taken:?}");
    let last = read(&two.stores[1]).lifecycle.revision;
    assert_eq!(last.0 - first.0, u64::try_from(N).unwrap(), "a refused fact writes nothing");
}

/// A step of the rules, committed on the revision that was read.
fn take_in(store: &SqliteStore, read: &Session, fact: &Fact) -> Result<Rule, StoreError> {
    match reduce(read, fact, &Policy::default(), &fact.at) {
        Step::None { because, .. } => Ok(because.rule),
        Step::Change(change) => {
            let next = Session {
                record: read.record.clone(),
                lifecycle: change.lifecycle,
                ledger: change.ledger,
            };
            let commit = Commit {
                next: Some(next),
                deadlines: change.deadlines,
                message_orders: change.message_orders,
                effects: change.effects,
                ..on(read.lifecycle.revision)
            };
            wait(store.commit(commit)).map(|_| change.because.rule)
        }
    }
}

fn launched(id: LaunchId, secs: u32) -> Fact {
    let traits = ao_core::agent::AgentTraits {
        signals: ao_core::agent::Signals::Full,
        exits_when_done: false,
        settle_for: std::time::Duration::ZERO,
    };
    let launch = Launch { id, committed_at: moment(secs), traits };
    Fact { at: moment(secs), kind: FactKind::Outcome(Outcome::Launched(launch)) }
}

fn signal(launch: LaunchId, activity: ActivityState, secs: u32) -> Fact {
    let signal = SignalFact {
        id: FactId::parse("late").unwrap(),
        launch,
        activity,
        source: ActivitySource::Hook,
        detail: None,
        agent_session_id: None,
        paused_until: None,
        is_submit: false,
        prompt: None,
        transcript: None,
        message: None,
    };
    Fact { at: moment(secs), kind: FactKind::Signal(signal) }
}

fn dead(launch: LaunchId, secs: u32) -> Fact {
    let values = LookValues {
        boot: BootProbe::Same,
        server: ServerProbe::Living,
        runtime: RuntimeProbe::Missing,
        process: ProcessProbe::Dead,
    };
    Fact { at: moment(secs), kind: FactKind::Look(LookFact::new(launch, values)) }
}

/// Both the revision and the launch fence: a daemon that was asleep has facts of the launch before
/// in its hands, decided on what it had read. Neither its decision nor the same facts decided anew
/// touch the launch that runs.
#[test]
fn a_late_fact_of_an_old_launch_changes_nothing_of_the_new_one() {
    let two = Two::with_session();
    let [awake, asleep] = &two.stores;
    let (old, new) = (launch_id("launch-1"), launch_id("launch-2"));
    let say = |fact: &Fact| take_in(awake, &read(awake), fact).unwrap();
    assert_eq!(say(&launched(old.clone(), 2)), Rule::Launched);
    let read_before = read(asleep);
    assert_eq!(say(&dead(old.clone(), 10)), Rule::RuntimeMissing);
    let restore = Fact { at: moment(20), kind: FactKind::Outcome(Outcome::RestoreRequested) };
    assert_eq!(say(&restore), Rule::RestoreRequested);
    assert_eq!(say(&launched(new.clone(), 21)), Rule::Launched);
    assert_eq!(say(&signal(new.clone(), ActivityState::Idle, 22)), Rule::Settled);
    let before = read(awake);

    let late = [
        signal(old.clone(), ActivityState::WaitingInput, 9),
        signal(old.clone(), ActivityState::Exited, 30),
        dead(old.clone(), 9),
        dead(old, 30),
        // Of this launch, but the look began before it was committed.
        dead(new, 20),
    ];
    for fact in &late[..4] {
        let answer = take_in(asleep, &read_before, fact);
        assert!(matches!(answer, Err(StoreError::Conflict { .. })), "{fact:?}: {answer:?}");
    }
    for fact in &late {
        assert_eq!(take_in(asleep, &read(asleep), fact), Ok(Rule::Fenced), "{fact:?}");
    }
    assert_eq!(read(asleep), before);
    assert_ne!(before.lifecycle.session.state, SessionState::Terminated);
}

/// The ledger is written with the session, so two writers that find the same incident open it once,
/// and what both planned is told once.
#[test]
fn an_incident_that_two_find_is_opened_and_told_once() {
    use ao_core::ids::NotifierId;
    use ao_core::inbox::Priority;

    let inbox = NotifierId::parse("inbox").unwrap();
    let routing = BTreeMap::from([(Priority::Urgent, vec![inbox])]);
    let policy = Policy { routing, ..Policy::default() };
    let two = Two::with_session();
    let launch = launch_id("launch-1");
    take_in(&two.stores[0], &read(&two.stores[0]), &launched(launch.clone(), 2)).unwrap();
    for n in 0_u32..10 {
        let asked = signal(launch.clone(), ActivityState::Blocked, 10 + 10 * n);
        let session = read(&two.stores[0]);
        let answers = two.both(|store, _| {
            let Step::Change(change) = reduce(&session, &asked, &policy, &asked.at) else {
                panic!("a dialog is news");
            };
            let (lifecycle, ledger) = (change.lifecycle, change.ledger);
            let next = Session { record: session.record.clone(), lifecycle, ledger };
            let commit = Commit {
                next: Some(next),
                effects: change.effects,
                ..on(session.lifecycle.revision)
            };
            wait(store.commit(commit))
        });
        assert_eq!(n_won(&answers), 1, "{answers:?}");
        let told = wait(two.stores[1].of_session(&session_id("app-1"), 100)).unwrap();
        assert_eq!(told.len(), usize::try_from(n).unwrap() + 1);
        let open = read(&two.stores[1]).ledger.open;
        assert!(open.values().all(|it| it.episode == u64::from(n) + 1), "{open:?}");
        let answered = signal(launch.clone(), ActivityState::Active, 15 + 10 * n);
        take_in(&two.stores[1], &read(&two.stores[1]), &answered).unwrap();
    }
}
