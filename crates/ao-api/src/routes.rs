//! The routes, all under [`PREFIX`]. `{id}` is an exact id: [`RESOLVE`] turns what a person typed
//! into one.
//!
//! | method | path | query / body | answer |
//! |---|---|---|---|
//! | GET | `/status` | | [`DaemonStatus`](crate::status::DaemonStatus); also answered while starting |
//! | POST | `/shutdown` | [`ShutdownRequest`](crate::status::ShutdownRequest) | 202 [`ShutdownResponse`](crate::status::ShutdownResponse) |
//! | GET | `/doctor` | | [`DoctorReport`](crate::doctor::DoctorReport) |
//! | POST | `/doctor` | [`CallerRequest`](crate::agents::CallerRequest) | [`DoctorReport`](crate::doctor::DoctorReport), as it is where the caller stands |
//! | POST | `/doctor/fix` | [`CallerRequest`](crate::agents::CallerRequest) | the same, after mending what can be mended |
//! | GET | `/agents` | | `[`[`Agent`](crate::agents::Agent)`]`, by name, as the daemon finds them |
//! | POST | `/agents` | [`CallerRequest`](crate::agents::CallerRequest) | `[`[`Agent`](crate::agents::Agent)`]`, as the caller would |
//! | GET | `/config` | | [`ConfigView`](crate::config::ConfigView) |
//! | GET | `/config/check` | | [`ConfigCheck`](crate::config::ConfigCheck): the file as it is on disk now |
//! | GET | `/config/schema` | | a JSON schema |
//! | GET | `/projects` | | `[`[`Project`](crate::project::Project)`]` |
//! | POST | `/projects` | [`AddProjectRequest`](crate::project::AddProjectRequest) | 201, or 200 for the same again: [`Project`](crate::project::Project) |
//! | GET | `/projects/{id}` | | [`Project`](crate::project::Project) |
//! | DELETE | `/projects/{id}` | | [`Project`](crate::project::Project); 409 while it has live sessions |
//! | GET | `/resolve` | [`ResolveQuery`](crate::session::ResolveQuery) | [`Resolved`](crate::session::Resolved) |
//! | GET | `/sessions` | [`SessionsQuery`](crate::session::SessionsQuery) | `[`[`Session`](crate::session::Session)`]`, oldest first |
//! | POST | `/sessions` | [`SpawnRequest`](crate::spawn::SpawnRequest) | 201 [`Session`](crate::session::Session), as soon as it is seeded |
//! | GET | `/sessions/{id}` | | [`Session`](crate::session::Session) |
//! | DELETE | `/sessions/{id}` | | [`RemovedSession`](crate::cleanup::RemovedSession); 409 unless it ended and its worktree is gone |
//! | GET | `/sessions/{id}/wait` | [`WaitQuery`](crate::session::WaitQuery) | [`WaitResponse`](crate::session::WaitResponse), held back until it holds or times out |
//! | POST | `/sessions/{id}/kill` | [`KillRequest`](crate::kill::KillRequest) | [`KillResponse`](crate::kill::KillResponse), after the teardown, or `pending` after 30 s |
//! | POST | `/sessions/{id}/restore` | [`RestoreRequest`](crate::restore::RestoreRequest) | 202 [`Restored`](crate::restore::Restored), as soon as it is reopened |
//! | POST | `/sessions/{id}/recover` | | [`Recovered`](crate::cleanup::Recovered); 404 when nothing is preserved |
//! | POST | `/cleanup` | [`CleanupRequest`](crate::cleanup::CleanupRequest) | `[`[`Cleaned`](crate::cleanup::Cleaned)`]`, after the teardowns, five minutes at most |
//! | POST | `/sessions/{id}/interrupt` | | [`InterruptResponse`](crate::terminal::InterruptResponse) |
//! | POST | `/sessions/{id}/rename` | [`RenameRequest`](crate::session::RenameRequest) | [`Session`](crate::session::Session) |
//! | GET | `/sessions/{id}/messages` | | `[`[`Message`](crate::message::Message)`]`, oldest first |
//! | POST | `/sessions/{id}/messages` | [`SendRequest`](crate::message::SendRequest) | 202 [`SendResponse`](crate::message::SendResponse), as soon as it is queued |
//! | GET | `/messages/{id}/wait` | [`MessageWaitQuery`](crate::message::MessageWaitQuery) | [`MessageWaitResponse`](crate::message::MessageWaitResponse) |
//! | GET | `/sessions/{id}/output` | [`OutputQuery`](crate::terminal::OutputQuery) | [`Output`](crate::terminal::Output) |
//! | GET | `/sessions/{id}/setup` | | [`Output`](crate::terminal::Output) of the provisioning commands |
//! | GET | `/sessions/{id}/transcript` | [`OutputQuery`](crate::terminal::OutputQuery) | [`Output`](crate::terminal::Output) of the agent's own transcript |
//! | GET | `/sessions/{id}/diff` | [`DiffQuery`](crate::terminal::DiffQuery) | [`Diff`](crate::terminal::Diff) |
//! | GET | `/sessions/{id}/attach` | [`AttachQuery`](crate::terminal::AttachQuery) | [`Attach`](crate::terminal::Attach) |
//! | GET | `/sessions/{id}/explain` | | [`Explain`](crate::explain::Explain) |
//! | POST | `/sessions/{id}/signal` | [`SignalRequest`](crate::signal::SignalRequest) | 202 [`SignalResponse`](crate::signal::SignalResponse), once committed |
//! | GET | `/inbox` | [`InboxQuery`](crate::inbox::InboxQuery) | `[`[`InboxItem`](crate::inbox::InboxItem)`]`, oldest first |
//! | POST | `/inbox/read` | [`InboxReadRequest`](crate::inbox::InboxReadRequest) | [`InboxReadResponse`](crate::inbox::InboxReadResponse) |
//! | GET | `/events` | [`EventsQuery`](crate::event::EventsQuery) | [`EventsPage`](crate::event::EventsPage) |
//! | GET | `/events/stream` | [`EventsQuery`](crate::event::EventsQuery), `Last-Event-ID` | server-sent events, see [`crate::event`] |
//!
//! A failure is an [`ErrorEnvelope`](crate::error::ErrorEnvelope) with the status of its kind.
//! Every answer carries [`DAEMON_VERSION_HEADER`](crate::DAEMON_VERSION_HEADER) and
//! [`API_VERSION_HEADER`](crate::API_VERSION_HEADER). A route that does not exist answers 404 with
//! the code [`UNKNOWN_ROUTE`](crate::error::UNKNOWN_ROUTE).

