//! The fake machine keeps what every runtime, process table and launch directory promises.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ao_core::ids::{HomeId, LaunchId, Nonce, Pid, ProjectId, SessionId};
use ao_core::ports::{
    AgentFiles, BoxFuture, Clock, CreateRuntime, IdGen as _, Launches, Processes, Runtime, Terminal,
};
use ao_core::session::{ProcessIdentity, RuntimeHandle, ServerIdentity};
use ao_testkit::clock::JumpingClock;
use ao_testkit::contract::agent_files::AgentFilesHarness;
use ao_testkit::contract::launches::LaunchesHarness;
use ao_testkit::contract::processes::{ProcessesHarness, Tree};
use ao_testkit::contract::runtime::{Program, RuntimeHarness};
use ao_testkit::ids::SeqIds;
use ao_testkit::machine::FakeMachine;
use ao_testkit::tasks::TestTasks;

/// Interleavings that each promise is tried in.
const SEEDS: u64 = 8;

struct Harness {
    clock: JumpingClock,
    machine: FakeMachine,
    ids: SeqIds,
}

impl Harness {
    fn new() -> Self {
        let clock = JumpingClock::new();
        let home = HomeId::parse("home").unwrap_or_else(|error| unreachable!("{error}"));
        Self { machine: FakeMachine::new(clock.clone(), home), clock, ids: SeqIds::new() }
    }
}

fn project_of(server: &ServerIdentity) -> ProjectId {
    let name = server.socket.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    ProjectId::parse(name).unwrap_or_else(|error| unreachable!("{error}"))
}

fn session_of(handle: &RuntimeHandle) -> SessionId {
    SessionId::parse(&*handle.session).unwrap_or_else(|error| unreachable!("{error}"))
}

impl RuntimeHarness for Harness {
    fn runtime(&self) -> &dyn Runtime {
        &self.machine
    }

    fn terminal(&self) -> &dyn Terminal {
        &self.machine
    }

