//! How long an agent stands still for one of its hooks: `ao hook` as a process, from its start to
//! its end, with a daemon that takes the event in, and without one.
//!
//! `make bench-hooks` runs it. The floor beside it is a program that does nothing, started the same
//! way; whatever lies between the two is ours. It prints a table in Markdown.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot be made ends")]
#![expect(clippy::print_stdout, reason = "the table is what it is for")]
#![expect(clippy::disallowed_methods, reason = "it measures programs from outside, in real time")]

mod kit;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use kit::{Home, ao, words};

/// Counted runs of each row.
const RUNS: usize = 300;

/// Runs before them: they load programs and pages.
const WARM_UP: usize = 20;

fn main() {
    // Cargo starts it for `cargo test --benches`, too, and then it is no test.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let agent = Agent::new();
    let home = &agent.home;
    println!("| what | median | p99 | longest |");
    println!("|---|---|---|---|");
    let small = |event| payload(event, 0).to_string().into_bytes();
    let large = |event| payload(event, 1 << 20).to_string().into_bytes();
    // A turn begins and ends: each event changes the session.
    let turn = |n: usize| if n.is_multiple_of(2) { "PreToolUse" } else { "Stop" };
    let wrapper = home.path("home/bin/ao");
    agent.rows(&[
        ("a program that does nothing", &|_| Run::new("/bin/true", "", Vec::new())),
        ("`ao --version`", &|_| Run::new(ao(), "--version", Vec::new())),
        ("`ao hook`, the event changes the session", &|n| {
            Run::new(ao(), &format!("hook claude-code {}", turn(n)), small(turn(n)))
        }),
        ("the same as an agent calls it, through the wrapper", &|n| {
            Run::new(&wrapper, &format!("hook claude-code {}", turn(n)), small(turn(n)))
        }),
        ("`ao hook`, the event means nothing", &|_| {
            Run::new(ao(), "hook claude-code Unheard", small("Unheard"))
        }),
        ("`ao hook`, payload of 1 MiB", &|n| {
            Run::new(ao(), &format!("hook claude-code {}", turn(n)), large(turn(n)))
        }),
    ]);
    home.ao("stop");
    agent.rows(&[
        ("no daemon: a program that does nothing", &|_| Run::new("/bin/true", "", Vec::new())),
        ("no daemon: `ao hook` into the spool", &|_| {
            // Full, every signal would have to make room first.
            drop(fs::remove_dir_all(home.path("home/spool")));
            Run::new(ao(), "hook claude-code PreToolUse", small("PreToolUse"))
        }),
    ]);
    home.ao("start");
}

/// What Claude Code sends, and so much text besides.
fn payload(event: &str, n_bytes: usize) -> Value {
    json!({
        "session_id": "0b8f2e9c-6a41-4b0e-9d0e-5f1f2f1f0a11",
        "transcript_path": "/home/u/.claude/projects/-repos-app/0b8f2e9c.jsonl",
        "cwd": "/repos/app",
        "permission_mode": "default",
        "hook_event_name": event,
        "tool_name": "Bash",
        "tool_input": {"command": "cargo test --workspace", "description": "Runs every test"},
        "tool_use_id": "toolu_01A",
        "stop_hook_active": false,
        "background_tasks": [],
        "tool_response": {"stdout": "x".repeat(n_bytes)},
    })
}

/// One process.
struct Run {
    program: PathBuf,
    args: Vec<String>,
    input: Vec<u8>,
}

impl Run {
    fn new(program: impl Into<PathBuf>, line: &str, input: Vec<u8>) -> Self {
        Self { program: program.into(), args: words(line), input }
    }
}

/// A name, and the process of its n-th run.
type Row<'a> = (&'a str, &'a dyn Fn(usize) -> Run);

/// A session, and what its hooks carry.
struct Agent {
    home: Home,
    session: Value,
}

impl Agent {
    fn new() -> Self {
        let home = Home::new();
        let id = home.ao("spawn --project app --agent claude-code");
        let shown = home.ao(&format!("show {} --json", id.trim()));
        Self { home, session: serde_json::from_str(&shown).unwrap() }
    }

    /// Measures rows in turn, so that they share the moods of the machine, and prints them.
    fn rows(&self, rows: &[Row<'_>]) {
        let mut times = vec![Vec::with_capacity(RUNS); rows.len()];
        for n in 0..WARM_UP + RUNS {
            for ((_, run), times) in rows.iter().zip(&mut times) {
                let time = self.time(&run(n));
                if n >= WARM_UP {
                    times.push(time.as_secs_f64() * 1000.0);
                }
            }
        }
        for ((what, _), mut times) in rows.iter().zip(times) {
            times.sort_unstable_by(f64::total_cmp);
            let at = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1];
            println!("| {what} | {:.1} ms | {:.1} ms | {:.1} ms |", at(50), at(99), at(100));
        }
    }

    /// From the start of the process to its end.
    fn time(&self, run: &Run) -> Duration {
        let mut command = self.home.command(&run.program);
        let text = |key: &str| self.session[key].as_str().unwrap_or_default().to_owned();
        command.env("AO_SESSION_ID", text("id")).env("AO_LAUNCH_ID", text("launch_id"));
        command.args(&run.args).stdin(Stdio::piped()).stdout(Stdio::null());
        let began = Instant::now();
        let mut child = command.spawn().unwrap();
        // A program that reads nothing may be gone by now.
        drop(child.stdin.take().unwrap().write_all(&run.input));
        assert!(child.wait().unwrap().success());
        began.elapsed()
    }
}
