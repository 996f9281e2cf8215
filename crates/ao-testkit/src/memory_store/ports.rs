//! The store ports over the state in memory.

use std::future::poll_fn;
use std::time::Duration;

use ao_core::deadline::Deadline;
use ao_core::event::Changes;
use ao_core::ids::{EffectId, IdempotencyKey, MessageId, ProjectId, Revision, SessionId};
use ao_core::inbox::{InboxItem, InboxState, Notification};
use ao_core::journal::JournalRecord;
use ao_core::message::Message;
use ao_core::outbox::{Effect, OutboxEntry, OutboxOutcome};
use ao_core::ports::{
    BoxFuture, ChangeFeed, Commit, Deadlines, Ensured, Inbox, InboxFilter, Incidents,
    InfraIncident, Loaded, Messages, Outbox, Projects, Sagas, SessionFilter, SessionStore,
    StoreError,
};
use ao_core::project::Project;
use ao_core::saga::Saga;
use ao_core::session::Session;
use ao_core::time::Moment;

use super::shard::Shard;
use super::{MemoryStore, Op};

/// The last `n_max` of these, in their order.
fn last<T>(mut all: Vec<T>, n_max: usize) -> Vec<T> {
    all.drain(..all.len().saturating_sub(n_max));
    all
}

impl SessionStore for MemoryStore {
    fn get<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Option<Session>, StoreError>> {
        Box::pin(async move {
            self.perform(Op::Get, |state| {
                Ok(state.shards.get(id).map(|shard| shard.session.clone()))
            })
        })
    }

    fn load<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Option<Loaded>, StoreError>> {
        Box::pin(async move {
            self.perform(Op::Load, |state| {
                Ok(state.shards.get(id).map(|shard| Loaded {
                    session: shard.session.clone(),
                    saga: shard.saga.as_ref().map(|(_, saga)| saga.clone()),
                }))
            })
        })
    }

    fn list<'a>(
        &'a self,
        filter: &'a SessionFilter,
    ) -> BoxFuture<'a, Result<Vec<Session>, StoreError>> {
        Box::pin(async move {
            self.perform(Op::List, |state| {
                let is_listed = |shard: &&Shard| {
                    let of_project = filter.project.as_ref();
                    of_project.is_none_or(|project| *project == shard.session.record.project)
                        && (filter.with_terminal || !shard.session.lifecycle.is_terminal())
                };
                let mut shards: Vec<_> = state.shards.values().filter(is_listed).collect();
                shards.sort_by_key(|shard| shard.made);
                Ok(shards.into_iter().map(|shard| shard.session.clone()).collect())
            })
        })
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Revision, StoreError>> {
        Box::pin(async move { self.commit_now(commit) })
    }

    fn find_by_key<'a>(
        &'a self,
        key: &'a IdempotencyKey,
    ) -> BoxFuture<'a, Result<Option<SessionId>, StoreError>> {
        Box::pin(
            async move { self.perform(Op::FindByKey, |state| Ok(state.keys.get(key).cloned())) },
        )
    }

    fn journal<'a>(
        &'a self,
        id: &'a SessionId,
        n_max: usize,
    ) -> BoxFuture<'a, Result<Vec<JournalRecord>, StoreError>> {
        Box::pin(async move {
            self.perform(Op::Journal, |state| {
                let all = state.journal.iter().filter(|record| record.session == *id);
                Ok(last(all.cloned().collect(), n_max))
            })
        })
    }

    fn journal_base<'a>(
        &'a self,
        id: &'a SessionId,
    ) -> BoxFuture<'a, Result<Option<(u64, Session)>, StoreError>> {
        Box::pin(async move {
            self.perform(Op::JournalBase, |state| Ok(state.journal_bases.get(id).cloned()))
        })
    }

    fn remove<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.perform(Op::Remove, |state| state.remove(id)) })
    }
}

