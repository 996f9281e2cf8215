//! What holds after every fact, whatever came before it.

use std::collections::BTreeSet;
use std::time::Duration;

use ao_core::agent::Signals;
use ao_core::deadline::{DeadlineChange, DeadlineKind};
use ao_core::fact::{
    BootProbe, Fact, FactKind, LookFact, LookValues, Outcome, ProcessProbe, RuntimeProbe,
    ServerProbe, SignalDetail, SignalFact, WorkFound,
};
use ao_core::ids::{BranchName, CauseKey, FactId, InfraIncidentId, PrNumber, Sha};
use ao_core::journal::{JournalEntry, JournalRecord};
use ao_core::ledger::{IncidentKey, ReactionKind};
use ao_core::policy::Policy;
use ao_core::pr::{Checks, Draftness, Known, Mergeability, Pr, PrLife, PrObservation, Review};
use ao_core::react::ESCALATED;
use ao_core::record::{
    Activity, ActivitySource, ActivityState, EndIntent, Exit, Launch, Lifecycle, SessionReason,
    SessionState,
};
use ao_core::reduce::reduce;
use ao_core::session::Session;
use ao_core::status::status;
use ao_core::step::{MessageOrder, Step};
use ao_core::time::{BootId, Moment};
use proptest::prelude::*;
use proptest::sample::select;

use crate::fixtures::{after, at, launch_id, origin, policy, seeded, traits};

/// So many histories, or as many as `PROPERTY_CASES` asks for. Nothing is written down about those
/// that fail: a scenario is.
pub(crate) fn histories(n_cases: u32) -> ProptestConfig {
    let asked = std::env::var_os("PROPERTY_CASES").and_then(|it| it.to_str()?.parse().ok());
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(asked.unwrap_or(n_cases))
    }
}

/// What happens next, and when: its numbers are made into facts about the session as it then is.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    passed: Duration,
    asleep: Duration,
    is_reboot: bool,
    age: Duration,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Look {
        values: LookValues,
        exit: Option<Exit>,
        flags: u8,
    },
    Signal {
        activity: ActivityState,
        source: ActivitySource,
        detail: Option<SignalDetail>,
        flags: u8,
    },
    Pr(Box<Pr>),
    Outcome(u8),
    Due(DeadlineKind),
    IdleDue(WorkFound),
    SendFailed(IncidentKey),
    SignalsLost(u64),
}

fn look_values() -> impl Strategy<Value = LookValues> {
    (
        prop_oneof![9 => Just(BootProbe::Same), 1 => Just(BootProbe::Rebooted)],
        select(ServerProbe::ALL),
        select(RuntimeProbe::ALL),
        select(ProcessProbe::ALL),
    )
        .prop_map(|(boot, server, runtime, process)| LookValues {
            boot,
            server,
            runtime,
            process,
        })
}

fn exits() -> impl Strategy<Value = Option<Exit>> {
    select(vec![None, Some(Exit::Status(0)), Some(Exit::Status(1)), Some(Exit::Signal(9))])
}

fn known<T: Clone + std::fmt::Debug + 'static>(values: Vec<T>) -> impl Strategy<Value = Known<T>> {
    let at = at(Duration::ZERO);
    prop_oneof![
        1 => Just(Known::Unknown),
        3 => select(values).prop_map(move |value| Known::Known { value, at }),
    ]
}

fn causes(names: &[&str]) -> BTreeSet<CauseKey> {
    names.iter().map(|&name| CauseKey::new(name)).collect()
}

fn prs() -> impl Strategy<Value = Pr> {
    let failed = |names: &[&str]| Checks::Failed { causes: causes(names) };
    let wanted = |human: &[&str], bot: &[&str]| Review::ChangesRequested {
        human: causes(human),
        bot: causes(bot),
    };
    (
        1..3_u64,
        known(vec![Sha::new("a"), Sha::new("b")]),
        known(vec![PrLife::Open, PrLife::Open, PrLife::Open, PrLife::Merged, PrLife::Closed]),
        known(Draftness::ALL.to_vec()),
        known(vec![
            Checks::None,
            Checks::Pending,
            Checks::Passed,
            Checks::Refused,
            failed(&["lint"]),
            failed(&["test"]),
            failed(&["lint", "e2e"]),
        ]),
        known(vec![
            Review::NotRequired,
            Review::Pending,
            Review::Approved,
            wanted(&["t1"], &[]),
            wanted(&["t1", "t2"], &["b1"]),
        ]),
        known(Mergeability::ALL.to_vec()),
    )
        .prop_map(|(number, head, life, draft, checks, review, mergeability)| Pr {
            number: PrNumber(number),
            url: String::new(),
            base: BranchName::new("main"),
            head,
            life,
            draft,
            checks,
            review,
            mergeability,
        })
}

