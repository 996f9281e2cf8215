//! A control group for each launch, where the machine lets us have one (cgroup v2).
//!
//! A process cannot leave the group of its launch by a new session, a double fork or a clean
//! environment, so the group finds what nothing else leads to. It is entered by the launcher, in
//! its own process, before it becomes the agent; nobody else is ever moved, but for a daemon that
//! was started inside a group, which leaves it. Where there is no such hierarchy, or none that may
//! be written, all goes on without: a group is never a condition.
//!
//! Groups lie below the one that the daemon itself is in, so that limits on the daemon hold for its
//! agents. They are `ao-HOME/LAUNCH.DIGEST`: the home keeps two homes apart, and the digest of the
//! nonce names the one launch whose processes may be ended by it. No controller is enabled, and no
//! limit is set.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use ao_core::ids::{HomeId, LaunchId, Nonce, Pid, Token};
use rustix::fs::{Access, AtFlags, CWD};
use sha2::{Digest as _, Sha256};

/// Where a hierarchy is looked for: alone, or beside those of version 1.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// The processes of a group; writing a number into it moves that process.
const PROCS: &str = "cgroup.procs";

/// Ends everything in a group and below it when `1` is written (Linux 5.14).
const KILL: &str = "cgroup.kill";

/// Says whether anything runs in a group or below it.
const EVENTS: &str = "cgroup.events";

/// How the directory of a home begins.
const PREFIX: &str = "ao-";

/// Bytes of the digest that names a launch: enough that no two launches of a home share it.
const DIGEST_BYTES: usize = 8;

/// How deep an agent may nest groups of its own before the rest is not looked at.
const DEPTH_MAX: usize = 16;

/// How often a launcher tries to enter its group.
const ENTER_MAX: usize = 5;

/// Directories of earlier daemons that are remembered: each was started from another group.
const EARLIER_MAX: usize = 64;

/// Where the processes of one home's launches are kept together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// Where new ones are made.
    dir: PathBuf,
    /// Where those of daemons that ran in other groups may still be.
    earlier: Vec<PathBuf>,
}

/// Why there are none: a clause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoGroups(String);

/// A hierarchy, and where in it this process is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    mount: PathBuf,
    /// The group that ours go below: the one of this process, or the one around the group of ours
    /// that it is in.
    base: PathBuf,
    /// Whether this process is in a group of ours.
    is_in_ours: bool,
}

impl Place {
    fn find() -> Result<Self, NoGroups> {
        let read = |path: &str| {
            std::fs::read_to_string(path).map_err(|error| NoGroups(format!("`{path}`: {error}")))
        };
        Self::parse(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?)
    }

    fn parse(mounts: &str, own: &str) -> Result<Self, NoGroups> {
        let mount = mount_of(mounts).ok_or_else(|| {
            NoGroups(format!("no cgroup v2 hierarchy is mounted at `{}`", MOUNTS.join("` or `")))
        })?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).filter(|path| {
            // Outside of what is mounted, or deleted.
            !path.split('/').any(|part| part == "..") && !path.ends_with(" (deleted)")
        });
        let own =
            own.ok_or_else(|| NoGroups("the control group of this process is hidden".to_owned()))?;
        let parts: Vec<&str> = own.split('/').filter(|part| !part.is_empty()).collect();
        let outside = parts.iter().take_while(|part| !is_ours(part));
        let base = outside.fold(mount.clone(), |base, part| base.join(part));
        Ok(Self { is_in_ours: parts.iter().any(|part| is_ours(part)), mount, base })
    }

    /// Whether a group could be made, and entered from where our terminals are. It makes nothing.
    fn check(&self) -> Result<(), NoGroups> {
        let own = self.base.join(PROCS);
        for (path, access) in
            [(&self.base, Access::WRITE_OK | Access::EXEC_OK), (&own, Access::WRITE_OK)]
        {
            rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS).map_err(|error| {
                NoGroups(format!("`{}`: {}", path.display(), io::Error::from(error)))
            })?;
        }
        Ok(())
    }
}

/// Whether part of a path is the directory of a home, this one's or another's: by its form, which
/// nobody else has by accident.
fn is_ours(part: &str) -> bool {
    part.strip_prefix(PREFIX).is_some_and(|id| {
        id.len() == Token::from_bits(0).as_str().len()
            && id.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
    })
}

