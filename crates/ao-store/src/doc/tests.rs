use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Debug;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::time::Duration;

use ao_core::agent::{AgentTraits, Signals};
use ao_core::deadline::{DeadlineClock, DeadlineKind};
use ao_core::fact::{
    BootProbe, Fact, FactKind, LookFact, LookValues, Outcome, ProcessProbe, RuntimeProbe,
    ServerProbe, SignalDetail, SignalFact, WorkFound,
};
use ao_core::ids::{AgentSessionId, BranchName, CauseKey, InfraIncidentId, PrNumber, Sha};
use ao_core::inbox::Priority;
use ao_core::ledger::ReactionKind;
use ao_core::message::{Lane, MessageOrigin, MessageReason, MessageState};
use ao_core::outbox::{Condition, OutboxState};
use ao_core::ports::InfraIncidentKind;
use ao_core::pr::{Checks, Draftness, Known, Mergeability, Pr, PrLife, PrObservation, Review};
use ao_core::record::{
    ActivitySource, ActivityState, EndIntent, Exit, Launch, PrReason, PrState, RuntimeReason,
    RuntimeState, SessionReason, SessionState,
};
use ao_core::saga::{SagaDirection, SagaKind, SagaStep};
use ao_core::session::{BranchFate, Phase, Session, SessionKind, WorkspaceFate};
use ao_core::step::Rule;
use ao_core::time::{BootId, Moment, Timestamp};
use ao_testkit::contract::store::sample::{
    effect, entry, episode, incident, launch_id, moment, notification, outage, reaction, rich,
    saga, seed,
};

use super::{Doc, Value, from_text, identity, parsed, record, to_text};

#[track_caller]
fn check<T: Doc + Debug + PartialEq>(value: &T) {
    let text = to_text(value);
    assert_eq!(&from_text::<T>(&text).unwrap(), value, "{text}");
}

fn check_all<T: Doc + Debug + PartialEq>(values: impl IntoIterator<Item = T>) {
    values.into_iter().for_each(|value| check(&value));
}

#[test]
fn every_name_of_every_closed_enum_is_read_as_written() {
    check_all(ActivitySource::ALL.to_vec());
    check_all(ActivityState::ALL.to_vec());
    check_all(BootProbe::ALL.to_vec());
    check_all(BranchFate::ALL.to_vec());
    check_all(DeadlineClock::ALL.to_vec());
    check_all(Draftness::ALL.to_vec());
    check_all(EndIntent::ALL.to_vec());
    check_all(InfraIncidentKind::ALL.to_vec());
    check_all(Lane::ALL.to_vec());
    check_all(Mergeability::ALL.to_vec());
    check_all(MessageReason::ALL.to_vec());
    check_all(MessageState::ALL.to_vec());
    check_all(OutboxState::ALL.to_vec());
    check_all(Phase::ALL.to_vec());
    check_all(PrLife::ALL.to_vec());
    check_all(PrReason::ALL.to_vec());
    check_all(PrState::ALL.to_vec());
    check_all(Priority::ALL.to_vec());
    check_all(ProcessProbe::ALL.to_vec());
    check_all(ReactionKind::ALL.to_vec());
    check_all(Rule::ALL.to_vec());
    check_all(RuntimeProbe::ALL.to_vec());
    check_all(RuntimeReason::ALL.to_vec());
    check_all(RuntimeState::ALL.to_vec());
    check_all(SagaDirection::ALL.to_vec());
    check_all(SagaKind::ALL.to_vec());
    check_all(SagaStep::ALL.to_vec());
    check_all(ServerProbe::ALL.to_vec());
    check_all(SessionKind::ALL.to_vec());
    check_all(SessionReason::ALL.to_vec());
    check_all(SessionState::ALL.to_vec());
    check_all(SignalDetail::ALL.to_vec());
    check_all(WorkFound::ALL.to_vec());
    check_all(WorkspaceFate::ALL.to_vec());
}

