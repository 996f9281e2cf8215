//! Which step is due: the N-th model turn after the user's text plays step N of its script.

use super::conversation::{Conversation, Purpose, Said};
use super::script::{Call, ScriptError, Step, find};

/// What is said where there is no script.
const NO_SCRIPT: &str = "Hello! I am a stand-in for a model and always answer this. \
     Your message arrived; a script in it (MOCK[...]) would tell me what to do.";

/// What is said after the last step.
const IS_OVER: &str = "The script has no further step.";

/// What a request gets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// The step that is played.
    pub(crate) step: Step,
    /// Its index in the script, where it comes from one.
    pub(crate) index: Option<usize>,
    /// Whether there is a script at all.
    pub(crate) has_script: bool,
}

impl Plan {
    fn fixed(text: impl Into<String>, has_script: bool) -> Self {
        Self { step: Step::says(text), index: None, has_script }
    }

    /// What this conversation gets when it is asked for the same turn for this time, counted from
    /// one.
    pub(crate) fn of(conversation: &Conversation, attempt: u32) -> Result<Self, ScriptError> {
        if let Purpose::Side(answer) = &conversation.purpose {
            return Ok(Self::fixed(answer, false));
        }
        let scripts =
            conversation.said.iter().enumerate().rev().filter_map(|(at, said)| match said {
                Said::User(text) => find(text).map(|script| (at, script)),
                Said::Model | Said::Result => None,
            });
        let Some((at, script)) = scripts.into_iter().next() else {
            return Ok(Self::fixed(NO_SCRIPT, false));
        };
        let turn = conversation.model_turns_after(at);
        Ok(due(&script?, turn, attempt))
    }
}

/// The step for the model turn after so many. A failure that ends after some `times` is no turn.
fn due(steps: &[Step], turns_before: usize, attempt: u32) -> Plan {
    let (mut turns_left, mut attempt) = (turns_before, attempt);
    for (index, step) in steps.iter().enumerate() {
        match step.times {
            Some(_times) if turns_left > 0 => {}
            Some(times) if attempt > times => attempt -= times,
            None if turns_left > 0 => turns_left -= 1,
            Some(_) | None => {
                return Plan { step: step.clone(), index: Some(index), has_script: true };
            }
        }
    }
    Plan::fixed(IS_OVER, true)
}

/// How the agent of this conversation runs a command. Of those known, only Codex lets the model
/// say that the person has to be asked.
pub(crate) fn shell(conversation: &Conversation, command: &str, ask: bool) -> Call {
    let (tool, input) = if conversation.offers("exec_command") && ask {
        let input = serde_json::json!({
            "cmd": command,
            "sandbox_permissions": "require_escalated",
            "justification": "The script asks for it",
        });
        ("exec_command", input)
    } else if conversation.offers("exec_command") {
        ("exec_command", serde_json::json!({"cmd": command}))
    } else if conversation.offers("shell_command") {
        ("shell_command", serde_json::json!({"command": command}))
    } else if conversation.offers("shell") {
        ("shell", serde_json::json!({"command": ["bash", "-lc", command]}))
    } else if conversation.offers("bash") {
        ("bash", serde_json::json!({"command": command, "description": "Runs a command"}))
    } else {
        ("Bash", serde_json::json!({"command": command, "description": "Runs a command"}))
    };
    Call { tool: tool.to_owned(), input }
}
