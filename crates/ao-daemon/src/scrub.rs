//! Takes every `AO_*` but `AO_HOME` out of the daemon's environment.
//!
//! A tmux server hands its own environment to every later session, and the environment of a
//! process cannot be changed from within without a race. So the daemon executes itself again, once,
//! under the same process number, and gets its settings on standard input instead.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{MemfdFlags, memfd_create};

/// The option that says that the settings stand on standard input.
pub(crate) const SETTINGS_ON_STDIN: &str = "--settings-on-stdin";

/// The one variable that stays: outside scripts find the home of a daemon by it.
const KEPT: &str = "AO_HOME";

/// Settings are a few scalars; what is longer is not ours.
const SETTINGS_BYTES_MAX: u64 = 64 * 1024;

/// Splits an environment into what may stay and the settings.
fn split(
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> (Vec<(OsString, OsString)>, BTreeMap<String, String>) {
    let mut clean = Vec::new();
    let mut settings = BTreeMap::new();
    for (name, value) in env {
        match name.to_str() {
            Some(text) if text.starts_with("AO_") && text != KEPT => {
                settings.insert(text.to_owned(), value.to_string_lossy().into_owned());
            }
            Some(_) | None => clean.push((name, value)),
        }
    }
    (clean, settings)
}

/// Executes the daemon again with a clean environment; returns only when that is not needed, with
/// nothing, or when it failed.
pub(crate) fn execute_clean(
    program: &Path,
    args: &[OsString],
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> io::Result<()> {
    let (clean, settings) = split(env);
    if settings.is_empty() {
        return Ok(());
    }
    let mut file = File::from(memfd_create("ao-settings", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(&settings)?)?;
    file.rewind()?;
    #[expect(clippy::disallowed_methods, reason = "becomes this program; it starts no other")]
    let error = std::process::Command::new(program)
        .args(args)
        .arg(SETTINGS_ON_STDIN)
        .env_clear()
        .envs(clean)
        .stdin(Stdio::from(file))
        .exec();
    Err(error)
}

/// Reads the settings that [`execute_clean`] put there.
pub(crate) fn settings_from(input: impl io::Read) -> io::Result<BTreeMap<String, String>> {
    let mut text = Vec::new();
    input.take(SETTINGS_BYTES_MAX).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn only_the_home_stays_of_what_is_ours() {
        let (clean, settings) = split(env(&[
            ("AO_HOME", "/h"),
            ("AO_LOG", "debug"),
            ("AO_SESSION_ID", "app-1"),
            ("PATH", "/bin"),
        ]));
        assert_eq!(clean, env(&[("AO_HOME", "/h"), ("PATH", "/bin")]));
        let names: Vec<&String> = settings.keys().collect();
        assert_eq!(names, ["AO_LOG", "AO_SESSION_ID"]);
    }

    #[test]
    fn a_clean_environment_needs_no_second_execution() {
        let clean = env(&[("AO_HOME", "/h"), ("PATH", "/bin")]);
        assert!(execute_clean(Path::new("/nonexistent"), &[], clean).is_ok());
    }

    #[test]
    fn settings_that_are_none_are_refused() {
        assert!(settings_from(&b"not json"[..]).is_err());
        let settings = settings_from(&br#"{"AO_LOG":"debug"}"#[..]).unwrap();
        assert_eq!(settings.get("AO_LOG").map(String::as_str), Some("debug"));
    }
}
