//! A home of a test's own, and the binary run in it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A home, a repository, and an environment in which nothing of the caller's own home is seen.
/// At the end no daemon and no session is left.
pub(crate) struct TestEnv {
    dir: tempfile::TempDir,
    home: PathBuf,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The error envelope on standard error.
    pub(crate) fn error(&self) -> Value {
        let envelope: Value =
            serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert_eq!(self.out, "", "a failure prints nothing on standard output");
        envelope["error"].clone()
    }
}

impl TestEnv {
    /// A home that does not exist yet.
    pub(crate) fn new() -> Self {
        Self::with_home("home")
    }

    /// A home at this path below a directory of the test's own.
    pub(crate) fn with_home(path: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join(path);
        Self { dir, home }
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// Runs `ao`.
    pub(crate) fn ao(&self, args: &[&str]) -> Ended {
        self.ao_with(args, &[], "")
    }

    /// Runs `ao` with more variables and something on standard input.
    pub(crate) fn ao_with(&self, args: &[&str], vars: &[(&str, &str)], input: &str) -> Ended {
        let mut command = self.command();
        command.args(args).envs(vars.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may be gone by now.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        ended(child.wait_with_output().unwrap())
    }

    /// Runs a shell line in which `ao` is this binary.
    pub(crate) fn shell(&self, line: &str) -> Ended {
        #[expect(clippy::disallowed_methods, reason = "a test's own shell, waited for here")]
        let mut shell = Command::new("sh");
        let line = format!("ao() {{ '{}' \"$@\"; }}; {line}", env!("CARGO_BIN_EXE_ao"));
        self.prepare(&mut shell);
        ended(shell.args(["-c", &line]).output().unwrap())
    }

    fn command(&self) -> Command {
        #[expect(clippy::disallowed_methods, reason = "the binary under test, waited for here")]
        let mut command = Command::new(env!("CARGO_BIN_EXE_ao"));
        self.prepare(&mut command);
        command
    }

    fn prepare(&self, command: &mut Command) {
        let path = std::env::vars_os().find(|(name, _)| name == "PATH").unwrap().1;
        command
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.dir.path())
            .env("LC_ALL", "C.UTF-8")
            .env("AO_HOME", &self.home);
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        self.ao(&["stop", "--sessions"]);
    }
}

fn ended(output: Output) -> Ended {
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
