//! Claude Code: seen with 2.1.330.

use std::path::Path;

use serde_json::Value;

use super::{AgentEntry, Need, Surroundings};

/// Claude Code.
pub const CLAUDE_CODE: AgentEntry = AgentEntry {
    name: "claude-code",
    program: "claude",
    version_args: &["--version"],
    tested_versions: &["2.1.330"],
    install: "npm install -g @anthropic-ai/claude-code@2.1.330",
    can_resume: true,
    needs,
};

/// The mode that asks for nothing, and which it refuses to root outside a sandbox.
const BYPASS: &str = "bypassPermissions";

fn needs(around: &Surroundings<'_>) -> Vec<Need> {
    let mut needs = Vec::new();
    let is_bypassing = around.permission_modes.iter().any(|mode| mode == BYPASS);
    if around.is_root && is_bypassing && around.var("IS_SANDBOX") != Some("1") {
        needs.push(Need::new(
            format!("permission mode `{BYPASS}` is refused to root"),
            "run it as another user, or in a container with `IS_SANDBOX=1` in its `env`",
        ));
    }
    needs.extend(of_settings(around));
    needs
}

/// What its own record of the user says: a session that meets its first questions waits for a
/// person before it can be told anything.
fn of_settings(around: &Surroundings<'_>) -> Vec<Need> {
    let not_onboarded = || {
        vec![Need::new(
            "it was never started by this user, and begins with questions to a person",
            "run `claude` once in a terminal and answer them",
        )]
    };
    // With a directory of its own the file stands in there.
    let Some(path) = around.dir("CLAUDE_CONFIG_DIR", "").map(|dir| dir.join(".claude.json")) else {
        return Vec::new();
    };
    let text = match around.text(&path) {
        Ok(Some(text)) => text,
        Ok(None) => return not_onboarded(),
        Err(_unreadable) => return Vec::new(),
    };
    // Half-written, or of a shape that we do not know: nothing was found out.
    let Ok(Value::Object(settings)) = serde_json::from_str(&text) else { return Vec::new() };
    if settings.get("hasCompletedOnboarding") != Some(&Value::Bool(true)) {
        return not_onboarded();
    }
    let projects = settings.get("projects");
    let is_trusted = |path: &Path| {
        // The trust of a directory holds for everything below it.
        path.ancestors().filter_map(Path::to_str).any(|dir| {
            let project = projects.and_then(|projects| projects.get(dir));
            project.and_then(|it| it.get("hasTrustDialogAccepted")) == Some(&Value::Bool(true))
        })
    };
    let strangers = around.repositories.iter().filter(|path| !is_trusted(path));
    strangers
        .map(|path| {
            let path = path.display();
            Need::new(
                format!("it does not trust the repository `{path}`"),
                format!("run `claude` once in `{path}` and accept; its worktrees are then trusted"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io;
    use std::path::PathBuf;

    use super::*;

    const TRUSTED: &str = r#"{"hasCompletedOnboarding": true,
        "projects": {"/repos/app": {"hasTrustDialogAccepted": true},
                     "/repos/shop": {"hasTrustDialogAccepted": false}}}"#;

    #[derive(Default)]
    struct Case {
        env: &'static [(&'static str, &'static str)],
        is_root: bool,
        mode: &'static str,
        repositories: &'static [&'static str],
        file: Option<(&'static str, &'static str)>,
    }

    #[track_caller]
    fn check(case: &Case, expect: &[&str]) {
        let env: BTreeMap<String, String> = case
            .env
            .iter()
            .chain(&[("HOME", "/home/u")])
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let read = |path: &Path| match case.file {
            Some((at, text)) if path == Path::new(at) => Ok(text.to_owned()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        let repositories: Vec<PathBuf> = case.repositories.iter().map(PathBuf::from).collect();
        let needs = CLAUDE_CODE.needs(&Surroundings {
            env: &env,
            is_root: case.is_root,
            permission_modes: &[case.mode.to_owned()],
            repositories: &repositories,
            read: &read,
        });
        let messages: Vec<&str> = needs.iter().map(|need| need.message.as_str()).collect();
        assert_eq!(messages, expect);
    }

    const HOME_FILE: &str = "/home/u/.claude.json";
    const FRESH: &str = "it was never started by this user, and begins with questions to a person";

    #[test]
    fn a_user_that_never_started_it_is_told_to() {
        check(&Case::default(), &[FRESH]);
        let file = Some((HOME_FILE, "{}"));
        check(&Case { file, ..Case::default() }, &[FRESH]);
        let file = Some((HOME_FILE, TRUSTED));
        check(&Case { file, ..Case::default() }, &[]);
        let env = &[("CLAUDE_CONFIG_DIR", "/elsewhere")];
        check(&Case { env, file, ..Case::default() }, &[FRESH]);
        let file = Some(("/elsewhere/.claude.json", TRUSTED));
        check(&Case { env, file, ..Case::default() }, &[]);
    }

    #[test]
    fn what_cannot_be_read_is_no_finding() {
        let file = Some((HOME_FILE, "{\"hasCompleted"));
        check(&Case { file, ..Case::default() }, &[]);
    }

    #[test]
    fn a_repository_is_trusted_itself_or_by_a_directory_above_it() {
        let file = Some((HOME_FILE, TRUSTED));
        let repositories = &["/repos/app", "/repos/app/nested", "/repos/shop", "/repos"];
        let expect = [
            "it does not trust the repository `/repos/shop`",
            "it does not trust the repository `/repos`",
        ];
        check(&Case { repositories, file, ..Case::default() }, &expect);
    }

    #[test]
    fn root_without_a_sandbox_may_not_bypass_permissions() {
        let file = Some((HOME_FILE, TRUSTED));
        let refused = "permission mode `bypassPermissions` is refused to root";
        let root = || Case { file, is_root: true, mode: BYPASS, ..Case::default() };
        check(&root(), &[refused]);
        check(&Case { env: &[("IS_SANDBOX", "1")], ..root() }, &[]);
        check(&Case { mode: "plan", ..root() }, &[]);
        check(&Case { is_root: false, ..root() }, &[]);
    }
}