impl Sagas for MemoryStore {
    fn in_flight(&self) -> BoxFuture<'_, Result<Vec<Saga>, StoreError>> {
        Box::pin(async move {
            self.perform(Op::InFlight, |state| {
                let mut sagas: Vec<_> =
                    state.shards.values().filter_map(|shard| shard.saga.clone()).collect();
                sagas.sort_by_key(|(no, _)| *no);
                Ok(sagas.into_iter().map(|(_, saga)| saga).collect())
            })
        })
    }
}

impl Outbox for MemoryStore {
    fn ready<'a>(
        &'a self,
        now: &'a Moment,
        n_max: usize,
    ) -> BoxFuture<'a, Result<Vec<OutboxEntry>, StoreError>> {
        Box::pin(async move { self.perform(Op::Ready, |state| Ok(state.ready(now, n_max))) })
    }

    fn finish(&self, outcomes: Vec<(u64, OutboxOutcome)>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.perform(Op::Finish, |state| {
                for (seq, outcome) in outcomes {
                    state.finish(seq, outcome);
                }
                Ok(())
            })
        })
    }

    fn of_session<'a>(
        &'a self,
        id: &'a SessionId,
        n_max: usize,
    ) -> BoxFuture<'a, Result<Vec<OutboxEntry>, StoreError>> {
        Box::pin(async move {
            self.perform(Op::OfSession, |state| {
                let all = state.outbox.values().filter(|it| it.session.as_ref() == Some(id));
                Ok(last(all.cloned().collect(), n_max))
            })
        })
    }
}

impl Messages for MemoryStore {
    fn message<'a>(
        &'a self,
        id: &'a MessageId,
    ) -> BoxFuture<'a, Result<Option<Message>, StoreError>> {
        Box::pin(async move {
            self.perform(Op::Message, |state| {
                let mut all = state.shards.values().flat_map(|shard| shard.messages.values());
                Ok(all.find(|message| message.id == *id).cloned())
            })
        })
    }

    fn message_by_key<'a>(
        &'a self,
        session: &'a SessionId,
        key: &'a IdempotencyKey,
    ) -> BoxFuture<'a, Result<Option<Message>, StoreError>> {
        Box::pin(async move {
            self.perform(Op::MessageByKey, |state| {
                let shard = state.shards.get(session);
                Ok(shard.and_then(|shard| shard.message_by_key(key)).cloned())
            })
        })
    }

    fn messages_of<'a>(
        &'a self,
        session: &'a SessionId,
        n_max: usize,
    ) -> BoxFuture<'a, Result<Vec<Message>, StoreError>> {
        Box::pin(async move {
            self.perform(Op::MessagesOf, |state| {
                let all = state.shards.get(session).map(|shard| shard.messages.values());
                Ok(last(all.into_iter().flatten().cloned().collect(), n_max))
            })
        })
    }

    fn unfinished(&self) -> BoxFuture<'_, Result<Vec<Message>, StoreError>> {
        Box::pin(async move {
            self.perform(Op::Unfinished, |state| {
                let all = state.shards.values().flat_map(|shard| &shard.messages);
                let mut open: Vec<_> = all.filter(|(_, message)| !message.is_final()).collect();
                open.sort_by_key(|(no, _)| **no);
                Ok(open.into_iter().map(|(_, message)| message.clone()).collect())
            })
        })
    }
}

impl Deadlines for MemoryStore {
    fn due<'a>(&'a self, now: &'a Moment) -> BoxFuture<'a, Result<Vec<Deadline>, StoreError>> {
        Box::pin(async move {
            self.perform(Op::Due, |state| {
                let all = state.shards.values().flat_map(|shard| shard.deadlines.values());
                let mut due: Vec<_> = all.filter(|it| it.is_due(now)).cloned().collect();
                due.sort_by_key(|it| std::cmp::Reverse(it.overdue_for(now)));
                Ok(due)
            })
        })
    }

