//! What no single crate can show about the program.

#![expect(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

mod documents;
mod edges;
mod end_to_end;
mod faults;
mod hygiene;
mod model;
mod repository;
mod sim;
mod tools;
