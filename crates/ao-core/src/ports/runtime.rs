//! The terminal that an agent lives in.

use std::path::PathBuf;

use super::{BoxFuture, Ensured, ErrorKind};
use crate::fact::{RuntimeProbe, ServerProbe};
use crate::ids::{LaunchId, Nonce, Pid, ProjectId, SessionId};
use crate::record::Exit;
use crate::session::{ProcessIdentity, RuntimeHandle, ServerIdentity};

/// Why a runtime could not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// The program behind the runtime is not installed.
    #[error("`{program}` is not installed or not on the PATH")]
    Missing {
        /// Its name.
        program: String,
    },
    /// The runtime of another launch, or of somebody else, has the name.
    #[error("a runtime named `{name}` exists and is not ours to use")]
    Taken {
        /// The name.
        name: String,
    },
    /// The server carries another home's marker.
    #[error("the server at `{socket}` belongs to another home")]
    Stranger {
        /// Its socket.
        socket: PathBuf,
    },
    /// There is no such runtime.
    #[error("runtime `{name}` is gone")]
    Gone {
        /// Its name.
        name: String,
    },
    /// It does not answer, or not in time; trying again may help.
    #[error("the runtime does not answer: {message}")]
    Unavailable {
        /// What it said.
        message: String,
    },
    /// It refused for a reason that trying again will not change.
    #[error("the runtime refused: {message}")]
    Refused {
        /// What it said.
        message: String,
    },
}

impl RuntimeError {
    /// What this error asks of its reader.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing { .. } | Self::Refused { .. } => ErrorKind::User,
            Self::Gone { .. } => ErrorKind::NotFound,
            Self::Taken { .. } | Self::Stranger { .. } => ErrorKind::Conflict,
            Self::Unavailable { .. } => ErrorKind::Unavailable,
        }
    }
}

/// What a runtime is created from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRuntime {
    /// The session: also the runtime's name.
    pub session: SessionId,
    /// Its project: one server each.
    pub project: ProjectId,
    /// The launch that it is for; written on the runtime, so that it is recognised after a crash.
    pub launch: LaunchId,
    /// Secret of the launch, expected in the environment of its process.
    pub nonce: Nonce,
    /// Where the agent starts.
    pub directory: PathBuf,
    /// What runs in it: a short command line whose process becomes the agent.
    pub argv: Vec<String>,
}

/// One look at one runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandleLook {
    /// Its server.
    pub server: ServerProbe,
    /// The runtime itself.
    pub runtime: RuntimeProbe,
    /// How its process ended, when it is dead and that is known.
    pub exit: Option<Exit>,
}

/// One look at a whole server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerLook {
    /// It answers and is the recorded one; these are all its panes.
    Living {
        /// Its panes.
        panes: Vec<PaneLook>,
    },
    /// The recorded server process is proven dead.
    Gone,
    /// No answer, or not one that proves anything.
    Unreachable {
        /// What went wrong.
        because: String,
    },
}

/// A pane as its server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaneLook {
    /// Name of its tmux session.
    pub session: String,
    /// The pane (`%3`).
    pub pane: String,
    /// Its process.
    pub pid: Pid,
    /// The launch written on it, when it is one of ours.
    pub launch: Option<LaunchId>,
    /// Whether its process ended.
    pub is_dead: bool,
    /// How, when that is known.
    pub exit: Option<Exit>,
}

/// What one socket of this home came to, looked at without knowing what should be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFound {
    /// The socket.
    pub socket: PathBuf,
    /// Who answers there.
    pub answer: ServerAnswer,
}

/// Who answers at a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerAnswer {
    /// A server with the marker of this home.
    Ours {
        /// Who it is.
        server: ServerIdentity,
        /// All its panes.
        panes: Vec<PaneFound>,
    },
    /// A server without a marker, or with another home's. Nothing of it is looked at.
    Stranger,
    /// No answer, or not one that proves anything.
    Unreachable {
        /// What went wrong.
        because: String,
    },
}

/// A pane of a server of this home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaneFound {
    /// The pane as any look shows it.
    pub look: PaneLook,
    /// The process that was written on it before its agent started; without its nonce, which is
    /// written nowhere. `None` where it still waits to be written, and on what is not ours.
    pub process: Option<ProcessIdentity>,
}

