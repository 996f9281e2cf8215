//! One contract suite per port.
//!
//! Each suite is a function that takes the port behind `Arc<dyn …>` (or a small harness trait
//! where real set-up is needed) and panics where a promise of the port does not hold.

pub mod launches;
pub mod notifier;
pub mod processes;
pub mod runtime;
pub mod store;
pub mod workspace;
