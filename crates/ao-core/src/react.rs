//! The reactions: incidents opened, told, escalated and closed as their conditions begin and end.
//!
//! It plans and never performs. A cause is told once per incident; a human is called once per
//! incident; what cannot be told (a doubt, a value that was not fetched) neither opens nor closes
//! one.

mod conditions;
mod text;
mod together;

use std::collections::BTreeSet;

use crate::deadline::{DeadlineClock, DeadlineKind};
use crate::ids::{CauseKey, EffectId};
use crate::inbox::{Notification, Priority};
use crate::ledger::{Incident, IncidentKey};
use crate::message::MessageOrigin;
use crate::outbox::{Condition, Effect, Sink};
use crate::policy::{Policy, ReactionAction};
use crate::reduce::Plan;
use crate::step::{MessageOrder, PlannedMessage, Rule};

use conditions::Condition as Held;

pub(crate) use conditions::is_work_open;
pub(crate) use text::reason_words;
pub use together::{together, together_in};

/// Causes that one incident remembers. More news than this is no news: it escalates instead.
pub const CAUSES_MAX: usize = 256;

/// The reaction name that an escalated notification carries.
pub const ESCALATED: &str = "reaction.escalated";

/// What is said about an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Saying {
    /// One attempt.
    Attempt,
    /// The call for a human.
    Escalation,
}

/// Opens, tells and closes what the fact of this plan began and ended.
///
/// Nothing reacts to an end that somebody asked for, nor to anything after it.
pub(crate) fn follow(plan: &mut Plan<'_>) {
    if plan.lifecycle.intent.is_some() {
        return;
    }
    for (key, held) in conditions::of(plan) {
        match held {
            Held::Holds(causes) => raise(plan, key, &causes),
            Held::Over => close(plan, key),
            Held::CannotTell => {}
        }
    }
}

/// The causes of a condition that has only one.
pub(crate) fn one_cause(name: &str) -> BTreeSet<CauseKey> {
    BTreeSet::from([CauseKey::new(name)])
}

/// Makes the next attempt for causes that were not told yet; opens the incident if there is none.
pub(crate) fn raise(plan: &mut Plan<'_>, key: IncidentKey, causes: &BTreeSet<CauseKey>) {
    let line = plan.policy.reaction(key.reaction);
    if !line.is_enabled {
        return;
    }
    let incident = open(plan, key);
    if incident.is_escalated || causes.is_subset(&incident.causes) {
        return;
    }
    let n = incident.attempts.saturating_add(1);
    let is_over = line.retries.is_some_and(|retries| n > retries)
        || incident.causes.union(causes).count() > CAUSES_MAX;
    if is_over {
        escalate(plan, key);
        return;
    }
    let now = plan.now;
    let incident = open(plan, key);
    incident.attempts = n;
    incident.causes.extend(causes.iter().cloned());
    let is_first = incident.first_attempt_at.is_none();
    incident.first_attempt_at.get_or_insert(now);
    let episode = incident.episode;
    let is_message = line.action == ReactionAction::Message;
    if is_message && plan.lifecycle.is_terminal() {
        // An agent that has ended is told nothing, and is given no time: its human is told.
        notify(plan, key, Saying::Attempt, causes);
        return;
    }
    if let (true, Some(after)) = (is_first, line.escalate_after) {
        plan.arm(DeadlineKind::Escalate(key), now, after, DeadlineClock::Awake);
    }
    if is_message {
        let text = text::message(plan, key, causes, line.message.as_deref());
        let causes = causes.iter().cloned().collect();
        plan.messages.push(PlannedMessage {
            origin: MessageOrigin { incident: key, episode, causes },
            text,
        });
    } else {
        notify(plan, key, Saying::Attempt, causes);
    }
}

/// The open incident of a key, opened if need be.
fn open<'p>(plan: &'p mut Plan<'_>, key: IncidentKey) -> &'p mut Incident {
    let now = plan.now;
    let episodes = &mut plan.ledger.episodes;
    plan.ledger.open.entry(key).or_insert_with(|| {
        let episode = episodes.entry(key).or_insert(0);
        *episode = episode.saturating_add(1);
        Incident {
            episode: *episode,
            opened_at: now,
            attempts: 0,
            first_attempt_at: None,
            is_escalated: false,
            causes: BTreeSet::new(),
        }
    })
}

/// Ends an incident: what waits to be said about it is stale.
pub(crate) fn close(plan: &mut Plan<'_>, key: IncidentKey) {
    if plan.ledger.open.remove(&key).is_none() {
        return;
    }
    plan.disarm(DeadlineKind::Escalate(key));
    if plan.policy.reaction(key.reaction).action == ReactionAction::Message {
        plan.message_orders.push(MessageOrder::SupersedeIncident(key));
    }
}

/// Calls a human, once per incident; the reaction is silent until the incident ends.
fn escalate(plan: &mut Plan<'_>, key: IncidentKey) {
    let Some(incident) = plan.ledger.open.get_mut(&key) else { return };
    if incident.is_escalated {
        return;
    }
    incident.is_escalated = true;
    let causes = incident.causes.clone();
    plan.disarm(DeadlineKind::Escalate(key));
    notify(plan, key, Saying::Escalation, &causes);
}

