//! This checkout as the tests see it: its files, and what Cargo says about its packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// The workspace's packages as `cargo metadata` lists them.
pub(crate) fn packages() -> Vec<Value> {
    #[expect(clippy::disallowed_methods, reason = "asks Cargo itself, below no runtime")]
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Every file below `directory` that is ours: what builds and caches left there is not.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        let name = entry.file_name();
        let ours = !["target", ".git", ".cache"].iter().any(|left_there| name == *left_there);
        if entry.file_type().unwrap().is_dir() {
            if ours {
                found.extend(files_below(&path));
            }
        } else if ours {
            found.push(path);
        }
    }
    found.sort();
    found
}
