//! What agents write down: the status file at every interval, the transcript when it grew.

use std::sync::Arc;
use std::time::Duration;

use ao_core::ports::{RunningAgent, SessionFilter, StoreError};
use ao_core::reading::StatusReading;
use ao_core::record::{Activity, ActivitySource, ActivityState};
use ao_core::time::Moment;
use futures_util::StreamExt as _;

use super::memory::{Env, Memory, Refusal, Seen, SeenStatus};
use super::news::{News, moment_of};
use super::target::Target;
use super::{Observer, READ_AT_ONCE, Told, logged};

/// How old a status or a line of a transcript has to be before it is told: a hook of the same change says more (what the agent
/// waits for, whether background work goes on), and is on its way.
pub(super) const SETTLE_FOR: Duration = Duration::from_millis(250);

/// Longest status file: the known ones have less than a kilobyte.
const STATUS_BYTES_MAX: usize = 64 * 1024;

/// Whose files a pass reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Those of every session.
    All,
    /// Those of sessions that start or are blocked: a person looks at them and waits.
    Awaited,
}

impl Observer {
    /// Reads the files of every live session once, or of those only that a person waits for.
    pub(super) async fn read_files(&self, memory: &Memory, whose: Whose) -> Result<(), StoreError> {
        let mut targets = self.targets(memory).await?;
        targets.retain(|target| {
            let is_blocked = |it: Activity| it.state == ActivityState::Blocked;
            whose == Whose::All || target.activity.is_none_or(is_blocked)
        });
        // Most passes find nothing to do, and should cost nothing.
        let now = self.ports.clock.now().since_boot;
        targets.retain(|target| {
            let is_due =
                memory.with(target, |seen| seen.files_not_before <= now && seen.may_have_files());
            is_due == Some(true)
        });
        if targets.is_empty() {
            return Ok(());
        }
        let reading = futures_util::stream::iter(targets).for_each_concurrent(
            READ_AT_ONCE,
            |target| async move {
                logged(self.read_files_of(&target, memory).await);
            },
        );
        reading.await;
        Ok(())
    }

    /// The live sessions. They are listed again only after a change.
    async fn targets(&self, memory: &Memory) -> Result<Vec<Arc<Target>>, StoreError> {
        let now = self.ports.clock.now().since_boot;
        // Read before the list, so that a change in between makes the next pass list again.
        let head = self.ports.feed.head().await?;
        if let Some(targets) = memory.listed(head) {
            return Ok(targets);
        }
        let filter = SessionFilter { project: None, with_terminal: false };
        let sessions = self.ports.sessions.list(&filter).await?;
        let boot = self.ports.processes.boot();
        let of = |session| Target::of(session, &self.ports, boot).map(Arc::new);
        let targets: Vec<Arc<Target>> = sessions.iter().filter_map(of).collect();
        for gone in memory.list(&targets, head, now) {
            Box::pin(self.close(gone)).await?;
        }
        Ok(targets)
    }

    async fn read_files_of(&self, target: &Target, memory: &Memory) -> Result<(), StoreError> {
        let Some(running) = self.running_of(target, memory).await else {
            memory.pause_files(target, self.ports.clock.now().since_boot);
            return Ok(());
        };
        let is_news = self.read_status(target, &running, memory).await?;
        self.follow_transcript(target, &running, memory, is_news).await
    }

    /// What its adapter is asked with. The variables of its launch are read once; `None` while they
    /// cannot be read.
    async fn running_of(&self, target: &Target, memory: &Memory) -> Option<Arc<RunningAgent>> {
        if let Some(running) = memory.with(target, Seen::running).flatten() {
            return Some(running);
        }
        match self.within(self.ports.launches.read(&target.launch)).await? {
            Ok(Some(file)) => {
                let env = Env::new(file.env);
                let running = memory.with(target, |seen| {
                    seen.env = Some(Env::clone(&env));
                    seen.running()
                });
                running.flatten().or_else(|| Some(Arc::new(target.running(&env))))
            }
            Ok(None) => None,
            Err(error) => {
                tracing::debug!(session = %target.session, %error, "A launch file is unreadable.");
                None
            }
        }
    }

    /// Reads the status file; says whether it told anything new.
    async fn read_status(
        &self,
        target: &Target,
        running: &RunningAgent,
        memory: &Memory,
    ) -> Result<bool, StoreError> {
        let Some(path) = target.agent.status_file(running) else { return Ok(false) };
        let Some(tail) = self.within(self.ports.files.read_tail(&path, STATUS_BYTES_MAX)).await
        else {
            memory.pause_files(target, self.ports.clock.now().since_boot);
            return Ok(false);
        };
        let whole = tail.filter(|tail| tail.is_whole);
        let Some(status) = whole.and_then(|tail| target.agent.read_status(running, &tail.text))
        else {
            return Ok(false);
        };
        let now = self.ports.clock.now();
        let noted = memory.with(target, |seen| {
            seen.status = Some(noted(seen.status.take(), status, now));
            seen.status.clone()
        });
        let Some(Some(seen)) = noted else { return Ok(false) };
        self.tell_status(target, &seen, &now, memory).await
    }

    async fn tell_status(
        &self,
        target: &Target,
        seen: &SeenStatus,
        now: &Moment,
        memory: &Memory,
    ) -> Result<bool, StoreError> {
        let status = &seen.status;
        let stamp = status.since.and_then(|since| moment_of(since, now));
        let since = stamp.unwrap_or(seen.first_at);
        let news = News { reading: status.reading, since, seen_at: *now };
        let known = target.activity;
        let is_refused = seen.refused == Some(Refusal { known });
        // That a turn runs is all that there is to say of one.
        let says_all = status.reading.activity == ActivityState::Active;
        let is_fresh = !says_all && now.since(&since) < SETTLE_FOR;
        let was_told = news.at(known.as_ref()).is_some() && !is_fresh;
        let is_changed = if was_told && !is_refused {
            let agent_session_id = status.agent_session_id.clone();
            let told = Told { agent_session_id, ..Told::by(ActivitySource::Native) };
            // Rare and large: kept out of what is made anew for every session and pass.
            Box::pin(self.tell(target, &told, &news)).await?
        } else {
            false
        };
        let is_against = !is_changed && status.reading.says_otherwise(known.as_ref());
        memory.with(target, |it| {
            let Some(it) = it.status.as_mut() else { return };
            it.refused = (was_told && !is_changed).then_some(Refusal { known });
            it.against_since =
                if is_against { it.against_since.or(Some(now.since_boot)) } else { None };
        });
        Ok(is_changed)
    }
}

/// A status as it is remembered: since when it says what it says, and what became of that.
fn noted(before: Option<SeenStatus>, status: StatusReading, now: Moment) -> SeenStatus {
    match before {
        Some(before) if before.status == status => SeenStatus { last_at: now.since_boot, ..before },
        Some(_) | None => SeenStatus {
            status,
            first_at: now,
            last_at: now.since_boot,
            against_since: None,
            refused: None,
        },
    }
}

/// How long a status file may be unreadable and still be relied on.
pub(super) fn status_gap_max(interval: Duration) -> Duration {
    const GAP_MIN: Duration = Duration::from_secs(2);
    interval.saturating_mul(3).max(GAP_MIN)
}
