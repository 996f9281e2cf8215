//! `ao start`: launches the daemon and waits until it has taken in what happened meanwhile.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use ao_api::status::DaemonStatus;
use ao_api::{ErrorBody, ErrorEnvelope, ErrorKind};

use crate::context::Context;
use crate::error::CliError;
use crate::ui::{Ui, text};
use crate::{env, exit, launch};

/// Longest start: a boot takes in a spool and looks at every session, which is seconds even for
/// many. After a minute something is wrong and the log says what.
const START_FOR_MAX: Duration = Duration::from_mins(1);

/// Between two looks: below what a person notices.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// How much of the log is searched for the reason of a failed start.
const LOG_TAIL_BYTES_MAX: u64 = 64 * 1024;

pub(crate) async fn run(context: &Context<'_>, ui: &mut Ui) -> Result<(), CliError> {
    let (status, was_there) = match look(context).await? {
        Some(status) if status.ready => (status, true),
        Some(_starting) => (wait_until_ready(context, ui, None).await?, true),
        None => (launch_and_wait(context, ui).await?, false),
    };
    if ui.is_json() {
        return ui.json(&status);
    }
    let how = if was_there { "already runs" } else { "started" };
    let live = usize::try_from(status.sessions.live).unwrap_or(usize::MAX);
    let sessions = text::count(live, "live session", "live sessions");
    ui.line(format!("ao daemon {how}: pid {}, {sessions}", status.pid))
}

async fn launch_and_wait(context: &Context<'_>, ui: &mut Ui) -> Result<DaemonStatus, CliError> {
    let log_file = context.layout.log_file();
    let unwritable = |error: &std::io::Error| {
        let message = format!("the home cannot be written: `{}`: {error}", log_file.display());
        CliError::new(ErrorKind::Failed, "HOME_UNWRITABLE", message)
            .hint("`AO_HOME` names another directory")
    };
    if let Some(dir) = log_file.parent() {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|error| unwritable(&error))?;
    }
    let log = launch::open_log(&log_file).map_err(|error| unwritable(&error))?;
    let log_start = log.metadata().map_err(|error| unwritable(&error))?.len();
    let program = launch::own_program();
    let child = program
        .and_then(|program| launch::launch_daemon(&program, context.layout.ao_home.as_deref(), log))
        .map_err(|error| {
            let message = format!("the daemon's program cannot be started: {error}");
            CliError::new(ErrorKind::Failed, "DAEMON_NOT_STARTED", message)
        })?;
    ui.progress("ao daemon: starting …");
    wait_until_ready(context, ui, Some(Launched { child, log_start })).await
}

/// The daemon that was just launched, and where its part of the log begins.
struct Launched {
    child: Child,
    log_start: u64,
}

/// Looks until the daemon is ready. A child that ended first has said why, unless another daemon
/// of the same home came first: then that one is waited for.
async fn wait_until_ready(
    context: &Context<'_>,
    ui: &mut Ui,
    mut launched: Option<Launched>,
) -> Result<DaemonStatus, CliError> {
    let mut refusal: Option<ErrorBody> = None;
    let waiting = async {
        loop {
            match look(context).await? {
                Some(status) if status.ready => return Ok(status),
                Some(_starting) => {}
                None => {
                    if let Some(error) = refusal.take_if(|error| error.kind != ErrorKind::Conflict)
                    {
                        return Err(CliError::Own(error));
                    }
                    if launched.is_none() && refusal.is_none() {
                        return Err(ended_at_once(context));
                    }
                }
            }
            if let Some(Launched { child, log_start }) = &mut launched
                && let Ok(Some(ended)) = child.try_wait()
            {
                let code = ended.code().and_then(|code| u8::try_from(code).ok());
                refusal = Some(startup_error(&context.layout.log_file(), *log_start, code));
                launched = None;
                continue;
            }
            env::pause(LOOK_EVERY).await;
        }
    };
    let waited = tokio::time::timeout(START_FOR_MAX, waiting).await;
    waited.unwrap_or_else(|_elapsed| {
        ui.progress("ao daemon: still not ready");
        Err(refusal_or_late(refusal, context))
    })
}

fn refusal_or_late(refusal: Option<ErrorBody>, context: &Context<'_>) -> CliError {
    if let Some(refusal) = refusal {
        return CliError::Own(refusal);
    }
    let message = format!("the daemon was not ready within {} s", START_FOR_MAX.as_secs());
    CliError::new(ErrorKind::NotConfirmed, "START_TIMED_OUT", message)
        .hint(format!("`{}` says what it does", context.layout.log_file().display()))
}

fn ended_at_once(context: &Context<'_>) -> CliError {
    CliError::new(ErrorKind::Failed, "DAEMON_ENDED", "the daemon ended while it started")
        .hint(format!("`{}` says why", context.layout.log_file().display()))
}

/// The daemon about itself; `None` when nobody answers.
async fn look(context: &Context<'_>) -> Result<Option<DaemonStatus>, CliError> {
    match context.client.status().await {
        Ok(status) => Ok(Some(status)),
        Err(error) if error.body().kind == ErrorKind::Unreachable => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Why a daemon ended at its start: the last failure in its part of the log.
fn startup_error(log_file: &Path, log_start: u64, code: Option<u8>) -> ErrorBody {
    let log = read_from(log_file, log_start).unwrap_or_default();
    let told = log.lines().rev().find_map(|line| serde_json::from_str::<ErrorEnvelope>(line).ok());
    told.map_or_else(
        || ErrorBody {
            code: "DAEMON_NOT_STARTED".to_owned(),
            kind: exit::kind_of(code.unwrap_or(exit::FAILED)),
            message: "the daemon ended while it started".to_owned(),
            hint: Some(format!("`{}` holds what it said", log_file.display())),
        },
        |envelope| envelope.error,
    )
}

fn read_from(log_file: &Path, log_start: u64) -> Result<String, std::io::Error> {
    let mut file = std::fs::File::open(log_file)?;
    let len = file.metadata()?.len();
    // A log that was cut meanwhile is read from its beginning.
    let start = if log_start > len { 0 } else { log_start };
    file.seek(SeekFrom::Start(start.max(len.saturating_sub(LOG_TAIL_BYTES_MAX))))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_start_is_told_in_the_daemons_own_words() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("daemon.log");
        let envelope = |code: &str| {
            format!(r#"{{"error":{{"code":"{code}","kind":"failed","message":"m","hint":null}}}}"#)
        };
        let old = envelope("OLD") + "\n";
        let new = format!("INFO Opening.\n{}\nbye\n", envelope("DATABASE_NEWER"));
        std::fs::write(&log, format!("{old}{new}")).unwrap();
        let start = u64::try_from(old.len()).unwrap();
        let error = startup_error(&log, start, Some(exit::FAILED));
        assert_eq!((error.code.as_str(), error.kind), ("DATABASE_NEWER", ErrorKind::Failed));
        assert_eq!(startup_error(&log, 0, None).code, "DATABASE_NEWER");
    }

    #[test]
    fn a_start_that_failed_without_a_word_names_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("daemon.log");
        std::fs::write(&log, "Killed\n").unwrap();
        let error = startup_error(&log, 0, None);
        assert_eq!(error.message, "the daemon ended while it started");
        assert!(error.hint.unwrap().contains("daemon.log"));
    }
}
