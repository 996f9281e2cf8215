//! What no single crate can show about the program.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod documents;
mod edges;
mod hygiene;
mod repository;
