//! Looks at the worktree of a session: where it is, and whether it holds work beyond its base.

use std::time::Duration;

use ao_core::fact::WorkFound;
use ao_core::ids::RefName;
use ao_core::ports::{CreateWorkspace, StoreError, WorkspaceLook};
use ao_core::project::Project;
use ao_core::record::SessionState;
use ao_core::session::{Session, SessionRecord};
use futures_util::future::{Either, select};

use crate::ports::EnginePorts;

/// How long a look for work may take before it counts as one that could not tell: deadlines of other
/// sessions wait meanwhile, and a look at a large repository takes a second or two.
const LOOK_FOR_MAX: Duration = Duration::from_secs(5);

/// What a look at the worktree of a record is asked for.
pub(crate) fn look_request(record: SessionRecord, project: Project) -> CreateWorkspace {
    // The commit that it started from: a base that moved on is not this session's doing.
    let base = record.base.sha.map(|sha| RefName::new(sha.as_str())).or(record.base.name);
    CreateWorkspace {
        repo: project.path,
        session: record.id,
        path: record.workspace.path,
        branch: record.branch,
        base,
    }
}

/// Whether the worktree of an idle session holds work. No look is taken at one that does something
/// else: its deadline is over, whatever a look would say.
pub(crate) async fn work_of(
    ports: &EnginePorts,
    session: Session,
) -> Result<WorkFound, StoreError> {
    if session.lifecycle.session.state != SessionState::Idle {
        return Ok(WorkFound::Unknown);
    }
    let projects = ports.projects.projects().await?;
    let project = projects.into_iter().find(|project| project.id == session.record.project);
    let Some(project) = project else { return Ok(WorkFound::Unknown) };
    let id = session.record.id.clone();
    let request = look_request(session.record, project);
    let look = ports.workspace.inspect(&request);
    Ok(match select(look, ports.clock.sleep(LOOK_FOR_MAX)).await {
        Either::Left((Ok(look), _)) => found(&look),
        Either::Left((Err(error), _)) => {
            tracing::warn!(session = %id, %error, "A look for work could not tell.");
            WorkFound::Unknown
        }
        Either::Right(((), _)) => {
            tracing::warn!(session = %id, "A look for work took too long.");
            WorkFound::Unknown
        }
    })
}

/// What a look says about work. A worktree that is not there says nothing.
fn found(look: &WorkspaceLook) -> WorkFound {
    if !look.exists {
        return WorkFound::Unknown;
    }
    let is_changed =
        look.n_commits_ahead > 0 || !look.dirty_paths.is_empty() || look.operation.is_some();
    if is_changed { WorkFound::Changed } else { WorkFound::Unchanged }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(edit: impl FnOnce(&mut WorkspaceLook), expect: WorkFound) {
        let mut look = WorkspaceLook {
            exists: true,
            is_registered: true,
            locked: None,
            dirty_paths: Vec::new(),
            operation: None,
            head: None,
            n_commits_ahead: 0,
            diff: ao_core::ports::DiffStat::default(),
        };
        edit(&mut look);
        assert_eq!(found(&look), expect, "{look:?}");
    }

    #[test]
    fn commits_changes_and_operations_are_work_and_an_absent_worktree_says_nothing() {
        check(|_| {}, WorkFound::Unchanged);
        check(|look| look.n_commits_ahead = 1, WorkFound::Changed);
        check(|look| look.dirty_paths = vec!["new".to_owned()], WorkFound::Changed);
        check(|look| look.operation = Some("rebase".to_owned()), WorkFound::Changed);
        check(|look| look.exists = false, WorkFound::Unknown);
        check(|look| (look.exists, look.n_commits_ahead) = (false, 3), WorkFound::Unknown);
    }
}