    fn deadlines_of<'a>(
        &'a self,
        session: &'a SessionId,
    ) -> BoxFuture<'a, Result<Vec<Deadline>, StoreError>> {
        Box::pin(async move {
            self.perform(Op::DeadlinesOf, |state| {
                let all = state.shards.get(session).map(|shard| shard.deadlines.values());
                Ok(all.into_iter().flatten().cloned().collect())
            })
        })
    }

    fn next_due_in<'a>(
        &'a self,
        now: &'a Moment,
    ) -> BoxFuture<'a, Result<Option<Duration>, StoreError>> {
        Box::pin(async move {
            self.perform(Op::NextDueIn, |state| {
                let all = state.shards.values().flat_map(|shard| shard.deadlines.values());
                Ok(all.map(|deadline| deadline.remaining(now)).min())
            })
        })
    }
}

impl Projects for MemoryStore {
    fn add_project(&self, project: Project) -> BoxFuture<'_, Result<Ensured, StoreError>> {
        Box::pin(async move { self.perform(Op::AddProject, |state| state.add_project(project)) })
    }

    fn projects(&self) -> BoxFuture<'_, Result<Vec<Project>, StoreError>> {
        Box::pin(async move {
            self.perform(Op::Projects, |state| Ok(state.projects.values().cloned().collect()))
        })
    }

    fn remove_project<'a>(&'a self, id: &'a ProjectId) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.perform(Op::RemoveProject, |state| state.remove_project(id)) })
    }

    fn next_session_id<'a>(
        &'a self,
        id: &'a ProjectId,
    ) -> BoxFuture<'a, Result<SessionId, StoreError>> {
        Box::pin(async move { self.perform(Op::NextSessionId, |state| state.next_session_id(id)) })
    }

    fn skip_session_ids<'a>(
        &'a self,
        id: &'a ProjectId,
        n: u64,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.perform(Op::SkipSessionIds, |state| {
                state.skip_session_ids(id, n);
                Ok(())
            })
        })
    }
}

impl Inbox for MemoryStore {
    fn deliver<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<Ensured, StoreError>> {
        Box::pin(async move { self.perform(Op::Deliver, |state| Ok(state.deliver(notification))) })
    }

    fn inbox<'a>(
        &'a self,
        filter: &'a InboxFilter,
    ) -> BoxFuture<'a, Result<Vec<InboxItem>, StoreError>> {
        Box::pin(async move {
            self.perform(Op::Inbox, |state| {
                let is_listed =
                    |item: &&InboxItem| filter.with_read || item.state == InboxState::Unread;
                Ok(state.inbox.iter().filter(is_listed).cloned().collect())
            })
        })
    }

    fn mark_read<'a>(&'a self, ids: &'a [EffectId]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.perform(Op::MarkRead, |state| {
                state.mark_read(ids);
                Ok(())
            })
        })
    }
}

impl Incidents for MemoryStore {
    fn open_incident<'a>(
        &'a self,
        incident: &'a InfraIncident,
        effects: &'a [Effect],
    ) -> BoxFuture<'a, Result<Ensured, StoreError>> {
        Box::pin(async move {
            self.perform(Op::OpenIncident, |state| Ok(state.open_incident(incident, effects)))
        })
    }

    fn incidents(&self, n_max: usize) -> BoxFuture<'_, Result<Vec<InfraIncident>, StoreError>> {
        Box::pin(async move {
            self.perform(Op::Incidents, |state| Ok(last(state.incidents.clone(), n_max)))
        })
    }
}

impl ChangeFeed for MemoryStore {
    fn head(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move { self.perform(Op::Head, |state| Ok(state.feed.head())) })
    }

    fn changes_after(
        &self,
        cursor: u64,
        n_max: usize,
    ) -> BoxFuture<'_, Result<Changes, StoreError>> {
        Box::pin(async move {
            self.perform(Op::ChangesAfter, |state| Ok(state.feed.after(cursor, n_max)))
        })
    }

    fn wait_after(&self, cursor: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.perform(Op::WaitAfter, |_| Ok(()))?;
            poll_fn(|ctx| self.lock().state.feed.poll_after(cursor, ctx)).await;
            Ok(())
        })
    }
}
