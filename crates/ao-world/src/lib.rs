//! Tests that need more than one crate: the layout's rules and the real program end to end.
//!
//! Nothing depends on it and nothing of it is shipped.
