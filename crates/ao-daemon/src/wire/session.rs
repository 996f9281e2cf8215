//! A session on the wire.

use ao_api::kill::{BranchOutcome, KillResponse, WorkspaceOutcome};
use ao_api::session as wire;
use ao_core::ports::DiffStat;
use ao_core::reading::Usage;
use ao_core::record::{Activity, Exit, Lifecycle, PrVerdict, Quarantine};
use ao_core::restore::is_lost;
use ao_core::session::{
    Base, BranchFate, Phase, RuntimeHandle, Session, SessionRecord, WorkspaceFate,
};
use ao_core::status::status;
use ao_engine::KillReport;

use super::time;

/// A session, with what it changed and where it stands in the queue, if that is known.
pub(crate) fn session(
    session: &Session,
    diff: Option<DiffStat>,
    queue: Option<wire::Queue>,
) -> wire::Session {
    let record = &session.record;
    let lifecycle = &session.lifecycle;
    wire::Session {
        id: record.id.to_string(),
        project: record.project.to_string(),
        kind: record.kind.to_string(),
        agent: record.agent.to_string(),
        name: record.name.clone(),
        issue: record.issue.as_ref().map(ToString::to_string),
        branch: record.branch.to_string(),
        base: base(&record.base),
        workspace_path: record.workspace.path.display().to_string(),
        status: status(session).to_string(),
        activity: lifecycle.activity.map(|activity| activity.state.to_string()),
        phase: phase(record.phase),
        queue,
        model: record.model.clone(),
        permission_mode: record.permission_mode.clone(),
        agent_session_id: record.agent_session_id.as_ref().map(ToString::to_string),
        launch_id: record.launch_id.as_ref().map(ToString::to_string),
        handle: record.handle.as_ref().map(handle),
        exit: lifecycle.exit.map(exit),
        teardown: teardown(record, lifecycle),
        restore: restorable(record, lifecycle),
        trouble: record.trouble.clone(),
        usage: record.usage.map(usage).unwrap_or_default(),
        changes: diff.map(changes),
        created_at: time(record.created_at),
        updated_at: time(record.updated_at),
        lifecycle: canonical(lifecycle),
    }
}

/// What a branch started from.
pub(crate) fn base(base: &Base) -> wire::Base {
    wire::Base {
        name: base.name.as_ref().map(ToString::to_string),
        sha: base.sha.as_ref().map(ToString::to_string),
    }
}

/// How much was changed.
pub(crate) const fn changes(diff: DiffStat) -> wire::Changes {
    wire::Changes { files: diff.n_files, added: diff.n_added, removed: diff.n_removed }
}

fn usage(usage: Usage) -> wire::Usage {
    wire::Usage {
        input_tokens: Some(usage.input_tokens),
        output_tokens: Some(usage.output_tokens),
        cost_usd: usage.cost_microusd.map(dollars),
    }
}

/// Millionths of a dollar as dollars; what is more than four billion is shown as that.
fn dollars(micros: u64) -> f64 {
    const MICROS: u64 = 1_000_000;
    let part = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    part(micros / MICROS) + part(micros % MICROS) / 1e6
}

/// What a kill left.
pub(crate) fn kill(report: &KillReport) -> KillResponse {
    KillResponse {
        session: report.session.to_string(),
        workspace: match report.workspace {
            WorkspaceFate::Absent | WorkspaceFate::Removed => WorkspaceOutcome::Removed,
            WorkspaceFate::Present | WorkspaceFate::Kept => WorkspaceOutcome::Kept,
            WorkspaceFate::Pending => WorkspaceOutcome::Pending,
        },
        reason: report.because.clone(),
        branch: branch(report.branch),
        preserved_ref: report.preserved_ref.as_ref().map(ToString::to_string),
    }
}

const fn branch(fate: BranchFate) -> BranchOutcome {
    match fate {
        BranchFate::Kept => BranchOutcome::Kept,
        BranchFate::Deleted => BranchOutcome::Deleted,
    }
}

const fn phase(phase: Phase) -> wire::Phase {
    match phase {
        Phase::Queued => wire::Phase::Queued,
        Phase::Worktree => wire::Phase::Worktree,
        Phase::Provision => wire::Phase::Provision,
        Phase::Runtime => wire::Phase::Runtime,
        Phase::Running => wire::Phase::Running,
        Phase::Ended => wire::Phase::Ended,
    }
}

