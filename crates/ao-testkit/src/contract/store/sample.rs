//! Values to write into a store: every optional field is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use ao_core::agent::{AgentTraits, Signals};
use ao_core::fact::{
    BootProbe, Fact, FactKind, LookFact, LookValues, ProcessProbe, RuntimeProbe, ServerProbe,
    SignalDetail,
};
use ao_core::ids::{
    AgentName, AgentSessionId, BranchName, CauseKey, EffectId, IdempotencyKey, InfraIncidentId,
    IssueRef, LaunchId, MessageId, NodeId, Nonce, NotifierId, Pid, PrNumber, ProjectId, RefName,
    SessionId, Sha,
};
use ao_core::inbox::{Notification, Priority};
use ao_core::journal::JournalEntry;
use ao_core::ledger::{Incident, IncidentKey, Ledger, ReactionKind};
use ao_core::message::{Lane, Message, MessageOrigin, MessageState};
use ao_core::outbox::{Condition, Effect, Sink};
use ao_core::ports::{Commit, Expected, InfraIncident, InfraIncidentKind};
use ao_core::pr::{Checks, Draftness, Known, Mergeability, Pr, PrLife, Review};
use ao_core::project::Project;
use ao_core::record::{
    Activity, ActivitySource, ActivityState, DoneClaim, EndIntent, Evidence, Exit, Launch,
    Lifecycle, PrReason, PrState, PrVerdict, Quarantine, SessionReason, SessionState,
    SessionVerdict,
};
use ao_core::saga::{PreImage, Saga, SagaDirection, SagaKind, SagaStep, SagaTrouble};
use ao_core::session::{
    Base, BranchFate, HANDLE_VERSION, Phase, ProcessIdentity, RuntimeHandle, ServerIdentity,
    Session, SessionKind, SessionRecord, WorkspaceFate, WorkspaceRecord,
};
use ao_core::step::{Because, Rule};
use ao_core::time::{BootId, Moment, Timestamp};

const BOOT: BootId = BootId(0x0d5b_2d5a_93a0_4c3f_8a7b_0123_4567_89ab);

/// So many seconds into the boot of the samples; half of it asleep.
pub fn moment(secs: u32) -> Moment {
    Moment {
        wall: Timestamp::from_millis(1_700_000_000_000 + i64::from(secs) * 1_000),
        boot: BOOT,
        since_boot: Duration::new(u64::from(secs), 1),
        awake: Duration::from_millis(u64::from(secs) * 500),
    }
}

/// The same wall time as [`moment`], just after another boot.
pub fn moment_of_next_boot(secs: u32) -> Moment {
    Moment {
        boot: BootId(BOOT.0 + 1),
        since_boot: Duration::from_secs(1),
        awake: Duration::from_secs(1),
        ..moment(secs)
    }
}

/// A name that is an id.
fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("the sample name `{text}` is refused: {error:?}"))
}

/// A project's id.
pub fn project_id(name: &str) -> ProjectId {
    id(name)
}

/// A session's id.
pub fn session_id(name: &str) -> SessionId {
    id(name)
}

/// A message's id.
pub fn message_id(name: &str) -> MessageId {
    id(name)
}

/// A launch's id.
pub fn launch_id(name: &str) -> LaunchId {
    id(name)
}

/// A registered repository.
pub fn project(name: &str) -> Project {
    Project {
        id: id(name),
        path: PathBuf::from(format!("/repos/{name}")),
        github: Some(format!("someone/{name}")),
        created_at: Timestamp::from_millis(1_700_000_000_000),
    }
}

