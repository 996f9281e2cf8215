//! What a repository knows of sessions that nobody asked for by name: marks of worktrees, and refs.

use std::collections::BTreeMap;
use std::path::Path;

use ao_core::ids::SessionId;
use ao_core::ports::{MarkedWorktree, WorkspaceError, WorkspaceTrace};

use super::GitWorktree;

/// Where the refs of sessions are: the id is the next component.
const REFS: [&str; 2] = ["refs/ao/sessions/", "refs/ao/preserved/"];

/// Every session that the repository knows anything of, by id. What is no session id is passed over.
pub(super) async fn traces(
    git: &GitWorktree,
    repo: &Path,
) -> Result<Vec<WorkspaceTrace>, WorkspaceError> {
    let repo = git.repo(repo).await?;
    let mut found: BTreeMap<SessionId, Vec<MarkedWorktree>> = BTreeMap::new();
    for (name, _sha) in repo.refs_below("refs/ao").await? {
        let rest = REFS.iter().find_map(|prefix| name.strip_prefix(prefix));
        let id = rest.and_then(|rest| rest.split('/').next());
        if let Some(id) = id.and_then(|id| SessionId::parse(id).ok()) {
            found.entry(id).or_default();
        }
    }
    for site in repo.sites().await? {
        let Some(owner) = site.owner else { continue };
        let Ok(session) = SessionId::parse(owner.session) else { continue };
        let marked = MarkedWorktree { by: owner.by, made_at: owner.path, worktree: site.worktree };
        found.entry(session).or_default().push(marked);
    }
    let mut traces = Vec::new();
    for (session, worktrees) in found {
        if worktrees.is_empty() {
            traces.push(WorkspaceTrace { session, worktree: None });
            continue;
        }
        traces.extend(
            worktrees.into_iter().map(|worktree| WorkspaceTrace {
                session: session.clone(),
                worktree: Some(worktree),
            }),
        );
    }
    Ok(traces)
}
