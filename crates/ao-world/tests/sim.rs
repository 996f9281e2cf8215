//! The simulated world with a few seeds; `make sim` runs many.

use ao_world::sim::plan::Plan;
use ao_world::sim::{Report, run, run_steps};

/// Seeds that are run with every build: enough for most rules, few enough for a minute.
const SEEDS: std::ops::Range<u64> = 0..4;

/// Steps of each.
const STEPS: usize = 300;

/// Seeds that once found something, with the steps that it took.
const FOUND: &[(u64, usize)] = &[(9, 345), (28, 250)];

#[track_caller]
fn check(seed: u64, n_steps: usize) -> Report {
    let report = run(&Plan::of(seed, n_steps)).unwrap();
    let again = format!("make sim SEED={seed} STEPS={n_steps}");
    assert!(report.violations.is_empty(), "{:#?}\n{again}", report.violations);
    assert_eq!(report.n_steps, n_steps);
    report
}

#[test]
fn no_promise_is_broken_in_the_first_histories() {
    for seed in SEEDS {
        check(seed, STEPS);
    }
}

#[test]
fn seeds_that_once_found_something_find_it_no_longer() {
    for &(seed, n_steps) in FOUND {
        check(seed, n_steps);
    }
}

#[test]
fn the_same_seed_is_the_same_history_a_hundred_times() {
    let plan = Plan::of(7, 40);
    let first = run_steps(&plan).unwrap();
    for _ in 1..100 {
        assert_eq!(run_steps(&plan).unwrap(), first);
    }
    assert_ne!(run_steps(&Plan::of(8, 40)).unwrap().history, first.history);
}

#[test]
fn a_long_history_is_the_same_again() {
    let plan = Plan::of(3, 300);
    assert_eq!(run(&plan).unwrap(), run(&plan).unwrap());
}
