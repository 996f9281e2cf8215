//! The agents: how each one is launched and resumed, and what its events mean.
//!
//! An agent here only says what to execute and which files to write first; the engine does both.

mod command;
pub mod inventory;
mod program;

pub use command::{AgentTemplate, CommandAgent};
