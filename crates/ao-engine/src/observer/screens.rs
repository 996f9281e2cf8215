//! What terminals show: looked at where nothing else tells, and never more than a few at once.

use std::sync::Arc;
use std::time::Duration;

use ao_core::fact::ProcessProbe;
use ao_core::ports::StoreError;
use ao_core::reading::{Composer, Reading, ScreenReading};
use ao_core::record::{Activity, ActivitySource, ActivityState, SessionState};
use futures_util::StreamExt as _;

use super::files::status_gap_max;
use super::memory::{Memory, Refusal, Seen};
use super::news::Doubt;
use super::target::Target;
use super::{Observer, READ_AT_ONCE, Told, logged};

/// Terminals looked at in one pass; there are two in an interval. A look costs a few milliseconds of
/// the terminal server and of us: this many at every default interval are a sixth of one processor
/// at most. Who has waited longest beyond its time goes first.
const LOOKS_PER_PASS_MAX: usize = 4;

/// Between two looks where a person waits to see something: a start, a dialog, a doubt.
const LOOK_QUICKLY: Duration = Duration::from_millis(250);

/// Between two looks while a turn runs.
const LOOK_OFTEN: Duration = Duration::from_secs(1);

/// Between two looks at an agent at rest.
const LOOK_SELDOM: Duration = Duration::from_secs(5);

/// The same, while its transcript shows that nothing happened.
const LOOK_RARELY: Duration = Duration::from_secs(30);

/// How long a status file has to contradict what is known before the screen is asked: a hook takes
/// less time than that.
const AGAINST_FOR_MIN: Duration = Duration::from_secs(2);

/// How long after a launch an agent that has told nothing may still be in a dialog that no hook and
/// no status file tells of.
const START_FOR_MAX: Duration = Duration::from_mins(1);

impl Observer {
    /// Looks at the terminals that are due.
    pub(super) async fn look_at_screens(&self, memory: &Memory) -> Result<(), StoreError> {
        let now = self.ports.clock.now().since_boot;
        let gap_max = status_gap_max(self.settings.activity_interval);
        let mut due = memory.reachable(now, |seen| {
            let every = look_every(seen, gap_max, now)?;
            let looked_at = seen.screen.looked_at.unwrap_or_default();
            let overdue = now.checked_sub(looked_at.saturating_add(every))?;
            Some((overdue, Arc::clone(&seen.target)))
        });
        due.sort_by(|(one, a), (other, b)| other.cmp(one).then_with(|| a.session.cmp(&b.session)));
        due.truncate(LOOKS_PER_PASS_MAX);
        if due.is_empty() {
            return Ok(());
        }
        let looking = futures_util::stream::iter(due).for_each_concurrent(
            READ_AT_ONCE,
            |(_, target)| async move {
                logged(self.look_at_screen(&target, memory).await);
            },
        );
        looking.await;
        Ok(())
    }

    async fn look_at_screen(&self, target: &Target, memory: &Memory) -> Result<(), StoreError> {
        let began_at = self.ports.clock.now();
        memory.with(target, |seen| seen.screen.looked_at = Some(began_at.since_boot));
        // A terminal outlives its agent: what a dead one left on the screen is no sign of life. One
        // that dies during the look was alive as of its beginning, which is all that is told.
        if self.ports.processes.probe(&target.handle.process) != ProcessProbe::Alive {
            return Ok(());
        }
        let looked = self.within(self.ports.terminal.look(&target.handle)).await;
        let Some(Ok(look)) = looked else {
            // A failed look is not a finding, and its server is spared for a while.
            memory.pause_server(target, self.ports.clock.now().since_boot);
            return Ok(());
        };
        let Some(screen) = target.agent.read_screen(&look) else {
            memory.with(target, |seen| seen.screen.is_blind = true);
            return Ok(());
        };
        // In copy mode a human reads what stood there before.
        let screen = if look.is_in_mode { ScreenReading::UNKNOWN } else { screen };
        let mut known = target.activity;
        let gap_max = status_gap_max(self.settings.activity_interval);
        let seen = memory.with(target, |seen| {
            let status = seen.status_within(gap_max, began_at.since_boot);
            (seen.screen.doubt, status.map(|it| it.status.reading.activity))
        });
        let (before, status) = seen.unwrap_or_default();
        let reading = reading_of(&screen, known.as_ref())
            .filter(|reading| may_say(*reading, status, known.as_ref()));
        if Doubt::after(None, reading, known.as_ref(), &began_at).is_some() {
            // What was listed may be old by now.
            let Some(session) = self.ports.sessions.get(&target.session).await? else {
                return Ok(());
            };
            known = session.lifecycle.activity;
        }
        let doubt = Doubt::after(before, reading, known.as_ref(), &began_at);
        let refused = memory.with(target, |seen| {
            seen.screen.doubt = doubt;
            seen.screen.refused
        });
        let Some(doubt) = doubt else { return Ok(()) };
        let Some(news) = doubt.confirmed(&began_at) else { return Ok(()) };
        let refusal = (doubt, Refusal { known });
        if refused.flatten() == Some(refusal) {
            return Ok(());
        }
        // The transcript may say why, which no screen does.
        let now = self.ports.clock.now().since_boot;
        let running_of = |seen: &mut Seen| seen.running().filter(|_| seen.files_not_before <= now);
        if let Some(running) = memory.with(target, running_of).flatten() {
            Box::pin(self.follow_transcript(target, &running, memory, true)).await?;
        }
        let told = Told::by(ActivitySource::Terminal);
        let is_changed = Box::pin(self.tell(target, &told, &news)).await?;
        memory.with(target, |seen| {
            seen.screen.refused = (!is_changed).then_some(refusal);
        });
        Ok(())
    }
}

