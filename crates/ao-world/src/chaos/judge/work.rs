//! Every line and every commit is still there: in a worktree, in a ref, or in the trash.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::chaos::place::{PROJECTS, Place};
use crate::tool::Failure;

use super::Case;

pub(super) async fn check(place: &Place, case: &mut Case) -> Result<(), Failure> {
    let mut lines = BTreeSet::new();
    let mut commits = BTreeSet::new();
    for project in PROJECTS {
        let repo = place.repo(project);
        check_worktrees(place, project, case).await?;
        commits.extend(words(&place.git(&repo, &["rev-list", "--all"]).await?));
        // Every version that a ref still leads to, on whichever side of a merge it was.
        let history = ["log", "--all", "-m", "-p", "--format=", "--unified=0", "--", "work.txt"];
        let history = place.git(&repo, &history).await?;
        let added = history.lines().filter_map(|line| line.strip_prefix('+'));
        lines.extend(added.map(ToOwned::to_owned));
    }
    let mut kept = BTreeSet::new();
    for file in files_named(place.root(), &["work.txt", "notes.local"])? {
        let text = String::from_utf8_lossy(&fs::read(&file)?).into_owned();
        let is_ignored = file.ends_with("notes.local");
        let to = if is_ignored { &mut kept } else { &mut lines };
        to.extend(text.lines().map(ToOwned::to_owned));
    }
    let journals = &case.journals;
    let missing = [
        ("line", lost(&journals.wrote, &lines)),
        ("commit", lost(&journals.committed, &commits)),
        ("ignored line", lost(&journals.ignored, &kept)),
    ];
    for (what, lost) in missing {
        case.violations
            .extend(lost.map(|(it, session)| format!("{what} `{it}` of {session} is lost")));
    }
    Ok(())
}

/// What git has registered is what the sessions have, neither more nor less.
pub(super) async fn check_worktrees(
    place: &Place,
    project: &str,
    case: &mut Case,
) -> Result<(), Failure> {
    let listing = ["worktree", "list", "--porcelain"];
    let listed = place.git(&place.repo(project), &listing).await?;
    let registered: BTreeSet<PathBuf> = (listed.lines())
        .filter_map(|line| line.strip_prefix("worktree "))
        .skip(1)
        .map(PathBuf::from)
        .collect();
    let of_project = || case.sessions.iter().filter(|(_, it)| it.project == project);
    let known: BTreeSet<&Path> = of_project().map(|(_, it)| it.worktree.as_path()).collect();
    let mut found = Vec::new();
    for path in &registered {
        if !known.contains(path.as_path()) {
            found.push(format!("worktree {} is no session's", path.display()));
        }
        if !path.exists() {
            found.push(format!("worktree {} is registered and not there", path.display()));
        }
    }
    for (id, session) in of_project().filter(|(_, it)| !it.has_ended) {
        if !registered.contains(&session.worktree) {
            found.push(format!("{id} lives and git does not know its worktree"));
        }
    }
    case.violations.extend(found);
    Ok(())
}

fn lost<'a>(
    noted: &'a BTreeMap<String, String>,
    there: &'a BTreeSet<String>,
) -> impl Iterator<Item = (&'a String, &'a String)> {
    noted.iter().filter(|(it, _)| !there.contains(*it))
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(ToOwned::to_owned).collect()
}

/// Every regular file with one of these names, links not followed.
fn files_named(dir: &Path, names: &[&str]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                dirs.push(entry.path());
            } else if kind.is_file() && names.iter().any(|name| entry.file_name() == *name) {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}
