//! What was said because of the session's conditions, what is still to be said, and when.

use std::time::Duration;

use super::{ExplainedDeadline, ExplainedReaction, duration_words, incident_name};
use crate::deadline::{Deadline, DeadlineKind};
use crate::ids::NotifierId;
use crate::inbox::Priority;
use crate::ledger::{Incident, IncidentKey, ReactionKind};
use crate::policy::{Policy, ReactionAction};
use crate::react::listed;
use crate::session::Session;
use crate::time::Moment;

/// Causes that are listed: the first of them, as a message to an agent does.
const CAUSES_MAX: usize = 20;

/// Every open incident of the ledger.
pub(super) fn reactions(
    session: &Session,
    deadlines: &[Deadline],
    policy: &Policy,
    now: &Moment,
) -> Vec<ExplainedReaction> {
    let open = session.ledger.open.iter();
    open.map(|(key, incident)| {
        let line = policy.reaction(key.reaction);
        let escalation = deadlines.iter().find(|it| it.kind == DeadlineKind::Escalate(*key));
        let left = escalation.map(|it| it.remaining(now));
        ExplainedReaction {
            reaction: key.reaction,
            pr: key.pr,
            attempts: incident.attempts,
            attempts_left: line
                .retries
                .filter(|_| !incident.is_escalated)
                .map(|retries| retries.saturating_sub(incident.attempts)),
            causes: incident
                .causes
                .iter()
                .take(CAUSES_MAX)
                .map(|cause| listed(std::iter::once(cause.as_str())))
                .collect(),
            opened_at: incident.opened_at.wall,
            first_attempt_at: incident.first_attempt_at.map(|at| at.wall),
            escalates_at: left.map(|left| now.wall.plus(left)),
            is_escalated: incident.is_escalated,
            sentence: sentence(session, *key, incident, policy, left),
        }
    })
    .collect()
}

fn sentence(
    session: &Session,
    key: IncidentKey,
    incident: &Incident,
    policy: &Policy,
    left: Option<Duration>,
) -> String {
    let about = condition(key.reaction);
    if incident.is_escalated {
        let human = hearers(policy, Priority::Urgent);
        return format!(
            "{about}: trying did not help, so a human was called ({human}); nothing more is said \
             until that is over"
        );
    }
    let line = policy.reaction(key.reaction);
    // The agent of a session that has ended is told nothing.
    let is_message = line.action == ReactionAction::Message && !session.lifecycle.is_terminal();
    let whom = if is_message {
        "its agent".to_owned()
    } else {
        format!("a human ({})", hearers(policy, line.priority))
    };
    let told = match incident.attempts {
        0 => format!("{whom} was not told yet"),
        1 => format!("{whom} was told once"),
        n => format!("{whom} was told {n} times"),
    };
    if !line.is_enabled {
        return format!("{about}: {told}; the reaction was switched off since");
    }
    let budget = match line.retries.map(|retries| retries.saturating_sub(incident.attempts)) {
        None => String::new(),
        Some(0) => "; no attempt is left, so the next news of it calls a human".to_owned(),
        Some(1) => "; 1 attempt is left before a human is called".to_owned(),
        Some(n) => format!("; {n} attempts are left before a human is called"),
    };
    let clock = left.map_or_else(String::new, |left| {
        format!("; unless it is over by then, a human is called in {}", duration_words(left))
    });
    format!("{about}: {told}{budget}{clock}")
}

/// Who hears a priority.
fn hearers(policy: &Policy, priority: Priority) -> String {
    let notifiers = policy.routing.get(&priority).map_or(&[][..], Vec::as_slice);
    if notifiers.is_empty() {
        return format!("nobody: no notifier hears what is `{priority}`");
    }
    notifiers.iter().map(NotifierId::as_str).collect::<Vec<_>>().join(", ")
}

/// The condition that a reaction is about.
const fn condition(reaction: ReactionKind) -> &'static str {
    match reaction {
        ReactionKind::CiFailed => "a required check failed",
        ReactionKind::ChangesRequested => "a reviewer wants changes",
        ReactionKind::BugbotComments => "a review bot wants changes",
        ReactionKind::MergeConflicts => "the pull request conflicts with its base",
        ReactionKind::AgentIdle => "it rests with work that nobody has seen",
        ReactionKind::TurnFinished => "its turn has ended",
        ReactionKind::SessionDone => "it is done",
        ReactionKind::ApprovedAndGreen => "the pull request can be merged",
        ReactionKind::AgentStuck => "nobody can tell what it does",
        ReactionKind::AgentNeedsInput => "only a human can move it on",
        ReactionKind::AgentExited => "it ended, and nobody asked for that",
        ReactionKind::PrClosed => "the pull request was closed without a merge",
        ReactionKind::AllComplete => "every pull request is merged",
        ReactionKind::Infrastructure => "an outage took it",
    }
}

/// What happens by itself, soonest first.
pub(super) fn deadlines(
    session: &Session,
    deadlines: &[Deadline],
    now: &Moment,
) -> Vec<ExplainedDeadline> {
    let mut all: Vec<_> = deadlines
        .iter()
        .map(|deadline| {
            let left = deadline.remaining(now);
            let (kind, incident, then) = consequence(session, &deadline.kind);
            let when = if left.is_zero() {
                "now".to_owned()
            } else {
                format!("in {}", duration_words(left))
            };
            ExplainedDeadline {
                kind,
                incident,
                at: now.wall.plus(left),
                clock: deadline.clock,
                sentence: format!("{when}: {then}"),
            }
        })
        .collect();
    all.sort_by(|a, b| (a.at, a.kind, a.incident).cmp(&(b.at, b.kind, b.incident)));
    all
}

fn consequence(
    session: &Session,
    kind: &DeadlineKind,
) -> (&'static str, Option<IncidentKey>, String) {
    match kind {
        DeadlineKind::Escalate(key) => (
            "escalate",
            Some(*key),
            format!("a human is called about `{}`, unless it is over by then", incident_name(*key)),
        ),
        DeadlineKind::NoSignal => (
            "no_signal",
            None,
            "it is `stuck`, unless its agent tells anything until then".to_owned(),
        ),
        DeadlineKind::AgentIdle => (
            "agent_idle",
            None,
            "its agent is told to go on, if it still rests, its worktree holds work, no pull \
             request is open and it did not say that it is done"
                .to_owned(),
        ),
        DeadlineKind::TurnFinished => (
            "turn_finished",
            None,
            "the end of its turn is told, if no other one has begun until then".to_owned(),
        ),
        DeadlineKind::PauseEnds => (
            "pause_ends",
            None,
            format!(
                "the usage limit of its provider ends, and reactions may tell its agent something \
                 again; it goes on when it is told to (`ao send {}`)",
                session.record.id
            ),
        ),
    }
}
