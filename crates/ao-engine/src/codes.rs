//! The stable codes of what can go wrong on the way to a launch, the same for a spawn, a restore and
//! their saga.

use ao_core::ports::RuntimeError;

/// There is no room for a launch file, or no right to write it.
pub(crate) const HOME_UNWRITABLE: &str = "HOME_UNWRITABLE";

/// The store did not take or give something.
pub(crate) const STORE_FAILED: &str = "STORE_FAILED";

/// Why there is no terminal: without tmux at all there is something to install.
pub(crate) const fn of_runtime(error: &RuntimeError) -> &'static str {
    match error {
        RuntimeError::Missing { .. } => "TMUX_MISSING",
        RuntimeError::Taken { .. }
        | RuntimeError::Stranger { .. }
        | RuntimeError::Gone { .. }
        | RuntimeError::Unavailable { .. }
        | RuntimeError::Refused { .. } => "RUNTIME_FAILED",
    }
}
