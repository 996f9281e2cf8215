//! The planted faults are still what they say: `make faults` runs them, this only reads.

use std::collections::BTreeMap;
use std::fs;

use ao_world::faults::{self, Binary, PER_PROMISE_MIN, Promise, Test};

use crate::repository::{files_below, root};

/// The promises of the design.
const N_PROMISES: usize = 13;

/// The page with the list, and what stands around it there.
const PAGE: &str = "docs/testing.md";
const BEGIN: &str = "<!-- The list of faults, written by UPDATE=1. -->\n";
const END: &str = "\n<!-- The end of the list of faults. -->";

fn promises() -> Vec<Promise> {
    faults::read(&root()).unwrap()
}

#[test]
fn every_promise_has_faults_and_each_stands_where_it_says() {
    let promises = promises();
    let numbers: Vec<usize> = promises.iter().map(|promise| promise.number).collect();
    assert_eq!(numbers, (1..=N_PROMISES).collect::<Vec<_>>());
    let mut planted = BTreeMap::new();
    for promise in &promises {
        let n_inner = promise.faults.iter().filter(|fault| fault.is_inner()).count();
        assert!(
            n_inner >= PER_PROMISE_MIN,
            "promise {}: {n_inner} faults in the core and the engine",
            promise.number
        );
        for fault in &promise.faults {
            let sound = fs::read_to_string(root().join(&fault.file)).unwrap();
            let text = fault.plant(&sound).unwrap_or_else(|error| panic!("{error}"));
            assert_ne!(text, sound, "{}: nothing changes", fault.id);
            let other = planted.insert((fault.file.clone(), text), fault.id);
            assert_eq!(other, None, "{}: the same fault twice", fault.id);
        }
    }
}

/// Whether a test stands in the sources of its crate, or in a contract or a scenario that a macro
/// makes tests of.
fn is_there(Test { binary, name }: &Test) -> bool {
    let claim = name.rsplit("::").next().unwrap_or_default();
    let Binary { package, is_integration } = binary;
    let directory = if *is_integration { "tests" } else { "src" };
    let mut places = vec![root().join("crates").join(package).join(directory)];
    if *is_integration {
        places.push(root().join("crates/ao-testkit/src/contract"));
    }
    places.iter().flat_map(|place| files_below(place)).any(|path| {
        let is_scenario = path.file_stem().is_some_and(|stem| stem == claim);
        is_scenario || fs::read_to_string(path).is_ok_and(|it| it.contains(&format!("fn {claim}(")))
    })
}

#[test]
fn every_fault_names_a_test_that_exists() {
    let missing: Vec<_> = promises()
        .into_iter()
        .flat_map(|promise| promise.faults)
        .filter(|fault| !is_there(&fault.test))
        .map(|fault| format!("{}: {} {}", fault.id, fault.test.binary, fault.test.name))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_list_in_the_documents_is_that_of_the_faults() {
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).unwrap();
    let (above, rest) = page.split_once(BEGIN).unwrap();
    let (_, below) = rest.split_once(END).unwrap();
    let expected = [above, BEGIN, &faults::table(&promises()), END, below].concat();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, expected).unwrap();
    } else {
        assert_eq!(page, expected, "UPDATE=1 writes it");
    }
}