/// Whether an open incident has outlived its deadline, which is inclusive.
pub(crate) fn is_escalation_due(plan: &Plan<'_>, key: IncidentKey) -> bool {
    let after = plan.policy.reaction(key.reaction).escalate_after;
    let incident = plan.ledger.open.get(&key).filter(|incident| !incident.is_escalated);
    let first_attempt_at = incident.and_then(|incident| incident.first_attempt_at);
    after.zip(first_attempt_at).is_some_and(|(after, at)| plan.now.awake_since(&at) >= after)
}

/// Escalates an incident that is still open so long after its first attempt.
pub(crate) fn escalate_when_due(plan: &mut Plan<'_>, key: IncidentKey) -> Rule {
    let after = plan.policy.reaction(key.reaction).escalate_after;
    let incident = plan.ledger.open.get(&key).filter(|incident| !incident.is_escalated);
    let first_attempt_at = incident.and_then(|incident| incident.first_attempt_at);
    let (Some(after), Some(first_attempt_at)) = (after, first_attempt_at) else {
        return Rule::DeadlineOver;
    };
    if plan.now.awake_since(&first_attempt_at) < after {
        plan.arm(DeadlineKind::Escalate(key), first_attempt_at, after, DeadlineClock::Awake);
        return Rule::DeadlineOver;
    }
    escalate(plan, key);
    Rule::DeadlineDue
}

/// Gives the attempt of a failed send back, and forgets that its causes were told: the next
/// observation that finds the condition still true tells them again. The escalation clock goes on: a
/// human wants to know that nothing arrives.
///
/// A message of an earlier episode gives nothing back to the open one. A session that has ended is
/// sent nothing, so nothing is given back.
pub(crate) fn give_back(plan: &mut Plan<'_>, origin: &MessageOrigin) -> Rule {
    if plan.lifecycle.is_terminal() {
        return Rule::Terminal;
    }
    let MessageOrigin { incident: key, episode, causes } = origin;
    // Attempts of a notification name its effects: they are never counted back.
    let is_message = plan.policy.reaction(key.reaction).action == ReactionAction::Message;
    let open = plan.ledger.open.get_mut(key).filter(|_| is_message);
    if let Some(incident) = open.filter(|incident| incident.episode == *episode) {
        incident.attempts = incident.attempts.saturating_sub(1);
        for cause in causes {
            incident.causes.remove(cause);
        }
    }
    Rule::SendFailed
}

/// Forgets what the agent of a session that ends was told: its messages are cancelled, read or not,
/// and it acts on none of them any more. What still holds at the next observation is news again, for
/// a human.
pub(crate) fn forget_what_was_told(plan: &mut Plan<'_>) {
    for (key, incident) in &mut plan.ledger.open {
        if plan.policy.reaction(key.reaction).action == ReactionAction::Message {
            incident.causes.clear();
        }
    }
}

/// Plans one notification for each notifier that hears its priority.
fn notify(plan: &mut Plan<'_>, key: IncidentKey, saying: Saying, causes: &BTreeSet<CauseKey>) {
    let Some(incident) = plan.ledger.open.get(&key) else { return };
    let (episode, attempts) = (incident.episode, incident.attempts);
    let (n, priority, reaction, cause) = match saying {
        Saying::Attempt => (
            attempts.to_string(),
            plan.policy.reaction(key.reaction).priority,
            key.reaction.as_str(),
            text::in_line(causes.iter().map(CauseKey::as_str)),
        ),
        Saying::Escalation => {
            ("escalated".to_owned(), Priority::Urgent, ESCALATED, text::incident_name(key))
        }
    };
    let record = &plan.session.record;
    let pr = key.pr.map_or_else(|| "-".to_owned(), |pr| pr.to_string());
    let id = format!("{}/{}/{pr}/{episode}/{n}", record.id, key.reaction);
    let said = match saying {
        Saying::Attempt => {
            let line = plan.policy.reaction(key.reaction);
            // The words of a message are for an agent, also where its human is told instead.
            let own = line.message.filter(|_| line.action == ReactionAction::Notify);
            let built_in = text::told(plan, key, causes);
            text::Said { text: own.unwrap_or(built_in.text), title: built_in.title }
        }
        Saying::Escalation => text::escalated(plan, key, attempts),
    };
    let notification = Notification {
        id: EffectId::new(id),
        session: Some(record.id.clone()),
        project: Some(record.project.clone()),
        reaction: reaction.to_owned(),
        cause,
        priority,
        title: said.title,
        text: said.text,
        at: plan.now.wall,
    };
    let condition = Condition::IncidentOpen { incident: key, episode };
    plan.effects.extend(route(&notification, condition, plan.policy));
}

/// Names in one line, the first of them; the rest is counted.
pub(crate) fn listed<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    text::in_line(names)
}

/// One effect for each notifier that hears the priority of a notification.
pub(crate) fn route(
    notification: &Notification,
    condition: Condition,
    policy: &Policy,
) -> Vec<Effect> {
    let notifiers = policy.routing.get(&notification.priority).map_or(&[][..], Vec::as_slice);
    notifiers
        .iter()
        .map(|notifier| Effect {
            id: EffectId::new(format!("{}@{notifier}", notification.id)),
            sink: Sink::Notifier(notifier.clone()),
            condition,
            notification: notification.clone(),
        })
        .collect()
}
