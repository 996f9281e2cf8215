//! The judge: once all has settled, holds what the daemon says against what git, tmux, `/proc` and
//! the database say, and all of it against the journals of the agents.

mod journals;
mod messages;
mod processes;
mod work;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::Verdict;
use super::account::{Account, now, pause};
use super::place::{PROJECTS, Place};
use crate::tool::Failure;
use journals::Journals;

/// How long it may take until nothing is in flight any more.
const SETTLE_FOR_MAX: Duration = Duration::from_mins(3);

/// Between two looks, and how many in a row have to find everything settled.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const SETTLED_LOOKS: u32 = 4;

/// Waits until nothing is in flight. Whether that came about.
pub(crate) async fn settled(place: &Place) -> Result<bool, Failure> {
    let deadline = now() + SETTLE_FOR_MAX;
    let mut n_settled = 0;
    while n_settled < SETTLED_LOOKS {
        if now() >= deadline {
            return Ok(false);
        }
        pause(LOOK_EVERY).await;
        let is_settled = place.sessions().await?.iter().all(Session::is_settled);
        n_settled = if is_settled { n_settled + 1 } else { 0 };
    }
    Ok(true)
}

/// What git, tmux and `/proc` say otherwise than the daemon.
pub(crate) async fn look_from_outside(place: &Place) -> Result<Vec<String>, Failure> {
    let mut case = Case::of(place).await?;
    processes::check(place, &mut case).await?;
    for project in PROJECTS {
        work::check_worktrees(place, project, &mut case).await?;
    }
    Ok(case.violations)
}

impl Case {
    async fn of(place: &Place) -> Result<Self, Failure> {
        let sessions = place.sessions().await?;
        let named =
            |it: &Value| (it["id"].as_str().unwrap_or_default().to_owned(), Session::of(it));
        let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY;
        Ok(Self {
            sessions: sessions.iter().map(named).collect(),
            journals: Journals::default(),
            db: Connection::open_with_flags(place.home().join("ao.db"), read_only)?,
            violations: Vec::new(),
        })
    }
}

/// Who judges.
pub(super) struct Judge<'a> {
    pub(super) place: &'a Place,
    pub(super) account: &'a Account,
}

/// What the judge has before it.
struct Case {
    /// Every session, by id, as the daemon tells it.
    sessions: BTreeMap<String, Session>,
    journals: Journals,
    db: Connection,
    violations: Vec<String>,
}

/// A session as the daemon tells it.
pub(crate) struct Session {
    project: String,
    has_ended: bool,
    status: String,
    worktree: PathBuf,
    terminal: Option<String>,
    pid: Option<i64>,
    launch: Option<String>,
}

impl Session {
    fn of(it: &Value) -> Self {
        let text = |key: &str| it[key].as_str().unwrap_or_default().to_owned();
        Self {
            project: text("project"),
            has_ended: it["phase"] == "ended",
            status: text("status"),
            worktree: PathBuf::from(text("workspace_path")),
            terminal: it["handle"]["session"].as_str().map(ToOwned::to_owned),
            pid: it["handle"]["pid"].as_i64(),
            launch: it["launch_id"].as_str().map(ToOwned::to_owned),
        }
    }

    /// Whether nothing is in flight for it.
    pub(crate) fn is_settled(it: &Value) -> bool {
        let is_between =
            ["detecting", "spawning", "queued"].iter().any(|word| it["status"] == *word);
        let is_whole = it["phase"] == "running" || it["phase"] == "ended";
        is_whole && !is_between && it["teardown"]["workspace"] != "pending"
    }
}

impl Judge<'_> {
    pub(super) async fn judge(self) -> Result<Verdict, Failure> {
        let began = now();
        let is_settled = settled(self.place).await?;
        let settled_after = now().duration_since(began);
        let mut case = Case::of(self.place).await?;
        if !is_settled {
            let sessions = self.place.sessions().await?;
            let open: Vec<String> = (sessions.iter().filter(|it| !Session::is_settled(it)))
                .map(|it| {
                    format!("{} {} {} {}", it["id"], it["status"], it["phase"], it["teardown"])
                })
                .collect();
            let what = format!("not settled within {SETTLE_FOR_MAX:?}: {}", open.join("; "));
            case.violations.push(what);
        }
        self.check_sessions(&mut case)?;
        processes::check(self.place, &mut case).await?;
        // From the outside in: the daemon and every agent end, and what they left is looked at.
        self.place.ok(&["stop"]).await?;
        // Nothing is written any more.
        self.place.end_processes();
        case.journals = Journals::read(&self.place.journals())?;
        messages::check(self.account, &mut case)?;
        work::check(self.place, &mut case).await?;
        Ok(self.verdict(case, settled_after))
    }

    /// No session that was promised is missing, and the database is whole.
    fn check_sessions(&self, case: &mut Case) -> Result<(), Failure> {
        for id in &self.account.facts().spawned {
            if !case.sessions.contains_key(id) {
                case.violations.push(format!("session {id} was spawned and is not known any more"));
            }
        }
        let whole: String =
            case.db.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))?;
        if whole != "ok" {
            case.violations.push(format!("the database is damaged: {whole}"));
        }
        Ok(())
    }

    fn verdict(&self, case: Case, settled_after: Duration) -> Verdict {
        let mut facts = self.account.facts();
        let mut violations = std::mem::take(&mut facts.violations);
        violations.extend(case.violations);
        Verdict {
            commands: facts.commands.clone(),
            n_daemon_kills: facts.n_daemon_kills,
            n_server_kills: facts.n_server_kills,
            n_sessions: case.sessions.len(),
            n_lived_max: facts.n_lived_max,
            n_lines: case.journals.wrote.len(),
            n_commits: case.journals.committed.len(),
            n_ignored: case.journals.ignored.len(),
            n_heard: case.journals.heard.values().sum(),
            n_sent: facts.sent.len(),
            settled_after,
            violations,
        }
    }
}
