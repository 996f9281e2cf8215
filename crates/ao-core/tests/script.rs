//! Reads the lines of a scenario, says them to the rules, and tells what they answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ao_core::deadline::{Deadline, DeadlineChange, DeadlineClock, DeadlineKind};
use ao_core::explain::{Beside, explain};
use ao_core::fact::{BootProbe, Fact, FactKind, LookFact, Outcome, SignalFact, WorkFound};
use ao_core::ids::{BranchName, CauseKey, FactId, LaunchId, PrNumber, SessionId, Sha};
use ao_core::journal::{JournalEntry, JournalRecord};
use ao_core::ledger::{IncidentKey, ReactionKind};
use ao_core::message::MessageOrigin;
use ao_core::outbox::{Condition, Effect};
use ao_core::policy::Policy;
use ao_core::ports::InfraIncident;
use ao_core::pr::{Checks, Draftness, Known, Mergeability, Pr, PrLife, PrObservation, Review};
use ao_core::record::{ActivitySource, ActivityState, EndIntent, Exit, Launch, SessionState};
use ao_core::reduce::reduce;
use ao_core::session::Session;
use ao_core::status::status;
use ao_core::step::{Change, MessageOrder, Step};
use ao_core::time::{BootId, Moment};
use ao_core::triage::{Seen, announce, triage};

use crate::fixtures::{after, at, launch_id, look_values, origin, policy, seeded, traits};

