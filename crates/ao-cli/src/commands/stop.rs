//! `ao stop`: ends the daemon and returns when its process is gone.

use std::time::Duration;

use ao_api::ErrorKind;
use ao_api::status::ShutdownRequest;
use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::ui::{Ui, text};

/// Longest stop: each part of a shutdown is bounded.
const STOP_FOR_MAX: Duration = Duration::from_mins(2);

/// What each session that is ended may add to it: a kill takes 30 seconds at most, and several run
/// at the same time.
const KILL_FOR_MAX: Duration = Duration::from_secs(4);

/// Arguments of `ao stop`.
#[derive(Debug, Args)]
pub struct StopArgs {
    /// End the agents too; their worktrees stay.
    #[arg(long)]
    pub sessions: bool,
}

/// What a stop did.
#[derive(Debug, Serialize)]
struct Stopped {
    /// The process that ended; null when none ran.
    pid: Option<i32>,
    /// The sessions that were ended with it.
    sessions: Vec<String>,
}

pub(crate) async fn run(
    args: StopArgs,
    context: &Context<'_>,
    ui: &mut Ui,
) -> Result<(), CliError> {
    // Taken before it is asked to end: the number could belong to another process afterwards.
    let mut patience = STOP_FOR_MAX;
    let before = match context.client.status().await {
        Ok(status) => {
            let n_live = u32::try_from(status.sessions.live).unwrap_or(u32::MAX);
            if args.sessions {
                patience = patience.saturating_add(KILL_FOR_MAX.saturating_mul(n_live));
            }
            Some((status.pid, process(status.pid)))
        }
        Err(error) if error.body().kind == ErrorKind::Unreachable => {
            return show(ui, &Stopped { pid: None, sessions: Vec::new() });
        }
        // One that cannot tell about its sessions, for instance since its database is damaged, can
        // end all the same.
        Err(_untold) => None,
    };
    let patient = context.client.clone().with_timeout(patience);
    let asked = patient.shutdown(&ShutdownRequest { sessions: args.sessions }).await;
    let (pid, process, sessions) = match (asked, before) {
        (Ok(response), Some((pid, process))) => (pid, process, response.sessions),
        (Ok(response), None) => (response.pid, process(response.pid), response.sessions),
        // Gone before it could answer is gone all the same.
        (Err(error), Some((pid, process)))
            if error.body().kind == ErrorKind::Unreachable && !args.sessions =>
        {
            (pid, process, Vec::new())
        }
        (Err(error), _) => return Err(error.into()),
    };
    ui.progress("ao daemon: stopping …");
    if let Some(process) = process {
        wait_for_end(&process, pid)?;
    }
    show(ui, &Stopped { pid: Some(pid), sessions })
}

/// A handle that names this very process; `None` when it is gone already.
fn process(pid: i32) -> Option<OwnedFd> {
    Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
}

fn wait_for_end(process: &OwnedFd, pid: i32) -> Result<(), CliError> {
    let timeout =
        Timespec { tv_sec: i64::try_from(STOP_FOR_MAX.as_secs()).unwrap_or(i64::MAX), tv_nsec: 0 };
    loop {
        match poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => {
                let message = format!("the daemon (pid {pid}) still runs after {STOP_FOR_MAX:?}");
                return Err(CliError::new(ErrorKind::NotConfirmed, "STOP_TIMED_OUT", message)
                    .hint("`ao stop` again hurries it"));
            }
            Ok(_ended) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                let message = format!("the daemon (pid {pid}) cannot be waited for: {error}");
                return Err(CliError::new(ErrorKind::NotConfirmed, "STOP_UNCLEAR", message));
            }
        }
    }
}

fn show(ui: &mut Ui, stopped: &Stopped) -> Result<(), CliError> {
    if ui.is_json() {
        return ui.json(stopped);
    }
    match stopped {
        Stopped { pid: None, .. } => ui.line("no ao daemon runs"),
        Stopped { pid: Some(_), sessions } if sessions.is_empty() => ui.line("ao daemon stopped"),
        Stopped { pid: Some(_), sessions } => {
            let ended = text::count(sessions.len(), "session", "sessions");
            ui.line(format!("ao daemon stopped, {ended} ended"))
        }
    }
}
