//! What the benchmarks share: a home with a repository, its daemon, and the program.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ao_world::processes::end_all;
use tempfile::TempDir;

/// What is installed, as far as the daemon can tell.
const AGENT: &str = "#!/bin/sh\nexec sleep 3600\n";

/// The program that is measured.
pub(crate) fn ao() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_ao-world-ao"))
}

/// The words of a command line.
pub(crate) fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// A home whose daemon runs and knows the repository as project `app`.
pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("ao-bench-").tempdir().unwrap();
        let home = Self { dir };
        let repo = home.path("app");
        for made in ["home", "app", "bin"] {
            fs::create_dir(home.path(made)).unwrap();
        }
        let agent = home.path("bin/claude");
        fs::write(&agent, AGENT).unwrap();
        fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
        for args in ["init --quiet --initial-branch main", "commit --quiet --allow-empty -m start"]
        {
            let mut git = home.command(Path::new("git"));
            git.args(["-c", "user.name=Bench", "-c", "user.email=bench@example.invalid"]);
            assert!(git.args(args.split(' ')).current_dir(&repo).status().unwrap().success());
        }
        home.ao("start");
        home.ao(&format!("project add {} --id app", repo.display()));
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn command(&self, program: &Path) -> Command {
        let path = std::env::var_os("PATH").unwrap();
        let dirs = std::iter::once(self.path("bin")).chain(std::env::split_paths(&path));
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::join_paths(dirs).unwrap());
        command.env("HOME", self.dir.path()).env("AO_HOME", self.path("home"));
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }

    /// Runs `ao`, which has to succeed.
    pub(crate) fn ao(&self, line: &str) -> String {
        let mut command = self.command(&ao());
        let output = command.args(words(line)).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What could not be started need not be ended, and what does not end is ended by force.
        drop(self.command(&ao()).args(["stop", "--sessions"]).output());
        end_all(&format!("AO_HOME={}", self.path("home").display()));
    }
}