#[test]
fn numbers_times_and_paths_are_exact_to_their_ends() {
    check_all([0, 1, u64::MAX]);
    check_all([i32::MIN, -1, i32::MAX]);
    check_all([i64::MIN, i64::MAX].map(Timestamp::from_millis));
    check_all([Duration::ZERO, Duration::new(3, 999_999_999), Duration::MAX]);
    check_all([0, 1, u128::MAX].map(BootId));
    let moment = Moment {
        wall: Timestamp::from_millis(-1),
        boot: BootId(u128::MAX),
        since_boot: Duration::new(1, 1),
        awake: Duration::MAX,
    };
    check(&moment);
    let odd = OsString::from_vec(vec![b'/', 0xff, b'a', 0x80]);
    check_all([PathBuf::new(), PathBuf::from("/tmp/ä b\n\"c\""), PathBuf::from(odd)]);
    check(&"\0 \u{1f980} \u{7f} \\ \" \n\t\r \u{2028}".to_owned());
}

fn pr(checks: Checks, review: Review) -> Pr {
    let at = moment(3);
    Pr {
        number: PrNumber(u64::MAX),
        url: String::new(),
        base: BranchName::new("main"),
        head: Known::Unknown,
        life: Known::Known { value: PrLife::Closed, at },
        draft: Known::Known { value: Draftness::Draft, at },
        checks: Known::Known { value: checks, at },
        review: Known::Known { value: review, at },
        mergeability: Known::Unknown,
    }
}

fn prs() -> Vec<Pr> {
    let causes = || BTreeSet::from([CauseKey::new("a"), CauseKey::new("b")]);
    vec![
        pr(Checks::None, Review::NotRequired),
        pr(Checks::Pending, Review::Pending),
        pr(Checks::Passed, Review::Approved),
        pr(Checks::Refused, Review::ChangesRequested { human: causes(), bot: BTreeSet::new() }),
        pr(Checks::Failed { causes: causes() }, Review::Pending),
        Pr {
            head: Known::Known { value: Sha::new("a"), at: moment(1) },
            ..pr(Checks::None, Review::Pending)
        },
    ]
}

/// A signal with as little in it as can be, and one with much.
fn signals() -> [SignalFact; 2] {
    let signal = SignalFact {
        id: "fact-1".parse().unwrap(),
        launch: launch_id("launch-1"),
        activity: ActivityState::WaitingInput,
        source: ActivitySource::Native,
        detail: None,
        agent_session_id: None,
        paused_until: None,
        is_submit: false,
        prompt: None,
        transcript: None,
        message: None,
    };
    let full_signal = SignalFact {
        detail: Some(SignalDetail::UsageLimited),
        agent_session_id: Some(AgentSessionId::new("conversation")),
        paused_until: Some(Timestamp::from_millis(5)),
        is_submit: true,
        prompt: None,
        transcript: None,
        message: Some("limit reached".to_owned()),
        ..signal.clone()
    };
    [signal, full_signal]
}

#[test]
fn every_kind_of_fact_is_read_as_written() {
    let values = LookValues {
        boot: BootProbe::Rebooted,
        server: ServerProbe::Gone,
        runtime: RuntimeProbe::Dead,
        process: ProcessProbe::Dead,
    };
    let look = LookFact::new(launch_id("launch-1"), values);
    let full = LookFact {
        exit: Some(Exit::Status(-1)),
        is_first_after_gap: true,
        incident: Some(InfraIncidentId::new("server/gone")),
        is_held_back: true,
        ..look.clone()
    };
    let launches = [Signals::None, Signals::Activity, Signals::Full].map(|signals| Launch {
        id: launch_id("launch-2"),
        committed_at: moment(9),
        traits: AgentTraits { signals, exits_when_done: false, settle_for: Duration::ZERO },
    });
    let mut kinds = vec![
        FactKind::Look(look),
        FactKind::Look(full),
        FactKind::PullRequests(Vec::new()),
        FactKind::PullRequests(prs().into_iter().map(|pr| PrObservation { pr }).collect()),
        FactKind::Outcome(Outcome::SpawnFailed),
        FactKind::Outcome(Outcome::RuntimeDestroyed),
        FactKind::Outcome(Outcome::RestoreRequested),
        FactKind::Outcome(Outcome::RestoreQueued),
        FactKind::Outcome(Outcome::SpawnAdmitted),
        FactKind::Outcome(Outcome::RestoreAdmitted),
        FactKind::SendFailed(MessageOrigin {
            incident: episode(),
            episode: 2,
            causes: vec![CauseKey::new("lint")],
        }),
        FactKind::SignalsLost(3),
    ];
    kinds.extend(signals().map(FactKind::Signal));
    kinds.extend(launches.map(|launch| FactKind::Outcome(Outcome::Launched(launch))));
    kinds.extend(EndIntent::ALL.iter().map(|it| FactKind::Outcome(Outcome::EndRequested(*it))));
    let due = [
        DeadlineKind::Escalate(incident(7)),
        DeadlineKind::Escalate(episode()),
        DeadlineKind::NoSignal,
        DeadlineKind::AgentIdle,
        DeadlineKind::TurnFinished,
        DeadlineKind::PauseEnds,
    ];
    kinds.extend(due.map(FactKind::Due));
    kinds.extend(WorkFound::ALL.iter().copied().map(FactKind::IdleDue));
    check_all(kinds.into_iter().map(|kind| Fact { at: moment(1), kind }));
    check(&entry(5));
}