/// The first of the known places where a hierarchy of version 2 is mounted.
fn mount_of(mounts: &str) -> Option<PathBuf> {
    let is_there = |place: &str| {
        mounts.lines().any(|line| {
            let Some((mount, kind)) = line.split_once(" - ") else { return false };
            mount.split(' ').nth(4) == Some(place) && kind.split(' ').next() == Some("cgroup2")
        })
    };
    MOUNTS.into_iter().find(|place| is_there(place)).map(PathBuf::from)
}

/// Whether launches of a daemon started here would get groups; it makes nothing.
pub fn groups_possible() -> Result<PathBuf, NoGroups> {
    let place = Place::find()?;
    place.check()?;
    Ok(place.base)
}

impl Groups {
    /// Finds the place for the groups of a home, proves that they can be made there, and takes away
    /// what earlier launches left empty. A daemon that was started inside a group of ours leaves it first: it
    /// would end with its agent.
    ///
    /// `remembered` is a file in the home that names the directories of earlier daemons.
    pub fn prepare(home: &HomeId, remembered: &Path) -> Result<Self, NoGroups> {
        let place = Place::find()?;
        place.check()?;
        let dir = place.base.join(format!("{PREFIX}{home}"));
        let failed =
            |path: &Path, error: &io::Error| NoGroups(format!("`{}`: {error}", path.display()));
        if place.is_in_ours {
            join(&place.base).map_err(|error| failed(&place.base, &error))?;
        }
        make(&dir).map_err(|error| failed(&dir, &error))?;
        for file in [KILL, EVENTS] {
            let path = dir.join(file);
            if let Err(error) = std::fs::metadata(&path) {
                let_go(&dir);
                return Err(failed(&path, &error));
            }
        }
        let groups = Self { earlier: earlier(remembered, &place.mount, &dir), dir };
        groups.remember(remembered).map_err(|error| failed(remembered, &error))?;
        groups.sweep();
        Ok(groups)
    }

    fn dirs(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.dir).chain(&self.earlier)
    }

    /// Those of this daemon first: an older daemon's groups are found by a later one.
    fn remember(&self, file: &Path) -> io::Result<()> {
        let lines =
            self.dirs().fold(String::new(), |lines, dir| lines + &dir.to_string_lossy() + "\n");
        if std::fs::read_to_string(file).is_ok_and(|known| known == lines) {
            return Ok(());
        }
        let new = file.with_extension("new");
        std::fs::write(&new, lines)?;
        std::fs::rename(&new, file)
    }

    /// Takes away groups that nothing runs in. The kernel keeps the others, and a launcher whose
    /// group goes before it is in makes it again.
    fn sweep(&self) {
        for dir in self.dirs() {
            for group in children(dir) {
                remove(&group);
            }
        }
        for dir in self.dirs() {
            let_go(dir);
        }
    }

    /// The group that a launch gets. It is made by the one who enters it.
    pub(crate) fn of(&self, launch: &LaunchId, nonce: &Nonce) -> PathBuf {
        self.dir.join(format!("{launch}.{}", digest(nonce)))
    }

    /// Takes the group of a launch away, if nothing runs in it.
    pub(super) fn forget(&self, nonce: &Nonce) {
        if let Some(group) = self.find(nonce) {
            remove(&group);
            // The last one takes the directory of its home along; the next launch makes it again.
            if let Some(dir) = group.parent() {
                let_go(dir);
            }
        }
    }

    /// The group of the launch with this nonce, if it has one.
    pub(super) fn find(&self, nonce: &Nonce) -> Option<PathBuf> {
        let end = format!(".{}", digest(nonce));
        self.dirs().flat_map(|dir| children(dir)).find(|group| {
            group.file_name().and_then(|name| name.to_str()).is_some_and(|it| it.ends_with(&end))
        })
    }
}

/// The directories of earlier daemons that are still there.
fn earlier(remembered: &Path, mount: &Path, own: &Path) -> Vec<PathBuf> {
    let known = std::fs::read_to_string(remembered).unwrap_or_default();
    (known.lines().map(PathBuf::from))
        .filter(|dir| dir != own && dir.starts_with(mount) && dir.file_name() == own.file_name())
        .filter(|dir| dir.is_dir())
        .take(EARLIER_MAX)
        .collect()
}

