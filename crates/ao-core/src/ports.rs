//! The ports: what the engine needs from the outside, each small enough to fake.
//!
//! Every port is object safe and has one contract suite in `ao-testkit` that its fake and its real
//! adapter both pass. Looks never fail: a look that could not tell says so in its value.

use std::pin::Pin;

mod agent;
mod agent_files;
mod launches;
mod notifier;
mod processes;
mod provisioner;
mod runtime;
mod screens;
mod store;
mod system;
mod workspace;

pub use agent::{Agent, AgentError, AgentEvent, Invocation, LaunchRequest, RunningAgent};
pub use agent_files::{AgentFiles, FilePart, FileTail};
pub use launches::{LaunchFile, LaunchOrigin, LaunchProof, Launches, LaunchesError};
pub use notifier::{Notifier, NotifyError};
pub use processes::{ProcessEnd, ProcessError, ProcessSignal, Processes};
pub use provisioner::{ProvisionError, ProvisionRequest, Provisioner, Provisions, is_inside};
pub use runtime::{
    AttachMode, CreateRuntime, Cursor, HandleLook, PaneFound, PaneLook, Runtime, RuntimeError,
    ServerAnswer, ServerEvent, ServerFound, ServerLook, Terminal, TerminalLook,
};
pub use screens::{Screens, ScreensError};
pub use store::{
    ChangeFeed, Commit, Deadlines, Expected, Inbox, InboxFilter, Incidents, InfraIncident,
    InfraIncidentKind, Loaded, Messages, Outbox, Projects, Sagas, SessionFilter, SessionStore,
    StoreError,
};
pub use system::{Clock, IdGen, Tasks};
pub use workspace::{
    Appraisal, CreateWorkspace, CreatedWorkspace, DiffStat, MarkedBy, MarkedWorktree, Recovery,
    Removal, RemovalMode, TrashSweep, Workspace, WorkspaceError, WorkspaceLook, WorkspaceTrace,
    Worktree,
};

/// A future that can be held behind a `dyn` port.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an error asks of its reader; one table maps it to exit code, HTTP status and retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is malformed or cannot be met as it stands.
    User,
    /// What it names does not exist.
    NotFound,
    /// Something else is in the way.
    Conflict,
    /// Not now; trying again may help.
    Unavailable,
    /// A fault of this program.
    Bug,
}

/// What an `ensure` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ensured {
    /// It was not there and now is (or is gone, for a removal).
    Done,
    /// It already was as asked.
    AlreadyThere,
}
