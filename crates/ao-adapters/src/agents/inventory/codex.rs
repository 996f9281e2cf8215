//! Codex: seen with codex-cli 0.169.0.

use std::path::Path;

use super::{AgentEntry, Need, Surroundings};

/// Codex.
pub const CODEX: AgentEntry = AgentEntry {
    name: "codex",
    program: "codex",
    version_args: &["--version"],
    tested_versions: &["0.169.0"],
    install: "npm install -g @openai/codex@0.169.0",
    can_resume: true,
    needs,
};

/// Variables that hold a key for its usual provider.
const KEYS: [&str; 2] = ["OPENAI_API_KEY", "CODEX_API_KEY"];

fn needs(around: &Surroundings<'_>) -> Vec<Need> {
    let Some(home) = around.dir("CODEX_HOME", ".codex") else { return Vec::new() };
    let mut needs = Vec::new();
    if home.starts_with("/tmp") {
        needs.push(Need::new(
            format!(
                "`CODEX_HOME` is `{}`, and it makes no helper programs below `/tmp`",
                home.display()
            ),
            "let `CODEX_HOME` name a directory elsewhere",
        ));
    }
    if is_without_login(around, &home) {
        needs.push(Need::new(
            "it is not logged in, and no variable holds a key",
            "run `codex login` once in a terminal, or set `OPENAI_API_KEY`",
        ));
    }
    needs
}

/// Whether nothing that would let it in is there. What cannot be read may.
fn is_without_login(around: &Surroundings<'_>, home: &Path) -> bool {
    let has_key = KEYS.iter().any(|name| around.var(name).is_some());
    let is_absent = |name: &str| matches!(around.text(&home.join(name)), Ok(None));
    if has_key || !is_absent("auth.json") {
        return false;
    }
    match around.text(&home.join("config.toml")) {
        Ok(None) => true,
        Ok(Some(config)) => !has_other_login(around, &config),
        Err(_unreadable) => false,
    }
}

/// Whether its configuration names another way in: a keyring, a provider of its own without a key,
/// or one whose key is there. The lines are looked at one by one; no more of TOML is understood.
fn has_other_login(around: &Surroundings<'_>, config: &str) -> bool {
    let mut has_provider = false;
    let mut keys = Vec::new();
    for line in config.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim().trim_matches(['"', '\'']);
        match key.trim() {
            "cli_auth_credentials_store" => return true,
            "model_provider" => has_provider = value != "openai",
            "env_key" => keys.push(value),
            _ => {}
        }
    }
    has_provider && (keys.is_empty() || keys.iter().any(|name| around.var(name).is_some()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io;

    use super::*;

    #[track_caller]
    fn check(env: &[(&str, &str)], files: &[(&str, &str)], expect: &[&str]) {
        let env: BTreeMap<String, String> = env
            .iter()
            .chain(&[("HOME", "/home/u")])
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let read = |path: &Path| {
            let found = files.iter().find(|(at, _)| path == Path::new(at));
            found
                .map(|(_, text)| (*text).to_owned())
                .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        };
        let needs = CODEX.needs(&Surroundings {
            env: &env,
            is_root: false,
            permission_modes: &[],
            repositories: &[],
            read: &read,
        });
        let messages: Vec<&str> = needs.iter().map(|need| need.message.as_str()).collect();
        assert_eq!(messages, expect);
    }

    const NO_LOGIN: &str = "it is not logged in, and no variable holds a key";

    #[test]
    fn without_a_login_or_a_key_it_says_so() {
        check(&[], &[], &[NO_LOGIN]);
        check(&[("OPENAI_API_KEY", "")], &[], &[NO_LOGIN]);
        check(&[("OPENAI_API_KEY", "k")], &[], &[]);
        check(&[], &[("/home/u/.codex/auth.json", "{}")], &[]);
        check(&[("CODEX_HOME", "/c")], &[("/home/u/.codex/auth.json", "{}")], &[NO_LOGIN]);
    }

    #[test]
    fn a_provider_of_its_own_needs_the_key_that_it_names() {
        let config = "model_provider = \"mock\"\n[model_providers.mock]\nenv_key = \"MOCK_KEY\"\n";
        let file = ("/home/u/.codex/config.toml", config);
        check(&[], &[file], &[NO_LOGIN]);
        check(&[("MOCK_KEY", "k")], &[file], &[]);
        check(&[], &[("/home/u/.codex/config.toml", "model_provider = 'local'")], &[]);
        check(&[], &[("/home/u/.codex/config.toml", "model = 'x'")], &[NO_LOGIN]);
        let keyring = "cli_auth_credentials_store = \"keyring\"";
        check(&[], &[("/home/u/.codex/config.toml", keyring)], &[]);
    }

    #[test]
    fn a_home_below_tmp_is_told() {
        let expect = "`CODEX_HOME` is `/tmp/c`, and it makes no helper programs below `/tmp`";
        check(&[("CODEX_HOME", "/tmp/c"), ("OPENAI_API_KEY", "k")], &[], &[expect]);
    }
}