fn handle(handle: &RuntimeHandle) -> wire::Handle {
    wire::Handle {
        runtime: "tmux".to_owned(),
        socket: handle.server.socket.display().to_string(),
        session: handle.session.clone(),
        pane: handle.pane.clone(),
        pid: handle.process.pid.0,
        server_pid: handle.server.process.pid.0,
        boot_id: handle.process.boot.to_string(),
    }
}

const fn exit(exit: Exit) -> wire::Exit {
    match exit {
        Exit::Status(status) => wire::Exit { status: Some(status), signal: None },
        Exit::Signal(signal) => wire::Exit { status: None, signal: Some(signal) },
    }
}

/// Only an end that was asked for tears anything down.
fn teardown(record: &SessionRecord, lifecycle: &Lifecycle) -> Option<wire::Teardown> {
    lifecycle.intent?;
    let workspace = match (record.phase, record.workspace.fate) {
        (_, WorkspaceFate::Kept) => WorkspaceOutcome::Kept,
        (_, WorkspaceFate::Removed) => WorkspaceOutcome::Removed,
        (Phase::Ended, WorkspaceFate::Absent) => WorkspaceOutcome::Removed,
        (_, WorkspaceFate::Absent | WorkspaceFate::Present | WorkspaceFate::Pending) => {
            WorkspaceOutcome::Pending
        }
    };
    Some(wire::Teardown {
        workspace,
        reason: record.workspace.because.clone().or_else(|| match workspace {
            WorkspaceOutcome::Pending => record.trouble.clone(),
            WorkspaceOutcome::Kept | WorkspaceOutcome::Removed => None,
        }),
        branch: branch(record.workspace.branch),
        preserved_ref: record.workspace.preserved_ref.as_ref().map(ToString::to_string),
    })
}

/// What is in flight is not in the record: a restore that is asked for now may still be refused.
fn restorable(record: &SessionRecord, lifecycle: &Lifecycle) -> Option<wire::Restorable> {
    if !lifecycle.is_terminal() {
        return None;
    }
    let possible = record.phase == Phase::Ended;
    let reason = (!possible).then(|| "its teardown is not finished".to_owned());
    Some(wire::Restorable { possible, reason, lost: is_lost(lifecycle) })
}

fn canonical(lifecycle: &Lifecycle) -> wire::Lifecycle {
    wire::Lifecycle {
        version: lifecycle.version,
        revision: lifecycle.revision.0,
        session: wire::Verdict {
            state: lifecycle.session.state.to_string(),
            reason: lifecycle.session.reason.to_string(),
        },
        pr: pr(lifecycle, lifecycle.pr),
        runtime: wire::Verdict {
            state: lifecycle.runtime.state.to_string(),
            reason: lifecycle.runtime.reason.to_string(),
        },
        activity: lifecycle.activity.as_ref().map(activity).unwrap_or_default(),
        detecting: lifecycle.detecting.as_ref().map(detecting),
    }
}

fn pr(lifecycle: &Lifecycle, verdict: PrVerdict) -> wire::PrVerdict {
    let known = verdict.number.and_then(|number| lifecycle.prs.get(&number));
    wire::PrVerdict {
        state: verdict.state.to_string(),
        reason: verdict.reason.to_string(),
        number: verdict.number.map(|number| number.0),
        url: known.map(|pr| pr.url.clone()),
        head_sha: known.and_then(|pr| pr.head.value()).map(ToString::to_string),
    }
}

fn activity(activity: &Activity) -> wire::Activity {
    wire::Activity {
        state: Some(activity.state.to_string()),
        at: Some(time(activity.at.wall)),
        source: Some(activity.source.to_string()),
        confidence: Some(activity.source.confidence().to_string()),
    }
}

fn detecting(quarantine: &Quarantine) -> wire::Detecting {
    let look = quarantine.evidence.look;
    wire::Detecting {
        attempts: quarantine.attempts,
        started_at: time(quarantine.started_at.wall),
        evidence: format!(
            "{}: boot {}, server {}, runtime {}, process {}",
            quarantine.evidence.reason, look.boot, look.server, look.runtime, look.process
        ),
    }
}
