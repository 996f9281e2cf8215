//! The process table of Linux: `/proc` to look, pidfd to watch and to signal.
//!
//! A number alone never names a process: every look and every signal compares the boot and the
//! start time, after the pidfd is open, so that a number used again is not taken for the old one.
//! What left the tree is found by its control group, where the launch has one, and by the nonce in
//! its environment. A process that executes a program at the moment of the scan shows no
//! environment; who ends a tree scans again until nothing is found.

pub(crate) mod groups;
mod stat;
mod table;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use ao_core::fact::ProcessProbe;
use ao_core::ids::{Nonce, Pid};
use ao_core::ports::{BoxFuture, ProcessEnd, ProcessError, ProcessSignal, Processes};
use ao_core::session::ProcessIdentity;
use ao_core::time::BootId;
use rustix::io::Errno;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

pub use self::groups::{Groups, NoGroups, groups_possible};
use self::stat::Stat;
pub(crate) use self::table::TMUX_SERVER;
use self::table::{Table, nonce_in_environment};

/// Where the kernel tells the name of the current boot.
const BOOT_ID_PATH: &str = "/proc/sys/kernel/random/boot_id";

/// Why the current boot has no name.
#[derive(Debug, thiserror::Error)]
#[error("the boot id cannot be read from `{path}`: {message}")]
pub struct BootIdError {
    path: PathBuf,
    message: String,
}

/// How often a scan is begun again because somebody came into the group in between.
const SCANS_MAX: usize = 5;

/// Processes of this machine.
#[derive(Debug, Clone)]
pub struct LinuxProcesses {
    boot: BootId,
    groups: Option<Groups>,
}

/// What a look at one process number found.
enum Found {
    Running(Stat),
    /// Nobody has the number, or a process that ended and was not reaped.
    Nobody,
    Unreadable,
}

impl LinuxProcesses {
    /// The machine as it is.
    pub fn new() -> Result<Self, BootIdError> {
        Self::with_boot_id_from(Path::new(BOOT_ID_PATH))
    }

    /// The machine, with the name of its boot read from another file.
    pub fn with_boot_id_from(path: &Path) -> Result<Self, BootIdError> {
        let failed = |message: String| BootIdError { path: path.to_owned(), message };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let boot = BootId::parse(&text).ok_or_else(|| failed(format!("`{text}` is no boot id")))?;
        Ok(Self { boot, groups: None })
    }

    /// The machine, with the control groups of one home's launches.
    #[must_use]
    pub fn with_groups(self, groups: Option<Groups>) -> Self {
        Self { groups, ..self }
    }

    /// The boot that the machine is in.
    pub const fn boot_id(&self) -> BootId {
        self.boot
    }

