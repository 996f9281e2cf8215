//! What must hold after every step, and what must hold once everything healed and time passed.

use std::collections::BTreeSet;
use std::time::Duration;

use ao_core::fact::ProcessProbe;
use ao_core::ids::{SessionId, Sha};
use ao_core::ledger::{IncidentKey, ReactionKind};
use ao_core::message::{MessageOrigin, MessageState};
use ao_core::outbox::Condition;
use ao_core::policy::ReactionAction;
use ao_core::ports::{Appraisal, CreateWorkspace, Processes as _, RemovalMode, Workspace as _};
use ao_core::pr::{Checks, Known, Mergeability, Pr, PrLife, Review};
use ao_core::record::{ActivityState, SessionState};
use ao_core::saga::SagaKind;
use ao_core::session::{Phase, Session, WorkspaceFate};
use ao_engine::CleanupRequest;
use futures_util::FutureExt as _;

use super::names::{self, AGENTS, PROJECTS};
use super::witness::Seen;
use super::world::{Trouble, World};

/// How long a healed world gets to come to rest: the longest pause between two tries of an effect
/// is ten minutes, and twice that is enough for two of them in a row.
const REST: Duration = Duration::from_mins(21);

/// How long what the forge shows at rest gets to be told: nothing is in the way any more.
const AFTER_POLL: Duration = Duration::from_mins(5);

/// How long teardowns may take at the end.
const END: Duration = Duration::from_mins(2);

impl World {
    /// Ends every fault that lasts.
    fn heal(&mut self) {
        self.is_forge_down = false;
        self.trouble.heal();
        self.machine.heal();
        self.git.heal();
        self.setup.heal();
        self.bells.iter().for_each(|bell| bell.heal());
        self.machine.set_watches(true);
        self.machine.set_exec_held(false);
        self.machine.hide_next_exit(0);
        for name in AGENTS {
            self.machine.set_program_missing(&format!("/usr/bin/{name}"), false);
        }
        for name in PROJECTS {
            self.machine.set_server_reachable(&names::project(name), true);
        }
        for id in self.witness.ids(false) {
            let Some(mind) = self.minds.mind(&self.machine, &id) else { continue };
            self.machine.set_process_visible(mind.pid, true);
            self.minds.set_still(&id, false);
            if self.minds.has_composer(&id) {
                self.machine.set_dialog(&id, None);
                self.machine.set_in_mode(&id, false);
                self.machine.set_human_typing(&id, false);
                self.machine.set_composer(&id, "");
            }
        }
        self.minds.hurry();
    }

    /// Counts the faults that were met at the machine.
    pub(crate) fn count_struck(&self) {
        for (op, name) in self.machine.struck() {
            self.witness.count(format!("fault:port:{op:?}:{name}"));
            self.witness.count(format!("fault:port:{name}"));
        }
    }

    /// Looks whether all work of all sessions is somewhere.
    fn check_work(&self) {
        let git = &self.git.fake;
        for (id, work) in &self.work {
            for (name, text) in &work.files {
                let is_there = git.read(&work.worktree, name).as_ref() == Some(text);
                if !is_there && !git.has_preserved(&work.repo, id, (name, text)) {
                    self.witness.violate(format!("{id}: `{name}` is lost"));
                }
            }
            let is_lost = |it: &&Sha| !git.keeps_commit(&work.repo, id, it);
            if let Some(commit) = work.commits.iter().find(is_lost) {
                self.witness.violate(format!("{id}: its commit {commit} is lost"));
            }
        }
    }

    /// Of those that wait for a place nothing is made.
    fn check_waiting(&self) {
        let mut seen = self.witness.seen();
        for id in seen.places.queue().to_vec() {
            let Some(session) = seen.sessions.get(&id) else { continue };
            let is_new = seen.sagas.get(&id).is_some_and(|saga| saga.kind == SagaKind::Spawn);
            let has_worktree =
                is_new && self.git.fake.head(&session.record.workspace.path).is_some();
            if has_worktree || self.machine.agent_of(&id).is_some() {
                seen.violate(format!("{id} waits for a place and has a worktree or an agent"));
            }
        }
    }

