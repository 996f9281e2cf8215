//! What is left of launches without a record that were not adopted: what is dead and holds no work
//! is reclaimed, everything else is told and left alone.
//!
//! It looks for itself, so that `ao doctor` tells the same as the start. What a start reclaims is
//! only what stood there before anything new could be started.
//!
//! *Assumptions*: a record is committed before anything of its launch is made, so what is listed
//! before the records are read, and has none, is nobody's.

mod told;

use std::collections::{BTreeMap, BTreeSet};

use ao_core::ids::{InfraIncidentId, LaunchId, ProjectId, SessionId};
use ao_core::ports::{
    Appraisal, CreateWorkspace, InfraIncident, InfraIncidentKind, LaunchFile, LaunchProof,
    MarkedBy, MarkedWorktree, Removal, RemovalMode, ServerAnswer, ServerFound, StoreError,
    WorkspaceTrace,
};
use ao_core::project::Project;
use ao_core::session::{HANDLE_VERSION, RuntimeHandle};
use ao_core::triage::announce;

pub use self::told::Leftover;
use super::identity::nonce_of;
use super::{Adopter, known_launches, living, prove};
use crate::engine::BootError;
use crate::spawn::own_branch;

/// Everything that was listed, before the records were read.
struct Listed {
    servers: Vec<ServerFound>,
    launches: Vec<LaunchId>,
    projects: Vec<Project>,
    /// Those of each project, and why they could not be had.
    traces: BTreeMap<ProjectId, Result<Vec<WorkspaceTrace>, String>>,
}

/// A dead launch without a record.
struct Dead {
    launch: LaunchId,
    file: Option<LaunchFile>,
}

impl Listed {
    /// Whether every server answered, so that what none of them shows is not there.
    fn is_whole(&self) -> bool {
        let is_silent =
            |found: &ServerFound| matches!(found.answer, ServerAnswer::Unreachable { .. });
        !self.servers.iter().any(is_silent)
    }
}

/// What was found out about what was listed.
#[derive(Default)]
struct Sorted {
    left: Vec<Leftover>,
    /// Sessions of which something runs, so that nothing of them is dead.
    living: BTreeSet<SessionId>,
    living_launches: BTreeSet<LaunchId>,
    /// Dead launches by their session, where that can be read.
    dead: BTreeMap<Option<SessionId>, Vec<Dead>>,
    /// Sessions whose worktrees stay.
    kept: BTreeSet<SessionId>,
}

/// A worktree without a record, with what its last launch says of it.
struct Abandoned<'a> {
    project: &'a Project,
    session: &'a SessionId,
    marked: &'a MarkedWorktree,
    file: Option<&'a LaunchFile>,
}

impl Adopter {
    /// Writes what is left into the log, and calls a human once for launches that run.
    pub(crate) async fn tell(&self, left: &[Leftover]) -> Result<(), StoreError> {
        for Leftover { of, detail, hint, .. } in left {
            tracing::warn!(of, detail, hint, "Something without a record is left alone.");
        }
        let mut launches: Vec<&LaunchId> = left.iter().filter_map(|it| it.live.as_ref()).collect();
        launches.sort();
        let (Some(first), Some(last)) = (launches.first(), launches.last()) else { return Ok(()) };
        // The same ones again are the same news.
        let id = format!("not_adopted/{}/{first}/{last}", launches.len());
        let sessions = left.iter().filter(|it| it.live.is_some());
        let sessions = sessions.filter_map(|it| it.session.clone());
        let incident = InfraIncident {
            id: InfraIncidentId::new(id),
            kind: InfraIncidentKind::NotAdopted,
            scope: format!("{} launches", launches.len()),
            sessions: sessions.collect(),
            opened_at: self.ports.clock.now(),
        };
        let effects = announce(&incident, &self.settings.policy);
        self.ports.incidents.open_incident(&incident, &effects).await?;
        self.wake.dispatcher.notify_one();
        Ok(())
    }

    /// Says what is left, and reclaims what of these launches, and of the worktrees that no record
    /// names, is dead and holds no work.
    pub(crate) async fn reclaim(
        &self,
        launches: &BTreeSet<LaunchId>,
    ) -> Result<Vec<Leftover>, BootError> {
        self.examine(Some(launches)).await
    }

    /// Says what is left. Nothing is changed.
    pub(crate) async fn leftovers(&self) -> Result<Vec<Leftover>, BootError> {
        self.examine(None).await
    }

