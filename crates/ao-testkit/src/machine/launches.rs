//! The fake launch files, and what running a launcher does.

use std::path::PathBuf;

use ao_core::ids::{LaunchId, Pid};
use ao_core::ports::{BoxFuture, CreateRuntime, LaunchFile, LaunchProof, Launches, LaunchesError};
use ao_core::record::Exit;

use super::state::{Launch, State};
use super::{FakeMachine, Fault, Op};

/// The program that becomes an agent.
const LAUNCHER: &str = "fake-ao";

/// How a launcher ends that could not become its agent.
const STATUS_NOT_EXECUTED: i32 = 127;

impl State {
    /// Lets a new process be what its command line says.
    pub(super) fn run(&mut self, request: &CreateRuntime, pid: Pid) {
        if request.argv.first().is_none_or(|program| program != LAUNCHER) {
            self.run_program(&request.argv, pid);
            return;
        }
        let is_held = self.is_exec_held;
        match self.launches.get_mut(&request.launch) {
            Some(launch) if is_held => {
                launch.proof = LaunchProof::Starting;
                launch.held = Some(pid);
            }
            Some(_) => self.exec(&request.launch, pid),
            None => self.end_process(pid, Exit::Status(STATUS_NOT_EXECUTED)),
        }
    }

    fn exec(&mut self, id: &LaunchId, pid: Pid) {
        let Some(file) = self.launches.get(id).map(|launch| launch.file.clone()) else { return };
        let program = file.argv.first().cloned().unwrap_or_default();
        let proof = if self.missing_directories.contains(&file.directory) {
            let because = format!("the directory `{}` does not exist", file.directory.display());
            LaunchProof::Failed { because }
        } else if program.is_empty() {
            LaunchProof::Failed { because: "the launch names no program".to_owned() }
        } else if self.missing_programs.contains(&program) {
            LaunchProof::Failed { because: format!("`{program}` is not on the PATH of the agent") }
        } else {
            LaunchProof::Execed { pid }
        };
        let has_failed = matches!(proof, LaunchProof::Failed { .. });
        if let Some(launch) = self.launches.get_mut(id) {
            launch.proof = proof;
            launch.held = None;
        }
        if has_failed {
            self.end_process(pid, Exit::Status(STATUS_NOT_EXECUTED));
        } else {
            self.run_program(&file.argv, pid);
        }
    }

    fn run_program(&mut self, argv: &[String], pid: Pid) {
        if let [program, status] = argv
            && program == "exit"
        {
            self.end_process(pid, Exit::Status(status.parse().unwrap_or(1)));
        }
    }

    pub(super) fn set_exec_held(&mut self, is_held: bool) {
        self.is_exec_held = is_held;
        if is_held {
            return;
        }
        let waiting: Vec<(LaunchId, Pid)> = (self.launches.iter())
            .filter_map(|(id, launch)| Some((id.clone(), launch.held?)))
            .collect();
        for (id, pid) in waiting {
            if self.processes.contains_key(&pid) {
                self.exec(&id, pid);
            }
        }
    }
}

impl FakeMachine {
    async fn enter_launches(&self, op: Op) -> Result<Option<Fault>, LaunchesError> {
        match self.enter(op).await {
            Some(Fault::Refuse) => Err(self.unwritable()),
            fault => Ok(fault),
        }
    }

    fn unwritable(&self) -> LaunchesError {
        let path = PathBuf::from(format!("/fake/{}/launches", self.home));
        LaunchesError { path, message: "the disk is full".to_owned() }
    }
}

impl Launches for FakeMachine {
    fn dir(&self, launch: &LaunchId) -> PathBuf {
        PathBuf::from(format!("/fake/{}/launches/{launch}", self.home))
    }

    fn launcher(&self, launch: &LaunchId) -> Vec<String> {
        let dir = self.dir(launch).to_string_lossy().into_owned();
        vec![LAUNCHER.to_owned(), "launch-agent".to_owned(), dir]
    }

    fn write<'a>(
        &'a self,
        file: &'a LaunchFile,
        agent_files: &'a [(PathBuf, String)],
    ) -> BoxFuture<'a, Result<(), LaunchesError>> {
        Box::pin(async move {
            let fault = self.enter_launches(Op::WriteLaunch).await?;
            let dir = self.dir(&file.launch);
            let outside = agent_files.iter().find(|(path, _)| !is_below(&dir, path));
            if let Some((path, _)) = outside {
                let message = "lies outside the files of its launch".to_owned();
                return Err(LaunchesError { path: path.clone(), message });
            }
            let mut state = self.lock();
            let launch = state.launches.entry(file.launch.clone()).or_insert_with(|| Launch {
                file: file.clone(),
                agent_files: std::collections::BTreeMap::new(),
                proof: LaunchProof::NotStarted,
                is_spoilt: false,
                held: None,
            });
            launch.file = file.clone();
            for (path, text) in agent_files {
                launch.agent_files.insert(dir.join(path), text.clone());
            }
            if fault.is_some() { Err(self.unwritable()) } else { Ok(()) }
        })
    }

    fn read<'a>(
        &'a self,
        launch: &'a LaunchId,
    ) -> BoxFuture<'a, Result<Option<LaunchFile>, LaunchesError>> {
        Box::pin(async move {
            self.enter_launches(Op::ReadLaunch).await?;
            let state = self.lock();
            match state.launches.get(launch) {
                Some(found) if found.is_spoilt => {
                    let path = self.dir(launch);
                    Err(LaunchesError { path, message: "it is no launch file".to_owned() })
                }
                found => Ok(found.map(|launch| launch.file.clone())),
            }
        })
    }

    fn proof<'a>(&'a self, launch: &'a LaunchId) -> BoxFuture<'a, LaunchProof> {
        Box::pin(async move {
            if self.enter(Op::Proof).await.is_some() {
                return LaunchProof::NotStarted;
            }
            let state = self.lock();
            state.launches.get(launch).map_or(LaunchProof::NotStarted, |found| found.proof.clone())
        })
    }

    fn remove<'a>(&'a self, launch: &'a LaunchId) -> BoxFuture<'a, Result<(), LaunchesError>> {
        Box::pin(async move {
            let fault = self.enter_launches(Op::RemoveLaunch).await?;
            self.lock().launches.remove(launch);
            if fault.is_some() { Err(self.unwritable()) } else { Ok(()) }
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<LaunchId>, LaunchesError>> {
        Box::pin(async move {
            self.enter_launches(Op::ListLaunches).await?;
            Ok(self.lock().launches.keys().cloned().collect())
        })
    }
}

/// Whether a path, joined to a directory, stays below it.
fn is_below(dir: &std::path::Path, path: &std::path::Path) -> bool {
    let leaves = path.components().any(|part| part == std::path::Component::ParentDir);
    !leaves && dir.join(path).starts_with(dir)
}
