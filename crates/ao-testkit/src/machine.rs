//! One fake machine: a process table, tmux servers and files that know of each other.
//!
//! It implements [`Runtime`], [`Terminal`], [`Processes`], [`Launches`] and [`AgentFiles`] over one
//! shared state,
//! so that a killed server takes its processes along and a process that ended shows as a dead
//! pane. Every call is a point at which other tasks may run and a scheduled fault may strike.
//! It does not run programs: whatever the command line, the process waits, keeps what is pasted,
//! and ends when told, but for `exit N`, which ends at once.
//!
//! [`Runtime`]: ao_core::ports::Runtime
//! [`Terminal`]: ao_core::ports::Terminal
//! [`Processes`]: ao_core::ports::Processes
//! [`Launches`]: ao_core::ports::Launches
//! [`AgentFiles`]: ao_core::ports::AgentFiles

mod composer;
mod faults;
mod files;
mod launches;
mod processes;
mod runtime;
mod state;
mod terminal;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ao_core::ids::{HomeId, LaunchId, Nonce, Pid, ProjectId, SessionId};
use ao_core::ports::{Clock as _, LaunchFile};
use ao_core::record::Exit;
use ao_core::session::ProcessIdentity;

use self::composer::FakeComposer;
pub use self::faults::{Fault, Op};
use self::state::{Grouping, State, Typed};
use crate::clock::JumpingClock;
use crate::tasks::yield_now;

/// The signal that a terminal sends to its process when it goes away.
const SIGHUP: i32 = 1;

/// The signal that ends whatever it meets.
const SIGKILL: i32 = 9;

/// A machine as one home sees it. Clones share the machine.
#[derive(Clone)]
pub struct FakeMachine {
    clock: JumpingClock,
    home: HomeId,
    state: Arc<Mutex<State>>,
}

impl FakeMachine {
    /// A machine that was booted a moment ago.
    pub fn new(clock: JumpingClock, home: HomeId) -> Self {
        let boot = clock.now().boot;
        Self { clock, home, state: Arc::new(Mutex::new(State::booted(boot))) }
    }

