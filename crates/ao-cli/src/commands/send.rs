//! `ao send`: tells agents something, and says how far that got.

use std::time::Duration;

use ao_api::ErrorKind;
use ao_api::message::{MessageGoal, MessageWaitQuery, SendRequest, SendResponse};
use ao_api::session::{WAIT_MS_MAX, WaitOutcome};
use clap::{Args, ValueEnum};

use super::wait::Budget;
use crate::context::Context;
use crate::error::CliError;
use crate::stdin;
use crate::ui::{Ui, text};

/// How long `--wait` waits unless told otherwise: a turn that takes longer is no surprise, and a
/// script that wants to wait for it says so.
const WAIT_FOR: Duration = Duration::from_mins(10);

/// Arguments of `ao send`.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// The session, then the text. With `--file` or after `--` all of these are sessions.
    #[arg(required = true, value_name = "ID [TEXT]")]
    pub words: Vec<String>,
    /// The text, when several sessions are named.
    #[arg(last = true, value_name = "TEXT")]
    pub text: Vec<String>,
    /// The text is in this file; `-` is standard input.
    #[arg(long, short, value_name = "F", conflicts_with = "text")]
    pub file: Option<String>,
    /// Return only once the message got this far.
    #[arg(long, value_name = "GOAL")]
    pub wait: Option<GoalArg>,
    /// Give up waiting after this long [default: 10m].
    #[arg(long, value_name = "D", value_parser = crate::duration::parse, requires = "wait")]
    pub timeout: Option<Duration>,
    /// The same key again says nothing twice.
    #[arg(long, value_name = "K")]
    pub idempotency_key: Option<String>,
}

/// How far a message has to get, as it is written on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum GoalArg {
    /// In the terminal, Enter pressed.
    Typed,
    /// The agent took it in.
    Submitted,
    /// Its turn began.
    Acknowledged,
    /// Its turn ended.
    Idle,
}

impl From<GoalArg> for MessageGoal {
    fn from(goal: GoalArg) -> Self {
        match goal {
            GoalArg::Typed => Self::Typed,
            GoalArg::Submitted => Self::Submitted,
            GoalArg::Acknowledged => Self::Acknowledged,
            GoalArg::Idle => Self::Idle,
        }
    }
}

pub(crate) async fn run(
    args: SendArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let (named, text) = split(args.words, &args.text, args.file.as_deref())?;
    let mut ids = Vec::new();
    for name in &named {
        ids.push(context.session_id(Some(name)).await?);
    }
    let mut receipts = Vec::new();
    for id in &ids {
        let key = args.idempotency_key.as_ref();
        let idempotency_key =
            key.map(|key| if ids.len() > 1 { format!("{key}-{id}") } else { key.clone() });
        let request = SendRequest { text: text.clone(), idempotency_key };
        receipts.push(context.client.send(id, &request).await?);
    }
    if let Some(goal) = args.wait {
        let limit = args.timeout.unwrap_or(WAIT_FOR);
        let mut budget = Budget::of(Some(limit));
        for receipt in &mut receipts {
            *receipt = wait(receipt, goal.into(), &mut budget, context).await?;
        }
    }
    show(&receipts, ui)
}

/// Which words are sessions and which are the text.
fn split(
    mut words: Vec<String>,
    text: &[String],
    file: Option<&str>,
) -> Result<(Vec<String>, String), CliError> {
    let text = if let Some(file) = file {
        stdin::read_text(file)?
    } else if !text.is_empty() {
        text.join(" ")
    } else {
        words.split_off(1.min(words.len())).join(" ")
    };
    if text.trim().is_empty() {
        let error = CliError::usage("there is nothing to send");
        return Err(error.hint("`ao send ID TEXT`, or `ao send ID --file -` for standard input"));
    }
    Ok((words, text))
}

async fn wait(
    receipt: &SendResponse,
    goal: MessageGoal,
    budget: &mut Budget,
    context: &Context<'_>,
) -> Result<SendResponse, CliError> {
    loop {
        let slice = budget.slice();
        let timeout_ms = Some(u64::try_from(slice.as_millis()).unwrap_or(WAIT_MS_MAX));
        let query = MessageWaitQuery { goal, timeout_ms };
        let waited = context.client.wait_message(&receipt.message_id, &query).await?;
        match waited.outcome {
            WaitOutcome::Reached => return Ok(waited.receipt),
            WaitOutcome::Over => return Err(not_reached(&waited.receipt, goal)),
            WaitOutcome::TimedOut if budget.spend(slice) => {
                return Err(not_confirmed(&waited.receipt, goal, "WAIT_TIMED_OUT"));
            }
            WaitOutcome::TimedOut => {}
        }
    }
}

