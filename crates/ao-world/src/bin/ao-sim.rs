//! Runs the simulated world over many seeds: see `ao_world::sim`.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use ao_world::sim::{self, cover::Coverage, plan::Plan};

/// Steps of one history.
const STEPS: usize = 2_000;

/// Lines of a history that are shown before the violation.
const TAIL: usize = 60;

fn main() -> ExitCode {
    match simulate() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody reads this where standard error is gone, and the exit code stays.
            drop(writeln!(std::io::stderr(), "ao-sim: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// What was asked for.
struct Args {
    from: u64,
    n_seeds: u64,
    n_steps: usize,
    is_single: bool,
}

fn args() -> Result<Args, Box<dyn std::error::Error>> {
    let mut args = Args { from: 0, n_seeds: 50, n_steps: STEPS, is_single: false };
    for word in std::env::args().skip(1) {
        let Some((name, value)) = word.split_once('=') else {
            return Err(format!("`{word}` is not NAME=VALUE").into());
        };
        match (name, value) {
            (_, "") => {}
            ("SEEDS", n) => args.n_seeds = n.parse()?,
            ("FROM", n) => args.from = n.parse()?,
            ("STEPS", n) => args.n_steps = n.parse()?,
            ("SEED", n) => {
                (args.from, args.n_seeds, args.is_single) = (n.parse()?, 1, true);
            }
            _ => return Err(format!("`{name}` is none of SEEDS, FROM, SEED, STEPS").into()),
        }
    }
    Ok(args)
}

fn simulate() -> Result<u64, Box<dyn std::error::Error>> {
    let args = args()?;
    let mut out = std::io::stdout().lock();
    let mut coverage = Coverage::default();
    let (mut n_steps, mut n_violations) = (0, 0);
    let mut simulated = Duration::ZERO;
    for seed in args.from..args.from.saturating_add(args.n_seeds) {
        let plan = Plan::of(seed, args.n_steps);
        let report = sim::run(&plan)?;
        n_steps += report.n_steps;
        simulated = simulated.saturating_add(report.simulated);
        coverage.add(&report.occurred);
        if args.is_single {
            writeln!(out, "seed {seed}: {} commits, {:?}", report.n_commits, report.simulated)?;
        }
        if report.violations.is_empty() {
            continue;
        }
        n_violations += 1;
        writeln!(out, "seed {seed}: after {} steps:", report.n_steps)?;
        for violation in &report.violations {
            writeln!(out, "  {violation}")?;
        }
        if args.is_single {
            let skipped = report.history.len().saturating_sub(TAIL);
            for line in report.history.iter().skip(skipped) {
                writeln!(out, "{line}")?;
            }
            let short = sim::shrink(&plan)?;
            writeln!(out, "shrunk to {} facts:", short.steps.len())?;
            for step in &short.steps {
                writeln!(out, "  {:?}, then {} polls", step.act, step.n_polls)?;
            }
            for line in &sim::run(&short)?.history {
                writeln!(out, "{line}")?;
            }
        }
    }
    // Short histories are for looking at one thing: they are held to nothing else.
    let missing = if args.n_steps < STEPS { Vec::new() } else { coverage.missing() };
    for (what, n) in &missing {
        writeln!(out, "not met often enough: {what}: in {n} of {} seeds", args.n_seeds)?;
    }
    writeln!(out, "in the worlds {} hours passed", simulated.as_secs() / 3_600)?;
    if args.is_single {
        for (what, n) in coverage.counts() {
            writeln!(out, "  {what}: {n}")?;
        }
    }
    writeln!(out, "sim: {} seeds, {n_steps} steps, {n_violations} violations", args.n_seeds)?;
    Ok(n_violations + u64::try_from(missing.len())?)
}
