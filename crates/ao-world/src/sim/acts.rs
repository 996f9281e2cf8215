//! Performs the steps of a plan.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each function takes the acts that are its own and hands the others on"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ao_core::fact::{Fact, FactKind, SignalDetail};
use ao_core::ids::SessionId;
use ao_core::message::{Message, MessageState};
use ao_core::ports::{Clock as _, RemovalMode};
use ao_core::record::ActivityState;
use ao_core::restore::is_lost;
use ao_core::saga::{SagaDirection, SagaKind};
use ao_core::session::{SessionKind, WorkspaceFate};
use ao_core::time::Timestamp;
use ao_engine::{CleanupRequest, RestoreRequest, SendRequest, SpawnRequest};
use ao_testkit::machine::{FakeMachine, Fault, Op};

use super::agents::{Told, fitting};
use super::dice::Dice;
use super::gate::DieAt;
use super::names::{self, AGENTS, PROJECTS};
use super::plan::{Act, CallFault, Forge, Lie, Step, StoreFault, Way};
use super::points::{Queueing, SagaPoint};
use super::witness::{TEXT_OF_A_PERSON, Wish};
use super::world::{Trouble, Work, World};

/// Sessions that live at the same time, at most: what a pass costs grows with them.
const LIVE_MAX: usize = 14;

/// Sessions with a record, at most.
const RECORDS_MAX: usize = 28;

/// Sessions that a team has: more than the eight that a history is to have alive, because they
/// die.
const TEAM: usize = 10;

/// Polls in which a daemon that has nothing else to do writes a death down.
const GHOST_POLLS: u64 = 60;

/// Turns an engine's answer into a word for the history.
fn word<T, E: std::fmt::Display>(answer: &Result<T, E>) -> String {
    match answer {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.to_string(),
    }
}

