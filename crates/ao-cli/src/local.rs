//! What the binary answers without a daemon: the daemon's code is in the same program, and this
//! crate must not depend on it.

use std::collections::BTreeMap;

use ao_api::ErrorBody;
use ao_api::config::{ConfigCheck, ConfigView};
use ao_api::doctor::DoctorReport;
use ao_api::home::Layout;
use serde_json::Value;

/// The `AO_*` variables, which stand over the configuration file.
pub type Settings = BTreeMap<String, String>;

/// Answers that need no daemon. They are asked from a thread of their own and may block.
pub trait Local: Sync {
    /// Every key that the configuration file may have, as a JSON schema.
    fn config_schema(&self) -> Value;

    /// The configuration that a daemon would have.
    fn config_view(&self, layout: &Layout, settings: &Settings) -> Result<ConfigView, ErrorBody>;

    /// What is wrong with the configuration file of a home.
    fn config_check(&self, layout: &Layout, settings: &Settings) -> ConfigCheck;

    /// Is everything as it should be, as far as that can be seen without a daemon.
    fn doctor(&self, layout: &Layout, settings: &Settings) -> Result<DoctorReport, ErrorBody>;

    /// Mends what can be mended without a daemon.
    fn doctor_fix(&self, layout: &Layout) -> Result<(), ErrorBody>;
}
