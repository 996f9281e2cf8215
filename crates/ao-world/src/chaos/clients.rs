//! The clients: each gives one command after the other, as people and their scripts do.

use std::time::Duration;

use ao_adapters::cmd::Output;
use serde_json::Value;

use super::Plan;
use super::account::{Account, Known, pause};
use super::place::{PROJECTS, Place};
use crate::sim::dice::Dice;

/// The longest that a client waits before its next command, in milliseconds.
const PAUSE_MS_MAX: u64 = 800;

/// The exit statuses that a command may answer with, besides 0: usage errors and bugs are none.
const REFUSALS: [i32; 5] = [1, 3, 4, 5, 6];

/// Somebody who gives commands.
pub(super) struct Client<'a> {
    pub(super) plan: &'a Plan,
    pub(super) place: &'a Place,
    pub(super) account: &'a Account,
    pub(super) no: u64,
    pub(super) dice: Dice,
}

impl Client<'_> {
    /// Goes on until the run is over.
    pub(super) async fn act(mut self) {
        let mut n = 0_u64;
        while !self.account.is_over() {
            n += 1;
            self.once(n).await;
            pause(Duration::from_millis(self.dice.below(PAUSE_MS_MAX))).await;
        }
    }

    async fn once(&mut self, n: u64) {
        let (n_live, target) = {
            let facts = self.account.facts();
            let live = facts.known.iter().filter(|it| !it.has_ended).count();
            let ids: Vec<String> = facts.known.iter().map(|it| it.id.clone()).collect();
            let at = usize::try_from(self.dice.below(ids.len().max(1) as u64)).unwrap_or(0);
            (live + facts.n_spawning, ids.get(at).cloned())
        };
        if n_live < self.plan.n_sessions {
            return self.spawn(n).await;
        }
        let Some(id) = target else { return self.list().await };
        let id = id.as_str();
        match self.dice.below(100) {
            0..25 => self.send(id, n).await,
            25..31 => self.tell("kill", &["kill", id]).await,
            31..35 => self.tell("kill --discard", &["kill", id, "--discard"]).await,
            35..45 => self.tell("restore", &["restore", id]).await,
            45..47 => self.tell("restore --all", &["restore", "--all"]).await,
            47..50 => self.spawn(n).await,
            50..55 => self.tell("show", &["show", id]).await,
            55..60 => self.tell("explain", &["explain", id]).await,
            60..65 => self.tell("logs", &["logs", id, "-n", "5"]).await,
            65..69 => self.tell("diff", &["diff", id, "--stat"]).await,
            69..72 => self.tell("inbox", &["inbox"]).await,
            72..75 => self.tell("status", &["status"]).await,
            75..78 => self.tell("rename", &["rename", id, &format!("name-{n}")]).await,
            78..81 => self.tell("replay", &["replay", id]).await,
            81..84 => self.tell("path", &["path", id]).await,
            84..87 => {
                self.tell("wait", &["wait", id, "--for", "idle", "--timeout", "1s"]).await;
            }
            87..90 => self.tell("messages", &["messages", id]).await,
            _ => self.list().await,
        }
    }

    async fn spawn(&mut self, n: u64) {
        let project = self.dice.pick(&PROJECTS).unwrap_or("left");
        let name = format!("c{}-{n}", self.no);
        self.account.facts().n_spawning += 1;
        let args = ["spawn", "--project", project, "--name", &name, "--agent", "diarist"];
        let answer = self.give("spawn", &args).await;
        let mut facts = self.account.facts();
        facts.n_spawning -= 1;
        if let Some(answer) = answer
            && answer.status.success()
        {
            let id = answer.stdout_text().trim().to_owned();
            facts.known.push(Known { id: id.clone(), has_ended: false });
            facts.spawned.insert(id);
        }
    }

    async fn send(&mut self, id: &str, n: u64) {
        let text = format!("word-{}-{n}", self.no);
        let args = ["send", id, &text, "--wait", "typed", "--timeout", "3s"];
        let answer = self.give("send", &args).await;
        // Accepted, confirmed or not: it may arrive, and once.
        if answer.is_some_and(|it| matches!(it.status.code(), Some(0 | 5 | 6))) {
            self.account.facts().sent.insert(text, id.to_owned());
        }
    }

    async fn list(&mut self) {
        let Some(answer) = self.give("ls", &["ls", "--all", "--json"]).await else { return };
        if !answer.status.success() {
            return;
        }
        match serde_json::from_slice::<Vec<Value>>(&answer.stdout) {
            Ok(sessions) => {
                let known = |it: &Value| Known {
                    id: it["id"].as_str().unwrap_or_default().to_owned(),
                    has_ended: it["phase"] == "ended",
                };
                let known: Vec<Known> = sessions.iter().map(known).collect();
                let n_live = known.iter().filter(|it| !it.has_ended).count();
                let mut facts = self.account.facts();
                facts.n_lived_max = facts.n_lived_max.max(n_live);
                facts.known = known;
            }
            Err(error) => self.account.violate(format!("`ao ls --json` is no JSON: {error}")),
        }
    }

    async fn tell(&self, verb: &'static str, args: &[&str]) {
        // What it says is not looked at, only that it answers as it should.
        drop(self.give(verb, args).await);
    }

    /// Gives a command; it has to answer in time, and in one of the documented ways.
    async fn give(&self, verb: &'static str, args: &[&str]) -> Option<Output> {
        let answer = match self.place.ao(args).await {
            Ok(answer) => answer,
            Err(error) => {
                self.account.violate(format!("`ao {}` gave no answer: {error}", args.join(" ")));
                return None;
            }
        };
        let status = answer.status.code().unwrap_or(-1);
        *self.account.facts().commands.entry((verb, status)).or_default() += 1;
        let said = answer.stderr_text();
        if status != 0 && (!REFUSALS.contains(&status) || said.is_empty()) {
            let what = format!("`ao {}` ended with {status}: {said}", args.join(" "));
            self.account.violate(what);
        }
        Some(answer)
    }
}