fn digest(nonce: &Nonce) -> String {
    let digest = Sha256::digest(nonce.as_str().as_bytes());
    let bytes = digest.iter().take(DIGEST_BYTES);
    let digits = bytes.flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn make(dir: &Path) -> io::Result<()> {
    match std::fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Moves this very process, and nobody else, into a group.
fn join(group: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).open(group.join(PROCS))?.write_all(b"0")
}

/// Enters the group of a launch, in the process that will be its agent. A group that cannot be
/// entered is not left behind.
pub(crate) fn enter(group: &Path) -> io::Result<()> {
    let tried = || -> io::Result<()> {
        if let Some(home) = group.parent() {
            make(home)?;
        }
        make(group)?;
        join(group)
    };
    // Somebody who ends, or a daemon that starts just now, takes empty groups away.
    let entered = (1..ENTER_MAX).find_map(|_| tried().ok());
    entered.map_or_else(tried, Ok).inspect_err(|_| {
        remove(group);
        if let Some(dir) = group.parent() {
            let_go(dir);
        }
    })
}

/// Everybody in a group and in those that were made in it.
pub(super) fn members(group: &Path) -> io::Result<BTreeSet<Pid>> {
    let mut members = BTreeSet::new();
    collect(group, DEPTH_MAX, &mut members)?;
    Ok(members)
}

fn collect(group: &Path, depth: usize, members: &mut BTreeSet<Pid>) -> io::Result<()> {
    match std::fs::read_to_string(group.join(PROCS)) {
        Ok(text) => members.extend(text.lines().filter_map(|line| line.parse().ok()).map(Pid)),
        // It went meanwhile, so nobody is in it.
        Err(error) if is_gone(&error) => return Ok(()),
        Err(error) => return Err(error),
    }
    if let Some(depth) = depth.checked_sub(1) {
        for inner in children(group) {
            collect(&inner, depth, members)?;
        }
    }
    Ok(())
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error())
}

