//! Cuts a program short at its n-th write-class system call, with strace.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ao_adapters::cmd::Cmd;
use rustix::process::{Pid, Signal, kill_process};

use crate::chaos::account::pause;
use crate::chaos::place::Place;
use crate::tool::Failure;

/// Calls that change what is on disk. Those that not every architecture has are marked.
const CALLS: &str = "pwrite64,fsync,fdatasync,ftruncate,?rename,renameat,renameat2,?unlink,unlinkat,\
                     ?rmdir,?mkdir,mkdirat,?link,linkat,?symlink,symlinkat";

/// How long, and how often, a tracer is waited for.
const LOOKS_MAX: u32 = 500;
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What happens to the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed as it makes it.
    Kill,
    /// The disk is full, this once.
    NoSpace,
    /// The disk fails, this once.
    Io,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Kill, Self::NoSpace, Self::Io];

    fn injected(self, n: u64) -> String {
        match self {
            // A terminal, a pipe or a log are written to, too: only a death may come there.
            Self::Kill => format!("inject={CALLS},write:signal=KILL:when={n}"),
            Self::NoSpace => format!("inject={CALLS}:error=ENOSPC:when={n}"),
            Self::Io => format!("inject={CALLS}:error=EIO:when={n}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill",
            Self::NoSpace => "nospace",
            Self::Io => "io",
        })
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|it| it.to_string() == text);
        known.ok_or_else(|| format!("`{text}` is none of kill, nospace, io"))
    }
}

/// Where something is cut short.
pub(super) struct Cut {
    pub(super) fault: Fault,
    pub(super) n: u64,
    /// What strace writes.
    pub(super) log: PathBuf,
}

impl Cut {
    fn strace(&self, place: &Place) -> Cmd {
        let trace = format!("trace={CALLS},write");
        place
            .outside("strace")
            .args(["-f", "-qq", "-o"])
            .arg(&self.log)
            .args(["-e", &trace, "-e", &self.fault.injected(self.n)])
            .timeout(Duration::from_mins(2))
    }

    /// Does something while the daemon that runs is watched. Whether it was cut.
    pub(super) async fn during(
        &self,
        place: &Place,
        act: impl Future<Output = Result<(), Failure>>,
    ) -> Result<bool, Failure> {
        let Some(daemon) = place.daemon() else { return Err("there is no daemon".into()) };
        drop(fs::remove_file(&self.log));
        let tracer =
            self.strace(place).arg("-p").arg(daemon.as_raw_nonzero().to_string()).converse()?;
        for _ in 0..LOOKS_MAX {
            if tracer_of(daemon).is_some() {
                break;
            }
            pause(LOOK_EVERY).await;
        }
        act.await?;
        let_go(daemon).await;
        drop(tracer);
        Ok(self.has_hit())
    }

    /// Starts a daemon that is watched. Whether it was cut.
    pub(super) async fn start(&self, place: &Place) -> Result<bool, Failure> {
        drop(fs::remove_file(&self.log));
        let program = place.program();
        let strace = self.strace(place).arg(program).arg("start").env("AO_HOME", place.home());
        let mut tracer = strace.converse()?;
        let mut daemon = None;
        for _ in 0..LOOKS_MAX {
            daemon = place.daemon();
            let answers = place.ao(&["status"]).await?.status.success();
            // Its own end of the conversation closes with its last tracee.
            let is_over = tokio::time::timeout(LOOK_EVERY, tracer.next_line()).await;
            if answers || matches!(is_over, Ok(Ok(None))) {
                break;
            }
        }
        if let Some(daemon) = daemon {
            let_go(daemon).await;
        }
        drop(tracer);
        Ok(self.has_hit())
    }

    fn has_hit(&self) -> bool {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.contains("(INJECTED)") || log.contains("killed by SIGKILL")
    }
}

/// Lets the daemon go on unwatched: a tracer that is interrupted detaches.
async fn let_go(daemon: Pid) {
    for _ in 0..LOOKS_MAX {
        let Some(tracer) = tracer_of(daemon) else { return };
        // One that ended meanwhile is as good.
        kill_process(tracer, Signal::INT).unwrap_or_default();
        pause(LOOK_EVERY).await;
    }
}

fn tracer_of(daemon: Pid) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.as_raw_nonzero())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?;
    Pid::from_raw(line.trim().parse().ok()?)
}
