//! How long after its start a daemon knows the truth about every session that lives: from the start
//! of `ao start` to the end of the first `ao ls --json` that shows all of them, each looked at since.
//!
//! `make bench-restart` runs it. Before each restart one agent is killed while no daemon is there:
//! a list that shows it alive would be no truth. The floor beside it is the same with no sessions.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot be made ends")]
#![expect(clippy::print_stdout, reason = "the table is what it is for")]
#![expect(clippy::disallowed_methods, reason = "it measures programs from outside, in real time")]

mod kit;

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use kit::Home;

/// Sessions that live.
const SESSIONS: usize = 500;

/// Counted restarts.
const RUNS: usize = 9;

fn main() {
    // Cargo starts it for `cargo test --benches`, too, and then it is no test.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let home = Home::new();
    println!("| what | median | longest |");
    println!("|---|---|---|");
    let floor: Vec<f64> = (0..RUNS).map(|_| restart(&home, || {}).0).collect();
    row("no session", floor);
    for _ in 0..SESSIONS {
        home.ao("spawn --project app --no-wait -- sleep 3600");
    }
    while live(&list(&home)).count() < SESSIONS {
        std::thread::sleep(Duration::from_millis(200));
    }
    let measured: Vec<f64> = (0..RUNS).map(|_| with_a_death(&home)).collect();
    row(&format!("{SESSIONS} sessions that live"), measured);
}

/// A restart during whose pause an agent dies.
fn with_a_death(home: &Home) -> f64 {
    let before = list(home);
    let victim = live(&before).next().unwrap();
    let id = victim["id"].as_str().unwrap();
    let pid = victim["handle"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    let kill = || kill_process(pid.and_then(Pid::from_raw).unwrap(), Signal::KILL).unwrap();
    let (took, sessions) = restart(home, kill);
    let of_it = sessions.iter().find(|it| it["id"] == id).unwrap();
    assert_ne!(of_it["lifecycle"]["runtime"]["state"], "alive", "{of_it:#}");
    assert_eq!(live(&sessions).count() + 1, live(&before).count());
    took
}

fn restart(home: &Home, meanwhile: impl Fn()) -> (f64, Vec<Value>) {
    home.ao("stop");
    meanwhile();
    let began = Instant::now();
    home.ao("start");
    let sessions = list(home);
    (began.elapsed().as_secs_f64() * 1000.0, sessions)
}

fn list(home: &Home) -> Vec<Value> {
    serde_json::from_str(&home.ao("ls --all --json")).unwrap()
}

fn live(sessions: &[Value]) -> impl Iterator<Item = &Value> {
    sessions.iter().filter(|it| it["lifecycle"]["runtime"]["state"] == "alive")
}

fn row(what: &str, mut times: Vec<f64>) {
    times.sort_unstable_by(f64::total_cmp);
    let at = |n: usize| times.get(n).copied().unwrap_or_default();
    println!("| {what} | {:.0} ms | {:.0} ms |", at(times.len() / 2), at(times.len() - 1));
}