    async fn examine(
        &self,
        reclaimed: Option<&BTreeSet<LaunchId>>,
    ) -> Result<Vec<Leftover>, BootError> {
        let listed = self.list().await?;
        let sessions = self.sessions().await?;
        let known = known_launches(&sessions);
        let recorded: BTreeSet<SessionId> =
            sessions.into_iter().map(|session| session.record.id).collect();
        let mut sorted = Sorted { left: told::of_servers(&listed.servers), ..Sorted::default() };
        self.sort_living(&listed, &known, &mut sorted).await;
        self.sort_dead(&listed, &known, &mut sorted).await;
        let is_reclaimed = reclaimed.is_some() && listed.is_whole();
        self.look_at_worktrees(&listed, &recorded, &mut sorted, is_reclaimed).await;
        if let Some(reclaimed) = reclaimed {
            for (session, launches) in &sorted.dead {
                let runs = |id: &SessionId| sorted.living.contains(id);
                // Where its repository could not be asked, its worktree may be there.
                let may_hold_work = |id: &SessionId| {
                    sorted.kept.contains(id)
                        || (!recorded.contains(id) && !is_asked(&listed, launches))
                };
                if session.as_ref().is_none_or(|id| !runs(id) && !may_hold_work(id)) {
                    self.put_away(&listed.servers, launches, reclaimed).await;
                }
            }
        }
        Ok(sorted.left)
    }

    /// Runtimes that live and that no record names.
    async fn sort_living(&self, listed: &Listed, known: &BTreeSet<LaunchId>, into: &mut Sorted) {
        for (server, pane, launch) in living(&listed.servers) {
            if known.contains(launch) {
                continue;
            }
            into.living_launches.insert(launch.clone());
            into.living.extend(SessionId::parse(pane.look.session.as_str()).ok());
            let proven = prove(&self.ports, &self.settings, server, pane, launch).await;
            let because = match proven {
                Ok(proven) => self.why_not(&proven).await,
                Err(because) => because,
            };
            into.left.push(told::live(&pane.look.session, launch, &because));
        }
    }

    /// Launches without a record and without a terminal that lives.
    async fn sort_dead(&self, listed: &Listed, known: &BTreeSet<LaunchId>, into: &mut Sorted) {
        for launch in &listed.launches {
            if known.contains(launch) || into.living_launches.contains(launch) {
                continue;
            }
            let file = self.ports.launches.read(launch).await.ok().flatten();
            let session = file.as_ref().map(|file| file.session.clone());
            if let Some(still) = self.what_runs(launch, file.as_ref()).await {
                let name = session.as_ref().map_or(launch.as_str(), SessionId::as_str);
                into.left.push(told::live(name, launch, &still));
                into.living.extend(session);
                continue;
            }
            let lost = file.as_ref().and_then(|file| told::of_lost_project(file, &listed.projects));
            into.left.extend(lost);
            // What a silent server shows of it cannot be known.
            if listed.is_whole() {
                into.dead.entry(session).or_default().push(Dead { launch: launch.clone(), file });
            }
        }
    }

    /// Worktrees that carry our mark and whose sessions have no record.
    async fn look_at_worktrees(
        &self,
        listed: &Listed,
        recorded: &BTreeSet<SessionId>,
        into: &mut Sorted,
        is_reclaimed: bool,
    ) {
        for project in &listed.projects {
            let Some(Ok(traces)) = listed.traces.get(&project.id) else { continue };
            for trace in traces {
                let (session, Some(marked)) = (&trace.session, &trace.worktree) else { continue };
                if recorded.contains(session) || into.living.contains(session) {
                    continue;
                }
                let launches = into.dead.get(&Some(session.clone()));
                let file = launches.and_then(|all| all.last()?.file.as_ref());
                let found = Abandoned { project, session, marked, file };
                if let Some(told) = self.of_worktree(&found, is_reclaimed).await {
                    into.kept.insert(session.clone());
                    into.left.push(told);
                }
            }
        }
    }

    async fn list(&self) -> Result<Listed, BootError> {
        let servers = match self.ports.runtime.survey().await {
            Ok(servers) => servers,
            // Without an answer nothing is dead.
            Err(error) => vec![ServerFound {
                socket: std::path::PathBuf::from("tmux"),
                answer: ServerAnswer::Unreachable { because: error.to_string() },
            }],
        };
        let launches = self.ports.launches.list().await?;
        let projects = self.ports.projects.projects().await?;
        let mut traces = BTreeMap::new();
        for project in &projects {
            let found = self.ports.workspace.traces(&project.path).await;
            traces.insert(project.id.clone(), found.map_err(|error| error.to_string()));
        }
        Ok(Listed { servers, launches, projects, traces })
    }

    /// Why a launch that was proven has no record.
    async fn why_not(&self, proven: &super::Proven) -> String {
        let mut repositories = super::Repositories::new(&self.ports);
        let is_registered = crate::worktree::project_of(&self.ports, &proven.origin.project).await;
        if !matches!(is_registered, Ok(Some(_))) {
            return format!("project `{}` is not registered", proven.origin.project);
        }
        if let Err(because) = repositories.check(proven).await {
            return because.to_string();
        }
        let loaded = match self.ports.sessions.load(&proven.session).await {
            Ok(loaded) => loaded,
            Err(error) => return error.to_string(),
        };
        match self.commit_of(loaded, proven, self.ports.clock.now()) {
            Ok(_commit) => "it is adopted by the next start".to_owned(),
            Err(because) => because.to_string(),
        }
    }

