//! The rows of the store in memory, and what is done to them.

use std::collections::{BTreeMap, BTreeSet};

use ao_core::event::EventType;
use ao_core::ids::{EffectId, FactId, IdempotencyKey, MessageId, ProjectId, Revision, SessionId};
use ao_core::inbox::{InboxItem, InboxState, Notification};
use ao_core::journal::JournalRecord;
use ao_core::message::MessageChange;
use ao_core::outbox::{Effect, OutboxEntry, OutboxOutcome, OutboxState, told_in};
use ao_core::ports::{Commit, Ensured, Expected, InfraIncident, StoreError};
use ao_core::project::Project;
use ao_core::session::Session;
use ao_core::time::{Moment, Timestamp};

use super::feed::{Feed, News};
use super::shard::{Draft, Shard};

#[derive(Clone)]
pub(super) struct State {
    pub(super) shards: BTreeMap<SessionId, Shard>,
    pub(super) keys: BTreeMap<IdempotencyKey, SessionId>,
    pub(super) journal: Vec<JournalRecord>,
    /// The state after the first entry of each session: nothing is let go of here.
    pub(super) journal_bases: BTreeMap<SessionId, (u64, Session)>,
    pub(super) outbox: BTreeMap<u64, OutboxEntry>,
    pub(super) projects: BTreeMap<ProjectId, Project>,
    pub(super) inbox: Vec<InboxItem>,
    pub(super) incidents: Vec<InfraIncident>,
    pub(super) feed: Feed,
    removed: BTreeSet<SessionId>,
    facts: BTreeSet<FactId>,
    numbers: BTreeMap<ProjectId, u64>,
    n_made: u64,
    message_no: u64,
    saga_no: u64,
    outbox_no: u64,
    journal_no: u64,
    /// The wall time of the last write that told one: events of writes that tell none carry it.
    at: Timestamp,
}

impl State {
    pub(super) const fn new(n_events_max: usize) -> Self {
        Self {
            shards: BTreeMap::new(),
            keys: BTreeMap::new(),
            journal: Vec::new(),
            journal_bases: BTreeMap::new(),
            outbox: BTreeMap::new(),
            projects: BTreeMap::new(),
            inbox: Vec::new(),
            incidents: Vec::new(),
            feed: Feed::new(n_events_max),
            removed: BTreeSet::new(),
            facts: BTreeSet::new(),
            numbers: BTreeMap::new(),
            n_made: 0,
            message_no: 0,
            saga_no: 0,
            outbox_no: 0,
            journal_no: 0,
            at: Timestamp::from_millis(0),
        }
    }

    pub(super) fn commit(&mut self, commit: Commit) -> Result<Revision, StoreError> {
        if let Some(stray) = commit.stray() {
            let what = format!("session `{stray}` in a commit of `{}`", commit.session);
            return Err(StoreError::NotFound { what });
        }
        if let Some(session) = commit.idempotency_key.as_ref().and_then(|key| self.keys.get(key)) {
            return Err(StoreError::KeyTaken { session: session.clone() });
        }
        if let Some(fact) = commit.fact.as_ref().filter(|fact| self.facts.contains(fact)) {
            return Err(StoreError::FactSeen { fact: fact.clone() });
        }
        let Commit {
            session,
            expected,
            at,
            next,
            saga,
            deadlines,
            messages,
            message_orders,
            effects,
            journal,
            idempotency_key,
            fact,
        } = commit;
        let mut draft = self.draft(&session, expected, next)?;
        if let Some(change) = saga {
            draft.put_saga(change)?;
        }
        for change in deadlines {
            draft.put_deadline(change);
        }
        let last_no = draft.message_no;
        for change in messages {
            match change {
                MessageChange::Queue(message) if self.has_message(&message.id) => {}
                MessageChange::Queue(message) => draft.queue(message),
                MessageChange::Move { .. } => draft.move_message(&change)?,
            }
        }
        for order in &message_orders {
            draft.obey(order, at, last_no);
        }
        // Nothing is refused from here on.
        let revision = draft.revision();
        self.at = at.wall;
        self.message_no = draft.message_no;
        self.saga_no = draft.saga_no;
        self.shards.insert(session.clone(), draft.shard);
        self.publish(draft.news);
        self.plan(Some(&session), &effects);
        if let Some(entry) = journal {
            self.journal_no = self.journal_no.saturating_add(1);
            let seq = self.journal_no;
            if let Some(shard) = self.shards.get(&session) {
                let base = self.journal_bases.entry(session.clone());
                base.or_insert_with(|| (seq, shard.session.clone()));
            }
            self.journal.push(JournalRecord { seq, session: session.clone(), revision, entry });
        }
        if let Some(key) = idempotency_key {
            self.keys.insert(key, session);
        }
        self.facts.extend(fact);
        Ok(revision)
    }

