//! The journal through the core again: where today's rules, or a changed policy, decide otherwise.
//!
//! It begins at a kept state and takes in every fact that was written down after it, each at the
//! moment at which it was decided then. Facts that changed nothing were not written down, so what
//! other rules would have made of those stays unknown; and a deadline that another policy arms
//! earlier rings only if the journal says so. Where the last entry leads is held against the session
//! as it is: what the journal does not say of a decision shows there.

use std::collections::BTreeSet;

use crate::deadline::{DeadlineChange, DeadlineKind};
use crate::fact::FactKind;
use crate::ids::Revision;
use crate::journal::JournalRecord;
use crate::ledger::IncidentKey;
use crate::outbox::Sink;
use crate::policy::{Policy, ReactionPolicy};
use crate::record::Lifecycle;
use crate::reduce::{describe_fact, describe_pr, reduce};
use crate::session::Session;
use crate::step::{Because, Change, MessageOrder, Rule, Step};
use crate::time::Timestamp;

/// Longest text of a message or notification that is repeated, in characters: enough to tell two
/// apart.
const TEXT_CHARS_MAX: usize = 300;

/// A journal, decided again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Its entries, oldest first.
    pub entries: Vec<ReplayedEntry>,
    /// What of the session as it is would be otherwise at the end, as sentence fragments.
    pub end_differences: Vec<String>,
}

impl Replayed {
    /// How many entries are decided otherwise.
    pub fn n_differences(&self) -> usize {
        self.entries.iter().filter(|entry| entry.is_different()).count()
    }
}

/// One entry of the journal, decided again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayedEntry {
    /// Its position in the journal.
    pub seq: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// The fact, in words.
    pub fact: String,
    /// The rule that the journal names.
    pub rule_then: Rule,
    /// What was decided, in words. The journal keeps the rule and its values; the rest is worked
    /// out by today's rules where those agree with it, and left out where they do not.
    pub decided_then: String,
    /// The rule that decides now.
    pub rule_now: Rule,
    /// What is decided now, in words.
    pub decided_now: String,
    /// What is decided otherwise, as sentence fragments; nothing where all is the same.
    pub why: Vec<String>,
}

impl ReplayedEntry {
    /// Whether anything is decided otherwise.
    pub const fn is_different(&self) -> bool {
        !self.why.is_empty()
    }
}

/// Takes the entries after a kept state in again, oldest first.
///
/// `configured` is the policy that they are held against, `changed` another one to try. Without it
/// an entry is different when the rule or the values that the journal names are no longer those of
/// today's rules; with it also when the changed policy decides or plans anything else. `last` is the
/// session as the last entry left it, and is held against where the last entry leads now.
///
/// *Assumptions*: `base` is the state that the first entry was decided on. Entries of other sessions
/// are passed over, and so are those that `base` was decided after.
pub fn replay(
    base: &Session,
    journal: &[JournalRecord],
    last: Option<&Session>,
    configured: &Policy,
    changed: Option<&Policy>,
) -> Replayed {
    let mut reference = base.clone();
    let mut tried = base.clone();
    let since = base.lifecycle.revision;
    let own =
        journal.iter().filter(|record| record.session == base.record.id && record.revision > since);
    let entries = own
        .map(|record| {
            let then = decide(&mut reference, record, configured);
            let now = match changed {
                Some(policy) => decide(&mut tried, record, policy),
                None => then.clone(),
            };
            entry(record, &then, &now)
        })
        .collect();
    let end = if changed.is_some() { &tried } else { &reference };
    let mut end_differences = last.map_or_else(Vec::new, |last| shown_differences(last, end));
    let is_unseen = end_differences.is_empty() && last.is_some_and(|last| !is_same(last, end));
    // What another policy has to remember otherwise follows from the steps that differ.
    if is_unseen && changed.is_none() {
        end_differences.push(
            "what is remembered of it would be otherwise, though nothing of it shows".to_owned(),
        );
    }
    Replayed { entries, end_differences }
}

fn entry(record: &JournalRecord, then: &Decision, now: &Decision) -> ReplayedEntry {
    let because = &record.entry.because;
    let is_known = then.because == *because;
    let mut why = Vec::new();
    if now.because.rule != because.rule {
        why.push(format!("the rule is `{}`, and was `{}`", now.because.rule, because.rule));
    } else if now.because.values != because.values {
        why.push(format!("the rule sees {}, and saw {}", now.because.values, because.values));
    }
    if then.verdict != now.verdict {
        why.push(format!("the session is {}, and was {}", now.verdict, then.verdict));
    }
    let missing = |one: &[String], other: &[String]| -> Vec<String> {
        one.iter().filter(|plan| !other.contains(plan)).cloned().collect()
    };
    why.extend(
        missing(&then.plans, &now.plans).iter().map(|plan| format!("no more: {}", cut(plan))),
    );
    why.extend(missing(&now.plans, &then.plans).iter().map(|plan| format!("new: {}", cut(plan))));
    if why.is_empty() && then.plans != now.plans {
        why.push("the same, in another order or number".to_owned());
    }
    ReplayedEntry {
        seq: record.seq,
        at: record.entry.at.wall,
        fact: fact_words(&record.entry.fact.kind),
        rule_then: because.rule,
        decided_then: if is_known { then.words() } else { because.values.clone() },
        rule_now: now.because.rule,
        decided_now: now.words(),
        why,
    }
}

