//! Groups the deaths of one pass, before any of them is decided on: what died together is one
//! outage, told once.
//!
//! It ends nothing and vetoes nothing. It puts the name of the outage into the facts, and holds the
//! verdicts of a mass death without proven cause back for one pass.

use std::collections::BTreeMap;

use crate::decide::probe::{self, Finding, Question, Standing};
use crate::fact::{BootProbe, Fact, FactKind, LookFact, ServerProbe};
use crate::ids::{EffectId, InfraIncidentId, SessionId};
use crate::inbox::Notification;
use crate::ledger::ReactionKind;
use crate::outbox::{Condition, Effect};
use crate::policy::Policy;
use crate::ports::{InfraIncident, InfraIncidentKind};
use crate::react;
use crate::session::{ServerIdentity, Session};
use crate::time::Moment;

/// Deaths in one pass from which on they are an outage: fewer happen by chance.
pub const MASS_DEATH_MIN: usize = 5;

/// One look of a pass, with the session that it is about.
#[derive(Debug, Clone)]
pub struct Seen<'a> {
    /// The session as it was read.
    pub session: &'a Session,
    /// The look; any other fact goes through untouched.
    pub fact: Fact,
}

/// The looks of a pass, each with the outage that explains it.
#[derive(Debug, Clone)]
pub struct Triaged<'a> {
    /// The looks, in the order in which they came.
    pub seen: Vec<Seen<'a>>,
    /// The outages that are not known yet, to be opened before the looks are reduced.
    pub incidents: Vec<InfraIncident>,
}

/// What a look is, seen among the others.
enum Kind {
    /// Part of an outage whose cause is proven.
    Proven(Outage),
    /// A death without a proven cause.
    Death,
    /// Alive, or in doubt.
    Other,
    /// Not about a running launch.
    Irrelevant,
}

/// What died.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outage {
    id: InfraIncidentId,
    kind: InfraIncidentKind,
    scope: String,
}

/// Groups the deaths of one pass.
///
/// *Guarantees*: the same outage has the same name in every pass. A mass death is held back in the
/// one pass that finds it, never again while its incident is `known`.
pub fn triage<'a>(
    mut seen: Vec<Seen<'a>>,
    known: &[InfraIncident],
    policy: &Policy,
    now: &Moment,
) -> Triaged<'a> {
    let kinds = seen.iter().map(|one| kind_of(one, policy)).collect::<Vec<_>>();
    let mut incidents: BTreeMap<InfraIncidentId, InfraIncident> = BTreeMap::new();
    let mut n_watched: usize = 0;
    let mut dead = Vec::new();
    for (one, kind) in seen.iter_mut().zip(kinds) {
        match kind {
            Kind::Proven(outage) => explain(one, &outage, &mut incidents, now),
            Kind::Death => {
                n_watched = n_watched.saturating_add(1);
                match known.iter().find(|incident| is_part_of(one, incident)) {
                    Some(incident) => mark(one, &incident.id),
                    None => dead.push(one),
                }
            }
            Kind::Other => n_watched = n_watched.saturating_add(1),
            Kind::Irrelevant => {}
        }
    }
    if dead.len() >= MASS_DEATH_MIN && dead.len().saturating_mul(2) > n_watched {
        hold_back(&mut dead, &mut incidents, now);
    }
    let incidents = incidents
        .into_values()
        .filter(|incident| known.iter().all(|known| known.id != incident.id))
        .collect();
    Triaged { seen, incidents }
}

const fn look_of(fact: &Fact) -> Option<&LookFact> {
    match &fact.kind {
        FactKind::Look(look) => Some(look),
        FactKind::Signal(_)
        | FactKind::PullRequests(_)
        | FactKind::Outcome(_)
        | FactKind::Due(_)
        | FactKind::IdleDue(_)
        | FactKind::SendFailed(_)
        | FactKind::SignalsLost(_) => None,
    }
}

const fn look_mut(fact: &mut Fact) -> Option<&mut LookFact> {
    match &mut fact.kind {
        FactKind::Look(look) => Some(look),
        FactKind::Signal(_)
        | FactKind::PullRequests(_)
        | FactKind::Outcome(_)
        | FactKind::Due(_)
        | FactKind::IdleDue(_)
        | FactKind::SendFailed(_)
        | FactKind::SignalsLost(_) => None,
    }
}

