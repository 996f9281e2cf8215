//! The script in a user's text: `MOCK[step, step, …]`, where the brackets are JSON.
//!
//! JSON takes any space and any line break between its tokens, so a script survives being typed,
//! pasted and wrapped into tags; one that arrives with its quotes written as entities is read too.

use serde::Deserialize;
use serde_json::{Map, Value};

/// What a script begins with; the bracket is the first of the JSON.
const OPENING: &str = "MOCK[";

/// Steps of a script: more than any test plays, and few enough to be read at once.
const STEPS_MAX: usize = 1_000;

/// Scripts looked at in one text, so that a text full of openings is read in no time.
const SCRIPTS_MAX: usize = 100;

/// Longest wait that a step may ask for, in seconds: longer than any test and shorter than a day.
const SECONDS_MAX: f64 = 3_600.0;

/// One model turn.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its own in a script")]
pub(crate) struct Step {
    /// What the model says.
    pub(crate) text: Option<String>,
    /// The one tool that it uses, by the agent's name for it.
    tool: Option<String>,
    /// What that tool gets.
    input: Option<Value>,
    /// Tools used side by side.
    tools: Vec<Call>,
    /// A command for whichever tool of the agent runs commands.
    run: Option<String>,
    /// Whether that command asks for permission, where the model says so (Codex).
    ask: bool,
    /// The API error that is the answer; after `text`, if there is one.
    pub(crate) error: Option<String>,
    /// The status of that error, instead of its usual one.
    pub(crate) status: Option<u16>,
    /// The sentence of that error, instead of its usual one.
    pub(crate) message: Option<String>,
    /// Seconds of the `retry-after` header of that error.
    pub(crate) retry_after: Option<u64>,
    /// Seconds from now at which a usage limit ends.
    pub(crate) resets_in: Option<u64>,
    /// Whether the answer never ends; it never begins when there is no `text`.
    pub(crate) hang: bool,
    /// Whether the connection is dropped; without any answer when there is no `text`.
    pub(crate) drop: bool,
    /// Seconds before the first byte.
    delay: f64,
    /// Seconds over which the answer is spread.
    slow: f64,
    /// How often this error, hang or drop happens before the next step is due.
    pub(crate) times: Option<u32>,
    /// The token counts that the answer tells.
    pub(crate) usage: Option<Usage>,
}

/// One use of a tool.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    /// The agent's name for the tool.
    pub(crate) tool: String,
    /// What it gets.
    #[serde(default)]
    pub(crate) input: Value,
}

/// The token counts of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Usage {
    /// Tokens read that were in no cache.
    pub(crate) input: u64,
    /// Tokens read from a cache.
    pub(crate) cached: u64,
    /// Tokens written.
    pub(crate) output: u64,
}

impl Default for Usage {
    fn default() -> Self {
        Self { input: 100, cached: 0, output: 20 }
    }
}

impl Step {
    /// A step that says this and ends the turn.
    pub(crate) fn says(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// The tools that it uses. `shell` is the agent's tool for a command, which may have to ask
    /// first, and what that tool gets.
    pub(crate) fn calls(&self, shell: impl Fn(&str, bool) -> Call) -> Vec<Call> {
        let one = self.tool.clone().map(|tool| Call {
            tool,
            input: self.input.clone().unwrap_or_else(|| Value::Object(Map::new())),
        });
        let mut calls: Vec<_> = one.into_iter().chain(self.tools.iter().cloned()).collect();
        calls.extend(self.run.as_deref().map(|command| shell(command, self.ask)));
        calls
    }

    /// Seconds before the first byte, from 0 to an hour.
    pub(crate) fn delay(&self) -> f64 {
        seconds(self.delay)
    }

    /// Seconds over which the answer is spread, from 0 to an hour.
    pub(crate) fn slow(&self) -> f64 {
        seconds(self.slow)
    }
}

fn seconds(asked: f64) -> f64 {
    if asked.is_finite() { asked.clamp(0.0, SECONDS_MAX) } else { 0.0 }
}

/// Why a script cannot be played, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScriptError {
    /// The brackets hold no list of steps.
    #[error("the stand-in model cannot read the script after MOCK: {0}")]
    Unreadable(String),
    /// More steps than are taken.
    #[error("the stand-in model takes {STEPS_MAX} steps, and this script has {0}")]
    TooLong(usize),
}

/// The last script in this text, if there is one. A script within a step of another is none: it is
/// for whomever that step talks to.
pub(crate) fn find(text: &str) -> Option<Result<Vec<Step>, ScriptError>> {
    let mut found = None;
    let mut rest = text;
    for _script in 0..SCRIPTS_MAX {
        let Some((_, after)) = rest.split_once(OPENING) else { break };
        // The bracket is one byte, and the first of the list.
        let list = rest.get(rest.len() - after.len() - 1..).unwrap_or_default();
        let (script, length) = script(list);
        found = Some(script);
        rest = list.get(length..).unwrap_or_default();
    }
    found
}

