//! Prepares worktrees on the disk: links and copies from the main worktree, and commands in a shell.
//!
//! It replaces nothing that stands in a worktree, and follows no link out of it. Keeping what it
//! makes out of `git status` is the worktrees' business.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use ao_core::ids::SessionId;
use ao_core::ports::{
    BoxFuture, Ensured, ProvisionError, ProvisionRequest, Provisioner, is_inside,
};

use crate::cmd::{Cmd, CmdError};

/// What is kept of what the commands of one session print: enough for a long installation.
const LOG_BYTES_MAX: usize = 1024 * 1024;

/// What of it a failure repeats: a few lines, which are what a person looks for first.
const LAST_CHARS_MAX: usize = 500;

/// Bytes that the last lines are taken from.
const TAIL_BYTES_MAX: usize = 4 * 1024;

/// Where copies are put together before they appear under their name: a copy that was interrupted
/// must not be taken for a whole one.
const STAGING: &str = ".ao-copying";

/// In git's directory of a worktree: it was prepared to its end. It goes with the worktree.
const PREPARED: &str = "ao-prepared";

/// Preparations on the disk.
#[derive(Debug, Clone)]
pub struct DiskProvisioner {
    logs: PathBuf,
    timeout: Duration,
}

impl DiskProvisioner {
    /// Keeps what is printed below `logs`; a command gets this long.
    pub fn new(logs: impl Into<PathBuf>, timeout: Duration) -> Self {
        Self { logs: logs.into(), timeout }
    }

    fn log_path(&self, session: &SessionId) -> PathBuf {
        self.logs.join(format!("{session}.txt"))
    }

    async fn commands(&self, request: &ProvisionRequest) -> Result<(), ProvisionError> {
        let mut log = Log::append(&self.log_path(&request.session))?;
        for command in &request.provisions.post_create {
            log.line(&format!("$ {command}"));
            log.tail.clear();
            // One stream, so that complaints stand where they were made.
            let shell = Cmd::new("sh")
                .args(["-c", "exec 2>&1; eval \"$1\"", "sh", command.as_str()])
                .dir(&request.path)
                .env_clear()
                .timeout(self.timeout);
            let shell = request.env.iter().fold(shell, |cmd, (key, value)| cmd.env(key, value));
            let how = match shell.run_into(|bytes| log.write(bytes)).await {
                Ok(status) if status.success() => continue,
                Ok(status) => match status.code() {
                    Some(code) => format!("ended with status {code}"),
                    None => format!("ended with {status}"),
                },
                Err(CmdError::TimedOut { after, .. }) => {
                    format!("did not end within {} s", after.as_secs())
                }
                Err(error) => format!("could not be run: {error}"),
            };
            log.line(&format!("`{command}` {how}"));
            return Err(ProvisionError::Command { command: shown(command), how, last: log.last() });
        }
        Ok(())
    }
}

impl Provisioner for DiskProvisioner {
    fn place<'a>(
        &'a self,
        request: &'a ProvisionRequest,
    ) -> BoxFuture<'a, Result<Ensured, ProvisionError>> {
        Box::pin(async move {
            if marker_of(&request.path).is_some_and(|marker| marker.exists()) {
                return Ok(Ensured::AlreadyThere);
            }
            let (request, path) = (request.clone(), self.log_path(&request.session));
            let placed = tokio::task::spawn_blocking(move || {
                let mut log = Log::anew(&path)?;
                place_all(&request, &mut log)
            });
            let unexpected =
                |error: tokio::task::JoinError| ProvisionError::Log { message: error.to_string() };
            placed.await.map_err(unexpected)??;
            Ok(Ensured::Done)
        })
    }

    fn run<'a>(
        &'a self,
        request: &'a ProvisionRequest,
    ) -> BoxFuture<'a, Result<(), ProvisionError>> {
        Box::pin(async move {
            self.commands(request).await?;
            let Some(marker) = marker_of(&request.path) else {
                return Err(failed(&request.path, "it is no worktree any more"));
            };
            fs::write(&marker, "").map_err(|error| failed(&marker, &error.to_string()))
        })
    }

    fn log<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, Result<String, ProvisionError>> {
        Box::pin(async move {
            match tokio::fs::read(self.log_path(session)).await {
                Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
                Err(error) => Err(ProvisionError::Log { message: error.to_string() }),
            }
        })
    }

    fn forget<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, Result<(), ProvisionError>> {
        Box::pin(async move {
            match tokio::fs::remove_file(self.log_path(session)).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(ProvisionError::Log { message: error.to_string() })
                }
                Ok(()) | Err(_) => Ok(()),
            }
        })
    }
}

/// Where it is written down that a worktree was prepared; `None` where git made no worktree.
fn marker_of(worktree: &Path) -> Option<PathBuf> {
    let link = fs::read_to_string(worktree.join(".git")).ok()?;
    let admin = link.trim_end_matches('\n').strip_prefix("gitdir: ")?;
    Some(worktree.join(admin).join(PREPARED))
}

fn failed(path: &Path, message: &str) -> ProvisionError {
    ProvisionError::Path { path: path.to_owned(), message: message.to_owned() }
}

/// What was done and printed, readable by the owner only.
struct Log {
    file: fs::File,
    n_bytes: usize,
    tail: Vec<u8>,
}

impl Log {
    fn anew(path: &Path) -> Result<Self, ProvisionError> {
        Self::open(path, fs::OpenOptions::new().write(true).create(true).truncate(true))
    }

