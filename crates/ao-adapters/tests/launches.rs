//! Launch files on a disk keep what all launch files promise, and their launcher what an agent
//! relies on.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ao_adapters::cmd::{Cmd, Conversation};
use ao_adapters::launches::{FileLaunches, LauncherError, STATUS_NOT_EXECUTED, become_agent};
use ao_adapters::system::SystemClock;
use ao_core::ids::{LaunchId, Pid, SessionId};
use ao_core::ports::{BoxFuture, Clock, LaunchFile, LaunchProof, Launches};
use ao_testkit::contract::launches::LaunchesHarness;
use ao_testkit::contract::wait_until;
use tempfile::TempDir;

/// Names the launch that this very program is to become the agent of.
const LAUNCH_VARIABLE: &str = "TEST_LAUNCH";

/// The test that is one.
const LAUNCHER_TEST: &str = "launches::a_launcher_without_a_launch_says_so";

/// Run as a test, it is one. Run by the other tests as a program of its own, it is the launcher.
#[test]
fn a_launcher_without_a_launch_says_so() {
    if let Some(dir) = std::env::var_os(LAUNCH_VARIABLE).map(PathBuf::from) {
        drop(become_agent(&dir));
        #[expect(clippy::exit, reason = "as a launcher, it ends like one")]
        std::process::exit(i32::from(STATUS_NOT_EXECUTED));
    }
    let nothing = tempfile::tempdir().unwrap();
    let error = become_agent(&nothing.path().join("absent"));
    assert!(matches!(error, LauncherError::Unreadable { .. }), "{error}");
}

/// This very program as the launcher of the launch in a directory.
pub(crate) fn launcher(dir: &Path) -> Cmd {
    Cmd::new(std::env::current_exe().unwrap())
        .args([LAUNCHER_TEST, "--exact", "--nocapture", "--quiet"])
        .env(LAUNCH_VARIABLE, dir)
}

struct Harness {
    dir: TempDir,
    clock: SystemClock,
    launches: FileLaunches,
    /// Dropping one ends the agent that it talks with.
    agents: Mutex<Vec<Conversation>>,
}

impl Harness {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("launches");
        let launcher = vec!["/home/bin/ao".to_owned(), "launch-agent".to_owned()];
        Self {
            clock: SystemClock::new().unwrap(),
            launches: FileLaunches::new(root, launcher),
            agents: Mutex::default(),
            dir,
        }
    }

    /// The launcher of a launch, after a shell that does something first.
    fn launcher(&self, launch: &LaunchId, before: &str) -> Cmd {
        let this = std::env::current_exe().unwrap();
        // It tells its number, which is the agent's later.
        let script = format!("{before}\necho $$; exec \"$0\" \"$@\"");
        Cmd::new("sh")
            .args(["-c", &script])
            .arg(this)
            .args([LAUNCHER_TEST, "--exact", "--nocapture", "--quiet"])
            .env(LAUNCH_VARIABLE, self.launches.dir(launch))
            .env("NOT_FOR_THE_AGENT", "1")
            .env("TERM", "tmux-256color")
    }

    async fn run_after(&self, launch: &LaunchId, before: &str) -> Pid {
        let mut agent = self.launcher(launch, before).converse().unwrap();
        let pid = agent.next_line().await.unwrap().unwrap();
        self.agents.lock().unwrap().push(agent);
        Pid(pid.parse().unwrap())
    }

    fn file(&self, argv: &[&str]) -> LaunchFile {
        LaunchFile {
            launch: LaunchId::parse("one").unwrap(),
            session: SessionId::parse("app-1").unwrap(),
            directory: self.dir.path().to_owned(),
            argv: argv.iter().map(|&arg| arg.to_owned()).collect(),
            env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            origin: None,
        }
    }

    async fn until_execed(&self, launch: &LaunchId) {
        wait_until(&self.clock, "the agent is executed", async || {
            matches!(self.launches.proof(launch).await, LaunchProof::Execed { .. })
        })
        .await;
    }
}

impl LaunchesHarness for Harness {
    fn launches(&self) -> &dyn Launches {
        &self.launches
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn directory(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    fn waiting_argv(&self) -> Vec<String> {
        ["tail", "-f", "/dev/null"].map(str::to_owned).to_vec()
    }

    fn missing_directory(&self) -> PathBuf {
        self.dir.path().join("removed")
    }

    fn missing_program(&self) -> String {
        "no-such-agent".to_owned()
    }

    fn run<'a>(&'a self, launch: &'a LaunchId) -> BoxFuture<'a, Pid> {
        Box::pin(self.run_after(launch, ""))
    }

    fn agent_file(&self, path: &Path) -> Option<String> {
        std::fs::read_to_string(path).ok()
    }
}

fn with_harness(claim: &impl AsyncFn(&Harness)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(claim(&Harness::new()));
}

fn with(claim: &impl AsyncFn(&dyn LaunchesHarness)) {
    with_harness(&async |harness: &Harness| claim(harness).await);
}

mod contract {
    ao_testkit::launches_contract!(super::with);
}

#[test]
fn nobody_else_can_read_a_launch() {
    with_harness(&async |harness: &Harness| {
        let file = harness.file(&["true"]);
        let nested = [(PathBuf::from("claude/settings.json"), "{}".to_owned())];
        harness.launches.write(&file, &nested).await.unwrap();
        let dir = harness.launches.dir(&file.launch);
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&dir.join("claude"))), (0o700, 0o700));
        let files = [dir.join("launch.json"), dir.join("claude/settings.json")];
        assert_eq!(files.map(|path| mode(&path)), [0o600; 2]);
    });
}

