//! What the composition root decides once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use ao_core::capacity::Caps;
use ao_core::ids::{NodeId, ProjectId, SessionId};
use ao_core::policy::Policy;
use ao_core::ports::Provisions;

/// Settings of one engine.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// The machine that owns the sessions.
    pub node: NodeId,
    /// Below it each project has a directory with the worktrees of its sessions.
    pub worktree_root: PathBuf,
    /// Replaces [`Self::worktree_root`] for a project.
    pub worktree_dirs: BTreeMap<ProjectId, PathBuf>,
    /// A directory whose `ao` is the daemon's own binary; it leads the PATH of every agent.
    pub bin_dir: PathBuf,
    /// Variables that every agent gets (`AO_HOME`, `AO_BIN`).
    pub agent_env: BTreeMap<String, String>,
    /// How often the reaper passes over everything.
    pub reaper_interval: Duration,
    /// How often what agents show and write down is read.
    pub activity_interval: Duration,
    /// How long processes get between being asked to end and being ended.
    pub kill_grace: Duration,
    /// How long a launcher may take to become its agent.
    pub exec_proof_for_max: Duration,
    /// How many sessions may run at once.
    pub caps: Caps,
    /// What the worktrees of projects are given that name nothing of their own.
    pub provisions: Provisions,
    /// What the worktrees of projects are given.
    pub provisions_by_project: BTreeMap<ProjectId, Provisions>,
    /// Rules for projects without rules of their own.
    pub policy: Policy,
    /// Rules of projects.
    pub policies: BTreeMap<ProjectId, Policy>,
}

impl EngineSettings {
    /// What the worktrees of a project are given.
    pub fn provisions_of(&self, project: &ProjectId) -> &Provisions {
        self.provisions_by_project.get(project).unwrap_or(&self.provisions)
    }

    /// The rules of a project.
    pub fn policy_of(&self, project: &ProjectId) -> &Policy {
        self.policies.get(project).unwrap_or(&self.policy)
    }

    /// The rules for what concerns sessions of these projects together: a project's own when it is
    /// the only one.
    pub(crate) fn policy_of_all<'p>(
        &self,
        projects: impl IntoIterator<Item = &'p ProjectId>,
    ) -> &Policy {
        let projects: BTreeSet<&ProjectId> = projects.into_iter().collect();
        match (projects.first(), projects.len()) {
            (Some(only), 1) => self.policy_of(only),
            (_, _) => &self.policy,
        }
    }

    /// Where the worktree of a session goes.
    pub fn worktree_of(&self, project: &ProjectId, session: &SessionId) -> PathBuf {
        match self.worktree_dirs.get(project) {
            Some(dir) => dir.join(session.as_str()),
            None => self.worktree_root.join(project.as_str()).join(session.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_of_one_project_goes_by_its_rules_and_one_of_several_by_those_of_all() {
        let (app, lib) = (ProjectId::parse("app").unwrap(), ProjectId::parse("lib").unwrap());
        let own = Policy { detecting_attempts_max: 9, ..Policy::default() };
        let settings = EngineSettings {
            node: NodeId::parse("node").unwrap(),
            worktree_root: PathBuf::new(),
            worktree_dirs: BTreeMap::new(),
            bin_dir: PathBuf::new(),
            agent_env: BTreeMap::new(),
            reaper_interval: Duration::ZERO,
            activity_interval: Duration::ZERO,
            kill_grace: Duration::ZERO,
            exec_proof_for_max: Duration::ZERO,
            caps: Caps::default(),
            provisions: Provisions::default(),
            provisions_by_project: BTreeMap::new(),
            policy: Policy::default(),
            policies: BTreeMap::from([(app.clone(), own.clone())]),
        };
        assert_eq!(*settings.policy_of_all([&app, &app]), own);
        assert_eq!(*settings.policy_of_all([&lib]), settings.policy);
        assert_eq!(*settings.policy_of_all([&app, &lib]), settings.policy);
        assert_eq!(*settings.policy_of_all([]), settings.policy);
    }
}
