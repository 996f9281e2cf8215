//! One contract suite per port.
//!
//! Each suite is a function that takes the port behind `Arc<dyn …>` (or a small harness trait
//! where real set-up is needed) and panics where a promise of the port does not hold.

use std::time::Duration;

use ao_core::ports::Clock;

pub mod agent;
pub mod agent_files;
pub mod launches;
pub mod notifier;
pub mod processes;
pub mod provisioner;
pub mod runtime;
pub mod store;
pub mod workspace;

/// How long a condition may take to come true: many times what a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Waits until a condition holds, however often things change meanwhile.
///
/// # Panics
///
/// When it does not hold in time.
pub async fn wait_until(clock: &dyn Clock, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = clock.now();
    while !holds().await {
        let waited = clock.now().awake_since(&began);
        assert!(waited < PATIENCE, "it never came true that {what}");
        clock.sleep(LOOK_INTERVAL).await;
    }
}

/// Makes one test of each claim of a suite, run by a function that sets up a harness for it.
#[macro_export]
macro_rules! contract_tests {
    ($with:path, $suite:ident: $($claim:ident),+ $(,)?) => {
        $(
            #[test]
            fn $claim() {
                $with(&$crate::contract::$suite::$claim);
            }
        )+
    };
}
