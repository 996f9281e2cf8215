//! What is known of a session: each fact with who told it, and since when.

use super::restore::pending;
use super::{Beside, ExplainedFact, ExplainedIncident, counted, duration_words};
use crate::agent::Signals;
use crate::decide::ladder;
use crate::fact::{FactKind, LookFact, Outcome};
use crate::ids::CauseKey;
use crate::journal::JournalRecord;
use crate::outbox::{OutboxEntry, OutboxState, Sink};
use crate::policy::Policy;
use crate::ports::InfraIncidentKind;
use crate::pr::{Checks, Known, Pr, PrLife, Review};
use crate::react::listed;
use crate::record::{EndIntent, Exit, Lifecycle, RuntimeReason, RuntimeState, SessionState};
use crate::reduce::describe_look;
use crate::session::{Session, WorkspaceFate};
use crate::time::Moment;

/// Pull requests that are told value by value, the newest of them; of the others only whether they
/// are open. A session has one or two.
const PRS_MAX: usize = 10;

/// Everything that is known, most telling first.
pub(super) fn facts(
    session: &Session,
    beside: &Beside<'_>,
    policy: &Policy,
    now: &Moment,
) -> Vec<ExplainedFact> {
    let lifecycle = &session.lifecycle;
    let mut facts = vec![fact(
        "session",
        format!("{}/{}", lifecycle.session.state, lifecycle.session.reason),
        Some(&lifecycle.state_since),
        "decided",
    )];
    facts.extend(told(lifecycle, beside.journal, now));
    facts.extend(looked(lifecycle, beside.journal, policy));
    facts.extend(prs(lifecycle));
    facts.extend(launched(session, beside.journal));
    facts.extend(asked_end(lifecycle, beside.journal));
    facts.extend(machinery(session, beside));
    facts.extend(beside.effects.iter().filter_map(undelivered));
    facts
}

fn fact(
    kind: &'static str,
    value: String,
    at: Option<&Moment>,
    source: &'static str,
) -> ExplainedFact {
    ExplainedFact { kind, value, at: at.map(|at| at.wall), source }
}

/// What the agent told, and what of it got lost.
fn told(lifecycle: &Lifecycle, journal: &[JournalRecord], now: &Moment) -> Vec<ExplainedFact> {
    let mut facts = Vec::new();
    if let Some(activity) = &lifecycle.activity {
        let detail = activity.detail.map_or_else(String::new, |detail| format!(" ({detail})"));
        let value = format!("{}{detail}", activity.state);
        facts.push(fact("activity", value, Some(&activity.at), activity.source.as_str()));
    }
    if let Some(claim) = &lifecycle.claim {
        let value = "its work is done".to_owned();
        facts.push(fact("claim", value, Some(&claim.at), "agent"));
    }
    if let Some(until) = lifecycle.paused_until {
        let left = until.since(now.wall);
        let value = if left.is_zero() {
            "a usage limit that has just ended".to_owned()
        } else {
            format!("a usage limit that ends in {}", duration_words(left))
        };
        let at = lifecycle.activity.map(|activity| activity.at);
        facts.push(fact("paused_until", value, at.as_ref(), "agent"));
    }
    if let Some(n) = lifecycle.signals_lost {
        let value = format!("{n} in all; what they told has to be found by looking");
        facts.push(fact("signals_lost", value, last_loss(journal).as_ref(), "spool"));
    }
    facts
}

/// What looks found.
fn looked(lifecycle: &Lifecycle, journal: &[JournalRecord], policy: &Policy) -> Vec<ExplainedFact> {
    let mut facts = Vec::new();
    let looked = last_look(lifecycle, journal);
    let launched_at = lifecycle.launch.as_ref().map(|launch| launch.committed_at);
    if let Some(dead_at) = &lifecycle.process_dead_at {
        facts.push(fact("process", dead_words(lifecycle.exit), Some(dead_at), "process"));
    }
    let runtime = format!("{}/{}", lifecycle.runtime.state, lifecycle.runtime.reason);
    let found_at = match (lifecycle.runtime.state, &looked) {
        // Nobody looks before the launch, and a failed start leaves nothing to look at.
        (RuntimeState::Unknown, _) | (_, None) => launched_at.unwrap_or(lifecycle.state_since),
        (
            RuntimeState::Alive
            | RuntimeState::Exited
            | RuntimeState::Missing
            | RuntimeState::ProbeFailed,
            Some((_, at)),
        ) => *at,
    };
    let runtime_at = put_away_at(lifecycle, journal).unwrap_or(found_at);
    facts.push(fact("runtime", runtime, Some(&runtime_at), "runtime"));
    if let Some((look, at)) = &looked {
        facts.push(fact("look", describe_look(look.values), Some(at), "runtime"));
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
    facts
}

/// When the terminal was put away after an end that was asked for; none when it ended by itself.
fn put_away_at(lifecycle: &Lifecycle, journal: &[JournalRecord]) -> Option<Moment> {
    let is_put_away = matches!(
        lifecycle.runtime.reason,
        RuntimeReason::ManualKillRequested
            | RuntimeReason::PrMergedCleanup
            | RuntimeReason::AutoCleanup
    );
    if !is_put_away {
        return None;
    }
    let is_end = |record: &&JournalRecord| {
        matches!(record.entry.fact.kind, FactKind::Outcome(Outcome::RuntimeDestroyed))
    };
    journal.iter().rev().find(is_end).map(|record| record.entry.fact.at)
}

/// The last look at this launch that was written down: one that found nothing new was not.
fn last_look<'j>(
    lifecycle: &Lifecycle,
    journal: &'j [JournalRecord],
) -> Option<(&'j LookFact, Moment)> {
    let launch = lifecycle.launch.as_ref()?;
    looks(journal).find(|(look, _)| look.launch == launch.id)
}

