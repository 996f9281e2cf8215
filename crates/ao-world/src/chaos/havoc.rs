//! The disasters: the daemon, its tmux servers and agents are killed, each at a moment of the seed.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::Plan;
use super::account::{Account, pause};
use super::place::{PROJECTS, Place};
use crate::sim::dice::Dice;
use crate::tool::Failure;

/// The longest that a killed daemon stays away, in milliseconds.
const AWAY_MS_MAX: u64 = 1_500;

/// How often, and how far apart, a tmux server to be killed is looked for.
const SERVER_LOOKS_MAX: u32 = 40;
const SERVER_LOOK_EVERY: Duration = Duration::from_millis(250);

/// A disaster.
#[derive(Debug, Clone, Copy)]
enum Disaster {
    Daemon,
    Server,
    Agent,
}

/// Who brings it.
pub(super) struct Havoc<'a> {
    pub(super) plan: &'a Plan,
    pub(super) place: &'a Place,
    pub(super) account: &'a Account,
    pub(super) say: &'a dyn Fn(&str),
}

impl Havoc<'_> {
    /// Does all of it, spread over the run.
    pub(super) async fn wreak(self) -> Result<(), Failure> {
        let mut dice = Dice::new(self.plan.seed);
        for (at, disaster) in self.disasters(&mut dice) {
            let lived = self.plan.lasts.saturating_sub(self.account.left());
            pause(at.saturating_sub(lived)).await;
            match disaster {
                Disaster::Daemon => self.kill_daemon(&mut dice).await?,
                Disaster::Server => self.kill_server(&mut dice).await?,
                Disaster::Agent => self.kill_agent(&mut dice),
            }
        }
        // The daemon that is there at the end is asked for the truth.
        pause(self.account.left()).await;
        Ok(())
    }

    /// When each happens: the kinds evenly spread, each at a moment of its own share. The first
    /// seconds belong to the spawns.
    fn disasters(&self, dice: &mut Dice) -> Vec<(Duration, Disaster)> {
        let kinds = [
            (Disaster::Daemon, self.plan.n_daemon_kills),
            (Disaster::Server, self.plan.n_server_kills),
            (Disaster::Agent, self.plan.n_daemon_kills),
        ];
        let lasts = u64::try_from(self.plan.lasts.as_millis()).unwrap_or(u64::MAX);
        let (first, last) = (lasts / 10, lasts - lasts / 20);
        let mut all = Vec::new();
        for (disaster, n) in kinds {
            let share = (last - first).checked_div(n).unwrap_or(0).max(1);
            for no in 0..n {
                let at = first + no * share + dice.below(share);
                all.push((Duration::from_millis(at), disaster));
            }
        }
        all.sort_by_key(|(at, _)| *at);
        all
    }

    async fn kill_daemon(&self, dice: &mut Dice) -> Result<(), Failure> {
        let Some(daemon) = self.place.daemon() else {
            self.account.violate("no daemon is there to be killed".to_owned());
            return Ok(());
        };
        end(daemon);
        pause(Duration::from_millis(dice.below(AWAY_MS_MAX))).await;
        if let Err(error) = self.place.ok(&["start"]).await {
            self.account.violate(format!("a killed daemon does not start again: {error}"));
        }
        let n = {
            let mut facts = self.account.facts();
            facts.n_daemon_kills += 1;
            facts.n_daemon_kills
        };
        (self.say)(&format!("the daemon was killed {n} times"));
        Ok(())
    }

    async fn kill_server(&self, dice: &mut Dice) -> Result<(), Failure> {
        // A server without sessions ends by itself, and is back with the next spawn.
        for _ in 0..SERVER_LOOKS_MAX {
            let project = dice.pick(&PROJECTS).unwrap_or("left");
            let asked = self.place.tmux(project, &["display-message", "-p", "#{pid}"]).await?;
            let pid = asked.stdout_text().trim().parse().ok().and_then(Pid::from_raw);
            if let Some(pid) = pid.filter(|_| asked.status.success()) {
                end(pid);
                self.account.facts().n_server_kills += 1;
                (self.say)(&format!("the tmux server of `{project}` was killed"));
                return Ok(());
            }
            pause(SERVER_LOOK_EVERY).await;
        }
        Ok(())
    }

    fn kill_agent(&self, dice: &mut Dice) {
        let agents: Vec<Pid> = (self.place.processes().iter())
            .filter(|it| it.session.is_some() && it.command.starts_with("bash -c"))
            .map(|it| it.pid)
            .collect();
        if let Some(agent) = dice.pick(&agents) {
            end(agent);
        }
    }
}

fn end(pid: Pid) {
    // One that ended meanwhile is as good.
    kill_process(pid, Signal::KILL).unwrap_or_default();
}
