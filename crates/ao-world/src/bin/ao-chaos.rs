//! Lives through chaos and says what came of it: see `ao_world::chaos` and `make chaos`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use ao_world::chaos::{self, Plan, Verdict};
use ao_world::tool::{self, Failure};

/// What it is called.
const TOOL: &str = "ao-chaos";

/// Minutes of a run that names none.
const MINUTES: u64 = 10;

/// Violations that are shown.
const SHOWN_MAX: usize = 40;

/// Where the report is written on request.
const REPORT: &str = "docs/chaos-report.md";

fn main() -> ExitCode {
    tool::run(TOOL, run())
}

async fn run() -> Result<bool, Failure> {
    let (mut minutes, mut seed, mut program, mut is_reported) = (MINUTES, 1, None, false);
    for (name, value) in tool::words()? {
        match (name.as_str(), value.as_str()) {
            ("MINUTES", n) => minutes = n.parse()?,
            ("SEED", n) => seed = n.parse()?,
            ("AO", path) => program = Some(PathBuf::from(path)),
            ("REPORT", _) => is_reported = true,
            _ => return Err(tool::unknown(&name, "MINUTES, SEED, AO, REPORT")),
        }
    }
    let Some(program) = program else { return Err("AO=PATH names the program".into()) };
    let verdict =
        chaos::run(&Plan::of(program, minutes, seed), &|line| tool::say(TOOL, line)).await?;
    let text = told(&verdict, minutes, seed)?;
    io::stdout().lock().write_all(text.as_bytes())?;
    if is_reported {
        std::fs::write(REPORT, page(&text))?;
    }
    Ok(verdict.violations.is_empty())
}

fn told(verdict: &Verdict, minutes: u64, seed: u64) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for ((verb, status), n) in &verdict.commands {
        writeln!(text, "  ao {verb}: {n} times {status}")?;
    }
    for what in verdict.violations.iter().take(SHOWN_MAX) {
        let shown: String = what.chars().take(400).collect();
        writeln!(text, "  VIOLATION {}", shown.replace('\n', " "))?;
    }
    writeln!(
        text,
        "chaos: seed {seed}, {minutes} min, {} commands, {} daemon kills, {} tmux server kills, \
         {} sessions (at most {} at once), {} lines, {} commits and {} ignored lines written, \
         {} messages sent and {} heard, settled after {:.1} s, {} violations",
        verdict.commands.values().sum::<u64>(),
        verdict.n_daemon_kills,
        verdict.n_server_kills,
        verdict.n_sessions,
        verdict.n_lived_max,
        verdict.n_lines,
        verdict.n_commits,
        verdict.n_ignored,
        verdict.n_sent,
        verdict.n_heard,
        verdict.settled_after.as_secs_f64(),
        verdict.violations.len(),
    )?;
    Ok(text)
}

fn page(text: &str) -> String {
    format!(
        "# Chaos: how the last long run ended\n\n`make chaos MINUTES=10 REPORT=1` writes this \
         page; [testing.md](testing.md) says what it does.\n\n```text\n{text}```\n"
    )
}