/// What a screen says about the activity. A dialog that is known and is not there any more is over,
/// whether or not the screen tells that a turn runs.
fn reading_of(screen: &ScreenReading, known: Option<&Activity>) -> Option<Reading> {
    let is_blocked = known.is_some_and(|known| known.state == ActivityState::Blocked);
    let is_dialog_gone = is_blocked
        && screen.dialog.is_none()
        && matches!(screen.composer, Composer::Empty | Composer::Holds(_) | Composer::Collapsed);
    screen.reading().or_else(|| {
        is_dialog_gone.then_some(Reading { activity: ActivityState::Idle, detail: None })
    })
}

/// Whether a screen may say this beside a status file, which knows better whether a turn runs: it
/// may show a dialog, confirm what the file says, and take back what another screen said.
fn may_say(reading: Reading, status: Option<ActivityState>, known: Option<&Activity>) -> bool {
    let is_of_screen = known.is_some_and(|known| known.source == ActivitySource::Terminal);
    status.is_none_or(|status| {
        reading.activity == ActivityState::Blocked || reading.activity == status || is_of_screen
    })
}

/// How often a terminal is looked at; `None` for not at all.
fn look_every(seen: &Seen, status_gap_max: Duration, now: Duration) -> Option<Duration> {
    let (target, screen) = (&seen.target, &seen.screen);
    // A session in doubt has a terminal that does not answer, or none.
    if screen.is_blind || target.state == SessionState::Detecting {
        return None;
    }
    if screen.doubt.is_some() && screen.refused.map(|(doubt, _)| doubt) != screen.doubt {
        return Some(LOOK_QUICKLY);
    }
    let state = target.activity.map(|activity| activity.state);
    if let Some(status) = seen.status_within(status_gap_max, now) {
        let against_for = status.against_since.map(|since| now.saturating_sub(since));
        if against_for.is_some_and(|against_for| against_for >= AGAINST_FOR_MIN) {
            let is_request = state == Some(ActivityState::WaitingInput);
            return Some(if is_request { LOOK_SELDOM } else { LOOK_OFTEN });
        }
        return is_starting(seen, now).then_some(LOOK_OFTEN);
    }
    Some(match state {
        None | Some(ActivityState::Blocked) => LOOK_QUICKLY,
        Some(ActivityState::Active) => LOOK_OFTEN,
        Some(
            ActivityState::Ready
            | ActivityState::Idle
            | ActivityState::WaitingInput
            | ActivityState::Exited,
        ) => {
            let transcript = &seen.transcript;
            let is_still = screen.looked_at.is_some_and(|looked_at| {
                transcript.offset > 0
                    && transcript.looked_at.is_some_and(|at| at >= looked_at)
                    && transcript.grew_at.is_none_or(|grew_at| grew_at < looked_at)
            });
            if is_still && !is_starting(seen, now) { LOOK_RARELY } else { LOOK_SELDOM }
        }
    })
}

/// Whether an agent that should tell of its start has not, and may be in a dialog before it.
fn is_starting(seen: &Seen, now: Duration) -> bool {
    let target = &seen.target;
    let age = now.saturating_sub(target.launched_at.since_boot);
    target.has_start_signal && !seen.is_heard && age < START_FOR_MAX
}