fn incident_keys() -> impl Strategy<Value = IncidentKey> {
    (select(ReactionKind::ALL), select(vec![None, Some(PrNumber(1)), Some(PrNumber(2))]))
        .prop_map(|(reaction, pr)| IncidentKey { reaction, pr })
}

fn deadline_kinds() -> impl Strategy<Value = DeadlineKind> {
    prop_oneof![
        4 => incident_keys().prop_map(DeadlineKind::Escalate),
        1 => Just(DeadlineKind::NoSignal),
        1 => Just(DeadlineKind::AgentIdle),
        1 => Just(DeadlineKind::TurnFinished),
        1 => Just(DeadlineKind::PauseEnds),
    ]
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        6 => (look_values(), exits(), any::<u8>())
            .prop_map(|(values, exit, flags)| Kind::Look { values, exit, flags }),
        6 => (
            select(ActivityState::ALL),
            select(ActivitySource::ALL),
            proptest::option::of(select(SignalDetail::ALL)),
            any::<u8>(),
        )
            .prop_map(|(activity, source, detail, flags)| Kind::Signal {
                activity,
                source,
                detail,
                flags,
            }),
        4 => prs().prop_map(|pr| Kind::Pr(Box::new(pr))),
        3 => any::<u8>().prop_map(Kind::Outcome),
        3 => deadline_kinds().prop_map(Kind::Due),
        1 => select(WorkFound::ALL).prop_map(Kind::IdleDue),
        1 => incident_keys().prop_map(Kind::SendFailed),
        1 => (0..4_u64).prop_map(Kind::SignalsLost),
    ]
}

pub(crate) fn events() -> impl Strategy<Value = Event> {
    (
        select(vec![0_u64, 1, 100, 4_999, 5_000, 30_000, 90_000, 900_000, 3_600_000]),
        prop_oneof![9 => Just(0_u64), 1 => Just(32_400_u64)],
        prop_oneof![40 => Just(false), 1 => Just(true)],
        prop_oneof![5 => Just(0_u64), 1 => 0_u64..20_000],
        kinds(),
    )
        .prop_map(|(passed_ms, asleep_s, is_reboot, age_ms, kind)| Event {
            passed: Duration::from_millis(passed_ms),
            asleep: Duration::from_secs(asleep_s),
            is_reboot,
            age: Duration::from_millis(age_ms),
            kind,
        })
}

/// A session that lives through events, and what was planned for it on the way.
pub(crate) struct Life {
    pub(crate) session: Session,
    pub(crate) policy: Policy,
    /// Every change so far, as it is written down.
    pub(crate) journal: Vec<JournalRecord>,
    /// When the last event was taken in.
    pub(crate) now: Moment,
    n_launches: u64,
    planned: BTreeSet<String>,
    escalated: BTreeSet<(IncidentKey, u64)>,
}

impl Life {
    pub(crate) fn new(agent: &str) -> Self {
        let mut policy = policy();
        for line in policy.reactions.values_mut() {
            line.is_enabled = true;
            line.escalate_after.get_or_insert(Duration::from_mins(10));
        }
        let mut life = Self {
            session: seeded(1),
            policy,
            journal: Vec::new(),
            now: at(Duration::from_hours(1)),
            n_launches: 0,
            planned: BTreeSet::new(),
            escalated: BTreeSet::new(),
        };
        let launch = life.launch(agent);
        let fact = Fact { at: life.now, kind: FactKind::Outcome(Outcome::Launched(launch)) };
        let step = reduce(&life.session, &fact, &life.policy, &life.now);
        life.session = after(&life.session, &step);
        life
    }

