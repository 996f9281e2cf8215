//! A session that can be read: its launch runs, and its agent is one that we know.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use ao_core::ids::{AgentSessionId, LaunchId, SessionId};
use ao_core::ports::{Agent, RunningAgent};
use ao_core::reading::Usage;
use ao_core::record::{Activity, SessionState};
use ao_core::session::{Phase, RuntimeHandle, Session};
use ao_core::time::{BootId, Moment};

use crate::ports::EnginePorts;

/// What is read, and what was known of it when it was listed.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) session: SessionId,
    pub(super) launch: LaunchId,
    pub(super) launched_at: Moment,
    pub(super) has_start_signal: bool,
    pub(super) agent: Arc<dyn Agent>,
    pub(super) handle: RuntimeHandle,
    pub(super) state: SessionState,
    pub(super) activity: Option<Activity>,
    pub(super) usage: Option<Usage>,
    directory: PathBuf,
    agent_session_id: Option<AgentSessionId>,
    transcript: Option<PathBuf>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("session", &self.session)
            .field("launch", &self.launch)
            .finish_non_exhaustive()
    }
}

impl Target {
    /// A session whose agent runs, as far as anybody knows.
    pub(super) fn of(session: &Session, ports: &EnginePorts, boot: BootId) -> Option<Self> {
        let (record, lifecycle) = (&session.record, &session.lifecycle);
        let is_live = record.phase == Phase::Running
            && !lifecycle.is_terminal()
            && lifecycle.intent.is_none()
            && lifecycle.process_dead_at.is_none();
        let launch = lifecycle.launch.as_ref().filter(|_| is_live)?;
        let handle = record.handle.as_ref().filter(|handle| handle.process.boot == boot)?;
        Some(Self {
            session: record.id.clone(),
            launch: launch.id.clone(),
            launched_at: launch.committed_at,
            has_start_signal: launch.traits.signals.has_start(),
            agent: Arc::clone(ports.agents.get(&record.agent)?),
            handle: handle.clone(),
            state: lifecycle.session.state,
            activity: lifecycle.activity,
            usage: record.usage,
            directory: record.workspace.path.clone(),
            agent_session_id: record.agent_session_id.clone(),
            transcript: record.transcript.clone(),
        })
    }

    /// What its agent needs to find its own files.
    pub(super) fn running(&self, env: &BTreeMap<String, String>) -> RunningAgent {
        RunningAgent {
            process: self.handle.process.clone(),
            directory: self.directory.clone(),
            agent_session_id: self.agent_session_id.clone(),
            transcript: self.transcript.clone(),
            env: env.clone(),
        }
    }
}
