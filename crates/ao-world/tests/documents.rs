//! What the documents refer to is there.

use std::fs;
use std::path::PathBuf;

use crate::repository::{files_below, root};

/// Every document with its text.
fn documents() -> Vec<(PathBuf, String)> {
    let documents: Vec<_> = files_below(&root())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect();
    assert!(documents.iter().any(|(path, _)| path.ends_with("ARCHITECTURE.md")));
    documents
}

/// A test as documents write it: a path of lower-case names, the last of them a claim.
fn is_test_path(text: &str) -> bool {
    let is_path = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || "_:".contains(it);
    let claim = text.rsplit("::").next().unwrap_or_default();
    text.contains("::") && text.chars().all(is_path) && claim.matches('_').count() >= 3
}

#[test]
fn every_test_that_a_document_names_exists() {
    let root = root();
    let (sources, others): (Vec<_>, Vec<_>) = files_below(&root.join("crates"))
        .into_iter()
        .partition(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let sources: String =
        sources.into_iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    // A scenario is a file that a macro makes a test of.
    let is_scenario =
        |claim: &str| others.iter().any(|path| path.file_stem().is_some_and(|stem| stem == claim));
    let mut n_named = 0;
    let mut missing = Vec::new();
    for (path, text) in documents() {
        for quoted in text.split('`').skip(1).step_by(2).filter(|it| is_test_path(it)) {
            n_named += 1;
            let claim = quoted.rsplit("::").next().unwrap();
            if !sources.contains(&format!("fn {claim}(")) && !is_scenario(claim) {
                missing.push(format!("{}: `{quoted}`", path.display()));
            }
        }
    }
    assert!(n_named > 0, "no document names a test");
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut broken = Vec::new();
    for (path, text) in documents() {
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|it| !it.contains("://") && !it.starts_with('#')) {
            let file = target.split('#').next().unwrap();
            if !path.with_file_name(file).exists() {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