/// A small world of sessions that knows nothing but the rules.
pub(crate) struct Script {
    now: Moment,
    policy: Policy,
    sessions: BTreeMap<SessionId, Session>,
    generations: BTreeMap<SessionId, u64>,
    deadlines: Vec<Deadline>,
    journal: Vec<JournalRecord>,
    incidents: Vec<InfraIncident>,
    /// What a look at any worktree finds.
    work: WorkFound,
    n_facts: u64,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self {
            now: at(Duration::ZERO),
            policy: policy(),
            sessions: BTreeMap::new(),
            generations: BTreeMap::new(),
            deadlines: Vec::new(),
            journal: Vec::new(),
            incidents: Vec::new(),
            work: WorkFound::Changed,
            n_facts: 0,
        }
    }

    /// Says one line: `[TIME] VERB …`. Deadlines that came due until then are said before.
    pub(crate) fn say(&mut self, line: &str) -> Vec<String> {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut answers = Vec::new();
        let words = if first.starts_with(|c: char| c.is_ascii_digit()) {
            let since_start = duration(first);
            let passed = since_start.checked_sub(self.elapsed()).unwrap();
            self.pass_time(passed, passed);
            answers.extend(self.due());
            rest
        } else {
            line
        };
        let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
        answers.extend(self.perform(verb, rest));
        answers
    }

    /// Attempts of a session's open incident, and whether a human was called; the first one where
    /// several pull requests have one.
    pub(crate) fn incident(&self, id: &str, reaction: ReactionKind) -> Option<(u32, bool)> {
        let session = &self.sessions[&SessionId::parse(id).unwrap()];
        let mut open = session.ledger.open.iter();
        let (_, incident) = open.find(|(key, _)| key.reaction == reaction)?;
        Some((incident.attempts, incident.is_escalated))
    }

    fn elapsed(&self) -> Duration {
        self.now.wall.since(at(Duration::ZERO).wall)
    }

    fn pass_time(&mut self, passed: Duration, awake: Duration) {
        self.now.wall = self.now.wall.plus(passed);
        self.now.since_boot += passed;
        self.now.awake += awake;
    }

    fn perform(&mut self, verb: &str, rest: &str) -> Vec<String> {
        match verb {
            "policy" => self.change_policy(rest),
            "back" => self.now.wall = earlier(&self.now, duration(rest)).wall,
            // Time passes and nobody is there to take in what comes due.
            "away" => self.pass_time(duration(rest), duration(rest)),
            "sleep" => self.pass_time(duration(rest), Duration::ZERO),
            "reboot" => self.reboot(),
            "work" => self.work = rest.parse().unwrap(),
            "tick" => return self.due(),
            "pass" => return self.look_at_all(rest),
            "explain" => return self.explain(rest),
            _ => {
                let (id, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                let id = SessionId::parse(id).unwrap();
                return self.about(verb, &id, rest);
            }
        }
        Vec::new()
    }

    fn reboot(&mut self) {
        self.now.boot = BootId(self.now.boot.0 + 1);
        self.now.since_boot = Duration::ZERO;
        self.now.awake = Duration::ZERO;
    }

    /// `REACTION KEY=VALUE…`.
    fn change_policy(&mut self, rest: &str) {
        let mut words = rest.split(' ');
        let reaction = words.next().unwrap().parse().unwrap();
        let line = self.policy.reactions.get_mut(&reaction).unwrap();
        for word in words {
            match word.split_once('=').unwrap() {
                ("enabled", value) => line.is_enabled = value == "true",
                ("retries", value) => line.retries = Some(value.parse().unwrap()),
                ("escalate_after", value) => line.escalate_after = Some(duration(value)),
                ("message", value) => line.message = Some(value.to_owned()),
                (key, _) => panic!("no such key: {key}"),
            }
        }
    }

    fn about(&mut self, verb: &str, id: &SessionId, rest: &str) -> Vec<String> {
        let kind = match verb {
            "seed" => {
                let n = id.as_str().rsplit_once('-').unwrap().1.parse().unwrap();
                let mut session = seeded(n);
                if rest == "unprompted" {
                    session.record.prompt = None;
                }
                self.sessions.insert(id.clone(), session);
                return vec![self.shown(id)];
            }
            "launched" => FactKind::Outcome(Outcome::Launched(self.launch(id, rest))),
            "spawn_failed" => FactKind::Outcome(Outcome::SpawnFailed),
            "kill" => FactKind::Outcome(Outcome::EndRequested(EndIntent::Kill)),
            "destroyed" => FactKind::Outcome(Outcome::RuntimeDestroyed),
            "restore" => FactKind::Outcome(Outcome::RestoreRequested),
            "signal" => return self.signal(id, rest),
            "look" => return self.look_at(&[(id.clone(), rest.to_owned())]),
            "pr" => FactKind::PullRequests(vec![PrObservation { pr: self.pr(rest) }]),
            "send_failed" => FactKind::SendFailed(self.origin(id, rest)),
            "signals_lost" => FactKind::SignalsLost(rest.parse().unwrap()),
            verb => panic!("no such verb: {verb}"),
        };
        let fact = Fact { at: self.now, kind };
        self.reduce(id, &fact)
    }

    /// `REACTION [#N] [episode=N]`; the open episode when none is named.
    fn origin(&self, id: &SessionId, rest: &str) -> MessageOrigin {
        let (incident, episode) = rest.split_once(" episode=").unwrap_or((rest, ""));
        let open = origin(&self.sessions[id].ledger, incident_key(incident));
        let episode = if episode.is_empty() { open.episode } else { episode.parse().unwrap() };
        MessageOrigin { episode, ..open }
    }

    fn launch(&mut self, id: &SessionId, agent: &str) -> Launch {
        let generation = self.generations.entry(id.clone()).or_insert(0);
        *generation += 1;
        Launch {
            id: launch_id(&self.sessions[id], *generation),
            committed_at: self.now,
            traits: traits(agent),
        }
    }

    fn current_launch(&self, id: &SessionId) -> LaunchId {
        launch_id(&self.sessions[id], self.generations.get(id).copied().unwrap_or(1))
    }

    /// `ACTIVITY [SOURCE] [DETAIL] [submit] [-AGE] [launch=N] [paused=DURATION]`.
    fn signal(&mut self, id: &SessionId, rest: &str) -> Vec<String> {
        self.n_facts += 1;
        let mut observed_at = self.now;
        let mut signal = SignalFact {
            id: FactId::parse(format!("fact-{}", self.n_facts)).unwrap(),
            launch: self.current_launch(id),
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
        let mut words = rest.split(' ');
        signal.activity = words.next().unwrap().parse().unwrap();
        for word in words {
            if let Some(age) = word.strip_prefix('-') {
                observed_at = earlier(&self.now, duration(age));
            } else if let Some(n) = word.strip_prefix("launch=") {
                signal.launch = launch_id(&self.sessions[id], n.parse().unwrap());
            } else if let Some(pause) = word.strip_prefix("paused=") {
                signal.paused_until = Some(self.now.wall.plus(duration(pause)));
            } else if word == "submit" {
                signal.is_submit = true;
            } else if let Ok(source) = word.parse() {
                signal.source = source;
            } else {
                signal.detail = Some(word.parse().unwrap());
            }
        }
        self.reduce(id, &Fact { at: observed_at, kind: FactKind::Signal(signal) })
    }

    /// `#N KEY=VALUE…`.
    fn pr(&self, rest: &str) -> Pr {
        let mut words = rest.split(' ');
        let number = words.next().unwrap().trim_start_matches('#').parse().unwrap();
        let mut pr = Pr {
            number: PrNumber(number),
            url: String::new(),
            base: BranchName::new("main"),
            head: Known::Unknown,
            life: self.known(PrLife::Open),
            draft: self.known(Draftness::Ready),
            checks: Known::Unknown,
            review: Known::Unknown,
            mergeability: Known::Unknown,
        };
        for word in words {
            match word.split_once('=').unwrap() {
                ("url", value) => value.clone_into(&mut pr.url),
                ("head", value) => pr.head = self.known(Sha::new(value)),
                ("life", value) => pr.life = self.known(value.parse().unwrap()),
                ("draft", value) => pr.draft = self.known(value.parse().unwrap()),
                ("checks", value) => pr.checks = self.known(checks(value)),
                ("review", value) => pr.review = self.known(review(value)),
                ("merge", value) => {
                    pr.mergeability = self.known(value.parse::<Mergeability>().unwrap());
                }
                (key, _) => panic!("no such key: {key}"),
            }
        }
        pr
    }

    const fn known<T>(&self, value: T) -> Known<T> {
        Known::Known { value, at: self.now }
    }

    /// `LOOK` at every session that is not terminal, or `ID: LOOK; …`.
    fn look_at_all(&mut self, rest: &str) -> Vec<String> {
        let looks = if rest.contains(':') {
            let one = |part: &str| {
                let (id, look) = part.trim().split_once(": ").unwrap();
                (SessionId::parse(id).unwrap(), look.to_owned())
            };
            rest.split(';').map(one).collect::<Vec<_>>()
        } else {
            let living = self.sessions.values().filter(|session| !session.lifecycle.is_terminal());
            living.map(|session| (session.record.id.clone(), rest.to_owned())).collect()
        };
        self.look_at(&looks)
    }

    /// `SERVER RUNTIME PROCESS [exit=STATUS] [signal=N] [rebooted] [gap]` for each session.
    fn look_at(&mut self, looks: &[(SessionId, String)]) -> Vec<String> {
        let sessions = self.sessions.clone();
        let seen = looks
            .iter()
            .map(|(id, words)| Seen { session: &sessions[id], fact: self.look_fact(id, words) })
            .collect();
        let triaged = triage(seen, &self.incidents, &self.policy, &self.now);
        let mut answers = Vec::new();
        for incident in triaged.incidents {
            answers.push(format!("incident {} of {}", incident.id, incident.sessions.len()));
            answers.extend(announce(&incident, &self.policy).iter().flat_map(effect_lines));
            self.incidents.push(incident);
        }
        for one in triaged.seen {
            answers.extend(self.reduce(&one.session.record.id, &one.fact));
        }
        answers
    }

    fn look_fact(&self, id: &SessionId, words: &str) -> Fact {
        let values = words.splitn(4, ' ').take(3).collect::<Vec<_>>().join(" ");
        let mut look = LookFact::new(self.current_launch(id), look_values(&values));
        for word in words.split(' ').skip(3) {
            match word.split_once('=').unwrap_or((word, "")) {
                ("exit", value) => look.exit = Some(Exit::Status(value.parse().unwrap())),
                ("signal", value) => look.exit = Some(Exit::Signal(value.parse().unwrap())),
                ("rebooted", _) => look.values.boot = BootProbe::Rebooted,
                ("gap", _) => look.is_first_after_gap = true,
                (word, _) => panic!("no such word: {word}"),
            }
        }
        Fact { at: self.now, kind: FactKind::Look(look) }
    }

    /// The first deadline that is due; a human is called about an idle agent only after the look at
    /// its worktree, as the engine does.
    fn next_due(&self) -> Option<usize> {
        let is_late = |one: &Deadline| matches!(&one.kind, DeadlineKind::Escalate(key) if key.reaction == ReactionKind::AgentIdle);
        let due = self.deadlines.iter().enumerate().filter(|(_, one)| one.is_due(&self.now));
        due.min_by_key(|(n, one)| (is_late(one), *n)).map(|(n, _)| n)
    }

    /// Says every deadline that is due, until none is.
    fn due(&mut self) -> Vec<String> {
        let mut answers = Vec::new();
        while let Some(due) = self.next_due() {
            assert!(answers.len() < 1_000, "a deadline is due for ever: {answers:#?}");
            let Deadline { session, kind, .. } = self.deadlines[due].clone();
            answers.push(format!("{session}: {} is due", deadline_words(&kind)));
            let is_idle = kind == DeadlineKind::AgentIdle;
            let kind = if is_idle { FactKind::IdleDue(self.work) } else { FactKind::Due(kind) };
            let fact = Fact { at: self.now, kind };
            answers.extend(self.reduce(&session, &fact));
        }
        answers
    }

    fn reduce(&mut self, id: &SessionId, fact: &Fact) -> Vec<String> {
        let before = self.sessions[id].clone();
        let step = reduce(&before, fact, &self.policy, &self.now);
        let change = match &step {
            Step::None { because, asks } => {
                let mut answers = vec![format!("{id}: nothing changes ({})", because.rule)];
                answers.extend(asks.iter().map(|ask| format!("asks for a {ask}")));
                return answers;
            }
            Step::Change(change) => change,
        };
        self.sessions.insert(id.clone(), after(&before, &step));
        self.journal.push(JournalRecord {
            seq: self.n_facts,
            session: id.clone(),
            revision: self.sessions[id].lifecycle.revision,
            entry: JournalEntry {
                at: self.now,
                fact: fact.clone(),
                because: change.because.clone(),
            },
        });
        let mut answers = vec![format!("{} by {}", self.shown(id), change.because.rule)];
        answers.extend(plan_lines(change));
        self.rearm(id, change);
        answers
    }

    fn rearm(&mut self, id: &SessionId, change: &Change) {
        for deadline in &change.deadlines {
            let changed = match deadline {
                DeadlineChange::Arm { kind, .. } | DeadlineChange::Disarm(kind) => kind,
            };
            self.deadlines.retain(|one| one.session != *id || one.kind != *changed);
            if let DeadlineChange::Arm { kind, armed_at, after, clock } = deadline {
                self.deadlines.push(Deadline {
                    session: id.clone(),
                    kind: kind.clone(),
                    armed_at: *armed_at,
                    after: *after,
                    clock: *clock,
                });
            }
        }
    }

    fn shown(&self, id: &SessionId) -> String {
        let session = &self.sessions[id];
        let lifecycle = &session.lifecycle;
        let attempts = lifecycle
            .detecting
            .filter(|_| lifecycle.session.state == SessionState::Detecting)
            .map_or_else(String::new, |doubt| format!(" look {}", doubt.attempts));
        format!(
            "{id}: {} = {}/{}{attempts}, runtime {}/{}",
            status(session),
            lifecycle.session.state,
            lifecycle.session.reason,
            lifecycle.runtime.state,
            lifecycle.runtime.reason
        )
    }

    fn explain(&self, rest: &str) -> Vec<String> {
        let id = SessionId::parse(rest).unwrap();
        let journal =
            self.journal.iter().filter(|record| record.session == id).cloned().collect::<Vec<_>>();
        let deadlines =
            self.deadlines.iter().filter(|one| one.session == id).cloned().collect::<Vec<_>>();
        let beside = Beside {
            journal: &journal,
            deadlines: &deadlines,
            incidents: &self.incidents,
            ..Beside::default()
        };
        let told = explain(&self.sessions[&id], &beside, &self.policy, &self.now);
        let mut lines = vec![format!("{}: {}", told.status, told.sentence)];
        let rule = told.decided.rule.map_or("-", |rule| rule.as_str());
        lines.push(format!("rule {rule}: {}", told.decided.meaning));
        lines.extend(told.decided.values.map(|values| format!("saw: {values}")));
        for fact in told.facts {
            let age = fact.at.map_or_else(
                || "at an unknown time".to_owned(),
                |at| format!("{:?} ago", self.now.wall.since(at)),
            );
            lines.push(format!("fact {}: {} ({}, {age})", fact.kind, fact.value, fact.source));
        }
        for reaction in told.reactions {
            lines.push(format!("reaction {}: {}", reaction.reaction, reaction.sentence));
        }
        lines.extend(told.deadlines.into_iter().map(|it| format!("deadline {}", it.sentence)));
        lines.extend(told.incident.into_iter().map(|it| format!("outage: {}", it.sentence)));
        if let Some(restore) = told.restore {
            lines.extend(restore.sentences.into_iter().map(|line| format!("restore: {line}")));
            lines.extend(restore.losses.into_iter().map(|line| format!("restore loses: {line}")));
        }
        lines.extend(told.would_change.into_iter().map(|line| format!("would change: {line}")));
        lines
    }
}

fn plan_lines(change: &Change) -> Vec<String> {
    let mut lines = Vec::new();
    for deadline in &change.deadlines {
        if let DeadlineChange::Arm { kind, after, clock, .. } = deadline {
            let asleep = match clock {
                DeadlineClock::Awake => " awake",
                DeadlineClock::Wall => "",
            };
            lines.push(format!("arms {} after {after:?}{asleep}", deadline_words(kind)));
        }
    }
    lines.extend(change.asks.iter().map(|ask| format!("asks for a {ask}")));
    for order in &change.message_orders {
        lines.push(match order {
            MessageOrder::CancelAll => "cancels every message".to_owned(),
            MessageOrder::SupersedeIncident(key) => {
                format!("supersedes the messages of {}", incident_words(*key))
            }
        });
    }
    for message in &change.messages {
        lines.push(format!("message of {}:", incident_words(message.origin.incident)));
        lines.extend(message.text.lines().map(|line| format!("  | {line}")));
    }
    lines.extend(change.effects.iter().flat_map(effect_lines));
    lines
}

fn effect_lines(effect: &Effect) -> Vec<String> {
    let said = &effect.notification;
    let condition = match effect.condition {
        Condition::Always => "always",
        Condition::IncidentOpen { .. } => "while it is open",
    };
    vec![
        format!("effect {} {condition}", effect.id),
        format!("  {} {}: {}", said.priority, said.reaction, said.title),
        format!("  because of {}. {}", said.cause, said.text.replace('\n', " ")),
    ]
}

fn incident_words(key: IncidentKey) -> String {
    key.pr.map_or_else(|| key.reaction.to_string(), |pr| format!("{} #{pr}", key.reaction))
}

fn incident_key(words: &str) -> IncidentKey {
    let (reaction, pr) = words.split_once(" #").unwrap_or((words, ""));
    IncidentKey {
        reaction: reaction.parse().unwrap(),
        pr: (!pr.is_empty()).then(|| PrNumber(pr.parse().unwrap())),
    }
}

fn deadline_words(kind: &DeadlineKind) -> String {
    match kind {
        DeadlineKind::Escalate(key) => format!("escalate {}", incident_words(*key)),
        DeadlineKind::NoSignal => "no signal".to_owned(),
        DeadlineKind::AgentIdle => "agent idle".to_owned(),
        DeadlineKind::TurnFinished => "turn finished".to_owned(),
        DeadlineKind::PauseEnds => "pause ends".to_owned(),
    }
}

fn checks(word: &str) -> Checks {
    match word {
        "none" => Checks::None,
        "pending" => Checks::Pending,
        "passed" => Checks::Passed,
        "refused" => Checks::Refused,
        causes => Checks::Failed { causes: cause_keys(causes) },
    }
}

/// `human:a,b`, `bot:c`, or one of the plain answers.
fn review(word: &str) -> Review {
    match word {
        "not_required" => Review::NotRequired,
        "pending" => Review::Pending,
        "approved" => Review::Approved,
        word => match word.split_once(':').unwrap() {
            ("human", causes) => {
                Review::ChangesRequested { human: cause_keys(causes), bot: BTreeSet::new() }
            }
            ("bot", causes) => {
                Review::ChangesRequested { human: BTreeSet::new(), bot: cause_keys(causes) }
            }
            (who, _) => panic!("no such reviewer: {who}"),
        },
    }
}

fn cause_keys(words: &str) -> BTreeSet<CauseKey> {
    words.split(',').map(CauseKey::new).collect()
}

/// `90s`, `1.5s`, `3m`, `9h`.
fn duration(word: &str) -> Duration {
    let split = word.len() - 1;
    let (number, unit) = (word.get(..split).unwrap(), word.get(split..).unwrap());
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        unit => panic!("no such unit: {unit}"),
    };
    Duration::from_secs_f64(number.parse::<f64>().unwrap() * seconds)
}

fn earlier(now: &Moment, by: Duration) -> Moment {
    Moment {
        wall: ao_core::time::Timestamp::from_millis(
            now.wall.as_millis() - i64::try_from(by.as_millis()).unwrap(),
        ),
        boot: now.boot,
        since_boot: now.since_boot.checked_sub(by).unwrap(),
        awake: now.awake.checked_sub(by).unwrap(),
    }
}