    fn launch(&mut self, agent: &str) -> Launch {
        self.n_launches += 1;
        Launch {
            id: launch_id(&self.session, self.n_launches),
            committed_at: self.now,
            traits: traits(agent),
        }
    }

    fn fact(&mut self, event: &Event) -> Fact {
        let passed = event.passed + event.asleep;
        self.now.wall = self.now.wall.plus(passed);
        self.now.since_boot += passed;
        self.now.awake += event.passed;
        if event.is_reboot {
            self.now.boot = BootId(self.now.boot.0 + 1);
            self.now.since_boot = Duration::from_mins(1);
            self.now.awake = Duration::from_mins(1);
        }
        let mut at = self.now;
        at.since_boot = at.since_boot.saturating_sub(event.age);
        at.awake = at.awake.saturating_sub(event.age);
        Fact { at, kind: self.fact_kind(&event.kind) }
    }

    fn fact_kind(&mut self, kind: &Kind) -> FactKind {
        let launch = launch_id(&self.session, self.n_launches);
        let foreign = launch_id(&self.session, 99);
        match kind.clone() {
            Kind::Look { values, exit, flags } => {
                let is_foreign = flags % 16 == 0;
                FactKind::Look(LookFact {
                    launch: if is_foreign { foreign } else { launch },
                    values,
                    exit,
                    is_first_after_gap: flags & 0b11_0000 == 0b11_0000,
                    incident: (flags & 0b1100_0000 == 0b1100_0000)
                        .then(|| InfraIncidentId::new("outage")),
                    is_held_back: flags & 0b1100 == 0b1100,
                })
            }
            Kind::Signal { activity, source, detail, flags } => FactKind::Signal(SignalFact {
                id: FactId::parse("fact").unwrap(),
                launch: if flags % 16 == 0 { foreign } else { launch },
                activity,
                source,
                detail,
                agent_session_id: None,
                paused_until: (flags & 0b1_0000 != 0)
                    .then(|| self.now.wall.plus(Duration::from_mins(20))),
                is_submit: flags & 0b10_0000 != 0,
                prompt: None,
                transcript: None,
                message: None,
            }),
            Kind::Pr(pr) => {
                FactKind::PullRequests(vec![PrObservation { pr: seen_at(*pr, self.now) }])
            }
            Kind::Outcome(n) => FactKind::Outcome(match n % 16 {
                0 => Outcome::EndRequested(EndIntent::Kill),
                1 => Outcome::EndRequested(EndIntent::Cleanup),
                2 => Outcome::EndRequested(EndIntent::Merged),
                3 => Outcome::SpawnFailed,
                4..8 => Outcome::RestoreRequested,
                8..10 => Outcome::RuntimeDestroyed,
                10 => Outcome::RestoreQueued,
                11 => Outcome::SpawnAdmitted,
                12 => Outcome::RestoreAdmitted,
                13 => Outcome::Adopted(self.launch("full")),
                _ => Outcome::Launched(self.launch("full")),
            }),
            Kind::Due(kind) => FactKind::Due(kind),
            Kind::IdleDue(work) => FactKind::IdleDue(work),
            Kind::SendFailed(key) => FactKind::SendFailed(origin(&self.session.ledger, key)),
            Kind::SignalsLost(n) => FactKind::SignalsLost(n),
        }
    }

    /// Takes an event in, and checks everything that must hold of its step.
    pub(crate) fn live(&mut self, event: &Event) -> Result<(), TestCaseError> {
        let fact = self.fact(event);
        let step = reduce(&self.session, &fact, &self.policy, &self.now);
        let again = reduce(&self.session, &fact, &self.policy, &self.now);
        prop_assert_eq!(&step, &again, "not deterministic");
        let next = after(&self.session, &step);
        check_ends(&self.session, &next, &fact)?;
        check_time(&self.session, &next, &fact)?;
        check_deadlines(&step, &fact)?;
        self.check_plans(&next, &step, &fact)?;
        self.check_repeat(&next, &fact)?;
        prop_assert!(!status(&next).as_str().is_empty());
        self.session = next;
        if let Step::Change(change) = step {
            self.journal.push(JournalRecord {
                seq: self.journal.len() as u64 + 1,
                session: self.session.record.id.clone(),
                revision: self.session.lifecycle.revision,
                entry: JournalEntry { at: self.now, fact, because: change.because },
            });
        }
        Ok(())
    }

