//! The real adapters: tmux, git worktrees, the process table, agents, notifiers.
//!
//! Leaves: they know nothing of the engine, of HTTP or of SQL. Nothing else in this program starts
//! a process, but for `ao` launching its own daemon and `ao attach` becoming what it was given.

pub mod agent_files;
pub mod agents;
pub mod cmd;
pub mod git;
pub mod launches;
pub mod memory;
pub mod notifiers;
pub mod processes;
pub mod provision;
pub mod screens;
pub mod system;
pub mod tmux;
