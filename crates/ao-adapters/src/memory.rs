//! How much memory there is for us: the machine's, or less where a control group says so.

use std::fs;
use std::path::{Path, PathBuf};

/// The memory that processes started here share, in bytes: that of the machine, or the lowest limit
/// of the control groups that this process is in. `None` when neither can be read.
pub fn total_bytes() -> Option<u64> {
    total_below(Path::new("/"))
}

fn total_below(root: &Path) -> Option<u64> {
    let machine = fs::read_to_string(root.join("proc/meminfo")).ok();
    let machine = machine.as_deref().and_then(machine_bytes);
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().flat_map(|line| limit_files(root, line));
    let limit = limits.filter_map(|file| limit_bytes(&file)).min();
    machine.into_iter().chain(limit).min()
}

/// `MemTotal` of `/proc/meminfo`, which counts in kibibytes and says `kB`.
fn machine_bytes(text: &str) -> Option<u64> {
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Where the limits of a group stand, and those of the groups around it, which hold for it too.
fn limit_files(root: &Path, line: &str) -> Vec<PathBuf> {
    let mut parts = line.splitn(3, ':');
    let (Some(hierarchy), Some(controllers), Some(path)) =
        (parts.next(), parts.next(), parts.next())
    else {
        return Vec::new();
    };
    let (mount, file) = if hierarchy == "0" && controllers.is_empty() {
        (root.join("sys/fs/cgroup"), "memory.max")
    } else if controllers.split(',').any(|name| name == "memory") {
        (root.join("sys/fs/cgroup/memory"), "memory.limit_in_bytes")
    } else {
        return Vec::new();
    };
    let path = Path::new(path.trim_start_matches('/'));
    path.ancestors().map(|group| mount.join(group).join(file)).collect()
}

/// A limit; `max`, or no file, is none.
fn limit_bytes(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1024 * 1024 * 1024;

    #[track_caller]
    fn check(files: &[(&str, &str)], expect: Option<u64>) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        assert_eq!(total_below(root.path()), expect, "{files:?}");
    }

    #[test]
    fn the_lowest_of_machine_and_groups_counts() {
        let meminfo = ("proc/meminfo", "MemTotal:       16777216 kB\nMemFree:  1 kB\n");
        check(&[], None);
        check(&[meminfo], Some(16 * GIB));
        let group = ("proc/self/cgroup", "0::/user.slice/ao.service\n");
        let max = ("sys/fs/cgroup/user.slice/ao.service/memory.max", "max\n");
        check(&[meminfo, group, max], Some(16 * GIB));
        let outer = ("sys/fs/cgroup/user.slice/memory.max", "4294967296\n");
        check(&[meminfo, group, max, outer], Some(4 * GIB));
        let own = ("sys/fs/cgroup/user.slice/ao.service/memory.max", "2147483648\n");
        check(&[meminfo, group, own, outer], Some(2 * GIB));
        check(&[group, own], Some(2 * GIB));
    }

    #[test]
    fn the_older_hierarchies_and_a_group_that_is_seen_as_the_root_count_too() {
        let meminfo = ("proc/meminfo", "MemTotal: 16777216 kB\n");
        let v1 = ("proc/self/cgroup", "7:cpu,cpuacct:/a\n4:memory:/docker/x\n");
        let limit = ("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "8589934592");
        check(&[meminfo, v1, limit], Some(8 * GIB));
        let none = ("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "9223372036854771712");
        check(&[meminfo, v1, none], Some(16 * GIB));
        let root = ("proc/self/cgroup", "0::/\n");
        let limit = ("sys/fs/cgroup/memory.max", "1073741824\n");
        check(&[meminfo, root, limit], Some(GIB));
    }

    #[test]
    fn this_machine_tells_how_much_it_has() {
        assert!(total_bytes().is_some_and(|bytes| bytes > 64 * 1024 * 1024));
    }
}
