//! What is remembered between two looks. All of it can be lost.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ao_core::ids::SessionId;
use ao_core::ports::RunningAgent;
use ao_core::reading::{Reading, StatusReading, TranscriptMemory, Usage};
use ao_core::record::{Activity, ActivitySource};
use ao_core::time::{Moment, Timestamp};

use super::news::Doubt;
use super::target::Target;

/// How long a file is left alone that did not answer in time.
const FILES_PAUSE: Duration = Duration::from_secs(30);

/// How long a terminal server is left alone that did not answer.
const SERVER_PAUSE: Duration = Duration::from_secs(5);

/// The variables of a launch.
pub(super) type Env = Arc<BTreeMap<String, String>>;

/// What a status file said.
#[derive(Debug, Clone)]
pub(super) struct SeenStatus {
    /// What it said last.
    pub(super) status: StatusReading,
    /// When it was first seen to say that.
    pub(super) first_at: Moment,
    /// When it was last read.
    pub(super) last_at: Duration,
    /// Since when it contradicts what is known, without being news.
    pub(super) against_since: Option<Duration>,
    /// It was told against this and changed nothing.
    pub(super) refused: Option<Refusal>,
}

/// What was known when a reading was told and changed nothing: it is not told again before that
/// changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) known: Option<Activity>,
}

/// The last line of meaning of a transcript.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastLine {
    pub(super) reading: Reading,
    pub(super) stamp: Timestamp,
    pub(super) paused_until: Option<Timestamp>,
}

/// How far a transcript was read.
#[derive(Debug, Clone, Default)]
pub(super) struct SeenTranscript {
    /// The file.
    pub(super) path: PathBuf,
    /// Where to read on, in bytes.
    pub(super) offset: u64,
    /// What its agent's adapter remembers of it.
    pub(super) memory: TranscriptMemory,
    /// When its length was last asked for.
    pub(super) looked_at: Option<Duration>,
    /// When it was last seen to have grown.
    pub(super) grew_at: Option<Duration>,
    /// Since when a turn runs, going by its last line of meaning.
    pub(super) active_since: Option<Timestamp>,
    /// Its last line of meaning, until that is told.
    pub(super) untold: Option<LastLine>,
    /// What it says was used.
    pub(super) usage: Option<Usage>,
    /// What of that was written down last.
    pub(super) written: Option<Usage>,
    /// When.
    pub(super) written_at: Option<Duration>,
}

/// What a screen showed.
#[derive(Debug, Clone, Default)]
pub(super) struct SeenScreen {
    /// When it was last looked at.
    pub(super) looked_at: Option<Duration>,
    /// What it says against what is known.
    pub(super) doubt: Option<Doubt>,
    /// Nobody can read the screens of this agent.
    pub(super) is_blind: bool,
    /// What it said that was told and changed nothing.
    pub(super) refused: Option<(Doubt, Refusal)>,
}

/// What was seen of one launch.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) target: Arc<Target>,
    /// Whether a hook of this launch was heard.
    pub(super) is_heard: bool,
    pub(super) env: Option<Env>,
    /// What its adapter is asked with, made of the target and the variables.
    running: Option<Arc<RunningAgent>>,
    pub(super) files_not_before: Duration,
    pub(super) status: Option<SeenStatus>,
    pub(super) transcript: SeenTranscript,
    pub(super) screen: SeenScreen,
}

impl Seen {
    fn nothing_of(target: Arc<Target>) -> Self {
        Self {
            target,
            is_heard: false,
            env: None,
            running: None,
            files_not_before: Duration::ZERO,
            status: None,
            transcript: SeenTranscript::default(),
            screen: SeenScreen::default(),
        }
    }

    /// What its adapter is asked with; `None` while its variables are not known.
    pub(super) fn running(&mut self) -> Option<Arc<RunningAgent>> {
        let (target, env) = (&self.target, self.env.as_ref()?);
        let running = self.running.get_or_insert_with(|| Arc::new(target.running(env)));
        Some(Arc::clone(running))
    }

