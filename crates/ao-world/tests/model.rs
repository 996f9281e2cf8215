//! The stand-in model server as agents meet it: over HTTP, byte by byte.

mod anthropic;
mod chat;
mod failures;
mod log;
mod refusals;
mod responses;
mod server;
mod turns;
