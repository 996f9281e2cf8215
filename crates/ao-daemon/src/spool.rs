//! Takes in the signals that waited in the spool.
//!
//! *Guarantees*: the signals of a session are taken in by their own stamps, each at most once
//! although it may have come over the socket, too, and its file goes only after the commit. What
//! is no signal is put aside and holds nothing up; one session that cannot be written does not
//! hold up another.
//!
//! *Caveats*: a signal of a launch that is being started stays for the next drain.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use ao_api::error::ErrorKind;
use ao_api::home::Layout;
use ao_api::signal::SignalRequest;
use ao_api::spool::{self, Spool};
use ao_api::status::SpoolCounts;
use ao_core::fact::{Fact, FactKind};
use ao_core::ids::{LaunchId, SessionId};

use crate::app::App;
use crate::fault::Fault;
use crate::http::signal;
use crate::stop::Urgency;

/// Between two drains: a signal that missed its daemon by a moment is late by no more than this,
/// and an empty spool costs one look at one directory.
const DRAIN_EVERY: Duration = Duration::from_secs(1);

/// What is in the spool of a home.
pub(crate) fn counts(layout: &Layout) -> SpoolCounts {
    let tally = Spool::new(layout.spool_dir()).tally().unwrap_or_else(|error| {
        tracing::warn!(%error, "The spool cannot be read.");
        spool::Tally::default()
    });
    SpoolCounts { waiting: tally.n_waiting, lost: tally.n_lost, unreadable: tally.n_unreadable }
}

/// A signal and its file.
#[derive(Debug)]
struct Waiting {
    file: PathBuf,
    request: SignalRequest,
}

/// What becomes of a signal's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Taken in, now or before, or without meaning.
    Done,
    /// Not a signal.
    Unreadable,
    /// Not now: it stays.
    Later,
}

/// Takes in what waits.
pub(crate) struct Drain {
    app: Arc<App>,
    spool: Spool,
    /// Losses of each session that were told.
    told: BTreeMap<String, u64>,
    /// Sessions whose signals could not be taken in, as the log has it.
    stuck: BTreeSet<String>,
    is_unreadable: bool,
}

impl Drain {
    pub(crate) fn new(app: Arc<App>) -> Self {
        let spool = Spool::new(app.layout.spool_dir());
        Self { app, spool, told: BTreeMap::new(), stuck: BTreeSet::new(), is_unreadable: false }
    }

