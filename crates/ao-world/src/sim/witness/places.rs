//! Who may start: never more than there are places for, and nobody before one that waits for the
//! same places.
//!
//! It counts by itself: the queue is kept in the order in which sessions began to wait, across every
//! daemon, and who holds a place is asked of the machine, too.

use ao_core::capacity::Caps;
use ao_core::fact::ProcessProbe;
use ao_core::ids::SessionId;
use ao_core::ports::{Commit, Processes as _};
use ao_core::saga::{Saga, SagaChange, SagaDirection, SagaKind};
use ao_core::session::{Phase, Session};
use ao_core::step::Rule;
use ao_testkit::machine::FakeMachine;

use super::{Seen, Witness};

/// What was seen of places.
#[derive(Default)]
pub(crate) struct Places {
    caps: Caps,
    /// Those that wait, the first one first.
    queue: Vec<SessionId>,
}

impl Places {
    pub(crate) fn queue(&self) -> &[SessionId] {
        &self.queue
    }
}

const fn is_launch(saga: &Saga) -> bool {
    matches!(saga.kind, SagaKind::Spawn | SagaKind::Restore)
        && matches!(saga.direction, SagaDirection::Forward)
}

/// Takes what runs, and what of it is of one project.
struct Taken {
    n_all: u32,
    n_of_project: u32,
}

impl Witness {
    /// Sees that there are so many places from now on.
    pub(crate) fn recap(&self, caps: &Caps) {
        let mut seen = self.seen();
        let ids: Vec<SessionId> = seen.sessions.keys().cloned().collect();
        let weights = ids.iter().filter(|id| seen.holds(id, &self.machine));
        let n_taken: u32 = weights.map(|id| seen.weight(id)).sum();
        if caps.max.is_some_and(|max| n_taken > max) {
            seen.occurred.insert("places:fewer than are taken".to_owned());
        }
        seen.history.push(format!("  places: {:?}", caps.max));
        seen.places.caps = caps.clone();
    }
}

impl Seen {
    fn weight(&self, id: &SessionId) -> u32 {
        let session = self.sessions.get(id);
        session.map_or(0, |session| self.places.caps.weight_of(&session.record.agent))
    }

    /// Whether the agent of a session runs, or is about to.
    fn holds(&self, id: &SessionId, machine: &FakeMachine) -> bool {
        let Some(session) = self.sessions.get(id) else { return false };
        if session.record.phase == Phase::Queued {
            return false;
        }
        let is_wanted = match self.sagas.get(id) {
            Some(saga) => is_launch(saga),
            None => !session.lifecycle.is_terminal(),
        };
        let process = session.record.handle.as_ref().map(|handle| &handle.process);
        is_wanted
            || machine.agent_of(id).is_some()
            || process.is_some_and(|it| machine.probe(it) != ProcessProbe::Dead)
    }

    fn taken(&self, of: &Session, machine: &FakeMachine) -> Taken {
        let mut taken = Taken { n_all: 0, n_of_project: 0 };
        for (id, session) in &self.sessions {
            if self.holds(id, machine) {
                let weight = self.weight(id);
                taken.n_all += weight;
                if session.record.project == of.record.project {
                    taken.n_of_project += weight;
                }
            }
        }
        taken
    }

    /// Sees what a commit that was taken in says about places.
    pub(super) fn note_places(&mut self, commit: &Commit, machine: &FakeMachine) {
        let Some(next) = &commit.next else { return };
        let id = &commit.session;
        let saga = self.sagas.get(id);
        let is_waiting = next.record.phase == Phase::Queued
            && !next.lifecycle.is_terminal()
            && saga.is_some_and(|saga| is_launch(saga) && !saga.is_cancelled);
        let is_restore = saga.is_some_and(|saga| saga.kind == SagaKind::Restore);
        let place = self.places.queue.iter().position(|it| it == id);
        let rule = commit.journal.as_ref().map(|entry| entry.because.rule);
        let is_begun = matches!(commit.saga, Some(SagaChange::Begin(_)));
        match place {
            None if is_waiting => {
                self.places.queue.push(id.clone());
                let what = if is_restore { "a restore waits" } else { "a spawn waits" };
                self.occurred.insert(format!("places:{what}"));
                self.check_nothing_is_made(next, is_restore);
            }
            None if is_begun && saga.is_some_and(is_launch) => {
                self.check_start(next, self.places.queue.len(), machine);
            }
            Some(place) if !is_waiting => {
                if rule == Some(Rule::PlaceFound) {
                    self.check_start(next, place, machine);
                    self.occurred.insert("places:found".to_owned());
                } else {
                    self.occurred.insert("places:killed while it waits".to_owned());
                }
                self.places.queue.retain(|it| it != id);
            }
            Some(_) | None => {}
        }
    }

