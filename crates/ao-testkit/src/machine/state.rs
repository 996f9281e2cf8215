//! What is true on a fake machine: processes, servers, panes, launch files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::task::Waker;

use ao_core::ids::{HomeId, LaunchId, Nonce, Pid};
use ao_core::ports::{LaunchFile, LaunchProof};
use ao_core::record::Exit;
use ao_core::session::{ProcessIdentity, ServerIdentity};
use ao_core::time::BootId;

use super::composer::FakeComposer;
use super::faults::Faults;
use super::{SIGHUP, SIGKILL};

/// The first process number of ours: those below belong to the system.
const PID_FIRST: i32 = 100;

/// Whether the machine has control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grouping {
    Off,
    PerLaunch,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) boot: BootId,
    next_pid: i32,
    ticks: u64,
    next_pane: u64,
    pub(super) processes: BTreeMap<Pid, Process>,
    pub(super) servers: BTreeMap<PathBuf, Server>,
    pub(super) launches: BTreeMap<LaunchId, Launch>,
    /// What agents wrote down; `None` where something stands that is no regular file.
    pub(super) files: BTreeMap<PathBuf, Option<String>>,
    pub(super) missing_directories: BTreeSet<PathBuf>,
    pub(super) missing_programs: BTreeSet<String>,
    pub(super) hide_next_exit_for: u32,
    pub(super) is_exec_held: bool,
    pub(super) watches_work: bool,
    pub(super) groups: Grouping,
    pub(super) faults: Faults,
    watchers: Vec<Waker>,
}

#[derive(Debug, Clone)]
pub(super) struct Process {
    start_ticks: u64,
    pub(super) parent: Pid,
    /// The leader of its terminal session.
    pub(super) session: Pid,
    pub(super) nonce: Option<Nonce>,
    /// The launch whose control group it is in, whatever it does.
    pub(super) group: Option<Nonce>,
    pub(super) ignores_signals: bool,
    pub(super) is_visible: bool,
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) home: HomeId,
    pub(super) process: ProcessIdentity,
    pub(super) is_reachable: bool,
    pub(super) panes: BTreeMap<String, Pane>,
    /// Grows with every change.
    pub(super) n_changes: u64,
    /// Its value when the last watch ended.
    pub(super) n_changes_seen: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Pane {
    pub(super) id: String,
    pub(super) launch: LaunchId,
    pub(super) process: ProcessIdentity,
    /// The process that is written on it, without its nonce.
    pub(super) mark: Option<ProcessIdentity>,
    pub(super) end: Option<Exit>,
    /// How many more looks do not see how it ended.
    pub(super) end_hidden_for: u32,
    pub(super) typed: Vec<Typed>,
    pub(super) output: String,
    pub(super) screen: Option<String>,
    pub(super) title: String,
    pub(super) is_in_mode: bool,
    pub(super) is_human_typing: bool,
    pub(super) composer: Option<FakeComposer>,
}

#[derive(Debug, Clone)]
pub(super) enum Typed {
    Paste(String),
    Key(String),
}

#[derive(Debug)]
pub(super) struct Launch {
    pub(super) file: LaunchFile,
    pub(super) agent_files: BTreeMap<PathBuf, String>,
    pub(super) proof: LaunchProof,
    /// Whether nobody can read its file.
    pub(super) is_spoilt: bool,
    /// The launcher that waits to become the agent.
    pub(super) held: Option<Pid>,
}

impl State {
    pub(super) fn booted(boot: BootId) -> Self {
        Self {
            boot,
            next_pid: PID_FIRST,
            ticks: 0,
            next_pane: 0,
            processes: BTreeMap::new(),
            servers: BTreeMap::new(),
            launches: BTreeMap::new(),
            files: BTreeMap::new(),
            missing_directories: BTreeSet::new(),
            missing_programs: BTreeSet::new(),
            hide_next_exit_for: 0,
            is_exec_held: false,
            watches_work: true,
            groups: Grouping::Off,
            faults: Faults::default(),
            watchers: Vec::new(),
        }
    }

    pub(super) fn reboot(&mut self, boot: BootId) {
        let before = std::mem::replace(self, Self::booted(boot));
        self.launches = before.launches;
        self.files = before.files;
        self.missing_directories = before.missing_directories;
        self.missing_programs = before.missing_programs;
        self.watches_work = before.watches_work;
        self.groups = before.groups;
        self.faults = before.faults;
        self.watchers = before.watchers;
        self.wake_watchers();
    }

    pub(super) fn start_process(&mut self, parent: Pid, nonce: Option<Nonce>) -> Pid {
        let pid = Pid(self.next_pid);
        self.next_pid += 1;
        self.ticks += 1;
        let process = Process {
            start_ticks: self.ticks,
            parent,
            session: pid,
            group: nonce.clone().filter(|_| self.groups == Grouping::PerLaunch),
            nonce,
            ignores_signals: false,
            is_visible: true,
        };
        self.processes.insert(pid, process);
        pid
    }

    pub(super) fn start_child(&mut self, parent: Pid) -> Pid {
        let inherited = self.processes.get(&parent).cloned();
        let nonce = inherited.as_ref().and_then(|parent| parent.nonce.clone());
        let pid = self.start_process(parent, nonce);
        if let Some(inherited) = inherited {
            self.change_process(pid, |child| {
                child.session = inherited.session;
                child.group = inherited.group;
            });
        }
        pid
    }

