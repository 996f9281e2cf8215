//! One session with everything that hangs on it: a commit works on a copy, so that a refused one
//! leaves no trace.

use std::collections::BTreeMap;

use ao_core::deadline::{Deadline, DeadlineChange, DeadlineKind};
use ao_core::event::EventType;
use ao_core::ids::{IdempotencyKey, MessageId, PrNumber, Revision};
use ao_core::message::{Message, MessageChange, MessageReason, MessageState};
use ao_core::ports::StoreError;
use ao_core::pr::{Known, Pr};
use ao_core::record::Lifecycle;
use ao_core::saga::{Saga, SagaChange, SagaDirection};
use ao_core::session::{Session, SessionRecord};
use ao_core::step::MessageOrder;
use ao_core::time::{BootId, Moment, Timestamp};

use super::feed::News;

#[derive(Debug, Clone)]
pub(super) struct Shard {
    /// Place in the order of making.
    pub(super) made: u64,
    pub(super) session: Session,
    pub(super) saga: Option<(u64, Saga)>,
    pub(super) deadlines: BTreeMap<DeadlineKind, Deadline>,
    pub(super) messages: BTreeMap<u64, Message>,
}

/// A shard being changed, and what is to be told about it.
pub(super) struct Draft {
    pub(super) shard: Shard,
    pub(super) news: Vec<News>,
    /// The last place given to a message, in any session.
    pub(super) message_no: u64,
    /// The last place given to a saga, in any session.
    pub(super) saga_no: u64,
}

impl Draft {
    pub(super) fn revision(&self) -> Revision {
        self.shard.session.lifecycle.revision
    }

    fn tell(&mut self, kind: EventType, key: Option<String>, became: Option<String>) {
        let record = &self.shard.session.record;
        self.news.push(News {
            kind,
            project: Some(record.project.clone()),
            session: Some(record.id.clone()),
            revision: Some(self.revision()),
            key,
            became,
        });
    }

    pub(super) fn tell_created(&mut self) {
        let became = verdict(&self.shard.session.lifecycle);
        self.tell(EventType::SessionCreated, None, Some(became));
    }

    pub(super) fn tell_removed(&mut self) {
        let became = verdict(&self.shard.session.lifecycle);
        self.tell(EventType::SessionRemoved, None, Some(became));
    }

    pub(super) fn put_session(&mut self, mut next: Session) {
        next.lifecycle.revision = self.revision().next();
        let old = std::mem::replace(&mut self.shard.session, next);
        let new = &self.shard.session;
        let is_changed = axes(&old.lifecycle) != axes(&new.lifecycle);
        let is_updated = identity(&old.record) != identity(&new.record);
        if is_changed {
            let became = verdict(&new.lifecycle);
            self.tell(EventType::SessionChanged, None, Some(became));
        }
        if is_updated {
            let became = self.shard.session.record.phase.as_str().to_owned();
            self.tell(EventType::SessionUpdated, None, Some(became));
        }
    }

    pub(super) fn put_saga(&mut self, change: SagaChange) -> Result<(), StoreError> {
        let id = &self.shard.session.record.id;
        let (no, next) = match (change, self.shard.saga.take()) {
            (SagaChange::Begin(_), Some(_)) => {
                return Err(StoreError::Exists { what: format!("a saga of session `{id}`") });
            }
            (SagaChange::Put(_), None) => {
                return Err(StoreError::NotFound { what: format!("saga of session `{id}`") });
            }
            (SagaChange::End, None) => return Ok(()),
            (SagaChange::End, Some((_, old))) => {
                let key = old.kind.as_str().to_owned();
                self.tell(EventType::SagaChanged, Some(key), Some("ended".to_owned()));
                return Ok(());
            }
            (SagaChange::Begin(saga), None) => {
                self.saga_no = self.saga_no.saturating_add(1);
                (self.saga_no, saga)
            }
            (SagaChange::Put(saga), Some((no, old))) => {
                if standing(&old) == standing(&saga) {
                    self.shard.saga = Some((no, saga));
                    return Ok(());
                }
                (no, saga)
            }
        };
        let key = next.kind.as_str().to_owned();
        let became = match next.direction {
            SagaDirection::Forward => next.step.as_str().to_owned(),
            SagaDirection::Unwinding => format!("unwinding/{}", next.step),
        };
        self.shard.saga = Some((no, next));
        self.tell(EventType::SagaChanged, Some(key), Some(became));
        Ok(())
    }

    pub(super) fn put_deadline(&mut self, change: DeadlineChange) {
        match change {
            DeadlineChange::Arm { kind, armed_at, after, clock } => {
                let session = self.shard.session.record.id.clone();
                let armed = Deadline { session, kind: kind.clone(), armed_at, after, clock };
                self.shard.deadlines.insert(kind, armed);
            }
            DeadlineChange::Disarm(kind) => {
                self.shard.deadlines.remove(&kind);
            }
        }
    }

