//! The fixed names of the world.

use ao_core::ids::{AgentName, HomeId, NodeId, NotifierId, ProjectId};

/// Projects, each with a tmux server and a repository of its own.
pub(crate) const PROJECTS: [&str; 2] = ["app", "lib"];

/// Agents that signal everything, nothing, show a screen, and write files besides.
pub(crate) const AGENTS: [&str; 5] = ["scripted", "mute", "seeing", "native", "oneshot"];

/// Notifiers: one that may be down, one that never is.
pub(crate) const NOTIFIERS: [&str; 2] = ["chat", "desk"];

macro_rules! fixed {
    ($(#[$meta:meta])* $function:ident, $type:ty) => {
        $(#[$meta])*
        pub(crate) fn $function(name: &str) -> $type {
            <$type>::parse(name).expect("a valid name")
        }
    };
}

fixed!(project, ProjectId);
fixed!(agent, AgentName);
fixed!(notifier, NotifierId);
fixed!(home, HomeId);
fixed!(node, NodeId);

/// Where the repository of a project is.
pub(crate) fn repo(project: &str) -> std::path::PathBuf {
    std::path::PathBuf::from(format!("/repo/{project}"))
}
