//! Runs the simulated world over many seeds: see `ao_world::sim`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ao_world::sim::{self, Report, Trouble, cover::Coverage, plan::Plan};
use ao_world::tool::{self, Failure};

/// What it is called.
const TOOL: &str = "ao-sim";

/// A history is made of many small allocations, and an eighth of its time was theirs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Steps of one history.
const STEPS: usize = 2_000;

/// Seeds of a run that names none: as many as the coverage is counted over.
const SEEDS: u64 = 300;

/// Failing seeds that are made short, the first ones.
const SHRUNK_MAX: usize = 2;

/// How long one history is made shorter.
const SHRINK_FOR: Duration = Duration::from_mins(2);

/// Lines of a history that are shown before the violation, and of a shrunk one, unless told otherwise.
const TAIL: usize = 60;

/// Facts of a shrunk history that are shown.
const FACTS_MAX: usize = 50;

/// Seeds from which on a run says what was met least often, and how many of those things.
const LEAST_FROM: u64 = 20;
const LEAST_MAX: usize = 20;

/// How often a long run says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    tool::end(TOOL, args().and_then(|args| if args.same > 1 { same(&args) } else { many(&args) }))
}

/// What was asked for.
struct Args {
    from: u64,
    n_seeds: u64,
    n_steps: usize,
    /// Threads, each with a world of its own.
    jobs: usize,
    /// How often the same seed is run, to see that it is the same history.
    same: u64,
    /// Lines of a history that are shown.
    n_lines: usize,
    is_single: bool,
}

fn args() -> Result<Args, Failure> {
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let mut args = Args {
        from: 0,
        n_seeds: SEEDS,
        n_steps: STEPS,
        jobs,
        same: 1,
        n_lines: TAIL,
        is_single: false,
    };
    for (name, value) in tool::words()? {
        match (name.as_str(), value.as_str()) {
            ("SEEDS", n) => args.n_seeds = n.parse()?,
            ("FROM", n) => args.from = n.parse()?,
            ("STEPS", n) => args.n_steps = n.parse()?,
            ("JOBS", n) => args.jobs = n.parse::<usize>()?.max(1),
            ("SAME", n) => args.same = n.parse()?,
            ("LINES", n) => args.n_lines = n.parse()?,
            ("SEED", n) => {
                (args.from, args.n_seeds, args.is_single) = (n.parse()?, 1, true);
            }
            _ => {
                let known = "SEEDS, FROM, SEED, STEPS, JOBS, SAME, LINES";
                return Err(tool::unknown(&name, known));
            }
        }
    }
    Ok(args)
}

#[expect(clippy::disallowed_methods, reason = "how long it took, for who waits; no world sees it")]
fn now() -> Instant {
    Instant::now()
}

/// Does the numbers from 0 to `n` on so many threads, in any order.
fn on_threads<T: Send>(
    jobs: usize,
    n: u64,
    work: impl Fn(u64) -> T + Sync,
    mut done: impl FnMut(T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        // Few wait to be taken in: a history is megabytes.
        let (sender, receiver) = mpsc::sync_channel(jobs);
        for _ in 0..jobs {
            let (sender, next, work) = (sender.clone(), &next, &work);
            let serve = move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= n || sender.send(work(number)).is_err() {
                        return;
                    }
                }
            };
            thread::Builder::new().spawn_scoped(scope, serve)?;
        }
        drop(sender);
        receiver.into_iter().try_for_each(&mut done)
    })
}

