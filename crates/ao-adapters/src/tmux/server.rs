//! Servers: how one is recognised, started and ended.

use std::path::{Path, PathBuf};

use ao_core::fact::ProcessProbe;
use ao_core::ports::{
    ProcessEnd, Processes as _, RuntimeError, ServerAnswer, ServerFound, ServerLook,
};
use ao_core::session::ServerIdentity;
use futures_util::StreamExt as _;
use rustix::process::Signal;

use super::TmuxRuntime;
use super::ask::{Line, Unanswered};
use super::panes::{PANE_FORMAT, Pane, SERVER_FORMAT, Server, parse_panes, parse_server};
use super::socket::is_socket;
use crate::processes::TMUX_SERVER;

/// What a look at a recorded server found.
pub(super) enum Finding {
    /// It answers, and it is the recorded one.
    Living(Vec<Pane>),
    /// The recorded process is proven dead.
    Gone,
    /// Anything else.
    Unreachable(String),
}

/// A server that answers at a socket, or that none does; or why neither can be used.
type Found = Result<Option<(ServerIdentity, Vec<Pane>)>, RuntimeError>;

/// Servers that are surveyed at the same time: one client process each.
const SURVEYED_AT_ONCE: usize = 8;

/// How often a server is started that ends at once: more often has never helped.
const STARTS_MAX: usize = 5;

/// The size of a terminal that nobody is attached to: wide enough that agents do not wrap their
/// own screens.
const WIDTH: &str = "200";
const HEIGHT: &str = "50";

/// Terminals that understand 24-bit colour and extended keys, by the name they go by.
const CAPABLE_TERMINALS: &str = ",xterm*:RGB:extkeys,*-256color:RGB:extkeys,alacritty*:RGB:extkeys,foot*:RGB:extkeys,*kitty*:RGB:extkeys";

impl TmuxRuntime {
    /// Asks for the server's own line and the table of its panes.
    pub(super) async fn ask_for_panes(
        &self,
        socket: &Path,
    ) -> Result<(Server, Vec<Pane>), Unanswered> {
        let line = || {
            Line::new("display-message")
                .args(["-p", SERVER_FORMAT])
                .then(Line::new("list-panes").args(["-a", "-F", PANE_FORMAT]))
        };
        let (server, panes) = read_table(self.ask(socket, line()).await)?;
        if !panes.iter().any(Pane::has_unknown_end) {
            return Ok((server, panes));
        }
        // tmux may miss the signal that a process ended. Any other child that ends makes it reap
        // them all, so it is given one.
        let nudge = Line::new("run-shell").arg("true").then(line());
        read_table(self.ask(socket, nudge).await)
    }

    /// Looks at a recorded server.
    pub(super) async fn look_at(&self, server: &ServerIdentity) -> Finding {
        if self.processes.probe(&server.process) == ProcessProbe::Dead {
            return Finding::Gone;
        }
        match self.ask_for_panes(&server.socket).await {
            Ok((found, panes)) => match self.recognise(&server.socket, &found) {
                Ok(identity) if identity == *server => Finding::Living(panes),
                Ok(_) => self.doubt(server, "another server of this home answers".to_owned()),
                Err(error) => self.doubt(server, error.to_string()),
            },
            Err(unanswered) => {
                if matches!(unanswered, Unanswered::NobodyListens { .. }) {
                    self.make_socket_again(server);
                }
                self.doubt(server, unanswered.message())
            }
        }
    }

    /// No answer: its process may have died since the look began.
    fn doubt(&self, server: &ServerIdentity, because: String) -> Finding {
        match self.processes.probe(&server.process) {
            ProcessProbe::Dead => Finding::Gone,
            ProcessProbe::Alive | ProcessProbe::Unknown => Finding::Unreachable(because),
        }
    }

    /// A server whose socket file was deleted makes it again when it is told to.
    fn make_socket_again(&self, server: &ServerIdentity) {
        if !self.processes.is_called(&server.process, TMUX_SERVER) {
            return;
        }
        match self.processes.signal(&server.process, Signal::USR1) {
            Ok(was_sent) => {
                let socket = server.socket.display();
                tracing::warn!(%socket, was_sent, "Server lost its socket and was told to make it again.");
            }
            Err(error) => tracing::debug!(%error, "Server could not be told to make its socket."),
        }
    }

    /// Who answers at a socket, when it is a server of this home.
    pub(super) fn recognise(
        &self,
        socket: &Path,
        server: &Server,
    ) -> Result<ServerIdentity, RuntimeError> {
        if server.home != self.config.home.as_str() {
            return Err(RuntimeError::Stranger { socket: socket.to_owned() });
        }
        let process = self.processes.identity(server.pid, None).ok_or_else(|| {
            RuntimeError::Unavailable { message: "the server ended while it was asked".to_owned() }
        })?;
        let identity = ServerIdentity { socket: socket.to_owned(), process };
        self.lock().known.insert(socket.to_owned(), identity.clone());
        Ok(identity)
    }