/// Something happened at a server that is worth a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerEvent {
    /// Its sessions, windows or panes changed.
    Changed,
    /// Its process ended.
    Gone,
    /// It can no longer be watched: only passes tell the truth from here.
    Lost,
}

/// Creates, finds and destroys the terminals that agents live in.
pub trait Runtime: Send + Sync {
    /// Starts a runtime, or finds the one that an earlier call of the same launch started.
    ///
    /// *Guarantees*: a returned handle names a process that ran when it was read. Nothing of ours
    /// is left behind by a refused call. A server that was not started by this home is not touched.
    fn create<'a>(
        &'a self,
        request: &'a CreateRuntime,
    ) -> BoxFuture<'a, Result<RuntimeHandle, RuntimeError>>;

    /// Looks for the runtime of a launch without starting one.
    fn find<'a>(
        &'a self,
        request: &'a CreateRuntime,
    ) -> BoxFuture<'a, Result<Option<RuntimeHandle>, RuntimeError>>;

    /// Ends a runtime; a runtime that is not there is as good.
    ///
    /// *Guarantees*: only the runtime of this very handle is ended, never its server. It signals
    /// nothing beyond what ending a terminal implies: the process tree is ended by
    /// [`super::Processes`], before.
    fn destroy<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
    ) -> BoxFuture<'a, Result<Ensured, RuntimeError>>;

    /// Looks at one runtime.
    fn is_alive<'a>(&'a self, handle: &'a RuntimeHandle) -> BoxFuture<'a, HandleLook>;

    /// Looks at a whole server, with one question.
    fn look_all<'a>(&'a self, server: &'a ServerIdentity) -> BoxFuture<'a, ServerLook>;

    /// Looks at every socket of this home, with one question each. Sockets at which nobody listens
    /// are left out.
    fn survey(&self) -> BoxFuture<'_, Result<Vec<ServerFound>, RuntimeError>>;

    /// Waits for the next thing at a server that is worth a look. Changes since the previous call
    /// returned are not missed: they end the next call at once.
    fn watch<'a>(&'a self, server: &'a ServerIdentity) -> BoxFuture<'a, ServerEvent>;

    /// Ends the servers of this home that hold no runtime any more, and says which.
    ///
    /// It is called when the daemon stops, so that an unused home leaves nothing running.
    fn end_idle_servers(&self) -> BoxFuture<'_, Result<Vec<PathBuf>, RuntimeError>>;
}

/// A place on the screen, both counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// From the left.
    pub column: u16,
    /// From the top.
    pub row: u16,
}

/// What a terminal shows at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminalLook {
    /// The visible screen, without colours.
    pub screen: String,
    /// The visible screen with its SGR sequences: what is dim is a placeholder.
    pub styled: String,
    /// Where the cursor stands; `None` while the program hides it.
    pub cursor: Option<Cursor>,
    /// The pane's title.
    pub title: String,
    /// Whether it is in copy mode: keys would go to the copy mode.
    pub is_in_mode: bool,
    /// Whether a human is attached and typed in the last ten seconds.
    pub is_human_typing: bool,
}

/// Who may type in an attached terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttachMode {
    /// The human.
    Interactive,
    /// Nobody.
    ReadOnly,
}

/// Reads a terminal and types into it.
pub trait Terminal: Send + Sync {
    /// The last `n_lines` lines of its history and screen, oldest first.
    fn get_output<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
        n_lines: usize,
    ) -> BoxFuture<'a, Result<String, RuntimeError>>;

    /// What it shows now.
    fn look<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
    ) -> BoxFuture<'a, Result<TerminalLook, RuntimeError>>;

    /// Pastes text, bracketed where the program asked for that, byte for byte, any size up to
    /// [`crate::message::MESSAGE_BYTES_MAX`]. It presses no Enter.
    fn paste<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
        text: &'a str,
    ) -> BoxFuture<'a, Result<(), RuntimeError>>;

    /// Presses one key, by its tmux name (`Enter`, `Escape`, `C-c`).
    fn press<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
        key: &'a str,
    ) -> BoxFuture<'a, Result<(), RuntimeError>>;

    /// The command line that attaches a human.
    fn attach_command(&self, handle: &RuntimeHandle, mode: AttachMode) -> Vec<String>;
}
