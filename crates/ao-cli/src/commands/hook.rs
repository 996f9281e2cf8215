//! `ao hook`: an agent hands over an event, its payload on standard input. It always exits 0 and
//! prints nothing that an agent could take for an answer.

use std::os::fd::AsFd;
use std::time::Duration;

use ao_api::payload;
use ao_api::signal::{SIGNAL_VERSION, Signal, SignalRequest};
use ao_api::spool::Spool;
use ao_api::{ClientError, ErrorBody, ErrorKind};
use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

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
    let payload = if context.env.is_input_terminal {
        Payload::default()
    } else {
        Payload::read(std::io::stdin(), PAYLOAD_FOR_MAX)
    };
    let HookArgs { agent, event } = args;
    let (payload, truncated) = payload.reduced();
    deliver(Signal::Hook { agent, event, payload, truncated }, context).await
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

/// What came on standard input.
#[derive(Debug, Default)]
struct Payload {
    bytes: Vec<u8>,
    /// Whether there was, or may have been, more.
    is_broken_off: bool,
}

impl Payload {
    /// Reads until the end, the bound or the deadline; what came before it is kept.
    ///
    /// It waits on the descriptor itself: nothing else happens in this process meanwhile, and a
    /// thread that reads costs more than all that it reads.
    fn read(input: impl AsFd, for_max: Duration) -> Self {
        let mut payload = Self::default();
        let mut buffer = vec![0_u8; 64 * 1024];
        let deadline = env::uptime() + for_max;
        while payload.bytes.len() < PAYLOAD_BYTES_READ_MAX {
            let left = deadline.saturating_sub(env::uptime());
            if left.is_zero() {
                break;
            }
            let n = match wait_for(&input, left) {
                Ok(true) => rustix::io::read(&input, &mut buffer),
                Ok(false) => Err(Errno::TIMEDOUT),
                Err(error) => Err(error),
            };
            match n {
                Ok(0) => return payload,
                Ok(n) => payload.bytes.extend_from_slice(buffer.get(..n).unwrap_or(&buffer)),
                Err(Errno::INTR) => {}
                Err(_broken) => break,
            }
        }
        payload.is_broken_off = true;
        payload
    }

    /// What of it is sent, and whether anything of it is not.
    fn reduced(self) -> (String, bool) {
        // Nearly always it is text; asking that first is several times quicker than repairing it.
        let text = String::from_utf8(self.bytes)
            .unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned());
        let reduced = payload::reduce(&text);
        (reduced.text, reduced.is_cut || self.is_broken_off)
    }
}

/// Whether there is something to read, the end included, before the time is up.
fn wait_for(input: &impl AsFd, for_max: Duration) -> Result<bool, Errno> {
    let for_max = Timespec {
        tv_sec: i64::try_from(for_max.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: for_max.subsec_nanos().into(),
    };
    let n_ready = poll(&mut [PollFd::new(input, PollFlags::IN)], Some(&for_max))?;
    Ok(n_ready > 0)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use ao_api::signal::SIGNAL_BYTES_MAX;

    use super::*;

    /// Reads what a thread writes into a pipe and closes.
    fn read_written(bytes: Vec<u8>) -> (usize, Payload) {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let writing = std::thread::spawn(move || {
            writer.write_all(&bytes).map(|()| bytes.len()).unwrap_or_default()
        });
        let payload = Payload::read(&reader, Duration::from_secs(30));
        drop(reader);
        (writing.join().unwrap(), payload)
    }

    #[test]
    fn a_payload_is_read_to_its_end_and_kept_up_to_its_bound() {
        let json = format!("{{\"session_id\":\"s\",\"prompt\":\"{}\"}}", "x".repeat(1 << 20));
        let (n_written, payload) = read_written(json.clone().into_bytes());
        assert_eq!(n_written, json.len());
        let (text, truncated) = payload.reduced();
        assert!(truncated && text.len() < SIGNAL_BYTES_MAX);
        assert!(text.starts_with("{\"session_id\":\"s\",\"prompt\":\"xx") && text.ends_with("\"}"));

        let (_, payload) = read_written(b"{\"a\": 1}".to_vec());
        assert_eq!(payload.reduced(), ("{\"a\":1}".to_owned(), false));
        let (_, payload) = read_written(vec![0xff; SIGNAL_BYTES_MAX]);
        let (text, truncated) = payload.reduced();
        assert!(truncated && text.len() <= SIGNAL_BYTES_MAX, "a replacement is longer than a byte");
    }

    #[test]
    fn what_is_no_payload_any_more_is_not_read_for_ever() {
        let (n_written, payload) = read_written(vec![b'x'; 2 * PAYLOAD_BYTES_READ_MAX]);
        assert_eq!(n_written, 0, "its writer meets a closed pipe");
        assert!(payload.is_broken_off);
    }

    #[test]
    fn later_facts_sort_later_and_no_two_are_the_same() {
        let [first, second, third] = [9, 10, 10].map(|wall_ms| fact_id(wall_ms).unwrap());
        assert!(first < second && first < third && second != third);
        assert!(fact_id(-1).unwrap().len() == first.len());
    }

    #[test]
    fn a_pipe_that_nobody_closes_holds_no_agent() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"{}").unwrap();
        let payload = Payload::read(&reader, Duration::from_millis(10));
        assert_eq!(payload.reduced(), ("{}".to_owned(), true));
        drop(writer);
    }
}
