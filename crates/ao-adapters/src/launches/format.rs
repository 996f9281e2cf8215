//! The launch file as text.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use ao_core::ids::{LaunchId, SessionId};
use ao_core::ports::LaunchFile;
use serde::{Deserialize, Serialize};

/// Shape of the text; raised when its meaning changes.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Text {
    version: u32,
    launch: String,
    session: String,
    directory: PathBuf,
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    /// The control group that the agent starts in; files of older versions name none.
    #[serde(default)]
    group: Option<PathBuf>,
}

/// The control group that a launch file names, if it names one.
pub(super) fn read_group(bytes: &[u8]) -> Option<PathBuf> {
    serde_json::from_slice::<Text>(bytes).ok()?.group
}

pub(super) fn write(file: &LaunchFile, group: Option<&Path>) -> String {
    let json = serde_json::json!({
        "version": VERSION,
        "launch": file.launch.as_str(),
        "session": file.session.as_str(),
        "directory": file.directory.to_string_lossy(),
        "argv": file.argv,
        "env": file.env,
        "group": group.map(Path::to_string_lossy),
    });
    format!("{json:#}\n")
}

pub(super) fn read(bytes: &[u8]) -> io::Result<LaunchFile> {
    let invalid = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
    let text: Text = serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
    if text.version != VERSION {
        return Err(invalid(format!("version {} is not known to this `ao`", text.version)));
    }
    Ok(LaunchFile {
        launch: LaunchId::parse(text.launch).map_err(|error| invalid(error.to_string()))?,
        session: SessionId::parse(text.session).map_err(|error| invalid(error.to_string()))?,
        directory: text.directory,
        argv: text.argv,
        env: text.env,
    })
}
