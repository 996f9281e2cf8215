//! The one way in which the adapters start a program: own process group, bounded time, bounded
//! output, no inherited standard input.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines,
};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Time that a program gets when the caller names none: ten times what the slowest measured
/// look-up took on a loaded machine.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// Bytes of each output stream that are kept when the caller names no bound.
const OUTPUT_BYTES_MAX_DEFAULT: usize = 4 * 1024 * 1024;

/// How long the last words of a program that ended may take to come through its pipe.
const REST_FOR_MAX: Duration = Duration::from_millis(200);

/// Why a program did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum CmdError {
    /// The program is not on the PATH.
    #[error("`{program}` is not installed or not on the PATH")]
    Missing {
        /// Its name.
        program: String,
    },
    /// It could not be started or talked to.
    #[error("`{program}` could not be run: {source}")]
    Io {
        /// Its name.
        program: String,
        /// The cause.
        source: io::Error,
    },
    /// It took too long and was ended.
    #[error("`{program}` did not end within {} s", after.as_secs())]
    TimedOut {
        /// Its name.
        program: String,
        /// The bound.
        after: Duration,
    },
}

/// How a program ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote, up to the bound.
    pub stdout: Vec<u8>,
    /// What it complained about, up to the bound.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as one trimmed text.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim().to_owned()
    }
}

/// A program to run.
#[derive(Debug, Clone)]
pub struct Cmd {
    program: OsString,
    args: Vec<OsString>,
    dir: Option<PathBuf>,
    env: BTreeMap<OsString, Option<OsString>>,
    is_env_inherited: bool,
    stdin: Vec<u8>,
    timeout: Duration,
    output_bytes_max: usize,
}

