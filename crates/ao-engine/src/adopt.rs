//! Adoption: takes up live launches of this home that the store does not know, because it is new, or
//! older than they are.
//!
//! A launch that runs and that no record names began after whatever the store knows: its id is
//! committed before anything of it is started. So it is the current one of its session, and what the
//! store says of the session, a teardown in flight included, is about an earlier one. That is why
//! adoption comes before the sagas. A launch that a record names belongs to that record, and to its
//! saga while it has one.
//!
//! It makes nothing up: what is written nowhere (a name, messages, what was decided) stays empty.
//! What cannot be proven to be a launch of this home is left alone, and told by [`leftovers`].

mod identity;
pub(crate) mod leftovers;
mod repositories;

use std::collections::BTreeSet;
use std::sync::Arc;

use ao_core::fact::{Fact, FactKind, Outcome, ProcessProbe};
use ao_core::ids::{LaunchId, SessionId};
use ao_core::ledger::Ledger;
use ao_core::ports::{
    Commit, Expected, Loaded, PaneFound, ServerAnswer, ServerFound, SessionFilter, StoreError,
};
use ao_core::record::{Launch, Lifecycle, SessionReason};
use ao_core::reduce::reduce;
use ao_core::saga::SagaChange;
use ao_core::session::{BranchFate, Phase, Session, SessionRecord, WorkspaceFate, WorkspaceRecord};
use ao_core::step::Step;
use ao_core::time::Moment;

use self::identity::{Proven, prove};
use self::repositories::Repositories;
use crate::engine::BootError;
use crate::lifecycle::{CONFLICTS_MAX, LifecycleManager};
use crate::ports::EnginePorts;
use crate::settings::EngineSettings;
use crate::wake::Wake;

/// What an adoption did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AdoptReport {
    /// The sessions that were adopted.
    pub adopted: Vec<SessionId>,
}

