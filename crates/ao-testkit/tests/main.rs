//! The fakes against the contracts of their ports.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod agent;
mod machine;
mod notifier;
mod provisioner;
mod workspace;
