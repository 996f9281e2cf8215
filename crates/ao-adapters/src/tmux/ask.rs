//! One question to a tmux server, and what can come back.

use std::path::Path;

use ao_core::ports::RuntimeError;

use super::TmuxRuntime;
use crate::cmd::{Cmd, CmdError, Output};

/// A sequence of tmux commands that a server executes without another's in between.
#[derive(Debug, Clone)]
pub(super) struct Line {
    args: Vec<String>,
}

impl Line {
    pub(super) fn new(command: &str) -> Self {
        Self { args: vec![command.to_owned()] }
    }

    pub(super) fn arg(mut self, arg: impl AsRef<str>) -> Self {
        self.args.push(literal(arg.as_ref()));
        self
    }

    pub(super) fn args<A: AsRef<str>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| literal(arg.as_ref())));
        self
    }

    /// Another command, executed if the one before succeeded.
    pub(super) fn then(mut self, next: Self) -> Self {
        self.args.push(";".to_owned());
        self.args.extend(next.args);
        self
    }
}

/// tmux takes a `;` at the end of an argument for the end of the command.
fn literal(arg: &str) -> String {
    arg.strip_suffix(';').map_or_else(|| arg.to_owned(), |rest| format!("{rest}\\;"))
}

/// Why a server did not answer a question.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// tmux is not installed.
    Missing { program: String },
    /// Nobody listens at the socket. That proves nothing about a server known by its process.
    NobodyListens { message: String },
    /// It ended while it was asked.
    Ended { message: String },
    /// It was asked and said no.
    Refused { message: String, stdout: String },
    /// No answer in time, or none that could be read.
    Failed { message: String },
}

impl Unanswered {
    pub(super) fn message(&self) -> String {
        match self {
            Self::Missing { program } => format!("`{program}` is not installed"),
            Self::NobodyListens { message }
            | Self::Ended { message }
            | Self::Refused { message, .. }
            | Self::Failed { message } => message.clone(),
        }
    }
}

impl From<Unanswered> for RuntimeError {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Missing { program } => Self::Missing { program },
            Unanswered::NobodyListens { message }
            | Unanswered::Ended { message }
            | Unanswered::Failed { message } => Self::Unavailable { message },
            Unanswered::Refused { message, .. } => Self::Refused { message },
        }
    }
}

impl TmuxRuntime {
    /// A tmux client for a socket, without anything that makes it believe that it is nested.
    pub(super) fn client(&self, socket: &Path) -> Cmd {
        Cmd::new(&self.config.program)
            .args(["-u", "-f", "/dev/null", "-S"])
            .arg(socket)
            .dir(&self.config.stable_dir)
            .env_remove("TMUX")
            .env_remove("TMUX_PANE")
            .timeout(self.config.timeout)
    }

    pub(super) async fn ask(&self, socket: &Path, line: Line) -> Result<String, Unanswered> {
        answer(self.client(socket).args(line.args).run().await)
    }

    pub(super) async fn ask_with_input(
        &self,
        socket: &Path,
        line: Line,
        input: &str,
    ) -> Result<String, Unanswered> {
        answer(self.client(socket).args(line.args).stdin(input).run().await)
    }

    /// The question that starts a server: nothing of ours but the home is in its environment,
    /// which it hands to every session later on.
    pub(super) async fn ask_starting(
        &self,
        socket: &Path,
        line: Line,
    ) -> Result<String, Unanswered> {
        let mut client = self.client(socket);
        for (key, _) in std::env::vars_os() {
            if key.as_encoded_bytes().starts_with(b"AO_") && key != "AO_HOME" {
                client = client.env_remove(key);
            }
        }
        answer(client.args(line.args).run().await)
    }
}

fn answer(ended: Result<Output, CmdError>) -> Result<String, Unanswered> {
    let output = match ended {
        Ok(output) => output,
        Err(CmdError::Missing { program }) => return Err(Unanswered::Missing { program }),
        Err(error @ (CmdError::Io { .. } | CmdError::TimedOut { .. })) => {
            return Err(Unanswered::Failed { message: error.to_string() });
        }
    };
    let stdout = output.stdout_text();
    if output.status.success() {
        return Ok(stdout);
    }
    let message = output.stderr_text();
    let nobody = message.starts_with("no server running")
        || message.starts_with("error connecting") && message.contains("No such file");
    if nobody {
        Err(Unanswered::NobodyListens { message })
    } else if message.starts_with("server exited") || message.starts_with("lost server") {
        Err(Unanswered::Ended { message })
    } else if is_breakdown(&message) {
        Err(Unanswered::Failed { message })
    } else {
        Err(Unanswered::Refused { message, stdout })
    }
}

/// What a client says when it was not the command that failed.
fn is_breakdown(message: &str) -> bool {
    let starts = ["error connecting", "protocol version mismatch"];
    message.is_empty() || starts.iter().any(|start| message.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_cannot_end_its_command() {
        let line = Line::new("new-session").args(["echo;", ";", "a;b"]).then(Line::new("kill"));
        assert_eq!(line.args, ["new-session", r"echo\;", r"\;", "a;b", ";", "kill"]);
    }
}
