//! The binary itself: what it prints, what it exits with, and how its daemon starts and ends.

#![expect(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

mod agents;
mod daemon;
mod env;
mod programs;
mod usage;
