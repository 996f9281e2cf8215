//! The simulated world with a few seeds; `make sim` runs many.

use std::collections::BTreeSet;
use std::thread;

use ao_world::sim::plan::Plan;
use ao_world::sim::{Reads, Report, run, run_reading, run_steps};

/// Seeds that are run with every build: enough for most rules, few enough for a minute.
const SEEDS: std::ops::Range<u64> = 0..2;

/// Steps of each.
const STEPS: usize = 250;

/// Every so many answers that are remembered are compared with the store: more than in the long runs.
const READS: Reads = Reads::CheckedEvery(17);

/// Seeds that once found something, with the steps that it took, in the generator of plans that made
/// them. Another engine makes other histories of them: what they found has tests of its own in the
/// engine and the core.
const FOUND: &[(u64, usize)] = &[(9, 345), (28, 250)];

#[track_caller]
fn check(plan: &Plan) -> Report {
    let report = run_reading(plan, READS).unwrap();
    let (seed, n_steps) = (plan.seed, plan.steps.len());
    let again = format!("make sim SEED={seed} STEPS={n_steps}");
    assert!(report.violations.is_empty(), "{:#?}\n{again}", report.violations);
    assert_eq!(report.n_steps, n_steps);
    report
}

/// Lives through the histories of these seeds, which have to meet these things between them.
#[track_caller]
fn check_met(seeds: &[u64], wanted: &[&str]) {
    let reports = seeds.iter().map(|&seed| check(&Plan::of(seed, STEPS)));
    let met: BTreeSet<String> = reports.flat_map(|report| report.occurred).collect();
    let missing: Vec<_> = wanted.iter().filter(|it| !met.contains(**it)).collect();
    assert!(missing.is_empty(), "not met: {missing:?}");
}

#[test]
fn no_promise_is_broken_in_the_first_histories() {
    for seed in SEEDS {
        check(&Plan::of(seed, STEPS));
    }
}

#[test]
fn no_promise_is_broken_where_places_are_few() {
    let met = ["places:a spawn waits", "places:a restore waits", "places:found"];
    check_met(&[18, 38], &met);
}

#[test]
fn no_promise_is_broken_where_worktrees_are_prepared() {
    check_met(
        &[18, 33],
        &["setup:prepared", "setup:failed", "setup:half done", "setup:begun again"],
    );
}

#[test]
fn no_promise_is_broken_by_cleanups() {
    let met = [
        "cleanup:frees",
        "cleanup:dry run",
        "cleanup:discards",
        "cleanup:squashed",
        "cleanup:brought back",
    ];
    check_met(&[4, 12, 18, 25, 39], &met);
}

#[test]
fn seeds_that_once_found_something_find_it_no_longer() {
    for &(seed, n_steps) in FOUND {
        check(&Plan::plain(seed, n_steps));
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
fn a_long_history_is_the_same_again_beside_others() {
    let plan = Plan::of(3, 300);
    let first = run(&plan).unwrap();
    thread::scope(|scope| {
        let again = [(); 3].map(|()| scope.spawn(|| run(&plan).unwrap()));
        for again in again {
            assert_eq!(again.join().unwrap(), first);
        }
    });
}

#[test]
fn remembered_answers_change_no_history() {
    let plan = Plan::of(5, 150);
    let real = run_reading(&plan, Reads::Real).unwrap();
    assert_eq!(run_reading(&plan, Reads::CheckedEvery(1)).unwrap(), real);
    assert_eq!(run(&plan).unwrap(), real);
}