    pub(super) fn queue(&mut self, message: Message) {
        let is_repeated = self.shard.messages.values().any(|old| {
            old.id == message.id
                || (old.idempotency_key.is_some() && old.idempotency_key == message.idempotency_key)
        });
        if is_repeated {
            return;
        }
        self.message_no = self.message_no.saturating_add(1);
        self.tell_message(&message.id, message.state);
        self.shard.messages.insert(self.message_no, message);
    }

    fn tell_message(&mut self, id: &MessageId, state: MessageState) {
        self.tell(
            EventType::MessageChanged,
            Some(id.as_str().to_owned()),
            Some(state.as_str().to_owned()),
        );
    }

    /// Performs a move; queueing is `queue`, after its id was looked up in the other shards.
    pub(super) fn move_message(&mut self, change: &MessageChange) -> Result<(), StoreError> {
        let MessageChange::Move { id, from, to, reason, launch, at } = change else {
            return Ok(());
        };
        let found =
            self.shard.messages.values_mut().find(|old| old.id == *id && old.state == *from);
        let Some(message) = found else {
            return Err(StoreError::NotFound { what: format!("{from} message `{id}`") });
        };
        let is_news = (message.state, message.reason) != (*to, *reason);
        message.state = *to;
        message.reason = *reason;
        message.updated_at = *at;
        if *to == MessageState::Typing {
            message.typing_at = Some(*at);
        }
        if launch.is_some() {
            message.launch.clone_from(launch);
        }
        if is_news {
            self.tell_message(id, *to);
        }
        Ok(())
    }

    /// Ends messages that were queued before this commit, whose last place was `last_no`.
    pub(super) fn obey(&mut self, order: &MessageOrder, at: Moment, last_no: u64) {
        let mut ended = Vec::new();
        for (_, message) in self.shard.messages.range_mut(..=last_no) {
            let (state, reason) = match order {
                MessageOrder::CancelAll => (MessageState::Cancelled, MessageReason::SessionEnded),
                MessageOrder::SupersedeIncident(incident) => {
                    if message.origin.as_ref().map(|origin| origin.incident) != Some(*incident) {
                        continue;
                    }
                    (MessageState::Superseded, MessageReason::ConditionOver)
                }
            };
            if message.state == MessageState::Queued {
                message.state = state;
                message.reason = Some(reason);
                message.updated_at = at;
                ended.push((message.id.clone(), state));
            }
        }
        for (id, state) in ended {
            self.tell_message(&id, state);
        }
    }
}

impl Shard {
    pub(super) fn message_by_key(&self, key: &IdempotencyKey) -> Option<&Message> {
        self.messages.values().find(|message| message.idempotency_key.as_ref() == Some(key))
    }
}

fn verdict(lifecycle: &Lifecycle) -> String {
    format!("{}/{}", lifecycle.session.state, lifecycle.session.reason)
}

/// What has to differ for a saga to have moved on: a retry of the same step is not news.
fn standing(saga: &Saga) -> impl PartialEq + use<> {
    (saga.kind, saga.step, saga.direction, saga.is_cancelled, saga.because.clone())
}

/// What has to differ for an axis to have changed: no times, no memory of the rules.
fn axes(lifecycle: &Lifecycle) -> impl PartialEq + use<> {
    (
        lifecycle.session,
        lifecycle.runtime,
        lifecycle.activity.map(|activity| (activity.state, activity.detail)),
        lifecycle.pr,
        lifecycle.paused_until,
        lifecycle
            .prs
            .iter()
            .map(|(number, pr)| (*number, timeless(pr)))
            .collect::<BTreeMap<PrNumber, Pr>>(),
    )
}

fn identity(record: &SessionRecord) -> SessionRecord {
    SessionRecord { updated_at: Timestamp::default(), usage: None, ..record.clone() }
}

fn timeless(pr: &Pr) -> Pr {
    Pr {
        number: pr.number,
        url: pr.url.clone(),
        base: pr.base.clone(),
        head: undated(&pr.head),
        life: undated(&pr.life),
        draft: undated(&pr.draft),
        checks: undated(&pr.checks),
        review: undated(&pr.review),
        mergeability: undated(&pr.mergeability),
    }
}

fn undated<T: Clone>(known: &Known<T>) -> Known<T> {
    match known {
        Known::Known { value, .. } => Known::Known { value: value.clone(), at: ORIGIN },
        Known::Unknown => Known::Unknown,
    }
}

const ORIGIN: Moment = Moment {
    wall: Timestamp::from_millis(0),
    boot: BootId(0),
    since_boot: std::time::Duration::ZERO,
    awake: std::time::Duration::ZERO,
};