    fn check_plans(
        &mut self,
        next: &Session,
        step: &Step,
        fact: &Fact,
    ) -> Result<(), TestCaseError> {
        let Step::Change(change) = step else { return Ok(()) };
        if next.lifecycle.intent.is_some() {
            prop_assert!(change.effects.is_empty(), "something reacts to a kill: {fact:?}");
            prop_assert!(change.messages.is_empty());
        }
        if next.lifecycle.is_terminal() {
            prop_assert!(change.messages.is_empty(), "an agent that ended is told something");
            if !self.session.lifecycle.is_terminal() {
                prop_assert!(change.message_orders.contains(&MessageOrder::CancelAll));
            }
        }
        for effect in &change.effects {
            let id = effect.id.to_string();
            prop_assert!(self.planned.insert(id), "planned twice: {}", effect.id);
        }
        for (key, incident) in &next.ledger.open {
            let was_escalated =
                self.session.ledger.open.get(key).is_some_and(|before| {
                    before.is_escalated && before.episode == incident.episode
                });
            if incident.is_escalated && !was_escalated {
                let is_first = self.escalated.insert((*key, incident.episode));
                prop_assert!(is_first, "{key:?} escalates twice");
                let told = change
                    .effects
                    .iter()
                    .filter(|effect| effect.notification.reaction == ESCALATED)
                    .count();
                prop_assert!(told > 0, "{key:?} escalates silently");
            }
        }
        Ok(())
    }

    /// A fact that is taken in twice changes nothing the second time.
    fn check_repeat(&self, next: &Session, fact: &Fact) -> Result<(), TestCaseError> {
        if matches!(fact.kind, FactKind::SendFailed(_)) {
            return Ok(());
        }
        match reduce(next, fact, &self.policy, &self.now) {
            Step::None { .. } => {}
            Step::Change(change) => {
                let is_idle_again = matches!(fact.kind, FactKind::IdleDue(_));
                let is_due = is_idle_again || matches!(fact.kind, FactKind::Due(_));
                prop_assert!(is_due, "a repeated fact changes something: {fact:?}");
                if !is_idle_again {
                    prop_assert_eq!(&change.lifecycle, &next.lifecycle);
                    prop_assert_eq!(&change.ledger, &next.ledger);
                    prop_assert!(change.effects.is_empty() && change.messages.is_empty());
                }
            }
        }
        Ok(())
    }
}

fn seen_at(mut pr: Pr, now: Moment) -> Pr {
    const fn stamp<T>(known: &mut Known<T>, now: Moment) {
        if let Known::Known { at, .. } = known {
            *at = now;
        }
    }
    stamp(&mut pr.head, now);
    stamp(&mut pr.life, now);
    stamp(&mut pr.draft, now);
    stamp(&mut pr.checks, now);
    stamp(&mut pr.review, now);
    stamp(&mut pr.mergeability, now);
    pr
}

/// Whether a fact reopens a session that has ended.
fn is_restore(fact: &Fact) -> bool {
    matches!(
        fact.kind,
        FactKind::Outcome(Outcome::RestoreRequested | Outcome::RestoreQueued | Outcome::Adopted(_))
    )
}

