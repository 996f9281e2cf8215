//! The fake notifier keeps the promises of the port.

use std::sync::Arc;

use ao_core::ids::{EffectId, NotifierId};
use ao_core::ports::{BoxFuture, Notifier};
use ao_testkit::contract::notifier::{NotifierHarness, notification, notifier_contract};
use ao_testkit::notifier::FakeNotifier;
use futures_util::FutureExt as _;

struct Harness(Arc<FakeNotifier>);

impl NotifierHarness for Harness {
    fn notifier(&self) -> Arc<dyn Notifier> {
        Arc::clone(&self.0) as Arc<dyn Notifier>
    }

    fn arrived(&self) -> BoxFuture<'_, Vec<EffectId>> {
        Box::pin(async move { self.0.taken_ids() })
    }

    fn set_broken(&self, is_broken: bool) -> BoxFuture<'_, ()> {
        Box::pin(async move { if is_broken { self.0.go_down() } else { self.0.come_up() } })
    }
}

fn fake() -> Arc<FakeNotifier> {
    Arc::new(FakeNotifier::new(NotifierId::parse("fake").unwrap()))
}

#[test]
fn the_fake_keeps_the_notifier_contract() {
    notifier_contract(&Harness(fake())).now_or_never().unwrap();
}

#[test]
fn a_scheduled_fault_is_met_once() {
    let fake = fake();
    fake.fail_next("no route");
    let error = fake.notify(&notification("one")).now_or_never().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "notifier `fake` failed: no route");
    fake.notify(&notification("one")).now_or_never().unwrap().unwrap();
    assert_eq!((fake.n_calls(), fake.taken().len()), (2, 1));
}
