//! Why a session has its status, and what would change it, in words.
//!
//! It decides nothing: what would happen is asked of the deciders themselves, with the fact that
//! would make it happen. Every sentence is for a person who has never seen the rules.

mod because;
mod facts;
mod messages;
mod outlook;
mod reactions;
mod restore;
mod verdict;

use std::time::Duration;

use crate::deadline::{Deadline, DeadlineClock};
use crate::ids::{InfraIncidentId, PrNumber};
use crate::journal::JournalRecord;
use crate::ledger::{IncidentKey, ReactionKind};
use crate::message::Message;
use crate::outbox::OutboxEntry;
use crate::policy::Policy;
use crate::ports::{InfraIncident, InfraIncidentKind};
use crate::saga::Saga;
use crate::session::Session;
use crate::status::{Status, status};
use crate::step::Rule;
use crate::time::{Moment, Timestamp};

/// What stands beside a session and belongs to its explanation. All of it may be empty: what is not
/// given is not told of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    /// The kept journal of the session, oldest entry first.
    pub journal: &'a [JournalRecord],
    /// Its armed deadlines.
    pub deadlines: &'a [Deadline],
    /// Its last messages, oldest first.
    pub messages: &'a [Message],
    /// What was planned to be told about it, oldest first.
    pub effects: &'a [OutboxEntry],
    /// The last outages of the machine.
    pub incidents: &'a [InfraIncident],
    /// What is in flight for it.
    pub saga: Option<&'a Saga>,
}

/// Why a session is shown as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What is shown.
    pub status: Status,
    /// Why, in one sentence.
    pub sentence: String,
    /// What decided it.
    pub decided: Decided,
    /// What is known, most telling first.
    pub facts: Vec<ExplainedFact>,
    /// What is open in the reaction ledger.
    pub reactions: Vec<ExplainedReaction>,
    /// Messages that are on their way, or whose fate nobody knows.
    pub messages: Vec<ExplainedMessage>,
    /// What happens by itself, soonest first.
    pub deadlines: Vec<ExplainedDeadline>,
    /// The outage of the machine that explains how it ended.
    pub incident: Option<ExplainedIncident>,
    /// What bringing it back would mean; only of an ended session.
    pub restore: Option<ExplainedRestore>,
    /// What would change the status.
    pub would_change: Vec<String>,
}

/// The decision that a status rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The rule; none before the first fact.
    pub rule: Option<Rule>,
    /// What the rule says, in one sentence.
    pub meaning: String,
    /// The values that it saw; none before the first fact, and when the entry of the journal that
    /// says so is no longer kept.
    pub values: Option<String>,
    /// When it decided, as far as that is kept.
    pub at: Option<Timestamp>,
}

/// One thing that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedFact {
    /// What it is about.
    pub kind: &'static str,
    /// What is known.
    pub value: String,
    /// Since when, or when it was observed; none when it never was.
    pub at: Option<Timestamp>,
    /// Who told.
    pub source: &'static str,
}

/// One open incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedReaction {
    /// The reaction.
    pub reaction: ReactionKind,
    /// The pull request, where it has one.
    pub pr: Option<PrNumber>,
    /// Attempts so far.
    pub attempts: u32,
    /// Attempts that are left before a human is called; none when they are not counted.
    pub attempts_left: Option<u32>,
    /// What was told, one line for each cause, the first of them.
    pub causes: Vec<String>,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When the first attempt was made.
    pub first_attempt_at: Option<Timestamp>,
    /// When a human is called unless it is over by then, if the machine stays awake.
    pub escalates_at: Option<Timestamp>,
    /// Whether a human was called.
    pub is_escalated: bool,
    /// How it stands, in words.
    pub sentence: String,
}

/// A message with what is known of its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedMessage {
    /// The message.
    pub message: Message,
    /// Where it stands, why, and what to do about it.
    pub sentence: String,
}

/// Something that happens by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedDeadline {
    /// What comes due.
    pub kind: &'static str,
    /// The reaction that it belongs to.
    pub incident: Option<IncidentKey>,
    /// When, if the machine stays awake and its clock is not set.
    pub at: Timestamp,
    /// The clock that it counts on.
    pub clock: DeadlineClock,
    /// What happens then, unless something else comes first.
    pub sentence: String,
}

/// An outage that explains the end of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedIncident {
    /// Its name.
    pub id: InfraIncidentId,
    /// What kind; none when the outage itself is no longer kept.
    pub kind: Option<InfraIncidentKind>,
    /// How many sessions it took.
    pub n_sessions: Option<usize>,
    /// When it was found.
    pub opened_at: Option<Timestamp>,
    /// What happened, in words.
    pub sentence: String,
}

/// What bringing an ended session back would mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedRestore {
    /// Whether a restore could begin now, as far as the record tells.
    pub is_possible: bool,
    /// Whether `ao restore --all` would take it up, too.
    pub is_with_all: bool,
    /// What it would do, in sentences.
    pub sentences: Vec<String>,
    /// What does not come back, as sentence fragments.
    pub losses: Vec<String>,
}

/// Explains a session from its record, from what stands beside it, and from the policy.
pub fn explain(
    session: &Session,
    beside: &Beside<'_>,
    policy: &Policy,
    now: &Moment,
) -> Explanation {
    let status = status(session);
    Explanation {
        status,
        sentence: verdict::sentence(status, session),
        decided: because::decided(status, session, beside.journal, policy),
        facts: facts::facts(session, beside, policy, now),
        reactions: reactions::reactions(session, beside.deadlines, policy, now),
        messages: messages::messages(session, beside.messages, now),
        deadlines: reactions::deadlines(session, beside.deadlines, now),
        incident: facts::incident(session, beside),
        restore: restore::restore(session, beside),
        would_change: outlook::would_change(session, policy, now),
    }
}

const fn is_pr_status(status: Status) -> bool {
    matches!(
        status,
        Status::Merged
            | Status::CiFailed
            | Status::ChangesRequested
            | Status::MergeConflict
            | Status::Draft
            | Status::ReviewPending
            | Status::Approved
            | Status::Mergeable
            | Status::PrOpen
    )
}

/// A reaction, with its pull request where it has one.
fn incident_name(key: IncidentKey) -> String {
    key.pr.map_or_else(|| key.reaction.to_string(), |pr| format!("{} #{pr}", key.reaction))
}

/// A duration as people say it, rounded up: nothing that is still to come takes no time.
fn duration_words(duration: Duration) -> String {
    let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds.div_ceil(60)),
        7_200..172_800 => format!("{} h", seconds.div_ceil(3_600)),
        _ => format!("{} days", seconds.div_ceil(86_400)),
    }
}

/// A number with its noun.
fn counted(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}
