//! The sweep: what the real daemon does is cut short at its n-th write-class system call, for
//! n = 1, 2, 3, …, until there is no n-th one; then the same with a disk that is full or fails.
//!
//! strace counts the calls of each thread and of each program that the daemon starts on its own, so
//! one n cuts at several places, and whichever comes first counts. Afterwards a daemon is started,
//! and what it says is held against git, tmux and `/proc`, as after chaos.

mod act;
mod cut;

use std::path::Path;

pub use act::Act;
pub use cut::Fault;

use crate::chaos::judge::{self, Session};
use crate::chaos::place::Place;
use crate::tool::Failure;

/// What is asked of a sweep.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is done, again and again.
    pub acts: Vec<Act>,
    /// What happens to the n-th call.
    pub faults: Vec<Fault>,
    /// The first n, and how far apart two are.
    pub from: u64,
    /// See `from`.
    pub stride: u64,
    /// The last n of an act that makes more calls.
    pub last: u64,
}

/// What one act came to under one fault.
#[derive(Debug)]
pub struct Line {
    /// What was done.
    pub act: Act,
    /// What happened to the n-th call.
    pub fault: Fault,
    /// How many points were tried.
    pub n_points: u64,
    /// Whether there was no call left to cut at.
    pub is_whole: bool,
    /// Every promise that did not hold.
    pub violations: Vec<String>,
}

/// Does it all in one home.
///
/// # Errors
///
/// When the surroundings fail: no git, tmux or strace, no disk.
pub async fn run(program: &Path, plan: &Plan, say: &dyn Fn(&str)) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    for act in &plan.acts {
        for fault in &plan.faults {
            let place = Place::new(program).await?;
            let ended = sweep(&place, (*act, *fault), plan, say).await;
            // What it started is ended whatever happened.
            place.end().await?;
            lines.push(ended?);
        }
    }
    Ok(lines)
}

async fn sweep(
    place: &Place,
    (act, fault): (Act, Fault),
    plan: &Plan,
    say: &dyn Fn(&str),
) -> Result<Line, Failure> {
    let mut line = Line { act, fault, n_points: 0, is_whole: false, violations: Vec::new() };
    let mut n = plan.from;
    while n <= plan.last {
        let stage = act.prepare(place, n).await?;
        let cut = cut::Cut { fault, n, log: place.root().join("cuts") };
        let has_hit = stage.perform(place, &cut).await?;
        if !has_hit {
            line.is_whole = true;
        }
        let found = look(place, &stage).await?;
        for what in &found {
            say(&format!("{act} {fault} {n}: {what}"));
        }
        line.violations.extend(found.into_iter().map(|what| format!("{act} {fault} {n}: {what}")));
        if line.is_whole {
            break;
        }
        line.n_points += 1;
        n += plan.stride.max(1);
    }
    say(&format!("{act} {fault}: {} points", line.n_points));
    Ok(line)
}

/// Brings a daemon back and looks whether what it says is so.
async fn look(place: &Place, stage: &act::Stage) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    if place.daemon().is_none()
        && let Err(error) = place.ok(&["start"]).await
    {
        return Ok(vec![format!("no daemon starts any more: {error}")]);
    }
    if !judge::settled(place).await? {
        let sessions = place.sessions().await?;
        let open = sessions.iter().filter(|it| !Session::is_settled(it));
        found.extend(open.map(|it| format!("{} is {} for ever", it["id"], it["phase"])));
    }
    found.extend(stage.look(place).await?);
    found.extend(judge::look_from_outside(place).await?);
    // The next point finds a home without sessions.
    for session in place.sessions().await? {
        if session["phase"] != "ended"
            && let Some(id) = session["id"].as_str()
            && let Err(error) = place.ok(&["kill", id]).await
        {
            found.push(format!("{id} cannot be killed: {error}"));
        }
    }
    Ok(found)
}