    pub(super) fn change_process(&mut self, pid: Pid, change: impl FnOnce(&mut Process)) {
        if let Some(process) = self.processes.get_mut(&pid) {
            change(process);
        }
    }

    pub(super) fn identity(&self, pid: Pid, nonce: Option<&Nonce>) -> Option<ProcessIdentity> {
        let process = self.processes.get(&pid)?;
        let start_ticks = process.start_ticks;
        Some(ProcessIdentity { boot: self.boot, pid, start_ticks, nonce: nonce.cloned() })
    }

    /// The entry of that very process, when it runs.
    pub(super) fn running(&self, identity: &ProcessIdentity) -> Option<&Process> {
        self.processes.get(&identity.pid).filter(|process| {
            identity.boot == self.boot && identity.start_ticks == process.start_ticks
        })
    }

    pub(super) fn end_process(&mut self, pid: Pid, how: Exit) {
        if self.processes.remove(&pid).is_none() {
            return;
        }
        for child in self.processes.values_mut().filter(|process| process.parent == pid) {
            child.parent = Pid(1);
        }
        let hidden_for = self.hide_next_exit_for;
        let boot = self.boot;
        for server in self.servers.values_mut() {
            let panes = server.panes.values_mut();
            for pane in panes.filter(|pane| pane.process.pid == pid && pane.process.boot == boot) {
                pane.end = Some(how);
                pane.end_hidden_for = hidden_for;
                server.n_changes += 1;
                self.hide_next_exit_for = 0;
            }
        }
        let died: Vec<PathBuf> = (self.servers.iter())
            .filter(|(_, server)| server.process.pid == pid)
            .map(|(socket, _)| socket.clone())
            .collect();
        for socket in died {
            self.kill_server(&socket);
        }
        self.wake_watchers();
    }

    /// A terminal goes away: its processes are told, those that left it are not.
    fn hang_up(&mut self, leader: Pid) {
        let told: Vec<Pid> = (self.processes.iter())
            .filter(|(_, process)| process.session == leader && !process.ignores_signals)
            .map(|(&pid, _)| pid)
            .collect();
        for pid in told {
            self.end_process(pid, Exit::Signal(SIGHUP));
        }
    }

    pub(super) fn start_server(&mut self, socket: &Path, home: &HomeId) -> ServerIdentity {
        let pid = self.start_process(Pid(1), None);
        let start_ticks = self.ticks;
        let process = ProcessIdentity { boot: self.boot, pid, start_ticks, nonce: None };
        let server = Server {
            home: home.clone(),
            process: process.clone(),
            is_reachable: true,
            panes: BTreeMap::new(),
            n_changes: 0,
            n_changes_seen: None,
        };
        self.servers.insert(socket.to_owned(), server);
        ServerIdentity { socket: socket.to_owned(), process }
    }

    pub(super) fn kill_server(&mut self, socket: &Path) {
        let Some(server) = self.servers.remove(socket) else { return };
        self.end_process(server.process.pid, Exit::Signal(SIGKILL));
        for pane in server.panes.values() {
            self.hang_up(pane.process.pid);
        }
        self.wake_watchers();
    }

    pub(super) fn kill_session(&mut self, socket: &Path, name: &str) {
        let Some(server) = self.servers.get_mut(socket) else { return };
        let Some(pane) = server.panes.remove(name) else { return };
        server.n_changes += 1;
        self.hang_up(pane.process.pid);
        self.wake_watchers();
    }

    pub(super) fn kill_session_everywhere(&mut self, name: &str) {
        let sockets: Vec<PathBuf> = self.servers.keys().cloned().collect();
        for socket in sockets {
            self.kill_session(&socket, name);
        }
    }

    pub(super) fn add_pane(&mut self, launch: LaunchId, process: ProcessIdentity) -> Pane {
        self.next_pane += 1;
        Pane {
            id: format!("%{}", self.next_pane),
            launch,
            mark: Some(ProcessIdentity { nonce: None, ..process.clone() }),
            process,
            end: None,
            end_hidden_for: 0,
            typed: Vec::new(),
            output: String::new(),
            screen: None,
            title: String::new(),
            is_in_mode: false,
            is_human_typing: false,
            composer: None,
        }
    }

    pub(super) fn change_pane(&mut self, session: &str, change: impl FnOnce(&mut Pane)) {
        let mut servers = self.servers.values_mut();
        if let Some(pane) = servers.find_map(|server| server.panes.get_mut(session)) {
            change(pane);
        }
    }

    pub(super) fn typed_into(&self, session: &str) -> &[Typed] {
        let pane = self.servers.values().find_map(|server| server.panes.get(session));
        pane.map_or(&[], |pane| &pane.typed)
    }

    pub(super) fn received(&self, session: &str) -> String {
        let text = |typed: &Typed| match typed {
            Typed::Paste(text) => text.clone(),
            Typed::Key(key) if key == "Enter" => "\n".to_owned(),
            Typed::Key(key) => key.clone(),
        };
        self.typed_into(session).iter().map(text).collect()
    }

    pub(super) fn add_watcher(&mut self, waker: &Waker) {
        self.watchers.retain(|known| !known.will_wake(waker));
        self.watchers.push(waker.clone());
    }

    pub(super) fn wake_watchers(&mut self) {
        self.watchers.drain(..).for_each(Waker::wake);
    }
}
