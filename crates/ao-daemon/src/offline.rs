//! Answers that need no daemon.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ao_api::config::{ConfigCheck, ConfigProblem, ConfigView};
use ao_api::doctor::DoctorReport;
use ao_api::error::{ErrorBody, ErrorKind};
use ao_api::home::Layout;
use serde_json::Value;

use crate::agents::{self, Place};
use crate::config::{self, Config, ConfigError};
use crate::doctor;
use crate::fault::Fault;

/// Every key that the configuration file may have, as a JSON schema.
pub fn config_schema() -> Value {
    config::schema()
}

/// Where a configuration file is looked for, first one first.
pub fn config_files(layout: &Layout) -> Vec<PathBuf> {
    vec![layout.config_file.clone()]
}

/// The configuration as it would be in force.
pub fn config_view(
    layout: &Layout,
    env: &BTreeMap<String, String>,
) -> Result<ConfigView, ErrorBody> {
    let files = config_files(layout);
    let config = Config::load(&files, env).map_err(|error| config_refused(&error))?;
    let config = config.with_memory(ao_adapters::memory::total_bytes());
    view(&config, &files).map_err(|error| Fault::bug(error.to_string()).into_body())
}

/// A configuration that cannot be used, in the one shape that all failures have.
pub(crate) fn config_refused(error: &ConfigError) -> ErrorBody {
    ErrorBody {
        code: "CONFIG_INVALID".to_owned(),
        kind: ErrorKind::User,
        message: error.to_string(),
        hint: Some(
            "`ao config check` looks at it again, `ao config schema` names each key".to_owned(),
        ),
    }
}

/// What is wrong with the configuration file.
pub fn config_check(files: &[PathBuf], env: &BTreeMap<String, String>) -> ConfigCheck {
    let path = files.iter().find(|path| path.exists()).or_else(|| files.first());
    let path = path.map(|path| path.display().to_string()).unwrap_or_default();
    match Config::load(files, env) {
        Ok(_) => ConfigCheck { path, ok: true, problems: Vec::new() },
        Err(error) => ConfigCheck {
            path,
            ok: false,
            problems: error
                .problems
                .into_iter()
                .map(|problem| ConfigProblem {
                    line: problem.line.and_then(|line| u64::try_from(line).ok()),
                    message: problem.message,
                    hint: problem.hint,
                })
                .collect(),
        },
    }
}

/// Is everything as it should be, as far as that can be seen without a daemon. It blocks.
pub fn doctor(layout: &Layout, env: &BTreeMap<String, String>) -> Result<DoctorReport, ErrorBody> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::bug(error.to_string()).into_body())?;
    let config = Config::load(&config_files(layout), env);
    let place = Place { env: agents::own_env(), repositories: Vec::new() };
    Ok(runtime.block_on(doctor::examine(layout, &config, &place, None)))
}

/// Makes the directories of a home and takes away what others may do with them.
pub fn doctor_fix(layout: &Layout) -> Result<(), ErrorBody> {
    doctor::mend(layout).map_err(|fault| Fault::from(fault).into_body())
}

/// The configuration in force, secrets left out.
pub(crate) fn view(config: &Config, files: &[PathBuf]) -> Result<ConfigView, serde_json::Error> {
    let path = config.path.as_ref().or_else(|| files.first());
    Ok(ConfigView {
        path: path.map(|path| path.display().to_string()).unwrap_or_default(),
        exists: config.path.is_some(),
        values: serde_json::to_value(config.in_force())?,
    })
}
