//! Ways to reach a human.

use super::BoxFuture;
use crate::ids::NotifierId;
use crate::inbox::Notification;

/// Why a notification was not handed over; it is tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("notifier `{notifier}` failed: {message}")]
pub struct NotifyError {
    /// Which one.
    pub notifier: NotifierId,
    /// What went wrong.
    pub message: String,
}

/// Hands notifications on.
pub trait Notifier: Send + Sync {
    /// Its name in the routing table.
    fn id(&self) -> &NotifierId;

    /// Hands one on; returns when that is durable. The same id may come twice: at least once is
    /// what the outbox promises.
    fn notify<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifyError>>;
}
