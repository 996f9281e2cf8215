//! The adapters against the real thing: tmux, git, the process table.
//!
//! Every test has a socket, a home and a directory of its own, and ends what it started.

mod agent_files;
mod agents;
mod git;
mod launches;
mod notifiers;
mod processes;
mod provision;
mod tmux;
