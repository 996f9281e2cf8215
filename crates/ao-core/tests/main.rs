//! The rules of the core, seen from outside.

#![expect(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

mod bounds;
mod capacity;
mod conversations;
mod ends;
mod explain;
mod fixtures;
mod forge;
mod launches;
mod lifecycle;
mod model_check;
mod properties;
mod questions;
mod reaction_rows;
mod reactions;
mod replay;
mod rule_table;
mod rules;
mod scenarios;
mod script;
mod triage;