fn kind_of(one: &Seen<'_>, policy: &Policy) -> Kind {
    let Some(look) = look_of(&one.fact) else { return Kind::Irrelevant };
    let question = Question::of(&one.session.lifecycle, look, &one.fact.at, policy);
    if question.standing != Standing::Current {
        return Kind::Irrelevant;
    }
    if look.values.boot == BootProbe::Rebooted {
        let boot = one.fact.at.boot.to_string();
        return Kind::Proven(Outage {
            id: InfraIncidentId::new(format!("host_rebooted/{boot}")),
            kind: InfraIncidentKind::HostRebooted,
            scope: boot,
        });
    }
    if look.values.server == ServerProbe::Gone
        && let Some(handle) = &one.session.record.handle
    {
        return Kind::Proven(server_gone(&handle.server));
    }
    let answer = probe::decide(question);
    match answer.finding {
        Finding::Ended(_) if answer.is_unproven_death() => Kind::Death,
        Finding::Ended(_) | Finding::NotAddressed | Finding::Healthy | Finding::Doubt(_) => {
            Kind::Other
        }
    }
}

fn server_gone(server: &ServerIdentity) -> Outage {
    let socket = server.socket.display().to_string();
    let process = &server.process;
    Outage {
        id: InfraIncidentId::new(format!(
            "server_gone/{}/{}/{}/{socket}",
            process.boot, process.pid, process.start_ticks
        )),
        kind: InfraIncidentKind::ServerGone,
        scope: socket,
    }
}

fn explain(
    one: &mut Seen<'_>,
    outage: &Outage,
    incidents: &mut BTreeMap<InfraIncidentId, InfraIncident>,
    now: &Moment,
) {
    mark(one, &outage.id);
    let incident = incidents.entry(outage.id.clone()).or_insert_with(|| InfraIncident {
        id: outage.id.clone(),
        kind: outage.kind,
        scope: outage.scope.clone(),
        sessions: Vec::new(),
        opened_at: *now,
    });
    incident.sessions.push(one.session.record.id.clone());
}

fn mark(one: &mut Seen<'_>, id: &InfraIncidentId) {
    if let Some(look) = look_mut(&mut one.fact) {
        look.incident = Some(id.clone());
    }
}

/// Whether a known mass death is about this very launch: a session that was restored since died
/// again.
fn is_part_of(one: &Seen<'_>, incident: &InfraIncident) -> bool {
    let is_since = one
        .session
        .lifecycle
        .launch
        .as_ref()
        .is_some_and(|launch| !launch.committed_at.is_after(&incident.opened_at));
    incident.kind == InfraIncidentKind::MassDeath
        && is_since
        && incident.sessions.contains(&one.session.record.id)
}

fn hold_back(
    dead: &mut [&mut Seen<'_>],
    incidents: &mut BTreeMap<InfraIncidentId, InfraIncident>,
    now: &Moment,
) {
    let launches = dead.iter().filter_map(|one| look_of(&one.fact)).map(|look| &look.launch);
    let Some(first) = launches.min() else { return };
    let outage = Outage {
        id: InfraIncidentId::new(format!("mass_death/{first}")),
        kind: InfraIncidentKind::MassDeath,
        scope: format!("{} sessions", dead.len()),
    };
    for one in dead {
        explain(one, &outage, incidents, now);
        if let Some(look) = look_mut(&mut one.fact) {
            look.is_held_back = true;
        }
    }
}

/// The notification of an outage, for each notifier that hears its priority.
pub fn announce(incident: &InfraIncident, policy: &Policy) -> Vec<Effect> {
    let line = policy.reaction(ReactionKind::Infrastructure);
    if !line.is_enabled {
        return Vec::new();
    }
    let n_sessions = match incident.sessions.len() {
        1 => "1 session".to_owned(),
        n => format!("{n} sessions"),
    };
    let title = match incident.kind {
        InfraIncidentKind::ServerGone => {
            format!("The tmux server at `{}` is gone, under {n_sessions}", incident.scope)
        }
        InfraIncidentKind::HostRebooted => {
            format!("The machine was booted again, under {n_sessions}")
        }
        InfraIncidentKind::MassDeath => format!("{n_sessions} died at once"),
        InfraIncidentKind::NotAdopted => {
            format!("{n_sessions} run without a record, and could not be adopted")
        }
    };
    let listed = react::listed(incident.sessions.iter().map(SessionId::as_str));
    let advice = if incident.kind == InfraIncidentKind::NotAdopted {
        format!("Nothing of {listed} is touched. `ao doctor` says of each why, and what to do.")
    } else {
        format!(
            "Every worktree is kept, of {listed}. `ao restore --all` brings the sessions back, \
             `ao explain ID` shows the evidence of one."
        )
    };
    let notification = Notification {
        id: EffectId::new(format!("{}/{}", ReactionKind::Infrastructure, incident.id)),
        session: None,
        project: None,
        reaction: ReactionKind::Infrastructure.as_str().to_owned(),
        cause: incident.kind.as_str().to_owned(),
        priority: line.priority,
        title,
        text: line.message.unwrap_or(advice),
        at: incident.opened_at.wall,
    };
    react::route(&notification, Condition::Always, policy)
}