/// The looks that were written down, the newest first.
fn looks(journal: &[JournalRecord]) -> impl Iterator<Item = (&LookFact, Moment)> {
    journal.iter().rev().filter_map(|record| match &record.entry.fact.kind {
        FactKind::Look(look) => Some((look, record.entry.fact.at)),
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

fn dead_words(exit: Option<Exit>) -> String {
    match exit {
        Some(Exit::Status(status)) => format!("dead, exit status {status}"),
        Some(Exit::Signal(signal)) => format!("dead, ended by signal {signal}"),
        None => "dead, exit status unknown".to_owned(),
    }
}

/// What the forge told, value by value.
fn prs(lifecycle: &Lifecycle) -> Vec<ExplainedFact> {
    let prs = &lifecycle.prs;
    let n_older = prs.len().saturating_sub(PRS_MAX);
    let shown = lifecycle.pr.number;
    let mut facts = Vec::new();
    for (i, pr) in prs.values().enumerate() {
        let life = pr.life.value().copied();
        facts.push(known(
            "pull_request",
            pr,
            &pr.life,
            life.map_or("unknown, taken for open", PrLife::as_str),
        ));
        let is_over = matches!(life, Some(PrLife::Merged | PrLife::Closed));
        let is_told = shown == Some(pr.number) || i >= n_older;
        if !is_over && is_told {
            facts.extend(values(pr));
        }
    }
    facts
}

fn values(pr: &Pr) -> [ExplainedFact; 5] {
    let unknown = || "unknown".to_owned();
    let of_this_head = |is_of_head: bool| if is_of_head { "" } else { ", of an earlier head" };
    let checks = pr.checks.value().map_or_else(unknown, |checks| {
        let is_of_head = ladder::of_head(pr, &pr.checks).is_some();
        format!("{}{}", checks_words(checks), of_this_head(is_of_head))
    });
    let mergeability = pr.mergeability.value().map_or_else(unknown, |mergeability| {
        let is_of_head = ladder::of_head(pr, &pr.mergeability).is_some();
        format!("{mergeability}{}", of_this_head(is_of_head))
    });
    let draft = pr.draft.value().map_or_else(unknown, ToString::to_string);
    let head = pr.head.value().map_or_else(unknown, |head| listed(std::iter::once(head.as_str())));
    let review = pr.review.value().map_or_else(unknown, review_words);
    [
        known("head", pr, &pr.head, &head),
        known("draft", pr, &pr.draft, &draft),
        known("checks", pr, &pr.checks, &checks),
        known("review", pr, &pr.review, &review),
        known("mergeability", pr, &pr.mergeability, &mergeability),
    ]
}

fn known<T>(kind: &'static str, pr: &Pr, value: &Known<T>, words: &str) -> ExplainedFact {
    let at = match value {
        Known::Known { at, .. } => Some(at),
        Known::Unknown => None,
    };
    fact(kind, format!("#{}: {words}", pr.number), at, "scm")
}

fn checks_words(checks: &Checks) -> String {
    match checks {
        Checks::None => "none are required".to_owned(),
        Checks::Pending => "pending".to_owned(),
        Checks::Passed => "passed".to_owned(),
        Checks::Failed { causes } => {
            format!("failed: {}", listed(causes.iter().map(CauseKey::as_str)))
        }
        Checks::Refused => "not run, through no fault of the change".to_owned(),
    }
}

fn review_words(review: &Review) -> String {
    match review {
        Review::NotRequired => "not required".to_owned(),
        Review::Pending => "pending".to_owned(),
        Review::Approved => "approved".to_owned(),
        Review::ChangesRequested { human, bot } => format!(
            "changes requested, in {} of people and {} of bots",
            counted(human.len(), "thread", "threads"),
            bot.len()
        ),
    }
}

fn launched(session: &Session, journal: &[JournalRecord]) -> Option<ExplainedFact> {
    let launch = session.lifecycle.launch.as_ref()?;
    let tells = match launch.traits.signals {
        Signals::None => "which tells nothing by itself",
        Signals::Activity => "which tells what it does, and not when it starts",
        Signals::Full => "which tells what it does and what it takes in",
    };
    let is_adopted = journal.iter().any(|record| {
        let kind = &record.entry.fact.kind;
        matches!(kind, FactKind::Outcome(Outcome::Adopted(found)) if found.id == launch.id)
    });
    let adopted = if is_adopted {
        "; adopted: it was found running, and the database did not know it"
    } else {
        ""
    };
    let value = format!("`{}` of {}, {tells}{adopted}", launch.id, session.record.agent);
    Some(fact("launch", value, Some(&launch.committed_at), "session_manager"))
}

fn asked_end(lifecycle: &Lifecycle, journal: &[JournalRecord]) -> Option<ExplainedFact> {
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
    let at = at.unwrap_or(lifecycle.state_since);
    let asked = match intent {
        EndIntent::Kill => "kill: somebody asked for its end with `ao kill`",
        EndIntent::Cleanup => "cleanup: `ao cleanup` asked for its end",
        EndIntent::Merged => "merged: its end was asked for because its pull request is merged",
    };
    Some(fact("intent", asked.to_owned(), Some(&at), "session_manager"))
}

/// What is in flight, and what became of the worktree.
fn machinery(session: &Session, beside: &Beside<'_>) -> Vec<ExplainedFact> {
    let record = &session.record;
    let mut facts = Vec::new();
    let since = beside.saga.map_or(session.lifecycle.state_since, |saga| saga.started_at);
    if session.lifecycle.is_terminal() {
        if let Some(because) = pending(session, beside) {
            let value = format!("pending, because {because}");
            facts.push(fact("teardown", value, Some(&since), "session_manager"));
        }
        let fate = record.workspace.fate;
        if fate != WorkspaceFate::Absent {
            let because = record.workspace.because.as_ref();
            let why = because.map_or_else(String::new, |because| format!(", because {because}"));
            let preserved =
                record.workspace.preserved_ref.as_ref().map_or_else(String::new, |preserved| {
                    format!("; what would have been lost is under `{preserved}`")
                });
            facts.push(ExplainedFact {
                kind: "worktree",
                value: format!("{fate}{why}{preserved}"),
                at: Some(record.updated_at),
                source: "session_manager",
            });
        }
        return facts;
    }
    if session.lifecycle.session.state == SessionState::NotStarted {
        let tried = beside.saga.filter(|saga| saga.attempts > 0).map_or_else(String::new, |saga| {
            format!(", tried {} so far", counted(saga.attempts as usize, "time", "times"))
        });
        let value = format!("{}{tried}", record.phase);
        facts.push(fact("phase", value, Some(&since), "session_manager"));
    }
    if let Some(trouble) = &record.trouble {
        facts.push(fact("trouble", trouble.clone(), Some(&since), "session_manager"));
    }
    facts
}

/// A notification that has not arrived.
fn undelivered(entry: &OutboxEntry) -> Option<ExplainedFact> {
    let Sink::Notifier(notifier) = &entry.effect.sink;
    let error = entry
        .last_error
        .as_ref()
        .map_or_else(String::new, |error| format!(": {}", listed(std::iter::once(error.as_str()))));
    let tries = counted(entry.attempts as usize, "failed try", "failed tries");
    let stands = match entry.state {
        OutboxState::Pending => format!("waits, after {tries}{error}"),
        OutboxState::Dead => format!("was given up after {tries}{error}"),
        OutboxState::Done | OutboxState::Superseded => return None,
    };
    let said = &entry.effect.notification;
    Some(ExplainedFact {
        kind: "notification",
        value: format!("`{}` for `{notifier}` {stands}", said.reaction),
        at: Some(said.at),
        source: "outbox",
    })
}

/// The outage that explains how a session ended; one before its last launch explains nothing.
pub(super) fn incident(session: &Session, beside: &Beside<'_>) -> Option<ExplainedIncident> {
    let lifecycle = &session.lifecycle;
    let id = last_look(lifecycle, beside.journal).and_then(|(look, _)| look.incident.clone())?;
    let known = beside.incidents.iter().find(|incident| incident.id == id);
    let Some(incident) = known else {
        return Some(ExplainedIncident {
            sentence: format!("it ended in the outage `{id}`, of which no more is kept"),
            id,
            kind: None,
            n_sessions: None,
            opened_at: None,
        });
    };
    let n = incident.sessions.len();
    let sessions = counted(n, "session", "sessions");
    let what = match incident.kind {
        InfraIncidentKind::ServerGone => {
            format!("the tmux server at `{}` died, under {sessions}", incident.scope)
        }
        InfraIncidentKind::HostRebooted => {
            format!("the machine was booted again, under {sessions}")
        }
        InfraIncidentKind::MassDeath => format!("{sessions} died at once"),
        InfraIncidentKind::NotAdopted => format!("{sessions} could not be adopted"),
    };
    Some(ExplainedIncident {
        id,
        kind: Some(incident.kind),
        n_sessions: Some(n),
        opened_at: Some(incident.opened_at.wall),
        sentence: format!(
            "{what}; that was told once for all of them (reaction `infrastructure`), and \
             `ao restore --all` brings them back"
        ),
    })
}
