//! The places where the command line starts a program itself: its own daemon, and what it becomes for
//! an attach or an editor.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Becomes another program. Returns only when that fails.
#[expect(
    clippy::disallowed_methods,
    reason = "an attach and an editor get this very terminal: no child"
)]
pub(crate) fn become_program(argv: &[String], unset: &[String]) -> io::Error {
    let Some((program, args)) = argv.split_first() else {
        return io::Error::new(io::ErrorKind::InvalidInput, "the command line is empty");
    };
    let mut command = Command::new(program);
    command.args(args);
    for name in unset {
        command.env_remove(name);
    }
    command.exec()
}

/// Opens the file that a daemon's output goes to.
pub(crate) fn open_log(path: &Path) -> Result<File, io::Error> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// The path of this very program, also when its file was replaced since it started.
pub(crate) fn own_program() -> Result<PathBuf, io::Error> {
    let path = std::env::current_exe()?.into_os_string().into_vec();
    let path = path.strip_suffix(b" (deleted)").unwrap_or(&path);
    Ok(PathBuf::from(OsStr::from_bytes(path)))
}

/// Variables of one session: a daemon that is started from inside it is not about that session.
/// The settings among the `AO_*` stay; the daemon takes them over and clears them itself.
const OF_A_SESSION: [&str; 6] =
    ["AO_BIN", "AO_ISSUE_ID", "AO_LAUNCH_ID", "AO_NONCE", "AO_PROJECT_ID", "AO_SESSION_ID"];

/// Starts the daemon: output to the log, nothing to read.
///
/// A failure to start comes as an envelope, so that its code and kind are not lost. It starts in
/// `/`, so that it holds no file system and does not lose its working directory.
#[expect(clippy::disallowed_methods, reason = "the daemon is no tool run under a deadline")]
pub(crate) fn launch_daemon(
    program: &Path,
    home: Option<&Path>,
    log: File,
) -> Result<Child, io::Error> {
    let mut command = Command::new(program);
    command.args(["daemon", "--detached", "--json"]).current_dir("/").stdin(Stdio::null());
    command.stderr(log.try_clone()?).stdout(log);
    for name in OF_A_SESSION {
        command.env_remove(name);
    }
    if let Some(home) = home {
        command.env("AO_HOME", home);
    }
    command.spawn()
}