pub(crate) fn name_at<'n>(names: &'n [&'n str], n: u8) -> &'n str {
    names.get(usize::from(n).checked_rem(names.len()).unwrap_or(0)).copied().unwrap_or("app")
}

impl World {
    /// Performs one step; time passes only where the step says so.
    pub(crate) fn perform(&mut self, step: &Step) -> Result<(), Trouble> {
        let mut dice = Dice::new(step.salt);
        match step.act {
            Act::Pass { millis } => self.pass_time(Duration::from_millis(millis))?,
            Act::Quiet => self.come_to_rest()?,
            act => {
                if !self.act_of_keeper(act, &mut dice)?
                    && !self.act_of_person(act)
                    && !self.act_of_agent(act, &mut dice)
                {
                    self.act_of_world(act, &mut dice)?;
                }
            }
        }
        self.deliver_hooks();
        self.run_some(step.n_polls);
        self.tend()
    }

    pub(crate) fn one_of(ids: &[SessionId], who: u8) -> Option<SessionId> {
        let n = usize::from(who).checked_rem(ids.len())?;
        ids.get(n).cloned()
    }

    fn live(&self, who: u8) -> Option<SessionId> {
        Self::one_of(&self.witness.ids(false), who)
    }

    pub(crate) fn ended(&self, who: u8) -> Option<SessionId> {
        Self::one_of(&self.witness.ids(true), who)
    }

    /// A session whose agent runs.
    fn running(&self, who: u8) -> Option<SessionId> {
        let ids: Vec<SessionId> = (self.witness.ids(false).into_iter())
            .filter(|id| self.minds.mind(&self.machine, id).is_some())
            .collect();
        Self::one_of(&ids, who)
    }

    fn act_of_person(&mut self, act: Act) -> bool {
        match act {
            Act::Spawn { project, agent } => self.spawn(project, agent),
            Act::Send { who } => self.send(who),
            Act::Kill { who, discard } => {
                // Now and then one that has ended: its worktree may still be there.
                let id = if who % 4 == 0 { self.ended(who) } else { self.live(who) };
                if let Some(id) = id.or_else(|| self.live(who)) {
                    self.kill(&id, discard);
                }
            }
            Act::Restore { who } => {
                if let Some(id) = self.ended(who) {
                    self.restore(&id);
                }
            }
            Act::RestoreAll => self.restore_all(),
            Act::Staff => self.staff(),
            Act::Remove { who } => self.remove(who),
            Act::Interrupt { who } => {
                if let (Some(id), Some(engine)) = (self.live(who), self.engine()) {
                    let witness = self.witness.clone();
                    self.task(async move {
                        let answer = engine.sessions.interrupt(&id).await;
                        witness.tell(format!("  interrupt {id}: {}", word(&answer)));
                    });
                }
            }
            Act::Rename { who } => {
                self.n_texts += 1;
                let name = Some(format!("name {}", self.n_texts));
                if let (Some(id), Some(engine)) = (self.live(who), self.engine()) {
                    self.task(async move { drop(engine.sessions.rename(&id, name).await) });
                }
            }
            _ => return false,
        }
        true
    }

    fn spawn(&mut self, project: u8, agent: u8) {
        let n_records = self.witness.seen().sessions.len();
        if self.witness.ids(false).len() >= LIVE_MAX || n_records >= RECORDS_MAX {
            return self.remove(project.wrapping_add(agent));
        }
        let Some(engine) = self.engine() else { return };
        self.n_texts += 1;
        let request = SpawnRequest {
            project: self.project(name_at(&PROJECTS, project)),
            agent: names::agent(name_at(&AGENTS, agent)),
            kind: SessionKind::Worker,
            name: None,
            issue: None,
            branch: None,
            base: None,
            prompt: Some(format!("task {}", self.n_texts)),
            argv: Vec::new(),
            model: None,
            permission_mode: None,
            env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            idempotency_key: None,
        };
        let witness = self.witness.clone();
        self.task(async move {
            let answer = engine.sessions.spawn(request).await;
            witness.tell(format!("  spawn: {}", word(&answer)));
        });
    }

    fn send(&mut self, who: u8) {
        let (Some(session), Some(engine)) = (self.live(who), self.engine()) else { return };
        self.n_texts += 1;
        let text = format!("{TEXT_OF_A_PERSON} {} of\nthe list", self.n_texts);
        let witness = self.witness.clone();
        self.task(async move {
            let request = SendRequest { session, text, idempotency_key: None };
            let answer = engine.messenger.send(request).await;
            witness.tell(format!("  send: {}", word(&answer)));
        });
    }

    pub(crate) fn kill(&self, id: &SessionId, discard: bool) {
        let Some(engine) = self.engine() else { return };
        let (id, witness) = (id.clone(), self.witness.clone());
        if discard {
            witness.seen().discards.insert(id.clone());
        }
        self.task(async move {
            let _asked = witness.asked(&id, Wish::End);
            let mode = if discard { RemovalMode::Discard } else { RemovalMode::Careful };
            let answer = engine.sessions.kill(&id, mode, None).await;
            witness.tell(format!("  kill {id}: {}", word(&answer)));
        });
    }

    fn restore(&self, id: &SessionId) {
        let Some(engine) = self.engine() else { return };
        let (session, witness) = (id.clone(), self.witness.clone());
        self.task(async move {
            let _asked = witness.asked(&session, Wish::Restore);
            let request = RestoreRequest { session: session.clone(), env: BTreeMap::new() };
            let answer = engine.sessions.restore(&request).await;
            witness.tell(format!("  restore {session}: {}", word(&answer)));
        });
    }

    /// Brings back what was lost.
    fn restore_all(&self) {
        let lost = |id: &SessionId| {
            self.witness.session(id).is_some_and(|session| is_lost(&session.lifecycle))
        };
        let n_free = LIVE_MAX.saturating_sub(self.witness.ids(false).len());
        for id in self.witness.ids(true).iter().filter(|id| lost(id)).take(n_free) {
            self.restore(id);
        }
    }

    /// Restores and begins sessions until there are as many as a team has.
    fn staff(&mut self) {
        let mut n_missing = TEAM.saturating_sub(self.witness.ids(false).len());
        let ended = self.witness.ids(true);
        // New ones first: they are what a history has a bound for.
        while n_missing > 0 && self.witness.seen().sessions.len() + n_missing <= RECORDS_MAX {
            let n = u8::try_from(self.n_texts % 64).unwrap_or(0);
            self.spawn(n % 2, n);
            n_missing -= 1;
        }
        let n_skipped = usize::try_from(self.n_texts).unwrap_or(0);
        let n_skipped = n_skipped.checked_rem(ended.len()).unwrap_or(0);
        for id in ended.iter().cycle().skip(n_skipped).take(n_missing.min(ended.len())) {
            self.restore(id);
        }
    }

    fn remove(&self, who: u8) {
        let (Some(id), Some(engine)) = (self.ended(who), self.engine()) else { return };
        let witness = self.witness.clone();
        self.task(async move {
            let answer = engine.sessions.remove(&id).await;
            witness.tell(format!("  remove {id}: {}", word(&answer)));
        });
    }

    fn act_of_agent(&mut self, act: Act, dice: &mut Dice) -> bool {
        match act {
            Act::Signal { who, state, detail, way } => {
                let told = Told { state, detail: fitting(state, detail), prompt: None };
                self.tell(who, (&told, way), dice);
            }
            Act::TakeIn { who, way } => {
                let heard = self.running(who).and_then(|id| self.minds.hear(&self.machine, &id));
                let told = Told { state: ActivityState::Active, detail: None, prompt: heard };
                self.tell(who, (&told, way), dice);
            }
            Act::Work { who } => self.do_work(who),
            Act::CommitWork { who } => self.commit_work(who),
            Act::MergeWork { who } => self.merge_work(who),
            Act::Exit { who, is_clean } => {
                if let Some(mind) = self.mind_of(who) {
                    self.machine.exit_process(mind, i32::from(!is_clean));
                }
            }
            Act::Crash { who } => {
                if let Some(mind) = self.mind_of(who) {
                    self.witness.count("agent:crashes".to_owned());
                    self.machine.kill_process(mind);
                }
            }
            Act::Child { who } => {
                if let Some(mind) = self.mind_of(who) {
                    let child = self.machine.start_child(mind);
                    if dice.chance(30) {
                        self.machine.leave_session(child);
                    }
                    if dice.chance(30) {
                        self.machine.ignore_signals(child);
                    }
                }
            }
            Act::IgnoreSignals { who } => {
                if let Some(mind) = self.mind_of(who) {
                    self.machine.ignore_signals(mind);
                }
            }
            Act::Hide { who, is_on } => {
                if let Some(mind) = self.mind_of(who) {
                    self.machine.set_process_visible(mind, !is_on);
                }
            }
            act => return self.act_of_bad_agent(act, dice) || self.act_at_terminal(act),
        }
        true
    }

    fn act_of_bad_agent(&mut self, act: Act, dice: &mut Dice) -> bool {
        match act {
            Act::Lie { who, lie } => self.lie(who, lie, dice),
            Act::Stall { who, is_on } => {
                if let Some(id) = self.running(who) {
                    self.witness.count("agent:stalls".to_owned());
                    self.minds.set_still(&id, is_on);
                }
            }
            Act::Hang { who } => {
                if let (Some(id), Some(pid)) = (self.running(who), self.mind_of(who)) {
                    self.witness.count("agent:hangs".to_owned());
                    self.minds.hang(&id);
                    self.machine.ignore_signals(pid);
                }
            }
            Act::Ghost { who } => self.ghost(who),
            Act::LoseHooks { who, n } => self.lose_hooks(who, n),
            Act::Plague { n_spared, is_exit_hidden } => {
                let ids = self.witness.ids(false);
                let minds = ids.iter().filter_map(|id| self.minds.mind(&self.machine, id));
                self.count_fault("plague");
                for mind in minds.skip(usize::from(n_spared)) {
                    if is_exit_hidden {
                        self.machine.hide_next_exit(2);
                    }
                    self.machine.kill_process(mind.pid);
                }
            }
            _ => return false,
        }
        true
    }

    fn act_at_terminal(&self, act: Act) -> bool {
        let with = |who, act: &dyn Fn(&FakeMachine, &SessionId)| {
            if let Some(id) = self.running(who)
                && self.minds.has_composer(&id)
            {
                act(&self.machine, &id);
            }
        };
        match act {
            Act::Dialog { who, is_open } => with(who, &|machine, id| {
                machine.set_dialog(id, is_open.then_some("permission"));
            }),
            Act::DialogOnPaste { who } => {
                with(who, &|machine, id| machine.set_dialog_on_paste(id, "trust"));
            }
            Act::Compose { who } => {
                with(who, &|machine, id| machine.set_composer(id, "half a sentence"));
            }
            Act::CopyMode { who, is_on } => {
                with(who, &|machine, id| machine.set_in_mode(id, is_on));
            }
            Act::HumanTyping { who, is_on } => {
                with(who, &|machine, id| machine.set_human_typing(id, is_on));
            }
            Act::DeafEnters { who } => with(who, &|machine, id| machine.ignore_enters(id, 1)),
            _ => return false,
        }
        true
    }

    fn mind_of(&self, who: u8) -> Option<ao_core::ids::Pid> {
        let id = self.running(who)?;
        self.minds.mind(&self.machine, &id).map(|mind| mind.pid)
    }

    fn tell(&self, who: u8, (told, way): (&Told, Way), dice: &mut Dice) {
        let Some(id) = self.running(who) else { return };
        self.witness.count(format!("hook:{}", name_of_way(way)));
        let now = self.clock.now();
        self.minds.tell(&self.machine, (&id, now), (told, way), dice);
    }

    /// Lets an agent say what is not so.
    fn lie(&mut self, who: u8, lie: Lie, dice: &mut Dice) {
        let Some(id) = self.running(who) else { return };
        self.witness.count("agent:lies".to_owned());
        let (state, detail) = match lie {
            Lie::TookIn => (ActivityState::Active, None),
            Lie::Done => (ActivityState::Idle, Some(SignalDetail::Done)),
            Lie::Goodbye => (ActivityState::Exited, None),
            Lie::AtRest => (ActivityState::Idle, None),
        };
        let prompt = (lie == Lie::TookIn).then(|| {
            let seen = self.witness.seen();
            // Whether a message in doubt arrived only the word of its agent tells: a lie would count.
            let is_unheard = |it: &Message| {
                it.state == MessageState::InDoubt && !seen.n_pastes.contains_key(&it.id)
            };
            let of_it = || seen.messages.values().filter(|message| message.session == id);
            let unheard: BTreeSet<&str> =
                of_it().filter(|it| is_unheard(it)).map(|it| it.text.as_str()).collect();
            // Two messages may say the same.
            let texts: Vec<&str> =
                of_it().map(|it| it.text.as_str()).filter(|it| !unheard.contains(it)).collect();
            dice.pick(&texts).unwrap_or("what nobody said").to_owned()
        });
        let told = Told { state, detail, prompt };
        self.tell(who, (&told, Way::Prompt), dice);
        if lie == Lie::Done {
            let told = Told { state: ActivityState::Active, detail: None, prompt: None };
            self.tell(who, (&told, Way::Late(1)), dice);
        }
    }

    fn ghost(&self, who: u8) {
        let Some(id) = self.running(who) else { return };
        let Some(mind) = self.minds.mind(&self.machine, &id) else { return };
        self.count_fault("hook after a death");
        self.machine.kill_process(mind.pid);
        // The death is heard of, and before anybody looks, the hook.
        self.run_some(GHOST_POLLS);
        self.clock.advance(Duration::from_millis(1));
        self.minds.tell_after_death((&id, self.clock.now()), &mind);
    }

    fn lose_hooks(&mut self, who: u8, n: u64) {
        let (Some(id), Some(engine)) = (self.live(who), self.engine()) else { return };
        self.count_fault("hooks dropped");
        let n_lost = self.n_hooks_lost.entry(id.clone()).or_default();
        *n_lost += n;
        let fact = Fact { at: self.clock.now(), kind: FactKind::SignalsLost(*n_lost) };
        self.task(async move { drop(engine.lifecycle.observe(&id, fact).await) });
    }

    /// The worktree of a session whose agent runs.
    fn workshop(&mut self, who: u8) -> Option<&mut Work> {
        let id = self.running(who)?;
        let fate = self.witness.session(&id)?.record.workspace.fate;
        if fate == WorkspaceFate::Present { self.work_of(&id) } else { None }
    }

    /// What is known of the work in the worktree of a session.
    pub(crate) fn work_of(&mut self, id: &SessionId) -> Option<&mut Work> {
        let record = self.witness.session(id)?.record;
        let worktree = record.workspace.path.clone();
        let repo = names::repo(record.project.as_str());
        let branch = record.branch.to_string();
        let work = self.work.entry(id.clone()).or_insert_with(|| Work {
            repo,
            worktree,
            branch,
            files: BTreeMap::new(),
            commits: Vec::new(),
        });
        Some(work)
    }

    fn do_work(&mut self, who: u8) {
        self.n_texts += 1;
        let (name, text) = (format!("file-{}", who % 5), format!("work {}\n", self.n_texts));
        let git = std::sync::Arc::clone(&self.git);
        if let Some(work) = self.workshop(who)
            && git.fake.write(&work.worktree, &name, &text)
        {
            work.files.insert(name, text);
            self.witness.count("agent:works".to_owned());
        }
    }

    fn commit_work(&mut self, who: u8) {
        let git = std::sync::Arc::clone(&self.git);
        if let Some(work) = self.workshop(who)
            && !work.files.is_empty()
        {
            work.commit(&git.fake);
        }
    }

    /// The work of a session becomes a part of `main`, which its branch then adds nothing to.
    fn merge_work(&mut self, who: u8) {
        let git = std::sync::Arc::clone(&self.git);
        if let Some(work) = self.workshop(who)
            && !work.commits.is_empty()
            && git.fake.fast_forward_main(&work.repo, &work.branch)
        {
            self.witness.count("agent:merges".to_owned());
        }
    }

    fn act_of_world(&mut self, act: Act, dice: &mut Dice) -> Result<(), Trouble> {
        match act {
            Act::Port { op, fault } => {
                let fault = match fault {
                    // A terminal that refuses a text says so; one that does not answer leaves doubt.
                    CallFault::Refuse if op == Op::Paste && dice.chance(50) => Fault::Deny,
                    CallFault::Refuse => Fault::Refuse,
                    CallFault::LoseAnswer => Fault::LoseAnswer,
                    CallFault::Slow(seconds) => Fault::Slow(Duration::from_secs(seconds)),
                    CallFault::TimeOut(seconds) => Fault::TimeOut(Duration::from_secs(seconds)),
                };
                self.machine.fail_next(op, fault);
            }
            Act::Git { op, fault } => self.git.schedule(op, fault),
            Act::Store { op, fault, n } => {
                let n = if fault == StoreFault::Conflict { n.min(3) } else { n };
                for _ in 0..n {
                    self.trouble.schedule(op, fault);
                }
            }
            Act::NotifierDown { is_on } => {
                self.count_fault("notifier down");
                if let Some(bell) = self.bells.first() {
                    bell.set_down(is_on);
                }
            }
            Act::Notify { fault } => {
                let bells: Vec<usize> = (0..self.bells.len()).collect();
                if let Some(bell) = dice.pick(&bells).and_then(|n| self.bells.get(n)) {
                    bell.schedule(fault);
                }
            }
            Act::Forge { who, number, says } => self.ask_forge((who, number), &[says]),
            Act::Flap { who, number } => {
                self.count_fault("forge flaps");
                let says = [0, 1, 0, 1].map(|n| [Forge::Failed(n), Forge::Passed]);
                self.ask_forge((who, number), &says.concat());
            }
            Act::ForgeDown { is_on } => {
                self.count_fault("forge down");
                self.is_forge_down = is_on;
            }
            Act::Die { .. }
            | Act::DieAtWrite { .. }
            | Act::DieAtSaga { .. }
            | Act::Stop { .. }
            | Act::Suspend { .. }
            | Act::WallJump { .. }
            | Act::Reboot { .. } => self.act_of_time(act)?,
            act => self.act_of_machine(act),
        }
        Ok(())
    }

    fn count_fault(&self, what: &str) {
        self.witness.count(format!("fault:{what}"));
    }

    fn act_of_machine(&self, act: Act) {
        let project_of = |n: u8| names::project(name_at(&PROJECTS, n));
        match act {
            Act::KillPane { who } => {
                if let Some(id) = self.live(who) {
                    self.count_fault("pane killed");
                    self.machine.kill_session(&id);
                }
            }
            Act::KillServer { project, is_restarted } => {
                self.count_fault("server killed");
                self.machine.kill_server(&project_of(project));
                if is_restarted {
                    self.count_fault("server restarted");
                    self.machine.start_server(&project_of(project));
                }
            }
            Act::Unreachable { project, is_on } => {
                self.count_fault("server unreachable");
                self.machine.set_server_reachable(&project_of(project), !is_on);
            }
            Act::Watches { work } => {
                self.count_fault("watches lost");
                self.machine.set_watches(work);
            }
            Act::HoldExec { is_on } => {
                self.count_fault("exec held");
                self.machine.set_exec_held(is_on);
            }
            Act::NoProgram { agent, is_on } => {
                self.count_fault("program missing");
                let program = format!("/usr/bin/{}", name_at(&AGENTS, agent));
                self.machine.set_program_missing(&program, is_on);
            }
            Act::HideExit => {
                self.count_fault("exit hidden");
                self.machine.hide_next_exit(2);
            }
            _ => {}
        }
    }

    fn act_of_time(&mut self, act: Act) -> Result<(), Trouble> {
        match act {
            Act::Die { down_for } => {
                self.count_fault("die at a yield point");
                self.die()?;
                self.n_steps_down = down_for.min(12);
                self.clock.advance(Duration::from_secs(down_for));
            }
            Act::DieAtWrite { n, is_after } => {
                self.trouble.die_at(DieAt::Write(u64::from(n)), is_after);
            }
            Act::DieAtSaga { point, is_after } => {
                self.trouble.die_at(DieAt::Saga(point), is_after);
                self.lead_to(point);
            }
            Act::Stop { down_for } => {
                self.count_fault("stop");
                self.stop()?;
                self.clock.advance(Duration::from_secs(down_for));
            }
            Act::Suspend { minutes } => {
                self.count_fault("suspend");
                self.clock.suspend(Duration::from_mins(minutes));
            }
            Act::WallJump { minutes } => {
                self.count_fault("wall clock set");
                let now = self.clock.now().wall.as_millis();
                let wall = Timestamp::from_millis(now.saturating_add(minutes * 60_000));
                self.clock.jump_wall_to(wall);
            }
            Act::Reboot { minutes } => {
                self.count_fault("reboot");
                self.die()?;
                self.machine.reboot(Duration::from_mins(minutes));
            }
            _ => {}
        }
        Ok(())
    }

    /// Stops the daemon as its service manager does: it gets a little time, then it is ended.
    pub(crate) fn stop(&mut self) -> Result<(), Trouble> {
        if let Some(engine) = self.engine() {
            self.task(async move { engine.shutdown().await });
            self.run_some(200);
        }
        self.die()
    }

    /// Begins what comes to this point of a saga.
    fn lead_to(&mut self, point: SagaPoint) {
        let who = u8::try_from(self.n_texts % 64).unwrap_or(0);
        if point.direction == SagaDirection::Unwinding {
            self.machine.fail_next(Op::Create, Fault::Refuse);
        }
        if point.queueing == Queueing::Starts
            && let Some(id) = self.running(who)
        {
            // Somebody has to go.
            return self.kill(&id, false);
        }
        match point.kind {
            SagaKind::Spawn => self.spawn(who % 2, who),
            SagaKind::Cleanup => {
                let discard = who.is_multiple_of(2);
                self.clean_up(CleanupRequest { discard, ..CleanupRequest::default() });
            }
            SagaKind::Kill => {
                if let Some(id) = self.live(who) {
                    self.kill(&id, who % 3 == 0);
                }
            }
            SagaKind::Restore => {
                if let Some(id) = self.ended(who) {
                    self.restore(&id);
                }
            }
        }
    }
}

const fn name_of_way(way: Way) -> &'static str {
    match way {
        Way::Prompt => "prompt",
        Way::Late(_) => "late",
        Way::Doubled => "doubled",
        Way::Lost => "lost",
        Way::OldLaunch => "of an old launch",
    }
}