/// What every path starts with.
pub const PREFIX: &str = "/api/v1";

/// GET: what the daemon says about itself.
pub const STATUS: &str = "/api/v1/status";
/// POST: ends the daemon.
pub const SHUTDOWN: &str = "/api/v1/shutdown";
/// GET, POST: which agents there are.
pub const AGENTS: &str = "/api/v1/agents";
/// GET, POST: is everything as it should be.
pub const DOCTOR: &str = "/api/v1/doctor";
/// POST: mends what can be mended.
pub const DOCTOR_FIX: &str = "/api/v1/doctor/fix";
/// GET: the configuration in force.
pub const CONFIG: &str = "/api/v1/config";
/// GET: what is wrong with the configuration file.
pub const CONFIG_CHECK: &str = "/api/v1/config/check";
/// GET: every key that the configuration file may have.
pub const CONFIG_SCHEMA: &str = "/api/v1/config/schema";
/// GET, POST: the registered projects.
pub const PROJECTS: &str = "/api/v1/projects";
/// GET, DELETE: one project.
pub const PROJECT: &str = "/api/v1/projects/{id}";
/// GET: which session a person means.
pub const RESOLVE: &str = "/api/v1/resolve";
/// GET, POST: the sessions.
pub const SESSIONS: &str = "/api/v1/sessions";
/// GET, DELETE: one session.
pub const SESSION: &str = "/api/v1/sessions/{id}";
/// GET: one session, once it is as asked.
pub const SESSION_WAIT: &str = "/api/v1/sessions/{id}/wait";
/// POST: ends a session.
pub const SESSION_KILL: &str = "/api/v1/sessions/{id}/kill";
/// POST: brings an ended session back.
pub const SESSION_RESTORE: &str = "/api/v1/sessions/{id}/restore";
/// POST: gets back what was set aside of a session.
pub const SESSION_RECOVER: &str = "/api/v1/sessions/{id}/recover";
/// POST: frees what ended sessions hold.
pub const CLEANUP: &str = "/api/v1/cleanup";
/// POST: presses the agent's interrupt key.
pub const SESSION_INTERRUPT: &str = "/api/v1/sessions/{id}/interrupt";
/// POST: gives a session another name.
pub const SESSION_RENAME: &str = "/api/v1/sessions/{id}/rename";
/// GET, POST: the messages of a session.
pub const SESSION_MESSAGES: &str = "/api/v1/sessions/{id}/messages";
/// GET: one message, once it got as far as asked.
pub const MESSAGE_WAIT: &str = "/api/v1/messages/{id}/wait";
/// GET: what a session's terminal shows.
pub const SESSION_OUTPUT: &str = "/api/v1/sessions/{id}/output";
/// GET: what provisioning a session printed.
pub const SESSION_SETUP: &str = "/api/v1/sessions/{id}/setup";
/// GET: the end of what a session's agent wrote down of its conversation.
pub const SESSION_TRANSCRIPT: &str = "/api/v1/sessions/{id}/transcript";
/// GET: what a session changed.
pub const SESSION_DIFF: &str = "/api/v1/sessions/{id}/diff";
/// GET: how a human gets into a session's terminal.
pub const SESSION_ATTACH: &str = "/api/v1/sessions/{id}/attach";
/// GET: why a session has its status.
pub const SESSION_EXPLAIN: &str = "/api/v1/sessions/{id}/explain";
/// GET: its journal under today's rules; POST: under another policy.
pub const SESSION_REPLAY: &str = "/api/v1/sessions/{id}/replay";
/// POST: what a program inside a session has to say.
pub const SESSION_SIGNAL: &str = "/api/v1/sessions/{id}/signal";
/// GET: notifications.
pub const INBOX: &str = "/api/v1/inbox";
/// POST: marks notifications as read.
pub const INBOX_READ: &str = "/api/v1/inbox/read";
/// GET: a page of changes.
pub const EVENTS: &str = "/api/v1/events";
/// GET: changes as they happen.
pub const EVENTS_STREAM: &str = "/api/v1/events/stream";

/// Puts an id into one of the patterns above.
pub fn with_id(pattern: &str, id: &str) -> String {
    pattern.replace("{id}", &encode_segment(id))
}

/// Escapes everything that could end a path segment or be read as something else than a name.
fn encode_segment(text: &str) -> String {
    use std::fmt::Write as _;

    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            write!(encoded, "%{byte:02X}").unwrap_or_default();
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_never_changes_which_route_is_asked() {
        assert_eq!(with_id(SESSION_KILL, "app-1"), "/api/v1/sessions/app-1/kill");
        assert_eq!(with_id(SESSION, "../a b?c#ä"), "/api/v1/sessions/%2E%2E%2Fa%20b%3Fc%23%C3%A4");
    }
}