    /// A record that is gone accounts for no worktree.
    fn check_removed(&self) {
        let removed = std::mem::take(&mut self.witness.seen().just_removed);
        for session in removed {
            let repo = names::repo(session.record.project.as_str());
            let listed = self.git.fake.list(&repo).now_or_never();
            let listed = listed.and_then(Result::ok).unwrap_or_default();
            let is_asked_for = self.witness.seen().recovered.contains(&session.record.id);
            let path = &session.record.workspace.path;
            if let Some(left) = listed.iter().find(|it| it.path == *path && !is_asked_for) {
                let (id, path) = (session.record.id, left.path.display());
                self.witness.violate(format!("{id}: removed, and its worktree is at {path}"));
            }
        }
    }

    /// Heals, lets time pass, and looks whether the world has converged.
    pub(crate) fn come_to_rest(&mut self) -> Result<(), Trouble> {
        self.heal();
        self.n_steps_down = 0;
        self.tend()?;
        self.pass_time(REST.saturating_sub(AFTER_POLL))?;
        self.poll_forge();
        self.pass_time(AFTER_POLL)?;
        self.check_rest();
        Ok(())
    }

    /// What must hold after every step.
    pub(crate) fn check_step(&mut self) {
        for panicked in self.tasks.take_panics() {
            self.witness.violate(format!("a task panicked: {panicked}"));
        }
        let n_changes = self.git.n_changes();
        if std::mem::replace(&mut self.n_changes_seen, n_changes) != n_changes {
            self.check_work();
        }
        self.check_removed();
        self.check_waiting();
        let n_live = self.witness.ids(false).len();
        self.witness.seen().n_lived += u64::try_from(n_live).unwrap_or(0);
        // What it wrote down is what is there: a store that forgets is found out at once.
        let Some(gate) = self.gate() else { return };
        let mut seen = self.witness.seen();
        match gate.compare(&seen.sessions) {
            None => seen.violate("the store does not answer at once".to_owned()),
            Some(Err(error)) => seen.violate(format!("the store cannot be read: {error}")),
            Some(Ok((n, other))) => {
                let known = seen.sessions.len();
                if n != known || !other.is_empty() {
                    seen.violate(format!(
                        "the store has {n} of {known} sessions, other: {other:?}"
                    ));
                }
            }
        }
    }

    fn check_rest(&self) {
        if self.engine().is_none() {
            self.witness.violate("the daemon is not up".to_owned());
            return;
        }
        let ids: Vec<SessionId> = self.witness.seen().sessions.keys().cloned().collect();
        for id in &ids {
            self.check_session(id);
        }
        self.check_work();
        self.check_orphans();
        for id in self.setup.busy() {
            self.witness.violate(format!("{id}: a command of its preparation runs at rest"));
        }
        self.witness.seen().check_free_places(&self.machine);
        self.witness.seen().check_outbox();
    }