/// What of a session as it is would be otherwise, as far as it shows.
fn shown_differences(is: &Session, would_be: &Session) -> Vec<String> {
    let mut all = Vec::new();
    let mut held = |what: &str, is: String, would_be: String| {
        if is != would_be {
            all.push(format!("{what} is {is}, and would be {would_be}"));
        }
    };
    let (old, new) = (&is.lifecycle, &would_be.lifecycle);
    let verdict = |it: &Lifecycle| format!("{}/{}", it.session.state, it.session.reason);
    held("the session", verdict(old), verdict(new));
    let runtime = |it: &Lifecycle| format!("{}/{}", it.runtime.state, it.runtime.reason);
    held("its runtime", runtime(old), runtime(new));
    let activity = |it: &Lifecycle| {
        it.activity.map_or_else(|| "not known".to_owned(), |activity| activity.state.to_string())
    };
    held("its activity", activity(old), activity(new));
    held("what is shown of its pull requests", describe_pr(old.pr), describe_pr(new.pr));
    let open = |it: &Session| {
        let names: Vec<String> = it
            .ledger
            .open
            .iter()
            .map(|(key, open)| {
                let called = if open.is_escalated { ", escalated" } else { "" };
                format!("{} (attempts {}{called})", incident(*key), open.attempts)
            })
            .collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(" and ") }
    };
    held("what is reacted to", open(is), open(would_be));
    all
}

/// Whether two sessions are one as far as the rules are concerned; writes besides the journal raise
/// the revision.
fn is_same(one: &Session, other: &Session) -> bool {
    let plain = |it: &Lifecycle| Lifecycle { revision: Revision(0), ..it.clone() };
    plain(&one.lifecycle) == plain(&other.lifecycle) && one.ledger == other.ledger
}

/// What two policies say otherwise about reactions, as sentence fragments.
pub fn policy_differences(configured: &Policy, changed: &Policy) -> Vec<String> {
    let kinds: BTreeSet<_> =
        configured.reactions.keys().chain(changed.reactions.keys()).copied().collect();
    let mut all = Vec::new();
    for kind in kinds {
        let (old, new) = (configured.reaction(kind), changed.reaction(kind));
        let mut held = |key: &str, text: fn(&ReactionPolicy) -> String| {
            let (old, new) = (text(&old), text(&new));
            if old != new {
                all.push(format!("`{kind}`: `{key}` is {new}, and was {old}"));
            }
        };
        held("enabled", |line| line.is_enabled.to_string());
        held("retries", |line| {
            line.retries.map_or_else(|| "not counted".to_owned(), |n| n.to_string())
        });
        held("escalate_after", |line| {
            line.escalate_after.map_or_else(|| "not given".to_owned(), |after| format!("{after:?}"))
        });
        held("message", |line| {
            line.message.as_ref().map_or_else(
                || "the built-in one".to_owned(),
                |text| format!("\"{}\"", cut(text.trim())),
            )
        });
    }
    all
}

/// What one fact led to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Decision {
    because: Because,
    verdict: String,
    plans: Vec<String>,
}

impl Decision {
    fn words(&self) -> String {
        let plans = self.plans.iter().map(|plan| cut(plan));
        std::iter::once(self.verdict.clone()).chain(plans).collect::<Vec<_>>().join("; ")
    }
}

/// The beginning of a text.
fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text.to_owned(),
    }
}

/// Takes one entry in, and moves the session on.
fn decide(session: &mut Session, record: &JournalRecord, policy: &Policy) -> Decision {
    let entry = &record.entry;
    let (because, plans) = match reduce(session, &entry.fact, policy, &entry.at) {
        Step::None { because, .. } => (because, vec!["changes nothing".to_owned()]),
        Step::Change(change) => {
            let plans = plan_words(&change);
            let Change { lifecycle, ledger, agent_session_id, transcript, because, .. } = *change;
            session.lifecycle = lifecycle;
            session.ledger = ledger;
            session.record.agent_session_id =
                agent_session_id.or_else(|| session.record.agent_session_id.take());
            session.record.transcript = transcript.or_else(|| session.record.transcript.take());
            (because, plans)
        }
    };
    // What the entry led to is what the next one was decided on, whatever else was written between.
    session.lifecycle.revision = record.revision;
    let verdict = session.lifecycle.session;
    Decision { because, verdict: format!("{}/{}", verdict.state, verdict.reason), plans }
}

fn fact_words(kind: &FactKind) -> String {
    describe_fact(kind).unwrap_or_else(|| "pull requests were fetched".to_owned())
}

fn plan_words(change: &Change) -> Vec<String> {
    let mut words = Vec::new();
    for message in &change.messages {
        let text = message.text.trim();
        words.push(format!("tells the agent ({}): {text}", incident(message.origin.incident)));
    }
    for effect in &change.effects {
        let said = &effect.notification;
        let Sink::Notifier(notifier) = &effect.sink;
        words.push(format!("tells {notifier} ({}): {}", said.reaction, said.title));
    }
    for order in &change.message_orders {
        words.push(match order {
            MessageOrder::CancelAll => "cancels what waits to be said".to_owned(),
            MessageOrder::SupersedeIncident(key) => {
                format!("takes back what waits to be said about {}", incident(*key))
            }
        });
    }
    for deadline in &change.deadlines {
        if let DeadlineChange::Arm { kind, after, .. } = deadline {
            words.push(format!("waits {after:?} for {}", deadline_words(kind)));
        }
    }
    words
}

fn incident(key: IncidentKey) -> String {
    key.pr.map_or_else(|| key.reaction.to_string(), |pr| format!("{} #{pr}", key.reaction))
}

fn deadline_words(kind: &DeadlineKind) -> String {
    match kind {
        DeadlineKind::Escalate(key) => format!("the escalation of {}", incident(*key)),
        DeadlineKind::NoSignal => "the first signal".to_owned(),
        DeadlineKind::AgentIdle => "an idle agent to go on".to_owned(),
        DeadlineKind::TurnFinished => "the end of the turn to last".to_owned(),
        DeadlineKind::PauseEnds => "the end of the pause".to_owned(),
    }
}
