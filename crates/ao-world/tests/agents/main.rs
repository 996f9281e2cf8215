//! The real Claude Code and Codex under the real `ao`, against the stand-in model server.
//!
//! `make test-agents` installs the agents and runs this. Each test has a home, a user's home, a
//! repository, a daemon and a model server of its own, and judges three things at its end: the
//! history of the session's status, how far it lagged behind the truth, and, by the log of the
//! model server, how often each message was submitted.

#![expect(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

mod daemon;
mod dialogs;
mod ends;
mod errors;
mod history;
mod kit;
mod long;
mod messages;
mod model;
mod prompts;
mod resume;
#[path = "../tools.rs"]
mod tools;
mod traces;
mod world;

/// Makes each scenario a test for each agent.
macro_rules! for_each_agent {
    ($($scenario:ident),+ $(,)?) => {
        mod claude_code {
            $(#[test]
            fn $scenario() {
                super::$scenario(crate::kit::Kit::ClaudeCode);
            })+
        }
        mod codex {
            $(#[test]
            fn $scenario() {
                super::$scenario(crate::kit::Kit::Codex);
            })+
        }
    };
}
pub(crate) use for_each_agent;
