//! What bringing an ended session back would mean.
//!
//! It goes by the record: whether the agent of a session can resume at all, and whether its project
//! is still there, is found out by asking for the restore.

use super::{Beside, ExplainedRestore};
use crate::record::SessionReason;
use crate::restore::{is_lost, losses};
use crate::saga::SagaStep;
use crate::session::{Phase, Session, WorkspaceFate};

/// What a restore would do; none of a session that has not ended.
pub(super) fn restore(session: &Session, beside: &Beside<'_>) -> Option<ExplainedRestore> {
    if !session.lifecycle.is_terminal() {
        return None;
    }
    let waits_for = pending(session, beside);
    let is_possible = waits_for.is_none();
    let is_with_all = is_lost(&session.lifecycle);
    let id = &session.record.id;
    let mut sentences = vec![waits_for.map_or_else(
        || format!("`ao restore {id}` reopens it: {}, {}", place(session), way(session)),
        |waits_for| format!("`ao restore {id}` has to wait: {waits_for}"),
    )];
    sentences.push(if is_with_all {
        "`ao restore --all` takes it up, too: nobody asked for its end".to_owned()
    } else {
        format!("`ao restore --all` leaves it alone: {}", why_left_alone(session))
    });
    let losses = losses(session, beside.messages, beside.journal);
    Some(ExplainedRestore { is_possible, is_with_all, sentences, losses })
}

/// What the teardown of an ended session waits for; none once it is over.
pub(super) fn pending(session: &Session, beside: &Beside<'_>) -> Option<String> {
    let record = &session.record;
    if beside.saga.is_none() && record.phase == Phase::Ended {
        return None;
    }
    let trouble = beside.saga.and_then(|saga| saga.because.as_ref());
    let trouble = trouble.map(|trouble| trouble.message.clone());
    Some(trouble.or_else(|| record.trouble.clone()).unwrap_or_else(|| {
        beside
            .saga
            .map_or("its terminal is still being put away", |saga| doing(saga.step))
            .to_owned()
    }))
}

/// What a step of a teardown, or of an unwound start, does.
const fn doing(step: SagaStep) -> &'static str {
    match step {
        SagaStep::Processes => "its processes are being ended",
        SagaStep::DestroyRuntime | SagaStep::Runtime | SagaStep::ExecProof => {
            "its terminal is being put away"
        }
        SagaStep::RemoveWorktree | SagaStep::Worktree | SagaStep::Provision => {
            "its worktree is being removed, if nothing would be lost"
        }
        SagaStep::AgentFiles | SagaStep::RemoveFiles => "its launch files are being removed",
        SagaStep::Finish => "all is put away, and only its record is left to be written",
    }
}

/// Where it would go on.
fn place(session: &Session) -> String {
    let record = &session.record;
    match record.workspace.fate {
        WorkspaceFate::Present | WorkspaceFate::Kept | WorkspaceFate::Pending => {
            "in its worktree, which is still there".to_owned()
        }
        WorkspaceFate::Absent | WorkspaceFate::Removed => {
            record.workspace.preserved_ref.as_ref().map_or_else(
                || format!("in a worktree made again for `{}`", record.branch),
                |preserved| {
                    format!(
                        "in a worktree made again for `{}`, without what is preserved under \
                         `{preserved}`",
                        record.branch
                    )
                },
            )
        }
    }
}

/// How its agent would be started.
fn way(session: &Session) -> String {
    let record = &session.record;
    if let Some(conversation) = &record.agent_session_id {
        return format!("where its agent resumes the conversation `{conversation}` if it can");
    }
    if record.prompt.is_some() {
        "where its agent is started anew with the prompt that it was given".to_owned()
    } else {
        "where its agent is started anew".to_owned()
    }
}

fn why_left_alone(session: &Session) -> &'static str {
    let reason = session.lifecycle.session.reason;
    if session.lifecycle.intent.is_some() {
        "somebody put it away"
    } else if reason == SessionReason::SpawnFailed {
        "it never ran"
    } else {
        "it ended as it was meant to"
    }
}
