//! `bin/ao` in the home: the stable path of this very program for agents, their hooks and launch
//! files, valid after an upgrade.
//!
//! It is a script and not a link, because hooks of an agent that runs on must not fail when the
//! program is gone.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What the kernel adds to the name of a program whose file was replaced.
const DELETED: &[u8] = b" (deleted)";

/// The path of this program, also when its file was replaced since it started.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?.into_os_string().into_vec();
    let path = path.strip_suffix(DELETED).unwrap_or(&path);
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(path)))
}

/// Writes the script for `program` at `path`, replacing an older one in one step.
pub(crate) fn write(path: &Path, program: &Path) -> io::Result<()> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(dir)?;
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let mut file = std::fs::File::create(&fresh)?;
    file.write_all(&script(program))?;
    file.set_permissions(Permissions::from_mode(0o755))?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(&fresh, path)
}

fn script(program: &Path) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for &byte in program.as_os_str().as_bytes() {
        if byte == b'\'' {
            quoted.extend_from_slice(br"'\''");
        } else {
            quoted.push(byte);
        }
    }
    quoted.push(b'\'');
    let mut script = b"#!/bin/sh\n# Written by ao whenever its daemon starts.\nprogram=".to_vec();
    script.extend_from_slice(&quoted);
    script.extend_from_slice(
        br#"
if [ -x "$program" ]; then exec "$program" "$@"; fi
case "$1" in hook | report) exit 0 ;; esac
echo "ao: $program is missing; install it again and run: ao start" >&2
exit 1
"#,
    );
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &Path, argument: &str) -> (Option<i32>, String) {
        #[expect(clippy::disallowed_methods, reason = "the test runs the script that it wrote")]
        let output = std::process::Command::new(script).args([argument, "a b"]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn it_runs_the_program_with_its_arguments_whatever_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("it's $HOME \"here\"");
        std::fs::write(&program, "#!/bin/sh\nprintf '%s|' \"$@\"\n").unwrap();
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let script = dir.path().join("bin/ao");
        write(&script, &program).unwrap();
        assert_eq!(run(&script, "hook"), (Some(0), "hook|a b|".to_owned()));
    }

    #[test]
    fn a_hook_never_fails_because_the_program_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("bin/ao");
        write(&script, &dir.path().join("gone")).unwrap();
        assert_eq!(run(&script, "hook").0, Some(0));
        assert_eq!(run(&script, "report").0, Some(0));
        assert_eq!(run(&script, "ls").0, Some(1));
    }

    #[test]
    fn an_upgrade_replaces_the_script_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("bin/ao");
        write(&script, Path::new("/old")).unwrap();
        write(&script, Path::new("/new")).unwrap();
        let text = std::fs::read_to_string(&script).unwrap();
        assert!(text.contains("program='/new'\n"), "{text}");
    }
}
