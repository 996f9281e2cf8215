//! What is left of launches without a record that were not adopted: what is dead and holds no work
//! is reclaimed, everything else is told and left alone.
//!
//! It looks for itself, so that `ao doctor` tells the same as the start. What a start reclaims is
//! only what stood there before anything new could be started.
//!
//! *Assumptions*: a record is committed before anything of its launch is made, so what is listed
//! before the records are read, and has none, is nobody's.

use std::collections::{BTreeMap, BTreeSet};

use ao_core::ids::{BranchName, InfraIncidentId, LaunchId, ProjectId, SessionId};
use ao_core::ports::{
    Appraisal, CreateWorkspace, InfraIncident, InfraIncidentKind, LaunchFile, LaunchProof,
    MarkedBy, MarkedWorktree, Removal, RemovalMode, ServerAnswer, ServerFound, StoreError,
    WorkspaceTrace,
};
use ao_core::project::Project;
use ao_core::session::{HANDLE_VERSION, RuntimeHandle};
use ao_core::triage::announce;

use super::identity::nonce_of;
use super::{Adopter, known_launches, living, prove};
use crate::engine::BootError;
use crate::spawn::own_branch;

/// Something of this home that no record accounts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// What it is about: a session, or a socket.
    pub of: String,
    /// What is there, and why it is left alone: a sentence.
    pub detail: String,
    /// What a person can do about it.
    pub hint: String,
    /// The session that it is about, where it names one.
    pub session: Option<SessionId>,
    /// The launch that runs, where one does.
    pub live: Option<LaunchId>,
}

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
        let mut left = of_servers(&listed.servers);
        // Sessions of which something runs, so that nothing of them is dead.
        let mut living_sessions: BTreeSet<SessionId> = BTreeSet::new();
        let mut living_launches: BTreeSet<LaunchId> = BTreeSet::new();
        for (server, pane, launch) in living(&listed.servers) {
            if known.contains(launch) {
                continue;
            }
            living_launches.insert(launch.clone());
            living_sessions.extend(SessionId::parse(pane.look.session.as_str()).ok());
            let proven = prove(&self.ports, &self.settings, server, pane, launch).await;
            let because = match proven {
                Ok(proven) => self.why_not(&proven).await,
                Err(because) => because,
            };
            left.push(live(&pane.look.session, launch, &because));
        }
        let is_whole = !listed
            .servers
            .iter()
            .any(|found| matches!(found.answer, ServerAnswer::Unreachable { .. }));
        let mut dead: BTreeMap<Option<SessionId>, Vec<Dead>> = BTreeMap::new();
        for launch in &listed.launches {
            if known.contains(launch) || living_launches.contains(launch) {
                continue;
            }
            let file = self.ports.launches.read(launch).await.ok().flatten();
            let session = file.as_ref().map(|file| file.session.clone());
            if let Some(still) = self.what_runs(launch, file.as_ref()).await {
                living_sessions.extend(session.clone());
                let name = session.map_or_else(|| launch.to_string(), |it| it.to_string());
                left.push(live(&name, launch, &still));
                continue;
            }
            // What a silent server shows of it cannot be known.
            if let Some(lost) =
                file.as_ref().and_then(|file| of_lost_project(file, &listed.projects))
            {
                left.push(lost);
            }
            if is_whole {
                dead.entry(session).or_default().push(Dead { launch: launch.clone(), file });
            }
        }
        let mut kept: BTreeSet<SessionId> = BTreeSet::new();
        for (project, traces) in &listed.traces {
            let project = listed.projects.iter().find(|it| it.id == *project);
            let (Some(project), Ok(traces)) = (project, traces) else { continue };
            for trace in traces {
                let (id, Some(marked)) = (&trace.session, &trace.worktree) else { continue };
                if recorded.contains(id) || living_sessions.contains(id) {
                    continue;
                }
                let file = dead.get(&Some(id.clone())).and_then(|all| all.last()?.file.as_ref());
                let is_reclaimed = reclaimed.is_some() && is_whole;
                let told = self.of_worktree(project, id, marked, file, is_reclaimed).await;
                if let Some(told) = told {
                    kept.insert(id.clone());
                    left.push(told);
                }
            }
        }
        if let Some(reclaimed) = reclaimed {
            for (session, launches) in &dead {
                // Where its repository could not be asked, its worktree may be there.
                let may_be_kept = session.as_ref().is_some_and(|id| {
                    kept.contains(id) || (!recorded.contains(id) && !is_asked(&listed, launches))
                });
                if !may_be_kept && session.as_ref().is_none_or(|id| !living_sessions.contains(id)) {
                    self.put_away(&listed.servers, launches, reclaimed).await;
                }
            }
        }
        Ok(left)
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
    async fn of_worktree(
        &self,
        project: &Project,
        session: &SessionId,
        marked: &MarkedWorktree,
        file: Option<&LaunchFile>,
        is_reclaimed: bool,
    ) -> Option<Leftover> {
        let path = &marked.made_at;
        let is_at_home = *path == self.settings.worktree_of(&project.id, session);
        let doubt = match (marked.by, is_at_home) {
            (MarkedBy::AnotherHome, _) | (MarkedBy::Unknown, false) => return None,
            (MarkedBy::Unknown, true) => Some("an older version made it, which named no home"),
            // A copy of a home has its mark.
            (MarkedBy::ThisHome, false) => Some("it is not where this home makes its worktrees"),
            (MarkedBy::ThisHome, true) => None,
        };
        if let Some(because) = doubt {
            return Some(worktree(project, session, marked, because));
        }
        let origin = file.and_then(|file| file.origin.as_ref());
        let base = origin.and_then(|origin| origin.base.name.clone());
        let branch = origin.map(|origin| origin.branch.clone());
        let branch = branch.or_else(|| marked.worktree.branch.clone());
        let request = CreateWorkspace {
            repo: project.path.clone(),
            session: session.clone(),
            path: path.clone(),
            branch: branch.unwrap_or_else(|| own_branch(session)),
            base,
        };
        let workspace = &self.ports.workspace;
        let because = match workspace.appraise(&request, RemovalMode::Spotless).await {
            Ok(Appraisal::Nothing) => return None,
            Ok(Appraisal::Goes { .. }) if !is_reclaimed => {
                "it holds no work, so the next start removes it".to_owned()
            }
            Ok(Appraisal::Goes { because }) => {
                match workspace.destroy(&request, RemovalMode::Spotless).await {
                    Ok(Removal::Removed { .. }) => {
                        let path = path.display();
                        tracing::info!(%session, %path, because, "A leftover worktree was removed.");
                        return None;
                    }
                    Ok(Removal::Kept { because }) => because,
                    Err(error) => error.to_string(),
                }
            }
            Ok(Appraisal::Stays { because }) => because,
            Err(error) => error.to_string(),
        };
        Some(worktree(project, session, marked, &because))
    }

    /// Ends the dead terminals of these launches, with their last screens kept, and removes their
    /// files.
    async fn put_away(
        &self,
        servers: &[ServerFound],
        dead: &[Dead],
        reclaimed: &BTreeSet<LaunchId>,
    ) {
        for Dead { launch, file: _ } in dead.iter().filter(|it| reclaimed.contains(&it.launch)) {
            if let Some(handle) = dead_terminal(servers, launch)
                && let Err(error) = self.ports.runtime.destroy(&handle).await
            {
                tracing::warn!(%launch, %error, "A dead terminal without a record stays.");
                continue;
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

fn live(name: &str, launch: &LaunchId, because: &str) -> Leftover {
    Leftover {
        of: format!("session {name}"),
        detail: format!("it runs without a record, and was not adopted: {because}"),
        hint: format!(
            "nothing of it is touched; once what is said holds, `ao stop` and `ao start` adopt it; \
             or end it yourself (launch `{launch}`)"
        ),
        session: SessionId::parse(name).ok(),
        live: Some(launch.clone()),
    }
}

/// A launch whose project nobody knows: its worktree cannot be looked at.
fn of_lost_project(file: &LaunchFile, projects: &[Project]) -> Option<Leftover> {
    let project = &file.origin.as_ref()?.project;
    if projects.iter().any(|it| it.id == *project) {
        return None;
    }
    let directory = file.directory.display();
    Some(Leftover {
        of: format!("session {}", file.session),
        detail: format!(
            "it has ended without a record, and its worktree `{directory}` was not looked at: \
             project `{project}` is not registered"
        ),
        hint: format!(
            "`ao project add REPOSITORY --id {project}`; the next start removes what holds no work"
        ),
        session: Some(file.session.clone()),
        live: None,
    })
}

fn worktree(
    project: &Project,
    session: &SessionId,
    marked: &MarkedWorktree,
    because: &str,
) -> Leftover {
    let path = marked.worktree.path.display();
    let branch = marked.worktree.branch.as_ref().map_or("a branch", BranchName::as_str);
    Leftover {
        of: format!("session {session}"),
        detail: format!("its worktree `{path}` has no record, and stays: {because}"),
        hint: format!(
            "commit on `{branch}` what you want of it, and merge that; the next start removes what \
             holds no work, or `git -C '{}' worktree remove --force '{path}'` does at once",
            project.path.display()
        ),
        session: Some(session.clone()),
        live: None,
    }
}

/// Servers that cannot be used, or not be asked.
fn of_servers(servers: &[ServerFound]) -> Vec<Leftover> {
    let told = |found: &ServerFound| {
        let socket = found.socket.display();
        let (detail, hint) = match &found.answer {
            ServerAnswer::Ours { .. } => return None,
            ServerAnswer::Stranger => (
                "a tmux server there does not carry the mark of this home, and is not touched"
                    .to_owned(),
                format!("`tmux -S '{socket}' ls` shows what it holds"),
            ),
            ServerAnswer::Unreachable { because } => (
                format!("the tmux server there does not answer: {because}"),
                "what it holds is looked at again by the next start".to_owned(),
            ),
        };
        let of = format!("socket {socket}");
        Some(Leftover { of, detail, hint, session: None, live: None })
    };
    servers.iter().filter_map(told).collect()
}
