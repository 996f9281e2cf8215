//! The journal through the core again: where today's rules, or a changed policy, decide otherwise.
//!
//! It begins at a kept state and takes in every fact that was written down after it, each at the
//! moment at which it was decided then. Facts that changed nothing were not written down, so what
//! other rules would have made of those stays unknown; and a deadline that another policy arms
//! earlier rings only if the journal says so.

use crate::deadline::{DeadlineChange, DeadlineKind};
use crate::fact::FactKind;
use crate::journal::JournalRecord;
use crate::ledger::IncidentKey;
use crate::outbox::Sink;
use crate::policy::Policy;
use crate::reduce::{describe_fact, reduce};
use crate::session::Session;
use crate::step::{Because, Change, MessageOrder, Rule, Step};
use crate::time::Timestamp;

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
    /// Whether anything is decided otherwise.
    pub is_different: bool,
}

/// Takes the entries after a kept state in again, oldest first.
///
/// `configured` is the policy that they are held against, `changed` another one to try. Without it
/// an entry is different when the rule or the values that the journal names are no longer those of
/// today's rules; with it also when the changed policy decides or plans anything else.
///
/// *Assumptions*: `base` is the state that the first entry was decided on. Entries of other sessions
/// are passed over.
pub fn replay(
    base: &Session,
    journal: &[JournalRecord],
    configured: &Policy,
    changed: Option<&Policy>,
) -> Vec<ReplayedEntry> {
    let mut reference = base.clone();
    let mut tried = base.clone();
    let own = journal.iter().filter(|record| record.session == base.record.id);
    own.map(|record| {
        let then = decide(&mut reference, record, configured);
        let now = match changed {
            Some(policy) => decide(&mut tried, record, policy),
            None => then.clone(),
        };
        let because = &record.entry.because;
        let is_known = then.because == *because;
        ReplayedEntry {
            seq: record.seq,
            at: record.entry.at.wall,
            fact: fact_words(&record.entry.fact.kind),
            rule_then: because.rule,
            decided_then: if is_known { then.words() } else { because.values.clone() },
            rule_now: now.because.rule,
            decided_now: now.words(),
            is_different: !is_known || then != now,
        }
    })
    .collect()
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
        let mut words = vec![self.verdict.clone()];
        words.extend(self.plans.iter().cloned());
        words.join("; ")
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
