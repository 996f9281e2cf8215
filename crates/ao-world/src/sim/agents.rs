//! The agents of the world: which launch each one belongs to, what it tells, and how its hooks
//! travel.
//!
//! A hook is told at least once: one that a daemon did not acknowledge is told to the next daemon
//! before that decides anything, as the spool does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ao_core::echo::PromptEcho;
use ao_core::fact::{Fact, FactKind, SignalDetail, SignalFact};
use ao_core::ids::{AgentSessionId, FactId, LaunchId, Pid, SessionId};
use ao_core::ports::IdGen as _;
use ao_core::record::{ActivitySource, ActivityState};
use ao_core::time::Moment;
use ao_testkit::ids::SeqIds;
use ao_testkit::machine::FakeMachine;
use ao_testkit::scripted_agent::ScriptedAgent;

use super::dice::Dice;
use super::plan::Way;
use super::witness::Witness;

/// One agent that runs, or ran.
#[derive(Debug, Clone)]
pub(crate) struct Mind {
    pub(crate) launch: LaunchId,
    pub(crate) pid: Pid,
    /// Texts of its terminal that it has taken in.
    pub(crate) n_heard: usize,
    /// It does and tells nothing.
    pub(crate) is_still: bool,
    /// It never goes on.
    is_hung: bool,
}

/// A hook on its way.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) session: SessionId,
    pub(crate) fact: Fact,
    told_at: Moment,
    arrives_after: Duration,
    /// Counts the hooks of all agents in the order in which they were told.
    no: u64,
}

#[derive(Default)]
struct State {
    minds: BTreeMap<SessionId, Mind>,
    hooks: Vec<Hook>,
    n_hooks: u64,
    /// The newest hook of each session that has arrived.
    newest: BTreeMap<SessionId, u64>,
}

/// All agents, and their hooks.
pub(crate) struct Minds {
    witness: Witness,
    ids: Arc<SeqIds>,
    state: Mutex<State>,
}

/// What an agent tells.
pub(crate) struct Told {
    pub(crate) state: ActivityState,
    pub(crate) detail: Option<SignalDetail>,
    pub(crate) prompt: Option<String>,
}

