//! What sessions changed against their base, for lists: looked at at most every few seconds, a few
//! at once, and left unknown rather than waited for.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ao_core::ids::SessionId;
use ao_core::ports::{Clock, DiffStat, WorkspaceLook};
use ao_core::session::{Session, WorkspaceFate};
use ao_core::time::Moment;
use ao_engine::SessionManager;
use futures_util::StreamExt as _;

/// How long a look is good enough for a list: `ao ls --watch` refreshes more often.
const FRESH_FOR: Duration = Duration::from_secs(5);

/// Looks at once: `git` is bound by the disk.
const LOOKS_AT_ONCE: usize = 4;

/// How long a list waits for all its looks together.
const LOOKS_FOR_MAX: Duration = Duration::from_secs(2);

/// What was seen last.
#[derive(Debug, Default)]
pub(crate) struct Diffs(Mutex<BTreeMap<SessionId, (Moment, DiffStat)>>);

impl Diffs {
    /// What these sessions changed, as far as it is known in time.
    pub(crate) async fn of(
        &self,
        sessions: &[Session],
        manager: &SessionManager,
        clock: &dyn Clock,
    ) -> BTreeMap<SessionId, DiffStat> {
        let now = clock.now();
        let stale: Vec<SessionId> = sessions
            .iter()
            .filter(|session| has_worktree(session) && !self.is_fresh(&session.record.id, &now))
            .map(|session| session.record.id.clone())
            .collect();
        let looks = futures_util::stream::iter(stale)
            .map(|id| {
                let manager = manager.clone();
                async move {
                    let look = manager.inspect(&id).await;
                    (id, look)
                }
            })
            .buffer_unordered(LOOKS_AT_ONCE)
            .for_each(|(id, look)| {
                match look {
                    Ok(look) => self.note(&id, now, &look),
                    Err(error) => tracing::debug!(session = %id, %error, "Could not look."),
                }
                std::future::ready(())
            });
        if tokio::time::timeout(LOOKS_FOR_MAX, looks).await.is_err() {
            tracing::debug!("Did not wait for every worktree to be looked at.");
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (at, _)| now.since(at) <= FRESH_FOR * 12);
        let asked = sessions.iter().filter(|session| has_worktree(session));
        asked
            .filter_map(|session| {
                let (_, diff) = known.get(&session.record.id)?;
                Some((session.record.id.clone(), *diff))
            })
            .collect()
    }

    fn is_fresh(&self, id: &SessionId, now: &Moment) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(id).is_some_and(|(at, _)| now.since(at) < FRESH_FOR)
    }

    /// Takes in a look. A worktree that is not there has no changes to tell, which is not to have
    /// none.
    pub(crate) fn note(&self, id: &SessionId, at: Moment, look: &WorkspaceLook) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if look.exists {
            known.insert(id.clone(), (at, look.diff));
        } else {
            known.remove(id);
        }
    }
}

fn has_worktree(session: &Session) -> bool {
    match session.record.workspace.fate {
        WorkspaceFate::Present | WorkspaceFate::Kept => true,
        WorkspaceFate::Absent | WorkspaceFate::Removed | WorkspaceFate::Pending => false,
    }
}
