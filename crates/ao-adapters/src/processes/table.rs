//! All processes at one moment, and which of them belong to a launch.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use ao_core::ids::{Nonce, Pid};
use ao_core::session::ProcessIdentity;
use ao_core::time::BootId;

use super::stat::Stat;

/// The variable that carries the secret of a launch.
const NONCE_VARIABLE: &[u8] = b"AO_NONCE=";

/// What a tmux server calls itself. Its children are runtimes, ours or the user's own.
pub(crate) const TMUX_SERVER: &str = "tmux: server";

/// What a tmux client calls itself.
pub(super) const TMUX_CLIENT: &str = "tmux: client";

#[derive(Debug)]
struct Entry {
    stat: Stat,
    nonce: Option<String>,
}

/// The process table. Threads are not in it.
#[derive(Debug)]
pub(super) struct Table {
    own: Pid,
    entries: BTreeMap<Pid, Entry>,
}

impl Table {
    pub(super) fn read(own: Pid) -> io::Result<Self> {
        let mut entries = BTreeMap::new();
        for entry in std::fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()).map(Pid) else {
                continue;
            };
            // Whoever ended in between is not there; nothing else makes this file unreadable.
            if let Ok(stat) = Stat::read(pid) {
                let nonce = nonce_in_environment(pid);
                entries.insert(pid, Entry { stat, nonce });
            }
        }
        Ok(Self { own, entries })
    }

    /// Whether each of these runs. One that ended meanwhile, or came, is not in it.
    pub(super) fn has_all(&self, pids: &BTreeSet<Pid>) -> bool {
        pids.iter().all(|pid| self.entries.contains_key(pid))
    }

    /// Carriers of the nonce, the members of the launch's group, the root, and everyone who descends
    /// from them or lives in their terminal sessions.
    ///
    /// A session counts only when its leader belongs to the launch, or is gone: the test or the
    /// shell that started an agent by hand is not part of it.
    pub(super) fn tree(
        &self,
        nonce: &Nonce,
        root: Option<&ProcessIdentity>,
        members: &BTreeSet<Pid>,
    ) -> BTreeSet<Pid> {
        let mut tree: BTreeSet<Pid> = (self.entries.iter())
            .filter(|(pid, entry)| {
                entry.nonce.as_deref() == Some(nonce.as_str()) || members.contains(pid)
            })
            .map(|(&pid, _)| pid)
            .filter(|pid| self.may_belong(*pid))
            .collect();
        let mut sessions = BTreeSet::new();
        if let Some(root) = root {
            match self.entries.get(&root.pid) {
                Some(entry) if entry.stat.start_ticks == root.start_ticks => {
                    tree.extend(Some(root.pid).filter(|pid| self.may_belong(*pid)));
                }
                Some(_) => {}
                // The kernel gives out no number that still names a session.
                None => drop(sessions.insert(root.pid)),
            }
        }
        loop {
            let n_before = tree.len();
            sessions.extend(tree.iter().copied());
            let orphaned = tree.iter().filter_map(|pid| self.entries.get(pid));
            let orphaned = orphaned.map(|entry| entry.stat.session);
            sessions.extend(orphaned.filter(|leader| !self.entries.contains_key(leader)));
            if let Some(own) = self.entries.get(&self.own) {
                sessions.remove(&own.stat.session);
            }
            for (&pid, entry) in &self.entries {
                let belongs =
                    tree.contains(&entry.stat.parent) || sessions.contains(&entry.stat.session);
                if belongs && self.may_belong(pid) {
                    tree.insert(pid);
                }
            }
            if tree.len() == n_before {
                return tree;
            }
        }
    }

    /// Never this process, and never tmux.
    fn may_belong(&self, pid: Pid) -> bool {
        pid != self.own && !self.entries.get(&pid).is_some_and(|entry| entry.stat.is_tmux())
    }

    pub(super) fn identities(&self, tree: &BTreeSet<Pid>, boot: BootId) -> Vec<ProcessIdentity> {
        let identity = |pid: &Pid| {
            let entry = self.entries.get(pid).filter(|entry| !entry.stat.has_ended)?;
            let nonce = entry.nonce.as_ref().and_then(|nonce| Nonce::parse(nonce.as_str()).ok());
            Some(ProcessIdentity { boot, pid: *pid, start_ticks: entry.stat.start_ticks, nonce })
        };
        tree.iter().filter_map(identity).collect()
    }
}

