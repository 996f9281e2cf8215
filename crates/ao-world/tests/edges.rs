//! Who may depend on whom. Cargo refuses a cycle; this table refuses everything else.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::repository::packages;

/// The edges between our own crates: from, to, kind.
///
/// An edge that is not here needs a reason in `ARCHITECTURE.md` before it needs a line.
const EDGES: &[(&str, &str, &str)] = &[
    ("ao", "ao-cli", "normal"),
    ("ao", "ao-daemon", "normal"),
    ("ao-adapters", "ao-core", "normal"),
    ("ao-adapters", "ao-testkit", "dev"),
    ("ao-cli", "ao-api", "normal"),
    ("ao-daemon", "ao-adapters", "normal"),
    ("ao-daemon", "ao-api", "normal"),
    ("ao-daemon", "ao-core", "normal"),
    ("ao-daemon", "ao-engine", "normal"),
    ("ao-daemon", "ao-store", "normal"),
    ("ao-engine", "ao-core", "normal"),
    ("ao-engine", "ao-testkit", "dev"),
    ("ao-store", "ao-core", "normal"),
    ("ao-store", "ao-testkit", "dev"),
    ("ao-testkit", "ao-core", "normal"),
];

/// Edges that may be there and need not be. The world may depend on everything.
const OPTIONAL_EDGES: &[(&str, &str, &str)] = &[("ao-daemon", "ao-testkit", "dev")];
const WORLD: &str = "ao-world";

/// Libraries that are a boundary of their own: who may name them at all, tests included.
///
/// The world names those of HTTP for its stand-in model server, and that of the database to look
/// into one from outside; neither is part of the program.
const OWNERS: &[(&str, &[&str])] = &[
    ("rusqlite", &["ao-store", WORLD]),
    ("axum", &["ao-daemon"]),
    ("toml", &["ao-daemon"]),
    ("tracing-subscriber", &["ao-daemon"]),
    ("clap", &["ao-cli"]),
    ("hyper", &["ao-api", "ao-daemon", WORLD]),
    ("hyper-util", &["ao-api", "ao-daemon", WORLD]),
    ("utoipa", &["ao-api", "ao-daemon"]),
];

/// All that the core takes from outside: an error derive, and a generator of test cases.
const CORE_MAY_NAME: &[(&str, &str)] =
    &[("proptest", "dev"), ("thiserror", "normal"), ("unicode-normalization", "normal")];

/// All that the engine takes from outside: nothing that knows a tool, a file format or a wire.
const ENGINE_MAY_NAME: &[&str] =
    &["futures-util", "proptest", "tempfile", "thiserror", "tokio", "tracing"];

/// Every dependency of every package: from, to, kind, and whether it is one of ours.
fn dependencies() -> Vec<(String, String, String, bool)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut found = Vec::new();
    for package in packages() {
        for dependency in package["dependencies"].as_array().unwrap() {
            let kind = dependency["kind"].as_str().unwrap_or("normal").to_owned();
            let is_ours = !dependency["path"].is_null();
            found.push((text(&package["name"]), text(&dependency["name"]), kind, is_ours));
        }
    }
    assert!(found.len() > EDGES.len(), "cargo metadata lists no dependencies");
    found
}

#[test]
fn the_edges_between_our_crates_are_those_of_the_table() {
    let mut expected: BTreeSet<_> = EDGES.iter().copied().collect();
    let found = dependencies();
    let found: BTreeSet<_> = found
        .iter()
        .filter(|(from, _, _, is_ours)| *is_ours && from != WORLD)
        .map(|(from, to, kind, _)| (from.as_str(), to.as_str(), kind.as_str()))
        .collect();
    expected.extend(OPTIONAL_EDGES.iter().filter(|edge| found.contains(*edge)));
    let added: Vec<_> = found.difference(&expected).collect();
    let gone: Vec<_> = expected.difference(&found).collect();
    assert!(added.is_empty() && gone.is_empty(), "added: {added:?}, gone: {gone:?}");
}

#[test]
fn nothing_depends_on_the_world() {
    let dependants: Vec<_> =
        dependencies().into_iter().filter(|(_, to, _, _)| to == WORLD).collect();
    assert_eq!(dependants, []);
}

#[test]
fn a_library_that_is_a_boundary_is_named_only_by_its_owner() {
    let trespassers: Vec<_> = dependencies()
        .into_iter()
        .filter(|(from, to, _, _)| {
            OWNERS.iter().any(|(library, owners)| to == library && !owners.contains(&from.as_str()))
        })
        .collect();
    assert_eq!(trespassers, []);
}

#[test]
fn the_core_takes_nothing_from_outside_but_an_error_derive_and_tables_of_unicode() {
    let found: BTreeSet<_> = dependencies()
        .into_iter()
        .filter(|(from, _, _, _)| from == "ao-core")
        .map(|(_, to, kind, _)| (to, kind))
        .collect();
    let expected: BTreeSet<_> =
        CORE_MAY_NAME.iter().map(|(to, kind)| ((*to).to_owned(), (*kind).to_owned())).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_engine_names_no_tool_no_format_and_no_wire() {
    let found: Vec<_> = dependencies()
        .into_iter()
        .filter(|(from, to, _, is_ours)| {
            from == "ao-engine" && !is_ours && !ENGINE_MAY_NAME.contains(&to.as_str())
        })
        .collect();
    assert_eq!(found, []);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for package in packages() {
        let manifest = std::fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true\n"), "{}", package["name"]);
    }
}
