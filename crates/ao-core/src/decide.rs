//! The deciders: total functions from what was observed to a verdict.
//!
//! They persist nothing, plan nothing and know no clock: [`crate::reduce`] puts their answers
//! together.

pub mod ladder;
pub mod probe;
pub mod quarantine;
pub mod settle;
pub mod typing;