    fn check_session(&self, id: &SessionId) {
        let Some(session) = self.witness.session(id) else { return };
        // An agent that outlived its terminal is there, too.
        let process = session.record.handle.as_ref().map(|handle| &handle.process);
        let has_agent =
            process.is_some_and(|process| self.machine.probe(process) != ProcessProbe::Dead);
        let mut seen = self.witness.seen();
        let lifecycle = &session.lifecycle;
        let shown = format!(
            "{id} at rest: {}/{}, {}/{}, {}",
            lifecycle.session.state,
            lifecycle.session.reason,
            lifecycle.runtime.state,
            lifecycle.runtime.reason,
            session.record.phase,
        );
        let is_waiting = seen.places.queue().contains(id);
        if let Some(saga) = seen.sagas.get(id).cloned().filter(|_| !is_waiting) {
            let because = saga.because.map(|it| it.message);
            let at = (saga.kind, saga.step, saga.direction);
            seen.violate(format!("{shown}: its saga stands at {at:?} because {because:?}"));
        }
        let is_live = !lifecycle.is_terminal();
        let phase = match (is_live, is_waiting) {
            (true, true) => Phase::Queued,
            (true, false) => Phase::Running,
            (false, _) => Phase::Ended,
        };
        if session.record.phase != phase {
            seen.violate(format!("{shown}: should be {phase}"));
        }
        let is_given = |name: &String| {
            let because = session.record.workspace.because.as_ref();
            because.is_some_and(|it| it.contains(&format!("`{name}`")))
        };
        let given = &self.settings.provisions;
        if given.link.iter().chain(&given.copy).any(is_given) {
            seen.violate(format!("{shown}: its worktree is kept for what it was given"));
        }
        if (is_live && !is_waiting) != has_agent {
            seen.violate(format!("{shown}: its agent is there: {has_agent}"));
        }
        if lifecycle.session.state == SessionState::Detecting {
            seen.violate(format!("{shown}: in doubt although all can be seen"));
        }
        if lifecycle.session.state == SessionState::NotStarted && !is_waiting {
            seen.violate(format!("{shown}: neither started nor stuck"));
        }
        seen.check_messages(&session);
        for wanted in wanted_incidents(&session) {
            if !lifecycle_has(&session, wanted) {
                seen.violate(format!("{shown}: no {} is open", wanted.reaction));
            }
        }
        let policy = &self.settings.policy;
        let wanted = wanted_incidents(&session);
        for (key, incident) in &session.ledger.open {
            let is_message = policy.reaction(key.reaction).action == ReactionAction::Message;
            // What its agent cannot be told any more its human is told once it is seen again: for
            // as long as nothing is known of the newest commit it may be over.
            if !is_live && is_message && !wanted.contains(key) {
                continue;
            }
            let is_notified = policy.reaction(key.reaction).action == ReactionAction::Notify;
            let is_of_human = is_notified || incident.is_escalated;
            let is_told = seen.is_told(id, *key, incident.episode);
            // What an agent is told, it is told by a message that is under way or arrived.
            let is_sent = !is_of_human && seen.is_sent(id, *key, incident.episode);
            if !is_told && !is_sent {
                seen.violate(format!("{shown}: nobody was told of {key:?}"));
            }
        }
    }

    fn check_orphans(&self) {
        let mut seen = self.witness.seen();
        for (socket, name) in self.machine.sessions() {
            let session = seen.sessions.values().find(|it| it.record.id.as_str() == name);
            if session.is_none_or(|it| it.lifecycle.is_terminal()) {
                seen.violate(format!("tmux session {name} on {} is left", socket.display()));
            }
        }
        let servers: BTreeSet<_> = self.machine.servers().into_iter().collect();
        let agents: BTreeSet<_> = (seen.sessions.values())
            .filter(|it| !it.lifecycle.is_terminal())
            .filter_map(|it| it.record.handle.as_ref().map(|handle| handle.process.pid))
            .collect();
        // What an agent started and left behind still carries the secret of its session's launch:
        // a kill finds it by that.
        let secrets: BTreeSet<_> =
            seen.sessions.values().filter_map(|it| it.record.nonce.clone()).collect();
        let others: Vec<_> = (self.machine.running().into_iter())
            .filter(|pid| !servers.contains(pid) && !agents.contains(pid))
            .filter(|pid| self.machine.nonce_of(*pid).is_none_or(|it| !secrets.contains(&it)))
            .collect();
        if !others.is_empty() {
            seen.violate(format!("processes {others:?} are left that no session accounts for"));
        }
        let sessions: Vec<Session> = seen.sessions.values().cloned().collect();
        for project in PROJECTS {
            let repo = names::repo(project);
            // The fake answers at once; letting tasks run here would change the history.
            let listed = self.git.fake.list(&repo).now_or_never();
            let listed = listed.and_then(Result::ok).unwrap_or_default();
            for worktree in listed.iter().filter(|it| it.path != repo) {
                let name = worktree.path.file_name().and_then(|it| it.to_str()).unwrap_or("");
                let is_recovered = seen.recovered.iter().any(|it| it.as_str() == name)
                    && seen.removed.iter().any(|it| it.as_str() == name);
                if is_recovered {
                    // Whoever asked for what was left of it after its record was gone has it.
                    continue;
                }
                let owner = sessions.iter().find(|it| it.record.workspace.path == worktree.path);
                let fate = owner.map(|it| it.record.workspace.fate);
                let is_accounted =
                    matches!(fate, Some(WorkspaceFate::Present | WorkspaceFate::Kept));
                if !is_accounted {
                    let path = worktree.path.display();
                    seen.violate(format!("worktree {path} is left: {fate:?}"));
                }
            }
        }
    }

