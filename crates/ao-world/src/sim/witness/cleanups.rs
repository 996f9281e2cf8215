//! Cleanups: begun only when asked for, only of what ended, and only what is merged, unless work is
//! to be set aside.

use ao_core::ids::SessionId;
use ao_core::ports::{Removal, RemovalMode};
use ao_core::saga::{Saga, SagaKind};

use super::{Seen, Witness};

/// What was seen of cleanups.
#[derive(Default)]
pub(crate) struct Cleanups {
    n_careful: u32,
    n_discarding: u32,
}

/// A cleanup while it is being performed.
pub(crate) struct Cleaning {
    witness: Witness,
    discard: bool,
}

impl Cleanups {
    const fn open(&mut self, discard: bool) -> &mut u32 {
        if discard { &mut self.n_discarding } else { &mut self.n_careful }
    }
}

impl Drop for Cleaning {
    fn drop(&mut self) {
        *self.witness.seen().cleanups.open(self.discard) -= 1;
    }
}

impl Witness {
    /// Sees somebody ask for a cleanup.
    pub(crate) fn cleaning(&self, discard: bool) -> Cleaning {
        *self.seen().cleanups.open(discard) += 1;
        Cleaning { witness: self.clone(), discard }
    }

    /// Sees a worktree removed; `is_merged` of the commit that it stood on, where there was one.
    pub(crate) fn freed(
        &self,
        session: &SessionId,
        mode: RemovalMode,
        removal: &Removal,
        is_merged: Option<bool>,
    ) {
        let Removal::Removed { preserved, .. } = removal else { return };
        let mut seen = self.seen();
        let saga = seen.sagas.get(session).cloned();
        let is_cleanup = saga.as_ref().is_some_and(|saga| saga.kind == SagaKind::Cleanup);
        let is_asked =
            seen.discards.contains(session) || saga.is_some_and(|saga| is_cleanup && saga.discard);
        if mode == RemovalMode::Discard && !is_asked {
            seen.violate(format!("{session}: its work is set aside, and nobody asked for it"));
        }
        if !is_cleanup {
            return;
        }
        let is_ended = seen.sessions.get(session).is_some_and(|it| it.lifecycle.is_terminal());
        if !is_ended {
            seen.violate(format!("{session}: cleaned up, and it has not ended"));
        }
        if mode != RemovalMode::Discard {
            if is_merged == Some(false) {
                seen.violate(format!("{session}: cleaned up, and its work is not merged"));
            }
            if preserved.is_some() {
                seen.occurred.insert("cleanup:squashed".to_owned());
            }
        }
    }
}

impl Seen {
    pub(super) fn check_cleanup(&mut self, saga: &Saga) {
        if saga.kind == SagaKind::Cleanup && *self.cleanups.open(saga.discard) == 0 {
            self.violate(format!("{}: a cleanup that nobody asked for", saga.session));
        }
    }
}
