//! Every shape as it goes over the wire: each key is there, `null` when there is nothing to tell.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use ao_core::agent::{AgentTraits, Signals};
use ao_core::deadline::{Deadline, DeadlineClock, DeadlineKind};
use ao_core::event::EventType;
use ao_core::explain::Beside;
use ao_core::fact::{BootProbe, LookValues, ProcessProbe, RuntimeProbe, ServerProbe};
use ao_core::ids::{
    AgentName, AgentSessionId, BranchName, EffectId, IssueRef, LaunchId, MessageId, NodeId, Pid,
    ProjectId, RefName, Revision, SessionId, Sha,
};
use ao_core::inbox::{InboxState, Notification, Priority};
use ao_core::ledger::{Incident, IncidentKey, Ledger, ReactionKind};
use ao_core::message::{Lane, MessageReason};
use ao_core::ports::DiffStat;
use ao_core::reading::Usage;
use ao_core::record::{
    Activity, ActivitySource, ActivityState, EndIntent, Evidence, Exit, Launch, Lifecycle,
    Quarantine, SessionReason, SessionState, SessionVerdict,
};
use ao_core::session::{
    Base, BranchFate, Phase, ProcessIdentity, RuntimeHandle, ServerIdentity, Session, SessionKind,
    SessionRecord, WorkspaceFate, WorkspaceRecord,
};
use ao_core::time::{BootId, Moment};
use insta::assert_snapshot;
use serde::Serialize;

use super::*;

const NOON_MS: i64 = 1_700_000_000_123;

fn now() -> Moment {
    Moment {
        wall: Timestamp::from_millis(NOON_MS),
        boot: BootId(1),
        since_boot: Duration::from_mins(2),
        awake: Duration::from_mins(2),
    }
}

fn id() -> SessionId {
    SessionId::parse("app-1").unwrap()
}

/// A session of which nothing but the request is known.
fn seeded() -> Session {
    let now = now();
    Session {
        record: SessionRecord {
            id: id(),
            node: NodeId::parse("node").unwrap(),
            project: ProjectId::parse("app").unwrap(),
            issue: None,
            kind: SessionKind::Worker,
            agent: AgentName::parse("command").unwrap(),
            name: None,
            model: None,
            permission_mode: None,
            branch: BranchName::new("ao/app-1"),
            base: Base { name: None, sha: None },
            workspace: WorkspaceRecord {
                path: PathBuf::from("/h/worktrees/app/app-1"),
                fate: WorkspaceFate::Absent,
                because: None,
                branch: BranchFate::Kept,
                preserved_ref: None,
            },
            handle: None,
            launch_id: None,
            nonce: None,
            agent_session_id: None,
            transcript: None,
            usage: None,
            prompt: None,
            argv: Vec::new(),
            phase: Phase::Worktree,
            trouble: None,
            created_at: now.wall,
            updated_at: now.wall,
        },
        lifecycle: Lifecycle::seeded(SessionReason::SpawnRequested, now),
        ledger: Ledger::default(),
    }
}

/// A session of which everything is known.
fn known() -> Session {
    let process =
        |pid| ProcessIdentity { boot: BootId(1), pid: Pid(pid), start_ticks: 1, nonce: None };
    let mut session = seeded();
    let record = &mut session.record;
    record.issue = Some(IssueRef::new("GH-7"));
    record.name = Some("fix login".to_owned());
    record.model = Some("opus".to_owned());
    record.permission_mode = Some("plan".to_owned());
    record.base = Base { name: Some(RefName::new("main")), sha: Some(Sha::new("abc")) };
    record.workspace.fate = WorkspaceFate::Kept;
    record.workspace.because = Some("it has 1 changed path".to_owned());
    record.workspace.preserved_ref = Some(RefName::new("refs/ao/preserved/app-1"));
    record.launch_id = Some(LaunchId::parse("l1").unwrap());
    record.agent_session_id = Some(AgentSessionId::new("conversation"));
    record.usage =
        Some(Usage { input_tokens: 1_200, output_tokens: 34, cost_microusd: Some(4_000_420_001) });
    record.phase = Phase::Ended;
    record.trouble = Some("its teardown waits".to_owned());
    record.handle = Some(RuntimeHandle {
        version: 1,
        server: ServerIdentity { socket: PathBuf::from("/h/t-app"), process: process(10) },
        session: "app-1".to_owned(),
        pane: "%3".to_owned(),
        process: process(11),
    });
    let look = LookValues {
        boot: BootProbe::Same,
        server: ServerProbe::Unreachable,
        runtime: RuntimeProbe::Unknown,
        process: ProcessProbe::Alive,
    };
    let lifecycle = &mut session.lifecycle;
    lifecycle.revision = Revision(9);
    lifecycle.session =
        SessionVerdict { state: SessionState::Detecting, reason: SessionReason::ProbeFailure };
    lifecycle.activity = Some(Activity {
        state: ActivityState::Idle,
        at: now(),
        source: ActivitySource::Hook,
        detail: None,
    });
    lifecycle.detecting = Some(Quarantine {
        attempts: 2,
        started_at: now(),
        counted_at: now(),
        evidence: Evidence { reason: SessionReason::ProbeFailure, look },
    });
    lifecycle.launch = Some(Launch {
        id: LaunchId::parse("l1").unwrap(),
        committed_at: now(),
        traits: AgentTraits {
            signals: Signals::Full,
            exits_when_done: false,
            settle_for: Duration::ZERO,
        },
    });
    lifecycle.intent = Some(EndIntent::Kill);
    lifecycle.exit = Some(Exit::Signal(9));
    session
}

