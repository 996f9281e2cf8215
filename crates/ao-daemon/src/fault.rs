//! Failures of requests: one shape, and the one table from what an error asks of its reader to how
//! it is sent.

use ao_adapters::agents::inventory::INVENTORY;
use ao_api::error::{self as code, ErrorBody, ErrorEnvelope, ErrorKind as WireKind};
use ao_core::ids::InvalidId;
use ao_core::ports::{AgentError, ErrorKind, RuntimeError, StoreError, WorkspaceError};
use ao_engine::{ObserveError, PlaceError, RestoreError, SendError, SessionError, SpawnError};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// A request that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault(ErrorBody);

impl Fault {
    /// A failure with the kind that the core gives it.
    pub(crate) fn new(code: &str, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(ErrorBody {
            code: code.to_owned(),
            kind: wire_kind(code, kind),
            message: message.into(),
            hint: hint_of(code).map(str::to_owned),
        })
    }

    /// The same failure with what to do about it.
    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// A malformed request.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new("MALFORMED", ErrorKind::User, message)
    }

    /// No such session.
    pub(crate) fn session_unknown(what: &str) -> Self {
        Self::new(
            code::SESSION_UNKNOWN,
            ErrorKind::NotFound,
            format!("there is no session `{}`", shown(what)),
        )
    }

    /// No such project.
    pub(crate) fn project_unknown(what: &str) -> Self {
        Self::new(
            code::PROJECT_UNKNOWN,
            ErrorKind::NotFound,
            format!("there is no project `{}`", shown(what)),
        )
    }

    /// The daemon ends.
    pub(crate) fn stopping() -> Self {
        Self::new(code::STOPPING, ErrorKind::Unavailable, "the daemon is about to end")
            .with_hint("`ao start` starts it again, and what was begun goes on")
    }

    /// The daemon is not ready.
    pub(crate) fn starting() -> Self {
        Self::new(code::STARTING, ErrorKind::Unavailable, "the daemon starts and is not ready yet")
    }

    /// A fault of this program.
    pub(crate) fn bug(message: impl Into<String>) -> Self {
        Self::new("BUG", ErrorKind::Bug, message)
    }

    /// What is sent.
    pub(crate) fn into_body(self) -> ErrorBody {
        self.0
    }
}

/// Longest part of somebody's text that is repeated in a message: enough to recognise it.
const SHOWN_CHARS_MAX: usize = 60;

/// A text from outside on one line: it may hold anything, and be of any length.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect()
}

/// What was asked is well formed, and cannot be done as things are. A damaged file is the fault of
/// a disk or of a hand, not of this program.
const FAILED_CODES: &[&str] = &[
    "AGENT_MISSING",
    "GIT_MISSING",
    "NOT_A_REPO",
    "SPARSE_INVALID",
    STORE_CORRUPT,
    "TMUX_MISSING",
    "UNBORN",
];

/// The database holds what cannot be read.
const STORE_CORRUPT: &str = "STORE_CORRUPT";

fn wire_kind(code: &str, kind: ErrorKind) -> WireKind {
    match kind {
        ErrorKind::User | ErrorKind::Bug if FAILED_CODES.contains(&code) => WireKind::Failed,
        ErrorKind::User => WireKind::User,
        ErrorKind::NotFound => WireKind::NotFound,
        ErrorKind::Conflict => WireKind::Conflict,
        ErrorKind::Unavailable => WireKind::Unavailable,
        ErrorKind::Bug => WireKind::Bug,
    }
}

