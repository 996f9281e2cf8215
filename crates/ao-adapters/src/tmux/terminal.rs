//! The `Terminal` port.

use ao_core::fact::ProcessProbe;
use ao_core::ids::Pid;
use ao_core::ports::{
    AttachMode, BoxFuture, Cursor, Processes as _, RuntimeError, Terminal, TerminalLook,
};
use ao_core::session::RuntimeHandle;

use super::TmuxRuntime;
use super::ask::{Line, Unanswered};
use super::keys::is_key;

/// Lines of output that can be asked for: the scrollback is never longer.
const OUTPUT_LINES_MAX: usize = 1_000_000;

/// A human who typed within this time is typing still.
const TYPING_SECONDS: u64 = 10;

/// Whose pane it is and what it is doing. The title comes last: it may hold anything.
const TERMINAL_FORMAT: &str = "#{pid}:#{pane_id}:#{pane_pid}:#{pane_dead}:#{pane_in_mode}:%s:#{session_id}:#{cursor_flag}:\
     #{cursor_x}:#{cursor_y}:#{pane_title}";

/// Who is attached, where, and when they were last active.
const CLIENT_FORMAT: &str =
    "#{session_id}:#{client_control_mode}:#{client_readonly}:#{client_activity}";

/// Between the clients and the screen.
const SCREEN_FOLLOWS: &str = "ao-screen";

/// Between the screen and the screen with its colours.
const STYLED_FOLLOWS: &str = "ao-styled";

/// What a terminal says about itself.
struct Terminals<'a> {
    is_dead: bool,
    is_in_mode: bool,
    now_s: u64,
    session_id: &'a str,
    cursor: Option<Cursor>,
    title: &'a str,
}

/// The cursor, unless the program hides it.
fn cursor_of(flag: &str, column: &str, row: &str) -> Option<Cursor> {
    let (column, row) = (column.parse().ok()?, row.parse().ok()?);
    (flag == "1").then_some(Cursor { column, row })
}

impl<'a> Terminals<'a> {
    /// Reads the line of a terminal, `None` when it is not the one of this handle.
    fn parse(line: &'a str, handle: &RuntimeHandle) -> Option<Self> {
        let fields: Vec<&str> = line.splitn(11, ':').collect();
        let [server, pane, pid, dead, in_mode, now_s, session_id, flag, column, row, title] =
            fields[..]
        else {
            return None;
        };
        let is_that = server.parse() == Ok(handle.server.process.pid.0)
            && pane == handle.pane
            && pid.parse().map(Pid) == Ok(handle.process.pid);
        is_that.then(|| Self {
            is_dead: dead == "1",
            is_in_mode: in_mode.parse::<u32>().is_ok_and(|n_modes| n_modes > 0),
            now_s: now_s.parse().unwrap_or(0),
            session_id,
            cursor: cursor_of(flag, column, row),
            title,
        })
    }

    /// Whether this line of a client is a human who types here.
    fn is_typing(&self, client: &str) -> bool {
        let fields: Vec<&str> = client.splitn(4, ':').collect();
        let [session_id, control_mode, read_only, active_s] = fields[..] else { return false };
        let is_recent = active_s
            .parse::<u64>()
            .is_ok_and(|active_s| self.now_s.saturating_sub(active_s) < TYPING_SECONDS);
        session_id == self.session_id && control_mode != "1" && read_only != "1" && is_recent
    }
}

fn gone(handle: &RuntimeHandle) -> RuntimeError {
    RuntimeError::Gone { name: handle.session.clone() }
}

impl TmuxRuntime {
    /// Asks about the terminal of a handle; the first line of the answer says whose it is.
    async fn ask_terminal(
        &self,
        handle: &RuntimeHandle,
        rest: Line,
    ) -> Result<String, RuntimeError> {
        if self.processes.probe(&handle.server.process) == ProcessProbe::Dead {
            return Err(gone(handle));
        }
        let line = Line::new("display-message")
            .args(["-p", "-t", &handle.pane, TERMINAL_FORMAT])
            .then(rest);
        match self.ask(&handle.server.socket, line).await {
            Ok(text) => Ok(text),
            Err(Unanswered::Refused { message, .. }) if message.starts_with("can't find") => {
                Err(gone(handle))
            }
            Err(unanswered) => Err(unanswered.into()),
        }
    }

