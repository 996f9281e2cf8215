//! What the daemon and its clients say to each other, and the typed client that says it.
//!
//! Every key of an answer is always present, `null` when there is nothing to tell; times are
//! RFC 3339 in UTC with milliseconds. A value of a closed enum of the core (states, reasons,
//! statuses, …) travels as its one spelling, so that a client can show what a newer daemon added;
//! what belongs to the interface itself is an enum here.
//!
//! This crate depends on nothing of ours, prints nothing and reads no environment.

#![warn(missing_docs)]

pub mod agents;
pub mod cleanup;
pub mod client;
pub mod config;
pub mod doctor;
pub mod error;
pub mod event;
pub mod explain;
pub mod home;
pub mod inbox;
pub mod kill;
pub mod message;
pub mod payload;
pub mod project;
pub mod replay;
pub mod restore;
pub mod routes;
pub mod session;
pub mod signal;
pub mod spawn;
pub mod spool;
pub mod status;
pub mod terminal;

pub use client::{Client, ClientError};
pub use error::{ErrorBody, ErrorEnvelope, ErrorKind};

/// Raised when an answer changes its meaning, not when something is added.
pub const API_VERSION: u32 = 1;

/// The release that this crate was built as; daemon and command line carry the same one.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Header of every answer: the daemon's release.
pub const DAEMON_VERSION_HEADER: &str = "ao-daemon-version";

/// Header of every answer: the daemon's [`API_VERSION`].
pub const API_VERSION_HEADER: &str = "ao-api-version";

/// Header of every request: the client's release.
pub const CLIENT_VERSION_HEADER: &str = "ao-client-version";