    fn check_nothing_is_made(&mut self, session: &Session, is_restore: bool) {
        let record = &session.record;
        let has_worktree = record.workspace.fate.as_str() != "absent";
        if record.handle.is_some() || has_worktree && !is_restore {
            self.violate(format!("{}: it waits for a place and has something", record.id));
        }
    }

    /// Holds the start of a session, which is among the sessions already, against the places and
    /// the first `n_earlier` of those that wait.
    fn check_start(&mut self, session: &Session, n_earlier: usize, machine: &FakeMachine) {
        let caps = self.places.caps.clone();
        let weight = caps.weight_of(&session.record.agent);
        if caps.is_unlimited() || weight == 0 {
            return;
        }
        let id = &session.record.id;
        let taken = self.taken(session, machine);
        let is_beyond = |n: u32, max: Option<u32>| max.is_some_and(|max| n > max);
        if is_beyond(taken.n_all, caps.max) || is_beyond(taken.n_of_project, caps.per_project) {
            let (n, of) = (taken.n_all, taken.n_of_project);
            self.violate(format!("{id}: started, and {n} places are taken, {of} of its project"));
        }
        let earlier: Vec<SessionId> = self.places.queue.iter().take(n_earlier).cloned().collect();
        let (mut n_all, mut n_of_project) = (taken.n_all, taken.n_of_project);
        for other in &earlier {
            let Some(waiting) = self.sessions.get(other) else { continue };
            let is_own_project = waiting.record.project == session.record.project;
            let wanted = self.weight(other);
            if caps.exceeded_by(wanted).is_some() {
                continue;
            }
            n_all += wanted;
            n_of_project += if is_own_project { wanted } else { 0 };
            // One of another project may be kept by that project's places.
            let is_free_to_wait = !is_own_project && caps.per_project.is_some();
            let is_overtaken = is_beyond(n_all, caps.max)
                || is_own_project && is_beyond(n_of_project, caps.per_project);
            if is_overtaken && !is_free_to_wait {
                self.violate(format!("{id}: started before {other}, which waits for the place"));
                return;
            }
        }
        if !earlier.is_empty() {
            self.occurred.insert("places:another goes first".to_owned());
        }
    }

    /// At rest nobody waits for whom there is a place.
    pub(crate) fn check_free_places(&mut self, machine: &FakeMachine) {
        let caps = self.places.caps.clone();
        let mut n_kept = 0;
        let mut full_projects = Vec::new();
        for id in self.places.queue.clone() {
            let Some(session) = self.sessions.get(&id).cloned() else {
                self.violate(format!("{id} waits for a place and has no record"));
                continue;
            };
            let (weight, project) = (self.weight(&id), session.record.project.clone());
            if caps.exceeded_by(weight).is_some() {
                self.occurred.insert("places:never enough".to_owned());
                continue;
            }
            let taken = self.taken(&session, machine);
            let of_project = taken.n_of_project.saturating_add(weight);
            if full_projects.contains(&project)
                || caps.per_project.is_some_and(|max| of_project > max)
            {
                full_projects.push(project);
                continue;
            }
            n_kept += weight;
            if caps.max.is_some_and(|max| taken.n_all.saturating_add(n_kept) > max) {
                return;
            }
            self.violate(format!("{id} waits at rest although there is a place for it"));
        }
    }
}