    /// The same machine, as another home sees it.
    #[must_use]
    pub fn as_seen_from(&self, home: HomeId) -> Self {
        Self { home, ..self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets others run, then whatever fault is scheduled for this call.
    async fn enter(&self, op: Op) -> Option<Fault> {
        yield_now().await;
        let fault = self.lock().faults.take(op);
        match fault {
            Some(Fault::Slow(duration)) => {
                self.clock.sleep(duration).await;
                None
            }
            Some(Fault::TimeOut(duration)) => {
                self.clock.sleep(duration).await;
                Some(Fault::Refuse)
            }
            Some(Fault::Hang) => {
                std::future::pending::<()>().await;
                None
            }
            Some(Fault::Refuse | Fault::Deny | Fault::LoseAnswer) | None => fault,
        }
    }

    /// Schedules a fault for the next call of this kind; several queue up.
    pub fn fail_next(&self, op: Op, fault: Fault) {
        self.lock().faults.schedule(op, fault);
    }

    /// Takes back everything that was scheduled and not met: faults, and dialogs on a paste.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.faults.heal();
        let panes = state.servers.values_mut().flat_map(|server| server.panes.values_mut());
        for composer in panes.filter_map(|pane| pane.composer.as_mut()) {
            composer.dialog_on_paste = None;
        }
    }

    /// Which faults struck which calls so far.
    pub fn struck(&self) -> Vec<(Op, &'static str)> {
        self.lock().faults.struck()
    }

    /// How often a call of this kind was made.
    pub fn n_calls(&self, op: Op) -> u64 {
        self.lock().faults.n_calls(op)
    }

    /// The socket of a project's server.
    pub fn socket(project: &ProjectId) -> PathBuf {
        PathBuf::from(format!("/fake/run/{project}.sock"))
    }

    /// Sessions on all servers, with their server's socket, in order.
    pub fn sessions(&self) -> Vec<(PathBuf, String)> {
        let state = self.lock();
        state
            .servers
            .iter()
            .flat_map(|(socket, server)| {
                server.panes.keys().map(|name| (socket.clone(), name.clone()))
            })
            .collect()
    }

    /// Every process that runs, in order.
    pub fn running(&self) -> Vec<Pid> {
        self.lock().processes.keys().copied().collect()
    }

    /// The secret in the environment of a process that runs.
    pub fn nonce_of(&self, pid: Pid) -> Option<Nonce> {
        self.lock().processes.get(&pid).and_then(|process| process.nonce.clone())
    }

    /// Changes what stands in a launch file, as a hand or a disk does; false without such a file.
    pub fn change_launch_file(
        &self,
        launch: &LaunchId,
        change: impl FnOnce(&mut LaunchFile),
    ) -> bool {
        self.lock().launches.get_mut(launch).map(|found| change(&mut found.file)).is_some()
    }

    /// Puts another home's marker on the server of a project.
    pub fn set_server_home(&self, project: &ProjectId, home: HomeId) {
        if let Some(server) = self.lock().servers.get_mut(&Self::socket(project)) {
            server.home = home;
        }
    }

    /// Lets a process carry another secret.
    pub fn set_nonce(&self, pid: Pid, nonce: &Nonce) {
        self.lock().change_process(pid, |process| process.nonce = Some(nonce.clone()));
    }

    /// Removes the files of a launch, as a hand does; false without any.
    pub fn lose_launch_files(&self, launch: &LaunchId) -> bool {
        self.lock().launches.remove(launch).is_some()
    }

    /// Makes a launch file unreadable; false without such a file.
    pub fn spoil_launch_file(&self, launch: &LaunchId) -> bool {
        self.lock().launches.get_mut(launch).map(|found| found.is_spoilt = true).is_some()
    }

    /// Takes what was written on the terminal of a session about its process off it.
    pub fn unmark(&self, session: &SessionId) {
        self.lock().change_pane(session.as_str(), |pane| pane.mark = None);
    }

    /// Writes another start time on the terminal of a session.
    pub fn mistake_process(&self, session: &SessionId) {
        self.lock().change_pane(session.as_str(), |pane| {
            let mark = pane.mark.take();
            pane.mark = mark.map(|it| ProcessIdentity { start_ticks: it.start_ticks + 1, ..it });
        });
    }

    /// The servers' own processes, in order.
    pub fn servers(&self) -> Vec<Pid> {
        self.lock().servers.values().map(|server| server.process.pid).collect()
    }

    /// Makes a project's server answer, or not.
    pub fn set_server_reachable(&self, project: &ProjectId, is_reachable: bool) {
        if let Some(server) = self.lock().servers.get_mut(&Self::socket(project)) {
            server.is_reachable = is_reachable;
        }
    }

    /// The reachable server of a project stops answering.
    pub fn server_unreachable(&self, project: &ProjectId) {
        self.set_server_reachable(project, false);
    }

    /// Turns all watches off (they end as lost), or on again.
    pub fn set_watches(&self, work: bool) {
        let mut state = self.lock();
        state.watches_work = work;
        state.wake_watchers();
    }

    /// Gives a control group of its own to each launch from here on.
    pub fn keep_groups(&self) {
        self.lock().groups = Grouping::PerLaunch;
    }

    /// Ends a process as `kill -9` does; its children live on.
    pub fn kill_process(&self, pid: Pid) {
        self.lock().end_process(pid, Exit::Signal(SIGKILL));
    }

    /// Ends a process as if it had returned.
    pub fn exit_process(&self, pid: Pid, status: i32) {
        self.lock().end_process(pid, Exit::Status(status));
    }

    /// Hides how the next process in a pane ended from so many looks.
    pub fn hide_next_exit(&self, for_n_looks: u32) {
        self.lock().hide_next_exit_for = for_n_looks;
    }

    /// Ends a session as a human at the tmux prompt does.
    pub fn kill_session(&self, session: &SessionId) {
        self.lock().kill_session_everywhere(session.as_str());
    }

    /// Ends a project's server, its sessions with it.
    pub fn kill_server(&self, project: &ProjectId) {
        self.lock().kill_server(&Self::socket(project));
    }

    /// Boots the machine again: no process and no server is left, files are.
    pub fn reboot(&self, off_for: Duration) {
        self.clock.reboot(off_for);
        self.lock().reboot(self.clock.now().boot);
    }

    /// Starts a process that no runtime knows of.
    pub fn start_process(&self, nonce: Option<&Nonce>) -> Pid {
        self.lock().start_process(Pid(1), nonce.cloned())
    }

    /// Starts a child of a process, in its session and with its nonce.
    pub fn start_child(&self, parent: Pid) -> Pid {
        self.lock().start_child(parent)
    }

    /// Lets a process leave its terminal session, as `setsid` does.
    pub fn leave_session(&self, pid: Pid) {
        self.lock().change_process(pid, |process| process.session = pid);
    }

    /// Lets a process lose its parent, as a double fork does.
    pub fn orphan(&self, pid: Pid) {
        self.lock().change_process(pid, |process| process.parent = Pid(1));
    }

    /// Lets a process drop its nonce, as a program that cleans its environment does.
    pub fn drop_nonce(&self, pid: Pid) {
        self.lock().change_process(pid, |process| process.nonce = None);
    }

    /// Lets a process ignore everything but the signal that nobody can ignore.
    pub fn ignore_signals(&self, pid: Pid) {
        self.lock().change_process(pid, |process| process.ignores_signals = true);
    }

    /// Makes looks at a process fail, or work again.
    pub fn set_process_visible(&self, pid: Pid, is_visible: bool) {
        self.lock().change_process(pid, |process| process.is_visible = is_visible);
    }

    /// Lets a directory be missing, or be there again.
    pub fn set_directory_missing(&self, directory: &Path, is_missing: bool) {
        let mut state = self.lock();
        if is_missing {
            state.missing_directories.insert(directory.to_owned());
        } else {
            state.missing_directories.remove(directory);
        }
    }

    /// Lets a program not be installed, or be installed again.
    pub fn set_program_missing(&self, program: &str, is_missing: bool) {
        let mut state = self.lock();
        if is_missing {
            state.missing_programs.insert(program.to_owned());
        } else {
            state.missing_programs.remove(program);
        }
    }

    /// Keeps launchers from becoming their agents, or lets them again, those that wait included.
    pub fn set_exec_held(&self, is_held: bool) {
        self.lock().set_exec_held(is_held);
    }

    /// What was typed into a session: pasted text, and each key (`Enter` as a line feed).
    pub fn received(&self, session: &SessionId) -> String {
        self.lock().received(session.as_str())
    }

    /// What was pasted into a session, paste by paste.
    pub fn pastes(&self, session: &SessionId) -> Vec<String> {
        self.typed(session, |typed| match typed {
            Typed::Paste(text) => Some(text.clone()),
            Typed::Key(_) => None,
        })
    }

    /// The keys that were pressed in a session.
    pub fn keys(&self, session: &SessionId) -> Vec<String> {
        self.typed(session, |typed| match typed {
            Typed::Paste(_) => None,
            Typed::Key(key) => Some(key.clone()),
        })
    }

    fn typed(&self, session: &SessionId, pick: impl Fn(&Typed) -> Option<String>) -> Vec<String> {
        let state = self.lock();
        state.typed_into(session.as_str()).iter().filter_map(pick).collect()
    }

    /// Prints into a session's terminal.
    pub fn print(&self, session: &SessionId, text: &str) {
        self.lock().change_pane(session.as_str(), |pane| pane.output.push_str(text));
    }

    /// Shows a screen instead of the end of what was printed.
    pub fn set_screen(&self, session: &SessionId, screen: &str) {
        self.lock().change_pane(session.as_str(), |pane| pane.screen = Some(screen.to_owned()));
    }

    /// Sets the title of a session's terminal.
    pub fn set_title(&self, session: &SessionId, title: &str) {
        self.lock().change_pane(session.as_str(), |pane| title.clone_into(&mut pane.title));
    }

    /// Puts a terminal into copy mode, or takes it out.
    pub fn set_in_mode(&self, session: &SessionId, is_in_mode: bool) {
        self.lock().change_pane(session.as_str(), |pane| pane.is_in_mode = is_in_mode);
    }

    /// Lets a human be typing in an attached terminal, or not.
    pub fn set_human_typing(&self, session: &SessionId, is_typing: bool) {
        self.lock().change_pane(session.as_str(), |pane| pane.is_human_typing = is_typing);
    }

    fn with_composer(&self, session: &SessionId, act: impl FnOnce(&mut FakeComposer)) {
        self.lock().change_pane(session.as_str(), |pane| {
            act(pane.composer.get_or_insert_default());
        });
    }

    /// Gives a session's terminal a composer, with this text in it: what is pasted stands there
    /// until Enter submits it.
    pub fn set_composer(&self, session: &SessionId, text: &str) {
        self.with_composer(session, |composer| text.clone_into(&mut composer.text));
    }

    /// Opens a dialog over the composer of a session (a detail by its name), or closes it.
    pub fn set_dialog(&self, session: &SessionId, dialog: Option<&str>) {
        self.with_composer(session, |composer| composer.dialog = dialog.map(str::to_owned));
    }

    /// Opens a dialog as soon as something is pasted.
    pub fn set_dialog_on_paste(&self, session: &SessionId, dialog: &str) {
        self.with_composer(session, |it| it.dialog_on_paste = Some(dialog.to_owned()));
    }

    /// Ignores the next presses of Enter in a session's composer.
    pub fn ignore_enters(&self, session: &SessionId, n_enters: u32) {
        self.with_composer(session, |composer| composer.n_deaf_enters = n_enters);
    }

    /// What was submitted from a session's composer.
    pub fn submitted(&self, session: &SessionId) -> Vec<String> {
        let mut submitted = Vec::new();
        self.with_composer(session, |composer| submitted.clone_from(&composer.submitted));
        submitted
    }

    /// What was typed into a session while a dialog was open: nothing, unless somebody erred.
    pub fn typed_at_dialogs(&self, session: &SessionId) -> Vec<String> {
        let mut typed = Vec::new();
        self.with_composer(session, |composer| typed.clone_from(&composer.at_dialogs));
        typed
    }

    /// The process in a session's terminal, when it runs.
    pub fn agent_of(&self, session: &SessionId) -> Option<ProcessIdentity> {
        let state = self.lock();
        let pane = state.servers.values().find_map(|server| server.panes.get(session.as_str()))?;
        state.identity(pane.process.pid, pane.process.nonce.as_ref())
    }

    /// A file that was written for an agent.
    pub fn agent_file(&self, path: &Path) -> Option<String> {
        let state = self.lock();
        state.launches.values().find_map(|launch| launch.agent_files.get(path).cloned())
    }

    /// Launches that have files, in order.
    pub fn launches_with_files(&self) -> Vec<LaunchId> {
        self.lock().launches.keys().cloned().collect()
    }
}