    /// Opens that very process: `Ok(None)` when it has ended.
    fn open(&self, process: &ProcessIdentity) -> io::Result<Option<OwnedFd>> {
        if process.boot != self.boot {
            return Ok(None);
        }
        let Some(pid) = rustix::process::Pid::from_raw(process.pid.0) else { return Ok(None) };
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // The number is held by the pidfd only from here: what it names is known after a look.
        match find(process.pid) {
            Found::Running(stat) if stat.start_ticks == process.start_ticks => Ok(Some(pidfd)),
            Found::Running(_) | Found::Nobody => Ok(None),
            Found::Unreadable => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    /// Whether that very process runs and calls itself so.
    pub(crate) fn is_called(&self, process: &ProcessIdentity, name: &str) -> bool {
        match find(process.pid) {
            Found::Running(stat) => {
                process.boot == self.boot
                    && stat.start_ticks == process.start_ticks
                    && stat.name == name
            }
            Found::Nobody | Found::Unreadable => false,
        }
    }

    /// Signals that very process; false when it has ended.
    pub(crate) fn signal(&self, process: &ProcessIdentity, signal: Signal) -> io::Result<bool> {
        if process.pid == own_pid() {
            return Ok(false);
        }
        let Some(pidfd) = self.open(process)? else { return Ok(false) };
        if let Some(expected) = &process.nonce
            && nonce_in_environment(process.pid).is_some_and(|found| found != expected.as_str())
        {
            return Ok(false);
        }
        match pidfd_send_signal(&pidfd, signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn find(pid: Pid) -> Found {
    found(pid, Stat::read(pid))
}

/// What the table's answer about a number means.
fn found(pid: Pid, read: io::Result<Stat>) -> Found {
    match read {
        Ok(stat) if stat.has_ended => Found::Nobody,
        Ok(stat) => Found::Running(stat),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A table mounted with `hidepid`, or none at all, hides processes that run.
            let Some(raw) = rustix::process::Pid::from_raw(pid.0) else { return Found::Nobody };
            match pidfd_open(raw, PidfdFlags::empty()) {
                Err(Errno::SRCH) => Found::Nobody,
                Ok(_) | Err(_) => Found::Unreadable,
            }
        }
        Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Found::Nobody,
        Err(_) => Found::Unreadable,
    }
}

/// What stands at the number of a process says so about that very process.
const fn probe_of(process: &ProcessIdentity, found: &Found) -> ProcessProbe {
    match found {
        Found::Running(stat) if stat.start_ticks == process.start_ticks => ProcessProbe::Alive,
        Found::Running(_) | Found::Nobody => ProcessProbe::Dead,
        Found::Unreadable => ProcessProbe::Unknown,
    }
}

/// What is found of a launch: by its group, and by what leads to its processes.
///
/// The group is read after the table. A number that stands in both is that very process, or one of
/// them has ended, and then nothing is signalled: the start time tells.
fn scan(
    nonce: &Nonce,
    root: Option<&ProcessIdentity>,
    group: Option<&Path>,
    boot: BootId,
) -> io::Result<Vec<ProcessIdentity>> {
    let mut left = SCANS_MAX;
    loop {
        let table = Table::read(own_pid())?;
        let members = group.map(groups::members).transpose()?.unwrap_or_default();
        let is_populated = group.is_some_and(|it| groups::is_populated(it).unwrap_or(true));
        let is_whole = table.has_all(&members) && members.is_empty() != is_populated;
        let found = table.identities(&table.tree(nonce, root, &members), boot);
        left = left.saturating_sub(1);
        if is_whole || (left == 0 && !found.is_empty()) {
            return Ok(found);
        }
        if left == 0 {
            return Err(io::Error::other("the control group has processes that cannot be seen"));
        }
    }
}

/// Ends a group, unless somebody is in it who is never signalled.
fn kill_group(group: &Path) -> io::Result<bool> {
    let is_spared = |pid: &Pid| *pid == own_pid() || Stat::read(*pid).is_ok_and(|it| it.is_tmux());
    let members = groups::members(group)?;
    if members.is_empty() || members.iter().any(is_spared) {
        return Ok(false);
    }
    groups::kill(group).map(|()| true)
}

async fn in_table<T: Send + 'static>(
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ProcessError> {
    // Some hundred files of the kernel: too slow for the thread that drives everything.
    match tokio::task::spawn_blocking(act).await {
        Ok(done) => done.map_err(|error| ProcessError { message: error.to_string() }),
        Err(error) => Err(ProcessError { message: error.to_string() }),
    }
}

fn own_pid() -> Pid {
    Pid(rustix::process::getpid().as_raw_nonzero().get())
}

impl Processes for LinuxProcesses {
    fn boot(&self) -> BootId {
        self.boot
    }

    fn identity(&self, pid: Pid, nonce: Option<&Nonce>) -> Option<ProcessIdentity> {
        match find(pid) {
            Found::Running(stat) => Some(ProcessIdentity {
                boot: self.boot,
                pid,
                start_ticks: stat.start_ticks,
                nonce: nonce.cloned(),
            }),
            Found::Nobody | Found::Unreadable => None,
        }
    }

    fn nonce_of(&self, pid: Pid) -> Option<Nonce> {
        Nonce::parse(nonce_in_environment(pid)?).ok()
    }

    fn probe(&self, process: &ProcessIdentity) -> ProcessProbe {
        if process.boot != self.boot {
            return ProcessProbe::Dead;
        }
        probe_of(process, &find(process.pid))
    }

    fn watch<'a>(&'a self, process: &'a ProcessIdentity) -> BoxFuture<'a, ProcessEnd> {
        Box::pin(async move {
            let ended = async {
                let Some(pidfd) = self.open(process)? else { return Ok(()) };
                #[expect(
                    deprecated,
                    reason = "its unsafe successor guards types that may swap their descriptor; \
                              an `OwnedFd` does not"
                )]
                let pidfd = AsyncFd::with_interest(pidfd, Interest::READABLE)?;
                pidfd.readable().await.map(drop)
            };
            match ended.await {
                Ok(()) => ProcessEnd::Died,
                Err::<_, io::Error>(error) => {
                    tracing::debug!(pid = process.pid.0, %error, "Process cannot be watched.");
                    ProcessEnd::Lost
                }
            }
        })
    }

    fn scan<'a>(
        &'a self,
        nonce: &'a Nonce,
        root: Option<&'a ProcessIdentity>,
    ) -> BoxFuture<'a, Result<Vec<ProcessIdentity>, ProcessError>> {
        let boot = self.boot;
        let (nonce, root) = (nonce.clone(), root.filter(|root| root.boot == boot).cloned());
        let groups = self.groups.clone();
        Box::pin(in_table(move || {
            let group = groups.and_then(|groups| groups.find(&nonce));
            scan(&nonce, root.as_ref(), group.as_deref(), boot)
        }))
    }