impl Minds {
    pub(crate) fn new(witness: Witness, ids: Arc<SeqIds>) -> Self {
        Self { witness, ids, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An agent that may have been started just now.
    pub(crate) fn born(&self, machine: &FakeMachine, session: &SessionId, launch: &LaunchId) {
        let Some(process) = machine.agent_of(session) else { return };
        let mut state = self.lock();
        if state.minds.get(session).is_some_and(|mind| mind.pid == process.pid) {
            return;
        }
        let mind = Mind {
            launch: launch.clone(),
            pid: process.pid,
            n_heard: 0,
            is_still: false,
            is_hung: false,
        };
        state.minds.insert(session.clone(), mind);
        let agent = self.witness.session(session).map(|it| it.record.agent);
        if agent.is_some_and(|agent| shows_screen(agent.as_str())) {
            machine.set_composer(session, "");
        }
    }

    /// The agent that runs in the terminal of a session.
    pub(crate) fn mind(&self, machine: &FakeMachine, session: &SessionId) -> Option<Mind> {
        let process = machine.agent_of(session)?;
        self.lock().minds.get(session).filter(|mind| mind.pid == process.pid).cloned()
    }

    /// Lets an agent do and tell nothing, or go on.
    pub(crate) fn set_still(&self, session: &SessionId, is_still: bool) {
        if let Some(mind) = self.lock().minds.get_mut(session) {
            mind.is_still = is_still || mind.is_hung;
        }
    }

    /// Lets an agent do and tell nothing any more.
    pub(crate) fn hang(&self, session: &SessionId) {
        if let Some(mind) = self.lock().minds.get_mut(session) {
            (mind.is_still, mind.is_hung) = (true, true);
        }
    }

    /// The next text that stands in the terminal of an agent and that it has not taken in.
    pub(crate) fn hear(&self, machine: &FakeMachine, session: &SessionId) -> Option<String> {
        let texts = if self.has_composer(session) {
            machine.submitted(session)
        } else {
            let n_enters = machine.keys(session).iter().filter(|key| *key == "Enter").count();
            machine.pastes(session).into_iter().take(n_enters).collect()
        };
        let mut state = self.lock();
        let mind = state.minds.get_mut(session).filter(|mind| !mind.is_still)?;
        let text = texts.get(mind.n_heard)?.clone();
        mind.n_heard += 1;
        Some(text)
    }

    pub(crate) fn has_composer(&self, session: &SessionId) -> bool {
        let agent = self.witness.session(session).map(|it| it.record.agent);
        agent.is_some_and(|agent| shows_screen(agent.as_str()))
    }

    /// Lets what an agent left behind tell that it works: a hook that runs on after its death.
    pub(crate) fn tell_after_death(&self, (session, now): (&SessionId, Moment), mind: &Mind) {
        let signal = SignalFact {
            id: FactId::from(self.ids.token()),
            launch: mind.launch.clone(),
            activity: ActivityState::Active,
            source: ActivitySource::Hook,
            detail: None,
            agent_session_id: None,
            paused_until: None,
            is_submit: false,
            prompt: None,
            transcript: None,
            message: None,
        };
        let hook = Hook {
            session: session.clone(),
            fact: Fact { at: now, kind: FactKind::Signal(signal) },
            told_at: now,
            arrives_after: Duration::ZERO,
            no: self.next_no(),
        };
        self.lock().hooks.push(hook);
    }

    /// Lets an agent tell something, by a hook that travels this way.
    pub(crate) fn tell(
        &self,
        machine: &FakeMachine,
        (session, now): (&SessionId, Moment),
        (told, way): (&Told, Way),
        dice: &mut Dice,
    ) {
        let Some(mind) = self.mind(machine, session).filter(|mind| !mind.is_still) else { return };
        let Some(record) = self.witness.session(session).map(|it| it.record) else { return };
        if record.agent.as_str() == "native" && dice.chance(70) {
            let text = format!("{}@{}", told.state, now.wall.as_millis());
            machine.write_file(&ScriptedAgent::status_path(&record.workspace.path), &text);
        }
        if record.agent.as_str() == "mute" {
            return;
        }
        let launch = match way {
            Way::OldLaunch => {
                let launches = self.witness.seen().launches.get(session).cloned();
                let launches = launches.unwrap_or_default();
                launches.into_iter().find(|it| *it != mind.launch).unwrap_or(mind.launch)
            }
            Way::Prompt | Way::Late(_) | Way::Doubled | Way::Lost => mind.launch,
        };
        let pause = Duration::from_mins(1 + dice.below(30));
        let signal = SignalFact {
            id: FactId::from(self.ids.token()),
            launch,
            activity: told.state,
            source: ActivitySource::Hook,
            detail: told.detail,
            agent_session_id: dice
                .chance(50)
                .then(|| AgentSessionId::new(format!("talk-{session}"))),
            paused_until: (told.detail == Some(SignalDetail::UsageLimited))
                .then(|| now.wall.plus(pause)),
            is_submit: told.prompt.is_some(),
            prompt: told.prompt.as_ref().map(|text| PromptEcho::new(text, false)),
            transcript: None,
            message: None,
        };
        let hook = Hook {
            session: session.clone(),
            fact: Fact { at: now, kind: FactKind::Signal(signal) },
            told_at: now,
            arrives_after: match way {
                Way::Late(seconds) => Duration::from_secs(seconds),
                Way::Prompt | Way::Doubled | Way::Lost | Way::OldLaunch => Duration::ZERO,
            },
            no: self.next_no(),
        };
        match way {
            Way::Lost => {}
            Way::Doubled => self.lock().hooks.extend([hook.clone(), hook]),
            Way::Prompt | Way::Late(_) | Way::OldLaunch => self.lock().hooks.push(hook),
        }
    }

    fn next_no(&self) -> u64 {
        let mut state = self.lock();
        state.n_hooks += 1;
        state.n_hooks
    }

    /// The hooks that have arrived by now; they are on their way no longer.
    pub(crate) fn take_arrived(&self, now: &Moment) -> Vec<Hook> {
        let mut state = self.lock();
        let (arrived, rest): (Vec<Hook>, Vec<Hook>) = std::mem::take(&mut state.hooks)
            .into_iter()
            .partition(|hook| now.since(&hook.told_at) >= hook.arrives_after);
        state.hooks = rest;
        let mut is_reordered = false;
        for hook in &arrived {
            let newest = state.newest.entry(hook.session.clone()).or_default();
            is_reordered |= hook.no < *newest;
            *newest = hook.no.max(*newest);
        }
        drop(state);
        if is_reordered {
            self.witness.count("hook:reordered".to_owned());
        }
        arrived
    }

    /// Whether a hook has not arrived yet.
    pub(crate) fn is_any_on_its_way(&self) -> bool {
        !self.lock().hooks.is_empty()
    }

    /// Puts a hook back that nobody acknowledged.
    pub(crate) fn put_back(&self, mut hook: Hook) {
        hook.arrives_after = Duration::ZERO;
        self.lock().hooks.push(hook);
    }

    /// Lets every hook arrive now.
    pub(crate) fn hurry(&self) {
        for hook in &mut self.lock().hooks {
            hook.arrives_after = Duration::ZERO;
        }
    }
}

/// Whether an agent draws a composer.
pub(crate) fn shows_screen(agent: &str) -> bool {
    matches!(agent, "seeing" | "native")
}

/// What an agent in this state may tell beyond it.
pub(crate) fn fitting(state: ActivityState, detail: Option<SignalDetail>) -> Option<SignalDetail> {
    let detail = detail?;
    let fits = match state {
        ActivityState::Blocked => {
            matches!(detail, SignalDetail::Permission | SignalDetail::Trust)
        }
        ActivityState::WaitingInput => {
            matches!(detail, SignalDetail::Question | SignalDetail::PlanApproval)
        }
        ActivityState::Idle => matches!(
            detail,
            SignalDetail::Done
                | SignalDetail::UsageLimited
                | SignalDetail::ApiError
                | SignalDetail::AuthFailed
                | SignalDetail::Interrupted
        ),
        ActivityState::Ready => matches!(detail, SignalDetail::Background),
        ActivityState::Active | ActivityState::Exited => false,
    };
    fits.then_some(detail)
}
