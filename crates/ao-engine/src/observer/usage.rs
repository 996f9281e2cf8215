//! Writes down what a session has used: rarely, because it changes all the time and decides nothing.

use std::time::Duration;

use ao_core::ports::{Commit, Expected, StoreError};
use ao_core::reading::Usage;
use ao_core::record::ActivityState;

use super::Observer;
use super::memory::SeenTranscript;
use super::target::Target;
use crate::lifecycle::CONFLICTS_MAX;

/// How often it is written while the agent works.
const WRITE_EVERY: Duration = Duration::from_secs(10);

impl Observer {
    /// Writes what was used, when the last time is long enough ago or the agent rests.
    pub(super) async fn note_usage(
        &self,
        target: &Target,
        seen: &mut SeenTranscript,
    ) -> Result<(), StoreError> {
        let now = self.ports.clock.now().since_boot;
        let is_working = target.activity.is_none_or(|activity| {
            matches!(activity.state, ActivityState::Active | ActivityState::Ready)
        });
        let is_time = |at: Duration| now.saturating_sub(at) >= WRITE_EVERY;
        if is_working && !seen.written_at.is_none_or(is_time) {
            return Ok(());
        }
        if unwritten(target, seen).is_none() {
            return Ok(());
        }
        Box::pin(self.write_usage(target, seen)).await
    }

    /// Writes what was used, if that is not written yet. It is no change of the session: nobody is
    /// told, and the journal says nothing.
    pub(super) async fn write_usage(
        &self,
        target: &Target,
        seen: &mut SeenTranscript,
    ) -> Result<(), StoreError> {
        let Some(usage) = unwritten(target, seen) else { return Ok(()) };
        for _ in 0..CONFLICTS_MAX {
            let Some(mut next) = self.ports.sessions.get(&target.session).await? else { break };
            if next.record.launch_id.as_ref() != Some(&target.launch)
                || next.record.usage == Some(usage)
            {
                break;
            }
            let now = self.ports.clock.now();
            let expected = Expected::Revision(next.lifecycle.revision);
            next.record.usage = Some(usage);
            let mut commit = Commit::on(target.session.clone(), expected, now);
            commit.next = Some(next);
            match self.ports.sessions.commit(commit).await {
                Ok(_) => break,
                Err(StoreError::NotFound { .. } | StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        seen.written = Some(usage);
        seen.written_at = Some(self.ports.clock.now().since_boot);
        Ok(())
    }
}

/// What was used, if that is not what is written.
fn unwritten(target: &Target, seen: &SeenTranscript) -> Option<Usage> {
    seen.usage.filter(|usage| seen.written.or(target.usage) != Some(*usage))
}
