//! The command line of the stand-in.

use std::ffi::OsString;
use std::path::PathBuf;

/// How it is used.
const USAGE: &str =
    "usage: ao-model [--port N] [--log FILE] [--log-text BYTES] [--bodies FILE] [--until-eof]";

/// Bytes of a text that the log tells, where nobody asks for another number.
const LOG_TEXT: usize = 4_000;

/// What the program was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// The port on 127.0.0.1; 0 lets the kernel choose.
    pub port: u16,
    /// The file that gets one line of JSON per request.
    pub log: Option<PathBuf>,
    /// The file that gets the body of each request, one line of JSON each.
    pub bodies: Option<PathBuf>,
    /// How many bytes of each text that file gets.
    pub log_text: usize,
    /// Whether the end of standard input ends the program: nobody is left who wants it.
    pub is_until_eof: bool,
}

/// Why the command line cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    /// An argument that there is not.
    #[error("{0:?} is no argument of this program\n{USAGE}")]
    Unknown(OsString),
    /// An argument without the value that it needs, or with one that is no such value.
    #[error("{0} needs a value that fits\n{USAGE}")]
    Value(&'static str),
}

impl Args {
    /// Reads the arguments that follow the program's name.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, ArgsError> {
        let mut parsed =
            Self { port: 0, log: None, bodies: None, log_text: LOG_TEXT, is_until_eof: false };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            match arg.to_str() {
                Some("--port") => parsed.port = number(args.next().as_ref(), "--port")?,
                Some("--log-text") => parsed.log_text = number(args.next().as_ref(), "--log-text")?,
                Some("--log") => {
                    parsed.log = Some(args.next().ok_or(ArgsError::Value("--log"))?.into());
                }
                Some("--bodies") => {
                    parsed.bodies = Some(args.next().ok_or(ArgsError::Value("--bodies"))?.into());
                }
                Some("--until-eof") => parsed.is_until_eof = true,
                _unknown => return Err(ArgsError::Unknown(arg)),
            }
        }
        Ok(parsed)
    }
}

fn number<N: std::str::FromStr>(
    value: Option<&OsString>,
    of: &'static str,
) -> Result<N, ArgsError> {
    let value = value.and_then(|value| value.to_str());
    value.and_then(|value| value.parse().ok()).ok_or(ArgsError::Value(of))
}
