//! Turns that no hook tells the beginning of: what a message that was taken in waits for.
//!
//! A hook tells that a prompt was taken in, and the next one may be minutes away. The status file
//! and the transcript say in between that a turn runs.

use std::collections::BTreeMap;

use ao_core::ids::SessionId;
use ao_core::message::{Message, MessageState};
use ao_core::ports::StoreError;
use ao_core::receipt::{Evidence, EvidenceKind};
use ao_core::record::ActivityState;
use ao_core::time::Moment;

use super::Observer;
use super::memory::{Memory, Seen};
use super::news::moment_of;

impl Observer {
    /// Tells the messages that wait for their turn of the turns that run.
    pub(super) async fn tell_turns(&self, memory: &Memory) -> Result<(), StoreError> {
        let unfinished = self.ports.messages.unfinished().await?;
        let waiting: BTreeMap<&SessionId, &Message> = unfinished
            .iter()
            .filter(|message| message.state == MessageState::Submitted)
            .map(|message| (&message.session, message))
            .collect();
        let now = self.ports.clock.now();
        for (session, message) in waiting {
            let Some((launch, at)) =
                memory.of(session, |seen| (seen.target.launch.clone(), turn_since(seen, &now)))
            else {
                continue;
            };
            // The hook that told of the prompt may be stamped later than the turn began, on a loaded
            // machine; a turn that began before the typing is another one.
            let is_its_own = at.zip(message.typing_at).is_some_and(|(at, typing_at)| {
                at.is_after(&typing_at) && now.is_after(&message.updated_at)
            });
            if is_its_own {
                let evidence = Evidence { launch, at: now, kind: EvidenceKind::Turn };
                Box::pin(self.lifecycle.confirm(session, &evidence)).await?;
            }
        }
        Ok(())
    }
}

/// Since when a turn runs, going by what the agent wrote down last.
fn turn_since(seen: &Seen, now: &Moment) -> Option<Moment> {
    let told = seen.status.as_ref().and_then(|seen| {
        let since = seen.status.since.and_then(|since| moment_of(since, now));
        (seen.status.reading.activity == ActivityState::Active).then_some(since).flatten()
    });
    let written = seen.transcript.active_since.and_then(|since| moment_of(since, now));
    match (told, written) {
        (Some(told), Some(written)) if written.is_after(&told) => Some(written),
        (told, written) => told.or(written),
    }
}
