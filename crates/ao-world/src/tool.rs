//! What the tools of this crate have in common: the words that they are given, what they say to the
//! person who waits, and how they end.

use std::io::{self, Write as _};
use std::process::ExitCode;

/// Why a tool cannot go on.
pub type Failure = Box<dyn std::error::Error>;

/// The `NAME=VALUE` words of the command line. One without a value, which is how `make` passes on
/// what it was not given, is left out.
///
/// # Errors
///
/// A word without `=`.
pub fn words() -> Result<Vec<(String, String)>, Failure> {
    let mut words = Vec::new();
    for word in std::env::args().skip(1) {
        match word.split_once('=') {
            None => return Err(format!("`{word}` is not NAME=VALUE").into()),
            Some((_, "")) => {}
            Some((name, value)) => words.push((name.to_owned(), value.to_owned())),
        }
    }
    Ok(words)
}

/// What is said of a word that no tool of this name takes.
#[must_use]
pub fn unknown(name: &str, known: &str) -> Failure {
    format!("`{name}` is none of {known}").into()
}

/// A line on standard error. Nobody reads it where that is gone, and the exit code stays.
pub fn say(tool: &str, line: &str) {
    drop(writeln!(io::stderr(), "{tool}: {line}"));
}

/// The end of a tool: whether all was well, or why it could not go on.
#[must_use]
pub fn end(tool: &str, ended: Result<bool, Failure>) -> ExitCode {
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(tool, &format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Lets a tool run to its end, or until it is interrupted: dropping it ends what it waits for.
#[cfg(feature = "program")]
pub fn run(tool: &str, work: impl Future<Output = Result<bool, Failure>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.map_err(Failure::from).and_then(|runtime| {
        runtime.block_on(async {
            tokio::select! {
                interrupted = tokio::signal::ctrl_c() => {
                    Err(interrupted.err().map_or_else(|| "interrupted".into(), Failure::from))
                }
                ended = work => ended,
            }
        })
    });
    end(tool, ended)
}
