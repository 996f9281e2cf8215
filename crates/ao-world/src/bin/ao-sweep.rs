//! Cuts the real daemon short at its n-th write and says what came of it: see `ao_world::sweep`
//! and `make sweep`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use ao_world::sweep::{self, Act, Fault, Line, Plan};
use ao_world::tool::{self, Failure};

/// What it is called.
const TOOL: &str = "ao-sweep";

/// The last n that is tried, of an act that makes more calls.
const LAST: u64 = 400;

/// Where the report is written on request.
const REPORT: &str = "docs/sweep-report.md";

fn main() -> ExitCode {
    tool::run(TOOL, run())
}

async fn run() -> Result<bool, Failure> {
    let (acts, faults) = (Act::ALL.to_vec(), Fault::ALL.to_vec());
    let mut plan = Plan { acts, faults, from: 1, stride: 1, last: LAST };
    let (mut program, mut is_reported) = (None, false);
    for (name, value) in tool::words()? {
        match (name.as_str(), value.as_str()) {
            ("ACTS", list) => {
                plan.acts = list.split(',').map(str::parse).collect::<Result<_, _>>()?;
            }
            ("FAULTS", list) => {
                plan.faults = list.split(',').map(str::parse).collect::<Result<_, _>>()?;
            }
            ("FROM", n) => plan.from = n.parse()?,
            ("STRIDE", n) => plan.stride = n.parse()?,
            ("LAST", n) => plan.last = n.parse()?,
            ("AO", path) => program = Some(PathBuf::from(path)),
            ("REPORT", _) => is_reported = true,
            _ => {
                let known = "ACTS, FAULTS, FROM, STRIDE, LAST, AO, REPORT";
                return Err(tool::unknown(&name, known));
            }
        }
    }
    let Some(program) = program else { return Err("AO=PATH names the program".into()) };
    let lines = sweep::run(&program, &plan, &|line| tool::say(TOOL, line)).await?;
    let text = told(&lines)?;
    io::stdout().lock().write_all(text.as_bytes())?;
    if is_reported {
        std::fs::write(REPORT, page(&text))?;
    }
    Ok(lines.iter().all(|line| line.violations.is_empty()))
}

fn told(lines: &[Line]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for line in lines {
        let Line { act, fault, n_points, violations, .. } = line;
        let end = if line.is_whole { "to the last call" } else { "cut off" };
        writeln!(
            text,
            "  {act} {fault}: {n_points} points, {end}, {} violations",
            violations.len()
        )?;
    }
    let n_points: u64 = lines.iter().map(|line| line.n_points).sum();
    let n_violations: usize = lines.iter().map(|line| line.violations.len()).sum();
    writeln!(text, "sweep: {n_points} points, {n_violations} violations")?;
    Ok(text)
}

fn page(text: &str) -> String {
    format!(
        "# Sweep: how the last one ended\n\n`make sweep REPORT=1` writes this page; \
         [testing.md](testing.md) says what it does.\n\n```text\n{text}```\n"
    )
}
