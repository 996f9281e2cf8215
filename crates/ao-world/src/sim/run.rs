//! Runs one plan from its beginning to its end.

use std::collections::BTreeSet;
use std::time::Duration;

use ao_core::ports::Clock as _;
use ao_core::time::Timestamp;

use super::plan::Plan;
use super::world::{Trouble, World};

/// What a run showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Everything that happened, one line each: the same for the same plan.
    pub history: Vec<String>,
    /// Promises that were broken, one line each.
    pub violations: Vec<String>,
    /// What occurred, for the coverage.
    pub occurred: BTreeSet<String>,
    /// Steps that were performed.
    pub n_steps: usize,
    /// Time that passed in the world, asleep or switched off included.
    pub simulated: Duration,
    /// Commits that the store took.
    pub n_commits: u64,
}

/// Runs a plan, lets the world come to rest and ends every session; it stops at the first step that
/// breaks a promise.
///
/// # Errors
///
/// When the disk under the simulation fails.
pub fn run(plan: &Plan) -> Result<Report, Trouble> {
    run_to(plan, End::Rest)
}

/// Runs the steps of a plan and nothing after them.
///
/// # Errors
///
/// When the disk under the simulation fails.
pub fn run_steps(plan: &Plan) -> Result<Report, Trouble> {
    run_to(plan, End::Steps)
}

/// Where a run ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Steps,
    Rest,
}

fn run_to(plan: &Plan, end: End) -> Result<Report, Trouble> {
    let mut world = World::new(plan.seed)?;
    let started_at = world.clock.now().wall;
    let mut n_steps = 0;
    for (n, step) in plan.steps.iter().enumerate() {
        let at = world.clock.now().since_boot.as_millis();
        world.witness.tell(format!("{n} @{at} {:?}", step.act));
        world.perform(step)?;
        world.check_step();
        n_steps += 1;
        if world.has_failed() {
            return Ok(report(&world, n_steps, started_at));
        }
    }
    if end == End::Rest {
        world.witness.tell("rest".to_owned());
        world.come_to_rest()?;
        if !world.has_failed() {
            world.witness.tell("end".to_owned());
            world.end()?;
            world.check_step();
        }
    }
    Ok(report(&world, n_steps, started_at))
}

impl World {
    fn has_failed(&self) -> bool {
        !self.witness.seen().violations.is_empty()
    }
}

fn report(world: &World, n_steps: usize, started_at: Timestamp) -> Report {
    let mut seen = world.witness.seen();
    Report {
        history: std::mem::take(&mut seen.history),
        violations: std::mem::take(&mut seen.violations),
        occurred: std::mem::take(&mut seen.occurred),
        n_steps,
        simulated: world.clock.now().wall.since(started_at),
        n_commits: seen.n_commits,
    }
}
