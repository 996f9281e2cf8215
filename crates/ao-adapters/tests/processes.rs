//! Linux keeps what every process table promises.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use ao_adapters::cmd::{Cmd, Conversation};
use ao_adapters::launches::FileLaunches;
use ao_adapters::processes::{Groups, LinuxProcesses};
use ao_adapters::system::{SystemClock, SystemIds};
use ao_core::fact::ProcessProbe;
use ao_core::ids::{HomeId, LaunchId, Nonce, Pid, SessionId};
use ao_core::ports::{
    BoxFuture, Clock, IdGen as _, LaunchFile, Launches as _, ProcessSignal, Processes,
};
use ao_core::session::ProcessIdentity;
use ao_testkit::contract::processes::{ProcessesHarness, Tree};
use ao_testkit::contract::wait_until;
use tempfile::TempDir;

/// An agent whose descendants go in all directions. Each tells its number, the agent last, and
/// waits for a line that never comes: none executes anything after it has told, which would hide
/// its environment for a moment.
const TREE: &str = r#"
exec 3<&0
sh -c 'setsid sh -c "echo setsid_grandchild \$\$; read never <&3" &
       echo child $$; read never <&3' &
sh -c 'setsid sh -c "echo double_forked \$\$; read never <&3" &'
env -u AO_NONCE sh -c 'echo without_nonce $$; read never <&3' &
echo root $$
read never <&3
"#;

/// An agent of a launch in the group that is its argument, and somebody who hides from everything
/// else.
const IN_GROUP: &str = r#"
exec 3<&0
echo agent $$
(env -i setsid sh -c 'trap "" TERM HUP; echo stray $$; read never <&3' &)
read never
"#;

struct Harness {
    clock: SystemClock,
    processes: LinuxProcesses,
    launches: FileLaunches,
    has_groups: bool,
    nonces: Mutex<Vec<Nonce>>,
    _dir: TempDir,
    /// Dropping one ends the process that it talks with.
    conversations: Mutex<Vec<Conversation>>,
    started: Mutex<Vec<ProcessIdentity>>,
}

impl Harness {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = HomeId::from(SystemIds.token());
        let groups = Groups::prepare(&home, &dir.path().join("cgroups"));
        if let Err(because) = &groups {
            drop(writeln!(std::io::stderr(), "skipped: no control groups here: {because}"));
        }
        let groups = groups.ok();
        Self {
            clock: SystemClock::new().unwrap(),
            processes: LinuxProcesses::new().unwrap().with_groups(groups.clone()),
            has_groups: groups.is_some(),
            launches: FileLaunches::new(dir.path().join("launches"), Vec::new())
                .with_groups(groups),
            _dir: dir,
            nonces: Mutex::default(),
            conversations: Mutex::default(),
            started: Mutex::default(),
        }
    }

    /// Starts a program that tells so many `NAME NUMBER`.
    async fn started(&self, cmd: Cmd, n_processes: usize) -> Vec<(String, Pid)> {
        let mut conversation = cmd.converse().unwrap();
        let mut told = Vec::new();
        while told.len() < n_processes {
            let line = conversation.next_line().await.unwrap().unwrap();
            // What runs a test says that it does.
            let Some((name, Ok(pid))) = line.split_once(' ').map(|(it, pid)| (it, pid.parse()))
            else {
                continue;
            };
            let pid = Pid(pid);
            self.started.lock().unwrap().extend(self.processes.identity(pid, None));
            told.push((name.to_owned(), pid));
        }
        self.conversations.lock().unwrap().push(conversation);
        told
    }

    /// The real launcher on a launch that was really written.
    async fn launched(&self, nonce: &Nonce, script: &str) -> Cmd {
        let launch = LaunchId::from(SystemIds.token());
        let file = LaunchFile {
            launch: launch.clone(),
            session: SessionId::parse("app-1").unwrap(),
            directory: "/".into(),
            argv: ["sh", "-c", script].map(str::to_owned).into(),
            env: [("PATH", "/usr/bin:/bin"), ("AO_NONCE", nonce.as_str())]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            origin: None,
        };
        self.launches.write(&file, &[]).await.unwrap();
        crate::launches::launcher(&self.launches.dir(&launch))
    }

    async fn end_all(&self) {
        let started: Vec<_> =
            self.started.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
        self.processes.signal_tree(&started, ProcessSignal::Kill).await.unwrap();
        let nonces: Vec<_> =
            self.nonces.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
        for nonce in nonces {
            wait_until(&self.clock, "the group is empty", async || {
                self.processes.scan(&nonce, None).await.is_ok_and(|found| found.is_empty())
            })
            .await;
            self.processes.forget_group(&nonce).await;
        }
    }
}