/// The message is final and did not get there.
fn not_reached(receipt: &SendResponse, goal: MessageGoal) -> CliError {
    let told = |kind, code: &str| {
        let reason = receipt.reason.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
        let message = format!("message {} is {}{reason}", receipt.message_id, receipt.state);
        CliError::new(kind, code, message)
            .hint(format!("`ao explain {}` says what the session does", receipt.session))
    };
    match receipt.state.as_str() {
        "refused" => told(ErrorKind::Failed, "MESSAGE_REFUSED"),
        "superseded" | "cancelled" => told(ErrorKind::Conflict, "MESSAGE_DROPPED"),
        "expired" => told(ErrorKind::NotConfirmed, "MESSAGE_EXPIRED"),
        "in_doubt" => told(ErrorKind::NotConfirmed, "MESSAGE_IN_DOUBT"),
        _ => not_confirmed(receipt, goal, "NOT_CONFIRMED"),
    }
}

fn not_confirmed(receipt: &SendResponse, goal: MessageGoal, code: &str) -> CliError {
    let reason = receipt.reason.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
    let SendResponse { message_id, state, session, .. } = receipt;
    let message = format!("message {message_id} is {state}{reason}, not {}", goal.as_str());
    CliError::new(ErrorKind::NotConfirmed, code, message)
        .hint(format!("`ao messages {session}` shows how far it got"))
}

fn show(receipts: &[SendResponse], ui: &mut Ui) -> Result<(), CliError> {
    if ui.is_json() {
        return match receipts {
            [one] => ui.json(one),
            all => ui.json(&all),
        };
    }
    for receipt in receipts {
        let reason = receipt.reason.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
        ui.line(format!("{} {}{reason}", receipt.message_id, receipt.state))?;
        if receipt.stripped > 0 {
            let n = usize::try_from(receipt.stripped).unwrap_or(usize::MAX);
            ui.note(format!(
                "Hint: {} taken out",
                text::count(n, "character was", "characters were")
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &[&str], text: &[&str], expect: (&[&str], &str)) {
        let own = |words: &[&str]| words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>();
        let (named, text) = split(own(words), &own(text), None).unwrap();
        assert_eq!((named, text.as_str()), (own(expect.0), expect.1));
    }

    #[test]
    fn the_first_word_is_the_session_unless_the_text_stands_apart() {
        check(&["app-1", "fix", "it"], &[], (&["app-1"], "fix it"));
        check(&["app-1", "app-2"], &["fix", "--all"], (&["app-1", "app-2"], "fix --all"));
    }

    #[test]
    fn nothing_to_send_is_malformed() {
        let error = split(vec!["app-1".to_owned()], &[], None).unwrap_err();
        assert_eq!(error.body().kind, ErrorKind::User);
    }

    #[test]
    fn a_message_that_cannot_arrive_names_its_fate() {
        let receipt = |state: &str, reason: Option<&str>| SendResponse {
            session: "app-1".to_owned(),
            message_id: "m-1".to_owned(),
            state: state.to_owned(),
            reason: reason.map(str::to_owned),
            confirmed: false,
            stripped: 0,
        };
        let told = |state, reason| {
            let body = not_reached(&receipt(state, reason), MessageGoal::Submitted).body();
            format!("{} {:?}: {}", body.code, body.kind, body.message)
        };
        insta::assert_snapshot!(told("in_doubt", Some("interrupted")), @"MESSAGE_IN_DOUBT NotConfirmed: message m-1 is in_doubt (interrupted)");
        insta::assert_snapshot!(told("typed", Some("cannot_confirm")), @"NOT_CONFIRMED NotConfirmed: message m-1 is typed (cannot_confirm), not submitted");
        insta::assert_snapshot!(told("cancelled", Some("session_ended")), @"MESSAGE_DROPPED Conflict: message m-1 is cancelled (session_ended)");
    }
}