    /// The session as it will be, if it is what the writer had read.
    fn draft(
        &mut self,
        id: &SessionId,
        expected: Expected,
        next: Option<Session>,
    ) -> Result<Draft, StoreError> {
        let (message_no, saga_no) = (self.message_no, self.saga_no);
        let existing = self.shards.get(id);
        match (expected, existing, next) {
            (Expected::Absent, Some(_), _) => {
                Err(StoreError::Exists { what: format!("session `{id}`") })
            }
            (Expected::Absent, None, _) if self.removed.contains(id) => {
                Err(StoreError::Exists { what: format!("session `{id}`") })
            }
            (Expected::Absent, None, None) | (Expected::Revision(_), None, _) => {
                Err(no_session(id))
            }
            (Expected::Absent, None, Some(mut session)) => {
                session.lifecycle.revision = Revision::default().next();
                self.n_made = self.n_made.saturating_add(1);
                let shard = Shard {
                    made: self.n_made,
                    session,
                    saga: None,
                    deadlines: BTreeMap::new(),
                    messages: BTreeMap::new(),
                };
                let mut draft = Draft { shard, news: Vec::new(), message_no, saga_no };
                draft.tell_created();
                Ok(draft)
            }
            (Expected::Revision(expected), Some(shard), next) => {
                let found = shard.session.lifecycle.revision;
                if found != expected {
                    return Err(StoreError::Conflict { session: id.clone(), expected, found });
                }
                let shard = shard.clone();
                let mut draft = Draft { shard, news: Vec::new(), message_no, saga_no };
                if let Some(next) = next {
                    draft.put_session(next);
                }
                Ok(draft)
            }
        }
    }

    fn has_message(&self, id: &MessageId) -> bool {
        self.shards.values().flat_map(|shard| shard.messages.values()).any(|it| it.id == *id)
    }

    pub(super) fn raise_revision(&mut self, id: &SessionId) {
        if let Some(shard) = self.shards.get_mut(id) {
            let lifecycle = &mut shard.session.lifecycle;
            lifecycle.revision = lifecycle.revision.next();
        }
    }

    fn publish(&mut self, news: Vec<News>) {
        for one in news {
            self.feed.publish(self.at, one);
        }
    }

    fn plan(&mut self, session: Option<&SessionId>, effects: &[Effect]) {
        for effect in effects {
            if self.outbox.values().any(|entry| entry.effect.id == effect.id) {
                continue;
            }
            self.outbox_no = self.outbox_no.saturating_add(1);
            let entry = OutboxEntry {
                seq: self.outbox_no,
                session: session.cloned(),
                effect: effect.clone(),
                state: OutboxState::Pending,
                attempts: 0,
                not_before: None,
                last_error: None,
            };
            self.outbox.insert(self.outbox_no, entry);
        }
    }

    pub(super) fn remove(&mut self, id: &SessionId) -> Result<(), StoreError> {
        let Some(shard) = self.shards.get(id) else { return Err(no_session(id)) };
        if !shard.session.lifecycle.is_terminal() {
            return Err(StoreError::NotFound { what: format!("terminal session `{id}`") });
        }
        let mut draft = Draft { shard: shard.clone(), news: Vec::new(), message_no: 0, saga_no: 0 };
        draft.put_saga(ao_core::saga::SagaChange::End)?;
        draft.tell_removed();
        self.shards.remove(id);
        self.removed.insert(id.clone());
        self.journal.retain(|record| record.session != *id);
        self.journal_bases.remove(id);
        self.outbox.retain(|_, entry| {
            entry.session.as_ref() != Some(id) || entry.state == OutboxState::Pending
        });
        self.publish(draft.news);
        Ok(())
    }

    /// The first pending entry of each (session, sink) whose time has come.
    pub(super) fn ready(&self, now: &Moment, n_max: usize) -> Vec<OutboxEntry> {
        let mut lanes = BTreeSet::new();
        let pending = self.outbox.values().filter(|entry| entry.state == OutboxState::Pending);
        pending
            .filter(|entry| lanes.insert((entry.session.clone(), entry.effect.sink.clone())))
            .filter(|entry| entry.is_ready(now))
            .take(n_max)
            .cloned()
            .collect()
    }