fn queued() -> Message {
    Message {
        id: MessageId::parse("m1").unwrap(),
        session: id(),
        lane: Lane::Human,
        text: "fix it".to_owned(),
        n_stripped: 2,
        state: MessageState::Queued,
        reason: Some(MessageReason::Blocked),
        launch: None,
        idempotency_key: None,
        origin: None,
        created_at: now(),
        typing_at: None,
        updated_at: now(),
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

/// The keys of an object and of those within it, `a.b` for nested ones.
fn keys(value: &serde_json::Value, prefix: &str, all: &mut BTreeMap<String, bool>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = format!("{prefix}{key}");
        all.insert(path.clone(), value.is_null());
        keys(value, &format!("{path}."), all);
    }
}

#[test]
fn a_session_of_which_nothing_is_known_has_every_key_of_one_of_which_all_is() {
    let of = |session: &Session| {
        let mut all = BTreeMap::new();
        let value = serde_json::to_value(super::session(session, None, None)).unwrap();
        keys(&value, "", &mut all);
        all
    };
    let (none, all) = (of(&seeded()), of(&known()));
    for key in all.keys() {
        let is_within_null = none.iter().any(|(other, is_null)| {
            *is_null && key.strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with('.'))
        });
        assert!(none.contains_key(key) || is_within_null, "`{key}` is missing");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "the shape is that long")]