    /// Makes sure that what is typed reaches a running program of this very handle.
    async fn ensure_typable(&self, handle: &RuntimeHandle) -> Result<(), RuntimeError> {
        let text = self.ask_terminal(handle, Line::new("display-message").args(["-p", ""])).await?;
        let first = text.lines().next().unwrap_or_default();
        match Terminals::parse(first, handle) {
            Some(terminal) if !terminal.is_dead => Ok(()),
            Some(_) | None => Err(gone(handle)),
        }
    }

    async fn output(&self, handle: &RuntimeHandle, n_lines: usize) -> Result<String, RuntimeError> {
        let n_lines = n_lines.min(OUTPUT_LINES_MAX);
        let from = format!("-{n_lines}");
        let capture = Line::new("capture-pane").args(["-p", "-J", "-S", &from, "-t", &handle.pane]);
        let text = self.ask_terminal(handle, capture).await?;
        let (first, output) = text.split_once('\n').unwrap_or((&text, ""));
        Terminals::parse(first, handle).ok_or_else(|| gone(handle))?;
        let lines: Vec<&str> = output.trim_end().lines().map(str::trim_end).collect();
        let skipped = lines.len().saturating_sub(n_lines);
        Ok(lines.get(skipped..).unwrap_or_default().join("\n"))
    }

    async fn shown(&self, handle: &RuntimeHandle) -> Result<TerminalLook, RuntimeError> {
        let rest = Line::new("list-clients")
            .args(["-F", CLIENT_FORMAT])
            .then(Line::new("display-message").args(["-p", SCREEN_FOLLOWS]))
            .then(Line::new("capture-pane").args(["-p", "-t", &handle.pane]))
            .then(Line::new("display-message").args(["-p", STYLED_FOLLOWS]))
            .then(Line::new("capture-pane").args(["-p", "-e", "-t", &handle.pane]));
        let text = self.ask_terminal(handle, rest).await?;
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let terminal = Terminals::parse(first, handle).ok_or_else(|| gone(handle))?;
        let clients: Vec<&str> =
            lines.by_ref().take_while(|line| *line != SCREEN_FOLLOWS).collect();
        let screen: Vec<&str> = lines.by_ref().take_while(|line| *line != STYLED_FOLLOWS).collect();
        let styled: Vec<&str> = lines.collect();
        Ok(TerminalLook {
            screen: screen.join("\n").trim_end().to_owned(),
            styled: styled.join("\n").trim_end().to_owned(),
            cursor: terminal.cursor,
            title: terminal.title.to_owned(),
            is_in_mode: terminal.is_in_mode,
            is_human_typing: clients.iter().any(|client| terminal.is_typing(client)),
        })
    }

    async fn paste_text(&self, handle: &RuntimeHandle, text: &str) -> Result<(), RuntimeError> {
        // A control character could end the bracket, and with it turn text into keys.
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            let message = "the text holds a control character".to_owned();
            return Err(RuntimeError::Refused { message });
        }
        if text.is_empty() {
            return Ok(());
        }
        self.ensure_typable(handle).await?;
        let buffer = self.buffer_name();
        // Bracketed where the program asked for it; a line feed is typed as a terminal types it.
        let line = Line::new("load-buffer")
            .args(["-b", &buffer, "-"])
            .then(Line::new("paste-buffer").args(["-p", "-d", "-b", &buffer, "-t", &handle.pane]));
        let Err(unanswered) = self.ask_with_input(&handle.server.socket, line, text).await else {
            return Ok(());
        };
        let delete = Line::new("delete-buffer").args(["-b", &buffer]);
        if let Err(left) = self.ask(&handle.server.socket, delete).await {
            tracing::debug!(because = left.message(), "Paste buffer was not there any more.");
        }
        Err(unanswered.into())
    }

    async fn press_key(&self, handle: &RuntimeHandle, key: &str) -> Result<(), RuntimeError> {
        if !is_key(key) {
            return Err(RuntimeError::Refused { message: format!("`{key}` is not a key") });
        }
        self.ensure_typable(handle).await?;
        let line = Line::new("send-keys").args(["-t", &handle.pane, "--", key]);
        self.ask(&handle.server.socket, line).await.map(drop).map_err(RuntimeError::from)
    }
}

