//! A request as the stand-in sees it, whichever protocol it came in.

/// What a request asks, and what was said before it.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// A turn of the conversation.
    Turn,
    /// Something beside it: a title, a summary, a judgement. No script is played, and this is
    /// answered.
    Side(String),
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

/// Adds a text that stands among the user's: the user's own, or one of the agent's making.
pub(crate) fn add_text(said: &mut Vec<Said>, text: &str) {
    match origin(text) {
        Origin::User => said.push(Said::User(text.to_owned())),
        Origin::Agent => {}
        // What was said before the interruption may be missing, and it was a turn.
        Origin::Interruption => said.push(Said::Model),
        // The turn is there, with the tool's result; or it was only begun.
        Origin::MaybeOfTool if said.last() == Some(&Said::Result) => {}
        Origin::MaybeOfTool => said.push(Said::Model),
    }
}

/// Who made a text that stands among the user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The user.
    User,
    /// The agent: context, reminders.
    Agent,
    /// The agent, because the user interrupted the model.
    Interruption,
    /// The agent, because the user interrupted the model or a tool of it.
    MaybeOfTool,
}

fn origin(text: &str) -> Origin {
    const OPENINGS: &[(&str, Origin)] = &[
        ("<system-reminder>", Origin::Agent),
        ("<environment_context>", Origin::Agent),
        ("<user_instructions>", Origin::Agent),
        ("<skills_instructions>", Origin::Agent),
        ("<permissions instructions>", Origin::Agent),
        ("<current_datetime>", Origin::Agent),
        ("# AGENTS.md instructions", Origin::Agent),
        ("[Request interrupted by user]", Origin::Interruption),
        ("[Request interrupted by user for tool use]", Origin::MaybeOfTool),
        ("<turn_aborted>", Origin::MaybeOfTool),
    ];
    let text = text.trim_start();
    let known = OPENINGS.iter().find(|(opening, _)| text.starts_with(opening));
    known.map_or(Origin::User, |(_, origin)| *origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(texts: &[&str]) -> Vec<Said> {
        let mut said = Vec::new();
        for text in texts {
            add_text(&mut said, text);
        }
        said
    }

    #[test]
    fn what_the_agent_adds_is_not_what_the_user_said() {
        let user = Said::User("hi".to_owned());
        assert_eq!(said(&["<system-reminder>\nx</system-reminder>", "hi"]), [user]);
    }

    #[test]
    fn an_interrupted_model_had_its_turn_and_an_interrupted_tool_was_part_of_one() {
        let aborted = "<turn_aborted>\nThe user interrupted";
        assert_eq!(said(&[aborted]), [Said::Model]);
        let mut of_tool = vec![Said::Model, Said::Result];
        add_text(&mut of_tool, aborted);
        add_text(&mut of_tool, "[Request interrupted by user for tool use]");
        assert_eq!(of_tool, [Said::Model, Said::Result]);
    }

    #[test]
    fn neighbours_of_the_model_are_one_turn() {
        let user = || Said::User("hi".to_owned());
        let said = vec![user(), Said::Model, Said::Model, Said::Result, Said::Model, user()];
        let conversation = Conversation {
            model: String::new(),
            is_streamed: false,
            said,
            tools: Vec::new(),
            session: None,
            purpose: Purpose::Turn,
        };
        assert_eq!(conversation.model_turns_after(0), 2);
        assert_eq!(conversation.fresh(), ["hi"]);
        assert_eq!(conversation.model_turns_after(5), 0);
    }
}