    /// The server at a socket and its panes; `None` when nobody listens.
    pub(super) async fn find_server(
        &self,
        socket: &Path,
    ) -> Result<Option<(ServerIdentity, Vec<Pane>)>, RuntimeError> {
        self.find_marked(socket).await?
    }

    /// As [`Self::find_server`]; what may be tried again is apart from what may not.
    async fn find_marked(&self, socket: &Path) -> Result<Found, Unanswered> {
        match self.ask_for_panes(socket).await {
            Ok((server, panes)) => {
                Ok(self.recognise(socket, &server).map(|identity| Some((identity, panes))))
            }
            Err(Unanswered::NobodyListens { message }) => {
                let known = self.lock().known.get(socket).cloned();
                match known {
                    // A second server at this socket would hide the first one's sessions.
                    Some(known) if self.processes.probe(&known.process) != ProcessProbe::Dead => {
                        self.make_socket_again(&known);
                        Ok(Err(RuntimeError::Unavailable { message }))
                    }
                    Some(_) | None => Ok(Ok(None)),
                }
            }
            Err(unanswered) => Err(unanswered),
        }
    }

    /// The server at a socket, started when there is none. To be called in one's turn.
    pub(super) async fn ensure_server(
        &self,
        socket: &Path,
    ) -> Result<(ServerIdentity, Vec<Pane>), RuntimeError> {
        for _ in 0..STARTS_MAX {
            match self.find_or_start(socket).await {
                Ok(Ok(Some(found))) => return Ok(found),
                // A server that was killed seems to listen while a child of its, forked and not
                // yet executed, has its socket. Once it has not, another can start.
                Ok(Ok(None)) | Err(Unanswered::Ended { .. }) => {}
                Ok(Err(error)) => return Err(error),
                Err(unanswered) => return Err(unanswered.into()),
            }
        }
        let message = "it ends as soon as it is started".to_owned();
        Err(RuntimeError::Unavailable { message })
    }

    async fn find_or_start(&self, socket: &Path) -> Result<Found, Unanswered> {
        match self.find_marked(socket).await? {
            Ok(None) => {}
            found => return Ok(found),
        }
        let start = Line::new("start-server").then(self.options());
        self.ask_starting(socket, start).await?;
        if let Some(user_config) = &self.config.user_config {
            // Ours again in the same sequence: nothing of theirs may end a server that is empty.
            let configure = source(user_config).then(self.options());
            if let Err(error) = self.ask(socket, configure).await {
                let because = error.message();
                tracing::warn!(because, "tmux configuration of the user has an error.");
                self.ask(socket, self.options()).await?;
            }
        }
        self.find_marked(socket).await
    }

    /// Everything that makes a server ours. The marker comes first, so that a server which
    /// answers is never unmarked.
    fn options(&self) -> Line {
        let set = |scope: &str, name: &str, value: &str| {
            Line::new("set-option").args([scope, name, value])
        };
        let home = set("-s", "@ao_home", self.config.home.as_str());
        let history = self.config.history_limit.to_string();
        let rest = [
            // It holds nothing at first, and between its sessions.
            set("-s", "exit-empty", "off"),
            set("-s", "exit-unattached", "off"),
            set("-s", "escape-time", "10"),
            set("-s", "focus-events", "on"),
            set("-qs", "extended-keys", "on"),
            set("-qas", "terminal-features", CAPABLE_TERMINALS),
            set("-s", "default-terminal", default_terminal()),
            set("-g", "history-limit", &history),
            set("-g", "default-size", &format!("{WIDTH}x{HEIGHT}")),
            set("-g", "status", "off"),
            set("-g", "mouse", "on"),
            set("-g", "set-titles", "off"),
            // A client's environment must not reach the sessions of others.
            set("-g", "update-environment", ""),
            set("-g", "destroy-unattached", "off"),
            set("-gw", "remain-on-exit", "on"),
            // The last screen is the agent's, without a line of tmux's own.
            set("-qgw", "remain-on-exit-format", ""),
            set("-gw", "automatic-rename", "off"),
        ];
        let prefix = self.config.prefix.as_deref().map(|prefix| {
            set("-g", "prefix", prefix).then(Line::new("bind-key").args([prefix, "send-prefix"]))
        });
        rest.into_iter().chain(prefix).fold(home, Line::then)
    }