    fn signal_tree<'a>(
        &'a self,
        processes: &'a [ProcessIdentity],
        signal: ProcessSignal,
    ) -> BoxFuture<'a, Result<usize, ProcessError>> {
        let signal = match signal {
            ProcessSignal::Terminate => Signal::TERM,
            ProcessSignal::Kill => Signal::KILL,
        };
        Box::pin(async move {
            let mut n_signalled = 0;
            let mut failed = None;
            for process in processes {
                match self.signal(process, signal) {
                    Ok(true) => n_signalled += 1,
                    Ok(false) => {}
                    // The others are signalled all the same.
                    Err(error) => failed = Some(format!("process {}: {error}", process.pid)),
                }
            }
            failed.map_or(Ok(n_signalled), |message| Err(ProcessError { message }))
        })
    }

    fn kill_group<'a>(&'a self, nonce: &'a Nonce) -> BoxFuture<'a, Result<bool, ProcessError>> {
        let (groups, nonce) = (self.groups.clone(), nonce.clone());
        Box::pin(in_table(move || {
            groups.and_then(|groups| groups.find(&nonce)).map_or(Ok(false), |it| kill_group(&it))
        }))
    }

    fn forget_group<'a>(&'a self, nonce: &'a Nonce) -> BoxFuture<'a, ()> {
        let (groups, nonce) = (self.groups.clone(), nonce.clone());
        Box::pin(async move {
            let forgotten = in_table(move || {
                if let Some(groups) = groups {
                    groups.forget(&nonce);
                }
                Ok(())
            });
            if let Err(error) = forgotten.await {
                tracing::debug!(%error, "A control group stays.");
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_id_may_come_from_anywhere_and_must_be_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("boot_id");
        std::fs::write(&path, "0d5b2d5a-93a0-4c3f-8a7b-0123456789ab\n").unwrap();
        let processes = LinuxProcesses::with_boot_id_from(&path).unwrap();
        assert_eq!(processes.boot_id().to_string(), "0d5b2d5a-93a0-4c3f-8a7b-0123456789ab");
        std::fs::write(&path, "none").unwrap();
        let error = LinuxProcesses::with_boot_id_from(&path).unwrap_err();
        assert!(error.to_string().ends_with("`none` is no boot id"), "{error}");
    }

    #[test]
    fn a_process_of_another_boot_is_dead_whoever_has_its_number() {
        let processes = LinuxProcesses::new().unwrap();
        let own = processes.identity(own_pid(), None).unwrap();
        assert_eq!(processes.probe(&own), ProcessProbe::Alive);
        let earlier = ProcessIdentity { boot: BootId(1), ..own };
        assert_eq!(processes.probe(&earlier), ProcessProbe::Dead);
    }

    #[test]
    fn a_process_that_the_table_hides_or_refuses_is_unknown_and_not_dead() {
        let processes = LinuxProcesses::new().unwrap();
        let own = processes.identity(own_pid(), None).unwrap();
        for kind in [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied] {
            let answer = found(own.pid, Err(kind.into()));
            assert_eq!(probe_of(&own, &answer), ProcessProbe::Unknown, "{kind}");
        }
        // The kernel has never given this number out: the table is right about it.
        let nobody = ProcessIdentity { pid: Pid(i32::MAX), ..own };
        let answer = found(nobody.pid, Err(io::ErrorKind::NotFound.into()));
        assert_eq!(probe_of(&nobody, &answer), ProcessProbe::Dead);
    }
}