    /// What is merged, or holds nothing, goes with a cleanup in which nothing goes wrong.
    fn clean_up_at_rest(&mut self) -> Result<(), Trouble> {
        self.clean_up(CleanupRequest::default());
        self.pass_time(END)?;
        for id in self.witness.ids(true) {
            let Some(Session { record, .. }) = self.witness.session(&id) else { continue };
            let repo = names::repo(record.project.as_str());
            let request = CreateWorkspace {
                repo,
                session: id.clone(),
                path: record.workspace.path,
                branch: record.branch,
                base: None,
            };
            let appraisal = self.git.fake.appraise(&request, RemovalMode::Merged).now_or_never();
            if let Some(Ok(Appraisal::Goes { because })) = appraisal {
                self.witness.violate(format!("{id}: a cleanup left it although {because}"));
            }
        }
        Ok(())
    }

    /// Ends every session and looks that nothing is left of any.
    pub(crate) fn end(&mut self) -> Result<(), Trouble> {
        self.clean_up_at_rest()?;
        for id in self.witness.ids(false).into_iter().chain(self.witness.ids(true)) {
            self.kill(&id, false);
        }
        self.pass_time(END)?;
        // A spawn that was refused while its file could not be removed leaves that to a start.
        self.stop()?;
        self.n_steps_down = 0;
        self.tend()?;
        self.pass_time(END)?;
        self.check_orphans();
        self.check_replays();
        let live = self.witness.ids(false);
        if !live.is_empty() {
            self.witness.violate(format!("killed and alive: {live:?}"));
        }
        let left = self.machine.launches_with_files();
        if !left.is_empty() {
            self.witness.violate(format!("launch files are left: {left:?}"));
        }
        let servers = self.machine.servers();
        let others: Vec<_> =
            self.machine.running().into_iter().filter(|pid| !servers.contains(pid)).collect();
        if !others.is_empty() {
            self.witness.violate(format!("processes are left: {others:?}"));
        }
        Ok(())
    }
}

fn lifecycle_has(session: &Session, key: IncidentKey) -> bool {
    session.ledger.open.contains_key(&key)
}

/// The incidents that the state of a session calls for, whatever the ledger says.
fn wanted_incidents(session: &Session) -> Vec<IncidentKey> {
    if session.lifecycle.intent.is_some() {
        return Vec::new();
    }
    let reaction = match session.lifecycle.session.state {
        SessionState::NeedsInput => Some(ReactionKind::AgentNeedsInput),
        SessionState::Stuck => Some(ReactionKind::AgentStuck),
        SessionState::Done => Some(ReactionKind::SessionDone),
        SessionState::NotStarted
        | SessionState::Working
        | SessionState::Idle
        | SessionState::Detecting
        | SessionState::Terminated => None,
    };
    let of_session = reaction.map(|reaction| IncidentKey { reaction, pr: None });
    let prs = session.lifecycle.prs.values().flat_map(wanted_of);
    of_session.into_iter().chain(prs).collect()
}

/// What is known, if it was seen since the head is the one that it is.
fn of_head<'k, T>(pr: &Pr, known: &'k Known<T>) -> Option<&'k T> {
    match (known, &pr.head) {
        (Known::Known { at, .. }, Known::Known { at: head_at, .. }) if head_at.is_after(at) => None,
        (known, _) => known.value(),
    }
}

