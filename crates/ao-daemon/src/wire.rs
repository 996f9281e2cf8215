//! Core types on the wire: the one place where the two meet.
//!
//! Pure: what is not in the record (the diff, the head of the feed) is handed in.

mod cleanup;
mod explain;
mod places;
mod replay;
mod session;

use ao_api::event::{Event as WireEvent, Reset};
use ao_api::inbox::InboxItem as WireInboxItem;
use ao_api::message::{Message as WireMessage, SendResponse};
use ao_api::project::Project as WireProject;
use ao_core::event::Event;
use ao_core::inbox::InboxItem;
use ao_core::message::{Message, MessageState};
use ao_core::project::Project;
use ao_core::time::Timestamp;

pub(crate) use cleanup::{cleaned, recovered, removed};
pub(crate) use explain::explain;
pub(crate) use places::{capacity, queue, queue_words};
pub(crate) use replay::replay;
pub(crate) use session::{base, changes, kill, session};

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn time(at: Timestamp) -> String {
    // What no calendar holds is shown as the moment that time began.
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
    format!("{at:.3}")
}

/// A registered repository.
pub(crate) fn project(project: &Project) -> WireProject {
    WireProject {
        id: project.id.to_string(),
        path: project.path.display().to_string(),
        github: project.github.clone(),
        created_at: time(project.created_at),
    }
}

/// A change.
pub(crate) fn event(event: &Event) -> WireEvent {
    WireEvent {
        seq: event.seq,
        at: time(event.at),
        kind: event.kind.to_string(),
        project: event.project.as_ref().map(ToString::to_string),
        session: event.session.as_ref().map(ToString::to_string),
        revision: event.revision.map(|revision| revision.0),
        key: event.key.clone(),
        became: event.became.clone(),
    }
}

/// A cursor that is too old.
pub(crate) const fn reset(oldest: u64, head: u64) -> Reset {
    Reset { oldest, head }
}

/// A notification.
pub(crate) fn inbox_item(item: &InboxItem) -> WireInboxItem {
    let it = &item.notification;
    WireInboxItem {
        id: it.id.to_string(),
        session: it.session.as_ref().map(ToString::to_string),
        project: it.project.as_ref().map(ToString::to_string),
        reaction: it.reaction.clone(),
        cause: it.cause.clone(),
        priority: it.priority.to_string(),
        title: it.title.clone(),
        text: it.text.clone(),
        at: time(it.at),
        state: item.state.to_string(),
    }
}

/// A message.
pub(crate) fn message(message: &Message) -> WireMessage {
    WireMessage {
        id: message.id.to_string(),
        session: message.session.to_string(),
        lane: message.lane.to_string(),
        state: message.state.to_string(),
        reason: message.reason.map(|reason| reason.to_string()),
        confirmed: is_confirmed(message.state),
        text: message.text.clone(),
        stripped: message.n_stripped,
        reaction: message.origin.as_ref().map(|origin| origin.incident.reaction.to_string()),
        created_at: time(message.created_at.wall),
        updated_at: time(message.updated_at.wall),
    }
}

/// The receipt of a message.
pub(crate) fn receipt(message: &Message) -> SendResponse {
    SendResponse {
        session: message.session.to_string(),
        message_id: message.id.to_string(),
        state: message.state.to_string(),
        reason: message.reason.map(|reason| reason.to_string()),
        confirmed: is_confirmed(message.state),
        stripped: message.n_stripped,
    }
}

/// Whether the agent itself said that it has the message.
const fn is_confirmed(state: MessageState) -> bool {
    matches!(state, MessageState::Submitted | MessageState::Acknowledged)
}

#[cfg(test)]
mod tests;
