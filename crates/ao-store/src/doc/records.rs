//! The session with its lifecycle and ledger, and what else is one row.

use ao_core::agent::AgentTraits;
use ao_core::deadline::Deadline;
use ao_core::inbox::Notification;
use ao_core::ledger::{Incident, Ledger};
use ao_core::message::MessageOrigin;
use ao_core::outbox::{Condition, Effect};
use ao_core::ports::InfraIncident;
use ao_core::pr::{Checks, Known, Pr, Review};
use ao_core::reading::Usage;
use ao_core::record::{
    Activity, DoneClaim, Evidence, Launch, Lifecycle, PrVerdict, Quarantine, RuntimeVerdict,
    SessionVerdict,
};
use ao_core::saga::{PreImage, Saga, SagaTrouble};
use ao_core::session::{
    Base, ProcessIdentity, RuntimeHandle, ServerIdentity, Session, SessionRecord, WorkspaceRecord,
};

use super::{BadDoc, Doc, Value, enum_doc, parsed, struct_doc, tagged, untagged};

struct_doc!(Base { name, sha });
struct_doc!(ProcessIdentity { boot, pid, start_ticks, nonce });
struct_doc!(ServerIdentity { socket, process });
struct_doc!(RuntimeHandle { version, server, session, pane, process });
struct_doc!(WorkspaceRecord { path, fate, because, branch, preserved_ref });
struct_doc!(SessionRecord {
    id,
    node,
    project,
    issue,
    kind,
    agent,
    name,
    model,
    permission_mode,
    branch,
    base,
    workspace,
    handle,
    launch_id,
    nonce,
    agent_session_id,
    transcript,
    usage,
    prompt,
    argv,
    phase,
    trouble,
    created_at,
    updated_at,
});

struct_doc!(Usage { input_tokens, output_tokens, cost_microusd });
struct_doc!(SessionVerdict { state, reason });
struct_doc!(RuntimeVerdict { state, reason });
struct_doc!(PrVerdict { state, reason, number });
struct_doc!(Activity { state, at, source, detail });
struct_doc!(Evidence { reason, look });
struct_doc!(Quarantine { attempts, started_at, counted_at, evidence });
struct_doc!(AgentTraits { signals, exits_when_done, settle_for });
struct_doc!(Launch { id, committed_at, traits });
struct_doc!(DoneClaim { at });
struct_doc!(Lifecycle {
    version,
    revision,
    session,
    runtime,
    activity,
    prs,
    pr,
    detecting,
    paused_until,
    launch,
    intent,
    claim,
    process_dead_at,
    exit,
    exit_asked,
    state_since,
    signals_lost,
});

impl<T: Doc> Doc for Known<T> {
    fn write(&self) -> Value<'_> {
        match self {
            Self::Known { value, at } => tagged("known", Value::pair(value.write(), at.write())),
            Self::Unknown => Value::String("unknown".into()),
        }
    }

    fn read(value: Value<'_>) -> Result<Self, BadDoc> {
        let (tag, payload) = untagged(value)?;
        match tag.as_ref() {
            "known" => <(T, _)>::read(payload).map(|(value, at)| Self::Known { value, at }),
            "unknown" => Ok(Self::Unknown),
            _ => Err(BadDoc::new(format!("unknown certainty `{tag}`"))),
        }
    }
}

enum_doc!(Checks {
    "none" => None,
    "pending" => Pending,
    "passed" => Passed,
    "failed" => Failed { causes },
    "refused" => Refused,
});
enum_doc!(Review {
    "not_required" => NotRequired,
    "pending" => Pending,
    "approved" => Approved,
    "changes_requested" => ChangesRequested { human, bot },
});
struct_doc!(Pr { number, url, base, head, life, draft, checks, review, mergeability });

struct_doc!(Incident { episode, opened_at, attempts, first_attempt_at, is_escalated, causes });
struct_doc!(Ledger { open, episodes });

struct_doc!(Session { record, lifecycle, ledger });

struct_doc!(PreImage { branch_at, path_existed, is_recorded });
struct_doc!(SagaTrouble { code, message });
struct_doc!(Saga {
    session,
    kind,
    step,
    direction,
    is_cancelled,
    pre_image,
    discard,
    because,
    attempts,
    started_at,
});

struct_doc!(Deadline { session, kind, armed_at, after, clock });
struct_doc!(MessageOrigin { incident, episode, causes });
enum_doc!(Condition { "always" => Always, "incident_open" => IncidentOpen { incident, episode } });
struct_doc!(Notification { id, session, project, reaction, cause, priority, title, text, at });
struct_doc!(Effect { id, sink, condition, notification });
struct_doc!(InfraIncident { id, kind, scope, sessions, opened_at });

/// What of a lifecycle is news when it changes, and nothing else: no times, no memory of the rules.
pub(crate) fn axes(lifecycle: &Lifecycle) -> Value<'_> {
    let activity = lifecycle.activity.as_ref();
    let activity = activity.map(|it| Value::pair(it.state.write(), it.detail.write()));
    let prs = lifecycle.prs.values().map(timeless).collect();
    Value::Array(vec![
        lifecycle.session.write(),
        lifecycle.runtime.write(),
        Value::maybe(activity),
        lifecycle.pr.write(),
        Value::Array(prs),
        lifecycle.paused_until.write(),
    ])
}

fn timeless(pr: &Pr) -> Value<'_> {
    let Pr { number, url, base, head, life, draft, checks, review, mergeability } = pr;
    Value::Array(vec![
        number.write(),
        url.write(),
        base.write(),
        Value::maybe(head.value().map(Doc::write)),
        Value::maybe(life.value().map(Doc::write)),
        Value::maybe(draft.value().map(Doc::write)),
        Value::maybe(checks.value().map(Doc::write)),
        Value::maybe(review.value().map(Doc::write)),
        Value::maybe(mergeability.value().map(Doc::write)),
    ])
}

/// The record without the time of its last change, which alone is no news.
pub(crate) fn identity(record: &SessionRecord) -> Value<'_> {
    let mut doc = record.write();
    if let Value::Object(fields) = &mut doc {
        fields.retain(|(name, _)| name != "updated_at");
    }
    doc
}

/// The record, put together from its two columns.
pub(crate) fn record(identity: &str, updated_at: i64) -> Result<SessionRecord, BadDoc> {
    let mut identity = parsed(identity)?;
    if let Value::Object(fields) = &mut identity {
        fields.retain(|(name, _)| name != "updated_at");
        fields.push(("updated_at".into(), Value::Number(updated_at.into())));
    }
    SessionRecord::read(identity)
}