    fn append(path: &Path) -> Result<Self, ProvisionError> {
        Self::open(path, fs::OpenOptions::new().append(true).create(true))
    }

    fn open(path: &Path, options: &mut fs::OpenOptions) -> Result<Self, ProvisionError> {
        let mut open = || {
            if let Some(dir) = path.parent() {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
            }
            let file = options.mode(0o600).open(path)?;
            let n_bytes = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
            Ok(Self { file, n_bytes, tail: Vec::new() })
        };
        open().map_err(|error: io::Error| ProvisionError::Log { message: error.to_string() })
    }

    /// Keeps what still fits. A log that cannot be written is not worth a session.
    fn write(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        let n_surplus = self.tail.len().saturating_sub(TAIL_BYTES_MAX);
        self.tail.drain(..n_surplus);
        let n_left = LOG_BYTES_MAX.saturating_sub(self.n_bytes);
        let kept = bytes.get(..bytes.len().min(n_left)).unwrap_or(bytes);
        if let Err(error) = self.file.write_all(kept) {
            tracing::warn!(%error, "What a command printed was not kept.");
        }
        self.n_bytes = self.n_bytes.saturating_add(kept.len());
        if n_left > 0 && kept.len() < bytes.len() {
            let note = b"\n(the rest was not kept)\n";
            if let Err(error) = self.file.write_all(note) {
                tracing::warn!(%error, "What a command printed was not kept.");
            }
        }
    }

    fn line(&mut self, text: &str) {
        self.write(text.as_bytes());
        self.write(b"\n");
    }

    /// The end of what the command said, on one line.
    fn last(&self) -> String {
        let text = String::from_utf8_lossy(&self.tail);
        let said: Vec<&str> = text.lines().map(str::trim).filter(|it| !it.is_empty()).collect();
        // The very last line is our own.
        let said = said.split_last().map(|(_ours, said)| said.join(" ")).unwrap_or_default();
        let n_surplus = said.chars().count().saturating_sub(LAST_CHARS_MAX);
        shown(&said.chars().skip(n_surplus).collect::<String>())
    }
}

/// Text from outside on one line.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn place_all(request: &ProvisionRequest, log: &mut Log) -> Result<(), ProvisionError> {
    let staging = request.path.join(STAGING);
    remove(&staging).map_err(|error| failed(&staging, &error.to_string()))?;
    for name in &request.provisions.link {
        let said = place(request, name, |source, target| symlink(source, target))?;
        log.line(&format!("link {name}: {said}"));
    }
    for name in &request.provisions.copy {
        let said = place(request, name, |source, target| {
            // What is named itself is copied also when a link leads to it.
            let metadata = fs::metadata(source)?;
            if metadata.is_dir() {
                copy_dir(source, &staging, &request.path)?;
            } else if metadata.is_file() {
                fs::copy(source, &staging)?;
            } else {
                return Err(io::Error::other("it is neither a file nor a directory"));
            }
            fs::rename(&staging, target)?;
            // Last of all: a directory that may not be written cannot be moved.
            fs::set_permissions(target, metadata.permissions())
        })?;
        log.line(&format!("copy {name}: {said}"));
    }
    Ok(())
}

/// Puts one thing in its place, and says what came of it.
fn place(
    request: &ProvisionRequest,
    name: &str,
    make: impl FnOnce(&Path, &Path) -> io::Result<()>,
) -> Result<&'static str, ProvisionError> {
    if !is_inside(name) {
        return Err(failed(Path::new(name), "it does not lie inside the worktree"));
    }
    let name = Path::new(name.trim_end_matches('/'));
    let (source, target) = (request.repo.join(name), request.path.join(name));
    if source.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok("the main worktree has none");
    }
    if target.symlink_metadata().is_ok() {
        return Ok("it is there already");
    }
    make_parents(&request.path, name)?;
    make(&source, &target).map_err(|error| failed(&target, &error.to_string()))?;
    Ok("done")
}

/// Makes the directories above a path of a worktree. A link among them may lead anywhere.
fn make_parents(top: &Path, name: &Path) -> Result<(), ProvisionError> {
    let mut dir = top.to_owned();
    let parents = name.parent().into_iter().flat_map(Path::components);
    for component in parents.filter(|it| matches!(it, Component::Normal(_))) {
        dir.push(component);
        match dir.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_other) => return Err(failed(&dir, "it is no directory of the worktree")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(&dir).map_err(|error| failed(&dir, &error.to_string()))?;
            }
            Err(error) => return Err(failed(&dir, &error.to_string())),
        }
    }
    Ok(())
}

/// Copies a directory with the modes of what is in it, links as links, and without `except`, which may lie in it.
fn copy_dir(from: &Path, to: &Path, except: &Path) -> io::Result<()> {
    let mut dirs = vec![(from.to_owned(), to.to_owned())];
    let mut made = Vec::new();
    while let Some((from, to)) = dirs.pop() {
        fs::create_dir(&to)?;
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            let kind = entry.file_type()?;
            if source == except {
                // A worktree inside of what is copied into it.
            } else if kind.is_dir() {
                dirs.push((source, target));
            } else if kind.is_symlink() {
                symlink(fs::read_link(&source)?, &target)?;
            } else if kind.is_file() {
                fs::copy(&source, &target)?;
            }
            // Sockets and pipes belong to who made them.
        }
        made.push((from, to));
    }
    // Last: a directory that may not be written would not take its files.
    for (from, to) in made.iter().skip(1).rev() {
        fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    }
    Ok(())
}

/// Removes what an interrupted copy left, and follows no link.
fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_file) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
