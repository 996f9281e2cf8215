//! The composition root: configuration, the HTTP interface on the Unix socket, and the one place
//! that names concrete adapters.

mod agent_env;
mod agents;
mod app;
pub mod config;
mod daemon;
mod diffs;
mod doctor;
mod fault;
mod home;
mod home_lost;
mod http;
mod lock;
pub mod offline;
mod outside;
mod resolve;
mod run;
mod scrub;
mod socket;
mod spool;
mod stop;
mod trash;
mod wire;
mod wrapper;

pub use daemon::{Daemon, DaemonError, MakeOutside, Setup};
pub use home::HomeFault;
pub use outside::{EndTasks, Outside, OutsideError};
pub use run::{DaemonArgs, run};
pub use socket::SocketError;
pub use stop::Stop;

/// Becomes the agent whose launch files stand in `dir`. Returns only when that failed: the error,
/// and the exit code that says so.
pub fn launch_agent(dir: &std::path::Path) -> (ao_adapters::launches::LauncherError, u8) {
    (ao_adapters::launches::become_agent(dir), ao_adapters::launches::STATUS_NOT_EXECUTED)
}
