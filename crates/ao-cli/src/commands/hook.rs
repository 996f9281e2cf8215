//! `ao hook`: an agent hands over an event, its payload on standard input. It always exits 0 and
//! prints nothing that an agent could take for an answer.

use std::io::IsTerminal as _;
use std::time::Duration;

use ao_api::signal::{SIGNAL_BYTES_MAX, SIGNAL_VERSION, Signal, SignalRequest};
use ao_api::spool::Spool;
use ao_api::{ClientError, ErrorBody, ErrorKind};
use clap::Args;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::context::Context;
use crate::env;
use crate::error::CliError;

/// Longest wait for a payload: agents write it at once, and one that never closes the pipe must
/// not hang on its own hook.
const PAYLOAD_FOR_MAX: Duration = Duration::from_secs(1);

/// Longest wait for the daemon: the agent stands still meanwhile, and the spool is as safe.
const DELIVERY_FOR_MAX: Duration = Duration::from_millis(100);

/// Most that is read: what is not kept is read all the same, because an agent may fail on a pipe
/// that is closed early. Beyond this it is no payload.
const PAYLOAD_BYTES_READ_MAX: usize = 16 * 1024 * 1024;

/// Arguments of `ao hook`.
#[derive(Debug, Args)]
pub struct HookArgs {
    /// The agent.
    pub agent: String,
    /// The event, in the agent's words.
    pub event: String,
}

pub(crate) async fn run(args: HookArgs, context: &Context<'_>) -> Result<(), CliError> {
    let payload = if std::io::stdin().is_terminal() {
        Payload::default()
    } else {
        Payload::read(tokio::io::stdin()).await
    };
    let HookArgs { agent, event } = args;
    let truncated = payload.is_truncated;
    deliver(Signal::Hook { agent, event, payload: payload.into_text(), truncated }, context).await
}

/// Hands a signal of this process's session to the daemon, stamped with the start of this process.
/// One that the daemon did not take in time goes to the spool.
///
/// A program outside any session has nothing to say: that is no failure.
pub(crate) async fn deliver(signal: Signal, context: &Context<'_>) -> Result<(), CliError> {
    let Some(session) = context.env.var("AO_SESSION_ID") else { return Ok(()) };
    let request = SignalRequest {
        version: SIGNAL_VERSION,
        id: fact_id(context.env.started.wall_ms)?,
        launch_id: context.env.var("AO_LAUNCH_ID").map(str::to_owned),
        at: context.env.started.clone(),
        signal,
    };
    let client = context.client.clone().with_timeout(DELIVERY_FOR_MAX);
    match client.signal(session, &request).await {
        Ok(_) => Ok(()),
        // Nothing would fence it from a later launch.
        Err(error) if is_final(&error) || request.launch_id.is_none() => Err(error.into()),
        // It may have been taken in all the same: its id tells the daemon.
        Err(_) => {
            Spool::new(context.layout.spool_dir()).write(session, &request).map_err(|error| {
                CliError::new(ErrorKind::Failed, "SPOOL_UNWRITABLE", error.to_string())
            })
        }
    }
}

/// Whether the daemon would say the same again.
const fn is_final(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Refused(ErrorBody { kind: ErrorKind::User | ErrorKind::NotFound, .. })
    )
}

/// A name that nobody else draws; later ones sort later, as far as the wall clock goes forward.
fn fact_id(wall_ms: i64) -> Result<String, CliError> {
    let drawn = env::fresh_id().map_err(|error| {
        CliError::new(ErrorKind::Failed, "NO_RANDOMNESS", format!("no id can be drawn: {error}"))
    })?;
    Ok(format!("{:012x}{drawn}", wall_ms.max(0)))
}

/// What came on standard input, as far as it is kept.
#[derive(Debug, Default)]
struct Payload {
    bytes: Vec<u8>,
    is_truncated: bool,
}

impl Payload {
    /// Reads until the end, the bound or the deadline.
    async fn read(input: impl AsyncRead + Unpin) -> Self {
        let mut payload = Self::default();
        // Cut off by the deadline, what came so far is kept.
        let read = tokio::time::timeout(PAYLOAD_FOR_MAX, payload.read_from(input)).await;
        payload.is_truncated |= read.is_err();
        payload
    }

    async fn read_from(&mut self, mut input: impl AsyncRead + Unpin) {
        let mut buffer = vec![0_u8; 8_192];
        let mut n_read = 0;
        while n_read < PAYLOAD_BYTES_READ_MAX {
            let n = match input.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(n) => n,
            };
            n_read += n;
            let room = SIGNAL_BYTES_MAX.saturating_sub(self.bytes.len());
            self.is_truncated |= n > room;
            self.bytes.extend(buffer.iter().take(n.min(room)));
        }
    }

    fn into_text(self) -> String {
        // A character cut in half at the bound becomes the replacement, which is longer.
        super::report::cut(String::from_utf8_lossy(&self.bytes).into_owned(), SIGNAL_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_payload_is_kept_up_to_its_bound_and_read_to_its_end() {
        let long = vec![b'x'; SIGNAL_BYTES_MAX * 3];
        let mut rest = long.as_slice();
        let payload = Payload::read(&mut rest).await;
        assert!(payload.is_truncated && rest.is_empty());
        assert_eq!(payload.into_text().len(), SIGNAL_BYTES_MAX);

        let exact = vec![b'x'; SIGNAL_BYTES_MAX];
        let payload = Payload::read(exact.as_slice()).await;
        assert!(!payload.is_truncated);
        assert_eq!(payload.into_text().len(), SIGNAL_BYTES_MAX);
    }

    #[test]
    fn later_facts_sort_later_and_no_two_are_the_same() {
        let [first, second, third] = [9, 10, 10].map(|wall_ms| fact_id(wall_ms).unwrap());
        assert!(first < second && first < third && second != third);
        assert!(fact_id(-1).unwrap().len() == first.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pipe_that_nobody_closes_holds_no_agent() {
        let (mut writer, reader) = tokio::io::duplex(64);
        tokio::io::AsyncWriteExt::write_all(&mut writer, b"{}").await.unwrap();
        let payload = Payload::read(reader).await;
        assert!(payload.is_truncated);
        assert_eq!(payload.into_text(), "{}");
    }
}