/// Whether the kernel says that something runs in a group or below it.
pub(super) fn is_populated(group: &Path) -> io::Result<bool> {
    match std::fs::read_to_string(group.join(EVENTS)) {
        Ok(text) => Ok(text.lines().any(|line| line == "populated 1")),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Ends everything in a group.
pub(super) fn kill(group: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).open(group.join(KILL))?.write_all(b"1")
}

/// Takes a group away, if nothing runs in it and in those that were made in it. The kernel refuses
/// it for any other, so this can hurt nobody.
fn remove(group: &Path) {
    remove_below(group, DEPTH_MAX);
}

fn remove_below(group: &Path, depth: usize) {
    if let Some(depth) = depth.checked_sub(1) {
        for inner in children(group) {
            remove_below(&inner, depth);
        }
    }
    let_go(group);
}

/// Takes one group away, if nothing is in it.
fn let_go(group: &Path) {
    if let Err(error) = std::fs::remove_dir(group)
        && !is_gone(&error)
    {
        tracing::debug!(group = %group.display(), %error, "A control group stays.");
    }
}

/// The groups in a group; none where it cannot be looked into.
fn children(group: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(group) else { return Vec::new() };
    let dirs = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir()));
    let mut children: Vec<PathBuf> = dirs.map(|entry| entry.path()).collect();
    children.sort();
    children
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
25 21 0:22 / /sys/fs/cgroup rw,relatime shared:9 - tmpfs tmpfs rw,mode=755
26 25 0:23 / /sys/fs/cgroup/cpu rw,relatime shared:10 - cgroup cgroup rw,cpu
36 25 0:33 / /sys/fs/cgroup/unified rw,relatime shared:20 - cgroup2 cgroup2 rw
";
    const UNIFIED: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
    const HOME: &str = "0123456789abcdefghjkmnpqrs";

    fn nonce(text: &str) -> Nonce {
        Nonce::parse(text).unwrap()
    }

    #[track_caller]
    fn check(mounts: &str, own: &str, expected: Result<(&str, bool), &str>) {
        match (Place::parse(mounts, own), expected) {
            (Ok(place), Ok((base, is_in_ours))) => {
                assert_eq!((place.base.as_path(), place.is_in_ours), (Path::new(base), is_in_ours));
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn groups_lie_below_the_one_of_the_daemon_and_never_in_one_of_ours() {
        let scope = "0::/user.slice/user-0.slice/session-3.scope\n";
        check(
            UNIFIED,
            scope,
            Ok(("/sys/fs/cgroup/user.slice/user-0.slice/session-3.scope", false)),
        );
        check(HYBRID, "5:cpu:/x\n0::/\n", Ok(("/sys/fs/cgroup/unified", false)));
        let inside = format!("0::/a/ao-{HOME}/l.d/ao-{HOME}/m.e\n");
        check(UNIFIED, &inside, Ok(("/sys/fs/cgroup/a", true)));
        // Somebody else's, whatever it begins with.
        check(UNIFIED, "0::/ao-tools/x\n", Ok(("/sys/fs/cgroup/ao-tools/x", false)));
    }

    #[test]
    fn a_machine_without_a_hierarchy_of_version_2_says_so() {
        let only_1 = HYBRID.replace("cgroup2", "cgroup");
        check(&only_1, "5:cpu:/x\n", Err("no cgroup v2 hierarchy is mounted"));
        check("", "", Err("no cgroup v2 hierarchy is mounted"));
        check(HYBRID, "5:cpu:/x\n", Err("is hidden"));
        check(UNIFIED, "0::/../x\n", Err("is hidden"));
        check(UNIFIED, "0::/x (deleted)\n", Err("is hidden"));
    }

    #[test]
    fn a_directory_that_is_no_group_or_may_not_be_written_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("gone");
        let place = Place { mount: dir.path().to_owned(), base, is_in_ours: false };
        assert!(place.check().is_err());
        // There, but nothing that could be entered.
        let place = Place { base: dir.path().to_owned(), ..place };
        let error = place.check().unwrap_err();
        assert!(error.to_string().contains(PROCS), "{error}");
        // A kernel that mounts it read-only: nothing in `/proc` can be written either.
        let place = Place { base: PathBuf::from("/proc/self"), ..place };
        assert!(place.check().is_err());
    }

    /// Looks like a group.
    fn imitate(group: &Path, procs: &str, populated: u8) {
        std::fs::create_dir_all(group).unwrap();
        std::fs::write(group.join(PROCS), procs).unwrap();
        std::fs::write(group.join(EVENTS), format!("populated {populated}\nfrozen 0\n")).unwrap();
        std::fs::write(group.join(KILL), "").unwrap();
    }

    #[test]
    fn a_group_is_found_by_the_nonce_of_its_launch_and_by_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (here, before) = (dir.path().join("here"), dir.path().join("before"));
        let groups = Groups { dir: here, earlier: vec![before.clone()] };
        let launch = LaunchId::parse("launch").unwrap();
        let group = groups.of(&launch, &nonce("ours"));
        assert_eq!(groups.find(&nonce("ours")), None, "nobody entered it");
        imitate(&group, "7\n8\n", 1);
        imitate(&group.join("inner"), "9\n", 1);
        assert_eq!(groups.find(&nonce("ours")), Some(group.clone()));
        assert_eq!(groups.find(&nonce("theirs")), None);
        assert_eq!(members(&group).unwrap(), [7, 8, 9].map(Pid).into());
        assert!(is_populated(&group).unwrap());
        kill(&group).unwrap();
        assert_eq!(std::fs::read_to_string(group.join(KILL)).unwrap(), "1");
        // One of a daemon that ran elsewhere.
        let earlier = Groups { dir: before, earlier: Vec::new() }.of(&launch, &nonce("old"));
        imitate(&earlier, "", 0);
        assert_eq!(groups.find(&nonce("old")), Some(earlier.clone()));
        assert!(!is_populated(&earlier).unwrap());
    }

    #[test]
    fn a_group_that_is_gone_has_nobody_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        assert_eq!(members(&gone).unwrap(), BTreeSet::new());
        assert!(!is_populated(&gone).unwrap());
        remove(&gone);
    }

    #[test]
    fn what_cannot_be_entered_is_not_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path().join("home/launch");
        enter(&group).unwrap_err();
        assert!(!group.exists(), "an ordinary directory is no group");
        enter(Path::new("/proc/self/nothing/here")).unwrap_err();
    }

    #[test]
    fn only_directories_of_this_home_in_this_hierarchy_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| {
            let place = dir.path().join("mount").join(name);
            std::fs::create_dir_all(&place).unwrap();
            place
        };
        let own = place("a/ao-1");
        let (earlier_dir, other) = (place("b/ao-1"), place("b/ao-2"));
        let outside = dir.path().join("elsewhere/ao-1");
        std::fs::create_dir_all(&outside).unwrap();
        let file = dir.path().join("cgroups");
        let gone = dir.path().join("mount/c/ao-1");
        let known = vec![own.clone(), earlier_dir.clone(), other, outside, gone];
        Groups { dir: "/x".into(), earlier: known }.remember(&file).unwrap();
        let groups =
            Groups { earlier: earlier(&file, &dir.path().join("mount"), &own), dir: own.clone() };
        assert_eq!(groups.earlier, std::slice::from_ref(&earlier_dir));
        groups.remember(&file).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text, format!("{}\n{}\n", own.display(), earlier_dir.display()));
    }
}
