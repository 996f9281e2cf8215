//! Tests that need more than one crate: the layout's rules and the real program end to end.
//!
//! Nothing depends on it and nothing of it is shipped.
//! The library is what those tests talk to in place of the world: the stand-in model server, the
//! simulated world, the chaos, and the faults that are planted to see whether anybody notices.

#[cfg(feature = "program")]
pub mod chaos;
#[cfg(feature = "program")]
pub mod faults;
#[cfg(feature = "program")]
pub mod model;
#[cfg(feature = "program")]
pub mod processes;
pub mod sim;
#[cfg(feature = "program")]
pub mod sweep;
pub mod tool;
