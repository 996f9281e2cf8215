//! One home, one repository, one daemon; all of it ends with the value that holds it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ao_world::processes::{end_groups, with_variable};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::tools::{PATIENCE, end_all, program, waited_for};
pub(crate) use crate::tools::{git, is_running, pid_of, succeeded, tmux, wait_until};

/// So far apart that no pass explains what is seen within a test: only an event can.
const REAPER_INTERVAL: &str = "600s";

/// A home with a repository beside it.
pub(crate) struct World {
    dir: TempDir,
}

/// How a refused command answered.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Its exit code.
    pub(crate) exit: i32,
    /// The stable name of what is wrong.
    pub(crate) code: String,
    /// The sentence.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: String,
}

impl World {
    /// A home without a daemon, and the repository `hello` with one commit on `main`.
    pub(crate) fn new() -> Self {
        let world = Self { dir: tempfile::Builder::new().prefix("ao-world-").tempdir().unwrap() };
        fs::create_dir(world.home()).unwrap();
        world.repository("hello");
        world
    }

    /// A home whose daemon runs and knows the repository as project `hello`.
    pub(crate) fn started() -> Self {
        let world = Self::new();
        world.start();
        world
    }

    /// Starts the daemon and registers the repository.
    pub(crate) fn start(&self) {
        self.ok(&["start"]);
        self.ok(&["project", "add", self.repo().to_str().unwrap(), "--id", "hello"]);
    }

    /// A directory for what a test needs beside home and repository.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The value of `AO_HOME`.
    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// The repository.
    pub(crate) fn repo(&self) -> PathBuf {
        self.path("hello")
    }

    /// Makes a further repository with one commit.
    pub(crate) fn repository(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).unwrap();
        git(&path, &["init", "--quiet", "--initial-branch", "main"]);
        git(&path, &["config", "user.name", "World"]);
        git(&path, &["config", "user.email", "world@example.invalid"]);
        fs::write(path.join("README.md"), "hello\n").unwrap();
        git(&path, &["add", "."]);
        git(&path, &["commit", "--quiet", "--message", "start"]);
        path
    }

    /// The command line `ao ARGS` in this world, nothing else of this process's environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = program(env!("CARGO_BIN_EXE_ao-world-ao"));
        let path = std::env::var_os("PATH").unwrap();
        command.args(args).env_clear().env("PATH", path).env("LANG", "C.UTF-8");
        command.env("HOME", self.path("")).env("AO_HOME", self.home());
        command.env("AO_REAPER_INTERVAL", REAPER_INTERVAL);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// Runs a shell script in this world's environment.
    pub(crate) fn shell(&self, script: &str) -> Output {
        let ao = self.command(&[]);
        let mut command = program("sh");
        command.args(["-c", script]).env_clear();
        command.envs(ao.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.output().unwrap()
    }

    /// Runs `ao ARGS`.
    pub(crate) fn ao(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs `ao ARGS`, which has to succeed, and returns its standard output.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        succeeded(args, &self.ao(args))
    }

    /// Runs `ao ARGS --json`, which has to succeed.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let args: Vec<_> = args.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.ok(&args)).unwrap()
    }

    /// Runs `ao ARGS --json`, which has to be refused in the documented way: one sentence, a hint,
    /// nothing on standard output.
    #[track_caller]
    pub(crate) fn refused(&self, args: &[&str]) -> Refusal {
        // What comes after `--` is the agent's.
        let (ours, theirs) =
            args.split_at(args.iter().position(|it| *it == "--").unwrap_or(args.len()));
        let args: Vec<_> = ours.iter().chain(&["--json"]).chain(theirs).copied().collect();
        refusal(&args, &self.ao(&args))
    }

    /// Starts a session whose agent is a shell script, and returns its id.
    ///
    /// The script finds the path of this world in `$1`.
    #[track_caller]
    pub(crate) fn spawn(&self, name: &str, script: &str) -> String {
        let place = self.path("");
        let args = ["spawn", "--project", "hello", "--name", name, "--agent", "command", "--"];
        let command = ["bash", "-c", script, "bash", place.to_str().unwrap()];
        let args: Vec<_> = args.iter().chain(&command).copied().collect();
        self.ok(&args).trim().to_owned()
    }

    /// A session as `ao show` has it.
    #[track_caller]
    pub(crate) fn session(&self, id: &str) -> Value {
        self.json(&["show", id])
    }

    /// Waits until a session has a status.
    #[track_caller]
    pub(crate) fn wait_for(&self, id: &str, status: &str) -> Value {
        let outcome = self.ao(&["wait", id, "--for", status, "--timeout", "25s"]);
        let session = self.session(id);
        assert!(outcome.status.success(), "not {status}: {session:#}");
        assert_eq!(session["status"], status, "{session:#}");
        session
    }

    /// The agent's process.
    #[track_caller]
    pub(crate) fn pid(&self, id: &str) -> Pid {
        let session = self.session(id);
        pid_of(&session["handle"]["pid"])
    }

    /// The daemon's process.
    #[track_caller]
    pub(crate) fn daemon_pid(&self) -> Pid {
        pid_of(&self.json(&["status"])["pid"])
    }

    /// Kills the daemon as a crash would, and waits until it is gone.
    #[track_caller]
    pub(crate) fn crash(&self) {
        let daemon = self.daemon_pid();
        kill_process(daemon, Signal::KILL).unwrap();
        wait_until("the daemon is gone", || !is_running(daemon));
    }

    /// The worktrees that git has registered, the repository's own included.
    pub(crate) fn worktrees(&self) -> Vec<String> {
        let listed = git(&self.repo(), &["worktree", "list", "--porcelain"]);
        let paths = listed.lines().filter_map(|line| line.strip_prefix("worktree "));
        paths.map(ToOwned::to_owned).collect()
    }

    /// The processes that listen to tmux servers for a daemon of this home.
    pub(crate) fn listeners(&self) -> Vec<Pid> {
        let is_listener = |pid: &Pid| {
            let command = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
            command.is_ok_and(|it| String::from_utf8_lossy(&it).contains("wait-for ao-changed"))
        };
        self.processes().into_iter().filter(is_listener).collect()
    }

    /// Where the control groups of this home's launches are, on a machine that lets us have them.
    pub(crate) fn groups(&self) -> Option<PathBuf> {
        let doctor = self.json(&["doctor"]);
        let checks = doctor["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == "cgroup").unwrap();
        let base =
            check["detail"].as_str().unwrap().strip_prefix("each launch gets one below `")?;
        let id = fs::read_to_string(self.home().join("home-id")).unwrap();
        Some(Path::new(base.strip_suffix('`').unwrap()).join(format!("ao-{}", id.trim())))
    }

    /// Every process with this home in its environment: what we started, and what that started.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        with_variable(&self.variable())
    }

    /// What every process of this home has in its environment.
    fn variable(&self) -> String {
        format!("AO_HOME={}", self.home().display())
    }
}

