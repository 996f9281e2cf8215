//! Puts away what ended sessions leave, beside the looks: a terminal that takes its time must not
//! keep the deaths of others waiting.
//!
//! What cannot be put away now is tried again by the next pass.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use ao_core::ids::SessionId;
use ao_core::ports::StoreError;
use ao_core::session::{Phase, Session};
use futures_util::StreamExt as _;

use super::Reaper;

/// Sessions put away at the same time: each asks its server a few things and writes once.
const AT_ONCE: usize = 8;

/// Ended sessions whose rest is not put away yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Remains(Arc<Mutex<Registry>>);

#[derive(Debug, Default)]
struct Registry {
    /// Somebody is at it.
    taken: BTreeSet<SessionId>,
    /// It did not succeed.
    left: BTreeSet<SessionId>,
}

/// One that is being put away; given back however that ends.
struct Taken {
    session: SessionId,
    remains: Remains,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.remains.with(|registry| registry.taken.remove(&self.session));
    }
}

impl Remains {
    fn with<T>(&self, act: impl FnOnce(&mut Registry) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes those of these that nobody is at.
    fn take(&self, sessions: impl IntoIterator<Item = SessionId>) -> Vec<Taken> {
        self.with(|registry| {
            let fresh = sessions.into_iter().filter(|id| registry.taken.insert(id.clone()));
            fresh.map(|session| Taken { session, remains: self.clone() }).collect()
        })
    }

    /// Those that a try before could not put away.
    pub(super) fn take_left(&self) -> BTreeSet<SessionId> {
        self.with(|registry| std::mem::take(&mut registry.left))
    }

    fn leave(&self, session: &SessionId) {
        self.with(|registry| registry.left.insert(session.clone()));
    }
}

impl Reaper {
    /// Puts away those of the sessions that a look changed which have ended by it.
    pub(super) async fn put_away_ended(&self, changed: &[SessionId]) -> Result<(), StoreError> {
        let mut ended = Vec::new();
        for id in changed {
            let session = self.ports.sessions.get(id).await?;
            ended.extend(session.filter(is_to_be_put_away).map(|session| session.record.id));
        }
        self.put_away_soon(ended);
        Ok(())
    }

    /// Puts away those of these sessions that have ended, a few at a time. It does not wait.
    pub(super) fn put_away_soon(&self, sessions: impl IntoIterator<Item = SessionId>) {
        let taken = self.remains.take(sessions);
        if taken.is_empty() {
            return;
        }
        let this = self.clone();
        self.ports.tasks.spawn(
            "put-away",
            Box::pin(async move {
                let all = futures_util::stream::iter(taken).for_each_concurrent(AT_ONCE, |taken| {
                    let this = this.clone();
                    async move { this.put_away(&taken.session).await }
                });
                tokio::select! {
                    biased;
                    () = this.wake.stopped() => {}
                    () = all => {}
                }
            }),
        );
    }

    async fn put_away(&self, id: &SessionId) {
        match self.try_put_away(id).await {
            Ok(true) => {}
            Ok(false) => self.remains.leave(id),
            Err(error) => {
                tracing::error!(session = %id, %error, "The reaper could not use the store.");
                self.remains.leave(id);
            }
        }
    }

    /// Keeps the last screen of an ended session and ends its dead terminal. Its worktree stays:
    /// that is for a person to decide; and so does its launch file, whose environment a restore
    /// needs. `false` when it has to be tried again.
    async fn try_put_away(&self, id: &SessionId) -> Result<bool, StoreError> {
        let Some(session) = self.ports.sessions.get(id).await? else { return Ok(true) };
        if !is_to_be_put_away(&session) {
            return Ok(true);
        }
        let record = &session.record;
        if let Some(handle) = &record.handle
            && handle.process.boot == self.ports.processes.boot()
        {
            self.runner.save_screen(record, handle).await;
            if let Err(trouble) = self.runner.end_runtime(handle).await {
                tracing::warn!(session = %id, %trouble, "A dead terminal stays for now.");
                return Ok(false);
            }
        }
        if let Some(nonce) = &record.nonce {
            self.ports.processes.forget_group(nonce).await;
        }
        self.lifecycle.end_phase(id).await
    }
}

pub(super) fn is_to_be_put_away(session: &Session) -> bool {
    session.lifecycle.is_terminal()
        && session.record.phase == Phase::Running
        && session.lifecycle.intent.is_none()
}
