//! What the status was, when it changed, who told, and how far that lagged behind the truth.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use ao_core::fact::FactKind;
use ao_core::ids::SessionId;
use ao_core::ports::SessionStore as _;
use ao_store::{DataLock, Options, SqliteStore};
use jiff::Timestamp;
use serde_json::Value;

use crate::kit::Kit;
use crate::world::{Session, World};

/// A status that was wrong for longer than this is told in the report.
const LAG_TOLD_MS: i64 = 1_000;

/// A status that was wrong for longer than this fails its test.
const LAG_MAX_MS: i64 = 3_000;

/// Most journal entries of a session that are read: more than any scenario makes.
const ENTRIES_MAX: usize = 10_000;

/// Nothing was heard yet.
pub(crate) const SPAWNING: &str = "not_started/spawn_requested none";
/// It started, and has its prompt before it.
pub(crate) const STARTED: &str = "working/agent_acknowledged ready";
/// A turn runs.
pub(crate) const WORKING: &str = "working/task_in_progress active";
/// No turn runs, and there is work of its own to come.
pub(crate) const READY: &str = "working/task_in_progress ready";
/// No turn runs.
pub(crate) const IDLE: &str = "idle/task_in_progress idle";
/// It is being restored.
pub(crate) const RESTORING: &str = "not_started/restore_requested none";
/// It goes on in its conversation.
pub(crate) const RESUMED: &str = "idle/agent_acknowledged idle";
/// A dialog asks for a permission, or for approval of a plan.
pub(crate) const PERMISSION: &str = "needs_input/awaiting_permission blocked";
/// A dialog asks something else.
pub(crate) const QUESTION: &str = "needs_input/awaiting_user_input blocked";

/// The provider's API failed for good.
pub(crate) const API_ERROR: &str = "needs_input/agent_api_error idle";
/// The provider refused the login.
pub(crate) const AUTH_FAILED: &str = "needs_input/agent_auth_failed idle";
/// A usage limit.
pub(crate) const LIMITED: &str = "needs_input/usage_limited idle";
/// The process is gone, and a second witness is asked.
pub(crate) const DYING: &str = "detecting/agent_process_exited active";
/// Its process was killed in mid-turn.
pub(crate) const CRASHED: &str = "terminated/agent_process_exited active";
/// It said goodbye.
pub(crate) const GOODBYE: &str = "idle/task_in_progress exited";
/// The process is gone after a goodbye, and a second witness is asked.
pub(crate) const LEAVING: &str = "detecting/agent_process_exited exited";
/// It ended because it was told to.
pub(crate) const EXITED: &str = "terminated/agent_process_exited exited";

/// A status that has to be there, and since when it is true.
#[derive(Debug, Clone)]
pub(crate) struct Truth {
    /// State, reason and activity, as in `working/task_in_progress active`.
    pub(crate) says: &'static str,
    /// Milliseconds since 1970; nothing where nobody can tell.
    pub(crate) since_ms: Option<i64>,
    /// Whether it may as well be left out: a step on the way that is over within a second.
    pub(crate) is_optional: bool,
}

/// What is noted of a run, for the report: lines of words with tabs between them.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    lines: String,
}

/// A status as it was.
#[derive(Debug)]
struct Change {
    says: String,
    at_ms: i64,
    told_by: String,
    observed_ms: i64,
}

/// The wall clock, which the stamps of the events and of the model server's log are of.
pub(crate) fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "compared with what programs stamped with it")]
    let now = SystemTime::now();
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

impl Ledger {
    /// Notes a line.
    pub(crate) fn note(&mut self, words: &[&str]) {
        writeln!(self.lines, "{}", words.join("\t")).unwrap();
    }

    /// Leaves the lines where the report is made of them, each with agent and scenario before it.
    pub(crate) fn write(&mut self, kit: Kit, scenario: &str) {
        self.note(&["run", if std::thread::panicking() { "failed" } else { "held" }]);
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("agents-report");
        fs::create_dir_all(&directory).unwrap();
        let name = format!("{}-{}.tsv", kit.name(), scenario.replace(' ', "-"));
        let whole = |line| format!("{}\t{scenario}\t{line}\n", kit.name());
        fs::write(directory.join(name), self.lines.lines().map(whole).collect::<String>()).unwrap();
    }
}

