//! An explanation on the wire.

use ao_api::explain::{Explain, ExplainFact, ExplainReaction};
use ao_core::deadline::{Deadline, DeadlineKind};
use ao_core::explain::Explanation;
use ao_core::ledger::{Incident, IncidentKey};
use ao_core::message::Message;
use ao_core::session::Session;

use super::{message, time};

/// What the core explained, with the deadlines and the unfinished messages beside it.
pub(crate) fn explain(
    session: &Session,
    explained: Explanation,
    deadlines: &[Deadline],
    messages: &[Message],
) -> Explain {
    let (rule, because) = match explained.because {
        Some(because) => {
            let words = format!("{} ({})", explained.sentence, because.values);
            (because.rule.to_string(), words)
        }
        None => ("seeded".to_owned(), explained.sentence),
    };
    let open = session.ledger.open.iter();
    Explain {
        session: session.record.id.to_string(),
        status: explained.status.to_string(),
        rule,
        because,
        facts: explained
            .facts
            .into_iter()
            .map(|fact| ExplainFact {
                kind: fact.kind.to_owned(),
                value: fact.value,
                at: fact.at.map(time),
                source: fact.source.to_owned(),
            })
            .collect(),
        reactions: open.map(|(key, incident)| reaction(*key, incident, deadlines)).collect(),
        messages: messages.iter().filter(|it| !it.state.is_final()).map(message).collect(),
        would_change: explained.would_change,
    }
}

fn reaction(key: IncidentKey, incident: &Incident, deadlines: &[Deadline]) -> ExplainReaction {
    let escalation = deadlines.iter().find(|it| it.kind == DeadlineKind::Escalate(key));
    ExplainReaction {
        reaction: key.reaction.to_string(),
        pr: key.pr.map(|number| number.0),
        attempts: incident.attempts,
        first_attempt_at: incident.first_attempt_at.map(|at| time(at.wall)),
        escalates_at: escalation.map(|it| time(it.armed_at.wall.plus(it.after))),
        escalated: incident.is_escalated,
    }
}