impl Cmd {
    /// A program without arguments.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            dir: None,
            env: BTreeMap::new(),
            is_env_inherited: true,
            stdin: Vec::new(),
            timeout: TIMEOUT_DEFAULT,
            output_bytes_max: OUTPUT_BYTES_MAX_DEFAULT,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Runs it in a directory.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(key.as_ref().to_owned(), Some(value.as_ref().to_owned()));
        self
    }

    /// Removes a variable.
    #[must_use]
    pub fn env_remove(mut self, key: impl AsRef<OsStr>) -> Self {
        self.env.insert(key.as_ref().to_owned(), None);
        self
    }

    /// Gives it the variables that are set here and none besides.
    #[must_use]
    pub const fn env_clear(mut self) -> Self {
        self.is_env_inherited = false;
        self
    }

    /// Feeds it these bytes.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Gives it this long.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Keeps at most this many bytes of each output stream.
    #[must_use]
    pub const fn output_bytes_max(mut self, n_bytes: usize) -> Self {
        self.output_bytes_max = n_bytes;
        self
    }

    /// Runs it to its end. A status other than 0 is not an error here.
    pub async fn run(self) -> Result<Output, CmdError> {
        let after = self.timeout;
        match tokio::time::timeout(after, self.run_unbounded()).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(source)) => Err(self.failed(source)),
            Err(_elapsed) => Err(CmdError::TimedOut { program: self.name(), after }),
        }
    }

    /// Runs it to its end and hands on what it writes to its standard output, as it comes. A status
    /// other than 0 is not an error here. Giving the future up ends it and its process group.
    pub async fn run_into(self, sink: impl FnMut(&[u8])) -> Result<ExitStatus, CmdError> {
        let after = self.timeout;
        match tokio::time::timeout(after, self.listen_to(sink)).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(source)) => Err(self.failed(source)),
            Err(_elapsed) => Err(CmdError::TimedOut { program: self.name(), after }),
        }
    }

    async fn listen_to(&self, mut sink: impl FnMut(&[u8])) -> io::Result<ExitStatus> {
        let mut child = self.command().stderr(Stdio::null()).spawn()?;
        let mut group = Group::of(&child);
        drop(child.stdin.take());
        let mut stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut buffer = vec![0; 8 * 1024];
        let mut status = None;
        while status.is_none() {
            tokio::select! {
                n_bytes = stdout.read(&mut buffer) => match n_bytes? {
                    0 => status = Some(child.wait().await?),
                    n => sink(buffer.get(..n).unwrap_or_default()),
                },
                ended = child.wait() => status = Some(ended?),
            }
        }
        group.pid = None;
        // What it left running may hold the pipe for ever.
        let rest = async {
            while let Ok(n @ 1..) = stdout.read(&mut buffer).await {
                sink(buffer.get(..n).unwrap_or_default());
            }
        };
        let _is_cut = tokio::time::timeout(REST_FOR_MAX, rest).await.is_err();
        Ok(status.unwrap_or_default())
    }

    /// Starts it and hears what it says, line by line. Dropping the conversation ends the
    /// program and what it started.
    pub fn converse(self) -> Result<Conversation, CmdError> {
        let started = self.command().stderr(Stdio::null()).spawn().and_then(|mut child| {
            let stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
            let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(Conversation {
                _group: Group::of(&child),
                _child: child,
                _stdin: stdin,
                lines: BufReader::new(stdout).lines(),
            })
        });
        started.map_err(|source| self.failed(source))
    }

    fn name(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    /// The system says the same of a missing program and of a missing directory to run it in.
    fn failed(&self, source: io::Error) -> CmdError {
        let program = self.name();
        if source.kind() != io::ErrorKind::NotFound {
            return CmdError::Io { program, source };
        }
        match self.dir.as_ref().filter(|dir| !dir.is_dir()) {
            Some(dir) => {
                let message = format!("the directory `{}` does not exist", dir.display());
                CmdError::Io { program, source: io::Error::new(source.kind(), message) }
            }
            None => CmdError::Missing { program },
        }
    }

    fn command(&self) -> Command {
        #[expect(clippy::disallowed_methods, reason = "this is the wrapper that the rule asks for")]
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        if !self.is_env_inherited {
            command.env_clear();
        }
        for (key, value) in &self.env {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        command
    }

    async fn run_unbounded(&self) -> io::Result<Output> {
        let mut child = self.command().stderr(Stdio::piped()).spawn()?;
        let mut group = Group::of(&child);
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let Some(mut stdin) = stdin
                && let Err(error) = stdin.write_all(&self.stdin).await
                && error.kind() != io::ErrorKind::BrokenPipe
            {
                return Err(error);
            }
            Ok(())
        };
        let wait = async {
            let status = child.wait().await?;
            group.pid = None;
            Ok(status)
        };
        let (_fed, stdout, stderr, status) = tokio::try_join!(
            feed,
            read_bounded(stdout, self.output_bytes_max),
            read_bounded(stderr, self.output_bytes_max),
            wait
        )?;
        Ok(Output { status, stdout, stderr })
    }
}

/// The process group of a program; what is left of it is ended when the program is given up.
///
/// Its number is good only while the program was not waited for: afterwards it may be another's.
#[derive(Debug)]
struct Group {
    pid: Option<Pid>,
}

impl Group {
    fn of(child: &Child) -> Self {
        let number = child.id().and_then(|id| i32::try_from(id).ok());
        Self { pid: number.and_then(Pid::from_raw) }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.pid
            && let Err(error) = kill_process_group(pid, Signal::KILL)
        {
            tracing::debug!(%error, "A program that was given up had no group.");
        }
    }
}

