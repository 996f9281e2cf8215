//! The end of what an agent wrote down of its conversation, for people to read.

use std::collections::BTreeMap;

use ao_core::ids::SessionId;
use ao_core::ports::RunningAgent;

use super::{SessionError, SessionManager};

/// Most that is read of a transcript: some hundred turns, and an answer that fits every client.
const TRANSCRIPT_BYTES_MAX: usize = 4 * 1024 * 1024;

impl SessionManager {
    /// The last `n_lines` whole lines of its agent's own transcript, of the last 4 MiB at most.
    pub async fn transcript(
        &self,
        session: &SessionId,
        n_lines: usize,
    ) -> Result<String, SessionError> {
        let record = self.load(session).await?.session.record;
        let missing =
            |because: String| SessionError::NoTranscript { session: session.clone(), because };
        let handle = record.handle.ok_or_else(|| missing("it was never started".to_owned()))?;
        let launch = match &record.launch_id {
            // Gone with the launch; where the agent named its transcript nothing else is needed.
            Some(launch) => self.ports.launches.read(launch).await.unwrap_or_default(),
            None => None,
        };
        let running = RunningAgent {
            process: handle.process,
            directory: record.workspace.path,
            agent_session_id: record.agent_session_id,
            transcript: record.transcript,
            env: launch.map_or_else(BTreeMap::new, |file| file.env),
        };
        let agent = self.ports.agents.get(&record.agent);
        let path = agent.and_then(|agent| agent.transcript(&running)).ok_or_else(|| {
            missing(format!("agent `{}` writes none, or has not said where", record.agent))
        })?;
        let tail = self.ports.files.read_tail(&path, TRANSCRIPT_BYTES_MAX).await;
        let tail = tail.ok_or_else(|| missing(format!("`{}` is not there", path.display())))?;
        let begins_at = if tail.is_whole { 0 } else { tail.text.find('\n').map_or(0, |at| at + 1) };
        let whole = tail.text.get(begins_at..).unwrap_or_default();
        let n_skipped = whole.lines().count().saturating_sub(n_lines);
        Ok(whole.split_inclusive('\n').skip(n_skipped).collect())
    }
}
