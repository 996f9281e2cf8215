//! Runs one plan from its beginning to its end.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use ao_core::ports::Clock as _;
use ao_core::time::Timestamp;

use super::hearing::Hearing;
use super::memory::Reads;
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
    /// How many sessions lived after each step, added up.
    pub n_lived: u64,
}

/// Runs a plan, lets the world come to rest and ends every session; it stops at the first step that
/// breaks a promise.
///
/// # Errors
///
/// When the disk under the simulation fails.
pub fn run(plan: &Plan) -> Result<Report, Trouble> {
    run_to(plan, End::Rest, Reads::default())
}

/// Like [`run`], remembering the answers of the store in another way: the report is the same.
///
/// # Errors
///
/// When the disk under the simulation fails.
pub fn run_reading(plan: &Plan, reads: Reads) -> Result<Report, Trouble> {
    run_to(plan, End::Rest, reads)
}

/// Runs the steps of a plan and nothing after them.
///
/// # Errors
///
/// When the disk under the simulation fails.
pub fn run_steps(plan: &Plan) -> Result<Report, Trouble> {
    run_to(plan, End::Steps, Reads::default())
}

/// Where a run ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Steps,
    Rest,
}

fn run_to(plan: &Plan, end: End, reads: Reads) -> Result<Report, Trouble> {
    let mut world = World::new(plan.seed, plan.terms, reads)?;
    let _hearing = Hearing::of(world.witness.clone());
    let started_at = world.clock.now().wall;
    let mut n_steps = 0;
    // A world in which every task waits for ever, or none ever rests, panics in its executor.
    let ended = catch_unwind(AssertUnwindSafe(|| world.live_through(plan, end, &mut n_steps)));
    match ended {
        Ok(lived) => lived?,
        Err(panic) => world.witness.violate(format!("the world panicked: {}", text_of(&*panic))),
    }
    Ok(report(&world, n_steps, started_at))
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

impl World {
    fn live_through(&mut self, plan: &Plan, end: End, n_steps: &mut usize) -> Result<(), Trouble> {
        for (n, step) in plan.steps.iter().enumerate() {
            let at = self.clock.now().since_boot.as_millis();
            self.witness.tell(format!("{n} @{at} {:?}", step.act));
            *n_steps += 1;
            self.perform(step)?;
            self.check_step();
            if self.has_failed() {
                return Ok(());
            }
        }
        if end == End::Rest {
            self.witness.tell("rest".to_owned());
            self.come_to_rest()?;
            if !self.has_failed() {
                self.witness.tell("end".to_owned());
                self.end()?;
                self.check_step();
            }
        }
        Ok(())
    }

    fn has_failed(&self) -> bool {
        !self.witness.seen().violations.is_empty()
    }
}

fn report(world: &World, n_steps: usize, started_at: Timestamp) -> Report {
    world.count_struck();
    let mut seen = world.witness.seen();
    Report {
        history: std::mem::take(&mut seen.history),
        violations: std::mem::take(&mut seen.violations),
        occurred: std::mem::take(&mut seen.occurred),
        n_steps,
        simulated: world.clock.now().wall.since(started_at),
        n_commits: seen.n_commits,
        n_lived: seen.n_lived,
    }
}