    /// Drains again and again until the daemon is to end.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::select! {
                biased;
                () = self.app.stop.reached(Urgency::Graceful) => return,
                () = self.app.ports.clock.sleep(DRAIN_EVERY) => {}
            }
            self.drain().await;
        }
    }

    /// Takes in everything that waits and can be taken in now.
    pub(crate) async fn drain(&mut self) {
        match self.spool.sessions() {
            Ok(sessions) => {
                self.is_unreadable = false;
                for session in sessions {
                    self.drain_session(&session).await;
                }
            }
            Err(error) if !self.is_unreadable => {
                tracing::warn!(%error, "The spool cannot be read.");
                self.is_unreadable = true;
            }
            Err(_) => {}
        }
    }

    async fn drain_session(&mut self, session: &str) {
        match self.take_in(session).await {
            Ok(()) => {
                self.stuck.remove(session);
            }
            // Repeated with each drain, so told once.
            Err(fault) if self.stuck.insert(session.to_owned()) => {
                let because = fault.into_body().message;
                tracing::warn!(session, because, "Signals wait: they cannot be taken in.");
            }
            Err(_) => {}
        }
    }

    /// Takes in the signals of a session, in their order, up to the first one that has to wait.
    async fn take_in(&mut self, session: &str) -> Result<(), Fault> {
        let Ok(id) = SessionId::parse(session) else { return Ok(()) };
        if self.app.ports.sessions.get(&id).await?.is_none() {
            tracing::debug!(session, "Signals of no session were dropped.");
            return self.spool.forget(session).map_err(|error| fault(&error));
        }
        self.tell_losses(&id, session).await?;
        for Waiting { file, request } in in_order(self.read(session)?) {
            match self.observe(&id, request).await? {
                Fate::Done => spool::remove(&file).map_err(|error| fault(&error))?,
                Fate::Unreadable => self.set_aside(&file, &"its content is refused")?,
                Fate::Later => return Ok(()),
            }
        }
        let now = self.app.ports.clock.now().wall.as_millis();
        let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now).unwrap_or(0));
        self.spool.tidy(session, now).map_err(|error| fault(&error))
    }

    /// A loss is a fact of its own: nobody knows what was lost, so somebody has to look.
    async fn tell_losses(&mut self, id: &SessionId, session: &str) -> Result<(), Fault> {
        let n_lost = self.spool.n_lost(session);
        if n_lost <= self.told.get(session).copied().unwrap_or(0) {
            return Ok(());
        }
        tracing::warn!(session, n_lost, "Signals made room for newer ones.");
        let fact = Fact { at: self.app.ports.clock.now(), kind: FactKind::SignalsLost(n_lost) };
        self.app.engine.lifecycle.observe(id, fact).await?;
        self.told.insert(session.to_owned(), n_lost);
        Ok(())
    }

    fn read(&self, session: &str) -> Result<Vec<Waiting>, Fault> {
        let mut waiting = Vec::new();
        for file in self.spool.files(session).map_err(|error| fault(&error))? {
            match spool::read(&file) {
                Ok(Some(request)) => waiting.push(Waiting { file, request }),
                Ok(None) => {}
                Err(error) if error.is_passing() => {
                    let message = format!("`{}`: {error}", file.display());
                    return Err(fault(&std::io::Error::other(message)));
                }
                Err(error) => self.set_aside(&file, &error)?,
            }
        }
        Ok(waiting)
    }

    fn set_aside(&self, file: &Path, because: &dyn std::fmt::Display) -> Result<(), Fault> {
        tracing::warn!(file = %file.display(), %because, "Put a file aside that is no signal.");
        self.spool.set_aside(file).map_err(|error| fault(&error))
    }

    async fn observe(&self, id: &SessionId, request: SignalRequest) -> Result<Fate, Fault> {
        // Without its launch nothing fences it from a later one.
        let Some(Ok(launch)) = request.launch_id.as_deref().map(LaunchId::parse) else {
            return Ok(Fate::Unreadable);
        };
        if self.app.engine.lifecycle.is_starting(id, &launch).await? {
            return Ok(Fate::Later);
        }
        match signal::observe(&self.app, id, request).await {
            Ok(_is_taken) => Ok(Fate::Done),
            Err(fault) => {
                let body = fault.clone().into_body();
                if body.kind == ErrorKind::User { Ok(Fate::Unreadable) } else { Err(fault) }
            }
        }
    }
}

fn fault(error: &std::io::Error) -> Fault {
    Fault::new("SPOOL_UNUSABLE", ao_core::ports::ErrorKind::Unavailable, error.to_string())
}

/// By stamp: boots by the first wall time that was seen in them, within a boot by its clock, which
/// does not jump.
fn in_order(mut waiting: Vec<Waiting>) -> Vec<Waiting> {
    let mut boots: BTreeMap<String, i64> = BTreeMap::new();
    for Waiting { request, .. } in &waiting {
        let first = boots.entry(request.at.boot_id.clone()).or_insert(i64::MAX);
        *first = (*first).min(request.at.wall_ms);
    }
    waiting.sort_by_cached_key(|Waiting { request, .. }| {
        let at = &request.at;
        let boot_at = boots.get(&at.boot_id).copied();
        (boot_at, at.boot_id.clone(), at.since_boot_ns, request.id.clone())
    });
    waiting
}

#[cfg(test)]
mod tests {
    use ao_api::signal::{ReportState, SIGNAL_VERSION, Signal, Stamp};

    use super::*;

    #[test]
    fn signals_are_ordered_by_the_clock_that_does_not_jump() {
        let waiting = |id: &str, boot: &str, wall_ms: i64, since_boot_ns: u64| Waiting {
            file: PathBuf::from(id),
            request: SignalRequest {
                version: SIGNAL_VERSION,
                id: id.to_owned(),
                launch_id: None,
                at: Stamp { wall_ms, boot_id: boot.to_owned(), since_boot_ns, awake_ns: 0 },
                signal: Signal::Report { state: ReportState::Idle, message: None },
            },
        };
        let ordered = in_order(vec![
            waiting("d", "later", 2_000, 5),
            // The wall clock was set back between these two.
            waiting("c", "earlier", 900, 30),
            waiting("b", "earlier", 1_500, 20),
            waiting("a", "earlier", 1_400, 10),
            waiting("e", "later", 2_000, 5),
        ]);
        let ids: Vec<_> = ordered.iter().map(|it| it.request.id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "c", "d", "e"]);
    }
}
