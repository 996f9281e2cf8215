//! What every process table promises.

#![expect(clippy::expect_used, reason = "a suite fails by panicking")]

use ao_core::fact::ProcessProbe;
use ao_core::ids::{Nonce, Pid};
use ao_core::ports::{BoxFuture, Clock, ProcessEnd, ProcessSignal, Processes};
use ao_core::session::ProcessIdentity;
use ao_core::time::BootId;
use futures_util::FutureExt as _;

use super::wait_until;

/// The processes of one launch.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The agent.
    pub root: Pid,
    /// A child of the agent, with its nonce.
    pub child: Pid,
    /// A child of that child, which left the terminal's session.
    pub setsid_grandchild: Pid,
    /// One that left its parents and the session, and kept the nonce.
    pub double_forked: Pid,
    /// A child that dropped the nonce.
    pub without_nonce: Pid,
}

impl Tree {
    fn all(&self) -> Vec<Pid> {
        let Self { root, child, setsid_grandchild, double_forked, without_nonce } = self;
        let mut all = vec![*root, *child, *setsid_grandchild, *double_forked, *without_nonce];
        all.sort_unstable();
        all
    }
}

/// A process table, and the means to start processes in it.
pub trait ProcessesHarness {
    /// The table.
    fn processes(&self) -> &dyn Processes;
    /// The time that passes for it.
    fn clock(&self) -> &dyn Clock;
    /// A nonce that nothing else on the machine carries.
    fn nonce(&self) -> Nonce;
    /// Starts one process that waits.
    fn start<'a>(&'a self, nonce: Option<&'a Nonce>) -> BoxFuture<'a, Pid>;
    /// Starts an agent with its descendants.
    fn start_tree<'a>(&'a self, nonce: &'a Nonce) -> BoxFuture<'a, Tree>;
    /// Starts an agent in the control group of its launch, with a descendant that dropped the nonce
    /// and left the terminal's session and its parents, none of whom is left; `None` where the
    /// machine keeps no groups. First the agent, then the descendant.
    fn start_in_group<'a>(&'a self, nonce: &'a Nonce) -> BoxFuture<'a, Option<(Pid, Pid)>>;
    /// Ends a process as `kill -9` does.
    fn kill(&self, pid: Pid);
}

/// Makes one test of each promise.
#[macro_export]
macro_rules! processes_contract {
    ($with:path) => {
        $crate::contract_tests!($with, processes:
            a_process_is_alive_until_it_ends,
            a_number_is_not_a_process,
            a_process_carries_the_nonce_that_it_was_started_with,
            a_watch_ends_with_its_process,
            a_watch_of_an_ended_process_ends_at_once,
            a_scan_finds_what_left_the_tree,
            a_scan_finds_the_rest_of_a_tree_whose_root_is_dead,
            a_scan_leaves_others_alone,
            a_tree_is_ended_whole,
            a_group_holds_what_nothing_else_leads_to,
            a_group_is_ended_at_once,
            no_group_is_no_trouble,
            a_signal_never_reaches_a_number_used_again,
            a_signal_never_reaches_another_launch,
        );
    };
}

async fn started(harness: &dyn ProcessesHarness, nonce: Option<&Nonce>) -> ProcessIdentity {
    let pid = harness.start(nonce).await;
    harness.processes().identity(pid, nonce).expect("it runs")
}

async fn until_dead(harness: &dyn ProcessesHarness, process: &ProcessIdentity) {
    wait_until(harness.clock(), "the process is dead", async || {
        harness.processes().probe(process) == ProcessProbe::Dead
    })
    .await;
}

async fn scan(
    harness: &dyn ProcessesHarness,
    nonce: &Nonce,
    root: Option<&ProcessIdentity>,
) -> Vec<Pid> {
    let found = harness.processes().scan(nonce, root).await.expect("a table");
    found.iter().map(|process| process.pid).collect()
}

/// A process that ended and was not reaped is dead.
pub async fn a_process_is_alive_until_it_ends(harness: &dyn ProcessesHarness) {
    let process = started(harness, None).await;
    assert_eq!(process.boot, harness.processes().boot());
    assert_eq!(harness.processes().probe(&process), ProcessProbe::Alive);
    harness.kill(process.pid);
    until_dead(harness, &process).await;
    assert_eq!(harness.processes().identity(process.pid, None), None);
}

