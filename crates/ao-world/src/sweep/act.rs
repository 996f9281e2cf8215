//! What is done while it is cut short, and what has to hold of it afterwards.

use std::fmt;
use std::fs;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;

use super::cut::Cut;
use crate::chaos::account::pause;
use crate::chaos::place::Place;
use crate::tool::Failure;

/// The project in which it is done.
const PROJECT: &str = "left";

/// What a session is told so that it asks for a person.
const QUESTION: &str = "waiting_input";

/// How long, and how often, something is waited for.
const LOOKS_MAX: u32 = 200;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A thing that people do, or that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A session is started.
    Spawn,
    /// One is ended.
    Kill,
    /// One is told something.
    Send,
    /// One asks, and a person is called.
    Escalate,
    /// The database of an older version is opened.
    Migrate,
    /// A daemon starts over sessions that live.
    Boot,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Spawn, Self::Kill, Self::Send, Self::Escalate, Self::Migrate, Self::Boot];

    /// Sets the stage: the session that it is about, or the home.
    pub(super) async fn prepare(self, place: &Place, n: u64) -> Result<Stage, Failure> {
        let name = format!("{self}-{n}");
        let mut stage = Stage { act: self, name, session: None, pid: Value::Null };
        match self {
            Self::Spawn => {}
            Self::Kill | Self::Send | Self::Escalate => stage.spawn(place).await?,
            Self::Boot => {
                stage.spawn(place).await?;
                place.ok(&["stop"]).await?;
            }
            Self::Migrate => {
                place.ok(&["stop"]).await?;
                for end in ["", "-wal", "-shm"] {
                    drop(fs::remove_file(place.home().join(format!("ao.db{end}"))));
                }
                let old = include_bytes!("../../../ao-store/tests/old/schema-1.db");
                fs::write(place.home().join("ao.db"), old)?;
            }
        }
        Ok(stage)
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spawn => "spawn",
            Self::Kill => "kill",
            Self::Send => "send",
            Self::Escalate => "escalate",
            Self::Migrate => "migrate",
            Self::Boot => "boot",
        })
    }
}

impl FromStr for Act {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|it| it.to_string() == text);
        known.ok_or_else(|| {
            format!("`{text}` is none of spawn, kill, send, escalate, migrate, boot")
        })
    }
}

/// An act with what was set up for it.
pub(super) struct Stage {
    act: Act,
    /// Not said before in this home.
    name: String,
    session: Option<String>,
    /// The process of its agent.
    pid: Value,
}

impl Stage {
    async fn spawn(&mut self, place: &Place) -> Result<(), Failure> {
        let args = ["spawn", "--project", PROJECT, "--name", &self.name, "--agent", "listener"];
        let id = place.ok(&args).await?.trim().to_owned();
        let session = session(place, &id).await?;
        self.pid = session["handle"]["pid"].clone();
        self.session = Some(id);
        Ok(())
    }

    /// Does it while it is cut short. Whether it was.
    pub(super) async fn perform(&self, place: &Place, cut: &Cut) -> Result<bool, Failure> {
        let id = self.session.as_deref().unwrap_or_default();
        match self.act {
            Act::Spawn => {
                let args = ["spawn", "--project", PROJECT, "--name", &self.name];
                let args = [&args[..], &["--agent", "listener"]].concat();
                cut.during(place, give(place, &args)).await
            }
            Act::Kill => cut.during(place, give(place, &["kill", id])).await,
            Act::Send => {
                let args = ["send", id, &self.name, "--wait", "typed", "--timeout", "3s"];
                cut.during(place, give(place, &args)).await
            }
            Act::Escalate => cut.during(place, self.ask(place, id)).await,
            Act::Migrate | Act::Boot => cut.start(place).await,
        }
    }

    /// Lets the agent ask, and waits until a person is told, or the daemon is gone.
    async fn ask(&self, place: &Place, id: &str) -> Result<(), Failure> {
        let pane = format!("={id}:");
        place.tmux(PROJECT, &["send-keys", "-t", &pane, QUESTION, "Enter"]).await?;
        for _ in 0..LOOKS_MAX {
            if place.daemon().is_none() || !told(place, id).await.unwrap_or_default().is_empty() {
                break;
            }
            pause(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// What does not hold of it now that all has settled.
    pub(super) async fn look(&self, place: &Place) -> Result<Vec<String>, Failure> {
        let mut found = Vec::new();
        let id = self.session.as_deref().unwrap_or_default();
        match self.act {
            Act::Spawn | Act::Migrate => {}
            Act::Kill => {
                place.ok(&["kill", id]).await?;
                let status = session(place, id).await?["status"].clone();
                if status != "killed" {
                    found.push(format!("{id} was killed and is {status}"));
                }
            }
            Act::Send => {
                let journal = fs::read_to_string(place.journals().join(id)).unwrap_or_default();
                let heard = format!("heard {}", self.name);
                let n = journal.lines().filter(|line| **line == heard).count();
                if n > 1 {
                    found.push(format!("{id} heard its message {n} times"));
                }
            }
            Act::Escalate => {
                let mut n = 0;
                for _ in 0..LOOKS_MAX {
                    n = told(place, id).await?.len();
                    if n > 0 {
                        break;
                    }
                    pause(LOOK_EVERY).await;
                }
                if n != 1 {
                    found.push(format!("a person was told {n} times that {id} asks"));
                }
            }
            Act::Boot => {
                let pid = session(place, id).await?["handle"]["pid"].clone();
                if pid != self.pid {
                    found.push(format!("{id} ran as {} and runs as {pid}", self.pid));
                }
            }
        }
        Ok(found)
    }
}

/// Gives a command; whether it was done is not what counts here, only that it was answered.
async fn give(place: &Place, args: &[&str]) -> Result<(), Failure> {
    let answer = place.ao(args).await?;
    match answer.status.code() {
        Some(0 | 1 | 3 | 4 | 5 | 6) => Ok(()),
        _ => Err(format!("{args:?}: {}: {}", answer.status, answer.stderr_text()).into()),
    }
}

async fn session(place: &Place, id: &str) -> Result<Value, Failure> {
    Ok(serde_json::from_str(&place.ok(&["show", id, "--json"]).await?)?)
}

/// What people were told of a session.
async fn told(place: &Place, id: &str) -> Result<Vec<Value>, Failure> {
    let inbox: Vec<Value> = serde_json::from_str(&place.ok(&["inbox", "--json"]).await?)?;
    Ok(inbox.into_iter().filter(|it| it["session"] == id).collect())
}
