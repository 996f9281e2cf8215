//! Which session a person means.

use std::path::Path;

use ao_api::error::SESSION_AMBIGUOUS;
use ao_core::ids::SessionId;
use ao_core::ports::ErrorKind;
use ao_core::session::Session;

use crate::fault::Fault;

/// Ids named in the message about an ambiguous one.
const NAMED_MAX: usize = 5;

/// By id, else by name, else by the beginning of an id. Running sessions go before ended ones.
pub(crate) fn by_text(sessions: &[Session], text: &str) -> Result<SessionId, Fault> {
    if let Some(exact) = sessions.iter().find(|it| it.record.id.as_str() == text) {
        return Ok(exact.record.id.clone());
    }
    let by_name = |it: &&Session| it.record.name.as_deref() == Some(text);
    let by_prefix = |it: &&Session| it.record.id.as_str().starts_with(text);
    let named: Vec<&Session> = sessions.iter().filter(by_name).collect();
    let begun: Vec<&Session> = sessions.iter().filter(by_prefix).collect();
    let found = if named.is_empty() { begun } else { named };
    let live: Vec<&Session> =
        found.iter().copied().filter(|it| !it.lifecycle.is_terminal()).collect();
    let found = if live.is_empty() { found } else { live };
    match found.as_slice() {
        _ if text.is_empty() => Err(Fault::malformed("a session is named by at least one letter")),
        [] => Err(Fault::session_unknown(text)),
        [one] => Ok(one.record.id.clone()),
        many => {
            let ids: Vec<&str> =
                many.iter().take(NAMED_MAX).map(|it| it.record.id.as_str()).collect();
            let more = if many.len() > NAMED_MAX { ", …" } else { "" };
            let message = format!("`{text}` may be {}{more}", ids.join(", "));
            Err(Fault::new(SESSION_AMBIGUOUS, ErrorKind::Conflict, message))
        }
    }
}

/// The session whose worktree holds a directory; the innermost, if one lies in another.
pub(crate) fn by_directory(sessions: &[Session], directory: &Path) -> Result<SessionId, Fault> {
    sessions
        .iter()
        .filter(|it| directory.starts_with(&it.record.workspace.path))
        .max_by_key(|it| it.record.workspace.path.as_os_str().len())
        .map(|it| it.record.id.clone())
        .ok_or_else(|| {
            let message = format!("no session has its worktree at `{}`", directory.display());
            Fault::new(ao_api::error::SESSION_UNKNOWN, ErrorKind::NotFound, message)
                .with_hint("name a session; `ao ls` shows them")
        })
}
