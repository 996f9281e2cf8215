//! The fakes against the contracts of their ports.

mod machine;
mod workspace;