    /// The server's own answer to who it is, for a port that wants a look.
    pub(super) async fn look_for_port(&self, server: &ServerIdentity) -> ServerLook {
        match self.look_at(server).await {
            Finding::Living(panes) => {
                ServerLook::Living { panes: panes.into_iter().map(Pane::into_look).collect() }
            }
            Finding::Gone => ServerLook::Gone,
            Finding::Unreachable(because) => ServerLook::Unreachable { because },
        }
    }

    /// Every path that is named like the socket of a server, in order.
    fn sockets(&self) -> Result<Vec<PathBuf>, RuntimeError> {
        let unreadable = |error: std::io::Error| RuntimeError::Unavailable {
            message: format!("`{}`: {error}", self.config.socket_dir.display()),
        };
        let entries = match std::fs::read_dir(&self.config.socket_dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(unreadable)?,
        };
        let mut sockets = Vec::new();
        for entry in entries {
            let socket = entry.map_err(unreadable)?.path();
            if is_socket(&socket) {
                sockets.push(socket);
            }
        }
        sockets.sort();
        Ok(sockets)
    }

    /// Looks at every socket of this home, some at a time.
    pub(super) async fn survey_sockets(&self) -> Result<Vec<ServerFound>, RuntimeError> {
        let looks = self.sockets()?.into_iter().map(|socket| async move {
            let answer = match self.find_server(&socket).await {
                Ok(None) => return None,
                Ok(Some((server, panes))) => {
                    let panes = panes.into_iter().map(Pane::into_found).collect();
                    ServerAnswer::Ours { server, panes }
                }
                Err(RuntimeError::Stranger { .. }) => ServerAnswer::Stranger,
                Err(error) => ServerAnswer::Unreachable { because: error.to_string() },
            };
            Some(ServerFound { socket, answer })
        });
        let looks = futures_util::stream::iter(looks).buffered(SURVEYED_AT_ONCE);
        Ok(looks.filter_map(std::future::ready).collect().await)
    }

    /// Ends the servers of this home that hold nothing, and says which.
    pub(super) async fn end_idle(&self) -> Result<Vec<PathBuf>, RuntimeError> {
        let mut ended = Vec::new();
        for socket in self.sockets()? {
            let _turn = self.turn(&socket).await;
            // Who does not answer, or is not ours, is not idle.
            if let Ok(Some((server, panes))) = self.find_server(&socket).await
                && panes.is_empty()
            {
                self.ask(&socket, Line::new("kill-server")).await?;
                // Its listener has nothing to hear any more.
                self.lock().watches.remove(&socket);
                self.remove_socket(&server).await;
                ended.push(socket);
            }
        }
        Ok(ended)
    }
}

impl TmuxRuntime {
    /// Removes the socket that an ended server leaves behind. One that stays is only untidy.
    async fn remove_socket(&self, server: &ServerIdentity) {
        let ended =
            tokio::time::timeout(self.config.timeout, self.processes.watch(&server.process));
        if ended.await == Ok(ProcessEnd::Died)
            && let Err(error) = std::fs::remove_file(&server.socket)
        {
            let socket = server.socket.display();
            tracing::debug!(%socket, %error, "The socket of an ended server stays.");
        }
    }
}

/// Executes a file of the user's. An error in it ends the file and not what follows it, because a
/// command inside of another is a sequence of its own.
fn source(path: &Path) -> Line {
    let path = path.to_string_lossy().replace('\'', r"'\''");
    Line::new("if-shell").args(["-F", "1", &format!("source-file '{path}'")])
}

fn read_table(answer: Result<String, Unanswered>) -> Result<(Server, Vec<Pane>), Unanswered> {
    let malformed = |text: &str| Unanswered::Failed { message: format!("it answered `{text}`") };
    let (text, is_whole) = match answer {
        Ok(text) => (text, true),
        // A server without a session has no table, and calls that an error.
        Err(Unanswered::Refused { stdout, .. }) if !stdout.is_empty() => (stdout, false),
        Err(unanswered) => return Err(unanswered),
    };
    let mut lines = text.lines();
    let server = lines.next().and_then(parse_server).ok_or_else(|| malformed(&text))?;
    if !is_whole && server.has_sessions {
        return Err(malformed(&text));
    }
    let panes = parse_panes(lines).ok_or_else(|| malformed(&text))?;
    Ok((server, panes))
}

/// What programs inside are told about their terminal: the better description, where it is known.
fn default_terminal() -> &'static str {
    let dirs = ["/usr/share/terminfo", "/lib/terminfo", "/etc/terminfo", "/usr/lib/terminfo"];
    let is_known = dirs.iter().any(|dir| Path::new(dir).join("t/tmux-256color").exists());
    if is_known { "tmux-256color" } else { "screen-256color" }
}
