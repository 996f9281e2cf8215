//! Who runs: every agent belongs to a session that lives, and every session that lives has one.

use std::collections::BTreeSet;

use crate::chaos::place::{PROJECTS, Place};
use crate::tool::Failure;

use super::Case;

pub(super) async fn check(place: &Place, case: &mut Case) -> Result<(), Failure> {
    let n_before = case.violations.len();
    look(place, case).await?;
    // What the daemon goes by is gone with it.
    for id in case.sessions.keys() {
        let is_named = case.violations.iter().skip(n_before).any(|it| it.contains(&**id));
        if is_named {
            let explained = place.ao(&["explain", id]).await?;
            std::fs::write(place.root().join(format!("{id}.explained")), explained.stdout)?;
        }
    }
    Ok(())
}

async fn look(place: &Place, case: &mut Case) -> Result<(), Failure> {
    let processes = place.processes();
    for process in &processes {
        let Some(id) = &process.session else { continue };
        let is_expected = case.sessions.get(id).is_some_and(|it| !it.has_ended);
        if !is_expected {
            let pid = process.pid.as_raw_nonzero();
            let what = format!("process {pid} of {id} was left behind: {}", process.command);
            case.violations.push(what);
        }
    }
    for (id, session) in case.sessions.iter().filter(|(_, it)| !it.has_ended) {
        let runs = |pid: i64| processes.iter().any(|it| i64::from(it.pid.as_raw_pid()) == pid);
        // One that is looked for, or whose end nobody has seen yet, says so.
        let is_doubted = matches!(&*session.status, "detecting" | "stuck");
        if !is_doubted && !session.pid.is_some_and(runs) {
            let what = format!("{id} is {} and its agent is not there", session.status);
            case.violations.push(what);
        }
    }
    for project in PROJECTS {
        let listed = place.tmux(project, &["list-sessions", "-F", "#{session_name}"]).await?;
        let listed = listed.stdout_text();
        let found: BTreeSet<&str> = listed.lines().collect();
        let expected: BTreeSet<&str> = (case.sessions.values())
            .filter(|it| it.project == project && !it.has_ended)
            .filter_map(|it| it.terminal.as_deref())
            .collect();
        for name in found.difference(&expected) {
            case.violations.push(format!("tmux has `{name}` of `{project}`, which no session has"));
        }
        for name in expected.difference(&found) {
            case.violations.push(format!("tmux has no `{name}` of `{project}`, which lives"));
        }
    }
    Ok(())
}
