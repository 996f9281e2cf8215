//! What every [`Notifier`] promises.

#![expect(clippy::unwrap_used, reason = "a contract fails by panicking")]

use std::sync::Arc;

use ao_core::ids::{EffectId, ProjectId, SessionId};
use ao_core::inbox::{Notification, Priority};
use ao_core::ports::{BoxFuture, Notifier};
use ao_core::time::Timestamp;

/// What a contract needs beyond the port: the other end.
pub trait NotifierHarness: Send + Sync {
    /// The port.
    fn notifier(&self) -> Arc<dyn Notifier>;

    /// The ids that arrived, in order; a repetition may stand once or twice.
    fn arrived(&self) -> BoxFuture<'_, Vec<EffectId>>;

    /// Makes the other end fail, or work again.
    fn set_broken(&self, is_broken: bool) -> BoxFuture<'_, ()>;
}

/// A notification with text that has to travel unharmed.
pub fn notification(id: &str) -> Notification {
    Notification {
        id: EffectId::new(id),
        session: Some(SessionId::parse("app-1").unwrap()),
        project: Some(ProjectId::parse("app").unwrap()),
        reaction: "agent-stuck".to_owned(),
        cause: "no_signal".to_owned(),
        priority: Priority::Urgent,
        title: "app-1 is stuck".to_owned(),
        text: "a \"quoted\" line\nand a second; $(true) `true` \u{1b}[31m ü".to_owned(),
        at: Timestamp::from_millis(1_700_000_000_042),
    }
}

/// Runs every check.
pub async fn notifier_contract(harness: &dyn NotifierHarness) {
    let notifier = harness.notifier();
    assert_eq!(notifier.id(), harness.notifier().id(), "its name is stable");
    for id in ["one", "two"] {
        notifier.notify(&notification(id)).await.unwrap();
    }
    assert_eq!(harness.arrived().await, [EffectId::new("one"), EffectId::new("two")]);

    harness.set_broken(true).await;
    let error = notifier.notify(&notification("three")).await.unwrap_err();
    assert_eq!(error.notifier, *notifier.id());
    assert!(!error.message.is_empty());
    assert_eq!(harness.arrived().await.len(), 2, "a failure hands nothing over");

    harness.set_broken(false).await;
    notifier.notify(&notification("three")).await.unwrap();
    notifier.notify(&notification("three")).await.unwrap();
    let mut arrived = harness.arrived().await;
    arrived.dedup();
    let ids = ["one", "two", "three"].map(EffectId::new);
    assert_eq!(arrived, ids, "a repetition is no error and no other notification");

    let nobody = Notification { session: None, project: None, ..notification("four") };
    notifier.notify(&nobody).await.unwrap();
    assert_eq!(harness.arrived().await.last(), Some(&EffectId::new("four")));
}
