//! Every commit: fenced by its revision, terminal states absorbing, no death without two witnesses.

use ao_core::fact::{
    BootProbe, FactKind, LookFact, Outcome, ProcessProbe, RuntimeProbe, ServerProbe,
};
use ao_core::ids::Revision;
use ao_core::ledger::{IncidentKey, ReactionKind};
use ao_core::policy::Policy;
use ao_core::ports::{Commit, Expected, Processes as _};
use ao_core::record::{ActivityState, SessionState};
use ao_core::saga::SagaChange;
use ao_core::session::Session;
use ao_core::step::Rule;

use super::{Seen, Wish, Witness};

impl Witness {
    /// Sees a commit that the store has taken.
    pub(crate) fn committed(&self, commit: &Commit, revision: Revision) {
        let mut seen = self.seen();
        seen.n_commits += 1;
        let line = shown(commit, revision);
        seen.history.push(line);
        seen.check_fence(commit, revision);
        let before = seen.sessions.get(&commit.session).cloned();
        if let Some(next) = &commit.next {
            if let Some(before) = &before {
                seen.check_end(before, next, commit, self);
                seen.check_launch(before, next, commit);
            }
            let mut next = next.clone();
            next.lifecycle.revision = revision;
            if let Some(launch) = &next.record.launch_id {
                let launches = seen.launches.entry(commit.session.clone()).or_default();
                if launches.last() != Some(launch) {
                    launches.push(launch.clone());
                }
            }
            seen.note_session(&next);
            seen.sessions.insert(commit.session.clone(), next);
        }
        if let Some(entry) = &commit.journal {
            seen.occurred.insert(format!("rule:{}", entry.because.rule));
        }
        seen.note_saga(commit);
        if let Some(next) = &commit.next {
            seen.check_setup(next, commit);
        }
        seen.note_places(commit, &self.machine);
        seen.note_messages(commit);
        for effect in &commit.effects {
            seen.note_effect(Some(&commit.session), effect);
        }
    }
}

fn shown(commit: &Commit, revision: Revision) -> String {
    let rule = commit.journal.as_ref().map_or("-", |entry| entry.because.rule.as_str());
    let state = commit.next.as_ref().map_or_else(String::new, |next| {
        let lifecycle = &next.lifecycle;
        format!(
            " {}/{} {}/{} {}",
            lifecycle.session.state,
            lifecycle.session.reason,
            lifecycle.runtime.state,
            lifecycle.runtime.reason,
            next.record.phase,
        )
    });
    let saga = match &commit.saga {
        None => String::new(),
        Some(SagaChange::Begin(saga)) => format!(" begins {} at {}", saga.kind, saga.step),
        Some(SagaChange::Put(saga)) => {
            format!(" {} {} at {}", saga.kind, saga.direction, saga.step)
        }
        Some(SagaChange::End) => " ends its saga".to_owned(),
    };
    let n = (commit.messages.len(), commit.effects.len());
    let at = commit.at.since_boot.as_millis();
    format!("  @{at} {} r{} {rule}{state}{saga} m{} e{}", commit.session, revision.0, n.0, n.1)
}

impl Seen {
    fn check_fence(&mut self, commit: &Commit, revision: Revision) {
        let known = self.sessions.get(&commit.session).map(|it| it.lifecycle.revision);
        let id = &commit.session;
        let is_fenced = match commit.expected {
            Expected::Absent => known.is_none(),
            Expected::Revision(expected) => known == Some(expected),
        };
        if !is_fenced {
            let expected = commit.expected;
            self.violate(format!("{id}: a write that expected {expected:?} passed at {known:?}"));
        }
        let is_right = match (known, &commit.next) {
            (Some(known), Some(_)) => revision > known,
            (Some(known), None) => revision == known,
            (None, _) => true,
        };
        if !is_right {
            self.violate(format!("{id}: revision {known:?} became {revision:?}"));
        }
        if self.removed.contains(id) {
            self.violate(format!("{id}: written after its record was removed"));
        }
    }

    /// What ends a session, and what brings it back.
    fn check_end(&mut self, before: &Session, next: &Session, commit: &Commit, of: &Witness) {
        let id = &commit.session;
        let fact = commit.journal.as_ref().map(|entry| &entry.fact.kind);
        let rule = commit.journal.as_ref().map(|entry| entry.because.rule);
        match (before.lifecycle.is_terminal(), next.lifecycle.is_terminal()) {
            (false, false) => {}
            (true, true) => {
                if before.lifecycle.session != next.lifecycle.session {
                    let (was, is) = (before.lifecycle.session, next.lifecycle.session);
                    self.violate(format!("{id}: ended as {was:?}, now says {is:?}"));
                }
            }
            (true, false) => {
                let is_asked = self.use_request(id, Wish::Restore);
                if rule != Some(Rule::RestoreRequested) || !is_asked {
                    self.violate(format!("{id}: reopened by {rule:?}, asked for: {is_asked}"));
                }
            }
            (false, true) => {
                let because = match fact {
                    Some(FactKind::Look(look)) => look_trouble(before, look, of)
                        .or_else(|| voice_trouble(before, look, commit))
                        .or_else(|| self.telling_trouble(next, look)),
                    Some(FactKind::Outcome(Outcome::EndRequested(_))) => {
                        let is_asked = self.use_request(id, Wish::End);
                        (!is_asked).then(|| "nobody asked for it".to_owned())
                    }
                    Some(FactKind::Outcome(Outcome::SpawnFailed)) => {
                        let is_launch = self.sagas.contains_key(id);
                        (!is_launch).then(|| "no launch was in flight".to_owned())
                    }
                    Some(
                        FactKind::Outcome(
                            Outcome::Launched(_)
                            | Outcome::Adopted(_)
                            | Outcome::RuntimeDestroyed
                            | Outcome::RestoreRequested
                            | Outcome::RestoreQueued
                            | Outcome::SpawnAdmitted
                            | Outcome::RestoreAdmitted,
                        )
                        | FactKind::Signal(_)
                        | FactKind::PullRequests(_)
                        | FactKind::Due(_)
                        | FactKind::IdleDue(_)
                        | FactKind::SendFailed(_)
                        | FactKind::SignalsLost(_),
                    ) => Some("such a fact ends nothing".to_owned()),
                    None => Some("nothing in the journal says why".to_owned()),
                };
                if let Some(because) = because {
                    self.violate(format!("{id}: ended by {rule:?}: {because}"));
                }
            }
        }
    }

