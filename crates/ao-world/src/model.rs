//! A stand-in for the model servers that coding agents talk to, so that they run without an
//! account, offline, and do what a test wants.
//!
//! The user's text carries the script ([`script`]), so the server keeps nothing that it needs: it
//! may be restarted in mid-conversation. A request is read into a [`conversation`], [`plan`] finds
//! the step that is due, and the protocol of the request ([`anthropic`], [`responses`], [`chat`])
//! says it as the real server does. It is no model, checks no key and has no protocol whole: it
//! says what the real agents read.

mod anthropic;
mod args;
mod chat;
mod conversation;
mod delivery;
mod failure;
mod log;
mod memory;
mod plan;
mod responses;
mod script;
mod serve;
mod side;
mod wire;

pub use args::{Args, ArgsError};
pub use serve::{ServeError, run};
