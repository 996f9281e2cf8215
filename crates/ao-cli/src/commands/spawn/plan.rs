//! From the arguments of `ao spawn` to the requests that they mean.

use std::collections::BTreeMap;

use ao_api::spawn::SpawnRequest;

use super::SpawnArgs;
use crate::env::Env;
use crate::error::CliError;
use crate::stdin;

/// Most sessions of one command: more is a mistake in the file, not a plan.
const SESSIONS_MAX: usize = 100;

/// One request for each session that is asked for.
pub(super) fn requests(
    args: SpawnArgs,
    env: &Env,
    cwd: &str,
) -> Result<Vec<SpawnRequest>, CliError> {
    let prompts = prompts(&args)?;
    let tasks = tasks(prompts, &args.issues, args.count);
    let n_sessions = tasks.len();
    if n_sessions > SESSIONS_MAX {
        let message = format!("{n_sessions} sessions at once are more than {SESSIONS_MAX}");
        return Err(CliError::usage(message));
    }
    if n_sessions > 1 && args.branch.is_some() {
        return Err(CliError::usage(
            "`--branch` names one branch, and several sessions need one each",
        ));
    }
    let template = SpawnRequest {
        project: args.project.or_else(|| env.var("AO_PROJECT_ID").map(str::to_owned)),
        cwd: cwd.to_owned(),
        prompt: None,
        agent: args.agent,
        command: command(args.command.as_deref(), args.argv)?,
        model: args.model,
        permission: args.permission,
        base: args.base,
        branch: args.branch,
        name: args.name,
        issue: None,
        env: variables(&args.env)?,
        caller_env: env.inheritable(),
        idempotency_key: args.idempotency_key,
    };
    let request = |(at, (prompt, issue)): (usize, Task)| {
        let number = |text: &String| {
            if n_sessions > 1 { format!("{text}-{}", at + 1) } else { text.clone() }
        };
        SpawnRequest {
            prompt,
            issue,
            name: template.name.as_ref().map(number),
            idempotency_key: template.idempotency_key.as_ref().map(number),
            ..template.clone()
        }
    };
    Ok(tasks.into_iter().enumerate().map(request).collect())
}

/// A prompt and an issue.
type Task = (Option<String>, Option<String>);

/// Every prompt with every issue, each as often as asked for.
fn tasks(prompts: Vec<Option<String>>, issues: &[String], count: u16) -> Vec<Task> {
    let issues: Vec<Option<String>> =
        if issues.is_empty() { vec![None] } else { issues.iter().cloned().map(Some).collect() };
    let pairs = prompts.into_iter().flat_map(|prompt| {
        issues.iter().map(move |issue| (prompt.clone(), issue.clone())).collect::<Vec<_>>()
    });
    pairs.flat_map(|task| std::iter::repeat_n(task, usize::from(count))).collect()
}

/// What each session is to do; one session without a prompt when none is given.
fn prompts(args: &SpawnArgs) -> Result<Vec<Option<String>>, CliError> {
    if let Some(file) = &args.prompts {
        let prompts = paragraphs(&stdin::read_text(file)?);
        if prompts.is_empty() {
            return Err(CliError::usage(format!("`{file}` holds no prompt")));
        }
        return Ok(prompts.into_iter().map(Some).collect());
    }
    let prompt = match (&args.prompt, &args.prompt_text, &args.prompt_file) {
        (Some(dash), _, _) if dash == "-" => Some(stdin::read_text("-")?),
        (_, _, Some(file)) => Some(stdin::read_text(file)?),
        (prompt, text, None) => prompt.clone().or_else(|| text.clone()),
    };
    let prompt = prompt.map(|prompt| prompt.trim_end().to_owned());
    if prompt.as_ref().is_some_and(String::is_empty) {
        return Err(CliError::usage("the prompt is empty"));
    }
    Ok(vec![prompt])
}

/// Blocks of lines between blank ones.
fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs: Vec<Vec<&str>> = vec![Vec::new()];
    for line in text.lines() {
        if line.trim().is_empty() {
            paragraphs.push(Vec::new());
        } else if let Some(last) = paragraphs.last_mut() {
            last.push(line);
        }
    }
    paragraphs.retain(|lines| !lines.is_empty());
    paragraphs.into_iter().map(|lines| lines.join("\n")).collect()
}

/// The program and its arguments: as they stand, or split as POSIX words.
fn command(text: Option<&str>, argv: Vec<String>) -> Result<Vec<String>, CliError> {
    let Some(text) = text else { return Ok(argv) };
    match shlex::split(text) {
        Some(words) if !words.is_empty() => Ok(words),
        Some(_) => Err(CliError::usage("`--command` is empty")),
        None => Err(CliError::usage(format!("`--command` has an open quote: {text}"))),
    }
}

