//! Cleanups, recoveries and removed records on the wire.

use ao_api::cleanup::{Cleaned as WireCleaned, CleanupAction, Recovered, RemovedSession};
use ao_core::ids::SessionId;
use ao_core::ports::Recovery;
use ao_core::session::{BranchFate, SessionRecord};
use ao_engine::Cleaned;

/// One session in a cleanup.
pub(crate) fn cleaned(cleaned: &Cleaned) -> WireCleaned {
    WireCleaned {
        id: cleaned.session.to_string(),
        action: if cleaned.is_removed { CleanupAction::Removed } else { CleanupAction::Skipped },
        reason: cleaned.because.clone(),
    }
}

/// What was brought back.
pub(crate) fn recovered(session: &SessionId, recovery: &Recovery) -> Recovered {
    Recovered {
        session: session.to_string(),
        workspace_path: recovery.worktree.as_ref().map(|path| path.display().to_string()),
        branch: recovery.branch.as_ref().map(ToString::to_string),
        preserved_ref: recovery.preserved.as_ref().map(ToString::to_string),
        restored: recovery.restored.clone(),
        remaining: recovery.remaining.clone(),
    }
}

/// What stays of a session whose record is removed.
pub(crate) fn removed(record: &SessionRecord) -> RemovedSession {
    let is_branch_left = record.workspace.branch == BranchFate::Kept && record.base.sha.is_some();
    RemovedSession {
        id: record.id.to_string(),
        branch: is_branch_left.then(|| record.branch.to_string()),
        preserved_ref: record.workspace.preserved_ref.as_ref().map(ToString::to_string),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_client_knows_the_words_for_a_session_with_nothing_left() {
        assert_eq!(ao_api::cleanup::NOTHING_LEFT, ao_engine::NOTHING_LEFT);
    }
}
