//! What must not be in the repository, and what must not be forgotten in it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::repository::{files_below, packages, root};

/// The text files of the checkout but for those that a tool writes, by their path in it.
fn texts() -> Vec<(PathBuf, String)> {
    let root = root();
    let texts: Vec<_> = files_below(&root)
        .into_iter()
        .filter(|path| !path.ends_with("Cargo.lock"))
        .filter_map(|path| {
            let text = fs::read_to_string(&path).ok()?;
            Some((path.strip_prefix(&root).unwrap().to_owned(), text))
        })
        .collect();
    assert!(texts.iter().any(|(path, _)| path == Path::new("Cargo.toml")));
    texts
}

/// The places where a line is refused, as `path:line: text`.
fn refused(is_refused: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in texts() {
        for (index, line) in text.lines().enumerate() {
            if is_refused(line) {
                found.push(format!("{}:{}: {}", path.display(), index + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn no_file_names_the_machine_or_the_mirror_it_was_written_on() {
    // Put together here so that this file does not contain what it looks for.
    let names = [
        ["/wo", "rk/"].concat(),
        ["/ro", "ot/"].concat(),
        ["/tmp/", "ao-hub"].concat(),
        ["crates", ".io"].concat(),
        ["static.", "rust-lang"].concat(),
        ["deb.", "debian.org"].concat(),
        ["CARGO_REGIST", "RIES_"].concat(),
    ];
    let found = refused(|line| names.iter().any(|name| line.contains(name.as_str())));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_todo_says_what_removes_it() {
    let todo = ["TO", "DO"].concat();
    let conditional = [todo.as_str(), "("].concat();
    let is_refused = |line: &str| {
        line.contains(&todo)
            && !line.contains(&format!("`{todo}`"))
            && !line.split(&conditional).nth(1).is_some_and(|rest| rest.contains("):"))
    };
    let found = refused(is_refused);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_test_is_switched_off_and_no_conflict_is_left_behind() {
    let ignored = ["#[", "ignore"].concat();
    let conflict = ["<<<<", "<<< "].concat();
    let found = refused(|line| line.trim().starts_with(&ignored) || line.starts_with(&conflict));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_crate_has_one_integration_binary_and_no_test_file_is_forgotten_in_it() {
    let mut forgotten = Vec::new();
    for package in packages() {
        let targets = package["targets"].as_array().unwrap();
        let (plain, special): (Vec<_>, Vec<_>) = targets
            .iter()
            .filter(|target| target["kind"][0] == "test")
            // What needs more than a checkout is a binary of its own, behind a feature.
            .partition(|target| target["required-features"].is_null());
        assert!(plain.len() <= 1, "{} has {plain:#?}", package["name"]);
        let roots: Vec<_> = plain
            .into_iter()
            .chain(special)
            .map(|target| PathBuf::from(target["src_path"].as_str().unwrap()))
            .collect();
        let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap());
        let tests = manifest.with_file_name("tests");
        if !tests.is_dir() {
            continue;
        }
        let sources: Vec<_> = files_below(&tests)
            .into_iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
            .collect();
        forgotten.extend(sources.into_iter().filter(|path| !roots.contains(path)).filter(|path| {
            let declaration = format!("mod {};", path.file_stem().unwrap().to_str().unwrap());
            let parent = parent_module(path, &roots);
            !parent.is_some_and(|it| fs::read_to_string(it).unwrap().contains(&declaration))
        }));
    }
    assert!(forgotten.is_empty(), "declared by no `mod`: {forgotten:#?}");
}

/// The file that has to declare the module in `path`: the test's root beside it, or the file
/// named like its directory.
fn parent_module(path: &Path, roots: &[PathBuf]) -> Option<PathBuf> {
    let directory = path.parent()?;
    let beside = roots.iter().find(|root| root.parent() == Some(directory)).cloned();
    beside.or_else(|| Some(directory.with_extension("rs")).filter(|it| it.is_file()))
}
