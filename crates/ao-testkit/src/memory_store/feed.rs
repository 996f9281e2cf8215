//! The change feed in memory.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use ao_core::event::{Changes, Event, EventType};
use ao_core::ids::{ProjectId, Revision, SessionId};
use ao_core::time::Timestamp;

/// What an event says; position and time are added when it is published.
#[derive(Debug, Clone)]
pub(super) struct News {
    pub(super) kind: EventType,
    pub(super) project: Option<ProjectId>,
    pub(super) session: Option<SessionId>,
    pub(super) revision: Option<Revision>,
    pub(super) key: Option<String>,
    pub(super) became: Option<String>,
}

#[derive(Clone)]
pub(super) struct Feed {
    events: VecDeque<Event>,
    head: u64,
    n_max: usize,
    waiting: Vec<Waker>,
    woken: Vec<Waker>,
}

impl Feed {
    pub(super) const fn new(n_max: usize) -> Self {
        Self { events: VecDeque::new(), head: 0, n_max, waiting: Vec::new(), woken: Vec::new() }
    }

    pub(super) fn publish(&mut self, at: Timestamp, news: News) {
        self.head = self.head.saturating_add(1);
        let News { kind, project, session, revision, key, became } = news;
        self.events.push_back(Event {
            seq: self.head,
            at,
            kind,
            project,
            session,
            revision,
            key,
            became,
        });
        while self.events.len() > self.n_max {
            self.events.pop_front();
        }
        self.woken.append(&mut self.waiting);
    }

    pub(super) const fn head(&self) -> u64 {
        self.head
    }

    pub(super) fn after(&self, cursor: u64, n_max: usize) -> Changes {
        let oldest = self.events.front().map_or(self.head, |event| event.seq.saturating_sub(1));
        if cursor < oldest || cursor > self.head {
            return Changes::Reset { oldest, head: self.head };
        }
        let newer = self.events.iter().filter(|event| event.seq > cursor);
        Changes::Events(newer.take(n_max).cloned().collect())
    }

    pub(super) fn poll_after(&mut self, cursor: u64, ctx: &Context<'_>) -> Poll<()> {
        if self.head > cursor {
            return Poll::Ready(());
        }
        if !self.waiting.iter().any(|waker| waker.will_wake(ctx.waker())) {
            self.waiting.push(ctx.waker().clone());
        }
        Poll::Pending
    }

    pub(super) fn take_wakers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.woken)
    }
}