fn a_session() {
    let diff = DiffStat { n_files: 2, n_added: 30, n_removed: 4 };
    assert_snapshot!(json(&session(&known(), Some(diff), None)), @r#"
    {
      "id": "app-1",
      "project": "app",
      "kind": "worker",
      "agent": "command",
      "name": "fix login",
      "issue": "GH-7",
      "branch": "ao/app-1",
      "base": {
        "ref": "main",
        "sha": "abc"
      },
      "workspace_path": "/h/worktrees/app/app-1",
      "status": "detecting",
      "activity": "idle",
      "phase": "ended",
      "queue": null,
      "model": "opus",
      "permission_mode": "plan",
      "agent_session_id": "conversation",
      "launch_id": "l1",
      "handle": {
        "runtime": "tmux",
        "socket": "/h/t-app",
        "session": "app-1",
        "pane": "%3",
        "pid": 11,
        "server_pid": 10,
        "boot_id": "00000000-0000-0000-0000-000000000001"
      },
      "exit": {
        "status": null,
        "signal": 9
      },
      "teardown": {
        "workspace": "kept",
        "reason": "it has 1 changed path",
        "branch": "kept",
        "preserved_ref": "refs/ao/preserved/app-1"
      },
      "restore": null,
      "trouble": "its teardown waits",
      "usage": {
        "input_tokens": 1200,
        "output_tokens": 34,
        "cost_usd": 4000.420001
      },
      "changes": {
        "files": 2,
        "added": 30,
        "removed": 4
      },
      "created_at": "2023-11-14T22:13:20.123Z",
      "updated_at": "2023-11-14T22:13:20.123Z",
      "lifecycle": {
        "version": 1,
        "revision": 9,
        "session": {
          "state": "detecting",
          "reason": "probe_failure"
        },
        "pr": {
          "state": "none",
          "reason": "not_created",
          "number": null,
          "url": null,
          "head_sha": null
        },
        "runtime": {
          "state": "unknown",
          "reason": "spawn_incomplete"
        },
        "activity": {
          "state": "idle",
          "at": "2023-11-14T22:13:20.123Z",
          "source": "hook",
          "confidence": "high"
        },
        "detecting": {
          "attempts": 2,
          "started_at": "2023-11-14T22:13:20.123Z",
          "evidence": "probe_failure: boot same, server unreachable, runtime unknown, process alive"
        }
      }
    }
    "#);
}

#[test]
fn a_session_that_was_only_asked_for() {
    assert_snapshot!(json(&session(&seeded(), None, None)), @r#"
    {
      "id": "app-1",
      "project": "app",
      "kind": "worker",
      "agent": "command",
      "name": null,
      "issue": null,
      "branch": "ao/app-1",
      "base": {
        "ref": null,
        "sha": null
      },
      "workspace_path": "/h/worktrees/app/app-1",
      "status": "spawning",
      "activity": null,
      "phase": "worktree",
      "queue": null,
      "model": null,
      "permission_mode": null,
      "agent_session_id": null,
      "launch_id": null,
      "handle": null,
      "exit": null,
      "teardown": null,
      "restore": null,
      "trouble": null,
      "usage": {
        "input_tokens": null,
        "output_tokens": null,
        "cost_usd": null
      },
      "changes": null,
      "created_at": "2023-11-14T22:13:20.123Z",
      "updated_at": "2023-11-14T22:13:20.123Z",
      "lifecycle": {
        "version": 1,
        "revision": 0,
        "session": {
          "state": "not_started",
          "reason": "spawn_requested"
        },
        "pr": {
          "state": "none",
          "reason": "not_created",
          "number": null,
          "url": null,
          "head_sha": null
        },
        "runtime": {
          "state": "unknown",
          "reason": "spawn_incomplete"
        },
        "activity": {
          "state": null,
          "at": null,
          "source": null,
          "confidence": null
        },
        "detecting": null
      }
    }
    "#);
}

#[test]
fn a_message_and_its_receipt() {
    assert_snapshot!(json(&message(&queued())), @r#"
    {
      "id": "m1",
      "session": "app-1",
      "lane": "human",
      "state": "queued",
      "reason": "blocked",
      "confirmed": false,
      "text": "fix it",
      "stripped": 2,
      "reaction": null,
      "created_at": "2023-11-14T22:13:20.123Z",
      "updated_at": "2023-11-14T22:13:20.123Z"
    }
    "#);
    assert_snapshot!(json(&receipt(&queued())), @r#"
    {
      "session": "app-1",
      "message_id": "m1",
      "state": "queued",
      "reason": "blocked",
      "confirmed": false,
      "stripped": 2
    }
    "#);
}

#[test]
fn only_the_agent_confirms_a_message() {
    for &state in MessageState::ALL {
        let is_confirmed = receipt(&Message { state, ..queued() }).confirmed;
        let expect = matches!(state, MessageState::Submitted | MessageState::Acknowledged);
        assert_eq!(is_confirmed, expect, "{state}");
    }
}

#[test]
fn a_change() {
    let change = Event {
        seq: 7,
        at: Timestamp::from_millis(NOON_MS),
        kind: EventType::SessionChanged,
        project: None,
        session: Some(id()),
        revision: Some(Revision(3)),
        key: None,
        became: Some("idle/task_in_progress".to_owned()),
    };
    assert_snapshot!(json(&event(&change)), @r#"
    {
      "seq": 7,
      "at": "2023-11-14T22:13:20.123Z",
      "type": "session.changed",
      "project": null,
      "session": "app-1",
      "revision": 3,
      "key": null,
      "became": "idle/task_in_progress"
    }
    "#);
}

#[test]
fn a_notification() {
    let item = InboxItem {
        notification: Notification {
            id: EffectId::new("e1"),
            session: None,
            project: None,
            reaction: "infrastructure".to_owned(),
            cause: "server_gone".to_owned(),
            priority: Priority::Urgent,
            title: "a server is gone".to_owned(),
            text: "It is.".to_owned(),
            at: Timestamp::from_millis(NOON_MS),
        },
        state: InboxState::Unread,
    };
    assert_snapshot!(json(&inbox_item(&item)), @r#"
    {
      "id": "e1",
      "session": null,
      "project": null,
      "reaction": "infrastructure",
      "cause": "server_gone",
      "priority": "urgent",
      "title": "a server is gone",
      "text": "It is.",
      "at": "2023-11-14T22:13:20.123Z",
      "state": "unread"
    }
    "#);
}

#[test]
fn a_registered_repository() {
    let registered = Project {
        id: ProjectId::parse("app").unwrap(),
        path: PathBuf::from("/src/app"),
        github: None,
        created_at: Timestamp::from_millis(0),
    };
    assert_snapshot!(json(&project(&registered)), @r#"
    {
      "id": "app",
      "path": "/src/app",
      "github": null,
      "created_at": "1970-01-01T00:00:00.000Z"
    }
    "#);
}

#[test]
fn what_a_kill_left() {
    let report = ao_engine::KillReport {
        session: id(),
        workspace: WorkspaceFate::Kept,
        because: Some("it has 1 changed path".to_owned()),
        branch: BranchFate::Kept,
        preserved_ref: None,
    };
    assert_snapshot!(json(&kill(&report)), @r#"
    {
      "session": "app-1",
      "workspace": "kept",
      "reason": "it has 1 changed path",
      "branch": "kept",
      "preserved_ref": null
    }
    "#);
}

#[test]
fn an_explanation() {
    let (mut session, now) = (known(), now());
    let incident = IncidentKey { reaction: ReactionKind::AgentNeedsInput, pr: None };
    session.ledger.open.insert(
        incident,
        Incident {
            episode: 1,
            opened_at: now,
            attempts: 1,
            first_attempt_at: Some(now),
            is_escalated: false,
            causes: BTreeSet::new(),
        },
    );
    let deadline = Deadline {
        session: id(),
        kind: DeadlineKind::Escalate(incident),
        armed_at: now,
        after: Duration::from_mins(1),
        clock: DeadlineClock::Awake,
    };
    let (messages, deadlines) = ([queued()], [deadline]);
    let beside = Beside { messages: &messages, deadlines: &deadlines, ..Beside::default() };
    let policy = ao_core::policy::Policy::default();
    let explained = ao_core::explain::explain(&session, &beside, &policy, &now);
    let on_wire = explain(&session, explained, None);
    let mut all = BTreeMap::new();
    let value = serde_json::to_value(&on_wire).unwrap();
    keys(&value, "", &mut all);
    for list in ["facts", "reactions", "messages", "deadlines"] {
        keys(&value[list][0], &format!("{list}."), &mut all);
    }
    let mut ended = known();
    ended.lifecycle.session.state = SessionState::Terminated;
    let told = ao_core::explain::explain(&ended, &Beside::default(), &policy, &now);
    keys(&serde_json::to_value(explain(&ended, told, None)).unwrap(), "", &mut all);
    let all: Vec<&str> = all.keys().map(String::as_str).collect();
    assert_snapshot!(all.join(" "), @"because deadlines deadlines.at deadlines.clock deadlines.kind deadlines.pr deadlines.reaction deadlines.summary decided_at evidence facts facts.at facts.kind facts.source facts.value incident messages messages.confirmed messages.created_at messages.id messages.lane messages.reaction messages.reason messages.session messages.state messages.stripped messages.summary messages.text messages.updated_at paused_until reactions reactions.attempts reactions.attempts_left reactions.causes reactions.escalated reactions.escalates_at reactions.first_attempt_at reactions.opened_at reactions.pr reactions.reaction reactions.summary restore restore.losses restore.possible restore.summary restore.with_all rule rule_says screen session status would_change");
    assert_eq!((on_wire.messages.len(), on_wire.reactions.len()), (1, 1));
    assert_eq!(
        on_wire.reactions[0].escalates_at,
        on_wire.deadlines.first().map(|it| it.at.clone())
    );
}

#[test]
fn only_an_end_that_was_asked_for_has_a_teardown() {
    let check = |intent, phase, fate, expect: Option<&str>| {
        let mut ended = seeded();
        ended.lifecycle.intent = intent;
        ended.record.phase = phase;
        ended.record.workspace.fate = fate;
        let teardown = session(&ended, None, None).teardown;
        let got = teardown.map(|it| serde_json::to_value(it.workspace).unwrap());
        assert_eq!(got, expect.map(serde_json::Value::from), "{phase} {fate}");
    };
    let kill = Some(EndIntent::Kill);
    check(None, Phase::Ended, WorkspaceFate::Present, None);
    check(kill, Phase::Running, WorkspaceFate::Present, Some("pending"));
    check(kill, Phase::Worktree, WorkspaceFate::Absent, Some("pending"));
    check(kill, Phase::Ended, WorkspaceFate::Absent, Some("removed"));
    check(kill, Phase::Ended, WorkspaceFate::Removed, Some("removed"));
    check(kill, Phase::Ended, WorkspaceFate::Kept, Some("kept"));
    check(kill, Phase::Ended, WorkspaceFate::Pending, Some("pending"));
}