impl Session<'_> {
    /// Ends the daemon and its sessions, and compares what was with what had to be.
    ///
    /// The history is exactly the sequence of truths, each after at most [`LAG_MAX_MS`].
    #[track_caller]
    pub(crate) fn judge(&self) {
        self.judge_as(false);
    }

    #[track_caller]
    fn judge_as(&self, turns_are_one: bool) {
        let events = self.events();
        let mut truths = self.truths();
        self.world.ok(&["stop", "--sessions"]);
        let mut history = self.history(&events);
        if turns_are_one {
            join_turns(&mut history);
        }
        let told: String = history.iter().fold(String::new(), |mut told, it| {
            let Change { says, at_ms, told_by, observed_ms } = it;
            writeln!(told, "{at_ms} {says} ({told_by}, observed at {observed_ms})").unwrap();
            told
        });
        // What is optional and did not happen is not expected.
        let mut at = 0;
        truths.retain(|truth| {
            let is_there = history.get(at).is_some_and(|it| it.says == truth.says);
            at += usize::from(is_there || !truth.is_optional);
            is_there || !truth.is_optional
        });
        let was: Vec<&str> = history.iter().map(|it| it.says.as_str()).collect();
        let had_to_be: Vec<&str> = truths.iter().map(|it| it.says).collect();
        assert_eq!(was, had_to_be, "\n{told}");
        let mut late = String::new();
        for (change, truth) in history.iter().zip(&truths) {
            let Some(since_ms) = truth.since_ms else { continue };
            let mut lag_ms = change.at_ms - since_ms;
            if truth.says.starts_with("working/") {
                // A turn begins with its prompt; the request that we know of comes after that.
                lag_ms = lag_ms.max(0);
            }
            let lag = lag_ms.to_string();
            let (says, told_by) = (truth.says, change.told_by.as_str());
            let witnessed = (change.observed_ms - since_ms).to_string();
            self.note(&["status", says, &lag, told_by, &witnessed]);
            if lag_ms.abs() > LAG_TOLD_MS {
                self.note(&["late", says, &lag, told_by, &witnessed]);
            }
            if lag_ms.abs() > LAG_MAX_MS {
                writeln!(late, "{says}: {lag} ms, witnessed after {witnessed} ms").unwrap();
            }
        }
        assert!(late.is_empty(), "wrong for too long:\n{late}{told}");
    }

    /// Like [`Self::judge`], for turns of which nobody can tell how many there are: neighbouring
    /// turns count as one.
    #[track_caller]
    pub(crate) fn judge_turns(&self) {
        self.judge_as(true);
    }

    /// The changes of this session so far.
    fn events(&self) -> Vec<Value> {
        let lines = self.world.ok(&["events", "--json"]);
        let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let is_ours = |event: &Value| {
            event["session"] == self.id.as_str()
                && ["session.created", "session.changed"].iter().any(|kind| event["type"] == *kind)
        };
        events.filter(is_ours).collect()
    }

    /// The statuses that these changes led to, each with who told.
    fn history(&self, events: &[Value]) -> Vec<Change> {
        let home = self.world.path("ao");
        let lock = DataLock::acquire(&home).unwrap();
        let store =
            SqliteStore::open_inline(lock, &home.join("ao.db"), Options::default()).unwrap();
        let id = SessionId::parse(&self.id).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let records = runtime.block_on(store.journal(&id, ENTRIES_MAX)).unwrap();
        let mut history: Vec<Change> = Vec::new();
        let mut activity = "none";
        for event in events {
            let at: Timestamp = event["at"].as_str().unwrap().parse().unwrap();
            let record =
                records.iter().find(|it| Some(it.revision.0) == event["revision"].as_u64());
            let fact = record.map(|record| &record.entry.fact);
            let told_by = match fact.map(|fact| &fact.kind) {
                Some(FactKind::Signal(signal)) => {
                    activity = signal.activity.as_str();
                    self.note(&["signal", signal.source.as_str()]);
                    signal.source.as_str()
                }
                Some(FactKind::Look(_)) => "look",
                Some(FactKind::Outcome(_)) => "ao",
                Some(_) => "else",
                None => "ao",
            };
            let became = event["became"].as_str().unwrap();
            if became.starts_with("not_started/") {
                activity = "none";
            }
            if became == "working/agent_acknowledged" {
                // Also where a first look shows rest: the prompt is to come.
                activity = "ready";
            }
            let says = format!("{became} {activity}");
            let at_ms = at.as_millisecond();
            if history.last().is_none_or(|it| it.says != says) {
                let observed_ms = fact.map_or(at_ms, |fact| fact.at.wall.as_millis());
                history.push(Change { says, at_ms, told_by: told_by.to_owned(), observed_ms });
            }
        }
        for record in &records {
            if let FactKind::Signal(signal) = &record.entry.fact.kind
                && signal.source.as_str() == "hook"
            {
                let took = record.entry.at.since(&record.entry.fact.at).as_millis().to_string();
                self.note(&["hook", &took]);
            }
        }
        history
    }

    fn note(&self, words: &[&str]) {
        self.world.ledger().borrow_mut().note(words);
    }
}

impl World {
    /// Holds that each of these marks was submitted exactly once, by the model server's log.
    #[track_caller]
    pub(crate) fn was_submitted_once(&self, marks: &[&str]) {
        let mut wrong = Vec::new();
        for mark in marks {
            let n = self.model.n_submitted(mark);
            self.ledger().borrow_mut().note(&["message", mark, &n.to_string()]);
            if n != 1 {
                wrong.push(format!("{mark}: {n} times"));
            }
        }
        assert!(wrong.is_empty(), "not submitted exactly once: {wrong:?}");
    }
}

/// Makes `working, idle, working, idle` one turn, with the beginning of the first and the end of
/// the last.
fn join_turns(history: &mut Vec<Change>) {
    let mut at = 0;
    while at + 3 < history.len() {
        let says: Vec<_> = history.iter().skip(at).take(4).map(|it| it.says.as_str()).collect();
        if says == [WORKING, IDLE, WORKING, IDLE] {
            drop(history.drain(at + 1..at + 3));
        } else {
            at += 1;
        }
    }
}
