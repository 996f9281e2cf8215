//! The typed client: one method for each route, over the daemon's Unix socket.
//!
//! One connection for each request. It prints nothing, retries nothing and starts nothing: what to
//! do about a daemon that is not there is its caller's business.

mod stream;
mod transport;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::agents::{Agent, CallerRequest};
use crate::cleanup::{Cleaned, CleanupRequest, Recovered, RemovedSession};
use crate::config::{ConfigCheck, ConfigView};
use crate::doctor::DoctorReport;
use crate::error::{ErrorBody, ErrorKind, UNKNOWN_ROUTE};
use crate::event::{EventsPage, EventsQuery};
use crate::explain::Explain;
use crate::inbox::{InboxItem, InboxQuery, InboxReadRequest, InboxReadResponse};
use crate::kill::{KillRequest, KillResponse};
use crate::message::{Message, MessageWaitQuery, MessageWaitResponse, SendRequest, SendResponse};
use crate::project::{AddProjectRequest, Project};
use crate::replay::{Replay, ReplayRequest};
use crate::restore::{RestoreRequest, Restored};
use crate::routes::{self, with_id};
use crate::session::{
    RenameRequest, ResolveQuery, Resolved, Session, SessionsQuery, WaitQuery, WaitResponse,
};
use crate::signal::{SignalRequest, SignalResponse};
use crate::spawn::SpawnRequest;
use crate::status::{DaemonStatus, ShutdownRequest, ShutdownResponse};
use crate::terminal::{
    Attach, AttachQuery, Diff, DiffQuery, InterruptResponse, Output, OutputQuery,
};

pub use stream::{EventStream, StreamItem};
use transport::{Exchange, Reply};

/// How long an ordinary request may take: more than any bounded step behind one.
const REQUEST_FOR_MAX: Duration = Duration::from_mins(1);

/// How long a cleanup may take: no session is begun with after five minutes, and the last one may
/// take half a minute to end.
const CLEANUP_FOR_MAX: Duration = Duration::from_mins(10);

/// What is added to a wait that the daemon ends itself.
const WAIT_SLACK: Duration = Duration::from_secs(10);

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens, or whoever did went away before answering.
    #[error("no daemon answers at `{socket}`")]
    Unreachable {
        /// Where it should.
        socket: PathBuf,
        /// What the attempt met.
        source: std::io::Error,
    },
    /// The connection broke after the request was sent: it may have been done.
    #[error("the daemon at `{socket}` went away during the request")]
    Broken {
        /// Where it listened.
        socket: PathBuf,
        /// What was met.
        source: hyper::Error,
    },
    /// It did not answer in time.
    #[error("the daemon at `{socket}` did not answer within {} s", after.as_secs())]
    TimedOut {
        /// Where it listens.
        socket: PathBuf,
        /// How long it was waited for.
        after: Duration,
    },
    /// It said no.
    #[error(transparent)]
    Refused(#[from] ErrorBody),
    /// It does not know this request, because it is of an earlier release.
    #[error("the daemon is version {daemon} and does not know this request of version {client}")]
    OlderDaemon {
        /// The daemon's release.
        daemon: String,
        /// The client's.
        client: &'static str,
    },
    /// It answered something that is not an answer.
    #[error("the daemon's answer to `{request}` cannot be read: {because}")]
    Malformed {
        /// Method and path.
        request: String,
        /// What is wrong with it.
        because: String,
    },
}

impl ClientError {
    /// The failure in the one shape that all failures have.
    pub fn body(&self) -> ErrorBody {
        let (code, kind, hint) = match self {
            Self::Refused(body) => return body.clone(),
            Self::Unreachable { .. } => {
                ("DAEMON_UNREACHABLE", ErrorKind::Unreachable, "`ao start` starts it")
            }
            Self::Broken { .. } => (
                "DAEMON_WENT_AWAY",
                ErrorKind::Unreachable,
                "`ao start` starts it; look before you repeat the command, it may have been done",
            ),
            Self::TimedOut { .. } => (
                "DAEMON_TIMED_OUT",
                ErrorKind::NotConfirmed,
                "look before you repeat the command, it may have been done",
            ),
            Self::OlderDaemon { .. } => (
                "DAEMON_OLDER",
                ErrorKind::Failed,
                "`ao stop`, then `ao start` restarts it; the agents keep running",
            ),
            Self::Malformed { .. } => (
                "MALFORMED_ANSWER",
                ErrorKind::Bug,
                "`ao status` shows the daemon's version; `ao --version` that of this program",
            ),
        };
        let message = self.to_string();
        ErrorBody { code: code.to_owned(), kind, message, hint: Some(hint.to_owned()) }
    }
}

