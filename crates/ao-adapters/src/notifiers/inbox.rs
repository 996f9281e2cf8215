//! The durable inbox as a notifier: what `ao inbox` shows.

use std::sync::Arc;

use ao_core::ids::NotifierId;
use ao_core::inbox::Notification;
use ao_core::ports::{BoxFuture, Inbox, Notifier, NotifyError};

/// Puts notifications into the inbox, where they stay until somebody read them.
#[derive(Clone)]
pub struct InboxNotifier {
    id: NotifierId,
    inbox: Arc<dyn Inbox>,
}

impl InboxNotifier {
    /// A notifier of this name.
    pub fn new(id: NotifierId, inbox: Arc<dyn Inbox>) -> Self {
        Self { id, inbox }
    }
}

impl std::fmt::Debug for InboxNotifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InboxNotifier").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Notifier for InboxNotifier {
    fn id(&self) -> &NotifierId {
        &self.id
    }

    fn notify<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifyError>> {
        Box::pin(async move {
            // An item that is there already was delivered before: that is what was asked for.
            let delivered = self.inbox.deliver(notification).await;
            delivered.map(drop).map_err(|error| NotifyError {
                notifier: self.id.clone(),
                message: error.to_string(),
            })
        })
    }
}