#[test]
fn sessions_and_what_hangs_on_them_are_read_as_written() {
    let mut odd = rich("app-1");
    odd.lifecycle.exit = Some(Exit::Status(0));
    odd.lifecycle.prs = prs().into_iter().zip(1..).map(|(pr, n)| (PrNumber(n), pr)).collect();
    odd.record.workspace.path = PathBuf::from(OsString::from_vec(vec![b'/', 0xfe]));
    let mut bare = seed("app-1");
    bare.record.issue = None;
    bare.record.handle = None;
    bare.record.argv = Vec::new();
    check_all::<Session>([odd, bare, seed("app-1"), rich("app-2")]);
    check(&saga("app-1"));
    check_all([effect("e", "inbox").condition, Condition::Always]);
    check(&effect("e", "inbox"));
    check(&notification("n"));
    check(&outage("o"));
    check(&reaction("app-1", "m-1", episode()).origin);
}

#[test]
fn a_record_stands_in_two_columns() {
    let session = seed("app-1").record;
    let updated_at = session.updated_at.as_millis();
    assert_eq!(record(&identity(&session).to_string(), updated_at).unwrap(), session);
    let mut later = session.clone();
    later.updated_at = later.updated_at.plus(Duration::from_secs(1));
    assert_eq!(identity(&later), identity(&session));
}

#[test]
fn an_optional_field_that_was_not_known_then_is_none() {
    let text = r#"{"name":"main"}"#;
    let base: ao_core::session::Base = from_text(text).unwrap();
    assert_eq!(base.sha, None);
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    #[track_caller]
    fn check<T: Doc + Debug>(text: &str, expected: &str) {
        assert_eq!(from_text::<T>(text).unwrap_err().to_string(), expected);
    }
    check::<Moment>(r#"{"wall":1,"boot":"x"}"#, "`x` is not a boot id at `boot`");
    check::<Fact>(
        r#"{"at":{"wall":"soon"},"kind":{}}"#,
        "expected i64, found \"soon\" at `at.wall`",
    );
    check::<FactKind>(r#"{"outcome":"vanished"}"#, "unknown Outcome `vanished` at `outcome`");
    check::<FactKind>(
        r#"{"outcome":{"end_requested":"never"}}"#,
        "unknown EndIntent `never` at `outcome.end_requested`",
    );
    check::<FactKind>(r#"{"look":{},"due":{}}"#, "expected one variant at ``");
    check::<Duration>("[1,1000000000]", "1000000000 nanoseconds are more than a second at ``");
    check::<Duration>("[1]", "expected a pair, found 1 items at ``");
    check::<u32>("-1", "expected u32, found -1 at ``");
    check::<ao_core::ids::SessionId>(
        r#""../x""#,
        "`../x` is not a valid session id: only letters, digits, `-` and `_` may stand in it at ``",
    );
}

#[test]
fn a_text_with_escapes_is_read_as_written_and_fields_are_sorted() {
    let texts = ["", "plain", "\"\\\n\t\u{1}", "é 日本 🦀", "\u{7f}\u{2028}"].map(str::to_owned);
    check_all(texts);
    let object = Value::object([("b", Value::Null), ("a", Value::Bool(true))]);
    assert_eq!(object.to_string(), r#"{"a":true,"b":null}"#);
    let text = r#"{"\u0061":[1,-2,18446744073709551615,-9223372036854775808,"x\n"]}"#;
    let list = r#"{"a":[1,-2,18446744073709551615,-9223372036854775808,"x\n"]}"#;
    assert_eq!(parsed(text).unwrap().to_string(), list);
    assert!(parsed("{").is_err());
}
