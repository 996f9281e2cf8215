//! Who sees everything that is written, typed and told, and holds it against the promises.
//!
//! It keeps a copy of what was committed, made from the commits themselves and never read back: a
//! store that forgot something would be found out by it.

mod cleanups;
mod commits;
mod effects;
mod messages;
mod places;
mod setups;
mod terminal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ao_core::ids::{InfraIncidentId, LaunchId, MessageId, SessionId};
use ao_core::message::Message;
use ao_core::outbox::Effect;
use ao_core::ports::{Ensured, InfraIncident};
use ao_core::saga::Saga;
use ao_core::session::Session;
use ao_testkit::machine::FakeMachine;

use self::cleanups::Cleanups;
use self::effects::EffectKey;
pub(crate) use self::effects::{Planned, Standing};
use self::places::Places;
use self::setups::Setups;
pub(crate) use self::terminal::TEXT_OF_A_PERSON;

/// Violations that one run keeps: the first ones tell, the rest follow from them.
const VIOLATIONS_MAX: usize = 20;

/// What somebody asks of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wish {
    /// That it ends.
    End,
    /// That it comes back.
    Restore,
}

/// A request while it is being performed. It excuses one end or one return, and none once it was
/// answered or its daemon died.
pub(crate) struct Request {
    witness: Witness,
    session: SessionId,
    wish: Wish,
}

impl Drop for Request {
    fn drop(&mut self) {
        let key = (self.session.clone(), self.wish);
        if let Some((n_open, n_used)) = self.witness.seen().requests.get_mut(&key) {
            // Of two at once nobody can tell which one was used: the one that was answered first.
            *n_open = n_open.saturating_sub(1);
            *n_used = n_used.saturating_sub(1);
        }
    }
}

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
    /// Places in that order of what still waits.
    waiting: BTreeSet<usize>,
    pub(crate) seqs: BTreeMap<u64, EffectKey>,
    pub(crate) escalations: BTreeSet<String>,
    /// What was told of several sessions at once.
    pub(crate) bundles: BTreeSet<EffectKey>,
    /// How often the text of each message was pasted.
    pub(crate) n_pastes: BTreeMap<MessageId, u32>,
    /// What the last look at each terminal showed since the last key: whether a dialog was open.
    pub(crate) looks: BTreeMap<SessionId, bool>,
    /// Requests that are being performed, and how many of them were used up.
    requests: BTreeMap<(SessionId, Wish), (u32, u32)>,
    pub(crate) removed: BTreeSet<SessionId>,
    /// Those whose worktrees nobody has looked for yet.
    pub(crate) just_removed: Vec<Session>,
    /// Those for which somebody asked for what was set aside: a worktree may come of it at any
    /// time, also after the record is gone.
    pub(crate) recovered: BTreeSet<SessionId>,
    /// Those whose work somebody wanted set aside.
    pub(crate) discards: BTreeSet<SessionId>,
    pub(crate) cleanups: Cleanups,
    pub(crate) places: Places,
    pub(crate) setups: Setups,
    /// Outages that were opened.
    outages: BTreeSet<InfraIncidentId>,
    /// How many live sessions there were after each step, added up.
    pub(crate) n_lived: u64,
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

    /// Sees somebody ask something of a session.
    pub(crate) fn asked(&self, session: &SessionId, wish: Wish) -> Request {
        self.seen().requests.entry((session.clone(), wish)).or_default().0 += 1;
        Request { witness: self.clone(), session: session.clone(), wish }
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
    /// Uses a request up; `false` when nobody asks for it.
    fn use_request(&mut self, session: &SessionId, wish: Wish) -> bool {
        let request = self.requests.get_mut(&(session.clone(), wish));
        let unused = request.filter(|(n_open, n_used)| n_used < n_open);
        unused.map(|(_, n_used)| *n_used += 1).is_some()
    }

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
        if session.as_ref().is_some_and(|session| !session.lifecycle.is_terminal()) {
            seen.violate(format!("{id}: removed while it lives"));
        }
        seen.just_removed.extend(session);
        seen.messages.retain(|_, message| message.session != *id);
        seen.setups.begun(id);
        seen.removed.insert(id.clone());
    }

    /// Sees an incident that was opened, or was open already.
    pub(crate) fn opened(&self, incident: &InfraIncident, ensured: Ensured, effects: &[Effect]) {
        let mut seen = self.seen();
        seen.occurred.insert(format!("incident:{}", incident.kind));
        seen.outages.insert(incident.id.clone());
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