    pub(super) fn finish(&mut self, seq: u64, outcome: OutboxOutcome) {
        let Some(entry) = self.outbox.get_mut(&seq) else { return };
        if entry.state != OutboxState::Pending {
            return;
        }
        match outcome {
            OutboxOutcome::Done => entry.state = OutboxState::Done,
            OutboxOutcome::Merged { into } => {
                entry.state = OutboxState::Done;
                entry.last_error = Some(told_in(&into));
            }
            OutboxOutcome::Superseded => entry.state = OutboxState::Superseded,
            OutboxOutcome::Retry { not_before, error } => {
                entry.attempts = entry.attempts.saturating_add(1);
                entry.not_before = Some(not_before);
                entry.last_error = Some(error);
            }
            OutboxOutcome::Dead { error } => {
                entry.state = OutboxState::Dead;
                entry.attempts = entry.attempts.saturating_add(1);
                entry.last_error = Some(error);
            }
        }
        let is_orphan = entry.session.as_ref().is_some_and(|id| !self.shards.contains_key(id));
        if is_orphan && entry.state != OutboxState::Pending {
            self.outbox.remove(&seq);
        }
    }

    pub(super) fn add_project(&mut self, project: Project) -> Result<Ensured, StoreError> {
        if let Some(old) = self.projects.get(&project.id) {
            if old.path == project.path {
                return Ok(Ensured::AlreadyThere);
            }
            return Err(StoreError::Exists { what: format!("project `{}`", project.id) });
        }
        if let Some(old) = self.projects.values().find(|old| old.path == project.path) {
            let what = format!("project `{}` at this path", old.id);
            return Err(StoreError::Exists { what });
        }
        self.at = project.created_at;
        let id = project.id.clone();
        self.projects.insert(id.clone(), project);
        self.publish(vec![of_project(EventType::ProjectAdded, &id)]);
        Ok(Ensured::Done)
    }

    pub(super) fn remove_project(&mut self, id: &ProjectId) -> Result<(), StoreError> {
        if !self.projects.contains_key(id) {
            return Err(no_project(id));
        }
        let mut living: Vec<_> = self
            .shards
            .values()
            .filter(|shard| shard.session.record.project == *id)
            .filter(|shard| !shard.session.lifecycle.is_terminal())
            .collect();
        living.sort_by_key(|shard| shard.made);
        if let Some(shard) = living.first() {
            let what = format!("session `{}`, which has not ended,", shard.session.record.id);
            return Err(StoreError::Exists { what });
        }
        self.projects.remove(id);
        self.publish(vec![of_project(EventType::ProjectRemoved, id)]);
        Ok(())
    }

    pub(super) fn next_session_id(&mut self, id: &ProjectId) -> Result<SessionId, StoreError> {
        if !self.projects.contains_key(id) {
            return Err(no_project(id));
        }
        let number = self.numbers.entry(id.clone()).or_default();
        *number = number.saturating_add(1);
        Ok(SessionId::of(id, *number))
    }

    pub(super) fn skip_session_ids(&mut self, id: &ProjectId, n: u64) {
        let number = self.numbers.entry(id.clone()).or_default();
        *number = n.max(*number);
    }

    pub(super) fn deliver(&mut self, notification: &Notification) -> Ensured {
        if self.inbox.iter().any(|item| item.notification.id == notification.id) {
            return Ensured::AlreadyThere;
        }
        self.inbox
            .push(InboxItem { notification: notification.clone(), state: InboxState::Unread });
        self.at = notification.at;
        self.publish(vec![News {
            kind: EventType::InboxAdded,
            project: notification.project.clone(),
            session: notification.session.clone(),
            revision: None,
            key: Some(notification.id.as_str().to_owned()),
            became: Some(InboxState::Unread.as_str().to_owned()),
        }]);
        Ensured::Done
    }

    pub(super) fn mark_read(&mut self, ids: &[EffectId]) {
        for item in &mut self.inbox {
            if ids.contains(&item.notification.id) {
                item.state = InboxState::Read;
            }
        }
    }

    pub(super) fn open_incident(
        &mut self,
        incident: &InfraIncident,
        effects: &[Effect],
    ) -> Ensured {
        if self.incidents.iter().any(|old| old.id == incident.id) {
            return Ensured::AlreadyThere;
        }
        self.incidents.push(incident.clone());
        self.at = incident.opened_at.wall;
        self.publish(vec![News {
            kind: EventType::IncidentChanged,
            project: None,
            session: None,
            revision: None,
            key: Some(incident.id.as_str().to_owned()),
            became: Some(incident.kind.as_str().to_owned()),
        }]);
        self.plan(None, effects);
        Ensured::Done
    }
}

fn no_session(id: &SessionId) -> StoreError {
    StoreError::NotFound { what: format!("session `{id}`") }
}

fn no_project(id: &ProjectId) -> StoreError {
    StoreError::NotFound { what: format!("project `{id}`") }
}

fn of_project(kind: EventType, id: &ProjectId) -> News {
    News {
        kind,
        project: Some(id.clone()),
        session: None,
        revision: None,
        key: Some(id.as_str().to_owned()),
        became: None,
    }
}
