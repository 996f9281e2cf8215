//! Launch files: what a launch needs to become its agent, in a directory of its own.
//!
//! Everything is readable by the owner only, and written whole or not at all. The other side,
//! the process that reads the file and becomes the agent, is [`become_agent`].

mod become_agent;
mod format;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use ao_core::ids::{LaunchId, Nonce, Pid};
use ao_core::ports::{BoxFuture, LaunchFile, LaunchProof, Launches, LaunchesError};

use crate::processes::Groups;

pub use self::become_agent::{LauncherError, STATUS_NOT_EXECUTED, become_agent};

/// The launch itself.
const LAUNCH: &str = "launch.json";

/// Held by the launcher until it has become the agent: executing closes it.
const LOCK: &str = "lock";

/// The process number of the launcher, which is the agent's.
const STARTED: &str = "started";

/// Why the launcher did not become the agent.
const FAILED: &str = "failed";

/// The variable that carries the secret of a launch.
const NONCE_VARIABLE: &str = "AO_NONCE";

/// Launch files below one directory.
#[derive(Debug, Clone)]
pub struct FileLaunches {
    root: PathBuf,
    launcher: Vec<String>,
    groups: Option<Groups>,
}

impl FileLaunches {
    /// Launch files below `root`, run by a command line that takes the directory of a launch as
    /// its last argument: `["<home>/bin/ao", "launch-agent"]`.
    pub const fn new(root: PathBuf, launcher: Vec<String>) -> Self {
        Self { root, launcher, groups: None }
    }

    /// The same, and each launch gets a control group.
    #[must_use]
    pub fn with_groups(self, groups: Option<Groups>) -> Self {
        Self { groups, ..self }
    }

    /// The control group that a launch gets.
    fn group_of(&self, file: &LaunchFile) -> Option<PathBuf> {
        let nonce = Nonce::parse(file.env.get(NONCE_VARIABLE)?).ok()?;
        Some(self.groups.as_ref()?.of(&file.launch, &nonce))
    }

    /// Does something with files, off the thread that drives everything.
    async fn blocking<T: Send + 'static>(
        &self,
        launch: Option<&LaunchId>,
        act: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, LaunchesError> {
        let path = launch.map_or_else(|| self.root.clone(), |launch| self.dir(launch));
        let failed = |message: String| LaunchesError { path: path.clone(), message };
        let dir = path.clone();
        match tokio::task::spawn_blocking(move || act(&dir)).await {
            Ok(done) => done.map_err(|error| failed(error.to_string())),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

impl Launches for FileLaunches {
    fn dir(&self, launch: &LaunchId) -> PathBuf {
        self.root.join(launch.as_str())
    }

    fn launcher(&self, launch: &LaunchId) -> Vec<String> {
        let mut argv = self.launcher.clone();
        argv.push(self.dir(launch).to_string_lossy().into_owned());
        argv
    }

    fn write<'a>(
        &'a self,
        file: &'a LaunchFile,
        agent_files: &'a [(PathBuf, String)],
    ) -> BoxFuture<'a, Result<(), LaunchesError>> {
        Box::pin(async move {
            let dir = self.dir(&file.launch);
            let mut files = Vec::new();
            for (path, text) in agent_files {
                let inside = path_below(&dir, path).ok_or_else(|| LaunchesError {
                    path: path.clone(),
                    message: "lies outside the files of its launch".to_owned(),
                })?;
                files.push((inside, text.clone()));
            }
            let text = format::write(file, self.group_of(file).as_deref());
            self.blocking(Some(&file.launch), move |dir| {
                create_private_dir(dir)?;
                for (path, text) in &files {
                    write_private(path, text.as_bytes())?;
                }
                // Last: a launcher that finds it finds everything.
                write_private(&dir.join(LAUNCH), text.as_bytes())
            })
            .await
        })
    }

    fn read<'a>(
        &'a self,
        launch: &'a LaunchId,
    ) -> BoxFuture<'a, Result<Option<LaunchFile>, LaunchesError>> {
        Box::pin(self.blocking(Some(launch), |dir| match std::fs::read(dir.join(LAUNCH)) {
            Ok(bytes) => format::read(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }))
    }

    fn proof<'a>(&'a self, launch: &'a LaunchId) -> BoxFuture<'a, LaunchProof> {
        Box::pin(async move {
            match self.blocking(Some(launch), proof).await {
                Ok(proof) => proof,
                Err(error) => {
                    tracing::warn!(%launch, %error, "Launch cannot be proven: its files are unreadable.");
                    LaunchProof::NotStarted
                }
            }
        })
    }

    fn remove<'a>(&'a self, launch: &'a LaunchId) -> BoxFuture<'a, Result<(), LaunchesError>> {
        Box::pin(self.blocking(Some(launch), |dir| match std::fs::remove_dir_all(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<LaunchId>, LaunchesError>> {
        Box::pin(self.blocking(None, |root| {
            let entries = match std::fs::read_dir(root) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries?,
            };
            let mut launches = Vec::new();
            for entry in entries {
                let name = entry?.file_name();
                launches.extend(name.to_str().and_then(|name| LaunchId::parse(name).ok()));
            }
            launches.sort();
            Ok(launches)
        }))
    }
}

/// A path below a directory, `None` when it would leave it.
fn path_below(dir: &Path, path: &Path) -> Option<PathBuf> {
    let leaves = path.components().any(|part| part == Component::ParentDir);
    let joined = dir.join(path);
    (!leaves && joined.starts_with(dir) && joined != dir).then_some(joined)
}

fn create_private_dir(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Writes a file whole or not at all, and does not return before it would survive a power cut.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    create_private_dir(dir)?;
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    let new = dir.join(name);
    let mut file = open_private(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    File::open(dir)?.sync_all()
}

fn read_if_there(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The launcher locks before it says that it started, and the lock is closed by the execution
/// itself: started, unlocked and not failed is executed.
///
/// *Caveats*: a launcher that is killed between the two looks the same; the look at its process
/// tells.
fn proof(dir: &Path) -> io::Result<LaunchProof> {
    let lock = match File::open(dir.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(LaunchProof::NotStarted);
        }
        lock => lock?,
    };
    let is_held = match lock.try_lock_shared() {
        Ok(()) => false,
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(error)) => return Err(error),
    };
    if let Some(because) = read_if_there(&dir.join(FAILED))? {
        return Ok(LaunchProof::Failed { because: because.trim_end().to_owned() });
    }
    if is_held {
        return Ok(LaunchProof::Starting);
    }
    let started = read_if_there(&dir.join(STARTED))?;
    let pid = started.and_then(|text| text.trim_end().parse().ok()).map(Pid);
    Ok(pid.map_or(LaunchProof::NotStarted, |pid| LaunchProof::Execed { pid }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<&str>) {
        let below = path_below(Path::new("/l/1"), Path::new(path));
        assert_eq!(below.as_deref(), expected.map(Path::new));
    }

    #[test]
    fn the_files_of_an_agent_stay_in_the_directory_of_their_launch() {
        check("hooks.json", Some("/l/1/hooks.json"));
        check("a/b.json", Some("/l/1/a/b.json"));
        check("/l/1/prompt", Some("/l/1/prompt"));
        for outside in ["../2/launch.json", "/l/1/../2/x", "/etc/passwd", "/l/11/x", "", "/l/1"] {
            check(outside, None);
        }
    }
}
