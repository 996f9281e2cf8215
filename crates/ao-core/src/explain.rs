//! Why a session has its status, and what would change it, in words.
//!
//! It decides nothing: what would happen is asked of the deciders themselves, with the look that
//! would make it happen.

mod outlook;

use std::time::Duration;

use crate::fact::{FactKind, Outcome};
use crate::ids::PrNumber;
use crate::journal::JournalRecord;
use crate::ledger::{Incident, IncidentKey, ReactionKind};
use crate::policy::Policy;
use crate::pr::{Checks, Known, Pr, Review};
use crate::react::reason_words;
use crate::record::{Exit, Lifecycle};
use crate::reduce::{describe_look, describe_pr};
use crate::session::Session;
use crate::status::{Status, status};
use crate::step::{Because, Rule};
use crate::time::{Moment, Timestamp};

/// Why a session is shown as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What is shown.
    pub status: Status,
    /// The rule that decided, with the values that it saw; absent before the first decision.
    pub because: Option<Because>,
    /// Why, in one sentence.
    pub sentence: String,
    /// What is known, most telling first.
    pub facts: Vec<ExplainedFact>,
    /// What is open in the reaction ledger.
    pub reactions: Vec<ExplainedReaction>,
    /// What would change it.
    pub would_change: Vec<String>,
}

/// One thing that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedFact {
    /// What it is about.
    pub kind: &'static str,
    /// What is known.
    pub value: String,
    /// Since when, or when it was observed.
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
    /// Whether a human was called.
    pub is_escalated: bool,
    /// When it opened.
    pub opened_at: Timestamp,
    /// How it stands, in words.
    pub sentence: String,
}

/// Explains a session from its record, its last journal entries (oldest first) and the policy.
pub fn explain(
    session: &Session,
    journal: &[JournalRecord],
    policy: &Policy,
    now: &Moment,
) -> Explanation {
    let status = status(session);
    Explanation {
        status,
        because: because(status, journal),
        sentence: sentence(status, &session.lifecycle),
        facts: facts(&session.lifecycle, journal, policy),
        reactions: reactions(session, policy, now),
        would_change: outlook::would_change(&session.lifecycle, policy, now),
    }
}

