//! The settings of one launch: the hooks through which Claude tells what it does.
//!
//! Claude runs them beside those of the user, of the project and of its local settings; each still
//! fires once. Only the events that tell something are asked for: a hook holds the turn up while it
//! runs, so nothing is asked about single calls of tools before they run.

use ao_core::ports::LaunchRequest;
use serde_json::{Map, Value, json};

/// The events asked for, each with the kinds of it where it has kinds.
const EVENTS: [(&str, Option<&str>); 10] = [
    ("SessionStart", None),
    ("UserPromptSubmit", None),
    ("PermissionRequest", None),
    ("PostToolUse", None),
    ("PostToolUseFailure", None),
    ("Notification", Some("idle_prompt|elicitation_dialog")),
    ("Stop", None),
    ("StopFailure", None),
    ("PostCompact", None),
    ("SessionEnd", None),
];

/// Longest that one hook may hold Claude up, in seconds; `ao hook` needs milliseconds.
const TIMEOUT_SECONDS: u32 = 10;

/// The permission mode in which Claude asks nothing.
const BYPASS: &str = "bypassPermissions";

/// The settings file; `None` when `ao` has a path that no shell takes.
pub(super) fn of_launch(request: &LaunchRequest) -> Option<String> {
    let ao = request.env.get("AO_BIN").map_or("ao", String::as_str);
    let ao = shlex::try_quote(ao).ok()?;
    let mut hooks = Map::new();
    for (event, matcher) in EVENTS {
        let command = format!("{ao} hook claude-code {event}");
        let hook = json!({ "type": "command", "command": command, "timeout": TIMEOUT_SECONDS });
        let mut group = Map::new();
        if let Some(matcher) = matcher {
            group.insert("matcher".to_owned(), Value::from(matcher));
        }
        group.insert("hooks".to_owned(), Value::from(vec![hook]));
        hooks.insert(event.to_owned(), Value::from(vec![Value::from(group)]));
    }
    let mut settings = Map::new();
    settings.insert("hooks".to_owned(), Value::from(hooks));
    if request.permission_mode.as_deref() == Some(BYPASS) {
        // Who asked `ao` for this mode has been asked; the dialog would ask once more.
        settings.insert("skipDangerousModePermissionPrompt".to_owned(), Value::from(true));
    }
    Some(Value::from(settings).to_string())
}
