//! Preparations that failed: whoever asked for the session is told why there is none.

use std::collections::BTreeMap;

use ao_core::fact::{FactKind, Outcome};
use ao_core::ids::SessionId;
use ao_core::ports::{Commit, ProvisionError};
use ao_core::saga::{SagaChange, SagaStep};
use ao_core::session::Session;

use super::Seen;

/// What was seen of preparations.
#[derive(Default)]
pub(crate) struct Setups {
    /// Why the last one of a session failed, where its engine still knows.
    failed: BTreeMap<SessionId, String>,
}

impl Setups {
    pub(crate) fn begun(&mut self, session: &SessionId) {
        self.failed.remove(session);
    }

    pub(crate) fn failed(&mut self, session: &SessionId, error: &ProvisionError) {
        self.failed.insert(session.clone(), format!("{}: {error}", error.code()));
    }

    /// The engine is gone, and what it had not written down with it.
    pub(crate) fn forget(&mut self) {
        self.failed.clear();
    }
}

impl Seen {
    /// Sees whether a session that comes to nothing says why.
    pub(super) fn check_setup(&mut self, next: &Session, commit: &Commit) {
        if let Some(SagaChange::Put(saga)) = &commit.saga
            && saga.is_cancelled
            && saga.step == SagaStep::Provision
        {
            self.occurred.insert("setup:killed".to_owned());
        }
        let kind = commit.journal.as_ref().map(|entry| &entry.fact.kind);
        if kind != Some(&FactKind::Outcome(Outcome::SpawnFailed)) {
            return;
        }
        let Some(because) = self.setups.failed.remove(&commit.session) else { return };
        self.occurred.insert("setup:failed".to_owned());
        if next.record.trouble.as_ref() != Some(&because) {
            let (id, told) = (&commit.session, &next.record.trouble);
            self.violate(format!("{id}: failed because `{because}`, told is {told:?}"));
        }
    }
}
