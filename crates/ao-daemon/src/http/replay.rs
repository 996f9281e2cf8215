//! A session's journal through the rules again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ao_api::replay::{Replay, ReplayRequest};
use ao_core::ids::SessionId;
use ao_core::policy::Policy;
use ao_core::replay::{Replayed, policy_differences};
use axum::Json;
use axum::extract::State;

use super::extract::{Body, Id};
use super::sessions;
use crate::app::App;
use crate::config::Config;
use crate::fault::Fault;
use crate::wire;

/// Entries that are decided again: more than the store keeps of one session.
const JOURNAL_MAX: usize = 2_048;

/// What a policy that was sent is called where it is wrong.
const POLICY_NAME: &str = "policy";

/// By today's rules and the policy in force.
pub(crate) async fn of_today(
    State(app): State<Arc<App>>,
    Id(id): Id<SessionId>,
) -> Result<Json<Replay>, Fault> {
    replay(&app, &id, None).await
}

/// Under the policy in force with the reactions of the one that was sent.
pub(crate) async fn with_policy(
    State(app): State<Arc<App>>,
    Id(id): Id<SessionId>,
    Body(asked): Body<ReplayRequest>,
) -> Result<Json<Replay>, Fault> {
    let changed = Config::parse(Path::new(POLICY_NAME), &asked.policy, &BTreeMap::new())
        .map_err(|error| Fault::malformed(error.to_string()))?;
    let project = sessions::read(&app, &id).await?.record.project;
    let policy = app.config.policy_under(&project, &changed);
    replay(&app, &id, Some(&policy)).await
}

async fn replay(
    app: &App,
    id: &SessionId,
    changed: Option<&Policy>,
) -> Result<Json<Replay>, Fault> {
    let session = sessions::read(app, id).await?;
    // The journal before its base: what is let go of in between leaves no gap then.
    let mut journal = app.ports.sessions.journal(id, JOURNAL_MAX).await?;
    let base = app.ports.sessions.journal_base(id).await?;
    let policy = app.config.policy(&session.record.project);
    let changes = changed.map(|changed| policy_differences(&policy, changed));
    let Some((after, base)) = base else {
        let nothing = Replayed { entries: Vec::new(), end_differences: Vec::new() };
        return Ok(Json(wire::replay(id, None, changes, nothing)));
    };
    // What was written since the session was read would not be in what it is held against.
    let revision = session.lifecycle.revision;
    journal.retain(|record| record.seq > after && record.revision <= revision);
    let last = (base.lifecycle.revision <= revision).then_some(&session);
    let replayed = ao_core::replay::replay(&base, &journal, last, &policy, changed);
    Ok(Json(wire::replay(id, Some(after), changes, replayed)))
}