/// Another start time, or another boot, is another process.
pub async fn a_number_is_not_a_process(harness: &dyn ProcessesHarness) {
    let process = started(harness, None).await;
    let earlier = ProcessIdentity { start_ticks: process.start_ticks - 1, ..process.clone() };
    assert_eq!(harness.processes().probe(&earlier), ProcessProbe::Dead);
    let boot = BootId(process.boot.0.wrapping_add(1));
    let of_another_boot = ProcessIdentity { boot, ..process.clone() };
    assert_eq!(harness.processes().probe(&of_another_boot), ProcessProbe::Dead);
    assert_eq!(harness.processes().probe(&process), ProcessProbe::Alive);
}

/// What no environment says, and whoever has ended, carries none.
pub async fn a_process_carries_the_nonce_that_it_was_started_with(harness: &dyn ProcessesHarness) {
    let (nonce, processes) = (harness.nonce(), harness.processes());
    let process = started(harness, Some(&nonce)).await;
    wait_until(harness.clock(), "the process has its environment", async || {
        processes.nonce_of(process.pid).is_some()
    })
    .await;
    assert_eq!(processes.nonce_of(process.pid), Some(nonce));
    let other = started(harness, None).await;
    assert_eq!(processes.nonce_of(other.pid), None);
    harness.kill(process.pid);
    until_dead(harness, &process).await;
    assert_eq!(processes.nonce_of(process.pid), None);
}

/// Nobody has to look again and again.
pub async fn a_watch_ends_with_its_process(harness: &dyn ProcessesHarness) {
    let process = started(harness, None).await;
    let mut watch = harness.processes().watch(&process);
    assert_eq!((&mut watch).now_or_never(), None);
    harness.kill(process.pid);
    assert_eq!(watch.await, ProcessEnd::Died);
}

/// What happened before is told all the same.
pub async fn a_watch_of_an_ended_process_ends_at_once(harness: &dyn ProcessesHarness) {
    let process = started(harness, None).await;
    harness.kill(process.pid);
    until_dead(harness, &process).await;
    assert_eq!(harness.processes().watch(&process).await, ProcessEnd::Died);
    let living = started(harness, None).await;
    let earlier = ProcessIdentity { start_ticks: living.start_ticks - 1, ..living };
    assert_eq!(harness.processes().watch(&earlier).await, ProcessEnd::Died);
}

/// By the nonce, by descent, and by the terminal's session.
pub async fn a_scan_finds_what_left_the_tree(harness: &dyn ProcessesHarness) {
    let nonce = harness.nonce();
    let tree = harness.start_tree(&nonce).await;
    let root = harness.processes().identity(tree.root, Some(&nonce)).expect("it runs");
    assert_eq!(scan(harness, &nonce, Some(&root)).await, tree.all());
    assert_eq!(scan(harness, &nonce, None).await, tree.all(), "the nonce leads to the root");
}

/// The agent is the first to die, and what it started is not forgotten.
pub async fn a_scan_finds_the_rest_of_a_tree_whose_root_is_dead(harness: &dyn ProcessesHarness) {
    let nonce = harness.nonce();
    let tree = harness.start_tree(&nonce).await;
    let root = harness.processes().identity(tree.root, Some(&nonce)).expect("it runs");
    harness.kill(tree.root);
    until_dead(harness, &root).await;
    let rest: Vec<Pid> = tree.all().into_iter().filter(|pid| *pid != tree.root).collect();
    assert_eq!(scan(harness, &nonce, Some(&root)).await, rest);
}

/// Neither another launch's processes nor nobody's.
pub async fn a_scan_leaves_others_alone(harness: &dyn ProcessesHarness) {
    let (ours, theirs) = (harness.nonce(), harness.nonce());
    let tree = harness.start_tree(&theirs).await;
    started(harness, None).await;
    assert_eq!(scan(harness, &ours, None).await, Vec::new());
    let root = harness.processes().identity(tree.root, None).expect("it runs");
    let used_again = ProcessIdentity { start_ticks: root.start_ticks - 1, ..root.clone() };
    assert_eq!(scan(harness, &ours, Some(&used_again)).await, Vec::new());
    let boot = BootId(root.boot.0.wrapping_add(1));
    let of_another_boot = ProcessIdentity { boot, ..root };
    assert_eq!(scan(harness, &ours, Some(&of_another_boot)).await, Vec::new());
}