/// What to do about a failure, by its code.
fn hint_of(code: &str) -> Option<&'static str> {
    Some(match code {
        "AGENT_ALIVE" => {
            "`ao kill ID` ends what is left of it; its worktree is kept if it holds work"
        }
        "AGENT_MISSING" => "install it, or put it on the PATH of the shell that runs `ao`",
        "AGENT_UNKNOWN" => {
            "`[agents.NAME]` in the configuration names a program to launch; `ao stop`, then \
             `ao start` takes in a change of it"
        }
        "AGENT_NO_RESUME" => {
            "`ao spawn --branch B` starts another session on its branch, once its worktree is gone"
        }
        "BASE_MISSING" => "fetch it first, or name another one with `--base`",
        "BRANCH_INVALID" => "`git check-ref-format --branch NAME` tells what git takes",
        "BRANCH_TAKEN" => "name another one with `--branch`",
        "CAPACITY" => {
            "`ao status` shows the places and who holds them; `[capacity]` of the configuration \
             says how many there are"
        }
        "GIT_MISSING" => "install git, for instance with `apt-get install git`",
        "NOT_A_REPO" => {
            "`git init` makes one; one that was moved is registered again by `ao project add`"
        }
        "PATH_TAKEN" => "move what stands there away; nothing of it is touched",
        "PROJECT_EXISTS" => {
            "`ao project ls` shows them; `--id` names a free id, `ao project rm` forgets one"
        }
        "PROJECT_LIVE" => "`ao kill --all --project ID` ends its sessions",
        "NOTHING_PRESERVED" => {
            "`ao restore ID` brings the session itself back; a branch is there with its commits"
        }
        "SESSION_BUSY" => "`ao show ID` tells how far it has come; then try again",
        "SESSION_ENDED" => "`ao spawn` starts a new one; `ao explain ID` says how it ended",
        "SESSION_LIVE" => "`ao kill ID` ends it; `ao show ID` tells how it is",
        "SESSION_RESTORING" => "`ao show ID` tells how far it has come; `ao kill ID` gives up",
        STORE_CORRUPT => {
            "`ao stop`, then put a copy of the database in its place, or move it aside with its \
             `-wal` and `-shm` companions; agents, worktrees and branches are not touched by that"
        }
        "STORE_UNAVAILABLE" => {
            "nothing was written: see that its disk has space and that no other program holds \
             `ao.db`, then try again"
        }
        "SPARSE_INVALID" => {
            "`sparse` in the configuration names directories, relative to the top of the \
             repository; `ao stop`, then `ao start` takes in a change of it"
        }
        "TEARDOWN_PENDING" => "it is tried again every few seconds; `ao explain ID` says more",
        "TMUX_MISSING" => "install tmux, for instance with `apt-get install tmux`",
        "UNBORN" => "`git commit --allow-empty -m init` makes the first commit",
        "WORKTREE_LEFT" => {
            "`ao cleanup` removes it once its work is merged; `ao kill --discard ID` preserves its \
             work under a ref and removes it now"
        }
        code::PROJECT_UNKNOWN => "`ao project ls` shows them; `ao project add` registers one",
        code::SESSION_UNKNOWN => "`ao ls --all` shows them",
        code::SESSION_AMBIGUOUS => "write more of it, or the whole id",
        code::STARTING => "try again in a moment; `ao status` tells when it is ready",
        code::UNKNOWN_ROUTE => "`ao stop`, then `ao start` restarts the daemon as this version",
        _ => return None,
    })
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.kind.http_status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if self.0.kind == WireKind::Bug {
            tracing::error!(code = %self.0.code, message = %self.0.message, "A request met a bug.");
        }
        (status, Json(ErrorEnvelope { error: self.0 })).into_response()
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Conflict { .. } => "CONFLICT",
            StoreError::Exists { .. } => "EXISTS",
            StoreError::KeyTaken { .. } => "KEY_TAKEN",
            StoreError::FactSeen { .. } => "FACT_SEEN",
            StoreError::NotFound { .. } => "NOT_FOUND",
            StoreError::Corrupt { .. } => STORE_CORRUPT,
            StoreError::Unavailable { .. } => "STORE_UNAVAILABLE",
        };
        Self::new(code, error.kind(), error.to_string())
    }
}

impl From<WorkspaceError> for Fault {
    fn from(error: WorkspaceError) -> Self {
        Self::new(error.code(), error.kind(), error.to_string())
    }
}

impl From<RuntimeError> for Fault {
    fn from(error: RuntimeError) -> Self {
        let code = match &error {
            RuntimeError::Missing { .. } => "TMUX_MISSING",
            RuntimeError::Taken { .. } => "RUNTIME_TAKEN",
            RuntimeError::Stranger { .. } => "RUNTIME_STRANGER",
            RuntimeError::Gone { .. } => "RUNTIME_GONE",
            RuntimeError::Unavailable { .. } => "RUNTIME_UNAVAILABLE",
            RuntimeError::Refused { .. } => "RUNTIME_REFUSED",
        };
        Self::new(code, error.kind(), error.to_string())
    }
}

impl From<SessionError> for Fault {
    fn from(error: SessionError) -> Self {
        let kind = error.kind();
        let code = match error {
            SessionError::NoSession { ref session } => {
                return Self::session_unknown(session.as_str());
            }
            SessionError::Runtime(error) => return error.into(),
            SessionError::Workspace(error) => return error.into(),
            SessionError::Store(error) => return error.into(),
            SessionError::NoTerminal { .. } => "NO_TERMINAL",
            SessionError::NoTranscript { .. } => "NO_TRANSCRIPT",
            SessionError::NoProject { .. } => code::PROJECT_UNKNOWN,
            SessionError::NotEnded { .. } => "SESSION_LIVE",
            SessionError::Busy { .. } => "SESSION_BUSY",
            SessionError::NothingPreserved { .. } => "NOTHING_PRESERVED",
            SessionError::HasWorktree { .. } => "WORKTREE_LEFT",
            SessionError::Provision(ref error) => error.code(),
            SessionError::Screens(_) => "SCREEN_UNREADABLE",
        };
        Self::new(code, kind, error.to_string())
    }
}

impl From<SpawnError> for Fault {
    fn from(error: SpawnError) -> Self {
        match error {
            SpawnError::NoAgent { .. } => {
                Self::new("AGENT_UNKNOWN", error.kind(), error.to_string())
            }
            SpawnError::Workspace(error) => error.into(),
            SpawnError::Runtime(error) => error.into(),
            SpawnError::Store(error) => error.into(),
            SpawnError::Agent(error) => error.into(),
            SpawnError::Place(error) => error.into(),
            SpawnError::Launches(_) => Self::new(error.code(), error.kind(), error.to_string()),
        }
    }
}

