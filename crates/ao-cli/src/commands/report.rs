//! `ao report`: a program in a session reports a state. It always exits 0: no program may fail
//! because nobody supervises it.

use ao_api::signal::{ReportState, SIGNAL_BYTES_MAX, Signal};
use clap::{Args, ValueEnum};

use super::hook::deliver;
use crate::context::Context;
use crate::error::CliError;

/// Arguments of `ao report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The state.
    pub state: StateArg,
    /// A sentence for people.
    #[arg(long, short)]
    pub message: Option<String>,
}

/// A state as it is written on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum StateArg {
    /// A turn runs.
    Active,
    /// No turn runs, but there is work of its own to come.
    Ready,
    /// The turn ended.
    Idle,
    /// A human is asked for something.
    WaitingInput,
    /// Something on screen waits for a human.
    Blocked,
    /// The work is complete.
    Done,
}

impl From<StateArg> for ReportState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Active => Self::Active,
            StateArg::Ready => Self::Ready,
            StateArg::Idle => Self::Idle,
            StateArg::WaitingInput => Self::WaitingInput,
            StateArg::Blocked => Self::Blocked,
            StateArg::Done => Self::Done,
        }
    }
}

pub(crate) async fn run(args: ReportArgs, context: &Context<'_>) -> Result<(), CliError> {
    let message = args.message.map(|message| cut(message, SIGNAL_BYTES_MAX));
    deliver(Signal::Report { state: args.state.into(), message }, context).await
}

/// The text cut to `max` bytes, between two characters.
pub(crate) fn cut(mut text: String, max: usize) -> String {
    text.truncate(text.floor_char_boundary(max));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut("aä".to_owned(), 2), "a");
        assert_eq!(cut("aä".to_owned(), 3), "aä");
        assert_eq!(cut("aä".to_owned(), 9), "aä");
    }
}