impl ProcessesHarness for Harness {
    fn processes(&self) -> &dyn Processes {
        &self.processes
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn nonce(&self) -> Nonce {
        Nonce::from(SystemIds.token())
    }

    fn start<'a>(&'a self, nonce: Option<&'a Nonce>) -> BoxFuture<'a, Pid> {
        Box::pin(async move {
            let mut cmd = Cmd::new("sh").args(["-c", "echo one $$; read never"]);
            if let Some(nonce) = nonce {
                cmd = cmd.env("AO_NONCE", nonce.as_str());
            }
            self.started(cmd, 1).await.first().unwrap().1
        })
    }

    fn start_tree<'a>(&'a self, nonce: &'a Nonce) -> BoxFuture<'a, Tree> {
        Box::pin(async move {
            // In a session of its own, as in a terminal; what waits for it carries no nonce.
            let nonce = format!("AO_NONCE={nonce}");
            let cmd = Cmd::new("setsid").args(["--wait", "env", &nonce, "sh", "-c", TREE]);
            let told = self.started(cmd, 5).await;
            let pid = |name: &str| told.iter().find(|(told, _)| told == name).unwrap().1;
            Tree {
                root: pid("root"),
                child: pid("child"),
                setsid_grandchild: pid("setsid_grandchild"),
                double_forked: pid("double_forked"),
                without_nonce: pid("without_nonce"),
            }
        })
    }

    fn start_in_group<'a>(&'a self, nonce: &'a Nonce) -> BoxFuture<'a, Option<(Pid, Pid)>> {
        Box::pin(async move {
            if !self.has_groups {
                return None;
            }
            let told = self.started(self.launched(nonce, IN_GROUP).await, 2).await;
            let pid = |name: &str| told.iter().find(|(told, _)| told == name).unwrap().1;
            self.nonces.lock().unwrap().push(nonce.clone());
            Some((pid("agent"), pid("stray")))
        })
    }

    fn kill(&self, pid: Pid) {
        let pid = rustix::process::Pid::from_raw(pid.0).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
}

/// Runs a claim, and ends every process that it started however it went.
fn with(claim: &impl AsyncFn(&dyn ProcessesHarness)) {
    struct Guard<'a>(&'a Harness, &'a tokio::runtime::Runtime);

    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            self.1.block_on(self.0.end_all());
        }
    }

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let harness = Harness::new();
    let guard = Guard(&harness, &runtime);
    runtime.block_on(claim(&harness));
    drop(guard);
}

mod contract {
    ao_testkit::processes_contract!(super::with);
}

#[test]
fn a_process_that_may_not_be_looked_into_is_still_alive() {
    let processes = LinuxProcesses::new().unwrap();
    // Whoever runs this test, the first process is somebody's, and it runs.
    let first = processes.identity(Pid(1), None).unwrap();
    assert_eq!(processes.probe(&first), ProcessProbe::Alive);
}

#[test]
fn a_scan_never_finds_the_one_who_scans() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let processes = LinuxProcesses::new().unwrap();
    let own = Pid(i32::try_from(std::process::id()).unwrap());
    let root = processes.identity(own, None).unwrap();
    let nonce = Nonce::from(SystemIds.token());
    let found = runtime.block_on(processes.scan(&nonce, Some(&root))).unwrap();
    assert!(found.iter().all(|process| process.pid != own), "{found:?}");
    assert_eq!(runtime.block_on(processes.signal_tree(&[root], ProcessSignal::Kill)), Ok(0));
}