impl Drop for World {
    /// Ends the agents and the daemon; a world that failed half-way is ended by force. Only
    /// processes that carry this very home are signalled.
    fn drop(&mut self) {
        drop(self.command(&["stop", "--sessions"]).output());
        end_all(&self.variable());
        // A home that was moved away has groups of its own.
        for entry in fs::read_dir(self.dir.path()).into_iter().flatten().flatten() {
            waited_for(PATIENCE, || end_groups(&entry.path()));
        }
    }
}

/// How a command was refused.
#[track_caller]
pub(crate) fn refusal(args: &[&str], output: &Output) -> Refusal {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{args:?} succeeded: {stdout}");
    assert_eq!(stdout, "", "{args:?}");
    let body: Value =
        serde_json::from_str(&stderr).unwrap_or_else(|_| panic!("{args:?}: {stderr}"));
    let text = |key: &str| body["error"][key].as_str().unwrap_or_default().to_owned();
    let refusal = Refusal {
        exit: output.status.code().unwrap_or(-1),
        code: text("code"),
        message: text("message"),
        hint: text("hint"),
    };
    assert!(!refusal.message.is_empty() && !refusal.message.contains('\n'), "{refusal:?}");
    // Malformed input is told what is right; everything else, what to do about it.
    let is_usage = refusal.exit == 2;
    assert!(is_usage || !refusal.hint.is_empty(), "says nothing about what to do: {refusal:?}");
    refusal
}

/// Reads a process number that an agent wrote.
#[track_caller]
pub(crate) fn pid_in(path: &Path) -> Pid {
    let read = || fs::read_to_string(path).ok().filter(|text| text.ends_with('\n'));
    wait_until(&format!("{} is written", path.display()), || read().is_some());
    Pid::from_raw(read().unwrap().trim().parse().unwrap()).unwrap()
}
