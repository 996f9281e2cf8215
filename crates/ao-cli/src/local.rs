//! What the binary answers without a daemon: its other half, the daemon's code, is in the same
//! program, and this crate must not depend on it.

use ao_api::config::ConfigCheck;
use ao_api::home::Layout;
use serde_json::Value;

/// Answers that need no daemon.
pub trait Local {
    /// Every key that the configuration file may have, as a JSON schema.
    fn config_schema(&self) -> Value;

    /// What is wrong with the configuration file of a home.
    fn check_config(&self, layout: &Layout) -> ConfigCheck;
}