/// A session `PROJECT-N` that was just asked for.
pub fn seed(name: &str) -> Session {
    let project = name.rsplit_once('-').map_or("none", |(project, _)| project);
    let process = |pid| ProcessIdentity {
        boot: BOOT,
        pid: Pid(pid),
        start_ticks: 4_711,
        nonce: Some(id::<Nonce>("nonce")),
    };
    let server = ServerIdentity { socket: "/run/tmux/app".into(), process: process(41) };
    let record = SessionRecord {
        id: id(name),
        node: id::<NodeId>("here"),
        project: id(project),
        issue: Some(IssueRef::new("#7: a title with \"quotes\"\nand a line")),
        kind: SessionKind::Worker,
        agent: id::<AgentName>("claude-code"),
        name: Some("fix the login".to_owned()),
        model: Some("large".to_owned()),
        permission_mode: Some("plan".to_owned()),
        branch: BranchName::new(format!("ao/{name}")),
        base: Base { name: Some(RefName::new("main")), sha: Some(Sha::new("a".repeat(40))) },
        workspace: WorkspaceRecord {
            path: PathBuf::from(format!("/src/{name}")),
            fate: WorkspaceFate::Present,
            because: Some("it holds work".to_owned()),
            branch: BranchFate::Kept,
            preserved_ref: Some(RefName::new("refs/ao/preserved/x")),
        },
        handle: Some(RuntimeHandle {
            version: HANDLE_VERSION,
            server,
            session: name.to_owned(),
            pane: "%3".to_owned(),
            process: process(42),
        }),
        launch_id: Some(id("launch-1")),
        nonce: Some(id("nonce")),
        agent_session_id: Some(AgentSessionId::new("conversation")),
        transcript: None,
        usage: None,
        prompt: Some("do it\tnow, with umlauts: äöü and \u{1f980}".to_owned()),
        argv: vec!["sh".to_owned(), "-c".to_owned(), "true".to_owned()],
        phase: Phase::Queued,
        trouble: Some("the base is gone".to_owned()),
        created_at: Timestamp::from_millis(1_700_000_000_000),
        updated_at: Timestamp::from_millis(1_700_000_000_001),
    };
    Session {
        record,
        lifecycle: Lifecycle::seeded(SessionReason::SpawnRequested, moment(1)),
        ledger: Ledger::default(),
    }
}

/// The same session with everything known about it that can be known.
pub fn rich(name: &str) -> Session {
    let mut session = seed(name);
    let lifecycle = &mut session.lifecycle;
    lifecycle.activity = Some(Activity {
        state: ActivityState::Blocked,
        at: moment(5),
        source: ActivitySource::Hook,
        detail: Some(SignalDetail::PlanApproval),
    });
    lifecycle.prs = BTreeMap::from([(PrNumber(7), pr(7)), (PrNumber(8), pr(8))]);
    lifecycle.pr =
        PrVerdict { state: PrState::Open, reason: PrReason::CiFailing, number: Some(PrNumber(7)) };
    lifecycle.detecting = Some(Quarantine {
        attempts: 2,
        started_at: moment(6),
        counted_at: moment(7),
        evidence: Evidence { reason: SessionReason::RuntimeLost, look: look() },
    });
    lifecycle.paused_until = Some(Timestamp::from_millis(-1));
    lifecycle.launch = Some(Launch {
        id: id("launch-1"),
        committed_at: moment(2),
        traits: AgentTraits {
            signals: Signals::Full,
            exits_when_done: true,
            settle_for: Duration::from_millis(150),
        },
    });
    lifecycle.intent = Some(EndIntent::Merged);
    lifecycle.claim = Some(DoneClaim { at: moment(8) });
    lifecycle.process_dead_at = Some(moment(9));
    lifecycle.exit = Some(Exit::Signal(9));
    lifecycle.exit_asked = true;
    session.ledger = Ledger {
        open: BTreeMap::from([(
            incident(7),
            Incident {
                episode: 2,
                opened_at: moment(5),
                attempts: 1,
                first_attempt_at: Some(moment(6)),
                is_escalated: true,
                causes: BTreeSet::from([CauseKey::new("sha/check/print")]),
            },
        )]),
        episodes: BTreeMap::from([(incident(7), 2), (episode(), 5)]),
    };
    session
}

/// A terminal one.
pub fn ended(mut session: Session) -> Session {
    session.record.phase = Phase::Ended;
    session.lifecycle.session =
        SessionVerdict { state: SessionState::Terminated, reason: SessionReason::ManuallyKilled };
    session
}

/// One that moved on along the session axis.
pub fn with_verdict(mut session: Session, state: SessionState, reason: SessionReason) -> Session {
    session.lifecycle.session = SessionVerdict { state, reason };
    session
}

fn known<T>(value: T) -> Known<T> {
    Known::Known { value, at: moment(4) }
}