    fn processes(&self) -> &dyn Processes {
        &self.machine
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn another_home(&self) -> Arc<dyn Runtime> {
        let home = HomeId::parse("another").unwrap_or_else(|error| unreachable!("{error}"));
        Arc::new(self.machine.as_seen_from(home))
    }

    fn directory(&self) -> PathBuf {
        PathBuf::from("/fake/worktree")
    }

    fn argv(&self, program: Program) -> Vec<String> {
        match program {
            Program::Waits | Program::Records => vec!["wait".to_owned()],
            Program::Ends(status) => vec!["exit".to_owned(), status.to_string()],
        }
    }

    fn kill_process(&self, process: &ProcessIdentity) {
        self.machine.kill_process(process.pid);
    }

    fn kill_session<'a>(&'a self, handle: &'a RuntimeHandle) -> BoxFuture<'a, ()> {
        Box::pin(async { self.machine.kill_session(&session_of(handle)) })
    }

    fn kill_server(&self, server: &ServerIdentity) {
        self.machine.kill_server(&project_of(server));
    }

    fn silence(&self, server: &ServerIdentity) {
        self.machine.set_server_reachable(&project_of(server), false);
    }

    fn let_speak(&self, server: &ServerIdentity) {
        self.machine.set_server_reachable(&project_of(server), true);
    }

    fn is_recording<'a>(&'a self, _handle: &'a RuntimeHandle) -> BoxFuture<'a, bool> {
        Box::pin(std::future::ready(true))
    }

    fn recorded(&self, handle: &RuntimeHandle) -> String {
        self.machine.received(&session_of(handle))
    }
}

impl ProcessesHarness for Harness {
    fn processes(&self) -> &dyn Processes {
        &self.machine
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn nonce(&self) -> Nonce {
        Nonce::from(self.ids.token())
    }

    fn start<'a>(&'a self, nonce: Option<&'a Nonce>) -> BoxFuture<'a, Pid> {
        Box::pin(async move { self.machine.start_process(nonce) })
    }

    fn start_tree<'a>(&'a self, nonce: &'a Nonce) -> BoxFuture<'a, Tree> {
        Box::pin(async move {
            let machine = &self.machine;
            let root = machine.start_process(Some(nonce));
            let child = machine.start_child(root);
            let setsid_grandchild = machine.start_child(child);
            machine.leave_session(setsid_grandchild);
            let double_forked = machine.start_child(root);
            machine.leave_session(double_forked);
            machine.orphan(double_forked);
            let without_nonce = machine.start_child(root);
            machine.drop_nonce(without_nonce);
            Tree { root, child, setsid_grandchild, double_forked, without_nonce }
        })
    }

    fn start_in_group<'a>(&'a self, nonce: &'a Nonce) -> BoxFuture<'a, Option<(Pid, Pid)>> {
        Box::pin(async move {
            let machine = &self.machine;
            machine.keep_groups();
            let agent = machine.start_process(Some(nonce));
            let parent = machine.start_child(agent);
            let stray = machine.start_child(parent);
            machine.leave_session(stray);
            machine.drop_nonce(stray);
            machine.kill_process(parent);
            Some((agent, stray))
        })
    }

    fn kill(&self, pid: Pid) {
        self.machine.kill_process(pid);
    }
}

impl LaunchesHarness for Harness {
    fn launches(&self) -> &dyn Launches {
        &self.machine
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn directory(&self) -> PathBuf {
        PathBuf::from("/fake/worktree")
    }

    fn waiting_argv(&self) -> Vec<String> {
        vec!["wait".to_owned()]
    }

    fn missing_directory(&self) -> PathBuf {
        let directory = PathBuf::from("/fake/removed");
        self.machine.set_directory_missing(&directory, true);
        directory
    }

    fn missing_program(&self) -> String {
        self.machine.set_program_missing("no-such-agent", true);
        "no-such-agent".to_owned()
    }

    fn run<'a>(&'a self, launch: &'a LaunchId) -> BoxFuture<'a, Pid> {
        Box::pin(async move {
            let request = CreateRuntime {
                session: SessionId::parse("app-1").unwrap_or_else(|e| unreachable!("{e}")),
                project: ProjectId::parse("app").unwrap_or_else(|e| unreachable!("{e}")),
                launch: launch.clone(),
                nonce: Nonce::parse("secret").unwrap_or_else(|e| unreachable!("{e}")),
                directory: LaunchesHarness::directory(self),
                argv: self.machine.launcher(launch),
            };
            let handle = self.machine.create(&request).await;
            handle.unwrap_or_else(|e| unreachable!("{e}")).process.pid
        })
    }

    fn agent_file(&self, path: &Path) -> Option<String> {
        self.machine.agent_file(path)
    }
}

impl AgentFilesHarness for Harness {
    fn files(&self) -> &dyn AgentFiles {
        &self.machine
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new("/fake/home").join(name)
    }

    fn write(&self, path: &Path, text: &str) {
        self.machine.write_file(path, text);
    }

    fn remove(&self, path: &Path) {
        self.machine.remove_file(path);
    }

    fn no_files(&self) -> Vec<PathBuf> {
        let pipe = PathBuf::from("/fake/home/pipe");
        self.machine.make_no_file(&pipe);
        vec![pipe]
    }
}

mod agent_files {
    use super::*;

    fn with(claim: &impl AsyncFn(&dyn AgentFilesHarness)) {
        for seed in 0..SEEDS {
            let harness = Harness::new();
            TestTasks::new(harness.clock.clone(), seed).block_on(claim(&harness));
        }
    }

    ao_testkit::agent_files_contract!(with);
}

mod runtime {
    use super::*;

    fn with(claim: &impl AsyncFn(&dyn RuntimeHarness)) {
        for seed in 0..SEEDS {
            let harness = Harness::new();
            TestTasks::new(harness.clock.clone(), seed).block_on(claim(&harness));
        }
    }

    ao_testkit::runtime_contract!(with);
}

mod processes {
    use super::*;

    fn with(claim: &impl AsyncFn(&dyn ProcessesHarness)) {
        for seed in 0..SEEDS {
            let harness = Harness::new();
            TestTasks::new(harness.clock.clone(), seed).block_on(claim(&harness));
        }
    }

    ao_testkit::processes_contract!(with);
}

mod launches {
    use super::*;

    fn with(claim: &impl AsyncFn(&dyn LaunchesHarness)) {
        for seed in 0..SEEDS {
            let harness = Harness::new();
            TestTasks::new(harness.clock.clone(), seed).block_on(claim(&harness));
        }
    }

    ao_testkit::launches_contract!(with);
}
