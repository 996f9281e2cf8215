//! Fakes of the ports, and the contract suites that a fake and its real adapter both pass.
//!
//! A fake has state and a schedule of faults; it has no expectations. Never part of the program.

pub mod clock;
pub mod contract;
pub mod ids;
pub mod machine;
pub mod memory_store;
pub mod notifier;
pub mod provisioner;
pub mod screens;
pub mod scripted_agent;
pub mod tasks;
pub mod workspace;
