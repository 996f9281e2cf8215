//! Wire values for tests of how they are shown.

use ao_api::message::Message;
use ao_api::session::{Activity, Base, Lifecycle, Phase, PrVerdict, Session, Usage, Verdict};

/// A session that just works.
pub(crate) fn session(id: &str) -> Session {
    let verdict =
        |state: &str, reason: &str| Verdict { state: state.to_owned(), reason: reason.to_owned() };
    Session {
        id: id.to_owned(),
        project: "app".to_owned(),
        kind: "worker".to_owned(),
        agent: "command".to_owned(),
        name: None,
        issue: None,
        branch: format!("ao/{id}"),
        base: Base { name: Some("main".to_owned()), sha: Some("0123abcd".to_owned()) },
        workspace_path: format!("/h/worktrees/{id}"),
        status: "working".to_owned(),
        activity: None,
        phase: Phase::Running,
        queue: None,
        model: None,
        permission_mode: None,
        agent_session_id: None,
        launch_id: None,
        handle: None,
        exit: None,
        teardown: None,
        restore: None,
        trouble: None,
        usage: Usage::default(),
        changes: None,
        created_at: "2026-03-02T11:56:00.000Z".to_owned(),
        updated_at: "2026-03-02T11:56:00.000Z".to_owned(),
        lifecycle: Lifecycle {
            version: 1,
            revision: 3,
            session: verdict("working", "task_in_progress"),
            pr: PrVerdict {
                state: "none".to_owned(),
                reason: "not_created".to_owned(),
                number: None,
                url: None,
                head_sha: None,
            },
            runtime: verdict("alive", "process_running"),
            activity: Activity::default(),
            detecting: None,
        },
    }
}

/// A message of a minute ago.
pub(crate) fn message(id: &str, state: &str, reason: Option<&str>) -> Message {
    Message {
        id: id.to_owned(),
        session: "app-1".to_owned(),
        lane: "human".to_owned(),
        state: state.to_owned(),
        reason: reason.map(str::to_owned),
        confirmed: false,
        text: "fix the\nlogin page".to_owned(),
        stripped: 0,
        reaction: None,
        created_at: "2026-03-02T11:59:00.000Z".to_owned(),
        updated_at: "2026-03-02T11:59:00.000Z".to_owned(),
    }
}
