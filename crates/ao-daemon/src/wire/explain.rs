//! An explanation on the wire.

use ao_api::explain::{
    Explain, ExplainDeadline, ExplainFact, ExplainIncident, ExplainMessage, ExplainReaction,
    ExplainRestore,
};
use ao_core::explain::{
    ExplainedDeadline, ExplainedFact, ExplainedIncident, ExplainedReaction, ExplainedRestore,
    Explanation,
};
use ao_core::session::Session;

use super::{message, time};

/// What the core explained, with the end of its screen where that was read.
pub(crate) fn explain(
    session: &Session,
    explained: Explanation,
    screen: Option<String>,
) -> Explain {
    let decided = explained.decided;
    Explain {
        session: session.record.id.to_string(),
        status: explained.status.to_string(),
        because: explained.sentence,
        rule: decided.rule.map_or("seeded", |rule| rule.as_str()).to_owned(),
        rule_says: decided.meaning,
        evidence: decided.values,
        decided_at: decided.at.map(time),
        paused_until: session.lifecycle.paused_until.map(time),
        facts: explained.facts.into_iter().map(fact).collect(),
        reactions: explained.reactions.into_iter().map(reaction).collect(),
        messages: explained
            .messages
            .into_iter()
            .map(|it| ExplainMessage { message: message(&it.message), summary: it.sentence })
            .collect(),
        deadlines: explained.deadlines.into_iter().map(deadline).collect(),
        incident: explained.incident.map(incident),
        restore: explained.restore.map(restore),
        screen,
        would_change: explained.would_change,
    }
}

fn fact(fact: ExplainedFact) -> ExplainFact {
    ExplainFact {
        kind: fact.kind.to_owned(),
        value: fact.value,
        at: fact.at.map(time),
        source: fact.source.to_owned(),
    }
}

fn reaction(it: ExplainedReaction) -> ExplainReaction {
    ExplainReaction {
        reaction: it.reaction.to_string(),
        pr: it.pr.map(|number| number.0),
        attempts: it.attempts,
        attempts_left: it.attempts_left,
        causes: it.causes,
        opened_at: time(it.opened_at),
        first_attempt_at: it.first_attempt_at.map(time),
        escalates_at: it.escalates_at.map(time),
        escalated: it.is_escalated,
        summary: it.sentence,
    }
}

fn deadline(it: ExplainedDeadline) -> ExplainDeadline {
    ExplainDeadline {
        kind: it.kind.to_owned(),
        reaction: it.incident.map(|key| key.reaction.to_string()),
        pr: it.incident.and_then(|key| key.pr).map(|number| number.0),
        at: time(it.at),
        clock: it.clock.to_string(),
        summary: it.sentence,
    }
}

fn incident(it: ExplainedIncident) -> ExplainIncident {
    ExplainIncident {
        id: it.id.to_string(),
        kind: it.kind.map(|kind| kind.to_string()),
        sessions: it.n_sessions.map(|n| n as u64),
        opened_at: it.opened_at.map(time),
        summary: it.sentence,
    }
}

fn restore(it: ExplainedRestore) -> ExplainRestore {
    ExplainRestore {
        possible: it.is_possible,
        with_all: it.is_with_all,
        summary: it.sentences,
        losses: it.losses,
    }
}
