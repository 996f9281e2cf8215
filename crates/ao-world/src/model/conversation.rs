//! A request as the stand-in sees it, whichever protocol it came in.

use serde_json::Value;

/// What a request asks, and what was said before it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Conversation {
    /// The model that was asked for.
    pub(crate) model: String,
    /// Whether the answer is wanted piece by piece.
    pub(crate) is_streamed: bool,
    /// What was said, oldest first.
    pub(crate) said: Vec<Said>,
    /// The tools that the agent offers.
    pub(crate) tools: Vec<Tool>,
    /// Which conversation it is, where the agent says so.
    pub(crate) session: Option<String>,
    /// What the agent wants it for.
    pub(crate) purpose: Purpose,
    /// The JSON schema that the answer has to satisfy, if the agent names one.
    pub(crate) schema: Option<Value>,
}

/// One thing that was said, as far as the stand-in cares.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Said {
    /// By the person or by the agent in their name.
    User(String),
    /// By the model, tools used included.
    Model,
    /// By a tool.
    Result,
}

/// A tool that the agent offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tool {
    /// Its name.
    pub(crate) name: String,
    /// Whether it takes a text as it stands instead of JSON.
    pub(crate) takes_text: bool,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A turn of the conversation.
    Turn,
    /// Something beside it: a title, a summary, a judgement. No script is played.
    Side,
}

impl Conversation {
    /// The texts of the user since the model last spoke; empty when a tool's result asks for more.
    pub(crate) fn fresh(&self) -> Vec<&str> {
        let newest_first = self.said.iter().rev().take_while(|said| **said != Said::Model);
        let mut fresh: Vec<_> = newest_first
            .filter_map(|said| match said {
                Said::User(text) => Some(text.as_str()),
                Said::Model | Said::Result => None,
            })
            .collect();
        fresh.reverse();
        fresh
    }

    /// Every text of the user, oldest first.
    pub(crate) fn texts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.said.iter().filter_map(|said| match said {
            Said::User(text) => Some(text.as_str()),
            Said::Model | Said::Result => None,
        })
    }

    /// Whether the agent offers this tool.
    pub(crate) fn offers(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| tool.name == name)
    }

    /// Whether this tool takes a text as it stands.
    pub(crate) fn takes_text(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| tool.name == name && tool.takes_text)
    }

    /// Model turns in what was said after this index: neighbours are one turn.
    pub(crate) fn model_turns_after(&self, index: usize) -> usize {
        let after = self.said.get(index..).unwrap_or_default();
        after.windows(2).filter(|pair| pair[0] != Said::Model && pair[1] == Said::Model).count()
    }
}

/// A text of the agent's own making that stands among the user's: context, reminders.
pub(crate) fn is_of_the_agent(text: &str) -> bool {
    const OPENINGS: &[&str] = &[
        "<system-reminder>",
        "<environment_context>",
        "<user_instructions>",
        "<skills_instructions>",
        "<permissions instructions>",
        "<current_datetime>",
        "# AGENTS.md instructions",
    ];
    let text = text.trim_start();
    OPENINGS.iter().any(|opening| text.starts_with(opening))
}