/// Scan, signal, and scan again: nothing is left.
pub async fn a_tree_is_ended_whole(harness: &dyn ProcessesHarness) {
    let nonce = harness.nonce();
    let bystander = started(harness, None).await;
    harness.start_tree(&nonce).await;
    let processes = harness.processes();
    let found = processes.scan(&nonce, None).await.expect("a table");
    let n_signalled = processes.signal_tree(&found, ProcessSignal::Kill).await.expect("signals");
    assert_eq!(n_signalled, found.len());
    for process in &found {
        until_dead(harness, process).await;
    }
    assert_eq!(scan(harness, &nonce, None).await, Vec::new());
    assert_eq!(processes.signal_tree(&found, ProcessSignal::Kill).await, Ok(0));
    assert_eq!(processes.probe(&bystander), ProcessProbe::Alive);
}

/// Where there is a group, dropping the nonce, the session and the parents hides nobody, even when
/// the agent is gone.
pub async fn a_group_holds_what_nothing_else_leads_to(harness: &dyn ProcessesHarness) {
    let (nonce, theirs) = (harness.nonce(), harness.nonce());
    let Some((agent, stray)) = harness.start_in_group(&nonce).await else { return };
    harness.start_in_group(&theirs).await;
    let root = harness.processes().identity(agent, Some(&nonce)).expect("it runs");
    assert_eq!(scan(harness, &nonce, Some(&root)).await, sorted([agent, stray]));
    harness.kill(agent);
    until_dead(harness, &root).await;
    harness.processes().forget_group(&nonce).await;
    assert_eq!(scan(harness, &nonce, Some(&root)).await, [stray], "a group in use stays");
}

/// Nobody in it is left, and nobody beside it is hurt.
pub async fn a_group_is_ended_at_once(harness: &dyn ProcessesHarness) {
    let (nonce, theirs) = (harness.nonce(), harness.nonce());
    let Some((agent, stray)) = harness.start_in_group(&nonce).await else { return };
    let others = harness.start_in_group(&theirs).await;
    let processes = harness.processes();
    let identity = |pid| processes.identity(pid, None).expect("it runs");
    let ours = [agent, stray].map(identity);
    assert_eq!(processes.kill_group(&nonce).await, Ok(true));
    for process in &ours {
        until_dead(harness, process).await;
    }
    assert_eq!(scan(harness, &nonce, None).await, Vec::new());
    processes.forget_group(&nonce).await;
    assert_eq!(processes.kill_group(&nonce).await, Ok(false), "it is gone");
    for pid in others.map(<[Pid; 2]>::from).into_iter().flatten() {
        assert_eq!(processes.probe(&identity(pid)), ProcessProbe::Alive);
    }
}

/// A launch that has none is found by the rest.
pub async fn no_group_is_no_trouble(harness: &dyn ProcessesHarness) {
    let nonce = harness.nonce();
    let processes = harness.processes();
    assert_eq!(processes.kill_group(&nonce).await, Ok(false));
    processes.forget_group(&nonce).await;
    assert_eq!(processes.kill_group(&nonce).await, Ok(false));
}

fn sorted<const N: usize>(mut pids: [Pid; N]) -> [Pid; N] {
    pids.sort_unstable();
    pids
}

/// A stored number may belong to anybody by now.
pub async fn a_signal_never_reaches_a_number_used_again(harness: &dyn ProcessesHarness) {
    let innocent = started(harness, None).await;
    let earlier = ProcessIdentity { start_ticks: innocent.start_ticks - 1, ..innocent.clone() };
    let boot = BootId(innocent.boot.0.wrapping_add(1));
    let of_another_boot = ProcessIdentity { boot, ..innocent.clone() };
    let processes = harness.processes();
    for signal in [ProcessSignal::Terminate, ProcessSignal::Kill] {
        let both = [earlier.clone(), of_another_boot.clone()];
        assert_eq!(processes.signal_tree(&both, signal).await, Ok(0));
    }
    assert_eq!(processes.probe(&innocent), ProcessProbe::Alive);
    let itself = [innocent];
    assert_eq!(processes.signal_tree(&itself, ProcessSignal::Terminate).await, Ok(1));
    let [innocent] = itself;
    until_dead(harness, &innocent).await;
}

/// The nonce is checked before any signal.
pub async fn a_signal_never_reaches_another_launch(harness: &dyn ProcessesHarness) {
    let theirs = harness.nonce();
    let process = started(harness, Some(&theirs)).await;
    let mistaken = ProcessIdentity { nonce: Some(harness.nonce()), ..process.clone() };
    let processes = harness.processes();
    assert_eq!(processes.signal_tree(&[mistaken], ProcessSignal::Kill).await, Ok(0));
    assert_eq!(processes.probe(&process), ProcessProbe::Alive);
    assert_eq!(processes.signal_tree(&[process], ProcessSignal::Kill).await, Ok(1));
}