impl Terminal for TmuxRuntime {
    fn get_output<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
        n_lines: usize,
    ) -> BoxFuture<'a, Result<String, RuntimeError>> {
        Box::pin(self.output(handle, n_lines))
    }

    fn look<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
    ) -> BoxFuture<'a, Result<TerminalLook, RuntimeError>> {
        Box::pin(self.shown(handle))
    }

    fn paste<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
        text: &'a str,
    ) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(self.paste_text(handle, text))
    }

    fn press<'a>(
        &'a self,
        handle: &'a RuntimeHandle,
        key: &'a str,
    ) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(self.press_key(handle, key))
    }

    fn attach_command(&self, handle: &RuntimeHandle, mode: AttachMode) -> Vec<String> {
        let socket = handle.server.socket.to_string_lossy();
        // By its exact name, not by the pane: at a server started since, the pane is another's.
        let target = format!("={}", handle.session);
        // Whoever attaches from inside tmux means to.
        let mut argv: Vec<String> =
            ["env", "-u", "TMUX", "-u", "TMUX_PANE", &self.config.program, "-u", "-S", &socket]
                .map(str::to_owned)
                .to_vec();
        argv.push("attach-session".to_owned());
        match mode {
            AttachMode::Interactive => {}
            AttachMode::ReadOnly => argv.push("-r".to_owned()),
        }
        argv.extend(["-t".to_owned(), target]);
        argv
    }
}

#[cfg(test)]
mod tests {
    use ao_core::session::{HANDLE_VERSION, ProcessIdentity, ServerIdentity};
    use ao_core::time::BootId;

    use super::*;

    fn handle() -> RuntimeHandle {
        let process =
            |pid| ProcessIdentity { boot: BootId(1), pid: Pid(pid), start_ticks: 1, nonce: None };
        RuntimeHandle {
            version: HANDLE_VERSION,
            server: ServerIdentity { socket: "/s".into(), process: process(10) },
            session: "app-1".to_owned(),
            pane: "%3".to_owned(),
            process: process(42),
        }
    }

    #[test]
    fn only_the_terminal_of_the_handle_is_recognised() {
        let handle = handle();
        assert!(Terminals::parse("10:%3:42:0:0:1000:$1:1:7:3:title", &handle).is_some());
        for other in [
            "11:%3:42:0:0:1000:$1:1:7:3:another server",
            "10:%4:42:0:0:1000:$1:1:7:3:another pane",
            "10:%3:43:0:0:1000:$1:1:7:3:another process",
            "10::::::1000:::::",
            "",
        ] {
            assert!(Terminals::parse(other, &handle).is_none(), "{other}");
        }
    }

    #[test]
    fn a_title_may_hold_anything() {
        let handle = handle();
        let terminal = Terminals::parse("10:%3:42:0:1:1000:$1:1:7:3:a:b: c", &handle).unwrap();
        assert_eq!(terminal.title, "a:b: c");
        assert!(terminal.is_in_mode);
        assert_eq!(terminal.cursor, Some(Cursor { column: 7, row: 3 }));
    }

    #[test]
    fn a_human_types_who_was_active_here_within_ten_seconds() {
        let handle = handle();
        let terminal = Terminals::parse("10:%3:42:0:0:1000:$1:0:7:3:t", &handle).unwrap();
        assert_eq!(terminal.cursor, None, "the program hides it");
        assert!(terminal.is_typing("$1:0:0:991"));
        for not_typing in ["$1:0:0:990", "$2:0:0:999", "$1:1:0:999", "$1:0:1:999", ""] {
            assert!(!terminal.is_typing(not_typing), "{not_typing}");
        }
    }
}