/// The incidents that what is known of a pull request calls for.
fn wanted_of(pr: &Pr) -> Vec<IncidentKey> {
    let is_open = match pr.life.value() {
        Some(PrLife::Open) => true,
        Some(PrLife::Closed) => {
            return vec![IncidentKey { reaction: ReactionKind::PrClosed, pr: Some(pr.number) }];
        }
        Some(PrLife::Merged) | None => false,
    };
    let has_failed = matches!(of_head(pr, &pr.checks), Some(Checks::Failed { .. }));
    let is_conflicting = of_head(pr, &pr.mergeability) == Some(&Mergeability::Conflicting);
    let (human, bot) = match pr.review.value() {
        Some(Review::ChangesRequested { human, bot }) => (!human.is_empty(), !bot.is_empty()),
        Some(Review::NotRequired | Review::Pending | Review::Approved) | None => (false, false),
    };
    let all = [
        (has_failed, ReactionKind::CiFailed),
        (human, ReactionKind::ChangesRequested),
        (bot, ReactionKind::BugbotComments),
        (is_conflicting, ReactionKind::MergeConflicts),
    ];
    let wanted = all.into_iter().filter(|(holds, _)| is_open && *holds);
    wanted.map(|(_, reaction)| IncidentKey { reaction, pr: Some(pr.number) }).collect()
}

impl Seen {
    fn is_told(&self, id: &SessionId, key: IncidentKey, episode: u64) -> bool {
        let condition = Condition::IncidentOpen { incident: key, episode };
        self.planned.values().any(|planned| {
            planned.session.as_ref() == Some(id)
                && planned.condition == condition
                && planned.is_delivered
        })
    }

    fn is_sent(&self, id: &SessionId, key: IncidentKey, episode: u64) -> bool {
        self.messages.values().filter(|message| message.session == *id).any(|message| {
            let is_of_it = |it: &MessageOrigin| it.incident == key && it.episode == episode;
            let is_dropped = matches!(
                message.state,
                MessageState::Refused | MessageState::Expired | MessageState::Cancelled
            );
            message.origin.as_ref().is_some_and(is_of_it) && !is_dropped
        })
    }

    fn check_messages(&mut self, session: &Session) {
        let id = &session.record.id;
        let is_live = !session.lifecycle.is_terminal();
        // A dialog that a hook told of is open for as long as nobody tells otherwise.
        let is_blocked = (session.lifecycle.activity.as_ref())
            .is_some_and(|activity| activity.state == ActivityState::Blocked);
        let mut wrong = Vec::new();
        // Only the one whose turn it is shows why it waits.
        let is_next = |state| matches!(state, MessageState::Queued | MessageState::Typing);
        let is_held = (self.messages.values())
            .any(|it| it.session == *id && is_next(it.state) && it.reason.is_some());
        for message in self.messages.values().filter(|it| it.session == *id) {
            let is_wrong = match message.state {
                MessageState::Typing => !(is_live && is_blocked),
                MessageState::Queued => !is_live || !is_held,
                MessageState::Typed => !is_live && !message.is_final(),
                MessageState::Submitted
                | MessageState::Acknowledged
                | MessageState::Refused
                | MessageState::Expired
                | MessageState::Superseded
                | MessageState::Cancelled
                | MessageState::InDoubt => false,
            };
            if is_wrong {
                let (state, reason) = (message.state, message.reason);
                wrong.push(format!("{id} at rest: message {} is {state} {reason:?}", message.id));
            }
        }
        for what in wrong {
            self.violate(what);
        }
    }

    fn check_outbox(&mut self) {
        use super::witness::Standing;
        let waiting: Vec<String> = (self.planned.iter())
            .filter(|(_, it)| it.standing == Standing::Pending)
            .map(|(key, it)| format!("{} ({})", key.0, it.reaction))
            .collect();
        if !waiting.is_empty() {
            let n = waiting.len();
            let first = waiting.first().cloned().unwrap_or_default();
            self.violate(format!("{n} effects wait at rest: {first}"));
        }
    }
}
