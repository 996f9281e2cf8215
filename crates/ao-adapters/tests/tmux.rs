//! tmux keeps what every runtime promises, and what only tmux can show.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ao_adapters::cmd::{Cmd, Output};
use ao_adapters::processes::LinuxProcesses;
use ao_adapters::system::SystemClock;
use ao_adapters::tmux::{TmuxConfig, TmuxRuntime};
use ao_core::ids::{HomeId, LaunchId, Nonce, Pid, ProjectId, SessionId};
use ao_core::ports::{BoxFuture, Clock, CreateRuntime, Processes, Runtime, Terminal};
use ao_core::session::{ProcessIdentity, RuntimeHandle, ServerIdentity};
use ao_testkit::contract::runtime::{Program, RuntimeHarness};
use rustix::process::{Signal, kill_process};
use tempfile::TempDir;

/// Time that a server gets to answer: silent servers are waited for in full.
const TIMEOUT: Duration = Duration::from_secs(2);

/// One home with its servers, in a directory of its own.
struct Harness {
    dir: TempDir,
    clock: SystemClock,
    processes: LinuxProcesses,
    tmux: TmuxRuntime,
    silenced: Mutex<Vec<Pid>>,
}

fn config(dir: &Path, home: &str) -> TmuxConfig {
    let home = HomeId::parse(home).unwrap();
    TmuxConfig { timeout: TIMEOUT, ..TmuxConfig::new(home, dir.join("run"), dir.to_owned()) }
}

fn signal(pid: Pid, signal: Signal) {
    kill_process(rustix::process::Pid::from_raw(pid.0).unwrap(), signal).unwrap();
}

impl Harness {
    fn new(configure: impl FnOnce(&Path) -> TmuxConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("run")).unwrap();
        let processes = LinuxProcesses::new().unwrap();
        Self {
            clock: SystemClock::new().unwrap(),
            tmux: TmuxRuntime::new(configure(dir.path()), processes.clone()),
            processes,
            dir,
            silenced: Mutex::default(),
        }
    }

    fn request(&self, session: &str, argv: &[&str]) -> CreateRuntime {
        let project = session.rsplit_once('-').unwrap().0;
        CreateRuntime {
            session: SessionId::parse(session).unwrap(),
            project: ProjectId::parse(project).unwrap(),
            launch: LaunchId::parse(format!("launch-of-{session}")).unwrap(),
            nonce: Nonce::parse("secret").unwrap(),
            directory: self.directory(),
            argv: argv.iter().map(|&arg| arg.to_owned()).collect(),
        }
    }

    async fn create(&self, session: &str, argv: &[&str]) -> RuntimeHandle {
        self.tmux.create(&self.request(session, argv)).await.unwrap()
    }

    /// What a human types at the shell.
    async fn by_hand(&self, socket: &Path, args: &[&str]) -> Output {
        Cmd::new("tmux").arg("-S").arg(socket).args(args).env_remove("TMUX").run().await.unwrap()
    }

    /// What a server says to a format.
    async fn says(&self, socket: &Path, format: &str) -> String {
        self.by_hand(socket, &["display-message", "-p", format])
            .await
            .stdout_text()
            .trim()
            .to_owned()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Ends every server of this home, those that were silenced included.
    async fn end_servers(&self) {
        for pid in self.silenced.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            signal(pid, Signal::CONT);
        }
        for entry in std::fs::read_dir(self.file("run")).unwrap() {
            self.by_hand(&entry.unwrap().path(), &["kill-server"]).await;
        }
    }
}

impl RuntimeHarness for Harness {
    fn runtime(&self) -> &dyn Runtime {
        &self.tmux
    }

    fn terminal(&self) -> &dyn Terminal {
        &self.tmux
    }

    fn processes(&self) -> &dyn Processes {
        &self.processes
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn another_home(&self) -> Arc<dyn Runtime> {
        let config = config(self.dir.path(), "another");
        Arc::new(TmuxRuntime::new(config, self.processes.clone()))
    }

    fn directory(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    fn argv(&self, program: Program) -> Vec<String> {
        let script = match program {
            Program::Waits => "exec tail -f /dev/null".to_owned(),
            Program::Ends(status) => format!("exit {status}"),
            // As the interfaces of agents do: keys as they come, an Enter is a carriage return.
            Program::Records => "stty raw -echo; echo ready; exec cat > recorded".to_owned(),
        };
        vec!["sh".to_owned(), "-c".to_owned(), script]
    }

    fn kill_process(&self, process: &ProcessIdentity) {
        signal(process.pid, Signal::KILL);
    }

    fn kill_session<'a>(&'a self, handle: &'a RuntimeHandle) -> BoxFuture<'a, ()> {
        Box::pin(async {
            let target = format!("={}", handle.session);
            let ended = self.by_hand(&handle.server.socket, &["kill-session", "-t", &target]).await;
            assert!(ended.status.success(), "{}", ended.stderr_text());
        })
    }

    fn kill_server(&self, server: &ServerIdentity) {
        signal(server.process.pid, Signal::KILL);
    }

    fn silence(&self, server: &ServerIdentity) {
        self.silenced.lock().unwrap().push(server.process.pid);
        signal(server.process.pid, Signal::STOP);
    }

    fn let_speak(&self, server: &ServerIdentity) {
        self.silenced.lock().unwrap().clear();
        signal(server.process.pid, Signal::CONT);
    }

    fn is_recording<'a>(&'a self, handle: &'a RuntimeHandle) -> BoxFuture<'a, bool> {
        Box::pin(async {
            let output = self.tmux.get_output(handle, 10).await.unwrap();
            output == "ready" && self.file("recorded").exists()
        })
    }

    fn recorded(&self, _handle: &RuntimeHandle) -> String {
        let bytes = std::fs::read(self.file("recorded")).unwrap();
        // Half a letter may have arrived.
        String::from_utf8_lossy(&bytes).replace('\r', "\n")
    }
}

/// Runs a claim against servers of its own, and ends them however it went.
fn with_config(configure: impl FnOnce(&Path) -> TmuxConfig, claim: &impl AsyncFn(&Harness)) {
    struct Guard<'a>(&'a Harness, &'a tokio::runtime::Runtime);

    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            self.1.block_on(self.0.end_servers());
        }
    }

    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let harness = Harness::new(configure);
    let guard = Guard(&harness, &runtime);
    runtime.block_on(claim(&harness));
    drop(guard);
}

fn with_harness(claim: &impl AsyncFn(&Harness)) {
    with_config(|dir| config(dir, "home"), claim);
}

fn with(claim: &impl AsyncFn(&dyn RuntimeHarness)) {
    with_harness(&async |harness: &Harness| claim(harness).await);
}

mod contract {
    ao_testkit::runtime_contract!(super::with);
}

mod server;
mod terminal;
