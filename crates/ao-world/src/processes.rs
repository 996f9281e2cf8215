//! Processes, seen from outside.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// How often processes are looked for that a killed one had begun.
const ROUNDS_MAX: usize = 3;

/// How often a group is tried to be taken away whose last process has just been killed.
const TRIES_MAX: usize = 1_000;

/// Every process that has this in its environment (`AO_HOME=/somewhere`).
pub fn with_variable(variable: &str) -> Vec<Pid> {
    let has_it = |pid: &Pid| environment(*pid).iter().any(|it| it == variable.as_bytes());
    all().into_iter().filter(has_it).collect()
}

/// Kills every process that has this in its environment, and those that they began meanwhile. Of a
/// home (`AO_HOME=/somewhere`), what is in its control groups as well.
pub fn end_all(variable: &str) {
    for _ in 0..ROUNDS_MAX {
        let found = with_variable(variable);
        if found.is_empty() {
            break;
        }
        for pid in found {
            // One that ended meanwhile is as good.
            kill_process(pid, Signal::KILL).unwrap_or_default();
        }
    }
    if let Some(home) = variable.strip_prefix("AO_HOME=") {
        for _ in 0..TRIES_MAX {
            if end_groups(Path::new(home)) {
                return;
            }
            std::thread::yield_now();
        }
    }
}

/// Ends whatever is left in the control groups of a home's launches, and takes the groups away.
/// `false` while one of them is still there.
pub fn end_groups(home: &Path) -> bool {
    let known = fs::read_to_string(home.join("cgroups")).unwrap_or_default();
    let Ok(id) = fs::read_to_string(home.join("home-id")) else { return true };
    let name = format!("ao-{}", id.trim());
    // Whatever the file says: only what carries the name of this very home is touched.
    let dirs = known.lines().map(Path::new).filter(|dir| dir.ends_with(&name));
    dirs.fold(true, |is_gone, dir| {
        for group in fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()) {
            // A file that is not there, or a group that is in use, shows in the answer.
            if fs::remove_dir(&group).is_err() {
                fs::write(group.join("cgroup.kill"), "1").unwrap_or_default();
            }
        }
        fs::remove_dir(dir).unwrap_or_default();
        is_gone && !dir.exists()
    })
}

/// Every process that there is.
fn all() -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(Pid::from_raw).collect()
}

/// What a process was started with; nothing when it is gone, or not ours to read.
pub(crate) fn environment(pid: Pid) -> Vec<Vec<u8>> {
    let environ = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap_or_default();
    environ.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}