/// The nonce that a process carries; `None` as well where its environment cannot be read.
pub(super) fn nonce_in_environment(pid: Pid) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut variables = environment.split(|&byte| byte == 0);
    let value = variables.find_map(|variable| variable.strip_prefix(NONCE_VARIABLE))?;
    String::from_utf8(value.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Pid = Pid(50);

    /// Lines of `pid parent session name nonce`.
    fn table(lines: &[(i32, i32, i32, &str, Option<&str>)]) -> Table {
        let entry = |&(pid, parent, session, name, nonce): &(i32, i32, i32, &str, Option<&str>)| {
            let stat = Stat {
                name: name.to_owned(),
                has_ended: false,
                parent: Pid(parent),
                session: Pid(session),
                start_ticks: 7,
            };
            (Pid(pid), Entry { stat, nonce: nonce.map(str::to_owned) })
        };
        Table { own: OWN, entries: lines.iter().map(entry).collect() }
    }

    fn root(pid: i32, start_ticks: u64) -> ProcessIdentity {
        ProcessIdentity { boot: BootId(1), pid: Pid(pid), start_ticks, nonce: None }
    }

    #[track_caller]
    fn check(table: &Table, root: Option<&ProcessIdentity>, expected: &[i32]) {
        let nonce = Nonce::parse("n").unwrap();
        let tree = table.tree(&nonce, root, &BTreeSet::new());
        assert_eq!(tree.iter().map(|pid| pid.0).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_member_of_the_group_belongs_whatever_it_hides_and_tmux_does_not() {
        let table = table(&[
            (50, 1, 50, "ao", None),
            (110, 1, 110, TMUX_SERVER, None),
            (120, 1, 120, "stray", None),
            (121, 120, 121, "its child", None),
            (130, 1, 130, "nobody", None),
        ]);
        let members = [50, 110, 120].map(Pid).into();
        assert_eq!(
            table.tree(&Nonce::parse("n").unwrap(), None, &members),
            [120, 121].map(Pid).into()
        );
        assert!(table.has_all(&members));
        assert!(!table.has_all(&[120, 140].map(Pid).into()));
    }

    #[test]
    fn whoever_carries_the_nonce_belongs_wherever_it_went() {
        let table = table(&[
            (100, 9, 100, "agent", Some("n")),
            (101, 100, 100, "child", Some("n")),
            (102, 1, 102, "daemon", Some("n")),
            (103, 102, 102, "its child", None),
            (104, 1, 104, "another", Some("m")),
            (105, 1, 105, "nobody", None),
        ]);
        check(&table, None, &[100, 101, 102, 103]);
    }

    #[test]
    fn an_orphan_without_a_nonce_is_found_by_its_session() {
        let table = table(&[(120, 1, 100, "orphan", None), (121, 1, 121, "nobody", None)]);
        check(&table, Some(&root(100, 7)), &[120]);
    }

    #[test]
    fn a_number_used_again_is_not_the_root() {
        let table = table(&[(100, 1, 100, "innocent", None), (101, 100, 100, "its child", None)]);
        check(&table, Some(&root(100, 3)), &[]);
    }

    #[test]
    fn the_session_of_whoever_started_the_agent_is_left_alone() {
        let table = table(&[
            (40, 1, 40, "bash", None),
            (50, 40, 40, "ao", None),
            (60, 40, 40, "agent", Some("n")),
            (61, 40, 40, "vim", None),
        ]);
        check(&table, None, &[60]);
    }

    #[test]
    fn the_own_session_is_left_alone_when_its_leader_is_gone() {
        let table = table(&[(50, 1, 40, "ao", None), (60, 50, 40, "agent", Some("n"))]);
        check(&table, None, &[60]);
    }

    #[test]
    fn neither_this_process_nor_tmux_belongs_and_nothing_is_reached_through_them() {
        let table = table(&[
            (50, 100, 50, "ao", Some("n")),
            (51, 50, 51, "git", None),
            (100, 9, 100, "agent", Some("n")),
            (110, 100, 110, TMUX_SERVER, Some("n")),
            (111, 110, 111, "pane", None),
            (112, 100, 100, TMUX_CLIENT, Some("n")),
        ]);
        check(&table, None, &[100]);
        check(&table, Some(&root(50, 7)), &[100]);
    }
}
