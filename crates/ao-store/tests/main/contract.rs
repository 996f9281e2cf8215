//! The contract that the store shares with its fake.

use ao_store::{Options, Retention};
use ao_testkit::contract::store::{self, Stores};

use crate::open_with;

#[test]
fn the_database_keeps_the_contract_of_a_store() {
    store::check(|n_events| {
        let dir = tempfile::tempdir().unwrap();
        let retention = Retention { events: n_events, ..Retention::default() };
        let store = open_with(dir.path(), Options { retention, ..Options::default() });
        Stores::over(store, dir)
    });
}
