//! The pure core: the canonical record of a session, the facts about it, the rules that turn one
//! into the other, and the ports through which the outside is reached.
//!
//! It does no I/O, reads no clock, draws no random numbers, knows no wire or file format, and has
//! `async` only in the signatures of [`ports`].

#![warn(missing_docs)]
#![deny(clippy::unreachable)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod closed;

pub mod agent;
pub mod capacity;
pub mod deadline;
pub mod decide;
pub mod echo;
pub mod event;
pub mod explain;
pub mod fact;
pub mod ids;
pub mod inbox;
pub mod journal;
pub mod ledger;
pub mod message;
pub mod outbox;
pub mod policy;
pub mod ports;
pub mod pr;
pub mod project;
pub mod react;
pub mod reading;
pub mod receipt;
pub mod record;
pub mod reduce;
pub mod replay;
pub mod restore;
pub mod saga;
pub mod session;
pub mod status;
pub mod step;
pub mod time;
pub mod triage;

pub use closed::UnknownName;