/// The script that starts here, and its length.
fn script(list: &str) -> (Result<Vec<Step>, ScriptError>, usize) {
    let read_first = read(list).or_else(|because| {
        let (steps, _) = read(&without_entities(list)).map_err(|_of_the_second| because)?;
        Ok((steps, 1))
    });
    match read_first {
        Ok((steps, _)) if steps.len() > STEPS_MAX => {
            (Err(ScriptError::TooLong(steps.len())), list.len())
        }
        Ok((steps, length)) => (Ok(steps), length),
        Err(because) => (Err(ScriptError::Unreadable(because)), 1),
    }
}

/// The list at the start of this text, whatever follows it, and its length.
fn read(json: &str) -> Result<(Vec<Step>, usize), String> {
    let mut lists = serde_json::Deserializer::from_str(json).into_iter::<Vec<Step>>();
    match lists.next() {
        Some(Ok(steps)) => Ok((steps, lists.byte_offset())),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("nothing follows".to_owned()),
    }
}

fn without_entities(text: &str) -> String {
    let entities = [("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'"), ("&apos;", "'")];
    let angles = [("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    entities
        .into_iter()
        .chain(angles)
        .fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(command: &str, _ask: bool) -> Call {
        Call { tool: "Bash".to_owned(), input: serde_json::json!({"command": command}) }
    }

    fn steps(text: &str) -> Vec<Step> {
        find(text).unwrap().unwrap()
    }

    #[test]
    fn a_text_without_a_script_has_none() {
        assert_eq!(find("please mock [this]"), None);
        assert_eq!(find(""), None);
    }

    #[test]
    fn the_steps_are_those_between_the_brackets() {
        let steps =
            steps(r#"Do: MOCK[{"text":"a","tool":"Bash","input":{"x":"]"}},{"text":"b"}] so"#);
        assert_eq!(steps.len(), 2);
        assert_eq!(steps[0].text.as_deref(), Some("a"));
        let bash = Call { tool: "Bash".to_owned(), input: serde_json::json!({"x": "]"}) };
        assert_eq!(steps[0].calls(shell), [bash]);
        assert_eq!(steps[1], Step::says("b"));
    }

    #[test]
    fn a_script_survives_the_ways_a_text_is_typed_and_wrapped() {
        let plain = steps(r#"MOCK[{"text":"a","run":"true"}]"#);
        for text in [
            "<pasted_content id=\"7\">\nMOCK[{\"text\":\"a\",\"run\":\"true\"}]\n</pasted_content>",
            "MOCK[\r  {\"text\": \"a\",\r\n\t\"run\": \"true\"}\n]",
            "MOCK[{&quot;text&quot;:&quot;a&quot;,&#34;run&#34;:&quot;true&quot;}]",
        ] {
            assert_eq!(steps(text), plain, "{text}");
        }
    }

    #[test]
    fn the_last_script_of_a_text_wins() {
        assert_eq!(steps(r#"MOCK[{"text":"old"}] MOCK[{"text":"new"}]"#), [Step::says("new")]);
    }

    #[test]
    fn a_script_within_a_step_is_for_somebody_else() {
        let inner = Step::says(r#"MOCK[{"text":"inner"}]"#);
        assert_eq!(steps(r#"MOCK[{"text":"MOCK[{\"text\":\"inner\"}]"}] so"#), [inner]);
    }

    #[test]
    fn a_text_full_of_openings_is_read_in_no_time() {
        assert!(find(&"MOCK[".repeat(200_000)).unwrap().is_err());
    }

    #[test]
    fn a_script_that_cannot_be_read_is_no_text_without_a_script() {
        for text in ["MOCK[{]", "MOCK[", "MOCK[{\"txet\":\"a\"}]", "MOCK[1]"] {
            assert!(matches!(find(text), Some(Err(ScriptError::Unreadable(_)))), "{text}");
        }
        let long = format!("MOCK[{}{{}}]", "{},".repeat(STEPS_MAX));
        assert_eq!(find(&long), Some(Err(ScriptError::TooLong(STEPS_MAX + 1))));
    }

    #[test]
    fn waits_are_bounded() {
        let step = &steps(r#"MOCK[{"delay":1e300,"slow":-1}]"#)[0];
        assert!((step.delay() - SECONDS_MAX).abs() < f64::EPSILON);
        assert!(step.slow().abs() < f64::EPSILON);
    }
}
