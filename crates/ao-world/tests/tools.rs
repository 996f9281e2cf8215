//! What tests that run the real programs share: processes, tmux, git, and the one wait.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};
use serde_json::Value;

pub(crate) use ao_world::processes::end_all;

/// Longest wait for anything that has no limit of its own: far beyond what a loaded machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at a condition: well below what any test measures.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A program, started from outside.
#[expect(clippy::disallowed_methods, reason = "a test talks to the program from outside")]
pub(crate) fn program(name: &str) -> Command {
    Command::new(name)
}

/// Runs tmux against the server of a session.
pub(crate) fn tmux(session: &Value, args: &[&str]) -> Output {
    let socket = session["handle"]["socket"].as_str().unwrap();
    program("tmux").arg("-S").arg(socket).args(args).env_remove("TMUX").output().unwrap()
}

/// Runs git, which has to succeed.
#[track_caller]
pub(crate) fn git(directory: &Path, args: &[&str]) -> String {
    let mut command = program("git");
    command.args(args).current_dir(directory);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    succeeded(args, &command.output().unwrap())
}

/// The standard output of a command that has to have succeeded.
#[track_caller]
pub(crate) fn succeeded(args: &[&str], output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {}: {stderr}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Waits for a condition.
#[track_caller]
pub(crate) fn wait_until(claim: &str, holds: impl FnMut() -> bool) {
    assert!(waited_for(PATIENCE, holds), "not within {PATIENCE:?}: {claim}");
}

/// Whether a condition comes about in time. It holds the only sleep of these tests.
pub(crate) fn waited_for(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    #[expect(clippy::disallowed_methods, reason = "a deadline on real tools is real time")]
    let now = Instant::now;
    let deadline = now() + patience;
    loop {
        if holds() {
            return true;
        }
        if now() >= deadline {
            return false;
        }
        #[expect(clippy::disallowed_methods, reason = "the one place where a test waits")]
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The number of a process in a JSON text.
#[track_caller]
pub(crate) fn pid_of(value: &Value) -> Pid {
    let number = value.as_i64().unwrap_or_else(|| panic!("no process: {value}"));
    Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
}

/// Whether a process runs; one that nobody has waited for yet does not.
pub(crate) fn is_running(pid: Pid) -> bool {
    let state = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    let is_zombie =
        state.is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|it| it.starts_with(" Z")));
    !is_zombie && test_kill_process(pid).is_ok()
}
