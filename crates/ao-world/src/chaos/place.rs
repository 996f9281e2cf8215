//! Where it happens: a home, two repositories and the journals, all in one temporary directory.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ao_adapters::cmd::{Cmd, Output};
use rustix::process::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::processes;
use crate::tool::Failure;

/// The projects, each with a repository and a tmux server of its own.
pub(crate) const PROJECTS: [&str; 2] = ["left", "right"];

/// How long a command may take: a kill waits half a minute for its teardown.
const COMMAND_FOR_MAX: Duration = Duration::from_secs(90);

/// Bytes of an answer: the history of every line that was written.
const ANSWER_BYTES_MAX: usize = 512 * 1024 * 1024;

/// A home and what belongs to it.
pub(crate) struct Place {
    dir: TempDir,
    program: PathBuf,
}

impl Place {
    pub(crate) async fn new(program: &Path) -> Result<Self, Failure> {
        let dir = tempfile::Builder::new().prefix("ao-chaos-").tempdir()?;
        let place = Self { dir, program: fs::canonicalize(program)? };
        fs::create_dir(place.home())?;
        fs::create_dir(place.journals())?;
        let journals = place.journals();
        let journals = journals.to_string_lossy();
        // Restored ones and all: none has to wait for a place.
        let mut config = "[capacity]\nmax = 0\n".to_owned();
        let agents =
            [("diarist", include_str!("diarist.sh")), ("listener", include_str!("listener.sh"))];
        for (name, script) in agents {
            let command = serde_json::to_string(&["bash", "-c", script, name, &journals])?;
            writeln!(config, "[agents.{name}]\nlaunch = {command}\nresume = {command}")?;
        }
        fs::write(place.home().join("config.toml"), config)?;
        for project in PROJECTS {
            let repo = place.repo(project);
            fs::create_dir(&repo)?;
            place.git(&repo, &["init", "--quiet", "--initial-branch", "main"]).await?;
            place.git(&repo, &["config", "user.name", "Chaos"]).await?;
            place.git(&repo, &["config", "user.email", "chaos@example.invalid"]).await?;
            fs::write(repo.join(".gitignore"), "*.local\n")?;
            place.git(&repo, &["add", "."]).await?;
            place.git(&repo, &["commit", "--quiet", "--message", "start"]).await?;
        }
        place.ok(&["start"]).await?;
        for project in PROJECTS {
            let repo = place.repo(project);
            place.ok(&["project", "add", &repo.to_string_lossy(), "--id", project]).await?;
        }
        Ok(place)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub(crate) fn journals(&self) -> PathBuf {
        self.dir.path().join("journals")
    }

    pub(crate) fn repo(&self, project: &str) -> PathBuf {
        self.dir.path().join(project)
    }

    /// The program `ao`.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// A program of the world outside, which knows nothing of this home.
    pub(crate) fn outside(&self, program: impl AsRef<std::ffi::OsStr>) -> Cmd {
        let mut cmd = Cmd::new(program).env_clear();
        for name in ["PATH", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                cmd = cmd.env(name, value);
            }
        }
        cmd.env("LANG", "C.UTF-8")
            .env("HOME", self.dir.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .dir(self.dir.path())
            .timeout(COMMAND_FOR_MAX)
            .output_bytes_max(ANSWER_BYTES_MAX)
    }

    /// Runs `ao ARGS`.
    pub(crate) async fn ao(&self, args: &[&str]) -> Result<Output, Failure> {
        let cmd = self.outside(&self.program).env("AO_HOME", self.home()).args(args);
        Ok(cmd.run().await?)
    }

    /// Runs `ao ARGS`, which has to succeed.
    pub(crate) async fn ok(&self, args: &[&str]) -> Result<String, Failure> {
        succeeded(args, &self.ao(args).await?)
    }

    /// Every session, as the daemon tells it.
    pub(crate) async fn sessions(&self) -> Result<Vec<Value>, Failure> {
        Ok(serde_json::from_str(&self.ok(&["ls", "--all", "--json"]).await?)?)
    }

    /// Runs git in a directory, where it has to succeed.
    pub(crate) async fn git(&self, dir: &Path, args: &[&str]) -> Result<String, Failure> {
        succeeded(args, &self.outside("git").args(args).dir(dir).run().await?)
    }

    /// Runs tmux against the server of a project.
    pub(crate) async fn tmux(&self, project: &str, args: &[&str]) -> Result<Output, Failure> {
        let socket = self.home().join(format!("t-{project}"));
        Ok(self.outside("tmux").arg("-S").arg(socket).args(args).run().await?)
    }

    /// The daemon, found from outside.
    pub(crate) fn daemon(&self) -> Option<Pid> {
        let log = self.home().join("daemon.lock");
        let is_daemon = |pid: &Pid| {
            let fds = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero()));
            let mut open = fds.into_iter().flatten().flatten();
            open.any(|fd| fs::read_link(fd.path()).is_ok_and(|it| it == log))
        };
        self.processes().into_iter().find(|it| is_daemon(&it.pid)).map(|it| it.pid)
    }

    /// Every process that has this home in its environment.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let mut found = Vec::new();
        for pid in processes::with_variable(&self.variable()) {
            let session = (processes::environment(pid).iter())
                .find_map(|it| it.strip_prefix(b"AO_SESSION_ID="))
                .map(|it| String::from_utf8_lossy(it).into_owned());
            let command = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
            let command = command.unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            found.push(Process { pid, session, command });
        }
        found
    }

    /// Ends every process of this home by force.
    pub(crate) fn end_processes(&self) {
        processes::end_all(&self.variable());
    }

    /// What every process of this home has in its environment.
    fn variable(&self) -> String {
        format!("AO_HOME={}", self.home().display())
    }

    /// Leaves the directory for a look, and says where it is.
    pub(crate) fn keep(self) -> PathBuf {
        self.dir.keep()
    }

    /// Ends everything that runs for this home.
    pub(crate) async fn end(&self) -> Result<(), Failure> {
        // A home that is damaged is ended by force.
        drop(self.ao(&["stop", "--sessions"]).await);
        self.end_processes();
        Ok(())
    }
}

/// A process, seen from outside.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    /// The session in its environment.
    pub(crate) session: Option<String>,
    pub(crate) command: String,
}

fn succeeded(args: &[&str], output: &Output) -> Result<String, Failure> {
    if output.status.success() {
        return Ok(output.stdout_text());
    }
    Err(format!("{args:?}: {}: {}", output.status, output.stderr_text()).into())
}
