//! Receipts: what an agent was heard to take in moves its messages on.

use ao_core::fact::{Fact, FactKind};
use ao_core::ids::SessionId;
use ao_core::message::{Message, MessageChange, MessageState};
use ao_core::ports::{Commit, Expected, StoreError};
use ao_core::receipt::{Evidence, EvidenceKind, receipts};
use ao_core::record::{ActivityState, Confidence};

use crate::lifecycle::{CONFLICTS_MAX, LifecycleManager};

/// Messages of a session that evidence is compared with: only the newest few can be unfinished, or
/// in doubt and still of interest.
const MESSAGES_MAX: usize = 50;

impl LifecycleManager {
    /// Takes evidence in: the messages that it speaks for move on. Twice is the same as once.
    pub async fn confirm(
        &self,
        session: &SessionId,
        evidence: &Evidence,
    ) -> Result<usize, StoreError> {
        for n_try in 1..=CONFLICTS_MAX {
            // The revision before the messages: who writes between the two makes this try conflict.
            let Some(read) = self.ports.sessions.get(session).await? else { return Ok(0) };
            let messages = self.ports.messages.messages_of(session, MESSAGES_MAX).await?;
            let moved = receipts(&messages, evidence);
            if moved.is_empty() {
                return Ok(0);
            }
            let now = self.ports.clock.now();
            let expected = Expected::Revision(read.lifecycle.revision);
            let mut commit = Commit::on(session.clone(), expected, now);
            commit.messages = moved
                .iter()
                .map(|receipt| MessageChange::Move {
                    id: receipt.id.clone(),
                    from: receipt.from,
                    to: receipt.to,
                    reason: None,
                    launch: None,
                    // When it was heard, so that what the agent does next is known to be later.
                    at: evidence.at,
                })
                .collect();
            match self.commit(commit).await {
                Ok(()) => return Ok(moved.len()),
                // Written meanwhile, or the message moved: read both again.
                Err(StoreError::Conflict { .. } | StoreError::NotFound { .. })
                    if n_try < CONFLICTS_MAX => {}
                Err(error) => return Err(error),
            }
        }
        Ok(0)
    }
}

/// What a fact proves about messages: a signal of the agent that is more than a guess off a screen.
pub(crate) fn evidence_of(fact: &Fact) -> Option<Evidence> {
    let FactKind::Signal(signal) = &fact.kind else { return None };
    let kind = if signal.is_submit {
        EvidenceKind::Prompt(signal.prompt.clone())
    } else if signal.source.confidence() > Confidence::Low
        && signal.activity != ActivityState::Exited
    {
        EvidenceKind::Turn
    } else {
        return None;
    };
    Some(Evidence { launch: signal.launch.clone(), at: fact.at, kind })
}

/// Whether a message waits for its agent to say that it took it in.
pub(crate) const fn is_unconfirmed(message: &Message) -> bool {
    matches!(message.state, MessageState::Typed) && !message.is_final()
}
