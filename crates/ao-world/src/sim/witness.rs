//! Who sees everything that is written, typed and told, and holds it against the promises.
//!
//! It keeps a copy of what was committed, made from the commits themselves and never read back: a
//! store that forgot something would be found out by it.

mod commits;
mod effects;
mod messages;
mod terminal;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ao_core::ids::{LaunchId, MessageId, SessionId};
use ao_core::message::Message;
use ao_core::outbox::Effect;
use ao_core::ports::{Ensured, InfraIncident};
use ao_core::saga::Saga;
use ao_core::session::Session;
use ao_testkit::machine::FakeMachine;

use self::effects::EffectKey;
pub(crate) use self::effects::{Planned, Standing};

/// Violations that one run keeps: the first ones tell, the rest follow from them.
const VIOLATIONS_MAX: usize = 20;

/// Sees everything. Clones share what was seen.
#[derive(Clone)]
pub(crate) struct Witness {
    pub(crate) machine: FakeMachine,
    state: Arc<Mutex<Seen>>,
}

/// What was seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// Everything that happened, one line each.
    pub(crate) history: Vec<String>,
    /// Promises that were broken, one line each.
    pub(crate) violations: Vec<String>,
    /// What occurred, for the coverage.
    pub(crate) occurred: BTreeSet<String>,
    /// Every session as it was last committed.
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    /// Every launch that a session ever had, in order.
    pub(crate) launches: BTreeMap<SessionId, Vec<LaunchId>>,
    pub(crate) sagas: BTreeMap<SessionId, Saga>,
    pub(crate) messages: BTreeMap<MessageId, Message>,
    /// What was planned, in the order of the plans.
    pub(crate) planned: BTreeMap<EffectKey, Planned>,
    pub(crate) order: Vec<EffectKey>,
    pub(crate) seqs: BTreeMap<u64, EffectKey>,
    pub(crate) escalations: BTreeSet<String>,
    /// How often the text of each message was pasted.
    pub(crate) n_pastes: BTreeMap<MessageId, u32>,
    /// What the last look at each terminal showed since the last key: whether a dialog was open.
    pub(crate) looks: BTreeMap<SessionId, bool>,
    /// Sessions that somebody asked to end, or to bring back.
    pub(crate) asked_to_end: BTreeSet<SessionId>,
    pub(crate) asked_back: BTreeSet<SessionId>,
    pub(crate) removed: BTreeSet<SessionId>,
    pub(crate) n_commits: u64,
}

impl Witness {
    pub(crate) fn new(machine: FakeMachine) -> Self {
        Self { machine, state: Arc::default() }
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes something down.
    pub(crate) fn tell(&self, line: String) {
        self.seen().history.push(line);
    }

    pub(crate) fn violate(&self, what: String) {
        self.seen().violate(what);
    }

    /// Counts something for the coverage.
    pub(crate) fn count(&self, what: String) {
        self.seen().occurred.insert(what);
    }

    /// A session as last committed.
    pub(crate) fn session(&self, id: &SessionId) -> Option<Session> {
        self.seen().sessions.get(id).cloned()
    }

    /// Sessions that are live, or those that have ended.
    pub(crate) fn ids(&self, is_terminal: bool) -> Vec<SessionId> {
        let seen = self.seen();
        let wanted = seen.sessions.values().filter(|it| it.lifecycle.is_terminal() == is_terminal);
        wanted.map(|session| session.record.id.clone()).collect()
    }
}

impl Seen {
    pub(crate) fn violate(&mut self, what: String) {
        self.history.push(format!("  VIOLATION {what}"));
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(what);
        }
    }
}

impl Witness {
    /// Sees that the record of a session was removed.
    pub(crate) fn removed(&self, id: &SessionId) {
        let mut seen = self.seen();
        seen.history.push(format!("  {id} removed"));
        let session = seen.sessions.remove(id);
        if session.is_some_and(|session| !session.lifecycle.is_terminal()) {
            seen.violate(format!("{id}: removed while it lives"));
        }
        seen.messages.retain(|_, message| message.session != *id);
        seen.removed.insert(id.clone());
    }

    /// Sees an incident that was opened, or was open already.
    pub(crate) fn opened(&self, incident: &InfraIncident, ensured: Ensured, effects: &[Effect]) {
        let mut seen = self.seen();
        seen.occurred.insert(format!("incident:{}", incident.kind));
        if ensured == Ensured::AlreadyThere {
            return;
        }
        seen.occurred.insert("reaction:infrastructure".to_owned());
        seen.history.push(format!("  incident {}", incident.id));
        for effect in effects {
            seen.note_effect(None, effect);
        }
    }
}
