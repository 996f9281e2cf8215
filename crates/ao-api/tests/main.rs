//! The client against a server of its own over a Unix socket.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod client;
mod server;