    /// What of a launch without a terminal still runs: a clause.
    async fn what_runs(&self, launch: &LaunchId, file: Option<&LaunchFile>) -> Option<String> {
        if let LaunchProof::Execed { pid } = self.ports.launches.proof(launch).await {
            let carried = self.ports.processes.nonce_of(pid);
            let own = file.and_then(nonce_of);
            // An unreadable file names no secret: whoever carries any may be the agent.
            if carried.is_some() && (own.is_none() || carried == own) {
                return Some(format!("process {pid}, its agent, runs without its terminal"));
            }
        }
        let nonce = nonce_of(file?)?;
        match self.ports.processes.scan(&nonce, None).await {
            Ok(found) if found.is_empty() => None,
            Ok(found) => {
                let pids: Vec<String> =
                    found.iter().take(3).map(|process| process.pid.to_string()).collect();
                Some(format!("processes that it started still run ({})", pids.join(", ")))
            }
            Err(error) => Some(error.to_string()),
        }
    }

    /// Reclaims a worktree without a record if nothing is lost by that; or says why it is left.
    async fn of_worktree(&self, found: &Abandoned<'_>, is_reclaimed: bool) -> Option<Leftover> {
        let Abandoned { project, session, marked, file } = *found;
        let stays = |because: &str| Some(told::worktree(project, session, marked, because));
        let is_at_home = marked.made_at == self.settings.worktree_of(&project.id, session);
        match (marked.by, is_at_home) {
            (MarkedBy::AnotherHome, _) | (MarkedBy::Unknown, false) => return None,
            (MarkedBy::Unknown, true) => {
                return stays("an older version made it, which named no home");
            }
            // A copy of a home has its mark.
            (MarkedBy::ThisHome, false) => {
                return stays("it is not where this home makes its worktrees");
            }
            (MarkedBy::ThisHome, true) => {}
        }
        let origin = file.and_then(|file| file.origin.as_ref());
        let branch = origin.map(|origin| origin.branch.clone());
        let branch = branch.or_else(|| marked.worktree.branch.clone());
        let request = CreateWorkspace {
            repo: project.path.clone(),
            session: session.clone(),
            path: marked.made_at.clone(),
            branch: branch.unwrap_or_else(|| own_branch(session)),
            base: origin.and_then(|origin| origin.base.name.clone()),
        };
        let workspace = &self.ports.workspace;
        match workspace.appraise(&request, RemovalMode::Spotless).await {
            Ok(Appraisal::Nothing) => return None,
            Ok(Appraisal::Goes { .. }) if is_reclaimed => {}
            Ok(Appraisal::Goes { .. }) => {
                return stays("it holds no work, so the next start removes it");
            }
            Ok(Appraisal::Stays { because }) => return stays(&because),
            Err(error) => return stays(&error.to_string()),
        }
        match workspace.destroy(&request, RemovalMode::Spotless).await {
            Ok(Removal::Removed { .. }) => {
                let path = marked.made_at.display();
                tracing::info!(%session, %path, "A worktree without a record and without work went.");
                None
            }
            Ok(Removal::Kept { because }) => stays(&because),
            Err(error) => stays(&error.to_string()),
        }
    }

    /// Ends the dead terminals of these launches, with their last screens kept, and removes their
    /// files.
    async fn put_away(
        &self,
        servers: &[ServerFound],
        dead: &[Dead],
        reclaimed: &BTreeSet<LaunchId>,
    ) {
        for Dead { launch, file } in dead.iter().filter(|it| reclaimed.contains(&it.launch)) {
            if let Some(handle) = dead_terminal(servers, launch)
                && let Err(error) = self.ports.runtime.destroy(&handle).await
            {
                tracing::warn!(%launch, %error, "A dead terminal without a record stays.");
                continue;
            }
            if let Some(nonce) = file.as_ref().and_then(nonce_of) {
                self.ports.processes.forget_group(&nonce).await;
            }
            // Not worth a daemon that does not start; the next start tries again.
            if let Err(error) = self.ports.launches.remove(launch).await {
                tracing::warn!(%launch, %error, "A launch file is left over.");
            }
        }
    }
}

/// Whether the repository of the project of these launches was asked for its worktrees.
fn is_asked(listed: &Listed, launches: &[Dead]) -> bool {
    let origins = launches.iter().filter_map(|dead| dead.file.as_ref()?.origin.as_ref());
    let mut projects = origins.map(|origin| &origin.project);
    projects.all(|project| match listed.traces.get(project) {
        Some(asked) => asked.is_ok(),
        // Of a project that nobody knows there is no repository to ask.
        None => false,
    })
}

/// The terminal of a launch that is dead, by what was written on it.
fn dead_terminal(servers: &[ServerFound], launch: &LaunchId) -> Option<RuntimeHandle> {
    servers.iter().find_map(|found| {
        let ServerAnswer::Ours { server, panes } = &found.answer else { return None };
        let is_of = |look: &ao_core::ports::PaneLook| look.launch.as_ref() == Some(launch);
        let pane = panes.iter().find(|pane| pane.look.is_dead && is_of(&pane.look))?;
        Some(RuntimeHandle {
            version: HANDLE_VERSION,
            server: server.clone(),
            session: pane.look.session.clone(),
            pane: pane.look.pane.clone(),
            process: pane.process.clone()?,
        })
    })
}
