//! Any command as a notifier: it gets one inbox item as JSON on its standard input.
//!
//! Exit status 0 means that the notification is handed over. Whatever the command writes is read
//! only for the error that people are shown.

use std::collections::BTreeMap;
use std::time::Duration;

use ao_core::ids::NotifierId;
use ao_core::inbox::{InboxState, Notification};
use ao_core::ports::{BoxFuture, Notifier, NotifyError};
use serde::Serialize;

use crate::cmd::Cmd;

/// Output that is kept: enough for the error, whatever the command writes.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Longest error that is shown: a line of a log, not a log.
const MESSAGE_CHARS_MAX: usize = 300;

/// A command to call.
#[derive(Clone)]
pub struct CommandNotifierConfig {
    /// Its name in the routing table.
    pub id: NotifierId,
    /// The command line.
    pub argv: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
    /// Variables that it gets on top of the daemon's, such as a token; never shown.
    pub secrets: BTreeMap<String, String>,
}

impl std::fmt::Debug for CommandNotifierConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommandNotifierConfig")
            .field("id", &self.id)
            .field("argv", &self.argv)
            .field("timeout", &self.timeout)
            .field("secrets", &self.secrets.keys())
            .finish()
    }
}

/// Calls a command for each notification.
#[derive(Debug, Clone)]
pub struct CommandNotifier {
    config: CommandNotifierConfig,
}

/// An inbox item as SURFACES describes it.
#[derive(Serialize)]
struct Item<'a> {
    id: &'a str,
    session: Option<&'a str>,
    project: Option<&'a str>,
    reaction: &'a str,
    cause: &'a str,
    priority: &'a str,
    title: &'a str,
    text: &'a str,
    at: String,
    state: &'a str,
}

impl CommandNotifier {
    /// A notifier that calls this command.
    pub const fn new(config: CommandNotifierConfig) -> Self {
        Self { config }
    }

    async fn call(&self, notification: &Notification) -> Result<(), String> {
        let mut words = self.config.argv.iter();
        let Some(program) = words.next() else {
            return Err("it has no command to call".to_owned());
        };
        let mut input = item_json(notification)?;
        input.push('\n');
        let mut cmd = Cmd::new(program)
            .args(words)
            .dir("/")
            .stdin(input)
            .timeout(self.config.timeout)
            .output_bytes_max(OUTPUT_BYTES_MAX);
        for (name, value) in &self.config.secrets {
            cmd = cmd.env(name, value);
        }
        let output = cmd.run().await.map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        let said = output.stderr_text();
        let line = said.lines().last().unwrap_or_default();
        let line: String = line.chars().take(MESSAGE_CHARS_MAX).collect();
        let status = output.status;
        Err(if line.is_empty() {
            format!("`{program}` ended with {status}")
        } else {
            format!("`{program}` ended with {status}: {line}")
        })
    }
}

fn item_json(notification: &Notification) -> Result<String, String> {
    let at = jiff::Timestamp::from_millisecond(notification.at.as_millis())
        .map_err(|error| error.to_string())?;
    let item = Item {
        id: notification.id.as_str(),
        session: notification.session.as_ref().map(AsRef::as_ref),
        project: notification.project.as_ref().map(AsRef::as_ref),
        reaction: &notification.reaction,
        cause: &notification.cause,
        priority: notification.priority.as_str(),
        title: &notification.title,
        text: &notification.text,
        at: format!("{at:.3}"),
        state: InboxState::Unread.as_str(),
    };
    serde_json::to_string(&item).map_err(|error| error.to_string())
}

impl Notifier for CommandNotifier {
    fn id(&self) -> &NotifierId {
        &self.config.id
    }

    fn notify<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotifyError>> {
        Box::pin(async move {
            self.call(notification)
                .await
                .map_err(|message| NotifyError { notifier: self.config.id.clone(), message })
        })
    }
}
