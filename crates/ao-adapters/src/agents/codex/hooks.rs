//! How hooks get into one session of Codex: as settings on its command line, trusted by themselves.
//!
//! Codex runs a hook only if the hash of its definition is on record as trusted. The hash is given
//! beside the definition, so nothing else is trusted with it: a hook of the user's that was changed
//! is still asked about.

use sha2::{Digest as _, Sha256};

/// The events that mean something to us: as Codex names them in its settings, and in its keys.
const EVENTS: [(&str, &str); 10] = [
    ("SessionStart", "session_start"),
    ("UserPromptSubmit", "user_prompt_submit"),
    ("PreToolUse", "pre_tool_use"),
    ("PermissionRequest", "permission_request"),
    ("PostToolUse", "post_tool_use"),
    ("Stop", "stop"),
    ("Interrupt", "interrupt"),
    ("SessionEnd", "session_end"),
    ("PreCompact", "pre_compact"),
    ("PostCompact", "post_compact"),
];

/// How long a hook may take. It is the most that Codex grants at the end of a session, and what it
/// grants is part of the hash; ours end within milliseconds.
const TIMEOUT_SECONDS: u32 = 3;

/// The settings that add our hooks; `None` when no shell could call this program.
pub(super) fn settings(ao: &str) -> Option<Vec<String>> {
    let ao = shlex::try_quote(ao).ok()?;
    let mut settings = Vec::new();
    let mut trusted = Vec::new();
    for (event, key) in EVENTS {
        let command = format!("{ao} hook codex {event}");
        settings.push(format!(
            r#"hooks.{event}=[{{hooks=[{{type="command",command={},timeout={TIMEOUT_SECONDS}}}]}}]"#,
            toml_string(&command)
        ));
        // What stands on a command line is the first hook of a file with this name.
        let place = toml_string(&format!("/<session-flags>/config.toml:{key}:0:0"));
        let hash = trusted_hash(key, &command);
        trusted.push(format!(r#"{place}={{trusted_hash="{hash}"}}"#));
    }
    settings.push(format!("hooks.state={{{}}}", trusted.join(",")));
    Some(settings)
}

/// The hash by which Codex knows a hook: over its definition as JSON, names in order, no blanks.
fn trusted_hash(key: &str, command: &str) -> String {
    let command = serde_json::Value::from(command);
    let definition = format!(
        r#"{{"event_name":"{key}","hooks":[{{"async":false,"command":{command},"timeout":{TIMEOUT_SECONDS},"type":"command"}}]}}"#
    );
    let hash = Sha256::digest(definition.as_bytes());
    let digits: String = hash.iter().flat_map(|&byte| hex_digits(byte)).collect();
    format!("sha256:{digits}")
}

fn hex_digits(byte: u8) -> impl Iterator<Item = char> {
    [byte >> 4, byte & 15].into_iter().filter_map(|it| char::from_digit(u32::from(it), 16))
}

/// A text as TOML writes one in quotes.
pub(super) fn toml_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            control if control.is_ascii_control() => {
                out.push_str("\\u00");
                out.extend(hex_digits(u8::try_from(control).unwrap_or_default()));
            }
            _ => out.push(char),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash that Codex 0.169.0 wrote into its own configuration when this hook was trusted
    /// there by hand.
    #[test]
    fn the_hash_is_the_one_of_codex() {
        let hash = "sha256:a09381d7b591b08bda7dcef6f61e9749fe21d5da040399bc40b73723ab2c44ed";
        assert_eq!(trusted_hash("stop", r#"echo "ü" 'stop'"#), hash);
    }

    #[test]
    fn a_text_in_toml_ends_where_it_ends() {
        assert_eq!(toml_string("a\"b\\c\nd\u{7f}ü"), r#""a\"b\\c\u000ad\u007fü""#);
    }

    #[test]
    fn a_program_with_blanks_is_one_word_of_the_shell() {
        let settings = settings("/opt/my tools/ao").unwrap_or_default();
        assert_eq!(settings.len(), EVENTS.len() + 1);
        let stop = r#"hooks.Stop=[{hooks=[{type="command",command="'/opt/my tools/ao' hook codex Stop",timeout=3}]}]"#;
        assert!(settings.iter().any(|setting| setting == stop), "{settings:#?}");
        assert_eq!(super::settings("a\0b"), None);
    }
}
