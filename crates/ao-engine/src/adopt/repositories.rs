//! Where the worktrees of launches without a record belong: their projects, registered again where
//! the store has lost them too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ao_core::ids::ProjectId;
use ao_core::ports::{ErrorKind, MarkedBy, MarkedWorktree, StoreError, WorkspaceTrace};
use ao_core::project::Project;

use super::NotAdopted;
use super::identity::Proven;
use crate::ports::EnginePorts;
use crate::worktree::project_of;

/// What repositories say of sessions, each asked once.
pub(super) struct Repositories<'a> {
    ports: &'a EnginePorts,
    traces: BTreeMap<PathBuf, Option<Vec<WorkspaceTrace>>>,
}

impl<'a> Repositories<'a> {
    pub(super) const fn new(ports: &'a EnginePorts) -> Self {
        Self { ports, traces: BTreeMap::new() }
    }

    /// Sees to it that the project of a launch is registered and has the worktree that the launch
    /// runs in.
    ///
    /// *Caveats*: a registered repository that cannot be asked now is believed.
    pub(super) async fn check(&mut self, proven: &Proven) -> Result<(), NotAdopted> {
        let id = &proven.origin.project;
        let known = project_of(self.ports, id).await?;
        let repo = match &known {
            Some(project) => project.path.clone(),
            None => self.find(&proven.directory).await?,
        };
        let marked = match self.traces_of(&repo).await {
            Some(traces) => marked(traces, proven),
            None if known.is_some() => return Ok(()),
            None => return Err(doubt("its repository cannot be asked for its worktrees")),
        };
        match marked {
            Some(MarkedWorktree { by: MarkedBy::AnotherHome, .. }) => {
                return Err(doubt("its worktree is another home's"));
            }
            Some(_) => {}
            None => {
                let repo = repo.display();
                return Err(doubt(&format!("`{repo}` has no worktree of it, marked as its own")));
            }
        }
        if known.is_none() {
            self.register(id, repo).await?;
        }
        Ok(())
    }

    /// The repository that a worktree belongs to.
    async fn find(&self, directory: &Path) -> Result<PathBuf, NotAdopted> {
        self.ports.workspace.discover(directory).await.map_err(|error| {
            doubt(&format!(
                "its project is not registered, and its repository is not found: {error}"
            ))
        })
    }

    /// The project was lost with its sessions: what a launch says of it is all that is left.
    async fn register(&self, id: &ProjectId, path: PathBuf) -> Result<(), NotAdopted> {
        let created_at = self.ports.clock.now().wall;
        let shown = path.display().to_string();
        let project = Project { id: id.clone(), path, github: None, created_at };
        match self.ports.projects.add_project(project).await {
            Ok(_ensured) => {
                tracing::info!(project = %id, path = shown, "A lost project was registered again.");
                Ok(())
            }
            Err(error @ StoreError::Exists { .. }) => {
                Err(doubt(&format!("its project is not registered, and cannot be: {error}")))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn traces_of(&mut self, repo: &Path) -> Option<&[WorkspaceTrace]> {
        if !self.traces.contains_key(repo) {
            let found = match self.ports.workspace.traces(repo).await {
                Ok(found) => Some(found),
                Err(error) => {
                    tracing::warn!(repo = %repo.display(), %error, "A repository was not asked.");
                    // One that is gone has no worktrees; one that does not answer may have.
                    (error.kind() == ErrorKind::User).then(Vec::new)
                }
            };
            self.traces.insert(repo.to_owned(), found);
        }
        self.traces.get(repo)?.as_deref()
    }
}

/// The worktree that was made for a session where its launch runs.
fn marked<'t>(traces: &'t [WorkspaceTrace], proven: &Proven) -> Option<&'t MarkedWorktree> {
    let of_session = traces.iter().filter(|trace| trace.session == proven.session);
    of_session.filter_map(|trace| trace.worktree.as_ref()).find(|it| it.made_at == proven.directory)
}

fn doubt(because: &str) -> NotAdopted {
    NotAdopted::Doubt(because.to_owned())
}