/// Speaks to the daemon of one home.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    request_for_max: Duration,
    daemon_version: Arc<OnceLock<String>>,
}

impl Client {
    /// A client of the daemon that listens at `socket`. It connects with each request.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            request_for_max: REQUEST_FOR_MAX,
            daemon_version: Arc::default(),
        }
    }

    /// The same client with another patience for ordinary requests.
    #[must_use]
    pub fn with_timeout(self, request_for_max: Duration) -> Self {
        Self { request_for_max, ..self }
    }

    /// Where the daemon listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The release of the daemon, once it has answered anything.
    pub fn daemon_version(&self) -> Option<&str> {
        self.daemon_version.get().map(String::as_str)
    }

    /// The daemon about itself.
    pub async fn status(&self) -> Result<DaemonStatus, ClientError> {
        self.get(routes::STATUS).await
    }

    /// Asks the daemon to end. It still runs when this returns: wait for its process.
    pub async fn shutdown(&self, body: &ShutdownRequest) -> Result<ShutdownResponse, ClientError> {
        self.post(routes::SHUTDOWN, body).await
    }

    /// Which agents there are, and whether they can be used.
    pub async fn agents(&self, body: &CallerRequest) -> Result<Vec<Agent>, ClientError> {
        self.post(routes::AGENTS, body).await
    }

    /// Is everything as it should be.
    pub async fn doctor(&self, body: &CallerRequest) -> Result<DoctorReport, ClientError> {
        self.post(routes::DOCTOR, body).await
    }

    /// Mends what can be mended.
    pub async fn doctor_fix(&self, body: &CallerRequest) -> Result<DoctorReport, ClientError> {
        self.post(routes::DOCTOR_FIX, body).await
    }

    /// The configuration in force.
    pub async fn config(&self) -> Result<ConfigView, ClientError> {
        self.get(routes::CONFIG).await
    }

    /// What is wrong with the configuration file.
    pub async fn config_check(&self) -> Result<ConfigCheck, ClientError> {
        self.get(routes::CONFIG_CHECK).await
    }

    /// Every key that the configuration file may have.
    pub async fn config_schema(&self) -> Result<serde_json::Value, ClientError> {
        self.get(routes::CONFIG_SCHEMA).await
    }

    /// The registered projects.
    pub async fn projects(&self) -> Result<Vec<Project>, ClientError> {
        self.get(routes::PROJECTS).await
    }

    /// Registers a repository.
    pub async fn add_project(&self, body: &AddProjectRequest) -> Result<Project, ClientError> {
        self.post(routes::PROJECTS, body).await
    }

    /// One project.
    pub async fn project(&self, id: &str) -> Result<Project, ClientError> {
        self.get(&with_id(routes::PROJECT, id)).await
    }

    /// Forgets a project; its repository is not touched.
    pub async fn remove_project(&self, id: &str) -> Result<Project, ClientError> {
        let exchange = Exchange::new(Method::DELETE, with_id(routes::PROJECT, id));
        self.ask(exchange, self.request_for_max).await
    }

    /// Which session a person means.
    pub async fn resolve(&self, query: &ResolveQuery) -> Result<Resolved, ClientError> {
        self.get_with(routes::RESOLVE, query).await
    }

    /// The sessions.
    pub async fn sessions(&self, query: &SessionsQuery) -> Result<Vec<Session>, ClientError> {
        self.get_with(routes::SESSIONS, query).await
    }

    /// Asks for a new session.
    pub async fn spawn(&self, body: &SpawnRequest) -> Result<Session, ClientError> {
        self.post(routes::SESSIONS, body).await
    }

    /// One session.
    pub async fn session(&self, id: &str) -> Result<Session, ClientError> {
        self.get(&with_id(routes::SESSION, id)).await
    }

    /// One session, once it is as asked.
    pub async fn wait(&self, id: &str, query: &WaitQuery) -> Result<WaitResponse, ClientError> {
        let exchange =
            Exchange::new(Method::GET, with_id(routes::SESSION_WAIT, id)).with_query(query)?;
        self.ask(exchange, patience(query.timeout_ms)).await
    }

    /// Ends a session.
    pub async fn kill(&self, id: &str, body: &KillRequest) -> Result<KillResponse, ClientError> {
        self.post(&with_id(routes::SESSION_KILL, id), body).await
    }

    /// Brings an ended session back.
    pub async fn restore(&self, id: &str, body: &RestoreRequest) -> Result<Restored, ClientError> {
        self.post(&with_id(routes::SESSION_RESTORE, id), body).await
    }

    /// Frees what ended sessions hold and nobody needs any more.
    pub async fn cleanup(&self, body: &CleanupRequest) -> Result<Vec<Cleaned>, ClientError> {
        let exchange = Exchange::new(Method::POST, routes::CLEANUP.to_owned()).with_body(body)?;
        self.ask(exchange, CLEANUP_FOR_MAX).await
    }

    /// Gets back what was set aside of a session.
    pub async fn recover(&self, id: &str) -> Result<Recovered, ClientError> {
        let path = with_id(routes::SESSION_RECOVER, id);
        let exchange = Exchange::new(Method::POST, path).with_body(&())?;
        self.ask(exchange, CLEANUP_FOR_MAX).await
    }

    /// Removes the record of an ended session.
    pub async fn remove_session(&self, id: &str) -> Result<RemovedSession, ClientError> {
        let exchange = Exchange::new(Method::DELETE, with_id(routes::SESSION, id));
        self.ask(exchange, self.request_for_max).await
    }

    /// Presses the agent's own interrupt key.
    pub async fn interrupt(&self, id: &str) -> Result<InterruptResponse, ClientError> {
        self.post(&with_id(routes::SESSION_INTERRUPT, id), &()).await
    }

    /// Gives a session another name.
    pub async fn rename(&self, id: &str, body: &RenameRequest) -> Result<Session, ClientError> {
        self.post(&with_id(routes::SESSION_RENAME, id), body).await
    }

    /// The messages of a session.
    pub async fn messages(&self, id: &str) -> Result<Vec<Message>, ClientError> {
        self.get(&with_id(routes::SESSION_MESSAGES, id)).await
    }

    /// Tells an agent something.
    pub async fn send(&self, id: &str, body: &SendRequest) -> Result<SendResponse, ClientError> {
        self.post(&with_id(routes::SESSION_MESSAGES, id), body).await
    }

    /// A receipt, once the message got as far as asked.
    pub async fn wait_message(
        &self,
        id: &str,
        query: &MessageWaitQuery,
    ) -> Result<MessageWaitResponse, ClientError> {
        let exchange =
            Exchange::new(Method::GET, with_id(routes::MESSAGE_WAIT, id)).with_query(query)?;
        self.ask(exchange, patience(query.timeout_ms)).await
    }

    /// What a session's terminal shows.
    pub async fn output(&self, id: &str, query: &OutputQuery) -> Result<Output, ClientError> {
        self.get_with(&with_id(routes::SESSION_OUTPUT, id), query).await
    }

    /// What provisioning a session printed.
    pub async fn setup(&self, id: &str) -> Result<Output, ClientError> {
        self.get(&with_id(routes::SESSION_SETUP, id)).await
    }

    /// The end of its agent's own transcript.
    pub async fn transcript(&self, id: &str, query: &OutputQuery) -> Result<Output, ClientError> {
        self.get_with(&with_id(routes::SESSION_TRANSCRIPT, id), query).await
    }

    /// What a session changed.
    pub async fn diff(&self, id: &str, query: &DiffQuery) -> Result<Diff, ClientError> {
        self.get_with(&with_id(routes::SESSION_DIFF, id), query).await
    }

    /// How a human gets into a session's terminal.
    pub async fn attach(&self, id: &str, query: &AttachQuery) -> Result<Attach, ClientError> {
        self.get_with(&with_id(routes::SESSION_ATTACH, id), query).await
    }

    /// Why a session has its status.
    pub async fn explain(&self, id: &str) -> Result<Explain, ClientError> {
        self.get(&with_id(routes::SESSION_EXPLAIN, id)).await
    }

    /// A session's journal, decided again by today's rules.
    pub async fn replay(&self, id: &str) -> Result<Replay, ClientError> {
        self.get(&with_id(routes::SESSION_REPLAY, id)).await
    }

    /// A session's journal, decided again under another policy.
    pub async fn replay_with(&self, id: &str, body: &ReplayRequest) -> Result<Replay, ClientError> {
        self.post(&with_id(routes::SESSION_REPLAY, id), body).await
    }

    /// Says what a program inside a session has to say.
    pub async fn signal(
        &self,
        id: &str,
        body: &SignalRequest,
    ) -> Result<SignalResponse, ClientError> {
        self.post(&with_id(routes::SESSION_SIGNAL, id), body).await
    }

    /// Notifications.
    pub async fn inbox(&self, query: &InboxQuery) -> Result<Vec<InboxItem>, ClientError> {
        self.get_with(routes::INBOX, query).await
    }

    /// Marks notifications as read.
    pub async fn inbox_read(
        &self,
        body: &InboxReadRequest,
    ) -> Result<InboxReadResponse, ClientError> {
        self.post(routes::INBOX_READ, body).await
    }

    /// A page of changes.
    pub async fn events(&self, query: &EventsQuery) -> Result<EventsPage, ClientError> {
        self.get_with(routes::EVENTS, query).await
    }

    /// Changes as they happen, after the cursor when there is one.
    pub async fn follow_events(&self, after: Option<u64>) -> Result<EventStream, ClientError> {
        let query = EventsQuery { after, limit: None };
        let exchange = Exchange::new(Method::GET, routes::EVENTS_STREAM.to_owned())
            .with_query(&query)?
            .with_last_event_id(after);
        let opening = transport::open(&self.socket, exchange);
        let streaming = self.within(self.request_for_max, opening).await?;
        EventStream::open(self.socket.clone(), streaming).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Exchange::new(Method::GET, path.to_owned()), self.request_for_max).await
    }

    async fn get_with<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
    ) -> Result<T, ClientError> {
        let exchange = Exchange::new(Method::GET, path.to_owned()).with_query(query)?;
        self.ask(exchange, self.request_for_max).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let exchange = Exchange::new(Method::POST, path.to_owned()).with_body(body)?;
        self.ask(exchange, self.request_for_max).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        exchange: Exchange,
        max: Duration,
    ) -> Result<T, ClientError> {
        let request = exchange.to_string();
        let reply = self.within(max, transport::perform(&self.socket, exchange)).await?;
        if let Some(version) = &reply.daemon_version {
            self.daemon_version.get_or_init(|| version.clone());
        }
        read(&request, &reply)
    }

    async fn within<T>(
        &self,
        max: Duration,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        tokio::time::timeout(max, work).await.unwrap_or_else(|_elapsed| {
            Err(ClientError::TimedOut { socket: self.socket.clone(), after: max })
        })
    }
}