/// The newest decision about what is shown: the forge's where a pull request is shown.
fn because(status: Status, journal: &[JournalRecord]) -> Option<Because> {
    let shows_pr = is_pr_status(status);
    let decided = journal.iter().rev().find(|record| {
        let rule = record.entry.because.rule;
        if shows_pr { rule == Rule::PullRequests } else { is_about_session(rule) }
    });
    decided.map(|record| record.entry.because.clone())
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

/// Whether a rule speaks about the session axis.
const fn is_about_session(rule: Rule) -> bool {
    !matches!(
        rule,
        Rule::PullRequests
            | Rule::SendFailed
            | Rule::SignalsLost
            | Rule::DeadlineDue
            | Rule::DeadlineOver
            | Rule::RuntimeDestroyed
            | Rule::RuntimeNotLooked
            | Rule::OutdatedSignal
            | Rule::OutdatedLook
            | Rule::SignalInQuarantine
            | Rule::Fenced
            | Rule::Unchanged
    )
}

fn sentence(status: Status, lifecycle: &Lifecycle) -> String {
    let session = lifecycle.session;
    if is_pr_status(status) {
        return format!(
            "It is shown as `{status}` because of its {}; the session itself is {}/{}.",
            describe_pr(lifecycle.pr),
            session.state,
            session.reason
        );
    }
    format!("It is {}/{}: {}.", session.state, session.reason, reason_words(session.reason))
}

fn facts(lifecycle: &Lifecycle, journal: &[JournalRecord], policy: &Policy) -> Vec<ExplainedFact> {
    let fact = |kind, value, at: Option<&Moment>, source| ExplainedFact {
        kind,
        value,
        at: at.map(|at| at.wall),
        source,
    };
    let session = lifecycle.session;
    let mut facts = vec![fact(
        "session",
        format!("{}/{}", session.state, session.reason),
        Some(&lifecycle.state_since),
        "decided",
    )];
    if let Some(activity) = &lifecycle.activity {
        let detail = activity.detail.map_or_else(String::new, |detail| format!(" ({detail})"));
        let value = format!("{}{detail}", activity.state);
        facts.push(fact("activity", value, Some(&activity.at), activity.source.as_str()));
    }
    if let Some(claim) = &lifecycle.claim {
        facts.push(fact("claim", "done".to_owned(), Some(&claim.at), "agent"));
    }
    if let Some(n) = lifecycle.signals_lost {
        let value = format!("{n} in all; what they told has to be found by looking");
        facts.push(fact("signals_lost", value, last_loss(journal).as_ref(), "spool"));
    }
    let looked = last_look(journal);
    let runtime = format!("{}/{}", lifecycle.runtime.state, lifecycle.runtime.reason);
    let launched_at = lifecycle.launch.as_ref().map(|launch| launch.committed_at);
    let looked_at = looked.as_ref().map(|(_, at)| *at).or(launched_at);
    facts.push(fact("runtime", runtime, looked_at.as_ref(), "runtime"));
    if let Some((values, at)) = &looked {
        facts.push(fact("look", values.clone(), Some(at), "runtime"));
    }
    if let Some(dead_at) = &lifecycle.process_dead_at {
        facts.push(fact("process", dead_words(lifecycle.exit), Some(dead_at), "process"));
    }
    if let Some(doubt) = &lifecycle.detecting {
        let value = format!(
            "{} of {} looks with the same evidence: {}",
            doubt.attempts,
            policy.detecting_attempts_max,
            describe_look(doubt.evidence.look)
        );
        facts.push(fact("quarantine", value, Some(&doubt.started_at), "decided"));
    }
    if let Some(until) = lifecycle.paused_until {
        facts.push(ExplainedFact {
            kind: "paused_until",
            value: "usage limit".to_owned(),
            at: Some(until),
            source: "agent",
        });
    }
    for pr in lifecycle.prs.values() {
        facts.push(fact("pull_request", pr_words(pr), fetched_at(pr).as_ref(), "scm"));
    }
    if let Some(launch) = &lifecycle.launch {
        let value = launch.id.to_string();
        facts.push(fact("launch", value, Some(&launch.committed_at), "session_manager"));
    }
    if let Some((value, at)) = asked_end(lifecycle, journal) {
        facts.push(fact("intent", value, at.as_ref(), "session_manager"));
    }
    facts
}

fn last_look(journal: &[JournalRecord]) -> Option<(String, Moment)> {
    journal.iter().rev().find_map(|record| match &record.entry.fact.kind {
        FactKind::Look(look) => Some((describe_look(look.values), record.entry.fact.at)),
        FactKind::Signal(_)
        | FactKind::PullRequests(_)
        | FactKind::Outcome(_)
        | FactKind::Due(_)
        | FactKind::IdleDue(_)
        | FactKind::SendFailed(_)
        | FactKind::SignalsLost(_) => None,
    })
}

fn last_loss(journal: &[JournalRecord]) -> Option<Moment> {
    let is_loss =
        |record: &&JournalRecord| matches!(record.entry.fact.kind, FactKind::SignalsLost(_));
    journal.iter().rev().find(is_loss).map(|record| record.entry.fact.at)
}

fn asked_end(lifecycle: &Lifecycle, journal: &[JournalRecord]) -> Option<(String, Option<Moment>)> {
    let intent = lifecycle.intent?;
    let at = journal.iter().rev().find_map(|record| match &record.entry.fact.kind {
        FactKind::Outcome(Outcome::EndRequested(_)) => Some(record.entry.fact.at),
        FactKind::Look(_)
        | FactKind::Signal(_)
        | FactKind::PullRequests(_)
        | FactKind::Outcome(_)
        | FactKind::Due(_)
        | FactKind::IdleDue(_)
        | FactKind::SendFailed(_)
        | FactKind::SignalsLost(_) => None,
    });
    Some((intent.to_string(), at))
}

fn dead_words(exit: Option<Exit>) -> String {
    match exit {
        Some(Exit::Status(status)) => format!("dead, exit status {status}"),
        Some(Exit::Signal(signal)) => format!("dead, ended by signal {signal}"),
        None => "dead, exit status unknown".to_owned(),
    }
}

fn pr_words(pr: &Pr) -> String {
    let text = |value: Option<&'static str>| value.unwrap_or("unknown");
    let checks = pr.checks.value().map(|checks| match checks {
        Checks::None => "none",
        Checks::Pending => "pending",
        Checks::Passed => "passed",
        Checks::Failed { .. } => "failed",
        Checks::Refused => "refused",
    });
    let review = pr.review.value().map(|review| match review {
        Review::NotRequired => "not required",
        Review::Pending => "pending",
        Review::Approved => "approved",
        Review::ChangesRequested { .. } => "changes requested",
    });
    format!(
        "#{} {}, {}, checks {}, review {}, merge {}",
        pr.number,
        text(pr.life.value().map(|life| life.as_str())),
        text(pr.draft.value().map(|draft| draft.as_str())),
        text(checks),
        text(review),
        text(pr.mergeability.value().map(|mergeability| mergeability.as_str())),
    )
}

/// When the forge last told anything new about a pull request.
fn fetched_at(pr: &Pr) -> Option<Moment> {
    const fn at<T>(known: &Known<T>) -> Option<Moment> {
        match known {
            Known::Known { at, .. } => Some(*at),
            Known::Unknown => None,
        }
    }
    [at(&pr.head), at(&pr.life), at(&pr.checks), at(&pr.review), at(&pr.mergeability)]
        .into_iter()
        .flatten()
        .reduce(|newest, at| if at.is_after(&newest) { at } else { newest })
}

fn reactions(session: &Session, policy: &Policy, now: &Moment) -> Vec<ExplainedReaction> {
    session
        .ledger
        .open
        .iter()
        .map(|(key, incident)| ExplainedReaction {
            reaction: key.reaction,
            pr: key.pr,
            attempts: incident.attempts,
            is_escalated: incident.is_escalated,
            opened_at: incident.opened_at.wall,
            sentence: reaction_sentence(*key, incident, policy, now),
        })
        .collect()
}

fn reaction_sentence(
    key: IncidentKey,
    incident: &Incident,
    policy: &Policy,
    now: &Moment,
) -> String {
    if incident.is_escalated {
        return "a human was called; nothing more is said until it ends".to_owned();
    }
    let line = policy.reaction(key.reaction);
    let told = match incident.attempts {
        0 => "not told yet".to_owned(),
        1 => "told once".to_owned(),
        n => format!("told {n} times"),
    };
    let left = line.retries.map(|retries| retries.saturating_sub(incident.attempts));
    let budget = match left {
        None => String::new(),
        Some(0) => "; the next cause calls a human".to_owned(),
        Some(1) => "; 1 attempt is left".to_owned(),
        Some(n) => format!("; {n} attempts are left"),
    };
    let clock = line.escalate_after.zip(incident.first_attempt_at).map_or_else(
        String::new,
        |(after, first)| {
            let left = after.saturating_sub(now.awake_since(&first));
            format!("; a human is called in {} unless it ends", duration_words(left))
        },
    );
    format!("{told}{budget}{clock}")
}

/// A duration as people say it.
fn duration_words(duration: Duration) -> String {
    let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3_600)),
    }
}
