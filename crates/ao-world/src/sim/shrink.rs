//! Makes a failing plan short: takes steps out for as long as what is left still fails.

use super::plan::{Plan, Step};
use super::run::run;
use super::world::Trouble;

/// Runs that one shrinking may take.
const RUNS_MAX: usize = 600;

/// The kind of a violation: what it says without the names and numbers in it.
fn kind(violation: &str) -> String {
    let is_name = |word: &&str| word.contains(|c: char| c.is_ascii_digit());
    let words: Vec<&str> = violation.split_whitespace().filter(|word| !is_name(word)).collect();
    words.join(" ")
}

/// The shortest plan that was found to break the same promise (delta debugging over its steps), for
/// as long as the caller lets it go on.
///
/// # Errors
///
/// When the disk under the simulation fails.
pub fn shrink(plan: &Plan, go_on: impl Fn() -> bool) -> Result<Plan, Trouble> {
    let first = run(plan)?;
    let Some(wanted) = first.violations.first().map(|it| kind(it)) else { return Ok(plan.clone()) };
    // What comes after the step that broke it plays no part.
    let mut steps: Vec<Step> = plan.steps.iter().take(first.n_steps).copied().collect();
    let mut n_runs = 0;
    let mut still_fails = |steps: &[Step]| -> Result<bool, Trouble> {
        n_runs += 1;
        if n_runs > RUNS_MAX || !go_on() {
            return Ok(false);
        }
        let report = run(&Plan { steps: steps.to_vec(), ..*plan })?;
        Ok(report.violations.iter().any(|it| kind(it) == wanted))
    };
    let mut size = steps.len().div_ceil(2);
    while size >= 1 {
        let mut at = 0;
        let mut has_shrunk = false;
        while at < steps.len() {
            let rest: Vec<Step> = (steps.iter().take(at))
                .chain(steps.iter().skip(at.saturating_add(size)))
                .copied()
                .collect();
            if still_fails(&rest)? {
                steps = rest;
                has_shrunk = true;
            } else {
                at = at.saturating_add(size);
            }
        }
        if size == 1 && !has_shrunk {
            break;
        }
        size = if size == 1 { 1 } else { size.div_ceil(2) };
    }
    Ok(Plan { steps, ..*plan })
}
