//! The composition root: configuration, the HTTP interface on the Unix socket, and the one place
//! that names concrete adapters.

pub mod config;

mod agent_env;
mod scrub;
mod socket;
mod wrapper;
