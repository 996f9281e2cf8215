//! Hears the decisions that write nothing. The engine tells them to its log only, so this is one.

use std::fmt::Debug;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::witness::Witness;

/// Where the engine tells of such decisions.
const TARGET: &str = "ao_engine::unchanged";

/// A log that keeps the rules and nothing else.
pub(crate) struct Hearing {
    witness: Witness,
}

impl Hearing {
    /// Hears everything that is decided on this thread while the answer lives.
    pub(crate) fn of(witness: Witness) -> tracing::subscriber::DefaultGuard {
        tracing::subscriber::set_default(Self { witness })
    }
}

impl Visit for &Hearing {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "rule" {
            self.witness.count(format!("rule:{value}"));
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn Debug) {}
}

impl Subscriber for Hearing {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut &*self);
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}
