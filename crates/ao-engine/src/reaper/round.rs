//! One round of looks: ask the servers, have triage group what died, have each look decided.

use std::collections::BTreeMap;

use ao_core::fact::{Fact, FactKind, LookFact};
use ao_core::ids::SessionId;
use ao_core::ports::StoreError;
use ao_core::session::{ServerIdentity, Session};
use ao_core::step::Ask;
use ao_core::triage::{Seen, announce, triage};
use futures_util::StreamExt as _;

use super::agenda::Due;
use super::look::{Taken, Target, look_at};
use super::watches::{ServerKey, server_key};
use super::{Gap, PassReport, Reaper};
use crate::lifecycle::ObserveError;

/// Servers asked at the same time.
const SERVERS_AT_ONCE: usize = 8;

/// Incidents that triage compares with: one per server and boot, so far more than are ever open.
const INCIDENTS_MAX: usize = 100;

impl Reaper {
    /// Looks, has triage group what died, and has each look decided.
    pub(super) async fn look_with(
        &self,
        sessions: &[&Session],
        gap: Gap,
        quick: &[Due],
    ) -> Result<(PassReport, Vec<SessionId>), StoreError> {
        let mut by_server: BTreeMap<ServerKey, (ServerIdentity, Vec<Target>)> = BTreeMap::new();
        for target in sessions.iter().filter_map(|session| Target::of(session)) {
            let server = target.handle.server.clone();
            let entry = by_server.entry(server_key(&server));
            entry.or_insert_with(|| (server, Vec::new())).1.push(target);
        }
        let n_servers = by_server.len();
        let looks = by_server
            .into_values()
            .map(|(server, targets)| async move { look_at(&self.ports, &server, targets).await });
        let mut taken: Vec<Taken> =
            futures_util::stream::iter(looks).buffer_unordered(SERVERS_AT_ONCE).concat().await;
        taken.sort_by(|a, b| a.target.session.cmp(&b.target.session));
        let n_looked = taken.len();
        let mut changed = Vec::new();
        for (session, fact) in self.triage(sessions, taken, gap).await? {
            if self.decide(session, fact, quick).await? {
                changed.push(session.record.id.clone());
            }
        }
        Ok((PassReport { n_looked, n_changed: changed.len(), n_servers }, changed))
    }

    /// Opens an incident for each outage under many sessions, before anyone is told of a death.
    async fn triage<'a>(
        &self,
        sessions: &[&'a Session],
        taken: Vec<Taken>,
        gap: Gap,
    ) -> Result<Vec<(&'a Session, Fact)>, StoreError> {
        let by_id: BTreeMap<&SessionId, &'a Session> =
            sessions.iter().map(|session| (&session.record.id, *session)).collect();
        let seen = taken
            .into_iter()
            .filter_map(|look| {
                let session = *by_id.get(&look.target.session)?;
                let is_first_after_gap = gap == Gap::First;
                let fact = LookFact { is_first_after_gap, ..look.fact };
                Some(Seen { session, fact: Fact { at: look.began_at, kind: FactKind::Look(fact) } })
            })
            .collect();
        let known = self.ports.incidents.incidents(INCIDENTS_MAX).await?;
        let now = self.ports.clock.now();
        let triaged = triage(seen, &known, &self.settings.policy, &now);
        for incident in &triaged.incidents {
            let concerned = incident.sessions.iter().filter_map(|id| by_id.get(id));
            let projects = concerned.map(|session| &session.record.project);
            let effects = announce(incident, self.settings.policy_of_all(projects));
            self.ports.incidents.open_incident(incident, &effects).await?;
            self.wake.dispatcher.notify_one();
        }
        Ok(triaged.seen.into_iter().map(|one| (one.session, one.fact)).collect())
    }

    async fn decide(
        &self,
        session: &Session,
        fact: Fact,
        quick: &[Due],
    ) -> Result<bool, StoreError> {
        let id = &session.record.id;
        match self.lifecycle.observe(id, fact).await {
            Ok(observed) => {
                if observed.asks.contains(&Ask::Look)
                    && let Some(handle) = &session.record.handle
                {
                    let now = self.ports.clock.now().since_boot;
                    self.agenda.put_again(&handle.server, quick, now);
                }
                Ok(observed.is_changed)
            }
            // Removed while it was looked at.
            Err(ObserveError::NoSession { .. }) => Ok(false),
            Err(ObserveError::Store(error @ StoreError::Conflict { .. })) => {
                tracing::warn!(session = %id, %error, "A look is left to the next pass.");
                Ok(false)
            }
            Err(ObserveError::Store(error)) => Err(error),
        }
    }
}