/// Only what was asked for, or two witnesses, ends a session; and only a restore reopens one.
fn check_ends(before: &Session, next: &Session, fact: &Fact) -> Result<(), TestCaseError> {
    let (old, new) = (&before.lifecycle, &next.lifecycle);
    let is_restore = is_restore(fact);
    if old.is_terminal() && !is_restore {
        prop_assert_eq!(old.session, new.session, "a terminal session moved");
        let is_teardown = matches!(fact.kind, FactKind::Outcome(Outcome::RuntimeDestroyed));
        if !is_teardown {
            prop_assert_eq!(old.runtime, new.runtime, "a terminal runtime moved");
        }
    }
    if new.is_terminal() && !old.is_terminal() {
        match &fact.kind {
            FactKind::Look(look) => {
                let LookValues { boot, server, runtime, process } = look.values;
                let is_gone = server == ServerProbe::Gone
                    || matches!(runtime, RuntimeProbe::Dead | RuntimeProbe::Missing);
                let is_dead =
                    process == ProcessProbe::Dead && is_gone && server != ServerProbe::Unreachable;
                prop_assert!(boot == BootProbe::Rebooted || is_dead, "ended by {look:?}");
            }
            FactKind::Outcome(Outcome::EndRequested(_) | Outcome::SpawnFailed) => {}
            kind @ (FactKind::Signal(_)
            | FactKind::PullRequests(_)
            | FactKind::Outcome(_)
            | FactKind::Due(_)
            | FactKind::IdleDue(_)
            | FactKind::SendFailed(_)
            | FactKind::SignalsLost(_)) => prop_assert!(false, "ended by {kind:?}"),
        }
        prop_assert!(new.detecting.is_none());
    }
    if let FactKind::Look(look) = &fact.kind {
        let is_stuck = |session: &Session| session.lifecycle.session.state == SessionState::Stuck;
        if look.is_first_after_gap && !is_stuck(before) {
            prop_assert!(!is_stuck(next), "the first look after a gap escalates");
        }
    }
    let is_in_doubt = matches!(new.session.state, SessionState::Detecting | SessionState::Stuck);
    prop_assert!(new.detecting.is_none() || is_in_doubt, "a memory without a doubt");
    prop_assert!(new.session.state != SessionState::Detecting || new.detecting.is_some());
    Ok(())
}

/// Older facts never win, and the state's age is the state's.
fn check_time(before: &Session, next: &Session, fact: &Fact) -> Result<(), TestCaseError> {
    let (old, new) = (&before.lifecycle, &next.lifecycle);
    match &fact.kind {
        FactKind::Signal(signal) => {
            let is_older = old.activity.is_some_and(|activity| activity.at.is_after(&fact.at));
            let is_foreign = old.launch.as_ref().is_none_or(|launch| launch.id != signal.launch);
            let is_refined = old.activity.is_some_and(|known| {
                known.source != ActivitySource::Hook && signal.source == ActivitySource::Hook
            });
            if is_older && is_refined && !is_foreign {
                let time = |lifecycle: &Lifecycle| lifecycle.activity.map(|it| it.at);
                prop_assert_eq!(time(old), time(new), "a late hook turned the clock back");
            } else if is_older || is_foreign {
                prop_assert_eq!(old.session, new.session);
                prop_assert_eq!(old.activity, new.activity);
                prop_assert_eq!(old.claim, new.claim);
            }
        }
        FactKind::Look(look) => {
            let is_fenced = old.launch.as_ref().is_none_or(|launch| {
                launch.id != look.launch || begins_before(launch, look, &fact.at)
            });
            if is_fenced {
                prop_assert_eq!(before, next);
            }
        }
        FactKind::PullRequests(_) => {
            prop_assert_eq!(old.session, new.session, "the forge moved the session");
            prop_assert_eq!(old.runtime, new.runtime, "the forge moved the runtime");
        }
        FactKind::SignalsLost(_) => {
            prop_assert_eq!(old.session, new.session, "a loss moved the session");
            prop_assert_eq!(old.runtime, new.runtime, "a loss moved the runtime");
            prop_assert_eq!(old.activity, new.activity, "a loss says what the agent does");
        }
        FactKind::Outcome(_)
        | FactKind::Due(_)
        | FactKind::IdleDue(_)
        | FactKind::SendFailed(_) => {}
    }
    let is_moved = old.session.state != new.session.state;
    let is_reset = is_restore(fact);
    if is_moved {
        prop_assert_eq!(new.state_since, fact.at);
    } else if !is_reset {
        prop_assert_eq!(old.state_since, new.state_since);
    }
    Ok(())
}

