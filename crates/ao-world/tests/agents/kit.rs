//! What differs between the agents: how each is set up to talk to the stand-in, and its words.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

/// An agent under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kit {
    /// Claude Code.
    ClaudeCode,
    /// Codex.
    Codex,
}

/// The permission mode in which they ask nothing.
pub(crate) const UNASKING: &str = "bypassPermissions";

/// A key that no server knows; the stand-in checks none.
const KEY: &str = "sk-ant-stand-in-000000000000000";

impl Kit {
    /// Its name for `ao`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
        }
    }

    /// The permission mode in which it asks.
    pub(crate) const fn asking(self) -> &'static str {
        match self {
            Self::ClaudeCode => "manual",
            Self::Codex => "read-only",
        }
    }

    /// What a dialog that asks for a permission shows.
    pub(crate) const fn permission_dialog(self) -> &'static str {
        match self {
            Self::ClaudeCode => "Do you want to proceed?",
            Self::Codex => "Would you like to run the following command?",
        }
    }

    /// The key that grants what this dialog asks for.
    pub(crate) const fn grants(self) -> &'static str {
        match self {
            Self::ClaudeCode => "1",
            Self::Codex => "y",
        }
    }

    /// The key that denies what the dialog on this screen asks for.
    #[track_caller]
    pub(crate) fn denies(self, screen: &str) -> String {
        match self {
            Self::ClaudeCode => {
                let no = screen.lines().find_map(|line| line.trim().strip_suffix(". No"));
                no.unwrap_or_else(|| panic!("no `No` in\n{screen}")).to_owned()
            }
            Self::Codex => "n".to_owned(),
        }
    }

    /// Its command line where nobody supervises it.
    pub(crate) fn alone(self, prompt: &str) -> Vec<&str> {
        match self {
            Self::ClaudeCode => vec!["claude", prompt],
            Self::Codex => vec!["codex", "--no-daemon", prompt],
        }
    }

    /// Gives the user a hook of their own that makes a file; returns where it stands, and what.
    pub(crate) fn hook(self, home: &Path, makes: &Path) -> (PathBuf, String) {
        let (place, text) = match self {
            Self::ClaudeCode => {
                let hook =
                    json!({"type": "command", "command": format!("touch '{}'", makes.display())});
                let hooks = json!([{"hooks": [hook]}]);
                let settings = json!({"hooks": {"SessionStart": hooks, "Stop": hooks}});
                (home.join(".claude/settings.json"), settings.to_string())
            }
            Self::Codex => {
                let place = codex_home(home).join("config.toml");
                let config = fs::read_to_string(&place).unwrap();
                (
                    place,
                    format!("notify = [\"sh\", \"-c\", \"touch '{}'\"]\n{config}", makes.display()),
                )
            }
        };
        fs::write(&place, &text).unwrap();
        (place, text)
    }

    /// Writes what a user who has run it before has in the home: no question is left to be asked.
    pub(crate) fn settle_in(self, home: &Path, repository: &Path, model: &str) {
        match self {
            Self::ClaudeCode => {
                let settled = json!({
                    "hasCompletedOnboarding": true,
                    "theme": "dark",
                    "customApiKeyResponses": {"approved": [last_20(KEY)], "rejected": []},
                    "projects": {repository.to_str().unwrap(): {"hasTrustDialogAccepted": true}},
                });
                fs::create_dir_all(home.join(".claude")).unwrap();
                fs::write(home.join(".claude.json"), settled.to_string()).unwrap();
            }
            Self::Codex => {
                let config = format!(
                    "model = \"mock-model\"\nmodel_provider = \"stand-in\"\n\
                     check_for_update_on_startup = false\n\
                     [model_providers.stand-in]\nname = \"stand-in\"\nbase_url = \"{model}/v1\"\n\
                     wire_api = \"responses\"\nenv_key = \"STAND_IN_KEY\"\n\
                     request_max_retries = 1\nstream_max_retries = 1\n\
                     [projects.\"{}\"]\ntrust_level = \"trusted\"\n\
                     [analytics]\nenabled = false\n",
                    repository.display(),
                );
                fs::create_dir_all(codex_home(home)).unwrap();
                fs::write(codex_home(home).join("config.toml"), config).unwrap();
            }
        }
    }

    /// The environment that its user has.
    pub(crate) fn env(self, home: &Path, model: &str) -> Vec<(&'static str, String)> {
        match self {
            Self::ClaudeCode => vec![
                ("ANTHROPIC_BASE_URL", model.to_owned()),
                ("ANTHROPIC_API_KEY", KEY.to_owned()),
                ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
                ("CLAUDE_CODE_MAX_RETRIES", "1".to_owned()),
                ("DISABLE_AUTOUPDATER", "1".to_owned()),
                ("DISABLE_TELEMETRY", "1".to_owned()),
                ("DISABLE_ERROR_REPORTING", "1".to_owned()),
                // As root it refuses some modes without it.
                ("IS_SANDBOX", "1".to_owned()),
            ],
            Self::Codex => vec![
                ("CODEX_HOME", codex_home(home).to_str().unwrap().to_owned()),
                ("STAND_IN_KEY", "none".to_owned()),
            ],
        }
    }
}

/// Where Codex keeps its things.
fn codex_home(home: &Path) -> PathBuf {
    home.join(".codex")
}

/// By its last characters Claude Code recognises a key that its user approved.
fn last_20(key: &str) -> &str {
    key.get(key.len() - 20..).unwrap()
}