/// The daemon ends a wait; this only ends one whose daemon hangs.
fn patience(timeout_ms: Option<u64>) -> Duration {
    let asked = timeout_ms.unwrap_or(crate::session::WAIT_MS_MAX).min(crate::session::WAIT_MS_MAX);
    Duration::from_millis(asked) + WAIT_SLACK
}

/// Reads an answer, or the failure that it carries.
fn read<T: DeserializeOwned>(request: &str, reply: &Reply) -> Result<T, ClientError> {
    let malformed =
        |because: String| ClientError::Malformed { request: request.to_owned(), because };
    if !reply.status.is_success() {
        return Err(refusal(request, reply));
    }
    serde_json::from_slice(&reply.body).map_err(|error| malformed(error.to_string()))
}

/// The failure that an answer carries; an earlier release is named as the cause when it is one.
fn refusal(request: &str, reply: &Reply) -> ClientError {
    let envelope = serde_json::from_slice::<crate::ErrorEnvelope>(&reply.body);
    let is_unknown = envelope.as_ref().is_ok_and(|e| e.error.code == UNKNOWN_ROUTE);
    match (envelope, &reply.daemon_version) {
        (_, Some(daemon)) if is_unknown && daemon != crate::VERSION => {
            ClientError::OlderDaemon { daemon: daemon.clone(), client: crate::VERSION }
        }
        (Ok(envelope), _) => ClientError::Refused(envelope.error),
        (Err(_), _) => ClientError::Malformed {
            request: request.to_owned(),
            because: format!("HTTP {} without an error envelope", reply.status.as_u16()),
        },
    }
}