/// A program that runs and is listened to. Dropping it ends the program and its process group.
///
/// Its standard input stays open and empty, so that it can tell when we end without a word.
#[derive(Debug)]
pub struct Conversation {
    /// The program is not waited for while this is here.
    _group: Group,
    _child: Child,
    _stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Conversation {
    /// The next line that it says; `None` after the last. A cancelled wait loses nothing.
    pub async fn next_line(&mut self) -> io::Result<Option<String>> {
        self.lines.next_line().await
    }
}

/// Reads a stream to its end and keeps its first bytes, so that its writer never blocks.
async fn read_bounded(
    stream: Option<impl AsyncRead + Unpin>,
    n_bytes_max: usize,
) -> io::Result<Vec<u8>> {
    let Some(mut stream) = stream else { return Ok(Vec::new()) };
    let mut kept = Vec::new();
    let limit = u64::try_from(n_bytes_max).unwrap_or(u64::MAX);
    (&mut stream).take(limit).read_to_end(&mut kept).await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signal is sent; the kernel ends the process in its own time.
    async fn until_ended(pid: &str) {
        let is_alive = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.is_ok_and(|it| !it.contains(") Z "))
        };
        for _ in 0..1000 {
            if !is_alive() {
                return;
            }
            Cmd::new("true").run().await.unwrap();
        }
        panic!("the child of a program that was given up is still alive");
    }

    #[tokio::test]
    async fn feeds_and_reads_more_than_a_pipe_holds() {
        let bytes = vec![b'x'; 300_000];
        let output = Cmd::new("cat").stdin(bytes.clone()).run().await.unwrap();
        assert_eq!(output.stdout, bytes);
    }

    #[tokio::test]
    async fn a_cleared_environment_holds_what_was_set() {
        let path = Cmd::new("printenv").env("ONE", "1").env_clear().env("TWO", "2");
        let output = path.run().await.unwrap();
        assert_eq!(output.stdout_text(), "ONE=1\nTWO=2\n");
    }

    #[tokio::test]
    async fn keeps_no_more_than_asked() {
        let output =
            Cmd::new("cat").stdin(vec![b'x'; 300_000]).output_bytes_max(10).run().await.unwrap();
        assert_eq!(output.stdout, b"xxxxxxxxxx");
        assert!(output.status.success());
    }

    #[tokio::test]
    async fn a_conversation_is_heard_line_by_line() {
        let script = "echo first; echo second; exec cat";
        let mut talker = Cmd::new("sh").args(["-c", script]).converse().unwrap();
        assert_eq!(talker.next_line().await.unwrap().as_deref(), Some("first"));
        assert_eq!(talker.next_line().await.unwrap().as_deref(), Some("second"));
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended() {
        let error = Cmd::new("sleep")
            .arg("600")
            .timeout(Duration::from_millis(50))
            .run()
            .await
            .unwrap_err();
        assert!(matches!(error, CmdError::TimedOut { .. }), "{error}");
    }

    #[tokio::test]
    async fn what_a_hanging_program_started_is_ended_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script = "sleep 600 & echo $! > \"$1\"; wait";
        let args: [&OsStr; 4] = ["-c".as_ref(), script.as_ref(), "sh".as_ref(), file.as_ref()];
        let timeout = Duration::from_millis(500);
        Cmd::new("sh").args(args).timeout(timeout).run().await.unwrap_err();
        until_ended(std::fs::read_to_string(&file).unwrap().trim()).await;
    }

    #[tokio::test]
    async fn what_a_conversation_started_is_ended_with_it() {
        let script = "sleep 600 & echo $!; wait";
        let mut talker = Cmd::new("sh").args(["-c", script]).converse().unwrap();
        let pid = talker.next_line().await.unwrap().unwrap();
        drop(talker);
        until_ended(&pid).await;
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_is_not_mistaken_for_the_program() {
        let dir = tempfile::tempdir().unwrap().path().join("absent");
        let error = Cmd::new("true").dir(&dir).run().await.unwrap_err();
        assert!(error.to_string().contains(dir.to_str().unwrap()), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error = Cmd::new("ao-no-such-program").run().await.unwrap_err();
        assert_eq!(error.to_string(), "`ao-no-such-program` is not installed or not on the PATH");
    }
}
