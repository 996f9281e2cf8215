//! What an agent shows and writes down about itself, as its adapter read it.
//!
//! A reading is not yet an activity: [`Reading::says_otherwise`] tells whether it contradicts what is
//! known, and only then it becomes a fact.

use crate::fact::SignalDetail;
use crate::ids::AgentSessionId;
use crate::record::{Activity, ActivityState};
use crate::time::Timestamp;

/// What one source of an agent says that it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What the agent does.
    pub activity: ActivityState,
    /// What is told beyond the state.
    pub detail: Option<SignalDetail>,
}

impl Reading {
    /// Whether this says something else than what is known.
    ///
    /// A source of this kind tells less than a hook: an agent at rest looks the same whether it has
    /// background work, asked a human, or met an error, so rest contradicts a turn and a dialog only.
    /// What keeps an agent from going on alone is news whatever is known of its state.
    pub fn says_otherwise(self, known: Option<&Activity>) -> bool {
        let Some(known) = known else { return true };
        if self.is_trouble() && self.detail != known.detail {
            return true;
        }
        match (self.activity, known.state) {
            (ActivityState::Active, ActivityState::Active)
            | (ActivityState::Ready, ActivityState::Ready)
            | (ActivityState::WaitingInput, ActivityState::WaitingInput)
            | (ActivityState::Blocked, ActivityState::Blocked)
            | (ActivityState::Exited, ActivityState::Exited)
            | (
                ActivityState::Idle | ActivityState::Ready,
                ActivityState::Idle | ActivityState::Ready | ActivityState::WaitingInput,
            ) => false,
            (
                ActivityState::Active
                | ActivityState::Ready
                | ActivityState::Idle
                | ActivityState::WaitingInput
                | ActivityState::Blocked
                | ActivityState::Exited,
                _,
            ) => true,
        }
    }
}

impl Reading {
    /// Whether it tells what keeps an agent from going on alone.
    pub const fn is_trouble(self) -> bool {
        matches!(
            self.detail,
            Some(SignalDetail::UsageLimited | SignalDetail::AuthFailed | SignalDetail::ApiError)
        )
    }
}

impl Usage {
    /// Both together; a cost that one of them does not tell is the other's.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let cost_microusd = match (self.cost_microusd, other.cost_microusd) {
            (Some(one), Some(two)) => Some(one.saturating_add(two)),
            (one, two) => one.or(two),
        };
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            cost_microusd,
        }
    }
}

/// The agent's own status file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReading {
    /// What it says.
    pub reading: Reading,
    /// Since when, by the agent's own clock.
    pub since: Option<Timestamp>,
    /// The agent's own conversation id.
    pub agent_session_id: Option<AgentSessionId>,
}

/// What stands in the composer: the place where a human types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Composer {
    /// It cannot be seen, or not be told.
    Unknown,
    /// It is on screen and empty; a placeholder is nothing.
    Empty,
    /// It holds this text, as far as it is visible; line breaks are where the screen has them.
    Holds(String),
    /// It holds a long paste, of which the agent shows only a stand-in.
    Collapsed,
}

/// A screen, as the agent's adapter read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScreenReading {
    /// Something that takes the keys in place of the composer, by its kind.
    pub dialog: Option<SignalDetail>,
    /// What stands in the composer.
    pub composer: Composer,
    /// Whether a turn runs; `None` when the screen does not tell.
    pub is_turn: Option<bool>,
}

impl ScreenReading {
    /// A screen of which nothing can be told.
    pub const UNKNOWN: Self = Self { dialog: None, composer: Composer::Unknown, is_turn: None };

    /// What the agent does, going by its screen alone.
    pub const fn reading(&self) -> Option<Reading> {
        let (activity, detail) = match (self.dialog, &self.composer, self.is_turn) {
            (Some(detail), _, _) => (ActivityState::Blocked, Some(detail)),
            (None, _, Some(true)) => (ActivityState::Active, None),
            (None, Composer::Unknown, _) | (None, _, None) => return None,
            (None, _, Some(false)) => (ActivityState::Idle, None),
        };
        Some(Reading { activity, detail })
    }
}

/// What a session has used, in all, as its agent counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens read, those from a cache included.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// What that cost, in millionths of a US dollar; `None` where the agent does not say.
    pub cost_microusd: Option<u64>,
}

/// What is remembered of a transcript between two reads of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TranscriptMemory {
    /// What the lines that were read add up to, but for `open`.
    pub usage: Usage,
    /// The answer that was read last, by its own id: it may be told once more, with other counts.
    pub open: Option<(String, Usage)>,
    /// When the usage limit ends that was told last: the turn that meets it ends in a later line.
    pub limit_ends: Option<Timestamp>,
    /// Whether a plan was made in the turn that was read last: approval is asked for at its end.
    pub has_plan: bool,
}