/// `NAME=VALUE` pairs as they stand on a command line.
pub(crate) fn variables(pairs: &[String]) -> Result<BTreeMap<String, String>, CliError> {
    let variable = |pair: &String| match pair.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err(CliError::usage(format!("`--env {pair}` is not `NAME=VALUE`"))),
    };
    pairs.iter().map(variable).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser as _;

    use super::*;
    use crate::args::{ClientCommand, Command, Invocation};

    fn parsed(line: &[&str]) -> SpawnArgs {
        let line = ["ao", "spawn"].iter().chain(line);
        let parsed = Invocation::try_parse_from(line).unwrap().command;
        let Command::Client(ClientCommand::Spawn(args)) = parsed else { panic!("{parsed:?}") };
        *args
    }

    fn plan(line: &[&str]) -> Result<Vec<SpawnRequest>, String> {
        let env = Env::for_test(&[("PATH", "/bin"), ("AO_PROJECT_ID", "app")], Path::new("/w"));
        requests(parsed(line), &env, "/w").map_err(|error| error.to_string())
    }

    #[test]
    fn a_prompt_is_one_session_of_the_project_in_the_environment() {
        let expect = SpawnRequest {
            project: Some("app".to_owned()),
            cwd: "/w".to_owned(),
            prompt: Some("fix it".to_owned()),
            caller_env: [("PATH".to_owned(), "/bin".to_owned())].into(),
            ..SpawnRequest::default()
        };
        assert_eq!(plan(&["fix it"]), Ok(vec![expect.clone()]));
        assert_eq!(plan(&["--prompt", "fix it"]), Ok(vec![expect.clone()]));
        let other = SpawnRequest { project: Some("web".to_owned()), ..expect };
        assert_eq!(plan(&["fix it", "--project", "web"]), Ok(vec![other]));
    }

    #[test]
    fn a_command_is_split_as_words_and_never_expanded() {
        let command = |line: &[&str]| plan(line).map(|mut all| all.remove(0).command);
        let words = |words: &[&str]| Ok(words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>());
        assert_eq!(
            command(&["--command", "sh -c 'echo $HOME *'"]),
            words(&["sh", "-c", "echo $HOME *"])
        );
        assert_eq!(command(&["--", "tool", "--json", "a b"]), words(&["tool", "--json", "a b"]));
        assert_eq!(
            command(&["--command", "sh 'x"]),
            Err("`--command` has an open quote: sh 'x".to_owned())
        );
        assert_eq!(command(&["--command", " "]), Err("`--command` is empty".to_owned()));
    }

    #[test]
    fn each_paragraph_is_a_session() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("prompts");
        std::fs::write(&file, "\nfix\n the login\n \n\nfix the logout\n").unwrap();
        let requests =
            plan(&["--prompts", file.to_str().unwrap(), "--count", "2", "--name", "n"]).unwrap();
        let got: Vec<(&str, &str)> = requests
            .iter()
            .map(|r| (r.name.as_deref().unwrap(), r.prompt.as_deref().unwrap()))
            .collect();
        let expect = [
            ("n-1", "fix\n the login"),
            ("n-2", "fix\n the login"),
            ("n-3", "fix the logout"),
            ("n-4", "fix the logout"),
        ];
        assert_eq!(got, expect);
    }

    #[test]
    fn each_issue_is_a_session() {
        let requests = plan(&["fix", "--issue", "7", "--issue", "ABC-8"]).unwrap();
        let issues: Vec<&str> = requests.iter().map(|r| r.issue.as_deref().unwrap()).collect();
        assert_eq!(issues, ["7", "ABC-8"]);
        assert!(requests.iter().all(|request| request.prompt.as_deref() == Some("fix")));
    }

    #[test]
    fn several_sessions_cannot_share_a_branch() {
        let refused = plan(&["x", "--count", "2", "--branch", "b"]);
        assert_eq!(
            refused,
            Err("`--branch` names one branch, and several sessions need one each".to_owned())
        );
    }

    #[test]
    fn a_variable_has_a_name_and_may_hold_anything() {
        let env = |line: &[&str]| plan(line).map(|mut all| all.remove(0).env);
        let expect = [("A".to_owned(), "b=c".to_owned()), ("B".to_owned(), String::new())].into();
        assert_eq!(env(&["x", "--env", "A=b=c", "--env", "B="]), Ok(expect));
        assert_eq!(env(&["x", "--env", "=b"]), Err("`--env =b` is not `NAME=VALUE`".to_owned()));
    }
}
