//! The simulated world: the real engine and the real database over seeded fakes.
//!
//! A seed makes a [`plan::Plan`]: acts of people and agents, faults, and passes of time. A run
//! performs it on one single-threaded executor that picks the next ready task by the same seed,
//! lets the daemon die at any yield point (and between `COMMIT` and its reply), builds it again on
//! what is on disk, and holds everything that is written, typed and told against the promises of
//! the design. The same seed gives a byte-identical history.
//!
//! It starts no program and reads no clock. Nothing of it is shipped.

mod acts;
mod agents;
pub mod cover;
pub(crate) mod dice;
mod forge;
mod gate;
mod hearing;
mod keeping;
mod machine_ports;
mod memory;
mod names;
mod news;
mod outside;
pub mod plan;
pub mod points;
mod quiet;
mod replays;
mod run;
mod setup;
mod shrink;
pub mod terms;
mod witness;
mod world;

pub use memory::Reads;
pub use run::{Report, run, run_reading, run_steps};
pub use shrink::shrink;
pub use world::Trouble;