impl TranscriptMemory {
    /// What was used in all.
    #[must_use]
    pub fn total(&self) -> Usage {
        match &self.open {
            Some((_, open)) => self.usage.plus(*open),
            None => self.usage,
        }
    }
}

/// A part of a transcript.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TranscriptReading {
    /// What the conversation has used in all, up to here; `None` when nothing tells.
    pub usage: Option<Usage>,
    /// The prompts taken in that stand there, oldest first.
    pub prompts: Vec<PromptSeen>,
    /// What its last line of meaning says, and when that was written.
    pub last: Option<(Reading, Timestamp)>,
    /// When a usage limit ends, when its last line of meaning tells of one.
    pub paused_until: Option<Timestamp>,
}

/// A prompt that stands in a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptSeen {
    /// What was taken in.
    pub text: String,
    /// When it was written down, by the agent's clock.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ActivitySource;
    use crate::time::{BootId, Moment};

    fn says(told: &str, known: &str) -> bool {
        let (activity, detail) = parse(told);
        let (state, known_detail) = parse(known);
        let at = Moment {
            wall: Timestamp::default(),
            boot: BootId(1),
            since_boot: std::time::Duration::ZERO,
            awake: std::time::Duration::ZERO,
        };
        let known = Activity { state, at, source: ActivitySource::Hook, detail: known_detail };
        Reading { activity, detail }.says_otherwise(Some(&known))
    }

    /// `STATE [DETAIL]`.
    fn parse(words: &str) -> (ActivityState, Option<SignalDetail>) {
        let mut words = words.split_whitespace();
        let state = words.next().unwrap().parse().unwrap();
        (state, words.next().map(|word| word.parse().unwrap()))
    }

    #[test]
    fn an_agent_at_rest_looks_the_same_whatever_it_waits_for() {
        for known in ["idle", "ready background", "waiting_input", "idle api_error"] {
            assert!(!says("idle", known), "{known}");
        }
        for known in ["active", "blocked permission", "exited"] {
            assert!(says("idle", known), "{known}");
        }
    }

    #[test]
    fn a_state_that_is_known_is_no_news() {
        for state in ActivityState::ALL {
            assert!(!says(state.as_str(), state.as_str()), "{state}");
            let reading = Reading { activity: *state, detail: None };
            assert!(reading.says_otherwise(None), "{state}");
        }
        assert!(says("active", "idle") && says("blocked question", "active"));
        assert!(!says("blocked question", "blocked permission"), "it is the same dialog");
    }

    #[test]
    fn what_stops_an_agent_is_news_even_of_one_that_is_known_to_rest() {
        assert!(says("idle usage_limited", "idle"));
        assert!(says("idle auth_failed", "idle api_error"));
        assert!(!says("idle usage_limited", "idle usage_limited"));
        assert!(!says("idle interrupted", "idle"));
    }

    #[test]
    fn a_dialog_is_a_dialog_whatever_else_the_screen_shows() {
        let screen = |dialog, composer, is_turn| ScreenReading { dialog, composer, is_turn };
        let shown = |reading: &ScreenReading| {
            reading.reading().map_or("nothing", |reading| reading.activity.as_str())
        };
        let permission = Some(SignalDetail::Permission);
        assert_eq!(shown(&screen(permission, Composer::Empty, Some(true))), "blocked");
        assert_eq!(shown(&screen(None, Composer::Empty, Some(true))), "active");
        assert_eq!(shown(&screen(None, Composer::Unknown, Some(true))), "active");
        assert_eq!(shown(&screen(None, Composer::Empty, Some(false))), "idle");
        assert_eq!(shown(&screen(None, Composer::Unknown, Some(false))), "nothing");
        assert_eq!(shown(&screen(None, Composer::Empty, None)), "nothing");
        assert_eq!(shown(&ScreenReading::UNKNOWN), "nothing");
    }

    #[test]
    fn an_answer_that_is_still_told_counts_once() {
        let usage =
            |input_tokens, cost_microusd| Usage { input_tokens, output_tokens: 1, cost_microusd };
        let mut memory = TranscriptMemory { usage: usage(10, None), ..TranscriptMemory::default() };
        memory.open = Some(("a".to_owned(), usage(5, Some(7))));
        assert_eq!(memory.total(), Usage { output_tokens: 2, ..usage(15, Some(7)) });
        assert_eq!(usage(1, Some(2)).plus(usage(1, Some(3))).cost_microusd, Some(5));
    }
}