impl From<PlaceError> for Fault {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Store(error) => error.into(),
            PlaceError::TooBig { .. } | PlaceError::QueueFull { .. } => {
                Self::new(error.code(), error.kind(), error.to_string())
            }
        }
    }
}

impl From<AgentError> for Fault {
    fn from(error: AgentError) -> Self {
        let fault = Self::new(error.code(), error.kind(), error.to_string());
        match how_to_install(&error) {
            Some(hint) => fault.with_hint(hint),
            None => fault,
        }
    }
}

/// How the program of an agent gets onto the machine, where that is known.
fn how_to_install(error: &AgentError) -> Option<String> {
    let AgentError::Missing { program } = error else { return None };
    let entry = INVENTORY.iter().find(|entry| entry.program == program)?;
    Some(format!(
        "`{}` installs it; it has to be on the PATH of the shell that runs `ao`",
        entry.install
    ))
}

impl From<RestoreError> for Fault {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::NoSession { session } => Self::session_unknown(session.as_str()),
            // The branch is the session's own: no other one will do.
            RestoreError::Workspace(error @ WorkspaceError::BranchTaken { .. }) => {
                Self::from(error).with_hint(
                    "let go of the branch there, for instance with `git switch --detach`, then \
                     restore again",
                )
            }
            RestoreError::Agent(error) => error.into(),
            RestoreError::Workspace(error) => error.into(),
            RestoreError::Runtime(error) => error.into(),
            RestoreError::Store(error) => error.into(),
            RestoreError::Place(error) => error.into(),
            RestoreError::NotEnded { .. }
            | RestoreError::Restoring { .. }
            | RestoreError::TearingDown { .. }
            | RestoreError::AgentAlive { .. }
            | RestoreError::NoProject { .. }
            | RestoreError::NoAgent { .. }
            | RestoreError::Launches(_) => Self::new(error.code(), error.kind(), error.to_string()),
        }
    }
}

impl From<SendError> for Fault {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NoSession { session } => Self::session_unknown(session.as_str()),
            SendError::Store(error) => error.into(),
            SendError::Ended { .. } | SendError::Empty | SendError::TooLarge { .. } => {
                Self::new(error.code(), error.kind(), error.to_string())
            }
        }
    }
}

impl From<ObserveError> for Fault {
    fn from(error: ObserveError) -> Self {
        match error {
            ObserveError::NoSession { session } => Self::session_unknown(session.as_str()),
            ObserveError::Store(error) => error.into(),
        }
    }
}

impl From<InvalidId> for Fault {
    fn from(error: InvalidId) -> Self {
        Self::new("INVALID_ID", ErrorKind::User, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fault: &Fault, expect: &str) {
        let body = fault.clone().into_body();
        assert_eq!(format!("{} {}", body.kind.http_status(), body.code), expect);
    }

    #[test]
    fn every_kind_has_its_status() {
        check(&Fault::malformed("x"), "400 MALFORMED");
        check(&Fault::session_unknown("x"), "404 SESSION_UNKNOWN");
        check(&Fault::new("EXISTS", ErrorKind::Conflict, "x"), "409 EXISTS");
        check(&Fault::starting(), "503 STARTING");
        check(&Fault::bug("x"), "500 BUG");
    }

    #[test]
    fn a_missing_agent_that_we_know_says_how_it_is_installed() {
        let missing = |program: &str| {
            let error = AgentError::Missing { program: program.to_owned() };
            Fault::from(SpawnError::Agent(error)).into_body()
        };
        let claude = missing("claude");
        assert_eq!((claude.code.as_str(), claude.kind), ("AGENT_MISSING", WireKind::Failed));
        assert!(claude.hint.unwrap().contains("npm install -g @anthropic-ai/claude-code@"));
        assert!(missing("mine").hint.unwrap().starts_with("install it, or put it on the PATH"));
    }

    #[test]
    fn a_damaged_database_is_no_bug_and_has_a_way_out() {
        let fault = Fault::from(StoreError::Corrupt { message: "malformed".to_owned() });
        check(&fault, "422 STORE_CORRUPT");
        assert!(fault.into_body().hint.is_some_and(|hint| hint.contains("`ao stop`")));
    }

    #[test]
    fn what_is_not_there_is_named_on_one_short_line() {
        let named = Fault::session_unknown(&format!("a\nb{}", "x".repeat(3000))).into_body();
        assert!(named.message.starts_with("there is no session `a\\nbxxx"), "{}", named.message);
        assert!(named.message.len() < 100);
    }

    #[test]
    fn what_preflight_finds_missing_is_no_usage_error() {
        let path = std::path::PathBuf::from("/x");
        check(&WorkspaceError::NotARepo { path: path.clone() }.into(), "422 NOT_A_REPO");
        check(&WorkspaceError::Unborn { path }.into(), "422 UNBORN");
        check(&RuntimeError::Missing { program: "tmux".to_owned() }.into(), "422 TMUX_MISSING");
        check(
            &WorkspaceError::BranchInvalid { branch: "..".to_owned() }.into(),
            "400 BRANCH_INVALID",
        );
    }
}
