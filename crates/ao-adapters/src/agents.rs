//! The agents: how each one is launched and resumed, and what its events mean.
//!
//! An agent here only says what to execute and which files to write first; the engine does both.

mod claude_code;
mod codex;
mod command;
pub mod inventory;
mod json;
mod program;
mod styled;

pub use claude_code::ClaudeCode;
pub use codex::Codex;
pub use command::{AgentTemplate, CommandAgent};