/// Runs every seed once, then makes the first failing ones short. Whether all held.
fn many(args: &Args) -> Result<bool, Failure> {
    let started_at = now();
    let mut out = io::stdout().lock();
    let mut coverage = Coverage::default();
    let (mut n_done, mut n_steps, mut n_commits, mut failing) = (0_u64, 0, 0, Vec::new());
    let mut n_lived = 0;
    let (mut simulated, mut told_at) = (Duration::ZERO, started_at);
    let run = |number| {
        let seed = args.from.saturating_add(number);
        let mut report = sim::run(&Plan::of(seed, args.n_steps));
        if let Ok(report) = &mut report
            && !args.is_single
        {
            report.history = Vec::new();
        }
        (seed, report)
    };
    on_threads(args.jobs, args.n_seeds, run, |(seed, report): (u64, Result<Report, Trouble>)| {
        let report = report.map_err(|error| format!("seed {seed}: {error}"))?;
        n_done += 1;
        n_steps += report.n_steps;
        n_commits += report.n_commits;
        n_lived += report.n_lived;
        simulated = simulated.saturating_add(report.simulated);
        coverage.add(&report.occurred);
        if !report.violations.is_empty() {
            failing.push(seed);
            writeln!(out, "seed {seed}: after {} steps:", report.n_steps)?;
            for violation in &report.violations {
                writeln!(out, "  {violation}")?;
            }
            for line in tail(&report.history, args.n_lines) {
                writeln!(out, "{line}")?;
            }
            out.flush()?;
        }
        if now().duration_since(told_at) >= PROGRESS_EVERY {
            told_at = now();
            let (n_seeds, n_failing) = (args.n_seeds, failing.len());
            writeln!(io::stderr(), "sim: {n_done} of {n_seeds} seeds, {n_failing} fail")?;
        }
        Ok(())
    })?;
    failing.sort_unstable();
    shrink(args, &failing, &mut out)?;
    // Short histories are for looking at one thing: they are held to nothing else.
    let missing = if args.n_steps < STEPS { Vec::new() } else { coverage.missing() };
    for (what, n) in &missing {
        writeln!(out, "not met often enough: {what}: in {n} of {n_done} seeds")?;
    }
    if args.is_single {
        for (what, n) in coverage.counts() {
            writeln!(out, "  {what}: {n}")?;
        }
    } else if n_done >= LEAST_FROM && args.n_steps >= STEPS {
        for (what, n) in coverage.least(LEAST_MAX) {
            writeln!(out, "  {what}: in {n} of {n_done} seeds")?;
        }
    }
    let tenths = n_lived.saturating_mul(10) / u64::try_from(n_steps.max(1))?;
    writeln!(out, "sessions alive after a step: {}.{} on average", tenths / 10, tenths % 10)?;
    writeln!(
        out,
        "sim: {n_done} seeds, {n_steps} steps, {} simulated hours, {n_commits} commits, {} \
         violations, {} s",
        simulated.as_secs() / 3_600,
        failing.len(),
        now().duration_since(started_at).as_secs(),
    )?;
    Ok(failing.is_empty() && missing.is_empty())
}

fn tail(lines: &[String], n: usize) -> impl Iterator<Item = &String> {
    lines.iter().skip(lines.len().saturating_sub(n))
}

/// Shows what is left of the first failing histories when all that plays no part is taken out.
fn shrink(args: &Args, failing: &[u64], out: &mut impl Write) -> Result<(), Failure> {
    let failing: Vec<u64> = failing.iter().copied().take(SHRUNK_MAX).collect();
    let short = |number: u64| {
        let seed = usize::try_from(number).ok().and_then(|n| failing.get(n).copied());
        let seed = seed.unwrap_or_default();
        let begun_at = now();
        let go_on = || now().duration_since(begun_at) < SHRINK_FOR;
        let short = sim::shrink(&Plan::of(seed, args.n_steps), go_on)?;
        let report = sim::run(&short)?;
        Ok::<_, Trouble>((short, report))
    };
    on_threads(args.jobs, failing.len() as u64, short, |shrunk| {
        let (short, report) = shrunk.map_err(|error| error.to_string())?;
        writeln!(
            out,
            "seed {} shrunk to {} facts, {:?}:",
            short.seed,
            short.steps.len(),
            short.terms
        )?;
        for step in short.steps.iter().take(FACTS_MAX) {
            writeln!(out, "  {:?}, then {} polls", step.act, step.n_polls)?;
        }
        for violation in &report.violations {
            writeln!(out, "  {violation}")?;
        }
        for line in tail(&report.history, args.n_lines) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    })
}

/// Runs each seed again and again, on all threads at once. Whether every history was the same,
/// byte by byte.
fn same(args: &Args) -> Result<bool, Failure> {
    let started_at = now();
    let mut out = io::stdout().lock();
    let mut n_other = 0_u64;
    for seed in args.from..args.from.saturating_add(args.n_seeds) {
        let plan = Plan::of(seed, args.n_steps);
        let first = sim::run(&plan).map_err(|error| error.to_string())?;
        let n_lines = first.history.len();
        let again = |_| sim::run(&plan).map(|report| report == first);
        on_threads(args.jobs, args.same - 1, again, |is_same| {
            n_other += u64::from(!is_same.map_err(|error| error.to_string())?);
            Ok(())
        })?;
        let n_bytes: usize = first.history.iter().map(|line| line.len() + 1).sum();
        writeln!(out, "seed {seed}: {} times {n_lines} lines, {n_bytes} bytes", args.same)?;
    }
    let (n_seeds, n_seconds) = (args.n_seeds, now().duration_since(started_at).as_secs());
    writeln!(
        out,
        "sim: {n_seeds} seeds, {} times each, {n_other} other histories, {n_seconds} s",
        args.same
    )?;
    Ok(n_other == 0)
}
