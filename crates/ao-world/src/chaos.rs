//! Chaos: the real daemon on the real tmux and git, with clients that do what people do, while the
//! daemon and its tmux servers are killed under them.
//!
//! Agents keep a journal, outside of everything that is supervised, of every line that they wrote,
//! every commit that they made and every message that they heard. Afterwards git, tmux, `/proc` and
//! the database say, without the daemon's help, whether a line is missing, a message was typed
//! twice, a process was left behind or a session forgotten.
//!
//! A seed decides what is done and when; what comes of it is up to the machine.

pub(crate) mod account;
mod clients;
mod havoc;
pub(crate) mod judge;
pub(crate) mod place;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use account::Account;
use place::Place;

use crate::sim::dice::Dice;
use crate::tool::Failure;

/// What is asked of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Decides what is done, and when.
    pub seed: u64,
    /// How long it goes on.
    pub lasts: Duration,
    /// The program `ao`.
    pub program: PathBuf,
    /// Sessions that are kept alive.
    pub n_sessions: usize,
    /// Clients, each with one command at a time.
    pub n_clients: u64,
    /// Commands that are given at least.
    pub n_commands: u64,
    /// How often the daemon is killed.
    pub n_daemon_kills: u64,
    /// How often a tmux server is killed.
    pub n_server_kills: u64,
}

impl Plan {
    /// What a run of so many minutes holds: 50 commands, 3 daemon kills and half a server kill
    /// each.
    pub fn of(program: PathBuf, minutes: u64, seed: u64) -> Self {
        Self {
            seed,
            lasts: Duration::from_mins(minutes),
            program,
            n_sessions: 20,
            n_clients: 4,
            n_commands: minutes.saturating_mul(50),
            n_daemon_kills: minutes.saturating_mul(3),
            n_server_kills: minutes.div_ceil(2),
        }
    }
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Verdict {
    /// How often each command ended with each status.
    pub commands: BTreeMap<(&'static str, i32), u64>,
    /// How often the daemon was killed and came back.
    pub n_daemon_kills: u64,
    /// How often a tmux server was killed.
    pub n_server_kills: u64,
    /// Sessions that there ever were.
    pub n_sessions: usize,
    /// The most that lived at once.
    pub n_lived_max: usize,
    /// Lines, commits and ignored lines that agents wrote, and messages that they heard.
    pub n_lines: usize,
    /// See `n_lines`.
    pub n_commits: usize,
    /// See `n_lines`.
    pub n_ignored: usize,
    /// See `n_lines`.
    pub n_heard: usize,
    /// Messages that were taken in to be typed.
    pub n_sent: usize,
    /// How long it took after the last kill until everything had settled.
    pub settled_after: Duration,
    /// Every promise that did not hold.
    pub violations: Vec<String>,
}

/// Does it, and looks.
///
/// # Errors
///
/// When the surroundings fail: no git, no tmux, no disk.
pub async fn run(plan: &Plan, say: &dyn Fn(&str)) -> Result<Verdict, Failure> {
    let place = Place::new(&plan.program).await?;
    let ended = live(plan, &place, say).await;
    // What it started is ended whatever happened.
    place.end().await?;
    if ended.as_ref().is_ok_and(|verdict| verdict.violations.is_empty()) {
        return ended;
    }
    say(&format!("what is left of it is kept in {}", place.keep().display()));
    ended
}

async fn live(plan: &Plan, place: &Place, say: &dyn Fn(&str)) -> Result<Verdict, Failure> {
    let account = Account::new(plan.lasts);
    let clients = (0..plan.n_clients).map(|no| {
        let dice = Dice::new(plan.seed.wrapping_mul(1_000).wrapping_add(no));
        clients::Client { plan, place, account: &account, no, dice }.act()
    });
    let havoc = havoc::Havoc { plan, place, account: &account, say }.wreak();
    let (_, wreaked) = futures_util::join!(futures_util::future::join_all(clients), havoc);
    wreaked?;
    say("everybody stands still; waiting until all has settled");
    let mut verdict = judge::Judge { place, account: &account }.judge().await?;
    if verdict.commands.values().sum::<u64>() < plan.n_commands {
        verdict.violations.push(format!("fewer than {} commands were given", plan.n_commands));
    }
    Ok(verdict)
}
