//! Everything that can end a command early.

use std::io;

use ao_api::home::HomeError;
use ao_api::{ClientError, ErrorBody, ErrorKind};

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The daemon refused, or could not be asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is no place for anything.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Whatever reads our output went away, or it cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(io::Error),
    /// Something that this program found itself.
    #[error(transparent)]
    Own(ErrorBody),
}

impl CliError {
    /// A failure that this program found itself.
    pub(crate) fn new(kind: ErrorKind, code: &str, message: impl Into<String>) -> Self {
        Self::Own(ErrorBody { code: code.to_owned(), kind, message: message.into(), hint: None })
    }

    /// Arguments that the parser lets through and that still make no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::User, "USAGE", message)
    }

    /// The same failure with a hint, unless it has one.
    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        let mut body = self.body();
        body.hint.get_or_insert_with(|| hint.into());
        Self::Own(body)
    }

    /// Whether the reader of our output just went away: that is not a failure.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The failure in the one shape that all failures have.
    pub(crate) fn body(&self) -> ErrorBody {
        let own = |code: &str, kind, hint: &str| ErrorBody {
            code: code.to_owned(),
            kind,
            message: self.to_string(),
            hint: Some(hint.to_owned()),
        };
        match self {
            Self::Client(error) => error.body(),
            Self::Own(body) => body.clone(),
            Self::Home(error) => {
                let hint = "`AO_HOME` names the directory to use; a short path fits a socket";
                let code = match error {
                    HomeError::SocketPathTooLong { .. } => "HOME_TOO_LONG",
                    HomeError::NoHome
                    | HomeError::NoWorkingDirectory { .. }
                    | HomeError::NotUtf8 { .. } => "HOME_INVALID",
                };
                own(code, ErrorKind::User, hint)
            }
            Self::Output(_) => own("OUTPUT", ErrorKind::Failed, "is the disk full?"),
        }
    }
}
