//! The real engine over the fakes: the same code as in the daemon, a clock that jumps, and an
//! executor that picks the next task by seed.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod adoption;
mod automatic;
mod chaos;
mod cleanup;
mod crashes;
mod flow;
mod gate;
mod harness;
mod messages;
mod observer;
mod outages;
mod places;
mod provisions;
mod races;
mod reactions;
mod recover;
mod restore;
mod store_trouble;