    /// A fact of another launch changes nothing.
    fn check_launch(&mut self, before: &Session, next: &Session, commit: &Commit) {
        let of = match commit.journal.as_ref().map(|entry| &entry.fact.kind) {
            Some(FactKind::Look(look)) => &look.launch,
            Some(FactKind::Signal(signal)) => &signal.launch,
            Some(
                FactKind::Outcome(_)
                | FactKind::PullRequests(_)
                | FactKind::Due(_)
                | FactKind::IdleDue(_)
                | FactKind::SendFailed(_)
                | FactKind::SignalsLost(_),
            )
            | None => return,
        };
        let launch = before.lifecycle.launch.as_ref().map(|launch| &launch.id);
        if launch != Some(of) && before.lifecycle != next.lifecycle {
            let id = &commit.session;
            self.violate(format!("{id}: a fact of {of} was taken in by {launch:?}"));
        }
    }

    /// Who hears of a death that nobody asked for: its own incident or its outage tells.
    fn telling_trouble(&self, next: &Session, look: &LookFact) -> Option<String> {
        if next.lifecycle.session.state == SessionState::Done {
            return None;
        }
        if let Some(outage) = &look.incident {
            let is_open = self.outages.contains(outage);
            return (!is_open).then(|| format!("its outage {outage} was not opened before"));
        }
        let key = IncidentKey { reaction: ReactionKind::AgentExited, pr: None };
        let is_open = next.ledger.open.contains_key(&key);
        (!is_open).then(|| "nobody will be told".to_owned())
    }

    fn note_session(&mut self, session: &Session) {
        let reactions = session.ledger.open.keys().map(|key| key.reaction.as_str());
        let occurred: Vec<String> = reactions.map(|it| format!("reaction:{it}")).collect();
        self.occurred.extend(occurred);
        let lifecycle = &session.lifecycle;
        self.occurred.insert(format!("state:{}", lifecycle.session.state));
    }

    fn note_saga(&mut self, commit: &Commit) {
        match &commit.saga {
            None => {}
            Some(SagaChange::Begin(saga)) => {
                if self.sagas.contains_key(&commit.session) {
                    self.violate(format!("{}: two sagas at once", commit.session));
                }
                self.check_cleanup(saga);
                self.sagas.insert(commit.session.clone(), saga.clone());
            }
            Some(SagaChange::Put(saga)) => {
                self.sagas.insert(commit.session.clone(), saga.clone());
            }
            Some(SagaChange::End) => drop(self.sagas.remove(&commit.session)),
        }
    }
}

/// What is wrong with a look that ended a session; both the look and the machine itself are asked.
fn look_trouble(before: &Session, look: &LookFact, of: &Witness) -> Option<String> {
    let values = look.values;
    let is_rebooted = values.boot == BootProbe::Rebooted;
    let is_server_gone = values.server == ServerProbe::Gone;
    let is_runtime_dead = values.server == ServerProbe::Living
        && matches!(values.runtime, RuntimeProbe::Dead | RuntimeProbe::Missing);
    let is_process_dead = values.process == ProcessProbe::Dead;
    if !(is_rebooted || is_process_dead && (is_server_gone || is_runtime_dead)) {
        return Some(format!("the look does not have two witnesses: {values:?}"));
    }
    let handle = before.record.handle.as_ref()?;
    let is_running = of.machine.probe(&handle.process) != ProcessProbe::Dead;
    is_running.then(|| "its process runs".to_owned())
}

/// What is wrong with a look that ended a session whose agent was heard from since it died. A new
/// boot outranks that.
fn voice_trouble(before: &Session, look: &LookFact, commit: &Commit) -> Option<String> {
    let at = commit.journal.as_ref()?.fact.at;
    let activity = before.lifecycle.activity?;
    let dead_at = before.lifecycle.process_dead_at.unwrap_or(at);
    let is_heard = activity.state != ActivityState::Exited
        && activity.at.is_after(&dead_at)
        && at.since(&activity.at) <= Policy::default().veto_for;
    (is_heard && look.values.boot == BootProbe::Same)
        .then(|| format!("its agent was heard from after it died: {activity:?}"))
}
