//! The daemon in this process: a real socket and a real database, fakes for the rest.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod boot;
mod feed;
mod harness;
mod messages;
mod projects;
mod restore;
mod sessions;
mod signals;
mod spool;
