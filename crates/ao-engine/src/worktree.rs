//! Looks at the worktree of a session: where it is, and whether it holds work beyond its base.

use std::time::Duration;

use ao_core::fact::WorkFound;
use ao_core::ids::{ProjectId, RefName};
use ao_core::ports::{CreateWorkspace, StoreError, WorkspaceLook};
use ao_core::project::Project;
use ao_core::record::SessionState;
use ao_core::session::{Session, SessionRecord};
use futures_util::future::{Either, select};

use crate::ports::EnginePorts;

/// How long a look for work may take before it counts as one that could not tell: deadlines of other
/// sessions wait meanwhile, and a look at a large repository takes a second or two.
const LOOK_FOR_MAX: Duration = Duration::from_secs(5);

/// A registered project; `None` when it is not registered any more.
pub(crate) async fn project_of(
    ports: &EnginePorts,
    id: &ProjectId,
) -> Result<Option<Project>, StoreError> {
    let projects = ports.projects.projects().await?;
    Ok(projects.into_iter().find(|project| project.id == *id))
}

/// The worktree of a record, with the base that it was branched from.
pub(crate) fn workspace_request(record: &SessionRecord, project: Project) -> CreateWorkspace {
    CreateWorkspace {
        repo: project.path,
        session: record.id.clone(),
        path: record.workspace.path.clone(),
        branch: record.branch.clone(),
        base: record.base.name.clone(),
    }
}

/// What a look at the worktree of a record is asked for.
pub(crate) fn look_request(record: &SessionRecord, project: Project) -> CreateWorkspace {
    let asked = workspace_request(record, project);
    // The commit that it started from: a base that moved on is not this session's doing.
    let started_from = record.base.sha.as_ref().map(|sha| RefName::new(sha.as_str()));
    CreateWorkspace { base: started_from.or(asked.base), ..asked }
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
    let Some(project) = project_of(ports, &session.record.project).await? else {
        return Ok(WorkFound::Unknown);
    };
    let id = &session.record.id;
    let request = look_request(&session.record, project);
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
