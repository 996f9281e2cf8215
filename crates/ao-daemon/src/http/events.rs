//! Changes: by the page, and as they happen.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ao_api::event::{CHANGE, EventsPage, EventsQuery, PAGE_MAX, RESET};
use ao_core::event::Changes;
use ao_core::ports::{ChangeFeed, StoreError};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Serialize;

use super::extract::Asked;
use crate::app::App;
use crate::fault::Fault;
use crate::stop::{Stop, Urgency};
use crate::wire;

/// Changes read at once for a stream.
const BATCH_MAX: usize = 256;

/// How often a silent stream shows that it is alive: well within a minute, after which idle
/// connections are commonly closed.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

pub(crate) async fn page(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<EventsQuery>,
) -> Result<Json<EventsPage>, Fault> {
    let limit = asked.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let limit = usize::try_from(limit).unwrap_or(BATCH_MAX);
    let feed = app.ports.feed.as_ref();
    // The head is read first: a client never hears of a head that it could have been given.
    let head = feed.head().await?;
    let after = asked.after.unwrap_or(0);
    let (events, reset) = match feed.changes_after(after, limit).await? {
        Changes::Events(events) => (events, None),
        Changes::Reset { oldest, head } => match feed.changes_after(oldest, limit).await? {
            Changes::Events(events) => (events, Some((oldest, head))),
            Changes::Reset { oldest, head } => (Vec::new(), Some((oldest, head))),
        },
    };
    let start = reset.map_or(after, |(oldest, _)| oldest);
    let next = events.last().map_or(start, |event| event.seq);
    Ok(Json(EventsPage {
        events: events.iter().map(wire::event).collect(),
        next,
        head: head.max(next),
        // Whoever named no cursor missed nothing.
        reset: reset
            .filter(|_| asked.after.is_some())
            .map(|(oldest, head)| wire::reset(oldest, head)),
    }))
}

pub(crate) async fn stream(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Asked(asked): Asked<EventsQuery>,
) -> Result<Sse<impl Stream<Item = Result<Frame, Infallible>>>, Fault> {
    let cursor = match last_event_id(&headers)?.or(asked.after) {
        Some(cursor) => cursor,
        None => app.ports.feed.head().await?,
    };
    let tail = Tail {
        feed: Arc::clone(&app.ports.feed),
        stop: app.stop.clone(),
        cursor,
        ready: VecDeque::new(),
    };
    let frames = unfold(tail, |mut tail| async move {
        let frame = tail.next().await?;
        Some((Ok(frame), tail))
    });
    Ok(Sse::new(frames).keep_alive(KeepAlive::new().interval(ALIVE_EVERY)))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let id = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    id.map(Some).ok_or_else(|| Fault::malformed("`Last-Event-ID` is not a sequence number"))
}

/// Follows the feed from a cursor. It holds one batch: a slow reader holds up nobody but itself.
struct Tail {
    feed: Arc<dyn ChangeFeed>,
    stop: Stop,
    cursor: u64,
    ready: VecDeque<Frame>,
}

impl Tail {
    /// The next frame; `None` when the daemon ends or the store does not answer any more.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            let stop = self.stop.clone();
            let filled = tokio::select! {
                biased;
                () = stop.reached(Urgency::Graceful) => return None,
                filled = self.fill() => filled,
            };
            if let Err(error) = filled {
                tracing::warn!(%error, "Ended a stream of changes.");
                return None;
            }
        }
    }

    async fn fill(&mut self) -> Result<(), StoreError> {
        match self.feed.changes_after(self.cursor, BATCH_MAX).await? {
            Changes::Events(events) if events.is_empty() => self.feed.wait_after(self.cursor).await,
            Changes::Events(events) => {
                for event in &events {
                    self.cursor = self.cursor.max(event.seq);
                    let frame = frame(CHANGE, &wire::event(event));
                    self.ready.extend(frame.map(|frame| frame.id(event.seq.to_string())));
                }
                Ok(())
            }
            Changes::Reset { oldest, head } => {
                self.cursor = oldest;
                self.ready.extend(frame(RESET, &wire::reset(oldest, head)));
                Ok(())
            }
        }
    }
}

/// What cannot be written as JSON is left out; nothing that we send is such.
fn frame(name: &str, value: &impl Serialize) -> Option<Frame> {
    Frame::default().event(name).json_data(value).ok()
}