/// Why a live launch was not adopted.
#[derive(Debug, thiserror::Error)]
enum NotAdopted {
    /// What is written about it does not agree: a clause.
    #[error("{0}")]
    Doubt(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Adopts live launches.
#[derive(Clone)]
pub(crate) struct Adopter {
    ports: EnginePorts,
    settings: Arc<EngineSettings>,
    lifecycle: LifecycleManager,
    wake: Wake,
}

impl Adopter {
    pub(crate) const fn new(
        ports: EnginePorts,
        settings: Arc<EngineSettings>,
        lifecycle: LifecycleManager,
        wake: Wake,
    ) -> Self {
        Self { ports, settings, lifecycle, wake }
    }

    /// Adopts every live launch of this home that no record names.
    ///
    /// *Flow*: launches with files → those that no record names → one question per server → each is
    /// proven and committed. Where every launch has its record, no server is asked.
    ///
    /// *Guarantees*: one commit for each session, so a crash in between leaves whole sessions, and
    /// the next call adopts the rest. No process is signalled and no file is touched.
    pub(crate) async fn adopt(&self) -> Result<AdoptReport, BootError> {
        let unknown = self.unknown_launches().await?;
        let mut report = AdoptReport::default();
        if unknown.is_empty() {
            return Ok(report);
        }
        for launch in &unknown {
            self.skip_number_of(launch).await?;
        }
        let servers = match self.ports.runtime.survey().await {
            Ok(servers) => servers,
            Err(error) => {
                tracing::warn!(%error, "Launches without a record could not be looked for.");
                return Ok(report);
            }
        };
        let mut repositories = Repositories::new(&self.ports);
        for (server, pane, launch) in living(&servers) {
            if !unknown.contains(launch) {
                continue;
            }
            let proven = prove(&self.ports, &self.settings, server, pane, launch).await;
            let adopted = match proven.map_err(NotAdopted::Doubt) {
                Ok(proven) => self.take_up(proven, &mut repositories).await,
                Err(doubt) => Err(doubt),
            };
            match adopted {
                Ok(session) => report.adopted.push(session),
                // Told, with everything else that is left, once the daemon is ready.
                Err(NotAdopted::Doubt(because)) => {
                    tracing::debug!(%launch, because, "Not adopted.");
                }
                Err(NotAdopted::Store(error)) => return Err(error.into()),
            }
        }
        Ok(report)
    }

    /// Launches that have files and no record.
    pub(crate) async fn unknown_launches(&self) -> Result<BTreeSet<LaunchId>, BootError> {
        let known = known_launches(&self.sessions().await?);
        let listed = self.ports.launches.list().await?;
        Ok(listed.into_iter().filter(|launch| !known.contains(launch)).collect())
    }

    async fn sessions(&self) -> Result<Vec<Session>, StoreError> {
        let filter = SessionFilter { project: None, with_terminal: true };
        self.ports.sessions.list(&filter).await
    }

    /// Whatever becomes of a launch, no new session gets the name of its session.
    async fn skip_number_of(&self, launch: &LaunchId) -> Result<(), StoreError> {
        let Ok(Some(file)) = self.ports.launches.read(launch).await else { return Ok(()) };
        let Some(origin) = file.origin else { return Ok(()) };
        match file.session.number_in(&origin.project) {
            Some(n) => self.ports.projects.skip_session_ids(&origin.project, n).await,
            None => Ok(()),
        }
    }

    /// Commits a proven launch as the current one of its session.
    async fn take_up(
        &self,
        proven: Proven,
        repositories: &mut Repositories<'_>,
    ) -> Result<SessionId, NotAdopted> {
        repositories.check(&proven).await?;
        let id = proven.session.clone();
        let mut last = None;
        for _ in 0..CONFLICTS_MAX {
            let now = self.ports.clock.now();
            let loaded = self.ports.sessions.load(&id).await?;
            let commit = self.commit_of(loaded, &proven, now)?;
            match self.lifecycle.commit(commit).await {
                Ok(()) => {
                    let (session, launch) = (&id, &proven.launch);
                    tracing::info!(%session, %launch, "A live session without a record was adopted.");
                    return Ok(id);
                }
                // A number is never used again: not even by the session that had it.
                Err(StoreError::Exists { .. }) => {
                    let because = format!("the record of session `{id}` was removed");
                    return Err(NotAdopted::Doubt(because));
                }
                Err(error @ StoreError::Conflict { .. }) => last = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.map_or_else(|| NotAdopted::Doubt("it is being written".to_owned()), Into::into))
    }

    /// The one commit that makes it current, or a clause that says why it cannot be.
    fn commit_of(
        &self,
        loaded: Option<Loaded>,
        proven: &Proven,
        now: Moment,
    ) -> Result<Commit, NotAdopted> {
        let doubt = |because: String| NotAdopted::Doubt(because);
        let agent = self.ports.agents.get(&proven.origin.agent);
        let agent =
            agent.ok_or_else(|| doubt(format!("there is no agent `{}`", proven.origin.agent)))?;
        let is_known = loaded.is_some();
        let loaded = match loaded {
            Some(loaded) => {
                self.check_is_newer(&loaded, proven).map_err(NotAdopted::Doubt)?;
                loaded
            }
            None => Loaded { session: self.unrecorded(proven, now), saga: None },
        };
        let launch =
            Launch { id: proven.launch.clone(), committed_at: now, traits: agent.traits() };
        let fact = Fact { at: now, kind: FactKind::Outcome(Outcome::Adopted(launch)) };
        let policy = self.settings.policy_of(&proven.origin.project);
        let Step::Change(change) = reduce(&loaded.session, &fact, policy, &now) else {
            return Err(doubt("it was adopted already".to_owned()));
        };
        let mut commit = self.lifecycle.plan(&loaded, *change, &fact, now);
        if let Some(next) = &mut commit.next {
            take_over(&mut next.record, proven);
        }
        // It is about an earlier launch.
        commit.saga = loaded.saga.map(|_over| SagaChange::End);
        if !is_known {
            commit.expected = Expected::Absent;
        }
        Ok(commit)
    }

    /// Whether the launch began after what the record knows, as a clause that says why not.
    fn check_is_newer(&self, loaded: &Loaded, proven: &Proven) -> Result<(), String> {
        let record = &loaded.session.record;
        if record.project != proven.origin.project {
            return Err(format!("session `{}` is one of project `{}`", record.id, record.project));
        }
        // Launch ids sort by their time.
        if record.launch_id.as_ref().is_some_and(|known| *known >= proven.launch) {
            return Err("the database knows a later launch of its session".to_owned());
        }
        let process = record.handle.as_ref().map(|handle| &handle.process);
        if let Some(process) = process
            && process.boot == self.ports.processes.boot()
            && self.ports.processes.probe(process) != ProcessProbe::Dead
        {
            let pid = process.pid;
            return Err(format!("process {pid}, of an earlier launch of its session, may run"));
        }
        Ok(())
    }

    /// A session as far as its launch tells of it.
    fn unrecorded(&self, proven: &Proven, now: Moment) -> Session {
        let origin = &proven.origin;
        Session {
            record: SessionRecord {
                id: proven.session.clone(),
                node: self.settings.node.clone(),
                project: origin.project.clone(),
                issue: origin.issue.clone(),
                kind: origin.kind,
                agent: origin.agent.clone(),
                name: None,
                model: origin.model.clone(),
                permission_mode: origin.permission_mode.clone(),
                branch: origin.branch.clone(),
                base: origin.base.clone(),
                workspace: WorkspaceRecord {
                    path: proven.directory.clone(),
                    fate: WorkspaceFate::Present,
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
                prompt: origin.prompt.clone(),
                argv: origin.argv.clone(),
                phase: Phase::Running,
                trouble: None,
                created_at: origin.created_at,
                updated_at: now.wall,
            },
            lifecycle: Lifecycle::seeded(SessionReason::Adopted, now),
            ledger: Ledger::default(),
        }
    }
}

/// Writes what is known of the running launch into a record, and nothing else.
fn take_over(record: &mut SessionRecord, proven: &Proven) {
    let origin = &proven.origin;
    record.branch = origin.branch.clone();
    record.base.name = origin.base.name.clone().or_else(|| record.base.name.take());
    record.base.sha = origin.base.sha.clone().or_else(|| record.base.sha.take());
    record.workspace.path.clone_from(&proven.directory);
    record.workspace.fate = WorkspaceFate::Present;
    record.workspace.because = None;
    record.workspace.branch = BranchFate::Kept;
    record.handle = Some(proven.handle.clone());
    record.launch_id = Some(proven.launch.clone());
    record.nonce = Some(proven.nonce.clone());
    if origin.agent_session_id.is_some() {
        record.agent_session_id.clone_from(&origin.agent_session_id);
    }
    record.phase = Phase::Running;
    record.trouble = None;
}

/// The launches that records name.
fn known_launches(sessions: &[Session]) -> BTreeSet<LaunchId> {
    sessions.iter().filter_map(|session| session.record.launch_id.clone()).collect()
}

/// The runtimes of ours that live, with their servers.
fn living(
    servers: &[ServerFound],
) -> impl Iterator<Item = (&ao_core::session::ServerIdentity, &PaneFound, &LaunchId)> {
    servers
        .iter()
        .filter_map(|found| match &found.answer {
            ServerAnswer::Ours { server, panes } => Some((server, panes)),
            ServerAnswer::Stranger | ServerAnswer::Unreachable { .. } => None,
        })
        .flat_map(|(server, panes)| panes.iter().map(move |pane| (server, pane)))
        .filter(|(_, pane)| !pane.look.is_dead)
        .filter_map(|(server, pane)| Some((server, pane, pane.look.launch.as_ref()?)))
}