fn pr(number: u64) -> Pr {
    Pr {
        number: PrNumber(number),
        url: format!("https://forge/{number}"),
        base: BranchName::new("main"),
        head: known(Sha::new("b".repeat(40))),
        life: known(PrLife::Open),
        draft: known(Draftness::Ready),
        checks: known(Checks::Failed { causes: BTreeSet::from([CauseKey::new("a/b/c")]) }),
        review: known(Review::ChangesRequested {
            human: BTreeSet::from([CauseKey::new("thread/1")]),
            bot: BTreeSet::new(),
        }),
        mergeability: if number == 7 { known(Mergeability::Conflicting) } else { Known::Unknown },
    }
}

fn look() -> LookValues {
    LookValues {
        boot: BootProbe::Same,
        server: ServerProbe::Living,
        runtime: RuntimeProbe::Missing,
        process: ProcessProbe::Alive,
    }
}

/// The incident of failing checks of a pull request.
pub fn incident(pr: u64) -> IncidentKey {
    IncidentKey { reaction: ReactionKind::CiFailed, pr: Some(PrNumber(pr)) }
}

/// The incident of an agent that nobody understands.
pub fn episode() -> IncidentKey {
    IncidentKey { reaction: ReactionKind::AgentStuck, pr: None }
}

/// A message that waits.
pub fn message(session: &str, name: &str) -> Message {
    Message {
        id: id(name),
        session: id(session),
        lane: Lane::Human,
        text: format!("{name}: please\ngo on"),
        n_stripped: 3,
        state: MessageState::Queued,
        reason: None,
        launch: None,
        idempotency_key: Some(IdempotencyKey::new(format!("key of {name}"))),
        origin: None,
        created_at: moment(10),
        typing_at: None,
        updated_at: moment(10),
    }
}

/// A message that reacts to an incident.
pub fn reaction(session: &str, name: &str, incident: IncidentKey) -> Message {
    Message {
        lane: Lane::Automatic,
        idempotency_key: None,
        origin: Some(MessageOrigin {
            incident,
            episode: 1,
            causes: vec![CauseKey::new("sha/check/print")],
        }),
        ..message(session, name)
    }
}

/// A planned effect for a notifier.
pub fn effect(name: &str, notifier: &str) -> Effect {
    Effect {
        id: EffectId::new(name),
        sink: Sink::Notifier(id::<NotifierId>(notifier)),
        condition: Condition::IncidentOpen { incident: incident(7), episode: 3 },
        notification: notification(name),
    }
}

/// What a human is told.
pub fn notification(name: &str) -> Notification {
    Notification {
        id: EffectId::new(name),
        session: Some(id("app-1")),
        project: Some(id("app")),
        reaction: "ci-failed.escalated".to_owned(),
        cause: "sha/check".to_owned(),
        priority: Priority::Urgent,
        title: "CI fails".to_owned(),
        text: "It failed twice.\nLook at it.".to_owned(),
        at: Timestamp::from_millis(1_700_000_000_500),
    }
}

/// A saga that stands before its first step.
pub fn saga(session: &str) -> Saga {
    Saga {
        session: id(session),
        kind: SagaKind::Spawn,
        step: SagaStep::Worktree,
        direction: SagaDirection::Forward,
        is_cancelled: false,
        pre_image: PreImage {
            branch_at: Some(Sha::new("c".repeat(40))),
            path_existed: true,
            is_recorded: true,
        },
        discard: true,
        because: Some(SagaTrouble {
            code: "BRANCH_TAKEN".to_owned(),
            message: "it is checked out elsewhere".to_owned(),
        }),
        attempts: 4,
        started_at: moment(3),
    }
}

/// One outage.
pub fn outage(name: &str) -> InfraIncident {
    InfraIncident {
        id: InfraIncidentId::new(name),
        kind: InfraIncidentKind::ServerGone,
        scope: "/run/tmux/app".to_owned(),
        sessions: vec![id("app-1"), id("app-2")],
        opened_at: moment(20),
    }
}

/// What is said about a change.
pub fn entry(secs: u32) -> JournalEntry {
    let look = LookFact { exit: Some(Exit::Status(1)), ..LookFact::new(id("launch-1"), look()) };
    JournalEntry {
        at: moment(secs),
        fact: Fact { at: moment(secs), kind: FactKind::Look(look) },
        because: Because { rule: Rule::RuntimeMissing, values: "runtime missing".to_owned() },
    }
}

/// A commit that seeds a session and does nothing else.
pub fn seeding(session: Session) -> Commit {
    let id = session.record.id.clone();
    Commit { next: Some(session), ..Commit::on(id, Expected::Absent, moment(1)) }
}