#[test]
fn the_command_line_of_a_launcher_holds_no_secret() {
    let launches = FileLaunches::new("/home/launches".into(), vec!["/home/bin/ao".to_owned()]);
    let argv = launches.launcher(&LaunchId::parse("one").unwrap());
    assert_eq!(argv, ["/home/bin/ao", "/home/launches/one"]);
}

#[test]
fn an_agent_has_the_environment_of_its_launch_and_its_terminal_and_no_other() {
    with_harness(&async |harness: &Harness| {
        let mut file = harness.file(&["tail", "-f", "/dev/null"]);
        file.env.insert("AO_NONCE".to_owned(), "secret".to_owned());
        file.env.insert("TERM".to_owned(), "the caller's".to_owned());
        harness.launches.write(&file, &[]).await.unwrap();
        let pid = harness.run_after(&file.launch, "unset TMUX TMUX_PANE COLORTERM").await;
        harness.until_execed(&file.launch).await;
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        let mut variables: Vec<_> = environment
            .split(|&byte| byte == 0)
            .filter(|variable| !variable.is_empty())
            .map(|variable| String::from_utf8(variable.to_vec()).unwrap())
            .collect();
        variables.sort();
        let pwd = format!("PWD={}", harness.dir.path().display());
        assert_eq!(
            variables,
            ["AO_NONCE=secret", "PATH=/usr/bin:/bin", &pwd, "TERM=tmux-256color"]
        );
        let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
        assert_eq!(cwd, harness.dir.path());
    });
}

#[test]
fn an_agent_hears_its_terminal_go_away_whatever_its_parents_ignored() {
    with_harness(&async |harness: &Harness| {
        let file = harness.file(&["tail", "-f", "/dev/null"]);
        harness.launches.write(&file, &[]).await.unwrap();
        let pid = harness.run_after(&file.launch, "trap '' HUP INT TERM").await;
        harness.until_execed(&file.launch).await;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        for mask in ["SigIgn:", "SigBlk:", "SigCgt:"] {
            let line = status.lines().find(|line| line.starts_with(mask)).unwrap();
            let bits = u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap();
            // HUP is bit 0, INT bit 1, TERM bit 14.
            assert_eq!(bits & 0b0100_0000_0000_0011, 0, "{line}");
        }
    });
}

#[test]
fn a_launcher_that_fails_tells_the_terminal_and_the_daemon_why() {
    with_harness(&async |harness: &Harness| {
        let file = harness.file(&["no-such-agent"]);
        harness.launches.write(&file, &[]).await.unwrap();
        let ended = harness.launcher(&file.launch, "").run().await.unwrap();
        assert_eq!(ended.status.code(), Some(i32::from(STATUS_NOT_EXECUTED)));
        let because = "`no-such-agent` cannot be executed: it is not on the agent's PATH";
        assert_eq!(ended.stderr_text(), format!("ao: the agent was not started: {because}"));
        let proof = harness.launches.proof(&file.launch).await;
        assert_eq!(proof, LaunchProof::Failed { because: because.to_owned() });
    });
}

#[test]
fn a_launch_becomes_an_agent_once() {
    with_harness(&async |harness: &Harness| {
        let file = harness.file(&["tail", "-f", "/dev/null"]);
        harness.launches.write(&file, &[]).await.unwrap();
        let pid = harness.run_after(&file.launch, "").await;
        harness.until_execed(&file.launch).await;
        let second = harness.launcher(&file.launch, "").run().await.unwrap();
        assert_eq!(second.status.code(), Some(i32::from(STATUS_NOT_EXECUTED)));
        assert_eq!(harness.launches.proof(&file.launch).await, LaunchProof::Execed { pid });
    });
}

#[test]
fn a_launch_file_of_a_newer_ao_is_refused_and_not_half_read() {
    with_harness(&async |harness: &Harness| {
        let file = harness.file(&["true"]);
        harness.launches.write(&file, &[]).await.unwrap();
        let path = harness.launches.dir(&file.launch).join("launch.json");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"version\": 1", "\"version\": 2")).unwrap();
        let error = harness.launches.read(&file.launch).await.unwrap_err();
        assert_eq!(error.message, "version 2 is not known to this `ao`");
    });
}
