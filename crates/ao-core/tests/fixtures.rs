//! A session, an agent, a time: the smallest ones that the rules can be asked about.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ao_core::agent::{AgentTraits, Signals};
use ao_core::fact::{
    BootProbe, Fact, FactKind, LookFact, LookValues, Outcome, ProcessProbe, RuntimeProbe,
    ServerProbe,
};
use ao_core::ids::{
    AgentName, BranchName, LaunchId, NodeId, NotifierId, Pid, ProjectId, RefName, SessionId,
};
use ao_core::inbox::Priority;
use ao_core::ledger::{IncidentKey, Ledger};
use ao_core::message::MessageOrigin;
use ao_core::policy::Policy;
use ao_core::record::{Launch, Lifecycle, SessionReason};
use ao_core::reduce::reduce;
use ao_core::session::{
    Base, BranchFate, HANDLE_VERSION, Phase, ProcessIdentity, RuntimeHandle, ServerIdentity,
    Session, SessionKind, SessionRecord, WorkspaceFate, WorkspaceRecord,
};
use ao_core::step::Step;
use ao_core::time::{BootId, Moment, Timestamp};

/// The moment so long after the start of the test, on a machine that never slept.
pub(crate) fn at(since_start: Duration) -> Moment {
    Moment {
        wall: Timestamp::from_millis(1_700_000_000_000).plus(since_start),
        boot: BootId(1),
        since_boot: since_start,
        awake: since_start,
    }
}

/// The moment so many seconds after the start of the test.
pub(crate) fn at_s(seconds: u64) -> Moment {
    at(Duration::from_secs(seconds))
}

/// A policy under which every priority reaches one inbox.
pub(crate) fn policy() -> Policy {
    let inbox = NotifierId::parse("inbox").unwrap();
    let routing: BTreeMap<_, _> =
        Priority::ALL.iter().map(|&priority| (priority, vec![inbox.clone()])).collect();
    Policy { routing, ..Policy::default() }
}

/// The `n`-th session of the project `app`, just asked for.
pub(crate) fn seeded(n: u64) -> Session {
    let project = ProjectId::parse("app").unwrap();
    let now = at_s(0);
    Session {
        record: SessionRecord {
            id: SessionId::of(&project, n),
            node: NodeId::parse("here").unwrap(),
            project,
            issue: None,
            kind: SessionKind::Worker,
            agent: AgentName::parse("command").unwrap(),
            name: None,
            model: None,
            permission_mode: None,
            branch: BranchName::new("ao/app-1"),
            base: Base { name: Some(RefName::new("main")), sha: None },
            workspace: WorkspaceRecord {
                path: PathBuf::from("/worktrees/app-1"),
                fate: WorkspaceFate::Present,
                because: None,
                branch: BranchFate::Kept,
                preserved_ref: None,
            },
            handle: Some(handle(n)),
            launch_id: None,
            nonce: None,
            agent_session_id: None,
            transcript: None,
            usage: None,
            prompt: Some("fix it".to_owned()),
            argv: Vec::new(),
            phase: Phase::Running,
            trouble: None,
            created_at: now.wall,
            updated_at: now.wall,
        },
        lifecycle: Lifecycle::seeded(SessionReason::SpawnRequested, now),
        ledger: Ledger::default(),
    }
}

fn handle(n: u64) -> RuntimeHandle {
    let process = |pid, start_ticks| ProcessIdentity {
        boot: BootId(1),
        pid: Pid(pid),
        start_ticks,
        nonce: None,
    };
    RuntimeHandle {
        version: HANDLE_VERSION,
        server: ServerIdentity {
            socket: PathBuf::from("/home/tmux/app"),
            process: process(100, 4_000),
        },
        session: format!("app-{n}"),
        pane: format!("%{n}"),
        process: process(1_000, 5_000 + n),
    }
}

/// The name of a session's launch.
pub(crate) fn launch_id(session: &Session, generation: u64) -> LaunchId {
    LaunchId::parse(format!("{}-launch-{generation}", session.record.id)).unwrap()
}

/// What an agent can tell: `full`, `activity` or `none`, with `+exits` when it exits when done.
pub(crate) fn traits(words: &str) -> AgentTraits {
    let (signals, rest) = words.split_once('+').unwrap_or((words, ""));
    AgentTraits {
        signals: match signals {
            "full" => Signals::Full,
            "activity" => Signals::Activity,
            "none" => Signals::None,
            word => panic!("no such signals: {word}"),
        },
        exits_when_done: rest == "exits",
        settle_for: Duration::from_millis(100),
    }
}

/// The `n`-th session with its first launch committed at the start.
pub(crate) fn launched(n: u64, agent: &str) -> Session {
    let session = seeded(n);
    let launch =
        Launch { id: launch_id(&session, 1), committed_at: at_s(0), traits: traits(agent) };
    let fact = Fact { at: at_s(0), kind: FactKind::Outcome(Outcome::Launched(launch)) };
    after(&session, &reduce(&session, &fact, &policy(), &at_s(0)))
}

/// The session as it is once a step is committed.
pub(crate) fn after(session: &Session, step: &Step) -> Session {
    let Step::Change(change) = step else { return session.clone() };
    let mut next = session.clone();
    next.lifecycle = change.lifecycle.clone();
    next.lifecycle.revision = next.lifecycle.revision.next();
    next.ledger = change.ledger.clone();
    if change.agent_session_id.is_some() {
        next.record.agent_session_id.clone_from(&change.agent_session_id);
    }
    if change.transcript.is_some() {
        next.record.transcript.clone_from(&change.transcript);
    }
    next
}

/// A look: `SERVER RUNTIME PROCESS`.
pub(crate) fn look_values(words: &str) -> LookValues {
    let mut words = words.split(' ');
    LookValues {
        boot: BootProbe::Same,
        server: words.next().unwrap().parse::<ServerProbe>().unwrap(),
        runtime: words.next().unwrap().parse::<RuntimeProbe>().unwrap(),
        process: words.next().unwrap().parse::<ProcessProbe>().unwrap(),
    }
}

/// A look at a session's launch.
pub(crate) fn look(session: &Session, words: &str, began_at: Moment) -> Fact {
    let launch = session.lifecycle.launch.as_ref().unwrap().id.clone();
    Fact { at: began_at, kind: FactKind::Look(LookFact::new(launch, look_values(words))) }
}

/// What a message is about that tells everything of an incident that was told so far.
pub(crate) fn origin(ledger: &Ledger, incident: IncidentKey) -> MessageOrigin {
    let open = ledger.open.get(&incident);
    MessageOrigin {
        incident,
        episode: open.map_or(0, |open| open.episode),
        causes: open.map_or_else(Vec::new, |open| open.causes.iter().cloned().collect()),
    }
}