/// A due deadline is always taken back, and an ended session waits for nothing of its own.
fn check_deadlines(step: &Step, fact: &Fact) -> Result<(), TestCaseError> {
    let due = match &fact.kind {
        FactKind::Due(due) => due,
        FactKind::IdleDue(_) => &DeadlineKind::AgentIdle,
        FactKind::Look(_)
        | FactKind::Signal(_)
        | FactKind::PullRequests(_)
        | FactKind::Outcome(_)
        | FactKind::SendFailed(_)
        | FactKind::SignalsLost(_) => return Ok(()),
    };
    let Step::Change(change) = step else {
        prop_assert!(false, "a due deadline stays: {due:?}");
        return Ok(());
    };
    let first = change.deadlines.first();
    prop_assert_eq!(first, Some(&DeadlineChange::Disarm(due.clone())));
    if change.lifecycle.is_terminal() {
        let is_armed = |one: &DeadlineChange| {
            matches!(one, DeadlineChange::Arm { kind, .. }
                if !matches!(kind, DeadlineKind::Escalate(_)))
        };
        prop_assert!(!change.deadlines.iter().any(is_armed));
    }
    Ok(())
}

/// Whether a look began before its launch was committed; one in a later boot did not, whatever the
/// wall clock was set to in between.
fn begins_before(launch: &Launch, look: &LookFact, at: &Moment) -> bool {
    let is_later_boot =
        look.values.boot == BootProbe::Rebooted && at.boot != launch.committed_at.boot;
    !is_later_boot && launch.committed_at.is_after(at)
}

proptest! {
    #![proptest_config(histories(1_000))]

    #[test]
    fn every_life_keeps_every_promise(
        agent in select(vec!["full", "activity", "none", "none+exits"]),
        events in proptest::collection::vec(events(), 1..60),
    ) {
        let mut life = Life::new(agent);
        for event in &events {
            life.live(event)?;
        }
    }
}

#[test]
fn a_silence_that_the_machine_slept_through_is_no_silence() {
    let life = Life::new("full");
    let fact = Fact { at: life.now, kind: FactKind::Due(DeadlineKind::NoSignal) };
    let mut woken = life.now;
    woken.since_boot += Duration::from_hours(9);
    woken.wall = woken.wall.plus(Duration::from_hours(9));
    let step = reduce(&life.session, &fact, &life.policy, &woken);
    let Step::Change(change) = step else { panic!("the deadline stays") };
    assert_eq!(change.lifecycle.session.state, SessionState::NotStarted);
    let is_armed = |one: &DeadlineChange| {
        matches!(one, DeadlineChange::Arm { kind: DeadlineKind::NoSignal, .. })
    };
    assert!(change.deadlines.iter().any(is_armed), "the silence is no longer counted");
}

#[test]
fn an_agent_that_was_heard_or_that_nobody_can_see_is_not_silent() {
    for words in ["heard", "doubtful"] {
        let mut life = Life::new("full");
        let lifecycle = &mut life.session.lifecycle;
        if words == "heard" {
            let (state, source) = (ActivityState::Active, ActivitySource::Hook);
            lifecycle.activity = Some(Activity { state, at: life.now, source, detail: None });
            lifecycle.session.state = SessionState::Working;
            lifecycle.session.reason = SessionReason::TaskInProgress;
        } else {
            lifecycle.session.state = SessionState::Detecting;
            lifecycle.session.reason = SessionReason::ProbeFailure;
        }
        let fact = Fact { at: life.now, kind: FactKind::Due(DeadlineKind::NoSignal) };
        let mut late = life.now;
        late.awake += Duration::from_hours(1);
        let next = after(&life.session, &reduce(&life.session, &fact, &life.policy, &late));
        assert_eq!(next.lifecycle.session, life.session.lifecycle.session, "{words}");
    }
}

#[test]
fn silence_means_nothing_from_an_agent_that_declares_none() {
    let life = Life::new("none");
    let fact = Fact { at: life.now, kind: FactKind::Due(DeadlineKind::NoSignal) };
    let mut late = life.now;
    late.awake += Duration::from_hours(1);
    let next = after(&life.session, &reduce(&life.session, &fact, &life.policy, &late));
    assert_ne!(next.lifecycle.session.reason, SessionReason::NoSignal);
    assert_eq!(traits("none").signals, Signals::None);
}
