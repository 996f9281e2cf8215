//! What is said of what is left: what it is, why it stays, and the way out.

use ao_core::ids::{BranchName, LaunchId, SessionId};
use ao_core::ports::{LaunchFile, MarkedWorktree, ServerAnswer, ServerFound};
use ao_core::project::Project;

/// Something of this home that no record accounts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// What it is about: a session, or a socket.
    pub of: String,
    /// What is there, and why it is left alone: a sentence.
    pub detail: String,
    /// What a person can do about it.
    pub hint: String,
    /// The session that it is about, where it names one.
    pub session: Option<SessionId>,
    /// The launch that runs, where one does.
    pub live: Option<LaunchId>,
}

pub(super) fn live(name: &str, launch: &LaunchId, because: &str) -> Leftover {
    Leftover {
        of: format!("session {name}"),
        detail: format!("it runs without a record, and was not adopted: {because}"),
        hint: format!(
            "nothing of it is touched; once what is said holds, `ao stop` and `ao start` adopt it; \
             or end it yourself (launch `{launch}`)"
        ),
        session: SessionId::parse(name).ok(),
        live: Some(launch.clone()),
    }
}

/// A launch whose project nobody knows: its worktree cannot be looked at.
pub(super) fn of_lost_project(file: &LaunchFile, projects: &[Project]) -> Option<Leftover> {
    let project = &file.origin.as_ref()?.project;
    if projects.iter().any(|it| it.id == *project) {
        return None;
    }
    let directory = file.directory.display();
    Some(Leftover {
        of: format!("session {}", file.session),
        detail: format!(
            "it has ended without a record, and its worktree `{directory}` was not looked at: \
             project `{project}` is not registered"
        ),
        hint: format!(
            "`ao project add REPOSITORY --id {project}`; the next start removes what holds no work"
        ),
        session: Some(file.session.clone()),
        live: None,
    })
}

pub(super) fn worktree(
    project: &Project,
    session: &SessionId,
    marked: &MarkedWorktree,
    because: &str,
) -> Leftover {
    let path = marked.worktree.path.display();
    let branch = marked.worktree.branch.as_ref().map_or("a branch", BranchName::as_str);
    Leftover {
        of: format!("session {session}"),
        detail: format!("its worktree `{path}` has no record, and stays: {because}"),
        hint: format!(
            "commit on `{branch}` what you want of it, and merge that; the next start removes what \
             holds no work, or `git -C '{}' worktree remove --force '{path}'` does at once",
            project.path.display()
        ),
        session: Some(session.clone()),
        live: None,
    }
}

/// Servers that cannot be used, or not be asked.
pub(super) fn of_servers(servers: &[ServerFound]) -> Vec<Leftover> {
    let told = |found: &ServerFound| {
        let socket = found.socket.display();
        let (detail, hint) = match &found.answer {
            ServerAnswer::Ours { .. } => return None,
            ServerAnswer::Stranger => (
                "a tmux server there does not carry the mark of this home, and is not touched"
                    .to_owned(),
                format!("`tmux -S '{socket}' ls` shows what it holds"),
            ),
            ServerAnswer::Unreachable { because } => (
                format!("the tmux server there does not answer: {because}"),
                "what it holds is looked at again by the next start".to_owned(),
            ),
        };
        let of = format!("socket {socket}");
        Some(Leftover { of, detail, hint, session: None, live: None })
    };
    servers.iter().filter_map(told).collect()
}