    /// Whether there may be anything to read: its agent writes something down, or nobody knows yet.
    pub(super) fn may_have_files(&mut self) -> bool {
        let Some(running) = self.running() else { return true };
        let agent = &self.target.agent;
        agent.status_file(&running).is_some() || agent.transcript(&running).is_some()
    }

    /// The status file, when it was read within this time: while it is being written it says
    /// nothing, and can be relied on all the same.
    pub(super) fn status_within(&self, gap_max: Duration, now: Duration) -> Option<&SeenStatus> {
        self.status.as_ref().filter(|it| now.saturating_sub(it.last_at) <= gap_max)
    }
}

#[derive(Debug, Default)]
struct State {
    /// The head of the feed when the sessions were last listed.
    listed_at: Option<u64>,
    seen: BTreeMap<SessionId, Seen>,
    /// Servers that did not answer, by their socket, and until when they are left alone.
    servers: BTreeMap<PathBuf, Duration>,
}

/// What is remembered between two looks, of the sessions that run and no others.
#[derive(Debug, Default)]
pub(super) struct Memory {
    state: Mutex<State>,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sessions as last listed, if the feed told of no change since. The moment of an activity
    /// that goes on is no change for the feed; it is read again before anything is told.
    pub(super) fn listed(&self, head: u64) -> Option<Vec<Arc<Target>>> {
        let state = self.lock();
        let is_good = state.listed_at == Some(head);
        is_good.then(|| state.seen.values().map(|seen| Arc::clone(&seen.target)).collect())
    }

    /// Takes a new list in; what was seen of launches that are not on it is handed out.
    pub(super) fn list(&self, targets: &[Arc<Target>], head: u64, now: Duration) -> Vec<Seen> {
        let mut state = self.lock();
        state.listed_at = Some(head);
        state.servers.retain(|_, until| *until > now);
        let mut before = std::mem::take(&mut state.seen);
        let mut gone = Vec::new();
        for target in targets {
            let known = before.remove(&target.session);
            let (same, other) = match known {
                Some(seen) if seen.target.launch == target.launch => (Some(seen), None),
                other => (None, other),
            };
            gone.extend(other);
            let mut seen = same.unwrap_or_else(|| Seen::nothing_of(Arc::clone(target)));
            seen.target = Arc::clone(target);
            seen.running = None;
            let source = target.activity.map(|activity| activity.source);
            seen.is_heard |= source == Some(ActivitySource::Hook);
            state.seen.insert(target.session.clone(), seen);
        }
        gone.extend(before.into_values());
        gone
    }

    /// Looks at, or changes, what was seen of a launch; `None` when it is not on the list any more.
    pub(super) fn with<T>(&self, target: &Target, act: impl FnOnce(&mut Seen) -> T) -> Option<T> {
        let mut state = self.lock();
        let seen = state.seen.get_mut(&target.session);
        seen.filter(|seen| seen.target.launch == target.launch).map(act)
    }

    /// Asks something about what was seen of a session, whatever its launch.
    pub(super) fn of<T>(&self, session: &SessionId, pick: impl FnOnce(&Seen) -> T) -> Option<T> {
        self.lock().seen.get(session).map(pick)
    }

    /// Asks something about everything that was seen, but for what lives on a server that is left
    /// alone now.
    pub(super) fn reachable<T>(&self, now: Duration, pick: impl Fn(&Seen) -> Option<T>) -> Vec<T> {
        let state = self.lock();
        let is_paused = |seen: &&Seen| {
            let until = state.servers.get(&seen.target.handle.server.socket);
            until.is_some_and(|until| *until > now)
        };
        state.seen.values().filter(|seen| !is_paused(seen)).filter_map(pick).collect()
    }

    /// Leaves the files of a session alone for a while: they did not answer in time.
    pub(super) fn pause_files(&self, target: &Target, now: Duration) {
        self.with(target, |seen| seen.files_not_before = now.saturating_add(FILES_PAUSE));
    }

    /// Leaves a terminal server alone for a while: it did not answer.
    pub(super) fn pause_server(&self, target: &Target, now: Duration) {
        let socket = target.handle.server.socket.clone();
        self.lock().servers.insert(socket, now.saturating_add(SERVER_PAUSE));
    }
}
